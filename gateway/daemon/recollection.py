"""What of an earlier run is still known: the rules' memory, the instructions, the latest UTC."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import structlog

from gateway.core.life import Entry
from gateway.core.memory import resume
from gateway.core.model import AssetMemory, Mark, Memory
from gateway.daemon import codec
from gateway.daemon.clock import Clock
from gateway.daemon.store import PutMeta, Saved, Store

log = structlog.get_logger()

QUANTUM = 448  # bytes: twice that fits a page of the database
EVERY_S = 5.0  # between two savings of a memory that changed
UTC_EVERY_S = 3600.0
TOLD_EVERY_S = 900.0  # a quarter of the gap after which a car may be another, and of a backup heater's hour


class Recollection:
    """Reads the earlier run's memory, and saves this one's when it changed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._saved_s = float("-inf")
        self._gist: object = None

    @property
    def last_utc_s(self) -> float:
        """The latest trusted UTC that was saved; 0 if none."""
        return float(_meta(self._store.saved, "utc") or 0.0)

    def memory(self, clock: Clock) -> Memory:
        """The earlier run's memory on this run's clock; empty if there is none that can be read."""
        blob = self._store.saved.meta.get("memory")
        if blob is None:
            return Memory(at_s=clock.monotonic_s())
        try:
            (record,) = (blob,) if blob.startswith(b"[") else codec.unpack(blob)  # as it was, or packed
            memory: Memory = codec.decode("memory", record)
        except (codec.Unreadable, ValueError) as error:
            log.error("memory of the earlier run cannot be read", error=str(error))
            return Memory(at_s=clock.monotonic_s())
        return resume(memory, clock.monotonic_s(), self._elapsed_s(clock))

    def entries(self) -> Iterator[Entry]:
        """The journal's instructions; one that cannot be read is kept on the disk and told."""
        for id_, blob in self._store.saved.entries.items():
            try:
                yield codec.decode("entry", blob)
            except codec.Unreadable as error:
                log.error("instruction of the earlier run cannot be read", id=id_, error=str(error))

    def save(self, memory: Memory, clock: Clock, *, now: bool = False) -> None:
        """Save the memory if it changed in a way that matters; at most every few seconds."""
        gist = _gist(memory)
        elapsed_s = clock.monotonic_s() - self._saved_s
        if not now and (elapsed_s < EVERY_S or (gist == self._gist and elapsed_s < UTC_EVERY_S)):
            return
        self._gist, self._saved_s = gist, clock.monotonic_s()
        changes = [PutMeta("memory", codec.pack([codec.encode("memory", memory)], quantum=QUANTUM))]
        if clock.trusted:
            changes.append(PutMeta("utc", json.dumps(clock.utc_s()).encode()))
            changes.append(PutMeta("memoryUtc", json.dumps(clock.utc_s()).encode()))
        else:
            changes.append(PutMeta("memoryUtc", b"null"))
        self._store.submit(*changes)

    def _elapsed_s(self, clock: Clock) -> float | None:
        """Time since the memory was true, if both moments had a trusted clock."""
        saved_utc_s = _meta(self._store.saved, "memoryUtc")
        if saved_utc_s is None or not clock.trusted:
            return None
        elapsed_s = clock.utc_s() - float(saved_utc_s)
        return elapsed_s if elapsed_s >= 0 else None


def _meta(saved: Saved, key: str) -> float | None:
    blob = saved.meta.get(key)
    value: float | None = json.loads(blob) if blob is not None else None
    return value


def _gist(memory: Memory) -> object:
    """What of a memory is worth a write: not that time went by."""
    assets = {id_: _gist_of(asset) for id_, asset in memory.assets.items()}
    return replace(memory, at_s=0.0, base_load=None, reckoned=None, assets=assets)


def _gist_of(asset: AssetMemory) -> AssetMemory:
    """A SoC is worth a write by the whole per cent: from the mark before, energy carries it on."""
    measured, told_s = asset.measured, asset.told_s
    return replace(
        asset,
        quiet_since_s=None,
        tight_s=None,
        short_s=None,
        starved_s=None if asset.starved_s is None else 0.0,
        fall=None,
        walls=None,
        falls=tuple(round(fall, 2) for fall in asset.falls),
        measured=measured and replace(measured, soc=round(measured.soc, 2), mark=Mark(0.0)),
        told_s=told_s and told_s // TOLD_EVERY_S,
        defrosted_s=None,
        backup_s=asset.backup_s and asset.backup_s // TOLD_EVERY_S,
        outdoor_c=asset.outdoor_c and round(asset.outdoor_c),
        clean_utc_s=asset.clean_utc_s and asset.clean_utc_s // UTC_EVERY_S,
    )
