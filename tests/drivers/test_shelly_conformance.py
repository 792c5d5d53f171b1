"""The Shelly driver keeps what every driver must, on a simulated plug over a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from drivers.base import Driver, Links
from drivers.plugs.driver import KIND
from tests.drivers.conformance import Holding, HoldSubject
from tests.fakes.shelly import Shelly, Switch


class PlugSubject(HoldSubject):
    lease_s = 900.0

    def __init__(self, password_file: Path | None) -> None:
        self._now_s = 0.0
        self._password_file = password_file
        self.switch = Switch(clock=lambda: self._now_s)
        self.plug = Shelly([self.switch], clock=lambda: self._now_s)
        if password_file:
            self.plug.password, self.plug.nonce_uses = password_file.read_text(), 1

    def driver(self) -> Driver:
        section = {"host": "127.0.0.1", "port": self.plug.port, "timeout_s": self.patience_s}
        section |= {"password_file": self._password_file} if self._password_file else {}
        return KIND.open(KIND.settings.model_validate(section), Links())

    async def silence(self) -> None:
        self.plug.silent = True

    async def slow_down(self, answer_s: float) -> None:
        self.plug.delay_s = answer_s

    async def recover(self) -> None:
        self.plug.silent = False
        self.plug.delay_s = 0.0

    def held(self) -> bool:
        return not self.switch.on

    def commands(self) -> int:
        return len(self.plug.commands())

    def pass_time(self, seconds: float) -> None:
        self._now_s += seconds


class TestShelly(Holding):
    @pytest.fixture(params=["open", "with a password"])
    async def subject(self, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[PlugSubject]:
        password_file = None
        if request.param == "with a password":
            password_file = tmp_path / "plug.secret"
            password_file.write_text("geheim")
        subject = PlugSubject(password_file)
        async with subject.plug:
            yield subject
