"""Weekly local times to absolute UTC spans, from a zone's transitions given as data.

It reads no zone database: the shell does, once, and hands over what it found.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from gateway.core.model import Span

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_S = 86_400
EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday


class Row(NamedTuple):
    """A value over [start, end) local time ("HH:MM") on the days named, by the day it starts on.

    An end not after the start is on the next day; "24:00" is midnight.
    """

    days: Sequence[str]
    start: str
    end: str
    value: float


class Clock(NamedTuple):
    """A local time ("HH:MM") on the days named."""

    days: Sequence[str]
    at: str


Transition = tuple[float, int]
"""From this UTC second on, local time is UTC plus so many seconds (east positive)."""


def spans(
    week: Sequence[Row],
    transitions: Sequence[Transition],
    from_utc_s: float,
    to_utc_s: float,
) -> tuple[Span, ...]:
    """The weekly table over [from, to), in order and apart. Where rows overlap, the later one holds.

    A local time that does not exist is the end of the gap; one that occurs twice is its first
    occurrence. `transitions` are in order, the first at or before `from_utc_s`.

    Raises:
        ValueError: the first transition is missing or too late, or a row cannot be read.
    """
    if not transitions or transitions[0][0] > from_utc_s:
        raise ValueError("transitions must begin at or before the first moment asked for")
    pieces = [
        Span(max(start, from_utc_s), min(end, to_utc_s), row.value)
        for row in week
        for start, end in _occurrences(row, transitions, from_utc_s, to_utc_s)
        if max(start, from_utc_s) < min(end, to_utc_s)
    ]
    return _joined(_topmost(pieces))


def moments(
    week: Sequence[Clock],
    transitions: Sequence[Transition],
    from_utc_s: float,
    to_utc_s: float,
) -> tuple[tuple[float, str], ...]:
    """When local clocks show one of these times in [from, to), in order, each with the time they show."""
    found = {
        (utc_s, clock.at)
        for clock in week
        for day_s in _days(clock.days, from_utc_s, to_utc_s)
        if from_utc_s <= (utc_s := _utc(day_s + _seconds(clock.at), transitions)) < to_utc_s
    }
    return tuple(sorted(found))


def _occurrences(
    row: Row, transitions: Sequence[Transition], from_utc_s: float, to_utc_s: float
) -> Iterator[tuple[float, float]]:
    start_s, end_s = _seconds(row.start), _seconds(row.end)
    end_s += DAY_S if end_s <= start_s else 0
    for midnight_s in _days(row.days, from_utc_s, to_utc_s):
        yield _utc(midnight_s + start_s, transitions), _utc(midnight_s + end_s, transitions)


def _days(names: Sequence[str], from_utc_s: float, to_utc_s: float) -> Iterator[int]:
    """Local midnights, as if they were UTC, of all days that can bear on a span."""
    weekdays = {DAYS.index(day) for day in names}
    # Zones are within a day of UTC, and a row ends at most two days after its day began.
    for day in range(math.floor(from_utc_s / DAY_S) - 3, math.ceil(to_utc_s / DAY_S) + 2):
        if (day + EPOCH_WEEKDAY) % 7 in weekdays:
            yield day * DAY_S


def _seconds(clock: str) -> int:
    """Seconds after midnight of "HH:MM"."""
    hours, minutes = (int(part) for part in clock.split(":"))
    if not (0 <= minutes < 60 and 0 <= hours * 60 + minutes <= 24 * 60):
        raise ValueError(f"{clock!r} is not a time of day, 00:00 to 24:00")
    return hours * 3600 + minutes * 60


def _utc(local_s: float, transitions: Sequence[Transition]) -> float:
    """The first moment at which local clocks show `local_s` or, past a gap, more."""
    for (since_s, offset_s), (next_s, _) in pairwise([*transitions, (math.inf, 0)]):
        utc_s = max(local_s - offset_s, since_s)
        if utc_s < next_s:
            return utc_s
    return math.inf


def _topmost(pieces: Sequence[Span]) -> Iterator[Span]:
    """What is seen from above when each piece lies on those before it."""
    edges = sorted(
        (edge, index) for index, piece in enumerate(pieces) for edge in (piece.start_utc_s, piece.end_utc_s)
    )
    under: set[int] = set()
    for (edge, index), (next_edge, _) in pairwise([*edges, (math.inf, -1)]):
        under ^= {index}
        if under and edge < next_edge:
            yield Span(edge, next_edge, pieces[max(under)].value)


def _joined(parts: Iterator[Span]) -> tuple[Span, ...]:
    joined: list[Span] = []
    for part in parts:
        if joined and joined[-1].end_utc_s == part.start_utc_s and joined[-1].value == part.value:
            part = Span(joined.pop().start_utc_s, part.end_utc_s, part.value)
        joined.append(part)
    return tuple(joined)
