"""Very many very small blocks: where a service that pays per block is slow."""

from typing import Any

from pyspark.serializers import CPickleSerializer
from pyspark.sql import functions as sql

from ..application import MAX_EXECUTORS, Application
from ..stage import Stage
from ..waiting import wait_for

_SIDE = 600
_ROWS = _SIDE * _SIDE * 4
#: Keys are many to each reduce id, and few for the driver: what a turn reads comes to it summed up by key.
_KEYS = 60_000
_OF_KEY = _ROWS // _KEYS
#: A turn reads a part of the reduce ids, the next turn the next part.
_PARTS = 10
#: Those that read stay from turn to turn, while another story has its own; those that wrote are told to go.
_IDLE = "10min"
#: Enough for Spark to want all executors.
_TASKS = 40
_EXECUTORS_LIMIT_S = 120.0


def tiny_blocks(stage: Stage) -> None:
    """600 map outputs of 600 blocks of about 100 bytes, a tenth read in a turn; no executor that wrote is left by then."""
    settings = {"spark.sql.adaptive.enabled": "false", "spark.dynamicAllocation.executorIdleTimeout": _IDLE}
    app, claims = stage.application(settings), stage.claims
    rows = app.spark.range(0, _ROWS, 1, _SIDE).withColumn("key", sql.col("id") % _KEYS).repartition(_SIDE, "key")
    sums = rows.groupBy("key").agg(sql.count("id").alias("rows"), sql.sum("id").alias("sum")).rdd._jrdd
    app.label("write")
    _read(app, sums, [0])
    app.let_executors_go()
    app.label("executors come")
    wait_for(lambda: _all_come(app), _EXECUTORS_LIMIT_S, "executors that read")
    labels, read = [], []
    for turn in stage.turns():
        labels.append(f"read {turn}")
        app.label(labels[-1])
        read.append(_read(app, sums, range(turn % _PARTS, _SIDE, _PARTS)))
    app.stop()
    log = app.log()
    claims.nothing_lost(log)
    keys = [[row.key for row in part] for part in read]
    claims.that("the keys of a part arrive each time", min(map(len, keys)) > _KEYS // _PARTS // 2, list(map(len, keys)))
    once = {key for part in keys[:_PARTS] for key in part}
    claims.equal("each key in one part only", len(once), sum(map(len, keys[:_PARTS])))
    wrong = [row for part in read for row in part if (row.rows, row.sum) != (_OF_KEY, _sum_of(row.key))]
    claims.equal("with all of its rows, and their sum", wrong[:3], [])
    blocks = [log.reads(label).remote_blocks for label in labels]
    claims.that("most blocks come from the service", min(blocks) > _SIDE * _SIDE // _PARTS // 2, blocks)
    claims.figure("read seconds", [log.seconds_of(label) for label in labels])


def _all_come(app: Application) -> bool:
    """Whether all executors are there; if not, runs as many small tasks as make Spark want them."""
    if app.executors() < MAX_EXECUTORS:
        app.spark.range(0, _TASKS, 1, _TASKS).count()
    return app.executors() == MAX_EXECUTORS


def _sum_of(key: int) -> int:
    return sum(range(key, _ROWS, _KEYS))


def _read(app: Application, sums: Any, partitions: Any) -> list[Any]:
    """Computes some partitions, and so reads all blocks of their reduce ids; what they hold."""
    gateway = app.context._gateway
    numbers = gateway.new_array(gateway.jvm.int, len(partitions))
    for at, partition in enumerate(partitions):
        numbers[at] = partition
    pickled = [bytes(batch) for rows in sums.collectPartitions(numbers) for batch in rows]
    return [row for batch in pickled for row in CPickleSerializer().loads(batch)]
