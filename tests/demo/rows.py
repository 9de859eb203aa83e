"""The rows of the demo and what is computed from them; needs neither Spark nor the rest of the demo."""

import hashlib
import zlib
from collections.abc import Iterable, Iterator

#: Map outputs, partitions, rows, and bytes in each row's payload.
MAPS, REDUCES, ROWS, ROW_BYTES = 16, 24, 100_000, 1024

#: Rows, sum of their numbers, sum of the checksums of their payloads.
Digest = tuple[int, int, int]


def row(number: int) -> tuple[int, bytes]:
    """A row: its number, and bytes that follow from the number and do not compress."""
    return number, hashlib.shake_128(number.to_bytes(8, "big")).digest(ROW_BYTES)


def digest(rows: Iterable[tuple[int, bytes]]) -> Iterator[Digest]:
    """The digest of some rows, as the one element that a partition is mapped to."""
    count = numbers = checksums = 0
    for number, payload in rows:
        count, numbers, checksums = count + 1, numbers + number, checksums + zlib.crc32(payload)
    yield count, numbers, checksums


def add(one: Digest, other: Digest) -> Digest:
    """The digest of both."""
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]


def expected() -> Digest:
    """The digest of all rows, computed here and now, without Spark."""
    return next(digest(row(number) for number in range(ROWS)))
