"""The base load that a site's value reckons with: followed up at once where the boundary would leave what
counts as followed, and down calmly, so that kettle, oven and fridge do not move a car each time.
"""

from __future__ import annotations

from dataclasses import replace

from gateway.core.base_load import BOUNDARY_MAX_AGE_S, base_load_w, edge_s
from gateway.core.model import Reckoned, Snapshot

ABOVE_W, ABOVE_SHARE = 100.0, 0.05  # contract, "Followed"
MARGIN_W = 100.0  # above what was seen: the noise of a home
LOWER_W = 300.0  # less than the margin and its noise is not worth a change
CALM_S = 300.0  # an oven's thermostat is off for less


def reckoned_w(snapshot: Snapshot, value_w: float) -> float | None:
    """The base load under a site's value (the tightest in force); None while the boundary meter is silent."""
    base_w, was = base_load_w(snapshot), snapshot.memory.reckoned
    if base_w is None or was is None:
        return base_w
    if base_w > was.power_w + max(ABOVE_W, ABOVE_SHARE * value_w):
        return base_w + MARGIN_W
    if was.lower_since_s is not None and snapshot.now_s - was.lower_since_s >= CALM_S:
        return max(was.peak_w, base_w) + MARGIN_W
    return was.power_w


def remembered(snapshot: Snapshot, value_w: float | None) -> Reckoned | None:
    """What is to be remembered of it; nothing while no site's value is in force."""
    if value_w is None:
        return None
    power_w, base_w, was = reckoned_w(snapshot, value_w), base_load_w(snapshot), snapshot.memory.reckoned
    if power_w is None or base_w is None:
        return None
    if base_w >= power_w - LOWER_W:
        return Reckoned(power_w)
    if was is None or was.power_w != power_w or was.lower_since_s is None:
        return Reckoned(power_w, base_w, snapshot.now_s)
    return replace(was, peak_w=max(was.peak_w, base_w))


def edges_s(snapshot: Snapshot) -> list[float]:
    """Seconds until another base load is seen under a site's value, or none, or less is reckoned with."""
    was, seen_s, boundary = snapshot.memory.reckoned, edge_s(snapshot), snapshot.boundary_w
    if was is None:
        return []
    edges = [] if was.lower_since_s is None else [was.lower_since_s + CALM_S - snapshot.now_s]
    edges += [BOUNDARY_MAX_AGE_S - boundary.age_s] if boundary else []
    return edges if seen_s is None else [*edges, seen_s]
