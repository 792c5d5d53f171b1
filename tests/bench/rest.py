"""What the daemon costs while nothing is asked of it, and how long it takes to be back after `kill -9`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.demo.aggregator import ACK_EVERY_S, set_body
from gateway.demo.aggregator import Aggregator as Listener
from gateway.demo.log import Log
from tests.bench.aggregator import Aggregator
from tests.bench.hurried import hurried
from tests.bench.slow_disk import SlowDisk, slow_disk
from tests.bench.subject import WITHIN_S, bare, homeflex
from tests.bench.usage import usage
from tests.bench.whole_home import beside
from tests.fakes.mosquitto import Mosquitto
from tests.faults.counters import Io, io_of

DAY_S = 86_400.0
HOUR_S, ASKED_EVERY_S = 3600.0, 3 * 3600.0
RESTARTS = 3
HURRY = 60  # times as fast as life; more, and a device's deadline is no longer than a hiccup of the machine
WARM_H = 1.0


@dataclass(frozen=True, slots=True)
class Cost:
    """Memory and processor of one process at rest."""

    rss_mb: float
    cpu_s_per_min: float


@dataclass(frozen=True, slots=True)
class Rest:
    """Both programs after `age_s`, and the daemon's disk over `window_s`. None: no gcc to count with."""

    age_s: float
    window_s: float
    bare: Cost
    daemon: Cost
    stored_bytes: int
    syncs: int | None


@dataclass(frozen=True, slots=True)
class Growth:
    """The daemon over `hours` of hurried clocks, its first hour left out; processor seconds are real ones."""

    hours: float
    rss_mb: float
    stored_bytes: int
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Encrypted:
    """The broker's other door: its port, and the authority that signed it."""

    port: int
    ca: str


@dataclass(frozen=True, slots=True)
class _Mark:
    at_s: float
    cpu_s: float
    rss_mb: float
    io: Io
    syncs: int


async def measure(
    folder: Path, broker: Mosquitto, encrypted: Encrypted, warm_s: float, window_s: float
) -> Rest:
    """Four devices over TLS, each heard as often as it speaks; an aggregator that acknowledges."""
    site = "rest"
    disk = slow_disk(folder, site, 0)
    listener = Listener(site, broker.port, Log())
    async with (
        beside(time.time) as others,
        listener.running(),
        bare("rest-bare", broker.port) as script,
        homeflex(
            site,
            folder / site,
            encrypted.port,
            listener.trust_store(),
            more=others,
            ca=encrypted.ca,
            environment=disk.environment if disk else None,
        ) as daemon,
    ):
        await daemon.start()
        await daemon.settled()
        await asyncio.sleep(warm_s)
        before = {pid: _mark(pid, disk) for pid in (script.pid, daemon.pid)}
        await asyncio.sleep(window_s)
        after = {pid: _mark(pid, disk) for pid in (script.pid, daemon.pid)}
        costs = {pid: _cost(before[pid], after[pid]) for pid in before}
        was, now = before[daemon.pid], after[daemon.pid]
        return Rest(
            warm_s + window_s,
            now.at_s - was.at_s,
            costs[script.pid],
            costs[daemon.pid],
            (now.io - was.io).stored_bytes,
            now.syncs - was.syncs if disk else None,
        )


async def grown(folder: Path, broker: Mosquitto, encrypted: Encrypted, hours: float) -> Growth:
    """The same home through so many hours, with an instruction for the car every three."""
    site, since_s = "grown", time.time()
    utc_s = hurried(time.time, HURRY, since_s)
    listener = Listener(site, broker.port, HurriedLog(utc_s), ack_every_s=ACK_EVERY_S / HURRY)
    async with (
        beside(utc_s, HURRY) as others,
        listener.running(),
        homeflex(
            site,
            folder / site,
            encrypted.port,
            listener.trust_store(),
            more=others,
            ca=encrypted.ca,
            hurry=("tests.bench.hurried", str(HURRY), str(since_s)),
        ) as daemon,
    ):
        await daemon.start()
        await daemon.settled()
        await _live(listener, site, utc_s, WARM_H)
        before = _mark(daemon.pid, None)
        await _live(listener, site, utc_s, hours)
        after = _mark(daemon.pid, None)
        stored_bytes = (after.io - before.io).stored_bytes
        return Growth(hours, after.rss_mb - before.rss_mb, stored_bytes, after.cpu_s - before.cpu_s)


class HurriedLog(Log):
    """A log with the daemon's idea of time."""

    def __init__(self, utc_s: Callable[[], float]) -> None:
        super().__init__()
        self._utc_s = utc_s

    def now_utc_s(self) -> float:
        """UTC by the hurried clock."""
        return self._utc_s()


async def _live(listener: Listener, site: str, utc_s: Callable[[], float], hours: float) -> None:
    end_utc_s = utc_s() + hours * HOUR_S
    while (left_s := end_utc_s - utc_s()) > 0:
        body = set_body(site, "class:ev", 1400.0, utc_s(), 600)
        await listener.send(body, scene=0, what="set")
        await asyncio.sleep(min(left_s, ASKED_EVERY_S) / HURRY)


async def resumed_s(folder: Path, broker_port: int, aggregator: Aggregator) -> list[float]:
    """Seconds from a start after `kill -9` in an instruction to the first register written again."""
    site = "resumed"
    found = []
    async with homeflex(site, folder / site, broker_port, aggregator.trust_store(site)) as daemon:
        await daemon.start()
        await aggregator.online(site)
        await daemon.settled()
        await aggregator.hold(daemon, 0)
        for _ in range(RESTARTS):
            await daemon.program.kill()
            written: asyncio.Future[float] = asyncio.get_running_loop().create_future()
            daemon.device.on_command = lambda _what, at_s, it=written: it.done() or it.set_result(at_s)
            began_s = time.perf_counter()
            await daemon.start()
            found.append(await asyncio.wait_for(written, WITHIN_S) - began_s)
    return found


def _mark(pid: int, disk: SlowDisk | None) -> _Mark:
    used = usage(pid)
    return _Mark(time.perf_counter(), used.cpu_s, used.rss_mb, io_of(pid), disk.syncs if disk else 0)


def _cost(before: _Mark, after: _Mark) -> Cost:
    return Cost(after.rss_mb, (after.cpu_s - before.cpu_s) / ((after.at_s - before.at_s) / 60))
