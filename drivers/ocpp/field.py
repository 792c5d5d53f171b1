"""Tolerant readers of single fields: chargers break their own schemas, and what is usable counts."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

LONGEST_WORD = 255
LARGEST = 1e12  # of any quantity a charger tells; beyond it is damage
YEARS = (1970, 2200)
_NUMBER = re.compile(r"\s*[-+]?(\d{1,20}([.,]\d{0,20})?|[.,]\d{1,20})([eE][-+]?\d{1,3})?\s*")
_MOMENT = re.compile(
    r"\s*(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s*"
    r"([Zz]|[-+]\d\d(?::?\d\d)?)?\s*"
)


def word(value: object) -> str:
    """A printable text of bounded length; empty where there is none."""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return ""
    text = str(value)[:LONGEST_WORD]
    return "".join(letter for letter in text if letter.isprintable()).strip()


def number(value: object) -> float | None:
    """A number of a size that means something, also one written as text."""
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value):
            return None
        value = float(value.replace(",", "."))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:  # an integer of hundreds of digits
        return None
    return found if math.isfinite(found) and abs(found) <= LARGEST else None


def whole(value: object) -> int | None:
    """A whole number, also one written as text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    found = number(value)
    return int(found) if found is not None and found.is_integer() else None


def moment_s(value: object) -> float | None:
    """UTC seconds of a time stamp; one without a zone may be anybody's time, so it is none."""
    found = _MOMENT.fullmatch(value) if isinstance(value, str) and len(value) <= LONGEST_WORD else None
    if not found or found[8] is None:
        return None
    *date, fraction, zone = found.groups()
    year, month, day, hour, minute, second = (int(digits or 0) for digits in date)
    if not YEARS[0] <= year <= YEARS[1]:
        return None
    try:
        at = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return at.timestamp() + float(f"0.{fraction or 0}") - _zone_s(zone)


def _zone_s(zone: str) -> int:
    if zone in "Zz":
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    return (-1 if zone[0] == "-" else 1) * (int(digits[:2]) * 3600 + int(digits[2:]) * 60)


def moment_text(utc_s: float) -> str:
    """UTC seconds as OCPP wants them: whole seconds, with a Z."""
    return datetime.fromtimestamp(utc_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parts(value: object) -> list[Mapping[str, Any]]:
    """The objects of a list; a single object stands for a list of one."""
    found = [value] if isinstance(value, Mapping) else value if isinstance(value, list) else []
    return [part for part in found if isinstance(part, Mapping)]


def part(value: object) -> Mapping[str, Any]:
    """An object; empty where there is none."""
    return value if isinstance(value, Mapping) else {}
