"""What a receiver makes of minutes: one value a second for the whole portfolio. Sums are kept as differences,
so that a home costs its readings and not its seconds.

`live` ones know at a second only what was published before it; `settled` ones look back.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise

from tests.portfolio.home import END_S
from tests.portfolio.reading import LATE_S, Minute

FRESH_S = 10  # homes that reported in the last so many seconds stand for all
BEFORE = 5  # readings: so long ago nobody had been told anything
STEP_W = 1000.0  # a step above that would be told at once


class Series:
    """One value a second, summed over homes."""

    def __init__(self) -> None:
        self._steps = array("d", bytes(8 * (END_S + 1)))

    def add(self, from_s: float, until_s: float, power_w: float) -> None:
        """So much more in [from, until), to the whole second."""
        begin, end = min(END_S, max(0, round(from_s))), min(END_S, max(0, round(until_s)))
        self._steps[begin] += power_w
        self._steps[end] -= power_w

    def values(self) -> list[float]:
        """The sum at each second."""
        return list(accumulate(self._steps))[:END_S]


def held_mean(series: Series, told: Sequence[Minute]) -> None:
    """Live: a home draws what its last minute says in the mean."""
    _held(series, told, [minute.mean_w for minute in told])


def held_last(series: Series, told: Sequence[Minute]) -> None:
    """Live: a home draws what the last sample of its last minute said."""
    _held(series, told, [minute.last_w for minute in told])


def with_steps(series: Series, told: Sequence[Minute], steps: Iterable[tuple[int, float]]) -> int:
    """Live: as `held_last`, and a step above `STEP_W` is told when it comes; how many were."""
    moments = [(minute.end_s + LATE_S, minute.last_w) for minute in told]
    extra, before_w = [], None
    for at_s, power_w in steps:
        if before_w is not None and abs(power_w - before_w) >= STEP_W:
            extra.append((at_s + LATE_S, power_w))
        before_w = power_w
    for (at_s, power_w), (next_s, _) in pairwise([*sorted([*moments, *extra]), (END_S, 0.0)]):
        series.add(at_s, next_s, power_w)
    return len(extra)


def settled_mean(series: Series, told: Sequence[Minute]) -> None:
    """Settled: in its minute a home drew the minute's mean."""
    for minute in told:
        series.add(minute.start_s, minute.end_s, minute.mean_w)


def settled_step(series: Series, told: Sequence[Minute]) -> None:
    """Settled: in its minute a home went from the last sample before to the last sample in it, by one step at
    the moment that makes the minute's mean; where no such moment is, it drew the mean."""
    for before, minute in pairwise(told):
        first_w, last_w = before.last_w, minute.last_w
        length_s = minute.end_s - minute.start_s
        apart_w = first_w - last_w
        share = (minute.mean_w - last_w) / apart_w if abs(apart_w) > 1.0 else -1.0
        if not 0.0 <= share <= 1.0:
            series.add(minute.start_s, minute.end_s, minute.mean_w)
            continue
        step_s = round(minute.start_s + share * length_s)
        rest_s = minute.end_s - step_s
        series.add(minute.start_s, step_s, first_w)
        if rest_s:
            kept_w = (minute.mean_w * length_s - first_w * (step_s - minute.start_s)) / rest_s
            series.add(step_s, minute.end_s, kept_w)


class Ratio:
    """Live: the homes that reported in the last `FRESH_S` stand for all, each measured against what it drew
    `BEFORE` readings ago: the portfolio then, times what became of the fresh ones."""

    def __init__(self) -> None:
        self._now, self._then, self._all = Series(), Series(), Series()

    def take(self, told: Sequence[Minute]) -> None:
        """One more home."""
        for old, new, after in zip(told, told[BEFORE:], [*told[BEFORE + 1 :], None], strict=False):
            at_s = new.end_s + LATE_S
            self._now.add(at_s, at_s + FRESH_S, new.last_w)
            self._then.add(at_s, at_s + FRESH_S, old.last_w)
            self._all.add(at_s, after.end_s + LATE_S if after else END_S, old.last_w)

    def values(self) -> list[float]:
        """The estimate at each second."""
        parts = zip(self._now.values(), self._then.values(), self._all.values(), strict=True)
        return [all_w * now_w / then_w if then_w > 1.0 else 0.0 for now_w, then_w, all_w in parts]


def _held(series: Series, told: Sequence[Minute], powers_w: Sequence[float]) -> None:
    ends = [*(minute.end_s + LATE_S for minute in told[1:]), END_S]
    for minute, power_w, end_s in zip(told, powers_w, ends, strict=True):
        series.add(minute.end_s + LATE_S, end_s, power_w)
