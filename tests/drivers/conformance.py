"""What every driver must do, whatever it speaks. A driver's tests inherit one of the two classes and give
a `subject` fixture: `Watching` for devices that are read, `Holding` for those that can be held too.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

import pytest

from drivers.base import Driver, Unreachable
from tests.drivers.running import running
from tests.fakes.port import FakeFacts, FakePort


class Subject(ABC):
    """A driver and a simulated device on a real wire."""

    patience_s: float = 1.5  # the driver's deadline: longer than a busy machine stands still
    slow_s: float = 0.1  # what an answer of a slow device takes
    point: str = "power_w"  # one it publishes in each round

    @abstractmethod
    def driver(self) -> Driver:
        """A new driver against the device."""

    @abstractmethod
    async def silence(self) -> None:
        """The device stops answering; connections stay open."""

    @abstractmethod
    async def slow_down(self, answer_s: float) -> None:
        """Each answer (or each part of a stream) takes this long."""

    @abstractmethod
    async def recover(self) -> None:
        """The device is well again."""

    async def prompt(self) -> None:  # noqa: B027 - only devices that speak by themselves need it
        """Make the device say something, where it speaks by itself."""


class HoldSubject(Subject):
    """The same for a device that can be held."""

    hold_w: int = 0

    @abstractmethod
    def held(self) -> bool:
        """Whether the device itself acts as asked, not what its registers say."""

    @abstractmethod
    def commands(self) -> int:
        """How many commands the device took so far."""

    @abstractmethod
    def pass_time(self, seconds: float) -> None:
        """Let the device's own clock go on."""

    @property
    @abstractmethod
    def lease_s(self) -> float:
        """How long the device keeps our last setting, as its documents say."""


class Watching:
    """Connect, stale, slow."""

    async def test_it_publishes_after_it_connected(self, subject: Subject) -> None:
        port = FakePort()
        async with running(subject.driver().run(port)):
            await subject.prompt()
            await port.until(lambda: subject.point in port.points)
        assert port.points[subject.point].value is not None

    async def test_a_silent_device_is_unreachable_and_nothing_is_published_for_it(
        self, subject: Subject
    ) -> None:
        port = FakePort()
        await subject.silence()
        async with running(subject.driver().run(port)) as task:
            with pytest.raises(Unreachable):
                await asyncio.wait_for(task, 10 * subject.patience_s)
        assert port.publications == 0

    async def test_a_slow_device_is_still_read(self, subject: Subject) -> None:
        port = FakePort()
        await subject.slow_down(subject.slow_s)
        async with running(subject.driver().run(port)):
            await subject.prompt()
            await port.until(lambda: subject.point in port.points, within_s=20 * subject.patience_s)
        assert port.points[subject.point].value is not None

    async def test_a_driver_that_is_stopped_can_be_started_again(self, subject: Subject) -> None:
        for _ in range(2):
            port = FakePort()
            async with running(subject.driver().run(port)):
                await subject.prompt()
                await port.until(lambda port=port: subject.point in port.points)  # type: ignore[misc]
            assert port.publications > 0


class Holding(Watching):
    """Held, cancelled in a write, facts lost, lease renewed, lease let go."""

    async def test_it_holds_and_gives_back(self, subject: HoldSubject) -> None:
        port = FakePort()
        async with running(subject.driver().run(port)):
            held = port.want(subject.hold_w)
            await port.until(lambda: port.answered(held))
            assert subject.held()
            given_back = port.want(None)
            await port.until(lambda: port.answered(given_back))
            assert not subject.held()
        assert [applied.want for applied in port.done] == [held, given_back]
        assert not port.refusals

    async def test_nothing_is_commanded_until_something_is_wanted(self, subject: HoldSubject) -> None:
        port = FakePort()
        async with running(subject.driver().run(port)):
            await subject.prompt()
            await port.until(lambda: subject.point in port.points)
        assert subject.commands() == 0

    async def test_a_slow_device_is_still_held(self, subject: HoldSubject) -> None:
        port = FakePort()
        await subject.slow_down(subject.slow_s)
        async with running(subject.driver().run(port)):
            want = port.want(subject.hold_w)
            await port.until(lambda: port.answered(want), within_s=20 * subject.patience_s)
        assert subject.held()

    async def test_cancelled_in_a_write_it_ends_where_the_next_want_says(self, subject: HoldSubject) -> None:
        port = FakePort()
        async with running(subject.driver().run(port)):
            await subject.prompt()
            await port.until(lambda: subject.point in port.points)
            await subject.silence()
            port.want(subject.hold_w)
            await asyncio.sleep(subject.slow_s)  # the write is out, its answer is not
        await subject.recover()
        async with running(subject.driver().run(port)):
            again = port.want(subject.hold_w)
            await port.until(lambda: port.answered(again))
            assert subject.held()
            given_back = port.want(None)
            await port.until(lambda: port.answered(given_back))
        assert not subject.held()

    async def test_with_its_facts_lost_it_still_gives_the_device_back(self, subject: HoldSubject) -> None:
        port = FakePort()
        async with running(subject.driver().run(port)):
            held = port.want(subject.hold_w)
            await port.until(lambda: port.answered(held))
        forgetful = FakePort(facts=FakeFacts())
        async with running(subject.driver().run(forgetful)):
            given_back = forgetful.want(None)
            await forgetful.until(lambda: forgetful.answered(given_back))
        assert not subject.held()

    async def test_a_renewed_lease_lasts(self, subject: HoldSubject) -> None:
        port = FakePort()
        async with running(subject.driver().run(port)):
            for _ in range(4):
                want = port.want(subject.hold_w)
                await port.until(lambda want=want: port.answered(want))  # type: ignore[misc]
                assert subject.held()
                subject.pass_time(subject.lease_s * 2 / 3)
                assert subject.held()

    async def test_a_lease_let_go_returns_the_device_to_its_owner(self, subject: HoldSubject) -> None:
        port = FakePort()
        async with running(subject.driver().run(port)):
            want = port.want(subject.hold_w)
            await port.until(lambda: port.answered(want))
        assert subject.held()
        subject.pass_time(subject.lease_s)
        assert not subject.held()

    async def test_after_a_new_start_the_latest_want_is_asserted_again(self, subject: HoldSubject) -> None:
        port = FakePort()
        async with running(subject.driver().run(port)):
            want = port.want(subject.hold_w)
            await port.until(lambda: port.answered(want))
        subject.pass_time(subject.lease_s)
        async with running(subject.driver().run(port)):
            await port.until(lambda: len(port.done) == 2)
        assert subject.held()
