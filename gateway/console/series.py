"""The power of a point over time, in equal columns, as a drawing needs it. Pure: minutes in, numbers out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from gateway.console.answers import MinuteLine

MINUTE_S = 60.0


class Column(NamedTuple):
    """The means of the minutes whose middles lie in [start, end) (UTC): power, and what it was held to (W;
    None: nobody knows, or it was not held). `is_missing`: there are minutes, and none knows the power."""

    start_utc_s: float
    end_utc_s: float
    power_w: float | None
    limit_w: float | None
    is_missing: bool


def columns(minutes: Sequence[MinuteLine], since_utc_s: float, until_utc_s: float, most: int) -> list[Column]:
    """At most so many columns, of a minute or more each, from one time to the other."""
    count = max(1, min(most, math.ceil((until_utc_s - since_utc_s) / MINUTE_S)))
    width_s = max(MINUTE_S, (until_utc_s - since_utc_s) / count)
    inside: list[list[MinuteLine]] = [[] for _ in range(count)]
    for minute in minutes:
        middle_utc_s = (utc_s(minute["start"]) + utc_s(minute["end"])) / 2
        index = math.floor((middle_utc_s - since_utc_s) / width_s)
        if 0 <= index < count:
            inside[index].append(minute)
    return [_column(mine, since_utc_s + k * width_s, width_s) for k, mine in enumerate(inside)]


def utc_s(at: str) -> float:
    """The UTC of a moment in an answer."""
    return datetime.fromisoformat(at).timestamp()


def _column(minutes: Sequence[MinuteLine], start_utc_s: float, width_s: float) -> Column:
    powers = [minute["power_w"] for minute in minutes if minute["power_w"] is not None]
    limits = [minute["limit_w"] for minute in minutes if minute["limit_w"] is not None]
    is_missing = bool(minutes) and not powers
    return Column(start_utc_s, start_utc_s + width_s, _mean(powers), _mean(limits), is_missing)


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
