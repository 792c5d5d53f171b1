"""What the home draws besides the assets we hold: the boundary meter less the assets' own power.

While an asset is being moved its reading and the boundary's are of different moments: for a short time
what was seen before holds, or each step down would be taken for load that came.
"""

from __future__ import annotations

from dataclasses import replace

from gateway.core.fuse import assets_power_w
from gateway.core.model import BaseLoad, Quality, Snapshot

BOUNDARY_MAX_AGE_S = 30.0  # a site's value needs the boundary meter; P1 sends each 1-10 s, a CAD each 10 s
MOVES_FOR_S = 15.0  # a charger ramps, and the slowest meter we take sends each 10 s
BELIEVED_FOR_S = 30.0  # assets that are moved all the time do not hide what the home draws


def base_load_w(snapshot: Snapshot) -> float | None:
    """The base load to reckon with; None while the boundary meter is silent."""
    boundary, was = snapshot.boundary_w, snapshot.memory.base_load
    if boundary is None or boundary.quality is Quality.BAD or boundary.age_s > BOUNDARY_MAX_AGE_S:
        return None
    if was and _holds(was, snapshot.now_s):
        return was.power_w
    return boundary.value - assets_power_w(snapshot)


def base_load(snapshot: Snapshot, *, moved: bool) -> BaseLoad | None:
    """What is to be remembered of it; `moved`: an asset was asked for another power just now."""
    power_w, was, now_s = base_load_w(snapshot), snapshot.memory.base_load, snapshot.now_s
    if power_w is None:
        return None
    moved_s = now_s if moved else was.moved_s if was else now_s - MOVES_FOR_S
    if was and _holds(was, now_s):
        return replace(was, moved_s=moved_s)
    return BaseLoad(power_w, now_s, moved_s)


def edge_s(snapshot: Snapshot) -> float | None:
    """Seconds until what was seen before no longer stands for it; None: it does not now."""
    was, now_s = snapshot.memory.base_load, snapshot.now_s
    if was is None or not _holds(was, now_s):
        return None
    return min(was.moved_s + MOVES_FOR_S, was.at_s + BELIEVED_FOR_S) - now_s


def _holds(was: BaseLoad, now_s: float) -> bool:
    return now_s - was.moved_s < MOVES_FOR_S and now_s - was.at_s < BELIEVED_FOR_S
