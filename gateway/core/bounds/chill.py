"""Chill: a hold ends when its room has fallen too far since it began, so that a heat pump comes back by
itself and not with its backup heater.

Holds with less than a full rest between them are one. What the household's own schedule holds is none, nor
is what nobody measures: the longest hold ends that. Rank: with comfort.
"""

from __future__ import annotations

from gateway.core.bounds.comfort import leaves_schedule, rest_left_s, room_known
from gateway.core.change import changed
from gateway.core.model import Asset, AssetMemory, Bound, Snapshot
from gateway.core.span import in_words


def bound(snapshot: Snapshot, asset: Asset) -> Bound | None:
    """Not held when its room has fallen by the most allowed, and before it has rested from that."""
    limits, was = snapshot.limit(asset.id), snapshot.memory.of(asset.id)
    left_s, has_fallen = rest_left_s(snapshot, asset), was.chilled or _has_fallen(snapshot, asset)
    if not asset.ability.holds or not has_fallen or (was.held_w is None and left_s <= 0):
        return None
    began = "" if was.began_c is None else f" from {was.began_c:.1f} °C"
    fell = f"room fell{began} by {limits.most_fall_k:.1f} K, the most in a hold"
    text = f"{fell}; rests {in_words(left_s)} more"
    return leaves_schedule(snapshot, asset, text, snapshot.now_s + left_s)


def coldest_c(snapshot: Snapshot, asset: Asset) -> float | None:
    """What a hold may let the room fall to, one that begins now included; None: nobody knows the room."""
    room, began_c = snapshot.state(asset.id).room_c, snapshot.memory.of(asset.id).began_c
    if room is None:
        return None
    return (room.value if began_c is None else began_c) - snapshot.limit(asset.id).most_fall_k


def remembered(snapshot: Snapshot, asset: Asset, now: AssetMemory, *, is_scheduled: bool) -> AssetMemory:
    """`now` with the room when its hold began, and whether it has fallen too far since."""
    was, room = snapshot.memory.of(asset.id), room_known(snapshot, asset, snapshot.limit(asset.id))
    began_c, chilled = was.began_c, was.chilled or _has_fallen(snapshot, asset)
    if was.held_w is None and rest_left_s(snapshot, asset) <= 0:
        began_c, chilled = None, False
    if now.held_w is not None and began_c is None and room is not None:
        began_c = room.value
    return changed(now, began_c=None if is_scheduled else began_c, chilled=chilled)


def _has_fallen(snapshot: Snapshot, asset: Asset) -> bool:
    limits, began_c = snapshot.limit(asset.id), snapshot.memory.of(asset.id).began_c
    room = room_known(snapshot, asset, limits)
    return room is not None and began_c is not None and room.value <= began_c - limits.most_fall_k
