"""The home's own time: moments as a person says them, and as a person is told them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

RIGHT = "2026-11-01 or 2026-11-01T07:00, both local, would be right"
RIGHT_OR_AGO = f"24h or 45d (ago), {RIGHT}"
_AGO = re.compile(r"(\d{1,6})([smhd])")
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def utc_s(word: object, zone: ZoneInfo, ago_from_utc_s: float | None = None) -> float | None:
    """The UTC of a local date or moment; with `ago_from_utc_s` also of `24h`, so long before that.

    None: it is no such word.
    """
    if ago_from_utc_s is not None and (ago := _AGO.fullmatch(str(word))):
        return ago_from_utc_s - int(ago[1]) * _UNITS_S[ago[2]]
    try:
        found = datetime.fromisoformat(str(word))
        return (found if found.tzinfo else found.replace(tzinfo=zone)).timestamp()
    except (ValueError, OverflowError):
        return None


def text(utc_s: float, zone: ZoneInfo, *, exact: bool = False) -> str:
    """RFC 3339 in the home's own time with its offset, to the second, or to the thousandth."""
    moment = datetime.fromtimestamp(utc_s if exact else utc_s // 1, UTC).astimezone(zone)
    return moment.isoformat(timespec="milliseconds" if exact else "seconds")
