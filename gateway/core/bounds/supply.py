"""Supply: what the home's one fuse leaves for the assets we hold. Outranks everything.

Turned down within one reading of the boundary meter, restored only after there was room for a while.
A silent boundary meter leaves the configured safe power, never the whole fuse.
"""

from __future__ import annotations

from gateway.core.model import Asset, Bound, Quality, Rank, Reason, Snapshot, Supply

ROOM_W = 500  # over its demand, before what was switched off for the fuse is switched on again


def bound(snapshot: Snapshot, asset: Asset) -> Bound | None:
    """At most what the fuse leaves, if that is less than the asset draws or, once let go, could draw."""
    supply = snapshot.supply
    if supply is None or not asset.ability.holds:
        return None
    left_w, text = left_for_assets(snapshot, supply)
    if left_w < demand_w(snapshot, asset):
        return Bound(asset.id, Reason.SUPPLY_LIMIT, text, Rank.SUPPLY, at_most_w=max(0, left_w))
    tight_s, held_w = snapshot.memory.supply_tight_s, snapshot.memory.of(asset.id).held_w
    if held_w is None or tight_s is None or snapshot.now_s - tight_s >= supply.restore_s:
        return None
    if _gives_way_last(snapshot, asset) and left_w >= _switched_w(snapshot) + ROOM_W:
        return None
    return Bound(
        asset.id,
        Reason.SUPPLY_LIMIT,
        f"the fuse was at its limit {snapshot.now_s - tight_s:.0f} s ago, waits {supply.restore_s:.0f} s",
        Rank.SUPPLY,
        at_most_w=held_w,
        until_s=tight_s + supply.restore_s,
    )


def _gives_way_last(snapshot: Snapshot, asset: Asset) -> bool:
    """Whether it can only be on or off, and another is there that can be lowered in steps before."""
    stepped = [a for a in snapshot.assets if a.ability.range_w]
    return asset.ability.range_w is None and bool(stepped)


def _switched_w(snapshot: Snapshot) -> int:
    """What all assets that can only be on or off draw at most."""
    return sum(a.nominal_w for a in snapshot.assets if a.ability.holds and a.ability.range_w is None)


def demand_w(snapshot: Snapshot, asset: Asset) -> float:
    """What the asset draws while it is its owner's; the most it could draw if that is not seen."""
    power = snapshot.state(asset.id).power_w
    if power is None or snapshot.memory.of(asset.id).held_w is not None:
        return asset.nominal_w
    return power.value


def left_for_assets(snapshot: Snapshot, supply: Supply) -> tuple[int, str]:
    """Watts the fuse leaves for all assets we hold together, and the reason in words."""
    boundary = snapshot.boundary_w
    if boundary is None or boundary.quality is Quality.BAD or boundary.age_s > supply.max_age_s:
        return supply.unmetered_w, f"boundary meter silent, {supply.unmetered_w} W allowed meanwhile"
    other_w = boundary.value - assets_power_w(snapshot)
    left_w = int(supply.fuse_w - other_w)
    return left_w, f"fuse {supply.fuse_w} W, the rest of the home draws {other_w:.0f} W"


def assets_power_w(snapshot: Snapshot) -> float:
    """What the assets we can hold draw together; one that is not seen counts as nothing (the safe side).

    A held one counts for no more than it is held to: its own reading may be older than the boundary's.
    """
    total_w = 0.0
    for asset in snapshot.assets:
        reading = snapshot.state(asset.id).power_w
        if asset.ability.holds and reading:
            held_w = snapshot.memory.of(asset.id).held_w
            total_w += reading.value if held_w is None else min(reading.value, held_w)
    return total_w
