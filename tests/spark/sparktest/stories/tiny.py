"""Very many very small blocks: where a service that pays per block is slow."""

from ..stage import Stage

_SIDE = 600


def tiny_blocks(stage: Stage) -> None:
    """600 map outputs of 600 blocks of about 100 bytes, each time read by executors that come for it."""
    settings = {"spark.sql.adaptive.enabled": "false", "spark.dynamicAllocation.executorIdleTimeout": "3s"}
    app, claims = stage.application(settings), stage.claims
    rows = _SIDE * _SIDE * 4
    shuffled = app.spark.range(0, rows, 1, _SIDE).repartition(_SIDE, "id").rdd._jrdd
    app.label("write")
    counts = [shuffled.count()]
    labels = []
    app.wait_for_executors(0)
    for turn in stage.turns():
        labels.append(f"read {turn}")
        app.label(labels[-1])
        counts.append(shuffled.count())
        app.wait_for_executors(0)
    app.stop()
    log = app.log()
    claims.equal("each read counts the same", len(set(counts)), 1)
    claims.nothing_lost(log)
    reads = [log.reads(label) for label in labels]
    claims.equal("all rows arrive each time", [r.records for r in reads], [rows] * len(labels))
    blocks = [r.remote_blocks for r in reads]
    claims.that("most blocks come from the service", min(blocks) > _SIDE * _SIDE // 2, blocks)
    claims.figure("read seconds", [log.seconds_of(label) for label in labels])
