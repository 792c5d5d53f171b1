"""What the bounds of all local rules together leave an asset."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.core.model import Bound


@dataclass(frozen=True, slots=True)
class Room:
    """What all local rules together leave an asset: never less than `low_w`, never more than `high_w`."""

    low_w: int = 0
    high_w: int | None = None
    low: Bound | None = None
    high: Bound | None = None


def room_left(bounds: Iterable[Bound]) -> Room:
    """Intersect bounds from the highest rank down; where they leave nothing, the higher rank wins."""
    room = Room()
    for bound in sorted(bounds, key=lambda b: -b.rank):
        if bound.at_most_w is not None and (room.high_w is None or bound.at_most_w < room.high_w):
            high_w = max(bound.at_most_w, room.low_w)
            room = Room(room.low_w, high_w, room.low, bound)
        if bound.at_least_w is not None and bound.at_least_w > room.low_w:
            low_w = bound.at_least_w if room.high_w is None else min(bound.at_least_w, room.high_w)
            if low_w > room.low_w:
                room = Room(low_w, room.high_w, bound, room.high)
    return room
