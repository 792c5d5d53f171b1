"""Charge sessions as a person at home is told of them: a page at a time, in the home's own time."""

from __future__ import annotations

import json
from collections.abc import Iterable
from zoneinfo import ZoneInfo

from gateway import local_time
from gateway.console.answers import Answer, ChargeSpan, Question, RateLine, SessionLine
from gateway.core.charge_session import ChargeSession, Moment, Rate
from gateway.core.model import Asset, AssetClass
from gateway.daemon.change import SessionQuery, StorageError
from gateway.daemon.charge_sessions import ChargeSessions

PAGE_BYTES = 64 * 1024  # of an answer; one session is always told, and is smaller
KWH_WS = 3_600_000


async def page(
    question: Question, sessions: ChargeSessions, assets: Iterable[Asset], zone: ZoneInfo
) -> Answer:
    """The next sessions that are asked for, or what is wrong with the question."""
    query = _query(question, [a.id for a in assets if a.asset_class is AssetClass.EV], zone)
    if isinstance(query, str):
        return {"error": query}
    try:
        found = await sessions.find(query)
    except StorageError as error:
        return {"error": f"the charge sessions cannot be read: {error}"}
    told: list[SessionLine] = []
    size = 0
    for number, session in found.sessions:
        line = _line(number, session, zone)
        size += len(json.dumps(line))
        if told and size > PAGE_BYTES:
            return _page(told, told[-1]["number"], found.unreadable)
        told.append(line)
    return _page(told, found.more_after, found.unreadable)


def _page(told: list[SessionLine], more_after: int | None, unreadable: list[int]) -> Answer:
    on_it = [number for number in unreadable if more_after is None or number <= more_after]
    return {"sessions": told, "more_after": more_after, "unreadable": len(on_it)}


def _query(question: Question, cars: list[str], zone: ZoneInfo) -> SessionQuery | str:
    asset, after = question.get("asset"), question.get("after", 0)
    if asset is not None and asset not in cars:
        return f"no car {asset!r}; there are {', '.join(cars) or 'none'}"
    if type(after) is not int or not 0 <= after < 2**63:
        return f"{after!r} is no number of a session; more_after of the last answer would be right"
    edges = []
    for word in (question.get("since"), question.get("until")):
        edge = None if word is None else local_time.utc_s(word, zone)
        if word is not None and edge is None:
            return f"{word!r} is no date; {local_time.RIGHT}"
        edges.append(edge)
    since_utc_s, until_utc_s = edges
    if since_utc_s is not None and until_utc_s is not None and since_utc_s >= until_utc_s:
        return "--since is not before --until; nothing lies between them"
    return SessionQuery(after, asset, since_utc_s, until_utc_s)


def _line(number: int, session: ChargeSession, zone: ZoneInfo) -> SessionLine:
    energy_ws, flowed = session.energy_ws, session.flowed
    return {
        "number": number,
        "asset": session.asset,
        "open": session.end is None,
        "plugged_in": _local(session.begin, zone),
        "plugged_in_seen": session.begin_seen,
        "unplugged": _local(session.end, zone),
        "unplugged_seen": session.end is not None and session.end_seen,
        "energy_kwh": None if energy_ws is None else round(energy_ws / KWH_WS, 3),
        "energy_by": None if flowed is None else "register" if flowed.by_register else "power",
        "charging": [_span(each.start, each.stop, zone) for each in session.charging],
        "rates": [_rate(rate, zone) for rate in session.rates],
        "unseen": [_span(gap.since, gap.until, zone) for gap in session.unseen],
        "left_out": session.left_out,
    }


def _rate(rate: Rate, zone: ZoneInfo) -> RateLine:
    return {
        "at": _local(rate.at, zone),
        "at_most_w": rate.at_most_w,
        "raised": rate.raised,
        "governed_by": rate.governor.value,
        "reason": rate.reason.value,
        "text": rate.text,
        "instructions": list(rate.instructions),
    }


def _span(start: Moment, stop: Moment | None, zone: ZoneInfo) -> ChargeSpan:
    return {"start": _local(start, zone), "stop": _local(stop, zone)}


def _local(moment: Moment | None, zone: ZoneInfo) -> str | None:
    """RFC 3339 in the home's own time, to the second; None: it has not come, or nobody knows it."""
    if moment is None or moment.utc_s is None:
        return None
    return local_time.text(moment.utc_s, zone)
