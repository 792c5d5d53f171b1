"""Everything of the demo that has a lifetime: devices, brokers, the line, the aggregator, the daemon.

What happens to any of them is written to the log as seen from here, outside the daemon.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from gateway.demo import appliances, leash
from gateway.demo.aggregator import ACK_EVERY_S, Aggregator
from gateway.demo.broker import Broker, free_port
from gateway.demo.devices import modbus, ocpp, room, rpc
from gateway.demo.devices.car import Car
from gateway.demo.devices.charger import Charger
from gateway.demo.devices.freezer import Freezer
from gateway.demo.devices.plug import Plug
from gateway.demo.devices.pump import UNIT, Pump
from gateway.demo.home import CHARGE_POINT, PLUG_PASSWORD, Home, Ports, Timing
from gateway.demo.line import HOST, Line
from gateway.demo.log import Log
from gateway.demo.setting import SITE

_STOP_S = 8.0  # the daemon flushes its statuses within 5 s
_COMMAND_S = 10.0


class Daemon:
    """The real daemon, one process at a time."""

    def __init__(self, home: Home, log: Log) -> None:
        self._home = home
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it; it is not ready yet."""
        self._process = await leash.start(self._home.run_command(), self._home.output, os.environ)
        self._log.note("process", name="daemon", pid=self._process.pid, what="started", code=None)
        self._watch = asyncio.create_task(self._watched(self._process), name="daemon watch")

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None and self._process.returncode is None:
            self._log.note("process", name="daemon", pid=self._process.pid, what="killed", code=None)
            self._process.send_signal(signal.SIGKILL)

    async def stop(self) -> None:
        """End it the way a service manager would."""
        if self._process is not None and self._watch is not None:
            await leash.stop(self._process, _STOP_S)
            await self._watch

    def said(self) -> str:
        """The end of what it printed."""
        text = self._home.output.read_text(errors="replace") if self._home.output.exists() else ""
        return "\n".join(text.splitlines()[-15:])

    async def _watched(self, process: asyncio.subprocess.Process) -> None:
        code = await process.wait()
        self._log.note("process", name="daemon", pid=process.pid, what="exited", code=code)


@dataclass(frozen=True, slots=True)
class Trust:
    """Another trust store than our own aggregator's, and the root key (`x`) of those that follow it."""

    document: str
    root_x: str | None = None


@dataclass
class Stage:
    """What the director works with."""

    log: Log
    home: Home
    pump: Pump
    charger: Charger
    car: Car
    plug: Plug
    freezer: Freezer
    broker: Broker
    line: Line
    aggregator: Aggregator
    daemon: Daemon
    ports: Ports

    async def broker_goes(self) -> None:
        """The broker ends; every connection to it breaks."""
        self.line.cut()
        pid = self.broker.pid
        await self.broker.stop()
        self.log.note("process", name="broker", pid=pid, what="stopped", code=None)

    async def broker_returns(self) -> None:
        """The broker is back, with nothing kept; the home's line is joined once the aggregator listens."""
        await self.broker.start()
        self.log.note("process", name="broker", pid=self.broker.pid, what="started", code=None)
        await self.aggregator.listening.wait()
        self.line.join()
        self.log.note("line", what="joined")

    async def household(self, command: list[str], scene: int) -> None:
        """Give a command on the real command line, as a person would."""
        said = {"arguments": command[3:], "scene": scene}
        self.log.note("command", what="given", code=None, output="", **said)
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        try:
            output, _ = await asyncio.wait_for(process.communicate(), _COMMAND_S)
        except TimeoutError:
            process.kill()
            output, _ = await process.communicate()
        text = output.decode(errors="replace").strip()
        self.log.note("command", what="answered", code=process.returncode, output=text, **said)


@contextlib.asynccontextmanager
async def staged(folder: Path, log: Log, timing: Timing, trust: Trust | None = None) -> AsyncIterator[Stage]:
    """Everything running but the daemon, while the block runs; nothing is left running after it.

    Where somebody else is trusted, our own aggregator only listens.
    """
    devices = appliances.of_the_home(log)
    broker, local_broker = Broker("uplink", folder), Broker("household", folder, "v4")
    aggregator = Aggregator(SITE, broker.port, log, ack_every_s=math.inf if trust else ACK_EVERY_S)
    trust = trust or Trust(aggregator.trust_store())
    line = Line(broker.port)
    home = Home(folder)
    daemon = Daemon(home, log)
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        await enter(broker.running())
        await enter(local_broker.running())
        ports = Ports(
            pump=await enter(modbus.listening(devices.pump, UNIT)),
            meter=await enter(devices.meter.listening()),
            charger=free_port(),
            plug=await enter(rpc.listening(devices.plug, PLUG_PASSWORD)),
            local_broker=local_broker.port,
            uplink=await enter(line.listening()),
        )
        publish_room = await enter(room.connected(HOST, local_broker.port))
        await enter(aggregator.running())
        await aggregator.listening.wait()
        home.furnish(ports, timing, trust.document, trust.root_x)
        log.note("configured", text=home.config.read_text())
        await enter(ocpp.speaking(devices.point, f"ws://{HOST}:{ports.charger}/{CHARGE_POINT}"))
        await enter(appliances.ticking(devices, publish_room))
        stack.push_async_callback(daemon.stop)
        yield Stage(
            log=log,
            home=home,
            pump=devices.pump,
            charger=devices.point.charger,
            car=devices.point.charger.car,
            plug=devices.plug,
            freezer=devices.freezer,
            broker=broker,
            line=line,
            aggregator=aggregator,
            daemon=daemon,
            ports=ports,
        )
