"""Supply: what the home's one fuse leaves for the assets we hold. Outranks everything.

Turned down within one reading of the boundary meter, restored only after there was room for a while. What had
to be switched off is not switched on and off with kettle and oven: only after a quarter of an hour in which
nothing the home drew would have switched it off again, and twice an hour at most. A silent boundary meter
leaves the configured safe power, never the whole fuse.

What an asset draws is known later than what the home draws, and least while it follows what it was told. So
where the boundary meter shows more than the fuse, assets are lowered as if they drew the least they may: what
it shows is taken down at once. But none is off before that is needed even if they drew the most they may.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from gateway.core.model import (
    Asset,
    AssetMemory,
    Bound,
    Quality,
    Rank,
    Reading,
    Reason,
    Setpoint,
    Snapshot,
    Supply,
    Turn,
)

ROOM_W = 500  # over its demand, before what was switched off for the fuse is switched on again
STEADY_W = 100  # over the least it runs at, all the while before it is started: the noise of a home
FOLLOWS_S = 10.0  # a car follows within 5 s (IEC 61851-1), its charger needs some before


@dataclass(frozen=True, slots=True)
class Drawn:
    """What an asset drew when the boundary meter read (W): at the least, in all likelihood, at the most."""

    least_w: float
    likely_w: float
    most_w: float


@dataclass(frozen=True, slots=True)
class Left:
    """Watts the fuse leaves for assets: what they are lowered to; the most and the least it can be; why."""

    power_w: int
    most_w: int
    least_w: int
    text: str

    def less(self, power_w: int) -> Left:
        """What is left when as much is taken of it."""
        return replace(
            self,
            power_w=self.power_w - power_w,
            most_w=self.most_w - power_w,
            least_w=self.least_w - power_w,
        )

    def allowed_w(self, asset: Asset, draws_w: int) -> int:
        """What an asset may draw of it: off only where that is sure to be needed."""
        on_w = min(least_on_w(asset), draws_w)
        return on_w if self.power_w < on_w <= self.most_w else self.power_w


def bound(snapshot: Snapshot, asset: Asset) -> Bound | None:
    """At most what the fuse leaves, if that is less than the asset draws or, once let go, could draw."""
    supply = snapshot.supply
    if supply is None or not asset.ability.holds:
        return None
    left, was = left_for_assets(snapshot, supply), snapshot.memory.of(asset.id)
    rested_s = starts_at_s(supply, was)
    if rested_s is not None and snapshot.now_s < rested_s:
        return _at_most(asset, 0, f"{left.text}; {_waits(supply)}", rested_s)
    allowed_w = left.allowed_w(asset, demand_w(snapshot, asset))
    if allowed_w < demand_w(snapshot, asset):
        return _at_most(asset, max(0, allowed_w), left.text)
    tight_s = snapshot.memory.supply_tight_s
    if was.held_w is None or tight_s is None or snapshot.now_s - tight_s >= supply.restore_s:
        return None
    if _gives_way_last(snapshot, asset) and left.power_w >= _switched_w(snapshot) + ROOM_W:
        return None
    text = f"the fuse was at its limit {snapshot.now_s - tight_s:.0f} s ago, waits {supply.restore_s:.0f} s"
    return _at_most(asset, was.held_w, text, tight_s + supply.restore_s)


def starts_at_s(supply: Supply, was: AssetMemory) -> float | None:
    """From when on what is off for the fuse may be started, if there is room until then; None: it is not."""
    if was.held_w != 0 or was.starved_s is None:
        return None
    fed_s = -math.inf if was.fed_s is None else was.fed_s
    return max(was.starved_s + supply.restart_s, fed_s + supply.starts_apart_s)


def remembered(
    snapshot: Snapshot, asset: Asset, setpoint: Setpoint | None, was: AssetMemory, now: AssetMemory
) -> AssetMemory:
    """`now` with what the fuse made of it, and with what it drew when it was told another power."""
    turn = was.turn
    if now.held_w != was.held_w:
        until_now = drawn(snapshot, asset)
        turn = Turn(snapshot.now_s, until_now.least_w, until_now.most_w)
    starved_s = _starved_s(snapshot, asset, setpoint, was)
    is_fed = was.starved_s is not None and now.held_w != 0
    return replace(now, turn=turn, starved_s=starved_s, fed_s=snapshot.now_s if is_fed else was.fed_s)


def demand_w(snapshot: Snapshot, asset: Asset) -> int:
    """What the asset draws while it is its owner's; the most it could draw if that is not seen."""
    power = snapshot.state(asset.id).power_w
    if power is None or snapshot.memory.of(asset.id).held_w is not None:
        return asset.nominal_w
    is_over = snapshot.supply is not None and _is_over(snapshot, snapshot.supply)
    return math.ceil(drawn(snapshot, asset).most_w if is_over else power.value)


def least_on_w(asset: Asset) -> int:
    """The least it can be held at while it runs; what it draws at all if it can only be off."""
    return asset.ability.at_or_above(1) or asset.nominal_w


def left_for_assets(snapshot: Snapshot, supply: Supply) -> Left:
    """What the fuse leaves for all assets we hold together."""
    boundary = snapshot.boundary_w
    if boundary is None or _is_silent(boundary, supply):
        safe_w = supply.unmetered_w
        return Left(safe_w, safe_w, safe_w, f"boundary meter silent, {safe_w} W allowed meanwhile")
    assets = [drawn(snapshot, asset) for asset in snapshot.assets if asset.ability.holds]
    room_w = supply.fuse_w - boundary.value
    least_w = room_w + sum(asset.least_w for asset in assets)
    likely_w = room_w + sum(asset.likely_w for asset in assets)
    most_w = room_w + sum(asset.most_w for asset in assets)
    power_w = least_w if _is_over(snapshot, supply) else likely_w
    text = f"fuse {supply.fuse_w} W, the rest of the home draws {supply.fuse_w - power_w:.0f} W"
    return Left(int(power_w), int(most_w), int(least_w), text)


def assets_power_w(snapshot: Snapshot) -> float:
    """What the assets we can hold drew together when the boundary meter read, at the least."""
    return sum(drawn(snapshot, asset).least_w for asset in snapshot.assets if asset.ability.holds)


def drawn(snapshot: Snapshot, asset: Asset) -> Drawn:
    """What an asset drew when the boundary meter read.

    One that is not seen counts as nothing (the safe side). A held one counts for no more than it is held
    to, for its own reading may be older than the boundary's; but a boundary reading from before it was
    told holds what it drew until then, and for a while it may not have followed.
    """
    reading, boundary = snapshot.state(asset.id).power_w, snapshot.boundary_w
    was = snapshot.memory.of(asset.id)
    if reading is None:
        return Drawn(0.0, 0.0, 0.0)
    may_w = asset.nominal_w if was.held_w is None else was.held_w
    least_w = reading.value if was.held_w is None else min(reading.value, may_w)
    if boundary is None:
        return Drawn(least_w, least_w, least_w)
    most_w = max(least_w, may_w) if reading.age_s > boundary.age_s else least_w
    if was.turn is None or reading.age_s <= snapshot.now_s - was.turn.at_s - FOLLOWS_S:
        return Drawn(least_w, least_w, most_w)
    since_s = snapshot.now_s - boundary.age_s - was.turn.at_s
    if since_s <= 0:
        return Drawn(was.turn.least_w, was.turn.least_w, was.turn.most_w)
    if since_s >= FOLLOWS_S or reading.value <= may_w < was.turn.least_w:
        return Drawn(least_w, may_w, max(least_w, may_w))
    most_w = max(least_w, may_w, was.turn.most_w)
    return Drawn(least_w, most_w, most_w)


def _is_silent(boundary: Reading, supply: Supply) -> bool:
    return boundary.quality is Quality.BAD or boundary.age_s > supply.max_age_s


def _is_over(snapshot: Snapshot, supply: Supply) -> bool:
    """Whether the boundary meter shows more than the fuse."""
    boundary = snapshot.boundary_w
    return boundary is not None and not _is_silent(boundary, supply) and boundary.value > supply.fuse_w


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
    rest, apart = (f"{seconds / 60:.0f} min" for seconds in (supply.restart_s, supply.starts_apart_s))
    return f"off for it until there was room for {rest}, and {apart} from one start to the next"
