"""A chest freezer as physics: one lump of cold goods, one loss to the kitchen, a mechanical thermostat.

Cold and warmth alone run `SPEED_UP` times faster than life, so that a pause can be seen in the goods;
electric power is real. The run begins with goods just put in, so that the compressor has work for a while.
"""

from __future__ import annotations

SPEED_UP = 30.0

KITCHEN_C = 21.0
LOSS_W_PER_K = 1.5  # about 200 litres, energy class E
STORE_WS_PER_K = 60_000.0  # 30 kg of frozen goods
COP = 1.5
COMPRESSOR_W = 110.0
STANDBY_W = 2.0  # a light on the lid and the display
ON_ABOVE_C = -17.0
OFF_BELOW_C = -20.0


class Freezer:
    """The freezer. `inside_c` is what a thermometer between the goods shows."""

    def __init__(self, inside_c: float = -9.5) -> None:
        self.inside_c = inside_c
        self.power_w = 0.0
        self._calls = True  # the thermostat calls for cold

    def tick(self, seconds: float, has_mains: bool) -> None:
        """Let `seconds` pass, with or without mains at its plug."""
        self._calls = self.inside_c > (OFF_BELOW_C if self._calls else ON_ABOVE_C)
        cooling_w = COMPRESSOR_W if has_mains and self._calls else 0.0
        self.power_w = cooling_w + STANDBY_W if has_mains else 0.0
        lost_ws = (LOSS_W_PER_K * (KITCHEN_C - self.inside_c) - COP * cooling_w) * seconds * SPEED_UP
        self.inside_c += lost_ws / STORE_WS_PER_K
