"""Care for the appliance: a compressor that started runs for its minimum, one that was held rests for its;
one behind a plug is not off for longer than it may, nor off again before it was on for long enough.

The defaults (10 min run and rest for heat) are the proposals for compressors without published figures of
their own; a device's profile or the installer may say otherwise. A rest is for what we hold by its own
controller: a plug's own timer may end an off at any time, so nothing here relies on one lasting.
"""

from __future__ import annotations

import math

from gateway.core.model import (
    UNKNOWN_LONG_S,
    Asset,
    AssetMemory,
    Bound,
    Limits,
    Rank,
    Reason,
    Snapshot,
)


def bound(snapshot: Snapshot, asset: Asset) -> Bound | None:
    """Not held in its minimum run or when off for long enough; not let go in its minimum rest."""
    if not asset.ability.holds:
        return None
    limits, memory = snapshot.limit(asset.id), snapshot.memory.of(asset.id)
    return (
        _off_long_enough(snapshot, asset, limits, memory)
        or _on_too_short(snapshot, asset, limits, memory)
        or _runs(snapshot, asset, limits, memory)
        or _rests(snapshot, asset, limits, memory)
    )


def edges_s(snapshot: Snapshot, asset: Asset) -> list[float]:
    """Seconds to the end of the longest off, whether it is off already or is switched off now."""
    limits, memory = snapshot.limit(asset.id), snapshot.memory.of(asset.id)
    return [limits.longest_off_s - (off_s(snapshot, memory) or 0.0)]


def off_s(snapshot: Snapshot, memory: AssetMemory) -> float | None:
    """How long we have held it off, on the long side where nobody knows; None: we do not."""
    if memory.held_w != 0 or memory.held_since_s is None:
        return None
    return math.inf if memory.held_s >= UNKNOWN_LONG_S else snapshot.now_s - memory.held_since_s


def _off_long_enough(snapshot: Snapshot, asset: Asset, limits: Limits, memory: AssetMemory) -> Bound | None:
    is_off_s = off_s(snapshot, memory)
    if is_off_s is None or is_off_s < limits.longest_off_s or math.isinf(limits.longest_off_s):
        return None
    text = f"off for {_words(limits.longest_off_s)}, the longest allowed"
    until_s = snapshot.now_s + limits.shortest_on_s
    return _lets_run(asset, Reason.APPLIANCE_LIMIT, text, until_s)


def _on_too_short(snapshot: Snapshot, asset: Asset, limits: Limits, memory: AssetMemory) -> Bound | None:
    if memory.held_w is not None or memory.let_go_s is None:
        return None
    # An off of unknown length counts as one that was followed by none of the rest it asks for.
    rest_s = limits.rest_s if math.isfinite(limits.longest_off_s) and memory.held_s >= UNKNOWN_LONG_S else 0.0
    until_s = memory.let_go_s + max(limits.shortest_on_s, rest_s)
    if snapshot.now_s >= until_s:
        return None
    left = _words(until_s - snapshot.now_s)
    return _lets_run(asset, Reason.APPLIANCE_LIMIT, f"was off, stays on for {left} more", until_s)


def _runs(snapshot: Snapshot, asset: Asset, limits: Limits, memory: AssetMemory) -> Bound | None:
    if memory.held_w is not None or not memory.running or memory.running_since_s is None:
        return None
    ran_s = snapshot.now_s - memory.running_since_s
    if ran_s >= limits.min_run_s:
        return None
    text = f"runs for {ran_s:.0f} s, minimum {limits.min_run_s:.0f} s"
    return _lets_run(asset, Reason.MINIMUM_RUN, text, memory.running_since_s + limits.min_run_s)


def _rests(snapshot: Snapshot, asset: Asset, limits: Limits, memory: AssetMemory) -> Bound | None:
    if memory.held_w != 0 or memory.held_since_s is None:
        return None
    rested_s = snapshot.now_s - memory.held_since_s
    if rested_s >= limits.min_rest_s:
        return None
    return Bound(
        asset.id,
        Reason.APPLIANCE_LIMIT,
        f"rests for {rested_s:.0f} s, minimum {limits.min_rest_s:.0f} s",
        Rank.CARE,
        at_most_w=0,
        until_s=memory.held_since_s + limits.min_rest_s,
    )


def _lets_run(asset: Asset, reason: Reason, text: str, until_s: float) -> Bound:
    return Bound(asset.id, reason, text, Rank.CARE, at_least_w=asset.nominal_w, until_s=until_s)


def _words(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
