"""The simulated house against the arithmetic of heat."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.demo.devices.house import NOMINAL_W, House, drawn_w, sun_w

ROOMS_C = st.floats(10.0, 30.0)
ALLOWED_W = st.floats(0.0, 10_000.0)


@given(room_c=ROOMS_C, hour=st.floats(0.0, 23.99), allowed_w=ALLOWED_W, calls=st.booleans())
def test_no_heat_comes_from_nowhere(room_c: float, hour: float, allowed_w: float, calls: bool) -> None:
    """What the store gained is what the pump and the sun brought less what went outside."""
    house = House(room_c, hour, calls)
    after = house.after(1.0, allowed_w)
    gained_kwh = 8.0 * (after.room_c - room_c)
    outside_kw = 0.18 * (room_c - house.outdoor_c)
    brought_kwh = (3.5 * after.power_w / 1000 + sun_w(hour) / 1000 - outside_kw) * 200 / 3600
    assert gained_kwh == pytest.approx(brought_kwh, abs=1e-9)


@given(calls=st.booleans(), allowed_w=ALLOWED_W)
def test_the_pump_never_draws_more_than_it_may_or_can(calls: bool, allowed_w: float) -> None:
    assert 0.0 <= drawn_w(calls, allowed_w) <= min(allowed_w, NOMINAL_W)


def test_below_its_lowest_speed_the_compressor_stands() -> None:
    assert drawn_w(True, 599.0) == 0.0
    assert drawn_w(True, 600.0) == 600.0


def test_a_blocked_house_falls_from_20_to_19_degrees_in_half_a_minute() -> None:
    house, seconds = House(), 0
    while house.room_c > 19.0:
        house, seconds = house.after(1.0, 0.0), seconds + 1
    assert 30 <= seconds <= 42


def test_the_thermostat_keeps_a_free_house_in_its_band() -> None:
    house = House(room_c=22.5)
    rooms_c = [(house := house.after(1.0, 1e9)).room_c for _ in range(1000)]
    assert min(rooms_c) > 21.5
    assert max(rooms_c) < 23.6  # the sun may carry it past the thermostat


def test_the_sun_shines_by_day_only() -> None:
    assert sun_w(7.9) == sun_w(16.6) == sun_w(0.0) == 0.0
    assert sun_w(12.25) == pytest.approx(3500.0)
