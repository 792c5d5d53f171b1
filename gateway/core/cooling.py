"""How a room cools while its heating is held off: learnt of the holds there were, for what is offered.

With its heating off the air falls to the walls and, as heat goes on leaving, below them; how far below them
after so long is learnt, in proportion to what drives it: the cold outdoors. No limit rests on it: a hold ends
by the room's own reading, whatever was foreseen.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

from gateway.core.bounds import chill, comfort, frost
from gateway.core.change import changed
from gateway.core.model import Asset, AssetMemory, Fall, Snapshot, Walls

MARKS_S = (600.0, 1800.0, 3600.0, 7200.0)  # since a hold began: when its fall is learnt
AIR_S = 3600.0  # in which two thirds of a difference between air and walls are gone
WALLS_S = 36_000.0  # and in which the walls follow the room
LOOKED_AT_S = 600.0
NOISE_C = 0.03  # a room is at its minimum when the first reading says so
GAINS_K = 5.0  # people, light and the sun keep a home so much warmer than it is outdoors
DRIVE_K = 20.0  # where nobody knows how cold that is
LEAST_DRIVE_K = 4.0
UNLEARNT_PER_S = 0.15 / 3600  # of a home that has not been held yet: fast, so that little is promised
ENDLESS_S = 1e6
STEEPER_MOST = 2.0  # that what was seen makes of what comes later
AHEAD_S = 6 * 3600.0  # longer holds there are none
STEP_S = 300.0


class Cooling(NamedTuple):
    """A room from now on, its heating off: what of its curve is behind it, and how far it is above it (K)."""

    curve: list[tuple[float, float]]
    off_s: float
    walls_c: float
    drive_k: float
    above_k: float

    def room_c(self, after_s: float) -> float:
        """The room after so much longer."""
        below_k = self.drive_k * _at(self.curve, self.off_s + after_s)
        return self.walls_c - below_k + self.above_k * math.exp(-after_s / AIR_S)


def remembered(snapshot: Snapshot, asset: Asset, was: AssetMemory, now: AssetMemory) -> AssetMemory:
    """`now` with the room's walls, the room at the start of a hold, and how far it fell by each mark."""
    room = comfort.room_known(snapshot, asset, snapshot.limit(asset.id))
    if room is None:
        return changed(now, fall=None, walls=None)
    walls = _followed(was.walls, snapshot.now_s, room.value)
    if not _is_learnt_of(snapshot, asset, now):
        return changed(now, fall=None, walls=walls)
    if was.fall is None:
        return replace(now, fall=Fall(snapshot.now_s, room.value, walls.temp_c), walls=walls)
    passed = bisect_right(MARKS_S, snapshot.now_s - was.fall.at_s)
    if passed == was.fall.marks:
        return changed(now, walls=walls)
    falls = _learnt(was.falls, was.fall, room.value, _drive_k(snapshot, asset, room.value), passed)
    return replace(now, fall=replace(was.fall, marks=passed), falls=falls, walls=walls)


def foreseen_c(snapshot: Snapshot, asset: Asset, for_s: float) -> float | None:
    """The room after its heating was held off for so much longer (°C); None: nobody knows the room."""
    found = _cooling(snapshot, asset)
    return found and found.room_c(for_s)


def cold_in_s(snapshot: Snapshot, asset: Asset) -> float:
    """Until its room is at the minimum in force now, or has fallen too far, if its heating stays off."""
    found = _cooling(snapshot, asset)
    if found is None:
        return math.inf
    room_c, minimum_c = found.room_c(0.0), comfort.room_min_c(snapshot, snapshot.limit(asset.id))
    ends_c = [end_c for end_c in (minimum_c, chill.coldest_c(snapshot, asset)) if end_c is not None]
    end_c = max((end_c for end_c in ends_c if end_c < room_c), default=-math.inf)
    for_s = 0.0
    while for_s < AHEAD_S:
        before_c, room_c = room_c, found.room_c(for_s + STEP_S)
        if room_c <= end_c:
            return for_s + STEP_S * (before_c - end_c) / (before_c - room_c)
        for_s += STEP_S
    return math.inf


def _cooling(snapshot: Snapshot, asset: Asset) -> Cooling | None:
    room, was = snapshot.state(asset.id).room_c, snapshot.memory.of(asset.id)
    if room is None:
        return None
    walls_c = was.walls.temp_c if was.walls else room.value
    off_s = snapshot.now_s - was.fall.at_s if was.fall else 0.0
    curve, drive_k = _curve(was), _drive_k(snapshot, asset, room.value)
    return Cooling(curve, off_s, walls_c, drive_k, room.value - walls_c + drive_k * _at(curve, off_s))


def _is_learnt_of(snapshot: Snapshot, asset: Asset, now: AssetMemory) -> bool:
    """Whether its heating stands still, held; or, where nobody knows how cold it is outside, by itself: else
    a cold spell would be known too late."""
    state = snapshot.state(asset.id)
    is_seen = state.running is not None or state.power_w is not None
    return now.held_w == 0 or (is_seen and not now.running and _outdoor_c(snapshot, asset) is None)


def _drive_k(snapshot: Snapshot, asset: Asset, room_c: float) -> float:
    """What makes it cool: by how much it is warmer than it would be unheated (K)."""
    cold_c = _outdoor_c(snapshot, asset)
    return DRIVE_K if cold_c is None else max(LEAST_DRIVE_K, room_c - GAINS_K - cold_c)


def _outdoor_c(snapshot: Snapshot, asset: Asset) -> float | None:
    """How cold it is outside, where that is seen: what was known last may be of another season."""
    is_seen = frost.is_known(snapshot.state(asset.id).outdoor_c)
    return frost.outdoor_c(snapshot, asset) if is_seen else None


def _followed(was: Walls | None, now_s: float, room_c: float) -> Walls:
    """The walls as they have followed the room, looked at every ten minutes."""
    if was is None:
        return Walls(now_s, room_c)
    looks = (now_s - was.at_s) // LOOKED_AT_S
    if looks < 1:
        return was
    part = 1.0 - math.exp(-looks * LOOKED_AT_S / WALLS_S)
    return Walls(was.at_s + looks * LOOKED_AT_S, was.temp_c + part * (room_c - was.temp_c))


def _learnt(
    known: tuple[float, ...], fall: Fall, room_c: float, drive_k: float, passed: int
) -> tuple[float, ...]:
    """A steeper fall is believed at once, a milder one by halves; what comes later goes with it until it is
    seen again."""
    falls = list(known)
    for mark in range(fall.marks, passed):
        rest_k = (fall.room_c - fall.walls_c) * math.exp(-MARKS_S[mark] / AIR_S)
        fell = max(0.0, fall.walls_c + rest_k - room_c) / drive_k
        before = falls[mark] if mark < len(falls) else fell
        believed = max(fell, (before + fell) / 2)
        steeper = min(STEEPER_MOST, believed / before) if before else 1.0
        falls[mark:] = [believed, *(later * steeper for later in falls[mark + 1 :])]
    return tuple(falls)


def _curve(was: AssetMemory) -> list[tuple[float, float]]:
    """How far it is below its walls after so long, never less than before; beyond what was learnt as steep as
    it was last, for it only grows flatter, and at least half as steep as all the while."""
    known = [(0.0, 0.0)]
    for at_s, fell in zip(MARKS_S, was.falls, strict=False):
        known.append((at_s, max(fell, known[-1][1])))
    last_s, last = known[-1]
    slope = UNLEARNT_PER_S
    if len(known) > 1:
        before_s, before = known[-2]
        slope = max((last - before) / (last_s - before_s), last / last_s / 2)
    return [*known, (last_s + ENDLESS_S, last + ENDLESS_S * slope)]


def _at(curve: list[tuple[float, float]], for_s: float) -> float:
    """How far it is below its walls after so long."""
    for (from_s, fell), (to_s, falls) in pairwise(curve):
        if for_s <= to_s:
            return fell + (falls - fell) * (for_s - from_s) / (to_s - from_s)
    return curve[-1][1]
