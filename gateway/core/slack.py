"""Slack: what of its longest possible deferral an asset has left, one number for all classes; and the order
it makes: of a value for several, who can least afford to be held gets power first.

The order is looked at every quarter of an hour and two neighbours change places only where the difference is
clear, so that nobody is switched to and fro.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.core.bounds import blocks, care, comfort, frost
from gateway.core.charging import need_ws, next_deadline
from gateway.core.cooling import cold_in_s
from gateway.core.model import Asset, Snapshot
from gateway.core.ready import takes_s

LOOKED_AT_S = 900.0  # a compressor has had its run and its rest of ten minutes by then
CLEAR = 0.2  # of the whole: six times what 0.1 K of a thermometer's noise makes of a room's
ROOM_S = 7200.0  # a room that stays warm for so long has all its slack: contract, longest hold of heat


class Slack(NamedTuple):
    """`left` is 1 where nothing asks for power soon, 0 where it may be put off no longer; `text`: of what."""

    left: float
    text: str


def slack(snapshot: Snapshot, asset: Asset) -> Slack:
    """The least that its hold, its room or its charge leaves."""
    found = (*_of_holds(snapshot, asset), *_of_room(snapshot, asset), *_of_charge(snapshot, asset))
    left, what = min(found, default=(1.0, "any deferral"), key=lambda one: one[0])
    left = min(1.0, max(0.0, left))
    return Slack(left, f"{left:.0%} of {what} left")


def order(snapshot: Snapshot) -> tuple[str, ...]:
    """The assets, who gets power first before: as remembered, with neighbours changed if it is time for that;
    where nothing is remembered by their slack, among equals as configured."""
    ids, was = [asset.id for asset in snapshot.assets], snapshot.memory
    kept = [id_ for id_ in was.order if id_ in ids]
    found = [*kept, *(id_ for id_ in ids if id_ not in kept)]
    if kept and not _is_time(snapshot):
        return tuple(found)
    left = {asset.id: slack(snapshot, asset).left for asset in snapshot.assets}
    if not kept:
        return tuple(sorted(ids, key=left.__getitem__))
    for n in range(len(found) - 1, 0, -1):
        if left[found[n]] + CLEAR <= left[found[n - 1]]:
            found[n - 1 : n + 1] = [found[n], found[n - 1]]
    return tuple(found)


def remembered(snapshot: Snapshot, *, shares: bool) -> tuple[tuple[str, ...], float | None]:
    """The order and when it was last looked at; nothing while no value is shared."""
    if not shares:
        return (), None
    is_looked_at = not snapshot.memory.order or _is_time(snapshot)
    return order(snapshot), snapshot.now_s if is_looked_at else snapshot.memory.ordered_s


def edges_s(snapshot: Snapshot) -> list[float]:
    """Seconds until the order is looked at again."""
    ordered_s = snapshot.memory.ordered_s
    return [] if ordered_s is None else [ordered_s + LOOKED_AT_S - snapshot.now_s]


def _is_time(snapshot: Snapshot) -> bool:
    return all(edge <= 0 for edge in edges_s(snapshot))


def _of_holds(snapshot: Snapshot, asset: Asset) -> list[tuple[float, str]]:
    limits, was = snapshot.limit(asset.id), snapshot.memory.of(asset.id)
    held_s, off_s = comfort.held_in_all_s(was, snapshot.now_s), care.off_s(snapshot, was) or 0.0
    longest_s = frost.longest_hold_s(snapshot, asset, limits)
    spans = [(held_s, longest_s, "its longest hold"), (off_s, limits.longest_off_s, "its longest off")]
    if limits.blocks_per_day is not None:
        spans.append((blocks.held_of_day_s(snapshot, asset), limits.held_per_day_s, "its holds of a day"))
    return [(1.0 - gone_s / all_s if all_s else 0.0, what) for gone_s, all_s, what in spans]


def _of_room(snapshot: Snapshot, asset: Asset) -> list[tuple[float, str]]:
    limits = snapshot.limit(asset.id)
    minimum_c, room = comfort.room_min_c(snapshot, limits), comfort.room_known(snapshot, asset, limits)
    if room is None and minimum_c is None:
        return []
    is_warm = room is not None and (minimum_c is None or room.value > minimum_c)
    has_fallen = snapshot.memory.of(asset.id).chilled
    return [(cold_in_s(snapshot, asset) / ROOM_S if is_warm and not has_fallen else 0.0, "its room's warmth")]


def _of_charge(snapshot: Snapshot, asset: Asset) -> list[tuple[float, str]]:
    if snapshot.memory.of(asset.id).aims:
        return [(0.0, "the time to the SoC that is asked for")]
    need, deadline = need_ws(snapshot, asset), next_deadline(snapshot, asset)
    if not need or deadline is None:
        return []
    left_s = deadline.utc_s - snapshot.utc_s
    return [(1.0 - takes_s(snapshot, asset, need) / left_s, f"the time to {deadline.words}")]
