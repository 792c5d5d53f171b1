"""The seam between the daemon and the devices: what a driver is, what it is given, how it fails.

A driver owns one conversation with one device. It holds no policy, opens no file, reads no other
clock and never retries: it raises one of four errors and its supervisor decides.

    DriverError
      Unreachable      no answer: back off and try again
      Refused          the device said no, or did not follow: tell the one who asked, do not retry
      Unintelligible   an answer that cannot be read: drop it, count it
      WrongDevice      not the device we were told of: stop and call a person
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

# Drivers take the core's words from here: this file is their only way into the core.
from gateway.core.model import Ability as Ability
from gateway.core.model import FallbackBy as FallbackBy
from gateway.core.model import Quality as Quality

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LinkT = TypeVar("LinkT")
TAKEN_BACK = "takenBack"
"""A `DeviceEvent` of this kind says that somebody at home ended a hold at the device itself."""
JsonValue = bool | int | float | str | None | list["JsonValue"] | dict[str, "JsonValue"]


class DriverError(Exception):
    """A device did not do what was asked of it. Bugs are not of this kind: they surface."""


class Unreachable(DriverError):
    """No answer within the deadline, or no connection. The supervisor backs off and tries again."""


class Refused(DriverError):
    """The device answered no, or did not follow what it was told. Not retried."""


class Unintelligible(DriverError):
    """The answer cannot be read. The reading is dropped and counted."""


class WrongDevice(DriverError):
    """Another device than the configured one answers. Nothing is written until a person looked."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One value as a driver read it. `value` None: the device has none. Units as the point's name says."""

    value: float | None
    quality: Quality = Quality.GOOD
    reasons: tuple[str, ...] = ()
    source_utc_s: float | None = None  # the device's own time, where it fixes the zone


@dataclass(frozen=True, slots=True)
class Want:
    """What a device is asked to hold: draw at most `at_most_w` (None: give it back to its owner; or, where
    it is `raised`, draw more than it would by itself).

    Each renewal of the lease is a new `serial`; a driver writes once per serial.
    """

    serial: int
    at_most_w: int | None
    raised: bool = False


class Proof(StrEnum):
    """How a driver knows that a want reached the device."""

    WRITTEN = "written"  # the device accepted the write
    READ_BACK = "readBack"  # and reports the state itself


@dataclass(frozen=True, slots=True)
class Applied:
    """The device now holds this want."""

    want: Want
    proof: Proof


@dataclass(frozen=True, slots=True)
class DeviceEvent:
    """Something about the device a person should know, in plain words."""

    kind: str  # one word: "clockOff", "signSuspect", "wear", "local", TAKEN_BACK
    text: str
    severity: str = "info"  # "info", "warning", "alarm"


class Facts(Protocol):
    """Learned things that outlive us, per device identity: snapshots to restore, wear counts."""

    def get(self, key: str) -> JsonValue:
        """The fact, or None."""

    async def put(self, key: str, value: JsonValue, *, durable: bool = False) -> None:
        """Keep the fact; `durable` returns only when it is on the disk."""


class DevicePort(Protocol):
    """All a driver sees of the daemon."""

    facts: Facts

    def publish(self, points: Mapping[str, Sample]) -> None:
        """Hand over values just read, by point name (`power_w`). They are stamped on arrival."""

    def latest(self) -> Want | None:
        """What the device is asked to hold; None until the first decision."""

    async def changed(self) -> Want:
        """Wait for a want with a new serial; intermediate ones are skipped."""

    def applied(self, applied: Applied) -> None:
        """Report that the device holds a want."""

    def refused(self, want: Want, why: str) -> None:
        """Report that the device will not hold a want; the driver goes on."""

    def report(self, event: DeviceEvent) -> None:
        """Report something a person should know."""

    def monotonic(self) -> float:
        """The hub's monotonic clock (s)."""

    def utc(self) -> float | None:
        """UTC seconds, or None while the hub's clock is not trusted."""


class Driver(Protocol):
    """One conversation with one device."""

    async def run(self, port: DevicePort) -> None:
        """Talk to the device until cancelled.

        Raises:
            DriverError: one of the four; the supervisor decides what follows.
        """


async def poll(
    port: DevicePort,
    every_s: float,
    read: Callable[[], Awaitable[None]],
    obey: Callable[[], Awaitable[None]],
) -> None:
    """Read now and then every `every_s`, and obey each new want at once, until one of them fails."""
    due_s = port.monotonic()
    while True:
        await obey()
        wait_s = due_s - port.monotonic()
        if wait_s > 0:
            await rest(port, wait_s)
            continue
        await read()
        behind_s = port.monotonic() - due_s
        due_s += every_s * (behind_s // every_s + 1)


async def rest(port: DevicePort, seconds: float) -> None:
    """Let time pass; a want ends it."""
    if seconds > 0:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await port.changed()


class Links:
    """Connections shared by several devices, counted: the first user opens, the last one closes.

    A Modbus bus, a local broker's client and a listening socket are links. Keys name the endpoint.
    """

    def __init__(self) -> None:
        self._open: dict[Hashable, _Shared] = {}

    @asynccontextmanager
    async def use(
        self, key: Hashable, make: Callable[[], AbstractAsyncContextManager[LinkT]]
    ) -> AsyncIterator[LinkT]:
        """The link named `key`, opened by `make` if no one has it open."""
        shared = self._open.setdefault(key, _Shared())
        shared.users += 1
        try:
            async with shared.lock:
                if shared.context is None:
                    context = make()
                    shared.link = await context.__aenter__()
                    shared.context = context
            yield shared.link
        finally:
            shared.users -= 1
            if not shared.users:
                self._open.pop(key, None)
                if shared.context is not None:
                    await shared.context.__aexit__(None, None, None)


@dataclass
class _Shared:
    users: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    context: AbstractAsyncContextManager[Any] | None = None
    link: Any = None


@dataclass(frozen=True, slots=True)
class DriverKind:
    """One way of talking, as the registry names it.

    `settings` is the pydantic model that parses the device's section of the configuration (unknown
    keys are its error). `ability` says what the device can be held at, without talking to it.
    `profile` names the data file it is driven by and the SHA-256 of its text, if there is one.
    `points` names what it can publish; None: only the device itself can tell.
    """

    settings: type[Any]
    open: Callable[[Any, Links], Driver]
    ability: Callable[[Any], Ability] = lambda _settings: Ability()
    profile: Callable[[Any], tuple[str, str] | None] = lambda _settings: None
    points: Callable[[Any], frozenset[str] | None] = lambda _settings: None
