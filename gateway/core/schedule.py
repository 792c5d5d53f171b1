"""The household's own schedule: the most it lets an asset draw. Where it lets what charges draw more, that
waits for a random delay, so that homes do not all start in the same second.

The delay of an edge is drawn by the shell and is the same however often it is asked for. What is charged all
the same, by a limit, an override or an instruction, does not wait for it. Once it is over it stays so, though
a clock be set back.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from gateway.core.change import changed
from gateway.core.model import Asset, AssetMemory, EdgeDelay, Memory, Snapshot

LONGEST_S = 1800.0  # of any delay: contract


def scheduled_w(snapshot: Snapshot, asset: Asset) -> int | None:
    """The most the schedule wants the asset to draw now (W), its delays included; None: it says nothing."""
    if not snapshot.clock_trusted:
        return None
    most_w = snapshot.limit(asset.id).schedule.at(snapshot.utc_s)
    held_w = (delay.before_w for delay in running(snapshot, asset))
    return min(held_w, default=None if most_w is None else int(most_w))


def running(snapshot: Snapshot, asset: Asset, at_utc_s: float | None = None) -> tuple[EdgeDelay, ...]:
    """The delays that keep the asset below what its schedule says, now or at another moment."""
    if not snapshot.clock_trusted:
        return ()
    limits, over_utc_s = snapshot.limit(asset.id), _over_utc_s(snapshot, snapshot.memory.of(asset.id))
    utc_s = snapshot.utc_s if at_utc_s is None else at_utc_s
    found = [d for d in limits.delays if d.at_utc_s <= utc_s < d.end_utc_s]
    if not found:
        return ()
    most_w = limits.schedule.at(utc_s)
    return tuple(d for d in found if d.at_utc_s > over_utc_s and (most_w is None or d.before_w < most_w))


def left_s(snapshot: Snapshot, asset: Asset) -> float | None:
    """How long the asset still waits; None: it waits for no delay of its schedule."""
    ends = [delay.end_utc_s for delay in running(snapshot, asset)]
    return max(ends) - snapshot.utc_s if ends else None


def edges_s(snapshot: Snapshot, asset: Asset) -> list[float]:
    """Seconds to the ends of the delays that run."""
    return [delay.end_utc_s - snapshot.utc_s for delay in running(snapshot, asset)]


def skip(snapshot: Snapshot, assets: Iterable[str]) -> Memory:
    """The memory once the household has skipped what is left of the delays that these assets wait for."""
    memory, known = snapshot.memory, {asset.id: asset for asset in snapshot.assets}
    skipped = {id_: _over(snapshot, known[id_], memory.of(id_)) for id_ in assets}
    return replace(memory, assets={**memory.assets, **skipped})


def remembered(snapshot: Snapshot, asset: Asset, was: AssetMemory, *, is_answered: bool) -> AssetMemory:
    """The memory with the last edge whose delay is over. `is_answered`: an instruction that needs no delay is
    in force, or one that had its own."""
    if not snapshot.clock_trusted or (running(snapshot, asset) and not is_answered):
        return was
    return _over(snapshot, asset, was)


def _over(snapshot: Snapshot, asset: Asset, was: AssetMemory) -> AssetMemory:
    begun = [d.at_utc_s for d in snapshot.limit(asset.id).delays if d.at_utc_s <= snapshot.utc_s]
    if not begun or _over_utc_s(snapshot, was) >= begun[-1]:
        return was
    return changed(was, waited_utc_s=begun[-1])


def _over_utc_s(snapshot: Snapshot, was: AssetMemory) -> float:
    """The last edge whose delay is over. One that lies further ahead than a delay is long was seen by a clock
    that was wrong."""
    waited_utc_s = was.waited_utc_s
    if waited_utc_s is None or waited_utc_s > snapshot.utc_s + LONGEST_S:
        return -math.inf
    return waited_utc_s
