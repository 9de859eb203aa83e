"""The stories: each module holds functions that take a `Stage` and make claims.

A story runs inside the driver's process. `ALL` is the only list of them.
"""

from collections.abc import Callable

from ..stage import Stage
from . import disk, login, loss, reuse, sql, tiny, tls

Story = Callable[[Stage], None]

ALL: dict[str, Story] = {
    "reuse": reuse.reuse,
    "old_fetch_protocol": reuse.old_fetch_protocol,
    "host_local_on": reuse.host_local_on,
    "batch_fetch": sql.batch_fetch,
    "skew_join": sql.skew_join,
    "rdd_blocks": disk.rdd_blocks,
    "big_block_to_disk": disk.big_block_to_disk,
    "many_blocks_to_disk": disk.many_blocks_to_disk,
    "shuffle_freed": disk.shuffle_freed,
    "corruption": loss.corruption,
    "login_sasl": login.sasl,
    "login_sasl_encrypted": login.sasl_encrypted,
    "login_aes_ctr": login.aes_ctr,
    "login_aes_ctr_v2": login.aes_ctr_v2,
    "login_aes_gcm": login.aes_gcm,
    "login_wrong_secret": login.wrong_secret,
    "tls": tls.tls,
    "tls_and_login": tls.tls_and_login,
    "io_encryption": tls.io_encryption,
    "service_killed": loss.service_killed,
    "tiny_blocks": tiny.tiny_blocks,
}
