"""One portfolio: the true sum of its homes each second, what receivers make of its minutes, how far off."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from tests.portfolio import estimator
from tests.portfolio.estimator import Ratio, Series
from tests.portfolio.home import END_S, METER_SD, RAMP_S, homes
from tests.portfolio.reading import minutes

SCHEMES = ("0-59", "1-59", "none")
STEADY = (1200, RAMP_S - 60)  # s: everyone has reported often enough, nobody was told anything
RAMP = (RAMP_S, RAMP_S + 180)
NAMES = ("held mean", "held last", "ratio", "with steps", "settled mean", "settled step")


@dataclass(frozen=True, slots=True)
class Error:
    """Of an estimate, in shares of the truth: bias, root mean square, 95th percentile of the size."""

    bias: float
    rms: float
    p95: float


@dataclass(frozen=True, slots=True)
class Study:
    """One portfolio with one scheme of offsets; series in watts by second, `extra` messages of steps."""

    count: int
    scheme: str
    truth: list[float]
    estimates: dict[str, list[float]]
    extra: int


def study(
    count: int, seed: int, scheme: str = "0-59", *, ramps: bool = True, meter_sd: float = METER_SD
) -> Study:
    """Live through it."""
    truth, ratio, extra = Series(), Ratio(), 0
    sums = {name: Series() for name in NAMES if name != "ratio"}
    for home in homes(count, seed, ramps=ramps, meter_sd=meter_sd):
        for (at_s, power_w), (next_s, _) in pairwise([*home.steps, (END_S, 0)]):
            truth.add(at_s, next_s, power_w)
        told = list(minutes(home, offset(home.draw, scheme)))
        estimator.held_mean(sums["held mean"], told)
        estimator.held_last(sums["held last"], told)
        estimator.settled_mean(sums["settled mean"], told)
        estimator.settled_step(sums["settled step"], told)
        steps = [(at_s, power_w * home.gain) for at_s, power_w in home.steps]
        extra += estimator.with_steps(sums["with steps"], told, steps)
        ratio.take(told)
    found = {name: series.values() for name, series in sums.items()} | {"ratio": ratio.values()}
    return Study(count, scheme, truth.values(), found, extra)


def offset(draw: float, scheme: str) -> int:
    """The second at which a home's minutes end."""
    return {"0-59": int(draw * 60), "1-59": 1 + int(draw * 59), "none": 0}[scheme]


def error(truth: Sequence[float], estimate: Sequence[float], span: tuple[int, int]) -> Error:
    """How far off an estimate is within [from, until)."""
    shares = [(e - t) / t for t, e in zip(truth[slice(*span)], estimate[slice(*span)], strict=True)]
    sizes = sorted(abs(share) for share in shares)
    rms = math.sqrt(fmean(share * share for share in shares))
    return Error(fmean(shares), rms, sizes[int(0.95 * (len(sizes) - 1))])


def lag_s(truth: Sequence[float], estimate: Sequence[float], way: float, at_s: int = RAMP_S) -> int | None:
    """How much later than the truth the estimate has gone that share of a ramp's way; None: not in 180 s."""
    begin, end = at_s - 60, at_s + 180
    first, last = fmean(truth[begin : begin + 60]), fmean(truth[end - 60 : end])
    mark = first + way * (last - first)
    crossed = (_crossed(values, mark, last - first, at_s, end) for values in (truth, estimate))
    true_s, told_s = crossed
    return None if true_s is None or told_s is None else told_s - true_s


def _crossed(values: Sequence[float], mark: float, way: float, begin: int, end: int) -> int | None:
    return next((at for at in range(begin, end) if (values[at] - mark) * way >= 0), None)
