"""What a session may draw when the gateway is gone: a default in the charger, laid only when it differs.

Chargers keep defaults in memory that wears, so what was accepted is remembered, and few are laid a day.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

from drivers.base import DeviceEvent, DevicePort, JsonValue, Refused
from drivers.ocpp.calls import Calls, is_accepted
from drivers.ocpp.connection import Lost, Negative, NoAnswer
from drivers.ocpp.profile import FAILSAFE_ID, Limit, Profile, Purpose
from drivers.ocpp.settings import Settings
from drivers.ocpp.station import Station

LEVEL = 0  # leases for sessions without an id lie above
DEFAULTS_A_DAY = 10
AGAIN_S = 4 * 3600.0  # what was not answered is laid again, and leaves most of the day's defaults
_DAY_S = 86_400
_FACT = "failsafe"
_FACT_DAY = "defaults"
_FACT_HIDDEN = "failsafeHidden"


class DefaultsBudget:
    """How many defaults may still be laid today (UTC). While the clock is not trusted no day passes."""

    def __init__(self, port: DevicePort) -> None:
        self._port = port

    @property
    def is_spent(self) -> bool:
        """Whether there were enough today."""
        return self._today()[1] >= DEFAULTS_A_DAY

    async def take(self) -> None:
        """Note that one is laid.

        Raises:
            Refused: there were enough today.
        """
        day, count = self._today()
        if count >= DEFAULTS_A_DAY:
            raise Refused(f"{count} default limits were laid today; the charger's memory allows no more")
        await self._port.facts.put(_FACT_DAY, [day, count + 1])

    def _today(self) -> tuple[int, int]:
        match self._port.facts.get(_FACT_DAY):
            case [int(day), int(count)]:
                utc_s = self._port.utc()
                today = day if utc_s is None else int(utc_s // _DAY_S)
                return today, count if today == day else 0
            case _:
                return int((self._port.utc() or 0.0) // _DAY_S), 0


class Failsafe:
    """The default of one charger."""

    def __init__(self, settings: Settings, port: DevicePort, station: Station, calls: Calls) -> None:
        self._settings = settings
        self._port = port
        self._station = station
        self._calls = calls
        self._budget = DefaultsBudget(port)
        self._unanswered_s: float | None = None  # when it was last tried, if that was not answered

    def due_s(self, taken_s: float) -> float:
        """Until one that was not answered is laid again (s); at once when limits are taken again.

        `taken_s`: when one was.
        """
        if self._unanswered_s is None:
            return math.inf
        again_s = self._unanswered_s + AGAIN_S - self._port.monotonic()
        return 0.0 if taken_s > self._unanswered_s else max(0.0, again_s)

    async def settle(self, in_force: Limit | None, look: Callable[[], Awaitable[Limit | None]]) -> None:
        """Lay it unless the charger has it. `in_force`: what it says holds where no lease lies over it;
        `look` asks it again."""
        was_unanswered, self._unanswered_s = self._unanswered_s is not None, None
        wanted = self._settings.failsafe
        note: JsonValue = [self._station.notes.identity, wanted.a10, self._settings.connector]
        is_least = wanted.a10 < self._settings.wiring.most.a10
        has_it = self._port.facts.get(_FACT) == note
        is_lost = is_least and in_force is not None and in_force.a10 > wanted.a10
        if has_it and is_lost and self._port.facts.get(_FACT_HIDDEN) == note:
            return  # it was seen not to be shown though it had just been laid
        if self._station.notes.is_mute(_FACT) or (has_it and not is_lost):
            return
        if (has_it or was_unanswered) and self._budget.is_spent:
            self._unanswered_s = self._port.monotonic() if was_unanswered else None
            return
        try:
            laid = await self._lay(wanted)
        except Lost:
            return  # the next connection tries again
        except NoAnswer:
            self._unanswered_s = self._port.monotonic()
            self._tell_none("the charger does not answer; it is tried again", is_least)
            return
        except Refused as error:
            laid, why = False, str(error)
        else:
            why = "the charger takes none"
        await self._port.facts.put(_FACT, note if laid else None)
        if laid and is_lost:
            shown = await look()
            is_hidden = shown is not None and shown.a10 > wanted.a10
            await self._port.facts.put(_FACT_HIDDEN, note if is_hidden else None)
        if not laid:
            self._station.notes.cannot(_FACT)
            self._tell_none(why, is_least)

    def _tell_none(self, why: str, is_least: bool) -> None:
        text = f"no fail-safe is laid: {why}; without us it charges as its own settings say"
        self._station.notes.tell_once("noFailsafe", text, "alarm" if is_least else "warning")

    async def _lay(self, limit: Limit) -> bool:
        now_s = self._station.time.utc_s()
        version = self._calls.version
        near, far = version.default_targets(self._settings.connector)
        first, other = self._station.notes.keys.units
        for target, unit, since_s in (
            (near, first, None),
            (near, other, None),
            (near, first, None if now_s is None else now_s - 60),
            (far, first, None),
        ):
            profile = Profile(FAILSAFE_ID, Purpose.ANY_SESSION, LEVEL, unit, limit, since_s=since_s)
            await self._budget.take()
            try:
                if is_accepted(await self._calls.ask(version.set_profile(target, profile))):
                    return True
            except Negative as error:
                self._port.report(DeviceEvent("failsafe", f"the fail-safe was not taken: {error}", "info"))
        return False
