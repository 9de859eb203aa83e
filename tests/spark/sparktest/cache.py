"""What is built once and kept outside the tree: where it lies, one builder at a time, signs of life.

A result is built under another name and renamed, so one that exists is complete.
"""

import fcntl
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

_TICK_S = 20


def cache_dir() -> Path:
    """`$SHUFFLE_CACHE`, or `shuffle-daemon` in the user's cache folder."""
    chosen = os.environ.get("SHUFFLE_CACHE")
    return Path(chosen) if chosen else Path.home() / ".cache" / "shuffle-daemon"


def say(text: str) -> None:
    """One line of progress on standard error."""
    print(text, file=sys.stderr, flush=True)


def once(name: str, final: Path, build: Callable[[], None]) -> Path:
    """`final`, after `build` has made it if it was not there; a lock of this name keeps others out."""
    if not final.exists():
        cache_dir().mkdir(parents=True, exist_ok=True)
        with open(cache_dir() / f"{name}.lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not final.exists():
                build()
    return final


def run(command: list[str], still: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> None:
    """Runs a command and says every 20 s that it is `still` at work.

    Raises `RuntimeError` with its last lines when it fails.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        process = subprocess.Popen(
            command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        done = threading.Event()
        threading.Thread(target=_tick, args=(still, done), daemon=True).start()
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
            raise RuntimeError(f"{' '.join(command)} ended with {code}:\n" + "".join(output.readlines()[-20:]))


def _tick(still: str, done: threading.Event) -> None:
    began = time.monotonic()
    while not done.wait(_TICK_S):
        say(f"{still}, {time.monotonic() - began:.0f} s")
