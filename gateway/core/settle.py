"""The last step of a decision: the wish inside the room, under the fuse, at a level the device has."""

from __future__ import annotations

from dataclasses import replace

from gateway.core.bounds.supply import STEADY_W
from gateway.core.fuse import Left, Line, demand_w, least_on_w, left_for, taken
from gateway.core.model import (
    Asset,
    Bound,
    Governor,
    Rank,
    Reason,
    Setpoint,
    Snapshot,
    Supply,
)
from gateway.core.room import Room
from gateway.core.share import Share, Wish

SCHEDULE = "held by the household's schedule"
DEFAULT_HOURS = (
    "held off by default in the hours of peak demand, weekdays 08:00 to 11:00 and 16:00 to 22:00;"
    " a schedule, or charge.default_hours = false, changes that"
)
MARGIN_W = 100  # or a step of the device: less is the noise of what the rest of the home draws


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
        held_lower = high is not None and low is not None and high.rank < low.rank
        if low and (asked_w < asset.nominal_w or low.rank is Rank.OVERRIDE or held_lower):
            return _by_limit(asset, None, low)
        return Setpoint(asset.id, None, Governor.HOUSEHOLD, Reason.NONE, "runs by its own control")
    free_w = max(asked_w, room.insisted_w)
    if high and room.high_w is not None and room.high_w < free_w and level_w != _asked_level(asset, free_w):
        insists = low is not None and low.rank > high.rank and room.low_w >= room.high_w
        return _by_limit(asset, level_w, low if low and insists else room.why or high)
    if low and level_w > asked_w:
        return _by_limit(asset, level_w, low)
    if wanted.by is None or (room.scheduled_w is not None and level_w >= room.scheduled_w):
        return _by_schedule(asset, level_w, wanted)
    return _by_instruction(asset, level_w, wanted.by)


def _asked_level(asset: Asset, asked_w: int) -> int | None:
    """The level where nothing limits: what makes no difference is not why."""
    if asked_w >= asset.nominal_w:
        return None
    level_w = asset.ability.at_or_below(asked_w)
    return asset.ability.lowest_w if level_w is None else level_w


def _by_limit(asset: Asset, level_w: int | None, bound: Bound) -> Setpoint:
    governor = Governor.OVERRIDE if bound.reason is Reason.USER_OVERRIDE else Governor.LIMIT
    return Setpoint(asset.id, level_w, governor, bound.reason, bound.text)


def _by_schedule(asset: Asset, level_w: int, wanted: Wish) -> Setpoint:
    governor, text = Governor.HOUSEHOLD, DEFAULT_HOURS if wanted.default_hours else SCHEDULE
    if wanted.delay:
        governor = Governor.DELAY
        text = f"its schedule lets it draw more, after a random delay of {wanted.delay.delay_s} s"
    return Setpoint(asset.id, level_w, governor, Reason.NONE, text, of_schedule=True)


def _by_instruction(asset: Asset, level_w: int, share: Share) -> Setpoint:
    instruction = share.in_force.instruction
    if share.in_force.returning:
        text = f"instruction {instruction.id} has ended, return delayed {instruction.end_delay_s} s"
        return Setpoint(asset.id, level_w, Governor.DELAY, Reason.NONE, text)
    by = f"{level_w / 1000:.1f} kW by instruction {instruction.id} ({instruction.service})"
    text = f"charges with {by}: {share.aim.text}" if share.aim else f"held at {by}"
    return Setpoint(asset.id, level_w, Governor.DISPATCH, Reason.NONE, text)


def under_the_fuses(snapshot: Snapshot, settled: list[Setpoint], found: tuple[Line, ...]) -> list[Setpoint]:
    """Where one of the fuses found cannot carry all assets together, those that can be lowered in steps give
    way before those that can only be off, and of each kind the last configured first."""
    if snapshot.supply is None:
        return settled
    assets = {a.id: a for a in snapshot.assets if a.ability.holds}
    draws_w = {s.asset: drawn_w(snapshot, assets[s.asset], s, found) for s in settled if s.asset in assets}
    if _fit(snapshot, settled, draws_w, found):
        return settled
    least_w = {id_: min(draws_w[id_], a.ability.lowest_w or 0) for id_, a in assets.items()}
    spared_w = {id_: _spared_w(snapshot, a, draws_w[id_], least_w[id_], found) for id_, a in assets.items()}
    rest = spare = found
    for id_, watts in least_w.items():
        rest, spare = taken(rest, id_, watts), taken(spare, id_, watts + spared_w[id_])
    result = {}
    for setpoint in sorted(settled, key=lambda s: _is_stepped(assets.get(s.asset))):
        if asset := assets.get(setpoint.asset):
            rest = taken(rest, asset.id, -least_w[asset.id])
            spare = taken(spare, asset.id, -least_w[asset.id] - spared_w[asset.id])
            left, spared = left_for(rest, asset), left_for(spare, asset)
            is_on = snapshot.memory.of(asset.id).held_w != 0
            allowed_w = left.allowed_w(asset, draws_w[asset.id], is_on=is_on)
            allowed_w = max(spared.power_w, min(least_on_w(asset), allowed_w))
            setpoint = _lowered(asset, setpoint, draws_w[asset.id], allowed_w, left.text)
            setpoint = _patient(snapshot, snapshot.supply, asset, setpoint, left)
            asked_w = drawn_w(snapshot, asset, setpoint, found)
            rest, spare = taken(rest, asset.id, asked_w), taken(spare, asset.id, asked_w)
        result[setpoint.asset] = setpoint
    return [result[setpoint.asset] for setpoint in settled]


def _fit(
    snapshot: Snapshot, settled: list[Setpoint], draws_w: dict[str, int], found: tuple[Line, ...]
) -> bool:
    """Whether no fuse says anything to any of them: all they draw is less than each leaves."""
    waits = any(s.reason is Reason.SUPPLY_LIMIT for s in settled) or any(
        snapshot.memory.of(id_).starved_s is not None for id_ in draws_w
    )
    return not waits and all(
        sum(part * draws_w[id_] for id_, part in line.carries.items()) <= line.power_w - 1 for line in found
    )


def _spared_w(snapshot: Snapshot, asset: Asset, draws_w: int, least_w: int, found: tuple[Line, ...]) -> int:
    """What the others leave it where a meter shows too much: enough to stay on, while nobody knows whether it
    has to be off."""
    is_over = any(line.over_age_s is not None and line.carries.get(asset.id) for line in found)
    is_on = snapshot.memory.of(asset.id).held_w != 0
    return max(0, min(draws_w, least_on_w(asset)) - least_w) if is_over and is_on else 0


def _is_stepped(asset: Asset | None) -> bool:
    return asset is not None and asset.ability.range_w is not None


def _patient(snapshot: Snapshot, fuse: Supply, asset: Asset, setpoint: Setpoint, left: Left) -> Setpoint:
    """What the fuse leaves is followed down at once and a margin further, so that noise takes no more; and
    up, to as much below it, when there was more room for a while."""
    was, level_w = snapshot.memory.of(asset.id), setpoint.at_most_w
    if level_w == 0 and (was.starved_s is not None or setpoint.reason is Reason.SUPPLY_LIMIT):
        return replace(setpoint, waits=left.least_w >= least_on_w(asset) + STEADY_W)
    if setpoint.reason is not Reason.SUPPLY_LIMIT or not level_w:
        return setpoint
    margin_w = max(MARGIN_W, asset.device_step_w) if _is_stepped(asset) else 0
    calm_w = asset.ability.at_or_below(level_w - margin_w)
    calm_w = level_w if calm_w is None or calm_w == 0 else calm_w
    if was.held_w is None or level_w < was.held_w:
        return replace(setpoint, at_most_w=calm_w)
    if calm_w - was.held_w < margin_w:
        return replace(setpoint, at_most_w=was.held_w)
    if was.tight_s is not None and snapshot.now_s - was.tight_s >= fuse.restore_s:
        return replace(setpoint, at_most_w=calm_w)
    return replace(setpoint, at_most_w=was.held_w, waits=True)


def drawn_w(snapshot: Snapshot, asset: Asset, setpoint: Setpoint, found: tuple[Line, ...]) -> int:
    """What it draws of the fuses found under its setpoint."""
    own_w = demand_w(snapshot, asset, found)
    return own_w if setpoint.at_most_w is None else min(own_w, setpoint.at_most_w)


def _lowered(asset: Asset, setpoint: Setpoint, draws_w: int, allowed_w: int, text: str) -> Setpoint:
    """The setpoint, lowered as far as it goes if it draws more than is allowed."""
    if draws_w <= allowed_w:
        return setpoint
    level_w = asset.ability.at_or_below(max(0, allowed_w))
    level_w = asset.ability.lowest_w if level_w is None else level_w
    if level_w is None or (setpoint.at_most_w is not None and level_w >= setpoint.at_most_w):
        return setpoint
    return Setpoint(asset.id, level_w, Governor.LIMIT, Reason.SUPPLY_LIMIT, text)
