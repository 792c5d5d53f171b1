"""A TCP proxy that breaks on command: put it between the program and its broker, charger or meter.

    async with TcpProxy("127.0.0.1", 1883) as proxy:
        ...connect to proxy.port...
        proxy.fault = Fault(stall=True)      # from now on, also for what is connected
        proxy.fault = HEALTHY

It counts what came through, so that a test can say "and it did not connect again".
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import StrEnum

CHUNK = 65_536


class Way(StrEnum):
    """Where bytes go: `UP` from the one who connected to the target, `DOWN` back."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong now, in the ways named. Faults can be combined.

    refuse     new connections are reset at once
    stall      bytes wait in the proxy and go on when the fault ends; the connection stays
    half_open  bytes are swallowed, and the end of one side is not told to the other
    split      every `split` bytes travel alone
    corrupt    the share of bytes (0..1) that have one bit turned
    slow       bytes a second at most
    delay_s    every piece arrives so much later
    """

    ways: frozenset[Way] = frozenset(Way)
    refuse: bool = False
    stall: bool = False
    half_open: bool = False
    split: int = 0
    corrupt: float = 0.0
    slow: float = 0.0
    delay_s: float = 0.0


HEALTHY = Fault()


@dataclass
class TcpProxy:
    """Listens on `port` of the loopback (0: a free one) and connects to the target for each connection.
    `seed` decides which bytes `corrupt` turns."""

    target_host: str
    target_port: int
    port: int = 0
    seed: int = 0
    connections: int = 0  # that reached the target
    refused: int = 0
    bytes: dict[Way, int] = field(default_factory=lambda: dict.fromkeys(Way, 0))
    """Bytes that arrived at the proxy, by way; also those it then swallowed."""

    def __post_init__(self) -> None:
        self._fault = HEALTHY
        self._changed = asyncio.Event()
        self._random = random.Random(self.seed)
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def fault(self) -> Fault:
        """What is wrong now."""
        return self._fault

    @fault.setter
    def fault(self, fault: Fault) -> None:
        self._fault = fault
        self._changed.set()
        self._changed = asyncio.Event()

    @property
    def open_connections(self) -> int:
        """Connections through the proxy at this moment."""
        return len(self._tasks)

    def cut(self) -> None:
        """Reset every connection now (RST to both sides). New ones are welcome: see `Fault.refuse`."""
        for writer in self._writers:
            writer.transport.abort()

    async def __aenter__(self) -> TcpProxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._fault.refuse:
            self.refused += 1
            writer.transport.abort()
            return
        task = asyncio.create_task(self._join(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self._owned(writer):
            try:
                far_reader, far_writer = await asyncio.open_connection(self.target_host, self.target_port)
            except OSError:
                return
            async with self._owned(far_writer):
                self.connections += 1
                await asyncio.gather(
                    self._carry(Way.UP, reader, far_writer), self._carry(Way.DOWN, far_reader, writer)
                )

    @contextlib.asynccontextmanager
    async def _owned(self, writer: asyncio.StreamWriter) -> AsyncIterator[None]:
        self._writers.add(writer)
        try:
            yield
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _carry(self, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):  # also ENOTCONN, where the other way was reset meanwhile
            while data := await reader.read(CHUNK):
                self.bytes[way] += len(data)
                await self._pass_on(way, data, writer)
            await self._while(way, "half_open")
            if writer.can_write_eof():
                writer.write_eof()
            return
        # A reset is passed on as a reset.
        await self._while(way, "half_open")
        writer.transport.abort()

    async def _pass_on(self, way: Way, data: bytes, writer: asyncio.StreamWriter) -> None:
        size = self._now(way).split or len(data)
        for start in range(0, len(data), size):
            await self._while(way, "stall")
            fault = self._now(way)
            piece = self._turned(data[start : start + size], fault.corrupt)
            await asyncio.sleep(fault.delay_s + (len(piece) / fault.slow if fault.slow else 0.0))
            if self._now(way).half_open:
                continue
            writer.write(piece)
            await writer.drain()

    def _now(self, way: Way) -> Fault:
        return self._fault if way in self._fault.ways else HEALTHY

    async def _while(self, way: Way, trouble: str) -> None:
        while getattr(self._now(way), trouble):
            await self._changed.wait()

    def _turned(self, piece: bytes, share: float) -> bytes:
        if not share:
            return piece
        turned = (b ^ (1 << self._random.randrange(8)) if self._random.random() < share else b for b in piece)
        return bytes(turned)
