"""Frost: nothing is held while a heat pump melts its ice, nor soon after. When it freezes hard a hold is
short, in deep cold there is none; below 0 °C the rest after it is longer, and what may freeze is not off.

A sensor that is configured and silent tells the worst. But for a defrost that goes on, all of it waits until
a compressor has had its rest. Figures: modbus reference C3; the deep cold is ours. Rank: care.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeGuard

from gateway.core.bounds.care import lets_run, rests
from gateway.core.change import changed
from gateway.core.model import Asset, AssetMemory, Bound, Limits, Quality, Reading, Snapshot

WARM_AGAIN_S = 600.0  # from the end of a defrost until the heating's water is warm again
FREEZES_C = 0.0
WARMER_C = 1.0  # less is a thermometer that wanders


def bound(snapshot: Snapshot, asset: Asset) -> Bound | None:
    """Not held in a defrost or soon after, in deep cold, or with one of them unknown; not off in frost."""
    if not asset.ability.holds:
        return None
    if _defrosts(snapshot, asset):
        return lets_run(asset, "melts its ice (defrost)")
    if rests(snapshot, asset):
        return None
    return _defrosted(snapshot, asset) or _unseen(snapshot, asset) or _cold_outside(snapshot, asset)


def remembered(snapshot: Snapshot, asset: Asset, was: AssetMemory) -> AssetMemory:
    """`was` with the end of the last defrost, and how cold it is outside."""
    since_s = snapshot.now_s if _defrosts(snapshot, asset) else was.defrosted_s
    if since_s is not None and snapshot.now_s - since_s >= WARM_AGAIN_S:
        since_s = None
    return changed(was, defrosted_s=since_s, outdoor_c=outdoor_c(snapshot, asset))


def outdoor_c(snapshot: Snapshot, asset: Asset) -> float | None:
    """How cold it is outside: down at once, up once it is `WARMER_C` more; the last known if none is."""
    seen, was_c = snapshot.state(asset.id).outdoor_c, snapshot.memory.of(asset.id).outdoor_c
    if not is_known(seen):
        return was_c
    return seen.value if was_c is None else min(seen.value, max(was_c, seen.value - WARMER_C))


def longest_hold_s(snapshot: Snapshot, asset: Asset, limits: Limits) -> float:
    """The longest hold, and how much shorter it is when it freezes hard."""
    cold_c, frost_c = outdoor_c(snapshot, asset), limits.care.frost_c
    if cold_c is None or frost_c is None or cold_c >= frost_c:
        return limits.longest_hold_s
    return min(limits.longest_hold_s, limits.care.frost_hold_s)


def rest_s(snapshot: Snapshot, asset: Asset, limits: Limits) -> float:
    """The rest after a hold, longer while it freezes: one begun in frost is as short as any once it thaws."""
    cold_c = outdoor_c(snapshot, asset)
    if cold_c is None or cold_c >= FREEZES_C:
        return limits.rest_s
    return max(limits.rest_s, limits.care.frost_rest_s)


def is_known(reading: Reading | None) -> TypeGuard[Reading]:
    return reading is not None and reading.quality is not Quality.BAD


def _defrosts(snapshot: Snapshot, asset: Asset) -> bool:
    defrost = snapshot.state(asset.id).defrost
    return is_known(defrost) and defrost.value > 0.5


def _defrosted(snapshot: Snapshot, asset: Asset) -> Bound | None:
    at_s = snapshot.memory.of(asset.id).defrosted_s
    if at_s is None or snapshot.now_s - at_s >= WARM_AGAIN_S:
        return None
    text = f"melted its ice {snapshot.now_s - at_s:.0f} s ago, not held for {WARM_AGAIN_S:.0f} s after it"
    return lets_run(asset, text, at_s + WARM_AGAIN_S)


def _unseen(snapshot: Snapshot, asset: Asset) -> Bound | None:
    state = snapshot.state(asset.id)
    if "defrost" in asset.sources and not is_known(state.defrost):
        return lets_run(asset, "unknown whether it melts its ice (defrost)")
    if "outdoor_c" in asset.sources and not is_known(state.outdoor_c):
        return lets_run(asset, "outdoor temperature unknown")
    return None


def _cold_outside(snapshot: Snapshot, asset: Asset) -> Bound | None:
    limits, cold_c = snapshot.limit(asset.id).care, outdoor_c(snapshot, asset)
    if cold_c is None:
        return None
    if limits.outdoor_min_c is not None and cold_c < limits.outdoor_min_c:
        return lets_run(asset, f"{cold_c:.1f} °C outside, not held below {limits.outdoor_min_c:.1f} °C")
    if limits.off_may_freeze and cold_c < FREEZES_C:
        text = f"{cold_c:.1f} °C outside, it may freeze while it is off"
        return replace(lets_run(asset, text), at_least_w=1)
    return None
