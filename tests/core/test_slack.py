"""Slack: what is left of an asset's longest deferral; and who gets power of a value for several first."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.decide import decide
from gateway.core.memory import remember, resume
from gateway.core.model import (
    AssetMemory,
    AssetState,
    Block,
    Charge,
    Deadline,
    Limits,
    Memory,
    Reading,
    Snapshot,
    Timetable,
)
from gateway.core.share import Claim, allocate, part
from gateway.core.slack import CLEAR, LOOKED_AT_S, order, slack
from tests.core.laws import in_any_home
from tests.core.test_share import (
    FREEZER,
    NOW,
    ONE,
    PUMP,
    TWO,
    UTC,
    asked,
    home,
    levels,
    members,
    state,
)

KWH = 3_600_000
SIX_HOURS = Deadline(UTC + 6 * 3600, "07:00 local")
WARM = Limits(room_min_c=Timetable(otherwise=19.0))
HELD = AssetMemory(held_w=0, held_since_s=NOW - 1800)
DAILY = Limits(blocks_per_day=3, held_per_day_s=18_000)
HELD_OF_DAY = AssetMemory(
    blocks=(Block(NOW - 30_000, NOW - 26_400, 3600), Block(NOW - 20_000, NOW - 12_800, 7200))
)


def car(need_kwh: float) -> Limits:
    """It takes 7.36 kW, of which a fifth is left unused."""
    return Limits(charge=Charge(need_ws=round(need_kwh * KWH), deadlines=(SIX_HOURS,)))


def pump(room_c: float | None) -> AssetState:
    return replace(state(2400), room_c=None if room_c is None else Reading(room_c, 1.0, "r.c"))


@pytest.mark.parametrize(
    ("asset", "seen", "limits", "was", "text"),
    [
        (ONE, state(0), Limits(), AssetMemory(), "100% of its longest hold left"),
        (ONE, state(0), Limits(longest_hold_s=7200), HELD, "75% of its longest hold left"),
        (FREEZER, state(0), Limits(longest_off_s=3600), HELD, "50% of its longest off left"),
        (PUMP, pump(None), DAILY, HELD_OF_DAY, "40% of its holds of a day left"),
        (PUMP, pump(None), replace(DAILY, blocks_per_day=None), HELD_OF_DAY, "100% of its longest hold left"),
        (PUMP, pump(20.0), WARM, AssetMemory(), "17% of its room's warmth left"),
        (PUMP, pump(26.0), WARM, AssetMemory(), "100% of its longest hold left"),
        (PUMP, pump(19.0), WARM, AssetMemory(), "0% of its room's warmth left"),
        (
            PUMP,
            pump(24.0),
            Limits(most_fall_k=2.0),
            AssetMemory(began_c=25.0),
            "17% of its room's warmth left",
        ),
        (
            PUMP,
            pump(24.0),
            Limits(most_fall_k=2.0),
            AssetMemory(chilled=True),
            "0% of its room's warmth left",
        ),
        (PUMP, pump(None), Limits(), AssetMemory(), "100% of its longest hold left"),
        (PUMP, pump(None), WARM, AssetMemory(), "0% of its room's warmth left"),
        (ONE, state(0), car(17.664), AssetMemory(took_w=7360), "50% of the time to 07:00 local left"),
        (ONE, state(0), car(0), AssetMemory(took_w=7360), "100% of its longest hold left"),
        (ONE, state(0), car(90), AssetMemory(took_w=7360), "0% of the time to 07:00 local left"),
        (ONE, state(0), Limits(), AssetMemory(aims=True), "0% of the time to the SoC that is asked for left"),
    ],
)
def test_slack_is_the_least_that_hold_room_and_charge_leave(
    asset: Any, seen: AssetState, limits: Limits, was: AssetMemory, text: str
) -> None:
    memory = Memory(NOW, {asset.id: was})
    assert slack(home([(asset, seen)], limits={asset.id: limits}, memory=memory), asset).text == text


@in_any_home(600)
def test_slack_is_always_between_nothing_and_all_and_an_order_names_each_once(
    snapshot: Snapshot, draw: random.Random
) -> None:
    assert all(0.0 <= slack(snapshot, asset).left <= 1.0 for asset in snapshot.assets)
    assert sorted(order(snapshot)) == sorted(asset.id for asset in snapshot.assets)


def two_cars(one_kwh: float, two_kwh: float, **more: Any) -> Snapshot:
    cars = [(ONE, state(0, there=True)), (TWO, state(0, there=True))]
    known = {id_: AssetMemory(took_w=7360) for id_ in ("one", "two")}
    memory = replace(Memory(NOW - 1, known), **more)
    return home(cars, asked(5000, ONE, TWO), limits={"one": car(one_kwh), "two": car(two_kwh)}, memory=memory)


def test_who_has_to_start_sooner_gets_power_first() -> None:
    assert levels(decide(two_cars(5, 20))) == {"one": 0, "two": 4991}
    assert levels(decide(two_cars(20, 5))) == {"one": 4991, "two": 0}
    assert levels(decide(two_cars(5, 5))) == {"one": 4991, "two": 0}, "among equals as configured"


@pytest.mark.parametrize(
    ("two_kwh", "looked_s_ago", "first"),
    [
        (20, LOOKED_AT_S, "two"),
        (20, LOOKED_AT_S - 1, "one"),  # it was looked at lately
        (10 + (CLEAR - 0.01) * 35.328, LOOKED_AT_S, "one"),  # the difference is not clear
        (10 + (CLEAR + 0.01) * 35.328, LOOKED_AT_S, "two"),
    ],
)
def test_neighbours_change_places_where_it_is_clear_and_time(
    two_kwh: float, looked_s_ago: float, first: str
) -> None:
    snapshot = two_cars(10, two_kwh, order=("one", "two"), ordered_s=NOW - looked_s_ago)
    assert order(snapshot)[0] == first
    if looked_s_ago < LOOKED_AT_S:
        assert decide(snapshot).next_change_s == pytest.approx(1)


def test_the_order_is_remembered_while_a_value_is_shared_and_over_a_restart() -> None:
    snapshot = two_cars(5, 20)
    memory = remember(snapshot, decide(snapshot))
    assert (memory.order, memory.ordered_s) == (("two", "one"), NOW)
    later = replace(snapshot, now_s=NOW + 60, memory=memory)
    assert remember(later, decide(later)).ordered_s == NOW
    assert resume(memory, 7.0, 60.0).ordered_s == pytest.approx(7.0 - 60.0)
    untimed = resume(memory, 7.0, None)
    assert (untimed.order, untimed.ordered_s) == (("two", "one"), 7.0)
    alone = replace(later, instructions=())
    assert remember(alone, decide(alone)).order == ()


def test_with_standing_inputs_the_split_stays_as_it_is() -> None:
    draws = {"one": state(0, there=True), "two": state(4900, there=True)}
    snapshot = replace(two_cars(12, 14), states=draws)
    first = levels(decide(snapshot))
    for _ in range(12):
        memory = remember(snapshot, decide(snapshot))
        snapshot = replace(snapshot, now_s=snapshot.now_s + 300, memory=memory)  # and no time to the deadline
        assert levels(decide(snapshot)) == first


@settings(max_examples=400)
@given(members(), st.integers(0, 50_000), st.integers(1, 5000), st.booleans(), st.permutations(range(4)))
def test_a_higher_total_never_gives_less_in_all(
    found: tuple[list[Any], dict[str, Claim]], total_w: int, more_w: int, in_levels: bool, turns: list[int]
) -> None:
    assets, claims = found
    ordered = [assets[n] for n in turns if n < len(assets)]
    parts = [part(asset, claims[asset.id]) for asset in ordered]
    less = allocate(total_w, parts, in_levels=in_levels)
    more = allocate(total_w + more_w, parts, in_levels=in_levels)
    assert sum(more.values()) >= sum(less.values())


@pytest.mark.parametrize("seed", range(2))
def test_over_an_hour_of_noise_nobody_is_switched_more_than_a_look_at_the_order_can(seed: int) -> None:
    """Two pumps in rooms alike and a car, of which two can run: thermometers tell 0.1 K more or less."""
    draw = random.Random(seed)
    other = replace(PUMP, id="other")
    assets = (PUMP, other, ONE)
    limits = {id_: replace(WARM, longest_hold_s=7200, rest_s=3600) for id_ in ("heat", "other")}
    limits["one"] = car(20)
    memory = Memory(NOW - 1, {"one": AssetMemory(took_w=7360)})
    now = home([(a, state(a.nominal_w)) for a in assets], asked(5500, *assets), limits=limits, memory=memory)
    switched: dict[str, int] = {asset.id: 0 for asset in assets}
    found: list[dict[str, int | None]] = []
    for _ in range(720):
        rooms = {id_: pump(20.5 + draw.uniform(-0.1, 0.1)) for id_ in ("heat", "other")}
        now = replace(now, states={**rooms, "one": state(3000, there=True)})
        plan = decide(now)
        found.append(levels(plan))
        now = replace(now, now_s=now.now_s + 5, utc_s=now.utc_s + 5, memory=remember(now, plan))
    for before, after in pairwise(found):
        for id_ in switched:
            switched[id_] += (before[id_] == 0) is not (after[id_] == 0)
    assert max(switched.values()) <= 3600 / LOOKED_AT_S
