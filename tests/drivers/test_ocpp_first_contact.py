"""A charger's first minutes at the pace of a house: what it does not answer, and a clock nobody has seen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from typing import Any

import pytest

from drivers.base import Unreachable
from drivers.ocpp.mute import ASKED_AGAIN_S
from drivers.ocpp.pace import Pace
from tests.drivers.ocpp_house import Home, Hub, home, serving
from tests.drivers.running import running
from tests.fakes.charger import Charger
from tests.fakes.port import FakeFacts
from tests.faults.virtual_clock import virtual

LIMIT = "SetChargingProfile"
QUESTIONS = {"GetConfiguration", "GetCompositeSchedule", "TriggerMessage", "ChangeConfiguration"}


@asynccontextmanager
async def house(
    port: Hub | None = None, mute: frozenset[str] = frozenset(), **quirks: Any
) -> AsyncIterator[Home]:
    """A home at its real pace, whose charger does not answer `mute`."""

    def prepare(charger: Charger) -> None:
        charger.quirks.mute |= mute
        for name, value in quirks.items():
            setattr(charger.quirks, name, value)

    async with home(prepare, port=port, pace=Pace(), timeout_s=30.0) as at:
        await at.charger.until(lambda: len(at.charger.answers) == 3)  # its start, and two states
        yield at


def _now_s() -> float:
    return asyncio.get_running_loop().time()


# --- what is not answered ---


@virtual
@pytest.mark.parametrize("mute", [{"GetConfiguration"}, QUESTIONS])
async def test_a_first_limit_goes_out_in_seconds_whatever_question_is_not_answered(mute: set[str]) -> None:
    async with house(mute=frozenset(mute)) as at:
        await at.charger.begin()
        began_s = _now_s()
        for power_w, limit_a in ((2300, 10), (4600, 20), (0, 0), (6900, 30), (2300, 10)):
            at.port.want(power_w)
            wanted_s = _now_s()
            await at.charger.until(lambda limit_a=limit_a: at.charger.limit_a() == limit_a, 60)  # type: ignore[misc]
            assert _now_s() - wanted_s < (15 if power_w > 0 else 5)  # up waits for its pace
        assert _now_s() - began_s < 45
        assert at.charger.connections == 1


@virtual
async def test_a_question_that_was_not_answered_is_not_asked_again_before_each_limit() -> None:
    async with house(mute=frozenset(QUESTIONS)) as at:
        await at.charger.begin()
        for _ in range(60):
            at.port.want(2300)
            await at.charger.meter()
            await asyncio.sleep(10)
        assert len(at.charger.asked_for("GetConfiguration")) == 2  # all keys, and those we need
        assert len(at.charger.asked_for("GetCompositeSchedule")) == 1
        assert len(at.charger.asked_for("TriggerMessage")) <= 1
        keys = [payload["key"] for payload in at.charger.asked_for("ChangeConfiguration")]
        assert len(keys) == len(set(keys)) > 0
        assert at.charger.connections == 1


@virtual
async def test_it_is_asked_again_a_day_later_and_when_the_firmware_is_another() -> None:
    port = Hub(FakeFacts())

    async def asked_at_a_start(charger: Charger) -> int:
        before = len(charger.asked_for("GetConfiguration"))
        charger.connections = 0  # so that it tells its start
        async with running(serving(charger, Pace(), timeout_s=30.0).run(port)), charger:
            await asyncio.sleep(200)
        return len(charger.asked_for("GetConfiguration")) - before

    async with house(port, frozenset({"GetConfiguration"})) as at:
        await asyncio.sleep(200)
        charger = at.charger
    assert await asked_at_a_start(charger) == 0
    charger.firmware = "1.1"
    assert await asked_at_a_start(charger) == 2
    assert await asked_at_a_start(charger) == 0
    port.pass_time(ASKED_AGAIN_S)
    assert await asked_at_a_start(charger) == 2


def _on_air(at: Home) -> list[float]:
    """From now on, when a limit for the session was told."""
    moments: list[float] = []

    class Asked(list):  # type: ignore[type-arg]
        def append(self, call: tuple[str, object]) -> None:
            super().append(call)
            if call[0] == LIMIT:
                moments.append(_now_s())

    at.charger.asked = Asked(at.charger.asked)
    return moments


@virtual
@pytest.mark.parametrize("mute", [{LIMIT}, {LIMIT, *QUESTIONS}])
async def test_a_charger_that_answers_no_limit_is_told_of_and_tried_again_ever_more_rarely(
    mute: set[str],
) -> None:
    async with house(mute=frozenset(mute)) as at:
        for _ in range(7):  # until it is set up
            await asyncio.sleep(60)
            await at.charger.call("Heartbeat", {})
        moments = _on_air(at)
        await at.charger.begin()
        for minute in range(30):
            for power_w in (2300, 4600, 0):
                at.port.want(power_w)
                await asyncio.sleep(20)
            await at.charger.call("Heartbeat", {})
            assert at.charger.connections == 1
            if minute:
                assert at.port.refusals[-1][0].serial >= at.port.latest().serial - 1  # type: ignore[union-attr]
        gaps_s = [later - earlier for earlier, later in pairwise(moments)]
        assert gaps_s[-1] >= 90
        assert min(gaps_s) >= 30  # its deadline
        assert 10 < len(moments) < 30
        assert "did not answer" in at.port.refusals[0][1]
        assert [event.kind for event in at.port.events].count("limitUnanswered") == 1
        assert at.charger.connections == 1

        at.charger.quirks.mute.clear()  # it begins to answer
        at.port.want(2300)
        await at.charger.until(lambda: at.charger.limit_a() == 10, 100)
        at.port.want(0)
        await at.charger.until(lambda: at.charger.limit_a() == 0, 4)
        assert at.port.done
        await at.charger.call("Heartbeat", {})
        await at.charger.until(
            lambda: 10 in [profile["chargingProfileId"] for profile in at.charger.profiles]
        )


@virtual
async def test_a_charger_that_answers_nothing_any_more_though_it_speaks_is_let_call_anew_once_an_hour() -> (
    None
):
    port = Hub()
    async with house(port) as at:
        await at.charger.begin()
        await port.holds(2300)
        charger = at.charger

    async def supervised() -> None:
        driver = serving(charger, Pace(), timeout_s=30.0)
        while True:
            with suppress(Unreachable):
                await driver.run(port)

    charger.sample_s = 10
    port.want(0)
    async with running(supervised()), charger:
        await asyncio.sleep(100)
        assert charger.limit_a() == 0
        charger.quirks.mute.add(LIMIT)
        connections = charger.connections
        for _ in range(10):
            port.want(2300)
            await asyncio.sleep(300)
            assert charger.connections == connections + 1
        charger.drop()  # and where that helps
        charger.quirks.mute.clear()
        await charger.until(lambda: charger.limit_a() == 10, 60)


# --- a clock nobody has seen ---

NO_MOMENT = "2026-11-23T10:00:00"  # it has no zone
NO_TRIGGER = {"TriggerMessage": "NotImplemented"}


async def _holds_from_the_first_moment(at: Home) -> None:
    """The first limit that is laid holds, at once and until the lease ends without us."""
    await at.charger.until(lambda: bool(at.charger.limits()), 10)
    for second in range(30):
        await asyncio.sleep(1 if second else 0.1)
        assert at.charger.limit_a() == 10, second
        if second % 10 == 5:
            await at.charger.meter()
    assert at.charger.limits() == [10.0]
    at.port.pass_time(860)  # in one step, in which nobody renews it
    assert at.charger.limit_a() == 10
    at.port.pass_time(20)
    assert at.charger.limit_a() == 32


@virtual
@pytest.mark.parametrize("off_s", [-86_400.0, -3600.0, -100.0, 100.0, 3600.0, 86_400.0])
@pytest.mark.parametrize("quirks", [{}, {"errors": NO_TRIGGER}, {"states_since_s": None}])
async def test_the_first_limit_holds_at_once_by_whatever_clock_the_charger_has(
    off_s: float, quirks: dict[str, Any]
) -> None:
    async with house(clock_off_s=off_s, **quirks) as at:
        at.port.want(2300)
        await at.charger.begin()
        began_s = _now_s()
        await at.charger.until(lambda: bool(at.charger.limits()), 10)
        assert _now_s() - began_s < 3
        await _holds_from_the_first_moment(at)


@virtual
@pytest.mark.parametrize("mute", [{"GetConfiguration"}, {"TriggerMessage"}, QUESTIONS])
async def test_nor_does_it_take_an_answer_to_any_question(mute: set[str]) -> None:
    async with house(mute=frozenset(mute), clock_off_s=-3600.0) as at:
        at.port.want(2300)
        await at.charger.begin()
        began_s = _now_s()
        await at.charger.until(lambda: bool(at.charger.limits()), 10)
        assert _now_s() - began_s < 7
        await _holds_from_the_first_moment(at)


@virtual
async def test_a_state_that_began_long_ago_is_no_slow_clock() -> None:
    def charging(charger: Charger) -> None:
        charger.quirks.boots, charger.quirks.states_since_s = False, 7200.0
        charger.status, charger.transaction = "Charging", 77

    async with home(charging, pace=Pace(), timeout_s=30.0) as at:
        at.port.want(2300)
        await _holds_from_the_first_moment(at)


@virtual
@pytest.mark.parametrize(("states_since_s", "off_s"), [(7200.0, 0.0), (None, -3600.0), (None, 3600.0)])
async def test_what_shows_a_clock_that_no_message_showed_is_asked_for_before_the_first_limit(
    states_since_s: float | None, off_s: float
) -> None:
    async with house(states_since_s=states_since_s, clock_off_s=off_s) as at:
        at.port.want(2300)
        await at.charger.begin(timestamp=NO_MOMENT)
        await _holds_from_the_first_moment(at)


@virtual
async def test_a_charger_that_cannot_tell_its_clock_is_asked_for_it_once() -> None:
    async with house(states_since_s=None, statuses={"TriggerMessage": "Accepted"}) as at:
        await asyncio.sleep(1)  # until it is set up
        at.port.want(2300)
        for register_wh in (1, 2, 3):
            at.charger.register_wh = register_wh
            laid, began_s = len(at.charger.limits()), _now_s()
            await at.charger.begin(timestamp=NO_MOMENT)
            await at.charger.until(lambda laid=laid: len(at.charger.limits()) > laid, 10)  # type: ignore[misc]
            assert _now_s() - began_s < (3 if register_wh == 1 else 1)
            await at.charger.end()
        triggers = [payload["requestedMessage"] for payload in at.charger.asked_for("TriggerMessage")]
        assert triggers.count("MeterValues") == 1
