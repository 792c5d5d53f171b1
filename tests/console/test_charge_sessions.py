"""Charge sessions as commands to a real daemon that has a year of them, and as the daemon answers."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, get_type_hints
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio

from gateway import charge_sessions
from gateway.console import answers
from gateway.core.charge_session import (
    ChargeSession,
    Charging,
    Moment,
    Rate,
    Unseen,
)
from gateway.core.charge_watch import (
    CHARGES_MAX,
    RATES_MAX,
    TEXT_MAX,
    UNSEEN_MAX,
)
from gateway.core.model import Asset, AssetClass, Governor, Reason
from gateway.core.reading import Flowed
from gateway.daemon import codec
from gateway.daemon.change import SessionQuery, StorageError
from gateway.daemon.charge_sessions import RECORD, Found
from gateway.daemon.store import PutChargeSession, Store
from gateway.files import DATABASE
from tests.console.test_cars import Home
from tests.faults.kill9 import Kill9

LONDON = ZoneInfo("Europe/London")
CONFIG = """\
[site]
id = "home-7f3a"
zone = "Europe/London"

[clock]
trust = "always"

[devices.meter]
driver = "p1"
tcp = "127.0.0.1:9"

[asset.ev]
class = "ev"
nominal_w = 7360
power_w = ["meter.power_w"]

[asset.van]
class = "ev"
nominal_w = 7360
power_w = ["meter.power_w"]
"""


def at(text: str) -> Moment:
    return Moment(None, datetime.fromisoformat(text).timestamp())


def rate(when: str, at_most_w: int | None, governor: Governor, text: str, *ids: str) -> Rate:
    return Rate(at(when), at_most_w, False, governor, Reason.NONE, text, ids)


JUNE = ChargeSession(
    asset="ev",
    begin=at("2026-06-30T18:03:20Z"),
    last=at("2026-07-01T06:31:00Z"),
    begin_seen=True,
    end=at("2026-07-01T06:31:00Z"),
    charging=(
        Charging(at("2026-06-30T18:05:11Z"), at("2026-06-30T18:40:00Z")),
        Charging(at("2026-06-30T22:00:00Z"), at("2026-07-01T01:12:30Z")),
    ),
    rates=(
        rate("2026-06-30T18:03:20Z", None, Governor.NONE, "nothing holds it"),
        rate("2026-06-30T18:40:00Z", 0, Governor.DISPATCH, "held off by 7f3a", "7f3a"),
        rate("2026-06-30T22:00:00Z", None, Governor.NONE, "nothing holds it"),
        rate("2026-07-01T01:00:00Z", None, Governor.OVERRIDE, "taken back by the household"),
    ),
    energy_ws=18.4018 * 3_600_000,
    flowed=Flowed(0.0, by_register=True),
)
DARK = ChargeSession(
    asset="van",
    begin=Moment(None, None),
    last=at("2026-09-02T07:00:00Z"),
    begin_seen=False,
    end=at("2026-09-02T07:00:00Z"),
    end_seen=False,
    unseen=(Unseen(at("2026-09-02T01:00:00Z"), at("2026-09-02T01:20:00Z")),),
    left_out=3,
)
OPEN = ChargeSession(
    asset="ev",
    begin=at("2026-11-26T17:00:00Z"),
    last=at("2026-11-26T18:00:00Z"),
    begin_seen=True,
    charging=(Charging(at("2026-11-26T17:00:05Z")),),
    rates=(rate("2026-11-26T17:00:00Z", 1400, Governor.LIMIT, "the fuse, with the oven on"),),
    energy_ws=0.5 * 3_600_000,
    flowed=Flowed(0.0, by_register=False),
)
OLD = replace(JUNE, begin=at("2025-12-01T10:00:00Z"), last=at("2025-12-01T11:00:00Z"), rates=(), charging=())
MANY = 120


def stored() -> list[PutChargeSession]:
    sessions = [*[OLD] * MANY, JUNE, DARK, OPEN]
    return [
        PutChargeSession(
            number, s.asset, s.begin.utc_s, s.last.utc_s, s.end is None, codec.pack([codec.encode(RECORD, s)])
        )
        for number, s in enumerate(sessions, start=1)
    ]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def garage() -> AsyncIterator[Home]:
    folder = Path(tempfile.mkdtemp(prefix="homeflex-charges-"))
    file = folder / "homeflex.toml"
    file.write_text(CONFIG)
    (folder / "state").mkdir()
    async with Store.open(folder / "state" / DATABASE) as store:
        await store.submit(*stored())
    async with Kill9([sys.executable, "-m", "gateway", "run", "--config", str(file)]) as daemon:
        home = Home(file, daemon)
        await home.start()
        yield home
    shutil.rmtree(folder)


module = pytest.mark.asyncio(loop_scope="module")


@module
async def test_every_session_is_told_once_with_the_documented_fields(garage: Home) -> None:
    done = await garage.homeflex("sessions", "--json")
    assert done.code == 0
    assert set(done.answer) == set(get_type_hints(answers.Sessions))
    told = done.answer["sessions"]
    assert [session["number"] for session in told] == list(range(1, MANY + 4))
    june = told[MANY]
    assert set(june) == set(get_type_hints(answers.SessionLine))
    assert (june["plugged_in"], june["unplugged"]) == (
        "2026-06-30T19:03:20+01:00",
        "2026-07-01T07:31:00+01:00",
    )
    assert (june["energy_kwh"], june["energy_by"], june["open"]) == (18.402, "register", False)
    assert june["charging"][0] == {
        "start": "2026-06-30T19:05:11+01:00",
        "stop": "2026-06-30T19:40:00+01:00",
    }
    assert june["rates"][1] == {
        "at": "2026-06-30T19:40:00+01:00",
        "at_most_w": 0,
        "raised": False,
        "governed_by": "dispatch",
        "reason": "none",
        "text": "held off by 7f3a",
        "instructions": ["7f3a"],
    }
    dark, now = told[MANY + 1 :]
    assert (dark["plugged_in"], dark["plugged_in_seen"], dark["energy_kwh"]) == (None, False, None)
    assert (now["unplugged"], now["open"], now["charging"][0]["stop"]) == (None, True, None)


@module
async def test_a_session_is_a_line_and_with_detail_all_that_happened_and_why(garage: Home) -> None:
    said = await garage.homeflex("sessions", "--since", "2026-06-01")
    assert said.code == 0
    lines = [" ".join(line.split()) for line in said.out.splitlines()]
    assert lines == [
        "no. car plugged in unplugged charged kWh rate changed",
        "121 ev 2026-06-30 19:03 2026-07-01 07:31 19:05-02:12 in 2 parts 18.402 2 times",
        "122 van before ? after 2026-09-02 08:00 - ? never, not all seen",
        "123 ev 2026-11-26 17:00 not yet 17:00-now 0.500 never",
    ]
    said = await garage.homeflex("sessions", "ev", "--since", "2026-06-01", "--until", "2026-11", "--detail")
    assert said.code == 1
    said = await garage.homeflex("sessions", "--since", "2026-06-01", "--until", "2026-11-01", "--detail")
    assert said.out.splitlines() == [
        "121  ev   2026-06-30 19:03 to 2026-07-01 07:31, 18.402 kWh by register",
        "  2026-06-30 19:03:20  plugged in",
        "  2026-06-30 19:03:20  own control - none: nothing holds it",
        "  2026-06-30 19:05:11  charging starts",
        "  2026-06-30 19:40:00  at most 0 W - dispatch (7f3a): held off by 7f3a",
        "  2026-06-30 19:40:00  charging stops",
        "  2026-06-30 23:00:00  own control - none: nothing holds it",
        "  2026-06-30 23:00:00  charging starts",
        "  2026-07-01 02:00:00  own control - override: taken back by the household",
        "  2026-07-01 02:12:30  charging stops",
        "  2026-07-01 07:31:00  unplugged",
        "",
        "122  van   before ? to after 2026-09-02 08:00, ? kWh",
        "  ?  first seen",
        "  2026-09-02 02:00:00  not seen from here",
        "  2026-09-02 02:20:00  seen again",
        "  2026-09-02 08:00:00  last seen",
        "  and 3 more, of which the time is not kept",
        "",
    ]


@module
async def test_csv_is_a_row_a_session_or_a_row_for_each_event(garage: Home, tmp_path: Path) -> None:
    said = await garage.homeflex("sessions", "--since", "2026-06-01", "--csv", "-")
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert [row["session"] for row in rows] == ["121", "122", "123"]
    june, dark, now = rows
    assert june["plugged_in"] == "2026-06-30T19:03:20+01:00"
    assert june["charging_stopped"] == "2026-07-01T02:12:30+01:00"
    assert (june["starts"], june["energy_kwh"], june["rate_changes"]) == ("2", "18.402", "2")
    assert (dark["plugged_in"], dark["plugged_in_seen"], dark["unplugged_seen"]) == ("", "no", "no")
    assert (dark["energy_kwh"], dark["unseen"], dark["left_out"]) == ("", "1", "3")
    assert (now["unplugged"], now["charging_stopped"], now["energy_by"]) == ("", "", "power")

    file = tmp_path / "events.csv"
    said = await garage.homeflex("sessions", "ev", "--since", "2026-11-01", "--detail", "--csv", str(file))
    assert (said.code, said.out, said.err) == (0, "", f"{file}: written\n")
    assert list(csv.DictReader(file.open(newline=""))) == [
        _event("17:00:00", "plugged in"),
        _event("17:00:00", "rate", "1400", "limit", "none", "the fuse, with the oven on"),
        _event("17:00:05", "charging starts"),
    ]


def _event(when: str, event: str, *rate_cells: str) -> dict[str, str]:
    cells = [*rate_cells, *[""] * 5][:5]
    names = ("at_most_w", "governed_by", "reason", "text", "instructions")
    head = {"session": "123", "asset": "ev", "at": f"2026-11-26T{when}+00:00", "event": event}
    return head | dict(zip(names, cells, strict=True))


@module
@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["kettle"], 1, "no car 'kettle'; there are ev, van"),
        (["--since", "yesterday"], 1, "'yesterday' is no date; 2026-11-01 or 2026-11-01T07:00, both local"),
        (["--until", "2026-13-01"], 1, "'2026-13-01' is no date"),
        (["--since", "2026-02-01", "--until", "2026-02-01"], 1, "--since is not before --until"),
        (["--json", "--csv", "-"], 2, "--csv or --json, not both"),
        (["--csv", "/nowhere/sessions.csv"], 1, "/nowhere/sessions.csv: No such file or directory"),
    ],
)
async def test_what_is_wrong_is_told_with_what_would_be_right(
    garage: Home, words: list[str], code: int, told: str
) -> None:
    said = await garage.homeflex("sessions", *words)
    assert said.code == code
    assert told in " ".join(said.err.replace("│", " ").split())


@module
async def test_where_there_is_none_it_is_said(garage: Home) -> None:
    said = await garage.homeflex("sessions", "van", "--since", "2026-10-01")
    assert (said.code, said.out) == (0, "no charge session is kept of that time\n")


# --- as the daemon answers --------------------------------------------------------------------------------


class Told:
    """Sessions that are there, and what was asked of them."""

    def __init__(self, *sessions: ChargeSession, more_after: int | None = None) -> None:
        self.found = Found(list(enumerate(sessions, start=1)), more_after, [1, 9])
        self.asked: list[SessionQuery] = []
        self.fails = False

    async def find(self, query: SessionQuery) -> Found:
        """All of them, whatever is asked."""
        if self.fails:
            raise StorageError("the disk is gone")
        self.asked.append(query)
        return self.found


EV = Asset("ev", AssetClass.EV, 7360)


async def page(told: Told, **question: Any) -> Any:
    asked: Any = {"ask": "sessions", **question}
    return await charge_sessions.page(asked, told, [EV], LONDON)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("2026-07-01", "2026-06-30T23:00:00Z"),
        ("2026-07-01T07:30", "2026-07-01T06:30:00Z"),
        ("2026-11-01", "2026-11-01T00:00:00Z"),
        ("2026-07-01T07:30:00+00:00", "2026-07-01T07:30:00Z"),
        ("2026-10-25T01:30", "2026-10-25T00:30:00Z"),  # comes twice: the first
    ],
)
async def test_a_date_is_the_home_s_own_time(word: str, meant: str) -> None:
    told = Told()
    assert await page(told, since=word) == {"sessions": [], "more_after": None, "unreadable": 2}
    assert told.asked == [SessionQuery(since_utc_s=at(meant).utc_s)]


@pytest.mark.parametrize(
    "question",
    [
        {"since": 7}, {"until": ["2026-01-01"]}, {"since": "x" * 1000}, {"after": -1}, {"after": "1"},
        {"after": True}, {"after": 2**63}, {"asset": ["ev"]}, {"asset": ""}, {"since": ""},
    ],
)  # fmt: skip
async def test_what_makes_no_sense_is_refused_and_nothing_is_read(question: dict[str, Any]) -> None:
    told = Told()
    assert set(await page(told, **question)) == {"error"}
    assert told.asked == []


async def test_a_disk_that_cannot_be_read_is_told() -> None:
    told = Told()
    told.fails = True
    assert await page(told) == {"error": "the charge sessions cannot be read: the disk is gone"}


async def test_an_answer_stays_small_and_says_from_where_to_ask_again() -> None:
    moment = Moment(None, 1_800_000_000.0)
    wordy = Rate(moment, 1, False, Governor.DISPATCH, Reason.NONE, "ß" * TEXT_MAX, ("i" * 64,) * 4)
    largest = replace(
        JUNE,
        rates=(wordy,) * RATES_MAX,
        charging=(Charging(moment, moment),) * CHARGES_MAX,
        unseen=(Unseen(moment, moment),) * UNSEEN_MAX,
    )
    answer = await page(Told(*[largest] * 9))
    assert answer["more_after"] == len(answer["sessions"]) == 1
    assert answer["unreadable"] == 1, "9 comes later"
    assert len(json.dumps(answer)) < 2 * charge_sessions.PAGE_BYTES
    answer = await page(Told(*[JUNE] * 9))
    assert (len(answer["sessions"]), answer["more_after"]) == (9, None)
