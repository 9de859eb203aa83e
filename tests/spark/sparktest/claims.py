"""The claims of a story: each is checked, said and kept, and one that fails does not hide the rest."""

import dataclasses
import json
import sys
from typing import Any

from .eventlog import EventLog


@dataclasses.dataclass(frozen=True)
class Claim:
    """One statement, whether it held, and what was seen."""

    text: str
    held: bool
    seen: str


class Claims:
    """All claims of one story, and the figures worth reporting."""

    def __init__(self) -> None:
        self.made: list[Claim] = []
        self.figures: dict[str, Any] = {}

    def that(self, text: str, held: bool, seen: object = "") -> None:
        """Records a claim and prints it to standard error."""
        claim = Claim(text, bool(held), str(seen)[-4000:])
        self.made.append(claim)
        print(
            f"    {'ok  ' if held else 'FAIL'} {text}{f' ({claim.seen})' if claim.seen else ''}",
            file=sys.stderr,
            flush=True,
        )

    def figure(self, name: str, value: Any) -> None:
        """Records a number for the report."""
        self.figures[name] = value

    def equal(self, text: str, seen: object, wanted: object) -> None:
        """Claims that two values are equal."""
        self.that(text, seen == wanted, seen if seen == wanted else f"{seen!r}, wanted {wanted!r}")

    def nothing_lost(self, log: EventLog) -> None:
        """Claims that no fetch failed, no stage was computed twice and no task failed otherwise."""
        self.equal("zero FetchFailed", len(log.fetch_failures), 0)
        self.equal("no stage computed twice", log.recomputed, [])
        self.equal("no task failed", log.other_failures, [])

    @property
    def held(self) -> bool:
        """Whether there was at least one claim and all held."""
        return bool(self.made) and all(claim.held for claim in self.made)

    def to_json(self, **more: Any) -> str:
        """One line with all claims and figures."""
        return json.dumps({**more, "held": self.held, "claims": [vars(c) for c in self.made], "figures": self.figures})
