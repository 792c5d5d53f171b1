"""How both versions word what is built from the library's types, and what both word alike in an answer."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ocpp.charge_point import (  # type: ignore[import-untyped]  # ships no types
    remove_nones,
    serialize_as_dict,
    snake_to_camel_case,
)

from drivers.ocpp.field import moment_text, number, part, word
from drivers.ocpp.profile import Unit
from drivers.ocpp.rpc import Payload
from drivers.ocpp.version import Message

logging.getLogger("ocpp").setLevel(logging.CRITICAL)


def message(request: Any) -> Message:
    """A call of the library, by its name."""
    return type(request).__name__, plain(request)


def plain(content: Any) -> Payload:
    """A call or an answer of the library as JSON has it; what is None is left out."""
    worded: Payload = snake_to_camel_case(remove_nones(serialize_as_dict(content)))
    return worded


def moment_or_none(utc_s: float | None) -> str | None:
    """A moment as text, where there is one."""
    return None if utc_s is None else moment_text(utc_s)


def limit_now(answer: Payload, schedule: Mapping[str, Any], unit: Unit) -> float | None:
    """The limit in force now by an answer's composite schedule, in `unit`; infinite: none; None: it cannot be
    told."""
    periods = schedule.get("chargingSchedulePeriod")
    first = periods[0] if isinstance(periods, list) and periods else periods
    limit = number(part(first).get("limit"))
    if word(answer.get("status")) != "Accepted" or limit is None:
        return None
    if word(schedule.get("chargingRateUnit")) not in ("", unit.value):
        return None
    return limit if limit >= 0 else float("inf")
