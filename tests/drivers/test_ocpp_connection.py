"""Whether a charger is still there, over hours of virtual time: a pong counts as much as a frame."""

from __future__ import annotations

import asyncio
from typing import Any

from drivers.ocpp.connection import PING_S, SILENT_AFTER_S, UNPINGED_AFTER_S, Connection
from drivers.ocpp.rpc import Payload
from tests.faults.virtual_clock import virtual


class Wire:
    """The library's socket, as far as a connection uses it."""

    def __init__(self, *, pongs_until_s: float = 0.0, frame_every_s: float = 1e9) -> None:
        self.pings = 0
        self.closed = False
        self._pongs_until_s = pongs_until_s
        self._frame_every_s = frame_every_s

    async def recv(self, **_: Any) -> bytes:
        await asyncio.sleep(self._frame_every_s)
        return b'[2,"x","Heartbeat",{}]'

    async def send(self, _text: str) -> None:
        pass

    async def ping(self) -> asyncio.Future[float]:
        self.pings += 1
        loop = asyncio.get_running_loop()
        pong = loop.create_future()
        if loop.time() <= self._pongs_until_s:
            loop.call_later(0.01, pong.set_result, 0.01)
        return pong

    async def close(self, _code: int) -> None:
        self.closed = True


class Ear:
    """Counts the signs of life."""

    def __init__(self) -> None:
        self.signs = 0

    def asked(self, _action: str, _payload: Payload) -> Payload | None:
        return {}

    def alive(self) -> None:
        self.signs += 1


async def _lived_s(wire: Wire, at_most_s: float) -> tuple[float, Connection, Ear]:
    """How long a connection on this wire lives."""
    loop, ear = asyncio.get_running_loop(), Ear()
    connection = Connection(wire, "garage")
    connection.serve(ear)
    began_s = loop.time()
    running = asyncio.create_task(connection.run(10))
    await asyncio.wait({running}, timeout=at_most_s)
    lived_s = loop.time() - began_s
    connection.end("the test is over")
    await running
    assert wire.closed
    return lived_s, connection, ear


@virtual
async def test_a_charger_that_says_nothing_at_all_is_given_up() -> None:
    wire = Wire()
    lived_s, connection, _ = await _lived_s(wire, 3600)
    assert lived_s == SILENT_AFTER_S
    assert connection.stuck
    assert wire.pings == SILENT_AFTER_S // PING_S - 1


@virtual
async def test_pongs_alone_keep_it() -> None:
    lived_s, _, ear = await _lived_s(Wire(pongs_until_s=1e9), 3600)
    assert lived_s == 3600
    assert ear.signs >= 3600 / PING_S - 2


@virtual
async def test_frames_alone_keep_it_from_a_charger_that_answers_no_ping() -> None:
    lived_s, _, ear = await _lived_s(Wire(frame_every_s=60), 3600)
    assert lived_s == 3600
    assert ear.signs >= 58


@virtual
async def test_one_that_answered_pings_and_stops_is_given_up_sooner() -> None:
    lived_s, connection, _ = await _lived_s(Wire(pongs_until_s=600), 3600)
    assert 600 < lived_s <= 600 + UNPINGED_AFTER_S + 1
    assert "nothing was heard" in connection.why


@virtual
async def test_a_connection_that_nobody_serves_is_closed() -> None:
    wire = Wire()
    connection = Connection(wire, "garage")
    await connection.run(10)
    assert wire.closed
    assert connection.ended
