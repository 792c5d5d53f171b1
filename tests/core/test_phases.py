"""Three phases, each with its own fuse: what one leaves is not another's, and what nobody knows is taken on
its safe side only as far as we add to it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.decide import decide
from gateway.core.memory import remember
from gateway.core.model import (
    Ability,
    Asset,
    AssetClass,
    AssetState,
    Memory,
    Quality,
    Reading,
    Reason,
    Snapshot,
    Supply,
)
from tests.core.cars import EV, reading

NOW = 100_000.0
HOME = Supply(3 * 5750, unmetered_w=3 * 1500, phases=3)
PUMP = Asset("heat", AssetClass.HEAT, 2700, Ability((0,), lease_s=120), phases=(1,))
FREEZER = Asset("freezer", AssetClass.PLUG, 150, Ability((0,), lease_s=900), phases=(2,))
CAR = replace(EV, phases=(2,))
BIG = replace(
    EV,
    nominal_w=11_040,
    ability=Ability((0,), (4140, 11_040), 69, raises=True, lease_s=900),
    phases=(1, 2, 3),
)


def home(
    *assets: Asset,
    draws_w: dict[str, float] | None = None,
    phases_w: tuple[float, ...] = (),
    total_w: float = 0.0,
) -> Snapshot:
    states = {a.id: AssetState(power_w=reading((draws_w or {}).get(a.id, 0.0)), online=True) for a in assets}
    return Snapshot(
        NOW,
        1.8e9,
        True,
        assets,
        states,
        supply=HOME,
        boundary_w=reading(sum(phases_w) if phases_w else total_w),
        boundary_phases_w=tuple(reading(power_w) for power_w in phases_w),
    )


def levels(snapshot: Snapshot) -> dict[str, int | None]:
    return {setpoint.asset: setpoint.at_most_w for setpoint in decide(snapshot).setpoints}


def test_the_phase_of_the_car_is_kept_whatever_the_others_have_left() -> None:
    snapshot = home(CAR, draws_w={"ev": 5000}, phases_w=(100, 6750, 100))
    (setpoint,) = decide(snapshot).setpoints
    assert setpoint.at_most_w == 3864  # 5750 - 1750, less 100, down to a step of 23 W
    assert setpoint.reason is Reason.SUPPLY_LIMIT
    assert setpoint.text == "phase L2: fuse 5750 W, the rest of the home draws 1750 W"


def test_a_full_phase_is_no_reason_to_lower_what_hangs_on_another() -> None:
    full = home(PUMP, CAR, draws_w={"heat": 2700, "ev": 3000}, phases_w=(2800, 3100, 9000))
    assert levels(full) == {"heat": None, "ev": None}


def test_a_car_on_three_phases_is_lowered_by_the_tightest_of_them() -> None:
    snapshot = home(BIG, draws_w={"ev": 9000}, phases_w=(3100, 3100, 6350))
    assert levels(snapshot) == {"ev": 7038}  # (5750 - 3350) * 3 = 7200, less 100, down to a step of 69 W


def test_of_a_total_a_third_is_on_each_phase() -> None:
    """A car of 32 A never was one for a fuse of 25 A, whatever the whole home has left."""
    snapshot = home(CAR, draws_w={"ev": 7360}, total_w=7360 + 3000)
    assert levels(snapshot) == {"ev": 4623}  # 5750 - 1000, less 100, down to a step of 23 W


@pytest.mark.parametrize(("phases", "second_w"), [((), 0), ((3,), None)])
def test_where_nobody_knows_the_phases_what_we_add_is_on_one(
    phases: tuple[int, ...], second_w: int | None
) -> None:
    one = replace(EV, id="one", nominal_w=3680, phases=phases and (1,))
    two = replace(EV, id="two", nominal_w=3680, phases=phases)
    snapshot = home(one, two, draws_w={"one": 3680, "two": 3680}, total_w=2 * 3680 + 3000)
    assert levels(snapshot) == {"one": None, "two": second_w}


def test_a_silent_phase_leaves_its_part_of_the_safe_power() -> None:
    fresh = home(PUMP, CAR, draws_w={"heat": 2700, "ev": 1400}, phases_w=(2800, 1500, 100))
    assert levels(fresh) == {"heat": None, "ev": None}
    old = replace(fresh, boundary_phases_w=(reading(2800), reading(1500, 31), reading(100)))
    assert levels(old) == {"heat": None, "ev": None}, "1400 W of 1500"
    more = replace(old, states={**old.states, "ev": AssetState(power_w=reading(3000.0), online=True)})
    assert levels(more) == {"heat": None, "ev": 1380}
    assert "phase L2: boundary meter silent, 1500 W" in decide(more).setpoints[1].text
    bad = Reading(100, 0.0, "m.l1_w", Quality.BAD)
    assert levels(replace(fresh, boundary_phases_w=(bad, reading(1500), None)))["heat"] == 0


def test_of_a_silent_total_each_phase_has_a_third_of_the_safe_power() -> None:
    snapshot = replace(home(PUMP, CAR, draws_w={"heat": 2700, "ev": 3000}), boundary_w=None)
    assert levels(snapshot) == {"heat": 0, "ev": 1380}


def test_a_pump_does_not_wait_for_what_the_fuse_had_not_left_to_a_car() -> None:
    """A car that takes all that is left is short for ever; what another needs is there all the while."""
    snapshot = replace(home(PUMP, CAR, draws_w={"ev": 5700}), supply=Supply(9200), boundary_w=reading(9300))
    memory = remember(snapshot, decide(snapshot))
    assert memory.of("ev").short_s == NOW
    assert memory.of("heat").short_s is None
    held = {**memory.assets, "heat": replace(memory.of("heat"), held_w=0, held_since_s=NOW - 900)}
    let_go = replace(snapshot, now_s=NOW + 1, memory=replace(memory, assets=held))
    assert levels(let_go)["heat"] is None


def test_what_fits_into_the_safe_power_of_a_silent_meter_runs_and_goes_first() -> None:
    silent = replace(home(CAR, FREEZER, draws_w={"ev": 5000, "freezer": 90}), boundary_w=None)
    silent = replace(silent, supply=Supply(9200, unmetered_w=1500))
    for second in range(3):
        assert levels(silent) == {"ev": 1403, "freezer": None}
        memory = remember(silent, decide(silent))
        silent = replace(silent, now_s=NOW + second + 1, memory=memory)


def test_a_silent_phase_is_told_in_time() -> None:
    snapshot = home(CAR, phases_w=(0, 0, 0))
    aged = replace(snapshot, boundary_phases_w=(reading(0), reading(0, 12), reading(0)))
    assert decide(aged).next_change_s == 18
    assert decide(replace(aged, memory=Memory(NOW - 1))).next_change_s == 18
