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
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

from gateway.core.model import Quality

T = TypeVar("T")

HOLD_S = 60.0  # the longest extrapolation at the last power, and gap bridged between two samples
ENOUGH = 0.9  # the share of an interval that samples must speak for to be OK
RESOLVES_W, RESOLVES_SHARE = 10.0, 0.01
COARSEST_WS = 3_600_000  # whole kWh: SML meters without PIN
LONGEST_S = 119.0  # of an interval that joins two grids
KEPT_S = 45 * 86_400.0  # minutes older than this are not kept by anyone
BATCH = 1440  # lost minutes told in one cut


class Cause(StrEnum):
    """Why a reading is not plainly OK; the contract's `reasons`, in its order."""

    EDGE = "edge"
    FROZEN = "frozen"
    STALE = "stale"
    COUNTER_RESET = "counterReset"
    CLOCK_UNTRUSTED = "clockUntrusted"
    IMPLAUSIBLE = "implausible"
    DEVICE_OFFLINE = "deviceOffline"
    EXPORT_UNKNOWN = "exportUnknown"
    REGRID = "regrid"
    RESTART = "restart"


class Grade(StrEnum):
    """The contract's `quality` of a reading."""

    OK = "OK"
    ESTIMATED = "ESTIMATED"
    MISSING = "MISSING"
    BAD = "BAD"


class Source(StrEnum):
    """What measures a point; an estimate is never OK."""

    METER = "meter"
    DEVICE = "device"
    ESTIMATE = "estimate"


@dataclass(frozen=True, slots=True)
class Anchor:
    """One moment on both clocks. `trusted`: the UTC of it may be published."""

    mono_s: float
    utc_s: float
    trusted: bool

    def utc(self, at_s: float) -> float:
        """UTC of a monotonic time."""
        return self.utc_s + (at_s - self.mono_s)

    def mono(self, utc_s: float) -> float:
        """Monotonic time of a UTC."""
        return self.mono_s + (utc_s - self.utc_s)

    def stamp(self, at_s: float) -> float:
        """UTC of a monotonic time to the whole second; times a second apart never share one."""
        return float(math.floor(self.utc(at_s) + 0.5))


@dataclass(frozen=True, slots=True)
class Sample:
    """What a device said at `at_s`; None is what it did not say. Registers are never netted.

    BAD values and frozen ones are not used: they say from when on, and why, nothing is known.
    """

    at_s: float
    power_w: float | None = None
    import_ws: int | None = None
    export_ws: int | None = None
    quality: Quality = Quality.GOOD
    reasons: tuple[str, ...] = ()

    @property
    def registers(self) -> tuple[int | None, int | None]:
        """Import, export."""
        return self.import_ws, self.export_ws

    @property
    def says_something(self) -> bool:
        """Whether there is any value in it."""
        return self.power_w is not None or self.registers != (None, None)


@dataclass(frozen=True, slots=True)
class Spec:
    """What is known of a point beforehand.

    `max_w` is the most that can flow either way; `fresh_s` how long a sample speaks for (two periods
    of its source); `wait_s` how long an interval's end waits for a later sample; `resolution_ws` the
    step of its registers (None: learnt).
    """

    source: Source = Source.METER
    max_w: float = 100_000.0
    fresh_s: float = 20.0
    wait_s: float = 1.5
    resolution_ws: int | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """One interval [start, end) of one point. Registers are those at its end.

    `gap_ws` is what flowed while nothing was known before it. Not `stamped`: its UTC waits for `stamp`.
    """

    start_s: float
    end_s: float
    start_utc_s: float
    end_utc_s: float
    stamped: bool
    source: Source
    quality: Grade
    reasons: tuple[Cause, ...] = ()
    coverage: float = 0.0
    power_w: int | None = None
    energy_ws: int | None = None
    import_register_ws: int | None = None
    export_register_ws: int | None = None
    gap_ws: int | None = None
    last_w: float | None = None
    last_at_s: float | None = None
    last_at_utc_s: float | None = None
    method: str = "MEAN"


@dataclass(frozen=True, slots=True)
class Lost:
    """Intervals of which nothing can be known any more, not told yet. No end: the clock must tell it."""

    start_utc_s: float
    end_utc_s: float | None
    end_s: float
    cause: Cause


@dataclass(frozen=True, slots=True)
class Track:
    """One direction: its register (`read_ws` None: it has none) and its energy by power (`flow`)."""

    flow_ws: float = 0.0  # up to the last sample
    start_flow_ws: float = 0.0  # up to the open interval's start
    read_ws: int | None = None
    read_s: float | None = None  # None: in another life
    read_flow_ws: float = 0.0
    start_ws: float | None = None  # register at the open interval's start, if samples stand around it
    booked_ws: int = 0  # what the readings so far have told
    gap_ws: int | None = None  # what the next reading tells as its gap
    has_hole: bool = False  # nothing was known for a time since the register was read
    suspect: tuple[float, int] | None = None  # a register that did not fit, until the next one decides
    step_ws: int = 0

    def at(self, flow_ws: float) -> float:
        """The register, or the energy by power where there is none, when the flow has come so far."""
        return (self.read_ws or 0) + flow_ws - self.read_flow_ws

    @property
    def known_start_ws(self) -> float | None:
        """What stood at the open interval's start, as known by now."""
        return self.at(self.start_flow_ws) if self.read_ws is None else self.start_ws


@dataclass(frozen=True, slots=True)
class Open:
    """The interval being filled."""

    start_s: float
    start_utc_s: float
    covered_s: float = 0.0
    heard: bool = False  # a usable sample lies in it
    doubted: bool = False  # and one was not plainly good
    heard_bad: bool = False
    powerless: bool = False  # a sample told registers only
    reasons: tuple[Cause, ...] = ()


@dataclass(frozen=True, slots=True)
class Meter:
    """All that is kept of one telemetry point. Save it only while `anchor.trusted`, with its readings."""

    spec: Spec
    anchor: Anchor
    offset_s: int
    open: Open
    tracks: tuple[Track, Track] = (Track(), Track())  # import, export
    seen_s: float | None = None  # the last usable sample
    power_w: float | None = None
    speaks_until_s: float = -math.inf
    last_w: float | None = None
    last_at_s: float | None = None
    doubted: bool = False  # the last usable sample was not plainly good
    silence: tuple[Cause, ...] = ()  # why nothing is known since the last usable sample
    due: tuple[Reading | Lost, ...] = ()


SIGNS = (1, -1)


# --- what the shell calls ----------------------------------------------------------------------------


def begin(spec: Spec, now_s: float, anchor: Anchor, offset_s: int) -> Meter:
    """A meter that knows nothing yet. Its first interval runs to the first edge of the grid."""
    return Meter(spec, anchor, offset_s, Open(now_s, anchor.stamp(now_s)))


def resume(saved: Meter, now_s: float, anchor: Anchor, offset_s: int) -> Meter:
    """The meter after a restart: what was lost since it was saved is told as MISSING, `restart`.

    The first register tells the energy of the loss. With a clock not trusted yet the loss is told
    when it is, after the intervals of this life.
    """
    start_utc_s = saved.open.start_utc_s
    shift_s = anchor.mono(start_utc_s) - saved.open.start_s if anchor.trusted else math.inf
    causes = _causes(*saved.open.reasons, Cause.RESTART)  # a register that began anew still did
    meter = Meter(
        spec=saved.spec,
        anchor=anchor,
        offset_s=offset_s,
        open=Open(min(now_s, saved.open.start_s + shift_s), start_utc_s, reasons=causes),
        tracks=_both(_reborn(track, now_s, shift_s) for track in saved.tracks),
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
    sample = _plausible(meter, sample)
    unusable = sample.quality is Quality.BAD or Cause.FROZEN in sample.reasons or not sample.says_something
    while (edge := _next_edge(meter))[0] <= sample.at_s:
        meter = _closed(meter, *edge, None if unusable else sample)
    return _silenced(meter, sample) if unusable else _absorbed(meter, sample)


def cut(meter: Meter, now_s: float, anchor: Anchor, offset_s: int) -> tuple[Meter, tuple[Reading, ...]]:
    """Every interval whose end has passed, each once, in order; lost ones at most `BATCH` at a time.

    An end waits `spec.wait_s` for a later sample. A step of the clock or a new offset is joined by one
    interval (`regrid`) of at most 119 s; minutes a clock skips are MISSING; a step back that cannot be
    joined breaks the series: the next `start` is not the last `end`, and the log needs a new stream.
    """
    meter = _retimed(meter, anchor, offset_s)
    while (edge := _next_edge(meter))[0] + meter.spec.wait_s <= now_s:
        meter = _closed(meter, *edge, None)
    readings, rest = _told(meter)
    return replace(meter, due=rest), readings


def due_s(meter: Meter) -> float:
    """When `cut` will have something to give, if nothing else happens; -inf: it has already."""
    waiting = any(isinstance(d, Reading) or d.end_utc_s is not None for d in meter.due)
    return -math.inf if waiting else _next_edge(meter)[0] + meter.spec.wait_s


def stamp(reading: Reading, anchor: Anchor) -> Reading:
    """A reading of this life with the UTC it had, now that the clock is trusted.

    Use the anchor of the cut that first had one trusted, so that the series stays whole.
    """
    last_at_utc_s = None if reading.last_at_s is None else anchor.utc(reading.last_at_s)
    return replace(
        reading,
        start_utc_s=anchor.stamp(reading.start_s),
        end_utc_s=anchor.stamp(reading.end_s),
        last_at_utc_s=last_at_utc_s,
        stamped=True,
    )


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
        row = replace(row, reasons=_causes(*row.reasons, Cause.CLOCK_UNTRUSTED))
        anchor = meter.anchor if meter.anchor.trusted else anchor
    if not meter.anchor.trusted:
        row = replace(row, start_utc_s=anchor.stamp(row.start_s))
    meter = replace(meter, anchor=anchor, offset_s=offset_s, open=row)
    if _next_edge(meter)[0] - row.start_s > LONGEST_S + 1:  # stepped back too far to be joined
        reasons = _causes(*row.reasons, Cause.REGRID)
        row = replace(row, start_utc_s=anchor.stamp(row.start_s), reasons=reasons)
    return replace(meter, open=row)


def _skipping(meter: Meter, at_s: float, cause: Cause) -> Meter:
    """The meter without the whole minutes that the clock is ahead of its open interval."""
    latest_utc_s = _grid_after(meter.anchor.utc(at_s), meter.offset_s) - 60
    if latest_utc_s <= meter.open.start_utc_s:
        return meter
    return _losing(meter, Lost(meter.open.start_utc_s, latest_utc_s, at_s, cause), latest_utc_s)


def _losing(meter: Meter, lost: Lost, start_utc_s: float) -> Meter:
    tracks = _both(replace(track, has_hole=True, start_ws=None) for track in meter.tracks)
    opened = _opened(meter, lost.end_s, start_utc_s)
    return replace(meter, tracks=tracks, open=opened, due=(*meter.due, lost))


def _opened(meter: Meter, start_s: float, start_utc_s: float) -> Open:
    return Open(start_s, start_utc_s, doubted=meter.doubted, reasons=meter.silence)


def _told(meter: Meter) -> tuple[tuple[Reading, ...], tuple[Reading | Lost, ...]]:
    """What is due, in order, and what has to wait: for the clock, or for the next batch."""
    readings: list[Reading] = []
    rest: list[Reading | Lost] = []
    for due in meter.due:
        if isinstance(due, Reading):
            readings.append(due)
        elif due.end_utc_s is None and not meter.anchor.trusted:
            rest.append(due)
        else:
            rows, left = _lost_rows(meter, due, BATCH - len(readings))
            readings += rows
            if left:
                return tuple(readings), (*rest, left, *meter.due[meter.due.index(due) + 1 :])
    return tuple(readings), tuple(rest)


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
    covered_s = row.covered_s + _spoken_s(meter, end_s)
    span_s = max(end_s - row.start_s, end_utc_s - row.start_utc_s)
    blank = replace(blank, coverage=round(min(1.0, covered_s / span_s), 3))
    if end_s > row.start_s and (row.heard or blank.coverage >= ENOUGH):
        meter = _measured(meter, blank, later if later and _is_near(meter, later) else None)
    else:
        meter = _missed(meter, blank)
    return _skipping(replace(meter, open=_opened(meter, end_s, end_utc_s)), end_s, Cause.REGRID)


def _missed(meter: Meter, blank: Reading) -> Meter:
    """Nothing usable was said: nulls, and the register's step is owed as a gap."""
    row = meter.open
    reading = replace(
        blank,
        quality=Grade.BAD if row.heard_bad else Grade.MISSING,
        reasons=_causes(*(row.reasons or (Cause.STALE,)), *_regrid(blank, row.reasons)),
        coverage=0.0,
    )
    tracks = _both(replace(track, has_hole=True, start_ws=None) for track in meter.tracks)
    return replace(meter, tracks=tracks, due=(*meter.due, reading))


def _measured(meter: Meter, blank: Reading, later: Sample | None) -> Meter:
    flows = _flows(meter, blank.end_s, later)
    registers = later.registers if later else (None, None)
    tracks = _both(
        _booked(
            track, flow, _register_at(meter.spec, track, blank.end_s, later.at_s if later else None, value)
        )
        for track, flow, value in zip(meter.tracks, flows, registers, strict=True)
    )
    told = _Told(meter.spec, blank.end_s - blank.start_s, meter.open.powerless, meter.tracks, tracks)
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


def _booked(track: Track, flow_ws: float, register_ws: float | None) -> Track:
    """The track at the interval's end. What the last edge told too much is taken off here, also where
    that makes the energy negative and the booked register go back."""
    return replace(
        track,
        booked_ws=round(track.at(flow_ws) if register_ws is None else register_ws),
        gap_ws=None,
        start_ws=register_ws,
        start_flow_ws=flow_ws,
    )


@dataclass(frozen=True, slots=True)
class _Told:
    """What one interval tells, from its tracks at both ends."""

    spec: Spec
    span_s: float
    powerless: bool
    before: tuple[Track, Track]
    after: tuple[Track, Track]

    @property
    def _counted(self) -> list[tuple[int, Track, Track]]:
        """Sign, start and end of what counts: the registers, or both powers where there is none."""
        both = list(zip(SIGNS, self.before, self.after, strict=True))
        return [entry for entry in both if entry[2].read_ws is not None] or both

    @property
    def energy_ws(self) -> int:
        return sum(sign * (b.booked_ws - a.booked_ws - (a.gap_ws or 0)) for sign, a, b in self._counted)

    @property
    def gap_ws(self) -> int | None:
        gaps = [sign * a.gap_ws for sign, a, _ in self._counted if a.gap_ws is not None]
        return sum(gaps) if gaps else None

    @property
    def exports_unseen(self) -> bool:
        """Power flowed out, and only a register of what flows in is there."""
        (_, fed_before), (imports, exports) = self.before, self.after
        fed_w = (exports.start_flow_ws - fed_before.start_flow_ws) / self.span_s
        return imports.read_ws is not None and exports.read_ws is None and fed_w > RESOLVES_W

    @property
    def _by_register_w(self) -> float | None:
        steps = [(sign, a.start_ws, b.start_ws) for sign, a, b in self._counted]
        if self.exports_unseen or any(a is None or b is None for _, a, b in steps):
            return None
        return sum(sign * ((b or 0) - (a or 0)) for sign, a, b in steps) / self.span_s

    @property
    def _by_power_w(self) -> float:
        pairs = zip(SIGNS, self.before, self.after, strict=True)
        return sum(sign * (b.start_flow_ws - a.start_flow_ws) for sign, a, b in pairs) / self.span_s

    @property
    def corrects(self) -> bool:
        """Whether the energy takes a difference from the last edge that shows."""
        shows_ws = self._step_ws + RESOLVES_W * self.span_s
        return any(
            after.booked_ws < before.booked_ws
            or (start_ws is not None and abs(start_ws - before.booked_ws) > shows_ws)
            for _, before, after in self._counted
            for start_ws in [before.known_start_ws]
        )

    @property
    def _step_ws(self) -> int:
        learnt_ws = math.gcd(*(track.step_ws for track in self.after))
        return self.spec.resolution_ws or learnt_ws or COARSEST_WS

    @property
    def resolves(self) -> bool:
        """Whether the register's step is small against the interval."""
        mean_w = self._by_register_w
        if mean_w is None:
            return False
        return self._step_ws / self.span_s <= max(RESOLVES_W, RESOLVES_SHARE * abs(mean_w))

    @property
    def mean_w(self) -> float:
        by_register_w = self._by_register_w
        if by_register_w is not None and (self.resolves or self.powerless):
            return by_register_w
        return self.energy_ws / self.span_s if self.powerless else self._by_power_w


def _reasons(row: Open, blank: Reading, told: _Told, is_extrapolated: bool) -> tuple[Cause, ...]:
    found = list(row.reasons)
    if is_extrapolated or told.corrects:
        found.append(Cause.EDGE)
    if blank.coverage < ENOUGH:
        found.append(Cause.STALE)
    if told.exports_unseen:
        found.append(Cause.EXPORT_UNKNOWN)
    if not blank.stamped:
        found.append(Cause.CLOCK_UNTRUSTED)
    return _causes(*found, *_regrid(blank, row.reasons))


def _regrid(blank: Reading, known: tuple[Cause, ...]) -> tuple[Cause, ...]:
    """That an interval joins two grids, unless a restart tells why it is odd."""
    is_odd = blank.end_utc_s - blank.start_utc_s != 60 or _is_stepped(blank)
    return (Cause.REGRID,) if is_odd and Cause.RESTART not in known else ()


def _grade(blank: Reading, told: _Told, reasons: tuple[Cause, ...], doubted: bool) -> Grade:
    """OK only if nothing speaks against it; an odd length alone (a new offset) does not."""
    is_exact = not doubted and not _is_stepped(blank) and (told.resolves or not told.powerless)
    is_ok = is_exact and blank.source is not Source.ESTIMATE and set(reasons) <= {Cause.REGRID}
    return Grade.OK if is_ok else Grade.ESTIMATED


def _is_stepped(reading: Reading) -> bool:
    """Whether UTC moved by more than the time that passed (a second is slewing)."""
    passed_s = reading.end_s - reading.start_s
    return abs(reading.end_utc_s - reading.start_utc_s - passed_s) > 1


# --- one sample --------------------------------------------------------------------------------------


def _plausible(meter: Meter, sample: Sample) -> Sample:
    """The sample without a power that cannot be."""
    if sample.power_w is None or abs(sample.power_w) <= meter.spec.max_w:
        return sample
    reasons = (*sample.reasons, Cause.IMPLAUSIBLE)
    left = replace(sample, power_w=None, quality=Quality.UNCERTAIN, reasons=reasons)
    return (
        left
        if left.says_something and sample.quality is not Quality.BAD
        else replace(left, quality=Quality.BAD)
    )


def _silenced(meter: Meter, sample: Sample) -> Meter:
    """From here on nothing is known, and why."""
    row, causes = meter.open, _causes(*sample.reasons)
    gave_bad = row.heard_bad or sample.says_something or Cause.IMPLAUSIBLE in causes
    return replace(
        meter,
        open=replace(row, heard_bad=gave_bad, reasons=_causes(*row.reasons, *causes)),
        speaks_until_s=min(meter.speaks_until_s, sample.at_s),
        silence=causes,
    )


def _absorbed(meter: Meter, sample: Sample) -> Meter:
    row, is_doubted, says_power = meter.open, sample.quality is not Quality.GOOD, sample.power_w is not None
    tracks, misfits = _read(meter, sample)
    row = replace(
        row,
        covered_s=row.covered_s + _spoken_s(meter, sample.at_s),
        heard=row.heard or sample.at_s >= row.start_s,
        doubted=row.doubted or is_doubted,
        powerless=row.powerless or _power_w(meter, sample) is None,
        reasons=_causes(*row.reasons, *sample.reasons, *misfits),
    )
    return replace(
        meter,
        open=row,
        tracks=tracks,
        seen_s=sample.at_s,
        power_w=_power_w(meter, sample),
        speaks_until_s=sample.at_s + meter.spec.fresh_s,
        last_w=sample.power_w if says_power else meter.last_w,
        last_at_s=sample.at_s if says_power else meter.last_at_s,
        doubted=is_doubted,
        silence=(),
    )


def _read(meter: Meter, sample: Sample) -> tuple[tuple[Track, Track], tuple[Cause, ...]]:
    """Both tracks after the sample: the open interval's start known better, flow and register moved on."""
    start_s, at_s = meter.open.start_s, sample.at_s
    starts, flows, misfits = _flows_at_start(meter, sample), _flows_to(meter, sample), []
    tracks = []
    for track, value, start_flow, flow in zip(meter.tracks, sample.registers, starts, flows, strict=True):
        start_ws = _register_at(meter.spec, track, start_s, at_s, value)
        start_ws = track.start_ws if start_ws is None else start_ws
        moved = replace(track, start_ws=start_ws, start_flow_ws=start_flow, flow_ws=flow)
        misfit = None if value is None else _misfit(meter.spec, track, at_s, value)
        if misfit:
            misfits.append(misfit)
        if value is not None:
            moved = _with_register(meter.spec, moved, at_s, value, fits=misfit is None)
        tracks.append(moved)
    return _both(tracks), tuple(misfits)


def _with_register(spec: Spec, track: Track, at_s: float, value_ws: int, *, fits: bool) -> Track:
    """The track with its register read. One that does not fit waits for the next to confirm it: a
    glitch passes, a reset or an exchanged meter begins a new count without a step in energy."""
    told_ws = track.at(track.flow_ws)
    read = replace(
        track,
        read_ws=value_ws,
        read_s=at_s,
        read_flow_ws=track.flow_ws,
        has_hole=False,
        suspect=None,
        step_ws=math.gcd(track.step_ws, value_ws),
    )
    if track.read_ws is not None and fits:
        owed_ws = max(0, round(value_ws - told_ws)) if track.has_hole else None
        return read if owed_ws is None else replace(read, gap_ws=owed_ws + (track.gap_ws or 0))
    if track.read_ws is None or (track.suspect and not _rises_wrongly(spec, track.suspect, at_s, value_ws)):
        return replace(read, booked_ws=round(track.booked_ws + value_ws - told_ws), start_ws=None)
    return replace(track, suspect=(at_s, value_ws))


def _misfit(spec: Spec, track: Track, at_s: float, value_ws: int) -> Cause | None:
    """Why a register cannot be what follows the last one; None if it can."""
    if track.read_ws is None:
        return None
    since_s = -math.inf if track.read_s is None else track.read_s
    return _rises_wrongly(spec, (since_s, track.read_ws), at_s, value_ws, slack_ws=track.step_ws)


def _rises_wrongly(
    spec: Spec, last: tuple[float, int], at_s: float, value_ws: int, slack_ws: int = COARSEST_WS
) -> Cause | None:
    last_s, last_ws = last
    if value_ws < last_ws:
        return Cause.COUNTER_RESET
    most_ws = spec.max_w * (at_s - last_s) + min(spec.resolution_ws or slack_ws or COARSEST_WS, COARSEST_WS)
    return Cause.IMPLAUSIBLE if value_ws - last_ws > most_ws else None


def _register_at(
    spec: Spec, track: Track, at_s: float, later_s: float | None, later_ws: int | None
) -> float | None:
    """The register at a moment, if it was read then, or shortly before and after."""
    if track.read_ws is None or track.read_s is None or track.has_hole:
        return None
    if track.read_s == at_s:
        return float(track.read_ws)
    if later_s is None or later_ws is None or not track.read_s < at_s <= later_s:
        return None
    apart_s = later_s - track.read_s
    if apart_s > _bridge_s(spec) or _misfit(spec, track, later_s, later_ws):
        return None
    return track.read_ws + (later_ws - track.read_ws) * (at_s - track.read_s) / apart_s


def _flows(meter: Meter, at_s: float, later: Sample | None) -> tuple[float, float]:
    """Energy by power up to a moment: towards the later sample, else held for `HOLD_S` at most."""
    if meter.seen_s is None:
        return _both(track.start_flow_ws for track in meter.tracks)
    first_w, span_s = meter.power_w, at_s - meter.seen_s
    last_w = _power_w(meter, later) if later else first_w
    begin_w = _either(first_w, last_w)
    end_w = begin_w
    if later:
        end_w += (_either(last_w, first_w) - begin_w) * span_s / (later.at_s - meter.seen_s)
    else:
        span_s = min(span_s, HOLD_S)
    return _both(
        track.flow_ws + (max(0.0, sign * begin_w) + max(0.0, sign * end_w)) / 2 * span_s
        for sign, track in zip(SIGNS, meter.tracks, strict=True)
    )


def _flows_to(meter: Meter, sample: Sample) -> tuple[float, float]:
    """Energy by power up to a sample. After a long silence its power is held back, to the interval's
    start at most: what flowed before that is for the register to tell."""
    if _is_near(meter, sample):
        return _flows(meter, sample.at_s, sample)
    was_open = meter.seen_s is not None and meter.seen_s >= meter.open.start_s
    since_s = meter.seen_s if was_open and meter.seen_s is not None else meter.open.start_s
    held_s = min(HOLD_S, max(0.0, sample.at_s - since_s))
    power_w = _either(_power_w(meter, sample), None)
    return _both(
        (track.flow_ws if was_open else track.start_flow_ws) + max(0.0, sign * power_w) * held_s
        for sign, track in zip(SIGNS, meter.tracks, strict=True)
    )


def _flows_at_start(meter: Meter, sample: Sample) -> tuple[float, float]:
    """Energy by power up to the open interval's start, better known now if that lies in between."""
    start_s = meter.open.start_s
    if meter.seen_s is not None and _is_near(meter, sample) and meter.seen_s <= start_s < sample.at_s:
        return _flows(meter, start_s, sample)
    return _both(track.start_flow_ws for track in meter.tracks)


def _power_w(meter: Meter, sample: Sample) -> float | None:
    """The sample's power, or the last one told while that is fresh."""
    if sample.power_w is not None or meter.last_at_s is None:
        return sample.power_w
    return meter.last_w if sample.at_s - meter.last_at_s <= meter.spec.fresh_s else None


def _spoken_s(meter: Meter, until_s: float) -> float:
    """How much of the time since the last sample, in the open interval, that sample speaks for."""
    since_s = meter.open.start_s if meter.seen_s is None else max(meter.open.start_s, meter.seen_s)
    return max(0.0, min(until_s, meter.speaks_until_s) - since_s)


def _is_near(meter: Meter, sample: Sample) -> bool:
    return meter.seen_s is not None and sample.at_s - meter.seen_s <= _bridge_s(meter.spec)


def _bridge_s(spec: Spec) -> float:
    return max(HOLD_S, spec.fresh_s)


def _reborn(track: Track, now_s: float, shift_s: float) -> Track:
    """A saved track in this life; `shift_s` is what its clock is behind (inf: not known)."""
    read_s = None if track.read_s is None or track.read_s + shift_s > now_s else track.read_s + shift_s
    return replace(track, read_s=read_s, suspect=None)


def _causes(*words: str) -> tuple[Cause, ...]:
    """The contract's words among these, each once, in its order."""
    return tuple(cause for cause in Cause if cause in words)


def _either(first_w: float | None, second_w: float | None) -> float:
    return next((power_w for power_w in (first_w, second_w) if power_w is not None), 0.0)


def _both(values: Iterable[T]) -> tuple[T, T]:
    first, second = values
    return first, second
