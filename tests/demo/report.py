"""The end of the demo: the chart of both runs, the figures, and whether each claim held."""

from . import chart, rows
from .labels import FIRST, SECOND
from .run import Seen
from .screen import Screen, megabytes

#: Columns before a curve: name, level, axis.
_NAME = 15
_MARGIN = _NAME + 6
_GREEN, _YELLOW, _RED, _DIM = "32", "33", "1;31", "2"


def show_chart(screen: Screen, ours: Seen, tracking: Seen) -> None:
    """Executors over time, both runs on one time axis."""
    screen.heading("Executors over time")
    width = screen.width - _MARGIN - 2
    full_s = max(ours.log.seconds, tracking.log.seconds)
    height = max(count for seen in (ours, tracking) for _, count in seen.steps)
    for name, seen, colour in (("with our daemon", ours, _GREEN), ("without", tracking, _YELLOW)):
        drawn = chart.rows(seen.steps, seen.log.seconds, width, full_s, height)
        for number, line in enumerate(drawn):
            level = height - number
            label = name if level == height else ""
            screen.line(f"  {label:<{_NAME}} {level} ┤{screen.paint(line, colour)}".rstrip())
        line, labels = chart.axis(width, full_s)
        screen.line(f"  {'':<{_NAME}} 0 ┼{line}")
        first, second = seen.span(FIRST), seen.span(SECOND)
        marks = [(*first, "write, read"), (first[1], second[0], "no work"), (*second, "read again")]
        screen.line(f"{'':<{_MARGIN}}{screen.paint(chart.spans(marks, width, full_s), _DIM)}")
        screen.line(f"{'':<{_MARGIN}}{labels}")
        screen.line()


def show_figures(screen: Screen, ours: Seen, tracking: Seen) -> None:
    """A table of both runs."""
    screen.heading("Side by side")
    table = [
        ("", "with our daemon", "without a service"),
        (
            "executors during the pause",
            f"{_lowest(ours)} of {_most(ours)}",
            f"{_lowest(tracking)} of {_most(tracking)}",
        ),
        ("executor time wasted in it", f"{ours.idle_executor_s:.1f} s", f"{tracking.idle_executor_s:.1f} s"),
        ("blocks from the daemon", f"{ours.served_after.blocks:,}", "-"),
        ("  for the second read", f"{ours.served_again.blocks:,}", "-"),
        ("bytes from the daemon", megabytes(ours.served_after.bytes), "-"),
        ("  for the second read", megabytes(ours.served_again.bytes), "-"),
        ("stages recomputed", str(len(ours.log.recomputed)), str(len(tracking.log.recomputed))),
        ("failed fetches", str(len(ours.log.fetch_failures)), str(len(tracking.log.fetch_failures))),
        ("result of the second read", f"{ours.results[SECOND][2]:x}", f"{tracking.results[SECOND][2]:x}"),
    ]
    for number, (name, left, right) in enumerate(table):
        text = f"  {name:<28}{left:>20}{right:>22}"
        screen.line(screen.paint(text, _DIM) if number == 0 else text)


def claims(ours: Seen, tracking: Seen, wanted: rows.Digest) -> list[tuple[str, bool]]:
    """Everything the demo claims, and whether it was so."""
    again, reads = ours.served_again, ours.log.reads(SECOND)
    peaks = ours.log.executor_peaks()
    return [
        (f"executors went {' → 0 → '.join(map(str, peaks))}", len(peaks) == 2 and peaks[0] == peaks[1]),
        (
            f"the second read took all of its {rows.MAPS * rows.REDUCES} blocks from the daemon",
            reads.remote_blocks == again.blocks == rows.MAPS * rows.REDUCES and reads.local_blocks == 0,
        ),
        (f"Spark and the daemon agree on its bytes: {again.bytes:,}", reads.remote_bytes == again.bytes > 0),
        ("no stage was computed twice", not ours.log.recomputed and not tracking.log.recomputed),
        ("no fetch failed, no task failed", not ours.log.fetch_failures and not ours.log.other_failures),
        (
            "every result is the one that plain Python computes without Spark",
            all(seen.results[label] == wanted for seen in (ours, tracking) for label in (FIRST, SECOND)),
        ),
        (
            f"without a service {_lowest(tracking)} executors stayed for the same pause",
            _lowest(tracking) == _most(tracking) and len(tracking.log.executor_peaks()) == 1,
        ),
    ]


def show_claims(screen: Screen, made: list[tuple[str, bool]]) -> bool:
    """Lists the claims; whether all held."""
    screen.heading("Checked")
    for text, held in made:
        screen.line(f"  {screen.paint('✓', _GREEN) if held else screen.paint('✗ NOT SO:', _RED)} {text}")
    return all(held for _, held in made)


def _most(seen: Seen) -> int:
    return max(count for _, count in seen.steps)


def _lowest(seen: Seen) -> int:
    """The fewest executors between the two reads."""
    start, end = seen.span(FIRST)[1], seen.span(SECOND)[0]
    during = [count for when, count in seen.steps if start <= when < end]
    return min([chart.at(seen.steps, start), *during])
