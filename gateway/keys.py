"""Whose signatures count, as a person on site is told: the root, the trust store in force, and each key."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from gateway.console.answers import KeyLine, TrustedKeys
from gateway.core.span import in_words
from gateway.daemon.keys import Held
from gateway.wire.keys import Root, TrustedKey

DAY_S = 86_400


def told(root: Root | None, held: Held | None, zone: ZoneInfo, utc_s: float | None) -> TrustedKeys:
    """The answer; `utc_s` None: the clock is not trusted."""
    return {
        "root": root.fingerprint if root else None,
        "version": held.ring.version if held else None,
        "source": held.source.value if held else None,
        "keys": [_line(key, zone, utc_s) for key in held.ring.trusted.values()] if held else [],
    }


def _line(key: TrustedKey, zone: ZoneInfo, utc_s: float | None) -> KeyLine:
    return {
        "kid": key.kid,
        "role": key.role,
        "not_before": _local(key.not_before_utc_s, zone),
        "not_after": _local(key.not_after_utc_s, zone),
        "counts": utc_s is None or key.is_valid(utc_s),
        "text": _words(key, utc_s),
    }


def _words(key: TrustedKey, utc_s: float | None) -> str:
    if utc_s is None:
        return "counts: its time is not looked at while the clock is not trusted"
    if utc_s < key.not_before_utc_s:
        return f"not yet: in {_long(key.not_before_utc_s - utc_s)}"
    if utc_s >= key.not_after_utc_s:
        return f"expired {_long(utc_s - key.not_after_utc_s)} ago"
    left_s = key.not_after_utc_s - utc_s
    days = int(left_s // DAY_S)
    return f"valid for {days} more days" if days >= 2 else f"valid for {in_words(left_s)} more"


def _long(seconds: float) -> str:
    days = int(seconds // DAY_S)
    return f"{days} days" if days >= 2 else in_words(seconds)


def _local(utc_s: float, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(utc_s, UTC).astimezone(zone).isoformat()
