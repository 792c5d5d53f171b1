"""The home's line to the aggregator's broker: a TCP relay that can be cut, joined, and made to lose.

Cut means what a dead line means to the daemon's socket: reset, and no connection until joined again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine

HOST = "127.0.0.1"
_PUBLISH, _PUBACK = 3, 4
_CHUNK_BYTES = 65_536


class Line:
    """A relay to `port` on loopback.

    `loses(topic, payload)`, if set before a connection is made, is asked of every PUBLISH the home sends
    on it at QoS 1: one it claims gets its PUBACK from the line and goes no further, as with a broker that
    lost it after answering.
    """

    def __init__(self, port: int) -> None:
        self.loses: Callable[[str, bytes], bool] | None = None
        self._port = port
        self._joined = True
        self._open: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Break every connection and take no more."""
        self._joined = False
        for writer in list(self._open):
            writer.transport.abort()

    def join(self) -> None:
        """Take connections again."""
        self._joined = True

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """Relay while the block runs; gives the port the daemon is told."""
        server = await asyncio.start_server(self._serve, HOST, 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            self.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                if self._joined:
                    await self._relay(reader, writer)
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(HOST, self._port)
        self._open.add(far_writer)
        try:
            await _first(self._up(reader, far_writer, writer), _copy(far_reader, writer))
        finally:
            self._open.discard(far_writer)
            far_writer.transport.abort()

    async def _up(
        self, reader: asyncio.StreamReader, far: asyncio.StreamWriter, near: asyncio.StreamWriter
    ) -> None:
        if self.loses is None:
            return await _copy(reader, far)
        while True:
            head, body = await _packet(reader)
            identifier = self._lost(head[0], body)
            if identifier is None:
                far.write(head + body)
                await far.drain()
            else:
                near.write(bytes((_PUBACK << 4, 2)) + identifier)

    def _lost(self, first: int, body: bytes) -> bytes | None:
        """The packet identifier of a PUBLISH to lose; None: pass it on."""
        if first >> 4 != _PUBLISH or first & 0x06 == 0 or self.loses is None:
            return None
        end = 2 + int.from_bytes(body[:2], "big")
        identifier, rest = body[end : end + 2], body[end + 2 :]
        return identifier if self.loses(body[2:end].decode(), _payload(rest)) else None


def _payload(rest: bytes) -> bytes:
    """What follows the properties (MQTT 5, 2.2.2: their length in up to four bytes of seven bits)."""
    length, at = 0, 0
    while True:
        length |= (rest[at] & 0x7F) << 7 * at
        at += 1
        if not rest[at - 1] & 0x80:
            return rest[at + length :]


async def _packet(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """One MQTT control packet (MQTT 5, 2.1): its fixed header and the rest."""
    head = await reader.readexactly(1)
    length, shift = 0, 0
    while True:
        head += await reader.readexactly(1)
        length |= (head[-1] & 0x7F) << shift
        shift += 7
        if not head[-1] & 0x80 or shift > 21:
            return head, await reader.readexactly(length)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(_CHUNK_BYTES):
        writer.write(chunk)
        await writer.drain()


async def _first(*ways: Coroutine[None, None, None]) -> None:
    """Until one way ends; then both do, and its error is ours."""
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
