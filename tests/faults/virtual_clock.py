"""Virtual time: a test marked `virtual` sees hours pass at once, and a `Clock` that follows them.

looptime moves the event loop's time only inside the test's own body, so whatever must live on virtual
time is started there and not in a fixture. The wall clock is moved by hand, as a person or NTP would.
"""

from __future__ import annotations

import asyncio

import pytest

from gateway.daemon.clock import Clock, Discipline

virtual = pytest.mark.looptime

START_UTC_S = 1_800_000_000.0


class Wall:
    """A wall clock that runs with the loop's time until it is set."""

    def __init__(self, utc_s: float = START_UTC_S) -> None:
        self._offset_s = utc_s - asyncio.get_running_loop().time()
        self.synchronised = True

    def __call__(self) -> float:
        return asyncio.get_running_loop().time() + self._offset_s

    def step(self, by_s: float) -> None:
        """Set it forward or back."""
        self._offset_s += by_s

    def discipline(self) -> Discipline:
        """What the kernel would say of it."""
        return Discipline(self.synchronised, 0.01 if self.synchronised else 16.0)


def virtual_clock(wall: Wall | None = None) -> Clock:
    """The daemon's clock on virtual time, trusted while `wall.synchronised`."""
    wall = wall or Wall()
    return Clock(wall=wall, monotonic=asyncio.get_running_loop().time, discipline=wall.discipline)
