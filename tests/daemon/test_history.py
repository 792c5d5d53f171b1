"""The past of a log, from a real disk and from memory: each row once, found by time without a scan."""

from __future__ import annotations

import asyncio
import bisect
import itertools
import json
import math
import random
import sqlite3
import time
import tracemalloc
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.console.answers import Question
from gateway.core.model import Governor
from gateway.daemon import outbox as outboxes
from gateway.daemon.change import AppendRow, DropEvidence, DropRows, PutEvidence, StorageError
from gateway.daemon.evidence_table import KEPT_MAX, READ_MAX
from gateway.daemon.history import History
from gateway.daemon.outbox import Outbox
from gateway.daemon.row_search import first_since
from gateway.daemon.store import Store
from gateway.record import answer
from gateway.wire.message import encode
from gateway.wire.readings import DataQuality, MinuteReading, Source

LOG = "telemetry:ev"
UTC_S = 1_795_453_237.0
DAY_MIN = 1440
TURN_MAX_S = 0.05
PEAK_MAX_BYTES = 2_000_000
LINE_MAX_BYTES = 96 * 1024
LONDON = ZoneInfo("Europe/London")


def body(minute: int) -> bytes:
    end_utc_s = UTC_S + 60.0 * minute
    return encode(
        MinuteReading(
            seq=0,
            start_utc_s=end_utc_s - 60,
            end_utc_s=end_utc_s,
            power_w=1000 + minute % 7000,
            energy_ws=60_000,
            import_register_ws=4.2e9 + 60_000 * minute,
            export_register_ws=None,
            last_w=1383,
            last_utc_s=end_utc_s - 3,
            source=Source.METER,
            quality=DataQuality.OK,
            coverage=1.0,
            governed_by=Governor.DISPATCH if minute % 90 < 30 else Governor.NONE,
            dispatch_ids=("0193b3f0-5c1e-7cc0-9a51-1f0f6b3c2a10",) if minute % 90 < 30 else (),
        )
    )


async def metered(store: Store, minutes: int, in_memory: int = 0) -> Outbox:
    """An outbox that has told so many minutes, of which the last ones only memory has."""
    box = Outbox(store.saved.stream, {})
    box.link(True)
    for minute in range(1, minutes + 1):
        box.add(LOG, UTC_S + 60.0 * minute, body(minute), 0.0)
        if minute % 700 == 0 or minute == minutes - in_memory:
            box.flush()
            await outboxes.commit(box, store, 0.0)
    return box


async def read(history: History, log: str, seq: int) -> list[int]:
    """The numbers of all rows from one on, page by page."""
    seqs: list[int] = []
    after: int | None = seq - 1
    while after is not None:
        page = await history.page(log, after + 1)
        assert len(page.rows) <= 128
        seqs += [row.seq for row in page.rows]
        after = page.more_after
    return seqs


@pytest.mark.parametrize(
    ("minutes", "in_memory"), [(1, 0), (1, 1), (40, 25), (1000, 7), (1000, 0), (1300, 600)]
)
async def test_rows_of_disk_and_memory_come_each_once_and_in_order(
    tmp_path: Path, minutes: int, in_memory: int
) -> None:
    async with Store.open(tmp_path / "store.db") as store:
        history = History(store, await metered(store, minutes, in_memory))
        for first in {1, minutes // 2 + 1, minutes}:
            assert await read(history, LOG, first) == list(range(first, minutes + 1))
        assert await read(history, "telemetry:none", 1) == []


async def test_a_time_is_found_as_a_scan_would_find_it(tmp_path: Path) -> None:
    """Rows at random times with gaps; the oracle is a list."""
    chance = random.Random(7)
    times = sorted(chance.uniform(0, 10_000) for _ in range(300))
    async with Store.open(tmp_path / "store.db") as store:
        assert await store.seek("event", 5.0) == 1
        await store.submit(*(AppendRow("event", at, b"x") for at in times))
        await store.submit(AppendRow("status", 3.0, b"y"))  # of a neighbour in the same table
        await store.submit(DropRows("event", times[20]))
        kept = times[20:]
        for at in [-1.0, 0.0, *(chance.uniform(0, 10_000) for _ in range(300)), *kept[::9], 99_999.0]:
            rows = await store.rows("event", await store.seek("event", at), 1)
            index = bisect.bisect_left(kept, at)
            assert [row.at_utc_s for row in rows] == kept[index : index + 1]


@given(
    st.lists(st.tuples(st.integers(1, 20), st.integers(0, 5)), min_size=1, max_size=300), st.integers(-2, 900)
)
def test_a_search_looks_at_about_as_many_rows_as_the_logarithm(
    gaps: list[tuple[int, int]], utc_s: int
) -> None:
    """Packs of any size, some at the same time; the oracle is a list."""
    seqs = list(itertools.accumulate(gap for gap, _ in gaps))
    times = [float(at) for at in itertools.accumulate(after for _, after in gaps)]
    looks = 0

    def row_from(seq: int) -> tuple[int, float]:
        nonlocal looks
        looks += 1
        index = bisect.bisect_left(seqs, seq)
        return seqs[index], times[index]

    found = first_since(seqs[0], seqs[-1], row_from, utc_s)
    assert bisect.bisect_left(seqs, found) == bisect.bisect_left(times, utc_s)
    assert looks <= math.log2(seqs[-1] - seqs[0] + 1) + 1


async def test_a_damaged_pack_is_passed_over_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with Store.open(path) as store:
        await metered(store, 400)
    with closing(sqlite3.connect(path)) as database, database:
        found = "select min(first_seq) from row where first_seq > 30"
        database.execute(f"update row set blob = x'00' where first_seq = ({found})")
    async with Store.open(path) as store:
        history = History(store, Outbox("s", store.saved.heads))
        page = await history.page(LOG, 1)
        assert page.unreadable == 1
        seqs = await read(history, LOG, 1)
        lost = sorted(set(range(1, 401)) - set(seqs))
        assert len(lost) == 15
        assert lost == list(range(lost[0], lost[0] + 15))


async def test_minutes_are_those_of_the_time_asked_for_edges_included(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "store.db") as store:
        history = History(store, await metered(store, 600, 20))
        question: Question = {
            "ask": "meter",
            "point": "ev",
            "since": "2026-11-23T18:00:37+00:00",  # the end of minute 60
            "until": "2026-11-23T22:00:00",  # inside minute 300
        }
        told: list[int] = []
        while True:
            page = await answer(question, history, (LOG,), LONDON, UTC_S)
            assert "minutes" in page
            told += [minute["seq"] for minute in page["minutes"]]
            if page["more_after"] is None:
                break
            question = {**question, "after": page["more_after"]}
        assert told == list(range(61, 301))


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"point": "kettle"}, "no point 'kettle'; there are ev"),
        ({"point": "ev", "since": "soon"}, "'soon' is no time; 24h or 45d (ago), 2026-11-01"),
        ({"point": "ev", "since": ["24h"]}, "is no time"),
        ({"point": "ev", "since": "1h", "until": "2h"}, "--since is not before --until"),
        ({"point": "ev", "after": -1}, "-1 is no number of a row"),
        ({"point": "ev", "after": True}, "True is no number of a row"),
    ],
)
async def test_what_makes_no_sense_is_answered_with_what_would(
    tmp_path: Path, asked: dict[str, object], told: str
) -> None:
    async with Store.open(tmp_path / "store.db") as store:
        history = History(store, await metered(store, 3))
        question: Question = {"ask": "meter", **asked}  # type: ignore[typeddict-item]
        said = await answer(question, history, (LOG,), LONDON, UTC_S + 180)
        assert told in said["error"]  # type: ignore[typeddict-item]


async def test_points_tell_how_far_they_go_back_and_what_the_aggregator_holds(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "store.db") as store:
        box = await metered(store, 100, 3)
        box.sent(box.take(0.0), UTC_S)  # type: ignore[arg-type]
        history = History(store, box)
        said = await answer({"ask": "meter"}, history, ("telemetry:boundary", LOG), LONDON, UTC_S)
        boundary, ev = said["points"]  # type: ignore[typeddict-item]
        assert (boundary["point"], boundary["since"], boundary["last"]) == ("boundary", None, None)
        assert (ev["point"], ev["last"]["seq"], ev["not_held"]) == ("ev", 100, 100)
        assert ev["last"]["end"] == "2026-11-23T18:40:37+00:00"


async def test_a_disk_that_cannot_be_read_is_an_answer(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "store.db") as store:
        history = History(store, await metered(store, 3))
    with pytest.raises(StorageError):
        await history.page(LOG, 1)
    said = await answer({"ask": "meter", "point": "ev"}, history, (LOG,), LONDON, UTC_S)
    assert said == {"error": "the minutes cannot be read: the store is closed"}


async def test_a_question_that_no_table_can_be_asked_ends_no_writer(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "store.db") as store:
        history = History(store, await metered(store, 3))
        for odd in ("\ud800", "ev\0", "\U0010ffff" * 200):
            said = await answer({"ask": "meter", "point": odd, "after": 1}, history, (LOG,), LONDON, UTC_S)
            assert said.get("error") or said.get("minutes") == []
            with suppress(StorageError):
                assert await store.evidence(odd) == []
        with pytest.raises(StorageError):
            await store.rows(LOG, 2**70)
        assert await read(history, LOG, 1) == [1, 2, 3]


# --- a long export ----------------------------------------------------------------------------------------


class Turns:
    """The longest turn of the loop, in the processor's time of its thread, whoever else uses the machine."""

    def __init__(self) -> None:
        self.longest_s = 0.0

    async def watch(self) -> None:
        """Until cancelled."""
        at_s = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now_s = time.thread_time()
            self.longest_s, at_s = max(self.longest_s, now_s - at_s), now_s


async def exported(history: History) -> int:
    """All minutes, asked for as the command does and answered as the socket does; how many."""
    question: Question = {"ask": "meter", "point": "ev", "since": "2026-01-01"}
    count = 0
    while True:
        page = await answer(question, history, (LOG,), LONDON, UTC_S)
        assert "minutes" in page
        assert len(json.dumps(page)) < LINE_MAX_BYTES
        count += len(page["minutes"])
        if page["more_after"] is None:
            return count
        question = {**question, "after": page["more_after"]}


async def _holds_up_nothing(folder: Path, days: int) -> None:
    async with Store.open(folder / "store.db") as store:
        history, turns = History(store, await metered(store, days * DAY_MIN, 5)), Turns()
        watching = asyncio.create_task(turns.watch())
        assert await exported(history) == days * DAY_MIN
        watching.cancel()
        assert turns.longest_s < TURN_MAX_S
        tracemalloc.start()
        await exported(history)
        peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak_bytes < PEAK_MAX_BYTES


async def test_an_export_holds_up_neither_the_loop_nor_memory(tmp_path: Path) -> None:
    await _holds_up_nothing(tmp_path, days=2)


@pytest.mark.long
@pytest.mark.timeout(400)
async def test_an_export_of_45_days_holds_up_neither_the_loop_nor_memory(tmp_path: Path) -> None:
    await _holds_up_nothing(tmp_path, days=45)


# --- instructions that ended ------------------------------------------------------------------------------


async def ids(store: Store, begin: str) -> Sequence[str]:
    return [id_ for id_, _ in await store.evidence(begin)]


async def test_an_ended_instruction_is_found_by_how_its_id_begins(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "store.db") as store:
        for id_ in ("0193a", "0193b", "0193", "zebra", "a%b", "a_b"):
            await store.submit(PutEvidence(id_, 1.0, id_.encode()))
        await store.submit(PutEvidence("zebra", 2.0, b"newer"))
        assert await store.evidence("ze") == [("zebra", b"newer")]
        assert (await ids(store, "0193"))[0] == "0193"
        assert set(await ids(store, "0193")) == {"0193", "0193a", "0193b"}
        assert await ids(store, "a%") == ["a%b"]
        assert await ids(store, "no") == []
        assert len(await ids(store, "")) == READ_MAX


async def test_ended_instructions_leave_by_age_and_by_number(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "store.db") as store:
        await store.submit(PutEvidence("old", 5.0, b""), PutEvidence("new", 10.0, b""))
        await store.submit(DropEvidence(10.0))
        assert await ids(store, "") == ["new"]
        await store.submit(*(PutEvidence(f"i{k}", 20.0, b"") for k in range(KEPT_MAX + 10)))
    with closing(sqlite3.connect(tmp_path / "store.db")) as database:
        assert database.execute("select count(*), min(id <> 'new') from evidence").fetchone() == (KEPT_MAX, 1)
