"""The daemon with hurried clocks: `python -m tests.bench.hurried FACTOR SINCE run --config FILE`.

From SINCE (UTC s) on its wall clock, its monotonic clock and the timers of its loop run FACTOR times as
fast as this machine's. Sockets, threads and the disk stay as they are: a day passes in minutes, through
the real drivers.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
import time
from collections.abc import Callable


class HurriedSelector(selectors.DefaultSelector):
    """Waits for as long as a timer of the hurried loop means."""

    factor = 1.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """See `selectors.BaseSelector.select`."""
        return super().select(timeout / self.factor if timeout else timeout)


class HurriedLoops(asyncio.DefaultEventLoopPolicy):
    """Makes loops that wait so."""

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        """A new loop."""
        return asyncio.SelectorEventLoop(HurriedSelector())


def hurried(clock: Callable[[], float], factor: float, since_s: float) -> Callable[[], float]:
    """The clock, `factor` times as fast from `since_s` on."""
    return lambda: since_s + (clock() - since_s) * factor


def main() -> None:
    """Hurry, then be the command `homeflex`."""
    factor, since_s = float(sys.argv.pop(1)), float(sys.argv.pop(1))
    time.time = hurried(time.time, factor, since_s)
    time.monotonic = hurried(time.monotonic, factor, time.monotonic())
    HurriedSelector.factor = factor
    asyncio.set_event_loop_policy(HurriedLoops())
    from gateway.cli.start import main as homeflex

    homeflex()


if __name__ == "__main__":
    main()
