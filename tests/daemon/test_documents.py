"""What is told in `availability` of what charges, and when it is told again."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.core.charging import type_in
from gateway.core.model import AssetMemory, Kind, Limits, Memory, Reading, Snapshot
from gateway.daemon.documents import AvailabilityNews, availability_of, can_of
from gateway.wire.message import encode
from tests.core import test_store as store
from tests.core.cars import EV, MORNING, NOW, UTC, home, later, state
from tests.daemon.configuration import GOOD, parsed


def told(snapshot: Snapshot, target: str = "asset:ev") -> dict[str, Any]:
    document = json.loads(encode(availability_of(snapshot, "home-7f3a")))
    (scope,) = [scope for scope in document["scopes"] if scope["target"] == target]
    return dict(scope)


CAR = ("connected", "connectedSince", "readyBy", "neededKwh", "soc", "socAt", "socSource")


def test_a_measured_car_is_told_with_what_it_needs_and_by_when() -> None:
    scope = told(home())
    assert {name: scope[name] for name in CAR} == {
        "connected": True,
        "connectedSince": "2027-01-15T07:00:00Z",
        "readyBy": "2027-01-15T18:00:00Z",
        "neededKwh": 20.0,
        "soc": 0.5,
        "socAt": "2027-01-15T08:00:00Z",
        "socSource": "device",
    }
    assert scope["up"]["toKw"] == 7.36
    assert (scope["down"]["toKw"], scope["down"]["until"]) == (0.0, "chargeLimit")


def test_a_typed_charge_is_told_as_of_when_it_was_typed() -> None:
    blind = home(state=state(None))
    typed = replace(blind, memory=type_in(blind, EV, 0.54))
    scope = told(replace(typed, now_s=NOW + 1800, utc_s=UTC + 1800))
    assert (scope["soc"], scope["socAt"], scope["socSource"]) == (0.54, "2027-01-15T08:00:00Z", "manual")
    assert scope["neededKwh"] == pytest.approx(17.333, abs=0.001)


@pytest.mark.parametrize(
    "snapshot",
    [home(state=state(there=False)), home(limits={"ev": Limits()}, state=state(None), was=AssetMemory())],
    ids=["gone", "nothing known"],
)
def test_what_is_not_known_of_a_car_is_null(snapshot: Snapshot) -> None:
    scope = told(replace(later(snapshot, 1), memory=Memory()))
    names = CAR[1:]
    assert {name: scope[name] for name in names} == dict.fromkeys(names)


def test_without_a_trusted_clock_no_moment_is_told() -> None:
    scope = told(home(clock_trusted=False))
    assert (scope["connectedSince"], scope["readyBy"], scope["socAt"]) == (None, None, None)
    assert (scope["soc"], scope["neededKwh"]) == (0.5, 20.0)


def test_a_store_that_heats_is_told_with_what_its_hours_still_have_to_bring() -> None:
    quarter_full = {"charge": store.LEVELLED, "states": store.state(level=0.25)}
    scope = told(store.home(at_h=2.0, **quarter_full), "asset:bricks")
    assert (scope["soc"], scope["socSource"], scope["neededKwh"]) == (0.25, "device", 9.0)
    assert scope["readyBy"] == "2027-01-15T07:30:00Z"
    assert scope["connectedSince"] is None
    outside = told(store.home(at_h=12.0, **quarter_full), "asset:bricks")
    assert (outside["soc"], outside["neededKwh"], outside["readyBy"]) == (0.25, None, None)


def test_a_class_has_no_car_of_its_own() -> None:
    scope = told(home(), "class:ev")
    assert scope["soc"] is None
    assert scope["connected"]


@pytest.mark.parametrize("whose", ["site", "heat", "ev", None])
def test_an_asset_takes_levels_where_its_class_or_the_site_gave_them_caps(whose: str | None) -> None:
    config = parsed(GOOD + (f"[services.simple]\n{whose}_w = [2000]\n" if whose else ""))
    levels = (Kind.SIMPLE,) if whose in ("site", "heat") else ()
    assert can_of(config.assets[0], config).accepts == (Kind.CAP, Kind.SETPOINT, *levels)


DRAWS = {"ev": replace(state(), power_w=Reading(7300.0, 1.0, "charger.power_w"))}
CHARGING_LATE = home(states=DRAWS, utc_s=MORNING.utc_s - 6000)


@pytest.mark.parametrize(
    ("after", "is_due"),
    [(home(states=DRAWS), False), (home(state=state(there=False)), True), (CHARGING_LATE, True)],
    ids=["the same", "the car went", "it is late"],
)
def test_a_change_of_what_the_car_can_give_is_told_at_once(after: Snapshot, is_due: bool) -> None:
    news = AvailabilityNews()
    assert news.is_due(availability_of(home(states=DRAWS), "home-7f3a"), NOW)
    assert news.is_due(availability_of(after, "home-7f3a"), NOW + 15) is is_due
