"""A car and a freezer under a tight fuse, second by second: what the fuse leaves is used, calmly, and the
freezer does not pay for the car."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.decide import decide
from gateway.core.memory import remember, resume
from gateway.core.model import (
    Ability,
    Asset,
    AssetClass,
    AssetMemory,
    AssetState,
    Charge,
    Limits,
    Memory,
    Reason,
    Snapshot,
    Supply,
    Turn,
)
from tests.core.cars import EV, reading
from tests.core.cases import each_once

FREEZER = Asset("freezer", AssetClass.PLUG, 150, Ability((0,), lease_s=900))
HEATER = Asset("heater", AssetClass.PLUG, 2000, Ability((0,), lease_s=900))
FREEZER_W, HOUR_S = 110.0, 3600
LEAST_ON_W = 1380
ANSWERS_S, RAMP_W = 3, 1500  # until a car follows, and how far it then moves a second


@dataclass(frozen=True)
class Second:
    """What the car is asked to keep to, and was; what it showed last; what all draws and the meter shows."""

    asked_w: int | None
    was_w: int | None
    shown_w: float
    car_w: float
    freezer: int | None
    over_w: float  # the fuse
    read_over_w: float | None  # None: the meter did not read


def seconds(
    home_w: Sequence[float], *, fuse_w: int, meter_s: int = 1, assets: tuple[Asset, ...] = (EV, FREEZER)
) -> list[Second]:
    """A home that draws `home_w` in each second besides its car and its freezer."""
    asked: list[int | None] = [None] * ANSWERS_S
    freezer, car_w, shown_w, shown_s, boundary_w, boundary_s = None, 0.0, 0.0, 0, 0.0, 0
    snapshot = Snapshot(0.0, 1.8e9, True, assets, limits={"freezer": Limits(longest_off_s=3600)})
    snapshot = replace(snapshot, supply=Supply(fuse_w, unmetered_w=2000), memory=Memory())
    found = []
    for second, other_w in enumerate(home_w):
        may_w = EV.nominal_w if (level_w := asked[-ANSWERS_S]) is None else level_w
        car_w += max(-RAMP_W, min(RAMP_W, may_w - car_w))
        freezer_w = FREEZER_W if freezer is None else 0.0
        total_w = other_w + car_w + freezer_w
        if second % 10 == 0:
            shown_w, shown_s = car_w, second
        if second % meter_s == 0:
            boundary_w, boundary_s = total_w, second
        states = {
            "ev": AssetState(power_w=reading(shown_w, second - shown_s), online=True),
            "freezer": AssetState(power_w=reading(freezer_w), online=True),
        }
        now = {"now_s": float(second), "utc_s": 1.8e9 + second, "states": states}
        snapshot = replace(snapshot, **now, boundary_w=reading(boundary_w, second - boundary_s))
        plan = decide(snapshot)
        snapshot = replace(snapshot, memory=remember(snapshot, plan))
        held = {setpoint.asset: setpoint.at_most_w for setpoint in plan.setpoints}
        freezer = held.get("freezer")
        read_over_w = total_w - fuse_w if boundary_s == second else None
        over_w = total_w - fuse_w
        found.append(Second(held["ev"], asked[-1], shown_w, car_w, freezer, over_w, read_over_w))
        asked.append(held["ev"])
    return found


def steady(base_w: float, hours: int) -> list[float]:
    draw = Random(1)
    return [base_w + draw.gauss(0, 20) for _ in range(hours * HOUR_S)]


def evening(seed: int, hours: int) -> list[float]:
    """A noisy one: kettles, an oven and a hob by their thermostats, a heating pump."""
    draw = Random(seed)
    home_w = [350 + draw.gauss(0, 30) for _ in range(hours * HOUR_S)]

    def runs(power_w: float, from_s: float, to_s: float, on_s: float, each_s: float) -> None:
        for second in range(int(from_s), min(int(to_s), len(home_w))):
            home_w[second] += power_w if (second - from_s) % each_s < on_s else 0

    kettle_s = draw.uniform(300, 900)
    while kettle_s < len(home_w):
        runs(2000, kettle_s, kettle_s + draw.uniform(90, 200), 1, 1)
        kettle_s += draw.uniform(600, 1800)
    for power_w, for_s, on_s, each_s in ((2500, 3000, 90, 240), (1800, 1800, 20, 60), (110, 9000, 900, 2400)):
        begins_s = draw.uniform(600, HOUR_S)
        runs(power_w, begins_s, begins_s + for_s, on_s, each_s)
    return home_w


def starts_at(found: Iterable[Second]) -> list[int]:
    return [n for n, (was, now) in enumerate(pairwise(found), 1) if was.asked_w == 0 != now.asked_w]


def longest(claims: Iterable[bool]) -> int:
    lasts = most = 0
    for is_so in claims:
        lasts = lasts + 1 if is_so else 0
        most = max(most, lasts)
    return most


TIGHT_W = ((500, 5750), (2070, 3600), (6600, 13_800))  # what else the home draws, and its fuse


@pytest.mark.parametrize(
    ("assets", "tight_w", "meter_s"), each_once([(EV, FREEZER), (FREEZER, EV)], TIGHT_W, [1, 10])
)
def test_under_a_tight_fuse_the_car_is_lowered_calmly_and_the_freezer_runs(
    assets: tuple[Asset, ...], tight_w: tuple[int, int], meter_s: int
) -> None:
    base_w, fuse_w = tight_w
    found = seconds(steady(base_w, 1), fuse_w=fuse_w, meter_s=meter_s, assets=assets)[300:]
    assert all(second.freezer is None for second in found)
    assert sum(a.asked_w != b.asked_w for a, b in pairwise(found)) <= 2 * 30
    assert len(starts_at(found)) <= 1
    assert sum(second.over_w > 0.1 * fuse_w for second in found) <= 30
    assert sum(second.over_w > 0 for second in found) <= 60


@pytest.mark.parametrize(("seed", "fuse_w", "meter_s"), each_once(range(2), [4600, 5750, 9200], [1, 10]))
def test_on_a_noisy_evening_the_car_is_seldom_started_and_the_fuse_is_kept(
    seed: int, fuse_w: int, meter_s: int
) -> None:
    found = seconds(evening(seed, 2), fuse_w=fuse_w, meter_s=meter_s)
    starts = starts_at(found)
    assert all(later - sooner >= 1800 for sooner, later in pairwise(starts)), "twice an hour at most"
    by_the_car = [second.over_w > 0 and second.car_w > 100 for second in found]
    assert longest(by_the_car) <= meter_s + ANSWERS_S + 10 + EV.nominal_w / RAMP_W
    may_run = (s.freezer == 0 and s.over_w < s.car_w - 700 for s in found)
    assert longest(may_run) <= meter_s, "the freezer does not pay"
    left_w = [max(0.0, min(EV.nominal_w, second.car_w - second.over_w)) for second in found]
    assert sum(second.car_w for second in found) > 0.5 * sum(left_w), "what is left is used"
    what_the_meter_shows_above_the_fuse_is_taken_down_in_the_very_next_decision(found)


def what_the_meter_shows_above_the_fuse_is_taken_down_in_the_very_next_decision(found: list[Second]) -> None:
    for second in found:
        if second.read_over_w is None or second.read_over_w <= 0:
            continue
        drew_w = second.shown_w if second.was_w is None else min(second.shown_w, second.was_w)
        asked_w = EV.nominal_w if second.asked_w is None else second.asked_w
        assert asked_w <= max(LEAST_ON_W, drew_w - second.read_over_w)


@settings(max_examples=4, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([0, 1500, 2600, 4000, 5000]), st.integers(1, 600)), min_size=4, max_size=12
    )
)
def test_whatever_the_home_draws_the_car_is_started_twice_an_hour_at_most(
    loads: list[tuple[int, int]],
) -> None:
    home_w = [300.0 + power_w for power_w, lasts_s in loads for _ in range(lasts_s)]
    found = seconds(home_w, fuse_w=5750)
    assert all(later - sooner >= 1800 for sooner, later in pairwise(starts_at(found)))
    assert longest(s.over_w > 0 and s.car_w > 100 for s in found) <= 2 * (ANSWERS_S + 10)


def test_a_kettle_lowers_the_car_and_does_not_stop_it() -> None:
    home_w = [350.0] * 600 + [2350.0] * 150 + [350.0] * 600
    found = seconds(home_w, fuse_w=5750)
    during = [second.asked_w for second in found[600:750]]
    assert all(level_w and level_w >= LEAST_ON_W for level_w in during)
    assert (during[-1] or 0) > 2500, "what the kettle leaves is used"
    assert longest(second.over_w > 0 for second in found[600:]) <= ANSWERS_S + 4


def test_room_that_stays_is_used_again() -> None:
    calm = seconds(steady(500, 1), fuse_w=5750)
    assert max(second.asked_w or 0 for second in calm[1800:]) > 4000


# --- one decision --------------------------------------------------------------------------------------


NOW = 100_000.0
STARVED = AssetMemory(held_w=0, held_since_s=NOW - 3000, starved_s=NOW - 900, tight_s=NOW - 900)


def tight(
    was: AssetMemory, *, draws_w: float = 0.0, home_w: float = 3000.0, asset: Asset = EV, **more: object
) -> Snapshot:
    snapshot = Snapshot(
        NOW, 1.8e9, True, (asset,), supply=Supply(5750), memory=Memory(NOW - 1, {asset.id: was})
    )
    state = AssetState(power_w=reading(draws_w), online=True)
    return replace(snapshot, states={asset.id: state}, boundary_w=reading(home_w + draws_w), **more)


def held(snapshot: Snapshot) -> int | None:
    return decide(snapshot).setpoints[0].at_most_w


def test_what_is_off_for_the_fuse_starts_after_a_quarter_of_an_hour_with_room() -> None:
    too_soon = tight(replace(STARVED, starved_s=NOW - 899))
    (setpoint,) = decide(too_soon).setpoints
    assert (setpoint.at_most_w, setpoint.reason) == (0, Reason.SUPPLY_LIMIT)
    assert "off for it until there was room for 15 min" in setpoint.text
    assert decide(too_soon).next_change_s == 1
    assert held(tight(STARVED)) == 2622  # 5750 - 3000, less 100, down to a step of 23 W
    assert held(tight(replace(STARVED, starved_s=NOW - 899), home_w=-9000.0)) == 0


def test_what_was_started_within_half_an_hour_is_not_started_again() -> None:
    assert held(tight(replace(STARVED, fed_s=NOW - 1799))) == 0
    assert held(tight(replace(STARVED, fed_s=NOW - 1800))) == 2622


@pytest.mark.parametrize(
    ("home_w", "since_s"), [(5750 - LEAST_ON_W - 100, NOW - 100), (5750 - LEAST_ON_W - 99, NOW)]
)
def test_room_is_more_than_the_least_by_the_noise_of_a_home(home_w: float, since_s: float) -> None:
    waits = tight(replace(STARVED, starved_s=NOW - 100), home_w=home_w)
    assert remember(waits, decide(waits)).of("ev").starved_s == since_s


def test_a_start_is_remembered_and_what_comes_next_waits_from_it() -> None:
    snapshot = tight(STARVED)
    memory = remember(snapshot, decide(snapshot)).of("ev")
    assert (memory.starved_s, memory.fed_s) == (None, NOW)
    assert memory.turn == Turn(NOW, 0.0, 0.0)


@pytest.mark.parametrize("elapsed_s", [None, 60.0])
def test_after_a_restart_what_is_off_for_the_fuse_waits_anew(elapsed_s: float | None) -> None:
    memory = resume(Memory(NOW, {"ev": replace(STARVED, fed_s=NOW - 600)}), 7.0, elapsed_s)
    assert memory.of("ev").starved_s == 7.0
    assert memory.of("ev").fed_s == (7.0 if elapsed_s is None else 7.0 - 660.0)


def test_a_heater_waits_as_well_and_what_cools_food_is_back_at_once() -> None:
    assert held(tight(replace(STARVED, starved_s=NOW - 899), asset=HEATER)) == 0
    food = {"heater": Limits(longest_off_s=3600)}
    snapshot = tight(replace(STARVED, starved_s=None), asset=HEATER, home_w=4000.0, limits=food)
    memory = remember(snapshot, decide(snapshot))
    assert memory.of("heater").starved_s is None
    room = replace(snapshot, now_s=NOW + 60, boundary_w=reading(1000.0), memory=memory)
    assert held(room) is None


def test_one_reading_of_the_meter_lowers_once() -> None:
    """What the meter showed before the car was told is no new load."""
    was = AssetMemory(held_w=5152, held_since_s=NOW - 900, tight_s=NOW - 900)
    first = tight(was, draws_w=5152.0, home_w=2440.0)
    memory = remember(first, decide(first))
    second = replace(first, now_s=NOW + 3, boundary_w=reading(7592.0, 3.0), memory=memory)
    assert held(first) == held(second) == 3174


def test_a_car_that_may_not_have_followed_yet_is_lowered_but_not_stopped() -> None:
    was = AssetMemory(held_w=3197, held_since_s=NOW - 900, moved_s=NOW - 2, turn=Turn(NOW - 2, 5152, 5152))
    still = tight(was, draws_w=5152.0, home_w=2440.0)
    assert held(still) == LEAST_ON_W
    assert held(replace(still, boundary_w=reading(9600.0))) == 0, "too much however much the car drew"
    assert held(replace(still, now_s=NOW + 8)) == 0, "it had its time"


def test_while_nobody_knows_the_first_car_spares_the_second_what_it_runs_at() -> None:
    """A kettle: the second is not off for what the first may still be drawing."""
    cars = tuple(replace(EV, id=id_) for id_ in ("one", "two"))
    turn = Turn(NOW - 2, 5000.0, 5000.0)
    one = AssetMemory(held_w=4140, held_since_s=NOW - 900, moved_s=NOW - 2, turn=turn)
    two = AssetMemory(held_w=2000, held_since_s=NOW - 900)
    states = {
        "one": AssetState(power_w=reading(5000.0, 3.0)),
        "two": AssetState(power_w=reading(2000.0, 3.0)),
    }
    memory = Memory(NOW - 1, {"one": one, "two": two})
    snapshot = Snapshot(
        NOW, 1.8e9, True, cars, states, supply=Supply(9200), boundary_w=reading(11_000.0), memory=memory
    )
    one_w, two_w = (setpoint.at_most_w for setpoint in decide(snapshot).setpoints)
    assert one_w is not None
    assert two_w is not None
    assert two_w >= LEAST_ON_W
    assert one_w + two_w <= 4140 + 2000 - 1800, "what is above the fuse is taken down"


def test_a_wait_for_the_fuse_is_not_why_a_full_car_is_off() -> None:
    was = AssetMemory(held_w=0, held_since_s=NOW - 900, short_s=NOW - 10, too_full=True)
    limits = {"ev": Limits(charge=Charge(max_soc=0.9))}
    snapshot = tight(was, home_w=300.0, limits=limits, supply=Supply(9200))
    full = replace(snapshot, states={"ev": AssetState(power_w=reading(0.0), online=True, soc=reading(0.95))})
    assert decide(full).setpoints[0].reason is Reason.CHARGE_LIMIT
    assert decide(snapshot).setpoints[0].reason is Reason.SUPPLY_LIMIT


def test_what_an_instruction_held_off_has_not_waited_for_the_fuse() -> None:
    """When it has ended the car begins after the fuse's minute, not after its quarter of an hour."""
    was = AssetMemory(held_w=0, held_since_s=NOW - 900, short_s=NOW - 10, tight_s=NOW - 10)
    snapshot = tight(was, home_w=300.0, supply=Supply(9200))
    assert held(snapshot) == 0
    memory = remember(snapshot, decide(snapshot))
    assert memory.of("ev").starved_s is None
    assert held(replace(snapshot, now_s=NOW + 50, memory=memory)) is None


def test_a_car_that_has_just_begun_by_itself_is_lowered_and_not_stopped() -> None:
    begins = tight(AssetMemory(), draws_w=0.0, home_w=6361.0)
    unseen = {"ev": AssetState(power_w=reading(0.0, 3.0), online=True)}
    assert held(replace(begins, states=unseen)) == LEAST_ON_W


def test_nothing_that_is_off_is_started_while_the_meter_shows_more_than_the_fuse() -> None:
    """Where what draws the too much may already be less by now, what is on is spared; that starts nothing."""
    second = replace(EV, id="second")
    states = {
        "ev": AssetState(power_w=reading(5000, 31), online=True),
        "second": AssetState(power_w=reading(0), online=True),
    }
    memory = Memory(
        assets={
            "ev": AssetMemory(held_w=7360),
            "second": AssetMemory(held_w=0, held_since_s=0.0, tight_s=8900.0),
        }
    )
    supply = Supply(6000, unmetered_w=1000)
    snapshot = Snapshot(9000.0, 1.8e9, True, (EV, second), states, {}, supply, reading(9300, 29))
    plan = decide(replace(snapshot, memory=memory))
    assert [setpoint.at_most_w for setpoint in plan.setpoints] == [1564, 0]
