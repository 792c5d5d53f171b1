"""HTTP/1.1 to one device over one kept-alive connection, one request at a time.

Knows requests and answers, not what they say. Every failure of the library or the socket leaves here as
one of the four errors. asyncio sets TCP_NODELAY on every TCP transport.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import h11

from drivers.base import Unintelligible, Unreachable

LARGEST_ANSWER_BYTES = 64 * 1024  # the largest status seen, of four switches, has under 4 KiB
_READ_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Names of headers are in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        """Every header of that name."""
        return [value for known, value in self.headers if known == name]


class Client:
    """Requests to one host. Use as `async with`; leaving it closes the connection."""

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        self._host = host
        self._port = port
        self._timeout_s = timeout_s
        self._wire: _Wire | None = None
        self._authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection up; the next request makes a new one."""
        wire, self._wire = self._wire, None
        if wire:
            wire.writer.transport.abort()

    async def request(
        self, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request and wait for its answer. It must be safe to repeat: a kept connection that the
        device gave up in the meantime is replaced once, and the request goes out again.

        Raises:
            Unreachable: no connection, or no whole answer in time.
            Unintelligible: an answer that is not HTTP, or larger than any device has a reason for.
        """
        known = {"host": self._authority, "content-length": str(len(body)), **(headers or {})}
        request = h11.Request(method=method, target=target, headers=list(known.items()))
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._answer(request, body)
        except TimeoutError as error:
            raise Unreachable(f"{self._authority}: no answer within {self._timeout_s:g} s") from error
        except (OSError, UnicodeError) as error:  # the latter: a name that cannot be one
            raise Unreachable(f"{self._authority}: {error or 'the connection was lost'}") from error
        except h11.RemoteProtocolError as error:
            if self._wire and self._wire.ended:
                raise Unreachable(f"{self._authority}: the connection ended in an answer") from error
            raise Unintelligible(f"{self._authority}: {error}") from error

    async def _answer(self, request: h11.Request, body: bytes) -> Answer:
        if self._wire and self._wire.is_free:
            try:
                return await self._wire.exchange(request, body)
            except _Unanswered:
                pass
        self.close()
        reader, writer = await asyncio.open_connection(self._host, self._port)
        self._wire = _Wire(reader, writer)
        try:
            return await self._wire.exchange(request, body)
        except _Unanswered as error:
            raise ConnectionResetError("it hung up without an answer") from error


class _Unanswered(Exception):
    """The connection ended before the first byte of an answer."""


class _Wire:
    """One connection and where the protocol stands on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.ended = False
        self._reader = reader
        self._protocol = h11.Connection(h11.CLIENT)
        self._is_silent = True  # since the last request

    @property
    def is_free(self) -> bool:
        """Whether the next request may go out here."""
        return self._protocol.states == {h11.CLIENT: h11.IDLE, h11.SERVER: h11.IDLE} and not (
            self.ended or self._reader.at_eof()
        )

    async def exchange(self, request: h11.Request, body: bytes) -> Answer:
        """One request and its answer; afterwards the wire is free if the device keeps it open.

        Raises:
            _Unanswered: it was closed and not a byte came.
        """
        self._is_silent = True
        try:
            for event in (request, h11.Data(data=body), h11.EndOfMessage()):
                self.writer.write(self._protocol.send(event) or b"")
            await self.writer.drain()
            answer = await self._receive()
        except ConnectionError as error:
            if self._is_silent:
                raise _Unanswered from error
            raise
        is_done = self._protocol.states == {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}
        if is_done and not self._protocol.trailing_data[0]:  # what nobody asked for is no next answer
            self._protocol.start_next_cycle()
        return answer

    async def _receive(self) -> Answer:
        status, body = 0, bytearray()
        headers: tuple[tuple[str, str], ...] = ()
        while not isinstance(event := await self._next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Response):
                status = event.status_code
                headers = tuple((n.decode("latin-1"), v.decode("latin-1")) for n, v in event.headers)
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > LARGEST_ANSWER_BYTES:
                    raise Unintelligible(f"an answer of more than {LARGEST_ANSWER_BYTES} bytes")
        return Answer(status, headers, bytes(body))

    async def _next_event(self) -> object:
        while (event := self._protocol.next_event()) is h11.NEED_DATA:
            data = await self._reader.read(_READ_BYTES)
            if not data and self._is_silent:
                raise _Unanswered
            self._is_silent, self.ended = False, not data
            self._protocol.receive_data(data)
        return event
