"""Everything of the demo that has a lifetime: devices, brokers, the line, the aggregator, the daemon.

What happens to any of them is written to the log as seen from here, outside the daemon.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.demo import leash
from gateway.demo.aggregator import Aggregator
from gateway.demo.broker import Broker
from gateway.demo.devices import modbus, room
from gateway.demo.devices.house import House
from gateway.demo.devices.meter import Meter, base_load_w
from gateway.demo.devices.pump import UNIT, Pump
from gateway.demo.home import SITE, Home, Ports
from gateway.demo.line import HOST, Line
from gateway.demo.log import Log

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


@dataclass
class Stage:
    """What the director works with."""

    log: Log
    home: Home
    pump: Pump
    broker: Broker
    line: Line
    aggregator: Aggregator
    daemon: Daemon
    pump_port: int

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
        said = {"arguments": command[2:], "scene": scene}
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
async def staged(folder: Path, log: Log, offset_s: int) -> AsyncIterator[Stage]:
    """Everything running but the daemon, while the block runs; nothing is left running after it."""
    pump = Pump(House(), time.monotonic, _noting_writes(log))
    meter = Meter()
    broker, local_broker = Broker("uplink", folder), Broker("household", folder, "v4")
    aggregator = Aggregator(SITE, broker.port, log)
    line = Line(broker.port)
    home = Home(folder)
    daemon = Daemon(home, log)
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        await enter(broker.running())
        await enter(local_broker.running())
        pump_port = await enter(modbus.listening(pump, UNIT))
        meter_port = await enter(meter.listening())
        ports = Ports(pump_port, meter_port, local_broker.port, await enter(line.listening()))
        publish_room = await enter(room.connected(HOST, local_broker.port))
        await enter(aggregator.running())
        await aggregator.listening.wait()
        home.furnish(ports, offset_s, aggregator.trust_store())
        await enter(_ticking(pump, meter, publish_room, log))
        stack.push_async_callback(daemon.stop)
        yield Stage(log, home, pump, broker, line, aggregator, daemon, pump_port)


@contextlib.asynccontextmanager
async def _ticking(
    pump: Pump, meter: Meter, publish_room: Callable[[float], None], log: Log
) -> AsyncIterator[None]:
    """One second of the home each second, and what it was like written down."""

    async def tick() -> None:
        due_s = time.monotonic()
        while True:
            pump.tick(1.0)
            house_w = base_load_w(due_s)
            meter.tick(1.0, pump.power_w + house_w)
            meter.send(log.now_utc_s())
            publish_room(pump.house.room_c)
            log.note("second", pump_w=pump.power_w, house_w=house_w, room_c=round(pump.house.room_c, 3))
            due_s += 1.0
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))

    async with asyncio.TaskGroup() as tasks:
        ticking = tasks.create_task(tick(), name="home")
        try:
            yield
        finally:
            ticking.cancel()


def _noting_writes(log: Log) -> Callable[[int, int, str], None]:
    return lambda register, value, peer: log.note("written", register=register, value=value, peer=peer)
