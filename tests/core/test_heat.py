"""What heat needs besides a warm room: hot water, a quiet defrost, hygiene, frost, and some hours a day."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.availability import scopes
from gateway.core.bind import state_of
from gateway.core.decide import decide
from gateway.core.memory import override, remember, resume
from gateway.core.model import (
    Ability,
    Asset,
    AssetClass,
    AssetMemory,
    AssetState,
    Block,
    Care,
    Extent,
    Instruction,
    Kind,
    Limits,
    Memory,
    Override,
    Plan,
    Point,
    Quality,
    Reading,
    Reason,
    Scope,
    Snapshot,
    Step,
    Supply,
    Timetable,
)
from tests.core.moments import later

UTC, NOW, HOUR, DAY = 1_800_000_000.0, 2_000_000.0, 3600.0, 86_400.0
PUMP = Asset("hp", AssetClass.HEAT, 2400, Ability((0,), lease_s=120))


def reading(value: float, quality: Quality = Quality.GOOD) -> Reading:
    return Reading(value, 1.0, "hp.x", quality)


def seen(**values: float) -> dict[str, AssetState]:
    found = {name: reading(value) for name, value in values.items()}
    return {"hp": AssetState(**{"power_w": reading(1800.0), "online": True, **found})}


def cap(start: float = UTC - 60, end: float = UTC + 9 * DAY, id_: str = "i1") -> Instruction:
    step = Step(start, end, Kind.CAP, 0)
    return Instruction(id_, 0, "bm", "response", 5, UTC - 100, Scope(("asset:hp",), ("hp",)), (step,))


def home(limits: Limits, was: AssetMemory | None = None, asset: Asset = PUMP, **more: Any) -> Snapshot:
    fields: dict[str, Any] = {
        "states": seen(),
        "memory": Memory(NOW - 1, {"hp": was or AssetMemory()}),
        "instructions": (cap(),),
        **more,
    }
    trusted = fields.pop("clock_trusted", True)
    return Snapshot(NOW, UTC, trusted, (asset,), limits={"hp": limits}, **fields)


def held(snapshot: Snapshot) -> int | None:
    return decide(snapshot).setpoints[0].at_most_w


def text(plan: Plan) -> str:
    return plan.setpoints[0].text


# --- hot water ----------------------------------------------------------------------------------------

WATER = Limits(water_min_c=40.0)


def test_hot_water_at_its_minimum_ends_a_hold_and_says_so() -> None:
    off = home(WATER, AssetMemory(held_w=0, held_since_s=NOW - 900))
    assert held(replace(off, states=seen(water_c=40.1))) == 0
    plan = decide(replace(off, states=seen(water_c=40.0)))
    assert plan.setpoints[0].at_most_w is None
    assert (plan.given[0].extent, plan.given[0].reason) == (Extent.NONE, Reason.COMFORT_LIMIT)
    assert text(plan) == "hot water 40.0 °C, minimum 40.0 °C"


@pytest.mark.parametrize("water", [None, reading(50.0, Quality.BAD)])
def test_a_home_whose_hot_water_cannot_be_seen_is_not_held(water: Reading | None) -> None:
    plan = decide(home(WATER, states={"hp": AssetState(online=True, water_c=water)}))
    assert plan.setpoints[0].at_most_w is None
    assert text(plan) == "hot water unknown, minimum 40.0 °C"


def test_hot_water_older_than_a_quarter_of_an_hour_is_unknown_also_in_the_way_it_is_bound() -> None:
    asset = replace(PUMP, sources={"water_c": ("hp.dhw_c", "tank.water_c")})
    points = {"hp.dhw_c": Point(48.0, NOW - 901), "tank.water_c": Point(120.0, NOW)}
    state = state_of(points, asset, NOW, online=True, room_max_age_s=900)
    assert state.water_c is None
    young = {"hp.dhw_c": Point(48.0, NOW - 900)}
    known = state_of(young, asset, NOW, online=True, room_max_age_s=900).water_c
    assert known
    assert known.value == 48.0


def test_without_a_minimum_no_hot_water_is_needed() -> None:
    assert held(home(Limits())) == 0


def test_hot_water_once_cold_is_heated_three_kelvin_before_the_next_hold_even_if_unseen_meanwhile() -> None:
    cold = later(home(WATER, states=seen(water_c=39.0)), 60, states=seen(water_c=42.9))
    assert held(cold) is None
    unseen = later(cold, 60, states=seen())
    assert held(later(unseen, 60, states=seen(water_c=42.9))) is None
    assert held(later(unseen, 60, states=seen(water_c=43.0))) == 0
    warm = later(later(unseen, 60, states=seen(water_c=43.0)), 60, states=seen(water_c=40.5))
    assert held(warm) == 0


def test_cold_water_wins_over_the_schedule_and_over_a_room_that_is_too_warm() -> None:
    scheduled = replace(WATER, schedule=Timetable(otherwise=0), room_max_c=Timetable(otherwise=23.0))
    warm = home(scheduled, states=seen(water_c=50.0, room_c=24.0))
    assert held(warm) == 0
    assert held(replace(warm, states=seen(water_c=39.0, room_c=24.0))) is None


def test_what_is_not_held_for_its_hot_water_is_not_offered() -> None:
    (offer, *_) = scopes(home(WATER, states=seen(water_c=39.0), instructions=()))
    assert (offer.down.to_w, offer.down.until) == (2400.0, Reason.COMFORT_LIMIT)
    (offer, *_) = scopes(home(WATER, states=seen(water_c=50.0), instructions=()))
    assert offer.down.to_w == 0.0


# --- defrost ------------------------------------------------------------------------------------------

ICY = replace(PUMP, sources={"defrost": ("hp.defrost",)})
RESTS = Limits(min_rest_s=600)


@pytest.mark.parametrize("was", [AssetMemory(), AssetMemory(held_w=0, held_since_s=NOW - 9)])
def test_a_defrost_is_never_disturbed_not_even_by_the_rest_of_its_compressor(was: AssetMemory) -> None:
    plan = decide(home(RESTS, was, ICY, states=seen(defrost=1.0)))
    assert plan.setpoints[0].at_most_w is None
    assert (plan.given[0].reason, text(plan)) == (Reason.APPLIANCE_LIMIT, "melts its ice (defrost)")


def test_after_a_defrost_its_water_is_warm_again_before_the_next_hold() -> None:
    melting = later(home(Limits(), asset=ICY, states=seen(defrost=2.0)), 599, states=seen(defrost=0.0))
    assert text(decide(melting)) == "melted its ice 599 s ago, not held for 600 s after it"
    assert decide(melting).next_change_s == pytest.approx(1)
    assert held(later(melting, 1)) == 0
    again = later(later(melting, 1), 60, states=seen(defrost=1.0))
    assert held(again) is None


def test_where_a_defrost_is_told_and_nobody_tells_nothing_is_held() -> None:
    unknown = home(Limits(), asset=ICY)
    assert text(decide(unknown)) == "unknown whether it melts its ice (defrost)"
    bad = AssetState(online=True, defrost=reading(0.0, Quality.BAD))
    assert held(replace(unknown, states={"hp": bad})) is None
    assert held(replace(unknown, assets=(PUMP,))) == 0
    resting = home(RESTS, AssetMemory(held_w=0, held_since_s=NOW - 9), ICY)
    assert held(resting) == 0


def test_only_the_fuse_outranks_a_defrost() -> None:
    paused = override(Memory(NOW - 1), "hp", Override("hp", NOW + 60, paused=True))
    scheduled = Limits(schedule=Timetable(otherwise=0))
    melting = home(scheduled, asset=ICY, memory=paused, states=seen(defrost=1.0))
    assert held(melting) is None
    tight = {"supply": Supply(5000), "boundary_w": Reading(9000, 1.0, "m.power_w")}
    assert held(replace(melting, **tight)) == 0


# --- how cold it is outside ---------------------------------------------------------------------------

OUTSIDE = replace(PUMP, sources={"outdoor_c": ("hp.outdoor_c",)})
FROST = Limits(longest_hold_s=7200, rest_s=3600, care=Care(frost_c=-5, frost_hold_s=3600, outdoor_min_c=-10))


@pytest.mark.parametrize(
    ("outside_c", "after_s", "held_w"),
    [(-5.0, 7199, 0), (-5.1, 3599, 0), (-5.1, 3600, None), (-10.0, 3599, 0), (-10.1, 1, None)],
)
def test_in_frost_a_hold_is_short_and_in_deep_cold_there_is_none(
    outside_c: float, after_s: float, held_w: int | None
) -> None:
    was = AssetMemory(held_w=0, held_since_s=NOW - after_s)
    plan = decide(home(FROST, was, OUTSIDE, states=seen(outdoor_c=outside_c)))
    assert plan.setpoints[0].at_most_w == held_w


def test_the_end_of_a_hold_in_frost_is_known_beforehand_and_says_why() -> None:
    cold = home(FROST, asset=OUTSIDE, states=seen(outdoor_c=-6.0))
    assert decide(cold).next_change_s == pytest.approx(3600)
    over = later(cold, 3600)
    assert text(decide(over)) == "held for 60 min, the longest allowed in such frost; rests 60 min more"
    deep = decide(replace(cold, states=seen(outdoor_c=-11.0)))
    assert (deep.given[0].reason, text(deep)) == (
        Reason.APPLIANCE_LIMIT,
        "-11.0 °C outside, not held below -10.0 °C",
    )


RESTS_LONGER = Limits(longest_hold_s=2 * HOUR, rest_s=HOUR, care=Care(frost_rest_s=2 * HOUR))


@pytest.mark.parametrize(
    ("outside_c", "after_s", "held_w"),
    [(0.0, 3599, None), (0.0, 3600, 0), (-0.1, 7199, None), (-0.1, 7200, 0)],
)
def test_the_rest_after_a_hold_is_longer_while_it_freezes(
    outside_c: float, after_s: float, held_w: int | None
) -> None:
    was = AssetMemory(held_w=0, held_since_s=NOW - 2 * HOUR)
    now = later(home(RESTS_LONGER, was, OUTSIDE, states=seen(outdoor_c=outside_c)), 0)
    assert held(later(now, after_s)) == held_w


def test_a_rest_begun_in_frost_is_as_short_as_any_once_it_is_a_kelvin_warmer() -> None:
    was = AssetMemory(held_w=0, held_since_s=NOW - 2 * HOUR)
    over = later(home(RESTS_LONGER, was, OUTSIDE, states=seen(outdoor_c=-0.2)), 1.5 * HOUR)
    words = "held for 120 min, the longest allowed; rests 30 min more, 120 min in all as it freezes"
    assert (text(decide(over)), decide(over).next_change_s) == (words, pytest.approx(0.5 * HOUR))
    assert held(later(over, 60, states=seen(outdoor_c=0.9))) is None
    assert held(later(over, 60, states=seen(outdoor_c=1.0))) == 0
    began_warm = later(home(RESTS_LONGER, was, OUTSIDE, states=seen(outdoor_c=2.0)), 0.9 * HOUR)
    assert held(later(began_warm, HOUR, states=seen(outdoor_c=-1.0))) is None


def test_holds_with_less_than_the_rest_in_frost_between_them_are_one_block() -> None:
    often = replace(RESTS_LONGER, blocks_per_day=3)
    for outside_c, many in ((1.0, 3), (-1.0, 1)):
        cold = home(often, asset=OUTSIDE, states=seen(outdoor_c=outside_c))
        now, _ = lived(cold, [(0, 0.5), (2, 2.5), (4, 4.5)], 5)
        assert len(now.memory.of("hp").blocks) == many


def test_it_is_a_kelvin_warmer_before_it_counts_as_warmer() -> None:
    deep = later(home(FROST, asset=OUTSIDE, states=seen(outdoor_c=-10.5)), 60, states=seen(outdoor_c=-9.6))
    assert held(deep) is None
    assert held(later(deep, 60, states=seen(outdoor_c=-9.0))) == 0
    warmer = later(deep, 60, states=seen(outdoor_c=-3.0))
    assert held(later(warmer, 60, states=seen(outdoor_c=-10.1))) is None


def test_where_nobody_knows_how_cold_it_is_nothing_is_held() -> None:
    plan = decide(home(FROST, asset=OUTSIDE))
    assert (plan.setpoints[0].at_most_w, text(plan)) == (None, "outdoor temperature unknown")
    assert held(home(FROST)) == 0


def test_what_may_freeze_is_lowered_in_frost_but_not_off() -> None:
    care = Limits(care=Care(off_may_freeze=True))
    stepped = replace(OUTSIDE, ability=Ability((0,), (600, 2400), 100, lease_s=120))
    frost = home(care, asset=OUTSIDE, states=seen(outdoor_c=-0.1))
    assert held(frost) is None
    assert text(decide(frost)) == "-0.1 °C outside, it may freeze while it is off"
    assert held(replace(frost, assets=(stepped,))) == 600
    assert held(replace(frost, states=seen(outdoor_c=0.0))) == 0


# --- the backup heater ----------------------------------------------------------------------------------

BACKED = replace(PUMP, sources={"backup": ("hp.backup_heater_w",)})


def test_no_hold_begins_while_the_backup_heater_runs_and_one_that_it_is_seen_in_ends() -> None:
    running = home(Limits(), asset=BACKED, states=seen(backup=3000.0))
    plan = decide(running)
    assert (plan.setpoints[0].at_most_w, plan.given[0].reason) == (None, Reason.APPLIANCE_LIMIT)
    assert text(plan) == "its backup heater runs"
    assert held(replace(running, states=seen(backup=0.0))) == 0
    begun = home(Limits(), AssetMemory(held_w=0, held_since_s=NOW - 900), BACKED, states=seen(backup=1.0))
    assert held(begun) is None


def test_one_that_a_hold_called_has_been_off_for_an_hour_before_the_next() -> None:
    begun = home(Limits(), AssetMemory(held_w=0, held_since_s=NOW - 900), BACKED, states=seen(backup=3000.0))
    on = later(later(begun, 600), 600)
    off = replace(on, states=seen(backup=0.0))
    words = "a hold called its backup heater, off for 10 min, not held for 60 min after it"
    assert (text(decide(off)), decide(off).next_change_s) == (words, pytest.approx(3000))
    assert held(later(off, 2999)) is None
    assert held(later(off, 3000)) == 0
    again = later(off, 2900, states=seen(backup=10.0))
    assert held(later(again, 3000, states=seen(backup=0.0))) is None


def test_one_that_runs_in_the_rest_after_a_hold_was_called_by_it_and_one_long_after_was_not() -> None:
    limits = Limits(rest_s=HOUR)
    for let_go_s, held_w in ((NOW - 600, None), (None, 0)):
        was = AssetMemory(let_go_s=let_go_s, held_s=900.0 if let_go_s else 0.0)
        runs = later(home(limits, was, BACKED, states=seen(backup=3000.0)), 60, states=seen(backup=0.0))
        assert held(later(runs, 60)) == held_w


@pytest.mark.parametrize("backup", [None, reading(0.0, Quality.BAD)])
def test_a_backup_heater_that_is_told_of_and_silent_may_run(backup: Reading | None) -> None:
    blind = home(Limits(), asset=BACKED, states={"hp": AssetState(online=True, backup=backup)})
    assert (held(blind), text(decide(blind))) == (None, "unknown whether its backup heater runs")
    assert held(replace(blind, assets=(PUMP,))) == 0


def test_a_compressor_has_its_rest_before_a_backup_heater_ends_it() -> None:
    resting = AssetMemory(held_w=0, held_since_s=NOW - 300)
    assert held(home(Limits(min_rest_s=600), resting, BACKED, states=seen(backup=3000.0))) == 0


def test_when_a_backup_heater_last_ran_is_kept_over_a_restart_and_untimed_it_was_just_now() -> None:
    was = Memory(NOW, {"hp": AssetMemory(backup_s=NOW - 500)})
    assert resume(was, 50.0, 10.0).of("hp").backup_s == -460.0
    assert resume(was, 50.0, None).of("hp").backup_s == 50.0


# --- how far the room falls -----------------------------------------------------------------------------

FALLS = Limits(most_fall_k=2.0, rest_s=HOUR)


def fallen(room_c: float, **more: Any) -> Snapshot:
    """A hold that began at 21 °C, ten minutes later."""
    return later(home(FALLS, states=seen(room_c=21.0), **more), 600, states=seen(room_c=room_c))


def test_a_hold_ends_when_the_room_has_fallen_by_so_much_and_says_from_where() -> None:
    assert held(fallen(19.1)) == 0
    plan = decide(fallen(19.0))
    assert (plan.setpoints[0].at_most_w, plan.given[0].reason) == (None, Reason.COMFORT_LIMIT)
    assert text(plan) == "room fell from 21.0 °C by 2.0 K, the most in a hold; rests 60 min more"


def test_a_room_that_is_a_little_warmer_again_is_not_held_before_it_has_rested() -> None:
    warmer = later(fallen(19.0), 60, states=seen(room_c=20.5))
    assert held(warmer) is None
    assert held(later(warmer, 3539)) is None
    rested = later(warmer, 3540)
    assert held(rested) == 0
    assert held(later(rested, 600, states=seen(room_c=18.6))) == 0
    assert held(later(rested, 600, states=seen(room_c=18.5))) is None


def test_holds_with_less_than_a_rest_between_them_fall_from_where_the_first_began() -> None:
    let_go = later(fallen(20.0), 60, instructions=())
    again = later(let_go, 1800, instructions=(cap(id_="new"),))
    assert held(again) == 0
    assert held(later(again, 60, states=seen(room_c=19.0))) is None


def test_what_the_household_itself_schedules_may_cool_further() -> None:
    night = replace(FALLS, schedule=Timetable(otherwise=0))
    off = home(night, states=seen(room_c=21.0), instructions=())
    assert held(later(off, 6 * HOUR, states=seen(room_c=18.0))) == 0
    asked = later(later(off, HOUR, states=seen(room_c=20.0)), 60)
    assert asked.memory.of("hp").began_c is None
    dispatched = replace(asked, limits={"hp": FALLS}, instructions=(cap(),))
    assert held(later(dispatched, 60, states=seen(room_c=18.1))) == 0
    assert held(later(dispatched, 60, states=seen(room_c=18.0))) is None


def test_without_a_room_that_is_known_nothing_falls() -> None:
    assert held(later(home(FALLS), 600)) == 0
    old = Reading(18.0, 901.0, "hp.room_c")
    blind = fallen(21.0)
    assert held(replace(blind, states={"hp": replace(blind.state("hp"), room_c=old)})) == 0


def test_where_a_hold_began_is_kept_over_a_restart() -> None:
    was = fallen(20.0).memory
    for elapsed_s in (60.0, None):
        begun = resume(was, 50.0, elapsed_s)
        assert begun.of("hp").began_c == 21.0
    now = replace(fallen(19.0), memory=resume(was, NOW + 660, 60.0), now_s=NOW + 660)
    assert held(now) is None


def test_what_is_offered_ends_where_the_room_will_have_fallen_too_far() -> None:
    limits = replace(FALLS, longest_hold_s=4 * HOUR)
    cools = AssetMemory(falls=(0.5 / 20, 1.0 / 20))  # after 10 and 30 min, and then 1 K an hour
    (offer, *_) = scopes(home(limits, cools, states=seen(room_c=21.0), instructions=()))
    assert (offer.down.for_s, offer.down.until) == (pytest.approx(4200, abs=1), Reason.COMFORT_LIMIT)


# --- legionella ---------------------------------------------------------------------------------------

TANK = replace(PUMP, sources={"legionella": ("hp.legionella",)})
CLEAN = Limits(min_rest_s=600, care=Care(legionella_every_days=8))


@pytest.mark.parametrize("was", [AssetMemory(), AssetMemory(held_w=0, held_since_s=NOW - 9)])
def test_a_cycle_against_legionella_is_never_held_back(was: AssetMemory) -> None:
    plan = decide(home(CLEAN, was, TANK, states=seen(legionella=1.0)))
    assert (plan.setpoints[0].at_most_w, text(plan)) == (None, "heats its hot water against legionella")


def test_where_a_cycle_is_told_and_nobody_tells_nothing_is_held() -> None:
    assert (
        text(decide(home(CLEAN, asset=TANK))) == "unknown whether it heats its hot water against legionella"
    )
    assert held(home(CLEAN, asset=TANK, states=seen(legionella=0.0))) == 0


@pytest.mark.parametrize(("ago_days", "held_w"), [(7.49, 0), (7.5, None), (30.0, None), (-1.0, 0)], ids=str)
def test_from_half_a_day_before_it_is_due_nothing_is_held(ago_days: float, held_w: int | None) -> None:
    was = AssetMemory(clean_utc_s=UTC - ago_days * DAY)
    assert held(home(CLEAN, was, TANK, states=seen(legionella=0.0))) == held_w


def test_why_nothing_is_held_before_a_cycle_and_when_that_begins_is_told() -> None:
    was = AssetMemory(clean_utc_s=UTC - 7.5 * DAY + 60, running_since_s=NOW - DAY)
    soon = home(CLEAN, was, TANK, states=seen(legionella=0.0))
    assert decide(soon).next_change_s == pytest.approx(60)
    due = later(soon, 900)
    assert text(decide(due)) == "heated against legionella 7.5 days ago, due after 8 days"
    (offer, *_) = scopes(replace(due, instructions=()))
    assert offer.down.until is Reason.APPLIANCE_LIMIT


def test_the_days_begin_when_a_home_is_first_looked_at() -> None:
    new = later(home(CLEAN, asset=TANK, states=seen(legionella=0.0), instructions=()), 7.4 * DAY)
    asked = replace(new, instructions=(cap(),))
    assert held(asked) == 0
    assert held(later(replace(new, instructions=()), 0.2 * DAY, instructions=(cap(),))) is None


@pytest.mark.parametrize(("lasts_s", "held_w"), [(599, None), (600, 0)])
def test_a_cycle_that_was_seen_from_begin_to_end_counts_and_a_blip_does_not(
    lasts_s: float, held_w: int | None
) -> None:
    due = home(CLEAN, AssetMemory(clean_utc_s=UTC - 9 * DAY), TANK, states=seen(legionella=1.0))
    unseen = later(due, lasts_s / 2, states=seen())
    over = later(unseen, lasts_s / 2, states=seen(legionella=0.0))
    assert held(later(over, 1)) == held_w


@pytest.mark.parametrize(
    ("water", "lasts_s", "held_w"),
    [(60.0, 1800, 0), (60.0, 1799, None), (59.9, 5000, None)],
)
def test_water_that_was_hot_enough_for_half_an_hour_is_clean(
    water: float, lasts_s: float, held_w: int | None
) -> None:
    due = home(CLEAN, AssetMemory(clean_utc_s=UTC - 9 * DAY), states=seen(water_c=water))
    hot = later(due, lasts_s)
    assert held(later(hot, 1)) == held_w
    touched = later(later(due, 900, states=seen(water_c=50.0)), 900, states=seen(water_c=water))
    assert held(later(touched, 1)) is None


def test_the_last_cycle_is_known_after_a_restart_that_nobody_could_time() -> None:
    was = AssetMemory(clean_utc_s=UTC - 7 * DAY, cycle_since_s=NOW - 900, hot_since_s=NOW - 3600)
    memory = resume(Memory(NOW, {"hp": was}), 5.0, None)
    now = replace(home(CLEAN, asset=TANK, states=seen(legionella=0.0)), now_s=6.0, memory=memory)
    assert held(now) == 0
    assert text(decide(replace(now, instructions=(), clock_trusted=False))) == "runs by its own control"
    later_on = replace(now, utc_s=UTC + 0.6 * DAY)
    assert held(later_on) is None
    assert held(later(later_on, 1)) is None  # the cycle's end, if it was one, was not seen


def test_without_a_trusted_clock_nobody_knows_when_a_cycle_is_due() -> None:
    was = AssetMemory(clean_utc_s=UTC - 60, hot_since_s=NOW - 1800)
    begun = Memory(NOW - 1, {"hp": was}, latest_end_s={"i1/0": NOW + 900})
    dark = home(CLEAN, asset=TANK, states=seen(legionella=0.0), memory=begun, clock_trusted=False)
    assert "the clock is not trusted" in text(decide(dark))
    seen_hot = replace(dark, states=seen(legionella=0.0, water_c=65.0))
    assert remember(seen_hot, decide(seen_hot)).of("hp").clean_utc_s == UTC - 60


def test_a_restart_during_a_defrost_counts_as_one_that_has_just_ended() -> None:
    was = Memory(NOW, {"hp": AssetMemory(defrosted_s=NOW - 500)})
    assert resume(was, 50.0, 10.0).of("hp").defrosted_s == -460.0
    assert resume(was, 50.0, None).of("hp").defrosted_s == 50.0


# --- blocks of a day ----------------------------------------------------------------------------------

DAILY = Limits(longest_hold_s=2 * HOUR, rest_s=HOUR, blocks_per_day=3, held_per_day_s=5 * HOUR)


def lived(now: Snapshot, asked: list[tuple[float, float]], hours: float) -> tuple[Snapshot, list[int | None]]:
    """Five minutes at a time, with an instruction from and to each of these hours."""
    orders = tuple(cap(UTC + a * HOUR, UTC + b * HOUR, f"i{n}") for n, (a, b) in enumerate(asked))
    levels, now = [], replace(now, instructions=orders)
    for _ in range(round(12 * hours)):
        levels.append(held(now))
        now = later(now, 300)
    return now, levels


def test_a_fourth_block_within_a_day_waits_for_the_day_to_end() -> None:
    asked = [(0, 1), (3, 4), (6, 7), (9, 10)]
    now, levels = lived(home(DAILY), asked, 9)
    assert levels.count(0) == 36
    plan = decide(now)
    assert (plan.setpoints[0].at_most_w, plan.given[0].reason) == (None, Reason.COMFORT_LIMIT)
    assert text(plan) == "held 3 times within a day, the most allowed"
    (offer, *_) = scopes(replace(now, instructions=()))
    assert (offer.down.for_s, offer.down.until) == (0.0, Reason.COMFORT_LIMIT), "too late to be offered"
    nearly = replace(now, instructions=(), now_s=now.now_s + 14.5 * HOUR, utc_s=now.utc_s + 14.5 * HOUR)
    (offer, *_) = scopes(nearly)
    assert (offer.down.to_w, offer.down.after_s) == (0.0, pytest.approx(HOUR / 2))
    again = replace(now, instructions=(), now_s=now.now_s + 15 * HOUR, utc_s=now.utc_s + 15 * HOUR)
    assert held(replace(again, instructions=(cap(id_="new"),))) == 0


def test_holds_with_less_than_a_rest_between_them_are_one_block() -> None:
    asked = [(0, 0.5), (1, 1.5), (2, 2.5), (3, 3.5), (7, 8)]
    now, levels = lived(home(DAILY), asked, 8)
    assert levels.count(0) == 6 * 4 + 12
    starts = [block.start_s for block in now.memory.of("hp").blocks]
    assert starts == [NOW, NOW + 7 * HOUR]


def test_the_hours_of_a_day_end_a_hold_and_those_of_the_day_before_are_free_again() -> None:
    daily = replace(DAILY, blocks_per_day=9)
    now, levels = lived(home(daily), [(0, 2), (4, 6), (8, 10)], 9.5)
    assert levels[8 * 12 :] == [0] * 12 + [None] * 6
    assert text(decide(now)) == "held for 5 h within a day, the most allowed"
    assert decide(now).next_change_s <= 14.5 * HOUR + 1
    _, levels = lived(home(daily), [(0, 2), (4, 6), (8, 9), (24, 26), (28, 30), (32, 34)], 34)
    assert levels[24 * 12 :].count(0) == 12 * 5


def test_how_long_a_hold_may_still_be_is_known_and_offered() -> None:
    now, _ = lived(home(replace(DAILY, blocks_per_day=9)), [(0, 2), (4, 6)], 8)
    assert decide(replace(now, instructions=(cap(id_="new"),))).next_change_s == pytest.approx(HOUR)
    (offer, *_) = scopes(replace(now, instructions=()))
    assert (offer.down.for_s, offer.down.until) == (pytest.approx(HOUR), Reason.COMFORT_LIMIT)


def test_what_the_household_and_its_limits_hold_is_no_block() -> None:
    scheduled = replace(DAILY, schedule=Timetable(otherwise=0))
    now, levels = lived(home(scheduled), [], 12)
    assert (set(levels), now.memory.of("hp").blocks) == ({0}, ())
    warm = home(replace(DAILY, room_max_c=Timetable(otherwise=23)), states=seen(room_c=24.0))
    now, _ = lived(warm, [], 4)
    assert now.memory.of("hp").blocks == ()
    now, levels = lived(warm, [(0, 1)], 1)
    assert (set(levels), now.memory.of("hp").blocks) == ({0}, ()), "it would be held all the same"
    cooler = later(replace(now, instructions=(cap(id_="goes on"),), states=seen(room_c=22.0)), 1)
    assert len(cooler.memory.of("hp").blocks) == 1
    used = AssetMemory(blocks=(Block(NOW - 9 * HOUR, NOW - 2 * HOUR, 5 * HOUR),))
    assert held(home(scheduled, used)) == 0
    assert held(home(DAILY, used)) is None
    assert held(replace(warm, memory=Memory(NOW - 1, {"hp": used}))) == 0


def test_what_a_limit_leaves_of_a_hold_is_of_a_block_too() -> None:
    stepped = replace(PUMP, ability=Ability((0,), (600, 2400), 100, lease_s=120))
    often = replace(DAILY, care=Care(starts_per_hour=1))
    now = home(often, AssetMemory(starts_s=(NOW - 60,)), stepped)
    assert held(now) == 600
    assert len(later(now, 1).memory.of("hp").blocks) == 1
    scheduled = replace(DAILY, schedule=Timetable(otherwise=0))
    mild = replace(cap(), steps=(Step(UTC - 60, UTC + 600, Kind.CAP, 1000),))
    assert later(home(scheduled, asset=stepped, instructions=(mild,)), 1).memory.of("hp").blocks == ()


def test_a_return_that_is_delayed_is_of_the_block() -> None:
    step = Step(UTC - 600, UTC + 300, Kind.CAP, 0)
    delayed = replace(cap(), steps=(step,), end_delay_s=600)
    now = later(later(home(DAILY, instructions=(delayed,)), 300), 600)
    assert later(now, 1).memory.of("hp").blocks == (Block(NOW, NOW + 900, 900.0),)


def test_the_blocks_of_a_day_are_kept_over_a_restart_and_untimed_they_were_all_today() -> None:
    blocks = (Block(NOW - 23 * HOUR, NOW - 21 * HOUR, 2 * HOUR), Block(NOW - HOUR, NOW - HOUR, 0.0))
    was = Memory(NOW, {"hp": AssetMemory(blocks=blocks, dispatched_since_s=NOW - HOUR)})
    timed = resume(was, 50.0, 10.0).of("hp")
    assert timed.blocks[0] == Block(40 - 23 * HOUR, 40 - 21 * HOUR, 2 * HOUR)
    assert timed.dispatched_since_s == 40 - HOUR
    untimed = resume(was, 50.0, None)
    often = replace(home(replace(DAILY, blocks_per_day=2), memory=untimed, instructions=()), now_s=60.0)
    let_go = later(often, 20 * HOUR, instructions=(cap(end=UTC + 9 * DAY),))
    assert text(decide(let_go)) == "held 2 times within a day, the most allowed"
    long = replace(let_go, limits={"hp": replace(DAILY, held_per_day_s=4 * HOUR)})
    assert text(decide(long)) == "held for 4 h within a day, the most allowed"
    assert held(replace(long, limits={"hp": replace(DAILY, held_per_day_s=4.1 * HOUR)})) == 0


def test_without_such_limits_no_blocks_are_kept() -> None:
    now, _ = lived(home(Limits()), [(0, 1)], 2)
    assert now.memory.of("hp").blocks == ()


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 250), st.integers(1, 24)), max_size=30))
def test_over_two_days_no_orders_hold_it_more_often_or_longer(asked: list[tuple[int, int]]) -> None:
    hours = [(start / 5, (start + lasts) / 5) for start, lasts in asked]
    _, levels = lived(home(DAILY), hours, 52)
    found = [n for n, level in enumerate(levels) if level == 0]
    begun = [n for n in found if not any(n - 12 <= m < n for m in found)]
    for n in found:
        assert sum(n - 288 < m <= n for m in found) <= 60 + 1
    for n in begun:
        assert sum(n - 288 < m <= n for m in begun) <= 3
