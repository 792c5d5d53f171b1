"""What the daemon costs while nothing is asked of it, and how long it takes to be back after `kill -9`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from gateway.demo.aggregator import Aggregator as Listener
from gateway.demo.log import Log
from tests.bench.aggregator import Aggregator
from tests.bench.slow_disk import SlowDisk, slow_disk
from tests.bench.subject import WITHIN_S, bare, homeflex
from tests.fakes.p1 import P1OverTcp, restamped
from tests.faults.counters import Io, io_of

DAY_S = 86_400.0
RESTARTS = 3
_TELEGRAM = Path(__file__).parents[1] / "recordings" / "han" / "p1_nl_dsmr50_iskra_1ph.txt"
_METER_ZONE = ZoneInfo("Europe/Amsterdam")


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
class _Mark:
    at_s: float
    cpu_s: float
    io: Io
    syncs: int


async def measure(folder: Path, broker_port: int, warm_s: float, window_s: float) -> Rest:
    """One heat pump and one meter, each heard every second; an aggregator that acknowledges."""
    site = "rest"
    disk = slow_disk(folder, site, 0)
    listener = Listener(site, broker_port, Log())
    async with (
        _meter() as meter,
        listener.running(),
        bare("rest-bare", broker_port) as script,
        homeflex(
            site,
            folder / site,
            broker_port,
            listener.trust_store(),
            meter=meter,
            environment=disk.environment if disk else None,
        ) as daemon,
    ):
        await daemon.start()
        await daemon.settled()
        await asyncio.sleep(warm_s)
        before = {pid: _mark(pid, disk) for pid in (script.pid, daemon.pid)}
        await asyncio.sleep(window_s)
        after = {pid: _mark(pid, disk) for pid in (script.pid, daemon.pid)}
        costs = {pid: _cost(pid, before[pid], after[pid]) for pid in before}
        was, now = before[daemon.pid], after[daemon.pid]
        return Rest(
            warm_s + window_s,
            now.at_s - was.at_s,
            costs[script.pid],
            costs[daemon.pid],
            (now.io - was.io).stored_bytes,
            now.syncs - was.syncs if disk else None,
        )


async def resumed_s(folder: Path, broker_port: int, aggregator: Aggregator) -> list[float]:
    """Seconds from a start after `kill -9` in an instruction to the first register written again."""
    site = "resumed"
    found = []
    async with homeflex(site, folder / site, broker_port, aggregator.trust_store(site)) as daemon:
        await daemon.start()
        await aggregator.online(site)
        await daemon.settled()
        await aggregator.hold(daemon)
        for _ in range(RESTARTS):
            await daemon.program.kill()
            written: asyncio.Future[float] = asyncio.get_running_loop().create_future()
            daemon.pump.on_write = lambda _address, at_s, it=written: it.done() or it.set_result(at_s)
            began_s = time.perf_counter()
            await daemon.start()
            found.append(await asyncio.wait_for(written, WITHIN_S) - began_s)
    return found


def _mark(pid: int, disk: SlowDisk | None) -> _Mark:
    # proc(5), /proc/PID/stat: utime and stime are fields 14 and 15; the name before them may hold spaces.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    cpu_s = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return _Mark(time.perf_counter(), cpu_s, io_of(pid), disk.syncs if disk else 0)


def _cost(pid: int, before: _Mark, after: _Mark) -> Cost:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    minutes = (after.at_s - before.at_s) / 60
    return Cost(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, (after.cpu_s - before.cpu_s) / minutes)


@contextlib.asynccontextmanager
async def _meter() -> AsyncIterator[str]:
    """A smart meter that says what it measures once a second; where it listens."""
    telegram = _TELEGRAM.read_bytes()

    async def push() -> None:
        for second in range(10**9):
            local = datetime.now(_METER_ZONE)
            meter.send(
                restamped(
                    telegram,
                    local=local,
                    summer=bool(local.dst()),
                    import_w=1800 + second % 7 * 10,
                    import_wh=5_000_000 + second // 2,
                )
            )
            await asyncio.sleep(1.0)

    async with P1OverTcp() as meter, asyncio.TaskGroup() as tasks:
        pushing = tasks.create_task(push(), name="meter")
        try:
            yield meter.address
        finally:
            pushing.cancel()
