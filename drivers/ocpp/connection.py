"""One charger's WebSocket: frames in and out, its calls' deadlines, and whether it is still there.

Knows no message. Everything OCPP says about calls is `rpc.py`; what the calls mean is the session's.
"""

from __future__ import annotations

import asyncio
import math
from typing import Protocol

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from drivers.base import Refused, Unreachable
from drivers.ocpp.rpc import (
    FORMATION_VIOLATION,
    NOT_IMPLEMENTED,
    Answered,
    Asked,
    Build,
    Declined,
    Failed,
    Failure,
    Payload,
    Rpc,
)

PING_S = 20.0
HEARTBEAT_S = 60  # asked of every charger
SILENT_AFTER_S = 3.0 * HEARTBEAT_S  # of a charger that answers no ping ...
UNPINGED_AFTER_S = 3.0 * PING_S + 15  # ... and of one that did
TIMEOUTS_MAX = 2  # in a row, with nothing heard meanwhile: it is stuck, and a new connection helps

_GOING_AWAY = 1001


class NoAnswer(Unreachable):
    """The charger did not answer a call in time, or went away meanwhile."""


class Lost(NoAnswer):
    """The connection ended before the charger answered: that says nothing of what it can."""


class Superseded(Unreachable):
    """A call was not made: a newer one took its place, or it was no longer needed."""


class Negative(Refused):
    """The charger answered a call with an error."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"the charger answered {code}" + (f" ({text})" if text else ""))
        self.code = code


class Listener(Protocol):
    """Who serves a connection."""

    def asked(self, action: str, payload: Payload) -> Payload | None:
        """The answer to a call of the charger; None: such a call is not known here."""

    def alive(self) -> None:
        """The charger said something, be it only to a ping."""


class Connection:
    """One connection, from its handshake to its end. Once ended it stays so."""

    def __init__(self, socket: ServerConnection, charge_point: str) -> None:
        self.charge_point = charge_point
        self.why = ""  # it ended
        self.stuck = False  # it ended because calls were not answered
        self._socket = socket
        self._rpc = Rpc()
        self._listener: Listener | None = None
        self._served = asyncio.Event()
        self._ended = asyncio.Event()
        self._wake = asyncio.Event()
        self._outgoing = asyncio.Event()
        self._sending = asyncio.Lock()
        self._futures: dict[int, asyncio.Future[Payload]] = {}
        self._heard_s = self._now_s()
        self._pongs = False
        self._pump: asyncio.Task[None] | None = None

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self._ended.is_set()

    @property
    def subprotocol(self) -> str | None:
        """What was agreed to be spoken; None: the charger named nothing."""
        return self._socket.subprotocol

    # --- for the session ----------------------------------------------------------------------------

    def serve(self, listener: Listener, violation: str = FORMATION_VIOLATION) -> None:
        """From now on hand what is said to `listener`; a malformed call is declined as `violation`."""
        self._listener, self._rpc.violation = listener, violation
        self._served.set()

    async def over(self) -> None:
        """Wait for its end; a bug met while serving it surfaces here."""
        await self._ended.wait()
        if self._pump and self._pump.done() and not self._pump.cancelled():
            self._pump.result()

    async def call(
        self,
        action: str,
        build: Build,
        *,
        timeout_s: float,
        yields_after_s: float = math.inf,
        key: str | None = None,
        urgent: bool = False,
    ) -> Payload:
        """Ask the charger; see `Rpc.call`.

        Raises:
            NoAnswer: not in time; `Lost`: the connection ended.
            Superseded: the call was not made.
            Negative: it answered with an error.
        """
        ticket = self._rpc.call(
            action,
            build,
            self._now_s(),
            timeout_s=timeout_s,
            yields_after_s=yields_after_s,
            key=key,
            urgent=urgent,
        )
        future: asyncio.Future[Payload] = asyncio.get_running_loop().create_future()
        self._futures[ticket] = future
        self._digest()
        self._wake.set()
        if self._is_clear:
            await self._flush()  # in this very step: a set-point waits for no other task
        else:
            self._outgoing.set()
        return await future

    def end(self, why: str, *, stuck: bool = False) -> None:
        """Give it up: pending calls fail at once, the socket closes behind us."""
        if self.ended:
            return
        self.why, self.stuck = why, stuck
        self._rpc.close()
        self._digest()
        self._ended.set()
        self._wake.set()

    # --- for the link -------------------------------------------------------------------------------

    async def run(self, served_within_s: float) -> None:
        """Carry frames until the end, and close."""
        tasks = [asyncio.create_task(work) for work in (self._watch(), self._send(), self._ended.wait())]
        try:
            if await self._is_served(served_within_s):
                self._pump = asyncio.create_task(self._carry(), name=f"ocpp {self.charge_point}")
                await asyncio.wait({self._pump, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.end("it was closed")
            for task in (*tasks, self._pump):
                if task:
                    task.cancel()
            await self._socket.close(_GOING_AWAY)

    async def _is_served(self, within_s: float) -> bool:
        """Whether somebody serves it; what the charger says waits in its socket until then."""
        waits = [asyncio.create_task(event.wait()) for event in (self._served, self._ended)]
        await asyncio.wait(waits, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        return self._served.is_set() and not self.ended

    async def _carry(self) -> None:
        try:
            while True:
                # Bytes that are no UTF-8 would end the connection; here they are only a bad frame.
                data = await self._socket.recv(decode=False)
                self._mark_heard()
                self._rpc.receive(data.decode(errors="replace"), self._now_s())
                self._digest()
                await self._flush()
        except ConnectionClosed as error:
            self.end(_words(error))

    async def _watch(self) -> None:
        ping_s = self._now_s() + PING_S
        while not self.ended:
            silent_s = self._heard_s + (UNPINGED_AFTER_S if self._pongs else SILENT_AFTER_S)
            now_s = await self._rest(min(ping_s, silent_s, self._rpc.due_s or math.inf))
            self._rpc.tick(now_s)
            self._digest()
            if self._rpc.timeouts_in_a_row >= TIMEOUTS_MAX:
                self.end(f"{TIMEOUTS_MAX} calls in a row were not answered", stuck=True)
            elif now_s >= self._heard_s + (UNPINGED_AFTER_S if self._pongs else SILENT_AFTER_S):
                self.end(f"nothing was heard for {now_s - self._heard_s:.0f} s", stuck=True)
            elif now_s >= ping_s:
                ping_s = now_s + PING_S
                await self._ping()
            self._outgoing.set()

    async def _send(self) -> None:
        """Send what nobody waits for; a charger that does not read stops only this."""
        while True:
            await self._outgoing.wait()
            self._outgoing.clear()
            await self._flush()

    async def _rest(self, until_s: float) -> float:
        """Wait for a call or until then; the moment it is. The loop may wake us a tick early."""
        self._wake.clear()
        try:
            async with asyncio.timeout_at(until_s):
                await self._wake.wait()
        except TimeoutError:
            return max(until_s, self._now_s())
        return self._now_s()

    async def _ping(self) -> None:
        try:
            pong = await self._socket.ping()
        except ConnectionClosed:
            return
        asyncio.ensure_future(pong).add_done_callback(self._ponged)

    def _ponged(self, pong: asyncio.Future[float]) -> None:
        if not pong.cancelled() and pong.exception() is None:
            self._pongs = True
            self._mark_heard()

    def _mark_heard(self) -> None:
        self._heard_s = self._now_s()
        if self._listener and not self.ended:
            self._listener.alive()

    # --- between the calls and the socket -------------------------------------------------------------

    def _digest(self) -> None:
        """Hand on what the calls led to, and what follows from that."""
        while events := self._rpc.events():
            for event in events:
                match event:
                    case Asked():
                        self._answer(event)
                    case Answered(ticket, payload):
                        self._settle(ticket, payload)
                    case Declined(ticket, code, text):
                        self._settle(ticket, Negative(code, text))
                    case Failed(ticket, failure):
                        self._settle(ticket, self._failure(failure))

    def _answer(self, asked: Asked) -> None:
        answer = self._listener.asked(asked.action, asked.payload) if self._listener else None
        if answer is None:
            self._rpc.decline(asked, NOT_IMPLEMENTED, f"{asked.action[:50]} is not known here")
        else:
            self._rpc.answer(asked, answer)

    def _failure(self, failure: Failure) -> Exception:
        if failure is Failure.SUPERSEDED:
            return Superseded("no longer needed")
        if failure is Failure.TIMEOUT:
            return NoAnswer("the charger did not answer in time")
        return Lost(f"the connection ended: {self.why}")

    def _settle(self, ticket: int, outcome: Payload | Exception) -> None:
        future = self._futures.pop(ticket, None)
        if future is None or future.done():
            return
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    @property
    def _is_clear(self) -> bool:
        """Whether what is sent now goes out at once."""
        return not self._sending.locked() and not self._socket.transport.get_write_buffer_size()

    async def _flush(self) -> None:
        async with self._sending:
            for text in self._rpc.texts():
                try:
                    await self._socket.send(text)
                except ConnectionClosed as error:
                    self.end(_words(error))

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()


def _words(error: ConnectionClosed) -> str:
    if error.rcvd is None:
        return "the network lost it"
    return f"the charger closed it ({error.rcvd.code}{' ' + error.rcvd.reason if error.rcvd.reason else ''})"
