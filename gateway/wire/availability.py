"""How much an asset, a class or the site can give, up and down, now and in the next 24 h."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from gateway.core.model import Reason
from gateway.wire.message import Part
from gateway.wire.quantity import Fraction, Kw, Kwh, Lasting, Seconds, SiteId, Utc

SCHEMA: Final = "homeflex.availability.v1"


class Hold(Part):
    """An absolute power that can be held for `forS` (null: no end known), reachable `afterS` from now."""

    to_w: Kw = Field(alias="toKw")
    for_s: Lasting = Field(alias="forS")
    after_s: Seconds = Field(alias="afterS")
    respond_s: Seconds = Field(alias="respondS")
    until: Reason


class AvailableScope(Part):
    """What one target can give now; null where it is unknown or does not apply."""

    target: str
    now_w: Kw | None = Field(alias="nowKw")
    expected_w: Kw | None = Field(alias="expectedKw")
    down: Hold | None
    up: Hold | None
    connected: bool
    connected_since_utc_s: Utc | None = Field(default=None, alias="connectedSince")
    ready_by_utc_s: Utc | None = Field(default=None, alias="readyBy")
    needed_ws: Kwh | None = Field(default=None, alias="neededKwh")
    soc: Fraction | None = None
    soc_utc_s: Utc | None = Field(default=None, alias="socAt")
    soc_source: str | None = None


class ExpectedPower(Part):
    """A half-hour by the household's own settings; a plan, not a baseline."""

    target: str
    start_utc_s: Utc = Field(alias="start")
    end_utc_s: Utc = Field(alias="end")
    power_w: Kw = Field(alias="kw")
    min_w: Kw = Field(alias="minKw")
    max_w: Kw = Field(alias="maxKw")


class Availability(Part):
    """Retained; believed until `validUntil`."""

    schema_name: Literal["homeflex.availability.v1"] = Field(default=SCHEMA, alias="schema")
    site: SiteId
    at_utc_s: Utc = Field(alias="at")
    valid_until_utc_s: Utc = Field(alias="validUntil")
    scopes: tuple[AvailableScope, ...]
    expected: tuple[ExpectedPower, ...]
