"""From metered moments to points: what is plausible, and power from energy where a charger tells only that.

Pure: moments are handed in. Wrong units are found by what the charger cannot draw.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from drivers.base import Quality, Sample
from drivers.ocpp.meter import Metered

MARGIN = 1.3  # above this much of its rating a charger does not draw
IMPLAUSIBLE_MAX = 3  # in a row: then it is the unit, or our idea of the rating, that is wrong
KILO = 1000.0
IMPOSSIBLE_W = 100_000.0  # no home has this much: a wrong unit. Less may be a wrong idea of the rating
SPAN_S = (60.0, 300.0)  # over which energy becomes power
STEP_S = 1.0  # a shorter time between two readings tells of the register's steps only
RISES_W = 50.0  # a register that rises by more than this belies a power of 0


@dataclass
class _Scale:
    """How a kind of value is to be scaled, learnt when three in a row cannot be."""

    factor: float = 1.0
    implausible: int = 0

    def fits(self, value: float, most: float) -> bool:
        """Whether the value, scaled, can be; three that cannot be are taken as said."""
        if abs(value) * self.factor <= most:
            self.implausible = 0
            return True
        self.implausible += 1
        if self.implausible < IMPLAUSIBLE_MAX:
            return False
        if abs(value) * self.factor >= IMPOSSIBLE_W and abs(value) * self.factor / KILO <= most:
            self.factor /= KILO
            self.implausible = 0
        return True


@dataclass
class Gauge:
    """One charger's meter. `rating_w` is the most it can draw; `complaints` are told to a person once."""

    rating_w: float
    complaints: list[str] = field(default_factory=list)
    _power: _Scale = field(default_factory=_Scale)
    _energy: _Scale = field(default_factory=_Scale)
    _register: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=64))
    _rise: tuple[float, float] | None = None
    _told: set[str] = field(default_factory=set)

    def read(self, moment: Metered, at_s: float) -> dict[str, Sample]:
        """The points `power_w` and `import_ws` of a moment, as far as they can be told."""
        points: dict[str, Sample] = {}
        register_ws = self._plausible_register(moment.register_ws, at_s)
        if register_ws is not None:
            points["import_ws"] = Sample(round(register_ws))
            self._note(register_ws, at_s)
        if (power := self._sample(moment, at_s)) is not None:
            points["power_w"] = power
        return points

    def forget(self) -> None:
        """A session began or ended: its energy is no measure of the power before."""
        self._register.clear()

    def _sample(self, moment: Metered, at_s: float) -> Sample | None:
        mean_w = self._mean_w(at_s)
        if moment.power is None:
            return None if mean_w is None else Sample(round(mean_w), Quality.UNCERTAIN, ("fromEnergy",))
        power_w = moment.power.power_w
        if not self._power.fits(power_w, MARGIN * self.rating_w):
            return None
        power_w *= self._power.factor
        if self._power.factor < 1:
            self._complain("the charger's power is a thousand times too high; it is read as kW told as W")
        if power_w > MARGIN * self.rating_w:
            self._complain(f"the charger draws {power_w:.0f} W, more than phases, volts and max_a allow")
            return Sample(round(power_w), Quality.UNCERTAIN, ("aboveRating",))
        if power_w <= 0 and mean_w is not None and mean_w > RISES_W:
            self._complain("the charger tells 0 W while its register rises; the register counts")
            return Sample(round(mean_w), Quality.UNCERTAIN, ("fromEnergy",))
        if moment.power.made_of != "meter":
            return Sample(round(power_w), Quality.UNCERTAIN, ("fromCurrent",))
        return Sample(round(power_w))

    def _plausible_register(self, register_ws: float | None, at_s: float) -> float | None:
        if register_ws is None:
            return None
        before = self._rise
        if before is None or register_ws != before[1]:
            self._rise = at_s, register_ws
        if before and at_s - before[0] > STEP_S and register_ws > before[1]:
            # Between two rises, not two readings: a register of whole kWh stands still and jumps.
            rate_w = (register_ws - before[1]) / (at_s - before[0])
            was = self._energy.factor
            if not self._energy.fits(rate_w, MARGIN * self.rating_w):
                return None
            if self._energy.factor != was:
                self._register.clear()
                self._complain(
                    "the charger's register runs a thousand times too fast; read as Wh told as kWh"
                )
        return register_ws * self._energy.factor

    def _note(self, register_ws: float, at_s: float) -> None:
        last = self._register[-1] if self._register else None
        if last and (at_s < last[0] or register_ws < last[1] or at_s - last[0] > SPAN_S[1]):
            self._register.clear()
        self._register.append((at_s, register_ws))

    def _mean_w(self, at_s: float) -> float | None:
        """The mean power over the last minute or more, if the register was heard just now."""
        if not self._register or self._register[-1][0] < at_s:
            return None
        last_ws = self._register[-1][1]
        spans = [(at_s - then_s, last_ws - ws) for then_s, ws in self._register if at_s - then_s >= SPAN_S[0]]
        return spans[-1][1] / spans[-1][0] if spans and spans[-1][0] <= SPAN_S[1] else None

    def _complain(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self.complaints.append(text)
