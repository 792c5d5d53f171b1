"""Weekly local times of the configuration become limits at the right UTC, over a change of clocks too."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.model import Care, Limits
from gateway.daemon.limits import AHEAD_S, BEFORE_S, limits_of, transitions_of
from tests.daemon.configuration import GOOD, parsed, spoilt

LONDON = ZoneInfo("Europe/London")


def _utc_s(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def _limits(text: str, now: str) -> Limits:
    return limits_of(parsed(text), _utc_s(now))["heat"]


def test_a_row_holds_in_its_local_hours_and_otherwise_the_other_value() -> None:
    limits = _limits(GOOD, "2026-07-01 12:00")  # summer: local is UTC + 1 h
    for moment, value in [("05:29", 18), ("05:30", 19.5), ("20:59", 19.5), ("21:00", 18)]:
        assert limits.room_min_c.at(_utc_s(f"2026-07-02 {moment}")) == value


def test_a_row_keeps_its_local_hours_when_the_clocks_change() -> None:
    limits = _limits(GOOD, "2026-10-24 12:00")  # clocks go back on the 25th
    assert limits.room_min_c.at(_utc_s("2026-10-24 05:30")) == 19.5
    assert limits.room_min_c.at(_utc_s("2026-10-26 05:30")) == 18
    assert limits.room_min_c.at(_utc_s("2026-10-26 06:30")) == 19.5


def test_a_row_holds_on_its_days_only_and_past_midnight_on_the_next() -> None:
    night = 'nominal_w = 2400\nschedule = [{ days = ["fri"], from = "22:00", to = "02:00", value = 500 }]'
    schedule = _limits(spoilt("nominal_w = 2400", night), "2026-11-23 12:00").schedule  # a Monday
    held = {
        "2026-11-26 23:00": None,
        "2026-11-27 22:00": 500,
        "2026-11-28 01:59": 500,
        "2026-11-28 02:00": None,
    }
    assert {moment: schedule.at(_utc_s(moment)) for moment in held} == held


def test_where_rows_overlap_the_later_one_in_the_list_holds() -> None:
    always = '{ from = "00:00", to = "24:00", value = 900 }'
    noon = '{ days = ["sat"], from = "12:00", to = "13:00", value = 100 }'
    text = spoilt("nominal_w = 2400", f"nominal_w = 2400\nschedule = [{always}, {noon}]")
    schedule = _limits(text, "2026-11-23 12:00").schedule
    assert schedule.at(_utc_s("2026-11-28 12:30")) == 100
    assert schedule.at(_utc_s("2026-11-27 12:30")) == 900


def test_a_plain_number_holds_always() -> None:
    limits = _limits(GOOD, "2026-11-23 12:00")
    assert limits.room_max_c.at(0) == limits.room_max_c.at(4e9) == 24
    assert limits.room_max_c.next_edge(0) == math.inf


@pytest.mark.parametrize(
    ("old", "new", "longest_hold_s"),
    [
        ("nominal_w", "nominal_w", 7_200),
        ('class = "heat"', 'class = "heat"\nstorage = true', 21_600),
        ('class = "heat"', 'class = "ev"', 14_400),
        ('class = "heat"', 'class = "plug"', 7_200),
        ("room_max_c = 24", "longest_hold_s = 60", 60),
    ],
)
def test_the_longest_hold_is_the_households_or_the_contracts(
    old: str, new: str, longest_hold_s: float
) -> None:
    assert _limits(spoilt(old, new), "2026-11-23 12:00").longest_hold_s == longest_hold_s


@pytest.mark.parametrize(
    ("said", "least_c"),
    [("", None), ('water_c = ["hp.dhw_c"]', 40), ('water_c = ["hp.dhw_c"]\ncomfort.water_min_c = 45', 45)],
)
def test_hot_water_that_is_seen_has_a_minimum(said: str, least_c: float | None) -> None:
    text = f'[asset.tank]\nclass = "heat"\nnominal_w = 2000\n{said}\n'
    assert limits_of(parsed(GOOD + text), _utc_s("2026-11-23 12:00"))["tank"].water_min_c == least_c


@pytest.mark.parametrize(
    ("said", "most", "most_s"),
    [
        ('class = "heat"', 3, 18_000),
        ('class = "heat"\nstorage = true', 3, 21_600),
        ('class = "heat"\ncomfort = { blocks_per_day = 2, held_per_day_s = 7200 }', 2, 7200),
        ('class = "ev"', None, math.inf),
        ('class = "plug"', None, math.inf),
    ],
)
def test_what_heats_is_held_for_some_hours_of_a_day(said: str, most: int | None, most_s: float) -> None:
    limits = limits_of(parsed(f"{GOOD}[asset.it]\nnominal_w = 2000\n{said}\n"), _utc_s("2026-11-23 12:00"))
    assert (limits["it"].blocks_per_day, limits["it"].held_per_day_s) == (most, most_s)


FROST = Care(3, 8, frost_c=-5, frost_hold_s=3600, outdoor_min_c=-10)


@pytest.mark.parametrize(
    ("said", "care"),
    [
        ("", Care(3, 8)),
        ('outdoor_c = ["hp.outdoor_c"]', FROST),
        (
            'outdoor_c = ["hp.outdoor_c"]\n'
            "care = { frost_c = -3, outdoor_min_c = -8, off_may_freeze = true }",
            replace(FROST, frost_c=-3, outdoor_min_c=-8, off_may_freeze=True),
        ),
        ('legionella = ["hp.error_free"]', Care(3, 8, legionella_every_days=8)),
        (
            'water_c = ["hp.dhw_c"]\ncare.legionella_every_days = 15',
            Care(3, 8, legionella_every_days=15),
        ),
        ('water_c = ["hp.dhw_c"]', Care(3, 8)),
    ],
)
def test_frost_and_hygiene_are_limits_where_they_are_seen(said: str, care: Care) -> None:
    text = f'[asset.tank]\nclass = "heat"\nnominal_w = 2000\n{said}\n'
    assert limits_of(parsed(GOOD + text), _utc_s("2026-11-23 12:00"))["tank"].care == care


def test_care_is_careful_where_nothing_is_said() -> None:
    limits = _limits(GOOD, "2026-11-23 12:00")
    assert (limits.min_run_s, limits.min_rest_s, limits.rest_s) == (600, 600, 3600)
    told = _limits(GOOD + "[asset.heat.care]\nmin_run_s = 5\n", "2026-11-23 12:00")
    assert (told.min_run_s, told.min_rest_s) == (5, 600)


@given(st.floats(1_700_000_000, 1_900_000_000), st.floats(-BEFORE_S, AHEAD_S - 1))
def test_at_any_moment_the_limit_is_what_the_clock_on_the_wall_says(now_s: float, later_s: float) -> None:
    moment_s = now_s + later_s
    wall = datetime.fromtimestamp(moment_s, LONDON).strftime("%H:%M:%S")
    table = limits_of(parsed(), now_s)["heat"].room_min_c
    assert table.at(moment_s) == (19.5 if "06:30:00" <= wall < "22:00:00" else 18)


@pytest.mark.parametrize(
    "name", ["Europe/London", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns"]
)
@given(from_utc_s=st.floats(1_700_000_000, 1_900_000_000))
def test_transitions_are_all_there_at_their_second(name: str, from_utc_s: float) -> None:
    zone = ZoneInfo(name)
    found = transitions_of(zone, from_utc_s, from_utc_s + 10 * 86_400)
    assert found[0][0] == from_utc_s
    for since_s, offset_s in found:
        moment = datetime.fromtimestamp(since_s, UTC).astimezone(zone)
        assert moment.utcoffset().total_seconds() == offset_s  # type: ignore[union-attr]
    for since_s, offset_s in found[1:]:
        before = datetime.fromtimestamp(since_s - 1, UTC).astimezone(zone)
        assert before.utcoffset().total_seconds() != offset_s  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("asset_class", "care", "starts"),
    [
        ("heat", "", Care(3, 8)),
        ("plug", "", Care(None, 2)),
        ("ev", "", Care()),
        ("heat", "starts_per_hour = 2\nstarts_per_day = 0", Care(2, None)),
        ("plug", 'appliance = "fridge"', Care(None, 2, 8.0)),
        ("plug", 'appliance = "freezer"\nstarts_per_day = 1', Care(None, 1, -15.0)),
    ],
)
def test_what_we_start_is_started_as_often_as_its_class_bears(
    asset_class: str, care: str, starts: Care
) -> None:
    text = f'[asset.it]\nclass = "{asset_class}"\nnominal_w = 2000\n[asset.it.care]\n{care}\n'
    assert limits_of(parsed(GOOD + text), _utc_s("2026-11-23 12:00"))["it"].care == starts
