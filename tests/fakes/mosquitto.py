"""A real Mosquitto broker for a test: its own process, a generated configuration, a free loopback port.

with Mosquitto(tmp_path, users={"hub": "secret"}, acl="user hub\\ntopic readwrite #\\n") as broker:
    ... broker.port ...
    broker.kill()       # a power cut: what was not yet saved is forgotten
    broker.restart()    # same port, same persistence directory
"""

from __future__ import annotations

import base64
import contextlib
import getpass
import hashlib
import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

# Debian puts it in sbin, which is not on every user's path.
PROGRAM = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
needs_mosquitto = pytest.mark.skipif(
    PROGRAM is None, reason="mosquitto is not installed: apt install mosquitto"
)
START_WITHIN_S = 5.0
HASH_ROUNDS = 101  # mosquitto_passwd's own default
PORTS = range(15_000, 32_000)  # below those that a system gives to whoever connects
_given: set[int] = set()


class Mosquitto:
    """A broker of our own on 127.0.0.1. Everything it writes stays in `directory`.

    `persistence` keeps sessions and retained messages there, written at a clean stop only: a SIGKILL
    forgets them. `users` makes a password file and turns anonymous clients away. `acl` is the text of
    an access list. `extra` are further lines of its configuration.
    """

    def __init__(
        self,
        directory: Path,
        *,
        persistence: bool = False,
        users: dict[str, str] | None = None,
        acl: str | None = None,
        extra: tuple[str, ...] = (),
    ) -> None:
        self.host = "127.0.0.1"
        self.port = free_port()
        self._directory = directory
        self._persistence = persistence
        self._users = users
        self._acl = acl
        self._extra = extra
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.terminate()

    @property
    def pid(self) -> int:
        """The process id of the running broker."""
        assert self._process is not None, "the broker is not running"
        return self._process.pid

    @property
    def log(self) -> str:
        """What the broker has written so far."""
        path = self._directory / "mosquitto.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        assert PROGRAM is not None, "mosquitto is not installed: apt install mosquitto"
        self._directory.mkdir(parents=True, exist_ok=True)
        config = self._directory / "mosquitto.conf"
        config.write_text("\n".join((*self._lines(), "")))
        with (self._directory / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen([PROGRAM, "-c", str(config)], stdout=log, stderr=log)
        self._wait_until_open()

    def terminate(self) -> None:
        """Stop it cleanly (SIGTERM): persistence is written."""
        self._end(subprocess.Popen.terminate)

    def kill(self) -> None:
        """SIGKILL: what was not saved is forgotten."""
        self._end(subprocess.Popen.kill)

    def restart(self) -> None:
        """Stop cleanly if running, and start again on the same port."""
        self.terminate()
        self.start()

    def _end(self, how: Callable[[subprocess.Popen[bytes]], None]) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        how(process)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _lines(self) -> list[str]:
        lines = [
            f"listener {self.port} {self.host}",
            f"user {getpass.getuser()}",  # as root it would change to a user who cannot write here
            "set_tcp_nodelay true",
            "log_dest stderr",
            "log_type all",
            f"allow_anonymous {str(self._users is None).lower()}",
            f"persistence {str(self._persistence).lower()}",
            f"persistence_location {self._directory}/",
        ]
        if self._users is not None:
            lines.append(f"password_file {self._file('passwords', map(_hashed, self._users.items()))}")
        if self._acl is not None:
            lines.append(f"acl_file {self._file('acl', [self._acl])}")
        return [*lines, *self._extra]

    def _file(self, name: str, lines: Iterable[str]) -> Path:
        path = self._directory / name
        path.write_text("\n".join(lines) + "\n")
        path.chmod(0o600)
        return path

    def _wait_until_open(self) -> None:
        deadline_s = time.monotonic() + START_WITHIN_S
        while time.monotonic() < deadline_s:
            assert self._process is not None
            assert self._process.poll() is None, f"mosquitto ended at once:\n{self.log}"
            with socket.socket() as probe:
                probe.settimeout(0.5)
                if probe.connect_ex((self.host, self.port)) == 0:
                    return
            time.sleep(0.01)
        raise AssertionError(f"mosquitto took no connection in {START_WITHIN_S} s:\n{self.log}")


def free_port() -> int:
    """A loopback port that nobody listens on at this moment and that was not given before."""
    while True:
        port = random.SystemRandom().choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port


def _hashed(user: tuple[str, str]) -> str:
    """One line of a Mosquitto 2 password file (PBKDF2-HMAC-SHA512), without its helper program."""
    name, password = user
    salt = os.urandom(12)
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, HASH_ROUNDS, 64)
    return f"{name}:$7${HASH_ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}"
