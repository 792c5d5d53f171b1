"""The half-hours of a point as they were told, a page at a time, in the home's own time."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from pydantic import ValidationError

from gateway import local_time
from gateway.console.answers import Answer, HalfHourLine, Question
from gateway.daemon.change import StorageError
from gateway.daemon.history import History
from gateway.record import WS_PER_KWH, Asked, asked_of
from gateway.wire.settlement import HalfHour

AT_ONCE = 48


async def answer(
    question: Question, history: History, logs: tuple[str, ...], zone: ZoneInfo, utc_s: float
) -> Answer:
    """The next half-hours of a point, or what is wrong with the question."""
    point = question.get("point")
    log = f"settlement:{point}"
    try:
        known = sorted(
            {*logs, *(one for one in await history.oldest_utc_s() if one.startswith("settlement:"))}
        )
        if log not in known:
            names = ", ".join(one.partition(":")[2] for one in known) or "none"
            return {"error": f"no point {point!r}; there are {names}"}
        asked = asked_of(question, log, zone, utc_s)
        return {"error": asked} if isinstance(asked, str) else await _page(asked, history, zone)
    except StorageError as error:
        return {"error": f"the half-hours cannot be read: {error}"}


async def _page(asked: Asked, history: History, zone: ZoneInfo) -> Answer:
    first = await history.since(asked.log, asked.since_utc_s) if asked.after is None else asked.after + 1
    page = await history.page(asked.log, first, AT_ONCE)
    told: list[HalfHourLine] = []
    unreadable = page.unreadable
    for row in page.rows:
        try:
            half = HalfHour.model_validate_json(row.body)
        except ValidationError:
            unreadable += 1
            continue
        if asked.since_utc_s < half.end_utc_s and half.start_utc_s < asked.until_utc_s:
            told.append(_line(row.seq, half, zone))
    return {
        "point": asked.log.partition(":")[2],
        "half_hours": told,
        "more_after": page.more_after,
        "unreadable": unreadable,
    }


def _line(seq: int, half: HalfHour, zone: ZoneInfo) -> HalfHourLine:
    return {
        "seq": seq,
        "revision": half.revision,
        "start": local_time.text(half.start_utc_s, zone),
        "end": local_time.text(half.end_utc_s, zone),
        "settlement_date": half.settlement_date,
        "settlement_period": half.settlement_period,
        "import_kwh": _kwh(half.import_ws),
        "export_kwh": _kwh(half.export_ws),
        "import_register_start_kwh": _kwh(half.import_start_ws),
        "import_register_end_kwh": _kwh(half.import_end_ws),
        "export_register_start_kwh": _kwh(half.export_start_ws),
        "export_register_end_kwh": _kwh(half.export_end_ws),
        "method": half.method.value,
        "quality": half.quality.value,
        "reasons": [reason.value for reason in half.reasons],
        "coverage": half.coverage,
        "edge_gap_s": half.edge_gap_s,
    }


def _kwh(energy_ws: float | None) -> float | None:
    return None if energy_ws is None else round(energy_ws / WS_PER_KWH, 6)
