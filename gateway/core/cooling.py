"""How fast a room cools while its heating is held off: learnt of the holds there were, for what is offered.

No limit rests on it. A hold ends by the room's own reading, whatever was foreseen.
"""

from __future__ import annotations

import math
from dataclasses import replace

from gateway.core.bounds import comfort
from gateway.core.model import Asset, AssetMemory, Fall, Snapshot

LEARNT_AFTER_S = 1800.0  # before, the noise of a thermometer is as large as what was lost
NOISE_C = 0.03  # a room is at its minimum when the first reading says so
UNLEARNT_K_S = 1.0 / 3600  # of a home that has not been held yet: fast, so that little is promised


def remembered(snapshot: Snapshot, asset: Asset, was: AssetMemory, now: AssetMemory) -> AssetMemory:
    """`now` with the room at the start of a hold, and the steepest mean fall since."""
    room = comfort.room_known(snapshot, asset, snapshot.limit(asset.id))
    if room is None or now.held_w != 0:
        return now if now.fall is None else replace(now, fall=None)
    if was.fall is None or was.held_w != 0:
        return replace(now, fall=Fall(snapshot.now_s, room.value))
    for_s = snapshot.now_s - was.fall.at_s
    if for_s < LEARNT_AFTER_S:
        return now
    fell_k_s = max(0.0, was.fall.room_c - room.value) / for_s
    steepest_k_s = max(fell_k_s, was.fall.steepest_k_s or 0.0)
    if steepest_k_s == was.fall.steepest_k_s:
        return now
    return replace(now, fall=replace(was.fall, steepest_k_s=steepest_k_s), cools_k_s=steepest_k_s)


def foreseen_c(snapshot: Snapshot, asset: Asset, for_s: float) -> float | None:
    """The room after its heating was held off for so much longer (°C); None: nobody knows the room."""
    room = snapshot.state(asset.id).room_c
    return None if room is None else room.value - for_s * _cools_k_s(snapshot, asset)


def cold_in_s(snapshot: Snapshot, asset: Asset) -> float:
    """Until its room is at the minimum that is in force now, if its heating stays off."""
    room, minimum_c = snapshot.state(asset.id).room_c, comfort.room_min_c(snapshot, snapshot.limit(asset.id))
    cools_k_s = _cools_k_s(snapshot, asset)
    if room is None or minimum_c is None or not cools_k_s or room.value <= minimum_c:
        return math.inf
    return (room.value - minimum_c) / cools_k_s


def _cools_k_s(snapshot: Snapshot, asset: Asset) -> float:
    learnt_k_s = snapshot.memory.of(asset.id).cools_k_s
    return UNLEARNT_K_S if learnt_k_s is None else learnt_k_s
