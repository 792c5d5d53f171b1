"""Care for the appliance: a compressor that started runs for its minimum, one that was held rests for its;
one behind a plug is not off for longer than it may, nor off again before it was on for long enough. None
is started by us more often than it bears, and what cools food runs as soon as its air is too warm.

The defaults (10 min run and rest, 3 starts an hour and 8 a day for heat) are the proposals for compressors
without published figures of their own; a device's profile or the installer may say otherwise. Only of what
we hold by its own controller is a rest promised: a plug's timer, a power cut or a hand may end an off at any
time, so nothing here relies on one lasting. A car and a plug are back at once when the household asks.
"""

from __future__ import annotations

import math
from dataclasses import replace

from gateway.core.bounds import override
from gateway.core.change import changed
from gateway.core.charging import is_plugged
from gateway.core.model import (
    UNKNOWN_LONG_S,
    Asset,
    AssetClass,
    AssetMemory,
    Bound,
    Limits,
    Quality,
    Rank,
    Reason,
    Snapshot,
)
from gateway.core.span import in_words

HOUR_S, DAY_S = 3600.0, 86_400.0
STARTS_KEPT = 24  # as many as any limit names


def bound(snapshot: Snapshot, asset: Asset) -> Bound | None:
    """Not held when its food is too warm, off for long enough, in its minimum run or started often enough;
    not let go in its minimum rest."""
    if not asset.ability.holds:
        return None
    limits, memory = snapshot.limit(asset.id), snapshot.memory.of(asset.id)
    return (
        _food_too_warm(snapshot, asset, limits)
        or _off_long_enough(snapshot, asset, limits, memory)
        or _on_too_short(snapshot, asset, limits, memory)
        or _runs(snapshot, asset, limits, memory)
        or _rests(snapshot, asset, limits, memory)
        or _started_enough(snapshot, asset, limits, memory)
    )


def remembered(snapshot: Snapshot, asset: Asset, was: AssetMemory, now: AssetMemory) -> AssetMemory:
    """`now` with the starts we caused since a day: one more where an off of ours has just ended."""
    limits = snapshot.limit(asset.id).care
    if limits.starts_per_hour is None and limits.starts_per_day is None:
        return changed(now, starts_s=())
    starts_s = tuple(at_s for at_s in now.starts_s if snapshot.now_s - at_s < DAY_S)
    if was.held_w == 0 and now.held_w != 0:
        starts_s = (*starts_s, snapshot.now_s)
    return changed(now, starts_s=starts_s[-STARTS_KEPT:])


def level_since_s(memory: AssetMemory) -> float | None:
    """Since when it is held at its present level; None: it is not held."""
    return memory.held_since_s if memory.moved_s is None else memory.moved_s


def rests(snapshot: Snapshot, asset: Asset) -> bool:
    """Whether it was held off so shortly ago that it stays off."""
    return _rests(snapshot, asset, snapshot.limit(asset.id), snapshot.memory.of(asset.id)) is not None


def lets_run(asset: Asset, text: str, until_s: float = math.inf) -> Bound:
    """It is not held, for its own sake."""
    least_w = asset.nominal_w
    return Bound(asset.id, Reason.APPLIANCE_LIMIT, text, Rank.CARE, at_least_w=least_w, until_s=until_s)


def edges_s(snapshot: Snapshot, asset: Asset) -> list[float]:
    """Seconds to the end of the longest off, whether it is off already or is switched off now."""
    limits, memory = snapshot.limit(asset.id), snapshot.memory.of(asset.id)
    return [limits.longest_off_s - (off_s(snapshot, memory) or 0.0)]


def off_s(snapshot: Snapshot, memory: AssetMemory) -> float | None:
    """How long we have held it off, on the long side where nobody knows; None: we do not."""
    if memory.held_w != 0 or memory.held_since_s is None:
        return None
    return math.inf if memory.held_s >= UNKNOWN_LONG_S else snapshot.now_s - memory.held_since_s


def _food_too_warm(snapshot: Snapshot, asset: Asset, limits: Limits) -> Bound | None:
    air, most_c = snapshot.state(asset.id).air_c, limits.care.air_max_c
    if air is None or most_c is None or air.quality is Quality.BAD or air.value < most_c:
        return None
    text = f"its air is at {air.value:.1f} °C, food keeps below {most_c:.1f} °C"
    return lets_run(asset, text)


def _off_long_enough(snapshot: Snapshot, asset: Asset, limits: Limits, memory: AssetMemory) -> Bound | None:
    is_off_s = off_s(snapshot, memory)
    if is_off_s is None or is_off_s < limits.longest_off_s or math.isinf(limits.longest_off_s):
        return None
    text = f"off for {in_words(limits.longest_off_s)}, the longest allowed"
    until_s = snapshot.now_s + limits.shortest_on_s
    return lets_run(asset, text, until_s)


def _on_too_short(snapshot: Snapshot, asset: Asset, limits: Limits, memory: AssetMemory) -> Bound | None:
    if memory.held_w is not None or memory.let_go_s is None:
        return None
    # An off of unknown length counts as one that was followed by none of the rest it asks for.
    rest_s = limits.rest_s if math.isfinite(limits.longest_off_s) and memory.held_s >= UNKNOWN_LONG_S else 0.0
    until_s = memory.let_go_s + max(limits.shortest_on_s, rest_s)
    if snapshot.now_s >= until_s:
        return None
    left = in_words(until_s - snapshot.now_s)
    return lets_run(asset, f"was off, stays on for {left} more", until_s)


def _runs(snapshot: Snapshot, asset: Asset, limits: Limits, memory: AssetMemory) -> Bound | None:
    if memory.held_w is not None or not memory.running or memory.running_since_s is None:
        return None
    ran_s = snapshot.now_s - memory.running_since_s
    if ran_s >= limits.min_run_s:
        return None
    text = f"runs for {ran_s:.0f} s, minimum {limits.min_run_s:.0f} s"
    until_s = memory.running_since_s + limits.min_run_s
    return replace(lets_run(asset, text, until_s), reason=Reason.MINIMUM_RUN)


def _rests(snapshot: Snapshot, asset: Asset, limits: Limits, memory: AssetMemory) -> Bound | None:
    since_s = level_since_s(memory)
    if memory.held_w != 0 or since_s is None or _is_back_at_once(snapshot, asset):
        return None
    rested_s = snapshot.now_s - since_s
    if rested_s >= limits.min_rest_s:
        return None
    text = f"rests for {rested_s:.0f} s, minimum {limits.min_rest_s:.0f} s"
    if asset.asset_class is AssetClass.PLUG:
        text += " unless the plug's own timer, a power cut or a hand ends it sooner"
    until_s = since_s + limits.min_rest_s
    return Bound(asset.id, Reason.APPLIANCE_LIMIT, text, Rank.CARE, at_most_w=0, until_s=until_s)


def _is_back_at_once(snapshot: Snapshot, asset: Asset) -> bool:
    """Whether its rest gives way: a person at a plug or a car, or no car there that could rest."""
    if asset.asset_class is AssetClass.HEAT:
        return False
    return override.is_taken_back(snapshot, asset) or not is_plugged(snapshot, asset)


def _started_enough(snapshot: Snapshot, asset: Asset, limits: Limits, memory: AssetMemory) -> Bound | None:
    """What is off goes on being off: its end is counted already by when it began."""
    if memory.held_w == 0:
        return None
    windows = ((limits.care.starts_per_hour, HOUR_S, "hour"), (limits.care.starts_per_day, DAY_S, "day"))
    for most, within_s, word in windows:
        if most is None or len(memory.starts_s) < most:
            continue
        until_s = memory.starts_s[-most] + within_s
        if snapshot.now_s < until_s:
            text = f"was switched off and on by us {most} times within the {word}, the most it bears"
            return Bound(asset.id, Reason.APPLIANCE_LIMIT, text, Rank.CARE, at_least_w=1, until_s=until_s)
    return None
