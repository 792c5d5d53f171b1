"""The simulated freezer against the arithmetic of cold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.demo.devices.freezer import SPEED_UP, STORE_WS_PER_K, Freezer


@given(inside_c=st.floats(-30.0, 20.0), has_mains=st.booleans())
def test_no_cold_comes_from_nowhere(inside_c: float, has_mains: bool) -> None:
    freezer = Freezer(inside_c)
    freezer.tick(1.0, has_mains)
    cooling_w = 1.5 * max(0.0, freezer.power_w - 2.0)
    warmed_c = (1.5 * (21.0 - inside_c) - cooling_w) * SPEED_UP / STORE_WS_PER_K
    assert freezer.inside_c - inside_c == pytest.approx(warmed_c, abs=1e-9)


def test_without_mains_it_draws_nothing_and_warms() -> None:
    freezer = Freezer(-18.0)
    freezer.tick(1.0, has_mains=False)
    assert freezer.power_w == 0.0
    assert freezer.inside_c > -18.0


def test_at_rest_it_draws_its_standby() -> None:
    freezer = Freezer(-21.0)
    freezer.tick(1.0, has_mains=True)
    assert freezer.power_w == 2.0


def test_the_thermostat_keeps_it_in_its_band() -> None:
    freezer = Freezer(-18.5)
    insides_c, powers_w = [], set()
    for _ in range(1000):
        freezer.tick(1.0, has_mains=True)
        insides_c.append(freezer.inside_c)
        powers_w.add(freezer.power_w)
    assert -20.2 < min(insides_c) < -19.9
    assert -17.1 < max(insides_c[100:]) < -16.9
    assert powers_w == {2.0, 112.0}


def test_filled_with_goods_it_has_work_for_minutes() -> None:
    """With the pauses of the scenes in between, to the end of the run."""
    freezer, seconds = Freezer(), 0
    while freezer.power_w > 50.0 or not seconds:
        freezer.tick(1.0, has_mains=True)
        seconds += 1
    assert 180 <= seconds <= 240


def test_half_a_minute_without_mains_warms_it_by_about_a_degree() -> None:
    """As a quarter of an hour does in life: the pause of a freezer is not felt by its goods."""
    freezer = Freezer(-18.0)
    for _ in range(30):
        freezer.tick(1.0, has_mains=False)
    assert 0.5 < freezer.inside_c + 18.0 < 1.2
