"""The record on site: the minutes of a point as they were told, a page at a time, in the home's own time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from gateway import local_time
from gateway.console.answers import Answer, MinuteLine, PointLine, Question
from gateway.daemon.change import StorageError
from gateway.daemon.history import History
from gateway.daemon.uplog import Row
from gateway.wire.readings import MinuteReading

WS_PER_WH, WS_PER_KWH = 3_600, 3_600_000
MINUTE_MAX_S = 119.0  # of one that joins two grids
YIELD_ROWS = 16  # shaped in one turn of the loop


class Asked(NamedTuple):
    """Rows of a log that reach into [since, until), numbered above `after`."""

    log: str
    since_utc_s: float
    until_utc_s: float
    after: int | None


async def answer(
    question: Question, history: History, logs: tuple[str, ...], zone: ZoneInfo, utc_s: float
) -> Answer:
    """The points of this home, or the next minutes of one of them, or what is wrong with the question."""
    point = question.get("point")
    try:
        if point is None:
            oldest = await history.oldest_utc_s()
            return {
                "points": [await _point(log, history, oldest.get(log), zone) for log in _all(logs, oldest)]
            }
        if f"telemetry:{point}" not in logs and question.get("after") is None:
            known = _all(logs, await history.oldest_utc_s())
            if f"telemetry:{point}" not in known:
                names = ", ".join(log.partition(":")[2] for log in known) or "none"
                return {"error": f"no point {point!r}; there are {names}"}
        asked = asked_of(question, f"telemetry:{point}", zone, utc_s)
        return {"error": asked} if isinstance(asked, str) else await _page(asked, history, zone)
    except StorageError as error:
        return {"error": f"the minutes cannot be read: {error}"}


def _all(logs: tuple[str, ...], oldest_utc_s: Mapping[str, float]) -> list[str]:
    """The logs of minutes, also of points that are no longer configured."""
    return sorted({*logs, *(log for log in oldest_utc_s if log.startswith("telemetry:"))})


def asked_of(question: Question, log: str, zone: ZoneInfo, utc_s: float) -> Asked | str:
    """What a question about a log asks for, or what is wrong with it."""
    after = question.get("after")
    if after is not None and (type(after) is not int or not 0 <= after < 2**62):
        return f"{after!r} is no number of a row; more_after of the last answer would be right"
    edges = []
    for word, otherwise in ((question.get("since"), 0.0), (question.get("until"), float("inf"))):
        edge = otherwise if word is None else local_time.utc_s(word, zone, utc_s)
        if edge is None:
            return f"{word!r} is no time; {local_time.RIGHT_OR_AGO}"
        edges.append(edge)
    if edges[0] >= edges[1]:
        return "--since is not before --until; nothing lies between them"
    return Asked(log, edges[0], edges[1], after)


async def _page(asked: Asked, history: History, zone: ZoneInfo) -> Answer:
    after = asked.after
    first = await history.since(asked.log, asked.since_utc_s) if after is None else after + 1
    page = await history.page(asked.log, first)
    minutes, unreadable = [], page.unreadable
    for index, row in enumerate(page.rows):
        if index % YIELD_ROWS == YIELD_ROWS - 1:
            await asyncio.sleep(0)
        if row.at_utc_s <= asked.since_utc_s or row.at_utc_s >= asked.until_utc_s + MINUTE_MAX_S:
            continue
        try:
            reading = MinuteReading.model_validate_json(row.body)
        except ValidationError:
            unreadable += 1
            continue
        if reading.start_utc_s < asked.until_utc_s:
            minutes.append(_minute(row, reading, zone))
    is_past = bool(page.rows) and page.rows[-1].at_utc_s >= asked.until_utc_s + MINUTE_MAX_S
    return {
        "point": asked.log.partition(":")[2],
        "minutes": minutes,
        "more_after": None if is_past else page.more_after,
        "unreadable": unreadable,
    }


async def _point(log: str, history: History, oldest_utc_s: float | None, zone: ZoneInfo) -> PointLine:
    last = await history.last(log)
    reading = None
    if last:
        try:
            reading = MinuteReading.model_validate_json(last.body)
        except ValidationError:
            reading = None
    if oldest_utc_s is None and last:
        oldest_utc_s = last.at_utc_s
    return {
        "point": log.partition(":")[2],
        "since": None if oldest_utc_s is None else local_time.text(oldest_utc_s, zone),
        "last": _minute(last, reading, zone) if last and reading else None,
        "not_held": history.not_held(log),
    }


def _minute(row: Row, reading: MinuteReading, zone: ZoneInfo) -> MinuteLine:
    return {
        "seq": row.seq,
        "start": local_time.text(reading.start_utc_s, zone),
        "end": local_time.text(reading.end_utc_s, zone),
        "power_w": reading.power_w,
        "energy_wh": _over(reading.energy_ws, WS_PER_WH),
        "gap_wh": _over(reading.gap_ws, WS_PER_WH),
        "import_register_kwh": _over(reading.import_register_ws, WS_PER_KWH),
        "export_register_kwh": _over(reading.export_register_ws, WS_PER_KWH),
        "quality": reading.quality.value,
        "reasons": [reason.value for reason in reading.reasons],
        "source": reading.source.value,
        "coverage": reading.coverage,
        "limit_w": reading.limit_w,
        "governed_by": reading.governed_by.value,
        "instructions": list(reading.dispatch_ids),
        "soc": reading.soc,
        "room_c": reading.room_c,
    }


def _over(energy_ws: float | None, unit_ws: int) -> float | None:
    return None if energy_ws is None else round(energy_ws / unit_ws, 6)
