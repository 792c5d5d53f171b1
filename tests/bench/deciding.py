"""How long one decision takes, by the number of assets and of open instructions. Processor time, no I/O."""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import median

from gateway.core.decide import decide
from gateway.core.memory import remember
from gateway.core.model import (
    Ability,
    Asset,
    AssetClass,
    AssetState,
    Charge,
    Deadline,
    Instruction,
    Kind,
    Limits,
    Reading,
    Scope,
    Snapshot,
    Step,
    Supply,
    Timetable,
)

ASSETS, INSTRUCTIONS = 8, 20
SCALES = ((2, 20), (4, 20), (ASSETS, INSTRUCTIONS), (16, 20), (8, 5), (8, 10), (8, 40))
TIMES, WARM = 300, 30
NOW_S, UTC_S = 50_000.0, 1_800_000_000.0
NOMINAL_W = {AssetClass.EV: 7360, AssetClass.HEAT: 2400, AssetClass.PLUG: 150}
KINDS = (Kind.CAP, Kind.CAP, Kind.SETPOINT, Kind.FLOOR)
CAR = Charge(
    battery_ws=60 * 3_600_000,
    min_soc=0.2,
    target_soc=0.8,
    max_soc=0.9,
    deadlines=(Deadline(UTC_S + 40_000, "07:00 local"),),
)
LIMITS = {
    AssetClass.EV: Limits(longest_hold_s=14_400, rest_s=3600, charge=CAR),
    AssetClass.HEAT: Limits(
        room_min_c=Timetable(otherwise=18.0), longest_hold_s=7200, rest_s=3600, min_run_s=600, min_rest_s=600
    ),
    AssetClass.PLUG: Limits(longest_off_s=3600, shortest_on_s=900),
}


@dataclass(frozen=True, slots=True)
class Decision:
    """One home: how many assets and open instructions, and the median of a decision (s)."""

    assets: int
    instructions: int
    decision_s: float


def measure() -> list[Decision]:
    """Each scale, one after the other."""
    return [Decision(a, i, _median_s(home(a, i))) for a, i in SCALES]


def home(assets: int, instructions: int) -> Snapshot:
    """A home with a third of each class, a fuse, and instructions in force for assets, cars and the site; as
    it remembers them a second after they began."""
    owned = tuple(_asset(n) for n in range(assets))
    begun = Snapshot(
        now_s=NOW_S,
        utc_s=UTC_S,
        clock_trusted=True,
        assets=owned,
        states={a.id: _state(a) for a in owned},
        limits={a.id: LIMITS[a.asset_class] for a in owned},
        supply=Supply(23_000),
        boundary_w=Reading(6000, 1.0, "meter.power_w"),
        instructions=tuple(_instruction(n, owned) for n in range(instructions)),
    )
    memory = remember(begun, decide(begun))
    return replace(begun, now_s=NOW_S + 1, utc_s=UTC_S + 1, memory=memory)


def _median_s(snapshot: Snapshot) -> float:
    snapshot = _later(snapshot)  # something is held and remembered
    found = []
    gc.collect()
    gc.disable()
    try:
        for _ in range(WARM + TIMES):
            began_s = time.process_time()
            decide(snapshot)
            found.append(time.process_time() - began_s)
    finally:
        gc.enable()
    return median(found[WARM:])


def _later(snapshot: Snapshot) -> Snapshot:
    memory = remember(snapshot, decide(snapshot))
    return Snapshot(
        NOW_S + 60, UTC_S + 60, True, snapshot.assets, snapshot.states, snapshot.limits, snapshot.supply,
        snapshot.boundary_w, snapshot.instructions, memory,
    )  # fmt: skip


def _asset(number: int) -> Asset:
    asset_class = tuple(AssetClass)[number % 3]
    ability = Ability(levels_w=(0,), lease_s=900)
    if asset_class is AssetClass.EV:
        ability = Ability(levels_w=(0,), range_w=(1380, 7360), step_w=23, raises=True, lease_s=900)
    return Asset(f"a{number}", asset_class, NOMINAL_W[asset_class], ability)


def _state(asset: Asset) -> AssetState:
    def said(value: float) -> Reading:
        return Reading(value, 1.0, "device")

    more: Mapping[str, Reading] = {}
    if asset.asset_class is AssetClass.EV:
        more = {"connected": said(1), "soc": said(0.5), "import_ws": said(3.6e9)}
    if asset.asset_class is AssetClass.HEAT:
        more = {"room_c": said(20.0), "running": said(1)}
    return AssetState(power_w=said(asset.nominal_w / 2), online=True, **more)


def _instruction(number: int, assets: tuple[Asset, ...]) -> Instruction:
    kind = KINDS[number % len(KINDS)]
    targets = (("site",), ("class:ev",), (f"asset:{assets[number % len(assets)].id}",))[number % 3]
    members = tuple(a.id for a in assets if targets[0] in ("site", f"class:{a.asset_class}", f"asset:{a.id}"))
    start = UTC_S - 600
    steps = tuple(Step(start + 900 * n, start + 900 * (n + 1), kind, 2000 + 100 * number) for n in range(4))
    scope = Scope(targets, members, targets == ("site",))
    return Instruction(f"i{number:03}", 0, "sustain", "routine", number % 5, start, scope, steps)
