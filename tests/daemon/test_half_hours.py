"""Half-hours through the real disk: told once, with a number, in the transaction that says so."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.core.model import Point
from gateway.daemon.chance import Drawn
from gateway.daemon.charge_sessions import ChargeSessions
from gateway.daemon.clock import Clock, Discipline
from gateway.daemon.half_hours import HalfHours, lag_s
from gateway.daemon.home import Home
from gateway.daemon.keeper import Keeper
from gateway.daemon.minutes import Minutes
from gateway.daemon.outbox import Outbox, Parcel
from gateway.daemon.recollection import Recollection
from gateway.daemon.records import Records
from gateway.daemon.store import StorageError, Store
from gateway.daemon.windows import Windows
from gateway.wire.settlement import settlement_period
from tests.daemon.configuration import parsed
from tests.daemon.metering_world import FailingStore

CONFIG = """\
[site]
id = "home-7f3a"
zone = "Europe/Athens"

[devices.meter]
driver = "mqtt_local"
broker = { host = "127.0.0.1" }
points.power_w = { topic = "meter/power" }
points.import_ws = { topic = "meter/import" }
points.export_ws = { topic = "meter/export" }

[boundary]
power_w = ["meter.power_w"]
import_ws = ["meter.import_ws"]
export_ws = ["meter.export_ws"]
"""
NOON_UTC_S = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
EVERY_S = 10


class Life:
    """One life of a home's metering on a clock moved by hand, on the file of the life before."""

    def __init__(self, store: Store, now_s: float, trusted: bool, offset_s: int = 20) -> None:
        self.now_s = now_s
        self.trusted = trusted
        self.home = Home(parsed(CONFIG), lambda: self.now_s)
        self.outbox = Outbox(store.saved.stream, store.saved.heads)
        self.clock = clock = Clock(
            wall=lambda: NOON_UTC_S + self.now_s,
            monotonic=lambda: self.now_s,
            discipline=lambda: Discipline(self.trusted, 0.01),
        )
        self.minutes = Minutes(self.home, self.outbox, clock, Windows(None), offset_s, store.saved.meta)
        self.home.on_points = self.minutes.points
        self.store = FailingStore(store)
        self.records = Records("home-7f3a", "boot-boot-bo", self.store, self.outbox, clock)  # type: ignore[arg-type]
        self.half_hours = HalfHours(self.minutes, self.records, clock)
        self.outbox.link(online=True)

    async def live(self, until_s: float, *, silent: bool = False) -> list[dict[str, Any]]:
        """A kilowatt in and nothing out until then; the half-hours that were sent meanwhile."""
        sent: list[dict[str, Any]] = []
        while self.now_s < until_s:
            self.now_s += EVERY_S
            self.clock.check()
            if not silent:
                said = {"power_w": 1000.0, "import_ws": 1000.0 * self.now_s, "export_ws": 36_000.0}
                self.home.points(
                    "meter", {f"meter.{name}": Point(value, self.now_s) for name, value in said.items()}
                )
            if self.minutes.cut():
                with contextlib.suppress(StorageError):
                    await self.store.submit(*self.minutes.edge())
                self.minutes.put()
            self.half_hours.look()
            await self.half_hours.saved()
            sent += self.sent()
        return sent

    def sent(self) -> list[dict[str, Any]]:
        """The bodies of what goes out on `settlement` now."""
        found = []
        while isinstance(parcel := self.outbox.take(self.now_s), Parcel):
            topic, body = self.records.message(parcel, 20)
            self.outbox.sent(parcel, NOON_UTC_S + self.now_s)
            if topic == "settlement":
                found.append(json.loads(body))
        return found


@contextlib.asynccontextmanager
async def life(folder: Path, now_s: float = 0.0, *, trusted: bool = True) -> AsyncIterator[Life]:
    async with Store.open(folder / "homeflex.db") as store:
        yield Life(store, now_s, trusted)


def halves(sent: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [half for body in sent for half in body["points"]["boundary"]["halfHours"]]


async def test_a_half_hour_is_told_as_the_contract_says(tmp_path: Path) -> None:
    async with life(tmp_path) as home:
        (first, second) = await home.live(3600 + 300)
        assert (first["schema"], first["site"], first["backfill"]) == (
            "homeflex.settlement.v1",
            "home-7f3a",
            False,
        )
        assert second["points"]["boundary"]["stream"] == home.outbox.stream
        (told,) = second["points"]["boundary"]["halfHours"]
        assert told == {
            "seq": 2,
            "revision": 0,
            "start": "2026-11-23T12:30:00Z",
            "end": "2026-11-23T13:00:00Z",
            "settlementDate": "2026-11-23",
            "settlementPeriod": 26,
            "importKwh": 0.5,
            "exportKwh": 0.0,
            "importRegisterStartKwh": 0.5,
            "importRegisterEndKwh": 1.0,
            "exportRegisterStartKwh": 0.01,
            "exportRegisterEndKwh": 0.01,
            "method": "REGISTER",
            "quality": "OK",
            "reasons": [],
            "coverage": 1.0,
            "edgeGapS": 0,
        }


async def test_a_half_hour_agrees_with_the_minutes_in_it(tmp_path: Path) -> None:
    async with life(tmp_path) as home:
        (_, second) = halves(await home.live(3600 + 300))
        rows = [json.loads(row.body) for row in home.outbox.tail("telemetry:boundary")]
        inside = [row for row in rows if second["start"] <= row["start"] and row["end"] <= second["end"]]
        assert len(inside) == 29
        edges_kwh = 2 / 60
        assert abs(sum(row["energyKwh"] for row in inside) - second["importKwh"]) <= edges_kwh
        assert second["importRegisterStartKwh"] <= inside[0]["importRegisterKwh"]
        assert inside[-1]["importRegisterKwh"] <= second["importRegisterEndKwh"]


def test_homes_are_spread_by_their_offset_over_the_contract_s_minutes() -> None:
    lags_s = [lag_s(offset_s) for offset_s in range(60)]
    assert lags_s[0] == 90
    assert 290 < lags_s[-1] <= 300
    assert lags_s == sorted(set(lags_s))


async def test_a_correction_has_a_number_of_its_own_and_a_higher_revision(tmp_path: Path) -> None:
    async with life(tmp_path) as home:
        await home.live(3000)
        assert halves(await home.live(3600 + 600, silent=True))[-1]["importKwh"] is None
        (corrected,) = halves(await home.live(3600 + 900))
        assert (corrected["seq"], corrected["revision"], corrected["start"]) == (3, 1, "2026-11-23T12:30:00Z")
        assert (corrected["importKwh"], corrected["quality"]) == (0.5, "ESTIMATED")
        assert "edge" in corrected["reasons"]


async def test_what_was_told_is_not_told_again_in_the_next_life(tmp_path: Path) -> None:
    """Whatever the moment at which the life before ended."""
    told: list[dict[str, Any]] = []
    now_s = 0.0
    for end_s in (1790, 2100, 3570, 3640, 3760, 5430, 5600, 7500):
        async with life(tmp_path, now_s) as home:
            told += halves(await home.live(end_s))
        now_s = end_s
    assert [half["seq"] for half in told] == [1, 2, 3, 4]
    assert [half["start"][11:16] for half in told] == ["12:00", "12:30", "13:00", "13:30"]
    assert [half["importKwh"] for half in told] == [None, 0.5, 0.5, 0.5]


async def test_a_disk_that_fails_tells_nothing_and_loses_nothing(tmp_path: Path) -> None:
    async with life(tmp_path) as home:
        assert halves(await home.live(3600))[0]["seq"] == 1
        home.store.fails = True
        assert not await home.live(3600 + 900)
        home.store.fails = False
        (told,) = halves(await home.live(3600 + 1500))
    assert (told["seq"], told["revision"], told["start"]) == (2, 0, "2026-11-23T12:30:00Z")


async def test_half_hours_of_a_silent_meter_that_no_disk_took_are_told_as_first(tmp_path: Path) -> None:
    """Nothing had touched them before they were due."""
    async with life(tmp_path) as home:
        await home.live(1900)
        home.store.fails = True
        assert not await home.live(5400 + 700, silent=True)
        home.store.fails = False
        told = halves(await home.live(5400 + 900, silent=True))
    assert [(half["start"][11:16], half["revision"]) for half in told] == [
        ("12:00", 0),
        ("12:30", 0),
        ("13:00", 0),
    ]


async def test_a_half_hour_that_is_refused_while_the_daemon_stops_is_told_by_the_next_run(
    tmp_path: Path,
) -> None:
    """The last edge is saved after the disk has said no, or it would call told what never was."""
    async with Store.open(tmp_path / "homeflex.db") as store:
        home = Life(store, 0.0, trusted=True)
        keeper = Keeper(
            home.home,
            home.minutes,
            home.half_hours,
            ChargeSessions(store.saved, store, home.clock),
            Recollection(store),
            Drawn(store),
            home.outbox,
            home.records,
            store,
            home.clock,
        )
        assert len(await home.live(3600 + lag_s(home.minutes.offset_s) - EVERY_S)) == 1
        home.now_s += EVERY_S
        home.store.fails = True
        home.half_hours.look()
        await keeper.close()
    async with life(tmp_path, home.now_s) as home:
        (told,) = halves(await home.live(home.now_s + 400))
    assert (told["seq"], told["revision"], told["start"]) == (2, 0, "2026-11-23T12:30:00Z")


async def test_nothing_is_told_before_the_clock_is_trusted(tmp_path: Path) -> None:
    async with life(tmp_path, trusted=False) as home:
        assert not await home.live(5400 + 300)
        home.trusted = True
        told = sorted(halves(await home.live(5400 + 900)), key=lambda half: str(half["start"]))
        assert [half["importKwh"] for half in told] == [None, 0.5, 0.5]
        assert all("clockUntrusted" in half["reasons"] for half in told)


@pytest.mark.parametrize(
    ("start", "date", "period"),
    [
        ("2026-11-23T17:00:00Z", "2026-11-23", 35),
        ("2026-07-01T23:00:00Z", "2026-07-02", 1),  # summer time: the day begins at 23:00 UTC
        ("2026-03-29T00:00:00Z", "2026-03-29", 1),
        ("2026-03-29T22:30:00Z", "2026-03-29", 46),  # the short day
        ("2026-03-29T23:00:00Z", "2026-03-30", 1),
        ("2026-10-24T23:00:00Z", "2026-10-25", 1),
        ("2026-10-25T23:30:00Z", "2026-10-25", 50),  # the long day
        ("2026-10-26T00:00:00Z", "2026-10-26", 1),
    ],
)
def test_the_settlement_period_is_the_london_day_s(start: str, date: str, period: int) -> None:
    assert settlement_period(datetime.fromisoformat(start).timestamp()) == (date, period)
