"""Instruction to device and to status: the bare script and the daemon, in turn, message by message.

The heat pump's profile allows its register 24 writes a day, the contract 20 messages in 10 s, and a charger
takes less with each hold, so the daemon lives many short lives, each as a new home. The first hold (and end)
of each warms it up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.aggregator import Aggregator, Timing
from tests.bench.rig import CHARGER
from tests.bench.slow_disk import slow_disk
from tests.bench.subject import Bare, Homeflex, bare, homeflex

SLOW_SYNC_MS = 20
HOLDS_PER_LIFE = 10  # and as many ends, where holds are ended
CLOSE_S = 0.005  # between an answer and the next instruction: both programs, and the machine, stay warm
SLOW_S = 0.05  # the same, and what the last instruction still had to sync is done
RARE_S = 0.5  # as good as one in a day: whatever a program needs has left the processor's caches


@dataclass
class Pairs:
    """What was measured under one condition: the daemon's timings and the bare script's, by turns."""

    bare: list[Timing] = field(default_factory=list)
    daemon: list[Timing] = field(default_factory=list)
    first: list[Timing] = field(default_factory=list)
    """Of the daemon's very first instruction after each start; not among `daemon`."""
    ready_s: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Latency:
    """The conditions. `slow_disk` is None where there is no gcc to slow it down with."""

    usual: Pairs
    rare: Pairs
    slow_disk: Pairs | None
    charger: Pairs


async def measure(folder: Path, broker_port: int, aggregator: Aggregator, lives: int) -> Latency:
    """Time `lives` lives of the daemon on the disk there is, as many on a slow one, a few at a slow pace."""
    disk = slow_disk(folder, "slow", SLOW_SYNC_MS)
    async with bare("bare", broker_port) as script:
        await aggregator.online(script.site)
        bench = _Bench(folder, broker_port, aggregator, script)
        usual = await bench.pairs("usual", lives, CLOSE_S)
        slow = await bench.pairs("slow", lives, SLOW_S, disk.environment) if disk else None
        rare = await bench.pairs("rare", max(1, lives // 6), RARE_S)
    async with bare("bare-central", broker_port, CHARGER) as script:
        await aggregator.online(script.site)
        bench = _Bench(folder, broker_port, aggregator, script)
        charger = await bench.pairs("charger", lives, CLOSE_S)
    return Latency(usual, rare, slow, charger)


@dataclass(frozen=True, slots=True)
class _Bench:
    folder: Path
    broker_port: int
    aggregator: Aggregator
    script: Bare

    async def pairs(
        self, name: str, lives: int, pause_s: float, environment: Mapping[str, str] | None = None
    ) -> Pairs:
        found = Pairs()
        for life in range(lives):
            site = f"{name}-{life}"
            trust = self.aggregator.trust_store(site)
            home = homeflex(
                site,
                self.folder / site,
                self.broker_port,
                trust,
                rig=self.script.rig,
                environment=environment,
            )
            async with home as daemon:
                found.ready_s.append(await daemon.start())
                await self.aggregator.online(site)
                await daemon.settled()
                await self._live(found, daemon, pause_s)
        return found

    async def _live(self, found: Pairs, daemon: Homeflex, pause_s: float) -> None:
        warming = Pairs()
        for number in range(HOLDS_PER_LIFE):
            into = found if number else warming
            bare_id = await self._hold(self.script, number, into.bare, pause_s)
            id_ = await self._hold(daemon, number, into.daemon, pause_s)
            if daemon.rig.ends:
                await self._end(self.script, bare_id, into.bare, pause_s)
                await self._end(daemon, id_, into.daemon, pause_s)
        found.first.append(warming.daemon[0])

    async def _hold(self, program: Bare | Homeflex, number: int, into: list[Timing], pause_s: float) -> str:
        id_, timing = await self.aggregator.hold(program, number)
        into.append(timing)
        await asyncio.sleep(pause_s)
        return id_

    async def _end(self, program: Bare | Homeflex, id_: str, into: list[Timing], pause_s: float) -> None:
        into.append(await self.aggregator.end(program, id_))
        await asyncio.sleep(pause_s)
