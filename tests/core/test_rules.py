"""Each rule of the core as a sentence, on homes of one or two assets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.core.availability import expected, scopes
from gateway.core.bind import FIELDS, bind, state_of, why
from gateway.core.decide import decide
from gateway.core.memory import override, remember, resume
from gateway.core.model import (
    Ability,
    Asset,
    AssetClass,
    AssetMemory,
    AssetState,
    Bound,
    Extent,
    Governor,
    Instruction,
    Kind,
    Limits,
    Memory,
    Override,
    Plan,
    Point,
    Quality,
    Rank,
    Reading,
    Reason,
    Scope,
    Snapshot,
    Span,
    Step,
    Supply,
    Timetable,
)
from gateway.core.room import Room
from gateway.core.settle import settle
from gateway.core.share import Wish

UTC, NOW = 1_800_000_000.0, 10_000.0
PUMP = Asset("heat", AssetClass.HEAT, 2400, Ability(levels_w=(0,), lease_s=120))
CHARGER = Asset("ev", AssetClass.EV, 7360, Ability((0,), (1380, 7360), 230, raises=True, lease_s=300))
CAPPED = Asset("nibe", AssetClass.HEAT, 6000, Ability(range_w=(1500, 6000), step_w=100))


def reading(value: float, age_s: float = 1.0, quality: Quality = Quality.GOOD) -> Reading:
    return Reading(value, age_s, "x.y", quality)


def state(power_w: float | None = 2400, room_c: float | None = 20.5, *, online: bool = True) -> AssetState:
    return AssetState(
        None if power_w is None else reading(power_w),
        None if room_c is None else reading(room_c),
        None,
        online,
    )


def cap(
    power_w: int,
    *assets: str,
    id_: str = "i1",
    kind: Kind = Kind.CAP,
    site: bool = False,
    start: float = UTC - 60,
    end: float = UTC + 1800,
    **more: Any,
) -> Instruction:
    scope = Scope(("site",) if site else tuple(f"asset:{a}" for a in assets), assets, site)
    fields = {"priority": 5, "issued_utc_s": UTC - 100, **more}
    return Instruction(
        id_, 0, "bm", "response", scope=scope, steps=(Step(start, end, kind, power_w),), **fields
    )


def home(*assets: Asset, **more: Any) -> Snapshot:
    found = assets or (PUMP,)
    fields: dict[str, Any] = {
        "assets": found,
        "states": {a.id: state() for a in found},
        "limits": {a.id: Limits(room_min_c=Timetable(otherwise=19.0)) for a in found},
        **more,
    }
    return Snapshot(NOW, UTC, fields.pop("clock_trusted", True), **fields)


def held(plan: Plan, asset: str = "heat") -> int | None:
    found = plan.setpoint(asset)
    assert found
    return found.at_most_w


# --- comfort ------------------------------------------------------------------------------------------


def test_a_cap_holds_a_pump_that_is_warm_enough() -> None:
    plan = decide(home(instructions=(cap(0, "heat"),)))
    assert held(plan) == 0
    assert plan.setpoints[0].governor is Governor.DISPATCH
    assert plan.given[0].extent is Extent.FULL


def test_a_cap_the_pump_stays_under_by_itself_needs_no_hold() -> None:
    plan = decide(home(instructions=(cap(2400, "heat"),)))
    assert held(plan) is None
    assert plan.given[0].extent is Extent.FULL


def test_at_the_room_minimum_the_pump_is_let_go_though_the_instruction_goes_on() -> None:
    snapshot = home(states={"heat": state(0, 19.0)}, instructions=(cap(0, "heat"),))
    plan = decide(snapshot)
    assert held(plan) is None
    assert plan.setpoints[0].reason is Reason.COMFORT_LIMIT
    assert "19.0 °C, minimum 19.0 °C" in plan.setpoints[0].text
    assert (plan.given[0].extent, plan.given[0].reason) == (Extent.NONE, Reason.COMFORT_LIMIT)


def test_after_the_minimum_was_reached_the_hold_waits_for_the_hysteresis() -> None:
    snapshot = home(states={"heat": state(0, 19.0)}, instructions=(cap(0, "heat"),))
    cold = replace(snapshot, memory=remember(snapshot, decide(snapshot)))
    at_19_2 = replace(cold, states={"heat": state(2400, 19.2)})
    assert held(decide(at_19_2)) is None
    warmer = replace(at_19_2, memory=remember(at_19_2, decide(at_19_2)), states={"heat": state(2400, 19.3)})
    warm = replace(warmer, memory=remember(warmer, decide(warmer)))
    assert held(decide(warm)) == 0


@pytest.mark.parametrize(
    "room", [None, reading(21, age_s=901), reading(21, quality=Quality.BAD)], ids=["none", "old", "bad"]
)
def test_a_home_whose_room_cannot_be_seen_is_not_held(room: Reading | None) -> None:
    seen = {"heat": replace(state(), room_c=room)}
    plan = decide(home(states=seen, instructions=(cap(0, "heat"),)))
    assert held(plan) is None
    assert "unknown" in plan.setpoints[0].text


def test_without_a_room_minimum_no_room_sensor_is_needed() -> None:
    snapshot = home(limits={"heat": Limits()}, states={"heat": state(2400, None)})
    assert held(decide(replace(snapshot, instructions=(cap(0, "heat"),)))) == 0


def test_the_room_minimum_follows_the_time_of_day() -> None:
    table = Timetable((Span(UTC - 3600, UTC, 18.0), Span(UTC, UTC + 3600, 20.0)), 17.0)
    snapshot = home(limits={"heat": Limits(room_min_c=table)}, states={"heat": state(2400, 19.0)})
    asked = replace(snapshot, instructions=(cap(0, "heat", start=UTC - 7200),))
    assert held(decide(asked)) is None
    earlier = replace(asked, utc_s=UTC - 1)
    assert held(decide(earlier)) == 0
    assert decide(earlier).next_change_s == pytest.approx(1)


def test_without_a_trusted_clock_the_strictest_minimum_of_the_week_holds() -> None:
    table = Timetable((Span(UTC + 3600, UTC + 7200, 21.0),), 17.0)
    begun = Memory(latest_end_s={"i1/0": NOW + 600})
    snapshot = home(
        limits={"heat": Limits(room_min_c=table)},
        instructions=(cap(0, "heat"),),
        memory=begun,
        clock_trusted=False,
    )
    assert held(decide(snapshot)) is None


def test_the_longest_hold_ends_a_block_and_the_rest_keeps_the_next_one_off() -> None:
    limits = {"heat": Limits(longest_hold_s=7200, rest_s=3600)}
    was = AssetMemory(held_w=0, held_since_s=NOW - 7200)
    long = cap(0, "heat", end=UTC + 36_000)
    snapshot = home(limits=limits, instructions=(long,), memory=Memory(NOW - 1, {"heat": was}))
    plan = decide(snapshot)
    assert held(plan) is None
    assert "longest allowed" in plan.setpoints[0].text
    rested = replace(snapshot, now_s=NOW + 3599, memory=remember(snapshot, plan), utc_s=UTC + 1)
    assert held(decide(rested)) is None
    after = replace(rested, now_s=NOW + 3600)
    assert held(decide(after)) == 0


def test_two_short_holds_without_a_rest_between_count_as_one() -> None:
    limits = {"heat": Limits(longest_hold_s=7200, rest_s=3600)}
    was = AssetMemory(held_w=0, held_since_s=NOW - 100, held_s=7150.0)
    snapshot = home(limits=limits, instructions=(cap(0, "heat"),), memory=Memory(NOW - 1, {"heat": was}))
    assert held(decide(snapshot)) is None


def test_above_the_room_maximum_the_pump_is_held_off_without_any_instruction() -> None:
    limits = {"heat": Limits(room_max_c=Timetable(otherwise=23.0))}
    plan = decide(home(limits=limits, states={"heat": state(2400, 23.1)}))
    assert held(plan) == 0
    assert plan.setpoints[0].governor is Governor.LIMIT


# --- care ---------------------------------------------------------------------------------------------


def test_a_compressor_that_has_just_started_runs_its_minimum_before_it_is_held() -> None:
    limits = {"heat": Limits(min_run_s=600)}
    young = Memory(NOW - 1, {"heat": AssetMemory(running=True, running_since_s=NOW - 599)})
    snapshot = home(limits=limits, instructions=(cap(0, "heat"),), memory=young)
    plan = decide(snapshot)
    assert held(plan) is None
    assert plan.given[0].reason is Reason.MINIMUM_RUN
    assert plan.next_change_s == pytest.approx(1)
    assert held(decide(replace(snapshot, now_s=NOW + 1))) == 0


def test_a_compressor_that_was_held_rests_its_minimum_even_when_the_room_is_cold() -> None:
    limits = {"heat": Limits(min_rest_s=600, room_min_c=Timetable(otherwise=19.0))}
    resting = Memory(NOW - 1, {"heat": AssetMemory(held_w=0, held_since_s=NOW - 599)})
    snapshot = home(limits=limits, states={"heat": state(0, 18.0)}, memory=resting)
    assert held(decide(snapshot)) == 0
    assert held(decide(replace(snapshot, now_s=NOW + 1))) is None


def test_between_two_limits_that_no_step_of_the_device_fits_the_higher_rank_decides() -> None:
    steps = replace(CHARGER, ability=Ability((0,), (1380, 7360), 230, raises=True))
    low = Bound("ev", Reason.CHARGE_LIMIT, "", Rank.COMFORT, at_least_w=3000)
    high = Bound("ev", Reason.SUPPLY_LIMIT, "", Rank.SUPPLY, at_most_w=3100)
    below = settle(steps, Wish(0), Room(3000, 3100, low, high)).at_most_w
    above = settle(steps, Wish(0), Room(3000, 3100, low, replace(high, rank=Rank.COMFORT))).at_most_w
    assert (below, above) == (2990, 3220)


# --- override -----------------------------------------------------------------------------------------


def test_an_override_wins_over_an_instruction_until_it_ends() -> None:
    taken = Memory(NOW - 1, overrides=(Override("heat", NOW + 60),))
    snapshot = home(instructions=(cap(0, "heat"),), memory=taken)
    plan = decide(snapshot)
    assert held(plan) is None
    assert plan.setpoints[0].governor is Governor.OVERRIDE
    assert (plan.given[0].extent, plan.given[0].reason) == (Extent.NONE, Reason.USER_OVERRIDE)
    assert held(decide(replace(snapshot, now_s=NOW + 60))) == 0


def test_an_override_can_be_ended_and_survives_a_restart_for_what_is_left() -> None:
    memory = override(Memory(NOW), "heat", Override("heat", NOW + 100))
    assert override(memory, "heat", None).overrides == ()
    moved = resume(memory, now_s=5.0, elapsed_s=40.0)
    assert moved.overrides == (Override("heat", 65.0),)


LONG = (cap(0, "heat", end=UTC + 100_000),)


def held_for(snapshot: Snapshot, hours: float) -> tuple[Snapshot, list[int | None]]:
    """Hours later by minutes, and to what the pump was held at each."""
    found = []
    for _ in range(round(60 * hours)):
        plan = decide(snapshot)
        found.append(held(plan))
        memory = remember(snapshot, plan)
        moment = {"now_s": snapshot.now_s + 60, "utc_s": snapshot.utc_s + 60}
        snapshot = replace(snapshot, **moment, memory=memory)
    return snapshot, found


def test_what_the_household_schedules_itself_is_no_hold_that_ends() -> None:
    scheduled = {"heat": Limits(longest_hold_s=7200, rest_s=3600, schedule=Timetable(otherwise=0))}
    after, levels = held_for(home(limits=scheduled), 8)
    assert set(levels) == {0}
    unscheduled = {"heat": Limits(longest_hold_s=7200, rest_s=3600)}
    _, levels = held_for(replace(after, limits=unscheduled, instructions=LONG), 3)
    assert levels == [0] * 120 + [None] * 60


def test_an_instructions_hold_counts_and_ends_with_the_schedule_left_in_force() -> None:
    limits = {"heat": Limits(longest_hold_s=7200, rest_s=3600)}
    scheduled = {"heat": replace(limits["heat"], schedule=Timetable(otherwise=0))}
    before, _ = held_for(home(limits=limits, instructions=LONG), 1)
    between, levels = held_for(replace(before, limits=scheduled, instructions=()), 4)
    assert set(levels) == {0}
    _, levels = held_for(replace(between, limits=limits, instructions=LONG), 2)
    assert levels == [0] * 60 + [None] * 60
    _, levels = held_for(replace(before, limits=scheduled, instructions=LONG), 4)
    assert set(levels) == {0}


def test_after_the_longest_hold_it_is_the_household_that_holds_where_its_schedule_does() -> None:
    timetable = Timetable((Span(UTC, UTC + 4 * 3600, 0),))
    now = home(
        limits={"heat": Limits(longest_hold_s=7200, rest_s=3600, schedule=timetable)}, instructions=LONG
    )
    told = []
    for _ in range(10):
        (setpoint,) = decide(now).setpoints
        told.append((setpoint.at_most_w, setpoint.governor))
        now, _ = held_for(now, 0.5)
    assert told[:4] == [(0, Governor.DISPATCH)] * 4
    assert told[4:8] == [(0, Governor.HOUSEHOLD)] * 4
    assert [level for level, _ in told[8:]] == [None, None], (
        "its hold is still used up when the schedule ends"
    )
    spent = AssetMemory(held_w=0, held_since_s=NOW - 7200)
    plan = decide(replace(now, now_s=NOW, utc_s=UTC, memory=Memory(NOW, {"heat": spent})))
    assert plan.setpoints[0].text == "held by the household's schedule"


def test_the_schedules_own_hold_is_kept_over_a_restart() -> None:
    scheduled = {"heat": Limits(longest_hold_s=7200, rest_s=3600, schedule=Timetable(otherwise=0))}
    before, _ = held_for(home(limits=scheduled), 3)
    memory = resume(before.memory, 7.0, 60.0)
    after = replace(before, now_s=7.0, memory=memory, limits={"heat": Limits(longest_hold_s=7200)})
    assert held(decide(replace(after, instructions=LONG))) == 0


# --- supply -------------------------------------------------------------------------------------------


def test_the_fuse_wins_over_comfort_and_override() -> None:
    taken = Memory(NOW - 1, overrides=(Override("heat", NOW + 60),))
    snapshot = home(
        states={"heat": state(2400, 15.0)},
        supply=Supply(13_800),
        boundary_w=reading(14_000),
        memory=taken,
    )
    plan = decide(snapshot)
    assert held(plan) == 0
    assert plan.setpoints[0].reason is Reason.SUPPLY_LIMIT
    asked = replace(snapshot, instructions=(cap(0, "heat"),))
    assert decide(asked).setpoints[0].reason is Reason.SUPPLY_LIMIT, "no instruction would hold it so cold"


def test_after_the_fuse_was_tight_more_is_allowed_only_when_there_was_room_for_a_while() -> None:
    tight = home(supply=Supply(13_800, restore_s=60), boundary_w=reading(14_000))
    memory = remember(tight, decide(tight))
    room = replace(tight, now_s=NOW + 899, boundary_w=reading(8000), memory=memory, states={"heat": state(0)})
    assert held(decide(room)) == 0
    assert held(decide(replace(room, now_s=NOW + 900))) is None


def test_a_silent_boundary_meter_leaves_what_the_installer_called_safe() -> None:
    silent = home(supply=Supply(13_800, unmetered_w=2000), boundary_w=reading(300, age_s=31))
    assert held(decide(silent)) == 0
    enough = replace(silent, supply=Supply(13_800, unmetered_w=2400))
    assert held(decide(enough)) is None


def test_two_assets_share_the_fuse_and_the_last_configured_gives_way() -> None:
    snapshot = home(
        PUMP,
        CHARGER,
        states={"heat": state(2400), "ev": state(7360)},
        limits={},
        supply=Supply(9000),
        boundary_w=reading(9760 + 500),
    )
    plan = decide(snapshot)
    assert held(plan, "heat") is None
    assert held(plan, "ev") == 5750  # 9000 - 500 - 2400 = 6100, a step less, down to a step of 230


# --- instructions -------------------------------------------------------------------------------------


def test_caps_compose_by_the_tightest() -> None:
    asked = (cap(5000, "ev", id_="a", priority=1), cap(3000, "ev", id_="b", priority=9))
    plan = decide(home(CHARGER, limits={}, instructions=asked))
    assert held(plan, "ev") == 2990
    assert {g.instruction: g.extent for g in plan.given} == {"a": Extent.FULL, "b": Extent.FULL}


def test_of_two_setpoints_the_lower_priority_number_governs_and_the_other_is_superseded() -> None:
    first = cap(3000, "ev", id_="a", kind=Kind.SETPOINT, priority=2)
    second = cap(5000, "ev", id_="b", kind=Kind.SETPOINT, priority=1)
    plan = decide(home(CHARGER, limits={}, instructions=(first, second)))
    assert held(plan, "ev") == 4830
    assert [g.reason for g in plan.given if g.instruction == "a"] == [Reason.SUPERSEDED]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"issued_utc_s": UTC - 9}, {"issued_utc_s": UTC - 8}),
        ({"id_": "a9"}, {"id_": "b1"}),
        ({"id_": "a"}, {"id_": "ab"}),
    ],
    ids=["later issued", "greater id", "longer id"],
)
def test_at_equal_priority_the_later_then_the_greater_id_governs(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    asked = (
        cap(3000, "ev", **{"id_": "x", "kind": Kind.SETPOINT, **first}),
        cap(5000, "ev", **{"id_": "y", "kind": Kind.SETPOINT, **second}),
    )
    assert held(decide(home(CHARGER, limits={}, instructions=asked)), "ev") == 4830


def test_a_class_cap_is_the_total_of_its_assets_never_each() -> None:
    snapshot = home(PUMP, CHARGER, limits={}, instructions=(cap(4000, "heat", "ev"),))
    plan = decide(snapshot)
    assert held(plan, "heat") is None
    assert held(plan, "ev") == 1380  # 4000 - 2400 = 1600
    assert all(g.extent is Extent.FULL for g in plan.given)


def test_what_a_limit_insists_on_comes_off_the_top_of_a_class_cap() -> None:
    cold = {"heat": state(2400, 18.0), "ev": state(7360)}
    limits = {"heat": Limits(room_min_c=Timetable(otherwise=19.0))}
    plan = decide(home(CHARGER, PUMP, states=cold, limits=limits, instructions=(cap(4000, "ev", "heat"),)))
    assert held(plan, "heat") is None
    assert held(plan, "ev") == 1380


def test_a_site_cap_counts_the_base_load() -> None:
    site = cap(5000, "heat", "ev", site=True)
    snapshot = home(PUMP, CHARGER, limits={}, boundary_w=reading(2400 * 2 + 1000), instructions=(site,))
    plan = decide(snapshot)  # base load 1000 W: 4000 W for both
    assert held(plan, "heat") is None
    assert held(plan, "ev") == 1380


def test_a_site_cap_with_a_silent_boundary_meter_is_not_pretended() -> None:
    site = cap(0, "heat", site=True)
    plan = decide(home(boundary_w=reading(500, age_s=31), instructions=(site,)))
    assert held(plan) is None
    assert plan.given[0].reason is Reason.METER_STALE


def test_a_cap_below_what_the_device_can_do_is_followed_as_far_as_it_goes_and_said() -> None:
    plan = decide(home(CAPPED, limits={}, instructions=(cap(0, "nibe"),)))
    assert held(plan, "nibe") == 1500
    assert (plan.given[0].extent, plan.given[0].reason) == (Extent.PARTIAL, Reason.OUTSIDE_CAPABILITY)


def test_an_instruction_on_a_device_that_does_not_answer_says_so() -> None:
    plan = decide(home(states={"heat": state(online=False)}, instructions=(cap(0, "heat"),)))
    assert plan.given[0].reason is Reason.DEVICE_OFFLINE


def test_a_start_delay_shifts_the_start_and_the_end_stays() -> None:
    delayed = cap(0, "heat", start=UTC - 10, end=UTC + 100, start_delay_s=30)
    snapshot = home(instructions=(delayed,))
    assert held(decide(snapshot)) is None
    assert decide(snapshot).next_change_s == pytest.approx(20)
    begun = replace(snapshot, utc_s=UTC + 20)
    assert held(decide(begun)) == 0
    assert held(decide(replace(snapshot, utc_s=UTC + 100))) is None


def test_an_end_delay_holds_the_return_upwards_back() -> None:
    ended = cap(0, "heat", end=UTC - 10, end_delay_s=60)
    plan = decide(home(instructions=(ended,)))
    assert held(plan) == 0
    assert plan.setpoints[0].governor is Governor.DELAY
    assert held(decide(home(instructions=(cap(0, "heat", end=UTC - 60, end_delay_s=60),)))) is None


def test_what_waits_at_random_itself_returns_at_once_and_the_others_later() -> None:
    own = frozenset({"ev"})
    ended = cap(0, "heat", "ev", end=UTC - 10, end_delay_s=60, undelayed=own)
    plan = decide(home(PUMP, CHARGER, instructions=(ended,), limits={}))
    assert (held(plan), held(plan, "ev")) == (0, None)
    runs = replace(ended, steps=(replace(ended.steps[0], end_utc_s=UTC + 10),))
    assert held(decide(home(PUMP, CHARGER, instructions=(runs,), limits={})), "ev") == 0


def test_a_clock_stepped_back_cannot_lengthen_what_has_begun() -> None:
    snapshot = home(instructions=(cap(0, "heat", end=UTC + 100),))
    memory = remember(snapshot, decide(snapshot))
    later = replace(snapshot, now_s=NOW + 100, utc_s=UTC - 3600, memory=memory)
    assert held(decide(later)) is None
    stepped = replace(later, now_s=NOW + 99, utc_s=UTC - 50)
    assert held(decide(stepped)) == 0
    after = replace(stepped, now_s=NOW + 100, utc_s=UTC - 49, memory=remember(stepped, decide(stepped)))
    assert held(decide(after)) is None


def test_without_a_trusted_clock_nothing_begins_and_what_has_begun_goes_on_to_its_end() -> None:
    snapshot = home(instructions=(cap(0, "heat", end=UTC + 100),), clock_trusted=False)
    assert held(decide(snapshot)) is None
    begun = replace(snapshot, memory=Memory(latest_end_s={"i1/0": NOW + 5}))
    assert held(decide(begun)) == 0
    assert held(decide(replace(begun, now_s=NOW + 5))) is None


def test_steps_follow_each_other_inside_an_instruction() -> None:
    two = replace(
        cap(0, "ev"),
        steps=(Step(UTC - 60, UTC + 60, Kind.CAP, 6000), Step(UTC + 60, UTC + 180, Kind.CAP, 3000)),
    )
    snapshot = home(CHARGER, limits={}, instructions=(two,))
    assert held(decide(snapshot), "ev") == 5980
    assert decide(snapshot).next_change_s == pytest.approx(60)
    assert held(decide(replace(snapshot, utc_s=UTC + 60)), "ev") == 2990


def test_the_household_schedule_holds_where_nothing_else_is_asked() -> None:
    table = Timetable((Span(UTC - 60, UTC + 60, 0),))
    plan = decide(home(limits={"heat": Limits(schedule=table)}))
    assert held(plan) == 0
    assert plan.setpoints[0].governor is Governor.HOUSEHOLD
    assert "schedule" in plan.setpoints[0].text


def test_an_ended_asset_of_an_instruction_is_left_alone() -> None:
    revoked = replace(cap(0, "heat"), ended=frozenset({"heat"}))
    assert held(decide(home(instructions=(revoked,)))) is None


# --- memory, availability, binding --------------------------------------------------------------------


def test_after_a_restart_nobody_can_time_a_hold_counts_as_its_longest_and_a_run_as_just_begun() -> None:
    was = Memory(NOW, {"heat": AssetMemory(True, NOW - 5000, 0, NOW - 10, None, 10.0)})
    now = resume(was, now_s=50.0, elapsed_s=None).assets["heat"]
    assert now.held_s > 1e6
    assert now.running_since_s == 50.0
    snapshot = home(
        limits={"heat": Limits(longest_hold_s=7200, rest_s=60)},
        instructions=(cap(0, "heat"),),
        memory=Memory(50.0, {"heat": now}),
    )
    assert held(decide(replace(snapshot, now_s=50.0))) is None


def test_what_is_offered_ends_at_the_longest_hold() -> None:
    limits = {"heat": Limits(longest_hold_s=7200, rest_s=3600)}
    (offer,) = [s for s in scopes(home(limits=limits)) if s.target == "asset:heat"]
    assert (offer.down.to_w, offer.down.for_s, offer.down.until) == (0, 7200, Reason.COMFORT_LIMIT)
    assert offer.now_w == 2400


def test_nothing_is_offered_while_the_room_is_at_its_minimum() -> None:
    offer = scopes(home(states={"heat": state(2400, 19.0)}))[0]
    assert offer.down.for_s == 0
    assert offer.down.until is Reason.COMFORT_LIMIT


def test_what_is_expected_follows_the_household_schedule() -> None:
    first = -(-UTC // 1800) * 1800
    table = Timetable((Span(first, first + 1800, 0),))
    half_hours = expected(home(limits={"heat": Limits(schedule=table)}))
    assert len(half_hours) == 48
    assert [h.power_w for h in half_hours[:2]] == [0, 2400]


def test_a_field_takes_the_first_fresh_and_plausible_source_and_says_why() -> None:
    points = {
        "a.room_c": Point(None, NOW),
        "b.room_c": Point(99.0, NOW),
        "c.room_c": Point(20.0, NOW - 90_000),
        "d.room_c": Point(20.5, NOW - 5, Quality.BAD, ("frozen",)),
        "e.room_c": Point(20.2, NOW - 5),
    }
    sources = tuple(points)
    found = bind(points, ("z.room_c", *sources), FIELDS["room_c"], NOW)
    assert found.reading == Reading(20.2, 5.0, "e.room_c")
    for word in ("z.room_c not seen yet", "implausible (99)", "90000 s old", "frozen"):
        assert word in found.why
    asset = replace(PUMP, sources={"room_c": ("a.room_c",)})
    assert why(points, asset, NOW, room_max_age_s=900) == {"room_c": "a.room_c has no value"}


def test_a_room_older_than_the_household_allows_gives_way_to_the_next_source() -> None:
    points = {"a.room_c": Point(19.0, NOW - 901), "b.room_c": Point(20.0, NOW)}
    asset = replace(PUMP, sources={"room_c": ("a.room_c", "b.room_c")})
    found = state_of(points, asset, NOW, online=True, room_max_age_s=900).room_c
    assert found
    assert found.source == "b.room_c"
