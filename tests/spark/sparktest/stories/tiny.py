"""Very many very small blocks: where a service that pays per block is slow."""

from ..stage import Stage

_SIDE, _READS = 600, 1


def tiny_blocks(stage: Stage) -> None:
    """600 map outputs of 600 blocks of about 100 bytes, read after their writers are gone."""
    settings = {"spark.sql.adaptive.enabled": "false", "spark.dynamicAllocation.executorIdleTimeout": "3s"}
    app, claims = stage.application(settings), stage.claims
    rows = _SIDE * _SIDE * 4
    shuffled = app.spark.range(0, rows, 1, _SIDE).repartition(_SIDE, "id").rdd._jrdd
    app.label("write")
    counts = [shuffled.count()]
    app.wait_for_executors(0)
    for number in range(_READS):
        app.label(f"read {number}")
        counts.append(shuffled.count())
    app.stop()
    log = app.log()
    claims.equal("each read counts the same", len(set(counts)), 1)
    claims.nothing_lost(log)
    reads = [log.reads(f"read {number}") for number in range(_READS)]
    claims.equal("all rows arrive each time", [r.records for r in reads], [rows] * _READS)
    claims.that(
        "most blocks come from the service", reads[0].remote_blocks > _SIDE * _SIDE // 2, reads[0].remote_blocks
    )
    claims.figure("read seconds", [log.seconds_of(f"read {number}") for number in range(_READS)])
