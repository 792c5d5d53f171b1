"""Plugs: a freezer is never off for longer than it may, nor off again too soon, whatever is asked."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

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
    Extent,
    FallbackBy,
    Instruction,
    Kind,
    Limits,
    Memory,
    Override,
    Plan,
    Reading,
    Reason,
    Scope,
    Snapshot,
    Step,
    Supply,
)
from tests.core.moments import later

UTC, NOW, HOUR = 1_800_000_000.0, 100_000.0, 3600.0
FREEZER = Asset(
    "freezer", AssetClass.PLUG, 150, Ability((0,), fallback=FallbackBy.DEVICE, lease_s=900), "freezer-plug"
)
LIMITS = Limits(longest_off_s=HOUR, shortest_on_s=6 * HOUR, rest_s=HOUR)


def cap(
    power_w: int = 0, start: float = UTC - 60, end: float = UTC + 24 * HOUR, id_: str = "i1"
) -> Instruction:
    scope = Scope(("asset:freezer",), ("freezer",))
    step = Step(start, end, Kind.CAP, power_w)
    return Instruction(id_, 0, "tcm", "response", 5, UTC - 7200, scope, (step,))


def home(was: AssetMemory | None = None, limits: Limits = LIMITS, **more: Any) -> Snapshot:
    fields: dict[str, Any] = {
        "assets": (FREEZER,),
        "states": {"freezer": AssetState(Reading(80.0, 1.0, "x.y"), online=True)},
        "limits": {"freezer": limits},
        "memory": Memory(NOW - 1, {"freezer": was or AssetMemory()}),
        "instructions": (cap(),),
        **more,
    }
    return Snapshot(NOW, UTC, True, **fields)


def held(plan: Plan) -> int | None:
    found = plan.setpoint("freezer")
    assert found
    return found.at_most_w


@pytest.mark.parametrize(("watts", "level"), [(0, 0), (149, 0), (150, None)])
def test_a_plug_is_off_under_any_cap_below_what_it_draws_when_on(watts: int, level: int | None) -> None:
    assert held(decide(home(instructions=(cap(watts),)))) == level


def test_a_freezer_comes_back_at_its_longest_off_and_says_why() -> None:
    was = AssetMemory(held_w=0, held_since_s=NOW - HOUR + 1)
    before = home(was)
    assert held(decide(before)) == 0
    assert decide(before).next_change_s == pytest.approx(1)
    plan = decide(later(before, 1))
    assert held(plan) is None
    assert (plan.given[0].extent, plan.given[0].reason) == (Extent.NONE, Reason.APPLIANCE_LIMIT)
    assert plan.given[0].text == "off for 60 min, the longest allowed"


def test_a_freezer_that_was_off_stays_on_for_its_time() -> None:
    on = later(home(AssetMemory(held_w=0, held_since_s=NOW - HOUR)), 1)
    plan = decide(on)
    assert held(plan) is None
    assert plan.given[0].text == "was off, stays on for 6.0 h more"
    assert plan.next_change_s == pytest.approx(6 * HOUR - 1)
    assert held(decide(later(on, 6 * HOUR - 2))) is None
    assert held(decide(later(on, 6 * HOUR - 1))) == 0


def test_a_freezer_given_back_early_stays_on_as_long() -> None:
    """Its compressor has started against the pressure: it is not stopped at once again."""
    short = home(AssetMemory(held_w=0, held_since_s=NOW - 60), instructions=())
    again = replace(later(short, 600), instructions=(cap(),))
    assert held(decide(again)) is None


def test_the_rest_between_holds_does_not_shorten_the_time_on() -> None:
    on = later(home(AssetMemory(held_w=0, held_since_s=NOW - HOUR)), 2 * HOUR)
    assert held(decide(later(on, 2 * HOUR))) is None


def test_the_household_ends_an_off_at_any_time_and_the_fuse_begins_one() -> None:
    was = AssetMemory(held_w=0, held_since_s=NOW - 5)
    taken = Memory(NOW - 1, {"freezer": was}, (Override("freezer", NOW + 60),))
    assert held(decide(home(memory=taken))) is None
    tight = home(
        AssetMemory(let_go_s=NOW - 60), supply=Supply(5000), boundary_w=Reading(9000, 1.0, "m.power_w")
    )
    assert held(decide(tight)) == 0


def test_an_off_of_unknown_length_was_the_longest_and_the_time_on_begins_now() -> None:
    memory = resume(Memory(NOW, {"freezer": AssetMemory(held_w=0, held_since_s=NOW - 5)}), 50.0, None)
    snapshot = replace(home(), now_s=50.0, memory=memory)
    assert held(decide(snapshot)) is None
    on = later(snapshot, 1)
    assert held(decide(on)) is None
    short = {"freezer": replace(LIMITS, shortest_on_s=10.0)}
    soon = later(replace(on, limits=short), 3000)
    assert held(decide(soon)) is None, "its rest of an hour has not passed"
    rested = later(later(soon, 700), 1)
    assert held(decide(rested)) == 0
    assert held(decide(later(rested, 1))) == 0


def test_what_has_no_longest_off_ends_at_the_longest_hold_and_names_the_appliance() -> None:
    limits = Limits(longest_hold_s=2 * HOUR, rest_s=HOUR)
    plan = decide(home(AssetMemory(held_w=0, held_since_s=NOW - 2 * HOUR), limits))
    assert held(plan) is None
    assert plan.given[0].reason is Reason.APPLIANCE_LIMIT


orders = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 8)), min_size=1, max_size=6)
gaps = st.lists(st.tuples(st.integers(0, 2000), st.sampled_from([None, 5.0, 900.0])), max_size=3)


@settings(max_examples=12, deadline=None)
@given(
    orders,
    gaps,
    st.sampled_from([600.0, 1800.0, 3600.0]),
    st.sampled_from([900.0, 3600.0, 21_600.0]),
)
def test_over_a_day_no_off_is_too_long_and_no_time_on_too_short(
    asked: list[tuple[int, int]],
    restarts: list[tuple[int, float | None]],
    longest_off_s: float,
    shortest_on_s: float,
) -> None:
    """Offs and ons are seen from outside; what a restart hides counts as off and as not on."""
    step_s = 60.0
    limits = replace(LIMITS, longest_off_s=longest_off_s, shortest_on_s=shortest_on_s)
    instructions = tuple(
        cap(0, UTC + start * HOUR, UTC + (start + hours) * HOUR, f"i{n}")
        for n, (start, hours) in enumerate(asked)
    )
    now = home(limits=limits, instructions=instructions)
    edges = [(0.0, True)]
    at_s = 0.0
    restart_at = dict(restarts)
    for turn in range(int(24 * HOUR / step_s)):
        plan = decide(now)
        on = held(plan) is None
        if on is not edges[-1][1]:
            edges.append((at_s, on))
        memory = remember(now, plan)
        gone_s = 0.0
        if turn in restart_at:
            elapsed_s = restart_at[turn]
            gone_s = elapsed_s or 30.0
            memory = resume(memory, now.now_s + gone_s, elapsed_s)
        at_s += step_s + gone_s
        moved = {"now_s": now.now_s + step_s + gone_s, "utc_s": now.utc_s + step_s + gone_s}
        now = replace(now, memory=memory, **moved)
    slack_s = step_s + sum((elapsed_s or 30.0) for _, elapsed_s in restarts)
    spans = [(then_s - since_s, on) for (since_s, on), (then_s, _) in pairwise(edges)][1:]
    assert all(span_s <= longest_off_s + slack_s for span_s, on in spans if not on)
    assert all(span_s >= shortest_on_s - slack_s for span_s, on in spans if on)
