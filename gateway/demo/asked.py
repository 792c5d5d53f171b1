"""What the charger and the plug were asked, as the two commands that hold a load: a limit, a switch.

`asked` is the device's own note of a call it got: OCPP 1.6's action and payload, or the plug's RPC method and
parameters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.demo.log import Observation

CHARGER, PLUG = "charger", "plug"
_ENDS_ALIKE_S = 2.0  # the two ways to say an end are rounded apart


@dataclass(frozen=True, slots=True)
class ChargeLimit:
    """A TxProfile: a limit for the running transaction (OCPP 1.6, 7.8). Both ends in UTC; inf: not said."""

    at_utc_s: float
    limit_a: float
    valid_to_utc_s: float
    lasts_to_utc_s: float  # its schedule's start and duration

    @property
    def ends_utc_s(self) -> float:
        """When the charger lets go of it by itself."""
        return min(self.valid_to_utc_s, self.lasts_to_utc_s)

    @property
    def is_said_both_ways(self) -> bool:
        """Whether it ends by `validTo` and `duration` alike: chargers obey one or the other."""
        if math.inf in (self.valid_to_utc_s, self.lasts_to_utc_s):
            return False
        return abs(self.valid_to_utc_s - self.lasts_to_utc_s) <= _ENDS_ALIKE_S


@dataclass(frozen=True, slots=True)
class Switch:
    """A `Switch.Set`: `toggle_after_s` is when the plug turns back by itself; inf: it does not."""

    at_utc_s: float
    on: bool
    toggle_after_s: float


def charge_limit(one: Observation) -> ChargeLimit | None:
    """The limit this call set for the transaction; None for any other call."""
    if (one.facts["device"], one.facts["what"]) != (CHARGER, "SetChargingProfile"):
        return None
    profile = one.facts["params"].get("csChargingProfiles", {})
    if profile.get("chargingProfilePurpose") != "TxProfile":
        return None
    schedule = profile.get("chargingSchedule", {})
    began_utc_s = _moment(schedule.get("startSchedule"), one.at_utc_s)
    periods = schedule.get("chargingSchedulePeriod") or [{}]
    return ChargeLimit(
        one.at_utc_s,
        float(periods[0].get("limit", math.inf)),
        _moment(profile.get("validTo"), math.inf),
        began_utc_s + float(schedule.get("duration", math.inf)),
    )


def switch(one: Observation) -> Switch | None:
    """What this call told the plug's relay; None for any other call."""
    if (one.facts["device"], one.facts["what"]) != (PLUG, "Switch.Set"):
        return None
    params: dict[str, Any] = one.facts["params"]
    return Switch(one.at_utc_s, bool(params.get("on")), float(params.get("toggle_after", math.inf)))


def _moment(text: str | None, otherwise_utc_s: float) -> float:
    return otherwise_utc_s if text is None else datetime.fromisoformat(text).timestamp()
