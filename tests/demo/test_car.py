"""The simulated car against the arithmetic of batteries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.demo.devices.car import MOST_A, SPEED_UP, Car

OFFERED_A = st.floats(0.0, 80.0)


def _settled(car: Car, offered_a: float) -> float:
    """What it draws (A) once it followed the offer."""
    for _ in range(8):
        car.tick(1.0, offered_a)
    return car.current_a


@given(soc=st.floats(0.0, 1.0), offers_a=st.lists(OFFERED_A, max_size=20), plugged=st.booleans())
def test_it_never_takes_more_than_it_is_offered_or_can(
    soc: float, offers_a: list[float], plugged: bool
) -> None:
    car = Car(soc, plugged)
    for offered_a in offers_a:
        car.tick(1.0, offered_a)
        assert car.current_a <= min(offered_a, MOST_A)
        assert car.current_a == 0.0 or (plugged and car.current_a >= 6.0)
        assert car.soc <= 1.0


def test_below_six_ampere_it_takes_nothing() -> None:
    assert _settled(Car(), 5.9) == 0.0
    assert _settled(Car(), 6.0) == 6.0


def test_its_power_is_that_of_its_phases() -> None:
    one, three = Car(), Car(phases=3)
    assert (_settled(one, 10.0), one.power_w) == (10.0, 2300.0)
    assert (_settled(three, 10.0), three.power_w) == (10.0, 6900.0)


def test_it_rises_by_and_by_and_falls_at_once() -> None:
    car = Car()
    drawn_a = []
    for offered_a in (32.0, 32.0, 32.0, 32.0, 8.0, 0.0):
        car.tick(1.0, offered_a)
        drawn_a.append(car.current_a)
    assert drawn_a == [8.0, 16.0, 24.0, 32.0, 8.0, 0.0]


def test_an_hour_at_full_power_fills_what_the_metered_energy_brings_and_only_faster() -> None:
    car, metered_ws = Car(soc=0.2), 0.0
    for _ in range(100):
        car.tick(1.0, 32.0)
        metered_ws += car.power_w
    brought_kwh = 0.9 * metered_ws / 3.6e6 * SPEED_UP
    assert car.soc - 0.2 == pytest.approx(brought_kwh / 60.0)


@pytest.mark.parametrize(("soc", "takes_a"), [(0.5, 32.0), (0.8, 32.0), (0.9, 19.0), (0.99, 7.3), (1.0, 0.0)])
def test_it_tapers_above_eighty_percent(soc: float, takes_a: float) -> None:
    car = Car(soc)
    car.current_a = 32.0
    car.tick(1e-6, 32.0)
    assert car.current_a == pytest.approx(takes_a)


def test_unplugged_it_takes_nothing_and_keeps_its_charge() -> None:
    car = Car(soc=0.6)
    _settled(car, 16.0)
    car.plugged, soc = False, car.soc
    assert _settled(car, 16.0) == 0.0
    assert car.soc == soc
