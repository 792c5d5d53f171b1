"""A simulated Shelly with a clock of its own, the driver's port, and what a test asks of both."""

from __future__ import annotations

import asyncio
from typing import Any

from drivers.base import Driver, Links
from drivers.plugs.driver import KIND
from tests.drivers.running import running
from tests.fakes.port import FakePort
from tests.fakes.shelly import Shelly, Switch

DEADLINE_S = 5.0  # of a busy machine: who waits for it asks for less
OFF = ("Switch.Set", {"id": 0, "on": False, "toggle_after": 900})
ON = ("Switch.Set", {"id": 0, "on": True})


class Bench:
    """A plug with a clock of its own, its port, and what is configured for it."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.switch = Switch(clock=lambda: self.now_s)
        self.plug = Shelly([self.switch], clock=lambda: self.now_s)
        self.port = FakePort()

    def driver(self, **fields: Any) -> Driver:
        section = {"host": "127.0.0.1", "port": self.plug.port, "timeout_s": DEADLINE_S}
        settings = KIND.settings.model_validate(section | fields)
        return KIND.open(settings.model_copy(update={"poll_s": fields.get("poll_s", 0.01)}), Links())

    async def answer(self, at_most_w: int | None) -> str:
        """Ask for something; why it was refused, or nothing."""
        want = self.port.want(at_most_w)
        await self.port.until(lambda: self.port.answered(want))
        return next((why for refused, why in self.port.refusals if refused == want), "")

    async def polled(self) -> None:
        """Wait until a whole round was read that began from now on."""
        seen = self.port.publications
        await self.port.until(lambda: self.port.publications >= seen + 2)

    def told(self, kind: str) -> list[str]:
        return [event.text for event in self.port.events if event.kind == kind]

    async def failure(self, **fields: Any) -> BaseException | None:
        """How the driver's run ends."""
        async with running(self.driver(**fields).run(self.port)) as task:
            await asyncio.wait([task], timeout=15)
            return task.exception() if task.done() else None
