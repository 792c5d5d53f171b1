"""One up log: which of its rows exist, are on the disk, on the wire, and held by the aggregator.

Plain state that is told what happened; it reads no clock and touches neither disk nor network.
Numbers (`seq`) start at 1 and have no gap. Two kinds: *packed* logs (`telemetry:<point>`) number their rows
in memory, from blocks reserved on the disk, and write many together; the others (`settlement:<point>`,
`status`, `event`) are numbered by the transaction that writes the row.
"""

from __future__ import annotations

import bisect
import itertools
import struct
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from gateway.daemon.change import Change, Head, Pack, PutHead, PutPack
from gateway.daemon.codec import Unreadable, pack, unpack

PACKED_KINDS = frozenset({"telemetry"})
BUNDLED_KINDS = frozenset({"telemetry", "settlement"})
BLOCK = 64  # numbers reserved ahead of the last one given
BLOCK_LOW = 16  # fewer left: reserve, so that no row waits for the disk
PACK_S = 900  # rows of one quarter-hour share a stored row
TRAILING_S = 120.0  # an ack that lacks a row sent so long before it asks for it again
BACKFILL_ROWS = 60  # of a bundled log in one message
LIVE_MAX = 64  # waiting to be sent as live; more go as backfill
KEPT_MAX = 1440  # rows in memory while the disk fails: a day of minutes; the oldest go first
RANGES_MAX = 64
SENT_MAX = 128

_STAMP = struct.Struct("<Qd")  # seq and time, before each body of a pack


@dataclass(frozen=True, slots=True)
class Row:
    """One numbered row. `at_utc_s` is its moment (the end of a minute)."""

    log: str
    seq: int
    at_utc_s: float
    body: bytes


def rows_in(log: str, stored: Pack) -> list[Row]:
    """The rows of one stored pack.

    Raises:
        Unreadable: the pack is damaged.
    """
    if not is_packed(log):
        return [Row(log, stored.first_seq, stored.at_utc_s, stored.blob)]
    rows = []
    for blob in unpack(stored.blob):
        if len(blob) < _STAMP.size:
            raise Unreadable("pack: a row without its number")
        seq, at_utc_s = _STAMP.unpack_from(blob)
        rows.append(Row(log, seq, at_utc_s, blob[_STAMP.size :]))
    return rows


def is_packed(log: str) -> bool:
    """Whether the log's rows are numbered in memory and written many together."""
    return kind_of(log) in PACKED_KINDS


def is_bundled(log: str) -> bool:
    """Whether many of the log's rows, and those of other points, go in one message."""
    return kind_of(log) in BUNDLED_KINDS


def kind_of(log: str) -> str:
    """`telemetry` of `telemetry:ev`."""
    return log.partition(":")[0]


class Ranges:
    """Numbers as few closed ranges, in order. Beyond `RANGES_MAX` the lowest two are joined: what lies
    between is sent once more, which a receiver of numbered rows does not mind."""

    def __init__(self) -> None:
        self._ranges: list[tuple[int, int]] = []

    def __contains__(self, seq: int) -> bool:
        index = bisect.bisect_right(self._ranges, seq, key=lambda r: r[0]) - 1
        return index >= 0 and seq <= self._ranges[index][1]

    @property
    def first(self) -> tuple[int, int] | None:
        """The lowest range."""
        return self._ranges[0] if self._ranges else None

    def add(self, first: int, last: int) -> None:
        """Add the numbers `first` to `last`; none if `last` is lower."""
        if last < first:
            return
        joined = [r for r in self._ranges if r[1] >= first - 1 and r[0] <= last + 1]
        apart = [r for r in self._ranges if r not in joined]
        low, high = min([first, *(r[0] for r in joined)]), max([last, *(r[1] for r in joined)])
        self._ranges = sorted([*apart, (low, high)])
        if len(self._ranges) > RANGES_MAX:
            (low, _), (_, high) = self._ranges[:2]
            self._ranges[:2] = [(low, high)]

    def drop_through(self, seq: int) -> None:
        """Remove every number up to and including `seq`."""
        self._ranges = [(max(first, seq + 1), last) for first, last in self._ranges if last > seq]


@dataclass(slots=True)
class UpLog:
    """One log. Rows up to `durable` are on the disk (or have left it by age); `kept` are in memory."""

    name: str
    reserved: int = 0
    head: int = 0  # the last number given
    durable: int = 0
    watermark: int = 0  # what the aggregator says it holds
    told_max: int = 0  # the highest that is, or before a crash may have been, on the wire
    lost: range = range(0)
    heads_on_disk: tuple[int, int] = (0, 0)
    live: deque[Row] = field(default_factory=deque)
    todo: Ranges = field(default_factory=Ranges)  # to be sent as backfill
    asked: Ranges = field(default_factory=Ranges)  # and what was asked for again: no ack takes that off
    fetched: dict[int, Row] = field(default_factory=dict)
    _kept: dict[int, Row] = field(default_factory=dict)
    _added_s: dict[int, float] = field(default_factory=dict)  # of those that only memory has
    _flying: set[int] = field(default_factory=set)
    _sent_at: deque[tuple[int, int, float]] = field(default_factory=lambda: deque(maxlen=SENT_MAX))
    _acked: tuple[int, float] | None = None

    @classmethod
    def found(cls, name: str, head: Head) -> UpLog:
        """The log as the disk has it after a stop of any kind."""
        # The rows may have left by age; `sent` and `watermark` are never written above the rows.
        last = max(head.last, head.sent, head.watermark) if is_packed(name) else head.reserved
        log = cls(name, head.reserved, last, last, head.watermark, told_max=head.reserved)
        log.heads_on_disk = (head.sent, head.watermark)
        log.todo.add(max(head.sent, head.watermark) + 1, last)
        log.lost = range(last + 1, head.reserved + 1)
        return log

    # --- rows come in -----------------------------------------------------------------------------------

    def number(self, at_utc_s: float, body: bytes, now_s: float, live: bool) -> int:
        """Give a row its number and queue it; the number."""
        row = Row(self.name, self.head + 1, at_utc_s, body)
        self._kept[row.seq], self._added_s[row.seq] = row, now_s
        self._queue(row, live)
        return row.seq

    def fill(self, rows: Iterable[tuple[float, bytes]], now_s: float) -> int:
        """Number the rows that take the place of lost ones; how many. See `Outbox.fill`."""
        count = len([self.number(at_utc_s, body, now_s, live=False) for at_utc_s, body in rows])
        self.todo.drop_through(self.watermark)
        self.head = self.told_max = max(self.head, self.watermark)  # what is held was given
        self.lost = range(0)
        return count

    def resume_at(self, seq: int) -> None:
        """Every row up to this one is on the disk or held by the aggregator."""
        self.head = self.durable = max(self.head, seq)
        self.lost = range(self.head + 1, self.reserved + 1)

    @property
    def tail(self) -> list[Row]:
        """The rows that only memory has and that the aggregator does not hold yet, in order."""
        return [self._kept[seq] for seq in self._added_s if seq > self.watermark]

    def held(self, first_seq: int) -> list[Row]:
        """The rows in memory from a number on, in order."""
        return [row for seq, row in self._kept.items() if seq >= first_seq]

    def told(self, row: Row, live: bool) -> None:
        """Queue a row that the disk has numbered. One that was skipped is on the disk too: backfill."""
        if row.seq <= self.head:
            return
        self.todo.add(self.head + 1, row.seq - 1)
        self._queue(row, live)
        self.durable = self.reserved = self.head

    def trim(self) -> int:
        """Let the oldest rows go that memory cannot hold; how many that only memory had."""
        before = len(self._added_s)
        for seq in list(itertools.islice(self._kept, max(0, len(self._kept) - KEPT_MAX))):
            del self._kept[seq]
            self._added_s.pop(seq, None)
        return before - len(self._added_s)

    def _queue(self, row: Row, live: bool) -> None:
        self.head = row.seq
        if live:
            self.live.append(row)
            self.make_late(len(self.live) - LIVE_MAX)
        else:
            self.todo.add(row.seq, row.seq)

    def make_late(self, count: int) -> None:
        """Let the oldest live rows go as backfill."""
        for _ in range(count):
            seq = self.live.popleft().seq
            self.todo.add(seq, seq)

    # --- rows go to the disk ----------------------------------------------------------------------------

    @property
    def has_unsaved(self) -> bool:
        """Whether only memory has some of the rows."""
        return bool(self._added_s)

    @property
    def needs_numbers(self) -> bool:
        """Whether the reserved block runs low."""
        return is_packed(self.name) and self.head + BLOCK_LOW > self.reserved

    def unsaved_s(self, now_s: float) -> tuple[float, float]:
        """For how long only memory has had the oldest row, and the oldest unacknowledged one (s)."""
        oldest_s = next(iter(self._added_s.values()), now_s)
        unacknowledged = (at_s for seq, at_s in self._added_s.items() if seq > self.watermark)
        return now_s - oldest_s, now_s - next(unacknowledged, now_s)

    def changes(self) -> Iterator[Change]:
        """Everything of this log that the disk does not have."""
        if self._added_s:
            rows_by_quarter = itertools.groupby(self._kept.values(), key=_quarter)
            yield from (self._pack(list(rows)) for _, rows in rows_by_quarter)
        # Never above the rows written with them: after a crash they must not speak of rows that are lost.
        sent, watermark = self.sent, min(self.watermark, self.head)
        if self._added_s or self.needs_numbers or self.heads_on_disk != (sent, watermark):
            yield PutHead(self.name, self.head + BLOCK * is_packed(self.name), sent, watermark)

    def on_disk(self, durable: int, head: PutHead) -> None:
        """Rows up to `durable`, and this head, are on the disk; rows of a full pack may leave memory."""
        self.durable, self.reserved = max(self.durable, durable), max(self.reserved, head.reserved)
        self.heads_on_disk = (head.sent, head.watermark)
        self._added_s = {seq: at_s for seq, at_s in self._added_s.items() if seq > durable}
        if durable in self._kept:
            is_open = _quarter(self._kept[durable])
            self._kept = {s: r for s, r in self._kept.items() if s > durable or _quarter(r) == is_open}

    def _pack(self, rows: list[Row]) -> PutPack:
        blob = pack(_STAMP.pack(row.seq, row.at_utc_s) + row.body for row in rows)
        return PutPack(self.name, rows[0].seq, rows[-1].seq, rows[-1].at_utc_s, blob)

    # --- rows go out ------------------------------------------------------------------------------------

    @property
    def has_live(self) -> bool:
        """Whether a live row may go on the wire: its number is on the disk."""
        return bool(self.live) and self.live[0].seq <= self.reserved

    @property
    def has_late(self) -> bool:
        """Whether backfill may go on the wire."""
        return self._late.first is not None and self._late.first[0] <= self.reserved

    @property
    def _late(self) -> Ranges:
        return self.todo if self.todo.first else self.asked

    @property
    def sent(self) -> int:
        """Every row up to this one went to the broker, or is gone."""
        waiting = [*self._flying, *(row.seq for row in itertools.islice(self.live, 1))]
        if self.todo.first:
            waiting.append(self.todo.first[0])
        return min(waiting, default=self.head + 1) - 1

    def take_live(self, count: int) -> list[Row]:
        """The oldest live rows, off the queue."""
        rows: list[Row] = []
        while self.has_live and len(rows) < count:
            rows.append(self.live.popleft())
        return self._fly(rows)

    def take_late(self) -> list[Row]:
        """The next backfill that is at hand, without a gap, off the queue. None: see `to_fetch`."""
        late = self._late
        first, last = late.first or (1, 0)
        last = min(last, first + (BACKFILL_ROWS if is_bundled(self.name) else 1) - 1, self.reserved)
        found = (self._kept.get(seq) or self.fetched.get(seq) for seq in range(first, last + 1))
        rows = [row for row in itertools.takewhile(lambda row: row is not None, found) if row]
        if rows:
            late.drop_through(rows[-1].seq)
        return self._fly(rows)

    def to_fetch(self) -> int | None:
        """The first number of backfill that only the disk has. What not even the disk has is passed over."""
        late = self._late
        while late.first and late.first[0] not in self._kept:
            if late.first[0] <= self.durable:
                return late.first[0]
            late.drop_through(late.first[0])
        return None

    def fetch(self, first_seq: int, rows: list[Row]) -> None:
        """What the disk has from `first_seq` on; numbers that are gone are not waited for."""
        self.fetched = {row.seq: row for row in rows if row.seq >= first_seq}
        self._late.drop_through(min([self.durable, *(seq - 1 for seq in self.fetched)]))

    def landed(self, first: int, last: int, sent_utc_s: float | None) -> None:
        """Rows came back from the wire: sent at that time, or (None) to be sent again."""
        self._flying.difference_update(range(first, last + 1))
        if sent_utc_s is None:
            self.todo.add(max(first, self.watermark + 1), last)
            self.asked.add(first, min(last, self.watermark))
        else:
            self._sent_at.append((first, last, sent_utc_s))

    def acknowledge(self, seq: int, at_utc_s: float) -> bool:
        """Take an ack; False if it is above what was sent."""
        if seq > self.told_max:
            return False
        again = self._acked == (seq, at_utc_s)
        self.watermark, self._acked = seq, (seq, at_utc_s)
        self.todo.drop_through(seq)
        while self.live and self.live[0].seq <= seq:
            self.live.popleft()
        if not again and self._is_trailing(seq + 1, at_utc_s):
            self.todo.add(seq + 1, self.live[0].seq - 1 if self.live else self.head)
        return True

    def again(self, first: int, last: int) -> tuple[int, int]:
        """Send numbers again, whoever holds them; the first and last of them that were ever given."""
        first, last = max(1, first), min(last, self.head)
        self.asked.add(first, last)
        return first, last

    def _is_trailing(self, missing: int, at_utc_s: float) -> bool:
        """Whether the first row an ack lacks was sent so long before it that it will not come by itself."""
        waits = missing in self.todo or missing in self._flying or (self.live and self.live[0].seq <= missing)
        if missing > self.head or waits:
            return False
        sent_at = [at for first, last, at in self._sent_at if first <= missing <= last]
        return max(sent_at, default=float("-inf")) < at_utc_s - TRAILING_S  # not remembered: long ago

    def _fly(self, rows: list[Row]) -> list[Row]:
        self._flying.update(row.seq for row in rows)
        self.told_max = max([self.told_max, *(row.seq for row in rows)])
        return rows


def _quarter(row: Row) -> float:
    return row.at_utc_s // PACK_S
