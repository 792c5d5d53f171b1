"""How fast a car has to charge to have so much by a moment: its latest start, and a power that is enough.

The latest start leaves a fifth of the power unused: chargers and cars ramp, and share.
"""

from __future__ import annotations

import math

from gateway.core.charging import careful_w, charging_s
from gateway.core.model import Asset, Snapshot

USED_SHARE = 0.8  # of the power, when it has to be ready in time
IN_TIME, IN_TIME_S = 1.5, 900.0  # what it takes, and seconds more: then a late car is late no more
AHEAD, FAR_AHEAD = 1.05, 1.2  # of what is needed: a charger is not told a new power each second


def takes_s(snapshot: Snapshot, asset: Asset, need: int) -> float:
    """How long before the moment so much energy (metered) has to be begun with."""
    return charging_s(snapshot, asset, need) / USED_SHARE


def is_late(snapshot: Snapshot, asset: Asset, need: int, left_s: float, *, was_late: bool) -> bool:
    """Whether the latest start has passed; who was late is so until there is time enough again."""
    due_s = takes_s(snapshot, asset, need)
    return left_s <= (max(IN_TIME * due_s, due_s + IN_TIME_S) if was_late else due_s)


def enough_w(snapshot: Snapshot, asset: Asset, need: int, left_s: float) -> int:
    """A power that is enough: the present one while it is near, else a little more than is needed."""
    needed_w = careful_w(snapshot, asset) * charging_s(snapshot, asset, need) / left_s
    held_w = snapshot.memory.of(asset.id).held_w
    if held_w is not None and needed_w <= held_w <= FAR_AHEAD * needed_w:
        return held_w
    return min(asset.nominal_w, math.ceil(AHEAD * needed_w))
