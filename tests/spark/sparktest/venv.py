"""Makes virtual environments that hold one pyspark each, under a cache outside the tree.

    python3 -m sparktest.venv [VERSION | all]...

prints the `SPARK_HOME` in each environment on standard output and its progress on standard error.
An environment is built under a temporary name and renamed, so one that exists is complete; a
lock keeps two builds of one version apart. It is only ever used as `bin/python` and through
`SPARK_HOME`: the console scripts that pip wrote still name the temporary folder.
"""

import shutil
import sys
import tempfile
import time
from pathlib import Path

from . import versions
from .cache import cache_dir, once, run, say

_NEED = "the JDK is missing: install Java 17 (Debian: apt-get install openjdk-17-jdk-headless)"


def environment(version: str) -> Path:
    """The environment that holds `pyspark==version`; builds it when it is not there yet.

    Raises `RuntimeError` with pip's last lines when the installation fails.
    """
    if shutil.which("java") is None:
        raise RuntimeError(_NEED)
    final = cache_dir() / f"venv-pyspark-{version}"
    return once(final.name, final, lambda: _build(version, final))


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
    still = f"pyspark {version}: still installing"
    temporary = Path(tempfile.mkdtemp(prefix=f"building-{version}-", dir=cache_dir()))
    try:
        say(f"pyspark {version}: making a virtual environment (about 460 MB, once; a minute or two)")
        run([sys.executable, "-m", "venv", str(temporary)], still)
        pip = [str(temporary / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
        run([*pip, "install", "--progress-bar=off", f"pyspark=={version}"], still)
        temporary.rename(final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    say(f"pyspark {version}: ready after {time.monotonic() - began:.0f} s in {final}")


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
