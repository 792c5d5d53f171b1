"""A heat pump with the register list of the Xtherma controller (software 2.40), in a simulated house.

Registers: the maker's "Modbus TCP Mapping" (holding registers, unit 1; 0-99 settings, 100-199 values).
Surplus control: while register 70 is 1 the pump draws at most the surplus in register 71, as long as 71
was written in the last 120 s; then it forgets the value and runs by its own thermostat again.
Of the settings it takes only those the simulation obeys; the others are refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum, auto

from gateway.demo.devices.house import COP, LEAST_W, NOMINAL_W, House
from gateway.demo.devices.modbus import ILLEGAL_ADDRESS, ILLEGAL_VALUE, Exceptional

UNIT = 1
ON, SURPLUS_CONTROL, SURPLUS_W = 0, 70, 71
WATCHDOG_S = 120.0
SOFTWARE_VERSION = 240
_STANDBY, _HEATING = 1, 2
_REGISTERS = range(200)
_HIGHEST = {ON: 1, SURPLUS_CONTROL: 1, SURPLUS_W: 0xFFFF}
_LEAST_HZ, _NOMINAL_HZ = 30.0, 90.0
_HOT_WATER_C = 48.2


class Fault(Enum):
    """What may be broken in the pump, for a run that must be judged a failure."""

    DEAF = auto()  # takes register 71 and does not follow it
    CREEPING = auto()  # let go, it goes on at its lowest speed
    SLEEPING_WATCHDOG = auto()  # never forgets the surplus by itself


class Pump:
    """The pump as its Modbus side shows it. `clock` is a monotonic clock in seconds.

    `on_write(register, value, peer)` hears of every write that was taken.
    """

    def __init__(
        self,
        house: House,
        clock: Callable[[], float],
        on_write: Callable[[int, int, str], None] = lambda *_: None,
    ) -> None:
        self.house = house
        self.fault: Fault | None = None
        self._clock = clock
        self._on_write = on_write
        self._settings = {ON: 1, SURPLUS_CONTROL: 0, SURPLUS_W: 0}
        self._surplus_at_s: float | None = None

    def tick(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self._mind_watchdog()
        self.house = self.house.after(seconds, self._allowed_w())

    @property
    def power_w(self) -> float:
        """Electric power, to the 10 W the controller shows."""
        return round(self.house.power_w, -1)

    def read(self, register: int) -> int:
        """One holding register; the ones the simulation has nothing for read 0."""
        if register not in _REGISTERS:
            raise Exceptional(ILLEGAL_ADDRESS)
        return (self._settings | self._values()).get(register, 0)

    def write(self, register: int, value: int, peer: str) -> None:
        """Take a setting."""
        if register not in _HIGHEST:
            raise Exceptional(ILLEGAL_ADDRESS)
        if value > _HIGHEST[register]:
            raise Exceptional(ILLEGAL_VALUE)
        self._settings[register] = value
        if register == SURPLUS_W:
            self._surplus_at_s = self._clock()
        self._on_write(register, value, peer)

    def _mind_watchdog(self) -> None:
        if self._surplus_at_s is None or self.fault is Fault.SLEEPING_WATCHDOG:
            return
        if self._clock() - self._surplus_at_s >= WATCHDOG_S:
            self._surplus_at_s = None
            self._settings[SURPLUS_W] = 0

    def _allowed_w(self) -> float:
        if not self._settings[ON]:
            return 0.0
        follows = self._settings[SURPLUS_CONTROL] and self._surplus_at_s is not None
        if follows and self.fault is not Fault.DEAF:
            return float(self._settings[SURPLUS_W])
        return LEAST_W if self.fault is Fault.CREEPING else math.inf

    def _values(self) -> dict[int, int]:
        power_w = self.house.power_w
        running = power_w > 0
        flow_c = 25.0 + 15.0 * power_w / NOMINAL_W
        return {
            100: SOFTWARE_VERSION,
            101: _HEATING if running else _STANDBY,
            102: 1,  # no error
            123: _tenths(_HOT_WATER_C),
            124: _tenths(self.house.room_c),
            125: _tenths(flow_c - (5.0 if running else 0.0)),
            126: _tenths(flow_c),
            136: round(_speed_hz(power_w)),
            140: _tenths(self.house.outdoor_c),
            170: round(COP * power_w / 10),
            171: round(power_w / 10),
            172: round(100 * COP) if running else 0,
            176: round(COP * power_w / 10),
            177: round(power_w / 10),
        }


def _speed_hz(power_w: float) -> float:
    if not power_w:
        return 0.0
    return _LEAST_HZ + (_NOMINAL_HZ - _LEAST_HZ) * (power_w - LEAST_W) / (NOMINAL_W - LEAST_W)


def _tenths(celsius: float) -> int:
    return round(celsius * 10) & 0xFFFF
