"""What each device was told, out of its own log: how long a limit was in force, and when it let go itself."""

from __future__ import annotations

import math

import pytest

from gateway.demo.hold import Holds, holds
from gateway.demo.log import Observation
from tests.demo import runs
from tests.demo.runs import asked, at, limit, switch

PEER = "127.0.0.1:4000"


def _after(*observations: Observation) -> dict[str, tuple[float, float]]:
    """(watts, seconds from the start of the run to its own end) of each asset."""
    seen = Holds()
    for one in observations:
        seen.take(one)
    return {a: (h.at_most_w, round(h.until_utc_s - runs.T0, 3)) for a, h in seen.now.items()}


def _write(second: float, register: int, value: int) -> Observation:
    return at(second, "written", register=register, value=value, peer=PEER)


def _second(second: float) -> Observation:
    return at(second, "second")


def test_the_pump_is_held_by_its_surplus_once_its_control_is_on() -> None:
    assert _after(_write(1, 71, 600)) == {}
    assert _after(_write(1, 71, 600), _write(2, 70, 1)) == {"heat": (600.0, 121.0)}
    assert _after(_write(1, 70, 1), _write(5, 71, 0)) == {"heat": (0.0, 125.0)}


def test_the_pump_is_free_when_its_control_is_off_or_its_watchdog_ran_out() -> None:
    held = _write(1, 71, 0), _write(1, 70, 1)
    assert _after(*held, _write(9, 70, 0)) == {}
    assert _after(*held, _second(120.9)) == {"heat": (0.0, 121.0)}
    assert _after(*held, _second(121.0)) == {}
    assert _after(*held, _second(121.0), _write(122, 70, 1)) == {}


def test_the_car_is_held_by_a_limit_below_its_own() -> None:
    assert _after(limit(1.0, 10.0)) == {"ev": (2300.0, 91.0)}
    assert _after(limit(1.0, 10.0), limit(2.0, 32.0)) == {}


@pytest.mark.parametrize(
    ("clear", "is_held"),
    [
        ({"id": 20}, False),
        ({"id": 21}, True),
        ({}, False),
        ({"chargingProfilePurpose": "TxProfile"}, False),
        ({"chargingProfilePurpose": "TxDefaultProfile"}, True),
    ],
)
def test_the_car_is_free_when_its_limit_is_cleared(clear: dict[str, object], is_held: bool) -> None:
    found = _after(limit(1.0, 10.0), asked(2.0, "charger", "ClearChargingProfile", **clear))
    assert ("ev" in found) is is_held


def test_the_freezer_is_held_off_for_as_long_as_its_timer_says() -> None:
    assert _after(switch(1, False, toggle_after=60)) == {"freezer": (0.0, 61.0)}
    assert _after(switch(1, False)) == {"freezer": (0.0, math.inf)}
    assert _after(switch(1, False, toggle_after=60), switch(5, True)) == {}
    assert _after(switch(1, False, toggle_after=60), _second(61)) == {}


def test_what_a_device_is_merely_asked_holds_nothing() -> None:
    assert _after(asked(1, "plug", "Switch.GetStatus", id=0), asked(2, "charger", "GetConfiguration")) == {}


def test_the_same_limit_told_again_goes_on_and_another_one_begins() -> None:
    found = holds([limit(1.0, 6.0), limit(60.0, 6.0), limit(70.0, 10.0), _second(80)])
    spans = [(h.begin_utc_s - runs.T0, h.until_utc_s - runs.T0, h.at_most_w) for h in found]
    assert spans == [(1.0, 70.0, 1380.0), (70.0, 80.0, 2300.0)]


def test_the_limits_of_a_run_end_when_they_were_ended_or_ended_themselves() -> None:
    found = holds(runs.good_run())
    spans = {(h.asset, round(h.begin_utc_s - runs.T0), round(h.until_utc_s - runs.T0)) for h in found}
    assert {("ev", 8, 36), ("heat", 5, 40), ("freezer", 6, 36)} < spans  # each was told otherwise
    assert {("ev", 126, 215), ("heat", 126, 246), ("freezer", 126, 156)} < spans  # nobody was there to tell
