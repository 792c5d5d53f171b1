"""An MQTT broker of our own (iotcore: rumqttd in a wheel) that can go and come back on the same port.

It keeps nothing over a restart: no session, no retained message. Run as a module it is the broker's process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import iotcore

from gateway.demo import leash

HOST = "127.0.0.1"
MAX_PAYLOAD_BYTES = 524_288  # twice the contract's largest message
_START_S = 10.0
_STOP_S = 2.0

PORTS = range(15_000, 32_000)  # below those that a system gives to whoever connects
_given: set[int] = set()


class Broker:
    """One broker process at a time on one port. `folder` takes its configuration and its output.

    `listener` is what it speaks: `v5` or `v4` (MQTT 3.1.1, as small devices do).
    """

    def __init__(self, name: str, folder: Path, listener: str = "v5") -> None:
        self.name = name
        self.port = free_port()
        self._config = folder / f"{name}.toml"
        self._config.write_text(configuration(self.port, listener))
        self._output = folder / f"{name}.log"
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """The running broker's process id."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start it; returns when it accepts connections.

        Raises:
            RuntimeError: it ended, or did not listen within 10 s.
        """
        command = [sys.executable, "-m", __name__, str(self._config)]
        self._process = await leash.start(command, self._output, os.environ)
        try:
            async with asyncio.timeout(_START_S):
                while not await _listens(self.port):
                    if self._process.returncode is not None:
                        break
                    await asyncio.sleep(0.02)
                else:
                    return
        except TimeoutError:
            await self.stop()
        raise RuntimeError(f"broker {self.name} did not come up; see {self._output}")

    async def stop(self) -> None:
        """End it; connections break, nothing is kept. Safe to call twice."""
        if self._process is not None:
            process, self._process = self._process, None
            await leash.stop(process, _STOP_S)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Running while the block is; it may be stopped and started inside."""
        await self.start()
        try:
            yield
        finally:
            await self.stop()


def configuration(port: int, listener: str) -> str:
    """rumqttd's own: without such a file it speaks 3.1.1 only and listens on every address."""
    return f"""\
id = 0

[router]
id = 0
max_connections = 100
max_outgoing_packet_count = 200
max_segment_size = 4194304
max_segment_count = 4

[{listener}.1]
name = "{listener}"
listen = "{HOST}:{port}"
next_connection_delay_ms = 1

[{listener}.1.connections]
connection_timeout_ms = 5000
max_payload_size = {MAX_PAYLOAD_BYTES}
max_inflight_count = 100
dynamic_filters = true
"""


def free_port() -> int:
    """A loopback port that nobody listens on at this moment and that was not given before."""
    while True:
        port = random.SystemRandom().choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            if port not in _given:
                _given.add(port)
                return port


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    return True


if __name__ == "__main__":
    iotcore.Broker(config_path=sys.argv[1]).run_forever()
