"""Where a household's schedule lets a car charge, that waits for a random delay, each edge its own."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from gateway.core import schedule
from gateway.core.availability import expected
from gateway.core.decide import decide
from gateway.core.memory import resume
from gateway.core.model import (
    Charge,
    Deadline,
    EdgeDelay,
    Extent,
    Governor,
    Instruction,
    Kind,
    Limits,
    Memory,
    Override,
    Quality,
    Reading,
    Scope,
    Setpoint,
    Snapshot,
    Span,
    Timetable,
)
from tests.core.cars import CHARGE, EV, KWH, NOW, PLUGGED, UTC, cap, home, later, state
from tests.core.homes import any_snapshot

PEAK_H = 6 * 3600.0
D = 300  # drawn for the edge at UTC
DELAY = EdgeDelay(UTC, D, 0)
PEAK = Timetable((Span(UTC - PEAK_H, UTC, 0),))
HALF_FULL = Charge(60 * KWH, min_soc=0.2, max_soc=0.9)


def evening(after_s: float = 0.0, **more: Any) -> Snapshot:
    """So long after the end of the hours in which a car is kept off, with no instruction."""
    limits = Limits(
        charge=more.pop("charge", HALF_FULL),
        schedule=more.pop("schedule", PEAK),
        delays=more.pop("delays", (DELAY,)),
        longest_hold_s=4 * 3600.0,
        rest_s=3600.0,
    )
    was = replace(PLUGGED, held_w=0, held_since_s=NOW - PEAK_H, scheduled_since_s=NOW - PEAK_H)
    fields: dict[str, Any] = {"instructions": (), "was": was, **more, "limits": {"ev": limits}}
    memory = fields.pop("memory", Memory(NOW - 1, {"ev": fields.pop("was")}))
    moved = home(memory=memory, **fields)
    return replace(moved, now_s=NOW + after_s, utc_s=UTC + after_s)


def setpoint(snapshot: Snapshot) -> Setpoint:
    return decide(snapshot).setpoints[0]


def held(snapshot: Snapshot) -> int | None:
    return setpoint(snapshot).at_most_w


def routine(power_w: int = 0, **more: Any) -> Instruction:
    return replace(cap(power_w, **more), service_class="routine")


# --- it waits -------------------------------------------------------------------------------------------


def test_a_car_waits_from_the_edge_to_its_draw_and_no_second_longer() -> None:
    found = {after_s: held(evening(after_s)) for after_s in (-1, 0, D - 1, D)}
    assert found == {-1: 0, 0: 0, D - 1: 0, D: None}


def test_it_says_so_and_when_that_may_change() -> None:
    plan = decide(evening(100))
    (found,) = plan.setpoints
    assert (found.governor, found.of_schedule) == (Governor.DELAY, True)
    assert found.text == "its schedule lets it draw more, after a random delay of 300 s"
    assert plan.next_change_s == D - 100
    assert schedule.left_s(evening(100), EV) == D - 100
    assert schedule.left_s(evening(D), EV) is None
    assert setpoint(evening(-1)).governor is Governor.HOUSEHOLD


def test_what_was_allowed_before_the_edge_is_allowed_in_its_delay() -> None:
    less = Timetable((Span(UTC - PEAK_H, UTC, 3000), Span(UTC, UTC + PEAK_H, 6000)))
    found = [held(evening(s, schedule=less, delays=(EdgeDelay(UTC, D, 3000),))) for s in (0, D)]
    assert found == [EV.ability.at_or_below(3000), EV.ability.at_or_below(6000)]


def test_lower_is_at_once_and_a_second_edge_has_a_delay_of_its_own() -> None:
    """Off to 0, free, off again at 100 s, free at 200 s."""
    table = Timetable((*PEAK.spans, Span(UTC + 100, UTC + 200, 0)))
    both = (EdgeDelay(UTC, 50, 0), EdgeDelay(UTC + 200, 20, 0))
    found = [held(evening(s, schedule=table, delays=both)) for s in (49, 50, 99, 100, 219, 220)]
    assert found == [0, None, None, 0, 0, None]
    off = setpoint(evening(150, schedule=table, delays=(EdgeDelay(UTC, 600, 0), both[1])))
    assert off.governor is Governor.HOUSEHOLD
    first_is_longer = (EdgeDelay(UTC, 600, 0), both[1])
    assert held(evening(599, schedule=table, delays=first_is_longer)) == 0
    assert held(evening(600, schedule=table, delays=first_is_longer)) is None


def test_an_edge_in_the_delay_of_another_ends_it_no_sooner() -> None:
    table = Timetable((*PEAK.spans, Span(UTC, UTC + 100, 3000)))
    both = (EdgeDelay(UTC, 600, 0), EdgeDelay(UTC + 100, 50, 3000))
    assert [held(evening(s, schedule=table, delays=both)) for s in (99, 149, 150, 599)] == [0, 0, 0, 0]
    both = (EdgeDelay(UTC, 120, 0), EdgeDelay(UTC + 100, 50, 3000))
    assert [held(evening(s, schedule=table, delays=both)) for s in (119, 120, 150)] == [0, 2990, None]


def test_without_a_trusted_clock_there_is_no_schedule_and_no_delay_of_it() -> None:
    assert held(evening(100, clock_trusted=False)) is None


def test_a_delay_is_no_hold_by_an_instruction() -> None:
    """Else a car that waited would have used up a part of its longest hold."""
    moment = evening(0)
    for _ in range(D):
        moment = later(moment, 1)
    was = later(moment, 1).memory.of("ev")
    assert (was.held_s, was.held_w) == (0.0, None)


def test_its_longest_hold_ends_in_the_delay_and_the_schedule_goes_on() -> None:
    was = replace(PLUGGED, held_w=0, held_since_s=NOW - 5 * 3600.0)
    moment = evening(100, was=was, instructions=(routine(),))
    assert [(s.at_most_w, s.governor) for s in decide(moment).setpoints] == [(0, Governor.DELAY)]


# --- it does not ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more",
    [
        {"delays": (EdgeDelay(UTC, 0, 0),)},
        {"delays": ()},
        {"state": state(0.1)},
        {"charge": replace(CHARGE, deadlines=(Deadline(UTC + 3600, "19:00 local"),))},
        {
            "memory": Memory(
                NOW - 1, {"ev": replace(PLUGGED, held_w=0)}, (Override("ev", NOW + 3600, charging=True),)
            )
        },
        {"memory": Memory(NOW - 1, {"ev": replace(PLUGGED, held_w=0)}, (Override("ev", NOW + 3600),))},
        {"instructions": (cap(7360, kind=Kind.FLOOR),)},
        {"instructions": (routine(7360, kind=Kind.SETPOINT),)},
    ],
    ids=[
        "drawn 0",
        "charger's own",
        "below minimum",
        "latest start",
        "charge now",
        "override",
        "floor",
        "set",
    ],
)
def test_nothing_waits_that_has_to_charge_or_is_asked_to(more: dict[str, Any]) -> None:
    assert held(evening(10, **more)) is None


def test_what_provides_a_response_waits_no_longer_also_when_that_is_over() -> None:
    """Reg 11: the delay does not operate meanwhile; and what charges already is not sent back to wait."""
    asked = cap(3000, end=UTC + 60)
    moment = later(evening(10, instructions=(asked,)), 1)
    assert held(moment) == EV.ability.at_or_below(3000)
    for _ in range(100):
        moment = later(moment, 1)
        assert held(moment) != 0
    assert held(moment) is None


def test_a_routine_cap_does_not_end_it() -> None:
    moment = later(evening(10, instructions=(routine(3000),)), 1)
    assert held(moment) == 0


def test_it_is_not_stacked_on_the_delay_of_an_instructions_return() -> None:
    asked = replace(routine(3000, end=UTC - 60), end_delay_s=120)
    memory = Memory(NOW - 1, {"ev": replace(PLUGGED, held_w=2990)}, (), {asked.key: NOW - 60})
    moment = evening(10, instructions=(asked,), memory=memory)
    for _ in range(60):
        moment = later(moment, 1)
    assert (moment.utc_s, held(moment)) == (UTC + 70, None)


def test_another_assets_instruction_ends_no_delay() -> None:
    ended = replace(cap(3000), ended=frozenset({"ev"}))
    of_another = replace(cap(3000), scope=Scope(("asset:van",), ("van",)))
    for asked in (ended, of_another):
        moment = later(evening(10, instructions=(asked,), assets=(EV, replace(EV, id="van"))), 1)
        assert decide(moment).setpoints[0].at_most_w == 0


def test_an_edge_that_a_wrong_clock_saw_ends_no_delay_of_now() -> None:
    """Of a clock that was a year ahead for a moment; one that was set back over the edge has seen it."""
    year_s = 365 * 86_400.0
    ahead = replace(evening(10).memory.of("ev"), waited_utc_s=UTC + year_s)
    memory = replace(evening(10).memory, assets={"ev": ahead})
    assert held(evening(10, memory=memory)) == 0
    seen = replace(memory, assets={"ev": replace(ahead, waited_utc_s=UTC)})
    assert held(evening(10, memory=seen)) is None


# --- it is drawn once ---------------------------------------------------------------------------------------


def test_the_household_skips_it_and_it_stays_so_over_a_restart_and_a_clock_set_back() -> None:
    moment = evening(10)
    memory = schedule.skip(moment, ["ev"])
    assert held(replace(moment, memory=memory)) is None
    for elapsed_s in (3.0, None):
        again = resume(memory, NOW + 13, elapsed_s)
        assert held(evening(13, memory=again)) is None
    assert held(evening(-60, memory=memory)) == 0
    assert held(evening(0, memory=memory)) is None


def test_a_clock_set_back_over_an_edge_for_a_while_forgets_no_skip() -> None:
    both = (EdgeDelay(UTC - 86_400, 60, 0), DELAY)
    skipped = schedule.skip(evening(10, delays=both), ["ev"])
    before = evening(-60, delays=both, memory=skipped)
    assert held(replace(later(before, 1), utc_s=UTC + 5)) is None


def test_the_next_edge_waits_again_after_a_skip() -> None:
    day = 86_400.0
    daily = Timetable((*PEAK.spans, Span(UTC + day - PEAK_H, UTC + day, 0)))
    both = (DELAY, EdgeDelay(UTC + day, 77, 0))
    memory = schedule.skip(evening(10, schedule=daily, delays=both), ["ev"])
    found = [held(evening(day + s, schedule=daily, delays=both, memory=memory)) for s in (0, 76, 77)]
    assert found == [0, 0, None]


def test_a_clock_set_back_into_a_delay_that_is_over_lets_nothing_wait_again() -> None:
    moment = later(evening(D), 1)
    assert moment.memory.of("ev").waited_utc_s == UTC
    assert held(replace(moment, utc_s=UTC + 10)) is None


def test_a_clock_set_back_over_an_edge_meets_the_same_delay() -> None:
    moment = later(evening(10), 1)
    found = [held(replace(moment, utc_s=UTC + s)) for s in (-60, 0, D - 1, D)]
    assert found == [0, 0, 0, None]


def test_a_skip_where_nothing_waits_changes_nothing_for_the_next_edge() -> None:
    moment = evening(-60)
    assert held(evening(0, memory=schedule.skip(moment, ["ev"]))) == 0


# --- what is told and offered ---------------------------------------------------------------------------


def test_the_half_hour_of_an_edge_expects_less_by_what_waits() -> None:
    moment = evening(-120, charge=None)
    drawing = replace(moment.states["ev"], power_w=Reading(6000.0, 0.0, "x.y", Quality.GOOD))
    first, second = expected(replace(moment, states={"ev": drawing}))[:2]
    assert (first.start_utc_s, first.max_w) == (UTC, EV.nominal_w)
    assert first.power_w == pytest.approx(6000 * (1800 - D) / 1800)
    assert second.power_w == 6000


def test_what_is_capped_in_its_delay_is_told_as_held() -> None:
    (given,) = decide(evening(10, instructions=(routine(3000),))).given
    assert given.extent is Extent.FULL


def test_no_home_waits_for_its_schedule_for_more_than_half_an_hour_past_an_edge() -> None:
    waited = 0
    for seed in range(5000):
        snapshot = any_snapshot(Random(seed))
        if not any(limits.delays for limits in snapshot.limits.values()):
            continue
        for found in decide(snapshot).setpoints:
            if found.of_schedule and found.governor is Governor.DELAY:
                waited += 1
                limits = snapshot.limits[found.asset]
                ago_s = [snapshot.utc_s - d.at_utc_s for d in limits.delays]
                assert min(s for s in ago_s if s >= 0) < 1800, seed
                assert snapshot.memory.of(found.asset).waited_utc_s != max(d.at_utc_s for d in limits.delays)
    assert waited > 3
