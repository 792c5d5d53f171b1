"""decide(snapshot) -> Plan: bounds, share, settle. Pure and total; the one place where power is decided."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from gateway.core.bounds import care, charge, comfort, override, supply
from gateway.core.charging import is_plugged
from gateway.core.demand import is_idle
from gateway.core.model import (
    Asset,
    AssetMemory,
    Bound,
    Extent,
    Given,
    Governor,
    Kind,
    Plan,
    Rank,
    Reason,
    Setpoint,
    Snapshot,
    Supply,
)
from gateway.core.share import RAISE_AFTER_S, Claim, Share, Wish, in_force, next_start_s, shares, wish

# Highest rank first; of one rank the first wins: a full car is not let go for it was held for long enough.
MARGIN_W = 100  # or a step of the device: less is the noise of what the rest of the home draws
STOPPED_S = 900.0  # a car that the fuse stopped is not started again and again
RULES = (supply.bound, care.bound, override.bound, charge.bound, comfort.bound)


@dataclass(frozen=True, slots=True)
class Room:
    """What all local rules together leave an asset: never less than `low_w`, never more than `high_w`."""

    low_w: int = 0
    high_w: int | None = None
    low: Bound | None = None
    high: Bound | None = None


def decide(snapshot: Snapshot) -> Plan:
    """What each asset does now, what each instruction gets, and when this may change by time alone."""
    bounds = {asset.id: [b for rule in RULES if (b := rule(snapshot, asset))] for asset in snapshot.assets}
    rooms = {asset.id: room_left(bounds[asset.id]) for asset in snapshot.assets}
    active = in_force(snapshot)
    claims = {
        a.id: Claim(rooms[a.id].low_w, rooms[a.id].high_w, is_idle(snapshot, a)) for a in snapshot.assets
    }
    shared = shares(snapshot, active, claims)
    settled = [settle(asset, wish(snapshot, asset, shared), rooms[asset.id]) for asset in snapshot.assets]
    settled = _under_one_fuse(snapshot, settled)
    by_asset = {setpoint.asset: setpoint for setpoint in settled}
    given = tuple(_given(snapshot, share, by_asset[share.asset], rooms[share.asset]) for share in shared)
    edges = [moment.until_s - snapshot.now_s for moment in active]
    edges += [b.until_s - snapshot.now_s for found in bounds.values() for b in found]
    edges += [_grows_s(snapshot, share) for share in shared if share.waits]
    return Plan(tuple(settled), given, _next_change_s(snapshot, by_asset, edges))


def room_left(bounds: Iterable[Bound]) -> Room:
    """Intersect bounds from the highest rank down; where they leave nothing, the higher rank wins."""
    room = Room()
    for bound in sorted(bounds, key=lambda b: -b.rank):
        if bound.at_most_w is not None and (room.high_w is None or bound.at_most_w < room.high_w):
            high_w = max(bound.at_most_w, room.low_w)
            room = Room(room.low_w, high_w, room.low, bound)
        if bound.at_least_w is not None and bound.at_least_w > room.low_w:
            low_w = bound.at_least_w if room.high_w is None else min(bound.at_least_w, room.high_w)
            if low_w > room.low_w:
                room = Room(low_w, room.high_w, bound, room.high)
    return room


def settle(asset: Asset, wanted: Wish, room: Room) -> Setpoint:
    """The wish inside the room, at a level the device has: a cap rounds down, a floor up."""
    if not asset.ability.holds:
        return Setpoint(asset.id, None, Governor.HOUSEHOLD, Reason.NONE, "watched, cannot be held")
    target_w = asset.nominal_w if wanted.at_most_w is None else wanted.at_most_w
    target_w = max(target_w, room.low_w)
    if room.high_w is not None:
        target_w = min(target_w, room.high_w)
    level_w = _level(asset, target_w, room)
    return _explain(asset, wanted, room, level_w)


def _level(asset: Asset, target_w: int, room: Room) -> int | None:
    if target_w >= asset.nominal_w:
        return None
    level_w = asset.ability.at_or_below(target_w)
    if level_w is None:
        level_w = asset.ability.lowest_w
    if level_w is None or level_w >= room.low_w:
        return level_w
    up_w = asset.ability.at_or_above(room.low_w)
    too_high = room.high_w is not None and (up_w is None or up_w > room.high_w)
    high_wins = room.high is not None and room.low is not None and room.high.rank > room.low.rank
    return level_w if too_high and high_wins else up_w


def _explain(asset: Asset, wanted: Wish, room: Room, level_w: int | None) -> Setpoint:
    asked_w = asset.nominal_w if wanted.at_most_w is None else wanted.at_most_w
    low, high = room.low, room.high
    if level_w is None:
        if low and (asked_w < asset.nominal_w or low.rank is Rank.OVERRIDE):
            return _by_limit(asset, None, low)
        return Setpoint(asset.id, None, Governor.HOUSEHOLD, Reason.NONE, "runs by its own control")
    if high and room.high_w is not None and room.high_w < asked_w:
        return _by_limit(asset, level_w, high)
    if low and level_w > asked_w:
        return _by_limit(asset, level_w, low)
    if wanted.by is None:
        text = "held by the household's schedule"
        return Setpoint(asset.id, level_w, Governor.HOUSEHOLD, Reason.NONE, text)
    return _by_instruction(asset, level_w, wanted.by)


def _by_limit(asset: Asset, level_w: int | None, bound: Bound) -> Setpoint:
    governor = Governor.OVERRIDE if bound.rank is Rank.OVERRIDE else Governor.LIMIT
    return Setpoint(asset.id, level_w, governor, bound.reason, bound.text)


def _by_instruction(asset: Asset, level_w: int, share: Share) -> Setpoint:
    instruction = share.in_force.instruction
    if share.in_force.returning:
        text = f"instruction {instruction.id} has ended, return delayed {instruction.end_delay_s} s"
        return Setpoint(asset.id, level_w, Governor.DELAY, Reason.NONE, text)
    text = f"held at {level_w / 1000:.1f} kW by instruction {instruction.id} ({instruction.service})"
    return Setpoint(asset.id, level_w, Governor.DISPATCH, Reason.NONE, text)


def _under_one_fuse(snapshot: Snapshot, settled: list[Setpoint]) -> list[Setpoint]:
    """Where the fuse cannot carry all assets together, those that can be lowered in steps give way before
    those that can only be off, and of each kind the last configured first."""
    if snapshot.supply is None:
        return settled
    left_w, text = supply.left_for_assets(snapshot, snapshot.supply)
    assets = {a.id: a for a in snapshot.assets if a.ability.holds}
    draws_w = {s.asset: _draws_w(snapshot, assets[s.asset], s) for s in settled if s.asset in assets}
    least_w = {id_: min(draws_w[id_], a.ability.lowest_w or 0) for id_, a in assets.items()}
    later_w = sum(least_w.values())
    result = {}
    for setpoint in sorted(settled, key=lambda s: _is_stepped(assets.get(s.asset))):
        if asset := assets.get(setpoint.asset):
            later_w -= least_w[asset.id]
            setpoint = _lowered(asset, setpoint, draws_w[asset.id], left_w - later_w, text)
            setpoint = _patient(snapshot, snapshot.supply, asset, setpoint)
            left_w -= _draws_w(snapshot, asset, setpoint)
        result[setpoint.asset] = setpoint
    return [result[setpoint.asset] for setpoint in settled]


def _is_stepped(asset: Asset | None) -> bool:
    return asset is not None and asset.ability.range_w is not None


def _patient(snapshot: Snapshot, fuse: Supply, asset: Asset, setpoint: Setpoint) -> Setpoint:
    """What the fuse leaves is followed down at once and a margin further, so that noise takes no more; and
    up, to as much below it, when there was more room for a while."""
    was, level_w = snapshot.memory.of(asset.id), setpoint.at_most_w
    if setpoint.reason is not Reason.SUPPLY_LIMIT or not level_w:
        return setpoint
    margin_w = max(MARGIN_W, asset.device_step_w) if _is_stepped(asset) else 0
    calm_w = asset.ability.at_or_below(level_w - margin_w)
    calm_w = level_w if calm_w is None or calm_w == 0 else calm_w
    if was.held_w is None or level_w < was.held_w:
        return replace(setpoint, at_most_w=calm_w)
    if calm_w - was.held_w < margin_w:
        return replace(setpoint, at_most_w=was.held_w)
    if was.tight_s is not None and snapshot.now_s - was.tight_s >= _rests_s(fuse, was):
        return replace(setpoint, at_most_w=calm_w)
    return replace(setpoint, at_most_w=was.held_w, waits=True)


def _rests_s(fuse: Supply, was: AssetMemory) -> float:
    """How long there must be more room before it is used: longer for what was stopped."""
    return fuse.restore_s if was.held_w else max(fuse.restore_s, STOPPED_S)


def _draws_w(snapshot: Snapshot, asset: Asset, setpoint: Setpoint) -> int:
    demand_w = math.ceil(supply.demand_w(snapshot, asset))
    return demand_w if setpoint.at_most_w is None else min(demand_w, setpoint.at_most_w)


def _lowered(asset: Asset, setpoint: Setpoint, draws_w: int, left_w: int, text: str) -> Setpoint:
    """The setpoint, lowered as far as it goes if it draws more than is left."""
    if draws_w <= left_w:
        return setpoint
    level_w = asset.ability.at_or_below(max(0, left_w))
    level_w = asset.ability.lowest_w if level_w is None else level_w
    if level_w is None or (setpoint.at_most_w is not None and level_w >= setpoint.at_most_w):
        return setpoint
    return Setpoint(asset.id, level_w, Governor.LIMIT, Reason.SUPPLY_LIMIT, text)


def _given(snapshot: Snapshot, share: Share, setpoint: Setpoint, room: Room) -> Given:
    moment, asset_id = share.in_force, share.asset
    asset = next(a for a in snapshot.assets if a.id == asset_id)
    extent, reason, text = _extent(snapshot, asset, share, setpoint, room)
    return Given(
        moment.instruction.id,
        asset_id,
        moment.step.kind,
        share.asked_w if share.asked_w is not None else moment.step.power_w,
        setpoint.at_most_w,
        extent,
        reason,
        text,
        share.governs,
        share.waits,
    )


def _extent(
    snapshot: Snapshot, asset: Asset, share: Share, setpoint: Setpoint, room: Room
) -> tuple[Extent, Reason, str]:
    if share.asked_w is None:
        return Extent.NONE, share.reason, "boundary meter silent: the site's total cannot be kept"
    if not share.governs:
        return Extent.NONE, Reason.SUPERSEDED, "another instruction governs"
    if not snapshot.state(asset.id).online:
        return Extent.NONE, Reason.DEVICE_OFFLINE, "device does not answer"
    if not is_plugged(snapshot, asset):
        return Extent.NONE, Reason.NOT_CONNECTED, "no car is plugged in"
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


def _is_short(asset: Asset, asked_w: int, setpoint: Setpoint) -> bool:
    """Whether it is held below what it was asked to draw, as near as the device comes to that."""
    if setpoint.at_most_w is None:
        return False
    return setpoint.at_most_w < (asset.ability.at_or_below(asked_w) or 0)


def _next_change_s(snapshot: Snapshot, settled: dict[str, Setpoint], edges: list[float]) -> float:
    edges = [*edges, next_start_s(snapshot)]
    for asset in snapshot.assets:
        edges += _own_edges(snapshot, asset, settled[asset.id])
    if snapshot.supply and snapshot.boundary_w:
        edges.append(snapshot.supply.max_age_s - snapshot.boundary_w.age_s)
    if snapshot.supply:
        waiting = (snapshot.memory.of(s.asset) for s in settled.values() if s.waits)
        edges += [
            was.tight_s + _rests_s(snapshot.supply, was) - snapshot.now_s
            for was in waiting
            if was.tight_s is not None
        ]
    return min((edge for edge in edges if edge > 0), default=math.inf)


def _grows_s(snapshot: Snapshot, share: Share) -> float:
    """Seconds until a share that has grown is had."""
    tight_s = snapshot.memory.of(share.asset).tight_s
    return math.inf if tight_s is None else tight_s + RAISE_AFTER_S - snapshot.now_s


def _own_edges(snapshot: Snapshot, asset: Asset, setpoint: Setpoint) -> list[float]:
    limits, memory, state = snapshot.limit(asset.id), snapshot.memory.of(asset.id), snapshot.state(asset.id)
    edges = []
    if snapshot.clock_trusted:
        tables = (limits.room_min_c, limits.room_max_c, limits.schedule)
        edges += [table.next_edge(snapshot.utc_s) - snapshot.utc_s for table in tables]
    if state.room_c:
        edges.append(limits.room_max_age_s - state.room_c.age_s)
    edges += charge.edges_s(snapshot, asset)
    if setpoint.at_most_w is not None:
        edges += care.edges_s(snapshot, asset)
        edges.append(limits.longest_hold_s - comfort.held_in_all_s(memory, snapshot.now_s))
        if memory.held_w is None:
            edges += [limits.longest_hold_s, limits.min_rest_s]
    return edges
