"""What heats is raised ahead of an instruction, or for one, where the household has switched that on: never
further than it says, and never against a limit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from gateway.core.availability import scopes
from gateway.core.decide import bounds_of, decide
from gateway.core.fuse import lines
from gateway.core.memory import override, remember, resume
from gateway.core.model import (
    Ability,
    Asset,
    AssetClass,
    AssetMemory,
    AssetState,
    Care,
    Extent,
    Governor,
    Instruction,
    Kind,
    Limits,
    Memory,
    Override,
    Preheat,
    Quality,
    Raise,
    Reading,
    Reason,
    Scope,
    Setpoint,
    Snapshot,
    Step,
    Supply,
    Timetable,
    Vector,
)
from gateway.core.preheat import words
from tests.core.moments import later
from tests.oracle import violations

UTC, NOW, HOUR, DAY = 1_800_000_000.0, 2_000_000.0, 3600.0, 86_400.0
PUMP = Asset("hp", AssetClass.HEAT, 2400, Ability((0,), raises=True, lease_s=120))
ON = Limits(preheat=Preheat(2.0, 3 * HOUR))
EVENT_S = 2 * HOUR


def reading(value: float, age_s: float = 1.0, quality: Quality = Quality.GOOD) -> Reading:
    return Reading(value, age_s, "hp.x", quality)


def seen(room: float | Reading | None = 20.0, **more: Any) -> dict[str, AssetState]:
    room_c = reading(room) if isinstance(room, float) else room
    fields: dict[str, Any] = {"power_w": reading(900.0), "online": True, "room_c": room_c, **more}
    return {"hp": AssetState(**fields)}


def asked(
    in_s: float = EVENT_S, for_s: float = HOUR, kind: Kind = Kind.CAP, power_w: int = 0, **more: Any
) -> Instruction:
    step = Step(UTC + in_s, UTC + in_s + for_s, kind, power_w)
    scope = Scope(("asset:hp",), ("hp",))
    return replace(Instruction("i1", 0, "bm", "response", 5, UTC - 100, scope, (step,)), **more)


def floor(in_s: float = -60.0, for_s: float = 5 * HOUR, **more: Any) -> Instruction:
    return asked(in_s, for_s, Kind.FLOOR, 2000, **more)


def home(limits: Limits = ON, asset: Asset = PUMP, **more: Any) -> Snapshot:
    fields: dict[str, Any] = {"states": seen(), "instructions": (asked(),), "clock_trusted": True, **more}
    return Snapshot(NOW, UTC, assets=(asset,), limits={"hp": limits}, **fields)


def setpoint(snapshot: Snapshot) -> Setpoint:
    return decide(snapshot).setpoints[0]


def is_raised(snapshot: Snapshot) -> bool:
    assert violations(snapshot, decide(snapshot)) == []
    return setpoint(snapshot).raised


def begun(room_c: float = 20.0, after_s: float = 60.0, **more: Any) -> Snapshot:
    """One that began at 20 °C, a minute later."""
    return later(home(**more), after_s, states=seen(room_c))


def why(snapshot: Snapshot) -> str:
    bounds = bounds_of(snapshot, snapshot.assets[0], lines(snapshot))
    return words(snapshot, snapshot.assets[0], setpoint(snapshot), bounds)


# --- ahead of an instruction --------------------------------------------------------------------------


def test_ahead_of_an_instruction_that_will_hold_it_it_is_raised_and_says_how_far() -> None:
    told = setpoint(home())
    assert (told.at_most_w, told.governor, told.reason, told.raised) == (
        None,
        Governor.PREHEAT,
        Reason.NONE,
        True,
    )
    assert told.text == (
        "pre-heats for instruction i1, which begins in 120 min:"
        " room 20.0 °C, 22.0 °C at most, for 180 min at most"
    )
    assert why(home()) == told.text


@pytest.mark.parametrize(
    ("in_s", "delay_s", "raised"),
    [
        (3 * HOUR, 0, True),
        (3 * HOUR + 1, 0, False),
        (3 * HOUR - 60, 60, True),
        (3 * HOUR - 60, 61, False),
        (600.0, 0, True),
        (599.0, 0, False),
        (599.0, 1, True),
    ],
)
def test_it_begins_so_many_hours_before_the_delayed_start_and_not_for_less_than_ten_minutes(
    in_s: float, delay_s: int, raised: bool
) -> None:
    assert is_raised(home(instructions=(asked(in_s, start_delay_s=delay_s),))) is raised


def test_the_plan_knows_when_it_will_begin() -> None:
    soon = home(instructions=(asked(3 * HOUR + 300),))
    assert decide(soon).next_change_s == pytest.approx(300)


def test_it_ends_where_the_instruction_begins_which_then_holds_it() -> None:
    last = later(home(), EVENT_S - 1)
    assert is_raised(last)
    assert decide(last).next_change_s == pytest.approx(1)
    told = setpoint(later(last, 1))
    assert (told.at_most_w, told.governor, told.raised) == (0, Governor.DISPATCH, False)


def test_it_is_off_until_the_household_switches_it_on() -> None:
    off = home(Limits())
    assert not is_raised(off)
    assert why(off) == ""


def test_a_device_that_cannot_be_asked_to_draw_more_is_not_and_why_says_so() -> None:
    deaf = home(asset=replace(PUMP, ability=Ability((0,))))
    assert not is_raised(deaf)
    assert why(deaf) == "not raised: its device cannot be asked to draw more"


def test_a_car_is_never_pre_heated() -> None:
    assert not is_raised(home(asset=replace(PUMP, asset_class=AssetClass.EV)))


OTHERS = {
    "of another asset": asked(scope=Scope(("asset:x",), ("x",))),
    "by hand": asked(vector=Vector.MANUAL),
    "out of which it is": asked(ended=frozenset({"hp"})),
    "above all it draws": asked(power_w=2400),
    "that asks for more": asked(kind=Kind.FLOOR, power_w=2000),
    "in force": asked(-60.0, power_w=2400),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_an_instruction_that_will_not_hold_it_is_none_to_pre_heat_for(other: Instruction) -> None:
    calm = home(instructions=(other,))
    assert not is_raised(calm)
    assert why(calm).startswith("not raised: no instruction that would hold it lies ahead; 2 K and 180 min")


@pytest.mark.parametrize(("site_w", "raised"), [(2399, True), (2400, False)])
def test_a_value_for_the_site_will_hold_it_where_it_is_less_than_its_assets_draw(
    site_w: int, raised: bool
) -> None:
    site = asked(power_w=site_w, scope=Scope(("site",), ("hp",), True))
    assert is_raised(home(instructions=(site,))) is raised


def test_a_lower_step_later_will_hold_it() -> None:
    high, low = asked(-60.0, HOUR, power_w=9000).steps[0], asked(HOUR - 60).steps[0]
    assert is_raised(home(instructions=(asked(steps=(high, low)),)))


def test_it_ends_when_the_instruction_is_cancelled() -> None:
    assert is_raised(begun())
    assert not is_raised(replace(begun(), instructions=()))


# --- how far ------------------------------------------------------------------------------------------


def test_it_ends_for_good_when_the_room_has_gained_so_much_since_it_began() -> None:
    assert is_raised(begun(21.9))
    warm = begun(22.0)
    assert not is_raised(warm)
    assert why(warm) == "not raised: room 22.0 °C, raised to 22.0 °C at most"
    assert not is_raised(later(later(warm, 1800, states=seen(21.0)), 60))


def test_it_ends_after_so_many_hours_also_if_it_was_stopped_in_between() -> None:
    two = (asked(3 * HOUR, 600), asked(4 * HOUR, id="i2"))
    stopped = later(home(instructions=two), HOUR, instructions=())
    again = later(stopped, 600, instructions=(two[1],))
    assert is_raised(again)
    last = later(again, 2 * HOUR - 601)
    assert is_raised(last)
    assert decide(last).next_change_s == pytest.approx(1)
    over = later(last, 1)
    assert not is_raised(over)
    assert why(over) == "not raised: was raised for as long as it may be"


def test_it_goes_on_ten_minutes_after_what_stopped_it_and_from_the_same_room() -> None:
    melting = replace(begun(21.0), states=seen(21.0, defrost=reading(1.0)))
    assert not is_raised(melting)
    calm = later(melting, 599, states=seen(21.0))
    assert not is_raised(calm)
    on = later(calm, 601)
    assert is_raised(on)
    assert "22.0 °C at most" in setpoint(on).text


def test_it_is_not_begun_again_within_ten_minutes_of_a_cancel() -> None:
    stopped = later(replace(begun(), instructions=()), 599, instructions=(asked(),))
    assert not is_raised(stopped)
    assert why(stopped) == "not raised: was raised 10 min ago"
    assert is_raised(later(stopped, 1))


def test_the_next_one_waits_until_the_room_is_back_where_it_began_or_a_day_has_passed() -> None:
    over = later(begun(22.0), HOUR, states=seen(20.1))
    assert not is_raised(over)
    assert is_raised(replace(over, states=seen(20.0)))
    tomorrow = later(begun(22.0), DAY - 61, states=seen(20.4))
    tomorrow = replace(tomorrow, instructions=(asked(DAY + EVENT_S),))
    assert not is_raised(tomorrow)
    assert is_raised(later(tomorrow, 1))


def test_it_stays_below_the_rooms_maximum_by_the_hysteresis_so_that_nothing_is_held_off_for_it() -> None:
    limits = replace(ON, room_max_c=Timetable(otherwise=21.0))
    assert is_raised(home(limits, states=seen(20.5)))
    assert not is_raised(home(limits, states=seen(20.65)))
    on = later(home(limits), 60, states=seen(20.69))
    assert is_raised(on)
    assert not is_raised(replace(on, states=seen(20.7)))


# --- what stops it ------------------------------------------------------------------------------------

OLD, BAD = reading(20.0, 901.0), reading(20.0, 1.0, Quality.BAD)


@pytest.mark.parametrize("room", [None, OLD, BAD])
def test_a_room_that_is_not_known_is_not_raised(room: Reading | None) -> None:
    patient = replace(ON, room_max_age_s=DAY)
    blind = replace(begun(limits=patient), states=seen(room))
    assert not is_raised(blind)
    assert why(blind) == "not raised: room temperature unknown"


SEEN = dict.fromkeys(("defrost", "legionella", "backup", "outdoor_c"), ("hp.x",))
STOPS: dict[str, dict[str, Any]] = {
    "a defrost": {"defrost": reading(1.0)},
    "a cycle against legionella": {"legionella": reading(1.0)},
    "its backup heater": {"backup": reading(3000.0)},
    "deep cold": {"outdoor_c": reading(-11.0)},
    "a device that is gone": {"online": False},
    "a spent memory": {"changes_left": reading(2.0)},
}


@pytest.mark.parametrize("state", STOPS.values(), ids=STOPS)
def test_it_ends_at_once_for(state: dict[str, Any]) -> None:
    limits = replace(ON, care=Care(outdoor_min_c=-10.0))
    quiet = {name: reading(0.0) for name in SEEN}
    calm = later(home(limits, replace(PUMP, sources=SEEN), states=seen(**quiet)), 60)
    assert is_raised(calm)
    stopped = replace(calm, states=seen(**{**quiet, **state}))
    assert not is_raised(stopped)
    assert why(stopped).startswith("not raised: ")


@pytest.mark.parametrize("paused", [False, True])
def test_it_ends_at_once_when_the_household_says_something_else(paused: bool) -> None:
    said = override(begun().memory, "hp", Override("hp", NOW + HOUR, paused=paused))
    assert not is_raised(replace(begun(), memory=said))


def test_a_fuse_that_would_not_carry_all_its_power_ends_it_before_it_has_to_switch_off() -> None:
    for boundary_w, raised in ((2500.0, True), (2501.0, False)):
        fused = begun(supply=Supply(4000), boundary_w=reading(900.0))
        fused = replace(fused, boundary_w=reading(boundary_w))
        assert setpoint(fused).at_most_w is None
        assert is_raised(fused) is raised
    assert why(fused) == "not raised: it is held, or a fuse leaves it too little"


def test_two_are_raised_only_where_the_fuse_carries_both() -> None:
    second = replace(PUMP, id="hp2")
    both = asked(scope=Scope(("class:heat",), ("hp", "hp2")))
    for fuse_w, raised in ((4800, [True, True]), (4799, [True, False])):
        two = replace(
            home(supply=Supply(fuse_w), boundary_w=reading(1800.0), instructions=(both,)),
            assets=(PUMP, second),
            states={"hp": seen()["hp"], "hp2": seen()["hp"]},
            limits={"hp": ON, "hp2": ON},
        )
        assert [s.raised for s in decide(two).setpoints] == raised
        assert violations(two, decide(two)) == []


def test_its_minimum_run_and_a_cold_room_do_not_end_it() -> None:
    runs = home(replace(ON, min_run_s=600), states=seen(running=reading(1.0)))
    assert is_raised(later(runs, 60))
    cold = replace(ON, room_min_c=Timetable(otherwise=20.0))
    assert is_raised(home(cold, states=seen(19.0)))


def test_what_the_schedule_or_another_instruction_holds_is_not_raised() -> None:
    assert not is_raised(home(replace(ON, schedule=Timetable(otherwise=0))))
    assert not is_raised(home(instructions=(asked(-60.0, id="i0"), asked())))


def test_in_the_rest_after_a_hold_it_is_not_raised() -> None:
    rested = replace(ON, longest_hold_s=HOUR, rest_s=HOUR)
    over = later(home(rested, instructions=(asked(-60.0, for_s=HOUR),)), HOUR)
    over = later(over, 60, instructions=(asked(4 * HOUR),))
    assert not is_raised(over)


def test_without_a_trusted_clock_nothing_lies_ahead() -> None:
    assert not is_raised(home(clock_trusted=False))
    assert not is_raised(replace(begun(), clock_trusted=False))


def test_it_is_begun_only_where_its_memory_bears_it_and_the_hold_after_it() -> None:
    for left, raised in ((5.0, True), (4.0, False)):
        assert is_raised(home(states=seen(changes_left=reading(left)))) is raised
    assert is_raised(later(home(), 60, states=seen(changes_left=reading(4.0))))


# --- for an instruction that asks for more ------------------------------------------------------------


def test_an_instruction_that_asks_for_more_raises_it_within_the_same_kelvin_and_hours() -> None:
    plan = decide(home(instructions=(floor(),)))
    told = plan.setpoints[0]
    assert (told.governor, told.raised) == (Governor.DISPATCH, True)
    assert told.text.startswith("raised by instruction i1 (bm): room 20.0 °C, 22.0 °C at most")
    assert plan.given[0].extent is Extent.FULL
    for room_c, after_s in ((22.0, 60.0), (20.0, 3 * HOUR)):
        over = later(home(instructions=(floor(),)), after_s, states=seen(room_c))
        given = decide(over).given[0]
        assert not is_raised(over)
        assert (given.extent, given.reason) == (Extent.NONE, Reason.COMFORT_LIMIT)


def test_where_the_household_has_not_switched_it_on_no_instruction_raises_it() -> None:
    plan = decide(home(Limits(), instructions=(floor(),)))
    assert (plan.setpoints[0].raised, plan.given[0].extent) == (False, Extent.NONE)
    assert (plan.given[0].reason, plan.given[0].text) == (
        Reason.OUTSIDE_CAPABILITY,
        "the household has not switched pre-heat on",
    )


def test_what_keeps_it_from_being_raised_is_told_the_one_who_asked() -> None:
    full = home(instructions=(floor(),), supply=Supply(3000), boundary_w=reading(2000.0))
    assert decide(full).given[0].reason is Reason.SUPPLY_LIMIT
    gone = home(instructions=(floor(),), states=seen(online=False))
    assert decide(gone).given[0].reason is Reason.DEVICE_OFFLINE
    capped = home(instructions=(floor(), asked(-60.0, id="i2")))
    assert decide(capped).given[0].extent is Extent.NONE


def test_after_one_instruction_that_asked_for_more_the_next_has_what_is_left_of_the_hours() -> None:
    first = later(home(instructions=(floor(),)), 2 * HOUR, instructions=())
    second = later(first, 1200, instructions=(floor(id="i2", for_s=9 * HOUR),))
    assert is_raised(second)
    assert not is_raised(later(second, 2401))


# --- what is offered, and what is remembered ------------------------------------------------------------


def test_upwards_it_offers_its_nominal_power_for_as_long_as_a_room_that_warms_fast_lets_it() -> None:
    offer = scopes(home(instructions=()))[0].up
    assert (offer.to_w, offer.for_s, offer.until) == (2400, pytest.approx(HOUR), Reason.COMFORT_LIMIT)
    short = scopes(home(replace(ON, preheat=Preheat(2.0, 1200.0)), instructions=()))[0].up
    assert short.for_s == 1200.0


UNRAISED = {
    "never switched on": home(Limits(), instructions=()),
    "warm enough": replace(begun(22.0), instructions=()),
    "in a defrost": home(states=seen(defrost=reading(1.0)), instructions=()),
    "in a room that nobody knows": home(states=seen(None), instructions=()),
}


@pytest.mark.parametrize("calm", UNRAISED.values(), ids=UNRAISED)
def test_upwards_it_offers_nothing_where_it_would_not_be_raised(calm: Snapshot) -> None:
    offer = scopes(calm)[0].up
    assert (offer.to_w, offer.for_s) == (900.0, 0.0)


def test_a_quiet_pump_can_be_asked_all_the_same() -> None:
    quiet = home(states=seen(power_w=reading(20.0)), instructions=())
    quiet = replace(quiet, memory=Memory(NOW - 1, {"hp": AssetMemory(quiet_since_s=NOW - 601)}))
    assert scopes(quiet)[0].up.to_w == 2400


def test_how_long_and_from_which_room_is_kept_over_a_restart() -> None:
    was = remember(begun(21.0), decide(begun(21.0)))
    kept = resume(was, 50.0, 40.0).of("hp").raised
    assert kept == Raise(50.0 - 40.0 - 60.0, 20.0)
    on = replace(begun(22.0), now_s=50.0, memory=resume(was, 50.0, 40.0))
    assert not is_raised(on)


def test_where_nobody_knows_how_long_it_was_it_is_over() -> None:
    was = resume(remember(begun(), decide(begun())), 50.0, None)
    assert was.of("hp").raised == Raise(50.0, 20.0, 50.0, is_over=True)
    now = replace(begun(), now_s=50.0, memory=was)
    assert not is_raised(now)
    assert is_raised(later(replace(now, instructions=(asked(3 * HOUR),)), HOUR))


def test_what_a_floor_asks_for_and_is_drawn_anyway_begins_nothing() -> None:
    drawing = seen(power_w=reading(2100.0))
    assert not is_raised(home(states=drawing, instructions=(floor(),)))
    (given_,) = decide(home(states=drawing, instructions=(floor(),))).given
    assert (given_.extent, given_.reason) == (Extent.FULL, Reason.NONE)
    on = later(home(instructions=(floor(),)), 60, states=drawing)
    assert is_raised(on), "which draws so much for it is raised"


def test_raises_of_one_day_do_not_add_up() -> None:
    """A floor that asks for it all day, of a room that cools slowly."""
    now, room_c, warmest_c = home(instructions=(floor(-60.0, 2 * DAY),)), 20.0, 20.0
    for _ in range(int(DAY / 300) - 1):
        room_c += (1.0 if setpoint(now).raised else -0.3) / 12
        warmest_c = max(warmest_c, room_c)
        now = later(now, 300, states=seen(max(room_c, 19.5)))
    assert 21.9 < warmest_c <= 22.1


# --- a day of a house -----------------------------------------------------------------------------------

STEP_S = 60.0
DAYS = 6


@pytest.mark.parametrize("part", [0, *(pytest.param(n, marks=pytest.mark.long) for n in range(1, 20))])
def test_over_days_of_a_house_it_is_never_raised_further_than_the_household_said(part: int) -> None:
    """Judged by the house alone: its room, its clock and what its pump was told."""
    found = [stretch for n in range(DAYS) for stretch in _stretches(DAYS * part + n)]
    for began_c, warmest_c, lasted_s in found:
        assert warmest_c <= began_c + 2.0 + 0.05, "more than one look's warming beyond the two kelvin"
        assert lasted_s <= 3 * HOUR
    assert len(found) > DAYS, "else it says nothing"
    assert any(warmest_c > began_c + 1.9 for began_c, warmest_c, _ in found)
    assert any(lasted_s > HOUR for _, _, lasted_s in found)
    assert any(lasted_s < 600 for _, _, lasted_s in found)


def _stretches(seed: int) -> Iterator[tuple[float, float, float]]:
    """Of each uninterrupted raise: the room when it began, the warmest, and how long it was (s)."""
    random = Random(seed)
    limits = replace(
        ON,
        room_min_c=Timetable(otherwise=18.0),
        room_max_c=Timetable(otherwise=random.choice((22.0, 24.0))),
        longest_hold_s=2 * HOUR,
        rest_s=HOUR,
        min_run_s=600,
        min_rest_s=600,
        most_fall_k=2.0,
    )
    strength_k_h = random.choice((0.3, 1.0, 3.0))
    now, room_c = home(limits, instructions=_a_days_instructions(random)), 20.0
    began: tuple[float, float] | None = None
    warmest_c = room_c
    for _ in range(int(DAY / STEP_S)):
        plan = decide(now)
        assert violations(now, plan) == []
        told = plan.setpoints[0]
        if told.raised and began is None:
            began, warmest_c = (now.now_s, room_c), room_c
        if told.raised:
            warmest_c = max(warmest_c, room_c)
        elif began:
            yield began[1], max(warmest_c, room_c), now.now_s - began[0]
            began = None
        warms_k_h = strength_k_h if told.raised else 0.5 * (20.0 - room_c) if told.at_most_w is None else -0.6
        room_c += warms_k_h * STEP_S / HOUR
        room = reading(room_c, 901.0 if random.random() < 0.004 else random.choice((1.0, 1.0, 400.0)))
        now = later(now, STEP_S, states=seen(room, defrost=reading(float(random.random() < 0.004))))
        if random.random() < 0.002:
            said = Override("hp", now.now_s + 1200, paused=random.random() < 0.5)
            now = replace(now, memory=override(now.memory, "hp", said))
        if random.random() < 0.001:
            now = replace(now, memory=resume(now.memory, now.now_s, random.choice((0.0, None))))


def _a_days_instructions(random: Random) -> tuple[Instruction, ...]:
    found = []
    for n in range(random.randint(1, 5)):
        make = random.choice((asked, asked, floor))
        start_s, for_s = random.uniform(0, DAY), random.uniform(1800, 5 * HOUR)
        found.append(make(start_s, for_s, id=f"i{n}", start_delay_s=random.choice((0, 300))))
    return tuple(found)
