"""A program under test: a process of its own, with a device of its own that notes what it is told."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.console.local_socket import NoAnswer, ask
from tests.bench.rig import HOST, PUMP, Rig, Watched
from tests.faults.kill9 import Kill9

WITHIN_S = 20.0  # for a start; far more than it takes


@dataclass
class Bare:
    """The bare script."""

    site: str
    rig: Rig
    device: Watched
    pid: int
    signs: bool = False


@dataclass
class Homeflex:
    """The daemon in a folder of its own, with an empty store; not started yet."""

    site: str
    rig: Rig
    device: Watched
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
        """Wait until it knows what its devices draw.

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
async def bare(site: str, broker_port: int, rig: Rig = PUMP) -> AsyncIterator[Bare]:
    """The bare script of a rig, running."""
    async with rig.running() as (device, port):
        command = [sys.executable, str(rig.script), str(broker_port), str(port), site]
        async with Kill9(command) as program:
            yield Bare(site, rig, device, await program.start())


@contextlib.asynccontextmanager
async def homeflex(
    site: str,
    folder: Path,
    broker_port: int,
    trust_store: str,
    *,
    rig: Rig = PUMP,
    more: str = "",
    ca: str | None = None,
    password: str | None = None,
    hurry: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Homeflex]:
    """A home for the daemon with one rig's device; whatever still runs of it at the end is killed.

    `more` is further configuration, `ca` the authority of an encrypted broker, `password` the site's there,
    `hurry` what stands in place of `gateway` in the command.
    """
    folder.mkdir()
    config = folder / "homeflex.toml"
    name = f"homeflex-bench-{secrets.token_hex(8)}"
    async with rig.running() as (device, port):
        (folder / "keys.json").write_text(trust_store)
        if password:
            (folder / "uplink.secret").write_text(password)
            (folder / "uplink.secret").chmod(0o600)
        config.write_text(f"{configuration(site, broker_port, ca, password)}{rig.sections(port)}{more}")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
            notices.bind(f"\0{name}")
            notices.setblocking(False)
            command = [sys.executable, "-m", *(hurry or ("gateway",)), "run", "--config", str(config)]
            async with Kill9(command, {"NOTIFY_SOCKET": f"@{name}", **(environment or {})}) as program:
                yield Homeflex(site, rig, device, program, folder / "console.sock", notices)


def configuration(site: str, broker_port: int, ca: str | None, password: str | None = None) -> str:
    """A home without devices; its uplink is encrypted if there is an authority."""
    tls = f'tls = {{ ca = "{ca}" }}' if ca else ""
    login = f'username = "{site}"\npassword_file = "uplink.secret"' if password else ""
    return f"""\
[site]
id = "{site}"
zone = "Europe/London"

[paths]
state = "."
socket = "console.sock"

[uplink]
host = "{HOST}"
port = {broker_port}
{tls}
{login}

[security]
keys = "keys.json"

[reporting]
offset_s = 0

[clock]
trust = "always"
"""
