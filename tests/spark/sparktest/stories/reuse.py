"""A shuffle outlives the executors that wrote it."""

import time
import zlib
from collections.abc import Iterable, Iterator

from pyspark import RDD

from ..application import MAX_EXECUTORS, Application
from ..cluster import Cluster
from ..eventlog import EventLog
from ..service import BLOCKS_SERVED, BYTES_SERVED
from ..stage import Stage

MAPS, REDUCES, ROWS = 8, 12, 24_000


def write_shuffle(app: Application, maps: int = MAPS, reduces: int = REDUCES, rows: int = ROWS) -> RDD:
    """An RDD behind one shuffle of `rows` pairs (number, 200 bytes that follow from it)."""

    def pair(number: int) -> tuple[int, bytes]:
        seed = zlib.crc32(number.to_bytes(8, "big"))
        return number, b"".join(((seed * factor) & 0xFFFFFFFF).to_bytes(4, "big") for factor in range(1, 51))

    return app.context.range(rows, numSlices=maps).map(pair).partitionBy(reduces)


def checksum(shuffled: RDD, pause_s: float = 0.0) -> tuple[int, int, int]:
    """Reads the shuffle: rows, sum of numbers, sum of checksums. `pause_s` lengthens each task."""

    def partition(rows: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, int, int]]:
        count = numbers = crcs = 0
        for number, payload in rows:
            count, numbers, crcs = count + 1, numbers + number, crcs + zlib.crc32(payload)
        time.sleep(pause_s)
        yield count, numbers, crcs

    def add(one: tuple[int, int, int], other: tuple[int, int, int]) -> tuple[int, int, int]:
        return one[0] + other[0], one[1] + other[1], one[2] + other[2]

    result: tuple[int, int, int] = shuffled.mapPartitions(partition).reduce(add)
    return result


def _two_reads(stage: Stage, settings: dict[str, str], cluster: Cluster | None = None) -> tuple[EventLog, dict[str, float]]:
    """Writes, reads, loses all executors, reads again.

    Returns the event log and what the second read added to the service's metrics.
    """
    app, claims = stage.application(settings, cluster), stage.claims
    shuffled = write_shuffle(app)
    app.label("first read")
    first = checksum(shuffled, pause_s=0.2)
    app.wait_for_executors(0)
    before = stage.service.metrics()
    app.label("second read")
    second = checksum(shuffled, pause_s=0.2)
    after = stage.service.metrics()
    app.stop()
    log = app.log()
    claims.equal("all rows arrive", first[:2], (ROWS, ROWS * (ROWS - 1) // 2))
    claims.equal("the second read has the same result", second, first)
    claims.equal("executors come, all go, and come again", log.executor_peaks(), [MAX_EXECUTORS, MAX_EXECUTORS])
    claims.nothing_lost(log)
    claims.figure("seconds", log.seconds)
    return log, {name: after[name] - before.get(name, 0.0) for name in after}


def all_from_service(stage: Stage, settings: dict[str, str], cluster: Cluster | None = None) -> None:
    """Two reads, the second of which comes from the service, block for block."""
    log, served = _two_reads(stage, settings, cluster)
    reads = log.reads("second read")
    stage.claims.equal("every block of the second read comes from the service", reads.remote_blocks, MAPS * REDUCES)
    stage.claims.equal("no block of the second read is read from a local file", reads.local_blocks, 0)
    if served:
        stage.claims.equal("the service counts these blocks", served.get(BLOCKS_SERVED), MAPS * REDUCES)
        stage.claims.equal("and these bytes", served.get(BYTES_SERVED), reads.remote_bytes)


def reuse(stage: Stage) -> None:
    """The outcome of the product in one job (FetchShuffleBlocks)."""
    all_from_service(stage, {})


def old_fetch_protocol(stage: Stage) -> None:
    """The same with OpenBlocks, and map indexes instead of map task ids in the file names."""
    all_from_service(stage, {"spark.shuffle.useOldFetchProtocol": "true"})


def host_local_on(stage: Stage) -> None:
    """The new executors ask the service where the dead ones' files are, and read these themselves."""
    log, served = _two_reads(stage, {"spark.shuffle.readHostLocalDisk": "true"})
    reads = log.reads("second read")
    stage.claims.equal("every block of the second read is read from a local file", reads.local_blocks, MAPS * REDUCES)
    stage.claims.equal("no block of the second read comes over the network", reads.remote_blocks, 0)
    if served:
        stage.claims.equal("the service hands out no block", served.get(BLOCKS_SERVED, 0.0), 0.0)
