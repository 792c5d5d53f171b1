"""Leases in the charger: how one is said so that it is taken, how it is taken out, what is in force.

A lease is a profile for the running session that ends by itself; beneath it lies the fail-safe. A session
without an id gets it as a default for any session, one level above the fail-safe, which shows again when
the lease ends. What a charger takes only without an end is not laid.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from drivers.base import DeviceEvent, DevicePort, JsonValue, Refused
from drivers.ocpp.calls import Calls, is_accepted
from drivers.ocpp.connection import Lost, Negative, NoAnswer
from drivers.ocpp.failsafe import LEVEL, DefaultsBudget
from drivers.ocpp.field import word
from drivers.ocpp.learned import Session
from drivers.ocpp.profile import (
    DEFAULT_LEASE_ID,
    LEASE_ID,
    STATION_LEASE_ID,
    End,
    Lease,
    Limit,
    Profile,
    Purpose,
    Unit,
)
from drivers.ocpp.rpc import Payload
from drivers.ocpp.settings import Settings
from drivers.ocpp.station import TRIGGER, Station

SKEW_S = 60.0  # a start in the past survives a charger's clock that is a little behind
ABOVE_FAILSAFE = LEVEL + 1
COMPOSITE = "GetCompositeSchedule"
_FACT = "lease"  # the way that was taken last
_IDS = {
    Purpose.SESSION: LEASE_ID,
    Purpose.ANY_SESSION: DEFAULT_LEASE_ID,
    Purpose.STATION: STATION_LEASE_ID,
}
_ROUNDED = {Unit.AMPERE: 0.05, Unit.WATT: 5.0}

Aim = Callable[[], tuple[Session, Limit] | None]
"""What is wanted at the moment a message goes out; None: nothing any more."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to say a lease."""

    purpose: Purpose
    unit: Unit
    stack_level: int
    end: End = End.BOTH


class Leases:
    """The leases of one charger over one connection."""

    def __init__(self, settings: Settings, port: DevicePort, station: Station, calls: Calls) -> None:
        self._settings = settings
        self._port = port
        self._station = station
        self._calls = calls
        self._version = calls.version
        self._budget = DefaultsBudget(port)
        self.taken_s = -math.inf  # when a lease was last accepted

    @property
    def were_taken(self) -> bool:
        """Whether this charger accepted one, be it long ago."""
        return self._known() is not None

    def hang_up(self) -> None:
        """Have the charger call anew: some stop hearing us until then."""
        self._calls.hang_up("limits, which it took before, are no longer answered")

    async def ask_clock(self) -> bool:
        """Ask for a reading, whose stamp shows the charger's clock; whether one is to come."""
        station = self._station
        if station.notes.is_mute(TRIGGER) or station.notes.keys.can_trigger is False:
            return False
        station.asked_for_meter = True
        try:
            answer = await self._calls.ask(
                self._version.trigger(self._version.READINGS[0], self._settings.connector), is_short=True
            )
        except Lost:
            raise
        except (Negative, NoAnswer):
            return False
        return is_accepted(answer)

    async def lay(self, session: Session, aim: Aim) -> Way:
        """Lay what is aimed at, in the first way the charger takes.

        Raises:
            Refused: it takes none that ends.
            Negative, NoAnswer, Superseded: as `Connection.call`; no fault of the way.
        """
        if self.times(End.BOTH) is None:
            self._station.notes.tell_once(
                "clockUnknown", "no clock is known, so no limit of ours would end: none is set"
            )
            raise NoAnswer("neither our clock nor the charger's is known yet")
        answers = []
        for way in self._ways(session):
            if way.purpose is not Purpose.SESSION and (why := await self._wears(way)):
                answers.append(why)
                continue
            build = lambda way=way: self._message(way, aim)  # noqa: E731
            answer = await self._calls.ask_first("SetChargingProfile", build, key="limit")
            if is_accepted(answer):
                self.taken_s = self._port.monotonic()
                await self._learn(way)
                return way
            answers.append(f"{word(answer.get('status')) or 'nothing'} to {way.unit.name.lower()}s")
        if not answers:
            raise Refused("the charger tells no id of its session, and takes no default above the fail-safe")
        raise Refused(f"the charger takes no limit for a session: {', '.join(answers)}")

    async def _wears(self, way: Way) -> str:
        """Why a default may not be laid now; empty if it may."""
        try:
            await self._budget.take()
        except Refused as error:
            return str(error)
        return ""

    async def take_out(self, session: Session) -> None:
        """Take our lease out; what is not there is fine. See `lay` for what is raised."""
        way = self._known()
        if way is None or way.purpose is Purpose.SESSION or session.id is not None:
            level = way.stack_level if way and way.purpose is Purpose.SESSION else 0
            await self._clear(LEASE_ID, Purpose.SESSION, level)
        if way and way.purpose is not Purpose.SESSION:
            await self._clear(_IDS[way.purpose], way.purpose, way.stack_level)
        if way and way.purpose is Purpose.ANY_SESSION:
            await self._port.facts.put(_FACT, None)

    async def in_force(self) -> Limit | None:
        """What the charger says holds now; None: it cannot tell, and is not asked again."""
        if self._station.notes.is_mute(COMPOSITE):
            return None
        way = self._known()
        unit = way.unit if way else self._station.notes.keys.units[0]
        message = self._version.get_composite(self._settings.connector, unit)
        try:
            answer = await self._calls.ask(message, COMPOSITE, is_short=True)  # the next limit waits for it
        except Lost:
            raise
        except NoAnswer:
            return None
        except Negative:
            answer = {}
        value = self._version.composite_limit(answer, unit)
        if value is None:
            self._station.notes.cannot(COMPOSITE)
            return None
        value = min(value, 1e6) + _ROUNDED[unit]
        wiring = self._settings.wiring
        if unit is Unit.AMPERE:
            return wiring.of_amperes(int(value * 10))
        return Limit(int(value * 10 / (wiring.volts * wiring.phases)), int(value))

    def times(self, end: End) -> Lease | None:
        """A lease from now on, on the charger's clock; None: nobody knows what time it is there."""
        now_s = self._station.time.utc_s()
        return None if now_s is None else Lease(now_s - SKEW_S, now_s + self._settings.lease_s, end)

    def for_start(self, limit: Limit) -> Profile | None:
        """The profile under which a session is to begin."""
        lease, known = self.times(End.BOTH), self._known()
        way = known if known and known.purpose is Purpose.SESSION else self._session_ways()[0]
        return (
            Profile(LEASE_ID, way.purpose, way.stack_level, way.unit, limit, lease=lease) if lease else None
        )

    # --- ways -----------------------------------------------------------------------------------------

    def _ways(self, session: Session) -> list[Way]:
        """All that are worth a try: those for the session first, of both kinds the last taken in front."""
        known = self._known()
        ways = self._session_ways() if session.id is not None else []
        keys = self._station.notes.keys
        if keys.has_levels:
            ways += [Way(Purpose.ANY_SESSION, unit, ABOVE_FAILSAFE) for unit in keys.units]
        if self._version.LIMITS_STATION:
            ways += [Way(Purpose.STATION, unit, 0) for unit in keys.units]
        return sorted(ways, key=lambda way: (way.purpose is not Purpose.SESSION, way != known))

    def _session_ways(self) -> list[Way]:
        levels, units = self._station.notes.keys.stack_levels, self._station.notes.keys.units
        said_both = [Way(Purpose.SESSION, unit, level) for level in levels for unit in units]
        return said_both + [Way(Purpose.SESSION, units[0], 0, end) for end in (End.DURATION, End.VALID_TO)]

    def _message(self, way: Way, aim: Aim) -> Payload | None:
        aimed, lease = aim(), self.times(way.end)
        if aimed is None or lease is None:
            return None
        session, limit = aimed
        transaction = session.id if way.purpose is Purpose.SESSION else None
        if way.purpose is Purpose.SESSION and transaction is None:
            return None
        profile = Profile(
            _IDS[way.purpose], way.purpose, way.stack_level, way.unit, limit, transaction, lease
        )
        return self._version.set_profile(self._target(way.purpose), profile)[1]

    def _target(self, purpose: Purpose) -> int:
        """Where a lease is laid; 0 is all of the charger."""
        return 0 if purpose is Purpose.STATION else self._settings.connector

    async def _learn(self, way: Way) -> None:
        if way == self._known():
            return
        if way.end is not End.BOTH:
            text = f"the charger takes a limit's end only as {way.end.value}; that it ends is not proven"
            self._port.report(DeviceEvent("leaseEndUnproven", text, "warning"))
        told: list[JsonValue] = [way.purpose.value, way.unit.value, way.stack_level, way.end.value]
        await self._port.facts.put(_FACT, {"of": self._station.notes.identity, "way": told})

    def _known(self) -> Way | None:
        fact = self._port.facts.get(_FACT)
        if not isinstance(fact, dict) or fact.get("of") != self._station.notes.identity:
            return None
        match fact.get("way"):
            case [str(purpose), str(unit), int(level), str(end)]:
                return Way(Purpose(purpose), Unit(unit), level, End(end))
            case _:
                return None

    async def _clear(self, profile_id: int, purpose: Purpose, level: int) -> None:
        answer = await self._calls.ask_first(
            "ClearChargingProfile", lambda: self._version.clear_profile(profile_id)[1], key="limit"
        )
        if not is_accepted(answer):
            message = self._version.clear_profiles(self._target(purpose), purpose, level)
            await self._calls.ask_first("ClearChargingProfile", lambda: message[1], key="limit")
