"""Settlement: half-hours of all points, each with its period of the London day."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, field_serializer

from gateway.wire.message import Part
from gateway.wire.quantity import Fraction, Kwh, Seconds, SiteId, Stream, Utc, Whole, micro_kwh_of
from gateway.wire.readings import DataQuality, Flaw

SCHEMA: Final = "homeflex.settlement.v1"
LENGTH_S = 1800


class Method(StrEnum):
    """What a half-hour's energy is from: the register's step, or (no register) power over time."""

    REGISTER = "REGISTER"
    POWER = "POWER"


class HalfHour(Part):
    """One point over [`start`, `end`), which are on :00 and :30 UTC.

    Import and export are apart, never netted; what is not metered, or not known, is null. Registers are
    those at the two edges, on the line between the reads around them; `edgeGapS` is how far from its edge
    the furthest of these reads was, 0 where it was read then. Energies are written as the step of the
    registers after rounding.
    """

    seq: Whole
    revision: Whole
    start_utc_s: Utc = Field(alias="start")
    end_utc_s: Utc = Field(alias="end")
    settlement_date: str
    settlement_period: Whole
    import_ws: Kwh | None = Field(alias="importKwh")
    export_ws: Kwh | None = Field(alias="exportKwh")
    import_start_ws: Kwh | None = Field(alias="importRegisterStartKwh")
    import_end_ws: Kwh | None = Field(alias="importRegisterEndKwh")
    export_start_ws: Kwh | None = Field(alias="exportRegisterStartKwh")
    export_end_ws: Kwh | None = Field(alias="exportRegisterEndKwh")
    method: Method
    quality: DataQuality
    reasons: tuple[Flaw, ...] = ()
    coverage: Fraction
    edge_gap_s: Seconds | None = Field(alias="edgeGapS")

    @field_serializer("import_ws", when_used="json-unless-none")
    def _import_kwh(self, energy_ws: float) -> float:
        return _kwh(energy_ws, self.import_start_ws, self.import_end_ws)

    @field_serializer("export_ws", when_used="json-unless-none")
    def _export_kwh(self, energy_ws: float) -> float:
        return _kwh(energy_ws, self.export_start_ws, self.export_end_ws)


class PointHalfHours(Part):
    """Half-hours of one point, in order of `seq`."""

    stream: Stream
    half_hours: tuple[HalfHour, ...]


class Settlement(Part):
    """Half-hours of all points, or rows sent again (`backfill`)."""

    schema_name: Literal["homeflex.settlement.v1"] = Field(default=SCHEMA, alias="schema")
    site: SiteId
    backfill: bool
    points: Mapping[str, PointHalfHours]


def settlement_period(start_utc_s: float) -> tuple[str, int]:
    """Settlement date and period of the half-hour that begins then: the London day's, which has 46, 48 or 50
    (BSC Section X, Annex X-1)."""
    london = _london()
    day = datetime.fromtimestamp(start_utc_s, london).date()
    midnight_utc_s = datetime(day.year, day.month, day.day, tzinfo=london).timestamp()
    return day.isoformat(), round((start_utc_s - midnight_utc_s) / LENGTH_S) + 1


@functools.cache
def _london() -> ZoneInfo:
    return ZoneInfo("Europe/London")


def _kwh(energy_ws: float, start_ws: float | None, end_ws: float | None) -> float:
    """By the rounded registers where the energy is their step: so half-hours sum to the register."""
    if start_ws is None or end_ws is None or end_ws - start_ws != energy_ws:
        return micro_kwh_of(energy_ws) / 1e6
    return (micro_kwh_of(end_ws) - micro_kwh_of(start_ws)) / 1e6
