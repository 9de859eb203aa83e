"""What a person sees: lines with the time, headings, a table; colour only on a terminal."""

import os
import shutil
import sys
import time

_WIDTH_MAX = 88


class Screen:
    """Standard output as the demo uses it."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        #: Columns that may be used.
        self.width = max(60, min(_WIDTH_MAX, shutil.get_terminal_size((_WIDTH_MAX, 24)).columns))

    def paint(self, text: str, code: str) -> str:
        """`text` in a colour (an ANSI code), or as it is."""
        return f"\033[{code}m{text}\033[0m" if self._colour else text

    def line(self, text: str = "") -> None:
        """One line as it is."""
        print(text, flush=True)

    def heading(self, text: str) -> None:
        """A heading."""
        self.line()
        self.line(f"  {self.paint(text, '1')}")
        self.line()

    def step(self, text: str) -> None:
        """One line with the seconds since the start."""
        self.line(f"  {self.paint(f'{time.monotonic() - self._began:6.1f} s', '2')}   {text}")

    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began


def megabytes(count: float) -> str:
    """Bytes as a person reads them."""
    return f"{count / 1e6:,.1f} MB"
