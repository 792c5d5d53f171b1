"""One supervised task per device; `reconcile` makes the running ones those that are wanted.

Start is reconcile from nothing, stop is reconcile to nothing, and a hot reload is the same call: a
device whose part of the configuration did not change is not touched, its sockets included.
"""

from __future__ import annotations

import asyncio
import functools
import math
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import structlog

from drivers.base import (
    Applied,
    DeviceEvent,
    Driver,
    DriverError,
    Facts,
    Links,
    Sample,
    Unreachable,
    Want,
    WrongDevice,
)
from gateway.core.model import Point
from gateway.daemon.clock import Clock
from gateway.daemon.config import Device

log = structlog.get_logger()

FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 30.0
FAULT_RETRY_S = 60.0  # after a refusal or a bug: nothing gets better by asking soon
CANCELS_MAX, CANCEL_S = 3, 2.0  # how often a device's task is told to end, and how long it has each time
STEADY_S = 60.0  # a conversation that lasted this long starts the next back-off anew


class House(Protocol):
    """What the fleet tells about its devices."""

    def points(self, device: str, points: Mapping[str, Point]) -> None:
        """Values just read."""

    def applied(self, device: str, applied: Applied) -> None:
        """The device holds a want."""

    def refused(self, device: str, want: Want, why: str) -> None:
        """The device will not hold a want."""

    def event(self, device: str, event: DeviceEvent) -> None:
        """Something a person should know."""

    def health(self, device: str, health: Health) -> None:
        """A device came or went."""


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a device answers, since when (monotonic), and if not, why."""

    online: bool
    since_s: float
    why: str = ""


class Fleet:
    """The devices of this home. Use as `async with`; leaving it stops every device."""

    def __init__(
        self,
        open_driver: Callable[[Device, Links], Driver],
        facts: Callable[[str], Facts],
        house: House,
        clock: Clock,
    ) -> None:
        self._open = open_driver
        self._facts = facts
        self._house = house
        self._clock = clock
        self._links = Links()
        self._running: dict[str, tuple[Device, Port, asyncio.Task[None]]] = {}

    async def __aenter__(self) -> Fleet:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.reconcile({})

    async def reconcile(self, wanted: Mapping[str, Device]) -> None:
        """Stop what is no longer wanted or changed, then start what is missing. Leaves the rest alone."""
        stale = [
            name
            for name, (device, _, _) in self._running.items()
            if name not in wanted or wanted[name].digest != device.digest
        ]
        await _ended([self._running.pop(name)[2] for name in stale])
        for name, device in wanted.items():
            if name not in self._running:
                port = Port(name, self._facts(name), self._house, self._clock)
                task = asyncio.create_task(self._supervise(device, port), name=f"device {name}")
                self._running[name] = (device, port, task)

    def want(self, device: str, at_most_w: int | None, *, raised: bool = False) -> None:
        """Ask a device to hold a power (W), or to draw more, or give it back; each call is a new lease.

        One that is being exchanged hears nothing: it is asked anew when it runs.
        """
        if device in self._running:
            self._running[device][1].ask(at_most_w, raised=raised)

    def wanted(self, device: str) -> Want | None:
        """What a device was last asked; None also while it is being exchanged."""
        return self._running[device][1].latest() if device in self._running else None

    async def _supervise(self, device: Device, port: Port) -> None:
        retry_s = FIRST_RETRY_S
        # One driver for all conversations: what it learned of its device's rhythm outlives a connection.
        driver = functools.cache(lambda: self._open(device, self._links))
        while True:
            began_s = self._clock.monotonic_s()
            why, wait_s = await self._converse(device, driver, port)
            if self._clock.monotonic_s() - began_s > STEADY_S:
                retry_s = FIRST_RETRY_S
            port.gone(why)
            if math.isinf(wait_s):
                return
            # Half fixed, half drawn: devices that went together do not all come back together.
            await asyncio.sleep(max(wait_s, retry_s * random.uniform(0.5, 1.0)))
            retry_s = min(retry_s * 2, LONGEST_RETRY_S)

    async def _converse(self, device: Device, driver: Callable[[], Driver], port: Port) -> tuple[str, float]:
        """Run the driver to its end: why it ended, and the least wait before the next try (s)."""
        try:
            await driver().run(port)
        except WrongDevice as error:
            port.report(DeviceEvent("wrongDevice", f"{error}; nothing is written to it", "alarm"))
            return str(error), math.inf
        except Unreachable as error:
            return str(error), 0.0
        except DriverError as error:
            return str(error), FAULT_RETRY_S
        except Exception as error:  # a bug in one driver must not stop the others
            log.exception("driver failed", device=device.name)
            return f"driver failed: {type(error).__name__}", FAULT_RETRY_S
        return "driver ended", 0.0


async def _ended(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks, again if one takes no notice: `wait_for` of Python 3.11 can lose a cancellation."""
    waiting = set(tasks)
    for _ in range(CANCELS_MAX):
        for task in waiting:
            task.cancel()
        if not waiting:
            return
        _, waiting = await asyncio.wait(waiting, timeout=CANCEL_S)
    if waiting:
        log.error("devices do not stop", tasks=[task.get_name() for task in waiting])


class Port:
    """What a driver sees of the daemon, and the daemon of a driver."""

    def __init__(self, name: str, facts: Facts, house: House, clock: Clock) -> None:
        self.facts = facts
        self._name = name
        self._house = house
        self._clock = clock
        self._want: Want | None = None
        self._asked = asyncio.Event()
        self._online: bool | None = None  # None: not heard of yet

    def publish(self, points: Mapping[str, Sample]) -> None:
        """Stamp values on arrival and hand them on."""
        now_s = self._clock.monotonic_s()
        self._come()
        stamped = {
            f"{self._name}.{name}": Point(s.value, now_s, s.quality, s.reasons, s.source_utc_s)
            for name, s in points.items()
        }
        self._house.points(self._name, stamped)

    def ask(self, at_most_w: int | None, *, raised: bool = False) -> None:
        """The daemon's side: a new want with the next serial."""
        self._want = Want(self._want.serial + 1 if self._want else 1, at_most_w, raised)
        self._asked.set()

    def latest(self) -> Want | None:
        """What the device is asked to hold; None until the first decision."""
        return self._want

    async def changed(self) -> Want:
        """Wait for a want with a new serial."""
        await self._asked.wait()
        self._asked.clear()
        assert self._want
        return self._want

    def applied(self, applied: Applied) -> None:
        """The device holds a want."""
        self._come()
        self._house.applied(self._name, applied)

    def refused(self, want: Want, why: str) -> None:
        """The device will not hold a want."""
        log.warning(
            "device refused", device=self._name, at_most_w=want.at_most_w, raised=want.raised, why=why
        )
        self._house.refused(self._name, want, why)

    def report(self, event: DeviceEvent) -> None:
        """Something a person should know."""
        log.info("device reports", device=self._name, kind=event.kind, text=event.text)
        self._house.event(self._name, event)

    def monotonic(self) -> float:
        """The hub's monotonic clock (s)."""
        return self._clock.monotonic_s()

    def utc(self) -> float | None:
        """UTC seconds, or None while the clock is not trusted."""
        return self._clock.utc_s() if self._clock.trusted else None

    def gone(self, why: str) -> None:
        """The conversation ended. Said once, until the device is back."""
        if self._online is not False:
            log.warning("device gone", device=self._name, error=why)
        self._online = False
        if self._want is not None:
            self._asked.set()  # the next conversation asserts the want again
        self._house.health(self._name, Health(False, self._clock.monotonic_s(), why))

    def _come(self) -> None:
        if not self._online:
            self._online = True
            log.info("device answers", device=self._name)
            self._house.health(self._name, Health(True, self._clock.monotonic_s()))
