"""One conversation with a charger: from its connection to its end.

Three tasks: set-points (they go before everything), upkeep, and the notes for the disk. Each is woken when
something changed; none of them waits for another.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

from drivers.base import DevicePort, Refused
from drivers.ocpp.calls import Calls, question_s
from drivers.ocpp.configuration import Configuration
from drivers.ocpp.connection import HEARTBEAT_S, Connection
from drivers.ocpp.failsafe import Failsafe
from drivers.ocpp.hold import Hold
from drivers.ocpp.learned import BOOTS_KEPT, Learned
from drivers.ocpp.lease import Leases
from drivers.ocpp.pace import Pace
from drivers.ocpp.rpc import Payload
from drivers.ocpp.settings import Settings
from drivers.ocpp.station import Station
from drivers.ocpp.upkeep import Upkeep
from drivers.ocpp.version import Version

BOOT_STORM_S = 600.0  # more than three starts within it: our configuring may be the cause
PASSIVE_S = 3600.0
KEEP_WITHIN_S = 2.0  # a charger is served without the disk too


class Conversation:
    """What is said over one connection, in its version of OCPP."""

    def __init__(
        self,
        settings: Settings,
        port: DevicePort,
        connection: Connection,
        learned: Learned,
        pace: Pace,
        version: Version,
    ) -> None:
        self._settings = settings
        self._port = port
        self._connection = connection
        self._learned = learned
        self._pace = pace
        self._version = version
        self._station = Station(settings, port, learned)
        self._question_s = question_s(settings.timeout_s, pace.question_s)
        self._calls = Calls(
            connection, version, settings.timeout_s, self._question_s, self._station.notes.unanswered
        )
        self._station.stir = self._stir
        self._opened_s = port.monotonic()
        self._wakes: list[asyncio.Event] = []
        self._is_stirred = False
        self._hold_rest: asyncio.Timeout | None = None

    def asked(self, action: str, payload: Payload) -> Payload | None:
        """The answer to a call of the charger; None: such a call is not known here."""
        return self._version.answer_to(action, payload, self._station, HEARTBEAT_S)

    def alive(self) -> None:
        """The charger said something, be it only to a ping."""
        self._station.alive()

    async def run(self) -> None:
        """Talk until the connection ends.

        Raises:
            NoAnswer: it ended; `Connection.why` says how.
        """
        await self._keep()  # ids are written down before a session can need one
        self._connection.serve(self, self._version.VIOLATION)
        await _together(self._talk(), self._loop(self._note), self._connection.over())

    async def _talk(self) -> None:
        await self._may_call()
        leases = Leases(self._settings, self._port, self._station, self._calls)
        hold = Hold(self._settings, self._port, self._station, leases, self._pace)
        has_read = asyncio.Event()
        await _together(self._holding(hold, has_read), self._tend(leases, hold, has_read))

    async def _tend(self, leases: Leases, hold: Hold, has_read: asyncio.Event) -> None:
        """Set the charger up, again after each of its starts, and keep the conversation useful."""
        configuration = Configuration(self._settings, self._port, self._station, self._calls)
        upkeep = Upkeep(
            self._settings, self._port, self._station, self._calls, self._pace, hold.first_profile
        )
        failsafe = Failsafe(self._settings, self._port, self._station, self._calls)
        woken, booted_s = self._woken(), self._station.booted_s
        await configuration.read()
        has_read.set()
        await self._set_up(configuration, leases, failsafe)
        await upkeep.learn_state()
        while True:
            await _rest(woken, min(await upkeep.turn(), failsafe.due_s(leases.taken_s)))
            if booted_s != self._station.booted_s:
                booted_s = self._station.booted_s
                hold.forget()
                self._stir()
                await configuration.read()
                await self._set_up(configuration, leases, failsafe)
                await upkeep.learn_state()
            elif not failsafe.due_s(leases.taken_s):
                await self._settle(leases, failsafe)

    async def _set_up(self, configuration: Configuration, leases: Leases, failsafe: Failsafe) -> None:
        await self._settle(leases, failsafe)
        if self._is_storm():
            text = "the charger starts again and again; for an hour nothing in it is configured"
            self._station.notes.tell_once("bootStorm", text)
            return
        await configuration.write()

    async def _settle(self, leases: Leases, failsafe: Failsafe) -> None:
        in_force = await leases.in_force() if self._station.session is None else None
        await failsafe.settle(in_force, leases.in_force)

    def _is_storm(self) -> bool:
        boots_s = self._learned.boots_s
        if len(boots_s) < BOOTS_KEPT or boots_s[-1] - boots_s[0] > BOOT_STORM_S:
            return False
        return self._port.monotonic() - boots_s[-1] < PASSIVE_S

    async def _may_call(self) -> None:
        """Wait until the charger was told that it is accepted, or does not ask to be.

        Some that are called before drop the connection.
        """
        woken, pace = self._woken(), self._pace
        while self._station.booted_s is None:
            spoke_s = self._station.spoke_s
            due_s = self._opened_s + pace.boot_s
            if spoke_s is not None:
                due_s = min(due_s, spoke_s + pace.quiet_s)
            wait_s = due_s - self._port.monotonic()
            if wait_s <= 0:
                return
            await _rest(woken, wait_s)

    # --- waking and noting ------------------------------------------------------------------------------

    async def _holding(self, hold: Hold, has_read: asyncio.Event) -> None:
        """Keep the session at what is wanted. A want is heard here itself: the set-point is on its way
        before anything else that its instruction leads to. The first one waits a little for what the
        charger says it can do, where it says so."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._question_s):
                await has_read.wait()
        while True:
            self._is_stirred = False
            wait_s = await hold.turn()
            try:
                async with asyncio.timeout(0.0 if self._is_stirred else _finite(wait_s)) as self._hold_rest:
                    await self._port.changed()
            except TimeoutError:
                continue
            finally:
                self._hold_rest = None
            self._stir()

    async def _loop(self, turn: Callable[[], Awaitable[float]]) -> None:
        woken = self._woken()
        while True:
            await _rest(woken, await turn())

    async def _note(self) -> float:
        await self._keep()
        return math.inf

    async def _keep(self) -> None:
        try:
            async with asyncio.timeout(KEEP_WITHIN_S):
                await self._station.keep()
        except TimeoutError:
            self._station.notes.tell_once("notKept", "what was learned of the charger waits for the disk")
        except Refused as error:  # the car charges all the same
            self._station.notes.tell_once("notKept", f"what was learned of the charger is not kept: {error}")

    def _woken(self) -> asyncio.Event:
        event = asyncio.Event()
        self._wakes.append(event)
        return event

    def _stir(self) -> None:
        for event in self._wakes:
            event.set()
        self._is_stirred = True
        if self._hold_rest and not self._hold_rest.expired():
            self._hold_rest.reschedule(asyncio.get_running_loop().time())


async def _together(*works: Coroutine[Any, Any, None]) -> None:
    """Do these side by side until one of them ends, and end as it did."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _rest(woken: asyncio.Event, seconds: float) -> None:
    """Let time pass until something changed; what changed since the last rest counts."""
    try:
        async with asyncio.timeout(_finite(seconds)):
            await woken.wait()
    except TimeoutError:
        pass
    woken.clear()


def _finite(seconds: float) -> float | None:
    """A wait as asyncio takes it; None: without end."""
    return None if math.isinf(seconds) else max(0.0, seconds)
