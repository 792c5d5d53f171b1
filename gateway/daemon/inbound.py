"""One message from the aggregator, as it arrived."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Inbound:
    """A message. `retain`: it was published so, now or earlier.

    `serial` names it for `acknowledge`, and is never used again.
    """

    serial: int
    topic: str
    payload: bytes
    retain: bool
    response_topic: str | None = None
    correlation: bytes | None = None
