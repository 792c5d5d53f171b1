"""How fast a room cools is learnt of holds, and what is offered ends where the room would be too cold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.availability import Offer, scopes
from gateway.core.decide import decide
from gateway.core.memory import remember, resume
from gateway.core.model import (
    Ability,
    Asset,
    AssetClass,
    AssetMemory,
    AssetState,
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
)

NOW_S, UTC_S, MINIMUM_C = 10_000.0, 1_800_000_000.0, 19.0
PUMP = Asset("heat", AssetClass.HEAT, 2400, Ability((0,), lease_s=120))
HOLD = Instruction(
    "hold", 0, "bm", "response", 0, UTC_S, Scope(("asset:heat",), ("heat",)),
    (Step(UTC_S, UTC_S + 7200, Kind.CAP, 0),),
)  # fmt: skip


def state(room_c: float) -> AssetState:
    return AssetState(Reading(2400, 1.0, "hp.power_w"), Reading(room_c, 20.0, "hp.room_c"), online=True)


def home(room_c: float, cools_k_h: float | None = None) -> Snapshot:
    limits = Limits(room_min_c=Timetable(otherwise=MINIMUM_C), longest_hold_s=7200, rest_s=3600)
    known = AssetMemory(cools_k_s=None if cools_k_h is None else cools_k_h / 3600)
    return Snapshot(
        NOW_S, UTC_S, True, (PUMP,), {"heat": state(room_c)}, {"heat": limits},
        boundary_w=Reading(3000, 1.0, "meter.power_w"), memory=Memory(NOW_S, {"heat": known}),
    )  # fmt: skip


def offered(snapshot: Snapshot) -> Offer:
    return next(scoped.down for scoped in scopes(snapshot) if scoped.target == "asset:heat")


def lived(rooms_c: list[float]) -> AssetMemory:
    """One reading a minute, under a hold."""
    snapshot = replace(home(rooms_c[0]), instructions=(HOLD,))
    for minute, room_c in enumerate(rooms_c):
        now_s, utc_s = NOW_S + 60 * minute, UTC_S + 60 * minute
        snapshot = replace(snapshot, now_s=now_s, utc_s=utc_s, states={"heat": state(room_c)})
        snapshot = replace(snapshot, memory=remember(snapshot, decide(snapshot)))
    return snapshot.memory.of("heat")


def test_the_steepest_mean_fall_of_a_hold_is_learnt_from_its_first_half_hour_on() -> None:
    falls = [21.0 - minute * 0.01 for minute in range(60)]  # 0.6 K/h
    assert lived(falls[:30]).cools_k_s is None
    assert lived(falls).cools_k_s == pytest.approx(0.6 / 3600, rel=1e-6)
    slower = [*falls, *(falls[-1] - minute * 0.001 for minute in range(30))]
    assert lived(slower).cools_k_s == pytest.approx(0.6 / 3600, rel=1e-6)


def test_a_room_that_warms_up_in_a_hold_does_not_cool() -> None:
    assert lived([20.0 + minute * 0.01 for minute in range(60)]).cools_k_s == 0.0


@pytest.mark.parametrize(("cools_k_h", "for_s"), [(0.5, 3384), (1.0, 1692), (0.1, 7200), (0.0, 7200)])
def test_what_is_offered_ends_when_the_room_will_be_too_cold(cools_k_h: float, for_s: float) -> None:
    """0.5 K above the minimum, less 0.03 K that its thermometer may say at any moment."""
    offer = offered(home(19.5, cools_k_h))
    assert offer.for_s == pytest.approx(for_s, abs=1)
    assert offer.until is Reason.COMFORT_LIMIT


def test_a_home_that_was_never_held_promises_little() -> None:
    assert offered(home(19.5)).for_s == offered(home(19.5, cools_k_h=1.0)).for_s
    assert offered(home(22.0)).for_s == 7200


def test_what_only_a_full_fuse_or_a_warm_room_holds_is_not_offered_for_longer() -> None:
    full = replace(home(22.0, 0.0), supply=Supply(fuse_w=1000))
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
    assert (now.fall, now.cools_k_s) == (None, was.cools_k_s)
