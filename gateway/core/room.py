"""What the bounds of all local rules together leave an asset."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from gateway.core.model import Bound, Rank


@dataclass(frozen=True, slots=True)
class Room:
    """What all local rules together leave an asset: never less than `low_w`, never more than `high_w`.

    `why` is what is told of `high`: what only waits for a fuse is no reason where another rule holds as low.
    `insisted_w` is the most that a rule would have it draw, also where one of a higher rank leaves less.
    `scheduled_w`: from here up only the household's own schedule may hold it; None: instructions may as well.
    """

    low_w: int = 0
    high_w: int | None = None
    low: Bound | None = None
    high: Bound | None = None
    why: Bound | None = None
    insisted_w: int = 0
    scheduled_w: int | None = None


def room_left(bounds: Iterable[Bound]) -> Room:
    """Intersect bounds from the highest rank down; where they leave nothing, the higher rank wins."""
    room, ranked = Room(), sorted(bounds, key=lambda b: -b.rank)
    for bound in ranked:
        if bound.at_most_w is not None and (room.high_w is None or bound.at_most_w < room.high_w):
            high_w = max(bound.at_most_w, room.low_w)
            room = Room(room.low_w, high_w, room.low, bound, bound)
        elif bound.at_most_w is not None and bound.at_most_w == room.high_w and _waits(room.why):
            room = replace(room, why=bound)
        if bound.at_least_w is not None and bound.at_least_w > room.low_w:
            low_w = bound.at_least_w if room.high_w is None else min(bound.at_least_w, room.high_w)
            if low_w > room.low_w:
                room = replace(room, low_w=low_w, low=bound)
    insisted_w = max((b.at_least_w or 0 for b in ranked), default=0)
    spent = (b.at_least_w for b in ranked if b.leaves_schedule)
    return replace(room, insisted_w=insisted_w, scheduled_w=next(spent, None))


def _waits(bound: Bound | None) -> bool:
    return bound is not None and bound.rank is Rank.SUPPLY and math.isfinite(bound.until_s)
