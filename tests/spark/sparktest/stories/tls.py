"""Applications whose every connection is TLS, and files that executors encrypt by themselves.

A standalone master and its workers speak TLS like everybody else then, so these stories have a cluster of their own.
Clients of 4.3.0 cannot connect with PEM files, so both sides have a key store.
"""

import secrets
import subprocess
import tempfile
from pathlib import Path

from .. import cluster as clusters
from ..stage import Stage
from .reuse import all_from_service

_HANDSHAKES, _FAILED = "shuffle_tls_handshakes_total", "shuffle_tls_failed_handshakes_total"
_KEYTOOL_LIMIT_S = 60


def _key_store(folder: Path) -> dict[str, str]:
    """A new certificate, and the settings that name it."""
    path, password = folder / "store.p12", secrets.token_hex(8)
    argv = ["keytool", "-genkeypair", "-alias", "spark", "-keyalg", "EC", "-dname", "CN=localhost", "-validity", "2"]
    argv += ["-storetype", "PKCS12", "-keystore", str(path), "-storepass", password, "-keypass", password]
    subprocess.run(argv, check=True, capture_output=True, timeout=_KEYTOOL_LIMIT_S)
    return {
        "spark.ssl.rpc.enabled": "true",
        "spark.ssl.rpc.keyStore": str(path),
        "spark.ssl.rpc.keyStorePassword": password,
        "spark.ssl.rpc.keyPassword": password,
    }


def _by_tls(stage: Stage, more: dict[str, str]) -> None:
    folder = Path(tempfile.mkdtemp(prefix="tls-", dir=stage.cluster.root))
    settings = {**_key_store(folder), **more}
    stage.service.configure(settings)
    with clusters.running(stage.cluster.version, folder, settings) as cluster:
        all_from_service(stage, settings, cluster)
    seen = stage.service.metrics()
    if seen:
        stage.claims.that("connections are TLS", seen.get(_HANDSHAKES, 0) > 0, seen.get(_HANDSHAKES))
        stage.claims.equal("no handshake failed", seen.get(_FAILED, 0), 0)


def tls(stage: Stage) -> None:
    """TLS 1.3, whoever connects."""
    _by_tls(stage, {})


def tls_and_login(stage: Stage) -> None:
    """The same, and a login by SASL inside."""
    _by_tls(stage, {"spark.authenticate": "true", "spark.authenticate.secret": secrets.token_hex(32)})


def io_encryption(stage: Stage) -> None:
    """Files that executors have encrypted are blocks like others."""
    all_from_service(stage, {"spark.io.encryption.enabled": "true"})
