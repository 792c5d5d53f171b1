"""Whole nights of a car, against caps that would keep it from charging: it is ready if it could be at all.

The battery and the reckoning of what was possible are the tests' own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core import charging
from gateway.core.decide import decide
from gateway.core.memory import remember
from gateway.core.model import (
    AssetMemory,
    AssetState,
    Charge,
    Kind,
    Step,
)
from tests.core.cars import (
    CHARGE,
    EV,
    KWH,
    MORNING,
    NOW,
    cap,
    held,
    home,
    reading,
    state,
)


@dataclass
class Car:
    """A battery behind a charger: it ramps, may tell its charge, and counts a register."""

    soc: float
    ramps_w_s: float = 500.0
    takes_w: float = 7360.0
    tapers_from: float = 1.0
    power_w: float = 0.0
    register_ws: float = 100.0 * KWH

    def lives(self, allowed_w: int | None, for_s: float) -> None:
        """So many seconds at no more than allowed."""
        goal_w = self.takes_w if allowed_w is None else min(self.takes_w, allowed_w)
        if self.tapers_from < self.soc < 1.0:
            share = 1 - 0.75 * (self.soc - self.tapers_from) / (1 - self.tapers_from)
            goal_w = min(goal_w, self.takes_w * share)
        if self.soc >= 1.0:
            goal_w = 0.0
        up_s = min(for_s, max(0.0, goal_w - self.power_w) / self.ramps_w_s)
        energy_ws = goal_w * for_s - (goal_w - min(goal_w, self.power_w)) * up_s / 2
        self.power_w = goal_w
        self.register_ws += energy_ws
        self.soc += energy_ws * 0.9 / (60 * KWH)


@dataclass(frozen=True)
class Night:
    """A night as it went: the charge at the deadline, the most there was, how often it was switched on or
    off and given another power, and the least it was given when on."""

    soc: float
    highest: float
    switched: int
    moved: int
    lowest_kept_w: float


def night(
    car: Car,
    hours: float,
    caps: list[int],
    shows: Callable[[Car], float | None],
    typed: float | None = None,
    charge: Charge = CHARGE,
) -> Night:
    """A car plugged in so many hours before the deadline, under caps that follow each other."""
    step_s = 30.0
    start_utc_s = MORNING.utc_s - hours * 3600
    each_s = (hours + 1) * 3600 / len(caps)
    steps = tuple(
        Step(start_utc_s + n * each_s, start_utc_s + (n + 1) * each_s, Kind.CAP, watts)
        for n, watts in enumerate(caps)
    )
    asked = replace(cap(), steps=steps)
    now = home(
        utc_s=start_utc_s, was=AssetMemory(), instructions=(asked,), state=_seen(car, shows), charge=charge
    )
    highest, switched, moved, level, lowest = car.soc, 0, 0, 0.0, math.inf
    at_deadline = car.soc
    while now.utc_s < MORNING.utc_s + 1800:
        if typed is not None and now.now_s == NOW:
            now = replace(now, memory=charging.type_in(now, EV, typed))
        plan = decide(now)
        allowed_w = held(plan)
        given_w = 7360.0 if allowed_w is None else float(allowed_w)
        switched += (given_w > 0) is not (level > 0)
        moved += given_w != level
        level = given_w
        lowest = min(lowest, given_w or math.inf)
        memory = remember(now, plan)
        car.lives(allowed_w, step_s)
        highest = max(highest, car.soc)
        now = replace(
            now, now_s=now.now_s + step_s, utc_s=now.utc_s + step_s, memory=memory,
            states={"ev": _seen(car, shows)},
        )  # fmt: skip
        if now.utc_s <= MORNING.utc_s:
            at_deadline = car.soc
    return Night(at_deadline, highest, switched, moved, lowest)


def _seen(car: Car, shows: Callable[[Car], float | None]) -> AssetState:
    return replace(
        state(shows(car), register=round(car.register_ws / 3600) * 3600), power_w=reading(car.power_w)
    )


hostile = st.lists(st.sampled_from([0, 0, 0, 1000, 1380, 4000, 7360]), min_size=1, max_size=6)


@settings(max_examples=4, deadline=None)
@given(st.floats(0.05, 0.95), st.floats(0.5, 12), hostile)
def test_a_car_is_ready_whatever_is_asked_if_it_could_be_at_all(
    soc: float, hours: float, caps: list[int]
) -> None:
    went = night(Car(soc), hours, caps, lambda car: min(1.0, math.floor(car.soc * 100) / 100))
    possible = soc + 7360 * (hours * 3600 - 30) * 0.9 / (60 * KWH)
    assert went.soc >= min(0.8, possible) - 0.002
    assert went.highest <= max(soc, 0.9) + 0.011  # it tells whole per cents
    assert went.switched <= 2 * len(caps) + 4
    assert went.moved <= 2 * len(caps) + 100  # a step of 1 % moves the need
    assert went.lowest_kept_w >= 1380


@settings(max_examples=4, deadline=None)
@given(st.floats(0.25, 0.6), st.floats(0.5, 12), hostile)
def test_a_car_is_ready_by_what_was_typed_in(soc: float, hours: float, caps: list[int]) -> None:
    went = night(Car(soc), hours, caps, lambda _car: None, typed=soc)
    possible = soc + 7360 * (hours * 3600 - 30) * 0.9 / (60 * KWH)
    assert went.soc >= min(0.8, possible) - 0.002
    assert went.switched <= 2 * len(caps) + 4
    assert went.moved <= 2 * len(caps) + 100  # a step of 1 % moves the need


@settings(max_examples=4, deadline=None)
@given(st.floats(0.0, 0.5), st.floats(0.5, 12), hostile)
def test_a_car_of_unknown_charge_gets_what_the_household_says_it_needs(
    soc: float, hours: float, caps: list[int]
) -> None:
    car = Car(soc)
    went = night(car, hours, caps, lambda _car: None)
    delivered_kwh = (went.soc - soc) * 60 / 0.9
    possible_kwh = 7.36 * (hours - 15 / 3600)
    assert delivered_kwh >= min(20, possible_kwh) - 0.1
    assert went.switched <= 2 * len(caps) + 4
    assert went.moved <= 2 * len(caps) + 100  # a step of 1 % moves the need


@settings(max_examples=4, deadline=None)
@given(st.floats(0.3, 0.7), st.floats(6, 12), st.sampled_from([1400.0, 3600.0, 5000.0]))
def test_a_car_that_draws_less_than_its_charger_starts_in_time_once_that_was_seen(
    soc: float, hours: float, takes_w: float
) -> None:
    free, off = [7360], [0] * 9
    went = night(Car(soc, takes_w=takes_w), hours, free + off, lambda _car: None, typed=soc)
    possible = soc + takes_w * (hours * 3600 - 30) * 0.9 / (60 * KWH)
    assert went.soc >= min(0.8, possible) - 0.002


@settings(max_examples=4, deadline=None)
@given(st.floats(0.25, 0.7), st.floats(6, 12), st.sampled_from([3000.0, 3680.0, 5000.0, 7360.0]))
def test_a_car_that_nobody_has_seen_and_is_capped_from_plug_in_is_ready_on_its_first_night(
    soc: float, hours: float, takes_w: float
) -> None:
    went = night(Car(soc, takes_w=takes_w), hours, [0] * 9, lambda _car: None, typed=soc)
    possible = soc + takes_w * (hours * 3600 - 30) * 0.9 / (60 * KWH)
    assert went.soc >= min(0.8, possible) - 0.002
    assert went.switched <= 6


@pytest.mark.parametrize(("soc", "tapers_from"), [(0.3, 0.7), (0.5, 0.5), (0.7, 0.5)])
def test_a_car_that_takes_less_when_nearly_full_starts_as_much_earlier(
    soc: float, tapers_from: float
) -> None:
    """At 0.95 it takes a third of its power; without the reckoning it would be late by an hour."""
    charge = replace(CHARGE, target_soc=0.95, max_soc=1.0, taper_from_soc=tapers_from)
    car = Car(soc, tapers_from=tapers_from)
    caps = [7360] + [0] * 9
    went = night(car, 12, caps, lambda car: math.floor(car.soc * 1000) / 1000, charge=charge)
    assert went.soc >= 0.95 - 0.002
