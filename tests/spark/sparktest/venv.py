"""Makes virtual environments that hold one pyspark each, under a cache outside the tree.

    python3 -m sparktest.venv [VERSION | all]...

prints the `SPARK_HOME` in each environment on standard output and its progress on standard error.
An environment is built under a temporary name and renamed, so one that exists is complete; a
lock keeps two builds of one version apart. It is only ever used as `bin/python` and through
`SPARK_HOME`: the console scripts that pip wrote still name the temporary folder.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from . import versions

_NEED = "the JDK is missing: install Java 17 (Debian: apt-get install openjdk-17-jdk-headless)"


def cache_dir() -> Path:
    """`$SHUFFLE_CACHE`, or `shuffle-daemon` in the user's cache folder."""
    chosen = os.environ.get("SHUFFLE_CACHE")
    return Path(chosen) if chosen else Path.home() / ".cache" / "shuffle-daemon"


def say(text: str) -> None:
    """One line of progress on standard error."""
    print(text, file=sys.stderr, flush=True)


def environment(version: str) -> Path:
    """The environment that holds `pyspark==version`; builds it when it is not there yet.

    Raises `RuntimeError` with pip's last lines when the installation fails.
    """
    if shutil.which("java") is None:
        raise RuntimeError(_NEED)
    final = cache_dir() / f"venv-pyspark-{version}"
    if final.is_dir():
        return final
    cache_dir().mkdir(parents=True, exist_ok=True)
    with open(cache_dir() / f"venv-pyspark-{version}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not final.is_dir():
            _build(version, final)
    return final


def python(version: str) -> Path:
    """The interpreter of the environment of `version`."""
    return environment(version) / "bin" / "python"


def spark_home(version: str) -> Path:
    """The folder of the pyspark package, which is a whole Spark distribution."""
    found = sorted(environment(version).glob("lib/python3*/site-packages/pyspark"))
    if len(found) != 1:
        raise RuntimeError(f"no pyspark in {environment(version)}: remove that folder, it is rebuilt")
    return found[0]


def _build(version: str, final: Path) -> None:
    began = time.monotonic()
    temporary = Path(tempfile.mkdtemp(prefix=f"building-{version}-", dir=cache_dir()))
    try:
        say(f"pyspark {version}: making a virtual environment (about 460 MB, once; a minute or two)")
        _run([sys.executable, "-m", "venv", str(temporary)], version)
        pip = [str(temporary / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
        _run([*pip, "install", "--progress-bar=off", f"pyspark=={version}"], version)
        temporary.rename(final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    say(f"pyspark {version}: ready after {time.monotonic() - began:.0f} s in {final}")


def _run(command: list[str], version: str) -> None:
    """Runs a command, says every 15 s that it still runs, raises with its last lines if it fails."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        done = threading.Event()
        ticker = threading.Thread(target=_tick, args=(version, done), daemon=True)
        ticker.start()
        try:
            code = process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            done.set()
        if code != 0:
            output.seek(0)
            tail = "".join(output.readlines()[-20:])
            raise RuntimeError(f"{' '.join(command)} ended with {code}:\n{tail}")


def _tick(version: str, done: threading.Event) -> None:
    began = time.monotonic()
    while not done.wait(15):
        say(f"pyspark {version}: still installing, {time.monotonic() - began:.0f} s")


def main() -> int:
    """Builds what the arguments name; without any, the newest release."""
    wanted = sys.argv[1:] or [versions.newest()]
    if wanted == ["all"]:
        wanted = versions.all_versions()
    unknown = [v for v in wanted if v not in versions.all_versions()]
    if unknown:
        say(f"not in versions.txt: {', '.join(unknown)}; allowed: {', '.join(versions.all_versions())}, all")
        return 2
    try:
        for version in wanted:
            print(spark_home(version), flush=True)
    except RuntimeError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
