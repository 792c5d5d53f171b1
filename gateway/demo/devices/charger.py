"""A wallbox of one connector, as a box on the wall: the current it offers, the meter in it, the session.

What limits the current are the profiles it holds and its own rating; with the gateway gone they go on as
they are and end when they say. How it talks is `charge_point.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from gateway.demo.devices.car import LEAST_A, VOLTS, Car
from gateway.demo.devices.charge_profile import Profiles

CONNECTOR = 1
MOST_A = 32.0
STEP_A = 0.1
_REGISTER_WH = 1_274_318.0  # what it delivered before the run


class Fault(Enum):
    """What may be broken in the charger, for a run that must be judged a failure."""

    DEAF = auto()  # takes profiles and does not follow them
    ETERNAL = auto()  # its profiles never end by themselves
    WEAK = auto()  # never offers more than the least a car can take


@dataclass(eq=False, slots=True)
class Session:
    """A transaction. `id` is the central system's, None until it gave one."""

    began_utc_s: float
    id_tag: str
    id: int | None = None


class Charger:
    """The box. `utc` is its own clock, in UTC seconds as far as it knows."""

    def __init__(self, car: Car, utc: Callable[[], float]) -> None:
        self.car = car
        self.fault: Fault | None = None
        self.profiles = Profiles()
        self.session: Session | None = None
        self.offered_a = 0.0
        self._utc = utc
        self._metered_wh = _REGISTER_WH
        self._had_session = False

    @property
    def power_w(self) -> float:
        """What the car draws through it."""
        return self.car.power_w

    @property
    def register_wh(self) -> int:
        """The meter's register; it never rounds up."""
        return math.floor(self._metered_wh)

    @property
    def status(self) -> str:
        """The connector's, as 1.6 names it (7.7)."""
        if not self.car.plugged:
            return "Available"
        if self.session is None:
            return "Finishing" if self._had_session else "Preparing"
        if not self.offered_a:
            return "SuspendedEVSE"
        return "Charging" if self.power_w else "SuspendedEV"

    def tick(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self.profiles.expire = self.fault is not Fault.ETERNAL
        self.offered_a = self._offers_a()
        self.car.tick(seconds, self.offered_a)
        self._metered_wh += self.power_w * seconds / 3600
        self._had_session = self._had_session and self.car.plugged

    def begin(self, id_tag: str) -> Session:
        """Close the contactor for a session."""
        self.session = Session(self._utc(), id_tag)
        self._had_session = True
        return self.session

    def end(self) -> None:
        """Open it."""
        self.session = None
        self.offered_a = 0.0
        self.profiles.end_transaction()

    def _offers_a(self) -> float:
        if self.session is None or not self.car.plugged:
            return 0.0
        limit_a = MOST_A
        if self.fault is not Fault.DEAF:
            limit_a = min(limit_a, self.profiles.limit_a(self._utc(), self.session.began_utc_s))
        if self.fault is Fault.WEAK:
            limit_a = min(limit_a, LEAST_A)
        return math.floor(limit_a / STEP_A + 1e-6) * STEP_A if limit_a >= LEAST_A else 0.0

    def measures(self) -> dict[str, tuple[str, str]]:
        """(value, unit) of each quantity its meter gives (7.31)."""
        return {
            "Energy.Active.Import.Register": (str(self.register_wh), "Wh"),
            "Power.Active.Import": (f"{self.power_w:.1f}", "W"),
            "Current.Import": (f"{self.car.current_a:.1f}", "A"),
            "Voltage": (f"{VOLTS:.1f}", "V"),
            "Current.Offered": (f"{self.offered_a:.1f}", "A"),
        }
