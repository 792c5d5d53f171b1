"""What the service manager hears, over a real socket of either kind."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.daemon.notify import Notify


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, dict[str, str]]]:
    name = str(tmp_path / "notify") if request.param == "path" else f"@homeflex-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(name.replace("@", "\0", 1) if name.startswith("@") else name)
        channel.settimeout(1)
        yield channel, {"NOTIFY_SOCKET": name}


Manager = tuple[socket.socket, dict[str, str]]


def test_each_call_is_one_datagram(manager: Manager) -> None:
    channel, environment = manager
    notify = Notify(environment)
    notify.ready()
    notify.alive()
    notify.stopping()
    assert [channel.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]


def test_a_status_cannot_carry_a_second_line_or_grow(manager: Manager) -> None:
    channel, environment = manager
    Notify(environment).status("all\nREADY=1 " + "x" * 1000)
    heard = channel.recv(4096)
    assert heard.startswith(b"STATUS=all READY=1 xxx")
    assert len(heard) == len("STATUS=") + 200


def test_without_a_service_manager_nothing_is_sent_and_nothing_fails() -> None:
    notify = Notify({})
    notify.ready()
    notify.status("fine")
    assert notify.watchdog_s is None


def test_a_service_manager_that_is_gone_does_not_stop_us(tmp_path: Path) -> None:
    Notify({"NOTIFY_SOCKET": str(tmp_path / "gone")}).alive()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("environment", "watchdog_s"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_fed_twice_in_its_time(environment: dict[str, str], watchdog_s: float | None) -> None:
    assert Notify(environment).watchdog_s == watchdog_s
