"""A simulated gateway, light enough to have a thousand of: no home behind it, but the product's manners.

The waits between two attempts are the product's own (`uplink.Retry`), pace and sizes its constants; how it
sends (one message at a time, live first, what was not acknowledged again) is told anew. Every duration passes
`clock.factor` times as fast as in life; what the broker takes for an answer does not.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.daemon.documents import AT_LEAST_EVERY_S as AVAILABILITY_EVERY_S
from gateway.daemon.outbox import BACKFILL_EVERY_S, FETCH_PACKS
from gateway.daemon.session import End
from gateway.daemon.uplink import Pace, Retry, UplinkSettings
from gateway.daemon.uplink import Will as ProductWill
from gateway.daemon.uplog import BACKFILL_ROWS, PACK_S, TRAILING_S
from gateway.wire.moment import utc_s_of
from tests.bench.hurried import hurried
from tests.bench.link import Link, Lost, Refused
from tests.bench.packets import Published, Will, connect

ROOT = "homeflex/v1"
MINUTE_S = 60
READ_ROWS = FETCH_PACKS * PACK_S // MINUTE_S
STREAM = "01JDC0W3Q8Z5"
PACE = Pace()
DEFAULTS = UplinkSettings("127.0.0.1", 0, "")
CONTRACT = Path(__file__).parents[2] / "docs" / "contract.md"


class Clock:
    """The homes' clock (UTC), from now on `factor` times as fast as this machine's."""

    def __init__(self, factor: float) -> None:
        self.factor = factor
        self.since_s = time.time()
        self.now_s = hurried(time.time, factor, self.since_s)

    async def sleep(self, wait_s: float) -> None:
        """Let so much of the homes' time pass."""
        await asyncio.sleep(wait_s / self.factor)


@dataclass(frozen=True, slots=True)
class Words:
    """What every home says: documents as they are, and one point's minute without its number."""

    documents: Mapping[str, bytes]
    """By topic; retained."""
    keys: bytes
    """Its trust store, retained by the aggregator."""
    points: tuple[str, ...]
    reading: bytes

    def telemetry(self, rows: Mapping[str, list[int]], *, backfill: bool) -> bytes:
        """One message with these numbers of these points."""
        points = b",".join(
            b'"%b":{"stream":"%b","readings":[%b]}'
            % (
                point.encode(),
                STREAM.encode(),
                b",".join(b'{"seq":%d,%b' % (seq, self.reading) for seq in seqs),
            )
            for point, seqs in rows.items()
        )
        head = b'{"schema":"homeflex.telemetry.v1","site":"home-7f3a","boot":"k3v9q2m7x1ab","offsetS":37,'
        late = b"true" if backfill else b"false"
        return head + b'"backfill":%b,"points":{%b}}' % (late, points)

    def lost(self) -> bytes:
        """The will."""
        return json.dumps(
            {**json.loads(self.documents["presence"]), "online": False, "reason": "lost"}
        ).encode()


def words_of(found: Mapping[str, bytes], keys: bytes) -> Words:
    """The words of a home whose messages these are, by topic: `telemetry` gives points and a reading."""
    points = json.loads(found["telemetry"])["points"]
    reading = max((point["readings"][-1] for point in points.values()), key=lambda r: len(json.dumps(r)))
    tail = json.dumps(
        {name: value for name, value in reading.items() if name != "seq"}, separators=(",", ":")
    )
    documents = {topic: found[topic] for topic in ("presence", "state", "availability")}
    return Words(documents, keys, tuple(points), tail[1:].encode())


def words_of_the_contract() -> Words:
    """The examples of the contract's page, with its one point."""
    examples: dict[str, bytes] = {}
    for text in re.findall(r"```json\n(.*?)```", CONTRACT.read_text(), re.DOTALL):
        schema = json.loads(text)["schema"].split(".")[1]
        examples.setdefault(schema, json.dumps(json.loads(text), separators=(",", ":")).encode())
    return words_of(examples, examples["keys"])


@dataclass
class Ledger:
    """What the homes did and what the aggregator heard, on the loop's clock."""

    up_s: dict[str, float] = field(default_factory=dict)
    """When each home had its session, last."""
    caught_up_s: dict[str, float] = field(default_factory=dict)
    """When nothing of it waited any more, first since its session."""
    cut_s: dict[tuple[str, str, int], float] = field(default_factory=dict)
    """Of rows that were sent live and were not heard of yet."""
    delays_s: list[float] = field(default_factory=list)
    """From a live minute's end until the aggregator has it."""
    taken_s: list[float] = field(default_factory=list)
    """When the broker took each message of a home."""
    heard: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    """How often each row came."""
    refused: list[str] = field(default_factory=list)

    def hear(self, site: str, rows: Iterable[tuple[str, str, int]], now_s: float) -> None:
        """The aggregator has these rows: log, stream, number."""
        for log, _, seq in rows:
            self.heard[site, log, seq] += 1
            if (cut_s := self.cut_s.pop((site, log, seq), None)) is not None:
                self.delays_s.append(now_s - cut_s)

    def begin(self) -> None:
        """Forget what was until now, but not what was heard."""
        self.up_s, self.caught_up_s, self.cut_s, self.delays_s, self.taken_s = {}, {}, {}, [], []


@dataclass
class Log:
    """The minutes of one point: numbered from 1 to `head`; `todo` go as backfill."""

    head: int = 0
    watermark: int = 0
    todo: set[int] = field(default_factory=set)
    flying: set[int] = field(default_factory=set)
    sent_s: dict[int, float] = field(default_factory=dict)
    read: int = 0
    """How far the backlog was read from the disk."""

    def late(self) -> list[int]:
        """The next rows of one message: without a gap, at most as many as the product packs, and of what it
        reads from its disk at once."""
        first = min(self.todo)
        if first > self.read:
            self.read = first + READ_ROWS - 1
        stop = min(first + BACKFILL_ROWS, self.read + 1)
        return list(range(first, next((seq for seq in range(first, stop) if seq not in self.todo), stop)))

    def acknowledge(self, seq: int, at_s: float) -> None:
        """The aggregator holds all up to `seq`; what was sent long before and is not among it goes again."""
        self.watermark = max(self.watermark, seq)
        self.todo = {one for one in self.todo if one > seq}
        self.sent_s = {one: when_s for one, when_s in self.sent_s.items() if one > seq}
        if self.sent_s.get(seq + 1, at_s) < at_s - TRAILING_S:
            self.todo.update(set(range(seq + 1, self.head + 1)) - self.flying)


class Home:
    """One site. `behind` minutes wait from before its beginning; it first tries after `first_wait_s`."""

    def __init__(
        self,
        site: str,
        port: int,
        clock: Clock,
        words: Words,
        ledger: Ledger,
        *,
        password: str,
        behind: int = 0,
        first_wait_s: float = 0.0,
    ) -> None:
        self.site = site
        self.logs = {point: Log(behind, todo=set(range(1, behind + 1))) for point in words.points}
        self._port = port
        self._clock = clock
        self._words = words
        self._ledger = ledger
        self._first_wait_s = first_wait_s
        self._base = f"{ROOT}/{site}"
        self._live: list[tuple[int, float]] = []
        self._link: Link | None = None
        self._something = asyncio.Event()
        self._keys = asyncio.Event()
        self._backfill_s = self._availability_s = float("-inf")
        will = Will(f"{self._base}/presence", words.lost(), ProductWill("", b"").delay_s)
        self._hello = connect(
            f"homeflex-{site}",
            site,
            password,
            keepalive_s=DEFAULTS.keepalive_s,
            session_expiry_s=DEFAULTS.session_expiry_s,
            receive_maximum=DEFAULTS.receive_maximum,
            will=will,
        )

    async def live(self) -> None:
        """Cut minutes, and tell them, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._cut(), name=f"{self.site} minutes")
            tasks.create_task(self._stay_connected(), name=f"{self.site} link")

    async def _cut(self) -> None:
        """Each minute at the home's own offset."""
        next_s = self._clock.now_s() + random.uniform(0, MINUTE_S)
        while True:
            await self._clock.sleep(max(0.0, next_s - self._clock.now_s()))
            next_s += MINUTE_S
            for log in self.logs.values():
                log.head += 1
            seq = next(iter(self.logs.values())).head
            if self._link is not None:
                self._live.append((seq, asyncio.get_running_loop().time()))
            else:
                self._make_late([seq])
            self._something.set()

    @property
    def told(self) -> Iterator[tuple[str, str, int]]:
        """Every row that the broker has taken: site, log and number."""
        for point, log in self.logs.items():
            waiting = log.todo | log.flying | {seq for seq, _ in self._live}
            for seq in range(1, log.head + 1):
                if seq not in waiting:
                    yield self.site, f"telemetry:{point}", seq

    async def _stay_connected(self) -> None:
        retry = Retry(PACE, random.random)
        await self._clock.sleep(self._first_wait_s)
        while True:
            await self._clock.sleep(retry.after(await self._attempt()))

    async def _attempt(self) -> End:
        """One connection, from its attempt to its end."""
        up_s: float | None = None
        link: Link | None = None
        try:
            link = await Link.open(
                self._port, self._hello, self._hear, DEFAULTS.keepalive_s / self._clock.factor
            )
            link.on_end = self._something.set
            up_s = self._clock.now_s()
            await self._greet(link)
            await self._serve(link)
        except Lost:
            pass
        except Refused as error:
            self._ledger.refused.append(str(error))
        finally:
            self._link = None
            if link is not None:
                link.close()
            self._make_late([seq for seq, _ in self._live])
            self._live.clear()
        told = link is not None and link.told
        return End(
            "", None if up_s is None else self._clock.now_s() - up_s, silent=up_s is not None and not told
        )

    async def _greet(self, link: Link) -> None:
        """The keys first, then the rest; then who we are."""
        if not link.present:
            self._keys.clear()
            await link.subscribe(f"{self._base}/keys")
            try:
                async with asyncio.timeout(PACE.retained_s / self._clock.factor):
                    await self._keys.wait()
            except TimeoutError:
                pass
            await link.subscribe(f"{self._base}/ack")
            await link.subscribe(f"{self._base}/dispatch", retain_handling=2)
        self._ledger.up_s[self.site] = asyncio.get_running_loop().time()
        self._link = link
        self._availability_s = float("-inf")
        for topic in ("presence", "state"):
            await self._publish(link, topic, self._words.documents[topic], retain=True)

    async def _serve(self, link: Link) -> None:
        """Send what waits until the connection ends: live first, then what is due, then backfill."""
        while True:
            self._something.clear()
            if self._live:
                await self._send_live(link)
            elif self._clock.now_s() >= self._availability_s + AVAILABILITY_EVERY_S:
                self._availability_s = self._clock.now_s()
                await self._publish(link, "availability", self._words.documents["availability"], retain=True)
            elif (late := next(self._late(), None)) and self._clock.now_s() >= self._backfill_s:
                self._backfill_s = self._clock.now_s() + BACKFILL_EVERY_S
                await self._send(link, {late: self.logs[late].late()}, backfill=True)
            else:
                if late is None:
                    self._ledger.caught_up_s.setdefault(self.site, asyncio.get_running_loop().time())
                next_s = self._backfill_s if late else self._availability_s + AVAILABILITY_EVERY_S
                await self._wait(link, next_s - self._clock.now_s())

    async def _wait(self, link: Link, most_s: float) -> None:
        if link.has_ended:
            raise Lost("the connection ended")
        try:
            async with asyncio.timeout(max(0.0, most_s) / self._clock.factor):
                await self._something.wait()
        except TimeoutError:
            pass

    async def _send_live(self, link: Link) -> None:
        live, self._live = self._live, []
        for seq, cut_s in live:
            self._ledger.cut_s.update({(self.site, f"telemetry:{point}", seq): cut_s for point in self.logs})
        await self._send(link, {point: [seq for seq, _ in live] for point in self.logs}, backfill=False)

    async def _send(self, link: Link, rows: Mapping[str, list[int]], *, backfill: bool) -> None:
        for point, seqs in rows.items():
            self.logs[point].todo.difference_update(seqs)
            self.logs[point].flying.update(seqs)
        try:
            await self._publish(link, "telemetry", self._words.telemetry(rows, backfill=backfill))
        except BaseException:
            for point, seqs in rows.items():
                self.logs[point].todo.update(seqs)
            raise
        else:
            for point, seqs in rows.items():
                self.logs[point].sent_s.update(dict.fromkeys(seqs, self._clock.now_s()))
        finally:
            for point, seqs in rows.items():
                self.logs[point].flying.difference_update(seqs)

    async def _publish(self, link: Link, topic: str, body: bytes, *, retain: bool = False) -> None:
        await link.publish(f"{self._base}/{topic}", body, retain=retain)
        self._ledger.taken_s.append(asyncio.get_running_loop().time())

    def _late(self) -> Iterator[str]:
        return (point for point, log in self.logs.items() if log.todo)

    def _make_late(self, seqs: list[int]) -> None:
        for log in self.logs.values():
            log.todo.update(seqs)

    def _hear(self, _: Link, message: Published) -> None:
        topic = message.topic.rpartition("/")[2]
        if topic == "keys":
            self._keys.set()
        elif topic == "ack":
            told = json.loads(message.payload)
            for name, mark in told["logs"].items():
                self.logs[name.removeprefix("telemetry:")].acknowledge(mark["seq"], utc_s_of(told["at"]))
            self._something.set()


def wait_after(outage_s: float, retry: Retry) -> float:
    """How long after an outage of `outage_s` a home comes that has tried in vain since it began (s)."""
    tried_s = 0.0
    while tried_s < outage_s:
        tried_s += retry.after(End("refused"))
    return tried_s - outage_s
