"""Blocks: how often within a day instructions hold an asset, and for how long in all.

Holds with less than a full rest between them are one block: it begins once, and its hours add up. What the
household's own schedule, the fuse or a warm room holds is none. Any 24 h count. Rank: with comfort.
"""

from __future__ import annotations

from dataclasses import replace

from gateway.core.bounds import frost
from gateway.core.bounds.comfort import leaves_schedule
from gateway.core.change import changed
from gateway.core.model import (
    UNKNOWN_LONG_S,
    Asset,
    AssetMemory,
    Block,
    Bound,
    Extent,
    Limits,
    Plan,
    Snapshot,
)

DAY_S = 86_400.0
BLOCKS_KEPT = 24  # as many as any limit names


def bound(snapshot: Snapshot, asset: Asset) -> Bound | None:
    """Not held again after so many blocks within a day, nor any longer after so many hours."""
    if not asset.ability.holds:
        return None
    return _often_enough(snapshot, asset) or _long_enough(snapshot, asset)


def remembered(snapshot: Snapshot, asset: Asset, plan: Plan, now: AssetMemory) -> AssetMemory:
    """`now` with the blocks of the last day, the present one included."""
    was, limits, now_s = snapshot.memory.of(asset.id), snapshot.limit(asset.id), snapshot.now_s
    if limits.blocks_per_day is None:
        return changed(now, blocks=(), dispatched_since_s=None)
    is_held = _is_held(plan, asset) and not now.too_warm
    if is_held and was.dispatched_since_s is not None:
        return now
    kept_s = max(DAY_S, frost.rest_s(snapshot, asset, limits))
    blocks = tuple(block for block in _up_to(was, now_s) if now_s - block.end_s < kept_s)
    if is_held and not _goes_on(snapshot, asset):
        blocks = (*blocks, Block(now_s, now_s, 0.0))
    return changed(now, blocks=blocks[-BLOCKS_KEPT:], dispatched_since_s=now_s if is_held else None)


def untimed(was: AssetMemory, now_s: float) -> AssetMemory:
    """What may be believed where nobody knows how long ago it was: all blocks are of this day, and one that
    went on lasted its longest."""
    blocks = tuple(Block(now_s, now_s + _known_s(block), block.held_s) for block in was.blocks)
    if was.dispatched_since_s is None or not blocks:
        return replace(was, blocks=blocks, dispatched_since_s=None)
    return replace(was, blocks=(*blocks[:-1], Block(now_s, now_s, UNKNOWN_LONG_S)), dispatched_since_s=now_s)


def edges_s(snapshot: Snapshot, asset: Asset) -> list[float]:
    """Seconds until the hours of a day are used up, while it is held: what leaves the day meanwhile is free
    again."""
    limits, now_s = snapshot.limit(asset.id), snapshot.now_s
    blocks = _up_to(snapshot.memory.of(asset.id), now_s)
    leaves_s = [b.end_s + DAY_S - now_s for b in blocks if 0 < b.end_s + DAY_S - now_s < _known_s(b)]
    return [limits.held_per_day_s - held_of_day_s(snapshot, asset) + sum(leaves_s)]


def held_of_day_s(snapshot: Snapshot, asset: Asset) -> float:
    """How long it was held in all within the last day; not less, where that is not known."""
    limits, was = snapshot.limit(asset.id), snapshot.memory.of(asset.id)
    return sum(_part_s(snapshot, limits, block) for block in _up_to(was, snapshot.now_s))


def _is_held(plan: Plan, asset: Asset) -> bool:
    """Whether an instruction holds it, also where a limit lets it have more than was asked."""
    setpoint = plan.setpoint(asset.id)
    if setpoint is None or setpoint.at_most_w is None or setpoint.of_schedule:
        return False
    mine = (g for g in plan.given if g.asset == asset.id and not g.kind.only_raises)
    return any(given.extent is not Extent.NONE for given in mine)


def _often_enough(snapshot: Snapshot, asset: Asset) -> Bound | None:
    limits, now_s = snapshot.limit(asset.id), snapshot.now_s
    most = limits.blocks_per_day
    if most is None or _goes_on(snapshot, asset):
        return None
    starts_s = [b.start_s for b in snapshot.memory.of(asset.id).blocks if now_s - b.start_s < DAY_S]
    if len(starts_s) < most:
        return None
    text = f"held {most} times within a day, the most allowed"
    return leaves_schedule(snapshot, asset, text, starts_s[-most] + DAY_S)


def _long_enough(snapshot: Snapshot, asset: Asset) -> Bound | None:
    limits, held_s = snapshot.limit(asset.id), held_of_day_s(snapshot, asset)
    if limits.blocks_per_day is None or held_s < limits.held_per_day_s:
        return None
    oldest = _up_to(snapshot.memory.of(asset.id), snapshot.now_s)[0]
    leaves_s = oldest.end_s + DAY_S - min(_known_s(oldest), _part_s(snapshot, limits, oldest))
    text = f"held for {limits.held_per_day_s / 3600:g} h within a day, the most allowed"
    until_s = leaves_s + held_s - limits.held_per_day_s + 1.0  # then a second is free
    return leaves_schedule(snapshot, asset, text, until_s)


def _goes_on(snapshot: Snapshot, asset: Asset) -> bool:
    """Whether a hold now would be of the block before."""
    was = snapshot.memory.of(asset.id)
    rest_s = frost.rest_s(snapshot, asset, snapshot.limit(asset.id))
    has_rested = not was.blocks or snapshot.now_s - was.blocks[-1].end_s >= rest_s
    return was.dispatched_since_s is not None or not has_rested


def _up_to(was: AssetMemory, now_s: float) -> tuple[Block, ...]:
    """The blocks, with the one that goes on up to now."""
    if was.dispatched_since_s is None or not was.blocks:
        return was.blocks
    *before, last = was.blocks
    return (*before, Block(last.start_s, now_s, last.held_s + now_s - was.dispatched_since_s))


def _part_s(snapshot: Snapshot, limits: Limits, block: Block) -> float:
    if block.held_s >= UNKNOWN_LONG_S:
        return limits.longest_hold_s
    return max(0.0, min(block.held_s, block.end_s - max(block.start_s, snapshot.now_s - DAY_S)))


def _known_s(block: Block) -> float:
    return block.held_s if block.held_s < UNKNOWN_LONG_S else 0.0
