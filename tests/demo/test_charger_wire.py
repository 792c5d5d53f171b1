"""The simulated charger's conversation as text on a real WebSocket: boot, answers, loss and repetition."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from gateway.demo.devices import ocpp
from gateway.demo.devices.ocpp import Call
from tests.demo.charging import Garage, Message


class Central:
    """The far end of a WebSocket: what it hears, and how it answers."""

    def __init__(self) -> None:
        self.port = 0
        self.heard: asyncio.Queue[list[Any]] = asyncio.Queue()
        self.connections: list[ServerConnection] = []
        self.boots = ["Accepted"]

    async def serve(self, socket: ServerConnection) -> None:
        """One connection."""
        self.connections.append(socket)
        async for text in socket:
            frame = json.loads(text)
            if frame[0] == 2:
                answer: Message = {"currentTime": "2026-11-23T17:00:00Z"}
                if frame[2] == "BootNotification":
                    status = self.boots.pop(0) if len(self.boots) > 1 else self.boots[0]
                    answer |= {"status": status, "interval": 1}
                await socket.send(json.dumps([3, frame[1], answer]))
            await self.heard.put(frame)

    async def next(self) -> list[Any]:
        """The next frame it hears."""
        async with asyncio.timeout(15.0):
            return await self.heard.get()


@pytest.fixture
async def central() -> AsyncIterator[Central]:
    central = Central()
    subprotocols = [Subprotocol("ocpp1.6")]
    async with serve(central.serve, "127.0.0.1", 0, subprotocols=subprotocols) as server:
        central.port = server.sockets[0].getsockname()[1]
        yield central


@contextlib.asynccontextmanager
async def _speaking(central: Central, password: str | None = None) -> AsyncIterator[Garage]:
    garage = Garage()
    async with ocpp.speaking(garage.point, f"ws://127.0.0.1:{central.port}/garage", password):
        yield garage


async def test_it_introduces_itself_and_then_tells_the_state_of_both_connectors(central: Central) -> None:
    async with _speaking(central) as garage:
        boot, box, connector = [await central.next() for _ in range(3)]
        path = central.connections[0].request
        assert path is not None
        assert path.path == "/garage"
        assert central.connections[0].subprotocol == "ocpp1.6"
    assert (boot[0], boot[2]) == (2, "BootNotification")
    assert boot[3].keys() >= {"chargePointVendor", "chargePointModel"}
    assert [(f[2], f[3]["connectorId"], f[3]["status"]) for f in (box, connector)] == [
        ("StatusNotification", 0, "Available"),
        ("StatusNotification", 1, "Preparing"),
    ]
    assert connector[3]["timestamp"].startswith("2026-11-23T17:00:0")
    assert garage.asked == []


async def test_it_says_nothing_else_until_it_is_accepted(central: Central) -> None:
    central.boots = ["Pending", "Accepted"]
    async with _speaking(central):
        said = [(await central.next())[2] for _ in range(3)]
    assert said == ["BootNotification", "BootNotification", "StatusNotification"]


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        ('[2,"a","ClearChargingProfile",{}]', [3, "a", {"status": "Unknown"}]),
        ('[2,"b","UpdateFirmware",{}]', [4, "b", "NotImplemented", "UpdateFirmware", {}]),
        ('[2,"c","RemoteStopTransaction",{"transactionId":1}]', [3, "c", {"status": "Rejected"}]),
    ],
)
async def test_a_call_is_answered_under_its_number(central: Central, call: str, answer: list[Any]) -> None:
    async with _speaking(central):
        for _ in range(3):
            await central.next()
        await central.connections[0].send("no json")
        await central.connections[0].send('[3,"never asked",{}]')
        await central.connections[0].send(call)
        assert await central.next() == answer


async def test_it_comes_back_after_a_loss(central: Central, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocpp, "WAITS_S", (0.05,))
    async with _speaking(central) as garage:
        for _ in range(3):
            await central.next()
        await central.connections[0].close()
        assert (await central.next())[2] == "BootNotification"
        await central.next()
        assert garage.point.online
    assert len(central.connections) == 2


async def test_a_call_that_gets_no_answer_ends_the_connection(
    central: Central, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ocpp, "ANSWER_WITHIN_S", 0.05)
    monkeypatch.setattr(ocpp, "WAITS_S", (0.05,))

    async def silent(socket: ServerConnection) -> None:
        central.connections.append(socket)
        async for text in socket:
            await central.heard.put(json.loads(text))

    async with serve(silent, "127.0.0.1", 0, subprotocols=[Subprotocol("ocpp1.6")]) as server:
        central.port = server.sockets[0].getsockname()[1]
        async with _speaking(central):
            assert [(await central.next())[2] for _ in range(2)] == ["BootNotification"] * 2
    assert len(central.connections) >= 2


async def test_a_transactions_message_that_gets_an_error_is_said_three_times(
    central: Central, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ocpp, "RETRY_S", 0.01)

    async def refuse(socket: ServerConnection) -> None:
        async for text in socket:
            frame = json.loads(text)
            await central.heard.put(frame)
            await socket.send(json.dumps([4, frame[1], "InternalError", "odd", {}]))

    garage = Garage(boots_each_time=False)
    garage.connect()
    garage.heard()
    garage.point.outbox.put(Call("StopTransaction", dict, kept=True))
    garage.point.outbox.put(Call("Heartbeat", dict))
    async with serve(refuse, "127.0.0.1", 0, subprotocols=[Subprotocol("ocpp1.6")]) as server:
        port = server.sockets[0].getsockname()[1]
        async with ocpp.speaking(garage.point, f"ws://127.0.0.1:{port}/garage"):
            said = [(await central.next())[2] for _ in range(4)]
    assert said == ["StopTransaction"] * 3 + ["Heartbeat"]


async def test_it_gives_its_password_with_its_name(central: Central) -> None:
    async with _speaking(central, "a secret"):
        await central.next()
        request = central.connections[0].request
    assert request is not None
    kind, _, word = request.headers["Authorization"].partition(" ")
    assert (kind, base64.b64decode(word)) == ("Basic", b"garage:a secret")
