"""How far the aggregator holds each of our logs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from annotated_types import Len
from pydantic import Field

from gateway.wire.message import Part
from gateway.wire.quantity import Count, SiteId, Stream, Text, Utc

SCHEMA: Final = "homeflex.ack.v1"
MOST_LOGS = 256


class Watermark(Part):
    """The highest `seq` of a `stream` below which nothing is missing."""

    stream: Stream
    seq: Count


class Ack(Part):
    """How far the aggregator holds each log: `telemetry:<point>`, `status`, `event`."""

    schema_name: Literal["homeflex.ack.v1"] = Field(default=SCHEMA, alias="schema")
    site: SiteId
    at_utc_s: Utc = Field(alias="at")
    logs: Annotated[Mapping[Text, Watermark], Len(0, MOST_LOGS)]
