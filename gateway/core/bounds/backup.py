"""Backup heater: a hold never calls it. A heat pump whose backup heater runs is not held; one whose hold, or
whose way back from a hold, it was called in is not held again before it has been off for an hour.

One that is configured and silent may run. Like all that is outside, it waits until a compressor has had its
rest. Figures: modbus reference C3. Rank: care.
"""

from __future__ import annotations

from gateway.core.bounds.care import lets_run, rests
from gateway.core.change import changed
from gateway.core.model import Asset, AssetMemory, Bound, Quality, Snapshot
from gateway.core.span import in_words

AGAIN_AFTER_S = 3600.0


def bound(snapshot: Snapshot, asset: Asset) -> Bound | None:
    """Not held while it runs, while nobody knows, and for an hour after a hold has called it."""
    if not asset.ability.holds or rests(snapshot, asset):
        return None
    runs, called_s = _runs(snapshot, asset), snapshot.memory.of(asset.id).backup_s
    if runs:
        return lets_run(asset, "its backup heater runs")
    if runs is None and "backup" in asset.sources:
        return lets_run(asset, "unknown whether its backup heater runs")
    if called_s is None or snapshot.now_s - called_s >= AGAIN_AFTER_S:
        return None
    ago, again = in_words(snapshot.now_s - called_s), in_words(AGAIN_AFTER_S)
    text = f"a hold called its backup heater, off for {ago}, not held for {again} after it"
    return lets_run(asset, text, called_s + AGAIN_AFTER_S)


def remembered(snapshot: Snapshot, asset: Asset, now: AssetMemory) -> AssetMemory:
    """`now` with when the backup heater last ran that was called in a hold or in the rest after it."""
    was = snapshot.memory.of(asset.id)
    is_ours = was.held_w is not None or was.let_go_s is not None or was.backup_s is not None
    if _runs(snapshot, asset) and is_ours:
        return changed(now, backup_s=snapshot.now_s)
    is_over = was.backup_s is not None and snapshot.now_s - was.backup_s >= AGAIN_AFTER_S
    return changed(now, backup_s=None if is_over else now.backup_s)


def _runs(snapshot: Snapshot, asset: Asset) -> bool | None:
    """Whether it runs; None: not known."""
    backup = snapshot.state(asset.id).backup
    return None if backup is None or backup.quality is Quality.BAD else backup.value > 0
