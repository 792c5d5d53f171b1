"""Wear: what its device's memory bears so often a day is begun no more once only the reserve is left.

Two changes are kept for the fuse, down and back; the device itself keeps one more for giving it back. What
is held then stays as it is or is let go. Figures: the device's profile, modbus reference C6. Rank: care.
"""

from __future__ import annotations

from gateway.core.bounds.care import lets_run
from gateway.core.model import Asset, Bound, Quality, Snapshot

HOLD_AND_BACK = 2  # a hold and its end
RESERVE = 1  # to be lowered for the fuse; its end is the one that the device keeps


def bound(snapshot: Snapshot, asset: Asset) -> Bound | None:
    """Not held by anything but the fuse once too few changes are left."""
    if not asset.ability.holds or snapshot.memory.of(asset.id).held_w is not None:
        return None
    if not is_spent(snapshot, asset):
        return None
    return lets_run(asset, words(snapshot, asset))


def is_spent(snapshot: Snapshot, asset: Asset, changes: int = HOLD_AND_BACK) -> bool:
    """Whether its memory bears fewer changes than that and the reserve; nobody knows: its device says so."""
    left = snapshot.state(asset.id).changes_left
    return left is not None and left.quality is not Quality.BAD and left.value < changes + RESERVE


def words(snapshot: Snapshot, asset: Asset) -> str:
    """What is left, and of how many."""
    left = snapshot.state(asset.id).changes_left
    most = asset.ability.changes_per_day
    of = f" of {most} a day" if most is not None else ""
    return f"{left.value if left else 0:.0f} changes left{of}, kept for the fuse and for giving it back"
