"""Fuses behind the main one: each is kept for all that hangs on it, and so are all before it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.decide import decide
from gateway.core.memory import remember
from gateway.core.model import Ability, Asset, AssetClass, AssetState, Circuit, Reading, Snapshot, Supply
from tests.core.cars import EV, reading

NOW = 100_000.0
CABLE = Circuit("cable", 5750)
GARAGE = Circuit("garage", 7360, parent="cable")  # stronger than what it hangs on
METERED = Circuit("garage", 7360, unmetered_w=1500)
ONE, TWO = (replace(EV, id=id_, circuit="garage") for id_ in ("one", "two"))
HEATER = Asset("heater", AssetClass.PLUG, 2000, Ability((0,), lease_s=900), circuit="cable")
PUMP = Asset("heat", AssetClass.HEAT, 2400, Ability((0,), lease_s=120))


def home(*circuits: Circuit, said: dict[str, float] | None = None, **draws_w: float) -> Snapshot:
    """What draws in it, each asset by its name."""
    assets = tuple(asset for asset in (ONE, TWO, HEATER, PUMP) if asset.id in draws_w)
    states = {id_: AssetState(power_w=reading(power_w), online=True) for id_, power_w in draws_w.items()}
    return Snapshot(
        NOW,
        1.8e9,
        True,
        assets,
        states,
        supply=Supply(23_000, unmetered_w=9000, circuits=circuits),
        boundary_w=reading(sum(draws_w.values()) + 500),
        circuits_w={id_: reading(power_w) for id_, power_w in (said or {}).items()},
    )


def levels(snapshot: Snapshot) -> dict[str, int | None]:
    return {setpoint.asset: setpoint.at_most_w for setpoint in decide(snapshot).setpoints}


def text(snapshot: Snapshot, asset: str) -> str:
    return next(setpoint.text for setpoint in decide(snapshot).setpoints if setpoint.asset == asset)


def test_all_behind_a_fuse_share_it_and_the_last_configured_gives_way() -> None:
    shared = home(Circuit("garage", 7360), one=5000, two=5000)
    assert levels(shared) == {"one": None, "two": 2231}  # 7360 - 5000, less 100, down to a step of 23 W
    assert text(shared, "two") == "circuit garage: fuse 7360 W"


def test_the_fuse_before_it_is_kept_for_what_hangs_on_either() -> None:
    assert levels(home(CABLE, GARAGE, one=5000)) == {"one": None}
    both = home(CABLE, GARAGE, one=5000, heater=2000)
    assert levels(both) == {"one": 3634, "heater": None}  # 5750 - 2000, less 100
    assert text(both, "one") == "circuit cable: fuse 5750 W"
    assert levels(home(GARAGE, CABLE, one=5000, heater=2000)) == levels(both), "in any order"


def test_the_main_fuse_is_kept_for_everything() -> None:
    snapshot = home(Circuit("garage", 7360), one=5000, heat=2400)
    assert levels(replace(snapshot, boundary_w=reading(25_000))) == {"one": 2875, "heat": None}


def test_a_circuit_with_its_own_meter_is_kept_for_all_that_shows() -> None:
    welding = home(METERED, said={"garage": 5000 + 3000}, one=5000)
    assert levels(welding) == {"one": 4232}  # 7360 - 3000, less 100
    assert text(welding, "one") == "circuit garage: fuse 7360 W, the rest of it draws 3000 W"


@pytest.mark.parametrize("said", [None, Reading(5000, 31.0, "sub.power_w")])
def test_a_silent_meter_of_a_circuit_leaves_its_safe_power_and_no_other_less(said: Reading | None) -> None:
    silent = home(METERED, one=5000, heat=2400)
    silent = replace(silent, circuits_w={"garage": said} if said else {})
    assert levels(silent) == {"one": 1380, "heat": None}
    assert text(silent, "one") == "circuit garage: its meter silent, 1500 W allowed meanwhile"


def test_a_silent_boundary_meter_leaves_no_circuit_more_than_its_fuse() -> None:
    silent = replace(home(Circuit("garage", 3680), one=5000), boundary_w=None)
    assert levels(silent) == {"one": 3565}


def test_a_full_circuit_makes_nothing_wait_that_hangs_elsewhere() -> None:
    full = home(CABLE, GARAGE, one=5800, heater=2000, heat=2400)
    memory = remember(full, decide(full))
    assert memory.of("one").short_s == NOW
    assert memory.of("heat").short_s is None


def test_each_phase_of_a_circuit_is_kept_for_itself() -> None:
    garage = Circuit("garage", 3 * 3680, phases=3)
    snapshot = home(garage, one=3600, two=3600)
    assets = [replace(asset, phases=(2,)) for asset in snapshot.assets]
    snapshot = replace(snapshot, supply=Supply(3 * 23_000, phases=3, circuits=(garage,)))
    same = replace(snapshot, assets=tuple(assets))
    assert levels(same) == {"one": None, "two": 0}
    assert text(same, "two") == "circuit garage, phase L2: fuse 3680 W"
    apart = replace(snapshot, assets=(assets[0], replace(assets[1], phases=(3,))))
    assert levels(apart) == {"one": None, "two": None}


def test_what_hangs_on_a_circle_of_circuits_is_kept_to_each() -> None:
    """The configuration refuses it; the core has no room for such a thing to hang itself."""
    circle = home(Circuit("garage", 7360, parent="cable"), Circuit("cable", 2300, parent="garage"), one=5000)
    assert levels(circle) == {"one": 2185}


def test_a_meter_of_a_circuit_is_silent_in_time() -> None:
    snapshot = home(METERED, said={"garage": 0}, one=0)
    aged = replace(snapshot, circuits_w={"garage": reading(0, 12)})
    assert decide(aged).next_change_s == 18
