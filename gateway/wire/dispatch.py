"""The dispatch message: what an aggregator may ask (`set`, `cancel`, `stopAll`), shape only.

What the shape means and which rules hold between its fields is `order.py`.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from annotated_types import Gt, Len
from pydantic import AfterValidator, Field, StringConstraints, model_validator

from gateway.core.model import Kind
from gateway.wire.message import Obeyed
from gateway.wire.moment import DURATION, duration_of
from gateway.wire.quantity import Count, Duration, Id, SiteId, Text, Utc, left_out, outside

SCHEMA: Final = "homeflex.dispatch.v1"
DISPATCH_MAX_BYTES = 64 * 1024
LONGEST_DELAY_S = 1800
MOST_INTERVALS = 288
MOST_TARGETS = 16
MOST_KW = 10_000  # far above any home; keeps a slip of a thousand from being obeyed


def _not_too_long(delay_s: int) -> int:
    if delay_s > LONGEST_DELAY_S:
        raise ValueError(f"must be at most {duration_of(LONGEST_DELAY_S)}")
    return delay_s


Delay = Annotated[
    Duration,
    AfterValidator(_not_too_long),
    outside("string", f"ISO 8601, at most {duration_of(LONGEST_DELAY_S)}", pattern=DURATION),
]
Length = Annotated[
    Duration,
    Gt(0),
    outside(
        "string",
        "ISO 8601, whole seconds, more than none",
        pattern=r"^(?=.*[1-9])" + DURATION.removeprefix("^"),
    ),
]
Target = Annotated[
    str, StringConstraints(pattern=r"^(site|class:(ev|heat|plug)|asset:[a-z0-9-]{1,40})$")
]  # resolved to assets by whoever knows them

UNITS: dict[Kind, Literal["KW", "PERCENT"] | None] = {
    Kind.CAP: "KW",
    Kind.SETPOINT: "KW",
    Kind.FLOOR: "KW",
    Kind.EXPORT_CAP: "KW",
    Kind.SOC: "PERCENT",
    Kind.SIMPLE: None,
}
_MOST = {"KW": MOST_KW, "PERCENT": 1, None: 3}


class IntervalPeriod(Obeyed):
    """Start and length of an interval, or of the first and of each."""

    start_utc_s: Utc = Field(alias="start")
    duration_s: Length = Field(alias="duration")


class PayloadDescriptor(Obeyed):
    """The unit of a type of value: `KW`, `PERCENT` (0..1), none for `SIMPLE`."""

    payload_type: Kind
    units: Literal["KW", "PERCENT"] | None = left_out()

    @model_validator(mode="after")
    def _unit_fits(self) -> PayloadDescriptor:
        unit = UNITS[self.payload_type]
        if self.units != unit:
            raise ValueError(f"units of {self.payload_type} must be {unit or 'absent'}")
        return self


class Payload(Obeyed):
    """One value: kilowatts (import positive), a state of charge 0..1, or the level of `SIMPLE`."""

    type: Kind
    values: Annotated[tuple[float, ...], Len(1, 1)]

    @model_validator(mode="after")
    def _value_fits(self) -> Payload:
        most, value = _MOST[UNITS[self.type]], self.values[0]
        if not 0 <= value <= most:
            raise ValueError(f"the value of {self.type} must be 0 to {most}")
        if self.type is Kind.SIMPLE and not value.is_integer():
            raise ValueError("the value of SIMPLE must be 0, 1, 2 or 3")
        return self


class Interval(Obeyed):
    """What is asked over one stretch of time."""

    id: Count
    interval_period: IntervalPeriod | None = left_out()
    payloads: Annotated[tuple[Payload, ...], Len(1, 1)]


class StopBody(Obeyed):
    """Ends one instruction (`cancel`) or all that were issued up to now (`stopAll`)."""

    schema_name: Literal["homeflex.dispatch.v1"] = Field(default=SCHEMA, alias="schema")
    site: SiteId
    id: Id
    revision: Count
    op: Literal["cancel", "stopAll"]
    issued_utc_s: Utc = Field(alias="issuedAt")
    expires_utc_s: Utc = Field(alias="expiresAt")
    end_delay_s: Delay | None = left_out("endDelay")


class SetBody(Obeyed):
    """Asks for a course of values over time, from the union of the targets."""

    schema_name: Literal["homeflex.dispatch.v1"] = Field(default=SCHEMA, alias="schema")
    site: SiteId
    id: Id
    revision: Count
    op: Literal["set"] = "set"
    issued_utc_s: Utc = Field(alias="issuedAt")
    expires_utc_s: Utc = Field(alias="expiresAt")
    service: Text
    service_class: Literal["response", "routine"]
    service_ref: Text | None = left_out()
    vector: Literal["automated", "manual"] = "automated"
    priority: Count
    targets: Annotated[tuple[Target, ...], Len(1, MOST_TARGETS)]
    start_delay_s: Delay | None = left_out("startDelay")
    end_delay_s: Delay | None = left_out("endDelay")
    interval_period: IntervalPeriod | None = left_out()
    payload_descriptors: Annotated[tuple[PayloadDescriptor, ...], Len(1, len(UNITS))]
    intervals: Annotated[tuple[Interval, ...], Len(1, MOST_INTERVALS)]
