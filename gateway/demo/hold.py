"""The limits in force, by what each device was told and heard, and when it lets go of them by itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from gateway.demo.asked import CHARGER, charge_limit, switch
from gateway.demo.log import Observation
from gateway.demo.setting import CAR_W, EV, FREEZER, HEAT, SURPLUS_REGISTER, WATCHDOG_S

_CONTROL_REGISTER = 70
_CAR_W_PER_A = 230.0
_TRANSACTION = "TxProfile"


@dataclass(frozen=True, slots=True)
class Hold:
    """An asset may draw at most `at_most_w`, until it is told otherwise or by itself at `until_utc_s`."""

    asset: str
    begin_utc_s: float
    at_most_w: float
    until_utc_s: float


class Holds:
    """What is in force now; it takes the observations in their order."""

    def __init__(self) -> None:
        self.now: dict[str, Hold] = {}
        self._surplus: tuple[float, float] | None = None  # register 71: watts, until
        self._is_controlled = False  # register 70
        self._profile: object = None  # the number of the profile that limits the car

    def take(self, one: Observation) -> None:
        """See an observation."""
        for asset in [asset for asset, hold in self.now.items() if hold.until_utc_s <= one.at_utc_s]:
            del self.now[asset]
        if one.kind == "written":
            self._take_write(one)
        elif one.kind == "asked":
            self._take_call(one)

    def _take_write(self, one: Observation) -> None:
        register, value = one.facts["register"], one.facts["value"]
        if register == SURPLUS_REGISTER:
            self._surplus = float(value), one.at_utc_s + WATCHDOG_S
        elif register == _CONTROL_REGISTER:
            self._is_controlled = bool(value)
        if self._is_controlled and self._surplus and self._surplus[1] > one.at_utc_s:
            self._hold(HEAT, one.at_utc_s, *self._surplus)
        else:
            self.now.pop(HEAT, None)

    def _take_call(self, one: Observation) -> None:
        limit, relay = charge_limit(one), switch(one)
        if limit is not None:
            self._profile = one.facts["params"]["csChargingProfiles"].get("chargingProfileId")
        if limit is not None and limit.limit_a * _CAR_W_PER_A < CAR_W:
            self._hold(EV, one.at_utc_s, limit.limit_a * _CAR_W_PER_A, limit.ends_utc_s)
        elif limit is not None or _clears(one, self._profile):
            self.now.pop(EV, None)
        elif relay is not None and not relay.on:
            self._hold(FREEZER, one.at_utc_s, 0.0, one.at_utc_s + relay.toggle_after_s)
        elif relay is not None:
            self.now.pop(FREEZER, None)

    def _hold(self, asset: str, at_utc_s: float, at_most_w: float, until_utc_s: float) -> None:
        """The same limit told again goes on; another one begins."""
        before = self.now.get(asset)
        if before and before.at_most_w == at_most_w:
            self.now[asset] = replace(before, until_utc_s=until_utc_s)
        else:
            self.now[asset] = Hold(asset, at_utc_s, at_most_w, until_utc_s)


def holds(observations: Iterable[Observation]) -> list[Hold]:
    """Every limit of a run; `until_utc_s` is when it really ended, or was to end."""
    seen, last_utc_s = Holds(), 0.0
    found: dict[tuple[str, float], Hold] = {}
    for one in observations:
        before = dict(seen.now)
        seen.take(one)
        last_utc_s = one.at_utc_s
        for asset, hold in before.items():
            after = seen.now.get(asset)
            if after is None or after.begin_utc_s != hold.begin_utc_s:
                found[asset, hold.begin_utc_s] = _ended(hold, last_utc_s)
    still = {(hold.asset, hold.begin_utc_s): _ended(hold, last_utc_s) for hold in seen.now.values()}
    return [*(found | still).values()]


def _ended(hold: Hold, at_utc_s: float) -> Hold:
    return replace(hold, until_utc_s=min(hold.until_utc_s, at_utc_s))


def _clears(one: Observation, profile: object) -> bool:
    """Whether it takes that profile of the running charge away: by its number, its purpose, or with all."""
    if (one.facts["device"], one.facts["what"]) != (CHARGER, "ClearChargingProfile"):
        return False
    wanted = one.facts["params"]
    if "id" in wanted:
        return bool(wanted["id"] == profile)
    return bool(wanted.get("chargingProfilePurpose", _TRANSACTION) == _TRANSACTION)
