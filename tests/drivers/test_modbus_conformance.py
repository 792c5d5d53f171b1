"""The Modbus driver keeps what every driver must, on a simulated Xtherma over a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from drivers.base import Driver, Links
from drivers.modbus.driver import KIND
from tests.drivers.conformance import Holding, HoldSubject
from tests.fakes.modbus import ModbusServer, Xtherma


class XthermaSubject(HoldSubject):
    lease_s = 120.0

    def __init__(self) -> None:
        self._now_s = 0.0
        self.pump = Xtherma(clock=lambda: self._now_s)
        self.server = ModbusServer({1: self.pump})

    def driver(self) -> Driver:
        settings = KIND.settings(
            host="127.0.0.1", port=self.server.port, profile="xtherma", timeout_s=self.patience_s
        )
        return KIND.open(settings, Links())

    async def silence(self) -> None:
        self.server.silent = True

    async def slow_down(self, answer_s: float) -> None:
        self.server.delay_s = answer_s

    async def recover(self) -> None:
        self.server.silent = False
        self.server.delay_s = 0.0

    def held(self) -> bool:
        return self.pump.power_w == 0

    def commands(self) -> int:
        return len(self.pump.writes)

    def pass_time(self, seconds: float) -> None:
        self._now_s += seconds


class TestModbus(Holding):
    @pytest.fixture
    async def subject(self) -> AsyncIterator[XthermaSubject]:
        subject = XthermaSubject()
        async with subject.server:
            yield subject
