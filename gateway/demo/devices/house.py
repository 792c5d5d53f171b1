"""A house and the heat pump in it, as physics: one lump of heat, one loss, the sun, one thermostat.

Heat and the sun alone run `SPEED_UP` times faster than life, so that hours of cooling fit in a minute of
watching; electric power, timers and meters run in real seconds. The run begins before a clear winter's dawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

SPEED_UP = 200.0

LOSS_W_PER_K = 180.0  # a detached house of the 1990s, about 120 m2
STORE_WS_PER_K = 8.0 * 3.6e6  # 8 kWh for each degree: screed, brick and air
COP = 3.5  # air to water on a mild winter's day, 35 C flow
SUN_W = 3500.0  # 7 m2 of glass to the south at noon

NOMINAL_W = 2400.0
LEAST_W = 600.0  # the inverter's lowest speed; below it the compressor stands
ON_BELOW_C = 22.0  # the pump's own thermostat
OFF_ABOVE_C = 23.0


@dataclass(frozen=True, slots=True)
class House:
    """The state of the house: temperatures in degrees Celsius, electric power in watts, hour of its day."""

    room_c: float = 20.0
    hour: float = 5.0
    calls: bool = True  # the thermostat calls for heat
    power_w: float = 0.0

    def after(self, seconds: float, allowed_w: float) -> House:
        """The house `seconds` later, its pump allowed to draw at most `allowed_w`."""
        calls = self.room_c < (OFF_ABOVE_C if self.calls else ON_BELOW_C)
        power_w = drawn_w(calls, allowed_w)
        stored_ws = (COP * power_w + sun_w(self.hour) - self.loss_w) * seconds * SPEED_UP
        return replace(
            self,
            room_c=self.room_c + stored_ws / STORE_WS_PER_K,
            hour=(self.hour + seconds * SPEED_UP / 3600) % 24,
            calls=calls,
            power_w=power_w,
        )

    @property
    def outdoor_c(self) -> float:
        """Between -6 at three in the night and 5 at three in the afternoon."""
        return -0.5 + 5.5 * math.cos(2 * math.pi * (self.hour - 15.0) / 24)

    @property
    def loss_w(self) -> float:
        """Heat lost to the outside."""
        return LOSS_W_PER_K * (self.room_c - self.outdoor_c)


def drawn_w(calls: bool, allowed_w: float) -> float:
    """What the pump draws: all it may up to its nominal power, nothing below its lowest speed."""
    power_w = min(NOMINAL_W, allowed_w)
    return power_w if calls and power_w >= LEAST_W else 0.0


def sun_w(hour: float) -> float:
    """Heat of the sun through the windows, between eight and half past four."""
    return SUN_W * max(0.0, math.sin(math.pi * (hour - 8.0) / 8.5)) if 8.0 <= hour <= 16.5 else 0.0
