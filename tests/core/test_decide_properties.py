"""What is always true of a decision, over any snapshot. The oracle restates the limits on its own."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.availability import expected, scopes
from gateway.core.decide import bounds_of, decide
from gateway.core.fuse import lines
from gateway.core.memory import remember, resume
from gateway.core.model import Asset, Extent, Kind, Limits, Snapshot, Timetable
from tests.core.homes import instructions, snapshots
from tests.oracle import violations


@settings(max_examples=500)
@given(snapshots())
def test_no_limit_is_ever_broken_whatever_is_asked(snapshot: Snapshot) -> None:
    assert violations(snapshot, decide(snapshot)) == []


@pytest.mark.long
@settings(max_examples=100_000, deadline=None)
@given(snapshots())
def test_no_limit_is_ever_broken_over_many_more_homes(snapshot: Snapshot) -> None:
    assert violations(snapshot, decide(snapshot)) == []


@settings(max_examples=100)
@given(snapshots())
def test_the_same_snapshot_gives_the_same_plan_for_every_asset(snapshot: Snapshot) -> None:
    plan = decide(snapshot)
    assert plan == decide(snapshot)
    assert [s.asset for s in plan.setpoints] == [a.id for a in snapshot.assets]
    assert plan.next_change_s > 0
    assert all(s.text for s in plan.setpoints)


@settings(max_examples=100)
@given(snapshots(), st.data())
def test_an_instruction_that_has_not_begun_changes_nothing(snapshot: Snapshot, data: st.DataObject) -> None:
    later = data.draw(instructions([a.id for a in snapshot.assets], "later"))
    shift_s = snapshot.utc_s + 60 - later.start_utc_s
    steps = tuple(
        replace(s, start_utc_s=s.start_utc_s + shift_s, end_utc_s=s.end_utc_s + shift_s) for s in later.steps
    )
    asked = (*snapshot.instructions, replace(later, steps=steps))
    assert decide(replace(snapshot, instructions=asked)).setpoints == decide(snapshot).setpoints


@settings(max_examples=100)
@given(snapshots())
def test_no_instruction_loosens_or_tightens_a_limit(snapshot: Snapshot) -> None:
    alone = replace(snapshot, instructions=())
    for asset in snapshot.assets:
        assert bounds_of(snapshot, asset, lines(snapshot)) == bounds_of(alone, asset, lines(alone))


@settings(max_examples=100)
@given(snapshots(), st.floats(0.1, 5))
def test_a_warmer_minimum_never_lowers_and_a_cooler_maximum_never_raises(
    snapshot: Snapshot, by_k: float
) -> None:
    for asset in snapshot.assets:
        limits, now_w = snapshot.limits[asset.id], _allowed_w(snapshot, asset)
        warmer = replace(limits, room_min_c=_moved(limits.room_min_c, by_k))
        cooler = replace(limits, room_max_c=_moved(limits.room_max_c, -by_k))
        assert _allowed_w(_with(snapshot, asset, warmer), asset) >= now_w
        assert _allowed_w(_with(snapshot, asset, cooler), asset) <= now_w


@settings(max_examples=100)
@given(snapshots())
def test_an_extent_is_full_only_where_the_asset_is_held_to_what_was_asked(snapshot: Snapshot) -> None:
    nominal = {a.id: a.nominal_w for a in snapshot.assets}
    for given_ in decide(snapshot).given:
        if given_.extent is Extent.FULL and given_.kind is not Kind.FLOOR:
            allowed_w = nominal[given_.asset] if given_.granted_w is None else given_.granted_w
            assert allowed_w <= given_.asked_w


@settings(max_examples=100)
@given(snapshots(), st.integers(1, 3000))
def test_remembering_keeps_limits_over_the_seconds_that_follow(snapshot: Snapshot, step_s: int) -> None:
    for _ in range(4):
        plan = decide(snapshot)
        assert violations(snapshot, plan) == []
        memory = remember(snapshot, plan)
        snapshot = replace(
            snapshot, now_s=snapshot.now_s + step_s, utc_s=snapshot.utc_s + step_s, memory=memory
        )


@settings(max_examples=100)
@given(snapshots())
def test_after_a_restart_with_no_clock_nothing_is_held_that_was_not_resting(snapshot: Snapshot) -> None:
    memory = resume(remember(snapshot, decide(snapshot)), now_s=7.0, elapsed_s=None)
    moved = replace(snapshot, now_s=7.0, clock_trusted=False, memory=memory)
    assert violations(moved, decide(moved)) == []


@settings(max_examples=80)
@given(snapshots(), st.floats(0, 1e6))
def test_a_restart_with_a_clock_moves_every_moment_by_what_passed(snapshot: Snapshot, gone_s: float) -> None:
    was = remember(snapshot, decide(snapshot))
    now = resume(was, now_s=1000.0, elapsed_s=gone_s)
    for id_, before in was.assets.items():
        if before.held_since_s is not None:
            after = now.assets[id_].held_since_s
            assert after is not None
            assert 1000.0 - after == pytest.approx(was.at_s - before.held_since_s + gone_s, abs=1e-6)


@settings(max_examples=80)
@given(snapshots())
def test_what_is_offered_now_is_what_decide_would_grant(snapshot: Snapshot) -> None:
    for scope in scopes(snapshot):
        assert scope.down.for_s >= 0
        if not scope.target.startswith("asset:") or not scope.down.for_s or scope.down.after_s:
            continue
        asset = next(a for a in snapshot.assets if f"asset:{a.id}" == scope.target)
        assert scope.down.to_w in {*asset.ability.levels_w, *range(*_reach(asset.ability))}
    for half_hour in expected(snapshot):
        assert half_hour.min_w <= half_hour.power_w <= half_hour.max_w or half_hour.power_w <= half_hour.max_w


def _allowed_w(snapshot: Snapshot, asset: Asset) -> float:
    setpoint = decide(snapshot).setpoint(asset.id)
    assert setpoint
    return math.inf if setpoint.at_most_w is None else setpoint.at_most_w


def _moved(table: Timetable, by_k: float) -> Timetable:
    spans = tuple(replace(span, value=span.value + by_k) for span in table.spans)
    return Timetable(spans, None if table.otherwise is None else table.otherwise + by_k)


def _with(snapshot: Snapshot, asset: Asset, limits: Limits) -> Snapshot:
    return replace(snapshot, limits={**snapshot.limits, asset.id: limits})


def _reach(ability: object) -> tuple[int, int]:
    low_high = getattr(ability, "range_w", None)
    return (low_high[0], low_high[1] + 1) if low_high else (0, 0)
