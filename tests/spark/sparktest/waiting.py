"""Waiting for conditions: the only place that pauses, and always with a limit."""

import time
from collections.abc import Callable
from typing import TypeVar

_STEP_S = 0.05
T = TypeVar("T")


class WaitedTooLong(Exception):
    """A condition did not come true within its limit."""


def wait_for(look: Callable[[], T | None], limit_s: float, what: str) -> T:
    """Returns the first true value of `look`, asked every 50 ms.

    Raises `WaitedTooLong`, naming `what`, when `limit_s` seconds pass without one.
    """
    end = time.monotonic() + limit_s
    while True:
        value = look()
        if value:
            return value
        if time.monotonic() > end:
            raise WaitedTooLong(f"waited {limit_s:.0f} s in vain for {what}")
        time.sleep(_STEP_S)
