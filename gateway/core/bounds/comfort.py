"""Comfort: the room's minimum and maximum by time of day, the hot water's minimum, and the longest hold (the
household's own schedule is none).

A home whose room or hot water cannot be seen is not held. Rank: below everything but charge.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from gateway.core.bounds import frost
from gateway.core.bounds.override import is_paused_car
from gateway.core.model import (
    Asset,
    AssetClass,
    AssetMemory,
    Bound,
    Limits,
    Quality,
    Rank,
    Reading,
    Reason,
    Snapshot,
    Timetable,
)
from gateway.core.schedule import scheduled_w
from gateway.core.span import in_words

# What the longest hold of each spares.
HELD_FOR_LONG = {
    AssetClass.EV: Reason.CHARGE_LIMIT,
    AssetClass.HEAT: Reason.COMFORT_LIMIT,
    AssetClass.PLUG: Reason.APPLIANCE_LIMIT,
}


def bound(snapshot: Snapshot, asset: Asset) -> Bound | None:
    """The most urgent of: room or hot water unknown or too cold, held for long enough, room too warm."""
    if not asset.ability.holds:
        return None
    limits, memory = snapshot.limit(asset.id), snapshot.memory.of(asset.id)
    return (
        _cold(snapshot, asset, limits, memory)
        or _water_cold(snapshot, asset, limits)
        or _held_long_enough(snapshot, asset, limits, memory)
        or _warm(snapshot, asset, limits, memory)
    )


def room_min_c(snapshot: Snapshot, limits: Limits) -> float | None:
    """The minimum in force; the highest of the week while the clock cannot be trusted."""
    return _in_force(snapshot, limits.room_min_c, max)


def room_max_c(snapshot: Snapshot, limits: Limits) -> float | None:
    """The maximum in force; the lowest of the week while the clock cannot be trusted."""
    return _in_force(snapshot, limits.room_max_c, min)


def room_known(snapshot: Snapshot, asset: Asset, limits: Limits) -> Reading | None:
    """The room's temperature, unless it is bad or older than the household allows."""
    room = snapshot.state(asset.id).room_c
    if room is None or room.quality is Quality.BAD or room.age_s > limits.room_max_age_s:
        return None
    return room


def is_water_cold(snapshot: Snapshot, asset: Asset) -> bool:
    """Whether the hot water was at its minimum and has not come far enough back since."""
    limits, was = snapshot.limit(asset.id), snapshot.memory.of(asset.id).water_cold
    minimum_c, water = limits.water_min_c, _water_known(snapshot, asset)
    if minimum_c is None or water is None:
        return was and minimum_c is not None
    return water.value <= minimum_c or (was and water.value < minimum_c + limits.water_hysteresis_c)


def held_in_all_s(memory: AssetMemory, now_s: float) -> float:
    """How long it was held since its last full rest, the present hold included; by more than the household's
    own schedule."""
    if memory.held_since_s is None:
        return memory.held_s
    until_s = now_s if memory.scheduled_since_s is None else memory.scheduled_since_s
    return memory.held_s + until_s - memory.held_since_s


def rest_left_s(snapshot: Snapshot, asset: Asset) -> float:
    """How much of the rest in force is still to come after the present hold, or the last one."""
    memory, rest_s = snapshot.memory.of(asset.id), frost.rest_s(snapshot, asset, snapshot.limit(asset.id))
    if memory.held_w is not None or memory.let_go_s is None:
        return rest_s
    return rest_s - (snapshot.now_s - memory.let_go_s)


def _in_force(
    snapshot: Snapshot, table: Timetable, strictest: Callable[[tuple[float, ...]], float]
) -> float | None:
    if snapshot.clock_trusted:
        return table.at(snapshot.utc_s)
    values = table.values()
    return strictest(values) if values else None


def _cold(snapshot: Snapshot, asset: Asset, limits: Limits, memory: AssetMemory) -> Bound | None:
    minimum_c = room_min_c(snapshot, limits)
    if minimum_c is None:
        return None
    room = room_known(snapshot, asset, limits)
    if room is None:
        return _let_run(asset, f"room temperature unknown, minimum {minimum_c:.1f} °C")
    if room.value <= minimum_c or (memory.too_cold and room.value < minimum_c + limits.hysteresis_c):
        return _let_run(asset, f"room {room.value:.1f} °C, minimum {minimum_c:.1f} °C")
    return None


def _water_known(snapshot: Snapshot, asset: Asset) -> Reading | None:
    water = snapshot.state(asset.id).water_c
    return None if water is None or water.quality is Quality.BAD else water


def _water_cold(snapshot: Snapshot, asset: Asset, limits: Limits) -> Bound | None:
    minimum_c, water = limits.water_min_c, _water_known(snapshot, asset)
    if minimum_c is None:
        return None
    if water is None:
        return _let_run(asset, f"hot water unknown, minimum {minimum_c:.1f} °C")
    if is_water_cold(snapshot, asset):
        return _let_run(asset, f"hot water {water.value:.1f} °C, minimum {minimum_c:.1f} °C")
    return None


def _held_long_enough(snapshot: Snapshot, asset: Asset, limits: Limits, memory: AssetMemory) -> Bound | None:
    longest_s = frost.longest_hold_s(snapshot, asset, limits)
    if held_in_all_s(memory, snapshot.now_s) < longest_s or is_paused_car(snapshot, asset):
        return None
    rest_s, left_s = frost.rest_s(snapshot, asset, limits), rest_left_s(snapshot, asset)
    if memory.held_w is None and left_s <= 0:
        return None
    when = " in such frost" if longest_s < limits.longest_hold_s else ""
    longer = f", {in_words(rest_s)} in all as it freezes" if rest_s > limits.rest_s else ""
    text = f"held for {in_words(longest_s)}, the longest allowed{when}; rests {in_words(left_s)} more{longer}"
    bound = leaves_schedule(snapshot, asset, text, snapshot.now_s + left_s)
    return replace(bound, reason=HELD_FOR_LONG[asset.asset_class])


def leaves_schedule(snapshot: Snapshot, asset: Asset, text: str, until_s: float) -> Bound:
    """No instruction holds it any more; the household's own schedule goes on."""
    return Bound(
        asset.id,
        Reason.COMFORT_LIMIT,
        text,
        Rank.COMFORT,
        at_least_w=_scheduled_w(snapshot, asset),
        until_s=until_s,
        leaves_schedule=True,
    )


def _scheduled_w(snapshot: Snapshot, asset: Asset) -> int:
    """What the household's own schedule lets it draw: that goes on when an instruction's hold has ended."""
    own_w = scheduled_w(snapshot, asset)
    if own_w is None or own_w >= asset.nominal_w:
        return asset.nominal_w
    level_w = asset.ability.at_or_below(own_w)
    return level_w if level_w is not None else asset.ability.lowest_w or 0


def _warm(snapshot: Snapshot, asset: Asset, limits: Limits, memory: AssetMemory) -> Bound | None:
    maximum_c = room_max_c(snapshot, limits)
    room = room_known(snapshot, asset, limits)
    if maximum_c is None or room is None:
        return None
    if room.value >= maximum_c or (memory.too_warm and room.value > maximum_c - limits.hysteresis_c):
        text = f"room {room.value:.1f} °C, maximum {maximum_c:.1f} °C"
        return Bound(asset.id, Reason.COMFORT_LIMIT, text, Rank.COMFORT, at_most_w=asset.ability.lowest_w)
    return None


def _let_run(asset: Asset, text: str, until_s: float = math.inf) -> Bound:
    return Bound(
        asset.id,
        Reason.COMFORT_LIMIT,
        text,
        Rank.COMFORT,
        at_least_w=asset.nominal_w,
        until_s=until_s,
    )
