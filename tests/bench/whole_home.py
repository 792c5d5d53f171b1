"""The three devices that a home has beside its heat pump, as fast as they are asked to live."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.bench.rig import HOST, charger, charger_sections
from tests.fakes.p1 import P1OverTcp, restamped
from tests.fakes.shelly import Shelly

_TELEGRAM = Path(__file__).parents[1] / "recordings" / "han" / "p1_nl_dsmr50_iskra_1ph.txt"
_METER_ZONE = ZoneInfo("Europe/Amsterdam")


@contextlib.asynccontextmanager
async def beside(utc_s: Callable[[], float], speed: float = 1.0) -> AsyncIterator[str]:
    """A charger with a car, a plug with a freezer and a meter, running; how the daemon is told of them."""
    async with charger(speed) as (_, port), _plug() as plug_port, _meter(utc_s, speed) as meter:
        yield f"{charger_sections(port)}{_plug_sections(plug_port)}{_meter_sections(meter)}"


@contextlib.asynccontextmanager
async def _meter(utc_s: Callable[[], float], speed: float) -> AsyncIterator[str]:
    """A smart meter that says what it measures once a second; where it listens."""
    telegram = _TELEGRAM.read_bytes()

    async def push() -> None:
        for second in range(10**9):
            local = datetime.fromtimestamp(utc_s(), UTC).astimezone(_METER_ZONE)
            meter.send(
                restamped(
                    telegram,
                    local=local,
                    summer=bool(local.dst()),
                    import_w=1800 + second % 7 * 10,
                    import_wh=5_000_000 + second // 2,
                )
            )
            await asyncio.sleep(1.0 / speed)

    async with P1OverTcp() as meter, asyncio.TaskGroup() as tasks:
        pushing = tasks.create_task(push(), name="meter")
        try:
            yield meter.address
        finally:
            pushing.cancel()


def _plug_sections(port: int) -> str:
    return f"""
[devices.freezer-plug]
driver = "shelly"
host = "{HOST}"
port = {port}

[asset.freezer]
class = "plug"
control = "freezer-plug"
nominal_w = 150
power_w = ["freezer-plug.power_w"]
import_ws = ["freezer-plug.import_ws"]

[asset.freezer.care]
appliance = "freezer"
"""


def _meter_sections(address: str) -> str:
    return f"""
[devices.meter]
driver = "p1"
tcp = "{address}"

[boundary]
power_w = ["meter.power_w"]
import_ws = ["meter.import_ws"]
export_ws = ["meter.export_ws"]
"""


@contextlib.asynccontextmanager
async def _plug() -> AsyncIterator[int]:
    """A plug with a freezer; the port it listens on."""
    async with Shelly() as plug:
        yield plug.port
