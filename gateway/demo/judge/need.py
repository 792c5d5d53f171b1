"""What the car still needs by the household's hour, from power seen outside and the household's word.

The judge's own arithmetic: state of charge as typed, energy since then as the charger's physics shows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from gateway.demo.evidence import Evidence, Second
from gateway.demo.setting import CAR_W, EV, START_SHARE

_WS_PER_KWH = 3.6e6
_MINUTES_A_DAY = 1440


@dataclass(frozen=True, slots=True)
class Need:
    """What is needed at `since_utc_s`, and by when; `at` is that hour on the household's clock."""

    since_utc_s: float
    ready_utc_s: float
    at: str
    energy_ws: float

    def left_ws(self, seconds: list[Second]) -> list[tuple[Second, float]]:
        """(second, what is still needed then) of each second from `since_utc_s` on."""
        left_ws, found = self.energy_ws, []
        for one, following in pairwise([s for s in seconds if s.at_utc_s >= self.since_utc_s]):
            found.append((one, left_ws))
            left_ws -= one.charger_w * (following.at_utc_s - one.at_utc_s)
        return found

    def power_w(self, left_ws: float, utc_s: float) -> float:
        """What it takes from a moment on to be ready in time."""
        return left_ws / max(1.0, self.ready_utc_s - utc_s)

    def spare_s(self, left_ws: float, utc_s: float) -> float:
        """How long it could still wait at a moment, at the charger's power with its reserve."""
        return self.ready_utc_s - utc_s - left_ws / (START_SHARE * CAR_W)


def need(seen: Evidence, scene: int) -> Need | None:
    """The need that follows from the configuration and from what the household typed in a scene."""
    typed, configured = seen.command(scene), seen.configuration()
    charge = configured.get("asset", {}).get(EV, {}).get("charge", {})
    if typed is None or "soc" not in typed.words or not charge:
        return None
    soc = float(typed.words[typed.words.index("soc") + 1]) / 100
    missing_kwh = max(0.0, charge["target_soc"] - soc) * charge["battery_kwh"]
    return Need(
        typed.at_utc_s,
        _next(charge["ready_by"], typed.at_utc_s, configured),
        charge["ready_by"],
        missing_kwh / charge["efficiency"] * _WS_PER_KWH,
    )


def _next(hour: str, utc_s: float, configured: dict[str, Any]) -> float:
    """The next moment at which the household's clock shows that hour."""
    zone = ZoneInfo(configured["site"]["zone"])
    first = utc_s // 60 * 60 + 60
    return next(
        first + 60 * step
        for step in range(_MINUTES_A_DAY + 1)
        if f"{datetime.fromtimestamp(first + 60 * step, zone):%H:%M}" == hour
    )
