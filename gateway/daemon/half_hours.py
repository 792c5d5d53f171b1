"""The half-hours of this home on their way to the disk: told once, in the transaction that says so.

A half-hour gets its number there too, so one that was not saved was not told; it is tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from gateway.core import half_hour
from gateway.core.half_hour import HalfHour
from gateway.daemon.clock import Clock
from gateway.daemon.minutes import Minutes
from gateway.daemon.records import Records
from gateway.daemon.store import AppendRow, StorageError
from gateway.wire.message import encode
from gateway.wire.readings import DataQuality, Flaw
from gateway.wire.settlement import HalfHour as Told
from gateway.wire.settlement import Method, settlement_period

log = structlog.get_logger()

RETRY_S = 30.0  # after the disk did not take them


class HalfHours:
    """Looks each second whether half-hours are due, and saves them."""

    def __init__(self, minutes: Minutes, records: Records, clock: Clock) -> None:
        self._minutes = minutes
        self._records = records
        self._clock = clock
        self._saving: asyncio.Task[None] | None = None
        self._retry_s = 0.0
        self._since_utc_s: float | None = None

    def look(self) -> None:
        """Begin to save what is due; while something is being saved, and without a trusted clock, nothing."""
        is_ready = self._clock.trusted and self._clock.monotonic_s() >= self._retry_s
        if not is_ready or (self._saving and not self._saving.done()):
            return
        utc_s = self._clock.utc_s()
        if self._since_utc_s is None:
            self._since_utc_s = utc_s
        found = self._minutes.half_hours(utc_s, lag_s(self._minutes.offset_s), self._since_utc_s)
        if found:
            self._minutes.settle(found, utc_s)
            self._saving = asyncio.create_task(self._save(found, utc_s), name="save half-hours")

    async def saved(self) -> None:
        """When what is being saved is on the disk, or could not be saved."""
        if self._saving:
            await self._saving

    async def _save(self, found: Mapping[str, tuple[HalfHour, ...]], utc_s: float) -> None:
        """Under the time when they are told: a correction is as late as it came."""
        rows = [
            AppendRow(f"settlement:{point}", utc_s, encode(_body(row)))
            for point, told in found.items()
            for row in told
        ]
        try:
            await self._records.append(rows, self._minutes.edge())
        except StorageError as error:
            log.error("half-hours not saved, they are tried again", error=str(error))
            self._minutes.unsettle(found)
            self._retry_s = self._clock.monotonic_s() + RETRY_S


def lag_s(offset_s: int) -> float:
    """How long after its end a half-hour is told: homes are spread by their offset."""
    return half_hour.SOONEST_S + (half_hour.LATEST_S - half_hour.SOONEST_S) * offset_s / 60


def _body(row: HalfHour) -> Told:
    date, period = settlement_period(row.start_utc_s)
    import_start_ws, import_end_ws = row.import_register_ws
    export_start_ws, export_end_ws = row.export_register_ws
    return Told(
        seq=0,
        revision=row.revision,
        start_utc_s=row.start_utc_s,
        end_utc_s=row.end_utc_s,
        settlement_date=date,
        settlement_period=period,
        import_ws=row.import_ws,
        export_ws=row.export_ws,
        import_start_ws=import_start_ws,
        import_end_ws=import_end_ws,
        export_start_ws=export_start_ws,
        export_end_ws=export_end_ws,
        method=Method.REGISTER if row.by_register else Method.POWER,
        quality=DataQuality(row.quality),
        reasons=tuple(Flaw(reason) for reason in row.reasons),
        coverage=row.coverage,
        edge_gap_s=row.edge_gap_s,
    )
