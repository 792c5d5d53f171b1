"""The evidence of an instruction that runs or ended, as a person on site or an auditor is told of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from gateway import consent, local_time
from gateway.console.answers import Answer, Question, ReportAsset, ReportResponse, ReportSetting, ReportStand
from gateway.core import evidence
from gateway.core.evidence import Stand
from gateway.core.life import Book, Entry, Life
from gateway.core.model import Instruction
from gateway.daemon import codec
from gateway.daemon.change import StorageError
from gateway.daemon.history import History
from gateway.daemon.records import STATUS_LOG
from gateway.wire import status

AROUND_S = 10.0  # an instruction's first status is so near to its acceptance
READ_MAX = 3000  # statuses that are looked through for one report
READ_AT_ONCE = 64


@dataclass(slots=True)
class _Told:
    """What the statuses and the summary of one instruction say."""

    stands: dict[int, list[Stand]] = field(default_factory=dict)  # by number: one may be read twice
    energies: dict[str, tuple[float | None, str]] = field(default_factory=dict)  # kWh and its quality


async def answer(question: Question, book: Book, history: History, zone: ZoneInfo, utc_s: float) -> Answer:
    """The evidence of the instruction that is meant, or what there is."""
    try:
        entry = await _meant(question.get("id"), book, history)
        if isinstance(entry, str):
            return {"error": entry}
        if entry.instruction is None:
            return {
                "error": f"{entry.id} waits until this home's clock is trusted; nothing is known of it yet"
            }
        return _report(entry, entry.instruction, await _told(entry, history), zone, utc_s)
    except StorageError as error:
        return {"error": f"the evidence cannot be read: {error}"}


async def _meant(id_: object, book: Book, history: History) -> Entry | str:
    """By its id or how that begins, among those that are known and those that ended in the last 90 days."""
    if not isinstance(id_, str) or not id_:
        return "which instruction? homeflex report 0193b3f0 would be right, by how its id begins"
    here = {e.id: e for e in (*book.past.values(), *book.current.values()) if e.lives}
    kept = {found: blob for found, blob in await history.ended(id_) if found not in here}
    meant = sorted({found for found in (*here, *kept) if found.startswith(id_)})
    if id_ in meant:
        meant = [id_]
    if len(meant) == 1:
        return here[meant[0]] if meant[0] in here else _decoded(meant[0], kept[meant[0]])
    if meant:
        return f"{id_!r} may be {', '.join(meant[:5])}{' or more' if len(meant) > 5 else ''}"
    last = [found for found, _ in await history.ended("")]
    there = dict.fromkeys([*(e.id for e in here.values() if e.is_open), *last])
    return f"no instruction {id_!r}; open and last ended: {', '.join(there) or 'none'}"


def _decoded(id_: str, blob: bytes) -> Entry | str:
    try:
        (packed,) = codec.unpack(blob)
        entry = codec.decode("entry", packed)
    except (codec.Unreadable, ValueError) as error:
        return f"what is kept of {id_} cannot be read: {error}"
    assert isinstance(entry, Entry)
    return entry


# --- what was told of it ----------------------------------------------------------------------------------


async def _told(entry: Entry, history: History) -> _Told:
    """Its statuses, near its acceptance and from its start until its summary."""
    told = _Told()
    arrived_utc_s = entry.window_utc_s[0] if entry.accepted_utc_s is None else entry.accepted_utc_s
    since_utc_s = max(arrived_utc_s, entry.window_utc_s[0]) - AROUND_S
    await _read(entry.id, told, history, arrived_utc_s - AROUND_S, min(since_utc_s, arrived_utc_s + AROUND_S))
    await _read(entry.id, told, history, since_utc_s, None)
    return told


async def _read(
    id_: str, told: _Told, history: History, since_utc_s: float, until_utc_s: float | None
) -> None:
    """Look through the statuses of that time; without an end, until the summary of this one."""
    named, seq, read = json.dumps(id_).encode(), await history.since(STATUS_LOG, since_utc_s), 0
    while read < READ_MAX and not told.energies:
        page = await history.page(STATUS_LOG, seq, READ_AT_ONCE)
        for row in page.rows:
            if until_utc_s is not None and row.at_utc_s > until_utc_s:
                return
            if named in row.body:
                _take(told, id_, row.seq, row.at_utc_s, json.loads(row.body))
        if page.more_after is None:
            return
        seq, read = page.more_after + 1, read + READ_AT_ONCE


def _take(told: _Told, id_: str, seq: int, at_utc_s: float, body: Mapping[str, Any]) -> None:
    if body.get("id") != id_:
        return
    if body.get("schema") == status.SUMMARY:
        for asset in body["assets"]:
            told.energies[asset["asset"]] = (asset["energyKwh"], asset["quality"])
    elif body.get("targets"):
        told.stands[seq] = [_stand(at_utc_s, line) for line in body["targets"]]


def _stand(at_utc_s: float, line: Mapping[str, Any]) -> Stand:
    return Stand(
        at_utc_s,
        line.get("asset") or line.get("target") or "",
        line["status"],
        line.get("extent", ""),
        line.get("evidence", ""),
        line.get("reason", ""),
        line.get("text", ""),
        _watts(line.get("limitKw")),
        _watts(line.get("measuredKw")),
    )


def _watts(kw: float | None) -> float | None:
    return None if kw is None else round(kw * 1000, 3)


# --- what it comes to --------------------------------------------------------------------------------------


def _report(entry: Entry, instruction: Instruction, told: _Told, zone: ZoneInfo, utc_s: float) -> Answer:
    since_utc_s, until_utc_s = evidence.span_utc_s(entry, utc_s)
    found, left_out = evidence.changes(stand for stands in told.stands.values() for stand in stands)
    boundary = ["boundary"] if instruction.scope.site else []
    points = [*(life.asset for life in entry.lives), *boundary]
    return {
        "id": entry.id,
        "revision": entry.revision,
        "service": instruction.service,
        "service_class": instruction.service_class,
        "service_ref": entry.service_ref,
        "vector": instruction.vector.value,
        "targets": [target.name for target in entry.targets],
        "asked": consent.asked(entry, instruction.start_utc_s),
        "arrived": _local(entry.accepted_utc_s, zone),
        "start": local_time.text(entry.window_utc_s[0], zone),
        "end": local_time.text(entry.window_utc_s[1], zone),
        "ended": _local(entry.ended_utc_s, zone),
        "start_delay_s": instruction.start_delay_s,
        "end_delay_s": instruction.end_delay_s,
        "steps": [
            {
                "start": local_time.text(step.start_utc_s, zone),
                "end": local_time.text(step.end_utc_s, zone),
                "kind": step.kind.name.lower(),
                "power_w": step.power_w,
                "soc": step.soc,
            }
            for step in instruction.steps
        ],
        "assets": [_asset(entry, life, told, zone) for life in entry.lives],
        "history": [_history(stand, zone) for stand in found],
        "left_out": left_out,
        "points": points if since_utc_s < until_utc_s else [],  # to come: no minute is of that time
        "since": local_time.text(since_utc_s, zone),
        "until": local_time.text(until_utc_s, zone),
    }


def _asset(entry: Entry, life: Life, told: _Told, zone: ZoneInfo) -> ReportAsset:
    energy_kwh, quality = told.energies.get(life.asset, (None, ""))
    return {
        "asset": life.asset,
        "status": life.status.value,
        "extent": life.extent.value if life.extent else "",
        "evidence": life.evidence.value if life.evidence else "",
        "reason": life.reason.value,
        "text": life.text,
        "setting": _setting(life, zone),
        "response": _response(entry, life, zone),
        "held_s": round(life.held_s),
        "idle_s": round(life.idle_s),
        "limited_s": round(sum(s for _, s in life.limited_s)),
        "limits": [{"reason": reason.value, "s": round(s)} for reason, s in life.limited_s],
        "energy_kwh": energy_kwh,
        "quality": quality,
    }


def _setting(life: Life, zone: ZoneInfo) -> ReportSetting | None:
    if (setting := life.setting) is None:
        return None
    by = "read back" if setting.read_back else "written"
    at = _exact(setting.at_utc_s, zone)
    return {"at": at, "at_most_w": setting.at_most_w, "raised": setting.raised, "by": by}


def _response(entry: Entry, life: Life, zone: ZoneInfo) -> ReportResponse | None:
    response, took = life.response, evidence.took(entry, life)
    if response is None or took is None:
        return None
    return {
        "at": _exact(response.at_utc_s, zone),
        "power_w": response.power_w,
        "source": response.source,
        "after_setting_s": _tenth(took.after_setting_s),
        "after_start_s": round(took.after_start_s, 1),
        "after_arrival_s": _tenth(took.after_arrival_s),
    }


def _history(stand: Stand, zone: ZoneInfo) -> ReportStand:
    return {
        "at": local_time.text(stand.at_utc_s, zone),
        "name": stand.name,
        "status": stand.status,
        "extent": stand.extent,
        "evidence": stand.evidence,
        "reason": stand.reason,
        "text": stand.text,
        "limit_w": stand.limit_w,
        "measured_w": stand.measured_w,
    }


def _tenth(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def _local(utc_s: float | None, zone: ZoneInfo) -> str | None:
    return None if utc_s is None else local_time.text(utc_s, zone)


def _exact(utc_s: float, zone: ZoneInfo) -> str:
    return local_time.text(utc_s, zone, exact=True)
