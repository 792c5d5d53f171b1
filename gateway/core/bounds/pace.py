"""Pace: what has steps, a charger, is told another power so often and not for less than it bears. Its
contactor, and cars that give up after repeated pauses, are spared one pause after another.

Only what instructions and the household's schedule wish waits: a limit never does, neither way. Lower goes
however little it is, for a cap is a cap. Figures: ocpp reference 4. Rank: below everything.
"""

from __future__ import annotations

from dataclasses import replace

from gateway.core.bounds import wear
from gateway.core.bounds.care import level_since_s
from gateway.core.change import changed
from gateway.core.charging import is_plugged
from gateway.core.model import (
    Asset,
    AssetMemory,
    Bound,
    Governor,
    Rank,
    Reason,
    Setpoint,
    Snapshot,
)
from gateway.core.room import Room


def bound(snapshot: Snapshot, asset: Asset) -> Bound | None:
    """Not let run soon after a pause began, not paused soon after one ended."""
    turned_s = _turned_s(snapshot, asset)
    if turned_s is None:
        return None
    until_s = turned_s + snapshot.limit(asset.id).care.pause_s
    if snapshot.now_s >= until_s:
        return None
    ago, left = f"{snapshot.now_s - turned_s:.0f} s ago", f"{until_s - snapshot.now_s:.0f} s more"
    waits = Bound(asset.id, Reason.APPLIANCE_LIMIT, "", Rank.PACE, until_s=until_s)
    if snapshot.memory.of(asset.id).held_w == 0:
        return replace(waits, text=f"was paused {ago}, waits {left} before it runs", at_most_w=0)
    text = f"was let run {ago}, waits {left} before it is paused"
    return replace(waits, text=text, at_least_w=asset.ability.at_or_above(1))


def paced(snapshot: Snapshot, asset: Asset, setpoint: Setpoint, room: Room) -> Setpoint:
    """The setpoint, or the present one for a while longer where the room that limits leave allows that."""
    was_w, now_w = snapshot.memory.of(asset.id).held_w, setpoint.at_most_w
    if now_w == was_w or not _may_stay(asset, was_w, room):
        return setpoint
    if was_w is not None and now_w is not None and wear.is_spent(snapshot, asset):
        text = wear.words(snapshot, asset)
        return Setpoint(asset.id, was_w, Governor.LIMIT, Reason.APPLIANCE_LIMIT, text)
    if not _is_paced(snapshot, asset):
        return setpoint
    if wait_s := _wait_s(snapshot, asset):
        text = f"waits {wait_s:.0f} s: it was told another power just now"
        return Setpoint(asset.id, was_w, Governor.LIMIT, Reason.APPLIANCE_LIMIT, text)
    least_w = snapshot.limit(asset.id).care.min_change_w
    if was_w is None or now_w is None or not 0 < now_w - was_w < least_w:
        return setpoint
    text = f"held at {was_w} W: {now_w - was_w} W more are less than the {least_w} W a change is worth"
    return replace(setpoint, at_most_w=was_w, reason=Reason.APPLIANCE_LIMIT, text=text)


def edges_s(snapshot: Snapshot, asset: Asset) -> list[float]:
    """Seconds until what waits may go."""
    return [_wait_s(snapshot, asset)] if _is_paced(snapshot, asset) else []


def remembered(snapshot: Snapshot, asset: Asset, was: AssetMemory, now: AssetMemory) -> AssetMemory:
    """`now` with when it was last let run after a pause, for as long as that matters."""
    if not _is_paced(snapshot, asset) or now.held_w == 0:
        return changed(now, resumed_s=None)
    resumed_s = snapshot.now_s if was.held_w == 0 else was.resumed_s
    is_over = resumed_s is None or snapshot.now_s - resumed_s >= snapshot.limit(asset.id).care.pause_s
    return changed(now, resumed_s=None if is_over else resumed_s)


def _is_paced(snapshot: Snapshot, asset: Asset) -> bool:
    return asset.ability.range_w is not None and is_plugged(snapshot, asset)


def _turned_s(snapshot: Snapshot, asset: Asset) -> float | None:
    """When it was last paused, or let run again."""
    was = snapshot.memory.of(asset.id)
    if 0 not in asset.ability.levels_w or not _is_paced(snapshot, asset):
        return None
    return level_since_s(was) if was.held_w == 0 else was.resumed_s


def _wait_s(snapshot: Snapshot, asset: Asset) -> float:
    """What is left until it may be told another power."""
    was = snapshot.memory.of(asset.id)
    since_s = was.let_go_s if was.held_w is None else level_since_s(was)
    if since_s is None:
        return 0.0
    return max(0.0, since_s + snapshot.limit(asset.id).care.change_every_s - snapshot.now_s)


def _may_stay(asset: Asset, was_w: int | None, room: Room) -> bool:
    """Whether no limit asks for more, or for less."""
    power_w = asset.nominal_w if was_w is None else min(was_w, asset.nominal_w)
    if room.high_w is not None and power_w > room.high_w:
        return False
    if was_w is None:
        return True
    is_level = asset.ability.at_or_below(was_w) == was_w
    return is_level and room.low_w <= was_w and room.low_w < asset.nominal_w
