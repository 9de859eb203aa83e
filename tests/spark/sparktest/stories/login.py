"""Applications that authenticate, in the ways that Spark can.

A standalone master and its workers have to know the secret of their applications, so each story has a cluster of its own.
"""

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .. import cluster as clusters
from ..application import STAY
from ..cluster import Cluster
from ..stage import Stage
from ..waiting import wait_for
from .reuse import all_from_service

_LOGINS = "shuffle_logins_total"
#: Executors try three times to register, five seconds apart, and then give up.
_GIVE_UP_LIMIT_S = 120
_GAVE_UP = "Unable to register with external shuffle server"
_WRONG = "DIGEST-MD5: digest response format violation. Mismatched response."


@contextmanager
def _authenticated(stage: Stage, settings: dict[str, str]) -> Iterator[tuple[Cluster, dict[str, str]]]:
    """A cluster and a service with a new secret; gives the cluster and the settings of its applications."""
    both = {
        "spark.authenticate": "true",
        # As long as those that Spark makes on Kubernetes.
        "spark.authenticate.secret": secrets.token_hex(32),
        **settings,
    }
    folder = Path(tempfile.mkdtemp(prefix="login-", dir=stage.cluster.root))
    stage.service.configure(both)
    with clusters.running(stage.cluster.version, folder, both) as cluster:
        yield cluster, both


def _login(stage: Stage, settings: dict[str, str], how: str) -> None:
    with _authenticated(stage, settings) as (cluster, both):
        all_from_service(stage, both, cluster)
    seen = {name: value for name, value in stage.service.metrics().items() if name.startswith(_LOGINS + "{")}
    if seen:
        stage.claims.that(f"connections logged in ({how})", seen.get(f'{_LOGINS}{{how="{how}"}}', 0) > 0, seen)
        stage.claims.equal("no other way than this", list(seen), [f'{_LOGINS}{{how="{how}"}}'])


def sasl(stage: Stage) -> None:
    """`spark.authenticate` alone: SASL, and then in the clear."""
    _login(stage, {}, "clear")


def sasl_encrypted(stage: Stage) -> None:
    """SASL with `auth-conf`, for which Java takes 3DES."""
    _login(stage, {"spark.authenticate.enableSaslEncryption": "true"}, "sasl_3des")


def aes_ctr(stage: Stage) -> None:
    """The AuthEngine as Spark has it by default."""
    _login(stage, {"spark.network.crypto.enabled": "true"}, "aes_ctr")


def aes_ctr_v2(stage: Stage) -> None:
    """The AuthEngine with derived keys."""
    version = {"spark.network.crypto.authEngineVersion": "2"}
    _login(stage, {"spark.network.crypto.enabled": "true", **version}, "aes_ctr")


def aes_gcm(stage: Stage) -> None:
    """The AuthEngine with the cipher that notices changes."""
    cipher = {"spark.network.crypto.cipher": "AES/GCM/NoPadding"}
    _login(stage, {"spark.network.crypto.enabled": "true", **cipher}, "aes_gcm")


def wrong_secret(stage: Stage) -> None:
    """An application whose secret is not the service's: no executor stays, and its log says why."""
    claims = stage.claims
    with _authenticated(stage, {}) as (cluster, both):
        stage.service.configure({**both, "spark.authenticate.secret": secrets.token_hex(32)})
        app = stage.application({**both, **STAY, "spark.cores.max": "1"}, cluster)
        wait_for(lambda: _GAVE_UP in app.executor_logs(), _GIVE_UP_LIMIT_S, f'an executor to say "{_GAVE_UP}"')
        log = app.executor_logs()
        seen = stage.service.metrics()
        app.stop()
    reasons = {line for line in log.splitlines() if "SaslException" in line}
    claims.that("the executor names the reason", any(_WRONG in line for line in reasons), sorted(reasons)[:2])
    if seen:
        refused = f'{_LOGINS}{{how="refused"}}'
        claims.that("the service counts refused logins", seen.get(refused, 0) > 0, seen.get(refused))
        claims.equal("nobody has logged in", [name for name in seen if name.startswith(_LOGINS + "{")], [refused])
        claims.equal("nobody is registered", seen.get("shuffle_registered_executors", 0.0), 0.0)
