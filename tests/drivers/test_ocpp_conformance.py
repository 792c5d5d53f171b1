"""The OCPP driver keeps what every driver must, on a charger of our own over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from drivers.base import DevicePort, Driver, Links
from drivers.ocpp.driver import Ocpp
from drivers.ocpp.settings import Settings
from tests.drivers.conformance import Holding, HoldSubject
from tests.drivers.ocpp_house import QUICK
from tests.fakes.charger import START_UTC_S, Charger
from tests.fakes.charging_station import ChargingStation
from tests.fakes.mosquitto import free_port


class LaterPort:
    """A port whose clocks the subject moves: time passes for the hub as it does for the charger."""

    def __init__(self, port: DevicePort, subject: ChargerSubject) -> None:
        self._port = port
        self._subject = subject

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)

    def monotonic(self) -> float:
        return self._port.monotonic() + self._subject.passed_s

    def utc(self) -> float:
        return self._subject.wall_s()


@dataclass(frozen=True)
class LaterDriver:
    driver: Driver
    subject: ChargerSubject

    async def run(self, port: DevicePort) -> None:
        await self.driver.run(LaterPort(port, self.subject))


class ChargerSubject(HoldSubject):
    lease_s = 900.0

    def __init__(self) -> None:
        self.passed_s = 0.0
        self._born_s = asyncio.get_running_loop().time()
        self.charger = self.running()

    def running(self) -> Charger:
        """A charger with a session that began before we were there."""
        return Charger(free_port(), clock=self.wall_s, sample_s=0.1, status="Charging", transaction=77)

    def wall_s(self) -> float:
        return START_UTC_S + self.passed_s + asyncio.get_running_loop().time() - self._born_s

    def driver(self) -> Driver:
        settings = Settings(
            listen="127.0.0.1",
            port=self.charger.port,
            charge_point="garage",
            timeout_s=self.patience_s,
        )
        return LaterDriver(Ocpp(settings, Links(), QUICK), self)

    async def silence(self) -> None:
        self.charger.quirks.silent = True

    async def slow_down(self, answer_s: float) -> None:
        self.charger.quirks.delay_s = answer_s

    async def recover(self) -> None:
        self.charger.quirks.silent = False

    def held(self) -> bool:
        return self.charger.power_w() == 0

    def commands(self) -> int:
        commands = ("RemoteStartTransaction", "RequestStartTransaction", "ClearChargingProfile")
        return len(self.charger.limits()) + sum(len(self.charger.asked_for(name)) for name in commands)

    def pass_time(self, seconds: float) -> None:
        self.passed_s += seconds


class StationSubject(ChargerSubject):
    def running(self) -> Charger:
        station = ChargingStation(
            free_port(), clock=self.wall_s, sample_s=0.1, status="Charging", transaction="tx-0"
        )
        station.is_authorised = True
        return station


class TestOcpp(Holding):
    @pytest.fixture
    async def subject(self) -> AsyncIterator[ChargerSubject]:
        subject = ChargerSubject()
        async with subject.charger:
            yield subject


class TestOcpp201(Holding):
    @pytest.fixture
    async def subject(self) -> AsyncIterator[ChargerSubject]:
        subject = StationSubject()
        async with subject.charger:
            yield subject
