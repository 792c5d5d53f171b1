"""Cars and plugs in the configuration: what is good becomes limits, what is not says what would be right."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from gateway.core.model import Ability, Charge, Deadline, FallbackBy, Limits
from gateway.daemon.limits import limits_of
from tests.daemon.configuration import parsed, problems

GOOD = """\
[site]
id = "home-7f3a"
zone = "Europe/London"

[devices.hp]
driver = "modbus"
profile = "xtherma"
host = "192.168.1.20"

[devices.meter]
driver = "p1"
tcp = "192.168.1.21:23"

[devices.freezer-plug]
driver = "shelly"
host = "192.168.1.22"

[asset.ev]
class = "ev"
nominal_w = 7360
connected = ["meter.power_w"]
import_ws = ["meter.import_ws"]
soc = ["meter.power_w", "typed"]

[asset.ev.charge]
battery_kwh = 60
min_soc = 0.2
target_soc = 0.8
max_soc = 0.9
ready_by = "07:00"
need_kwh = 20

[asset.freezer]
class = "plug"
control = "freezer-plug"
nominal_w = 150

[asset.freezer.care]
appliance = "freezer"
"""
EV, FREEZER = "asset.ev", "asset.freezer"
READY_BY = 'should be a time of day in quotes, as in "07:00", or a list, as in [{ days = ["sat", "sun"], at ='


def spoilt(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


def limits(text: str = GOOD, now: str = "2026-11-23 12:00") -> Mapping[str, Limits]:
    return limits_of(parsed(text), _utc_s(now))


def _utc_s(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def test_a_car_and_a_freezer_are_taken_whole() -> None:
    config = parsed(GOOD)
    ev, freezer = config.assets
    assert ev.sources == {
        "connected": ("meter.power_w",),
        "import_ws": ("meter.import_ws",),
        "soc": ("meter.power_w", "typed"),
    }
    assert ev.ability == Ability()
    assert freezer.ability.fallback is FallbackBy.DEVICE
    assert config.services.plug_notice_s == 3600
    assert parsed(GOOD + "[services]\nplug_notice_s = 0\n").services.plug_notice_s == 0


def test_a_charge_becomes_limits_in_watt_seconds() -> None:
    charge = limits()["ev"].charge
    assert charge
    assert (charge.battery_ws, charge.need_ws) == (216_000_000, 72_000_000)
    assert (charge.min_soc, charge.target_soc, charge.max_soc, charge.efficiency) == (0.2, 0.8, 0.9, 0.9)
    assert limits()["freezer"].charge is None
    bare = spoilt('ready_by = "07:00"\n', "").replace("target_soc = 0.8\n", "").replace("need_kwh = 20\n", "")
    assert limits(bare)["ev"].charge == Charge(216_000_000, 0.2, None, 0.9, taper_from_soc=0.8)


def test_ready_by_is_a_local_time_of_each_day_also_when_the_clocks_change() -> None:
    charge = limits(now="2026-10-24 12:00")["ev"].charge  # clocks go back on the 25th
    assert charge
    ahead = [deadline for deadline in charge.deadlines if deadline.utc_s > _utc_s("2026-10-24 00:00")]
    assert ahead[:3] == [
        Deadline(_utc_s("2026-10-24 06:00"), "07:00 local"),
        Deadline(_utc_s("2026-10-25 07:00"), "07:00 local"),
        Deadline(_utc_s("2026-10-26 07:00"), "07:00 local"),
    ]
    assert charge.deadlines[-1].utc_s > _utc_s("2026-11-01 12:00")


def test_ready_by_may_differ_by_day() -> None:
    rows = 'ready_by = [{ days = ["mon", "tue"], at = "07:00" }, { days = ["sat"], at = "10:30" }]'
    charge = limits(spoilt('ready_by = "07:00"', rows), "2026-11-23 12:00")["ev"].charge  # a Monday
    assert charge
    ahead = [(d.utc_s, d.words) for d in charge.deadlines if d.utc_s > _utc_s("2026-11-23 12:00")]
    assert ahead[:3] == [
        (_utc_s("2026-11-24 07:00"), "07:00 local"),
        (_utc_s("2026-11-28 10:30"), "10:30 local"),
        (_utc_s("2026-11-30 07:00"), "07:00 local"),
    ]


@pytest.mark.parametrize(
    ("care", "longest_off_s", "shortest_on_s", "longest_hold_s"),
    [
        ('appliance = "freezer"', 3600, 21_600, math.inf),
        ('appliance = "fridge"', 1800, 21_600, math.inf),
        ('appliance = "freezer"\nlongest_off_s = 14400\nshortest_on_s = 30000', 14_400, 30_000, math.inf),
        ("longest_off_s = 50000", 50_000, 900, math.inf),
        ("shortest_on_s = 0", math.inf, 0, 7200),
        ("", math.inf, 900, 7200),
    ],
)
def test_a_plug_is_off_and_on_as_its_appliance_bears(
    care: str, longest_off_s: float, shortest_on_s: float, longest_hold_s: float
) -> None:
    found = limits(spoilt('appliance = "freezer"', care))["freezer"]
    assert (found.longest_off_s, found.shortest_on_s) == (longest_off_s, shortest_on_s)
    assert found.longest_hold_s == longest_hold_s


def test_a_minimum_run_and_rest_are_a_heat_pumps_and_nobody_elses() -> None:
    found = limits()
    assert [(x.min_run_s, x.min_rest_s) for x in (found["ev"], found["freezer"])] == [(0, 0), (0, 300)]
    assert found["ev"].shortest_on_s == 0


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "min_soc = 0.2",
            "min_soc = 0.8",
            f"{EV}.charge: min_soc 0.8 is not below target_soc 0.8; ",
        ),
        (
            "max_soc = 0.9",
            "max_soc = 0.7",
            f"{EV}.charge: target_soc 0.8 is not below max_soc 0.7; ",
        ),
        (
            "min_soc = 0.2",
            "min_soc = 20",
            f"{EV}.charge.min_soc: 20 should be a share of 1; 0.2 would be right",
        ),
        ("battery_kwh = 60", "", f"{EV}.charge: target_soc needs battery_kwh, as in battery_kwh = 60"),
        ("target_soc = 0.8\nmax_soc = 0.9\n", "", None),
        ('ready_by = "07:00"', 'ready_by = "7"', f"{EV}.charge.ready_by.0.at: '7' should be a time of day"),
        ('ready_by = "07:00"', "ready_by = 7", f"{EV}.charge.ready_by: 7 {READY_BY}"),
        (
            'ready_by = "07:00"',
            "ready_by = [{}]",
            f'{EV}.charge.ready_by.0.at: is missing; at = "07:00"',
        ),
        (
            "[asset.ev.charge]",
            'schedule = [{ from = "00:00", to = "01:00", value = 0 }]\n'
            "[asset.ev.charge]\ndefault_hours = true",
            f"{EV}: charge.default_hours is for a car without a schedule of its own; remove one of the two",
        ),
        ("need_kwh = 20", "need_kwh = 0", f"{EV}.charge.need_kwh: 0 should be greater than 0"),
        ('ready_by = "07:00"', "ready_by = 07:00:00", f"{EV}.charge.ready_by: 07:00:00 {READY_BY}"),
        ('ready_by = "07:00"', 'ready_by = ["07:00"]', f"{EV}.charge.ready_by: {READY_BY}"),
        ('ready_by = "07:00"', 'ready_by = { at = "07:00" }', f"{EV}.charge.ready_by: {READY_BY}"),
        (
            'ready_by = "07:00"',
            'ready_by = [{ days = [], at = "07:00" }]',
            f'{EV}.charge.ready_by.0.days: should not be empty; days = ["mon", "tue"] would be right',
        ),
        ('ready_by = "07:00"', 'ready_by = [{ days = ["sat", "sun"], at = "09:00" }]', None),
        (
            "target_soc = 0.8",
            "target_soc = 80",
            f"{EV}.charge.target_soc: 80 should be a share of 1; 0.8 would",
        ),
        ("max_soc = 0.9", "max_soc = 900", f"{EV}.charge.max_soc: 900 should be less than or equal to 1"),
        ("need_kwh = 20", "efficiency = 90", f"{EV}.charge.efficiency: 90 should be a share of 1; 0.9 would"),
        (
            'connected = ["meter.power_w"]',
            "",
            f"{EV}: charge.need_kwh is what each car that is plugged in needs; connected = [",
        ),
        (
            '"freezer"\n',
            '"freezer"\nlongest_off_s = 600\n',
            f"{FREEZER}.care.longest_off_s: 600: freezer-plug stays off for 900 s when the gateway is gone;"
            " devices.freezer-plug.lease_s = 600 would be right",
        ),
        ('.22"', '.22"\nlease_s = 1800', None),
        ('appliance = "freezer"', "longest_off_s = 899", f"{FREEZER}.care.longest_off_s: 899: "),
        ('"typed"]', '"guess"]', f'{EV}.soc.1: \'guess\' should be "device.point", as in "charger.soc", or'),
        ('"meter.import_ws"', '"typed"', f"{EV}.import_ws.0: 'typed' should be \"device.point\""),
        ('["meter.power_w", "typed"]', "[]", f"{EV}: charge has a SoC limit, so soc needs a source, as in"),
        ('["meter.power_w", "typed"]', '["meter.soc"]', f"{EV}.soc: 'meter.soc': meter has no point 'soc'"),
        ('import_ws = ["meter.import_ws"]', "", f"{EV}: the energy since plug-in needs import_ws, as in"),
        ('class = "ev"', 'class = "heat"', f'{EV}: charge is for a car; class = "ev" would be right'),
        (
            'class = "plug"',
            'class = "heat"',
            f'{FREEZER}: care.appliance is for what a plug switches; class = "plug"',
        ),
        (
            '"freezer"\n',
            '"freezer"\nlongest_off_s = 14401\n',
            f"{FREEZER}.care: a freezer is off",
        ),
        ('"freezer"\n', '"fridge"\nlongest_off_s = 7201\n', f"{FREEZER}.care: a fridge is off for at most"),
        (
            '"freezer"\n',
            '"freezer"\nshortest_on_s = 21599\n',
            f"{FREEZER}.care: a freezer is on for at least",
        ),
        ('"freezer"\n', '"freezer"\nmin_rest_s = 299\n', f"{FREEZER}.care: a freezer is off for at least"),
        (
            '"freezer"\n',
            '"freezer"\nstarts_per_day = 3\n',
            f"{FREEZER}.care: a freezer has at most starts_per",
        ),
        (
            '"freezer"\n',
            '"freezer"\nair_max_c = -14\n',
            f"{FREEZER}.care: a freezer has at most air_max_c = -15",
        ),
        ('"freezer"\n', '"freezer"\nair_max_c = -16\n', f"{FREEZER}: care.air_max_c needs a source, as in"),
        (
            'appliance = "freezer"',
            "air_max_c = 5",
            f"{FREEZER}: the air is limited where food is cooled; care.app",
        ),
        ('"freezer"\n', '"washer"\n', f"{FREEZER}.care.appliance: 'washer' should be 'fridge' or 'freezer'"),
        (
            '"freezer-plug"',
            '"hp"',
            f"{FREEZER}.care.appliance: 'freezer': hp does not return by",
        ),
        ('.22"', '.22"\nlongest_off_s = 7201', None),
    ],
)
def test_an_error_says_what_would_be_right(old: str, new: str, problem: str | None) -> None:
    found = problems(spoilt(old, new))
    if problem is None:
        assert found == ()
    else:
        assert [said for said in found if said.startswith(problem)], found


def test_a_plug_whose_timer_is_as_short_as_its_longest_off_is_good() -> None:
    text = spoilt('.22"', '.22"\nlease_s = 600').replace('"freezer"\n', '"freezer"\nlongest_off_s = 600\n')
    assert problems(text) == ()


def test_a_minimum_needs_something_that_tells_when_it_is_reached() -> None:
    text = GOOD
    for line in ("battery_kwh = 60\n", "target_soc = 0.8\n", 'ready_by = "07:00"\n', "need_kwh = 20\n"):
        text = text.replace(line, "")
    (problem,) = problems(text.replace(', "typed"', ""))
    assert problem.startswith(f"{EV}.charge: min_soc needs battery_kwh = 60, for while")
    assert (
        problems(text.replace(', "typed"', "").replace("min_soc = 0.2", "min_soc = 0.2\nneed_kwh = 20")) == ()
    )


def test_ready_by_needs_something_to_be_ready_with() -> None:
    text = spoilt("target_soc = 0.8\n", "").replace("need_kwh = 20\n", "")
    (problem,) = problems(text)
    assert problem == f"{EV}.charge: ready_by needs target_soc = 0.8 (with battery_kwh), or need_kwh = 20"


def test_a_typed_charge_needs_to_know_the_battery() -> None:
    text = spoilt("battery_kwh = 60\n", "").replace("target_soc = 0.8\n", "")
    (problem,) = problems(text)
    assert problem == f'{EV}: a "typed" SoC goes on by energy: charge.battery_kwh = 60 would be right'


def test_a_plug_that_may_stay_off_for_too_long_by_itself_cools_no_food() -> None:
    text = spoilt('.22"', '.22"\nlongest_off_s = 7201').replace('"freezer"\n', '"fridge"\n')
    (problem,) = problems(text)
    assert problem == (
        f"{FREEZER}.care.appliance: 'fridge': freezer-plug may stay off for 7201 s;"
        " 7200 s at most would be right"
    )
