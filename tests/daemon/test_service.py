"""As a service: what the service manager hears of the daemon, and the unit it is started by."""

from __future__ import annotations

import asyncio
import configparser
import contextlib
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.kill9 import Kill9

SYSTEMD = Path(__file__).parents[2] / "systemd"
WITHIN_S = 20.0
HOME = """\
[site]
id = "home-7f3a"
zone = "Europe/London"

[devices.meter]
driver = "p1"
tcp = "127.0.0.1:1"

[asset.heat]
class = "heat"
nominal_w = 2400
power_w = ["meter.power_w"]
"""


class Manager:
    """The service manager's side of sd_notify(3)."""

    def __init__(self, folder: Path) -> None:
        self._heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._heard.bind(str(folder / "notify"))
        self._heard.setblocking(False)
        self.environment = {"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "1000000"}

    async def next(self) -> bytes:
        """The next thing it is told."""
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self._heard, 4096), WITHIN_S)

    def close(self) -> None:
        """Hear no more."""
        self._heard.close()


@pytest.fixture
async def manager(tmp_path: Path) -> AsyncIterator[Manager]:
    with contextlib.closing(Manager(tmp_path)) as manager:
        yield manager


async def test_it_is_ready_alive_and_stopping_in_this_order(manager: Manager, tmp_path: Path) -> None:
    (tmp_path / "homeflex.toml").write_text(HOME)
    command = [sys.executable, "-m", "gateway", "run", "--json", "--config", str(tmp_path / "homeflex.toml")]
    async with Kill9(command, manager.environment) as daemon:
        await daemon.start()
        assert await manager.next() == b"READY=1"
        # Ready is told after the first decision: whoever asks now is answered with it.
        asking = [sys.executable, "-m", "gateway", "why", "--config", str(tmp_path / "homeflex.toml")]
        why = await asyncio.to_thread(
            subprocess.run, asking, capture_output=True, text=True, timeout=WITHIN_S
        )
        assert why.stdout.startswith("heat: own control")
        for _ in range(3):
            assert await manager.next() == b"WATCHDOG=1"
        life = await daemon.stop()
        assert (life.killed, life.returncode) == (False, 0)
        told = [await manager.next()]
        while told[-1] != b"STOPPING=1":
            told.append(await manager.next())
        assert set(told[:-1]) <= {b"WATCHDOG=1"}


async def test_a_configuration_that_is_none_is_never_ready(manager: Manager, tmp_path: Path) -> None:
    (tmp_path / "homeflex.toml").write_text("[site]\n")
    command = [sys.executable, "-m", "gateway", "run", "--config", str(tmp_path / "homeflex.toml")]
    process = await asyncio.create_subprocess_exec(
        *command, env=manager.environment, stderr=asyncio.subprocess.PIPE
    )
    _, said = await asyncio.wait_for(process.communicate(), WITHIN_S)
    assert process.returncode == 1
    assert b"site.zone: is missing" in said
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(manager.next(), 0.05)


def _service() -> dict[str, str]:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(SYSTEMD / "homeflex.service")
    return dict(unit["Service"])


def test_the_unit_waits_for_ready_watches_and_never_gives_up() -> None:
    service = _service()
    assert service["Type"] == "notify"
    assert service["ExecStart"] == "homeflex run --json"
    assert (service["WatchdogSec"], service["Restart"]) == ("30", "always")


def test_the_unit_has_the_folders_that_the_system_layout_names() -> None:
    text = (SYSTEMD / "homeflex.service").read_text()
    state, listening = re.findall(r'^#   (?:state|socket) = "(.+)"$', text, re.M)
    service = _service()
    assert state == f"/var/lib/{service['StateDirectory']}"
    assert listening == f"/run/{service['RuntimeDirectory']}/console.sock"


def test_the_user_of_the_unit_is_made_by_sysusers() -> None:
    service = _service()
    lines = (SYSTEMD / "homeflex.sysusers").read_text().splitlines()
    assert any(line.split()[:2] == ["u", service["User"]] for line in lines)
    assert any(line.split() == ["m", service["User"], service["SupplementaryGroups"]] for line in lines)


@pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="install systemd (Debian: apt install systemd)"
)
def test_the_unit_is_as_closed_as_it_can_be() -> None:
    command = [
        "systemd-analyze",
        "security",
        "--offline=true",
        "--threshold=20",
        str(SYSTEMD / "homeflex.service"),
    ]
    said = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S)
    assert said.returncode == 0, said.stdout
