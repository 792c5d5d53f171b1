"""What a minute tells of a car besides its energy: how full it is, since when, and from whom."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.core.charging import type_in
from gateway.core.decide import decide
from gateway.core.model import (
    Governor,
    Instruction,
    Kind,
    Plan,
    Point,
    Reason,
    Scope,
    Setpoint,
    Step,
    Vector,
)
from gateway.daemon.clock import Clock, Discipline
from gateway.daemon.home import Home
from gateway.daemon.limits import limits_of
from gateway.daemon.minutes import Minutes
from gateway.daemon.outbox import Outbox
from gateway.daemon.windows import Windows
from tests.daemon.configuration import parsed
from tests.faults.virtual_clock import START_UTC_S

CONFIG = """\
[site]
id = "home-7f3a"
zone = "Europe/London"

[devices.charger]
driver = "mqtt_local"
broker = { host = "127.0.0.1" }
points.power_w = { topic = "charger/power" }
points.import_ws = { topic = "charger/energy" }
points.soc = { topic = "charger/soc" }

[boundary]
power_w = ["charger.power_w"]
import_ws = ["charger.import_ws"]

[asset.ev]
class = "ev"
nominal_w = 7360
power_w = ["charger.power_w"]
import_ws = ["charger.import_ws"]
soc = ["charger.soc", "typed"]

[asset.ev.charge]
battery_kwh = 60
"""


class Daemon:
    """A home, its minutes and a clock that is moved by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.home = Home(parsed(CONFIG), lambda: self.now_s)
        self.home.limits = limits_of(self.home.config, START_UTC_S)
        self.outbox = Outbox("ABCDEFGHIJKL", {})
        self.minutes = Minutes(self.home, self.outbox, self._clock(), Windows(None), 0, {})
        self.home.on_points = self.minutes.points

    def _clock(self) -> Clock:
        return Clock(
            wall=lambda: START_UTC_S + self.now_s,
            monotonic=lambda: self.now_s,
            discipline=lambda: Discipline(True, 0.01),
        )

    def live(self, seconds: int, *instructions: Instruction, **points: float) -> None:
        """So many seconds, with these points said each of them."""
        for _ in range(seconds):
            self.now_s += 1
            found = {f"charger.{name}": Point(value, self.now_s) for name, value in points.items()}
            self.home.points("charger", found)
            snapshot = self.home.snapshot(START_UTC_S + self.now_s, trusted=True, instructions=instructions)
            self.minutes.note(snapshot, decide(snapshot))
            if self.minutes.cut():
                self.minutes.put()

    def type_in(self, soc: float) -> None:
        """A person says how full the car is."""
        snapshot = self.home.snapshot(START_UTC_S + self.now_s, trusted=True, instructions=())
        self.home.memory = type_in(snapshot, self.home.config.assets[0], soc)

    def last(self, point: str = "ev") -> dict[str, Any]:
        """The last minute that was told."""
        return dict(json.loads(self.outbox.tail(f"telemetry:{point}")[-1].body))


def test_a_minute_tells_the_measured_charge_and_its_age() -> None:
    daemon = Daemon()
    daemon.live(125, power_w=3600.0, import_ws=100.0 * 3600, soc=0.61)
    last = daemon.last()
    assert (last["soc"], last["socAgeS"], last["socSource"]) == (0.61, 0, "device")


def test_a_minute_tells_a_typed_charge_as_it_stands_now_and_when_it_was_typed() -> None:
    daemon = Daemon()
    daemon.live(60, power_w=3600.0, import_ws=0.0)
    daemon.type_in(0.5)
    daemon.live(120, power_w=3600.0, import_ws=120.0 * 3600)
    last = daemon.last()
    assert last["soc"] == pytest.approx(0.5 + 120 * 3600 * 0.9 / (60 * 3.6e6), abs=0.001)
    assert 60 <= last["socAgeS"] <= 121
    assert last["socSource"] == "manual"


def test_a_minute_of_a_car_nobody_knows_tells_none() -> None:
    daemon = Daemon()
    daemon.live(125, power_w=3600.0, import_ws=0.0)
    last = daemon.last()
    assert (last["soc"], last["socAgeS"], last["socSource"]) == (None, None, None)


def test_a_minute_tells_that_a_pre_heat_governed_it() -> None:
    daemon = Daemon()
    raised = Setpoint("ev", None, Governor.PREHEAT, Reason.NONE, "pre-heats", raised=True)
    for _ in range(130):
        daemon.live(1, power_w=2000.0)
        snapshot = daemon.home.snapshot(START_UTC_S + daemon.now_s, trusted=True, instructions=())
        daemon.minutes.note(snapshot, Plan((raised,)))
    assert (daemon.last()["governedBy"], daemon.last()["limitKw"]) == ("preheat", None)


def test_the_boundary_s_minutes_name_what_hands_are_asked_and_the_asset_s_do_not() -> None:
    daemon = Daemon()
    start_utc_s = START_UTC_S + daemon.now_s
    step = Step(start_utc_s, start_utc_s + 90, Kind.CAP, 0)
    scope = Scope(("asset:ev",), ("ev",))
    asked = Instruction("i1", 0, "tcm", "response", 0, 0.0, scope, (step,), vector=Vector.MANUAL)
    daemon.live(85, asked, power_w=3600.0, import_ws=0.0)
    assert daemon.last("boundary")["dispatchIds"] == ["i1"]
    assert (daemon.last()["dispatchIds"], daemon.last("boundary")["governedBy"]) == ([], "none")
    daemon.live(130, asked, power_w=3600.0, import_ws=0.0)
    assert daemon.last("boundary")["dispatchIds"] == []
