"""What is broken in a sabotaged run, one scene at a time: a device, the line, or somebody on the path.

Only that scene may fail:
    1  the charger takes profiles and does not follow them
    2  the pump takes register 71 and does not follow it
    3  the plug's relay, once open, does not close again
    4  the charger never offers more than the least a car can take
    5  the pump, let go, creeps on at its lowest speed
    6  no device's timer ends anything: watchdog, profile, plug
    7  the network acknowledges the readings of one minute and loses them
    8  somebody on the path to the pump repeats the writes of a block he captured, and of its end
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import Iterator

from gateway.demo.devices import charger, plug, pump
from gateway.demo.stage import Stage

SCENES = range(1, 9)
_HOST = "127.0.0.1"
_BLOCKED_S = 2.5
_WRITE_ONE = 6
_PUMP_FAULTS = {2: pump.Fault.DEAF, 5: pump.Fault.CREEPING, 6: pump.Fault.SLEEPING_WATCHDOG}
_CHARGER_FAULTS = {1: charger.Fault.DEAF, 4: charger.Fault.WEAK, 6: charger.Fault.ETERNAL}
_PLUG_FAULTS = {3: plug.Fault.GAPING, 6: plug.Fault.SLEEPING_TIMER}


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


@contextlib.contextmanager
def sabotaged(scene: int, stage: Stage) -> Iterator[None]:
    """What a scene needs is broken while the block runs, and whole again after it."""
    stage.pump.fault = _PUMP_FAULTS.get(scene)
    stage.charger.fault = _CHARGER_FAULTS.get(scene)
    stage.plug.fault = _PLUG_FAULTS.get(scene)
    stage.line.loses = OneMinute() if scene == 7 else None
    try:
        yield
    finally:
        stage.pump.fault = stage.charger.fault = stage.plug.fault = stage.line.loses = None


async def replay_block(pump_port: int) -> None:
    """Write a block to the pump, as the gateway was seen to, and its end a little later."""
    reader, writer = await asyncio.open_connection(_HOST, pump_port)
    try:
        for register, value in ((pump.SURPLUS_W, 0), (pump.SURPLUS_CONTROL, 1), (pump.SURPLUS_CONTROL, 0)):
            if value == 0 and register == pump.SURPLUS_CONTROL:
                await asyncio.sleep(_BLOCKED_S)
            writer.write(struct.pack(">HHHBBHH", 1, 0, 6, pump.UNIT, _WRITE_ONE, register, value))
            await reader.readexactly(12)
    finally:
        writer.close()
