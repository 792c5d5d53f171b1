"""Moments and durations as the contract writes them: RFC 3339 in UTC with `Z`, ISO 8601 `PT[nH][nM][nS]`.

Whole seconds only. Inside the gateway both are plain seconds.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

MOMENT = r"^2[01][0-9]{2}-(0[1-9]|1[0-2])-[0-3][0-9]T([01][0-9]|2[0-3])(:[0-5][0-9]){2}Z$"
"""What a schema can say of a moment; which days there are is the calendar's."""
DURATION = r"^PT(?=[0-9])([0-9]{1,6}H)?([0-9]{1,6}M)?([0-9]{1,6}S)?$"

_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_DURATION = re.compile(r"PT(?=[0-9])(?:([0-9]{1,6})H)?(?:([0-9]{1,6})M)?(?:([0-9]{1,6})S)?")
_YEARS = range(2000, 2200)  # refuses OpenADR's year-1 "now"; leaves room for sums


def utc_s_of(text: str) -> float:
    """Seconds since 1970 of a moment such as `2026-11-23T17:00:00Z`.

    Raises:
        ValueError: it is not written so, does not exist, or its year is not of our time.
    """
    if not _MOMENT.fullmatch(text):
        raise ValueError(f"{_shown(text)} is not a moment such as 2026-11-23T17:00:00Z (UTC, whole seconds)")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{_shown(text)} does not exist in the calendar") from None
    if moment.year not in _YEARS:
        raise ValueError(f"{_shown(text)} is not of our time: the year must be {_YEARS[0]} to {_YEARS[-1]}")
    return moment.timestamp()


def moment_of(utc_s: float) -> str:
    """The moment `utc_s` in RFC 3339, the fraction of a second cut off."""
    return f"{datetime.fromtimestamp(utc_s // 1, UTC):%Y-%m-%dT%H:%M:%SZ}"


def duration_s_of(text: str) -> int:
    """Seconds of a duration such as `PT1H30M`.

    Raises:
        ValueError: it is not written so.
    """
    parts = _DURATION.fullmatch(text)
    if not parts:
        raise ValueError(f"{_shown(text)} is not a duration such as PT1H30M or PT90S")
    hours, minutes, seconds = (int(part or 0) for part in parts.groups())
    return hours * 3600 + minutes * 60 + seconds


def duration_of(seconds: int) -> str:
    """The duration of `seconds` in hours, minutes and seconds, each only where it is not nought."""
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    parts = [f"{count}{unit}" for count, unit in ((hour, "H"), (minute, "M"), (second, "S")) if count]
    return "PT" + ("".join(parts) or "0S")


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
