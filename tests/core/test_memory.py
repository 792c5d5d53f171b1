"""What is remembered does not depend on how often the home was looked at."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields, replace
from random import Random

import pytest

from gateway.core.base_load import BOUNDARY_MAX_AGE_S, MOVES_FOR_S
from gateway.core.decide import decide
from gateway.core.memory import remember
from gateway.core.model import (
    AssetState,
    BaseLoad,
    Instruction,
    Kind,
    Memory,
    Plan,
    Reading,
    Reckoned,
    Scope,
    Snapshot,
    Step,
)
from tests.core.cars import EV
from tests.core.homes import NOW, UTC, any_snapshot, heating_snapshot

SETTLES_S, CALM_S = 90, 3
LONGEST_S = 60
HOMES = 60


@pytest.mark.parametrize("homes", [any_snapshot, heating_snapshot])
@pytest.mark.parametrize("part", [0, *(pytest.param(n, marks=pytest.mark.long) for n in range(1, 50))])
def test_the_same_is_remembered_each_second_as_after_a_sleep(
    part: int, homes: Callable[[Random], Snapshot]
) -> None:
    """Up to the moment the plan says that it may change, with readings that only age."""
    looked = 0
    for seed in range(HOMES * part, HOMES * (part + 1)):
        snapshot, plan = _settled(homes(Random(seed)))
        sleep_s = math.ceil(min(plan.next_change_s, LONGEST_S + 1)) - 1
        if sleep_s < 1:
            continue
        looked += 1
        memory = remember(snapshot, plan)
        awake = memory
        for second in range(1, sleep_s + 1):
            seen = _later(snapshot, second, awake)
            found = decide(seen)
            assert _levels(found) == _levels(plan), f"seed {seed}, {second} s of {plan.next_change_s} s"
            awake = remember(seen, found)
        seen = _later(snapshot, sleep_s, memory)
        assert remember(seen, decide(seen)) == awake, f"seed {seed}"
    assert looked > 0.8 * HOMES


def test_the_base_load_is_looked_at_again_when_what_was_moved_has_followed() -> None:
    """Else a home that is looked at when its plan says so reckons with less load later."""
    step = Step(UTC - 60, UTC + 3600, Kind.CAP, 6000)
    site = Instruction("i", 0, "bm", "response", 0, UTC - 90, Scope(("site",), ("ev",), True), (step,))
    memory = Memory(base_load=BaseLoad(500, NOW - 5, NOW - 5), reckoned=Reckoned(2500))
    states = {"ev": AssetState(power_w=Reading(3000, 1.0, "ev.power_w"), online=True)}
    boundary = Reading(3500, 1.0, "meter.power_w")
    home = Snapshot(NOW, UTC, True, (EV,), states, boundary_w=boundary, instructions=(site,), memory=memory)
    assert decide(home).next_change_s == MOVES_FOR_S - 5


def test_a_plan_under_a_sites_value_knows_when_the_boundary_meter_will_be_silent() -> None:
    step = Step(UTC - 60, UTC + 3600, Kind.CAP, 9000)
    site = Instruction("i", 0, "bm", "response", 0, UTC - 90, Scope(("site",), ("ev",), True), (step,))
    boundary, memory = Reading(500, 1.0, "meter.power_w"), Memory(reckoned=Reckoned(500))
    home = Snapshot(NOW, UTC, True, (EV,), boundary_w=boundary, instructions=(site,), memory=memory)
    assert decide(home).next_change_s == BOUNDARY_MAX_AGE_S - 1


def _settled(snapshot: Snapshot) -> tuple[Snapshot, Plan]:
    """The home once its plan stands: what was held is seen in the memory one look later."""
    plan, calm_s = decide(snapshot), 0
    for _ in range(SETTLES_S):
        snapshot = _later(snapshot, 1, remember(snapshot, plan))
        before, plan = plan, decide(snapshot)
        calm_s = calm_s + 1 if _levels(plan) == _levels(before) else 0
        if calm_s == CALM_S:
            return snapshot, plan
    raise AssertionError(f"it does not settle: {snapshot}")


def _levels(plan: Plan) -> list[tuple[int | None, bool]]:
    return [(setpoint.at_most_w, setpoint.raised) for setpoint in plan.setpoints]


def _later(snapshot: Snapshot, by_s: float, memory: Memory) -> Snapshot:
    """So much later, with no new reading."""

    def older(reading: Reading | None) -> Reading | None:
        return reading and replace(reading, age_s=reading.age_s + by_s)

    def state(was: AssetState) -> AssetState:
        readings = {f.name: older(getattr(was, f.name)) for f in fields(was) if f.name != "online"}
        return replace(was, **readings)

    return replace(
        snapshot,
        now_s=snapshot.now_s + by_s,
        utc_s=snapshot.utc_s + by_s,
        states={id_: state(was) for id_, was in snapshot.states.items()},
        boundary_w=older(snapshot.boundary_w),
        boundary_phases_w=tuple(older(reading) for reading in snapshot.boundary_phases_w),
        circuits_w={id_: replace(r, age_s=r.age_s + by_s) for id_, r in snapshot.circuits_w.items()},
        memory=memory,
    )
