"""Weekly local times of the configuration become limits at the right UTC, over a change of clocks too."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.model import Care, Deadline, EdgeDelay, Limits
from gateway.daemon.chance import draw_of, new_seed
from gateway.daemon.config import ConfigError
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


FROST = Care(3, 8, frost_c=-5, frost_hold_s=3600, frost_rest_s=7200, outdoor_min_c=-10)


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


STORE = """
[asset.bricks]
class = "heat"
compressor = false
nominal_w = 2400
import_ws = ["hp.power_w"]
store = { need_kwh = 9, capacity_kwh = 16 }
schedule = [{ from = "07:30", to = "00:30", value = 0 }]
"""


def test_a_stores_hours_are_those_its_schedule_leaves_it_in_local_time() -> None:
    bricks = limits_of(parsed(GOOD + STORE), _utc_s("2026-06-10 12:00"))["bricks"]
    assert (bricks.longest_hold_s, bricks.held_per_day_s) == (21_600, 21_600)
    charge = bricks.charge
    assert charge
    assert (charge.need_ws, charge.battery_ws, charge.efficiency) == (9 * 3_600_000, 16 * 3_600_000, 1.0)
    assert (charge.min_soc, charge.max_soc) == (None, None)
    ahead = [d for d in charge.deadlines if d.utc_s > _utc_s("2026-06-10 12:00")]
    assert ahead[0] == Deadline(_utc_s("2026-06-11 06:30"), "07:30 local")
    assert _utc_s("2026-06-10 23:30") in charge.begins


def test_a_store_is_ready_by_the_sooner_and_without_hours_counts_from_one_to_the_next() -> None:
    sooner = STORE.replace("need_kwh = 9", 'need_kwh = 9, ready_by = "06:00"')
    now_s = _utc_s("2026-11-10 12:00")
    charge = limits_of(parsed(GOOD + sooner), now_s)["bricks"].charge
    assert charge
    words = [deadline.words for deadline in charge.deadlines if deadline.utc_s > now_s]
    assert words[:3] == ["06:00 local", "07:30 local", "06:00 local"]
    always = limits_of(parsed(GOOD + sooner.partition("schedule")[0]), now_s)["bricks"].charge
    assert always
    assert always.begins == tuple(deadline.utc_s for deadline in always.deadlines)
    level = sooner.replace("import_ws", 'soc = ["hp.power_w"]\nimport_ws')
    full = limits_of(parsed(GOOD + level), now_s)["bricks"].charge
    assert full
    assert full.max_soc == 1.0


def test_what_has_no_compressor_has_no_compressors_limits_but_what_the_installer_says() -> None:
    bricks = limits_of(parsed(GOOD + STORE), _utc_s("2026-11-10 12:00"))["bricks"]
    assert (bricks.min_run_s, bricks.min_rest_s, bricks.care) == (0, 0, Care(3, None))
    said = STORE + "care = { min_rest_s = 60, starts_per_day = 20 }\n"
    told = limits_of(parsed(GOOD + said), _utc_s("2026-11-10 12:00"))["bricks"]
    assert (told.min_rest_s, told.care) == (60, Care(3, 20))


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
        ("ev", "", Care(change_every_s=10.0, min_change_w=100, pause_s=300.0)),
        ("ev", "pause_s = 60", Care(change_every_s=10.0, min_change_w=100, pause_s=60.0)),
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


@pytest.mark.parametrize(("phases", "least_w"), [(1, 115), (3, 345)])
def test_a_charger_is_raised_by_half_an_ampere_on_its_phases_at_the_least(phases: int, least_w: int) -> None:
    charger = f'[devices.charger]\ndriver = "ocpp"\nport = 9000\nphases = {phases}\n'
    car = '[asset.ev]\nclass = "ev"\ncontrol = "charger"\nnominal_w = 7360\n'
    found = limits_of(parsed(f"{GOOD}{charger}{car}"), _utc_s("2026-11-23 12:00"))["ev"].care
    assert found.min_change_w == least_w


def _car(zone: str, more: str = "", charge: str = "") -> Limits:
    car = f'[asset.ev]\nclass = "ev"\nnominal_w = 7360\n{more}\n' + (
        f"[asset.ev.charge]\n{charge}\n" * bool(charge)
    )
    text = spoilt('"Europe/London"', f'"{zone}"') + car
    return limits_of(parsed(text), _utc_s("2026-07-01 12:00"))["ev"]


def test_a_car_without_a_schedule_keeps_off_the_peak_of_weekdays_by_local_time() -> None:
    limits = _car("Europe/London")
    held = {
        "2026-07-02 06:59": None,  # a Thursday in summer: local is UTC + 1 h
        "2026-07-02 07:00": 0,
        "2026-07-02 09:59": 0,
        "2026-07-02 10:00": None,
        "2026-07-02 14:59": None,
        "2026-07-02 15:00": 0,
        "2026-07-02 20:59": 0,
        "2026-07-02 21:00": None,
        "2026-07-04 08:00": None,  # a Saturday
        "2026-07-05 16:00": None,
    }
    assert {moment: limits.schedule.at(_utc_s(moment)) for moment in held} == held
    assert limits.default_hours


@pytest.mark.parametrize(
    ("zone", "more", "charge", "has"),
    [
        ("Europe/Paris", "", "", False),
        ("Europe/Paris", "", "default_hours = true", True),
        ("Europe/London", "", "default_hours = false", False),
        ("Europe/London", 'schedule = [{ from = "00:00", to = "01:00", value = 0 }]', "", False),
    ],
)
def test_the_household_says_whether_the_default_hours_hold(
    zone: str, more: str, charge: str, has: bool
) -> None:
    limits = _car(zone, more, charge)
    peak = limits.schedule.at(_utc_s("2026-07-02 16:30"))
    assert (limits.default_hours, peak) == (has, 0 if has else None)


NIGHT = """
[asset.ev]
class = "ev"
nominal_w = 7360
schedule = [
    { from = "00:00", to = "24:00", value = 0 },
    { days = ["wed"], from = "00:30", to = "04:30", value = 3000 },
    { days = ["wed"], from = "02:30", to = "03:30", value = 7360 },
]
"""
SUMMER = "2026-07-01 12:00"  # a Wednesday


def _delays(text: str, draw: float, name: str = "ev", now: str = SUMMER) -> tuple[EdgeDelay, ...]:
    return limits_of(parsed(GOOD + text), _utc_s(now), lambda _asset, _at: draw)[name].delays


def test_each_edge_upwards_has_a_delay_from_what_was_allowed_before_and_none_downwards_has() -> None:
    first, second = _utc_s("2026-07-07 23:30"), _utc_s("2026-07-08 01:30")
    assert _delays(NIGHT, 0.5)[-2:] == (EdgeDelay(first, 300, 0), EdgeDelay(second, 300, 3000))


@given(st.floats(0, 1, exclude_max=True), st.integers(0, 1800))
def test_a_delay_is_whole_seconds_up_to_the_sites_default(draw: float, most_s: int) -> None:
    found = _delays(f"{NIGHT}\n[delays]\ndefault_start_s = {most_s}\n", draw)
    assert all(isinstance(d.delay_s, int) and 0 <= d.delay_s <= most_s for d in found)
    assert len(found) == 4


def test_what_delays_itself_has_no_delay_of_ours_and_who_may_say_so() -> None:
    assert _delays(NIGHT.replace("nominal_w", "delays_itself = true\nnominal_w"), 0.5) == ()
    assert _delays(STORE, 0.5, "bricks") != ()
    assert _delays(STORE.replace("compressor", "delays_itself = true\ncompressor"), 0.5, "bricks") == ()
    plug = '[asset.it]\nclass = "plug"\nnominal_w = 9\ndelays_itself = true\n'
    with pytest.raises(ConfigError, match="delays_itself is of what charges"):
        parsed(GOOD + plug)


def test_what_charges_nothing_and_default_hours_elsewhere_have_none() -> None:
    heat = spoilt(
        "nominal_w = 2400", 'nominal_w = 2400\nschedule = [{ from = "22:00", to = "02:00", value = 0 }]'
    )
    assert limits_of(parsed(heat), _utc_s(SUMMER), lambda _asset, _at: 0.5)["heat"].delays == ()
    car = '[asset.ev]\nclass = "ev"\nnominal_w = 7360\n'
    starts = [d.at_utc_s for d in _delays(car, 0.5)]
    assert starts[:2] == [_utc_s("2026-06-30 21:00"), _utc_s("2026-07-01 10:00")]
    assert _limits(GOOD + car, SUMMER).delays == ()


def test_an_edge_has_the_same_draw_whenever_it_is_laid_out_and_each_its_own() -> None:
    draw, config = draw_of(b"x" * 16), parsed(GOOD + NIGHT)
    laid_out = [limits_of(config, _utc_s(f"2026-07-0{n} 11:1{n}"), draw)["ev"].delays for n in (1, 2, 6)]
    common = set.intersection(*map(set, laid_out))
    assert len(common) == 2
    ahead = {d.at_utc_s: d.delay_s for d in laid_out[0]}
    assert all(ahead.get(d.at_utc_s, d.delay_s) == d.delay_s for later in laid_out for d in later)


def test_draws_are_even_and_differ_by_home_asset_and_edge() -> None:
    homes = [draw_of(new_seed()) for _ in range(200)]
    drawn = [draw("ev", _utc_s(SUMMER) + 86_400 * n) for draw in homes for n in range(50)]
    assert len(set(drawn)) == len(drawn)
    tenths = [sum(n / 10 <= d < (n + 1) / 10 for d in drawn) for n in range(10)]
    assert all(800 < count < 1200 for count in tenths)
    assert homes[0]("ev", 0.0) != homes[0]("bricks", 0.0)


def test_nothing_but_a_car_has_default_hours() -> None:
    assert _limits(GOOD, "2026-07-01 12:00").schedule.at(_utc_s("2026-07-02 17:00")) is None
