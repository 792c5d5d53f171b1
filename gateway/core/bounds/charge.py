"""Charge: a car below its minimum is not held, one at its maximum is; one that must be ready in time is
charged as fast as that takes once its latest start has passed.

Rank: with comfort. The latest start reckons with what this car was seen to take, less and less of it when
nearly full; with a small car's power until it was seen, and then the first thing a late car does is to show
it.

A store that heats is held to the same, in its own words, and has what it needs by the end of its charging
hours; in others the household's schedule keeps it off, but not below its minimum.
"""

from __future__ import annotations

import math

from gateway.core.change import changed
from gateway.core.charging import (
    WS_PER_KWH,
    is_known,
    is_plugged,
    is_store,
    need_ws,
    next_deadline,
    soc,
    surely_soc,
)
from gateway.core.model import Asset, AssetMemory, Bound, Charge, Deadline, Rank, Reason, Snapshot
from gateway.core.ready import enough_w, is_late, takes_s

HYSTERESIS = 0.02  # of the SoC: a car tells whole per cents
MISSED_FOR_S = 12 * 3600.0  # a deadline that was missed stays in force


def bound(snapshot: Snapshot, asset: Asset) -> Bound | None:
    """The most urgent of: full, below the minimum, not ready in time unless it is charged now."""
    charge = snapshot.limit(asset.id).charge
    if charge is None or not asset.ability.holds or not is_plugged(snapshot, asset):
        return None
    return _full(snapshot, asset, charge) or _empty(snapshot, asset, charge) or _late(snapshot, asset, charge)


def edges_s(snapshot: Snapshot, asset: Asset) -> list[float]:
    """Seconds to the deadline and to the latest start for it."""
    deadline = next_deadline(snapshot, asset)
    if deadline is None:
        return []
    left_s, need = deadline.utc_s - snapshot.utc_s, need_ws(snapshot, asset)
    edges = [left_s, left_s - takes_s(snapshot, asset, need)] if need else [left_s]
    return [math.ceil(edge * 1000) / 1000 for edge in edges]  # less is nothing to a clock of this century


def remembered(snapshot: Snapshot, asset: Asset, was: AssetMemory) -> AssetMemory:
    """The memory with what keeps these bounds from flapping."""
    charge, known = snapshot.limit(asset.id).charge, soc(snapshot, asset)
    if charge is None:
        return changed(was, too_empty=False, too_full=False, late_for_utc_s=None)
    deadline = _missed_otherwise(snapshot, asset)
    return changed(
        was,
        too_empty=known is not None and _is_empty(charge, known.value, was),
        too_full=known is not None and _is_full(charge, known.value, was),
        late_for_utc_s=deadline.utc_s if deadline else None,
    )


def _is_empty(charge: Charge, value: float, was: AssetMemory) -> bool:
    if charge.min_soc is None:
        return False
    return value < charge.min_soc or (was.too_empty and value < charge.min_soc + HYSTERESIS)


def _is_full(charge: Charge, value: float, was: AssetMemory) -> bool:
    if charge.max_soc is None:
        return False
    return value >= charge.max_soc or (was.too_full and value > charge.max_soc - HYSTERESIS)


def _full(snapshot: Snapshot, asset: Asset, charge: Charge) -> Bound | None:
    known = soc(snapshot, asset)
    if known is None or not _is_full(charge, known.value, snapshot.memory.of(asset.id)):
        return None
    text = f"{_level(asset)} {known.value:.0%}, maximum {charge.max_soc:.0%}"
    return Bound(asset.id, _reason(asset), text, Rank.COMFORT, at_most_w=0)


def _empty(snapshot: Snapshot, asset: Asset, charge: Charge) -> Bound | None:
    known = soc(snapshot, asset)
    if known:
        if _is_empty(charge, known.value, snapshot.memory.of(asset.id)):
            return _charges(asset, f"{_level(asset)} {known.value:.0%}, minimum {charge.min_soc:.0%}")
        return None
    if is_store(asset) and charge.min_soc is not None:
        return _charges(asset, f"level of its store unknown, minimum {charge.min_soc:.0%}")
    surely = surely_soc(snapshot, asset)
    if charge.min_soc is None or charge.need_ws is not None or surely >= charge.min_soc:
        return None  # `need_kwh` is the household's word on a SoC nobody knows
    return _charges(asset, f"charge unknown, surely {surely:.0%}, minimum {charge.min_soc:.0%}")


def _late(snapshot: Snapshot, asset: Asset, charge: Charge) -> Bound | None:
    need = need_ws(snapshot, asset)
    if not need or not charge.deadlines:
        return None
    needed = f"{need / WS_PER_KWH:.2f} kWh still needed"
    if not snapshot.clock_trusted:
        return _charges(asset, f"{needed}, and the clock is not trusted")
    deadline = _missed_otherwise(snapshot, asset)
    if deadline is None:
        return None
    left_s = deadline.utc_s - snapshot.utc_s
    if left_s <= 0:
        until_s = snapshot.now_s + left_s + MISSED_FOR_S
        return _charges(asset, f"{needed}, it was to be ready by {deadline.words}", until_s=until_s)
    text, until_s = f"{needed} by {deadline.words}", snapshot.now_s + left_s
    if not is_known(snapshot, asset):
        return _charges(asset, f"{text}, and how fast it charges is not known yet", until_s=until_s)
    return _charges(asset, text, enough_w(snapshot, asset, need, left_s), until_s)


def _missed_otherwise(snapshot: Snapshot, asset: Asset) -> Deadline | None:
    """The deadline whose latest start has passed; it stays so till nothing is needed any more, or so much
    less that there is time enough again."""
    need, late_for_utc_s = need_ws(snapshot, asset), snapshot.memory.of(asset.id).late_for_utc_s
    if not need:
        return None
    if missed := _missed(snapshot, asset, late_for_utc_s):
        return missed
    deadline = next_deadline(snapshot, asset)
    if deadline is None:
        return None
    left_s, was_late = deadline.utc_s - snapshot.utc_s, late_for_utc_s == deadline.utc_s
    return deadline if is_late(snapshot, asset, need, left_s, was_late=was_late) else None


def _missed(snapshot: Snapshot, asset: Asset, late_for_utc_s: float | None) -> Deadline | None:
    """The deadline that has passed while the car was not ready; after half a day it is given up."""
    charge = snapshot.limit(asset.id).charge
    if charge is None or late_for_utc_s is None or not snapshot.clock_trusted:
        return None
    ago_s = snapshot.utc_s - late_for_utc_s
    found = (d for d in charge.deadlines if d.utc_s == late_for_utc_s)
    return next(found, None) if 0 <= ago_s < MISSED_FOR_S else None


def _level(asset: Asset) -> str:
    return "its store at" if is_store(asset) else "charged to"


def _reason(asset: Asset) -> Reason:
    return Reason.COMFORT_LIMIT if is_store(asset) else Reason.CHARGE_LIMIT


def _charges(asset: Asset, text: str, at_least_w: int | None = None, until_s: float = math.inf) -> Bound:
    return Bound(
        asset.id,
        _reason(asset),
        text,
        Rank.COMFORT,
        at_least_w=asset.nominal_w if at_least_w is None else at_least_w,
        until_s=until_s,
    )
