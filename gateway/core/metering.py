"""Samples and registers in, minute readings out: each watt-second is told once, or told as a gap.

`feed` takes what a device said, `cut` gives every interval whose end has passed. The monotonic clock
carries the intervals; an `Anchor` gives them their UTC stamps. A meter holds no history: per direction
the register as last read, the energy by power since, and what the intervals told so far ("booked").

Energy is the booked register's step, so intervals sum to the register whatever was rounded or
extrapolated. The mean power is the register's where it resolves the interval (its step is at most
10 W or 1 % over it, and samples stand on both sides of both edges), else that of the samples (trapezoid).
"""

from __future__ import annotations

import math
from dataclasses import replace

from gateway.core.meter import Lost, Meter, Open, absorbed, flows_at, is_near, plausible, silenced, spoken_s
from gateway.core.model import Quality
from gateway.core.reading import (
    HOLD_S,
    Anchor,
    Cause,
    Flowed,
    Grade,
    Reading,
    Sample,
    Source,
    Spec,
    causes_of,
    stamp,
)
from gateway.core.track import SIGNS, Told, booked, both, reborn, register_at

__all__ = [
    "HOLD_S", "SIGNS", "WAITING", "Anchor", "Cause", "Flowed", "Grade", "Meter", "Reading", "Sample",
    "Source", "Spec", "begin", "cut", "due_s", "end_s", "feed", "flowed", "flowed_ws", "resume",
]  # fmt: skip

ENOUGH = 0.9  # the share of an interval that samples must speak for to be OK
LONGEST_S = 119.0  # of an interval that joins two grids
KEPT_S = 45 * 86_400.0  # minutes older than this are not kept by anyone
BATCH = 1440  # lost minutes told in one cut
WAITING = 1440  # intervals that wait for a trusted clock


# --- what the shell calls ----------------------------------------------------------------------------


def begin(spec: Spec, now_s: float, anchor: Anchor, offset_s: int) -> Meter:
    """A meter that knows nothing yet. Its first interval runs to the first edge of the grid."""
    return Meter(spec, anchor, offset_s, Open(now_s, anchor.stamp(now_s)))


def resume(saved: Meter, now_s: float, anchor: Anchor, offset_s: int) -> Meter:
    """The meter after a restart: what was lost since it was saved is told as MISSING, `restart`.

    The first register tells the energy of the loss. With a clock not trusted yet the loss is told
    when it is, and then the intervals of this life.
    """
    start_utc_s = saved.open.start_utc_s
    shift_s = anchor.mono(start_utc_s) - saved.open.start_s if anchor.trusted else math.inf
    causes = causes_of(*saved.open.reasons, Cause.RESTART)  # a register that began anew still did
    meter = Meter(
        spec=saved.spec,
        anchor=anchor,
        offset_s=offset_s,
        open=Open(min(now_s, saved.open.start_s + shift_s), start_utc_s, reasons=causes),
        tracks=both(reborn(track, now_s, shift_s) for track in saved.tracks),
        silence=causes,
        due=saved.due,
    )
    if anchor.trusted:
        return _skipping(meter, now_s, Cause.RESTART)
    return _losing(meter, Lost(start_utc_s, None, now_s, Cause.RESTART), anchor.stamp(now_s))


def feed(meter: Meter, sample: Sample) -> Meter:
    """Take one sample in. One that is late, or there already, changes nothing."""
    if meter.seen_s is not None and sample.at_s <= meter.seen_s:
        return meter
    sample = plausible(meter, sample)
    unusable = sample.quality is Quality.BAD or Cause.FROZEN in sample.reasons or not sample.says_something
    while (edge := _next_edge(meter))[0] <= sample.at_s:
        meter = _closed(meter, *edge, None if unusable else sample)
    return silenced(meter, sample) if unusable else absorbed(meter, sample)


def cut(meter: Meter, now_s: float, anchor: Anchor, offset_s: int) -> tuple[Meter, tuple[Reading, ...]]:
    """Every interval whose end has passed, each once, in order; lost ones at most `BATCH` at a time.

    An end waits `spec.wait_s` for a later sample, if one may come so soon. Until the clock has been trusted
    once nothing is told; of more than `WAITING` intervals the oldest are lost. A step of the clock or a new
    offset is joined by one interval (`regrid`) of at most 119 s; minutes a clock skips are MISSING; a step
    back that cannot be joined breaks the series: the next `start` is not the last `end`, and the log needs a
    new stream.
    """
    meter = _retimed(meter, anchor, offset_s)
    while (edge := _next_edge(meter))[0] + _wait_s(meter, edge[0]) <= now_s:
        meter = _closed(meter, *edge, None)
    if not meter.anchor.trusted:
        return replace(meter, due=_few(meter.due)), ()
    readings, rest = _told(meter)
    return replace(meter, due=rest), readings


def due_s(meter: Meter) -> float:
    """When `cut` will have something to give, if nothing else happens; -inf: it has already."""
    if meter.due and meter.anchor.trusted:
        return -math.inf
    edge_s = end_s(meter)
    return edge_s + _wait_s(meter, edge_s)


def end_s(meter: Meter) -> float:
    """Where the open interval ends."""
    return _next_edge(meter)[0]


def flowed_ws(meter: Meter, at_s: float) -> float | None:
    """What has flowed in all up to a moment not long past, net; only differences mean anything.
    None: nothing is known yet."""
    if meter.seen_s is None:
        return None
    flows = flows_at(meter, max(at_s, meter.seen_s), None)
    parts = list(zip(SIGNS, meter.tracks, flows, strict=True))
    counted = [part for part in parts if part[1].read_ws is not None] or parts
    return sum(sign * track.at(flow) for sign, track, flow in counted)


def flowed(meter: Meter, at_s: float) -> Flowed | None:
    """The same, and what it is counted by."""
    flow_ws = flowed_ws(meter, at_s)
    by_register = any(track.read_ws is not None for track in meter.tracks)
    return None if flow_ws is None else Flowed(flow_ws, by_register)


def _wait_s(meter: Meter, edge_s: float) -> float:
    """How long an end waits for a later sample: not at all where, by its rhythm, none comes so soon."""
    wait_s = meter.spec.wait_s
    if meter.seen_s is None or meter.every_s is None:
        return wait_s
    return wait_s if meter.seen_s + meter.every_s <= edge_s + wait_s else 0.0


# --- intervals: where they end, and what follows -----------------------------------------------------


def _grid_after(utc_s: float, offset_s: int) -> float:
    """The first edge of the grid later than `utc_s`."""
    return utc_s - (utc_s - offset_s) % 60 + 60


def _next_edge(meter: Meter) -> tuple[float, float]:
    """Where the open interval ends, monotonic and UTC: the first edge not before what it already holds."""
    start_s, start_utc_s = meter.open.start_s, meter.open.start_utc_s
    seen_s = start_s if meter.seen_s is None else max(start_s, meter.seen_s)
    floor_utc_s = meter.anchor.utc(max(start_s + 1, seen_s))
    edge_utc_s = _grid_after(start_utc_s, meter.offset_s)
    while edge_utc_s < floor_utc_s and edge_utc_s + 60 - start_utc_s <= LONGEST_S:
        edge_utc_s += 60
    return max(meter.anchor.mono(edge_utc_s), seen_s), edge_utc_s


def _retimed(meter: Meter, anchor: Anchor, offset_s: int) -> Meter:
    """The meter on a new anchor and grid. Once trusted, a life stays on its last trusted anchor."""
    row = meter.open
    if not anchor.trusted:
        row = replace(row, reasons=causes_of(*row.reasons, Cause.CLOCK_UNTRUSTED))
        anchor = meter.anchor if meter.anchor.trusted else anchor
    if not meter.anchor.trusted:
        row = replace(row, start_utc_s=anchor.stamp(row.start_s))
    meter = replace(meter, anchor=anchor, offset_s=offset_s, open=row)
    if _next_edge(meter)[0] - row.start_s > LONGEST_S + 1:  # stepped back too far to be joined
        reasons = causes_of(*row.reasons, Cause.REGRID)
        row = replace(row, start_utc_s=anchor.stamp(row.start_s), reasons=reasons)
    return replace(meter, open=row)


def _skipping(meter: Meter, at_s: float, cause: Cause) -> Meter:
    """The meter without the whole minutes that the clock is ahead of its open interval."""
    latest_utc_s = _grid_after(meter.anchor.utc(at_s), meter.offset_s) - 60
    if latest_utc_s <= meter.open.start_utc_s:
        return meter
    return _losing(meter, Lost(meter.open.start_utc_s, latest_utc_s, at_s, cause), latest_utc_s)


def _losing(meter: Meter, lost: Lost, start_utc_s: float) -> Meter:
    tracks = both(replace(track, has_hole=True, start_ws=None) for track in meter.tracks)
    opened = _opened(meter, lost.end_s, start_utc_s)
    return replace(meter, tracks=tracks, open=opened, due=(*meter.due, lost))


def _opened(meter: Meter, start_s: float, start_utc_s: float) -> Open:
    doubts = () if meter.anchor.trusted else (Cause.CLOCK_UNTRUSTED,)
    return Open(start_s, start_utc_s, doubted=meter.doubted, reasons=causes_of(*meter.silence, *doubts))


def _told(meter: Meter) -> tuple[tuple[Reading, ...], tuple[Reading | Lost, ...]]:
    """What is due, in order, and what is left for the next batch."""
    readings: list[Reading] = []
    for index, due in enumerate(meter.due):
        if isinstance(due, Reading):
            readings.append(due if due.stamped else stamp(due, meter.anchor))
            continue
        rows, left = _lost_rows(meter, due, BATCH - len(readings))
        readings += rows
        if left:
            return tuple(readings), (left, *meter.due[index + 1 :])
    return tuple(readings), ()


def _few(due: tuple[Reading | Lost, ...]) -> tuple[Reading | Lost, ...]:
    """What waits for the clock, bounded: intervals that are too many are lost as those before them."""
    surplus = due[:-WAITING]
    if not surplus:
        return due
    first, last = surplus[0], surplus[-1]
    lost = (replace(first, end_s=last.end_s),) if isinstance(first, Lost) else ()
    return (*lost, *due[-WAITING:])


def _lost_rows(meter: Meter, lost: Lost, room: int) -> tuple[list[Reading], Lost | None]:
    anchor = meter.anchor
    rows: list[Reading] = []
    end_utc_s = anchor.stamp(lost.end_s) if lost.end_utc_s is None else lost.end_utc_s
    at_utc_s = max(lost.start_utc_s, end_utc_s - KEPT_S)
    while at_utc_s < end_utc_s and len(rows) < room:
        edge_utc_s = min(_grid_after(at_utc_s, meter.offset_s), end_utc_s)
        row = _blank(meter, anchor.mono(at_utc_s), anchor.mono(edge_utc_s), at_utc_s, edge_utc_s)
        rows.append(replace(row, reasons=(lost.cause,)))
        at_utc_s = edge_utc_s
    left = replace(lost, start_utc_s=at_utc_s, end_utc_s=end_utc_s) if at_utc_s < end_utc_s else None
    return rows, left


def _blank(meter: Meter, start_s: float, end_s: float, start_utc_s: float, end_utc_s: float) -> Reading:
    trusted, source = meter.anchor.trusted, meter.spec.source
    return Reading(start_s, end_s, start_utc_s, end_utc_s, trusted, source, Grade.MISSING)


# --- one interval ------------------------------------------------------------------------------------


def _closed(meter: Meter, end_s: float, end_utc_s: float, later: Sample | None) -> Meter:
    """The open interval becomes a reading; `later` is the sample beyond its end, if it is here."""
    row = meter.open
    blank = _blank(meter, row.start_s, end_s, row.start_utc_s, end_utc_s)
    covered_s = row.covered_s + spoken_s(meter, end_s)
    span_s = max(end_s - row.start_s, end_utc_s - row.start_utc_s)
    blank = replace(blank, coverage=round(min(1.0, covered_s / span_s), 3))
    if end_s > row.start_s and (row.heard or blank.coverage >= ENOUGH):
        meter = _measured(meter, blank, later if later and is_near(meter, later) else None)
    else:
        meter = _missed(meter, blank)
    return _skipping(replace(meter, open=_opened(meter, end_s, end_utc_s)), end_s, Cause.REGRID)


def _missed(meter: Meter, blank: Reading) -> Meter:
    """Nothing usable was said: nulls, and the register's step is owed as a gap."""
    row = meter.open
    reading = replace(
        blank,
        quality=Grade.BAD if row.heard_bad else Grade.MISSING,
        reasons=causes_of(*(row.reasons or (Cause.STALE,)), *_regrid(blank, row.reasons)),
        coverage=0.0,
    )
    tracks = both(replace(track, has_hole=True, start_ws=None) for track in meter.tracks)
    return replace(meter, tracks=tracks, due=(*meter.due, reading))


def _measured(meter: Meter, blank: Reading, later: Sample | None) -> Meter:
    flows = flows_at(meter, blank.end_s, later)
    registers = later.registers if later else (None, None)
    tracks = both(
        booked(track, flow, register_at(meter.spec, track, blank.end_s, later.at_s if later else None, value))
        for track, flow, value in zip(meter.tracks, flows, registers, strict=True)
    )
    told = Told(meter.spec, blank.end_s - blank.start_s, meter.open.powerless, meter.tracks, tracks)
    is_extrapolated = later is None and meter.seen_s != blank.end_s
    reasons = _reasons(meter.open, blank, told, is_extrapolated)
    doubted = meter.open.doubted or (later is not None and later.quality is not Quality.GOOD)
    import_ws, export_ws = (t.booked_ws if t.read_ws is not None else None for t in tracks)
    last_at_utc_s = None if meter.last_at_s is None else meter.anchor.utc(meter.last_at_s)
    reading = replace(
        blank,
        quality=_grade(blank, told, reasons, doubted),
        reasons=reasons,
        power_w=round(told.mean_w),
        energy_ws=told.energy_ws,
        import_register_ws=import_ws,
        export_register_ws=export_ws,
        gap_ws=told.gap_ws,
        last_w=meter.last_w,
        last_at_s=meter.last_at_s,
        last_at_utc_s=last_at_utc_s,
    )
    return replace(meter, tracks=tracks, due=(*meter.due, reading))


def _reasons(row: Open, blank: Reading, told: Told, is_extrapolated: bool) -> tuple[Cause, ...]:
    found = list(row.reasons)
    if is_extrapolated or told.corrects:
        found.append(Cause.EDGE)
    if blank.coverage < ENOUGH:
        found.append(Cause.STALE)
    if told.exports_unseen:
        found.append(Cause.EXPORT_UNKNOWN)
    if not blank.stamped:
        found.append(Cause.CLOCK_UNTRUSTED)
    return causes_of(*found, *_regrid(blank, row.reasons))


def _regrid(blank: Reading, known: tuple[Cause, ...]) -> tuple[Cause, ...]:
    """That an interval joins two grids, unless a restart tells why it is odd."""
    is_odd = blank.end_utc_s - blank.start_utc_s != 60 or _is_stepped(blank)
    return (Cause.REGRID,) if is_odd and Cause.RESTART not in known else ()


def _grade(blank: Reading, told: Told, reasons: tuple[Cause, ...], doubted: bool) -> Grade:
    """OK only if nothing speaks against it; an odd length alone (a new offset) does not."""
    is_exact = not doubted and not _is_stepped(blank) and (told.resolves or not told.powerless)
    is_ok = is_exact and blank.source is not Source.ESTIMATE and set(reasons) <= {Cause.REGRID}
    return Grade.OK if is_ok else Grade.ESTIMATED


def _is_stepped(reading: Reading) -> bool:
    """Whether UTC moved by more than the time that passed (a second is slewing)."""
    passed_s = reading.end_s - reading.start_s
    return abs(reading.end_utc_s - reading.start_utc_s - passed_s) > 1
