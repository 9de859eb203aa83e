"""The Spark releases under test, read from `versions.txt`. Nobody else names a release."""

from pathlib import Path

_FILE = Path(__file__).resolve().parent.parent / "versions.txt"


def all_versions() -> list[str]:
    """Every release in `versions.txt`, oldest first."""
    lines = (line.strip() for line in _FILE.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def newest() -> str:
    """The newest release: what the demo and most stories run."""
    return all_versions()[-1]


def newest_of(major: int) -> str:
    """The newest release of a major version, e.g. 3 for the last of the 3.x line."""
    return [v for v in all_versions() if v.startswith(f"{major}.")][-1]
