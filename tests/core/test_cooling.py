"""How a room cools is learnt of holds, and what is offered ends where the room would be too cold."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from gateway.core.availability import Offer, scopes
from gateway.core.cooling import DRIVE_K, GAINS_K, cold_in_s, foreseen_c
from gateway.core.decide import decide
from gateway.core.memory import remember, resume
from gateway.core.model import (
    Ability,
    Asset,
    AssetClass,
    AssetMemory,
    AssetState,
    Fall,
    Instruction,
    Kind,
    Limits,
    Memory,
    Reading,
    Reason,
    Scope,
    Snapshot,
    Step,
    Supply,
    Timetable,
    Walls,
)

NOW_S, UTC_S, MINIMUM_C = 10_000.0, 1_800_000_000.0, 19.0
PUMP = Asset("heat", AssetClass.HEAT, 2400, Ability((0,), lease_s=120))
HOLD = Instruction(
    "hold", 0, "bm", "response", 0, UTC_S, Scope(("asset:heat",), ("heat",)),
    (Step(UTC_S, UTC_S + 7200, Kind.CAP, 0),),
)  # fmt: skip


def state(room_c: float, outdoor_c: float | None = None) -> AssetState:
    outdoor = None if outdoor_c is None else Reading(outdoor_c, 20.0, "hp.outdoor_c")
    power, room = Reading(2400, 1.0, "hp.power_w"), Reading(room_c, 20.0, "hp.room_c")
    return AssetState(power, room, online=True, outdoor_c=outdoor)


def home(
    room_c: float, *falls_k: float, walls_c: float | None = None, outdoor_c: float | None = None
) -> Snapshot:
    """With what was learnt of falls where nobody knows how cold it is outside."""
    limits = Limits(room_min_c=Timetable(otherwise=MINIMUM_C), longest_hold_s=7200, rest_s=3600)
    walls = None if walls_c is None else Walls(NOW_S, walls_c)
    known = AssetMemory(falls=tuple(fall / DRIVE_K for fall in falls_k), walls=walls)
    return Snapshot(
        NOW_S, UTC_S, True, (PUMP,), {"heat": state(room_c, outdoor_c)}, {"heat": limits},
        boundary_w=Reading(3000, 1.0, "meter.power_w"), memory=Memory(NOW_S, {"heat": known}),
    )  # fmt: skip


def offered(snapshot: Snapshot) -> Offer:
    return next(scoped.down for scoped in scopes(snapshot) if scoped.target == "asset:heat")


def lived(rooms_c: list[float], *falls_k: float, **more: float) -> AssetMemory:
    """One reading a minute, under a hold."""
    snapshot = replace(home(rooms_c[0], *falls_k, **more), instructions=(HOLD,))
    for minute, room_c in enumerate(rooms_c):
        now_s, utc_s = NOW_S + 60 * minute, UTC_S + 60 * minute
        snapshot = replace(
            snapshot, now_s=now_s, utc_s=utc_s, states={"heat": state(room_c, more.get("outdoor_c"))}
        )
        snapshot = replace(snapshot, memory=remember(snapshot, decide(snapshot)))
    return snapshot.memory.of("heat")


def falls_k(was: AssetMemory) -> list[float]:
    return [fall * DRIVE_K for fall in was.falls]


def falling(*steps_k: float, from_c: float = 22.0) -> list[float]:
    """A room that falls by so much over each ten minutes."""
    rooms_c = [from_c]
    for step_k in steps_k:
        rooms_c += [rooms_c[-1] - step_k * (minute + 1) / 10 for minute in range(10)]
    return rooms_c


def test_how_far_the_room_falls_is_learnt_at_ten_thirty_and_sixty_minutes() -> None:
    rooms_c = falling(0.4, 0.2, 0.1, 0.1, 0.1, 0.1)
    assert lived(rooms_c[:10]).falls == ()
    assert falls_k(lived(rooms_c)) == pytest.approx((0.4, 0.7, 1.0))


def test_a_steeper_fall_is_believed_at_once_and_a_milder_one_by_halves() -> None:
    rooms_c = falling(0.4, 0.2, 0.1)
    assert falls_k(lived(rooms_c, 0.3, 0.5)) == pytest.approx((0.4, 0.7))
    assert falls_k(lived(rooms_c, 0.6, 0.9)) == pytest.approx((0.5, 0.725))


def test_what_comes_later_in_a_fall_goes_with_what_was_seen_of_it() -> None:
    assert falls_k(lived(falling(0.4), 0.2, 0.5, 0.8)) == pytest.approx((0.4, 1.0, 1.6))


def test_one_steep_fall_after_a_mild_one_makes_no_cliff_of_what_comes_later() -> None:
    assert falls_k(lived(falling(0.4), 0.001, 0.5, 0.8)) == pytest.approx((0.4, 1.0, 1.6))


def test_how_cold_it_was_last_does_not_count_where_nobody_sees_it_any_more() -> None:
    summer = home(20.0, 0.4, 0.6, 0.8)
    was = replace(summer.memory.of("heat"), outdoor_c=25.0)
    unseen = replace(summer, memory=Memory(NOW_S, {"heat": was}))
    assert foreseen_c(unseen, PUMP, 1800) == foreseen_c(summer, PUMP, 1800) == pytest.approx(19.4)


@pytest.mark.parametrize(("outdoor_c", "learns"), [(None, True), (5.0, False)])
def test_where_nobody_knows_how_cold_it_is_every_rest_is_learnt_of(
    outdoor_c: float | None, learns: bool
) -> None:
    """A pump that has switched itself off draws next to nothing."""
    snapshot = home(21.0, outdoor_c=outdoor_c)
    for minute, room_c in enumerate(falling(0.4, from_c=21.0)):
        resting = replace(state(room_c, outdoor_c), power_w=Reading(10, 1.0, "hp.power_w"))
        snapshot = replace(snapshot, now_s=NOW_S + 60 * minute, states={"heat": resting})
        snapshot = replace(snapshot, memory=remember(snapshot, decide(snapshot)))
    assert (len(snapshot.memory.of("heat").falls) > 0) is learns


def test_a_room_that_warms_up_in_a_hold_does_not_cool() -> None:
    assert lived([20.0 + minute * 0.01 for minute in range(61)]).falls == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("falls_k", "for_s"),
    [
        ((0.4,), 705),  # as steep as it was last seen
        ((0.4, 0.42), 1800 + 0.05 / 0.21 * 1800),
        ((0.4, 0.46, 0.5), 1800 + 1800 * 0.01 / 0.04),
        ((0.4, 0.42, 0.44, 0.46), 7200),
        ((0.0,), 7200),
    ],
)
def test_what_is_offered_ends_when_the_room_will_be_too_cold(
    falls_k: tuple[float, ...], for_s: float
) -> None:
    """0.5 K above the minimum, less 0.03 K that its thermometer may say at any moment."""
    offer = offered(home(19.5, *falls_k))
    assert offer.for_s == pytest.approx(for_s, abs=1)
    assert offer.until is Reason.COMFORT_LIMIT


def test_the_colder_it_is_outside_the_faster_the_room_falls() -> None:
    """In proportion to how much colder that is than where a home needs no heat."""
    mild, cold = (home(19.5, 0.4, 0.6, 0.8, outdoor_c=19.5 - GAINS_K - k) for k in (DRIVE_K / 2, DRIVE_K))
    assert foreseen_c(mild, PUMP, 1800) == pytest.approx(19.5 - 0.3)
    assert foreseen_c(cold, PUMP, 1800) == pytest.approx(19.5 - 0.6)
    learnt = lived(falling(0.4, 0.2, 0.1, from_c=20.0), outdoor_c=0.0)
    assert learnt.falls[0] == pytest.approx(0.4 / (19.6 - GAINS_K))


@pytest.mark.parametrize(("walls_c", "room_c"), [(20.5, 20.9), (20.5, 20.2)])
def test_air_falls_to_its_walls_as_well(walls_c: float, room_c: float) -> None:
    """What it is above them, or below, is a third after an hour."""
    snapshot = home(room_c, 0.4, 0.6, 0.8, walls_c=walls_c)
    assert foreseen_c(snapshot, PUMP, 3600) == pytest.approx(walls_c - 0.8 + (room_c - walls_c) / math.e)
    fallen = lived(
        [room_c + (walls_c - room_c) * (1 - math.exp(-m / 60)) for m in range(61)], walls_c=walls_c
    )
    assert falls_k(fallen) == pytest.approx([0, 0, 0], abs=0.02), "which is no loss of heat"


def test_walls_follow_the_room_in_ten_hours() -> None:
    snapshot = home(21.0, walls_c=20.0)
    for minute in range(0, 601, 5):
        snapshot = replace(snapshot, now_s=NOW_S + 60 * minute)
        snapshot = replace(snapshot, memory=remember(snapshot, decide(snapshot)))
    walls = snapshot.memory.of("heat").walls
    assert walls
    assert walls.temp_c == pytest.approx(21 - 1 / math.e, abs=0.001)


def test_a_hold_that_goes_on_falls_from_where_it_is() -> None:
    """After half an hour the steep part is over."""
    begun = home(19.5, 0.4, 0.6, 0.8)
    was = replace(
        begun.memory.of("heat"),
        held_w=0,
        held_since_s=NOW_S - 1800,
        fall=Fall(NOW_S - 1800, 20.1, 20.1, marks=2),
        walls=Walls(NOW_S, 20.1),
    )
    goes_on = replace(begun, memory=Memory(NOW_S, {"heat": was}), instructions=(HOLD,))
    assert foreseen_c(goes_on, PUMP, 1800) == pytest.approx(19.3)
    assert foreseen_c(begun, PUMP, 1800) == pytest.approx(18.9)
    assert cold_in_s(goes_on, PUMP) == pytest.approx(1800 + 0.3 / 0.4 * 3600)


def test_a_home_that_was_never_held_promises_little() -> None:
    assert offered(home(19.5)).for_s == pytest.approx(0.47 / 3 * 3600, abs=1)
    assert offered(home(25.1)).for_s == 7200


def test_what_only_a_full_fuse_or_a_warm_room_holds_is_not_offered_for_longer() -> None:
    full = replace(home(22.0, 0.0, 0.0), supply=Supply(fuse_w=1000))
    assert offered(full).for_s == 7200
    warm = replace(full.limits["heat"], room_max_c=Timetable(otherwise=21.0))
    assert offered(replace(full, limits={"heat": warm})).for_s == 7200


@pytest.mark.parametrize("elapsed_s", [30.0, None])
def test_a_restart_forgets_the_hold_that_was_learnt_from_and_keeps_what_was_learnt(
    elapsed_s: float | None,
) -> None:
    was = lived([21.0 - minute * 0.01 for minute in range(60)])
    assert was.fall
    now = resume(Memory(NOW_S, {"heat": was}), 5.0, elapsed_s).of("heat")
    assert (now.fall, now.falls) == (None, was.falls)
