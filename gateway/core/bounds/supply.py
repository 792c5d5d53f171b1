"""Supply: what the fuses of the home leave for the assets we hold. Outranks everything.

Turned down within one reading of the meter, restored only after there was room for a while. What had
to be switched off is not switched on and off with kettle and oven: only after a quarter of an hour in which
nothing the home drew would have switched it off again, and twice an hour at most. A silent boundary meter
leaves the configured safe power, never the whole fuse.
"""

from __future__ import annotations

import math

from gateway.core.change import changed
from gateway.core.fuse import Line, demand_w, drawn, left_for
from gateway.core.model import (
    Asset,
    AssetMemory,
    Bound,
    Rank,
    Reason,
    Setpoint,
    Snapshot,
    Supply,
    Turn,
)
from gateway.core.span import in_words

ROOM_W = 500  # over its demand, before what was switched off for the fuse is switched on again
STEADY_W = 100  # over the least it runs at, all the while before it is started: the noise of a home


def bound(snapshot: Snapshot, asset: Asset, found: tuple[Line, ...]) -> Bound | None:
    """At most what the fuses found leave it, if that is less than it draws or, once let go, could draw."""
    supply = snapshot.supply
    if supply is None or not asset.ability.holds:
        return None
    was = snapshot.memory.of(asset.id)
    left, draws_w = left_for(found, asset), demand_w(snapshot, asset, found)
    rested_s = starts_at_s(supply, was)
    if rested_s is not None and snapshot.now_s < rested_s:
        return _at_most(asset, 0, f"{left.text}; {_waits(supply)}", rested_s)
    allowed_w = left.allowed_w(asset, draws_w, is_on=was.held_w != 0)
    if allowed_w < draws_w:
        return _at_most(asset, max(0, allowed_w), left.text)
    if was.held_w is None or was.short_s is None or snapshot.now_s - was.short_s >= supply.restore_s:
        return None
    if _gives_way_last(snapshot, asset) and left.power_w >= _switched_w(snapshot) + ROOM_W:
        return None
    ago_s = snapshot.now_s - was.short_s
    text = f"the fuse left it too little {ago_s:.0f} s ago, waits {supply.restore_s:.0f} s"
    return _at_most(asset, was.held_w, text, was.short_s + supply.restore_s)


def starts_at_s(supply: Supply, was: AssetMemory) -> float | None:
    """From when on what is off for the fuse may be started, if there is room until then; None: it is not."""
    if was.held_w != 0 or was.starved_s is None:
        return None
    fed_s = -math.inf if was.fed_s is None else was.fed_s
    return max(was.starved_s + supply.restart_s, fed_s + supply.starts_apart_s)


def remembered(
    snapshot: Snapshot, asset: Asset, found: tuple[Line, ...], setpoint: Setpoint | None, now: AssetMemory
) -> AssetMemory:
    """`now` with what the fuses found made of it, and with what it drew when it was told another power."""
    was = snapshot.memory.of(asset.id)
    turn = was.turn
    if now.held_w != was.held_w:
        until_now = drawn(snapshot, asset, min((meter.age_s for meter in snapshot.meters), default=None))
        turn = Turn(snapshot.now_s, until_now.least_w, until_now.most_w)
    is_fed = was.starved_s is not None and now.held_w != 0
    return changed(
        now,
        turn=turn,
        short_s=_short_s(snapshot, asset, found),
        starved_s=_starved_s(snapshot, asset, setpoint, was),
        fed_s=snapshot.now_s if is_fed else was.fed_s,
    )


def _short_s(snapshot: Snapshot, asset: Asset, found: tuple[Line, ...]) -> float | None:
    """When it was last left less than it draws, or could draw once let go."""
    if snapshot.supply is None or not asset.ability.holds:
        return None
    is_short = left_for(found, asset).power_w < demand_w(snapshot, asset, found)
    return snapshot.now_s if is_short else snapshot.memory.of(asset.id).short_s


def _starved_s(snapshot: Snapshot, asset: Asset, setpoint: Setpoint | None, was: AssetMemory) -> float | None:
    """What keeps food cold is back as soon as it may be; what else is off for the fuse waits."""
    is_food = math.isfinite(snapshot.limit(asset.id).longest_off_s)
    if snapshot.supply is None or setpoint is None or setpoint.at_most_w != 0 or is_food:
        return None
    is_starved = setpoint.reason is Reason.SUPPLY_LIMIT and not setpoint.waits
    return snapshot.now_s if is_starved else was.starved_s


def _at_most(asset: Asset, power_w: int, text: str, until_s: float = math.inf) -> Bound:
    return Bound(asset.id, Reason.SUPPLY_LIMIT, text, Rank.SUPPLY, at_most_w=power_w, until_s=until_s)


def _gives_way_last(snapshot: Snapshot, asset: Asset) -> bool:
    """Whether it can only be on or off, and another is there that can be lowered in steps before."""
    stepped = [a for a in snapshot.assets if a.ability.range_w]
    return asset.ability.range_w is None and bool(stepped)


def _switched_w(snapshot: Snapshot) -> int:
    """What all assets that can only be on or off draw at most."""
    return sum(a.nominal_w for a in snapshot.assets if a.ability.holds and a.ability.range_w is None)


def _waits(supply: Supply) -> str:
    rest, apart = (in_words(seconds) for seconds in (supply.restart_s, supply.starts_apart_s))
    return f"off for it until there was room for {rest}, and {apart} from one start to the next"
