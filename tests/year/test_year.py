"""Homes live through days of weather, trips, gaps, restarts and instructions: no limit is broken, neither by
the oracle at every decision nor by the physics of what the appliances did."""

from __future__ import annotations

import pytest

from tests.year.__main__ import DAYS, HOMES, lived, told
from tests.year.life import year


@pytest.mark.parametrize(("seed", "days"), [(0, 2), (3, 3)])
def test_no_limit_is_broken_in_a_few_days_of_a_home(seed: int, days: int) -> None:
    _, watch = year(seed, days)
    assert watch.found == []
    assert watch.decisions > 200 * days
    assert sum(watch.limits.values()) > 5  # limits did bite


@pytest.mark.long
def test_no_limit_is_broken_in_a_year_of_twenty_homes() -> None:
    watches = lived(HOMES, DAYS)
    print("\n".join(told(watches, DAYS)))
    assert [found for watch in watches for found in watch.found] == []
