"""The simulated devices of the home together: one second passes for all of them, and is written down.

What they are asked over their own protocols is written down too, as they heard it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from gateway.demo.devices.car import Car
from gateway.demo.devices.charge_point import ChargePoint
from gateway.demo.devices.freezer import Freezer
from gateway.demo.devices.house import House
from gateway.demo.devices.meter import Meter, base_load_w
from gateway.demo.devices.plug import Plug
from gateway.demo.devices.pump import Pump
from gateway.demo.log import Log


@dataclass
class Appliances:
    """The devices, and the meter that counts them and the rest of the house."""

    log: Log
    pump: Pump
    point: ChargePoint
    freezer: Freezer
    plug: Plug
    meter: Meter = field(default_factory=Meter)

    def tick(self, house_w: float) -> None:
        """Let one second pass, in which the rest of the house draws so much, and write it down."""
        self.pump.tick(1.0)
        self.point.tick(1.0)
        self.freezer.tick(1.0, self.plug.closed)
        self.plug.tick(1.0, self.freezer.power_w)
        charger = self.point.charger
        drawn_w = self.pump.power_w + charger.power_w + self.freezer.power_w
        self.meter.tick(1.0, house_w + drawn_w)
        self.log.note(
            "second",
            pump_w=self.pump.power_w,
            house_w=house_w,
            room_c=round(self.pump.house.room_c, 3),
            charger_w=round(charger.power_w, 1),
            car_soc=round(charger.car.soc, 5),
            car_connected=charger.car.plugged,
            freezer_w=self.freezer.power_w,
            plug_on=self.plug.closed,
            freezer_c=round(self.freezer.inside_c, 3),
        )


def of_the_home(log: Log) -> Appliances:
    """All of them as they are at the start of a run."""
    return Appliances(
        log=log,
        pump=Pump(House(), time.monotonic, _noting_writes(log)),
        point=ChargePoint(Car(), time.monotonic, _noting_asked(log, "charger")),
        freezer=Freezer(),
        plug=Plug(time.monotonic, log.now_utc_s, _noting_asked(log, "plug"), is_protected=True),
    )


@contextlib.asynccontextmanager
async def ticking(devices: Appliances, publish_room: Callable[[float], None]) -> AsyncIterator[None]:
    """One second of the home each second, while the block runs."""

    async def tick() -> None:
        due_s = time.monotonic()
        while True:
            devices.tick(base_load_w(due_s))
            devices.meter.send(devices.log.now_utc_s())
            publish_room(devices.pump.house.room_c)
            due_s += 1.0
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))

    async with asyncio.TaskGroup() as tasks:
        passing = tasks.create_task(tick(), name="home")
        try:
            yield
        finally:
            passing.cancel()


def _noting_writes(log: Log) -> Callable[[int, int, str], None]:
    return lambda register, value, peer: log.note("written", register=register, value=value, peer=peer)


def _noting_asked(log: Log, device: str) -> Callable[[str, dict[str, Any], str], None]:
    return lambda what, params, peer: log.note("asked", device=device, what=what, params=params, peer=peer)
