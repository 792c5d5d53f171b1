"""What became of an instruction: statuses while it lives, and one summary after it ended."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal

from pydantic import Field

from gateway.core.model import Extent, Reason
from gateway.wire.message import Part
from gateway.wire.quantity import Kw, Kwh, Seconds, Sha256, SiteId, Stream, Utc, Whole, left_out
from gateway.wire.readings import DataQuality
from gateway.wire.reception import Reception

STATUS: Final = "homeflex.status.v1"
SUMMARY: Final = "homeflex.summary.v1"


class Life(StrEnum):
    """Where an asset is in the one life it has per instruction."""

    REJECTED = "REJECTED"
    ACCEPTED = "ACCEPTED"
    STARTED = "STARTED"
    SUCCEEDED = "SUCCEEDED"
    ABORTED = "ABORTED"
    REVOKED = "REVOKED"


class Evidence(StrEnum):
    """How it is known that an asset follows."""

    MEASURED = "measured"
    READ_BACK = "readBack"
    IDLE = "idle"


class TargetStatus(Part):
    """One asset's entry, or (`target` instead of `asset`) the whole's or that of a target matching nothing.

    What is not known or does not apply is left out.
    """

    asset: str | None = left_out()
    target: str | None = left_out()
    status: Life
    extent: Extent | None = left_out()
    evidence: Evidence | None = left_out()
    reason: Reason = Reason.NONE
    text: str | None = left_out()
    limit_w: Kw | None = left_out("limitKw")
    measured_w: Kw | None = left_out("measuredKw")
    delay_s: Seconds | None = left_out("delayS")
    end_delay_s: Seconds | None = left_out("endDelayS")


class Status(Part):
    """The answer to a dispatch, and each change after it.

    `id` and `revision` are null where they could not be read or nothing may be echoed. `reason` and
    `text` say why `reception` is not `OK`; `count` is how many bad signatures this answer stands for.
    """

    schema_name: Literal["homeflex.status.v1"] = Field(default=STATUS, alias="schema")
    site: SiteId
    stream: Stream
    seq: Whole
    id: str | None
    revision: Whole | None
    digest: Sha256
    at_utc_s: Utc = Field(alias="at")
    reception: Reception
    reason: Reason | None = left_out()
    text: str | None = left_out()
    count: Whole | None = left_out()
    targets: tuple[TargetStatus, ...] = ()


class Window(Part):
    """[`start`, `end`) as asked, before any delay."""

    start_utc_s: Utc = Field(alias="start")
    end_utc_s: Utc = Field(alias="end")


class Limited(Part):
    """How long one reason kept an asset from giving what was asked."""

    reason: Reason
    s: Seconds


class AssetSummary(Part):
    """What one asset did in the window; `firstSeq` and `lastSeq` are its telemetry."""

    asset: str
    status: Life
    energy_ws: Kwh | None = Field(alias="energyKwh")
    quality: DataQuality
    first_seq: Whole | None
    last_seq: Whole | None
    followed_utc_s: Utc | None = Field(alias="followedAt")
    delay_s: Seconds = Field(alias="delayS")
    held_s: Seconds = Field(alias="heldS")
    idle_s: Seconds = Field(alias="idleS")
    limited_s: Seconds = Field(alias="limitedS")
    limits: tuple[Limited, ...] = ()


class Summary(Part):
    """Once per id, 60 to 120 s after its last end."""

    schema_name: Literal["homeflex.summary.v1"] = Field(default=SUMMARY, alias="schema")
    site: SiteId
    stream: Stream
    seq: Whole
    id: str
    revision: Whole
    at_utc_s: Utc = Field(alias="at")
    service: str
    service_ref: str | None
    window: Window
    assets: tuple[AssetSummary, ...]
