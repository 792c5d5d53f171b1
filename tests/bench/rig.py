"""What is timed: a kind of device, the bare script that drives it, and how the daemon is told of it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Protocol

from tests.bench import bare_central, bare_script
from tests.bench.charge_point import DEMAND_W, ID, SET_POINT, ChargePoint
from tests.fakes.modbus import ModbusServer, Xtherma
from tests.fakes.mosquitto import free_port

HOST = "127.0.0.1"


class Watched(Protocol):
    """A simulated device; `on_command` hears what it is told, with the moment it arrived."""

    on_command: Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Rig:
    """One kind of device.

    `in_force` is the command that makes a hold hold. `cap_kw` is the cap of the n-th hold of a life;
    where `ends`, each is ended before the next. `running` gives the device and the port at which it, or
    the program it connects to, listens. `sections` are its tables of the daemon's configuration.
    """

    name: str
    asset: str
    script: Path
    in_force: str
    ends: bool
    cap_kw: Callable[[int], float]
    running: Callable[[], AbstractAsyncContextManager[tuple[Watched, int]]]
    sections: Callable[[int], str]


class WatchedPump(Xtherma):
    """The heat pump every program gets."""

    on_command: Callable[[str, float], None] = staticmethod(lambda _what, _at_s: None)

    def put(self, table: str, address: int, value: int) -> None:
        at_s = perf_counter()
        super().put(table, address, value)
        self.on_command(f"register {address}", at_s)


@contextlib.asynccontextmanager
async def pump() -> AsyncIterator[tuple[Watched, int]]:
    """A heat pump behind a port of its own."""
    found = WatchedPump()
    async with ModbusServer({1: found}) as server:
        yield found, server.port


@contextlib.asynccontextmanager
async def charger(speed: float = 1.0) -> AsyncIterator[tuple[Watched, int]]:
    """A charger that connects to a free port as soon as somebody listens there."""
    port = free_port()
    found = ChargePoint(port, speed)
    async with found.plugged_in():
        yield found, port


def pump_sections(port: int) -> str:
    """Read each second, as the bare script does; no local limit stands in the way."""
    return f"""
[devices.hp]
driver = "modbus"
profile = "xtherma"
host = "{HOST}"
port = {port}
poll_s = 1

[asset.heat]
class = "heat"
control = "hp"
nominal_w = 1500
power_w = ["hp.power_w"]

[asset.heat.care]
min_run_s = 0
min_rest_s = 0
starts_per_hour = 0
starts_per_day = 0
"""


def charger_sections(port: int) -> str:
    """A charger whose set-points may follow each other closely: each is lower than the last."""
    return f"""
[devices.charger]
driver = "ocpp"
listen = "{HOST}"
port = {port}
charge_point = "{ID}"

[asset.ev]
class = "ev"
control = "charger"
nominal_w = {DEMAND_W}
power_w = ["charger.power_w"]
import_ws = ["charger.import_ws"]
connected = ["charger.connected"]
care = {{ change_every_s = 0 }}
charge = {{ default_hours = false }}
"""


PUMP = Rig(
    name="register",
    asset="heat",
    script=Path(bare_script.__file__),
    in_force="register 70",  # Xtherma: surplus control, which makes a block hold and ends it
    ends=True,
    cap_kw=lambda _hold: 0.0,
    running=pump,
    sections=pump_sections,
)
CHARGER = Rig(
    name="SetChargingProfile",
    asset="ev",
    script=Path(bare_central.__file__),
    in_force=SET_POINT,
    ends=False,
    cap_kw=lambda hold: round(DEMAND_W / 1000 - 0.2 * (hold + 1), 1),
    running=charger,
    sections=charger_sections,
)
