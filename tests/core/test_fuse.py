"""A car and a freezer under a tight fuse, second by second: what the fuse leaves is used, calmly, and the
freezer does not pay for the car."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest

from gateway.core.decide import decide
from gateway.core.memory import remember
from gateway.core.model import Ability, Asset, AssetClass, AssetState, Limits, Memory, Snapshot, Supply
from tests.core.cars import EV, reading

FREEZER = Asset("freezer", AssetClass.PLUG, 150, Ability((0,), lease_s=900))
FREEZER_W, HOUR_S = 110.0, 3600


def hours(
    assets: tuple[Asset, ...], *, base_w: float, fuse_w: int, count: int, meter_s: int
) -> list[tuple[int, int | None, float]]:
    """(what the car is held to, what the freezer is, watts over the fuse) of each second."""
    draw = Random(1)
    held: dict[str, int | None] = {"ev": None, "freezer": None}
    car_w, seen_car_w, boundary, boundary_at = 0.0, 0.0, base_w, 0
    snapshot = Snapshot(0.0, 1.8e9, True, assets, limits={"freezer": Limits(longest_off_s=3600)})
    snapshot = replace(snapshot, supply=Supply(fuse_w, unmetered_w=2000), memory=Memory())
    found = []
    for second in range(count * HOUR_S):
        may_w = EV.nominal_w if held["ev"] is None else held["ev"]
        car_w += max(-2000.0, min(2000.0, may_w - car_w))  # it ramps
        freezer_w = FREEZER_W if held["freezer"] is None else 0.0
        home_w = base_w + draw.gauss(0, 20)
        if second % 10 == 0:
            seen_car_w, seen_at = car_w, second
        if second % meter_s == 0:
            boundary, boundary_at = home_w + car_w + freezer_w, second
        states = {
            "ev": AssetState(power_w=reading(seen_car_w, second - seen_at), online=True),
            "freezer": AssetState(power_w=reading(freezer_w), online=True),
        }
        now = {"now_s": float(second), "utc_s": 1.8e9 + second, "states": states}
        snapshot = replace(snapshot, **now, boundary_w=reading(boundary, second - boundary_at))
        plan = decide(snapshot)
        snapshot = replace(snapshot, memory=remember(snapshot, plan))
        held = {setpoint.asset: setpoint.at_most_w for setpoint in plan.setpoints}
        found.append((may_w, held["freezer"], home_w + car_w + freezer_w - fuse_w))
    return found


@pytest.mark.parametrize("assets", [(EV, FREEZER), (FREEZER, EV)])
@pytest.mark.parametrize(("base_w", "fuse_w"), [(500, 5750), (2070, 3600), (6600, 13_800)])
@pytest.mark.parametrize("meter_s", [1, 10])
def test_under_a_tight_fuse_the_car_is_lowered_calmly_and_the_freezer_runs(
    assets: tuple[Asset, ...], base_w: int, fuse_w: int, meter_s: int
) -> None:
    seconds = hours(assets, base_w=base_w, fuse_w=fuse_w, count=2, meter_s=meter_s)[300:]
    off_s = sum(freezer == 0 for _, freezer, _ in seconds)
    limits = [limit for limit, _, _ in seconds]
    changes = sum(a != b for a, b in pairwise(limits))
    stops = sum(b == 0 != a for a, b in pairwise(limits))
    assert off_s <= 60
    assert changes <= 2 * 30, f"{changes} new limits in two hours"
    assert stops <= 2 * 4, f"{stops} stops in two hours"
    assert sum(over_w > 0.1 * fuse_w for _, _, over_w in seconds) <= 30
    assert sum(over_w > 0 for _, _, over_w in seconds) <= 60


def test_room_that_stays_is_used_again() -> None:
    calm = hours((EV, FREEZER), base_w=500, fuse_w=5750, count=1, meter_s=1)
    assert max(limit for limit, _, _ in calm[1800:]) > 4000
