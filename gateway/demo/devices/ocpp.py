"""OCPP-J as a charge point speaks it: calls and answers over one WebSocket that it opens, and opens again.

Written from "Open Charge Point Protocol JSON 1.6": one call of ours at a time, the other side's answered
as they come. What belongs to a transaction waits for the connection and is repeated; the rest is dropped
with it. No library but the WebSocket; it knows no action.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import random
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.frames import CloseCode
from websockets.typing import Subprotocol

Message = dict[str, Any]

SUBPROTOCOL = "ocpp1.6"
MOST_KEPT = 200  # an hour of samples; beyond it the oldest sample goes (1.6, 4.7)
_CALL, _RESULT, _ERROR = 2, 3, 4
ANSWER_WITHIN_S = 30.0
_ATTEMPTS, RETRY_S = 3, 5.0  # TransactionMessageAttempts and -RetryInterval
WAITS_S = (0.5, 1.0, 2.0, 4.0)  # before it connects again; the last one then stays
_PING_EVERY_S = 30.0


class Problem(Exception):
    """The call gets a CALLERROR with this code (OCPP-J 1.6, 4.2.3)."""

    def __init__(self, code: str, text: str = "") -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


@dataclass(eq=False, slots=True)
class Call:
    """Something to say. `payload` is made when it is said; `then` hears the answer."""

    action: str
    payload: Callable[[], Message]
    then: Callable[[Message], None] = lambda _answer: None
    kept: bool = False  # outlives the connection
    attempts: int = 0


class Outbox:
    """What is to be said, in order."""

    def __init__(self) -> None:
        self._calls: deque[Call] = deque()
        self._more = asyncio.Event()

    @property
    def waiting(self) -> Sequence[Call]:
        """Everything not yet said and answered."""
        return tuple(self._calls)

    def put(self, call: Call) -> None:
        """Say it when its turn comes."""
        if len(self._calls) >= MOST_KEPT:
            samples = (one for one in self._calls if one.action == "MeterValues")
            self._calls.remove(next(samples, self._calls[-1]))
        self._calls.append(call)
        self._more.set()

    async def first(self) -> Call:
        """The next one; it stays until it is done."""
        while not self._calls:
            self._more.clear()
            await self._more.wait()
        return self._calls[0]

    def done(self, call: Call) -> None:
        """It was answered, or given up."""
        with contextlib.suppress(ValueError):  # it was pushed out meanwhile
            self._calls.remove(call)

    def disconnected(self) -> None:
        """Forget what was only for this connection."""
        self._calls = deque(call for call in self._calls if call.kept)


class Speaker(Protocol):
    """A charge point behind the connection."""

    outbox: Outbox

    def connected(self) -> Call | None:
        """A connection stands; the call that must be accepted before any other, if there is one."""

    def accepted(self) -> None:
        """It may speak now."""

    def disconnected(self) -> None:
        """The connection is gone."""

    def answer(self, action: str, payload: Message, peer: str) -> Message:
        """The answer to a call. Raises `Problem`."""


@contextlib.asynccontextmanager
async def speaking(speaker: Speaker, url: str, password: str | None = None) -> AsyncIterator[None]:
    """Connected while the block runs, again after each loss. `password`: HTTP basic, the id is the user."""
    async with asyncio.TaskGroup() as tasks:
        connection = tasks.create_task(_connected(speaker, url, password), name="charge point")
        try:
            yield
        finally:
            connection.cancel()


async def _connected(speaker: Speaker, url: str, password: str | None) -> None:
    waits_s = iter(WAITS_S)
    while True:
        with contextlib.suppress(OSError, TimeoutError, WebSocketException):
            async with connect(
                url,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                additional_headers=_authorization(url, password),
                compression=None,
                proxy=None,
                ping_interval=_PING_EVERY_S,
                close_timeout=1.0,
            ) as socket:
                waits_s = iter(WAITS_S)
                try:
                    await _Conversation(speaker, socket).held()
                finally:
                    speaker.outbox.disconnected()
                    speaker.disconnected()
        await asyncio.sleep(next(waits_s, WAITS_S[-1]) * random.uniform(0.8, 1.2))


class _Conversation:
    """One connection from its first call to its end."""

    def __init__(self, speaker: Speaker, socket: ClientConnection) -> None:
        self._speaker = speaker
        self._socket = socket
        self._peer = "{}:{}".format(*socket.remote_address[:2])
        self._pending: dict[str, asyncio.Future[Message]] = {}

    async def held(self) -> None:
        """Both ways until the connection ends."""
        try:
            async with asyncio.TaskGroup() as tasks:
                speaking = tasks.create_task(self._speak(), name="charge point speaks")
                await self._hear()
                speaking.cancel()
        finally:
            await self._socket.close(CloseCode.GOING_AWAY)

    async def _hear(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for text in self._socket:
                await self._take(text)

    async def _take(self, text: str | bytes) -> None:
        try:
            kind, id, *rest = json.loads(text)
        except (ValueError, TypeError):
            return  # nothing it could be answered to
        if kind == _CALL and len(rest) == 2:
            await self._socket.send(json.dumps(self._answered(id, *rest)))
            return
        asked = self._pending.pop(id, None)
        if asked is None or asked.done():
            return  # too late
        if kind == _RESULT:
            asked.set_result(rest[0])
        else:
            asked.set_exception(Problem(*map(str, rest[:2])))

    def _answered(self, id: str, action: str, payload: Message) -> list[object]:
        try:
            return [_RESULT, id, self._speaker.answer(action, payload, self._peer)]
        except Problem as problem:
            return [_ERROR, id, problem.code, problem.text, {}]

    async def _speak(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            try:
                await self._until_accepted()
                while True:
                    await self._say(await self._speaker.outbox.first())
            except TimeoutError:
                await self._socket.close()

    async def _until_accepted(self) -> None:
        """Nothing else is said before (1.6, 4.2); refused, it is asked again in the interval given."""
        while first := self._speaker.connected():
            answer: Message = {}
            with contextlib.suppress(Problem):
                answer = await self._asked(first)
            if answer.get("status") == "Accepted":
                break
            await asyncio.sleep(answer.get("interval") or RETRY_S)
        self._speaker.accepted()

    async def _say(self, call: Call) -> None:
        call.attempts += 1
        try:
            await self._asked(call)
        except Problem:
            if call.kept and call.attempts < _ATTEMPTS:
                await asyncio.sleep(RETRY_S * call.attempts)
                return
        self._speaker.outbox.done(call)

    async def _asked(self, call: Call) -> Message:
        id = str(uuid.uuid4())
        asked: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._pending[id] = asked
        await self._socket.send(json.dumps([_CALL, id, call.action, call.payload()]))
        async with asyncio.timeout(ANSWER_WITHIN_S):
            answer = await asked
        with contextlib.suppress(KeyError, TypeError, ValueError):  # it says nothing we could use
            call.then(answer)
        return answer


def _authorization(url: str, password: str | None) -> dict[str, str]:
    if password is None:
        return {}
    user = url.rsplit("/", 1)[-1]
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
