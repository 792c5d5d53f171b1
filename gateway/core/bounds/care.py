"""Care for the appliance: a compressor that started runs for its minimum, one that was held rests for its.

Defaults (10 min each) are the proposals for compressors without published figures of their own;
a device's profile or the installer may say otherwise.
"""

from __future__ import annotations

from gateway.core.model import Asset, Bound, Rank, Reason, Snapshot


def bound(snapshot: Snapshot, asset: Asset) -> Bound | None:
    """Not held while in its minimum run; not let go while in its minimum rest."""
    if not asset.ability.holds:
        return None
    limits, memory = snapshot.limit(asset.id), snapshot.memory.of(asset.id)
    if memory.held_w is None and memory.running and memory.running_since_s is not None:
        ran_s = snapshot.now_s - memory.running_since_s
        if ran_s < limits.min_run_s:
            return Bound(
                asset.id,
                Reason.MINIMUM_RUN,
                f"runs for {ran_s:.0f} s, minimum {limits.min_run_s:.0f} s",
                Rank.CARE,
                at_least_w=asset.nominal_w,
                until_s=memory.running_since_s + limits.min_run_s,
            )
    if memory.held_w == 0 and memory.held_since_s is not None:
        rested_s = snapshot.now_s - memory.held_since_s
        if rested_s < limits.min_rest_s:
            return Bound(
                asset.id,
                Reason.APPLIANCE_LIMIT,
                f"rests for {rested_s:.0f} s, minimum {limits.min_rest_s:.0f} s",
                Rank.CARE,
                at_most_w=0,
                until_s=memory.held_since_s + limits.min_rest_s,
            )
    return None
