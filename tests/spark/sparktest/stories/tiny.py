"""Very many very small blocks: where a service that pays per block is slow."""

import itertools
from typing import Any

from pyspark.serializers import CPickleSerializer

from ..application import Application
from ..stage import Stage

_SIDE = 600
#: A turn reads a part of the reduce ids, the next turn the next part.
_PARTS = 5


def tiny_blocks(stage: Stage) -> None:
    """600 map outputs of 600 blocks of about 100 bytes, read a fifth in a turn by executors that come for it."""
    settings = {"spark.sql.adaptive.enabled": "false", "spark.dynamicAllocation.executorIdleTimeout": "3s"}
    app, claims = stage.application(settings), stage.claims
    rows = _SIDE * _SIDE * 4
    shuffled = app.spark.range(0, rows, 1, _SIDE).repartition(_SIDE, "id").rdd._jrdd
    app.label("write")
    shuffled.count()
    labels, ids = [], []
    app.wait_for_executors(0)
    for turn in stage.turns():
        labels.append(f"read {turn}")
        app.label(labels[-1])
        ids.append(_read(app, shuffled, turn % _PARTS))
        app.wait_for_executors(0)
    app.stop()
    log = app.log()
    claims.nothing_lost(log)
    reads = [log.reads(label) for label in labels]
    for first in range(0, len(ids) - _PARTS + 1, _PARTS):
        together = sorted(itertools.chain.from_iterable(ids[first : first + _PARTS]))
        claims.equal("five turns read every row once", together == list(range(rows)), True)
    counts = [len(each) for each in ids]
    claims.that("a part of the rows arrives each time", 0 < min(counts) <= max(counts) < rows // 2, counts)
    blocks = [r.remote_blocks for r in reads]
    claims.that("most blocks come from the service", min(blocks) > _SIDE * _SIDE // _PARTS // 2, blocks)
    claims.figure("read seconds", [log.seconds_of(label) for label in labels])


def _read(app: Application, shuffled: Any, part: int) -> list[int]:
    """Reads the blocks of a fifth of the reduce ids in the JVM; the ids that came."""
    gateway = app.context._gateway
    length = _SIDE // _PARTS
    partitions = gateway.new_array(gateway.jvm.int, length)
    for at in range(length):
        partitions[at] = part * length + at
    pickled = [bytes(batch) for rows in shuffled.collectPartitions(partitions) for batch in rows]
    return [row.id for batch in pickled for row in CPickleSerializer().loads(batch)]
