"""The front door: runs stories on a Spark release against a service.

    python3 -m sparktest.run --version 4.3.0 --service daemon:BINARY reuse batch_fetch
    python3 -m sparktest.run --service java all

Prints one line of JSON per story on standard output, what happens on standard error, and exits
with 1 when a claim failed. Without `--cluster` it starts a cluster and removes it afterwards.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from . import cluster as clusters
from . import service as services
from . import venv, versions
from .cluster import Cluster
from .processes import Stopped, stop_on_signals

_PACKAGE_ROOT = Path(__file__).resolve().parent.parent
_STOP_LIMIT_S = 30


def story_names() -> list[str]:
    """All stories, read from the source because importing them needs pyspark."""
    text = (Path(__file__).parent / "stories" / "__init__.py").read_text(encoding="utf-8")
    return [line.split('"')[1] for line in text.splitlines() if line.startswith('    "')]


def run_story(story: str, cluster: Cluster, service: str, turns: bool = False) -> subprocess.Popen[str]:
    """Starts the process of one story; its standard output is the line of JSON.

    With `turns` it has this process' own standard input and output, see `stage`.
    """
    env = dict(os.environ, PYTHONPATH=str(_PACKAGE_ROOT), PYTHONUNBUFFERED="1")
    env.pop("SPARK_HOME", None)
    argv = [str(venv.python(cluster.version)), "-m", "sparktest.stage", story]
    argv += ["--cluster", cluster.to_json(), "--service", service]
    if turns:
        return subprocess.Popen([*argv, "--turns"], env=env, text=True)
    return subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> int:
    """Passes on what a story printed; stops it when this process is stopped. Returns its exit code."""
    try:
        output, _ = process.communicate()
    except BaseException:
        stop(process)
        raise
    sys.stdout.write(output or "")
    sys.stdout.flush()
    return process.returncode


def stop(process: subprocess.Popen[str]) -> None:
    """Lets a story that still runs clean up, then makes sure that it is gone."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_LIMIT_S)
        process.kill()
        process.wait()


def main() -> int:
    """Runs the stories that the arguments name, one after another."""
    parser = argparse.ArgumentParser(description="Run stories on real Spark against a shuffle service.")
    parser.add_argument("stories", nargs="+", help=f"all, or some of: {', '.join(story_names())}")
    parser.add_argument("--version", default=versions.newest(), help="Spark release (default: %(default)s)")
    parser.add_argument("--service", required=True, help=services.ALLOWED)
    parser.add_argument("--cluster", help="the line that sparktest.cluster printed (default: a cluster of its own)")
    parser.add_argument("--turns", action="store_true", help="let stories take a turn for each line on standard input")
    options = parser.parse_args()
    stories = story_names() if options.stories == ["all"] else options.stories
    if unknown := [name for name in stories if name not in story_names()]:
        parser.error(f"no such story: {', '.join(unknown)}; there are {', '.join(story_names())}")
    stop_on_signals()
    code = 0
    with contextlib.ExitStack() as stack:
        if options.cluster:
            cluster = Cluster.from_json(options.cluster)
        else:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="sparktest-", ignore_cleanup_errors=True))
            cluster = stack.enter_context(clusters.running(options.version, Path(folder)))
        for story in stories:
            print(f"{story} on Spark {cluster.version}, service {options.service}", file=sys.stderr, flush=True)
            code |= finish(run_story(story, cluster, options.service, options.turns))
    return code


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Stopped as signal_name:
        print(f"stopped by {signal_name}", file=sys.stderr)
        sys.exit(130)
