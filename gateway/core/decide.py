"""decide(snapshot) -> Plan: bounds, share, settle. Pure and total; the one place where power is decided."""

from __future__ import annotations

import math

from gateway.core import preheat, reckoning, schedule, slack
from gateway.core.aim import Aim
from gateway.core.bounds import (
    backup,
    blocks,
    care,
    charge,
    chill,
    comfort,
    frost,
    hygiene,
    override,
    pace,
    supply,
    wear,
)
from gateway.core.charging import is_plugged
from gateway.core.demand import is_idle
from gateway.core.fuse import Line, lines
from gateway.core.model import (
    Asset,
    AssetClass,
    Bound,
    Extent,
    Given,
    Kind,
    Plan,
    Quality,
    Reason,
    Setpoint,
    Snapshot,
)
from gateway.core.room import Room, room_left
from gateway.core.settle import settle, under_the_fuses
from gateway.core.share import Claim, Share, by_asset, in_force, next_start_s, shares, wish

# Highest rank first; of one rank the first wins: a full car is not let go for it was held for long enough,
# and a defrost does not wait for the compressor's rest.
RULES = (
    frost.bound,
    hygiene.bound,
    backup.bound,
    care.bound,
    wear.bound,
    override.bound,
    charge.bound,
    comfort.bound,
    chill.bound,
    blocks.bound,
    pace.bound,
)


def decide(snapshot: Snapshot) -> Plan:
    """What each asset does now, what each instruction gets, and when this may change by time alone."""
    fuses = lines(snapshot)
    bounds = {asset.id: bounds_of(snapshot, asset, fuses) for asset in snapshot.assets}
    rooms = {asset.id: room_left(bounds[asset.id]) for asset in snapshot.assets}
    active = in_force(snapshot)
    claims = {
        a.id: Claim(rooms[a.id].low_w, rooms[a.id].high_w, is_idle(snapshot, a)) for a in snapshot.assets
    }
    shared = shares(snapshot, active, claims)
    own = by_asset(shared)
    wishes = {a.id: wish(snapshot, a, own.get(a.id, ())) for a in snapshot.assets}
    settled = [settle(asset, wishes[asset.id], rooms[asset.id]) for asset in snapshot.assets]
    settled = [
        pace.paced(snapshot, asset, setpoint, rooms[asset.id])
        for asset, setpoint in zip(snapshot.assets, settled, strict=True)
    ]
    settled = under_the_fuses(snapshot, settled, fuses)
    settled = preheat.raised(snapshot, settled, fuses, bounds, own)
    setpoints = {setpoint.asset: setpoint for setpoint in settled}
    assets = {asset.id: asset for asset in snapshot.assets}
    away = {asset.id: _away(snapshot, asset) for asset in snapshot.assets}
    given = tuple(
        _given(
            snapshot,
            assets[s.asset],
            s,
            setpoints[s.asset],
            rooms[s.asset],
            away[s.asset] or _unraised(snapshot, assets[s.asset], s, setpoints[s.asset], bounds[s.asset]),
        )
        for s in shared
    )
    edges = [moment.until_s - snapshot.now_s for moment in active]
    edges += [b.until_s - snapshot.now_s for found in bounds.values() for b in found]
    edges += [s.aim.starts_in_s for s in shared if s.aim]
    edges += [*reckoning.edges_s(snapshot), *slack.edges_s(snapshot)]
    return Plan(tuple(settled), given, _next_change_s(snapshot, setpoints, edges))


def bounds_of(snapshot: Snapshot, asset: Asset, fuses: tuple[Line, ...]) -> list[Bound]:
    """What the fuses and each rule say of the asset, the highest rank first."""
    found = [bound for rule in RULES if (bound := rule(snapshot, asset))]
    fuse = supply.bound(snapshot, asset, fuses)
    return [fuse, *found] if fuse else found


def _away(snapshot: Snapshot, asset: Asset) -> tuple[Reason, str] | None:
    """Why nothing can be given, whatever is asked."""
    if not snapshot.state(asset.id).online:
        return Reason.DEVICE_OFFLINE, "device does not answer"
    if not is_plugged(snapshot, asset):
        return Reason.NOT_CONNECTED, "no car is plugged in"
    return None


def _unraised(
    snapshot: Snapshot, asset: Asset, share: Share, setpoint: Setpoint, bounds: list[Bound]
) -> tuple[Reason, str] | None:
    """Why what heats does not draw more though it is asked to: of all else, to be let run is enough."""
    is_asked = share.in_force.step.kind is Kind.FLOOR and share.asked_w
    if not is_asked or asset.asset_class is not AssetClass.HEAT or setpoint.raised:
        return None
    if preheat.draws_enough(snapshot, asset, share):
        return None
    if why := preheat.why_not(snapshot, asset, bounds):
        return why
    if setpoint.reason is not Reason.NONE:
        return setpoint.reason, setpoint.text
    return Reason.SUPPLY_LIMIT, "the fuses leave too little for it to draw more"


def _given(
    snapshot: Snapshot,
    asset: Asset,
    share: Share,
    setpoint: Setpoint,
    room: Room,
    away: tuple[Reason, str] | None,
) -> Given:
    moment = share.in_force
    extent, reason, text = _extent(asset, share, setpoint, room, away)
    return Given(
        moment.instruction.id,
        asset.id,
        moment.step.kind,
        share.asked_w if share.asked_w is not None else moment.step.power_w,
        setpoint.at_most_w,
        extent,
        reason,
        text,
        share.governs,
        _short_w(snapshot, asset, share, setpoint),
    )


def _short_w(snapshot: Snapshot, asset: Asset, share: Share, setpoint: Setpoint) -> int:
    """By how much it misses its share: more than a cap, less than what else is asked of it."""
    if share.asked_w is None or not share.governs:
        return 0
    seen = snapshot.state(asset.id).power_w
    allowed_w = asset.nominal_w if setpoint.at_most_w is None else setpoint.at_most_w
    power_w = allowed_w if seen is None or seen.quality is Quality.BAD else round(seen.value)
    is_cap = share.in_force.step.kind is Kind.CAP
    return max(0, power_w - share.asked_w if is_cap else share.asked_w - power_w)


def _extent(
    asset: Asset, share: Share, setpoint: Setpoint, room: Room, away: tuple[Reason, str] | None
) -> tuple[Extent, Reason, str]:
    if share.aim is not None:
        return (Extent.NONE, *away) if away else _toward(asset, share.aim, setpoint)
    if share.asked_w is None:
        return Extent.NONE, share.reason, "boundary meter silent: the site's total cannot be kept"
    if not share.governs:
        return Extent.NONE, Reason.SUPERSEDED, "another instruction governs"
    if away is not None:
        return Extent.NONE, *away
    kind = share.in_force.step.kind
    if kind is Kind.FLOOR and not asset.ability.raises:
        return Extent.NONE, Reason.OUTSIDE_CAPABILITY, "cannot be asked to draw more"
    if kind is not Kind.CAP and _is_short(asset, share.asked_w, setpoint):
        extent = Extent.PARTIAL if setpoint.at_most_w else Extent.NONE
        return extent, setpoint.reason, setpoint.text
    allowed_w = asset.nominal_w if setpoint.at_most_w is None else setpoint.at_most_w
    if kind is Kind.FLOOR or allowed_w <= share.asked_w:
        return Extent.FULL, Reason.NONE, setpoint.text
    extent = Extent.NONE if setpoint.at_most_w is None else Extent.PARTIAL
    if setpoint.reason is not Reason.NONE:
        return extent, setpoint.reason, setpoint.text
    if room.low is not None:
        return extent, room.low.reason, room.low.text
    return extent, Reason.OUTSIDE_CAPABILITY, f"cannot be held below {asset.ability.lowest_w} W"


def _toward(asset: Asset, aim: Aim, setpoint: Setpoint) -> tuple[Extent, Reason, str]:
    """How far a car gets with the SoC that is asked for: all the way, if nothing holds it below the power
    that is enough."""
    if aim.power_w is None:
        return Extent.NONE, aim.reason, aim.text
    if _is_short(asset, aim.power_w, setpoint):
        return Extent.PARTIAL if setpoint.at_most_w else Extent.NONE, setpoint.reason, setpoint.text
    return Extent.FULL if aim.reason is Reason.NONE else Extent.PARTIAL, aim.reason, aim.text


def _is_short(asset: Asset, asked_w: int, setpoint: Setpoint) -> bool:
    """Whether it is held below what it was asked to draw, as near as the device comes to that."""
    if setpoint.at_most_w is None:
        return False
    return setpoint.at_most_w < (asset.ability.at_or_below(asked_w) or 0)


def _next_change_s(snapshot: Snapshot, settled: dict[str, Setpoint], edges: list[float]) -> float:
    edges = [*edges, next_start_s(snapshot)]
    for asset in snapshot.assets:
        edges += _own_edges(snapshot, asset, settled[asset.id])
    if snapshot.supply:
        edges += [snapshot.supply.max_age_s - meter.age_s for meter in snapshot.meters]
        waiting = (snapshot.memory.of(s.asset) for s in settled.values() if s.waits)
        edges += [
            was.tight_s + snapshot.supply.restore_s - snapshot.now_s
            for was in waiting
            if was.tight_s is not None
        ]
    return min((edge for edge in edges if edge > 0), default=math.inf)


def _own_edges(snapshot: Snapshot, asset: Asset, setpoint: Setpoint) -> list[float]:
    limits, memory, state = snapshot.limit(asset.id), snapshot.memory.of(asset.id), snapshot.state(asset.id)
    edges = []
    if snapshot.clock_trusted:
        tables = (limits.room_min_c, limits.room_max_c, limits.schedule)
        edges += [table.next_edge(snapshot.utc_s) - snapshot.utc_s for table in tables]
    if state.room_c:
        edges.append(limits.room_max_age_s - state.room_c.age_s)
    edges += [*charge.edges_s(snapshot, asset), *pace.edges_s(snapshot, asset)]
    edges += schedule.edges_s(snapshot, asset)
    edges += preheat.edges_s(snapshot, asset)
    if setpoint.at_most_w is not None:
        longest_s = frost.longest_hold_s(snapshot, asset, limits)
        edges += [*care.edges_s(snapshot, asset), *hygiene.edges_s(snapshot, asset)]
        edges += blocks.edges_s(snapshot, asset)
        edges.append(longest_s - comfort.held_in_all_s(memory, snapshot.now_s))
        if memory.held_w is None:
            edges += [longest_s, limits.min_rest_s]
    return edges
