"""No number twice, no row lost: the up logs over any sequence of crashes, acks, losses and outages."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.daemon import uplog
from gateway.daemon.change import AppendRow, Change, Head, Pack, PutHead, PutPack
from gateway.daemon.outbox import Fetch, Outbox, Parcel, Save, commit, load
from gateway.daemon.store import Store
from gateway.daemon.uplog import BLOCK, LIVE_MAX, RANGES_MAX, Ranges, Row, rows_in

STREAM = "ABCDEFGHIJKLMNOP"
LOG = "telemetry:hp"
T0 = 1_800_000_000.0  # on a quarter-hour
MINUTE_S = 60.0
KEPT_MAX = 200  # of a day in the product


class Disk:
    """What SQLite does with the changes, in a few lines: all of a save, or nothing of it."""

    def __init__(self) -> None:
        self.packs: dict[str, dict[int, Pack]] = {}
        self.heads: dict[str, tuple[int, int, int]] = {}
        self.commits = 0

    def apply(self, changes: Iterable[Change]) -> None:
        self.commits += 1
        for change in changes:
            if isinstance(change, PutPack):
                pack = Pack(change.first_seq, change.last_seq, change.at_utc_s, change.blob)
                self.packs.setdefault(change.log, {})[change.first_seq] = pack
            elif isinstance(change, PutHead):
                reserved = max(change.reserved, self.heads.get(change.log, (0, 0, 0))[0])
                self.heads[change.log] = (reserved, change.sent, change.watermark)

    def append(self, log: str, body: bytes) -> int:
        seq = len(self.packs.setdefault(log, {})) + 1
        self.packs[log][seq] = Pack(seq, seq, T0, body)
        self.heads[log] = (seq, *self.heads.get(log, (0, 0, 0))[1:])
        return seq

    def rows(self, log: str, first_seq: int = 0) -> list[Row]:
        packs = sorted(self.packs.get(log, {}).values(), key=lambda p: p.first_seq)
        return [row for pack in packs if pack.last_seq >= first_seq for row in rows_in(log, pack)]

    def found(self) -> dict[str, Head]:
        lasts = {log: max((r.seq for r in self.rows(log)), default=0) for log in self.heads}
        return {log: Head(*head, last=lasts[log]) for log, head in self.heads.items()}


def _take(outbox: Outbox, disk: Disk, now_s: float) -> Parcel | None:
    """What to send, with the reading done."""
    work = outbox.take(now_s)
    while isinstance(work, Fetch):
        outbox.fetched(work, [r for r in disk.rows(work.log) if r.seq >= work.first_seq][:75])
        work = outbox.take(now_s)
    return work


class World:
    """A gateway with its disk, a broker that forgets, and an aggregator that keeps what it gets first.

    Minute n is the n-th of the log; its body is its number, or `-n` where it was filled in as missing.
    """

    def __init__(self) -> None:
        self.now_s = 0.0
        self.minute = 0
        self.disk = Disk()
        self.held: dict[str, dict[int, bytes]] = {LOG: {}, "status": {}}
        self.acked: dict[str, int] = {LOG: 0, "status": 0}
        self.statuses = 0
        self.may_be_missing: set[int] = set()
        self.crash()

    def crash(self) -> None:
        """The power goes and comes back: memory is gone."""
        durable = max((row.seq for row in self.disk.rows(LOG)), default=0)
        for minute in range(durable + 1, self.minute + 1):
            if minute > self.acked[LOG] and self.now_s - minute * MINUTE_S < 120:
                self.may_be_missing.add(minute)
        self.outbox = Outbox(STREAM, self.disk.found())
        assert self.outbox.last(LOG) == durable
        lost = range(durable + 1, self.minute + 1)
        assert set(lost) <= set(self.outbox.lost(LOG))
        self.outbox.fill(LOG, [(T0 + n * MINUTE_S, b"-%d" % n) for n in lost], self.now_s)

    def pass_s(self, seconds: int) -> None:
        """Time goes by in steps of five seconds; minutes end, and the disk does its work."""
        for _ in range(seconds // 5):
            self.now_s += 5
            if self.now_s % MINUTE_S == 0:
                self.minute += 1
                seq = self.outbox.add(LOG, T0 + self.now_s, b"%d" % self.minute, self.now_s)
                assert seq == self.minute
            if save := self.outbox.save(self.now_s):
                self.disk.apply(save.changes)
                self.outbox.saved(save)

    def status(self) -> None:
        """A status is committed and told."""
        self.statuses += 1
        body = b"s%d" % self.statuses
        self.outbox.appended("status", self.disk.append("status", body), T0 + self.now_s, body)

    def send(self, arrives: bool, confirmed: bool) -> None:
        """One message goes; the broker may forget it after its PUBACK, or its PUBACK may be lost."""
        parcel = _take(self.outbox, self.disk, self.now_s)
        if parcel is None:
            return
        if arrives:
            for row in parcel.rows:
                before = self.held[row.log].setdefault(row.seq, row.body)
                assert before.strip(b"-") == row.body.strip(b"-"), "a number twice"
        if confirmed:
            self.outbox.sent(parcel, T0 + self.now_s)
        else:
            self.outbox.failed(parcel)

    def ack(self) -> None:
        """The aggregator says how far it is with every log there is: 0 where nothing has come yet."""
        for log, held in self.held.items():
            if log == "status" and not self.statuses:
                continue
            seq = next(n for n in range(1, len(held) + 2) if n not in held) - 1
            self.outbox.ack(log, STREAM, seq, T0 + self.now_s)
            self.acked[log] = seq

    def settle(self) -> None:
        """Everything works again, for as long as is needed."""
        self.outbox.link(True)
        for _ in range(200):
            self.pass_s(5)
            self.send(arrives=True, confirmed=True)
            self.ack()


ACTIONS = st.one_of(
    st.tuples(st.just("pass_s"), st.sampled_from([5, 30, 60, 120, 600, 1000])),
    st.tuples(st.just("send"), st.booleans(), st.booleans()),
    st.tuples(st.just("send"), st.just(True), st.just(True)),
    st.tuples(st.sampled_from(["crash", "ack", "status"])),
    st.tuples(st.just("link"), st.booleans()),
    st.tuples(st.just("eager"), st.booleans()),
)


def _run(actions: list[tuple[object, ...]]) -> World:
    world = World()
    world.outbox.link(True)
    for verb, *what in actions:
        if verb == "link":
            world.outbox.link(bool(what[0]))
        elif verb == "eager":
            world.outbox.eager = bool(what[0])
        else:
            getattr(world, str(verb))(*what)
    world.settle()
    return world


def _check(actions: list[tuple[object, ...]]) -> None:
    world = _run(actions)
    last = world.minute - 1  # the newest may still be under way
    assert {n for n in range(1, last + 1) if n not in world.held[LOG]} == set()
    missing = {seq for seq, body in world.held[LOG].items() if body.startswith(b"-")}
    assert missing <= world.may_be_missing
    assert world.held["status"] == {n: b"s%d" % n for n in range(1, world.statuses + 1)}
    assert world.outbox.ignored_acks == 0


@given(st.lists(ACTIONS, max_size=40))
@settings(max_examples=150, deadline=None)
def test_every_minute_arrives_once_under_its_own_number_whatever_happens(
    actions: list[tuple[object, ...]],
) -> None:
    _check(actions)


@pytest.mark.long
@given(st.lists(ACTIONS, max_size=200))
@settings(max_examples=3000, deadline=None)
def test_every_minute_arrives_once_also_over_long_histories(actions: list[tuple[object, ...]]) -> None:
    _check(actions)


# --- what is written when -------------------------------------------------------------------------------


def _online() -> tuple[Outbox, Disk]:
    outbox, disk = Outbox(STREAM, {}), Disk()
    outbox.link(True)
    return outbox, disk


def _save(outbox: Outbox, disk: Disk, now_s: float) -> Save | None:
    if save := outbox.save(now_s):
        disk.apply(save.changes)
        outbox.saved(save)
    return save


def _minutes(outbox: Outbox, disk: Disk, numbers: Iterable[int], acked: bool = True) -> None:
    """Minutes end, are sent, and acknowledged; `now_s` is that of their end."""
    for n in numbers:
        outbox.add(LOG, T0 + n * MINUTE_S, b"%d" % n, n * MINUTE_S)
        _save(outbox, disk, n * MINUTE_S)
        if parcel := _take(outbox, disk, n * MINUTE_S):
            outbox.sent(parcel, T0 + n * MINUTE_S)
        if acked:
            outbox.ack(LOG, STREAM, n, T0 + n * MINUTE_S + 1)


def test_while_acks_arrive_the_disk_is_touched_once_in_fifteen_minutes() -> None:
    outbox, disk = _online()
    _minutes(outbox, disk, range(1, 1 + 24 * 60))
    assert 24 * 4 <= disk.commits <= 24 * 4 + 2
    # One stored row a quarter-hour, but for the first that was written at once for its number.
    assert len(disk.packs[LOG]) <= 24 * 4 + 2


def test_a_number_is_on_the_disk_before_it_is_on_the_wire() -> None:
    outbox, disk = _online()
    outbox.add(LOG, T0, b"1", 0.0)
    assert outbox.take(0.0) is None
    save = outbox.save(0.0)
    assert save
    assert outbox.take(0.0) is None
    disk.apply(save.changes)
    outbox.saved(save)
    assert outbox.take(0.0) == Parcel((Row(LOG, 1, T0, b"1"),), backfill=False)
    assert disk.heads[LOG][0] == 1 + BLOCK


def test_an_unacknowledged_minute_is_written_within_two_minutes() -> None:
    outbox, disk = _online()
    _minutes(outbox, disk, range(1, 10))
    _minutes(outbox, disk, [10], acked=False)
    assert _save(outbox, disk, 10 * MINUTE_S + 100) is None
    assert _save(outbox, disk, 10 * MINUTE_S + 119) is not None
    assert disk.rows(LOG)[-1].seq == 10


def test_a_row_that_comes_while_a_commit_runs_is_in_the_next_one() -> None:
    outbox, disk = _online()
    outbox.link(False)
    outbox.add(LOG, T0, b"1", 0.0)
    save = outbox.save(0.0)
    assert save
    disk.apply(save.changes)
    outbox.add(LOG, T0 + 60, b"2", 60.0)
    assert outbox.save(60.0) is None
    outbox.saved(save)
    assert _save(outbox, disk, 60.0) is not None
    assert [row.seq for row in disk.rows(LOG)] == [1, 2]


@pytest.mark.parametrize("why", ["link lost", "instruction", "signal"])
def test_minutes_are_written_at_once_when_they_may_be_needed_soon(why: str) -> None:
    outbox, disk = _online()
    _minutes(outbox, disk, range(1, 4))
    assert _save(outbox, disk, 181.0) is None
    if why == "link lost":
        outbox.link(False)
    elif why == "signal":
        outbox.flush()
    else:
        outbox.eager = True
    assert _save(outbox, disk, 182.0) is not None
    assert [row.seq for row in disk.rows(LOG)][-1] == 3


def test_a_disk_that_fails_is_tried_again_and_memory_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uplog, "KEPT_MAX", KEPT_MAX)
    outbox, disk = _online()
    _minutes(outbox, disk, [1])
    outbox.link(False)
    for n in range(2, KEPT_MAX + 102):
        outbox.add(LOG, T0 + n * MINUTE_S, b"%d" % n, n * MINUTE_S)
        if outbox.save(n * MINUTE_S):
            outbox.not_saved(n * MINUTE_S)
            assert outbox.save(n * MINUTE_S + 29) is None
    assert outbox.dropped_rows == 100
    assert _save(outbox, disk, 1e6) is not None
    assert [r.seq for r in disk.rows(LOG)] == [1, *range(102, KEPT_MAX + 102)]


# --- what is sent when ----------------------------------------------------------------------------------


def test_live_goes_first_and_backfill_at_five_messages_a_second() -> None:
    outbox, disk = _online()
    outbox.link(False)
    _minutes(outbox, disk, range(1, 200), acked=False)
    outbox.link(True)
    outbox.add(LOG, T0 + 200 * MINUTE_S, b"live", 12_000.0)
    _save(outbox, disk, 12_000.0)
    live = _take(outbox, disk, 12_000.0)
    assert live
    assert [(r.seq, live.backfill) for r in live.rows] == [(200, False)]
    first = _take(outbox, disk, 12_000.0)
    assert first
    assert first.backfill
    assert _take(outbox, disk, 12_000.1) is None
    assert outbox.wait_s(12_000.1) == pytest.approx(0.1)
    sent, now_s = len(first.rows), 12_000.0
    while parcel := _take(outbox, disk, now_s := now_s + 0.2):
        sent += len(parcel.rows)
    assert sent == 199
    assert outbox.wait_s(now_s) == math.inf


def test_one_message_carries_the_minutes_of_all_points_but_one_status() -> None:
    outbox, disk = _online()
    for log in ("telemetry:hp", "telemetry:boundary"):
        outbox.add(log, T0, b"", 0.0)
    for n in (1, 2):
        outbox.appended("status", n, T0, b"")
    _save(outbox, disk, 0.0)
    taken = [_take(outbox, disk, 0.0) for _ in range(4)]
    found = [[(r.log, r.seq) for r in parcel.rows] if parcel else None for parcel in taken]
    assert found == [
        [("status", 1)], [("status", 2)], [("telemetry:hp", 1), ("telemetry:boundary", 1)], None
    ]  # fmt: skip


def test_a_status_told_out_of_order_is_not_passed_over() -> None:
    outbox, disk = _online()
    for body in (b"1", b"2", b"3"):
        disk.append("status", body)
    outbox.appended("status", 3, T0, b"3")
    outbox.appended("status", 1, T0, b"1")
    taken = [_take(outbox, disk, n * 0.2) for n in range(4)]
    assert [parcel.rows[0].seq if parcel else None for parcel in taken] == [3, 1, 2, None]


def test_more_live_rows_than_memory_wants_go_as_backfill() -> None:
    outbox, _ = _online()
    for n in range(1, LIVE_MAX + 11):
        outbox.appended("status", n, T0, b"")
    taken = [outbox.take(0.0) for _ in range(LIVE_MAX)]
    assert [p.rows[0].seq for p in taken if isinstance(p, Parcel)] == list(range(11, LIVE_MAX + 11))
    assert outbox.take(0.0) == Fetch("status", 1)


def test_a_message_that_may_not_have_arrived_goes_again_as_backfill() -> None:
    outbox, disk = _online()
    outbox.add(LOG, T0, b"1", 0.0)
    _save(outbox, disk, 0.0)
    first = _take(outbox, disk, 0.0)
    assert first
    outbox.failed(first)
    assert _take(outbox, disk, 1.0) == Parcel(first.rows, backfill=True)


def test_rows_the_disk_no_longer_has_are_not_waited_for() -> None:
    outbox = Outbox(STREAM, {LOG: Head(reserved=100, sent=10, watermark=10, last=100)})
    outbox.link(True)
    assert outbox.take(0.0) == Fetch(LOG, 11)
    outbox.fetched(Fetch(LOG, 11), [Row(LOG, n, T0, b"") for n in range(90, 101)])
    parcel = outbox.take(0.0)
    assert isinstance(parcel, Parcel)
    assert [row.seq for row in parcel.rows] == list(range(90, 101))
    outbox.fetched(Fetch(LOG, 11), [])
    assert outbox.take(1.0) is None


# --- what acks do ---------------------------------------------------------------------------------------


def test_an_ack_that_trails_by_more_than_two_minutes_is_answered_once() -> None:
    outbox, disk = _online()
    _minutes(outbox, disk, range(1, 11), acked=False)
    at_utc_s = T0 + 10 * MINUTE_S
    outbox.ack(LOG, STREAM, 7, at_utc_s)  # row 8 was sent exactly 120 s before
    assert _take(outbox, disk, 700.0) is None
    for _ in range(2):
        outbox.ack(LOG, STREAM, 7, at_utc_s + 1)
        again = _take(outbox, disk, 701.0)
        if again:
            outbox.sent(again, at_utc_s + 2)
            assert ([r.seq for r in again.rows], again.backfill) == ([8, 9, 10], True)
    assert _take(outbox, disk, 702.0) is None
    outbox.ack(LOG, STREAM, 7, at_utc_s + 100)  # they were sent again 98 s before
    assert _take(outbox, disk, 703.0) is None
    outbox.ack(LOG, STREAM, 7, at_utc_s + 200)
    assert _take(outbox, disk, 704.0) is not None


def test_an_ack_stops_what_waits_to_be_sent() -> None:
    outbox = Outbox(STREAM, {LOG: Head(reserved=100, last=100)})
    outbox.link(True)
    outbox.ack(LOG, STREAM, 98, T0)
    assert outbox.take(0.0) == Fetch(LOG, 99)


def test_an_ack_of_another_stream_an_unknown_log_or_beyond_what_was_sent_is_ignored() -> None:
    outbox, disk = _online()
    _minutes(outbox, disk, range(1, 6), acked=False)
    outbox.ack(LOG, "ANOTHERSTREAMXXX", 3, T0 + 1e6)
    outbox.ack("telemetry:ev", STREAM, 0, T0)
    outbox.ack(LOG, STREAM, 6, T0 + 1e6)
    assert outbox.ignored_acks == 3
    assert _take(outbox, disk, 400.0) is None


def test_an_ack_after_a_crash_may_name_rows_that_only_the_aggregator_has() -> None:
    outbox = Outbox(STREAM, {LOG: Head(reserved=64, sent=10, watermark=10, last=10)})
    outbox.link(True)
    outbox.ack(LOG, STREAM, 14, T0)
    assert outbox.fill(LOG, [(T0, b"-%d" % n) for n in range(11, 17)], 0.0) == range(11, 17)
    parcel = outbox.take(0.0)
    assert isinstance(parcel, Parcel)
    assert [row.seq for row in parcel.rows] == [15, 16]
    assert outbox.ignored_acks == 0


def test_lost_numbers_must_be_filled_before_new_ones_are_given() -> None:
    outbox = Outbox(STREAM, {LOG: Head(reserved=64, sent=10, watermark=10, last=10)})
    assert outbox.lost(LOG) == range(11, 65)
    with pytest.raises(ValueError, match="fill them first"):
        outbox.add(LOG, T0, b"", 0.0)
    outbox.fill(LOG, [], 0.0)
    assert outbox.add(LOG, T0, b"", 0.0) == 11


# --- parts ----------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 60), st.integers(0, 10)), max_size=30))
def test_ranges_are_a_set_of_numbers(steps: list[tuple[bool, int, int]]) -> None:
    ranges, oracle = Ranges(), set[int]()
    for adds, first, length in steps:
        if adds:
            ranges.add(first, first + length - 1)
            oracle |= set(range(first, first + length))
        else:
            ranges.drop_through(first)
            oracle = {n for n in oracle if n > first}
        assert {n for n in range(80) if n in ranges} == oracle
        assert (ranges.first[0] if ranges.first else None) == min(oracle, default=None)


def test_ranges_stay_few() -> None:
    ranges = Ranges()
    for n in range(0, 10 * RANGES_MAX, 2):
        ranges.add(n, n)
    count = 0
    while ranges.first:
        count += 1
        ranges.drop_through(ranges.first[1])
    assert count == RANGES_MAX


async def test_with_a_real_store_an_outage_is_sent_later_from_the_disk(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "store.db") as store:
        outbox = Outbox(store.saved.stream, store.saved.heads)
        for n in range(1, 201):
            outbox.add(LOG, T0 + n * MINUTE_S, b"%d" % n, n * MINUTE_S)
            await commit(outbox, store, n * MINUTE_S)
        (seq,) = await store.submit(AppendRow("status", T0, b"done"))
        outbox.appended("status", seq, T0, b"done")
    async with Store.open(tmp_path / "store.db") as store:
        outbox = Outbox(store.saved.stream, store.saved.heads)
        outbox.link(True)
        bodies: dict[str, list[bytes]] = {}
        for n in range(20):
            while isinstance(work := outbox.take(n * 0.2), Fetch):
                await load(outbox, store, work, n * 0.2)
            for row in work.rows if work else ():
                bodies.setdefault(row.log, []).append(row.body)
        assert bodies == {LOG: [b"%d" % n for n in range(1, 201)], "status": [b"done"]}


async def test_a_commit_that_is_cancelled_is_made_again(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "store.db") as store:
        outbox = Outbox(store.saved.stream, store.saved.heads)
        outbox.add(LOG, T0, b"1", 0.0)
        task = asyncio.create_task(commit(outbox, store, 0.0))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await commit(outbox, store, 60.0)
        assert [p.first_seq for p in await store.rows(LOG, 1)] == [1]
        assert outbox.save(61.0) is None
