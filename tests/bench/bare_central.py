"""The floor of `make bench` for a charger: the least that turns an instruction into a SetChargingProfile.

MQTT in, one OCPP call out over bare `websockets` and `json`, an answer back. No signature, journal, limit,
reason, lease or queue.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from typing import Any

import aiomqtt
from websockets.asyncio.server import ServerConnection, serve

HOST = "127.0.0.1"
NO_DELAY = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
VOLTS = 230
ANSWERS = {
    "BootNotification": {"status": "Accepted", "currentTime": "2026-01-01T00:00:00Z", "interval": 300},
    "StartTransaction": {"transactionId": 1, "idTagInfo": {"status": "Accepted"}},
    "Authorize": {"idTagInfo": {"status": "Accepted"}},
    "Heartbeat": {"currentTime": "2026-01-01T00:00:00Z"},
}


class Central:
    """One charger's socket, and the one call under way on it."""

    def __init__(self) -> None:
        self._socket: ServerConnection | None = None
        self._answered = asyncio.Event()

    async def serve(self, connection: ServerConnection) -> None:
        """Answer what the charger asks; note its answers."""
        self._socket = connection
        async for text in connection:
            kind, id_, *rest = json.loads(text)
            if kind == 2:
                await connection.send(json.dumps([3, id_, ANSWERS.get(rest[0], {})]))
            else:
                self._answered.set()

    async def limit(self, watts: float) -> None:
        """Have the session draw at most so much."""
        assert self._socket
        self._answered.clear()
        await self._socket.send(json.dumps([2, "1", "SetChargingProfile", _profile(watts)]))
        await self._answered.wait()


def _profile(watts: float) -> dict[str, Any]:
    periods = [{"startPeriod": 0, "limit": round(watts / VOLTS, 1)}]
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": periods}
    profile = {
        "chargingProfileId": 1,
        "transactionId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": schedule,
    }
    return {"connectorId": 1, "csChargingProfiles": profile}


async def main(broker_port: int, listen_port: int, site: str) -> None:
    """Serve one site until ended."""
    central, base = Central(), f"homeflex/v1/{site}"
    connection = aiomqtt.Client(
        HOST,
        broker_port,
        identifier=f"bare-{site}",
        protocol=aiomqtt.ProtocolVersion.V5,
        socket_options=[NO_DELAY],
    )
    listening = serve(central.serve, HOST, listen_port, subprotocols=["ocpp1.6"], compression=None)  # type: ignore[list-item]
    async with listening, connection as broker:
        await broker.subscribe(f"{base}/dispatch", qos=1)
        await broker.publish(f"{base}/presence", json.dumps({"online": True}), qos=1, retain=True)
        async for message in broker.messages:
            order = json.loads(bytes(message.payload))
            await central.limit(order["intervals"][0]["payloads"][0]["values"][0] * 1000)
            answer = {"id": order["id"], "revision": order["revision"], "reception": "OK"}
            await broker.publish(f"{base}/dispatch/status", json.dumps(answer), qos=1)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
