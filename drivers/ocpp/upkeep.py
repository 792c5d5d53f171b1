"""What keeps a conversation useful: messages that are missing are asked for, a car that waits is started."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress

from drivers.base import DevicePort
from drivers.ocpp.calls import NO_SUCH_CALL, Calls, is_accepted
from drivers.ocpp.connection import Lost, Negative, NoAnswer
from drivers.ocpp.field import word
from drivers.ocpp.learned import Session
from drivers.ocpp.pace import Pace
from drivers.ocpp.profile import Profile
from drivers.ocpp.settings import Settings
from drivers.ocpp.station import TRIGGER, Station

_RUNS = "whether a session runs"
STALE_AFTER = 3  # intervals without a reading
REJECTED_FOR_S = 60.0
START_WAITS_S = (0.0, 20.0, 60.0, 120.0, 300.0)  # before each try; then the household is at it


class Upkeep:
    """The duties of one connection beside the set-points."""

    def __init__(
        self,
        settings: Settings,
        port: DevicePort,
        station: Station,
        calls: Calls,
        pace: Pace,
        first_profile: Callable[[], Profile | None],
    ) -> None:
        self._settings = settings
        self._port = port
        self._station = station
        self._calls = calls
        self._pace = pace
        self._first_profile = first_profile
        self._asked_s: dict[str, float] = {}  # by message: not asked for before then
        self._rejected: dict[
            str, str
        ] = {}  # messages that were not to be had when last asked for, and the answer
        self._starts = 0
        self._start_s = -math.inf

    async def learn_state(self) -> None:
        """Ask what a reconnecting charger does not tell by itself."""
        station = self._station
        if not station.status:
            await self._trigger("StatusNotification")
        if station.session is not None or station.is_unsure:
            await self._ask_reading()

    async def turn(self) -> float:
        """Do what is due; seconds until something may be due again."""
        waits_s = [await self._ask_for_meter(), await self._ask_for_status(), await self._start()]
        return min(waits_s)

    async def _ask_for_meter(self) -> float:
        session, now_s = self._station.session, self._port.monotonic()
        if session is None:
            return math.inf
        stale_s = max(self._station.metered_s, session.since_s) + STALE_AFTER * self._settings.sample_s
        due_s = session.since_s if session.id is None or session.presumed else stale_s
        if now_s < due_s:
            return due_s - now_s
        return await self._ask_reading()

    async def _ask_reading(self) -> float:
        """Ask for a reading in the first way that is taken; where there is none of a session, it is over."""
        wait_s = math.inf
        for message in self._calls.version.READINGS:
            wait_s = await self._trigger(message)
            if message not in self._rejected:
                return wait_s
            await self._ask_whether_it_runs(message)
        return wait_s

    async def _ask_whether_it_runs(self, message: str) -> None:
        """What becomes of a session of which a charger has nothing to say. One that knows the message, and
        has none, has no session; one that does not know it is asked about the session that ran last."""
        station, session, version = self._station, self._station.session, self._calls.version
        if message == version.READINGS[-1]:
            return
        runs = await self._runs(session) if session and session.presumed else None
        is_none = self._rejected.get(message) == "Rejected" and (session is None or session.presumed)
        if runs is False or (runs is None and is_none):
            station.no_session()

    async def _runs(self, session: Session) -> bool | None:
        """Whether the charger says that a session runs still; None: it cannot tell."""
        question = None if session.id is None else self._calls.version.get_session(session.id)
        if question is None or self._station.notes.is_mute(_RUNS):
            return None
        try:
            return self._calls.version.session_runs(await self._calls.ask(question, _RUNS))
        except Lost:
            raise
        except (Negative, NoAnswer):
            self._station.notes.cannot(_RUNS)
            return None

    async def _ask_for_status(self) -> float:
        return math.inf if self._station.status else await self._trigger("StatusNotification")

    async def _trigger(self, message: str) -> float:
        """Ask for a message unless it was asked for just now; seconds until it may be asked for again."""
        now_s, station = self._port.monotonic(), self._station
        wait_s = self._asked_s.get(message, -math.inf) - now_s
        if station.notes.is_mute(TRIGGER) or station.notes.keys.can_trigger is False:
            self._rejected[message] = TRIGGER
            return math.inf
        if wait_s > 0:
            return wait_s
        self._asked_s[message] = now_s + self._pace.trigger_s
        station.asked_for_meter = station.asked_for_meter or message in self._calls.version.READINGS
        self._rejected.pop(message, None)
        try:
            answer = await self._calls.ask(
                self._calls.version.trigger(message, self._settings.connector), TRIGGER
            )
        except Negative as error:
            self._rejected[message] = error.code
            if error.code in NO_SUCH_CALL:
                station.notes.cannot(TRIGGER)
            return self._pace.trigger_s
        except Lost:
            raise
        except NoAnswer:
            return math.inf
        if not is_accepted(answer):
            self._rejected[message] = word(answer.get("status"))
            is_unknown = self._rejected[message] == "NotImplemented"
            self._asked_s[message] = math.inf if is_unknown else self._port.monotonic() + REJECTED_FOR_S
        return self._pace.trigger_s

    # --- a car that waits -------------------------------------------------------------------------------

    async def _start(self) -> float:
        """Start a session for a car that waits for one; never against the household, never for a pause."""
        station, now_s, want = self._station, self._port.monotonic(), self._port.latest()
        if (
            not self._settings.start
            or station.status != "Preparing"
            or station.session
            or station.notes.by_hand
        ):
            self._starts = 0
            return math.inf
        if self._starts >= len(START_WAITS_S) or (want is not None and want.at_most_w == 0):
            return math.inf
        due_s = max(station.status_s + self._pace.start_s, self._start_s + START_WAITS_S[self._starts])
        if now_s < due_s:
            return due_s - now_s
        self._start_s = now_s
        self._starts += 1
        profile = self._first_profile() if self._starts == 1 else None
        with suppress(Negative, NoAnswer):  # the next try is due later, without a profile
            settings, version = self._settings, self._calls.version
            await self._calls.ask(version.start_session(settings.connector, settings.id_tag, profile))
        return 0.0
