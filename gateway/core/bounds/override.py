"""The household's last word on an asset: taken back, so that no instruction and no schedule holds it, or
paused, so that it draws as little as it can.

"Charge now" is a taking back that ends by itself: when the car is charged, or is gone. A pause has the lowest
rank of all: no minimum of comfort or charge is broken by it.
"""

from __future__ import annotations

from gateway.core.charging import is_charged
from gateway.core.model import Asset, AssetClass, Bound, Override, Rank, Reason, Snapshot
from gateway.core.span import in_words


def bound(snapshot: Snapshot, asset: Asset) -> Bound | None:
    """At least its own demand, or at most the least it can be held at, while an override lasts."""
    lasting = [o for o in snapshot.memory.overrides if o.asset == asset.id and lasts(snapshot, asset, o)]
    if not lasting or not asset.ability.holds:
        return None
    said = max(lasting, key=lambda override: override.until_s)
    left = in_words(said.until_s - snapshot.now_s)
    if said.paused:
        text = f"the household paused it for {left} more"
        least_w, until_s = asset.ability.lowest_w, said.until_s
        return Bound(asset.id, Reason.USER_OVERRIDE, text, Rank.PAUSE, at_most_w=least_w, until_s=until_s)
    return Bound(
        asset.id,
        Reason.USER_OVERRIDE,
        f"the household charges it now, for {left} at most"
        if said.charging
        else f"the household took it back for {left} more",
        Rank.OVERRIDE,
        at_least_w=asset.nominal_w,
        until_s=said.until_s,
    )


def lasts(snapshot: Snapshot, asset: Asset, override: Override) -> bool:
    """Whether an override of the asset is in force."""
    if snapshot.now_s >= override.until_s:
        return False
    return not (override.charging and is_charged(snapshot, asset))


def is_taken_back(snapshot: Snapshot, asset: Asset) -> bool:
    """Whether the household wants it to draw what it wants."""
    said = bound(snapshot, asset)
    return said is not None and said.at_least_w is not None


def is_paused_car(snapshot: Snapshot, asset: Asset) -> bool:
    """Whether the household wants a car not to charge: no hold of ours that would have to end. A heat pump's
    does, for a room that nobody measures may get cold."""
    return asset.asset_class is AssetClass.EV and any(
        o.asset == asset.id and o.paused and lasts(snapshot, asset, o) for o in snapshot.memory.overrides
    )
