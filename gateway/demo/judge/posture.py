"""How a device stands at one second of the log: held as asked, or its owner's. For judge and director."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.demo.evidence import Second
from gateway.demo.setting import CAR_LEAST_W, CAR_W, PUMP_W

_STANDS_W = 100.0  # the contract's tolerance of "followed" where 0 kW is asked
_FREE_SHARE = 0.8


def pump_is_held(second: Second) -> bool:
    """Whether the pump stands still."""
    return second.pump_w <= _STANDS_W


def pump_is_free(second: Second) -> bool:
    """Whether the pump draws what its own thermostat wants."""
    return second.pump_w >= _FREE_SHARE * PUMP_W


def car_is_free(second: Second) -> bool:
    """Whether the car charges as fast as it can."""
    return second.charger_w >= _FREE_SHARE * CAR_W


def car_charges(second: Second) -> bool:
    """Whether the car charges at all."""
    return second.charger_w >= 0.95 * CAR_LEAST_W


def car_within(cap_w: float) -> Callable[[Second], bool]:
    """Whether the car draws no more than that."""
    return lambda second: second.charger_w <= cap_w


def freezer_is_off(second: Second) -> bool:
    """Whether the freezer's plug is off."""
    return not second.plug_on


def freezer_is_on(second: Second) -> bool:
    """Whether the freezer has mains."""
    return second.plug_on


def always(seconds: Sequence[Second], holds: Callable[[Second], bool]) -> bool:
    """Whether it held at every second, and there were any."""
    return bool(seconds) and all(map(holds, seconds))
