"""The simulated home as one: a second of it, what is written down of it, and what its meter counts."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.demo import appliances
from gateway.demo.devices.meter import Meter
from gateway.demo.log import Log

PEER = "10.0.0.2:5000"


@pytest.fixture
def home() -> appliances.Appliances:
    return appliances.of_the_home(Log())


def _second(home: appliances.Appliances, house_w: float = 300.0) -> dict[str, Any]:
    home.tick(house_w)
    return home.log.observations[-1].facts


def _charge(home: appliances.Appliances) -> None:
    home.point.answer("ChangeConfiguration", {"key": "AuthorizeRemoteTxRequests", "value": "false"}, PEER)
    home.point.answer("RemoteStartTransaction", {"idTag": "homeflex"}, PEER)


def test_a_second_is_written_down_as_the_devices_have_it(home: appliances.Appliances) -> None:
    _charge(home)
    assert _second(home) == {
        "pump_w": 2400.0,
        "house_w": 300.0,
        "room_c": round(home.pump.house.room_c, 3),
        "charger_w": 1840.0,  # 8 A: it rises by and by
        "car_soc": round(home.point.charger.car.soc, 5),
        "car_connected": True,
        "freezer_w": 112.0,
        "plug_on": True,
        "freezer_c": round(home.freezer.inside_c, 3),
    }


def test_the_meter_counts_all_of_them(home: appliances.Appliances) -> None:
    _charge(home)
    seconds = [_second(home, 300.0 + n) for n in range(10)]
    facts = ("pump_w", "house_w", "charger_w", "freezer_w")
    drawn_ws = sum(second[fact] for second in seconds for fact in facts)
    assert home.meter.imported_ws - Meter().imported_ws == pytest.approx(drawn_ws)
    assert home.meter.power_w == pytest.approx(sum(seconds[-1][fact] for fact in facts))


def test_the_freezer_has_mains_only_through_its_plug(home: appliances.Appliances) -> None:
    home.plug.call("Switch.Set", {"id": 0, "on": False}, PEER)
    second = _second(home)
    assert (second["plug_on"], second["freezer_w"]) == (False, 0.0)


def test_what_devices_are_asked_is_written_down_as_they_heard_it(home: appliances.Appliances) -> None:
    home.plug.call("Switch.GetStatus", {"id": 0}, PEER)
    home.point.answer("GetConfiguration", {}, PEER)
    home.pump.write(71, 600, PEER)
    assert [(one.kind, one.facts) for one in home.log.observations] == [
        ("asked", {"device": "plug", "what": "Switch.GetStatus", "params": {"id": 0}, "peer": PEER}),
        ("asked", {"device": "charger", "what": "GetConfiguration", "params": {}, "peer": PEER}),
        ("written", {"register": 71, "value": 600, "peer": PEER}),
    ]
