"""What must be true of any series of readings, told from the raw samples alone.

It knows the records of `metering` and none of its rules in code: each promise is restated as an
inequality over what the device said and what was published.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from gateway.core.metering import Cause, Grade, Reading, Sample, Spec
from gateway.core.model import Quality

BROKEN = {Cause.COUNTER_RESET, Cause.IMPLAUSIBLE}


def assert_series(readings: Sequence[Reading]) -> None:
    """Readings follow each other without hole or overlap, and no joint is longer than 119 s."""
    for before, after in pairwise(readings):
        assert before.end_utc_s == after.start_utc_s, (before, after)
    for reading in readings:
        length_s = reading.end_utc_s - reading.start_utc_s
        assert 1 <= length_s <= 119
        assert length_s == 60 or {Cause.REGRID, Cause.RESTART} & set(reading.reasons)


def assert_honest(readings: Sequence[Reading], samples: Sequence[Sample], spec: Spec) -> None:
    """No reading is better than what was said in it, and what is not known is null."""
    for reading in readings:
        assert 0.0 <= reading.coverage <= 1.0
        told = (reading.power_w, reading.energy_ws, reading.import_register_ws, reading.export_register_ws)
        if reading.quality in (Grade.MISSING, Grade.BAD):
            assert told == (None,) * 4
            assert reading.gap_ws is None
            assert reading.reasons
        else:
            assert reading.power_w is not None
            assert reading.energy_ws is not None
        if reading.quality is Grade.OK:
            _assert_deserved(reading, samples, spec)


def _assert_deserved(reading: Reading, samples: Sequence[Sample], spec: Spec) -> None:
    around = [s for s in samples if reading.start_s - spec.fresh_s <= s.at_s <= reading.end_s]
    good = [s for s in around if is_good(s)]
    assert all(s in good for s in around if s.at_s >= reading.start_s), "something doubtful lies in it"
    silent_s, spoken_until_s = 0.0, reading.start_s
    for moment in sorted({s.at_s for s in good} | {reading.end_s}):
        silent_s += max(0.0, min(moment, reading.end_s) - max(spoken_until_s, reading.start_s))
        spoken_until_s = max(spoken_until_s, moment + spec.fresh_s)
    assert silent_s <= 0.1 * (reading.end_s - reading.start_s) + 0.1
    assert any(s.at_s >= reading.end_s for s in samples if is_good(s)), "its end was extrapolated"


def is_good(sample: Sample) -> bool:
    return sample.quality is Quality.GOOD and "frozen" not in sample.reasons


def assert_conserved(readings: Sequence[Reading]) -> int:
    """Energy plus gaps of each unbroken span equal the registers' step; returns how many spans held."""
    last: Reading | None = None
    checked = 0
    for reading in readings:
        if reading.energy_ws is None:
            if BROKEN & set(reading.reasons):
                last = None
            continue
        is_like = last is not None and _registers(last) == _registers(reading) != (False, False)
        if last is not None and is_like and not BROKEN & set(reading.reasons):
            step_ws = _net_ws(reading) - _net_ws(last)
            assert reading.energy_ws + (reading.gap_ws or 0) == step_ws, (last, reading)
            for name in ("import_register_ws", "export_register_ws"):
                before, after = getattr(last, name), getattr(reading, name)
                is_told_early = Cause.EDGE in last.reasons + reading.reasons
                assert before is None or after >= before or is_told_early, "a register went back"
            checked += 1
        last = reading
    return checked


def _registers(reading: Reading) -> tuple[bool, bool]:
    return reading.import_register_ws is not None, reading.export_register_ws is not None


def _net_ws(reading: Reading) -> int:
    return (reading.import_register_ws or 0) - (reading.export_register_ws or 0)
