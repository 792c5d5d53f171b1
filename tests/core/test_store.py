"""A storage heater: an instruction may move its charging about inside its hours, and no further."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.core import charging
from gateway.core.availability import expected
from gateway.core.decide import decide
from gateway.core.memory import resume
from gateway.core.model import (
    Ability,
    Asset,
    AssetClass,
    AssetMemory,
    AssetState,
    Charge,
    Deadline,
    EdgeDelay,
    Extent,
    Governor,
    Instruction,
    Kind,
    Limits,
    Mark,
    Memory,
    Quality,
    Reading,
    Reason,
    Scope,
    Snapshot,
    Span,
    Step,
    Timetable,
)
from tests.core.moments import later

NOW, KWH, HOUR = 500_000.0, 3_600_000, 3600.0
UTC = 1_800_000_000.0 - 1_800_000_000.0 % 86_400  # a midnight
BRICKS = Asset("bricks", AssetClass.HEAT, 2400, Ability((0,), lease_s=900), storage=True)
BEGIN, END = UTC + 0.5 * HOUR, UTC + 7.5 * HOUR
OFF = (Span(UTC - 16.5 * HOUR, BEGIN, 0), Span(END, END + 17 * HOUR, 0))
NEEDS = Charge(
    need_ws=9 * KWH,
    efficiency=1.0,
    deadlines=(Deadline(END, "07:30 local"),),
    begins=(BEGIN, END + 17 * HOUR),
)
LEVELLED = replace(NEEDS, battery_ws=16 * KWH, min_soc=0.2, max_soc=1.0)
REGISTER_WS = 100 * KWH


def limits(charge: Charge = NEEDS) -> Limits:
    return Limits(longest_hold_s=6 * HOUR, rest_s=HOUR, charge=charge, schedule=Timetable(OFF))


def state(register_ws: float = REGISTER_WS, level: float | None = None, **more: Any) -> dict[str, AssetState]:
    soc = None if level is None else Reading(level, 1.0, "bricks.level")
    register = Reading(register_ws, 0.0, "relay.import_ws")
    fields = {"power_w": Reading(0.0, 1.0, "relay.power_w"), "online": True, "soc": soc, **more}
    return {"bricks": AssetState(import_ws=register, **fields)}


def cap(start: float = UTC, end: float = UTC + 20 * HOUR) -> Instruction:
    step = Step(start, end, Kind.CAP, 0)
    return Instruction(
        "i1", 0, "bm", "response", 5, UTC - 100, Scope(("asset:bricks",), ("bricks",)), (step,)
    )


def home(
    at_h: float = 1.0,
    had_kwh: float = 0.0,
    charge: Charge = NEEDS,
    was: AssetMemory | None = None,
    **more: Any,
) -> Snapshot:
    """At an hour of the night, with so much metered since its hours began."""
    at_s = at_h * HOUR
    begun = Mark(NOW + BEGIN - UTC, REGISTER_WS, "relay.import_ws")
    fields: dict[str, Any] = {
        "states": state(REGISTER_WS + had_kwh * KWH),
        "memory": Memory(NOW + at_s - 1, {"bricks": was or AssetMemory(plugged=begun)}),
        "instructions": (cap(),),
        "limits": {"bricks": limits(charge)},
        **more,
    }
    return Snapshot(NOW + at_s, UTC + at_s, fields.pop("trusted", True), (BRICKS,), **fields)


def held(snapshot: Snapshot) -> int | None:
    return decide(snapshot).setpoints[0].at_most_w


def text(snapshot: Snapshot) -> str:
    return decide(snapshot).setpoints[0].text


def night(asked: tuple[Instruction, ...], step_s: float = 60.0) -> tuple[float, list[int | None]]:
    """What it has by the end of its hours (kWh), and how it was held, minute by minute from midnight on."""
    now, had_ws, levels = home(0.0, was=AssetMemory(), instructions=asked), 0.0, []
    while now.utc_s < END:
        levels.append(held(now))
        power_w = 2400.0 if levels[-1] is None and had_ws < 9 * KWH else 0.0
        had_ws += power_w * step_s
        seen = state(REGISTER_WS + had_ws, power_w=Reading(power_w, 0.0, "relay.power_w"))
        now = later(now, step_s, states=seen)
    return had_ws / KWH, levels


# --- what it needs by the end of its hours --------------------------------------------------------------


def test_an_instruction_for_the_whole_night_moves_the_charging_to_its_end_and_takes_none_of_it() -> None:
    had_kwh, levels = night((cap(),))
    assert had_kwh >= 9
    assert levels[30 : 30 + 120] == [0] * 120
    assert sum(was is None for was in levels) == pytest.approx(9 / 2.4 * 60, abs=60)


def test_from_the_latest_start_on_it_charges_whatever_is_asked_and_says_why() -> None:
    latest_h = 7.5 - 9 / 2.4 / 0.8
    assert held(home(latest_h - 0.01)) == 0
    plan = decide(home(latest_h))
    assert (plan.setpoints[0].at_most_w, plan.given[0].extent) == (None, Extent.NONE)
    assert plan.given[0].reason is Reason.COMFORT_LIMIT
    assert plan.setpoints[0].text == "9.00 kWh still needed by 07:30 local"
    assert decide(home(latest_h - 0.5)).next_change_s == pytest.approx(0.5 * HOUR, abs=0.01)


def test_what_it_had_since_its_hours_began_makes_the_latest_start_later() -> None:
    assert held(home(5.0, had_kwh=6.0)) == 0
    assert held(home(5.0, had_kwh=4.0)) is None
    assert held(home(7.4, had_kwh=9.0)) == 0


def test_what_flowed_before_its_hours_counts_for_nothing() -> None:
    evening = home(-3.0, was=AssetMemory(), instructions=())
    boosted = later(evening, 3 * HOUR, states=state(REGISTER_WS + 6 * KWH))
    begun = later(boosted, 0.6 * HOUR, states=state(REGISTER_WS + 6 * KWH))
    counted = later(begun, 60, states=state(REGISTER_WS + 7 * KWH))
    assert charging.need_ws(counted, BRICKS) == pytest.approx(9 * KWH, abs=0.1 * KWH)
    assert counted.memory.of("bricks").plugged == Mark(begun.now_s, REGISTER_WS + 6 * KWH, "relay.import_ws")


def test_each_night_counts_anew_also_when_the_hub_was_off_between() -> None:
    was = Memory(NOW, {"bricks": AssetMemory(plugged=Mark(NOW - 3 * HOUR, REGISTER_WS, "relay.import_ws"))})
    slept = resume(was, 50.0, 20 * HOUR)
    night = replace(home(1.0, had_kwh=6.0), memory=slept, now_s=50.0)
    assert charging.need_ws(later(night, 1), BRICKS) == 9 * KWH
    briefly = replace(home(1.0, had_kwh=6.0), memory=resume(was, 50.0, 60.0), now_s=50.0)
    begun = replace(briefly, utc_s=BEGIN + 3 * HOUR + 60)
    assert charging.need_ws(later(begun, 1), BRICKS) == 3 * KWH


def test_a_clock_that_is_set_a_little_begins_nothing_anew() -> None:
    assert charging.need_ws(later(replace(home(3.0, 4.0), utc_s=UTC + 3 * HOUR - 50), 1), BRICKS) == 5 * KWH


def test_outside_its_hours_the_schedule_keeps_it_off_though_it_got_too_little() -> None:
    late = later(home(7.4, had_kwh=1.0), 0.2 * HOUR)
    plan = decide(replace(late, instructions=()))
    assert (plan.setpoints[0].at_most_w, plan.setpoints[0].governor) == (0, Governor.HOUSEHOLD)
    assert plan.setpoints[0].text == "held by the household's schedule"


def test_where_it_has_no_hours_it_is_late_for_the_moment_it_is_ready_by() -> None:
    daily = replace(NEEDS, begins=(END - 24 * HOUR, END), deadlines=(Deadline(END, "07:30 local"),))
    always = Limits(charge=daily)
    late = later(home(7.4, had_kwh=1.0, limits={"bricks": always}), 60)
    assert text(later(late, 0.2 * HOUR)) == "8.00 kWh still needed, it was to be ready by 07:30 local"


def test_while_the_clock_is_not_trusted_it_charges_what_it_needs() -> None:
    begun = {"latest_end_s": {"i1/0": NOW + 9 * HOUR}}
    dark = home(3.0, had_kwh=2.0, trusted=False)
    dark = replace(dark, memory=replace(dark.memory, **begun))
    assert (held(dark), text(dark)) == (None, "7.00 kWh still needed, and the clock is not trusted")
    full = replace(home(7.0, had_kwh=9.0, trusted=False), memory=dark.memory)
    assert held(full) == 0


def test_a_heater_is_late_by_its_nominal_power_though_nobody_saw_it_charge() -> None:
    strong = replace(BRICKS, nominal_w=7200)
    assert held(replace(home(5.0), assets=(strong,))) == 0
    assert held(replace(home(6.0), assets=(strong,))) is None


# --- its level ------------------------------------------------------------------------------------------


def test_a_full_store_is_held_off_and_an_empty_one_is_not_held_at_any_hour() -> None:
    full = home(6.0, charge=LEVELLED, states=state(level=1.0), instructions=())
    assert (held(full), text(full)) == (0, "its store at 100%, maximum 100%")
    empty = home(12.0, charge=LEVELLED, states=state(level=0.19))
    plan = decide(empty)
    assert (plan.setpoints[0].at_most_w, text(empty)) == (None, "its store at 19%, minimum 20%")
    assert plan.given[0].reason is Reason.COMFORT_LIMIT
    assert held(replace(empty, states=state(level=0.2))) == 0


@pytest.mark.parametrize("quality", [None, Quality.BAD])
def test_a_store_whose_level_nobody_knows_may_be_empty(quality: Quality | None) -> None:
    seen = state(level=0.9)
    known = later(home(12.0, charge=LEVELLED, states=seen), 60)
    lost = None if quality is None else Reading(0.9, 1.0, "bricks.level", quality)
    blind = replace(known, states={"bricks": replace(seen["bricks"], soc=lost)})
    assert (held(known), held(blind)) == (0, None)
    assert text(blind) == "level of its store unknown, minimum 20%"


def test_no_more_is_needed_than_goes_in() -> None:
    assert held(home(6.0, charge=LEVELLED, states=state(level=0.95))) == 0
    assert charging.need_ws(home(6.0, charge=LEVELLED, states=state(level=0.95)), BRICKS) == pytest.approx(
        0.05 * 16 * KWH, abs=1
    )
    assert held(home(6.0, charge=LEVELLED, states=state(level=0.7))) is None


# --- told -----------------------------------------------------------------------------------------------


def test_how_the_store_stands_is_told_in_its_own_words() -> None:
    measured = replace(BRICKS, sources={"soc": ("bricks.level",)})
    assert charging.words(home(3.0, 2.0), BRICKS) == "7.00 kWh needed by 07:30 local"
    blind = "level of its store unknown; 7.00 kWh needed by 07:30 local"
    assert charging.words(home(3.0, 2.0), measured) == blind
    assert charging.words(home(12.0, charge=LEVELLED, states=state(level=0.5)), BRICKS) == "its store at 50%"


def test_the_next_night_is_expected_to_take_what_it_needs_and_no_more() -> None:
    noon = home(12.0, instructions=(), was=AssetMemory(plugged=Mark(NOW + 0.5 * HOUR)))
    drawn_ws = sum(half_hour.power_w * 1800 for half_hour in expected(noon))
    assert drawn_ws == pytest.approx(9 * KWH)


def test_a_hold_that_goes_on_into_its_hours_has_its_longest_as_ever() -> None:
    held_since = AssetMemory(held_w=0, held_since_s=NOW - 5.4 * HOUR)
    now = later(home(0.5, was=held_since, charge=Charge(begins=(BEGIN,))), 60)
    assert now.memory.of("bricks").held_since_s == NOW - 5.4 * HOUR


# --- the random delay of its hours ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after_s", "charge", "level", "is_held"),
    [
        (0, NEEDS, None, True),
        (1799, NEEDS, None, True),
        (1800, NEEDS, None, False),
        (10, replace(NEEDS, need_ws=15 * KWH), None, False),  # 15 kWh of 2.4 kW in seven hours
        (10, LEVELLED, 0.1, False),
    ],
    ids=["begins", "waits", "over", "late", "too empty"],
)
def test_its_hours_begin_after_a_random_delay_unless_it_has_to_charge(
    after_s: float, charge: Charge, level: float | None, is_held: bool
) -> None:
    own = replace(limits(charge), delays=(EdgeDelay(BEGIN, 1800, 0),))
    moment = home((BEGIN + after_s - UTC) / HOUR, charge=charge, instructions=(), limits={"bricks": own})
    assert held(replace(moment, states=state(level=level))) == (0 if is_held else None)


def test_a_store_has_what_it_needs_in_spite_of_its_delay_and_counts_from_the_edge_on() -> None:
    own = replace(limits(), delays=(EdgeDelay(BEGIN, 1800, 0),))
    now = later(home(0.5, instructions=(), limits={"bricks": own}, was=AssetMemory(held_w=0)), 60.0)
    assert decide(now).setpoints[0].governor is Governor.DELAY
    assert charging.need_ws(now, BRICKS) == 9 * KWH
