"""A fleet comes back after its broker was gone: how fast, in what order, and whether all of it arrives.

Simulated gateways, one real Mosquitto with users and access lists, an aggregator of two consumers that share
one subscription, acknowledge as the contract says, and count every row. All on loopback, all moments on one
clock. Where a storm is `restarted` every attempt in vain is made; where it is `behind` the homes begin with
the backlog, and at the moments, that such an outage leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import resource
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from gateway.aggregator.heard import body_of, numbers
from gateway.aggregator.holding import Holding
from gateway.aggregator.holding import Log as Held
from gateway.daemon.uplink import Retry
from tests.bench import packets
from tests.bench.link import Hears, Link, Lost
from tests.bench.packets import Published
from tests.bench.simulated import MINUTE_S, PACE, ROOT, STREAM, Clock, Home, Ledger, Words, wait_after
from tests.bench.sizing import FIRST_CEILINGS_S, peak_connects
from tests.bench.usage import usage
from tests.fakes.mosquitto import Mosquitto

# docs/fleet.md has the same list.
ACL = """\
pattern write homeflex/v1/%u/presence
pattern write homeflex/v1/%u/state
pattern write homeflex/v1/%u/availability
pattern write homeflex/v1/%u/telemetry/#
pattern write homeflex/v1/%u/settlement
pattern write homeflex/v1/%u/dispatch/status
pattern write homeflex/v1/%u/event
pattern write homeflex/v1/%u/reply/+
pattern read homeflex/v1/%u/dispatch
pattern read homeflex/v1/%u/rpc/+
pattern read homeflex/v1/%u/ack
pattern read homeflex/v1/%u/keys

user AGGREGATOR
topic read homeflex/v1/#
topic write homeflex/v1/+/dispatch
topic write homeflex/v1/+/ack
topic write homeflex/v1/+/rpc/+
topic write homeflex/v1/+/keys

user OPERATOR
topic read $SYS/#
topic read homeflex/v1/+/presence
"""
AGGREGATOR, OPERATOR = "AGGREGATOR", "OPERATOR"  # no site is called so: sites have small letters
SHARED = f"$share/agg/{ROOT}/+/telemetry"
HELD, DROPPED = "$SYS/broker/store/messages/count", "$SYS/broker/publish/messages/dropped"
CONSUMERS = 2
RETRY_S = 0.05  # a consumer listens again before the homes speak: nobody keeps it for them
SAMPLE_S, LAG_S = 0.25, 0.02
WITHIN_S = 1500.0  # of the homes' time, for everything to be there again
PATIENCE_S = 15.0  # of real time, where that is longer: a machine may be busy
SETTLE_S = 10.0  # of real time, for what the broker still has for the consumers
REAL = "real"
PASSWORD = "of a bench"
_CONNECTED = re.compile(r"^(\d+): New client connected from \S+ as homeflex-", re.M)


@dataclass(frozen=True, slots=True)
class Storm:
    """One return. Durations are the homes', from the broker's return, unless they say real."""

    homes: int
    factor: float
    outage_s: float
    points: int
    connected_s: list[float]
    """When each home had its session again."""
    drained_s: list[float]
    """When the broker had taken all that each had waiting."""
    peak_connects: int
    """In one real second, by the broker's log."""
    live_delays_s: list[float]
    """Real; from a live minute's end until the aggregator has it, by row."""
    messages: int
    peak_messages: int
    """That the broker took of the homes; in all, and in one real second."""
    lasted_s: float
    """Real; until everything had arrived."""
    broker_cpu_s: float
    rss_mb: tuple[float, float, float]
    """The broker's memory: before (all connected, or none yet), after, and at its highest."""
    held: tuple[int, int]
    """Messages that the broker held, retained ones among them: before, and at its highest."""
    dropped: int
    rows: int
    lost: int
    doubled: int
    """Rows that the aggregator had; that it lacks; that came more than once."""
    wills: int
    """Homes that the broker called lost when it was back, before they were."""
    refused: int
    lag_p99_s: float
    """Real; how late this program's own timers were: delays are told no finer than that."""
    real: tuple[int, int] | None
    """Of the real daemon amid: its rows that came, and that are missing."""

    @property
    def expected_peak(self) -> float | None:
        """Connects in the first real second, by the rule; None where the waits still grew."""
        return peak_connects(self.homes * self.factor) if self.outage_s >= FIRST_CEILINGS_S else None


@dataclass(frozen=True, slots=True)
class Size:
    """How many homes, and how many times as fast as in life."""

    homes: int
    factor: float


class Fleet:
    """The homes, the broker and the aggregator of one storm."""

    def __init__(self, broker: Mosquitto, size: Size, words: Words, clock: Clock) -> None:
        self.broker = broker
        self.size = size
        self.clock = clock
        self.ledger = Ledger()
        self.holding = Holding()
        self.sites = sites(size.homes)
        self.homes: list[Home] = []
        self.held: list[int] = []
        self.log_from = 0
        self.dropped = 0
        self.wills: set[str] = set()
        self._words = words
        self._consumers: set[str] = set()
        self._watches = False

    def begin(self, behind: int, first_wait_s: Callable[[], float]) -> None:
        """Make the homes, each with so many minutes behind."""
        for site in self.sites:
            self.holding.logs[site] = {f"telemetry:{p}": Held(STREAM, 0) for p in self._words.points}
            home = Home(
                site, self.broker.port, self.clock, self._words, self.ledger,
                password=PASSWORD, behind=behind, first_wait_s=first_wait_s(),
            )  # fmt: skip
            self.homes.append(home)

    def begin_again(self) -> None:
        """Forget all but the rows that came."""
        self.ledger.begin()
        self.log_from = len(self.broker.log)
        self.held.clear()
        self.wills.clear()

    async def retain_keys(self) -> None:
        """The trust stores, retained, as an aggregator leaves them."""
        async with self._link(f"{AGGREGATOR}-keys", AGGREGATOR, lambda _link, _message: None) as link:
            for site in self.sites:
                await link.publish(f"{ROOT}/{site}/keys", self._words.keys, retain=True)

    async def listening(self) -> None:
        """Wait until the consumers and the operator listen."""
        while len(self._consumers) < CONSUMERS or not self._watches:
            await asyncio.sleep(RETRY_S)

    async def consume(self, name: str) -> None:
        """Take telemetry and acknowledge it, over any loss of the broker, for ever."""
        while True:
            with contextlib.suppress(Lost):
                async with self._link(name, AGGREGATOR, self._take) as link:
                    # Each time: of a kept session Mosquitto 2.0.11 forgets shared subscriptions in a restart.
                    await link.subscribe(SHARED)
                    self._consumers.add(name)
                    while not link.has_ended:
                        await asyncio.sleep(RETRY_S)
            self._consumers.discard(name)
            await asyncio.sleep(RETRY_S)

    async def watch(self) -> None:
        """Be the operator, for ever."""
        while True:
            with contextlib.suppress(Lost):
                async with self._link(OPERATOR, OPERATOR, self._note) as link:
                    for topic in (HELD, DROPPED, f"{ROOT}/+/presence"):
                        await link.subscribe(topic)
                    self._watches = True
                    while not link.has_ended:
                        await asyncio.sleep(RETRY_S)
            self._watches = False
            await asyncio.sleep(RETRY_S)

    def _take(self, link: Link, message: Published) -> None:
        site, body = message.topic.split("/")[2], body_of(message.payload)
        rows = numbers("telemetry", body)
        self.ledger.hear(site, rows, asyncio.get_running_loop().time())
        self.holding.take(site, rows, self.clock.now_s())
        if not body["backfill"]:
            ack = json.dumps(self.holding.ack(site, self.clock.now_s())).encode()
            link.tell(f"{ROOT}/{site}/ack", ack)

    def _note(self, _: Link, message: Published) -> None:
        if message.topic == HELD:
            self.held.append(int(message.payload))
        elif message.topic == DROPPED:
            self.dropped = int(message.payload)
        elif not json.loads(message.payload)["online"]:
            self.wills.add(message.topic)

    @contextlib.asynccontextmanager
    async def _link(self, client_id: str, user: str, on_message: Hears) -> AsyncIterator[Link]:
        hello = packets.connect(
            client_id, user, PASSWORD, keepalive_s=60, session_expiry_s=3600, receive_maximum=1000
        )
        link = await Link.open(self.broker.port, hello, on_message, 20.0)
        try:
            yield link
        finally:
            link.close()


Amid = Callable[[Fleet], AbstractAsyncContextManager[None]]


async def restarted(
    folder: Path, size: Size, words: Words, outage_s: float, warm_s: float, amid: Amid | None = None
) -> Storm:
    """A fleet at work loses its broker for `outage_s` of its time: stopped cleanly, its sessions kept."""
    async with _fleet(folder, size, words) as (fleet, watch):
        fleet.begin(0, lambda: random.uniform(0, warm_s / 3))
        async with _lives(fleet), amid(fleet) if amid else contextlib.nullcontext():
            await fleet.clock.sleep(warm_s)
            before = watch.mark()
            await asyncio.to_thread(fleet.broker.terminate)
            await fleet.clock.sleep(outage_s)
            watch.begin()
            await asyncio.to_thread(fleet.broker.start)
            return await _returned(fleet, watch, before, outage_s)


async def behind(folder: Path, size: Size, words: Words, outage_s: float) -> Storm:
    """A fleet that has lacked its broker for `outage_s` of its time comes back."""
    async with _fleet(folder, size, words) as (fleet, watch):
        fleet.begin(int(outage_s / MINUTE_S), lambda: wait_after(outage_s, Retry(PACE, random.random)))
        before = watch.mark()
        watch.begin()
        async with _lives(fleet):
            return await _returned(fleet, watch, before, outage_s)


@dataclass(frozen=True, slots=True)
class _Mark:
    rss_mb: float
    held: int


class _Watch:
    """Looks at the broker's process, and at how late this one is."""

    def __init__(self, fleet: Fleet) -> None:
        self.rss_mb: list[float] = []
        self.late_s: list[float] = []
        self._fleet = fleet

    def mark(self) -> _Mark:
        """How it is now."""
        held = self._fleet.held[-1] if self._fleet.held else 0
        return _Mark(usage(self._fleet.broker.pid).rss_mb, held)

    def begin(self) -> None:
        """Forget what was seen until now; what the broker tells as soon as it is back counts."""
        self.rss_mb.clear()
        self.late_s.clear()
        self._fleet.begin_again()

    async def memory(self) -> None:
        """Look now and then, for ever; not while it is down."""
        while True:
            with contextlib.suppress(AssertionError, OSError):
                self.rss_mb.append(usage(self._fleet.broker.pid).rss_mb)
            await asyncio.sleep(SAMPLE_S)

    async def lag(self) -> None:
        """For ever."""
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + LAG_S
            await asyncio.sleep(LAG_S)
            self.late_s.append(loop.time() - due_s)


async def _returned(fleet: Fleet, watch: _Watch, before: _Mark, outage_s: float) -> Storm:
    """Measure from here until all are connected and nothing waits."""
    ledger, factor = fleet.ledger, fleet.clock.factor
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    async with asyncio.timeout(max(WITHIN_S / factor, PATIENCE_S)):
        while len(ledger.caught_up_s) < len(fleet.homes):
            await asyncio.sleep(SAMPLE_S)
    told = {row for home in fleet.homes for row in home.told}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SETTLE_S):
            while not told <= ledger.heard.keys():
                await asyncio.sleep(SAMPLE_S)
    lasted_s = loop.time() - began_s
    connects = Counter(_CONNECTED.findall(fleet.broker.log[fleet.log_from :]))
    taken = Counter(int(at_s - began_s) for at_s in ledger.taken_s)
    return Storm(
        homes=len(fleet.homes),
        factor=factor,
        outage_s=outage_s,
        points=len(fleet.homes[0].logs),
        connected_s=sorted((at_s - began_s) * factor for at_s in ledger.up_s.values()),
        drained_s=sorted((at_s - began_s) * factor for at_s in ledger.caught_up_s.values()),
        peak_connects=max(connects.values()),
        live_delays_s=sorted(ledger.delays_s),
        messages=len(ledger.taken_s),
        peak_messages=max(taken.values()),
        lasted_s=lasted_s,
        broker_cpu_s=usage(fleet.broker.pid).cpu_s,
        rss_mb=(before.rss_mb, watch.mark().rss_mb, max(watch.rss_mb)),
        held=(before.held, max(fleet.held, default=0)),
        dropped=fleet.dropped,
        rows=len(told & ledger.heard.keys()),
        lost=len(told - ledger.heard.keys()),
        doubled=sum(count > 1 for count in ledger.heard.values()),
        wills=len(fleet.wills),
        refused=len(ledger.refused),
        lag_p99_s=sorted(watch.late_s)[int(0.99 * len(watch.late_s))],
        real=_real(fleet),
    )


def _real(fleet: Fleet) -> tuple[int, int] | None:
    """Rows of the real daemon that came, and that are missing below one that came."""
    logs = fleet.holding.logs.get(REAL)
    if logs is None:
        return None
    gaps = sum(first - 1 for log in logs.values() for first, _ in log.apart[:1])
    missing = gaps - sum(log.seq for log in logs.values() if log.apart)
    return sum(site == REAL for site, _, _ in fleet.ledger.heard), missing


@contextlib.asynccontextmanager
async def _fleet(folder: Path, size: Size, words: Words) -> AsyncIterator[tuple[Fleet, _Watch]]:
    """The broker, and all but the homes."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # the broker's, too
    clock = Clock(size.factor)
    users = dict.fromkeys((*sites(size.homes), REAL, AGGREGATOR, OPERATOR), PASSWORD)
    quiet = ("log_type none", "log_type notice", "sys_interval 1", "max_queued_messages 0")
    with Mosquitto(folder, persistence=True, users=users, acl=ACL, extra=quiet) as broker:
        fleet = Fleet(broker, size, words, clock)
        watch = _Watch(fleet)
        async with asyncio.TaskGroup() as tasks:
            work = [fleet.watch(), watch.memory(), watch.lag()]
            work += [fleet.consume(f"{AGGREGATOR}-{number}") for number in range(CONSUMERS)]
            running = [tasks.create_task(one) for one in work]
            try:
                await fleet.listening()
                await fleet.retain_keys()
                yield fleet, watch
            finally:
                for task in running:
                    task.cancel()


@contextlib.asynccontextmanager
async def _lives(fleet: Fleet) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(home.live(), name=home.site) for home in fleet.homes]
        try:
            yield
        finally:
            for task in running:
                task.cancel()


def sites(count: int) -> list[str]:
    """Their names."""
    return [f"home-{number:05}" for number in range(count)]
