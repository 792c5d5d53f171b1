"""Cars: each rule as a sentence."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from gateway.core import charging
from gateway.core.availability import expected, scopes
from gateway.core.decide import decide
from gateway.core.memory import override, resume
from gateway.core.model import (
    AssetMemory,
    AssetState,
    Extent,
    Governor,
    Instruction,
    Kind,
    Limits,
    Mark,
    Measured,
    Memory,
    Override,
    Reason,
    Snapshot,
    Span,
    Supply,
    Timetable,
    Typed,
)
from tests.core.cars import (
    CHARGE,
    EV,
    KWH,
    MORNING,
    NOW,
    PLUGGED,
    UTC,
    cap,
    held,
    home,
    later,
    reading,
    state,
)

# --- minimum and maximum ------------------------------------------------------------------------------


def test_a_car_between_its_limits_with_time_left_is_held() -> None:
    plan = decide(home())
    assert held(plan) == 0
    assert plan.given[0].extent is Extent.FULL


def test_below_its_minimum_nothing_holds_a_car() -> None:
    plan = decide(home(state=state(0.199)))
    assert held(plan) is None
    assert (plan.given[0].extent, plan.given[0].reason) == (Extent.NONE, Reason.CHARGE_LIMIT)
    assert plan.given[0].text == "charged to 20%, minimum 20%"


def test_a_car_that_was_below_its_minimum_is_held_only_when_it_is_well_above() -> None:
    snapshot = later(home(state=state(0.19)), 1)
    assert held(decide(replace(snapshot, states={"ev": state(0.215)}))) is None
    assert held(decide(replace(snapshot, states={"ev": state(0.22)}))) == 0
    above = later(replace(snapshot, states={"ev": state(0.22)}), 1)
    assert held(decide(replace(above, states={"ev": state(0.21)}))) == 0


@pytest.mark.parametrize("asked", [(), (cap(7000, kind=Kind.SETPOINT),), (cap(7360, kind=Kind.FLOOR),)])
def test_at_its_maximum_a_car_is_held_off_whatever_is_asked(asked: tuple[Instruction, ...]) -> None:
    plan = decide(home(state=state(0.9), instructions=asked))
    assert held(plan) == 0
    assert plan.setpoints[0].governor is Governor.LIMIT
    assert plan.setpoints[0].reason is Reason.CHARGE_LIMIT
    assert [(g.extent, g.reason) for g in plan.given] == [(Extent.NONE, Reason.CHARGE_LIMIT)] * len(asked)


def test_a_full_car_is_not_let_go_because_it_was_held_for_long_enough() -> None:
    was = replace(PLUGGED, held_w=0, held_since_s=NOW - 9000)
    limits = {"ev": Limits(charge=CHARGE, longest_hold_s=3600)}
    assert held(decide(home(state=state(0.9), was=was, limits=limits))) == 0


def test_a_full_car_is_let_go_when_it_is_well_below_its_maximum() -> None:
    snapshot = later(home(state=state(0.9), instructions=()), 1)
    assert held(decide(replace(snapshot, states={"ev": state(0.885)}))) == 0
    assert held(decide(replace(snapshot, states={"ev": state(0.88)}))) is None


def test_a_car_that_is_not_there_has_no_limits_and_says_so() -> None:
    plan = decide(home(state=state(0.05, there=False)))
    assert held(plan) == 0
    assert (plan.given[0].extent, plan.given[0].reason) == (Extent.NONE, Reason.NOT_CONNECTED)


def test_while_nobody_can_tell_whether_a_car_is_there_one_is() -> None:
    assert held(decide(home(state=state(0.1, there=None)))) is None


# --- how fast it charges ------------------------------------------------------------------------------

FULL = replace(CHARGE, target_soc=1.0, max_soc=1.0, taper_from_soc=0.8)
TO_FULL_S = (
    (0.3 + 0.2 / 0.75 * math.log(4)) * 60 * KWH / 0.9 / 7360
)  # from half: the last fifth takes 1.85 times as long


def test_the_latest_start_of_a_car_that_takes_less_when_nearly_full_is_earlier() -> None:
    in_time, late = (home(charge=FULL, utc_s=MORNING.utc_s - TO_FULL_S / 0.8 + s) for s in (-2, 2))
    assert (held(decide(in_time)), decide(in_time).given[0].extent) == (0, Extent.FULL)
    given_w = held(decide(late))
    assert given_w is not None
    assert 0.8 * 7360 <= given_w <= 1.05 * 0.8 * 7360 + 25


@pytest.mark.parametrize(
    ("soc", "taper_from", "longer"),
    [
        (0.5, None, 1.0),
        (0.5, 1.0, 1.0),
        (0.5, 0.8, 1.339),
        (0.9, 0.8, 2.443),
        (1.0, 0.8, 4.0),
        (None, 0.8, 1.0),
    ],
)
def test_what_is_needed_takes_longer_the_nearer_it_is_to_full(
    soc: float | None, taper_from: float | None, longer: float
) -> None:
    asked = replace(FULL, taper_from_soc=taper_from, target_soc=None, need_ws=40 * KWH)
    snapshot = home(charge=asked, state=state(soc))
    assert charging.charging_s(snapshot, EV, 40 * KWH) * 7360 / (40 * KWH) == pytest.approx(longer, abs=0.001)


def test_a_car_that_nobody_has_seen_is_reckoned_small_and_shows_first_what_it_takes() -> None:
    unseen = replace(PLUGGED, took_w=None)
    latest_s = NEED_WS / (0.8 * 3680)
    assert held(decide(home(was=unseen, utc_s=MORNING.utc_s - latest_s - 1))) == 0
    late = home(was=unseen, utc_s=MORNING.utc_s - latest_s + 1)
    assert held(decide(late)) is None
    assert (
        decide(late).given[0].text
        == "20.00 kWh still needed by 07:00 local, and how fast it charges is not known yet"
    )
    drawing = {"ev": replace(state(), power_w=reading(7300.0))}
    shown = later(later(replace(late, states=drawing), 120), 1)
    assert shown.memory.of("ev").takes_w == 7300
    assert held(decide(later(shown, 1))) == 0, "there is time enough for so fast a car"


# --- ready by -----------------------------------------------------------------------------------------

NEED_WS = 0.3 * 60 * KWH / 0.9
LATEST_S = NEED_WS / (0.8 * 7360)  # before the deadline


def test_until_the_latest_start_a_cap_is_followed_and_the_plan_knows_when_that_is() -> None:
    plan = decide(home(limits={"ev": Limits(charge=CHARGE, longest_hold_s=math.inf)}))
    assert held(plan) == 0
    assert plan.next_change_s == pytest.approx(10 * 3600 - LATEST_S, abs=1)


def test_from_the_latest_start_the_car_gets_what_it_needs_over_the_time_left() -> None:
    plan = decide(home(utc_s=MORNING.utc_s - LATEST_S + 1))
    setpoint = held(plan)
    assert setpoint is not None
    assert 0.8 * 7360 <= setpoint <= 1.05 * 0.8 * 7360 + 25
    assert (plan.given[0].extent, plan.given[0].reason) == (Extent.PARTIAL, Reason.CHARGE_LIMIT)
    assert plan.given[0].text == "20.00 kWh still needed by 07:00 local"


def test_what_is_needed_at_little_power_is_charged_at_the_least_the_charger_can() -> None:
    almost = state(0.799)  # 0.07 kWh
    plan = decide(home(state=almost, utc_s=MORNING.utc_s - 40))
    assert held(plan) == 6302  # 240000 Ws / 40 s and 5 % more, up to a step of 23 W
    late = replace(PLUGGED, late_for_utc_s=MORNING.utc_s)
    slow = home(state=almost, was=late, utc_s=MORNING.utc_s - 600)
    assert held(decide(slow)) == 1380


def test_what_a_car_draws_is_learnt_while_it_is_free_and_has_ramped() -> None:
    drawing = {"ev": replace(state(), power_w=reading(4000.0))}
    now = later(home(states=drawing, instructions=()), 1)
    assert later(replace(now, now_s=now.now_s + 118), 1).memory.of("ev").takes_w is None
    learnt = later(replace(now, now_s=now.now_s + 119), 1)
    assert learnt.memory.of("ev").takes_w == 4000
    tapers = {"ev": replace(state(), power_w=reading(1500.0))}
    assert later(replace(learnt, states=tapers), 1).memory.of("ev").takes_w == 4000
    slow = replace(home(), memory=Memory(NOW - 1, {"ev": replace(PLUGGED, takes_w=3600)}))
    assert charging.power_w(slow, EV) == 3600
    late = replace(slow, utc_s=MORNING.utc_s - NEED_WS / (0.8 * 3600) + 1)
    assert held(decide(replace(late, utc_s=late.utc_s - 2))) == 0
    assert held(decide(late))


def drawn(snapshot: Snapshot, power_w: float, for_s: int) -> Snapshot:
    """The home after its free car drew so much for so long."""
    states = {"ev": replace(state(), power_w=reading(power_w))}
    snapshot = replace(snapshot, states=states, instructions=())
    for _ in range(for_s // 10):
        snapshot = later(snapshot, 10)
    return snapshot


def test_a_car_that_draws_nearly_all_there_is_has_shown_what_it_takes_at_once() -> None:
    unseen = replace(home(), memory=Memory(NOW - 1, {"ev": replace(PLUGGED, took_w=None)}))
    assert drawn(unseen, 6000.0, 10).memory.of("ev").takes_w is None
    assert drawn(unseen, 7000.0, 10).memory.of("ev").takes_w == 7000


@pytest.mark.parametrize(
    ("power_w", "for_s", "takes_w"),
    [(900, 7200, 7360), (1370, 7200, 7360), (3000, 590, 7360), (3000, 630, 3000), (1400, 630, 1400)],
)
def test_a_cabin_that_is_warmed_is_not_what_a_car_takes(power_w: float, for_s: int, takes_w: int) -> None:
    assert charging.power_w(drawn(home(), power_w, for_s), EV) == takes_w


def test_a_car_that_draws_more_than_was_thought_is_believed_at_once_also_while_held() -> None:
    slow = drawn(home(), 3000, 630)
    assert charging.power_w(drawn(slow, 6900, 10), EV) == 6900
    states = {"ev": replace(state(), power_w=reading(5000.0))}
    assert charging.power_w(later(replace(slow, states=states, instructions=(cap(5000),)), 10), EV) == 5000


def test_what_a_car_was_held_to_is_not_what_it_takes() -> None:
    states = {"ev": replace(state(), power_w=reading(1380.0))}
    held_long = home(states=states, instructions=(cap(1380),))
    for _ in range(90):
        held_long = later(held_long, 10)
    assert charging.power_w(drawn(held_long, 1380, 590), EV) == 7360


def test_what_the_last_car_drew_is_the_guess_for_the_next_until_that_shows_what_it_takes() -> None:
    gone = later(replace(drawn(home(), 5000, 130), states={"ev": state(there=False)}), 60)
    back = later(replace(gone, states={"ev": state()}), 60)
    assert charging.power_w(back, EV) == 5000
    assert charging.power_w(drawn(back, 4000, 140), EV) == 4000


@pytest.mark.parametrize(("nominal_w", "most_w"), [(11_000, 7360), (3700, 3700)])
def test_a_car_charges_with_no_more_than_its_charger_and_itself_can(nominal_w: int, most_w: int) -> None:
    car = replace(EV, nominal_w=nominal_w)
    assert charging.power_w(home(assets=(car,)), car) == most_w
    starts_s = NEED_WS / (0.8 * most_w)
    assert held(decide(home(assets=(car,), utc_s=MORNING.utc_s - starts_s - 1))) == 0
    assert held(decide(home(assets=(car,), utc_s=MORNING.utc_s - starts_s + 1))) != 0


def test_the_power_of_a_late_car_stays_while_it_is_enough_and_near() -> None:
    late = home(utc_s=MORNING.utc_s - 10_000, state=state(0.63))  # 40.8 MWs in 10,000 s: 4080 W
    for held_w, then_w in ((4081, 4081), (4880, 4880), (4903, 4284), (4058, 4284)):
        was = replace(PLUGGED, held_w=held_w, held_since_s=NOW - 60, late_for_utc_s=MORNING.utc_s)
        level_w = held(decide(replace(late, memory=Memory(NOW - 1, {"ev": was}))))
        assert level_w is not None
        assert then_w <= level_w < then_w + 23


def test_what_was_offered_of_a_held_car_is_not_cut_short_by_looking_often() -> None:
    was = replace(PLUGGED, held_w=0, held_since_s=NOW - 60, tight_s=NOW - 1)
    (offer,) = [s for s in scopes(home(was=was)) if s.target == "asset:ev"]
    assert offer.down.for_s == pytest.approx(10 * 3600 - LATEST_S, abs=1)


def test_the_hold_of_a_car_begins_when_it_comes() -> None:
    held_long = AssetMemory(held_w=0, held_since_s=NOW - 14_000)
    limits = {"ev": Limits(charge=CHARGE, longest_hold_s=14_400, rest_s=3600)}
    came = later(home(was=held_long, limits=limits), 1000)
    assert held(decide(came)) == 0
    assert came.memory.of("ev").held_since_s == NOW


def test_once_late_a_car_stays_so_until_nothing_is_needed_any_more() -> None:
    snapshot = later(home(utc_s=MORNING.utc_s - LATEST_S + 1), 1)
    ahead = replace(snapshot, states={"ev": state(0.59)})
    assert (held(decide(ahead)) or 0) > 1380
    done = later(replace(snapshot, states={"ev": state(0.8)}), 1)
    assert held(decide(done)) == 0
    assert held(decide(replace(done, states={"ev": state(0.79)}))) == 0


def test_a_late_car_is_late_no_more_when_so_little_is_needed_that_there_is_time_again() -> None:
    late = later(home(utc_s=MORNING.utc_s - LATEST_S + 1), 1)
    corrected = replace(late, states={"ev": state(0.7)})
    assert held(decide(corrected)) == 0
    assert later(corrected, 1).memory.of("ev").late_for_utc_s is None
    soon = replace(late, utc_s=MORNING.utc_s - 900, states={"ev": state(0.79)})
    assert held(decide(soon))  # in its last minutes a car does not stop and start


def test_a_deadline_that_was_missed_stays_in_force_until_the_car_is_ready_or_gone() -> None:
    missed = later(home(utc_s=MORNING.utc_s - 60), 60)
    assert missed.utc_s == MORNING.utc_s
    assert held(decide(missed)) is None
    assert decide(missed).given[0].text == "20.00 kWh still needed, it was to be ready by 07:00 local"
    assert held(decide(replace(missed, states={"ev": state(0.8)}))) == 0
    gone = later(replace(missed, states={"ev": state(there=False)}), 60)
    assert held(decide(replace(gone, states={"ev": state()}))) == 0
    hours = later(missed, 12 * 3600 - 1)
    assert held(decide(hours)) is None
    assert held(decide(later(hours, 1))) == 0


def test_without_a_trusted_clock_a_car_charges_while_anything_is_needed() -> None:
    begun = Memory(NOW - 1, {"ev": PLUGGED}, latest_end_s={"i1/0": NOW + 600})
    snapshot = home(clock_trusted=False, memory=begun)
    plan = decide(snapshot)
    assert held(plan) is None
    assert "clock is not trusted" in plan.setpoints[0].text
    assert held(decide(replace(snapshot, states={"ev": state(0.8)}))) == 0
    whenever = replace(CHARGE, deadlines=())
    assert held(decide(replace(snapshot, limits={"ev": Limits(charge=whenever)}))) == 0


def test_ready_by_ends_a_delayed_return_and_lifts_the_schedule() -> None:
    ended = replace(cap(end=MORNING.utc_s - 7200), end_delay_s=3600)
    plan = decide(home(instructions=(ended,), utc_s=MORNING.utc_s - 6000))
    assert held(plan) is None
    schedule = Timetable((Span(UTC, UTC + 40_000, 0),))
    limits = {"ev": Limits(charge=CHARGE, schedule=schedule)}
    assert held(decide(home(instructions=(), limits=limits))) == 0
    assert held(decide(home(instructions=(), limits=limits, utc_s=MORNING.utc_s - 6000))) is None


# --- while the charge is unknown ----------------------------------------------------------------------

AT_22H = MORNING.utc_s - 9000.0  # 20 kWh would take 12,228 s at 80 %


@pytest.mark.parametrize(
    ("register", "was", "needed_kwh"),
    [
        (100 * KWH, PLUGGED, 20),
        (105 * KWH, PLUGGED, 15),
        (130 * KWH, PLUGGED, 11.904),  # no more than 1.1 times the nominal power can have flowed in an hour
        (None, PLUGGED, 20),
        (7 * KWH, PLUGGED, 20),
        (105 * KWH, AssetMemory(plugged=Mark(NOW - 3600)), 20),
        (105 * KWH, AssetMemory(plugged=Mark(NOW - 3600, 100 * KWH, "submeter.import_ws")), 20),
        (105 * KWH, AssetMemory(), 20),
    ],
    ids=["none", "some", "too much", "unknown", "reset", "no start", "another", "nothing remembered"],
)
def test_energy_that_cannot_be_told_counts_as_not_delivered(
    register: int | None, was: AssetMemory, needed_kwh: float
) -> None:
    snapshot = home(state=state(None, register=register), was=was)
    assert charging.need_ws(snapshot, EV) == pytest.approx(needed_kwh * KWH)


def test_a_car_of_unknown_charge_is_ready_with_what_the_household_says_it_needs() -> None:
    snapshot = home(state=state(None), utc_s=AT_22H)
    plan = decide(snapshot)
    assert held(plan) is None  # 20 kWh in 2.5 h is more than it can
    assert plan.given[0].text == "20.00 kWh still needed by 07:00 local"
    assert held(decide(home(state=state(None)))) == 0


def test_with_nothing_said_an_unknown_battery_is_empty() -> None:
    silent = replace(CHARGE, need_ws=None)
    snapshot = home(state=state(None), charge=silent)
    assert charging.need_ws(snapshot, EV) == pytest.approx(0.8 * 60 * KWH / 0.9, abs=1)
    plan = decide(snapshot)
    assert held(plan) is None
    assert plan.given[0].text == "charge unknown, surely 0%, minimum 20%"
    longer = replace(PLUGGED, plugged=Mark(NOW - 36_000, 100 * KWH, "charger.import_ws"))
    enough = home(state=state(None, register=114 * KWH), charge=silent, was=longer)
    assert charging.surely_soc(enough, EV) == pytest.approx(0.21)
    assert decide(enough).given[0].text != plan.given[0].text


# --- typed in -----------------------------------------------------------------------------------------


def typed_in(snapshot: Snapshot, soc: float) -> Snapshot:
    return replace(snapshot, memory=charging.type_in(snapshot, EV, soc))


def test_a_typed_charge_is_carried_on_by_the_energy_since() -> None:
    snapshot = typed_in(home(state=state(None)), 0.54)
    found = charging.soc(
        replace(snapshot, now_s=NOW + 3600, states={"ev": state(None, register=106 * KWH)}), EV
    )
    assert found
    assert (found.source, found.age_s) == ("typed", 3600)
    assert found.value == pytest.approx(0.54 + 6 * 0.9 / 60)


def test_a_measured_charge_comes_before_a_typed_one_while_it_is_of_this_car() -> None:
    snapshot = typed_in(home(), 0.2)
    assert charging.soc(snapshot, EV) == reading(0.5)
    before_plug_in = {"ev": replace(state(), soc=reading(0.5, age_s=3601))}
    found = charging.soc(replace(snapshot, states=before_plug_in), EV)
    assert found
    assert found.value == 0.2


def test_a_typed_charge_is_forgotten_when_the_car_goes_and_energy_counts_anew() -> None:
    typed = typed_in(home(state=state(None)), 0.54)
    gone = later(replace(typed, states={"ev": state(None, there=False)}), 60)
    assert gone.memory.of("ev").typed is None
    back = later(replace(gone, states={"ev": state(None, register=120 * KWH)}), 60)
    assert charging.soc(back, EV) is None
    assert back.memory.of("ev").plugged == Mark(NOW + 60, 120 * KWH, "charger.import_ws")
    assert charging.need_ws(back, EV) == 20 * KWH


def test_a_register_read_before_the_car_came_is_not_its_first() -> None:
    old = {"ev": replace(state(None), import_ws=reading(90 * KWH, 30.0, "charger.import_ws"))}
    snapshot = later(home(states=old, was=AssetMemory()), 1)
    assert snapshot.memory.of("ev").plugged == Mark(NOW)
    snapshot = later(replace(snapshot, states={"ev": state(None, register=101 * KWH)}), 1)
    assert snapshot.memory.of("ev").plugged == Mark(NOW, 101 * KWH, "charger.import_ws")


def test_where_nothing_tells_of_the_plug_a_typed_charge_is_kept_for_a_day() -> None:
    nobody = home(state=state(None, there=None), was=AssetMemory())
    snapshot = later(typed_in(nobody, 0.54), 86_400)
    assert later(snapshot, 1).memory.of("ev").typed
    assert later(replace(snapshot, now_s=snapshot.now_s + 1), 1).memory.of("ev").typed is None


def test_what_was_typed_and_charged_survives_a_restart_that_can_be_timed_and_no_other() -> None:
    memory = charging.type_in(home(state=state(None)), EV, 0.54)
    timed = resume(memory, 50.0, 30.0).of("ev")
    assert timed.typed == Typed(0.54, Mark(50.0 - 30.0 + 1, 100 * KWH, "charger.import_ws"))
    assert timed.plugged == Mark(50.0 - 30.0 - 3599, 100 * KWH, "charger.import_ws")
    untimed = resume(memory, 50.0, None).of("ev")
    assert (untimed.typed, untimed.plugged) == (None, Mark(50.0))


def test_a_charge_that_was_measured_once_is_carried_on_by_the_energy_since_until_the_car_goes() -> None:
    measured = later(home(state=state(0.62, register=100 * KWH)), 18_200)
    silent = replace(measured, states={"ev": state(None, register=102 * KWH)})
    found = charging.soc(silent, EV)
    assert found
    assert (found.source, found.age_s) == ("charger.soc", 18_200)
    assert found.value == pytest.approx(0.62 + 2 * 0.9 / 60)
    assert charging.words(silent, EV).startswith("charged to 65%, by what was measured 5.1 h ago; ")
    gone = later(replace(silent, states={"ev": state(None, there=False)}), 60)
    back = later(replace(gone, states={"ev": state(None)}), 60)
    assert charging.soc(back, EV) is None


@pytest.mark.parametrize(("soc", "held_w"), [(0.85, 0), (0.95, 0), (0.1, None)])
def test_a_car_whose_charge_is_told_no_more_is_not_taken_for_empty(soc: float, held_w: int | None) -> None:
    charge = replace(CHARGE, need_ws=None)
    silent = replace(later(home(state=state(soc), charge=charge), 1), states={"ev": state(None)})
    assert held(decide(silent)) == held_w
    if soc == 0.95:
        assert held(decide(replace(silent, instructions=()))) == 0


def test_what_was_said_last_counts_while_nothing_is_measured() -> None:
    measured = later(home(state=state(0.3)), 60)
    corrected = typed_in(replace(measured, states={"ev": state(None)}), 0.6)
    found = charging.soc(later(corrected, 60), EV)
    assert found == reading(0.6, 60, "typed")
    told = later(replace(corrected, states={"ev": state(0.31)}), 60)
    assert charging.soc(replace(told, states={"ev": state(None)}), EV) == reading(0.31, 60)


def test_a_measured_charge_survives_a_restart_that_can_be_timed_and_no_other() -> None:
    memory = later(home(), 1).memory
    timed = resume(memory, 50.0, 30.0).of("ev")
    assert timed.measured == Measured(0.5, Mark(20.0, 100 * KWH, "charger.import_ws"), "charger.soc")
    assert resume(memory, 50.0, None).of("ev").measured is None


def unseen(snapshot: Snapshot, for_s: float) -> Snapshot:
    """The home after the charger was not seen for so long."""
    car = replace(snapshot.memory.of("ev"), told_s=snapshot.now_s - for_s)
    return later(replace(snapshot, memory=Memory(snapshot.now_s - 1, {"ev": car})), 1)


def test_what_was_of_a_car_is_forgotten_when_it_may_have_gone_unseen_for_more_than_an_hour() -> None:
    known = replace(later(typed_in(home(), 0.54), 1), states={"ev": state(None)})
    was, kept = known.memory.of("ev"), unseen(known, 3599).memory.of("ev")
    assert (kept.typed, kept.measured, kept.plugged) == (was.typed, was.measured, was.plugged)
    forgotten = unseen(known, 3601).memory.of("ev")
    assert (forgotten.typed, forgotten.measured) == (None, None)
    assert forgotten.plugged == Mark(known.now_s, 100 * KWH, "charger.import_ws")


def test_a_charger_that_does_not_answer_tells_of_no_car() -> None:
    car = replace(EV, control="charger")
    silent = home(assets=(car,), state=replace(state(), online=False))
    assert later(silent, 1).memory.of("ev").told_s == NOW + 1  # as the tests' home goes on
    assert charging.remembered(silent, car, PLUGGED).told_s is None
    assert charging.remembered(home(assets=(car,)), car, PLUGGED).told_s == NOW


def test_a_restart_that_took_hours_forgets_a_typed_charge_and_one_of_minutes_does_not() -> None:
    memory = later(typed_in(home(state=state(None)), 0.54), 1).memory
    for elapsed_s, is_kept in ((1800.0, True), (36_000.0, False)):
        again = home(state=state(None), memory=resume(memory, NOW, elapsed_s))
        assert (later(again, 1).memory.of("ev").typed is not None) is is_kept


# --- charge now ---------------------------------------------------------------------------------------


def charging_now(snapshot: Snapshot) -> Snapshot:
    return replace(
        snapshot, memory=override(snapshot.memory, "ev", Override("ev", NOW + 43_200, charging=True))
    )


def test_charge_now_wins_over_an_instruction_and_ends_at_the_maximum() -> None:
    snapshot = charging_now(home())
    plan = decide(snapshot)
    assert held(plan) is None
    assert plan.setpoints[0].text == "the household charges it now, for 12.0 h at most"
    assert (plan.given[0].extent, plan.given[0].reason) == (Extent.NONE, Reason.USER_OVERRIDE)
    above_target = later(replace(snapshot, states={"ev": state(0.85)}), 1)
    assert held(decide(above_target)) is None
    full = replace(snapshot, states={"ev": state(0.9)})
    assert held(decide(full)) == 0
    assert later(full, 1).memory.overrides == ()


def test_charge_now_ends_when_the_car_is_full_where_there_is_no_maximum_and_at_the_plug() -> None:
    snapshot = charging_now(home(charge=replace(CHARGE, max_soc=None)))
    assert later(replace(snapshot, states={"ev": state(0.99)}), 1).memory.overrides
    assert later(replace(snapshot, states={"ev": state(1.0)}), 1).memory.overrides == ()
    assert later(replace(snapshot, states={"ev": state(there=False)}), 1).memory.overrides == ()


def test_charge_now_of_an_unknown_charge_ends_after_twelve_hours() -> None:
    snapshot = charging_now(home(state=state(None)))
    assert later(snapshot, 1).memory.overrides == (Override("ev", NOW + 43_200, charging=True),)
    assert held(decide(replace(snapshot, now_s=NOW + 43_200))) == 0


def test_an_override_without_end_of_its_own_goes_on_beyond_the_maximum() -> None:
    snapshot = home(state=state(0.95))
    taken = replace(snapshot, memory=override(snapshot.memory, "ev", Override("ev", NOW + 60)))
    assert held(decide(taken)) is None


# --- what is offered ----------------------------------------------------------------------------------


def test_what_a_car_offers_ends_at_its_latest_start_and_upwards_at_its_maximum() -> None:
    (offer,) = [s for s in scopes(home()) if s.target == "asset:ev"]
    assert (offer.down.to_w, offer.down.until) == (0, Reason.CHARGE_LIMIT)
    assert offer.down.for_s == pytest.approx(10 * 3600 - LATEST_S, abs=1)
    assert (offer.up.to_w, offer.up.until) == (7360, Reason.CHARGE_LIMIT)
    assert offer.up.for_s == pytest.approx(0.4 * 60 * KWH / 7360, abs=1), "as if nothing were lost on the way"
    assert offer.connected


@pytest.mark.parametrize("soc", [0.3 + 0.007 * n for n in range(60)])
def test_what_ends_an_offer_is_told_whatever_the_clock_can_tell_apart(soc: float) -> None:
    (offer,) = [s for s in scopes(home(state=state(soc), utc_s=UTC + soc * 977.3)) if s.target == "asset:ev"]
    assert offer.down.until is Reason.CHARGE_LIMIT


def test_of_a_car_that_needs_nothing_that_is_known_nothing_is_offered_upwards() -> None:
    snapshot = home(state=state(None), charge=replace(CHARGE, target_soc=None, need_ws=None, min_soc=None))
    (offer,) = [s for s in scopes(snapshot) if s.target == "asset:ev"]
    assert (offer.up.to_w, offer.up.for_s) == (0, 0)


@pytest.mark.parametrize(
    ("seen", "drawn_kwh"),
    [(state(0.8), 0.1 * 60 / 0.9), (state(None), 20), (state(0.95), 0), (state(there=False), 0)],
    ids=["to its maximum", "unknown", "full", "gone"],
)
def test_what_a_car_is_expected_to_draw_ends_when_it_has_what_it_takes(
    seen: AssetState, drawn_kwh: float
) -> None:
    halves = expected(home(state=seen))
    assert sum(half.power_w * 1800 for half in halves) / KWH == pytest.approx(drawn_kwh, abs=0.001)
    assert max(half.power_w for half in halves) <= 7360


def test_a_class_has_a_car_when_one_of_its_chargers_has() -> None:
    other = replace(EV, id="van")
    for there, is_there in ((True, True), (False, False)):
        states = {"ev": state(there=there), "van": state(there=False)}
        found = {s.target: s.connected for s in scopes(home(assets=(EV, other), states=states))}
        assert found == {"asset:ev": is_there, "asset:van": False, "class:ev": is_there}


@pytest.mark.parametrize(
    ("seen", "was"),
    [
        (state(there=False), PLUGGED),
        (state(0.9), PLUGGED),
        (replace(state(), online=False), PLUGGED),
        (state(), replace(PLUGGED, quiet_since_s=NOW - 601)),
    ],
    ids=["gone", "full", "offline", "idle"],
)
def test_a_car_that_cannot_draw_more_offers_nothing_upwards(seen: AssetState, was: AssetMemory) -> None:
    (offer,) = [s for s in scopes(home(state=seen, was=was)) if s.target == "asset:ev"]
    assert (offer.up.to_w, offer.up.for_s) == (0, 0)


def test_of_a_car_that_may_be_full_nothing_is_offered_upwards() -> None:
    """Though the household says that it needs so much: nobody sees how full it is."""
    (offer,) = [s for s in scopes(home(state=state(None))) if s.target == "asset:ev"]
    assert (offer.up.to_w, offer.up.for_s) == (0, 0)


def test_upwards_is_offered_until_the_car_itself_takes_less() -> None:
    tapers = replace(CHARGE, taper_from_soc=0.7)
    (offer,) = [s for s in scopes(home(charge=tapers)) if s.target == "asset:ev"]
    assert (offer.up.until, offer.up.for_s) == (
        Reason.NO_DEMAND,
        pytest.approx(0.2 * 60 * KWH / 7360, abs=1),
    )
    (offer,) = [s for s in scopes(home(state=state(0.75), charge=tapers)) if s.target == "asset:ev"]
    assert (offer.up.to_w, offer.up.for_s) == (0, 0)


@pytest.mark.parametrize(("fuse_w", "up_w"), [(20_000, 7360), (9200, 1380), (5000, 0)])
def test_upwards_leaves_room_below_the_fuse_for_a_kettle(fuse_w: int, up_w: int) -> None:
    boundary = reading(1000.0, source="meter.power_w")
    was = replace(PLUGGED, held_w=1380, held_since_s=NOW - 7200, takes_w=7360)
    (offer, *_) = scopes(home(supply=Supply(fuse_w), boundary_w=boundary, was=was))
    assert offer.up.to_w == up_w
    assert (offer.up.for_s > 0) is (up_w > 0)


def test_no_less_than_now_is_offered_upwards() -> None:
    (offer, *_) = scopes(
        home(
            state=replace(state(), power_w=reading(7000.0)),
            supply=Supply(9200),
            boundary_w=reading(8000.0),
            instructions=(),
        )
    )
    assert (offer.up.to_w, offer.up.for_s) == (7000.0, 0)


def test_default_hours_hold_as_a_schedule_does_and_say_that_they_can_be_changed() -> None:
    peak = Limits(charge=CHARGE, schedule=Timetable((), 0), default_hours=True)
    moment = home(limits={"ev": peak}, instructions=())
    assert held(decide(moment)) == 0
    (setpoint,) = decide(moment).setpoints
    assert (setpoint.governor, setpoint.reason) == (Governor.HOUSEHOLD, Reason.NONE)
    assert "charge.default_hours = false" in setpoint.text
    assert held(decide(replace(moment, states={"ev": state(0.1)}))) is None, "below its minimum"
    now = Override("ev", NOW + 3600, charging=True)
    assert held(decide(replace(moment, memory=override(moment.memory, "ev", now)))) is None
    raised = replace(moment, instructions=(cap(2000, kind=Kind.SETPOINT),))
    assert (held(decide(raised)) or 0) > 0
