"""Things that happened and that nobody asked for: an override, a lost device, a step of the clock."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal

from pydantic import Field

from gateway.core.model import Reason
from gateway.wire.message import Part
from gateway.wire.quantity import SiteId, Stream, Utc, Whole

SCHEMA: Final = "homeflex.event.v1"


class EventKind(StrEnum):
    """What happened."""

    OVERRIDE = "override"
    LIMIT = "limit"
    DEVICE_LOST = "deviceLost"
    DEVICE_BACK = "deviceBack"
    DEVICE = "device"
    CLOCK = "clock"
    TAMPER = "tamper"
    SECURITY = "security"
    STORAGE = "storage"
    RESTART = "restart"


class Severity(StrEnum):
    """Who should look: nobody, somebody, somebody now."""

    INFO = "info"
    WARNING = "warning"
    ALARM = "alarm"


class Event(Part):
    """One thing that happened, or `count` alike; `until` is when it ends if that is known."""

    schema_name: Literal["homeflex.event.v1"] = Field(default=SCHEMA, alias="schema")
    site: SiteId
    stream: Stream
    seq: Whole
    at_utc_s: Utc = Field(alias="at")
    kind: EventKind
    severity: Severity
    asset: str | None = None
    dispatch_ids: tuple[str, ...] = ()
    reason: Reason = Reason.NONE
    until_utc_s: Utc | None = Field(default=None, alias="until")
    count: Whole = 1
    text: str
