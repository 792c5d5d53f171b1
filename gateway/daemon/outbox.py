"""All up logs of a store: what to commit, what to send next, and what acks and failures mean for it.

Plain state that is told the time and what happened; it reads no clock and touches neither disk nor
network. The two functions at the end carry its answers to the store and back.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from gateway.daemon.change import Change, Head, PutHead, StorageError
from gateway.daemon.codec import Unreadable
from gateway.daemon.store import Store
from gateway.daemon.uplog import Row, UpLog, is_bundled, kind_of, rows_in

WAIT_MAX_S = 900.0  # a row waits in memory at most a quarter-hour
UNACKNOWLEDGED_MAX_S = 115.0  # promise 4 says 120: the rest is for the commit
HEADS_MAX_S = 900.0  # what was sent and acknowledged is written at least so often
RETRY_S = 30.0  # after a failed commit or read
BACKFILL_EVERY_S = 0.2  # at most 5 messages a second
LIVE_ROWS = 256  # in one message
FETCH_PACKS = 8  # two hours: two messages of minutes


@dataclass(frozen=True, slots=True)
class Parcel:
    """What goes in one message: one row of `status` or `event`, or rows of all points, by log.
    Give it back with `sent` or `failed`."""

    rows: tuple[Row, ...]
    backfill: bool


@dataclass(frozen=True, slots=True)
class Fetch:
    """Rows to read from the store before the backfill can go on; see `load`."""

    log: str
    first_seq: int


@dataclass(frozen=True, slots=True)
class Save:
    """What to commit now; see `commit`. `durable` is how far each log's rows are then on the disk."""

    changes: tuple[Change, ...]
    durable: Mapping[str, int]


class Outbox:
    """All up logs of one stream."""

    def __init__(self, stream: str, heads: Mapping[str, Head]) -> None:
        self.stream = stream
        self.eager = False
        """While true (an instruction runs) rows go to the disk as they come."""
        self.bundle = True
        """While true the minutes of all points go in one message, else each point's in its own."""
        self.ignored_acks = 0
        self.dropped_rows = 0
        """Rows that were never saved because the disk failed for longer than memory can hold."""
        self.unreadable_packs = 0
        self._logs = {name: UpLog.found(name, head) for name, head in heads.items()}
        self._online = False
        self._flush = False
        self._saving = False
        self._retry_s = float("-inf")
        self._heads_s = float("-inf")
        self._backfill_s = float("-inf")

    # --- rows come in -----------------------------------------------------------------------------------

    def lost(self, log: str) -> range:
        """Numbers of a packed log that were reserved before the start and may have been on the wire,
        though the disk has no row for them."""
        return self._log(log).lost

    def last(self, log: str) -> int:
        """The last number given; after the start, of the last row on the disk."""
        return self._log(log).head

    def resume_at(self, log: str, seq: int) -> None:
        """After the start: every row up to this one is on the disk or held by the aggregator, whatever
        the heads on the disk say."""
        self._log(log).resume_at(seq)

    def tail(self, log: str) -> list[Row]:
        """The rows of a packed log that would be lost in a crash now, in order."""
        return self._log(log).tail

    def fill(self, log: str, rows: Iterable[tuple[float, bytes]], now_s: float) -> range:
        """Give one row (time, body) for each minute that ended since the last row on the disk, in order of
        time; maybe none.

        They take the lost numbers in order, so a minute that was sent before a crash gets the number it
        had, and a lost number beyond them was never on the wire: a number is given when its minute has
        ended. This holds as long as a change of the grid is flushed before the next minute ends.
        The answer is the numbers given, in order.
        """
        found = self._log(log)
        first = found.head + 1
        count = found.fill(rows, now_s)
        self.dropped_rows += found.trim()
        return range(first, first + count)

    def add(self, log: str, at_utc_s: float, body: bytes, now_s: float) -> int:
        """Number a row of a packed log and queue it; its `seq`.

        Raises:
            ValueError: the log has lost numbers; fill them first.
        """
        found = self._log(log)
        if found.lost:
            raise ValueError(f"{log}: the numbers {found.lost} were lost, fill them first")
        seq = found.number(at_utc_s, body, now_s, live=self._online)
        self.dropped_rows += found.trim()
        return seq

    def appended(self, log: str, seq: int, at_utc_s: float, body: bytes) -> None:
        """Queue a row that the store has numbered and committed (`AppendRow`)."""
        self._log(log).told(Row(log, seq, at_utc_s, body), self._online)

    def held(self, log: str, first_seq: int) -> list[Row]:
        """The rows in memory from a number on, in order: those the disk has not, and some that it has."""
        return self._logs[log].held(first_seq) if log in self._logs else []

    def watermark(self, log: str) -> int:
        """Up to which number the aggregator says it holds a log."""
        return self._logs[log].watermark if log in self._logs else 0

    def _log(self, name: str) -> UpLog:
        return self._logs.setdefault(name, UpLog(name))

    @property
    def unsent(self) -> int:
        """Rows that no broker has acknowledged yet."""
        return sum(log.head - log.sent for log in self._logs.values())

    # --- rows go to the disk ----------------------------------------------------------------------------

    def flush(self) -> None:
        """Let the next `save` write everything: at a signal, after a clock step or a change of offset."""
        self._flush = True

    def save(self, now_s: float) -> Save | None:
        """What must be committed now, if anything. Ask once a second and after `add`; one at a time."""
        if self._saving or now_s < self._retry_s or not self._is_due(now_s):
            return None
        self._flush, self._heads_s = False, now_s
        changes = tuple(change for log in self._logs.values() for change in log.changes())
        self._saving = bool(changes)
        return Save(changes, {name: log.head for name, log in self._logs.items()}) if changes else None

    def saved(self, save: Save) -> None:
        """It is on the disk."""
        self._saving = False
        for change in save.changes:
            if isinstance(change, PutHead):
                self._logs[change.log].on_disk(save.durable[change.log], change)

    def not_saved(self, now_s: float) -> None:
        """The disk failed: the rows wait in memory and are tried again later."""
        self._saving = False
        self._retry_s = now_s + RETRY_S

    def _is_due(self, now_s: float) -> bool:
        at_once = self._flush or self.eager or not self._online
        return (
            (at_once and any(log.has_unsaved for log in self._logs.values()))
            or self._flush
            or now_s - self._heads_s >= HEADS_MAX_S
            or any(log.needs_numbers or _has_waited(log, now_s) for log in self._logs.values())
        )

    # --- rows go out ------------------------------------------------------------------------------------

    def link(self, online: bool) -> None:
        """The broker is reached, or no longer: then what was not sent goes later, as backfill."""
        self._online = online
        if not online:
            for log in self._logs.values():
                log.make_late(len(log.live))

    def take(self, now_s: float) -> Parcel | Fetch | None:
        """The next message to send, live rows first; or what to read before; or nothing for now."""
        if not self._online:
            return None
        return self._live() or self._backfill(now_s)

    def wait_s(self, now_s: float) -> float:
        """How long until `take` has something though nothing new happens; inf if nothing waits."""
        if self._online and any(log.has_live for log in self._logs.values()):
            return 0.0
        if self._online and any(log.has_late for log in self._logs.values()):
            return max(0.0, self._backfill_s - now_s)
        return float("inf")

    def fetched(self, fetch: Fetch, rows: list[Row]) -> None:
        """What the store has of the log from `first_seq` on; numbers that are gone are not waited for."""
        self._logs[fetch.log].fetch(fetch.first_seq, rows)

    def not_fetched(self, now_s: float) -> None:
        """The store cannot be read: the backfill waits."""
        self._backfill_s = now_s + RETRY_S

    def sent(self, parcel: Parcel, at_utc_s: float) -> None:
        """The broker acknowledged the message with success."""
        self._landed(parcel, at_utc_s)

    def failed(self, parcel: Parcel) -> None:
        """The message may not have arrived: its rows go again, as backfill."""
        self._landed(parcel, None)

    def ack(self, log: str, stream: str, seq: int, at_utc_s: float) -> None:
        """The aggregator says it holds a log up to `seq`, without a gap.

        That stops re-sending, and starts it where the first row it lacks was sent more than 120 s before.
        An ack of another stream, or above what was sent, is ignored and counted.
        """
        known = self._logs.get(log)
        if known is None or stream != self.stream or not known.acknowledge(seq, at_utc_s):
            self.ignored_acks += 1

    def again(self, log: str, first: int, last: int) -> tuple[int, int] | None:
        """Send rows of a log again, as backfill; the numbers that this comes to, None: there is no such log.
        What has left the disk is passed over."""
        known = self._logs.get(log)
        return known.again(first, last) if known else None

    def _landed(self, parcel: Parcel, sent_utc_s: float | None) -> None:
        for name, rows in itertools.groupby(parcel.rows, key=lambda row: row.log):
            seqs = [row.seq for row in rows]
            self._logs[name].landed(seqs[0], seqs[-1], sent_utc_s)

    def _live(self) -> Parcel | None:
        """One status or event, else every minute or half-hour that waits."""
        ready = [log for log in self._logs.values() if log.has_live]
        for log in ready:
            if not is_bundled(log.name):
                return Parcel(tuple(log.take_live(1)), backfill=False)
        together = [log for log in ready if kind_of(log.name) == kind_of(ready[0].name)]
        if not self.bundle and together and kind_of(together[0].name) == "telemetry":
            del together[1:]
        rows = tuple(_bundle(together))
        return Parcel(rows, backfill=False) if rows else None

    def _backfill(self, now_s: float) -> Parcel | Fetch | None:
        if now_s < self._backfill_s:
            return None
        for log in self._logs.values():
            missing = log.to_fetch() if log.has_late else None
            rows = log.take_late()
            if rows:
                self._backfill_s = now_s + BACKFILL_EVERY_S
                return Parcel(tuple(rows), backfill=True)
            if missing is not None:
                return Fetch(log.name, missing)
        return None


def _has_waited(log: UpLog, now_s: float) -> bool:
    """Whether a row has been in memory only for as long as it may be."""
    unsaved_s, unacknowledged_s = log.unsaved_s(now_s)
    return unsaved_s >= WAIT_MAX_S or unacknowledged_s >= UNACKNOWLEDGED_MAX_S


def _bundle(logs: Iterable[UpLog]) -> Iterator[Row]:
    room = LIVE_ROWS
    for log in logs:
        rows = log.take_live(room)
        room -= len(rows)
        yield from rows


# --- to the store and back ------------------------------------------------------------------------------


async def commit(
    outbox: Outbox, store: Store, now_s: float, also: Callable[[], Iterable[Change]] = tuple
) -> None:
    """Commit what is due, if anything, with what must be of the same moment (`also`: the meters' state).

    A disk that fails is tried again later.
    """
    save = outbox.save(now_s)
    if save is None:
        return
    try:
        await store.submit(*save.changes, *also())
    except StorageError:
        outbox.not_saved(now_s)
    except asyncio.CancelledError:
        outbox.not_saved(now_s)  # it may be on the disk all the same: written again it is no other
        raise
    else:
        outbox.saved(save)


async def load(outbox: Outbox, store: Store, fetch: Fetch, now_s: float) -> None:
    """Read what a backfill needs; a pack that is damaged is passed over and counted."""
    try:
        stored = await store.rows(fetch.log, fetch.first_seq, FETCH_PACKS)
    except StorageError:
        outbox.not_fetched(now_s)
        return
    rows: list[Row] = []
    for found in stored:
        try:
            rows += rows_in(fetch.log, found)
        except Unreadable:
            outbox.unreadable_packs += 1
    outbox.fetched(fetch, rows)
