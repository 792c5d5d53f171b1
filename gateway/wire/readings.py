"""Telemetry: the minute readings of all points, one message a cut."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Literal

from pydantic import Field, field_serializer

from gateway.core.model import Governor
from gateway.wire.message import Part
from gateway.wire.quantity import (
    Celsius,
    Fraction,
    Kw,
    Kwh,
    Seconds,
    SiteId,
    Stream,
    Utc,
    Whole,
    left_out,
    micro_kwh_of,
)

SCHEMA: Final = "homeflex.telemetry.v1"


class DataQuality(StrEnum):
    """How far a reading may be believed; OpenADR's DATA_QUALITY words."""

    OK = "OK"
    ESTIMATED = "ESTIMATED"
    MISSING = "MISSING"
    BAD = "BAD"


class Flaw(StrEnum):
    """Why a reading's quality is what it is."""

    EDGE = "edge"
    FROZEN = "frozen"
    STALE = "stale"
    COUNTER_RESET = "counterReset"
    CLOCK_UNTRUSTED = "clockUntrusted"
    IMPLAUSIBLE = "implausible"
    DEVICE_OFFLINE = "deviceOffline"
    EXPORT_UNKNOWN = "exportUnknown"
    REGRID = "regrid"
    RESTART = "restart"


class Source(StrEnum):
    """What a reading was taken from; an estimate is never `OK`."""

    METER = "meter"
    DEVICE = "device"
    ESTIMATE = "estimate"


class MinuteReading(Part):
    """One point over [`start`, `end`). Power and energy are net; the registers are apart, never netted.

    `gapKwh` is only there on the first good reading after missing ones. Where there is a register,
    energy and gap are written as its steps after rounding, not rounded themselves: so what rounding
    drops comes with the next interval, and readings sum to the register.
    """

    seq: Whole
    start_utc_s: Utc = Field(alias="start")
    end_utc_s: Utc = Field(alias="end")
    power_w: Kw | None = Field(alias="powerKw")
    energy_ws: Kwh | None = Field(alias="energyKwh")
    gap_ws: Kwh | None = left_out("gapKwh")
    import_register_ws: Kwh | None = Field(alias="importRegisterKwh")
    export_register_ws: Kwh | None = Field(alias="exportRegisterKwh")
    last_w: Kw | None = Field(alias="lastKw")
    last_utc_s: Utc | None = Field(alias="lastAt")
    source: Source
    method: Literal["MEAN"] = "MEAN"
    quality: DataQuality
    reasons: tuple[Flaw, ...] = ()
    coverage: Fraction
    limit_w: Kw | None = Field(default=None, alias="limitKw")
    dispatch_ids: tuple[str, ...] = ()
    governed_by: Governor
    soc: Fraction | None = None
    soc_age_s: Seconds | None = Field(default=None, alias="socAgeS")
    soc_source: str | None = None
    room_c: Celsius | None = Field(default=None, alias="roomC")
    room_age_s: Seconds | None = Field(default=None, alias="roomAgeS")

    @field_serializer("energy_ws", when_used="json-unless-none")
    def _energy_kwh(self, energy_ws: float) -> float:
        return _step_kwh(self._net_register_ws, energy_ws)

    @field_serializer("gap_ws", when_used="json-unless-none")
    def _gap_kwh(self, gap_ws: float) -> float:
        return _step_kwh(self._net_register_ws - (self.energy_ws or 0), gap_ws)

    @property
    def _net_register_ws(self) -> float:
        return (self.import_register_ws or 0) - (self.export_register_ws or 0)


class PointReadings(Part):
    """Readings of one point, in order of `seq`."""

    stream: Stream
    readings: tuple[MinuteReading, ...]


class Telemetry(Part):
    """One cut of all points, or rows sent again (`backfill`)."""

    schema_name: Literal["homeflex.telemetry.v1"] = Field(default=SCHEMA, alias="schema")
    site: SiteId
    boot: str
    offset_s: Whole = Field(alias="offsetS")
    backfill: bool
    points: Mapping[str, PointReadings]


def _step_kwh(end_ws: float, step_ws: float) -> float:
    return (micro_kwh_of(end_ws) - micro_kwh_of(end_ws - step_ws)) / 1e6
