"""What comes first is settled before the rest is handed over; nothing waits for ever or is lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import looptime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.daemon.gate import Gate
from gateway.daemon.inbound import Inbound
from tests.faults.virtual_clock import virtual

FIRST = ("keys", "config/desired")
PATIENCE_S, MOST_HELD = 5.0, 3


@dataclass
class Line:
    """A connection with a gate: what arrived, what was handed over, and when."""

    gate: Gate = field(default_factory=lambda: Gate(FIRST, MOST_HELD, PATIENCE_S))
    arrived: list[tuple[float, Inbound]] = field(default_factory=list)
    handed: list[tuple[float, Inbound]] = field(default_factory=list)
    settled_s: float | None = None

    def __post_init__(self) -> None:
        self.gate.hand_over = lambda inbound: self.handed.append((self.now_s, inbound))

    @property
    def now_s(self) -> float:
        return asyncio.get_running_loop().time()

    def comes(self, topic: str, *, retain: bool = False) -> int:
        inbound = Inbound(len(self.arrived) + 1, topic, b"", retain)
        self.arrived.append((self.now_s, inbound))
        self.gate.message(inbound)
        return inbound.serial

    async def asks(self, topics: tuple[str, ...] = FIRST, granted: tuple[str, ...] = FIRST) -> None:
        self.gate.ask(topics)
        await self.gate.settled(granted)
        self.settled_s = self.now_s

    @property
    def serials(self) -> list[int]:
        return [inbound.serial for _, inbound in self.handed]


@virtual
async def test_what_was_queued_waits_until_what_is_retained_has_come_and_has_effect() -> None:
    line = Line()
    queued = [line.comes("dispatch"), line.comes("ack")]
    asking = asyncio.create_task(line.asks())
    await asyncio.sleep(1)
    keys = line.comes("keys", retain=True)
    assert line.serials == [keys]
    config = line.comes("config/desired", retain=True)
    line.gate.acknowledged(config)
    await asyncio.sleep(1)
    assert line.serials == [keys, config]
    assert not asking.done()
    line.gate.acknowledged(keys)
    assert line.serials == [keys, config, *queued]
    await asking
    assert line.settled_s == 2


@virtual
async def test_where_nothing_is_retained_patience_ends_the_wait() -> None:
    line = Line()
    queued = line.comes("dispatch")
    await line.asks()
    assert line.settled_s == PATIENCE_S
    assert line.handed[0][0] == PATIENCE_S
    assert line.serials == [queued]


@virtual
@pytest.mark.parametrize(
    ("asked", "granted"), [((), ()), (FIRST, ()), (("keys",), ())], ids=["kept", "all refused", "one refused"]
)
async def test_nothing_waits_where_nothing_is_asked_for_or_we_may_not_hear_it(
    asked: tuple[str, ...], granted: tuple[str, ...]
) -> None:
    line = Line()
    queued = line.comes("dispatch")
    await line.asks(asked, granted)
    assert (line.settled_s, line.serials) == (0, [queued])


@virtual
async def test_what_was_queued_on_a_first_topic_is_not_what_is_retained_there() -> None:
    """It came before we asked, or was not published so."""
    line = Line()
    line.gate.acknowledged(line.comes("keys", retain=True))
    asking = asyncio.create_task(line.asks(("keys",), ("keys",)))
    await asyncio.sleep(1)
    line.gate.acknowledged(line.comes("keys"))
    await asyncio.sleep(1)
    assert not asking.done()
    line.gate.acknowledged(line.comes("keys", retain=True))
    await asking
    assert line.settled_s == 2


@virtual
async def test_later_too_a_dispatch_waits_for_the_keys_before_it_and_for_patience_at_most() -> None:
    line = Line()
    await line.asks((), ())
    keys = line.comes("keys")
    late = line.comes("dispatch")
    await asyncio.sleep(1)
    assert line.serials == [keys]
    line.gate.acknowledged(keys)
    assert line.serials == [keys, late]
    stuck = line.comes("keys")
    late = line.comes("dispatch")
    await asyncio.sleep(PATIENCE_S)
    assert line.serials[-2:] == [stuck, late]
    assert line.handed[-1][0] == 1 + PATIENCE_S


@virtual
async def test_of_more_than_may_be_held_the_oldest_pass_so_that_what_comes_first_can_come() -> None:
    line = Line()
    queued = [line.comes("dispatch") for _ in range(MOST_HELD + 2)]
    assert line.serials == queued[:2]
    line.gate.close()
    assert line.serials == queued[:2], "a connection that is over hands nothing over"


@virtual
async def test_who_waits_is_let_go_when_the_connection_ends() -> None:
    line = Line()
    asking = asyncio.create_task(line.asks())
    await asyncio.sleep(1)
    line.gate.close()
    await asking
    assert line.settled_s == 1


@virtual
async def test_without_first_topics_there_is_no_gate() -> None:
    line = Line(Gate((), MOST_HELD, PATIENCE_S))
    serials = [line.comes("dispatch"), line.comes("keys")]
    assert line.serials == serials


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("comes"), st.sampled_from(["dispatch", "dispatch", "ack", *FIRST]), st.booleans()),
        st.tuples(st.just("acknowledges"), st.integers(0, 40), st.none()),
        st.tuples(st.just("sleeps"), st.sampled_from([0.0, 0.5, 3.0]), st.none()),
        st.tuples(st.just("asks"), st.sampled_from([(), ("keys",), FIRST]), st.none()),
    ),
    max_size=30,
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_whatever_happens_order_is_kept_nothing_is_lost_and_no_wait_is_long(steps: list[Any]) -> None:
    line, acknowledged = _on_virtual_time(_lived(steps))
    firsts = [(at_s, one) for at_s, one in line.arrived if one.topic in FIRST]
    others = [(at_s, one) for at_s, one in line.arrived if one.topic not in FIRST]
    handed = {one.serial: (place, at_s) for place, (at_s, one) in enumerate(line.handed)}
    assert sorted(handed) == [one.serial for _, one in line.arrived]
    assert [one for _, one in line.handed if one.topic not in FIRST] == [one for _, one in others]
    for at_s, one in firsts:
        assert handed[one.serial][1] == at_s
    begun_s = line.settled_s
    assert begun_s is not None
    for index, (at_s, one) in enumerate(others):
        passed_s = handed[one.serial][1]
        assert passed_s <= max(at_s, begun_s) + PATIENCE_S
        waiting = [
            first.serial
            for first_s, first in firsts
            if first.serial < one.serial and acknowledged.get(first.serial, 1e9) > passed_s >= first_s
        ]
        pushed = sum(other_s <= passed_s for other_s, _ in others[index + 1 :]) >= MOST_HELD
        # Patience may have begun with an earlier one, and then lets go of all.
        patient = any(passed_s - first_s >= PATIENCE_S for first_s, _ in firsts) or passed_s >= PATIENCE_S
        assert not waiting or pushed or patient, (one, waiting)


async def _lived(steps: list[Any]) -> tuple[Line, dict[int, float]]:
    line, acknowledged = Line(), {}
    asking: asyncio.Task[None] | None = None
    for verb, what, retain in [*steps, ("asks", (), None)]:
        if verb == "comes":
            line.comes(what, retain=retain)
        elif verb == "acknowledges" and 0 < what <= len(line.arrived):
            acknowledged.setdefault(what, line.now_s)
            line.gate.acknowledged(what)
        elif verb == "sleeps":
            await asyncio.sleep(what)
        elif verb == "asks" and asking is None:
            asking = asyncio.create_task(line.asks(what, what))
            await asyncio.sleep(0)
    assert asking
    await asyncio.sleep(2 * PATIENCE_S)
    await asking
    return line, acknowledged


def _on_virtual_time(work: Coroutine[Any, Any, Any]) -> Any:
    loop = looptime.new_event_loop(start=0)
    with contextlib.closing(loop):
        return loop.run_until_complete(work)
