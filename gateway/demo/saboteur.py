"""What is broken around the daemon in a sabotaged run, apart from the pump's own faults."""

from __future__ import annotations

import asyncio
import json
import struct

from gateway.demo.devices.pump import SURPLUS_CONTROL, SURPLUS_W, UNIT

_HOST = "127.0.0.1"
_BLOCKED_S = 2.5
_WRITE_ONE = 6


class OneMinute:
    """Claims the readings of one minute for loss: the first minute it sees, whenever it comes again."""

    def __init__(self) -> None:
        self._ends: set[str] = set()

    def __call__(self, topic: str, payload: bytes) -> bool:
        if not topic.endswith("/telemetry"):
            return False
        points = json.loads(payload)["points"].values()
        ends = {reading["end"] for bundle in points for reading in bundle["readings"]}
        self._ends = self._ends or ends
        return bool(self._ends & ends)


async def replay_block(pump_port: int) -> None:
    """Write a block to the pump, as the gateway was seen to, and its end a little later."""
    reader, writer = await asyncio.open_connection(_HOST, pump_port)
    try:
        for register, value in ((SURPLUS_W, 0), (SURPLUS_CONTROL, 1), (SURPLUS_CONTROL, 0)):
            if value == 0 and register == SURPLUS_CONTROL:
                await asyncio.sleep(_BLOCKED_S)
            writer.write(struct.pack(">HHHBBHH", 1, 0, 6, UNIT, _WRITE_ONE, register, value))
            await reader.readexactly(12)
    finally:
        writer.close()
