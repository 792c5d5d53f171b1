"""The listening socket chargers connect to, shared by the devices of one port: who may come in, and as whom.

A charger is known by the last part of the address it calls. The newest connection of a charger counts:
a charger that lost its network does not know that the old one is still open here.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Self
from urllib.parse import unquote

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import NegotiationError
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from drivers.base import Unreachable, WrongDevice
from drivers.ocpp.connection import Connection
from drivers.ocpp.version import OCPP_16, OCPP_201

# What the library would log comes back as an error, once, in the supervisor's words.
_QUIET = logging.getLogger("websockets.homeflex")
_QUIET.setLevel(logging.CRITICAL + 1)

LARGEST_MESSAGE_BYTES = 2**18
LONGEST_QUEUE = 16
OPEN_WITHIN_S = 10.0
CLOSE_WITHIN_S = 1.0
SERVED_WITHIN_S = 10.0  # a connection nobody serves by then is closed
LONGEST_ID = 64
CONNECTIONS_MAX = 32  # of all chargers, those that are being closed included
_SPOKEN = (OCPP_16, OCPP_201)


@dataclass(eq=False)
class Seat:
    """The place of one charger: who may take it, and the connection that has it now."""

    charge_point: str | None  # None: whoever comes
    password: str | None
    first: str = OCPP_16  # to be spoken with one that offers several
    connection: Connection | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def taken(self) -> Connection:
        """The newest living connection, as soon as there is one."""
        while self.connection is None or self.connection.ended:
            self.changed.clear()
            await self.changed.wait()
        return self.connection

    def take(self, connection: Connection) -> None:
        """Give the place to a newer connection."""
        if self.connection:
            self.connection.end("a newer connection of the charger took its place")
        self.connection = connection
        self.changed.set()


class Link:
    """One port. Use as `async with`; leaving it closes every connection with "going away"."""

    def __init__(self, host: str, port: int) -> None:
        self.turned_away: str | None = None  # the last one, in words for a person
        self._host = host
        self._port = port
        self._seats: list[Seat] = []
        self._known: set[str] = set()  # ids that had a seat: they will have one again soon
        self._open: set[Connection] = set()
        self._server: Server | None = None

    async def __aenter__(self) -> Self:
        try:
            self._server = await serve(
                self._serve,
                self._host,
                self._port,
                select_subprotocol=self._spoken,
                process_request=self._admit,
                server_header=None,
                compression=None,
                max_size=LARGEST_MESSAGE_BYTES,
                max_queue=LONGEST_QUEUE,
                open_timeout=OPEN_WITHIN_S,
                close_timeout=CLOSE_WITHIN_S,
                ping_interval=None,
                logger=_QUIET,
            )
        except OSError as error:
            raise Unreachable(
                f"cannot listen on {self._host}:{self._port}, another program may have it: {error}"
            ) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        for connection in tuple(self._open):
            connection.end("the gateway stops listening")
        if self._server:
            self._server.close()
            await self._server.wait_closed()

    @contextmanager
    def seat(self, charge_point: str | None, password: str | None, first: str = OCPP_16) -> Iterator[Seat]:
        """A place for one charger, until left.

        Raises:
            WrongDevice: it could not be told from another one on this port.
        """
        if any(None in (charge_point, other.charge_point) for other in self._seats):
            raise WrongDevice(f"several chargers on port {self._port}: each needs its charge_point")
        if any(other.charge_point == charge_point for other in self._seats):
            raise WrongDevice(f"two devices on port {self._port} are charge_point {charge_point!r}")
        seat = Seat(charge_point, password, first)
        self._seats.append(seat)
        if charge_point is not None and len(self._known) < CONNECTIONS_MAX:
            self._known.add(charge_point)
        try:
            yield seat
        finally:
            self._seats.remove(seat)
            if seat.connection:
                seat.connection.end("the gateway no longer serves it")

    def _seat_of(self, charge_point: str) -> Seat | None:
        for seat in self._seats:
            if seat.charge_point == charge_point or (charge_point == "" and len(self._seats) == 1):
                return seat
            if seat.charge_point is None:
                live = seat.connection if seat.connection and not seat.connection.ended else None
                return seat if live is None or live.charge_point == charge_point else None
        return None

    def _seat_at(self, socket: ServerConnection) -> Seat | None:
        """The place of who calls over this socket."""
        charge_point = identity(socket.request.path) if socket.request else None
        return self._seat_of(charge_point) if charge_point is not None else None

    # --- the handshake ------------------------------------------------------------------------------

    def _admit(self, socket: ServerConnection, request: Request) -> Response | None:
        """Let a charger in, or say why not; what some chargers leave out of their handshake is put right."""
        _mend(request)
        charge_point = identity(request.path)
        seat = self._seat_of(charge_point) if charge_point is not None else None
        if len(self._open) >= CONNECTIONS_MAX:
            return self._turn_away(socket, HTTPStatus.SERVICE_UNAVAILABLE, "too many connections at once")
        if seat is None:
            status = HTTPStatus.SERVICE_UNAVAILABLE if charge_point in self._known else HTTPStatus.NOT_FOUND
            return self._turn_away(socket, status, f"{charge_point!r} is not configured here")
        if seat.password is not None and not is_authorised(request, charge_point or "", seat):
            response = self._turn_away(
                socket, HTTPStatus.UNAUTHORIZED, f"{charge_point!r} came with a wrong user or password"
            )
            response.headers["WWW-Authenticate"] = 'Basic realm="ocpp"'
            return response
        return None

    def _turn_away(self, socket: ServerConnection, status: HTTPStatus, why: str) -> Response:
        self.turned_away = why
        return socket.respond(status, f"{why}\n")

    def _spoken(self, socket: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        """The version to speak, the seat's first before the other; a charger that names none speaks 1.6."""
        seat = self._seat_at(socket)
        first = seat.first if seat else OCPP_16
        known = [name for name in offered if name.lower() in _SPOKEN]
        if known:
            return min(known, key=lambda name: name.lower() != first)
        if offered:
            spoken = " and ".join(_SPOKEN)
            self.turned_away = f"a charger speaks only {', '.join(offered)}; here {spoken} are spoken"
            raise NegotiationError(self.turned_away)
        return None

    async def _serve(self, socket: ServerConnection) -> None:
        seat = self._seat_at(socket)
        if seat is None or socket.request is None:
            return
        connection = Connection(socket, identity(socket.request.path) or "")
        seat.take(connection)
        self._open.add(connection)
        try:
            await connection.run(SERVED_WITHIN_S)
        finally:
            self._open.discard(connection)


def identity(path: str) -> str | None:
    """The charger's id: the last part of the path that is not empty, decoded; None if that is no id."""
    parts = [part for part in path.partition("?")[0].split("/") if part]
    found = unquote(parts[-1]) if parts else ""
    return found if len(found) <= LONGEST_ID and found.isprintable() else None


def is_authorised(request: Request, charge_point: str, seat: Seat) -> bool:
    """Whether the request brings the charger's id and its password (OCPP security white paper, profile 1)."""
    scheme, _, value = (request.headers.get_all("Authorization") or [""])[0].partition(" ")
    try:
        user, _, password = base64.b64decode(value, validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return False
    users = [name for name in (charge_point, seat.charge_point) if name]
    is_user = not users or any(hmac.compare_digest(user, name.encode()) for name in users)
    forms = _forms(seat.password or "")
    is_password = any(hmac.compare_digest(password, form) for form in forms)
    return scheme.lower() == "basic" and is_user and is_password


def _forms(password: str) -> list[bytes]:
    """The bytes a charger may send: as it stands, and with 2 hex digits for each byte or the other way."""
    plain = password.encode()
    forms = [plain, plain.hex().encode(), plain.hex().upper().encode()]
    with suppress(ValueError):
        forms += [bytes.fromhex(password), password.lower().encode(), password.upper().encode()]
    return forms


def _mend(request: Request) -> None:
    """Put right what some chargers get wrong: an empty list of protocols, a missing `Connection`."""
    headers = request.headers
    offered = headers.get_all("Sec-WebSocket-Protocol")
    if offered and not "".join(offered).strip(" ,"):
        del headers["Sec-WebSocket-Protocol"]
    if not headers.get_all("Connection") and headers.get_all("Upgrade"):
        headers["Connection"] = "Upgrade"
