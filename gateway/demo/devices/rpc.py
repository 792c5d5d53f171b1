"""Shelly's remote procedure calls over HTTP: requests in, answers out, one a connection, digest if protected.

Written from the maker's "Gen2+ Device API" (RPC protocol, HTTP channel, authentication) and RFC 7616. It
knows no method but which of them need no password.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

Message = dict[str, Any]

USER = "admin"
OPEN_METHOD = "Shelly.GetDeviceInfo"  # anybody may ask who it is
NO_HANDLER, INVALID_ARGUMENT, NOT_FOUND = 404, -103, -105
_MOST_BYTES = 8192
_WITHIN_S = 10.0
_MOST_NONCES = 32


class Failed(Exception):
    """The call gets an error with this code and text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class Device(Protocol):
    """What answers the calls. `id` is the device's, and its realm."""

    id: str

    def call(self, method: str, params: Message, peer: str) -> Message:
        """The result. Raises `Failed`."""


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request; names of headers in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer with a JSON body."""

    status: HTTPStatus
    body: Message
    headers: tuple[str, ...] = ()


class Guard:
    """Digest authentication of one device (RFC 7616, SHA-256, qop auth). No password: everybody passes."""

    def __init__(self, realm: str, password: str | None) -> None:
        self._realm = realm
        self._secret = None if password is None else digest(f"{USER}:{realm}:{password}")
        self._counts: dict[str, int] = {}  # highest count used with each nonce given out

    def passes(self, request: Request) -> bool:
        """Whether it bears a proof for a nonce of ours, this method and target, not used before."""
        if self._secret is None:
            return True
        claim = fields(request.headers.get("authorization", ""))
        nonce, count = claim.get("nonce", ""), int(claim.get("nc") or "0", 16)
        if nonce not in self._counts or count <= self._counts[nonce]:
            return False
        about = digest(f"{request.method}:{request.target}")
        words = (self._secret, nonce, claim.get("nc"), claim.get("cnonce"), "auth", about)
        wanted = {"username": USER, "realm": self._realm, "uri": request.target, "qop": "auth"}
        right = all(claim.get(name) == value for name, value in wanted.items())
        if right and hmac.compare_digest(claim.get("response", ""), digest(":".join(map(str, words)))):
            self._counts[nonce] = count
            return True
        return False

    def challenge(self) -> Answer:
        """401, with a nonce; the oldest one given out is forgotten."""
        nonce = secrets.token_hex(8)
        self._counts[nonce] = 0
        while len(self._counts) > _MOST_NONCES:
            del self._counts[next(iter(self._counts))]
        header = f'Digest qop="auth", realm="{self._realm}", nonce="{nonce}", algorithm=SHA-256'
        return Answer(HTTPStatus.UNAUTHORIZED, {}, (f"WWW-Authenticate: {header}",))


@contextlib.asynccontextmanager
async def listening(
    device: Device, password: str | None = None, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[int]:
    """Serve the device while the block runs; gives the port."""
    guard = Guard(device.id, password)
    open_writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_writers.add(writer)
        try:
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                async with asyncio.timeout(_WITHIN_S):
                    await _converse(device, guard, reader, writer)
        finally:
            open_writers.discard(writer)
            writer.close()

    server = await asyncio.start_server(serve, host, port, limit=_MOST_BYTES)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in open_writers:
            writer.close()


def answer(device: Device, guard: Guard, request: Request, peer: str) -> Answer:
    """The answer to one request: `/shelly`, `/rpc` with a frame, or `/rpc/<method>?<params>`."""
    url = urlsplit(request.target)
    try:
        if url.path == "/shelly":
            return Answer(HTTPStatus.OK, device.call(OPEN_METHOD, {}, peer))
        if url.path == "/rpc":
            return _framed(device, guard, request, peer)
        if url.path.startswith("/rpc/"):
            return _plain(device, guard, request, peer)
    except (ValueError, TypeError, KeyError, AttributeError):
        return Answer(HTTPStatus.BAD_REQUEST, {"code": INVALID_ARGUMENT, "message": "bad request"})
    return Answer(HTTPStatus.NOT_FOUND, {"code": NO_HANDLER, "message": "not found"})


def digest(text: str) -> str:
    """The hash of RFC 7616, 3.3."""
    return hashlib.sha256(text.encode()).hexdigest()


def fields(header: str) -> dict[str, str]:
    """What a Digest header says, quoted or not."""
    if not header.lower().startswith("digest "):
        return {}
    found = re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', header)
    return {name.lower(): quoted or bare for name, quoted, bare in found}


def _framed(device: Device, guard: Guard, request: Request, peer: str) -> Answer:
    frame = json.loads(request.body)
    method, params = str(frame["method"]), frame.get("params") or {}
    if method != OPEN_METHOD and not guard.passes(request):
        return guard.challenge()
    reply: Message = {"id": frame.get("id"), "src": device.id}
    if "src" in frame:
        reply["dst"] = frame["src"]
    try:
        reply["result"] = device.call(method, params, peer)
    except Failed as failed:
        reply["error"] = {"code": failed.code, "message": failed.text}
    return Answer(HTTPStatus.OK, reply)


def _plain(device: Device, guard: Guard, request: Request, peer: str) -> Answer:
    url = urlsplit(request.target)
    method = url.path.removeprefix("/rpc/")
    if method != OPEN_METHOD and not guard.passes(request):
        return guard.challenge()
    params = {name: json.loads(value) for name, value in parse_qsl(url.query)}
    try:
        return Answer(HTTPStatus.OK, device.call(method, params, peer))
    except Failed as failed:
        status = HTTPStatus.NOT_FOUND if failed.code == NO_HANDLER else HTTPStatus.INTERNAL_SERVER_ERROR
        return Answer(status, {"code": failed.code, "message": failed.text})


async def _converse(
    device: Device, guard: Guard, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """One request and its answer: the device closes after each, as its HTTP server does."""
    peer = "{}:{}".format(*writer.get_extra_info("peername"))
    try:
        request = await _read(reader)
    except (ValueError, asyncio.LimitOverrunError):
        given = Answer(HTTPStatus.BAD_REQUEST, {"code": INVALID_ARGUMENT, "message": "bad request"})
    else:
        given = answer(device, guard, request, peer)
    body = json.dumps(given.body).encode()
    head = (
        f"HTTP/1.1 {given.status.value} {given.status.phrase}",
        "Server: ShellyHTTP/1.0.0",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *given.headers,
        "Connection: close",
    )
    writer.write("\r\n".join((*head, "", "")).encode() + body)
    await writer.drain()


async def _read(reader: asyncio.StreamReader) -> Request:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
    method, target, _ = first.split(" ")
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    length = int(headers.get("content-length", "0"))
    if not 0 <= length <= _MOST_BYTES:
        raise ValueError("a body of a known length, of at most 8 KiB")
    return Request(method, target, headers, await reader.readexactly(length))
