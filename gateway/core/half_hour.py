"""Registers in, half-hours out: what flowed between :00 and :30 UTC, each watt-second in one of them.

An edge is a register at :00 or :30, on the straight line between the reads around it; a half-hour is the
step from edge to edge, and the minutes in it say how well it is known. One whose edges are not known when
it is due is told without energy, and once more if they become known within a day.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.core.meter import Meter
from gateway.core.reading import HOLD_S, Anchor, Cause, Grade, Reading, Source, causes_of
from gateway.core.track import Track

LENGTH_S = 1800.0
SOONEST_S, LATEST_S = 90.0, 300.0  # after its end a half-hour is told
CORRECTED_S = 86_400.0  # after its end it may be corrected
KEPT_S = 45 * 86_400.0  # of half-hours that were never told, as of minutes
SHARP_S = HOLD_S  # an edge further from one of the reads around it makes a half-hour ESTIMATED


@dataclass(frozen=True, slots=True)
class Count:
    """One direction at a moment: all that has flowed (`total_ws`, also through a reset of the register), and
    the register itself. None: there is no register, the total is that of the power."""

    at_utc_s: float
    total_ws: int
    register_ws: int | None


@dataclass(frozen=True, slots=True)
class Edge:
    """One direction at :00 or :30, and how far from it the further of the two reads around it was (s; 0: it
    was read then)."""

    total_ws: int
    register_ws: int | None
    gap_s: float


Counts = tuple[Count | None, Count | None]  # import, export
Pair = tuple[Edge | None, Edge | None]


@dataclass(frozen=True, slots=True)
class Half:
    """A half-hour being filled, or told and still open to correction (`revision`: as told last)."""

    start_utc_s: float
    starts: Pair = (None, None)
    ends: Pair = (None, None)
    covered_s: float = 0.0
    reasons: tuple[Cause, ...] = ()
    revision: int | None = None
    told_edges: int = 0

    @property
    def end_utc_s(self) -> float:
        """Where it ends."""
        return self.start_utc_s + LENGTH_S

    @property
    def edges(self) -> tuple[Edge, ...]:
        """Those that are known, of the four."""
        return tuple(edge for edge in (*self.starts, *self.ends) if edge)


@dataclass(frozen=True, slots=True)
class Ledger:
    """All that is kept of one point: each direction as last read (None: not counted), and the half-hours
    that are not told for good, in order. The last of them is the present one."""

    counts: Counts = (None, None)
    halves: tuple[Half, ...] = ()


@dataclass(frozen=True, slots=True)
class HalfHour:
    """One half-hour [start, end) as it is told. What is not known is None; registers are those at its edges,
    interpolated, and never netted. `edge_gap_s`: the largest of its edges'."""

    start_utc_s: float
    revision: int
    quality: Grade
    reasons: tuple[Cause, ...]
    coverage: float
    by_register: bool
    import_ws: int | None
    export_ws: int | None
    import_register_ws: tuple[int | None, int | None]
    export_register_ws: tuple[int | None, int | None]
    edge_gap_s: float | None

    @property
    def end_utc_s(self) -> float:
        """Where it ends."""
        return self.start_utc_s + LENGTH_S


# --- what the shell calls ----------------------------------------------------------------------------


def read(ledger: Ledger, meter: Meter) -> Ledger:
    """Take in where the meter's registers stand. After each sample; before the clock has been trusted, and
    while minutes of before that are not told, it changes nothing."""
    if not meter.anchor.trusted or any(isinstance(row, Reading) and not row.stamped for row in meter.due):
        return ledger
    has_register = any(track.read_ws is not None for track in meter.tracks)
    imports, exports = (
        _count(was, track, meter.anchor, track.read_s if has_register else meter.seen_s, has_register)
        for was, track in zip(ledger.counts, meter.tracks, strict=True)
    )
    return _moved(ledger, (imports, exports))


def told(ledger: Ledger, meter: Meter, reading: Reading) -> Ledger:
    """Take in how well a minute is known, when it is told; of one cut before the clock was trusted also the
    registers at its end."""
    if Cause.CLOCK_UNTRUSTED in reading.reasons and Cause.EDGE not in reading.reasons:
        ledger = _late(ledger, meter, reading)
    halves = list(_reaching(ledger.halves, reading.end_utc_s))
    for index in range(len(halves) - 1, -1, -1):
        if halves[index].end_utc_s <= reading.start_utc_s:
            break
        halves[index] = _spoken_for(halves[index], reading)
    return replace(ledger, halves=tuple(halves))


def due(
    ledger: Ledger, now_utc_s: float, lag_s: float, since_utc_s: float, source: Source
) -> tuple[HalfHour, ...]:
    """The half-hours to tell now, in order of time; give them to `settled` when they are safe.

    One is told `lag_s` after its end (`SOONEST_S` to `LATEST_S`) if its edges are known, and at `LATEST_S`
    in any case, counted from when someone listened (`since_utc_s`). It is told again when more of its edges
    are known, `CORRECTED_S` after its end at most.
    """
    halves = _reaching(ledger.halves, now_utc_s)
    found = (half for half in halves if _is_due(half, ledger.counts, now_utc_s, lag_s, since_utc_s))
    return tuple(_half_hour(half, ledger.counts, source) for half in found)


def settled(ledger: Ledger, rows: tuple[HalfHour, ...], now_utc_s: float) -> Ledger:
    """The ledger when `rows` are told, without the half-hours that nothing can change any more."""
    as_told = {row.start_utc_s: row for row in rows}
    halves = (_marked(half, as_told.get(half.start_utc_s)) for half in _reaching(ledger.halves, now_utc_s))
    left = tuple(half for half in halves if not _is_final(half, ledger.counts, now_utc_s))
    return replace(ledger, halves=left)


def untold(ledger: Ledger, rows: tuple[HalfHour, ...], before: Ledger) -> Ledger:
    """The ledger when `rows` could not be told after all; `before`: as it was when they were due."""
    known = {half.start_utc_s: half for half in ledger.halves}
    former = {half.start_utc_s: half for half in before.halves}
    for start_utc_s in (row.start_utc_s for row in rows):
        was = former.get(start_utc_s, Half(start_utc_s))
        half = known.get(start_utc_s, was)
        known[start_utc_s] = replace(half, revision=was.revision, told_edges=was.told_edges)
    return replace(ledger, halves=tuple(half for _, half in sorted(known.items())))


# --- edges -------------------------------------------------------------------------------------------


def _count(
    was: Count | None, track: Track, anchor: Anchor, at_s: float | None, has_register: bool
) -> Count | None:
    """A direction as last read; by power where the point has no register at all. A clock that was set back
    does not take it back."""
    if has_register and track.read_ws is None:
        return None
    if at_s is None:
        return was
    at_utc_s = anchor.utc(at_s) if was is None else max(anchor.utc(at_s), was.at_utc_s)
    total_ws = round(track.flow_ws if track.read_ws is None else track.read_ws) - track.shift_ws
    return Count(at_utc_s, total_ws, track.read_ws)


def _late(ledger: Ledger, meter: Meter, reading: Reading) -> Ledger:
    registers = reading.import_register_ws, reading.export_register_ws
    imports, exports = (
        _count_then(was, track, reading.end_utc_s, register_ws)
        for was, track, register_ws in zip(ledger.counts, meter.tracks, registers, strict=True)
    )
    return _moved(ledger, (imports, exports))


def _count_then(was: Count | None, track: Track, at_utc_s: float, register_ws: int | None) -> Count | None:
    """A direction at the end of a minute some time ago; as it was where the register was reset since."""
    if register_ws is None or track.read_ws is None:
        return was
    total_ws = register_ws - track.shift_ws
    if total_ws > track.read_ws - track.shift_ws or (was and total_ws < was.total_ws):
        return was
    return Count(at_utc_s if was is None else max(at_utc_s, was.at_utc_s), total_ws, register_ws)


def _moved(ledger: Ledger, counts: Counts) -> Ledger:
    """The ledger with its directions as now read: the edges on the way are known then."""
    halves = ledger.halves or _begun(counts)
    for direction, (was, now) in enumerate(zip(ledger.counts, counts, strict=True)):
        if was and now and was.at_utc_s // LENGTH_S < now.at_utc_s // LENGTH_S:
            halves = _edged(halves, direction, was, now)
    return Ledger(counts, halves)


def _begun(counts: Counts) -> tuple[Half, ...]:
    """The half-hour in which something was read first."""
    first_utc_s = min((count.at_utc_s for count in counts if count), default=None)
    return () if first_utc_s is None else _reaching((), first_utc_s)


def _edged(halves: tuple[Half, ...], direction: int, was: Count, now: Count) -> tuple[Half, ...]:
    """Every edge later than `was` and not later than `now`, at the end of one half-hour and the start of the
    next."""
    by_start = {half.start_utc_s: half for half in _reaching(halves, now.at_utc_s)}
    for start_utc_s, half in by_start.items():
        if was.at_utc_s < start_utc_s <= now.at_utc_s:
            by_start[start_utc_s] = replace(half, starts=_with(half.starts, direction, was, now, start_utc_s))
        if was.at_utc_s < half.end_utc_s <= now.at_utc_s:
            half = by_start[start_utc_s]
            by_start[start_utc_s] = replace(half, ends=_with(half.ends, direction, was, now, half.end_utc_s))
    return tuple(by_start.values())


def _with(edges: Pair, direction: int, was: Count, now: Count, at_utc_s: float) -> Pair:
    imports, exports = edges
    edge = _between(was, now, at_utc_s)
    return (edge, exports) if direction == 0 else (imports, edge)


def _between(was: Count, now: Count, at_utc_s: float) -> Edge:
    """On the straight line; the register is the one read before, which a reset in between did not touch."""
    share = (at_utc_s - was.at_utc_s) / (now.at_utc_s - was.at_utc_s)
    flowed_ws = round((now.total_ws - was.total_ws) * share)
    is_here = at_utc_s == now.at_utc_s
    register_ws = now.register_ws if is_here else was.register_ws
    if register_ws is not None and not is_here:
        register_ws += flowed_ws
    gap_s = 0.0 if is_here else max(at_utc_s - was.at_utc_s, now.at_utc_s - at_utc_s)
    return Edge(was.total_ws + flowed_ws, register_ws, gap_s)


def _reaching(halves: tuple[Half, ...], utc_s: float) -> tuple[Half, ...]:
    """The half-hours, and those after them up to the one at a moment: none that nobody keeps any more."""
    present_utc_s = utc_s // LENGTH_S * LENGTH_S
    first_utc_s = halves[-1].end_utc_s if halves else present_utc_s
    if first_utc_s < present_utc_s - KEPT_S:
        halves, first_utc_s = (), present_utc_s - KEPT_S
    count = int((present_utc_s - first_utc_s) // LENGTH_S) + 1
    return (*halves, *(Half(first_utc_s + index * LENGTH_S) for index in range(count)))


# --- telling -----------------------------------------------------------------------------------------


def _spoken_for(half: Half, reading: Reading) -> Half:
    """A half-hour that a minute may speak for. An edge that a minute told too early or too late is none here:
    the half-hour has its own."""
    span_s = min(half.end_utc_s, reading.end_utc_s) - max(half.start_utc_s, reading.start_utc_s)
    if span_s <= 0:
        return half
    reasons = () if reading.quality is Grade.OK else (r for r in reading.reasons if r is not Cause.EDGE)
    covered_s = half.covered_s + reading.coverage * span_s
    return replace(half, covered_s=covered_s, reasons=causes_of(*half.reasons, *reasons))


def _is_due(half: Half, counts: Counts, now_utc_s: float, lag_s: float, since_utc_s: float) -> bool:
    if half.revision is not None:
        return len(half.edges) > half.told_edges and now_utc_s <= half.end_utc_s + CORRECTED_S
    if _is_known(half, counts):
        return now_utc_s >= half.end_utc_s + lag_s
    return now_utc_s >= max(half.end_utc_s, since_utc_s) + LATEST_S


def _is_known(half: Half, counts: Counts) -> bool:
    """Whether both edges of every direction that is counted are known."""
    entries = zip(counts, half.starts, half.ends, strict=True)
    return any(counts) and all(start and end for count, start, end in entries if count)


def _is_final(half: Half, counts: Counts, now_utc_s: float) -> bool:
    if half.revision is None:
        return False
    return _is_known(half, counts) or now_utc_s > half.end_utc_s + CORRECTED_S


def _marked(half: Half, row: HalfHour | None) -> Half:
    return half if row is None else replace(half, revision=row.revision, told_edges=len(half.edges))


def _half_hour(half: Half, counts: Counts, source: Source) -> HalfHour:
    imports, exports = zip(half.starts, half.ends, strict=True)
    energies = _step_ws(imports), _step_ws(exports)
    coverage = round(min(1.0, half.covered_s / LENGTH_S), 3)
    gap_s = max((edge.gap_s for edge in half.edges), default=None)
    reasons = _reasons(half, counts, gap_s)
    is_known = energies != (None, None)
    is_ok = is_known and not reasons and source is not Source.ESTIMATE
    return HalfHour(
        start_utc_s=half.start_utc_s,
        revision=0 if half.revision is None else half.revision + 1,
        quality=Grade.OK if is_ok else Grade.ESTIMATED if is_known else Grade.MISSING,
        reasons=reasons,
        coverage=coverage,
        by_register=all(edge.register_ws is not None for edge in half.edges),
        import_ws=energies[0],
        export_ws=energies[1],
        import_register_ws=_registers(imports),
        export_register_ws=_registers(exports),
        edge_gap_s=gap_s,
    )


def _reasons(half: Half, counts: Counts, gap_s: float | None) -> tuple[Cause, ...]:
    found = list(half.reasons)
    if not _is_known(half, counts) or gap_s is None or gap_s > SHARP_S:
        found.append(Cause.EDGE)
    if any(_is_reset(*edges) for edges in zip(half.starts, half.ends, strict=True)):
        found.append(Cause.COUNTER_RESET)
    return causes_of(*found)


def _is_reset(start: Edge | None, end: Edge | None) -> bool:
    """Whether the register did not step by what flowed."""
    if start is None or end is None or start.register_ws is None or end.register_ws is None:
        return False
    return end.register_ws - start.register_ws != end.total_ws - start.total_ws


def _step_ws(edges: Pair) -> int | None:
    start, end = edges
    return end.total_ws - start.total_ws if start and end else None


def _registers(edges: Pair) -> tuple[int | None, int | None]:
    start, end = edges
    return (start.register_ws if start else None), (end.register_ws if end else None)
