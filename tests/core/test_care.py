"""Care for appliances: how often they are started, how long they stay off, how warm food may get."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.availability import scopes
from gateway.core.decide import decide
from gateway.core.memory import override, resume
from gateway.core.model import (
    Ability,
    Asset,
    AssetClass,
    AssetMemory,
    AssetState,
    Care,
    Extent,
    Instruction,
    Kind,
    Limits,
    Memory,
    Override,
    Plan,
    Quality,
    Reading,
    Reason,
    Scope,
    Snapshot,
    Step,
    Supply,
)
from tests.core.moments import later

UTC, NOW, HOUR, DAY = 1_800_000_000.0, 200_000.0, 3600.0, 86_400.0
PUMP = Asset("hp", AssetClass.HEAT, 2400, Ability((0,), lease_s=120))
STEPPED = replace(PUMP, ability=Ability((0,), (600, 2400), 100, lease_s=120))
FRIDGE = Asset("hp", AssetClass.PLUG, 150, Ability((0,), lease_s=900))
LIMITS = Limits(care=Care(3, 8))


def cap(
    start: float = UTC - 60, end: float = UTC + 2 * DAY, power_w: int = 0, id_: str = "i1"
) -> Instruction:
    step = Step(start, end, Kind.CAP, power_w)
    return Instruction(id_, 0, "bm", "response", 5, UTC - 100, Scope(("asset:hp",), ("hp",)), (step,))


def home(
    was: AssetMemory | None = None, limits: Limits = LIMITS, asset: Asset = PUMP, **more: Any
) -> Snapshot:
    fields: dict[str, Any] = {
        "states": {"hp": AssetState(Reading(1800.0, 1.0, "x.y"), online=True)},
        "memory": Memory(NOW - 1, {"hp": was or AssetMemory()}),
        "instructions": (cap(),),
        **more,
    }
    return Snapshot(NOW, UTC, True, (asset,), limits={"hp": limits}, **fields)


def held(plan: Plan) -> int | None:
    return plan.setpoints[0].at_most_w


# --- how often it is started --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ago_s", "held_w"),
    [
        ((3000.0, 2000.0, 1.0), None),
        ((3600.0, 2000.0, 1.0), 0),
        ((7000.0, 3000.0, 2000.0, 1.0), None),
        ((2000.0, 1.0), 0),
        (tuple(80_000.0 - 5000 * n for n in range(8)), None),
        (tuple(86_400.0 - 5000 * n for n in range(8)), 0),
    ],
)
def test_what_we_started_as_often_as_it_bears_is_not_held_off_again(
    ago_s: tuple[float, ...], held_w: int | None
) -> None:
    assert held(decide(home(AssetMemory(starts_s=tuple(NOW - s for s in ago_s))))) == held_w


def test_why_it_is_not_held_and_when_it_may_be_again_is_told() -> None:
    plan = decide(home(AssetMemory(starts_s=(NOW - 3000, NOW - 2000, NOW - 1))))
    assert (plan.given[0].extent, plan.given[0].reason) == (Extent.NONE, Reason.APPLIANCE_LIMIT)
    assert plan.given[0].text == "was switched off and on by us 3 times within the hour, the most it bears"
    assert plan.next_change_s == pytest.approx(600)


def test_what_can_be_lowered_without_being_off_is_lowered() -> None:
    often = AssetMemory(starts_s=(NOW - 3, NOW - 2, NOW - 1))
    assert held(decide(home(often, asset=STEPPED))) == 600


def test_only_an_off_of_ours_that_ends_is_a_start() -> None:
    off = later(home(), 700)
    assert off.memory.of("hp").starts_s == ()
    on = later(replace(off, instructions=()), 1)
    assert on.memory.of("hp").starts_s == (NOW + 700,)
    lowered = later(home(asset=STEPPED, instructions=(cap(power_w=900),)), 700)
    assert later(replace(lowered, instructions=()), 1).memory.of("hp").starts_s == ()


def test_an_off_that_has_begun_goes_on_though_its_end_is_the_last_start_it_bears() -> None:
    was = AssetMemory(held_w=0, held_since_s=NOW - 60, starts_s=(NOW - 3000, NOW - 2000, NOW - 100))
    assert held(decide(home(was))) == 0


def test_the_fuse_switches_off_what_was_started_as_often_as_it_bears() -> None:
    often = AssetMemory(starts_s=(NOW - 3, NOW - 2, NOW - 1))
    tight = {"supply": Supply(5000), "boundary_w": Reading(9000, 1.0, "m.power_w")}
    assert held(decide(home(often, instructions=(), **tight))) == 0


def test_the_moments_kept_are_of_a_day_and_no_more_than_any_limit_names() -> None:
    many = tuple(NOW - 90_000 + 2500 * n for n in range(36))
    kept = later(home(AssetMemory(starts_s=many)), 1).memory.of("hp").starts_s
    assert kept == many[-24:]
    assert later(home(AssetMemory(starts_s=many), Limits()), 1).memory.of("hp").starts_s == ()


def test_after_a_restart_nobody_can_time_all_starts_were_just_now() -> None:
    was = AssetMemory(starts_s=(NOW - 80_000, NOW - 70_000, NOW - 60_000))
    timed = resume(Memory(NOW, {"hp": was}), 50.0, 10.0)
    assert timed.of("hp").starts_s == (-80_000 + 40.0, -70_000 + 40.0, -60_000 + 40.0)
    untimed = resume(Memory(NOW, {"hp": was}), 50.0, None)
    assert untimed.of("hp").starts_s == (50.0,) * 3
    assert held(decide(replace(home(memory=untimed), now_s=51.0, clock_trusted=False))) is None


def test_what_is_not_held_again_is_not_offered() -> None:
    (offer, *_) = scopes(home(AssetMemory(starts_s=(NOW - 3000, NOW - 2000, NOW - 1)), instructions=()))
    assert (offer.down.to_w, offer.down.after_s) == (0.0, pytest.approx(600))


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 170), st.integers(1, 12)), max_size=40), st.sampled_from([0.0, 600.0])
)
def test_over_a_day_no_orders_start_it_more_often_than_it_bears(
    asked: list[tuple[int, int]], rest_s: float
) -> None:
    orders = tuple(
        cap(UTC + 600 * start, UTC + 600 * (start + tens), id_=f"i{n}")
        for n, (start, tens) in enumerate(asked)
    )
    now = home(limits=replace(LIMITS, min_rest_s=rest_s), instructions=orders)
    starts: list[float] = []
    for _ in range(int(DAY / 120)):
        was_off = now.memory.of("hp").held_w == 0
        if was_off and held(decide(now)) is None:
            starts.append(now.now_s)
        now = later(now, 120)
    for at_s in starts:
        assert sum(at_s - HOUR < s <= at_s for s in starts) <= 3
    assert len(starts) <= 8


# --- how long it stays off ----------------------------------------------------------------------------


def test_a_rest_begins_with_the_off_and_not_with_the_hold() -> None:
    lowered = later(home(asset=STEPPED, instructions=(cap(power_w=900),)), 3000)
    off = later(replace(lowered, limits={"hp": Limits(min_rest_s=600)}, instructions=(cap(),)), 599)
    assert held(decide(replace(off, instructions=()))) == 0
    assert held(decide(replace(later(off, 1), instructions=()))) is None


def test_a_compressor_behind_a_plug_stays_off_for_its_rest_and_says_what_is_not_promised() -> None:
    was = AssetMemory(held_w=0, held_since_s=NOW - 299)
    plan = decide(home(was, Limits(min_rest_s=300), FRIDGE, instructions=()))
    assert held(plan) == 0
    assert plan.next_change_s == pytest.approx(1)
    assert plan.setpoints[0].text == (
        "rests for 299 s, minimum 300 s unless the plug's own timer, a power cut or a hand ends it sooner"
    )


@pytest.mark.parametrize(("asset", "held_w"), [(FRIDGE, None), (PUMP, 0)])
def test_a_rest_gives_way_to_the_household_at_a_plug_and_not_at_a_heat_pump(
    asset: Asset, held_w: int | None
) -> None:
    memory = override(
        Memory(NOW, {"hp": AssetMemory(held_w=0, held_since_s=NOW - 9)}), "hp", Override("hp", NOW + 60)
    )
    assert held(decide(home(limits=Limits(min_rest_s=300), asset=asset, memory=memory))) == held_w


# --- how warm food may get ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("air", "held_w"),
    [
        (Reading(8.0, 1.0, "f.air_c"), None),
        (Reading(7.9, 1.0, "f.air_c"), 0),
        (Reading(9.0, 1.0, "f.air_c", Quality.BAD), 0),
        (None, 0),
    ],
)
@pytest.mark.parametrize("was", [AssetMemory(), AssetMemory(held_w=0, held_since_s=NOW - 9)])
def test_a_fridge_is_on_at_once_when_its_air_is_too_warm_also_in_its_rest(
    air: Reading | None, held_w: int | None, was: AssetMemory
) -> None:
    state = AssetState(Reading(0.0, 1.0, "x.y"), online=True, air_c=air)
    limits = Limits(min_rest_s=300, care=Care(air_max_c=8.0))
    plan = decide(home(was, limits, FRIDGE, states={"hp": state}))
    assert held(plan) == held_w
    if held_w is None:
        assert plan.given[0].text == "its air is at 8.0 °C, food keeps below 8.0 °C"
