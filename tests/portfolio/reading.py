"""The minutes that a home reports: its meter is read by the product's own metering, at the home's offset.

A meter that tells power and register each second is read at the seconds that matter: those beside a minute's
edge, those at a step, and each ten seconds between. All others would say the same.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.core.metering import Anchor, Sample, Spec, begin, cut, feed
from tests.portfolio.home import END_S, Home

SPEC = Spec(fresh_s=20.0, wait_s=1.5)
LATE_S = 2  # after its end a minute is published


@dataclass(frozen=True, slots=True)
class Minute:
    """[start, end) s; mean and last power (W), and when that was sampled (s)."""

    start_s: int
    end_s: int
    mean_w: float
    last_w: float
    last_s: float


def minutes(home: Home, offset_s: int) -> Iterator[Minute]:
    """Every whole minute of a home."""
    anchor = Anchor(0.0, 0.0, True)
    meter = begin(SPEC, 0.0, anchor, offset_s)
    starts = [at_s for at_s, _ in home.steps]
    sums_ws = _sums(home)
    for at_s in _seconds(home, offset_s):
        step = bisect.bisect_right(starts, at_s) - 1
        power_w = home.steps[step][1]
        register_ws = sums_ws[step] + power_w * (at_s - starts[step])
        meter = feed(meter, Sample(float(at_s), power_w * home.gain, round(register_ws * home.gain)))
        meter, told = cut(meter, float(at_s), anchor, offset_s)
        for row in told:
            if row.end_s - row.start_s == 60 and row.power_w is not None and row.last_at_s is not None:
                yield Minute(
                    int(row.start_s), int(row.end_s), float(row.power_w), row.last_w or 0.0, row.last_at_s
                )


def _sums(home: Home) -> list[int]:
    found = [0]
    for (at_s, power_w), (next_s, _) in zip(home.steps, home.steps[1:], strict=False):
        found.append(found[-1] + power_w * (next_s - at_s))
    return found


def _seconds(home: Home, offset_s: int) -> list[int]:
    edges = range(offset_s, END_S, 60)
    beside = {second for edge in edges for second in (edge - 1, edge, edge + 1)}
    steps = {second for at_s, _ in home.steps for second in (at_s - 1, at_s)}
    return sorted(second for second in {*range(0, END_S, 10), *beside, *steps} if 0 <= second < END_S)
