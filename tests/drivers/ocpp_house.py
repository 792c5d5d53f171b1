"""The driver and a charger on a real socket; afterwards what was said is held against
the schemas of its version."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from ocpp.messages import Call, CallResult, _validate_payload  # the library's own schemas

from drivers.base import Links, Sample
from drivers.ocpp.driver import Ocpp
from drivers.ocpp.pace import Pace
from drivers.ocpp.settings import Settings
from tests.drivers.running import running
from tests.fakes.charger import START_UTC_S, Charger
from tests.fakes.mosquitto import free_port
from tests.fakes.port import FakeFacts, FakePort

QUICK = Pace(
    first_contact_s=1.0,
    reconnect_s=0.3,
    boot_s=0.1,
    quiet_s=0.02,
    question_s=0.6,
    known_s=0.3,
    adopt_s=0.1,
    clock_s=0.3,
    again_s=0.1,
    resume_s=0.3,
    follow_s=0.2,
    trigger_s=0.1,
    start_s=0.02,
    retry_s=0.05,
)


class Hub(FakePort):
    """A port whose wall clock runs, and can be let run faster."""

    def __init__(self, facts: FakeFacts | None = None) -> None:
        super().__init__(facts=facts or FakeFacts())
        self.passed_s = 0.0
        self._born_s = asyncio.get_running_loop().time()

    @property
    def wall_s(self) -> float:
        """What time it is, for the hub and for its charger."""
        return START_UTC_S + self.passed_s + super().monotonic() - self._born_s

    def pass_time(self, seconds: float) -> None:
        self.passed_s += seconds

    def monotonic(self) -> float:
        return super().monotonic() + self.passed_s

    def utc(self) -> float | None:
        return None if self.utc_s is None else self.wall_s

    async def holds(self, at_most_w: int | None) -> None:
        """Want this, and wait until it is held."""
        want = self.want(at_most_w)
        await self.until(lambda: self.answered(want))
        assert want in [applied.want for applied in self.done], self.refusals

    def value(self, point: str) -> float | None:
        return self.points[point].value if point in self.points else None

    def sample(self, point: str) -> Sample:
        return self.points[point]


@dataclass
class Home:
    """One charger and the driver that serves it."""

    charger: Charger
    port: Hub
    driver: Ocpp

    async def set_up(self) -> None:
        """Until the driver has configured the charger."""
        last = {"AuthorizeRemoteTxRequests", "AuthCtrlr.AuthorizeRemoteStart"}
        await self.charger.until(lambda: any(self.charger.keys.get(key) == "false" for key in last))

    async def session(self, **changes: Any) -> int:
        """A set-up charger with a car that charges, started by hand."""
        await self.set_up()
        transaction = await self.charger.begin(**changes)
        await self.charger.meter()
        return transaction


@asynccontextmanager
async def home(
    prepare: Callable[[Any], None] = lambda _charger: None,
    port: Hub | None = None,
    pace: Pace = QUICK,
    kind: type[Charger] = Charger,
    **settings: Any,
) -> AsyncIterator[Home]:
    """A home whose charger already tries to connect; `prepare` makes it an odd one."""
    hub = port or Hub()
    charger = kind(free_port(), clock=lambda: hub.wall_s)
    prepare(charger)
    driver = serving(charger, pace, **settings)
    async with running(driver.run(hub)) as task, charger:
        yield Home(charger, hub, driver)
        if task.done():
            task.result()
    check(charger)


def serving(charger: Charger, pace: Pace = QUICK, **settings: Any) -> Ocpp:
    """A driver for this charger."""
    named = {"charge_point": "garage", "listen": "127.0.0.1", "timeout_s": 1.0, "start": False}
    return Ocpp(Settings(port=charger.port, **{**named, **settings}), Links(), pace)


def check(charger: Charger) -> None:
    """What the gateway said is what its version allows, and came when it may."""
    assert charger.violations == []
    for action, payload in charger.asked:
        valid(Call("id", action, payload), charger.ocpp)
    for action, payload in charger.answers:
        if "error" not in payload:
            valid(CallResult("id", payload, action), charger.ocpp)


def valid(message: Call | CallResult, version: str = "1.6") -> None:
    """Hold a message against its schema."""
    _validate_payload(message, version)
