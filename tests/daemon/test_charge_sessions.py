"""Charge sessions on a real disk: found as they were, over restarts, failures and thirteen months."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import string
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.core.charge_session import (
    ChargeSession,
    Charging,
    Moment,
    Rate,
    Unseen,
    dated,
)
from gateway.core.charge_watch import (
    CHARGES_MAX,
    RATES_MAX,
    TEXT_MAX,
    UNSEEN_MAX,
)
from gateway.core.model import (
    Asset,
    AssetClass,
    AssetState,
    Governor,
    Plan,
    Reading,
    Reason,
    Setpoint,
    Snapshot,
)
from gateway.core.reading import Anchor, Flowed
from gateway.daemon import charge_table, codec
from gateway.daemon.change import Change, DropChargeSessions, PutChargeSession, SessionQuery, StorageError
from gateway.daemon.charge_sessions import CALM_S, KEPT_S, RECORD, SOON_S, WAITING_MAX, ChargeSessions
from gateway.daemon.clock import Clock, Discipline
from gateway.daemon.store import Store

UTC_S = 1_800_000_000.0
DAY_S = 86_400.0
CARS = tuple(Asset(id_, AssetClass.EV, 7360, sources={"connected": ("c",)}) for id_ in ("ev", "van"))
EVERY = SessionQuery()


class Hub:
    """One life of the hub: a clock moved by hand, cars that do as told, and a note of what is written."""

    def __init__(self, store: Store, began_utc_s: float, *, trusted: bool = True) -> None:
        self.now_s, self.trusted = 1000.0, trusted
        self._began_utc_s = began_utc_s
        self.store = store
        self.written: list[Change] = []
        self.cars = CARS
        clock = Clock(
            wall=lambda: self.utc_s,
            monotonic=lambda: self.now_s,
            discipline=lambda: Discipline(self.trusted, 0.01),
            floor_utc_s=UTC_S - DAY_S,
        )
        self.clock = clock
        self.sessions = ChargeSessions(store.saved, self, clock)  # type: ignore[arg-type]
        self.sessions.flowed = lambda _car: Flowed(self.register_ws, by_register=True)
        self.register_ws = 0.0

    @property
    def utc_s(self) -> float:
        return self._began_utc_s + self.now_s - 1000.0

    def submit(self, *changes: Change) -> asyncio.Future[tuple[int, ...]]:
        """To the real store, and noted."""
        self.written += changes
        return self.store.submit(*changes)

    def charge_sessions(self, query: SessionQuery) -> asyncio.Future[list[tuple[int, bytes]]]:
        """From the real store."""
        return self.store.charge_sessions(query)

    def live(self, seconds: int, car: str = "ev", **how: float) -> None:
        """So many seconds with the car as told: `plugged`, `power_w`, `at_most_w`."""
        for _ in range(seconds):
            self.clock.check()
            self.register_ws += how.get("power_w", 0.0)
            state = AssetState(
                connected=Reading(how.get("plugged", 1.0), 0.0, "c"),
                power_w=Reading(how.get("power_w", 0.0), 0.0, "c"),
            )
            most = how.get("at_most_w")
            setpoint = Setpoint(
                car, None if most is None else round(most), Governor.LIMIT, Reason.SUPPLY_LIMIT, "the fuse"
            )
            states = {car: state}
            snapshot = Snapshot(self.now_s, self.utc_s, self.clock.trusted, self.cars, states)
            self.sessions.note(snapshot, Plan((setpoint,)))
            self.sessions.keep()
            self.now_s += 1

    def charge(self, seconds: int = 120, car: str = "ev") -> None:
        """A car comes, charges and goes."""
        self.live(5, car, plugged=0.0)
        self.live(seconds, car, power_w=7000.0)
        self.live(70, car, plugged=0.0)

    async def found(self, query: SessionQuery = EVERY) -> list[tuple[int, ChargeSession]]:
        """What a person would be told."""
        return (await self.sessions.find(query)).sessions

    def saved(self) -> list[PutChargeSession]:
        """What was written of sessions so far."""
        return [change for change in self.written if isinstance(change, PutChargeSession)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@asynccontextmanager
async def hub(path: Path, began_utc_s: float = UTC_S, *, trusted: bool = True) -> AsyncIterator[Hub]:
    async with Store.open(path) as store:
        yield Hub(store, began_utc_s, trusted=trusted)


async def test_a_session_is_found_after_a_restart_as_it_was(path: Path) -> None:
    async with hub(path) as home:
        home.charge()
        ((number, session),) = await home.found()
        assert number == 1
    async with hub(path, UTC_S + DAY_S) as home:
        ((number, again),) = await home.found()
        assert number == 1
    assert again.end
    assert (again.begin.utc_s, again.end.utc_s) == (UTC_S + 5, UTC_S + 125)
    assert again.energy_ws == session.energy_ws == pytest.approx(7000.0 * 120, abs=7000.0)
    assert [(rate.governor, rate.text) for rate in again.rates] == [(Governor.LIMIT, "the fuse")]
    assert [each.at_s for each in (again.begin, again.last, again.end)] == [None] * 3


async def test_a_session_goes_on_over_a_clean_stop_and_says_from_when_to_when_the_hub_was_off(
    path: Path,
) -> None:
    async with hub(path) as home:
        home.live(5, plugged=0.0)
        home.live(30, power_w=7000.0)
        home.sessions.keep(now=True)
        register_ws = home.register_ws
    async with hub(path, UTC_S + 600) as home:
        home.register_ws = register_ws + 7000.0 * 566
        home.live(100, power_w=7000.0)
        ((number, session),) = await home.found()
    assert (number, session.begin.utc_s, session.end, session.begin_seen) == (1, UTC_S + 5, None, True)
    assert [(gap.since.utc_s, gap.until.utc_s) for gap in session.unseen] == [(UTC_S + 34, UTC_S + 600)]
    assert session.energy_ws == pytest.approx(7000.0 * (30 + 666), abs=7000.0 * 2)
    assert len(session.rates) == len(session.charging) == 1


async def test_what_happens_is_saved_within_a_minute_and_what_goes_on_each_quarter_of_an_hour(
    path: Path,
) -> None:
    async with hub(path) as home:
        home.live(5, plugged=0.0)
        home.live(2)
        home.live(1, power_w=7000.0)
        assert len(home.saved()) == 1, "at once when it charges"
        home.live(30, power_w=7000.0, at_most_w=1380)
        assert len(home.saved()) == 1, "a minute has not passed"
        home.live(int(SOON_S) - 30, power_w=7000.0, at_most_w=1380)
        assert len(home.saved()) == 2
        home.live(int(CALM_S) - 2, power_w=7000.0, at_most_w=1380)
        assert len(home.saved()) == 2, "nothing happened"
        home.live(2, power_w=7000.0, at_most_w=1380)
        assert len(home.saved()) == 3
        home.live(2, plugged=0.0)
        home.live(int(SOON_S), plugged=0.0)
        assert len(home.saved()) == 4
        home.live(3600, plugged=0.0)
        assert len(home.saved()) == 4


async def test_a_day_of_ever_other_rates_is_written_as_a_megabyte_at_most(path: Path) -> None:
    async with hub(path) as home:
        for n in range(8640):
            home.live(1, power_w=7000.0, at_most_w=n)
            home.now_s += 9
        size = sum(len(change.blob) for change in home.saved())
    assert 0 < size < 1_100_000
    assert len(home.saved()) <= DAY_S / SOON_S


async def test_the_largest_session_there_can_be_is_saved_each_quarter_of_an_hour(path: Path) -> None:
    chance = random.Random(7)

    def noise(count: int) -> str:
        return "".join(chance.choices(string.printable, k=count))

    moment = Moment(None, UTC_S + 0.123456)
    rates = [
        Rate(moment, n, False, Governor.DISPATCH, Reason.NONE, noise(TEXT_MAX), (noise(36),) * 4)
        for n in range(RATES_MAX)
    ]
    session = ChargeSession(
        "ev", moment, moment, True, moment, True, (Charging(moment, moment),) * CHARGES_MAX, tuple(rates),
        (Unseen(moment, moment),) * UNSEEN_MAX, 1e9, Flowed(1e12, True), 10**9,
    )  # fmt: skip
    blob = codec.pack([codec.encode(RECORD, session)])
    assert len(blob) < 24_000, "so that even noise is 2 MB a day at most: what is written in fact is words"


async def test_a_plug_that_bounces_all_day_writes_nothing_and_pushes_nothing_out(path: Path) -> None:
    async with hub(path) as home:
        home.charge()
        before = len(home.saved())
        for _ in range(500):
            home.live(1, plugged=0.0)
            home.live(2)
        home.live(1, plugged=0.0)
        assert len(home.saved()) == before
        home.charge()
        assert [number for number, _ in await home.found()] == [1, 2]


async def test_two_cars_have_sessions_of_their_own(path: Path) -> None:
    async with hub(path) as home:
        home.charge(car="ev")
        home.charge(car="van")
        assert [(n, s.asset) for n, s in await home.found()] == [(1, "ev"), (2, "van")]
        assert [n for n, _ in await home.found(SessionQuery(asset="van"))] == [2]


async def test_what_is_not_on_the_disk_yet_is_told_all_the_same(path: Path) -> None:
    async with hub(path) as home:
        home.live(5, plugged=0.0)
        home.live(3)
        assert home.saved() == []
        ((number, session),) = await home.found()
        assert (number, session.end, session.begin.utc_s) == (1, None, UTC_S + 5)
        assert await home.found(SessionQuery(after=1)) == []


async def test_sessions_between_two_dates_are_those_that_reach_into_them(path: Path) -> None:
    async with hub(path) as home:
        for _ in range(3):  # from second 5, 1000, 1995 on, for 120 s
            home.charge()
            home.now_s += 800
        edges = [(s.begin.utc_s, s.end and s.end.utc_s) for _, s in await home.found()]
        assert edges == [(UTC_S + begin, UTC_S + begin + 120) for begin in (5, 1000, 1995)]

        async def numbers(since_s: float | None, until_s: float | None) -> list[int]:
            dates = [None if edge is None else UTC_S + edge for edge in (since_s, until_s)]
            return [n for n, _ in await home.found(SessionQuery(0, None, *dates))]

        assert await numbers(None, 1000) == [1]
        assert await numbers(None, 1001) == [1, 2]
        assert await numbers(1120, None) == [2, 3]
        assert await numbers(1121, None) == [3]
        assert await numbers(500, 900) == []


async def test_more_than_a_page_is_told_in_pages_each_once(path: Path) -> None:
    async with hub(path) as home:
        for _ in range(charge_table.READ_MAX + 20):
            home.charge(61)
        home.live(3)
        numbers, after = [], 0
        while True:
            found = await home.sessions.find(SessionQuery(after))
            numbers += [number for number, _ in found.sessions]
            if found.more_after is None:
                break
            assert found.more_after > after
            after = found.more_after
    assert numbers == list(range(1, charge_table.READ_MAX + 22))


# --- the clock ----------------------------------------------------------------------------------------------


async def test_a_session_without_a_clock_is_dated_when_there_is_one_also_if_it_is_over(path: Path) -> None:
    async with hub(path, trusted=False) as home:
        home.charge()
        ((_, session),) = await home.found()
        assert (session.begin.utc_s, session.end and session.end.utc_s) == (None, None)
        home.trusted = True
        home.live(70, plugged=0.0)
        ((_, session),) = await home.found()
        assert session.begin.utc_s == UTC_S + 5
    async with hub(path, UTC_S + DAY_S) as home:
        ((_, session),) = await home.found()
        assert session.end
        assert (session.begin.utc_s, session.end.utc_s) == (UTC_S + 5, UTC_S + 125)


async def test_a_session_whose_life_never_had_a_clock_stays_without_a_date(path: Path) -> None:
    async with hub(path, trusted=False) as home:
        home.charge()
    async with hub(path, UTC_S + DAY_S) as home:
        ((_, session),) = await home.found(SessionQuery(since_utc_s=UTC_S + 500))
        assert session.begin == Moment(None, None)
        assert session.charging


# --- what is kept -------------------------------------------------------------------------------------------


async def test_what_is_thirteen_months_old_goes_and_what_is_twelve_stays(path: Path) -> None:
    async with hub(path) as home:
        home.charge()
        home.charge()
        home.now_s += 366 * DAY_S
        home.live(1, plugged=0.0)
        home.sessions.drop_old()
        assert [n for n, _ in await home.found()] == [1, 2]
        home.charge()
        home.now_s = 1000.0 + KEPT_S + 200  # since the first one's car was last seen, and not the second's
        home.live(1, plugged=0.0)
        home.sessions.drop_old()
        assert [n for n, _ in await home.found()] == [2, 3]


async def test_without_a_clock_nothing_is_dropped_by_age(path: Path) -> None:
    async with hub(path) as home:
        home.charge()
    async with hub(path, UTC_S + 2 * KEPT_S, trusted=False) as home:
        home.sessions.drop_old()
        assert len(await home.found()) == 1


async def test_one_without_a_date_goes_with_those_around_it(path: Path) -> None:
    async with Store.open(path) as store:
        dates = (UTC_S, None, UTC_S, None, UTC_S + DAY_S)
        await store.submit(
            *(PutChargeSession(n, "ev", at, at, False, b"") for n, at in enumerate(dates, start=1))
        )
        await store.submit(DropChargeSessions(UTC_S + 1))
        assert [n for n, _ in await store.charge_sessions(EVERY)] == [4, 5]


async def test_there_are_never_more_than_the_bound(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charge_table, "KEPT_MAX", 3)
    async with hub(path) as home:
        for _ in range(5):
            home.charge(61)
        assert [n for n, _ in await home.found()] == [3, 4, 5]


async def test_a_database_of_before_has_its_table_made_and_keeps_its_format(path: Path) -> None:
    async with Store.open(path):
        pass
    with sqlite3.connect(path) as database:
        database.execute("drop table charge_session")
    database.close()
    async with hub(path) as home:
        home.charge()
        assert len(await home.found()) == 1
    with sqlite3.connect(path) as database:
        assert database.execute("pragma user_version").fetchone() == (1,)
    database.close()


async def test_what_cannot_be_read_is_counted_and_keeps_nobody_from_the_rest(path: Path) -> None:
    async with hub(path) as home:
        home.charge()
        home.charge()
        await home.submit(PutChargeSession(1, "ev", UTC_S, UTC_S, True, b"damaged"))
    async with hub(path, UTC_S + DAY_S) as home:
        found = await home.sessions.find(EVERY)
        assert ([n for n, _ in found.sessions], found.unreadable) == ([2], [1])
        home.charge()
        assert [n for n, _ in await home.found()] == [2, 3]


# --- a disk that fails --------------------------------------------------------------------------------------


class NoDisk(Hub):
    """A disk that takes nothing, until it does."""

    takes = False

    def submit(self, *changes: Change) -> asyncio.Future[tuple[int, ...]]:
        if self.takes:
            return super().submit(*changes)
        refused: asyncio.Future[tuple[int, ...]] = asyncio.get_running_loop().create_future()
        refused.set_exception(StorageError("full"))
        refused.exception()
        return refused


async def test_what_the_disk_did_not_take_waits_for_it_and_what_waits_is_bounded(path: Path) -> None:
    async with Store.open(path) as store:
        home = NoDisk(store, UTC_S)
        for _ in range(WAITING_MAX + 5):
            home.charge(61)
            await asyncio.sleep(0)
        assert [n for n, _ in await home.found()] == list(range(6, WAITING_MAX + 6))
        home.takes = True
        home.live(int(CALM_S) + 1, plugged=0.0)
        await store.submit()
        await asyncio.sleep(0)
        stored = await store.charge_sessions(EVERY)
        assert [n for n, _ in stored] == list(range(6, 6 + charge_table.READ_MAX))


async def test_a_car_that_is_no_longer_configured_was_last_seen_then(path: Path) -> None:
    async with hub(path) as home:
        home.live(5, plugged=0.0)
        home.live(100)
        home.cars = ()
        home.live(70)
        ((_, session),) = await home.found()
        assert (session.end, session.end_seen) == (session.last, False)
        assert dated(session, Anchor(0.0, 0.0, trusted=False)).last.utc_s == UTC_S + 104
