"""Draws the number of executors over time with block characters."""

from collections.abc import Sequence

#: (seconds, executors from then on), in order.
Steps = Sequence[tuple[float, int]]


def at(steps: Steps, second: float) -> int:
    """The number of executors at a moment."""
    count = 0
    for when, value in steps:
        if when > second:
            break
        count = value
    return count


def rows(steps: Steps, end_s: float, width: int, full_s: float, height: int) -> list[str]:
    """`height` rows, the top one first. The whole width stands for `full_s` seconds, the curve ends at `end_s`."""
    drawn = []
    for level in range(height, 0, -1):
        cells = []
        for column in range(width):
            second = (column + 0.5) * full_s / width
            cells.append("█" if second <= end_s and at(steps, second) >= level else " ")
        drawn.append("".join(cells))
    return drawn


def axis(width: int, full_s: float) -> tuple[str, str]:
    """The line below the curves with a tick every five seconds, and its labels every ten."""
    line, labels = ["─"] * width, [" "] * (width + 6)
    second = 0
    while (column := round(second * width / full_s)) < width:
        line[column] = "┴"
        if second % 10 == 0:
            for offset, letter in enumerate(f"{second} s"):
                labels[column + offset] = letter
        second += 5
    return "".join(line), "".join(labels).rstrip()


def spans(marks: Sequence[tuple[float, float, str]], width: int, full_s: float) -> str:
    """One line that names stretches of time: `├─ name ─┤`. A stretch too short for its name has none."""
    line = [" "] * width
    for start_s, end_s, name in marks:
        first = round(start_s * width / full_s)
        room = min(width, round(end_s * width / full_s)) - first
        if room < 2:
            continue
        inner = f" {name} ".center(room - 2, "─") if len(name) + 2 <= room - 2 else "─" * (room - 2)
        line[first : first + room] = f"├{inner}┤"
    return "".join(line).rstrip()
