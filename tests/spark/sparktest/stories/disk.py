"""RDD blocks on disk, blocks that are fetched to disk, and files that the driver frees."""

import gc
import re
import tempfile
import zlib
from pathlib import Path

from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from .. import cluster as clusters
from ..application import Application
from ..cluster import Cluster
from ..eventlog import Reads
from ..service import BLOCKS_SERVED
from ..stage import Stage
from ..waiting import wait_for
from .reuse import MAPS, checksum, write_shuffle

_FREED_LIMIT_S = 30
_MIB = 1 << 20


def rdd_blocks(stage: Stage) -> None:
    """Cached partitions on disk are read from the service when their executors are gone (OpenBlocks).

    Spark reads such blocks itself when reader and writer have the same host name, whatever
    `spark.shuffle.readHostLocalDisk` says. So this story has a cluster of its own, to which a
    worker under another name of this machine comes before the second read.
    """
    folder = Path(tempfile.mkdtemp(prefix="rdd-blocks-", dir=stage.cluster.root))
    with clusters.running(stage.cluster.version, folder) as cluster:
        _rdd_blocks(stage, cluster)


def _rdd_blocks(stage: Stage, cluster: Cluster) -> None:
    parts, numbers, more_cores = 6, 10_000, 100
    settings = {"spark.shuffle.service.fetch.rdd.enabled": "true", "spark.dynamicAllocation.maxExecutors": "1"}
    app, claims = stage.application(settings, cluster), stage.claims
    computed = app.context.accumulator(0)

    def square(number: int) -> int:
        computed.add(1)
        return number * number

    cached = app.context.range(numbers, numSlices=parts).map(square).persist(StorageLevel.DISK_ONLY)
    first = cached.sum()
    app.wait_for_executors(0)
    with clusters.worker(cluster, "localhost", more_cores):
        second = cached.sum()
        app.wait_for_executors(0)
        dirs = app.local_dirs()
        files = _named(dirs, "rdd_")
        cached.unpersist(blocking=True)
        left = _named(dirs, "rdd_")
        served = stage.service.metrics()
        said = app.executor_logs()
        app.stop()
    claims.equal("the first sum is right", first, sum(n * n for n in range(numbers)))
    claims.equal("the second sum is the same", second, first)
    claims.equal("each number was squared once", computed.value, numbers)
    claims.equal("one file a partition was on disk", len(files), parts)
    claims.equal("unpersist removed them although their executors were gone", left, [])
    claims.nothing_lost(app.log())
    claims.equal("no block was read from a local file", said.count("from the disk of a same host executor"), 0)
    claims.equal("every block was fetched", len(set(re.findall(r"Found block (rdd_\S+) remotely", said))), parts)
    if served:
        claims.equal("the service counts the blocks", served.get(BLOCKS_SERVED), parts)


def big_block_to_disk(stage: Stage) -> None:
    """A block above 200 MB, where Spark's default is to fetch it to a file (StreamRequest)."""
    app, claims = stage.application({"spark.shuffle.compress": "false"}), stage.claims
    rows = 208
    text = F.repeat(F.chr(F.col("id") % 26 + 65), _MIB)
    parts = app.spark.range(0, rows, 1, 1).select("id", text.alias("v")).repartition(1, "id")
    query = parts.select(F.length("v").alias("n"), F.crc32(F.encode("v", "UTF-8")).alias("c"))
    reads = _read_without_writers(stage, app, query, [(_MIB, _crc_of(i % 26 + 65)) for i in range(rows)])
    claims.that(
        "the one block is above 200 MB", reads.remote_blocks == 1 and reads.remote_bytes > 200 * _MIB, vars(reads)
    )
    claims.equal("all of it went to disk", reads.remote_bytes_to_disk, reads.remote_bytes)


def many_blocks_to_disk(stage: Stage) -> None:
    """Ordinary blocks fetched to files because the limit is low: many StreamRequests at once."""
    settings = {"spark.network.maxRemoteBlockSizeFetchToMem": "20k", "spark.shuffle.compress": "false"}
    app, claims = stage.application(settings), stage.claims
    maps, reduces, rows, size = 4, 5, 400, 4096
    text = F.repeat(F.chr(F.col("id") % 26 + 65), size)
    parts = app.spark.range(0, rows, 1, maps).select("id", text.alias("v")).repartition(reduces, "id")
    query = parts.select(F.length("v").alias("n"), F.crc32(F.encode("v", "UTF-8")).alias("c"))
    reads = _read_without_writers(stage, app, query, [(size, _crc_of(i % 26 + 65, size)) for i in range(rows)])
    claims.equal("every block was fetched", reads.remote_blocks, maps * reduces)
    claims.equal("and all went to disk", reads.remote_bytes_to_disk, reads.remote_bytes)


def _crc_of(letter: int, size: int = _MIB) -> int:
    return zlib.crc32(bytes([letter]) * size)


def _read_without_writers(stage: Stage, app: Application, query: DataFrame, wanted: list[tuple[int, int]]) -> Reads:
    app.label("maps")
    rdd = query.rdd
    app.wait_for_executors(0)
    app.label("reduces")
    rows = [tuple(row) for row in rdd.collect()]
    app.stop()
    log = app.log()
    stage.claims.that("every row has its length and checksum", sorted(rows) == sorted(wanted), f"{len(rows)} rows")
    stage.claims.nothing_lost(log)
    return log.reads("reduces")


def shuffle_freed(stage: Stage) -> None:
    """A shuffle that the program no longer holds is removed from disk, its writers long gone (RemoveBlocks)."""
    app, claims = stage.application(), stage.claims
    shuffled = write_shuffle(app)
    checksum(shuffled)
    dirs = app.local_dirs()
    app.wait_for_executors(0)
    written = _named(dirs, "shuffle_0_")
    claims.equal(
        "index, data and checksum files are on disk", _kinds(written), {"checksum": MAPS, "data": MAPS, "index": MAPS}
    )
    del shuffled

    def left() -> dict[str, int]:
        gc.collect()
        app.context._jvm.System.gc()  # Spark's cleaner follows the JVM's garbage collector
        return _kinds(_named(dirs, "shuffle_0_"))

    keeps = {} if stage.service.removes_checksums else {"checksum": MAPS}
    wait_for(lambda: left() == keeps, _FREED_LIMIT_S, f"files of the shuffle to go; left: {left()}")
    claims.equal("of these stay", left(), keeps)
    app.stop()
    claims.nothing_lost(app.log())


def _named(dirs: list[Path], prefix: str) -> list[str]:
    """Names of files below the executors' local dirs that start with `prefix`."""
    return sorted(path.name for each in dirs for path in each.glob(f"*/{prefix}*"))


def _kinds(names: list[str]) -> dict[str, int]:
    """How many files there are by the word after the first dot of their names."""
    kinds: dict[str, int] = {}
    for name in names:
        kind = name.split(".")[1]
        kinds[kind] = kinds.get(kind, 0) + 1
    return kinds
