"""Override: the household took the asset back; no instruction and no schedule holds it until it ends.

"Charge now" is one that ends by itself: when the car is charged, or is gone.
"""

from __future__ import annotations

from gateway.core.charging import is_charged
from gateway.core.model import Asset, Bound, Override, Rank, Reason, Snapshot


def bound(snapshot: Snapshot, asset: Asset) -> Bound | None:
    """At least its own demand while an override lasts."""
    lasting = [o for o in snapshot.memory.overrides if o.asset == asset.id and lasts(snapshot, asset, o)]
    if not lasting:
        return None
    taken = max(lasting, key=lambda override: override.until_s)
    left = _words(taken.until_s - snapshot.now_s)
    return Bound(
        asset.id,
        Reason.USER_OVERRIDE,
        f"the household charges it now, for {left} at most"
        if taken.charging
        else f"the household took it back for {left} more",
        Rank.OVERRIDE,
        at_least_w=asset.nominal_w,
        until_s=taken.until_s,
    )


def lasts(snapshot: Snapshot, asset: Asset, override: Override) -> bool:
    """Whether an override of the asset is in force."""
    if snapshot.now_s >= override.until_s:
        return False
    return not (override.charging and is_charged(snapshot, asset))


def _words(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 3600:.1f} h" if seconds >= 5400 else f"{seconds / 60:.0f} min"
