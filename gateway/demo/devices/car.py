"""A battery car at an AC charger: it takes the current it is offered, up to its own limit, until it is full.

Only the battery runs `SPEED_UP` times faster than life, so that an evening's charge can be watched: current,
power and what a meter counts are real. To whoever sees power alone it is a battery of
`CAPACITY_KWH / SPEED_UP`.
"""

from __future__ import annotations

SPEED_UP = 20.0

CAPACITY_KWH = 60.0
EFFICIENCY = 0.9  # of the energy metered, what reaches the battery
LEAST_A = 6.0  # IEC 61851-1: no less can be offered, and a car takes nothing from less
MOST_A = 32.0
TAPERS_ABOVE = 0.8
RAMP_A_PER_S = 8.0
VOLTS = 230.0
_WS_PER_KWH = 3.6e6


class Car:
    """The car. `soc` is 0..1; `current_a` is what it draws on each phase."""

    def __init__(self, soc: float = 0.54, plugged: bool = True, phases: int = 1) -> None:
        self.soc = soc
        self.plugged = plugged
        self.phases = phases
        self.current_a = 0.0

    @property
    def power_w(self) -> float:
        """What it draws."""
        return self.current_a * VOLTS * self.phases

    def tick(self, seconds: float, offered_a: float) -> None:
        """Let `seconds` pass while the charger offers so much on each phase."""
        wanted_a = min(offered_a, self._accepts_a()) if self.plugged and offered_a >= LEAST_A else 0.0
        rising_a = max(LEAST_A, self.current_a + RAMP_A_PER_S * seconds)
        self.current_a = min(wanted_a, rising_a)
        gained_kwh = EFFICIENCY * self.power_w * seconds * SPEED_UP / _WS_PER_KWH
        self.soc = min(1.0, self.soc + gained_kwh / CAPACITY_KWH)

    def _accepts_a(self) -> float:
        """All it can up to 80 %, from there in a straight line down to the least, and nothing when full."""
        if self.soc >= 1.0:
            return 0.0
        beyond = max(0.0, self.soc - TAPERS_ABOVE) / (1.0 - TAPERS_ABOVE)
        return MOST_A - beyond * (MOST_A - LEAST_A)
