"""The disk holds no more than it may: minutes go before half-hours, the oldest first, the last day never."""

from __future__ import annotations

import contextlib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from gateway.daemon.budget import DAY_S, ROOM_BYTES, make_room, to_drop
from gateway.daemon.change import PutPack, Size
from gateway.daemon.store import Store
from tests.faults.small_disk import small_disk

NOW_UTC_S = 1_800_000_000.0
LOGS = ("telemetry:ev", "telemetry:boundary", "settlement:ev", "status", "event")
ORDER = {"telemetry": 0, "settlement": 1, "status": 2, "event": 2}


@given(
    st.dictionaries(st.sampled_from(LOGS), st.floats(NOW_UTC_S - 90 * DAY_S, NOW_UTC_S)),
    st.integers(0, 2000),
    st.integers(0, 2 * ROOM_BYTES),
)
def test_only_under_pressure_the_oldest_day_of_the_first_kind_goes_and_never_the_last(
    oldest_utc_s: dict[str, float], used: int, room_bytes: int
) -> None:
    drops = to_drop(Size(used, room_bytes, oldest_utc_s), 1000, NOW_UTC_S)
    old = [log for log, at in oldest_utc_s.items() if at < NOW_UTC_S - DAY_S]
    is_pressed = used > 1000 or room_bytes < ROOM_BYTES
    assert bool(drops) == (is_pressed and bool(old))
    for drop in drops:
        assert drop.before_utc_s <= NOW_UTC_S - DAY_S
        first = min(ORDER[log.partition(":")[0]] for log in old)
        assert ORDER[drop.log.partition(":")[0]] == first
        assert drop.before_utc_s - DAY_S <= min(oldest_utc_s[d.log] for d in drops)
    if drops:
        assert any(oldest_utc_s[drop.log] < drop.before_utc_s for drop in drops), "something goes"


async def filled(path: Path, days: int) -> None:
    """So many days of quarter-hours of two points, and their half-hours."""
    async with Store.open(path) as store:
        for n in range(days * 96):
            at_utc_s, seq = NOW_UTC_S - days * DAY_S + n * 900 + 900, n + 1
            changes = [PutPack(f"telemetry:{p}", seq, seq, at_utc_s, b"m" * 1500) for p in ("ev", "heat")]
            changes += [PutPack("settlement:ev", seq, seq, at_utc_s, b"h" * 100)]
            saving = store.submit(*changes)
            if n % 96 == 95:
                await saving


async def test_a_store_that_holds_too_much_keeps_its_newest_minutes_and_its_half_hours(
    tmp_path: Path,
) -> None:
    await filled(tmp_path / "store.db", days=10)
    async with Store.open(tmp_path / "store.db") as store:
        before = await store.size()
        most_bytes = before.used_bytes // 2
        dropped = await make_room(store, most_bytes, NOW_UTC_S)
        after = await store.size()
        assert after.used_bytes <= most_bytes
        assert after.used_bytes > most_bytes - before.used_bytes // 8, "no more than needed, by the day"
        assert dropped.keys() == {"telemetry"}
        assert after.oldest_utc_s["telemetry:ev"] >= dropped["telemetry"]
        assert after.oldest_utc_s["settlement:ev"] == before.oldest_utc_s["settlement:ev"]
        assert (await store.rows("telemetry:ev", 960))[0].last_seq == 960, "the newest is there"
        assert await make_room(store, most_bytes, NOW_UTC_S) == {}


async def test_the_last_day_stays_whatever_the_budget(tmp_path: Path) -> None:
    await filled(tmp_path / "store.db", days=3)
    async with Store.open(tmp_path / "store.db") as store:
        await make_room(store, 1, NOW_UTC_S)
        assert set((await store.size()).oldest_utc_s.values()) == {NOW_UTC_S - DAY_S}


async def test_on_a_full_disk_the_oldest_goes_and_the_newest_is_kept_for_a_month(tmp_path: Path) -> None:
    with small_disk(tmp_path, megabytes=16):
        async with Store.open(tmp_path / "store.db") as store:
            await store.size()  # as the daemon does each minute
            seq = 0

            async def quarter_hour() -> float:
                nonlocal seq
                seq += 1
                at_utc_s = NOW_UTC_S + seq * 900
                await store.submit(PutPack("telemetry:ev", seq, seq, at_utc_s, b"m" * 1500))
                return at_utc_s

            for _ in range(5 * 96):
                await quarter_hour()
            with contextlib.suppress(OSError), (tmp_path / "filler").open("wb", buffering=0) as filler:
                while filler.write(b"x" * 4096):
                    pass
            for _ in range(30 * 96):
                at_utc_s = await quarter_hour()
                if seq % 16 == 0:
                    await make_room(store, 256_000_000, at_utc_s)
            assert (await store.rows("telemetry:ev", seq))[0].last_seq == seq
            assert at_utc_s - (await store.size()).oldest_utc_s["telemetry:ev"] >= DAY_S - 900
