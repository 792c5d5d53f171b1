"""A real DevicePort for tests of drivers: keeps what a driver says, lets a test want things.

Time is the event loop's, so it works on a virtual clock too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from drivers.base import Applied, DeviceEvent, JsonValue, Sample, Want


@dataclass
class FakeFacts:
    """Facts in memory. `lose_unsynced` is a power cut: only what was durable stays."""

    kept: dict[str, JsonValue] = field(default_factory=dict)
    durable: dict[str, JsonValue] = field(default_factory=dict)

    def get(self, key: str) -> JsonValue:
        return self.kept.get(key)

    async def put(self, key: str, value: JsonValue, *, durable: bool = False) -> None:
        self.kept[key] = value
        if durable:
            await asyncio.sleep(0)  # a commit is never instant
            self.durable = dict(self.kept)

    def lose_unsynced(self) -> None:
        self.kept = dict(self.durable)


@dataclass
class FakePort:
    """One device's port, kept over several runs of its driver as the daemon's is."""

    facts: FakeFacts = field(default_factory=FakeFacts)
    points: dict[str, Sample] = field(default_factory=dict)
    publications: int = 0
    done: list[Applied] = field(default_factory=list)
    refusals: list[tuple[Want, str]] = field(default_factory=list)
    events: list[DeviceEvent] = field(default_factory=list)
    utc_s: float | None = 1_800_000_000.0
    _want: Want | None = None
    _handed_serial: int = 0
    _wanted: asyncio.Event = field(default_factory=asyncio.Event)
    _heard: asyncio.Event = field(default_factory=asyncio.Event)

    # --- for the driver ---

    def publish(self, points: Mapping[str, Sample]) -> None:
        self.points.update(points)
        self.publications += 1
        self._heard.set()

    def latest(self) -> Want | None:
        return self._want

    async def changed(self) -> Want:
        while self._want is None or self._want.serial == self._handed_serial:
            self._wanted.clear()
            await self._wanted.wait()
        self._handed_serial = self._want.serial
        return self._want

    def applied(self, applied: Applied) -> None:
        self.done.append(applied)
        self._heard.set()

    def refused(self, want: Want, why: str) -> None:
        self.refusals.append((want, why))
        self._heard.set()

    def report(self, event: DeviceEvent) -> None:
        self.events.append(event)
        self._heard.set()

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def utc(self) -> float | None:
        return self.utc_s

    # --- for the test ---

    def want(self, at_most_w: int | None, *, raised: bool = False) -> Want:
        """Ask for a power (None: give it back), or for more; asking the same again renews the lease."""
        self._want = Want((self._want.serial if self._want else 0) + 1, at_most_w, raised)
        self._wanted.set()
        return self._want

    def answered(self, want: Want) -> bool:
        """Whether the driver said what became of it."""
        return want in [a.want for a in self.done] or want in [w for w, _ in self.refusals]

    async def until(self, condition: Callable[[], bool], within_s: float = 15.0) -> None:
        """Wait until something the driver says makes it true."""
        async with asyncio.timeout(within_s):
            while not condition():
                self._heard.clear()
                await self._heard.wait()
