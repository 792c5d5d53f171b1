"""One client on one local broker, shared by every device that is heard there.

A new client per connection: aiomqtt's cannot be used again after a failure. MQTT 3.1.1, which every home
broker speaks, with a clean session: a sensor's next message is worth more than a queue of old ones.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import aiomqtt
from paho.mqtt.reasoncodes import ReasonCode

from drivers.base import Refused, Unreachable
from drivers.cancellation import heed_cancellation

CONNECT_WITHIN_S = 15.0  # the name server, five seconds of TCP, ten of the broker's answer
LEAVE_WITHIN_S = 2.0
KEEPALIVE_S = 20  # a half-open connection is noticed after twice this
LONGEST_QUEUE = 1000  # emptied at once; the rest of a flood is dropped
_UNSPECIFIED_FAILURE = 0x80  # reason codes from here on are refusals (MQTT 3.1.1, 3.9.3)
_SERVER_UNAVAILABLE = 0x88

Listener = Callable[[aiomqtt.Message], None]


class Link:
    """A connection in use. It ends for all its listeners at once."""

    def __init__(self, client: aiomqtt.Client, where: str) -> None:
        self._client = client
        self._where = where
        self._listeners: dict[str, list[Listener]] = {}
        self._pump = asyncio.create_task(self._hear(), name=f"mqtt {where}")

    async def listen(self, topics: Mapping[str, int], take: Listener) -> None:
        """Hand every message on `topics` (with the QoS asked for) to `take`, until cancelled.

        Raises:
            Unreachable: the connection is lost.
            Refused: the broker does not let us hear a topic.
        """
        for topic in topics:
            self._listeners.setdefault(topic, []).append(take)
        try:
            await self._subscribe(topics)
            heed_cancellation()
            await asyncio.wait([self._pump])
            self._pump.result()
        except aiomqtt.MqttError as error:
            raise Unreachable(f"lost the broker at {self._where}: {error}") from error
        finally:
            await self._leave(topics, take)

    async def close(self) -> None:
        """Disconnect; never fails and never waits long."""
        self._pump.cancel()
        await asyncio.wait([self._pump])
        await _disconnect(self._client)

    async def _hear(self) -> None:
        async for message in self._client.messages:
            for take in tuple(self._listeners.get(message.topic.value, ())):
                take(message)

    async def _subscribe(self, topics: Mapping[str, int]) -> None:
        answers: Sequence[int | ReasonCode] = await self._client.subscribe(list(topics.items()))
        for topic, answer in zip(topics, answers, strict=True):
            if _code(answer) >= _UNSPECIFIED_FAILURE:
                raise Refused(
                    f"the broker at {self._where} does not let us hear {topic!r}: check its access list"
                )

    async def _leave(self, topics: Mapping[str, int], take: Listener) -> None:
        """Stop listening; the broker is told only if others stay on."""
        for topic in topics:
            self._listeners[topic].remove(take)
        silent = [topic for topic in topics if not self._listeners[topic]]
        for topic in silent:
            del self._listeners[topic]
        if silent and self._listeners and not self._pump.done():
            with suppress(aiomqtt.MqttError):
                await self._client.unsubscribe(silent, timeout=LEAVE_WITHIN_S)


@asynccontextmanager
async def connected(host: str, port: int, username: str | None, password: str | None) -> AsyncIterator[Link]:
    """A link, until left.

    Raises:
        Unreachable: no broker there, or no answer.
        Refused: it turns us away; trying again will not help.
    """
    where = f"{host}:{port}"
    client = aiomqtt.Client(
        host,
        port,
        username=username,
        password=password,
        identifier=f"homeflex-{secrets.token_hex(6)}",
        protocol=aiomqtt.ProtocolVersion.V311,
        clean_session=True,
        keepalive=KEEPALIVE_S,
        max_queued_incoming_messages=LONGEST_QUEUE,
    )
    try:
        await _connect(client)
    except aiomqtt.MqttCodeError as error:
        if _code(error.rc) == _SERVER_UNAVAILABLE:
            raise Unreachable(f"the broker at {where} is not ready: {error}") from error
        raise Refused(
            f"the broker at {where} turned us away: {error}: check username and password"
        ) from error
    except (aiomqtt.MqttError, TimeoutError) as error:
        raise Unreachable(f"no broker at {where}: {error or 'no answer'}") from error
    link = Link(client, where)
    try:
        yield link
    finally:
        await link.close()


def _code(answer: int | ReasonCode | None) -> int:
    if isinstance(answer, ReasonCode):
        return answer.value
    return _UNSPECIFIED_FAILURE if answer is None else answer


_late: set[asyncio.Task[None]] = set()


async def _connect(client: aiomqtt.Client) -> None:
    """Connect within the deadline.

    Connecting runs in a thread that cannot be stopped: whoever stops waiting for it leaves someone behind
    to hang up, or the connection would stay for ever.
    """
    connecting = asyncio.create_task(client.__aenter__())
    try:
        async with asyncio.timeout(CONNECT_WITHIN_S):
            await asyncio.shield(connecting)
    except (TimeoutError, asyncio.CancelledError):
        hanging_up = asyncio.create_task(_hang_up_late(client, connecting))
        _late.add(hanging_up)
        hanging_up.add_done_callback(_late.discard)
        raise


async def _hang_up_late(client: aiomqtt.Client, connecting: asyncio.Task[aiomqtt.Client]) -> None:
    with suppress(aiomqtt.MqttError):
        await connecting
        await _disconnect(client)


async def _disconnect(client: aiomqtt.Client) -> None:
    with suppress(aiomqtt.MqttError, TimeoutError):
        async with asyncio.timeout(LEAVE_WITHIN_S):
            await client.__aexit__(None, None, None)
