"""A SoC that an instruction asks for: as late as is safe, as fast as is needed, inside all else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.core.book import open_instructions
from gateway.core.decide import decide
from gateway.core.following import band_w
from gateway.core.life import Book, Status
from gateway.core.memory import remember, resume
from gateway.core.model import (
    Extent,
    Given,
    Governor,
    Instruction,
    Kind,
    Limits,
    Memory,
    Override,
    Plan,
    Reason,
    Scope,
    Snapshot,
    Step,
    Supply,
    Timetable,
    Vector,
)
from tests.core.cars import CHARGE, EV, KWH, NOW, PLUGGED, UTC, held, later, reading, state
from tests.core.cars import home as car_home
from tests.core.dispatching import HOME, at, order, take
from tests.oracle import violations

HOUR = 3600.0
FREE = replace(CHARGE, deadlines=(), need_ws=None)
NEED_S = 0.2 * 60 * KWH / 0.9 / 7360  # from 50 to 70 %


def soc(goal: float = 0.7, hours: float = 6.0, **more: Any) -> Instruction:
    steps = (Step(UTC - 60, UTC + hours * HOUR, Kind.SOC, 0, goal),)
    fields = {"id": "i1", "priority": 5, "steps": steps, "scope": Scope(("asset:ev",), ("ev",)), **more}
    return Instruction(revision=0, service="tcm", service_class="response", issued_utc_s=UTC - 100, **fields)


def power(kind: Kind, power_w: int, priority: int = 9, hours: float = 6.0) -> Instruction:
    step = Step(UTC - 60, UTC + hours * HOUR, kind, power_w)
    scope = Scope(("asset:ev",), ("ev",))
    return Instruction("i2", 0, "tcm", "response", priority, UTC - 100, scope, (step,))


def home(*asked: Instruction, schedule_w: int | None = 0, **more: Any) -> Snapshot:
    """The household's own schedule keeps the car off, unless a test says otherwise."""
    limits = {"ev": Limits(charge=more.pop("charge", FREE), schedule=Timetable((), schedule_w))}
    return car_home(limits=limits, instructions=asked or (soc(),), **more)


def told(plan: Plan, id_: str = "i1") -> Given:
    return next(given for given in plan.given if given.instruction == id_)


LATEST_S = NEED_S / 0.8  # a fifth of the power is left unused


@pytest.mark.parametrize(("left_s", "charges"), [(LATEST_S + 2, False), (LATEST_S - 2, True)])
def test_it_charges_from_the_latest_start_on_and_not_before(left_s: float, charges: bool) -> None:
    plan = decide(home(soc(hours=left_s / HOUR)))
    assert (held(plan) != 0) is charges
    assert (told(plan).extent, told(plan).reason) == (Extent.FULL, Reason.NONE)
    assert plan.setpoint("ev").governor is (Governor.DISPATCH if charges else Governor.HOUSEHOLD)  # type: ignore[union-attr]


def test_the_latest_start_is_when_the_decision_changes() -> None:
    assert decide(home()).next_change_s == pytest.approx(6 * HOUR - LATEST_S, abs=0.01)


def test_it_charges_as_fast_as_is_needed_and_says_so() -> None:
    plan = decide(home(soc(hours=2.0)))
    needed_w = 1.05 * NEED_S * 7360 / (2 * HOUR)
    assert held(plan) == pytest.approx(needed_w, abs=EV.ability.step_w)
    assert held(plan) >= needed_w  # type: ignore[operator]
    assert plan.setpoint("ev").text == (  # type: ignore[union-attr]
        "charges with 7.0 kW by instruction i1 (tcm): charged to 50%, 70% asked for: 13.33 kWh in 120 min"
    )


def test_what_is_needed_at_little_power_is_charged_at_the_least_the_charger_can() -> None:
    was = replace(PLUGGED, aims=True)
    assert held(decide(home(soc(0.502, hours=0.2), was=was))) == 1380


def test_a_car_that_nobody_keeps_from_charging_goes_on() -> None:
    plan = decide(home(schedule_w=None))
    assert held(plan) is None
    assert told(plan).extent is Extent.FULL


def test_who_is_charging_for_it_does_not_stop_and_start() -> None:
    snapshot, levels = home(soc(hours=LATEST_S / HOUR)), []
    for n in range(60):
        levels.append(held(decide(snapshot)))
        drawn = state(0.5 + n * 0.003)
        snapshot = later(snapshot, 110.0, states={"ev": drawn})
    assert 0 not in levels
    assert len(set(levels)) <= 4


def test_once_charged_so_far_the_schedule_holds_again() -> None:
    plan = decide(home(state=state(0.7), was=replace(PLUGGED, aims=True)))
    assert (held(plan), told(plan).extent, told(plan).text) == (
        0,
        Extent.FULL,
        "charged to 70%, 70% asked for",
    )


@pytest.mark.parametrize(("cap_w", "level_w", "extent"), [(3000, 2990, Extent.PARTIAL), (0, 0, Extent.NONE)])
def test_a_cap_outranks_it_whatever_its_priority(cap_w: int, level_w: int, extent: Extent) -> None:
    plan = decide(home(soc(hours=2.0, priority=0), power(Kind.CAP, cap_w)))
    assert held(plan) == level_w
    assert told(plan).extent is extent
    assert told(plan, "i2").extent is Extent.FULL


@pytest.mark.parametrize(
    ("kind", "watts", "level_w"), [(Kind.SETPOINT, 2000, 1978), (Kind.FLOOR, 2000, None)]
)
def test_among_setpoints_and_floors_the_lowest_priority_governs(
    kind: Kind, watts: int, level_w: int | None
) -> None:
    first = decide(home(soc(hours=2.0), power(kind, watts, priority=1)))
    assert (held(first), told(first).reason) == (level_w, Reason.SUPERSEDED)
    second = decide(home(soc(hours=2.0), power(kind, watts, priority=9)))
    assert held(second) == held(decide(home(soc(hours=2.0))))
    assert told(second, "i2").reason is Reason.SUPERSEDED


def test_the_household_pauses_it() -> None:
    memory = Memory(NOW - 1, {"ev": PLUGGED}, (Override("ev", NOW + 600, paused=True),))
    plan = decide(home(soc(hours=2.0), memory=memory))
    assert (held(plan), told(plan).reason) == (0, Reason.USER_OVERRIDE)


def test_the_fuse_outranks_it() -> None:
    supply = Supply(4000, max_age_s=30.0)
    was = replace(PLUGGED, held_w=0, held_since_s=NOW - 600)
    meter = reading(1000.0, source="m.power_w")
    plan = decide(home(soc(hours=2.0), supply=supply, boundary_w=meter, was=was))
    assert held(plan) is not None
    assert held(plan) < 3000  # type: ignore[operator]
    assert told(plan).reason is Reason.SUPPLY_LIMIT


def test_it_never_charges_beyond_the_households_maximum_and_says_so() -> None:
    plan = decide(home(soc(1.0)))
    assert (told(plan).extent, told(plan).reason) == (Extent.PARTIAL, Reason.CHARGE_LIMIT)
    assert told(plan).text == "charged to 50%, 100% asked for: 26.67 kWh in 6.0 h, maximum 90%"
    full = decide(home(soc(1.0), state=state(0.9)))
    assert (held(full), told(full).reason) == (0, Reason.CHARGE_LIMIT)


def test_too_late_is_said_and_charged_with_all_there_is() -> None:
    plan = decide(home(soc(hours=1.0)))
    assert held(plan) is None
    assert (told(plan).extent, told(plan).reason) == (Extent.PARTIAL, Reason.OUTSIDE_CAPABILITY)
    assert told(plan).text == "charged to 50%, 70% asked for: 13.33 kWh in 60 min, it takes 109 min"


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"state": state(None), "charge": replace(FREE, min_soc=None)}, Reason.OUTSIDE_CAPABILITY),
        ({"charge": replace(FREE, battery_ws=None, target_soc=None)}, Reason.OUTSIDE_CAPABILITY),
        ({"state": state(None, there=False)}, Reason.NOT_CONNECTED),
        ({"state": replace(state(), online=False)}, Reason.DEVICE_OFFLINE),
    ],
)
def test_of_a_car_that_is_not_known_nothing_is_given(more: dict[str, Any], reason: Reason) -> None:
    plan = decide(home(**more))
    assert (held(plan), told(plan).extent, told(plan).reason) == (0, Extent.NONE, reason)


def test_a_car_that_nobody_saw_charging_shows_what_it_takes_first() -> None:
    was = replace(PLUGGED, took_w=None)
    plan = decide(home(soc(hours=3.0), was=was))
    assert held(plan) is None
    assert told(plan).text.endswith("and how fast it charges is not known yet")


def test_the_household_being_more_urgent_is_a_limit_as_ever() -> None:
    snapshot = home(soc(0.6), charge=CHARGE, utc_s=CHARGE.deadlines[0].utc_s - HOUR)
    assert violations(snapshot, decide(snapshot)) == []
    assert held(decide(snapshot)) is None


def test_each_car_of_a_target_is_charged_for_itself() -> None:
    other = replace(EV, id="van")
    snapshot = home(soc(hours=2.0, scope=Scope(("class:ev",), ("ev", "van"))))
    states = {"ev": state(0.5), "van": state(0.65)}
    limits = {"ev": snapshot.limits["ev"], "van": snapshot.limits["ev"]}
    memory = Memory(NOW - 1, {"ev": PLUGGED, "van": PLUGGED})
    plan = decide(replace(snapshot, assets=(EV, other), states=states, limits=limits, memory=memory))
    assert [setpoint.at_most_w for setpoint in plan.setpoints] == [7015, 0]
    assert [given.extent for given in plan.given] == [Extent.FULL, Extent.FULL]


def test_it_ends_at_the_intervals_end_without_a_delay() -> None:
    asked = soc(hours=1.0, end_delay_s=600)
    assert decide(home(asked, utc_s=UTC + HOUR - 1, state=state(0.55))).given
    after = decide(home(asked, utc_s=UTC + HOUR, state=state(0.55)))
    assert (after.given, held(after)) == ((), 0)


def test_what_it_lets_the_car_draw_is_not_counted_as_held() -> None:
    snapshot = home(soc(hours=2.0))
    memory = remember(snapshot, decide(snapshot)).of("ev")
    assert memory.aims
    assert memory.scheduled_since_s == NOW
    assert resume(Memory(NOW, {"ev": memory}), 5.0, None).of("ev").aims


@pytest.mark.parametrize(
    ("schedule_w", "is_counted"), [(None, True), (3600, True), (2000, False), (0, False)]
)
def test_on_its_way_a_cap_below_the_schedule_is_counted_as_held(
    schedule_w: int | None, is_counted: bool
) -> None:
    snapshot = home(soc(hours=2.0), power(Kind.CAP, 2100), schedule_w=schedule_w)
    plan = decide(snapshot)
    assert (held(plan), plan.setpoint("ev").governor) == (2093, Governor.DISPATCH)  # type: ignore[union-attr]
    memory = remember(snapshot, plan).of("ev")
    assert memory.aims
    assert (memory.scheduled_since_s is None) is is_counted


def test_on_the_way_is_followed_and_while_late_only_with_enough_power() -> None:
    waits = Given("i1", "ev", Kind.SOC, 0, 0, Extent.FULL, Reason.NONE, "")
    charges = waits._replace(asked_w=5000, granted_w=5000)
    assert band_w(waits, EV)[0] <= 0
    assert band_w(charges, EV) == (4500, float("inf"))


KNOWN = replace(HOME, tells_soc=frozenset({"ev"}))


@pytest.mark.parametrize("vector", Vector)
def test_it_is_taken_for_cars_whose_charge_can_be_known(vector: Vector) -> None:
    message = order(kind=Kind.SOC, value=0.8, targets=("class:ev", "asset:hp"), vector=vector)
    done = take(Book(), message, home=KNOWN)
    lines = {line.asset: line for line in done.report.targets if line.asset}
    assert (lines["ev"].status, lines["hp"].status) == (Status.ACCEPTED, Status.REJECTED)
    assert lines["hp"].reason is Reason.OUTSIDE_CAPABILITY
    (instruction,) = open_instructions(done.book, KNOWN)
    assert instruction.steps[0].soc == 0.8
    unknown = take(Book(), message, at(), home=HOME)
    assert {line.status for line in unknown.report.targets} == {Status.REJECTED}
