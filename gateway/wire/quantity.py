"""Units as field types: inside a model a value is in the core's unit, in JSON in the contract's.

A field says both: `power_w: Kw = Field(alias="powerKw")` holds watts and is written in kilowatts.
Each type carries what the outside may know of it: the JSON Schemas of docs/schemas are made of these words.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from annotated_types import Ge, Le
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    Strict,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
)

from gateway.wire.moment import DURATION, MOMENT, duration_of, duration_s_of, moment_of, utc_s_of

InsideT = TypeVar("InsideT")
_WS_PER_KWH = 3_600_000


def outside(kind: str, words: str, **more: Any) -> WithJsonSchema:
    """The JSON Schema of a type as the contract writes it; units and signs in `words`."""
    return WithJsonSchema({"type": kind, "description": words, **more})


def _read(parse: Callable[[str], InsideT]) -> BeforeValidator:
    def inside(value: object, info: ValidationInfo) -> object:
        if info.mode != "json":
            return value
        if not isinstance(value, str):
            raise ValueError("must be text")
        return parse(value)

    return BeforeValidator(inside)


def _scaled(inside_per_outside: int) -> AfterValidator:
    def inside(value: float, info: ValidationInfo) -> float:
        return round(value * inside_per_outside, 3) if info.mode == "json" else value

    return AfterValidator(inside)


def _rounded(decimals: int, inside_per_outside: int = 1) -> PlainSerializer:
    def written(value: float) -> float:
        return round(value / inside_per_outside, decimals) + 0.0  # turns -0.0 into 0.0

    return PlainSerializer(written, return_type=float, when_used="json-unless-none")


def kwh_of(energy_ws: float) -> float:
    """Kilowatt-hours to the nearest millionth (3.6 Ws)."""
    return micro_kwh_of(energy_ws) / 1e6


def micro_kwh_of(energy_ws: float) -> int:
    """Millionths of a kilowatt-hour, the wire's resolution, as a whole number that sums exactly."""
    return round(energy_ws / 3.6)


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be text without control characters")
    return text


def _none_if_endless(value: object) -> object:
    return None if value == math.inf else value


def _bare(text: str) -> str:
    return text.removeprefix("sha256:")


def _labelled(hexadecimal: str) -> str:
    return f"sha256:{hexadecimal}"


Kw = Annotated[
    float,
    _scaled(1000),
    _rounded(3, 1000),
    outside("number", "kW, three decimals; import is positive, export negative"),
]
"""Watts inside, kilowatts with three decimals outside."""

Kwh = Annotated[
    float,
    _scaled(_WS_PER_KWH),
    PlainSerializer(kwh_of, return_type=float, when_used="json-unless-none"),
    outside("number", "kWh, six decimals; import is positive, export negative"),
]
"""Watt-seconds inside, kilowatt-hours with six decimals outside."""

Utc = Annotated[
    float,
    _read(utc_s_of),
    PlainSerializer(moment_of, return_type=str, when_used="json-unless-none"),
    outside("string", "RFC 3339 in UTC with Z, whole seconds", format="date-time", pattern=MOMENT),
]
"""UTC seconds inside, RFC 3339 with `Z` outside."""

Duration = Annotated[
    int,
    _read(duration_s_of),
    PlainSerializer(duration_of, return_type=str, when_used="json-unless-none"),
    outside("string", "ISO 8601: PT[nH][nM][nS], whole numbers", pattern=DURATION),
]
"""Whole seconds inside, ISO 8601 outside."""

Seconds = Annotated[
    float,
    PlainSerializer(round, return_type=int, when_used="json-unless-none"),
    outside("integer", "seconds"),
]
"""Seconds, written whole."""

Lasting = Annotated[Seconds | None, BeforeValidator(_none_if_endless)]
"""Seconds; infinity and None are both written null: no end is known."""

Fraction = Annotated[float, _rounded(3), outside("number", "a share, 0..1, three decimals")]
"""A state of charge or a coverage, 0..1."""

Celsius = Annotated[float, _rounded(2), outside("number", "degrees Celsius")]

Precise = Annotated[float, _rounded(6)]
"""A plain number of at most six decimals."""

Whole = Annotated[int, Strict()]

Count = Annotated[Whole, Ge(0), Le(2**31 - 1)]
"""A whole number from 0, of 31 bits: fits every database and every language."""

Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][!-~]{0,63}$")]
"""One to 64 characters of ASCII without spaces, the first a letter or a digit."""

Text = Annotated[
    str,
    StringConstraints(min_length=1, max_length=64),
    AfterValidator(_printable),
    outside(
        "string", "printable characters", minLength=1, maxLength=64, pattern=r"^[^\u0000-\u001f\u007f]*$"
    ),
]
"""One to 64 printable characters."""

SiteId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,40}$")]

Stream = Annotated[str, StringConstraints(min_length=12, max_length=64)]
"""Names one run of sequence numbers: random characters, new with a new store."""


Sha256 = Annotated[
    str,
    AfterValidator(_bare),
    PlainSerializer(_labelled, return_type=str, when_used="json-unless-none"),
    outside("string", "SHA-256 in hexadecimal", pattern=r"^sha256:[0-9a-f]{64}$"),
]
"""A SHA-256 in hexadecimal inside, `sha256:` before it outside."""


def left_out(alias: str | None = None) -> Any:  # typed as Any like pydantic's own Field
    """A field that is not written while it is None."""
    return Field(default=None, alias=alias, exclude_if=_is_none)


def _is_none(value: object) -> bool:
    return value is None
