"""What the daemon hands the core of a home with three phases and with circuits."""

from __future__ import annotations

import pytest

from gateway.core.model import Circuit, Point, Supply
from gateway.daemon.home import Home
from tests.daemon.configuration import GOOD, parsed, problems

THREE = GOOD.replace("fuse_a = 60", "fuse_a = 25\nphases = 3").replace(
    'class = "heat"', 'class = "heat"\nphases = ["L2"]'
)
BY_PHASE = THREE + 'l1_w = ["meter.l1_w"]\nl2_w = ["meter.l2_w"]\nl3_w = ["meter.l3_w"]\n'
CHARGER = """
[devices.wallbox]
driver = "ocpp"
phases = 3
[asset.ev]
class = "ev"
control = "wallbox"
nominal_w = 11040
"""
IS_MISSING = (
    'asset.heat.phases: is missing; phases = ["L1"] would be right, for the boundary tells of each phase'
)


def test_each_phase_is_bound_to_its_source_and_stays_unknown_where_it_is_silent() -> None:
    home = Home(parsed(BY_PHASE), lambda: 100.0)
    home.points(
        "meter",
        {f"meter.{name}": Point(power_w, 99.0) for name, power_w in (("power_w", 500.0), ("l1_w", 700.0))},
    )
    assert home.snapshot(0.0, trusted=True, instructions=()).supply is None, "the others had no time yet"
    home.points("meter", {"meter.l2_w": Point(-200.0, 99.0), "meter.l3_w": Point(0.0, 5.0)})
    snapshot = home.snapshot(0.0, trusted=True, instructions=())
    assert snapshot.supply == Supply(3 * 5750, unmetered_w=3000, phases=3)
    assert [reading and reading.value for reading in snapshot.boundary_phases_w] == [700.0, -200.0, None]
    assert snapshot.assets[0].phases == (2,)


def test_a_charger_on_three_phases_says_so_itself() -> None:
    (_, ev) = parsed(THREE + CHARGER).assets
    assert ev.phases == (1, 2, 3)


GARAGE = """
[devices.submeter]
driver = "mqtt_local"
broker = { host = "127.0.0.1" }
points.power_w = { topic = "submeter/power" }
[circuit.garage]
fuse_a = 16
phases = 3
parent = "cable"
power_w = ["submeter.power_w"]
silent_meter_w = 1400
[circuit.cable]
fuse_a = 20
phases = 3
"""


def test_each_circuit_is_a_fuse_and_is_bound_to_its_meter() -> None:
    text = THREE + GARAGE + CHARGER + 'circuit = "garage"\n'
    home = Home(parsed(text), lambda: 100.0)
    home.points("meter", {"meter.power_w": Point(500.0, 99.0)})
    assert home.snapshot(0.0, trusted=True, instructions=()).supply is None, "its meter had no time yet"
    home.points("submeter", {"submeter.power_w": Point(3000.0, 98.0)})
    snapshot = home.snapshot(0.0, trusted=True, instructions=())
    assert snapshot.supply
    assert snapshot.supply.circuits == (
        Circuit("garage", 11_040, 3, "cable", 1400),
        Circuit("cable", 13_800, 3),
    )
    assert {id_: (said.value, said.age_s) for id_, said in snapshot.circuits_w.items()} == {
        "garage": (3000.0, 2.0)
    }
    assert [asset.circuit for asset in snapshot.assets] == [None, "garage"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (BY_PHASE.replace('phases = ["L2"]\n', ""), IS_MISSING),
        (
            THREE + CHARGER + 'phases = ["L1"]\n',
            'asset.ev.phases: devices.wallbox.phases is 3; phases = ["L1", "L2", "L3"] would be right',
        ),
        (
            THREE + GARAGE.replace("phases = 3", "phases = 1") + CHARGER + 'circuit = "garage"\n',
            "asset.ev.circuit: 'garage' has one phase; circuit.garage.phases = 3 would be right",
        ),
        (
            THREE.replace("[supply]\nfuse_a = 25\nphases = 3\nsilent_meter_w = 3000", "") + GARAGE,
            "supply: is missing; circuits hang on the main fuse, [supply] with fuse_a = 60 would be right",
        ),
    ],
)
def test_what_is_said_of_phases_and_circuits_fits_together(text: str, problem: str) -> None:
    assert problems(text) == (problem,)
