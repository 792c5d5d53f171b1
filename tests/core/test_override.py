"""The household's word: a pause asks for less and breaks no minimum, and it ends by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.decide import decide
from gateway.core.memory import override, remember, resume
from gateway.core.model import (
    Ability,
    AssetMemory,
    Extent,
    Governor,
    Kind,
    Limits,
    Memory,
    Override,
    Quality,
    Reading,
    Reason,
    Snapshot,
    Supply,
    Timetable,
)
from tests.core import cars
from tests.core.test_rules import CAPPED, CHARGER, NOW, PUMP, cap, held, home, state
from tests.oracle import violations

PAUSED = Override("heat", NOW + 7200, paused=True)
WARM = Limits(room_min_c=Timetable(otherwise=19.0))


def paused(snapshot: Snapshot, asset: str = "heat", for_s: float = 7200) -> Snapshot:
    said = Override(asset, snapshot.now_s + for_s, paused=True)
    return replace(snapshot, memory=override(snapshot.memory, asset, said))


def test_a_pause_holds_an_asset_off_and_says_whose_word_it_is() -> None:
    plan = decide(paused(home()))
    assert held(plan) == 0
    setpoint = plan.setpoints[0]
    assert (setpoint.governor, setpoint.reason) == (Governor.OVERRIDE, Reason.USER_OVERRIDE)
    assert setpoint.text == "the household paused it for 120 min more"
    assert plan.next_change_s <= 7200


def test_a_pause_ends_by_itself_and_at_once_when_the_household_says_so() -> None:
    snapshot = paused(home())
    over = replace(snapshot, now_s=NOW + 7200)
    assert held(decide(over)) is None
    assert remember(over, decide(over)).overrides == ()
    assert held(decide(replace(snapshot, memory=override(snapshot.memory, "heat", None)))) is None


def test_what_can_only_be_lowered_is_paused_at_its_lowest() -> None:
    snapshot = home(CAPPED, limits={"nibe": Limits()})
    assert held(decide(paused(snapshot, "nibe")), "nibe") == 1500


@pytest.mark.parametrize(
    ("more", "reason", "words"),
    [
        ({"states": {"heat": state(2400, 18.9)}}, Reason.COMFORT_LIMIT, "room 18.9 °C, minimum 19.0 °C"),
        ({"states": {"heat": state(2400, None)}}, Reason.COMFORT_LIMIT, "room temperature unknown"),
        (
            {
                "memory": Memory(NOW - 1, {"heat": AssetMemory(running=True, running_since_s=NOW - 60)}),
                "limits": {"heat": replace(WARM, min_run_s=600)},
            },
            Reason.MINIMUM_RUN,
            "minimum",
        ),
        (
            {
                "memory": Memory(NOW - 1, {"heat": AssetMemory(held_w=0, held_since_s=NOW - 3600)}),
                "limits": {"heat": replace(WARM, longest_off_s=3600)},
            },
            Reason.APPLIANCE_LIMIT,
            "off",
        ),
        (
            {
                "memory": Memory(NOW - 1, {"heat": AssetMemory(held_w=0, held_since_s=NOW - 7200)}),
                "limits": {"heat": replace(WARM, longest_hold_s=7200, rest_s=3600)},
            },
            Reason.COMFORT_LIMIT,
            "the longest allowed",
        ),
    ],
)
def test_a_pause_breaks_no_minimum_of_comfort_or_care_and_it_is_said_which(
    more: dict[str, object], reason: Reason, words: str
) -> None:
    snapshot = paused(home(**more))
    plan = decide(snapshot)
    assert held(plan) is None
    assert (plan.setpoints[0].governor, plan.setpoints[0].reason) == (Governor.LIMIT, reason)
    assert words in plan.setpoints[0].text
    assert violations(snapshot, plan) == []


def test_a_paused_car_charges_what_its_ready_by_needs_and_says_so() -> None:
    late = paused(cars.home(utc_s=cars.MORNING.utc_s - 3600, instructions=()), "ev")
    plan = decide(late)
    assert held(plan, "ev") is None
    assert plan.setpoints[0].reason is Reason.CHARGE_LIMIT
    needs_little = replace(late, limits={"ev": Limits(charge=replace(cars.CHARGE, target_soc=0.53))})
    partly = decide(replace(needs_little, utc_s=cars.MORNING.utc_s - 1200))
    setpoint = partly.setpoints[0]
    assert setpoint.at_most_w is not None
    assert setpoint.at_most_w > 0
    assert setpoint.reason is Reason.CHARGE_LIMIT
    early = paused(cars.home(instructions=()), "ev")
    assert held(decide(early), "ev") == 0


def test_a_car_stays_paused_beyond_its_longest_hold_for_its_deadlines_keep_it() -> None:
    was = replace(cars.PLUGGED, held_w=0, held_since_s=cars.NOW - 5 * 3600)
    limits = {"ev": Limits(charge=cars.CHARGE, longest_hold_s=4 * 3600, rest_s=3600)}
    snapshot = cars.home(was=was, limits=limits)
    assert held(decide(snapshot), "ev") is None
    assert held(decide(paused(snapshot, "ev")), "ev") == 0


def test_a_pause_stays_under_the_fuse_and_leaves_its_room_to_the_others() -> None:
    both = home(
        PUMP,
        CHARGER,
        limits={},
        states={"heat": state(2400), "ev": state(7360)},
        supply=Supply(8000),
        boundary_w=Reading(10_000, 1.0, "meter.power_w", Quality.GOOD),
    )
    assert violations(replace(both, limits={"heat": Limits(), "ev": Limits()}), decide(paused(both))) == []
    assert held(decide(paused(both)), "heat") == 0


def test_a_setpoint_that_a_pause_keeps_lower_is_told_with_the_household_s_reason() -> None:
    for kind in (Kind.SETPOINT, Kind.FLOOR):
        snapshot = home(CHARGER, limits={"ev": Limits()}, instructions=(cap(5000, "ev", kind=kind),))
        given = decide(paused(snapshot, "ev")).given[0]
        assert (given.extent, given.reason) == (Extent.NONE, Reason.USER_OVERRIDE)
    capped = decide(paused(home(instructions=(cap(0, "heat"),)))).given[0]
    assert (capped.extent, capped.reason) == (Extent.FULL, Reason.NONE)


def test_the_last_word_on_an_asset_holds() -> None:
    memory = override(override(Memory(NOW), "heat", PAUSED), "heat", Override("heat", NOW + 60))
    assert memory.overrides == (Override("heat", NOW + 60),)
    assert held(decide(home(memory=memory))) is None


def test_a_pause_survives_a_restart_for_what_is_left_and_ends_where_nobody_knows_how_much() -> None:
    memory = Memory(NOW, overrides=(PAUSED,))
    assert resume(memory, now_s=5.0, elapsed_s=7000.0).overrides == (replace(PAUSED, until_s=205.0),)
    unknown = home(memory=resume(memory, now_s=NOW, elapsed_s=None))
    assert held(decide(unknown)) is None


def test_a_pause_at_a_device_that_can_only_be_watched_changes_nothing() -> None:
    watched = replace(PUMP, ability=Ability())
    assert held(decide(paused(home(watched)))) is None
