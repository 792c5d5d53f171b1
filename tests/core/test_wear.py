"""Wear: the last changes that a device's memory bears a day are kept for the fuse and for giving it back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gateway.core.availability import scopes
from gateway.core.decide import decide
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
    Quality,
    Reading,
    Reason,
    Scope,
    Setpoint,
    Snapshot,
    Step,
    Supply,
)

UTC, NOW = 1_800_000_000.0, 100_000.0
PUMP = Asset("hp", AssetClass.HEAT, 3000, Ability((0,), (1000, 3000), 100, changes_per_day=24))


def cap(power_w: int) -> Instruction:
    step = Step(UTC - 60, UTC + 3600, Kind.CAP, power_w)
    return Instruction("i1", 0, "bm", "response", 5, UTC - 100, Scope(("asset:hp",), ("hp",)), (step,))


def home(left: float | None, *asked: Instruction, held_w: int | None = None, **more: Any) -> Snapshot:
    quality = more.pop("quality", Quality.GOOD)
    changes = None if left is None else Reading(left, 1.0, "hp.changes_left", quality)
    since_s = None if held_w is None else NOW - 600
    fields: dict[str, Any] = {
        "states": {"hp": AssetState(Reading(2000.0, 1.0, "hp.power_w"), online=True, changes_left=changes)},
        "limits": {"hp": Limits()},
        "memory": Memory(NOW - 1, {"hp": AssetMemory(held_w=held_w, held_since_s=since_s)}),
        **more,
    }
    return Snapshot(NOW, UTC, True, (PUMP,), instructions=asked, **fields)


def told(snapshot: Snapshot) -> Setpoint:
    found = decide(snapshot).setpoint("hp")
    assert found
    return found


def test_a_hold_is_begun_while_it_its_end_and_one_for_the_fuse_are_left() -> None:
    assert told(home(3, cap(1000))).at_most_w == 1000
    plan = decide(home(2, cap(1000)))
    assert told(home(2, cap(1000))).at_most_w is None
    assert (plan.given[0].extent, plan.given[0].reason) == (Extent.NONE, Reason.APPLIANCE_LIMIT)
    assert plan.given[0].text == "2 changes left of 24 a day, kept for the fuse and for giving it back"


def test_what_is_held_stays_at_its_level_but_is_let_go_when_nothing_holds_it() -> None:
    kept = decide(home(2, cap(1000), held_w=2000))
    assert kept.setpoints[0].at_most_w == 2000
    assert (kept.given[0].extent, kept.given[0].reason) == (Extent.PARTIAL, Reason.APPLIANCE_LIMIT)
    assert told(home(3, cap(1000), held_w=2000)).at_most_w == 1000
    assert told(home(0, held_w=2000)).at_most_w is None


def test_the_fuse_has_its_change_left() -> None:
    full = {"supply": Supply(2500), "boundary_w": Reading(5500.0, 0.0, "m.p")}
    assert told(home(1, **full)).at_most_w == 0
    assert told(home(1, **full)).reason is Reason.SUPPLY_LIMIT
    assert told(home(1, held_w=2000, **full)).at_most_w == 0


def test_what_nobody_knows_is_left_to_the_device() -> None:
    assert told(home(None, cap(1000))).at_most_w == 1000
    assert told(home(0, cap(1000), quality=Quality.BAD)).at_most_w == 1000


def test_nothing_is_offered_of_what_is_used_up() -> None:
    (offer, *_) = scopes(home(2))
    assert (offer.down.for_s, offer.down.until) == (0.0, Reason.APPLIANCE_LIMIT)


def test_the_words_do_without_how_many_a_day_it_bears() -> None:
    pump = replace(PUMP, ability=replace(PUMP.ability, changes_per_day=None))
    moment = replace(home(0, cap(1000)), assets=(pump,))
    assert told(moment).text == "0 changes left, kept for the fuse and for giving it back"
