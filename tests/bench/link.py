"""A connection to a broker that is light enough to have a thousand of: a plain socket and `packets`."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable

from tests.bench import packets
from tests.bench.packets import Packet, Published

HOST = "127.0.0.1"
ANSWER_S = 30.0  # of real time; a broker that takes longer for one answer does not carry the fleet
PACKET_IDS = 65_535


class Lost(Exception):
    """The broker is not reached, or the connection ended: try again later."""


class Refused(Exception):
    """The broker said no; the message tells to what."""


Hears = Callable[["Link", Published], None]


class Link(asyncio.Protocol):
    """One connection. `on_message` hears what comes; its PUBACK has been sent by then.

    `told` says that the broker took its leave, `on_end` that it is over.
    """

    def __init__(self, on_message: Hears, ping_every_s: float) -> None:
        self.on_end: Callable[[], None] = lambda: None
        self.present = False
        """Whether the broker kept our session."""
        self.told = False
        self.has_ended = False
        self._on_message = on_message
        self._ping_every_s = ping_every_s
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._answers: dict[int, asyncio.Future[int]] = {}
        self._last_id = 0
        self._sent_s = 0.0
        self._pinging: asyncio.TimerHandle | None = None

    @classmethod
    async def open(
        cls,
        port: int,
        hello: bytes,
        on_message: Hears,
        ping_every_s: float,
        tls: ssl.SSLContext | None = None,
    ) -> Link:
        """Connect and wait for the broker's consent. A ping goes out when nothing else did for so long.

        Raises:
            Lost: it is not reached, or goes away again.
            Refused: it does not want us.
        """
        loop = asyncio.get_running_loop()
        try:
            _, link = await loop.create_connection(lambda: cls(on_message, ping_every_s), HOST, port, ssl=tls)
        except OSError as error:
            raise Lost(str(error)) from error
        try:
            if code := await link._answer(0, hello):
                raise Refused(f"CONNECT: {code:#x}")
        except BaseException:
            link.close()
            raise
        return link

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish and wait until the broker has taken it.

        Raises:
            Lost: nobody knows whether it has.
            Refused: it has not.
        """
        packet_id = self._next_id()
        code = await self._answer(packet_id, packets.publish(packet_id, topic, payload, retain=retain))
        if code >= packets.FAILURE:
            raise Refused(f"PUBLISH {topic}: {code:#x}")

    async def subscribe(self, topic: str, *, retain_handling: int = 0) -> None:
        """Ask for a topic.

        Raises:
            Lost: the connection ended before the answer.
            Refused: it is not for us.
        """
        packet_id = self._next_id()
        asked = packets.subscribe(packet_id, topic, retain_handling=retain_handling)
        if (code := await self._answer(packet_id, asked)) >= packets.FAILURE:
            raise Refused(f"SUBSCRIBE {topic}: {code:#x}")

    def tell(self, topic: str, payload: bytes) -> None:
        """Publish, and do not wait."""
        self._write(packets.publish(self._next_id(), topic, payload))

    def close(self) -> None:
        """Take our leave: the broker discards the will."""
        if self._transport is not None and not self.has_ended:
            self._transport.write(packets.GOODBYE)
            self._transport.close()

    def cut(self) -> None:
        """End it without a word: the broker has a will to tell."""
        if self._transport is not None:
            self._transport.abort()

    async def _answer(self, packet_id: int, packet: bytes) -> int:
        if self.has_ended:
            raise Lost("the connection has ended")
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._answers[packet_id] = answer
        self._write(packet)
        try:
            async with asyncio.timeout(ANSWER_S):
                return await answer
        except TimeoutError:
            raise Lost(f"no answer in {ANSWER_S:g} s") from None
        finally:
            self._answers.pop(packet_id, None)

    def _next_id(self) -> int:
        self._last_id = self._last_id % PACKET_IDS + 1
        return self._last_id

    def _write(self, packet: bytes) -> None:
        assert self._transport is not None
        self._sent_s = asyncio.get_running_loop().time()
        self._transport.write(packet)

    def _ping(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() - self._sent_s >= self._ping_every_s:
            self._write(packets.PING)
        self._pinging = loop.call_at(self._sent_s + self._ping_every_s, self._ping)

    # --- what the loop tells (asyncio.Protocol) ---------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        # Mosquitto delays its ACK by 40 ms while Nagle waits for it.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        for packet in packets.take(self._buffer):
            self._take(packet)

    def connection_lost(self, exc: Exception | None) -> None:
        self.has_ended = True
        if self._pinging is not None:
            self._pinging.cancel()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(Lost("the connection ended"))
        self.on_end()

    def _take(self, packet: Packet) -> None:
        if packet.kind == packets.PUBLISH:
            self._hear(packets.published(packet))
        elif packet.kind in (packets.PUBACK, packets.SUBACK):
            self._answered(*packets.answer_of(packet))
        elif packet.kind == packets.CONNACK:
            self.present = bool(packet.body[0] & 1)
            self._ping()
            self._answered(0, packet.body[1])
        elif packet.kind == packets.DISCONNECT:
            self.told = True

    def _hear(self, message: Published) -> None:
        if message.packet_id:
            self._write(packets.puback(message.packet_id))
        self._on_message(self, message)

    def _answered(self, packet_id: int, code: int) -> None:
        answer = self._answers.get(packet_id)
        if answer is not None and not answer.done():
            answer.set_result(code)
