"""Pace of a charger: how often and for how much it is told another power, how long it is paused or runs."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from gateway.core.availability import scopes
from gateway.core.decide import decide
from gateway.core.memory import override, remember, resume
from gateway.core.model import (
    AssetMemory,
    Care,
    Charge,
    Extent,
    Governor,
    Instruction,
    Kind,
    Limits,
    Override,
    Plan,
    Rank,
    Reading,
    Reason,
    Setpoint,
    Snapshot,
    Supply,
)
from tests.core.cars import EV, KWH, NOW, PLUGGED, cap, held, home, later, state
from tests.core.laws import in_any_home

CARE = Care(change_every_s=10, min_change_w=115, pause_s=300)
FREE = replace(PLUGGED, let_go_s=NOW - 3000)


def paced(was: AssetMemory, *asked: Instruction, charge: Charge | None = None, **more: Any) -> Snapshot:
    limits = Limits(care=more.pop("care", CARE), charge=charge)
    return home(was=was, instructions=asked, limits={"ev": limits}, **more)


def at_level(held_w: int, since_s: float, **more: Any) -> AssetMemory:
    """Held for an hour, and at this level for so many seconds."""
    return replace(PLUGGED, held_w=held_w, held_since_s=NOW - 3600, moved_s=NOW - since_s, **more)


def told(plan: Plan) -> Setpoint:
    found = plan.setpoint("ev")
    assert found
    return found


def got(plan: Plan) -> tuple[Extent, Reason]:
    return plan.given[0].extent, plan.given[0].reason


# --- between two changes ---


def test_a_lower_cap_waits_until_ten_seconds_after_the_last_change() -> None:
    plan = decide(paced(at_level(5000 - 5000 % 23, 4), cap(3000)))
    assert held(plan) == at_level(4991, 4).held_w
    assert got(plan) == (Extent.PARTIAL, Reason.APPLIANCE_LIMIT)
    assert "waits 6 s" in told(plan).text
    assert plan.next_change_s == pytest.approx(6)
    assert held(decide(paced(at_level(4991, 10), cap(3000)))) == 2990


def test_what_was_just_let_go_is_held_again_after_ten_seconds() -> None:
    plan = decide(paced(replace(FREE, let_go_s=NOW - 4), cap(3000)))
    assert held(plan) is None
    assert got(plan) == (Extent.NONE, Reason.APPLIANCE_LIMIT)
    assert held(decide(paced(replace(FREE, let_go_s=NOW - 10), cap(3000)))) == 2990


def test_when_it_was_let_go_is_remembered_without_a_rest() -> None:
    moment = paced(at_level(2990, 20))
    limits = {"ev": Limits(care=CARE, rest_s=0.0)}
    moment = later(replace(moment, limits=limits), 4)
    assert held(decide(moment)) is None
    again = later(replace(moment, instructions=(cap(3000),)), 1)
    assert again.memory.of("ev").let_go_s is not None
    assert held(decide(again)) is None


def test_a_rise_of_less_than_it_is_worth_waits_for_more() -> None:
    level_w = 1380 + 70 * 23
    raised = paced(at_level(level_w, 60), cap(level_w + 92))
    assert held(decide(raised)) == level_w
    assert got(decide(raised)) == (Extent.FULL, Reason.NONE)
    assert "92 W more are less than the 115 W a change is worth" in told(decide(raised)).text
    assert told(decide(raised)).governor is Governor.DISPATCH
    assert held(decide(paced(at_level(level_w, 60), cap(level_w + 115)))) == level_w + 115


def test_a_setpoint_that_is_hardly_higher_is_partly_followed_and_says_why() -> None:
    level_w = 1380 + 70 * 23
    plan = decide(paced(at_level(level_w, 60), cap(level_w + 92, kind=Kind.SETPOINT)))
    assert held(plan) == level_w
    assert got(plan) == (Extent.PARTIAL, Reason.APPLIANCE_LIMIT)


def test_a_cap_that_is_hardly_lower_is_followed_all_the_same() -> None:
    assert held(decide(paced(at_level(2990, 60), cap(2989)))) == 2967


def test_it_is_let_go_however_little_that_adds() -> None:
    assert held(decide(paced(at_level(7337, 60)))) is None


# --- between a pause and a run ---


def test_what_was_let_run_is_not_paused_for_five_minutes_but_lowered() -> None:
    was = at_level(5060, 60, resumed_s=NOW - 60)
    plan = decide(paced(was, cap(0)))
    assert held(plan) == 1380
    assert got(plan) == (Extent.PARTIAL, Reason.APPLIANCE_LIMIT)
    assert told(plan).text == "was let run 60 s ago, waits 240 s more before it is paused"
    assert plan.next_change_s == pytest.approx(240)
    assert held(decide(paced(at_level(5060, 60, resumed_s=NOW - 300), cap(0)))) == 0


def test_what_was_paused_is_not_let_run_for_five_minutes() -> None:
    plan = decide(paced(at_level(0, 60)))
    assert held(plan) == 0
    assert told(plan).reason is Reason.APPLIANCE_LIMIT
    assert told(plan).text == "was paused 60 s ago, waits 240 s more before it runs"
    assert plan.next_change_s == pytest.approx(240)
    assert held(decide(paced(at_level(0, 300)))) is None


def test_a_change_of_level_does_not_put_a_pause_off() -> None:
    assert held(decide(paced(at_level(5060, 60), cap(0)))) == 0


def test_when_a_pause_ended_is_remembered_while_it_matters() -> None:
    moment = later(paced(at_level(0, 300)), 5)
    assert moment.memory.of("ev").resumed_s == NOW
    assert remember(moment, decide(moment)).of("ev").resumed_s == NOW
    much_later = later(moment, 300)
    assert remember(much_later, decide(much_later)).of("ev").resumed_s is None


def test_of_two_cars_under_one_value_the_other_gives_what_one_must_go_on_with() -> None:
    other = replace(EV, id="other")
    asked = cap(2760)
    asked = replace(asked, scope=replace(asked.scope, targets=("class:ev",), assets=("other", "ev")))
    was = at_level(1380, 60, resumed_s=NOW - 60)
    moment = paced(was, asked, assets=(other, EV), states={"ev": state(), "other": state()})
    plan = decide(moment)
    assert held(plan) == 1380
    setpoint = plan.setpoint("other")
    assert setpoint
    assert setpoint.at_most_w == 1380


# --- what never waits ---


def test_the_fuse_never_waits() -> None:
    full = Supply(6000)
    moment = paced(at_level(4991, 1, resumed_s=NOW - 1), supply=full, boundary_w=Reading(13_000, 0.0, "m.p"))
    drawing = {"ev": replace(state(), power_w=Reading(4991.0, 0.0, "c.p"))}
    assert told(decide(replace(moment, states=drawing))).at_most_w == 0


def test_charge_now_and_a_pause_by_the_household_never_wait() -> None:
    paused, running = paced(at_level(0, 1), cap(0)), paced(at_level(4991, 1, resumed_s=NOW - 1))
    now = Override("ev", NOW + 3600, charging=True)
    stop = Override("ev", NOW + 3600, paused=True)
    assert held(decide(replace(paused, memory=override(paused.memory, "ev", now)))) is None
    assert held(decide(replace(running, memory=override(running.memory, "ev", stop)))) == 0


def test_a_minimum_charge_and_a_maximum_never_wait() -> None:
    charge = Charge(60 * KWH, min_soc=0.2, max_soc=0.9)
    assert held(decide(paced(at_level(0, 1), cap(0), charge=charge, state=state(0.1)))) is None
    full = paced(at_level(4991, 1, resumed_s=NOW - 1), charge=charge, state=state(0.95))
    assert held(decide(full)) == 0


def test_what_must_not_be_held_is_let_go_at_once_though_it_is_held_at_all_it_draws() -> None:
    charge = Charge(60 * KWH, min_soc=0.2)
    moment = paced(at_level(7360, 1), charge=charge, state=state(0.1))
    assert held(decide(replace(moment, assets=(replace(EV, nominal_w=7360),)))) is None


def test_nothing_is_waited_for_where_no_car_is() -> None:
    assert held(decide(paced(at_level(0, 1), state=state(there=False)))) is None


def test_what_has_no_steps_has_no_pace() -> None:
    plug = replace(EV, ability=replace(EV.ability, range_w=None))
    assert held(decide(paced(at_level(0, 1), assets=(plug,)))) is None


# --- offers, restarts, and always ---


def test_no_pause_is_offered_just_after_one() -> None:
    (offer, *_) = scopes(paced(at_level(5060, 5, resumed_s=NOW - 60)))
    assert (offer.down.to_w, offer.down.after_s) == (1380, 0)


def test_after_a_restart_a_pause_is_as_old_as_it_is_or_has_just_begun() -> None:
    was = paced(at_level(5060, 60, resumed_s=NOW - 60)).memory
    assert resume(was, 7.0, 5.0).of("ev").resumed_s == pytest.approx(7.0 - 59 - 5, abs=1.1)
    assert resume(was, 7.0, None).of("ev").resumed_s == 7.0


@in_any_home(600)
def test_a_cap_is_never_late_by_more_than_the_time_between_two_changes(
    snapshot: Snapshot, draw: Random
) -> None:
    """Where that time has passed, an asset is held as low as with no pace, or at its lowest while it runs."""

    def slower(**care: Any) -> dict[str, Limits]:
        return {
            id_: replace(own, care=replace(own.care, change_every_s=0.0, **care))
            for id_, own in snapshot.limits.items()
        }

    limits, free = slower(), slower(pause_s=0.0, min_change_w=0)
    alone = [replace(snapshot, assets=(asset,), limits=limits, supply=None) for asset in snapshot.assets]
    for one in alone:
        (asset,) = one.assets
        (late,), (wanted,) = decide(one).setpoints, decide(replace(one, limits=free)).setpoints
        late_w = asset.nominal_w if late.at_most_w is None else late.at_most_w
        wanted_w = asset.nominal_w if wanted.at_most_w is None else wanted.at_most_w
        assert late_w <= max(wanted_w, asset.ability.at_or_above(1) or 0)


def test_a_pace_ranks_below_all() -> None:
    assert min(Rank) is Rank.PACE
