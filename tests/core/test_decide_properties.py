"""What is always true of a decision, over any snapshot. The oracle restates the limits on its own."""

from __future__ import annotations

import math
from dataclasses import replace
from random import Random

import pytest

from gateway.core.availability import expected, scopes
from gateway.core.decide import bounds_of, decide
from gateway.core.fuse import lines
from gateway.core.memory import remember, resume
from gateway.core.model import Asset, Extent, Governor, Kind, Limits, Scope, Snapshot, Timetable
from tests.core.homes import Draw, heating_snapshot, instruction
from tests.core.laws import hold_in, in_any_home
from tests.oracle import violations


def no_limit_is_broken(home: Snapshot, draw: Random) -> None:
    assert violations(home, decide(home)) == []


test_no_limit_is_ever_broken_whatever_is_asked = in_any_home(3000)(no_limit_is_broken)


@pytest.mark.long
@pytest.mark.parametrize("part", range(1, 11))
def test_no_limit_is_ever_broken_in_a_million_homes(part: int) -> None:
    hold_in(range(100_000 * part, 100_000 * (part + 1)), no_limit_is_broken)


@pytest.mark.parametrize("part", [0, *(pytest.param(n, marks=pytest.mark.long) for n in range(1, 40))])
def test_nothing_is_ever_raised_beyond_a_bound(part: int) -> None:
    raised = 0
    for seed in range(500 * part, 500 * (part + 1)):
        home = heating_snapshot(Random(seed))
        for _ in range(3):
            plan = decide(home)
            assert violations(home, plan) == [], f"seed {seed}"
            raised += sum(setpoint.raised for setpoint in plan.setpoints)
            step_s = 1 + seed % 1200
            moved = {"now_s": home.now_s + step_s, "utc_s": home.utc_s + step_s}
            home = replace(home, **moved, memory=remember(home, plan))
    assert raised > 100


@in_any_home()
def test_the_same_snapshot_gives_the_same_plan_for_every_asset(snapshot: Snapshot, draw: Random) -> None:
    plan = decide(snapshot)
    assert plan == decide(snapshot)
    assert [s.asset for s in plan.setpoints] == [a.id for a in snapshot.assets]
    assert plan.next_change_s > 0
    assert all(s.text for s in plan.setpoints)


@in_any_home()
def test_an_instruction_that_has_not_begun_changes_nothing_but_a_pre_heat(
    snapshot: Snapshot, draw: Random
) -> None:
    later = instruction(Draw(draw), [a.id for a in snapshot.assets], "later")
    shift_s = snapshot.utc_s + 60 - later.start_utc_s
    steps = tuple(
        replace(s, start_utc_s=s.start_utc_s + shift_s, end_utc_s=s.end_utc_s + shift_s) for s in later.steps
    )
    asked = (*snapshot.instructions, replace(later, steps=steps))
    cold = {id_: replace(limits, preheat=None) for id_, limits in snapshot.limits.items()}
    snapshot = replace(snapshot, limits=cold)
    assert decide(replace(snapshot, instructions=asked)).setpoints == decide(snapshot).setpoints


@in_any_home()
def test_no_instruction_loosens_or_tightens_a_limit(snapshot: Snapshot, draw: Random) -> None:
    alone = replace(snapshot, instructions=())
    for asset in snapshot.assets:
        assert bounds_of(snapshot, asset, lines(snapshot)) == bounds_of(alone, asset, lines(alone))


@in_any_home()
def test_a_warmer_minimum_never_lowers_and_a_cooler_maximum_never_raises(
    snapshot: Snapshot, draw: Random
) -> None:
    by_k = draw.uniform(0.1, 5)
    for asset in snapshot.assets:
        limits, now_w = snapshot.limits[asset.id], _allowed_w(snapshot, asset)
        warmer = replace(limits, room_min_c=_moved(limits.room_min_c, by_k))
        cooler = replace(limits, room_max_c=_moved(limits.room_max_c, -by_k))
        assert _allowed_w(_with(snapshot, asset, warmer), asset) >= now_w
        assert _allowed_w(_with(snapshot, asset, cooler), asset) <= now_w


@in_any_home()
def test_an_extent_is_full_only_where_the_asset_is_held_to_what_was_asked(
    snapshot: Snapshot, draw: Random
) -> None:
    nominal = {a.id: a.nominal_w for a in snapshot.assets}
    for given_ in decide(snapshot).given:
        if given_.extent is Extent.FULL and not given_.kind.only_raises:
            allowed_w = nominal[given_.asset] if given_.granted_w is None else given_.granted_w
            assert allowed_w <= given_.asked_w


@in_any_home(1000)
def test_what_an_instruction_is_told_to_hold_no_limit_would_let_run(snapshot: Snapshot, draw: Random) -> None:
    fuses = lines(snapshot)
    for asset, setpoint in zip(snapshot.assets, decide(snapshot).setpoints, strict=True):
        if setpoint.governor is Governor.DISPATCH and setpoint.at_most_w is not None:
            insisted_w = [b.at_least_w or 0 for b in bounds_of(snapshot, asset, fuses)]
            assert setpoint.at_most_w >= max(insisted_w, default=0)


@in_any_home()
def test_what_only_raises_never_lowers_the_asset_it_asks(snapshot: Snapshot, draw: Random) -> None:
    for raising in [i for i in snapshot.instructions if i.steps[0].kind is Kind.SOC]:
        for asset in snapshot.assets:
            alone = replace(raising, scope=Scope((f"asset:{asset.id}",), (asset.id,)), ended=frozenset())
            caps = [i for i in snapshot.instructions if i.steps[0].kind is Kind.CAP and not i.scope.site]
            caps = [replace(cap, scope=Scope((f"asset:{asset.id}",), (asset.id,))) for cap in caps]
            one = replace(snapshot, assets=(asset,), supply=None, instructions=tuple(caps))
            with_soc = replace(one, instructions=(*caps, alone))
            assert _allowed_w(with_soc, asset) >= _allowed_w(one, asset)
            for given_ in decide(with_soc).given:
                if given_.kind is Kind.CAP and given_.extent is Extent.FULL:
                    assert min(asset.nominal_w, _allowed_w(with_soc, asset)) <= given_.asked_w


@in_any_home()
def test_remembering_keeps_limits_over_the_seconds_that_follow(snapshot: Snapshot, draw: Random) -> None:
    step_s = draw.randint(1, 3000)
    for _ in range(4):
        plan = decide(snapshot)
        assert violations(snapshot, plan) == []
        memory = remember(snapshot, plan)
        snapshot = replace(
            snapshot, now_s=snapshot.now_s + step_s, utc_s=snapshot.utc_s + step_s, memory=memory
        )


@in_any_home()
def test_after_a_restart_with_no_clock_nothing_is_held_that_was_not_resting(
    snapshot: Snapshot, draw: Random
) -> None:
    memory = resume(remember(snapshot, decide(snapshot)), now_s=7.0, elapsed_s=None)
    moved = replace(snapshot, now_s=7.0, clock_trusted=False, memory=memory)
    assert violations(moved, decide(moved)) == []


@in_any_home()
def test_a_restart_with_a_clock_moves_every_moment_by_what_passed(snapshot: Snapshot, draw: Random) -> None:
    gone_s = draw.uniform(0, 1e6)
    was = remember(snapshot, decide(snapshot))
    now = resume(was, now_s=1000.0, elapsed_s=gone_s)
    for id_, before in was.assets.items():
        if before.held_since_s is not None:
            after = now.assets[id_].held_since_s
            assert after is not None
            assert 1000.0 - after == pytest.approx(was.at_s - before.held_since_s + gone_s, abs=1e-6)


@in_any_home(50)
def test_what_is_offered_now_is_what_decide_would_grant(snapshot: Snapshot, draw: Random) -> None:
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
