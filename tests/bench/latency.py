"""Instruction to register and to status: the bare script and the daemon, in turn, message by message.

The heat pump's profile allows its register 24 writes a day, so the daemon lives several times, each time as
a new home; the first hold and end of each life warm it up and are kept apart.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.aggregator import Aggregator, Timing
from tests.bench.slow_disk import slow_disk
from tests.bench.subject import Bare, Homeflex, bare, homeflex

BARE, DAEMON, SLOW = "bare script", "homeflex", "homeflex, slow disk"
SLOW_SYNC_MS = 20
HOLDS_PER_LIFE = 12  # and as many ends: profile xtherma, surplus_control, writes_per_day
SLOT_S = (0.165, 0.185)  # three in turn: each gets at most 20 in 10 s, as the contract bounds it


@dataclass
class Latency:
    """Timings by program; `first` are those of each life's first hold; `ready_s` of each life's start."""

    timings: defaultdict[str, list[Timing]] = field(default_factory=lambda: defaultdict(list))
    first: defaultdict[str, list[Timing]] = field(default_factory=lambda: defaultdict(list))
    ready_s: list[float] = field(default_factory=list)
    slow_syncs: int | None = None


async def measure(folder: Path, broker_port: int, aggregator: Aggregator, lives: int) -> Latency:
    """Time `lives` lives of the daemon, each beside the same bare script and a daemon on a slow disk."""
    found = Latency()
    async with bare("bare", broker_port) as script:
        await aggregator.online(script.site)
        for life in range(lives):
            await _live(found, folder, broker_port, aggregator, script, life)
    return found


async def _live(
    found: Latency, folder: Path, broker_port: int, aggregator: Aggregator, script: Bare, life: int
) -> None:
    disk = slow_disk(folder, f"slow-{life}", SLOW_SYNC_MS)
    environments = {DAEMON: None, SLOW: disk.environment} if disk else {DAEMON: None}
    programs: dict[str, Bare | Homeflex] = {BARE: script}
    async with contextlib.AsyncExitStack() as stack:
        for number, (name, environment) in enumerate(environments.items()):
            site = f"home-{life}-{number}"
            trust = aggregator.trust_store(site)
            home = homeflex(site, folder / site, broker_port, trust, environment=environment)
            daemon = await stack.enter_async_context(home)
            ready_s = await daemon.start()
            if name == DAEMON:
                found.ready_s.append(ready_s)
            programs[name] = daemon
            await aggregator.online(site)
            await daemon.settled()
        for pair in range(HOLDS_PER_LIFE):
            await _hold_and_end(found.timings if pair else found.first, aggregator, programs)
    if disk:
        found.slow_syncs = (found.slow_syncs or 0) + disk.syncs


async def _hold_and_end(
    into: defaultdict[str, list[Timing]], aggregator: Aggregator, programs: dict[str, Bare | Homeflex]
) -> None:
    ids: dict[str, str] = {}
    for name, program in programs.items():
        ids[name], timing = await aggregator.hold(program)
        into[name].append(timing)
        await asyncio.sleep(random.uniform(*SLOT_S))
    for name, program in programs.items():
        into[name].append(await aggregator.end(program, ids[name]))
        await asyncio.sleep(random.uniform(*SLOT_S))
