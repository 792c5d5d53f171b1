"""Who comes in at a charger's port, and as whom: handshakes on a real socket."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path
from socket import socket as tcp_socket
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from drivers.base import Links, Sample, Unreachable, WrongDevice
from drivers.ocpp.connection import Lost
from drivers.ocpp.driver import Ocpp
from drivers.ocpp.link import CONNECTIONS_MAX, Link, identity
from drivers.ocpp.rpc import Payload
from drivers.ocpp.settings import Settings
from tests.drivers.ocpp_house import QUICK, Hub, home, serving
from tests.drivers.running import running
from tests.fakes.charger import Charger
from tests.fakes.mosquitto import free_port

PATIENT = replace(
    QUICK, first_contact_s=30.0, reconnect_s=30.0
)  # the port stays open while callers come and go


@pytest.fixture
def port() -> int:
    return free_port()


def _is_free(port: int) -> bool:
    with tcp_socket() as probe, suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False


@pytest.fixture
async def serve(port: int) -> AsyncIterator[Any]:
    """Starts a driver on the port; several share its link."""
    links = Links()
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> tuple[Hub, asyncio.Task[None]]:
            hub = Hub()
            driver = Ocpp(Settings(listen="127.0.0.1", port=port, timeout_s=1, **settings), links, PATIENT)
            task = await stack.enter_async_context(running(driver.run(hub)))
            while not task.done() and _is_free(port):
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)  # and has its seat
            return hub, task

        yield start


async def _status(charger: Charger) -> int:
    """101 if it is let in, else what it is told."""
    try:
        socket = await charger.open_socket()
    except InvalidStatus as refused:
        return refused.response.status_code
    await socket.close()
    return 101


# --- the id ---


@pytest.mark.parametrize(
    ("path", "charge_point"),
    [
        ("/garage", "garage"), ("/ocpp/1.6/garage", "garage"), ("//garage", "garage"), ("/garage/", "garage"),
        ("/ws://10.0.0.1:9000/garage", "garage"), ("/the%20garage", "the garage"),
        ("/garage?token=1", "garage"), ("/", ""), ("/%00", None), ("/" + "x" * 100, None),
    ],
)  # fmt: skip
def test_a_charger_is_known_by_the_last_part_of_its_path(path: str, charge_point: str | None) -> None:
    assert identity(path) == charge_point


@pytest.mark.parametrize(
    ("path", "status"), [("/x/garage", 101), ("/", 101), ("/garge", 404), ("/GARAGE", 404), ("/%0a", 404)]
)
async def test_only_who_is_configured_comes_in(serve: Any, port: int, path: str, status: int) -> None:
    await serve(charge_point="garage")
    assert await _status(Charger(port, path=path)) == status


async def test_the_only_charger_of_a_port_needs_no_name(serve: Any, port: int) -> None:
    hub, _ = await serve()
    async with Charger(port, id="whoever") as charger:
        await charger.until(lambda: len(charger.asked) > 5)
        assert await _status(Charger(port, id="another")) == 404  # one at a time
        await hub.holds(0)


async def test_several_chargers_share_a_port(serve: Any, port: int) -> None:
    hubs = {name: (await serve(charge_point=name, start=False))[0] for name in ("garage", "drive")}
    assert await _status(Charger(port, path="/")) == 404  # of two, nobody without a name
    async with Charger(port, id="garage") as garage, Charger(port, id="drive") as drive:
        for charger, limit in ((garage, 10), (drive, 20)):
            await charger.until(lambda charger=charger: len(charger.asked) > 5)  # type: ignore[misc]
            await charger.begin()
            await hubs[charger.id].holds(limit * 230)
            assert charger.limit_a() == limit
        assert garage.limit_a() == 10


async def test_two_chargers_that_cannot_be_told_apart_are_an_error(serve: Any) -> None:
    await serve(charge_point="garage")
    for settings in ({}, {"charge_point": "garage"}):
        _, task = await serve(**settings)
        with pytest.raises(WrongDevice, match="charge_point"):
            await asyncio.wait_for(task, 15)


async def test_a_port_that_is_taken_is_told(port: int) -> None:
    server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", port)
    async with server:
        with pytest.raises(Unreachable, match=f"cannot listen on 127.0.0.1:{port}"):
            await serving(Charger(port)).run(Hub())


async def test_a_charger_whose_driver_is_just_away_is_told_to_come_again(serve: Any, port: int) -> None:
    await serve(charge_point="garage")
    _, task = await serve(charge_point="drive")
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert await _status(Charger(port, id="drive")) == 503


# --- the version ---


@pytest.mark.parametrize(
    ("offered", "version", "status", "spoken"),
    [
        (("ocpp1.6",), "1.6", 101, "ocpp1.6"), ((), "1.6", 101, None), (("OCPP1.6",), "1.6", 101, "OCPP1.6"),
        (("ocpp2.0.1", "ocpp1.6"), "1.6", 101, "ocpp1.6"),
        (("ocpp1.6", "ocpp2.0.1"), "2.0.1", 101, "ocpp2.0.1"),
        (("ocpp2.1", "ocpp2.0.1"), "1.6", 101, "ocpp2.0.1"), (("ocpp1.6",), "2.0.1", 101, "ocpp1.6"),
        ((), "2.0.1", 101, None), (("ocpp2.1", "ocpp2.0", "ocpp1.5"), "2.0.1", 400, None),
    ],
)  # fmt: skip
async def test_the_version_is_1_6_unless_it_is_configured_or_offered_alone(
    serve: Any, port: int, offered: tuple[str, ...], version: str, status: int, spoken: str | None
) -> None:
    await serve(charge_point="garage", version=version)
    charger = Charger(port)
    charger.quirks.subprotocols = offered
    assert await _status(charger) == status
    if status == 101:
        socket = await charger.open_socket()
        assert socket.subprotocol == spoken
        await socket.close()


@pytest.mark.parametrize(
    "headers",
    [
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: \r\n",
        "Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Protocol: ocpp1.6,\r\n",
        "Upgrade: websocket\r\nSec-WebSocket-Protocol: ocpp1.6\r\n",
    ],
    ids=["empty protocol", "capitals and a comma", "no connection"],
)
async def test_a_handshake_that_lacks_something_is_put_right(serve: Any, port: int, headers: str) -> None:
    await serve(charge_point="garage")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    key = base64.b64encode(bytes(16)).decode()
    writer.write(
        f"GET /garage HTTP/1.1\r\nHost: hub\r\n{headers}Sec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
    )
    assert await reader.readline() == b"HTTP/1.1 101 Switching Protocols\r\n"
    writer.close()


# --- the password ---


@pytest.mark.parametrize(
    ("kept", "user", "brought", "status"),
    [
        ("a secret", "garage", "a secret", 101), ("a secret", "garage", "another", 401),
        ("a secret", "garge", "a secret", 401), ("a secret", None, None, 401),
        ("0011aabbccddeeff", "garage", bytes.fromhex("0011aabbccddeeff"), 101),
        ("0011aabbccddeeff", "garage", "0011AABBCCDDEEFF", 101), ("abc", "garage", "616263", 101),
        ("a secret", "garage", "", 401), ("ab:cd", "garage", "ab:cd", 101),
    ],
)  # fmt: skip
async def test_a_charger_brings_its_name_and_password(
    serve: Any, port: int, tmp_path: Path, kept: str, user: str, brought: str | bytes | None, status: int
) -> None:
    file = tmp_path / "charger.secret"
    file.write_text(kept + "\n")
    await serve(charge_point="garage", password_file=file)
    assert await _status(Charger(port, password=brought, user=user)) == status


@pytest.mark.parametrize("header", ["Basic", "Basic ????", "Bearer Z2FyYWdlOng=", "Basic Z2FyYWdl"])
async def test_a_broken_authorisation_is_none(serve: Any, port: int, tmp_path: Path, header: str) -> None:
    file = tmp_path / "charger.secret"
    file.write_text("x")
    await serve(charge_point="garage", password_file=file)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /garage HTTP/1.1\r\nHost: hub\r\nAuthorization: {header}\r\n\r\n".encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 401")
    writer.close()


# --- connections ---


async def test_the_newest_connection_of_a_charger_counts() -> None:
    async with home() as at:
        await at.set_up()
        old = at.charger._socket
        assert old is not None
        at.charger.reconnect_s = 60
        newer = await at.charger.open_socket()
        await at.charger.until(lambda: old.close_code == 1001)
        await newer.send('[2,"1","Heartbeat",{}]')
        async with asyncio.timeout(15):
            assert "currentTime" in str(await newer.recv())
        await newer.close()


class _Deaf:
    """Serves a connection and takes no interest."""

    def asked(self, _action: str, _payload: Payload) -> Payload | None:
        return None

    def alive(self) -> None:
        pass


@pytest.mark.parametrize("how", ["drop", "takeover", "end"])
async def test_every_pending_call_ends_with_its_connection(port: int, how: str) -> None:
    async with Link("127.0.0.1", port) as link:
        with link.seat("garage", None) as seat:
            charger = Charger(port, reconnect_s=60)
            charger.quirks.silent = True
            async with charger:
                connection = await seat.taken()
                connection.serve(_Deaf())
                calls = [
                    asyncio.create_task(connection.call("Heartbeat", dict, timeout_s=60)) for _ in range(3)
                ]
                await charger.until(lambda: charger.asked != [])
                if how == "drop":
                    charger.drop()
                elif how == "takeover":
                    await charger.open_socket()
                else:
                    connection.end("enough")
                async with asyncio.timeout(15):
                    ends = await asyncio.gather(*calls, return_exceptions=True)
                assert [type(end) for end in ends] == [Lost] * 3
                with pytest.raises(Lost):
                    await connection.call("Heartbeat", dict, timeout_s=60)


async def test_a_bug_in_serving_a_charger_is_not_hidden(port: int) -> None:
    class Broken(_Deaf):
        def asked(self, _action: str, _payload: Payload) -> Payload | None:
            raise LookupError("a bug")

    async with Link("127.0.0.1", port) as link:
        with link.seat("garage", None) as seat:
            async with Charger(port, reconnect_s=60):
                connection = await seat.taken()
                connection.serve(Broken())
                with pytest.raises(LookupError, match="a bug"):
                    await asyncio.wait_for(connection.over(), 15)


async def test_nor_does_it_pass_for_a_lost_connection() -> None:
    class Broken(Hub):
        def publish(self, points: Mapping[str, Sample]) -> None:
            raise LookupError("a bug")

    charger = Charger(free_port())
    charger.quirks.tells_status = False
    charger.quirks.mute = {"GetConfiguration"}  # a call is pending when it happens
    task = asyncio.create_task(serving(charger, timeout_s=30).run(Broken()))
    async with charger:
        await charger.until(lambda: charger.asked != [])
        with suppress(TimeoutError, ConnectionClosed):
            await asyncio.wait_for(charger.tell("Available"), 0.2)
        with pytest.raises(LookupError, match="a bug"):
            await asyncio.wait_for(task, 15)


async def test_a_stop_says_that_it_goes_away() -> None:
    charger = Charger(free_port())
    async with running(serving(charger).run(Hub())):
        await asyncio.sleep(0.05)
        socket = await charger.open_socket()
    await charger.until(lambda: socket.close_code == 1001)


async def test_there_are_never_more_than_so_many_connections(serve: Any, port: int) -> None:
    await serve(charge_point="garage")
    charger = Charger(port)
    sockets = await asyncio.gather(*(charger.open_socket() for _ in range(100)), return_exceptions=True)
    refused = [socket for socket in sockets if isinstance(socket, InvalidStatus)]
    assert len(sockets) - len(refused) <= CONNECTIONS_MAX
    assert {error.response.status_code for error in refused} <= {503}
    for socket in sockets:
        if isinstance(socket, ClientConnection):
            await socket.close()
    await asyncio.sleep(0.1)
    assert await _status(charger) == 101


async def test_a_flood_of_anything_leaves_the_port_serving(serve: Any, port: int) -> None:
    hub, task = await serve(charge_point="garage", start=False)
    for data in (
        b"",
        b"\x00" * 3000,
        b"GET / HTTP/1.1\r\n",
        b"GET /garage HTTP/1.1\r\n\r\n" * 50,
        b"x" * 100_000,
    ):
        for _ in range(5):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(data)
            writer.close()
            del reader
    for _ in range(10):
        await (await Charger(port).open_socket()).close()
    async with Charger(port) as charger:
        await charger.until(lambda: len(charger.asked) > 5)
        await charger.begin()
        await hub.holds(0)
    assert not task.done()
