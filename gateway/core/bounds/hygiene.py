"""Hygiene: a cycle against legionella is never held back, and when one is due nothing is held before one is
seen.

Seen is the controller's own cycle, on for a while and then over, or water hot enough for long enough.
Days are counted by UTC, for a hub may be off for long; while its clock is not trusted nobody knows. They
begin when a home is first looked at: before that no hold of ours kept it from its cycle. Figures: modbus
reference C4. Rank: care.
"""

from __future__ import annotations

from gateway.core.bounds.care import lets_run, rests
from gateway.core.change import changed
from gateway.core.model import Asset, AssetMemory, Bound, Quality, Snapshot

CYCLE_S = 600.0  # less is no cycle
STERILE_C, STERILE_S = 60.0, 1800.0  # a touch of 60 °C is not enough
LEAD_S = 12 * 3600.0  # before it is due: a cycle of each week has its night
DAY_S = 86_400.0


def bound(snapshot: Snapshot, asset: Asset) -> Bound | None:
    """Not held in a cycle, while nobody knows whether there is one, or when one is due."""
    if not asset.ability.holds:
        return None
    if _runs(snapshot, asset):
        return lets_run(asset, "heats its hot water against legionella")
    if rests(snapshot, asset):
        return None
    if "legionella" in asset.sources and _runs(snapshot, asset) is None:
        return lets_run(asset, "unknown whether it heats its hot water against legionella")
    return _due(snapshot, asset)


def remembered(snapshot: Snapshot, asset: Asset, was: AssetMemory) -> AssetMemory:
    """`was` with what is seen of a cycle, and when the hot water was last clean."""
    if snapshot.limit(asset.id).care.legionella_every_days is None:
        return changed(was, cycle_since_s=None, hot_since_s=None, clean_utc_s=None)
    now_s, runs, hot = snapshot.now_s, _runs(snapshot, asset), _is_hot(snapshot, asset)
    over = was.cycle_since_s is not None and runs is False and now_s - was.cycle_since_s >= CYCLE_S
    sterile = was.hot_since_s is not None and hot and now_s - was.hot_since_s >= STERILE_S
    clean_utc_s = was.clean_utc_s
    if snapshot.clock_trusted and (over or sterile or clean_utc_s is None):
        clean_utc_s = snapshot.utc_s
    return changed(
        was,
        cycle_since_s=was.cycle_since_s if runs is None else _since_s(was.cycle_since_s, now_s, runs),
        hot_since_s=_since_s(was.hot_since_s, now_s, hot),
        clean_utc_s=clean_utc_s,
    )


def edges_s(snapshot: Snapshot, asset: Asset) -> list[float]:
    """Seconds until nothing is held any more before a cycle is seen."""
    left_s = _left_s(snapshot, asset)
    return [] if left_s is None else [left_s - LEAD_S]


def _due(snapshot: Snapshot, asset: Asset) -> Bound | None:
    every_days, left_s = snapshot.limit(asset.id).care.legionella_every_days, _left_s(snapshot, asset)
    if every_days is None:
        return None
    if not snapshot.clock_trusted:
        return lets_run(asset, "unknown when it was last heated against legionella: the clock is not trusted")
    if left_s is None or left_s > LEAD_S:
        return None
    ago = (every_days * DAY_S - left_s) / DAY_S
    return lets_run(asset, f"heated against legionella {ago:.1f} days ago, due after {every_days:g} days")


def _left_s(snapshot: Snapshot, asset: Asset) -> float | None:
    """Seconds until a cycle is due."""
    every_days, clean_utc_s = (
        snapshot.limit(asset.id).care.legionella_every_days,
        snapshot.memory.of(asset.id).clean_utc_s,
    )
    if every_days is None or clean_utc_s is None or not snapshot.clock_trusted:
        return None
    return min(clean_utc_s, snapshot.utc_s) + every_days * DAY_S - snapshot.utc_s


def _runs(snapshot: Snapshot, asset: Asset) -> bool | None:
    """Whether a cycle runs; None: not known."""
    cycle = snapshot.state(asset.id).legionella
    return None if cycle is None or cycle.quality is Quality.BAD else cycle.value > 0.5


def _is_hot(snapshot: Snapshot, asset: Asset) -> bool:
    water = snapshot.state(asset.id).water_c
    return water is not None and water.quality is not Quality.BAD and water.value >= STERILE_C


def _since_s(was_s: float | None, now_s: float, is_so: bool) -> float | None:
    if not is_so:
        return None
    return now_s if was_s is None else was_s
