"""Override: the household took the asset back; no instruction and no schedule holds it until it ends."""

from __future__ import annotations

from gateway.core.model import Asset, Bound, Rank, Reason, Snapshot


def bound(snapshot: Snapshot, asset: Asset) -> Bound | None:
    """At least its own demand while an override lasts."""
    ends = [o.until_s for o in snapshot.memory.overrides if o.asset == asset.id]
    until_s = max(ends, default=snapshot.now_s)
    if snapshot.now_s >= until_s:
        return None
    return Bound(
        asset.id,
        Reason.USER_OVERRIDE,
        f"the household took it back for {_words(until_s - snapshot.now_s)} more",
        Rank.OVERRIDE,
        at_least_w=asset.nominal_w,
        until_s=until_s,
    )


def _words(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 3600:.1f} h" if seconds >= 5400 else f"{seconds / 60:.0f} min"
