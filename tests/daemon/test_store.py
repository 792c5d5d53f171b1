"""The store keeps what it said it has, over a clean stop, a power cut, a full disk and a damaged file."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gateway.daemon import database, table
from gateway.daemon import store as store_module
from gateway.daemon.change import (
    AppendRow,
    DropEntry,
    DropRows,
    Head,
    Pack,
    PutEntry,
    PutFact,
    PutHead,
    PutMeta,
    PutPack,
    StorageError,
)
from gateway.daemon.store import Store
from tests.faults import forgetful_disk
from tests.faults.counters import syscalls_of
from tests.faults.forgetful_disk import Disk, Moment


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


# --- what is kept ---------------------------------------------------------------------------------------


async def test_everything_submitted_is_found_after_a_clean_stop(path: Path) -> None:
    async with Store.open(path) as store:
        stream = store.saved.stream
        await store.submit(PutEntry("a", b"1"), PutEntry("b", b"2"), PutMeta("memory", b"m"))
        await store.submit(PutEntry("a", b"3"), DropEntry("b"), PutFact("hp", "writes", "17"))
        await store.submit(PutHead("telemetry:hp", 64, 2, 1), PutPack("telemetry:hp", 1, 3, 60.0, b"p"))
    async with Store.open(path) as store:
        assert store.saved.stream == stream
        assert store.saved.entries == {"a": b"3"}
        assert store.saved.meta == {"memory": b"m"}
        assert store.saved.facts == {("hp", "writes"): "17"}
        assert store.saved.heads == {"telemetry:hp": Head(reserved=64, sent=2, watermark=1, last=3)}
        assert (store.saved.unclean, store.saved.damaged, store.failure) == (False, None, None)


async def test_a_new_store_is_a_new_stream_of_sixteen_base32_characters(path: Path, tmp_path: Path) -> None:
    async with Store.open(path) as one, Store.open(tmp_path / "other.db") as two:
        assert one.saved.stream != two.saved.stream
        assert len(one.saved.stream) == 16
        assert set(one.saved.stream) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")


async def test_rows_of_a_log_are_numbered_from_one_without_a_gap(path: Path) -> None:
    async with Store.open(path) as store:
        first = await store.submit(AppendRow("status", 1.0, b"a"), AppendRow("event", 1.0, b"e"))
        second = await store.submit(AppendRow("status", 2.0, b"b"), AppendRow("status", 2.0, b"c"))
        assert (first, second) == ((1, 1), (2, 3))
    async with Store.open(path) as store:
        assert await store.submit(AppendRow("status", 3.0, b"d")) == (4,)
        assert [(r.first_seq, r.blob) for r in await store.rows("status", 2)] == [
            (2, b"b"),
            (3, b"c"),
            (4, b"d"),
        ]


async def test_a_submission_that_fails_takes_no_number_and_leaves_nothing(path: Path) -> None:
    async with Store.open(path) as store:
        bad = store.submit(PutEntry("x", b"x"), AppendRow("status", 1.0, b"x"), PutMeta("k", {}))  # type: ignore[arg-type]
        good = store.submit(PutEntry("y", b"y"), AppendRow("status", 1.0, b"y"))
        with pytest.raises(StorageError):
            await bad
        assert await good == (1,)
    async with Store.open(path) as store:
        assert store.saved.entries == {"y": b"y"}


async def test_rows_are_read_from_the_pack_that_holds_the_first_one(path: Path) -> None:
    async with Store.open(path) as store:
        await store.submit(*(PutPack("t", n, n + 9, float(n), b"%d" % n) for n in (1, 11, 21)))
        assert [p.first_seq for p in await store.rows("t", 15)] == [11, 21]
        assert await store.rows("t", 21) == [Pack(21, 30, 21.0, b"21")]
        assert await store.rows("t", 31) == []


async def test_rows_older_than_told_are_dropped_and_no_others(path: Path) -> None:
    async with Store.open(path) as store:
        await store.submit(*(AppendRow(log, float(n), b"") for n in range(5) for log in ("status", "event")))
        await store.submit(DropRows("status", 3.0), DropRows("gone", 3.0))
        assert [p.at_utc_s for p in await store.rows("status", 1)] == [3.0, 4.0]
        assert len(await store.rows("event", 1)) == 5
        await store.submit(DropRows("status", 99.0))
        assert await store.rows("status", 1) == []
        assert await store.submit(AppendRow("status", 5.0, b"")) == (6,)


async def test_a_log_never_holds_more_than_its_bound(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "KEEP_SEQS", 10)
    async with Store.open(path) as store:
        await asyncio.gather(*(store.submit(AppendRow("status", float(n), b"")) for n in range(25)))
        assert [p.first_seq for p in await store.rows("status", 1)] == list(range(16, 26))


async def test_only_the_owner_may_read_the_file_and_its_log(path: Path) -> None:
    async with Store.open(path) as store:
        await store.submit(PutEntry("a", b"1"))
        assert {stat.S_IMODE(p.stat().st_mode) for p in path.parent.iterdir()} == {0o600}


async def test_a_second_store_on_the_same_file_says_so_and_saves_nothing(path: Path) -> None:
    async with Store.open(path) as first:
        command = [sys.executable, "-c", _OPEN_AND_SAY_FAILURE, str(path)]
        said = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=30)
        assert "locked" in said.stdout
        await first.submit(PutEntry("a", b"1"))


_OPEN_AND_SAY_FAILURE = """
import asyncio, sys
from pathlib import Path
from gateway.daemon.store import Store
async def main():
    async with Store.open(Path(sys.argv[1])) as store:
        print(store.failure)
asyncio.run(main())
"""


# --- how it is kept -------------------------------------------------------------------------------------


async def test_what_waits_during_a_commit_shares_the_next_one(path: Path) -> None:
    # Fifty submissions in one turn of the loop: the writer takes a few at first, the others together.
    run = [sys.executable, "-c", _FIFTY_AT_ONCE, str(path)]
    calls = await asyncio.to_thread(syscalls_of, run)
    base = await asyncio.to_thread(syscalls_of, [*run[:-1], str(path) + "2", "nothing"])
    assert 1 <= calls.syncs - base.syncs <= 10


_FIFTY_AT_ONCE = """
import asyncio, sys
from pathlib import Path
from gateway.daemon.change import AppendRow
from gateway.daemon.store import Store
async def main():
    async with Store.open(Path(sys.argv[1])) as store:
        count = 0 if sys.argv[2:] else 50
        await asyncio.gather(*(store.submit(AppendRow("status", 1.0, b"x" * 400)) for _ in range(count)))
asyncio.run(main())
"""


async def test_one_submission_costs_one_sync(path: Path) -> None:
    calls = await asyncio.to_thread(syscalls_of, [sys.executable, "-c", _ONE_BY_ONE, str(path), "30"])
    base = await asyncio.to_thread(syscalls_of, [sys.executable, "-c", _ONE_BY_ONE, str(path) + "2", "10"])
    assert calls.syncs - base.syncs == 20


_ONE_BY_ONE = """
import asyncio, sys
from pathlib import Path
from gateway.daemon.change import AppendRow, PutEntry
from gateway.daemon.store import Store
async def main():
    async with Store.open(Path(sys.argv[1])) as store:
        for n in range(int(sys.argv[2])):
            await store.submit(PutEntry(str(n), b"e" * 1500), AppendRow("status", 1.0, b"x" * 400))
asyncio.run(main())
"""


async def test_submissions_beyond_the_bound_are_refused_at_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "QUEUED_MAX", 3)
    async with Store.open(path) as store:
        submitted = [store.submit(PutEntry(str(n), b"")) for n in range(5)]
        assert [s.done() for s in submitted] == [False, False, False, True, True]
        with pytest.raises(StorageError, match="wait for the disk"):
            await submitted[4]
        await asyncio.gather(*submitted[:3])
        await store.submit(PutEntry("room again", b""))


async def test_the_writer_is_waited_for_only_while_something_is_submitted(path: Path) -> None:
    async with Store.open(path) as store:
        assert store.waiting_s == 0.0
        submitted = store.submit(PutEntry("a", b""))
        await asyncio.sleep(0)
        assert store.waiting_s > 0.0
        await submitted
        assert store.waiting_s == 0.0


async def test_a_submission_no_one_waits_for_any_longer_is_saved_all_the_same(path: Path) -> None:
    async with Store.open(path) as store:
        store.submit(PutEntry("a", b"1")).cancel()
        await store.submit(PutEntry("b", b"2"))
    async with Store.open(path) as store:
        assert store.saved.entries.keys() == {"a", "b"}


# --- when the disk fails --------------------------------------------------------------------------------


async def test_a_full_disk_is_an_answer_and_space_again_is_enough(path: Path) -> None:
    async with Store.open(path) as store:
        await store.submit(PutEntry("before", b"1"))
        with _no_file_longer_than(database.LOG_BYTES + 4096):
            with pytest.raises(StorageError, match="not saved"):
                await store.submit(PutEntry("big", bytes(2 << 20)), AppendRow("status", 1.0, b""))
            assert store.failure is not None
        assert await store.submit(PutEntry("after", b"2"), AppendRow("status", 1.0, b"")) == (1,)
        assert store.failure is None
    async with Store.open(path) as store:
        assert store.saved.entries.keys() == {"before", "after"}


class _no_file_longer_than:  # noqa: N801
    """Writes beyond so many bytes of a file fail, as on a full disk."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __enter__(self) -> None:
        self._limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self._size, self._limits[1]))

    def __exit__(self, *_: object) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._limits)


async def test_a_store_that_cannot_be_opened_refuses_everything_and_does_not_raise(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "no such folder" / "store.db") as store:
        assert store.failure is not None
        assert store.saved.entries == {}
        with pytest.raises(StorageError, match="cannot be opened"):
            await store.submit(PutEntry("a", b""))
        with pytest.raises(StorageError, match="cannot be opened"):
            await store.rows("status", 1)


async def test_a_closed_store_refuses(path: Path) -> None:
    async with Store.open(path) as store:
        pass
    with pytest.raises(StorageError, match="closed"):
        await store.submit(PutEntry("a", b""))
    writers = [thread for thread in threading.enumerate() if thread.name == "store"]
    for writer in writers:
        writer.join(2.0)
    assert not any(writer.is_alive() for writer in writers)


async def test_a_damaged_file_is_moved_aside_whole_and_a_new_stream_begins(path: Path) -> None:
    async with Store.open(path) as store:
        stream = store.saved.stream
        await store.submit(*(PutEntry(str(n), b"x" * 900) for n in range(50)))
    damaged = bytearray(path.read_bytes())
    damaged[5000:20_000] = os.urandom(15_000)
    path.write_bytes(damaged)
    Path(str(path) + "-wal").write_bytes(b"left by a power cut")
    for number in (1, 2):
        async with Store.open(path) as store:
            if number == 1:
                assert store.saved.damaged == path.with_name("store.db.damaged-1")
                assert store.saved.damaged.read_bytes() == bytes(damaged)
                assert store.saved.stream != stream
                await store.submit(PutEntry("new", b"1"))
            assert number == 1 or (store.saved.entries == {"new": b"1"} and store.saved.damaged is None)


async def test_damage_that_only_a_check_finds_is_found_after_an_unclean_stop(path: Path) -> None:
    async with Store.open(path) as store:
        await store.submit(*(AppendRow("status", float(n), b"x" * 900) for n in range(50)))
    damaged = bytearray(path.read_bytes())
    damaged[-3000:-2000] = bytes(1000)
    path.write_bytes(damaged)
    async with Store.open(path) as store:
        assert store.saved.damaged is None
    Path(str(path) + "-wal").write_bytes(b"left by a power cut")
    async with Store.open(path) as store:
        assert store.saved.damaged is not None


async def test_a_file_that_is_no_database_is_moved_aside(path: Path) -> None:
    path.write_bytes(b"not a database at all, " * 100)
    async with Store.open(path) as store:
        assert store.saved.damaged is not None
        await store.submit(PutEntry("a", b""))


async def test_a_file_of_a_later_format_is_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("pragma user_version = 99")
    before = path.read_bytes()
    async with Store.open(path) as store:
        assert "format 99" in str(store.failure)
    assert path.read_bytes()[100:] == before[100:]


# --- when the power goes --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Disk:
    if reason := forgetful_disk.why_not():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("disk")
    command = [sys.executable, "-m", "tests.daemon.store_workload", str(folder)]
    return forgetful_disk.record(command, folder)


def _check_power_cut(moment: Moment, draw: random.Random, path: Path) -> None:
    """Everything marked is there, nothing is there in half, whatever of the rest arrived."""
    marked = {mark for mark in moment.marks if mark != "open"}
    for files in moment.leavings(draw, 1):
        forgetful_disk.lay_out(files, path.parent)
        opened, saved = database.open_file(path)
        rows = opened.execute("select first_seq, blob from row where log = 'status'").fetchall()
        opened.close()
        numbers = {blob.decode() for _, blob in rows}
        assert saved.damaged is None
        assert saved.entries.keys() == numbers
        assert marked <= numbers
        assert [seq for seq, _ in rows] == list(range(1, len(rows) + 1))


@pytest.mark.parametrize("count", [18, pytest.param(2000, marks=[pytest.mark.long])])
def test_a_power_cut_loses_nothing_that_was_said_to_be_saved(disk: Disk, path: Path, count: int) -> None:
    draw = random.Random(int(os.environ.get("SEED", "1")))
    moments = list(disk.moments())
    first = next(index for index, moment in enumerate(moments) if moment.marks)
    # A third of the cuts falls into the making of the file.
    for index in draw.sample(range(first), count // 3) + draw.sample(range(first, len(moments)), count):
        _check_power_cut(moments[index], draw, path)


def test_a_disk_that_ignores_syncs_is_found_out(disk: Disk, path: Path) -> None:
    # The check itself: if syncs did not count, the same states would be losses.
    lying = Disk([step for step in disk.steps if step.verb != "sync" or step.file == 0])
    with pytest.raises(AssertionError):
        _check_power_cut(list(lying.moments())[-1], random.Random(1), path)
