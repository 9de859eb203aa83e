"""SQL with adaptive execution."""

from pyspark.sql import functions as F

from ..application import MAX_EXECUTORS, STAY
from ..eventlog import EventLog
from ..service import BLOCKS_SERVED, BYTES_SERVED
from ..stage import Stage

_ADAPTIVE = {"spark.sql.adaptive.enabled": "true", "spark.sql.autoBroadcastJoinThreshold": "-1"}
_MAPS, _PARTITIONS, _KEYS, _ROWS = 6, 60, 3_000, 60_000


def batch_fetch(stage: Stage) -> None:
    """Neighbouring partitions are coalesced, and each reducer asks for its run of them as one block.

    Spark passes "fetch in batch" through a property of the thread that runs the whole query, so
    this query runs in one go: its executors stay, and each fetches what the other one wrote.
    """
    settings = {
        **_ADAPTIVE,
        **STAY,
        "spark.sql.shuffle.partitions": str(_PARTITIONS),
        "spark.sql.adaptive.coalescePartitions.enabled": "true",
        "spark.sql.adaptive.coalescePartitions.parallelismFirst": "false",
        "spark.sql.adaptive.coalescePartitions.minPartitionSize": "1k",
        "spark.sql.adaptive.advisoryPartitionSizeInBytes": "16k",
        "spark.sql.adaptive.fetchShuffleBlocksInBatch": "true",
    }
    app, claims = stage.application(settings), stage.claims
    app.wait_for_executors(MAX_EXECUTORS)
    numbers = app.spark.range(0, _ROWS, 1, _MAPS)
    query = numbers.groupBy((F.col("id") % _KEYS).alias("k")).agg(F.sum("id").alias("s"), F.count("id").alias("n"))
    rows = [tuple(row) for row in query.collect()]
    served = stage.service.metrics()
    app.stop()
    log = app.log()
    each = _ROWS // _KEYS
    wanted = {k: (each * k + _KEYS * each * (each - 1) // 2, each) for k in range(_KEYS)}
    claims.that("the result is right", {k: (s, n) for k, s, n in rows} == wanted, f"{len(rows)} rows")
    claims.nothing_lost(log)
    reads = log.reads("")
    tasks = _tasks(log) - _MAPS
    claims.that("partitions were coalesced into some", 1 < tasks < _PARTITIONS, f"{_PARTITIONS} into {tasks}")
    claims.equal("each reducer read one batch per map output", reads.remote_blocks + reads.local_blocks, _MAPS * tasks)
    claims.that("some batches came from the service", reads.remote_blocks > 0, vars(reads))
    if served:
        blocks = served.get(BLOCKS_SERVED, 0)
        claims.that("the service counts each partition of a batch", blocks > reads.remote_blocks, blocks)
        claims.equal("and the bytes", served.get(BYTES_SERVED), reads.remote_bytes)


def skew_join(stage: Stage) -> None:
    """A partition much larger than the others is read in parts, by ranges of map outputs.

    Asking an adaptive query for its RDD runs its map stages and nothing more; the executors that
    ran them go before the join is computed.
    """
    settings = {
        **_ADAPTIVE,
        "spark.sql.shuffle.partitions": "8",
        "spark.sql.adaptive.coalescePartitions.enabled": "false",
        "spark.sql.adaptive.skewJoin.enabled": "true",
        "spark.sql.adaptive.skewJoin.skewedPartitionFactor": "2",
        "spark.sql.adaptive.skewJoin.skewedPartitionThresholdInBytes": "64k",
        "spark.sql.adaptive.advisoryPartitionSizeInBytes": "64k",
        "spark.shuffle.compress": "false",
    }
    app, claims = stage.application(settings), stage.claims
    # Three quarters of all facts are of key 0.
    key = F.when(F.col("id") % 4 == 0, F.col("id") % 100).otherwise(F.lit(0)).alias("k")
    facts = app.spark.range(0, _ROWS, 1, _MAPS).select(key, "id")
    names = app.spark.range(0, 100, 1, 2).select(F.col("id").alias("k"), (F.col("id") * 10).alias("w"))
    query = facts.join(names, "k").select("k", "id", "w")
    app.label("maps")
    rdd = query.rdd
    plan = query._jdf.queryExecution().executedPlan().toString()
    app.wait_for_executors(0)
    app.label("reduces")
    rows, ids, weights = rdd.map(lambda r: (1, r.id, r.w)).reduce(lambda a, b: tuple(x + y for x, y in zip(a, b)))
    app.stop()
    log = app.log()
    claims.that("the plan joins with skew=true", "skew=true" in plan)
    claims.that("and reads skewed partitions", "AQEShuffleRead skewed" in plan)
    claims.equal("all rows are joined", (rows, ids), (_ROWS, _ROWS * (_ROWS - 1) // 2))
    claims.equal("each with its partner", weights, sum(10 * (i % 100) for i in range(0, _ROWS, 4)))
    claims.nothing_lost(log)
    claims.that("more tasks than partitions read it", _tasks(log, "reduces") > 8, f"{_tasks(log, 'reduces')} tasks")
    claims.equal("no block was read from a local file", log.reads("reduces").local_blocks, 0)


def _tasks(log: EventLog, label: str = "") -> int:
    return sum(stage.tasks for stage in log.stages if stage.label == label)
