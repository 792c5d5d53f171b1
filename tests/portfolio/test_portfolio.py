"""The tool measures what it says: known answers, and portfolios small enough for a test."""

from __future__ import annotations

from statistics import fmean

import pytest

from tests.portfolio import estimator, picture
from tests.portfolio.estimator import Series
from tests.portfolio.home import END_S, RAMP_S, Home
from tests.portfolio.reading import LATE_S, minutes
from tests.portfolio.study import NAMES, RAMP, STEADY, error, lag_s, offset, study

STEP = Home(((0, 7360), (RAMP_S + 25, 1380)), 1.0, 0.0)


def values(take: object, home: Home, offset_s: int) -> list[float]:
    series = Series()
    take(series, list(minutes(home, offset_s)))  # type: ignore[operator]
    return series.values()


def test_the_minutes_are_the_products_own_and_exact() -> None:
    told = list(minutes(STEP, 37))
    assert [minute.end_s for minute in told] == list(range(told[0].end_s, told[-1].end_s + 1, 60))
    (ramp,) = [minute for minute in told if minute.start_s <= RAMP_S + 25 < minute.end_s]
    share = (ramp.end_s - RAMP_S - 25) / 60
    assert ramp.mean_w == pytest.approx(7360 * (1 - share) + 1380 * share, abs=1)
    assert (ramp.last_w, ramp.end_s - ramp.last_s) == (1380, 1)


@pytest.mark.parametrize("offset_s", [0, 1, 37, 59])
def test_a_step_is_late_by_what_the_page_says_and_settled_to_the_second(offset_s: int) -> None:
    told_s = next(m.end_s for m in minutes(STEP, offset_s) if m.end_s > RAMP_S + 25) + LATE_S
    last = values(estimator.held_last, STEP, offset_s)
    assert (last[told_s - 1], last[told_s]) == (7360, 1380)
    mean = values(estimator.held_mean, STEP, offset_s)
    assert (mean[told_s - 1], mean[told_s + 60]) == (7360, 1380)
    settled = values(estimator.settled_step, STEP, offset_s)
    assert [settled[RAMP_S + 25 + by] for by in (-2, 1)] == pytest.approx([7360, 1380], abs=1)


def test_a_constant_load_without_errors_of_meters_is_told_exactly_by_all() -> None:
    one = study(20, 3, ramps=False, meter_sd=0.0)
    quiet = Home(((0, 500),), 1.0, 0.5)
    for take in (estimator.held_mean, estimator.held_last, estimator.settled_mean, estimator.settled_step):
        assert values(take, quiet, 37)[200 : END_S - 100] == pytest.approx([500] * (END_S - 300))
    settled = one.estimates["settled mean"][600:4800]
    assert fmean(settled) == pytest.approx(fmean(one.truth[600:4800]), rel=0.005), "energy is kept"


def test_offsets_fill_every_second_or_all_but_the_first_or_one() -> None:
    draws = [n / 6000 for n in range(6000)]
    assert {offset(draw, "0-59") for draw in draws} == set(range(60))
    assert {offset(draw, "1-59") for draw in draws} == set(range(1, 60))
    assert {offset(draw, "none") for draw in draws} == {0}


def test_a_portfolio_of_sixty_shows_what_the_page_tells() -> None:
    one = study(60, 5)
    found = {name: one.estimates[name] for name in NAMES}
    steady = {name: error(one.truth, values, STEADY) for name, values in found.items()}
    ramp = {name: error(one.truth, values, RAMP).rms for name, values in found.items()}
    lags_s = {name: lag_s(one.truth, values, 0.5) or 0 for name, values in found.items()}
    assert steady["settled step"].rms < steady["held last"].rms < steady["ratio"].rms
    assert ramp["settled step"] < 0.05 < ramp["settled mean"] < ramp["held last"] < ramp["held mean"]
    assert 15 <= lags_s["held last"] <= 50 <= lags_s["held mean"] <= 80
    assert abs(lags_s["settled step"]) <= 2
    assert picture.ramp(one, ("held mean",), "a ramp").count("<path") > 8
