"""What is kept of one telemetry point, and how one sample changes it.

Power between two samples is the straight line between them; beyond the last one it is held.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from gateway.core.model import Quality
from gateway.core.reading import HOLD_S, Anchor, Cause, Reading, Sample, Spec, causes_of
from gateway.core.track import SIGNS, Track, both, bridge_s, misfit_of, register_at, with_register


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
class Lost:
    """Intervals of which nothing can be known any more, not told yet. No end: the clock must tell it."""

    start_utc_s: float
    end_utc_s: float | None
    end_s: float
    cause: Cause


@dataclass(frozen=True, slots=True)
class Meter:
    """All that is kept of one telemetry point. Save it only while `anchor.trusted`, with its readings."""

    spec: Spec
    anchor: Anchor
    offset_s: int
    open: Open
    tracks: tuple[Track, Track] = (Track(), Track())  # import, export
    seen_s: float | None = None  # the last usable sample
    every_s: float | None = None  # between two samples, as of late
    power_w: float | None = None
    speaks_until_s: float = -math.inf
    last_w: float | None = None
    last_at_s: float | None = None
    doubted: bool = False  # the last usable sample was not plainly good
    silence: tuple[Cause, ...] = ()  # why nothing is known since the last usable sample
    due: tuple[Reading | Lost, ...] = ()


def plausible(meter: Meter, sample: Sample) -> Sample:
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


def silenced(meter: Meter, sample: Sample) -> Meter:
    """From here on nothing is known, and why."""
    row, causes = meter.open, causes_of(*sample.reasons)
    gave_bad = row.heard_bad or sample.says_something or Cause.IMPLAUSIBLE in causes
    return replace(
        meter,
        open=replace(row, heard_bad=gave_bad, reasons=causes_of(*row.reasons, *causes)),
        speaks_until_s=min(meter.speaks_until_s, sample.at_s),
        silence=causes,
    )


def absorbed(meter: Meter, sample: Sample) -> Meter:
    row, is_doubted, says_power = meter.open, sample.quality is not Quality.GOOD, sample.power_w is not None
    tracks, misfits = _read(meter, sample)
    row = replace(
        row,
        covered_s=row.covered_s + spoken_s(meter, sample.at_s),
        heard=row.heard or sample.at_s >= row.start_s,
        doubted=row.doubted or is_doubted,
        powerless=row.powerless or _power_w(meter, sample) is None,
        reasons=causes_of(*row.reasons, *sample.reasons, *misfits),
    )
    return replace(
        meter,
        open=row,
        tracks=tracks,
        seen_s=sample.at_s,
        every_s=_every_s(meter, sample),
        power_w=_power_w(meter, sample),
        speaks_until_s=sample.at_s + meter.spec.fresh_s,
        last_w=sample.power_w if says_power else meter.last_w,
        last_at_s=sample.at_s if says_power else meter.last_at_s,
        doubted=is_doubted,
        silence=(),
    )


def _every_s(meter: Meter, sample: Sample) -> float | None:
    """A device that speaks twice in a moment does not speak so often."""
    if meter.seen_s is None:
        return None
    return max(sample.at_s - meter.seen_s, (meter.every_s or 0.0) / 2)


def flows_at(meter: Meter, at_s: float, later: Sample | None) -> tuple[float, float]:
    """Energy by power up to a moment: towards the later sample, else held for `HOLD_S` at most."""
    if meter.seen_s is None:
        return both(track.start_flow_ws for track in meter.tracks)
    first_w, span_s = meter.power_w, at_s - meter.seen_s
    last_w = _power_w(meter, later) if later else first_w
    begin_w = _either(first_w, last_w)
    end_w = begin_w
    if later:
        end_w += (_either(last_w, first_w) - begin_w) * span_s / (later.at_s - meter.seen_s)
    else:
        span_s = min(span_s, HOLD_S)
    return both(
        track.flow_ws + (max(0.0, sign * begin_w) + max(0.0, sign * end_w)) / 2 * span_s
        for sign, track in zip(SIGNS, meter.tracks, strict=True)
    )


def spoken_s(meter: Meter, until_s: float) -> float:
    """How much of the time since the last sample, in the open interval, that sample speaks for."""
    since_s = meter.open.start_s if meter.seen_s is None else max(meter.open.start_s, meter.seen_s)
    return max(0.0, min(until_s, meter.speaks_until_s) - since_s)


def is_near(meter: Meter, sample: Sample) -> bool:
    return meter.seen_s is not None and sample.at_s - meter.seen_s <= bridge_s(meter.spec)


def _read(meter: Meter, sample: Sample) -> tuple[tuple[Track, Track], tuple[Cause, ...]]:
    """Both tracks after the sample, and why a register in it cannot be."""
    starts, flows = _flows_at_start(meter, sample), _flows_to(meter, sample)
    entries = zip(meter.tracks, sample.registers, starts, flows, strict=True)
    tracks = both(_moved(meter, sample.at_s, *entry) for entry in entries)
    misfits = (
        misfit_of(meter.spec, track, sample.at_s, value)
        for track, value in zip(meter.tracks, sample.registers, strict=True)
        if value is not None
    )
    return tracks, tuple(misfit for misfit in misfits if misfit)


def _moved(
    meter: Meter, at_s: float, track: Track, value_ws: int | None, start_flow_ws: float, flow_ws: float
) -> Track:
    """A track moved on to a sample: the open interval's start is known better now, too."""
    start_ws = register_at(meter.spec, track, meter.open.start_s, at_s, value_ws)
    start_ws = track.start_ws if start_ws is None else start_ws
    moved = replace(track, start_ws=start_ws, start_flow_ws=start_flow_ws, flow_ws=flow_ws)
    return moved if value_ws is None else with_register(meter.spec, moved, at_s, value_ws)


def _flows_to(meter: Meter, sample: Sample) -> tuple[float, float]:
    """Energy by power up to a sample. After a long silence its power is held back, to the interval's
    start at most: what flowed before that is for the register to tell."""
    if is_near(meter, sample):
        return flows_at(meter, sample.at_s, sample)
    was_open = meter.seen_s is not None and meter.seen_s >= meter.open.start_s
    since_s = meter.seen_s if was_open and meter.seen_s is not None else meter.open.start_s
    held_s = min(HOLD_S, max(0.0, sample.at_s - since_s))
    power_w = _either(_power_w(meter, sample), None)
    return both(
        (track.flow_ws if was_open else track.start_flow_ws) + max(0.0, sign * power_w) * held_s
        for sign, track in zip(SIGNS, meter.tracks, strict=True)
    )


def _flows_at_start(meter: Meter, sample: Sample) -> tuple[float, float]:
    """Energy by power up to the open interval's start, better known now if that lies in between."""
    start_s = meter.open.start_s
    if meter.seen_s is not None and is_near(meter, sample) and meter.seen_s <= start_s < sample.at_s:
        return flows_at(meter, start_s, sample)
    return both(track.start_flow_ws for track in meter.tracks)


def _power_w(meter: Meter, sample: Sample) -> float | None:
    """The sample's power, or the last one told while that is fresh."""
    if sample.power_w is not None or meter.last_at_s is None:
        return sample.power_w
    return meter.last_w if sample.at_s - meter.last_at_s <= meter.spec.fresh_s else None


def _either(first_w: float | None, second_w: float | None) -> float:
    return next((power_w for power_w in (first_w, second_w) if power_w is not None), 0.0)
