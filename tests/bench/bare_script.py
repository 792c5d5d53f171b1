"""The floor of `make bench`: the least that turns an instruction into a register, with the same libraries.

MQTT in, one register out, an answer back; one reading a second. No signature, journal, limit or reason.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys

import aiomqtt
from pymodbus.client import AsyncModbusTcpClient

HOST = "127.0.0.1"
NO_DELAY = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or every answer waits 40 ms for a delayed ACK
SURPLUS_CONTROL, POWER = 70, 177  # Xtherma, holding registers


async def obey(broker: aiomqtt.Client, device: AsyncModbusTcpClient, base: str) -> None:
    """Write one register for each instruction, then answer it."""
    await broker.subscribe(f"{base}/dispatch", qos=1)
    await broker.publish(f"{base}/presence", json.dumps({"online": True}), qos=1, retain=True)
    async for message in broker.messages:
        order = json.loads(bytes(message.payload))
        await device.write_register(SURPLUS_CONTROL, int(order["op"] == "set"), device_id=1)
        answer = {"id": order["id"], "revision": order["revision"], "reception": "OK"}
        await broker.publish(f"{base}/dispatch/status", json.dumps(answer), qos=1)


async def poll(device: AsyncModbusTcpClient) -> None:
    """Read what the heat pump draws once a second."""
    while True:
        await device.read_holding_registers(POWER, count=1, device_id=1)
        await asyncio.sleep(1.0)


async def main(broker_port: int, device_port: int, site: str) -> None:
    """Serve one site until ended."""
    device = AsyncModbusTcpClient(HOST, port=device_port)
    await device.connect()
    connection = aiomqtt.Client(
        HOST,
        broker_port,
        identifier=f"bare-{site}",
        protocol=aiomqtt.ProtocolVersion.V5,
        socket_options=[NO_DELAY],
    )
    async with connection as broker, asyncio.TaskGroup() as tasks:
        tasks.create_task(obey(broker, device, f"homeflex/v1/{site}"))
        tasks.create_task(poll(device))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
