"""A home's metering from the meter to the aggregator's books, with everything going wrong that may: devices
fall silent or lie, the clock steps or is not trusted, the broker goes for a day and forgets, the disk fails,
the power goes. The daemon's own parts in between; time is moved by hand, everything is drawn from one seed.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from gateway.aggregator.completeness import Ledger
from gateway.aggregator.heard import Heard
from gateway.aggregator.holding import Holding
from gateway.core.model import Point, Quality
from gateway.daemon import outbox as outboxes
from gateway.daemon.change import Change, Saved, StorageError
from gateway.daemon.clock import Clock, Discipline
from gateway.daemon.half_hours import HalfHours
from gateway.daemon.home import Home
from gateway.daemon.minutes import Minutes
from gateway.daemon.outbox import Outbox, Parcel
from gateway.daemon.records import Records
from gateway.daemon.store import Store
from gateway.daemon.windows import Windows
from tests.daemon.configuration import parsed

SITE = "home-7f3a"
CONFIG = """\
[site]
id = "home-7f3a"
zone = "Europe/London"

[devices.meter]
driver = "mqtt_local"
broker = { host = "127.0.0.1" }
points.power_w = { topic = "meter/power" }
points.import_ws = { topic = "meter/import" }
points.export_ws = { topic = "meter/export" }

[devices.charger]
driver = "mqtt_local"
broker = { host = "127.0.0.1" }
points.power_w = { topic = "charger/power" }
points.import_ws = { topic = "charger/energy" }

[boundary]
power_w = ["meter.power_w"]
import_ws = ["meter.import_ws"]
export_ws = ["meter.export_ws"]

[asset.ev]
class = "ev"
nominal_w = 7360
power_w = ["charger.power_w"]
import_ws = ["charger.import_ws"]
"""
BEGAN_UTC_S = 1_793_491_200.0  # 2026-11-01T00:00:00Z
STEP_S = 10.0
MINUTE_S, HOUR_S, DAY_S = 60.0, 3600.0, 86_400.0
QUIET_S = 6 * HOUR_S  # at the end, so that everything can be told


@dataclass
class Gauge:
    """One device: what really flows, and what it says of that."""

    name: str
    exports: bool
    draw: Random
    power_w: int = 0
    import_ws: int = 0
    export_ws: int = 0
    until_s: float = 0.0
    silent_until_s: float = 0.0
    lies_until_s: float = 0.0
    resets: int = 0
    flowed_ws: int = 0  # in all, net
    truth: dict[float, int] = field(default_factory=dict)  # the same at each step's UTC

    def run(self, now_s: float, utc_s: float) -> None:
        """The last step's energy, and a new power now and then."""
        flowed_ws = round(self.power_w * STEP_S)
        self.flowed_ws += flowed_ws
        self.truth[utc_s] = self.flowed_ws
        self.import_ws += max(0, flowed_ws)
        self.export_ws += max(0, -flowed_ws)
        if now_s >= self.until_s:
            self.power_w = self.draw.choice((0, 60, 360, 1380, 3680, 7200))
            if self.exports and self.draw.random() < 0.3:
                self.power_w = -self.draw.randrange(4000)
            self.until_s = now_s + self.draw.expovariate(1 / 1800)

    def points(self, now_s: float) -> dict[str, Point]:
        """What it says now; nothing while it is silent."""
        if now_s < self.silent_until_s:
            return {}
        quality = Quality.BAD if now_s < self.lies_until_s else Quality.GOOD
        said = {"power_w": float(self.power_w), "import_ws": float(self.import_ws)}
        if self.exports:
            said["export_ws"] = float(self.export_ws)
        reasons = ("implausible",) if quality is Quality.BAD else ()
        return {f"{self.name}.{key}": Point(value, now_s, quality, reasons) for key, value in said.items()}


class FailingStore:
    """The store, and a disk that takes nothing while `fails`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.fails = False

    @property
    def saved(self) -> Saved:
        return self._store.saved

    def submit(self, *changes: Change) -> asyncio.Future[tuple[int, ...]]:
        return self._failed() if self.fails else self._store.submit(*changes)

    def rows(self, log: str, first_seq: int, count: int) -> asyncio.Future[Any]:
        return self._failed() if self.fails else self._store.rows(log, first_seq, count)

    def _failed(self) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        future.set_exception(StorageError("the disk is full"))
        future.exception()
        return future


@dataclass
class World:
    """Everything but the daemon's life, which `Life` is."""

    folder: Path
    draw: Random
    now_s: float = 0.0
    step_s: float = 0.0  # what the clock was set by since the beginning
    trusted_from_s: float = 0.0
    link_down_until_s: float = 0.0
    forgets_until_s: float = 0.0
    disk_fails_until_s: float = 0.0
    lives: int = 0
    holding: Holding = field(default_factory=Holding)
    heard: Ledger = field(default_factory=Ledger)
    minutes: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    half_hours: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    happened: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gauges = [Gauge("meter", True, self.draw), Gauge("charger", False, self.draw)]

    @property
    def utc_s(self) -> float:
        """What the wall clock says."""
        return BEGAN_UTC_S + self.now_s + self.step_s

    def calm(self) -> None:
        """Everything works from now on."""
        self.trusted_from_s = self.link_down_until_s = self.forgets_until_s = self.disk_fails_until_s = 0.0
        for gauge in self.gauges:
            gauge.silent_until_s = gauge.lies_until_s = 0.0

    def hear(self, topic: str, body: bytes) -> None:
        """The aggregator takes a message in."""
        heard = Heard(f"homeflex/v1/{SITE}/{topic}", body, False, self.utc_s)
        self.heard.take(heard)
        kind = "telemetry" if topic == "telemetry" else "settlement"
        rows = "readings" if topic == "telemetry" else "halfHours"
        kept = self.minutes if topic == "telemetry" else self.half_hours
        numbers = []
        for point, told in json.loads(body)["points"].items():
            for row in told[rows]:
                known = kept.setdefault((point, row["seq"]), row)
                assert known == row, ("one number, two contents", known, row)
                numbers.append((f"{kind}:{point}", told["stream"], row["seq"]))
        self.holding.take(SITE, numbers, self.utc_s)


class Life:
    """One life of the daemon's metering, as its composition root puts it together."""

    def __init__(self, world: World, store: Store) -> None:
        self.world = world
        self.store = FailingStore(store)
        self.clock = clock = Clock(
            wall=lambda: world.utc_s,
            monotonic=lambda: world.now_s,
            discipline=lambda: Discipline(world.now_s >= world.trusted_from_s, 0.01),
        )
        self.home = Home(parsed(CONFIG), clock.monotonic_s)
        saved = store.saved
        self.outbox = Outbox(saved.stream, saved.heads)
        self.minutes = Minutes(self.home, self.outbox, clock, Windows(None), 37, saved.meta)
        self.records = Records(SITE, f"boot-{world.lives:08}", self.store, self.outbox, clock)  # type: ignore[arg-type]
        self.half_hours = HalfHours(self.minutes, self.records, clock)
        self.home.on_points = self.minutes.points
        self._was_up = False

    async def step(self) -> None:
        """Ten seconds."""
        world = self.world
        world.now_s += STEP_S
        self.clock.check()
        self.store.fails = world.now_s < world.disk_fails_until_s
        for gauge in world.gauges:
            gauge.run(world.now_s, world.utc_s)
            if found := gauge.points(world.now_s):
                self.home.points(gauge.name, found)
        if self.minutes.cut():
            saving = self.store.submit(*self.minutes.edge())
            await asyncio.wait([saving])
            self.minutes.put()
        self.half_hours.look()
        await self.half_hours.saved()
        await outboxes.commit(self.outbox, self.store, world.now_s, self.minutes.edge)  # type: ignore[arg-type]
        await self._talk()

    async def _talk(self) -> None:
        world, is_up = self.world, self.world.now_s >= self.world.link_down_until_s
        if is_up != self._was_up:
            self._was_up = is_up
            self.outbox.link(online=is_up)
        while isinstance(item := self.outbox.take(world.now_s), Parcel | outboxes.Fetch):
            if isinstance(item, outboxes.Fetch):
                await outboxes.load(self.outbox, self.store, item, world.now_s)  # type: ignore[arg-type]
            else:
                self._publish(item)
        if is_up and world.now_s % MINUTE_S == 0 and SITE in world.holding.logs:
            for log, told in world.holding.ack(SITE, world.utc_s)["logs"].items():
                self.outbox.ack(log, told["stream"], told["seq"], world.utc_s)

    def _publish(self, parcel: Parcel) -> None:
        """The broker says yes; one that forgets does not hand it on; now and then its yes is lost."""
        world = self.world
        topic, body = self.records.message(parcel, 37)
        if world.now_s >= world.forgets_until_s:
            world.hear(topic, body)
        if world.draw.random() < 0.01:
            self.outbox.failed(parcel)
        else:
            self.outbox.sent(parcel, world.utc_s)


async def live(world: World, until_s: float, mishaps_a_day: float) -> None:
    """Lives, one after the other, until then: each ends with a power cut, and the last in peace."""
    while world.now_s < until_s:
        world.lives += 1
        source = world.folder / f"life-{world.lives - 1}"
        target = world.folder / f"life-{world.lives}"
        if source.exists():
            shutil.copytree(source, target)
            shutil.rmtree(source)
        target.mkdir(exist_ok=True)
        async with Store.open(target / "homeflex.db") as store:
            life = Life(world, store)
            while world.now_s < until_s:
                await life.step()
                if world.now_s > until_s - QUIET_S:
                    world.calm()
                elif world.draw.random() < mishaps_a_day * STEP_S / DAY_S and _mishap(world):
                    _freeze(target, world)
                    break


def _freeze(folder: Path, world: World) -> None:
    """kill -9: what the kernel has of the files is what the next life finds."""
    frozen = world.folder / "frozen"
    shutil.copytree(folder, frozen)
    shutil.rmtree(folder)
    frozen.rename(folder)
    down_s = world.draw.choice((20.0, 300.0, 2 * HOUR_S))
    for _ in range(int(down_s // STEP_S)):
        world.now_s += STEP_S
        for gauge in world.gauges:
            gauge.run(world.now_s, world.utc_s)


def _mishap(world: World) -> bool:
    """Something goes wrong; whether it ends the daemon's life."""
    draw, now_s = world.draw, world.now_s
    kinds = ("silent", "lies", "link", "day", "forgets", "disk", "step", "untrusted", "reset", "kill", "kill")
    kind = draw.choice(kinds)
    if now_s < world.disk_fails_until_s and kind in ("kill", "untrusted"):
        return False  # what no disk took is lost with the process, though it may have been sent
    world.happened.append(f"{now_s / DAY_S:.2f} {kind}")
    gauge = draw.choice(world.gauges)
    spans_s = {
        "silent": (120.0, 4 * HOUR_S),
        "lies": (60.0, HOUR_S),
        "link": (30.0, 3 * HOUR_S),
        "day": (DAY_S, 1.2 * DAY_S),
        "forgets": (60.0, HOUR_S),
        "disk": (60.0, 2 * HOUR_S),
        "untrusted": (HOUR_S, 3 * HOUR_S),
    }
    until = now_s + draw.uniform(*spans_s.get(kind, (0.0, 0.0)))
    if kind == "silent":
        gauge.silent_until_s = until
    elif kind == "lies":
        gauge.lies_until_s = until
    elif kind in ("link", "day"):
        world.link_down_until_s = max(world.link_down_until_s, until)
    elif kind == "forgets":
        world.forgets_until_s = until
    elif kind == "disk":
        world.disk_fails_until_s = until
    elif kind == "step":
        world.step_s += draw.choice((3.0, 47.0, 3 * HOUR_S))
    elif kind == "untrusted":
        world.trusted_from_s = until
        return True  # a hub without a clock of its own: it starts not knowing the time
    elif kind == "reset":
        gauge.import_ws, gauge.resets = 0, gauge.resets + 1
    return kind == "kill"
