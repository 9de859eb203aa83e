"""Plays the demo: the same job with our daemon and without a service, then what came of it."""

import contextlib
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "spark"))

from sparktest import cluster as clusters  # noqa: E402
from sparktest import venv, versions  # noqa: E402
from sparktest.processes import Stopped, stop_on_signals  # noqa: E402
from sparktest.service import DaemonService  # noqa: E402
from sparktest.waiting import WaitedTooLong  # noqa: E402

from . import report, rows, run  # noqa: E402
from .screen import Screen  # noqa: E402

#: From the moment the environment is there; on an idle machine the demo takes a minute.
_LIMIT_S = 300
#: How long no executor shall be left before the second read.
_EMPTY_S = 4.0


def _too_long(_number: int, _frame: FrameType | None) -> None:
    raise WaitedTooLong(f"the demo took more than {_LIMIT_S} s")


def _play(binary: Path, screen: Screen) -> bool:
    version = versions.newest()
    screen.heading(f"A Spark {version} job loses all of its executors, and its shuffle stays")
    screen.line("  Spark is the one from pip, unmodified. First it uses our daemon as its shuffle service,")
    screen.line("  then the same job does without, by Spark's shuffle tracking.")
    venv.environment(version)
    signal.alarm(_LIMIT_S)
    with contextlib.ExitStack() as stack:
        temporary = tempfile.TemporaryDirectory(prefix="shuffle-demo-", ignore_cleanup_errors=True)
        folder = Path(stack.enter_context(temporary))
        screen.heading("1  With our daemon")
        cluster = stack.enter_context(clusters.running(version, folder / "cluster"))
        screen.step(f"a master and a worker run, the worker without a shuffle service: {cluster.master}")
        service = DaemonService(binary, cluster.root, folder / "daemon")
        stack.callback(service.stop)
        screen.step(f"the daemon serves at 127.0.0.1:{service.port}, using {service.resident_mb():.0f} MB of memory")
        ours = run.play(screen, cluster, service, _EMPTY_S)
        screen.heading("2  The same job without a service")
        tracking = run.play(screen, cluster, None, round(ours.pause_s, 1))
    report.show_chart(screen, ours, tracking)
    report.show_figures(screen, ours, tracking)
    held = report.show_claims(screen, report.claims(ours, tracking, rows.expected()))
    screen.line()
    screen.line(f"  {'All of it held' if held else 'NOT all of it held'}, after {screen.seconds():.0f} seconds.")
    screen.line()
    return held


def main() -> int:
    """Runs the demo; 0 when every claim held, 1 when not, 130 when it was stopped."""
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_file():
        print(
            "usage: python3 -m demo DAEMON_BINARY (built by: cargo build --release -p shuffle-daemon)", file=sys.stderr
        )
        return 2
    stop_on_signals()
    signal.signal(signal.SIGALRM, _too_long)
    try:
        return 0 if _play(Path(sys.argv[1]).resolve(), Screen()) else 1
    except Stopped as name:
        print(f"\n  stopped by {name}; everything is cleaned up", file=sys.stderr)
        return 130
    except (RuntimeError, WaitedTooLong) as error:
        print(f"\n  the demo failed: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
