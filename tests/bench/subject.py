"""A program under test: a process of its own, with a heat pump of its own that notes each write."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.console.local_socket import NoAnswer, ask
from tests.bench import bare_script
from tests.fakes.modbus import ModbusServer, Xtherma
from tests.faults.kill9 import Kill9

HOST = "127.0.0.1"
ASSET = "heat"
WITHIN_S = 20.0  # for a start; far more than it takes


class WatchedPump(Xtherma):
    """The heat pump every program gets; `on_write` hears each register with the moment it arrived."""

    on_write: Callable[[int, float], None] = staticmethod(lambda _address, _at_s: None)

    def put(self, table: str, address: int, value: int) -> None:
        at_s = time.perf_counter()
        super().put(table, address, value)
        self.on_write(address, at_s)


@dataclass
class Bare:
    """The bare script."""

    site: str
    pump: WatchedPump
    pid: int
    signs: bool = False


@dataclass
class Homeflex:
    """The daemon in a folder of its own, with an empty store; not started yet."""

    site: str
    pump: WatchedPump
    program: Kill9
    console: Path
    notices: socket.socket
    pid: int = 0
    signs: bool = True

    async def start(self) -> float:
        """Start it; seconds from the start of the process to READY=1: its first decision is taken.

        Raises:
            RuntimeError: it does not get ready.
        """
        began_s = time.perf_counter()
        self.pid = await self.program.start()
        await self._within(self._ready())
        return time.perf_counter() - began_s

    async def settled(self) -> None:
        """Wait until it knows what its heat pump draws.

        Raises:
            RuntimeError: it never does.
        """
        await self._within(self._sees_power())

    async def _ready(self) -> None:
        loop = asyncio.get_running_loop()
        while b"READY=1" not in await loop.sock_recv(self.notices, 4096):
            pass

    async def _sees_power(self) -> None:
        while not await asyncio.to_thread(_power_is_known, self.console):
            await asyncio.sleep(0.1)

    async def _within(self, work: Coroutine[object, object, None]) -> None:
        try:
            await asyncio.wait_for(work, WITHIN_S)
        except TimeoutError as error:
            raise RuntimeError(f"homeflex does not start:\n{self.program.output}") from error


def _power_is_known(console: Path) -> bool:
    try:
        return all(asset["power_w"] is not None for asset in ask(console, {"ask": "status"})["assets"])
    except NoAnswer:
        return False


@contextlib.asynccontextmanager
async def bare(site: str, broker_port: int) -> AsyncIterator[Bare]:
    """The bare script, running."""
    async with _pump() as (pump, port):
        command = [sys.executable, bare_script.__file__, str(broker_port), str(port), site]
        async with Kill9(command) as program:
            yield Bare(site, pump, await program.start())


@contextlib.asynccontextmanager
async def homeflex(
    site: str,
    folder: Path,
    broker_port: int,
    trust_store: str,
    *,
    meter: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Homeflex]:
    """A home for the daemon; whatever still runs of it at the end is killed."""
    folder.mkdir()
    config = folder / "homeflex.toml"
    name = f"homeflex-bench-{secrets.token_hex(8)}"
    async with _pump() as (pump, port):
        (folder / "keys.json").write_text(trust_store)
        config.write_text(configuration(site, broker_port, port, meter))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
            notices.bind(f"\0{name}")
            notices.setblocking(False)
            command = [sys.executable, "-m", "gateway", "run", "--config", str(config)]
            async with Kill9(command, {"NOTIFY_SOCKET": f"@{name}", **(environment or {})}) as program:
                yield Homeflex(site, pump, program, folder / "console.sock", notices)


@contextlib.asynccontextmanager
async def _pump() -> AsyncIterator[tuple[WatchedPump, int]]:
    pump = WatchedPump()
    async with ModbusServer({1: pump}) as server:
        yield pump, server.port


def configuration(site: str, broker_port: int, pump_port: int, meter: str | None) -> str:
    """One heat pump, read each second as the bare script does; no local limit stands in the way."""
    text = f"""\
[site]
id = "{site}"
zone = "Europe/London"

[paths]
state = "."
socket = "console.sock"

[uplink]
host = "{HOST}"
port = {broker_port}

[security]
keys = "keys.json"

[reporting]
offset_s = 0

[clock]
trust = "always"

[devices.hp]
driver = "modbus"
profile = "xtherma"
host = "{HOST}"
port = {pump_port}
poll_s = 1

[asset.{ASSET}]
class = "heat"
control = "hp"
nominal_w = 1500
power_w = ["hp.power_w"]

[asset.{ASSET}.care]
min_run_s = 0
min_rest_s = 0
"""
    if meter is None:
        return text
    return f"""{text}
[devices.meter]
driver = "p1"
tcp = "{meter}"

[boundary]
power_w = ["meter.power_w"]
import_ws = ["meter.import_ws"]
export_ws = ["meter.export_ws"]
"""
