"""Which assets want no power: those would only take others' part of a value for several.

An asset counts as idle when it was seen to draw nothing for a while though it might. One held off cannot
show what it wants: for half an hour it counts as what it was, then it has its turn again.
"""

from __future__ import annotations

from gateway.core.charging import is_plugged
from gateway.core.model import Asset, AssetMemory, Snapshot

RUNS_ABOVE = 0.1  # of nominal power: draws more than a controller and its pumps
QUIET_S = 600.0  # compressors wait for minutes before they start
TURN_AFTER_S = 1800.0


def is_idle(snapshot: Snapshot, asset: Asset) -> bool:
    """Whether it wants nothing: no car is there, or it has been quiet for long enough."""
    since_s = snapshot.memory.of(asset.id).quiet_since_s
    is_quiet = since_s is not None and snapshot.now_s - since_s >= QUIET_S
    return is_quiet or not is_plugged(snapshot, asset)


def quiet_since_s(snapshot: Snapshot, asset: Asset, was: AssetMemory) -> float | None:
    """Since when it draws nothing though it may; while that is seen, never longer than makes it idle."""
    power, since_s = snapshot.state(asset.id).power_w, was.quiet_since_s
    runs_above_w = RUNS_ABOVE * asset.nominal_w
    if power is None or power.value > runs_above_w or not is_plugged(snapshot, asset):
        return None
    if was.held_w is not None and was.held_w <= runs_above_w:
        is_known = since_s is not None and QUIET_S <= snapshot.now_s - since_s < QUIET_S + TURN_AFTER_S
        return since_s if is_known else None
    return snapshot.now_s if since_s is None else max(since_s, snapshot.now_s - QUIET_S)
