"""The minute readings of a log as the aggregator received them, and what must be true of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any


@dataclass(frozen=True, slots=True)
class Reading:
    """One minute of one point as the aggregator received it; `facts` is the whole of it."""

    point: str
    stream: str
    seq: int
    start_utc_s: float
    end_utc_s: float
    quality: str
    reasons: tuple[str, ...]
    power_kw: float | None
    limit_kw: float | None
    dispatch_ids: tuple[str, ...]
    facts: str


def readings_of(telemetry: dict[str, Any]) -> Iterable[Reading]:
    """Every reading in a message of the topic `telemetry`."""
    for point, bundle in telemetry.get("points", {}).items():
        for one in bundle["readings"]:
            yield Reading(
                point=point,
                stream=bundle["stream"],
                seq=one["seq"],
                start_utc_s=datetime.fromisoformat(one["start"]).timestamp(),
                end_utc_s=datetime.fromisoformat(one["end"]).timestamp(),
                quality=one["quality"],
                reasons=tuple(one["reasons"]),
                power_kw=one["powerKw"],
                limit_kw=one["limitKw"],
                dispatch_ids=tuple(one["dispatchIds"]),
                facts=json.dumps(one, sort_keys=True),
            )


def counted_twice(readings: Iterable[Reading]) -> bool:
    """Whether a number was used for two contents, or two readings of a point share time."""
    ordered = sorted(readings, key=lambda one: (one.point, one.start_utc_s, one.end_utc_s))
    numbers = [(one.point, one.stream, one.seq) for one in ordered]
    overlaps = (a.point == b.point and b.start_utc_s < a.end_utc_s for a, b in pairwise(ordered))
    return len(numbers) != len(set(numbers)) or any(overlaps)


def is_gap_free(readings: Iterable[Reading]) -> bool:
    """Whether each point's numbers and minutes follow on each other without a hole, in one stream."""
    ordered = sorted(readings, key=lambda one: (one.point, one.seq))
    return all(
        (a.stream, a.seq + 1, a.end_utc_s) == (b.stream, b.seq, b.start_utc_s)
        for a, b in pairwise(ordered)
        if a.point == b.point
    )


def one_at_each(edges: Iterable[float], readings: Iterable[Reading], points: Iterable[str]) -> bool:
    """Whether every point has exactly one reading that ends at each of the edges, and no other point has."""
    wanted = sorted((point, edge) for point in points for edge in edges)
    return wanted == sorted((one.point, one.end_utc_s) for one in readings)
