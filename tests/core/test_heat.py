"""What heat needs besides a warm room: hot water, a quiet defrost, hygiene, frost, and some hours a day."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.core.availability import scopes
from gateway.core.bind import state_of
from gateway.core.decide import decide
from gateway.core.memory import remember
from gateway.core.model import (
    Ability,
    Asset,
    AssetClass,
    AssetMemory,
    AssetState,
    Extent,
    Instruction,
    Kind,
    Limits,
    Memory,
    Plan,
    Point,
    Quality,
    Reading,
    Reason,
    Scope,
    Snapshot,
    Step,
    Timetable,
)

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


def later(snapshot: Snapshot, after_s: float, **more: Any) -> Snapshot:
    memory = remember(snapshot, decide(snapshot))
    moved = {"now_s": snapshot.now_s + after_s, "utc_s": snapshot.utc_s + after_s, "memory": memory}
    return replace(snapshot, **moved, **more)


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
