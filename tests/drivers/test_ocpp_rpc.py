"""The core of OCPP-J without a socket: one call in flight, the newest first, and no text that breaks it."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from drivers.ocpp.rpc import (
    ANSWERS_KEPT,
    ANSWERS_KEPT_S,
    LONGEST_QUEUE,
    SPEAKS_WITHIN_S,
    Answered,
    Asked,
    Declined,
    Failed,
    Failure,
    Rpc,
)
from tests.drivers.fuzz_ocpp import fuzz_ocpp


def _call(rpc: Rpc, name: str, now_s: float = 0.0, **options: Any) -> int:
    return rpc.call("Do", lambda: {"name": name}, now_s, timeout_s=10, **options)


def _sent(rpc: Rpc) -> list[str]:
    return [json.loads(text)[3]["name"] for text in rpc.texts()]


def _reply(rpc: Rpc, text: str, now_s: float = 0.0) -> None:
    rpc.receive(json.dumps([3, json.loads(text)[1], {"status": "Accepted"}]), now_s)


def test_one_call_is_in_flight_and_the_others_wait() -> None:
    rpc = Rpc()
    first, second = _call(rpc, "a"), _call(rpc, "b")
    (text,) = rpc.texts()
    _reply(rpc, text)
    assert rpc.events() == [Answered(first, {"status": "Accepted"})]
    (text,) = rpc.texts()
    _reply(rpc, text)
    assert rpc.events() == [Answered(second, {"status": "Accepted"})]


def test_an_urgent_call_goes_before_those_that_wait() -> None:
    rpc = Rpc()
    _call(rpc, "a")
    _call(rpc, "b")
    _call(rpc, "c", urgent=True)
    (text,) = rpc.texts()
    _reply(rpc, text)
    assert _sent(rpc) == ["c"]


def test_of_waiting_calls_with_one_key_only_the_newest_is_made() -> None:
    rpc = Rpc()
    _call(rpc, "a")
    (text,) = rpc.texts()
    old = _call(rpc, "32 A", key="limit", urgent=True)
    new = _call(rpc, "0 A", key="limit", urgent=True)
    assert rpc.events() == [Failed(old, Failure.SUPERSEDED)]
    _reply(rpc, text)
    assert _sent(rpc) == ["0 A"]
    assert new not in [event.ticket for event in rpc.events() if isinstance(event, Failed)]


def test_a_call_is_made_of_what_counts_when_its_turn_has_come() -> None:
    rpc = Rpc()
    wanted = ["32 A"]
    _call(rpc, "a")
    (text,) = rpc.texts()
    rpc.call("Do", lambda: {"name": wanted[0]}, 0, timeout_s=10)
    rpc.call("Do", lambda: None, 0, timeout_s=10)
    wanted[0] = "0 A"
    _reply(rpc, text)
    assert _sent(rpc) == ["0 A"]


def test_a_call_that_is_no_longer_needed_is_not_made() -> None:
    rpc = Rpc()
    ticket = rpc.call("Do", lambda: None, 0, timeout_s=10)
    assert rpc.texts() == []
    assert rpc.events() == [Failed(ticket, Failure.SUPERSEDED)]


def test_a_full_queue_drops_its_oldest_that_can_wait() -> None:
    rpc = Rpc()
    _call(rpc, "in flight")
    urgent = _call(rpc, "urgent", urgent=True)
    waiting = [_call(rpc, str(number)) for number in range(LONGEST_QUEUE)]
    assert rpc.events() == [Failed(waiting[0], Failure.SUPERSEDED)]
    rpc.close()
    assert urgent in [event.ticket for event in rpc.events() if isinstance(event, Failed)]


def test_what_is_not_answered_in_time_has_failed_and_its_late_answer_is_dropped() -> None:
    rpc = Rpc()
    first = _call(rpc, "a")
    second = _call(rpc, "b")
    (text,) = rpc.texts()
    assert rpc.due_s == 10
    rpc.tick(9.9)
    assert rpc.events() == []
    rpc.tick(10)
    assert rpc.events() == [Failed(first, Failure.TIMEOUT)]
    assert rpc.timeouts_in_a_row == 1
    (later,) = rpc.texts()
    _reply(rpc, text, 11)
    assert rpc.events() == []
    assert rpc.late == 1
    _reply(rpc, later, 12)
    assert rpc.events() == [Answered(second, {"status": "Accepted"})]
    assert rpc.timeouts_in_a_row == 0


def _yielding(rpc: Rpc, name: str, now_s: float = 0.0) -> int:
    return _call(rpc, name, now_s, yields_after_s=3)


def test_a_question_is_waited_for_only_a_little_once_something_urgent_waits() -> None:
    rpc = Rpc()
    question = _yielding(rpc, "question")
    (first,) = rpc.texts()
    limit = _call(rpc, "limit", 1, urgent=True)
    assert rpc.due_s == 3
    rpc.tick(2.9)
    assert _sent(rpc) == []
    rpc.tick(3)
    (second,) = rpc.texts()
    _reply(rpc, second, 4)
    _reply(rpc, first, 9)  # it was slow, and is no less an answer
    assert [event.ticket for event in rpc.events() if isinstance(event, Answered)] == [limit, question]
    assert (rpc.late, rpc.due_s) == (0, None)


def test_something_urgent_goes_at_once_past_a_question_that_was_out_long_enough() -> None:
    rpc = Rpc()
    _yielding(rpc, "question")
    rpc.texts()
    _call(rpc, "limit", 5, urgent=True)
    assert _sent(rpc) == ["limit"]


def test_nothing_goes_past_a_limit_and_no_question_past_a_question() -> None:
    rpc = Rpc()
    _yielding(rpc, "question")
    assert _sent(rpc) == ["question"]
    _yielding(rpc, "another", 5)
    assert _sent(rpc) == []
    _call(rpc, "limit", 5, urgent=True)
    (limit,) = rpc.texts()
    _call(rpc, "next limit", 9, urgent=True)
    assert _sent(rpc) == []
    _reply(rpc, limit, 9)
    assert _sent(rpc) == ["next limit"]
    rpc.tick(10)  # the question's own deadline
    assert _sent(rpc) == []
    assert len([event for event in rpc.events() if isinstance(event, Failed)]) == 1


def test_a_call_not_answered_by_one_that_speaks_is_no_sign_of_one_that_is_stuck() -> None:
    rpc = Rpc()
    for began_s in (0, 10):
        _call(rpc, "limit", began_s)
        rpc.receive(f'[2,"{began_s}","Heartbeat",{{}}]', began_s + 5)
        rpc.tick(began_s + 10)
        assert rpc.timeouts_in_a_row == 0
    for began_s, call, in_a_row in (
        (20, _call, 1),
        (30, _call, 2),
        (40, _yielding, 0),  # a question is less of a sign: it spoke not long ago
        (SPEAKS_WITHIN_S + 20, _yielding, 1),
        (SPEAKS_WITHIN_S + 30, _yielding, 2),
    ):
        call(rpc, "a", began_s)
        rpc.tick(began_s + 10)
        assert rpc.timeouts_in_a_row == in_a_row


def test_calls_between_which_something_was_heard_are_not_in_a_row() -> None:
    rpc = Rpc()
    for began_s in (0, 40, 80):
        _call(rpc, "limit", began_s)
        rpc.tick(began_s + 10)
        assert rpc.timeouts_in_a_row == 1
        rpc.receive(f'[2,"{began_s}","Heartbeat",{{}}]', began_s + 20)


def test_a_closed_connection_fails_every_call_at_once() -> None:
    rpc = Rpc()
    tickets = [_call(rpc, str(number)) for number in range(3)]
    rpc.close()
    assert rpc.events() == [Failed(ticket, Failure.CLOSED) for ticket in tickets]
    late = _call(rpc, "late")
    assert rpc.events() == [Failed(late, Failure.CLOSED)]
    assert rpc.due_s is None


@pytest.mark.parametrize(
    ("rest", "event"),
    [
        (["NotImplemented", "no", {}], Declined(1, "NotImplemented", "no")),
        (["SomethingNew"], Declined(1, "SomethingNew", "")),
        ([], Declined(1, "", "")),
        ([None, 7], Declined(1, "None", "7")),
    ],
)
def test_an_error_is_told_whatever_it_is_called(rest: list[Any], event: Declined) -> None:
    rpc = Rpc()
    _call(rpc, "a")
    (text,) = rpc.texts()
    rpc.receive(json.dumps([4, json.loads(text)[1], *rest]), 0)
    assert rpc.events() == [event]


@pytest.mark.parametrize("payload", ["", ",null", ",[]", ',"x"'])
def test_a_result_without_a_body_is_an_empty_one(payload: str) -> None:
    rpc = Rpc()
    _call(rpc, "a")
    (text,) = rpc.texts()
    rpc.receive(f'[3,"{json.loads(text)[1]}"{payload}]', 0)
    assert rpc.events() == [Answered(1, {})]


@pytest.mark.parametrize("call_id", ['"x"', "7", '"\\ud800"'])
def test_a_call_is_told_and_its_answer_carries_its_id(call_id: str) -> None:
    rpc = Rpc()
    rpc.receive(f'[2,{call_id},"Heartbeat",{{}}]', 0)
    (asked,) = rpc.events()
    assert isinstance(asked, Asked)
    rpc.answer(asked, {"currentTime": "now"})
    assert json.loads(rpc.texts()[0]) == [3, json.loads(call_id), {"currentTime": "now"}]


@pytest.mark.parametrize(
    "frame", ['[2,"x"]', '[2,"x",null,{}]', '[2,"x",{},{}]', '[2,"x","A",[]]', '[2,"x","A",5]']
)
def test_a_malformed_call_is_declined_as_the_version_says(frame: str) -> None:
    rpc = Rpc(violation="FormatViolation")
    rpc.receive(frame, 0)
    assert rpc.events() == []
    assert json.loads(rpc.texts()[0])[:3] == [4, "x", "FormatViolation"]


@pytest.mark.parametrize(
    "frame", ['[2,"x","A"]', '[2,"x","A",null]', '[2,"x","A",{},"more"]', '[2,"x","A",{"n":NaN}]']
)
def test_a_call_that_can_be_read_is_read(frame: str) -> None:
    rpc = Rpc()
    rpc.receive(frame, 0)
    assert [event.action for event in rpc.events() if isinstance(event, Asked)] == ["A"]


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "x",
        "{}",
        "[]",
        "[2]",
        "[true]",
        '["2","x"]',
        "[2,null,{}]",
        '[5,"x",1]',
        "[" * 100_000,
        "9" * 9_999,
    ],
)
def test_what_is_no_frame_is_counted_and_nothing_else(frame: str) -> None:
    rpc = Rpc()
    rpc.receive(frame, 0)
    assert (rpc.events(), rpc.texts(), rpc.unread) == ([], [], 1)


def test_a_call_that_comes_twice_is_acted_on_once_and_answered_twice() -> None:
    rpc = Rpc()
    frame = '[2,"x","StartTransaction",{"meterStart":5}]'
    rpc.receive(frame, 0)
    (asked,) = rpc.events()
    assert isinstance(asked, Asked)
    rpc.answer(asked, {"transactionId": 1})
    (answer,) = rpc.texts()
    rpc.receive(frame, 1)
    assert rpc.events() == []
    assert rpc.texts() == [answer]


def test_an_id_used_anew_is_a_new_call() -> None:
    """Some chargers count their messages from 1 at each start, or never count."""
    rpc = Rpc()
    for number, (frame, now_s) in enumerate(
        [
            ('[2,"1","A",{}]', 0),
            ('[2,"1","B",{}]', 1),
            ('[2,"1","A",{}]', ANSWERS_KEPT_S),
            ('[2,"1","A",{"n":1}]', 61),
        ]
    ):
        rpc.receive(frame, now_s)
        assert len(rpc.events()) == 1, number


def test_only_so_many_answers_are_kept() -> None:
    rpc = Rpc()
    for number in range(ANSWERS_KEPT + 1):
        rpc.receive(f'[2,"{number}","A",{{}}]', 0)
    rpc.events()
    rpc.receive('[2,"0","A",{}]', 0)
    assert len(rpc.events()) == 1


class Calls(RuleBasedStateMachine):
    """However calls, answers, time and losses follow each other, each call ends exactly once."""

    def __init__(self) -> None:
        super().__init__()
        self.rpc = Rpc()
        self.now_s = 0.0
        self.open: set[int] = set()
        self.flight: list[str] = []

    @rule(
        key=st.sampled_from([None, "limit", "trigger"]),
        urgent=st.booleans(),
        needed=st.booleans(),
        yields_s=st.sampled_from([0.0, 3.0, math.inf]),
    )
    def call(self, key: str | None, urgent: bool, needed: bool, yields_s: float) -> None:
        payload: dict[str, Any] | None = {} if needed else None
        ticket = self.rpc.call(
            "Do", lambda: payload, self.now_s, timeout_s=10, yields_after_s=yields_s, key=key, urgent=urgent
        )
        self.open.add(ticket)

    @rule(first=st.booleans())
    def answer(self, first: bool) -> None:
        if self.flight:
            call_id = self.flight.pop(0 if first else -1)
            self.rpc.receive(json.dumps([3, call_id, {}]), self.now_s)

    @rule(text=st.text(max_size=20) | st.just('[3,"x",{}]') | st.just('[2,"y","Do",{}]'))
    def hear(self, text: str) -> None:
        self.rpc.receive(text, self.now_s)

    @rule(seconds=st.floats(0, 20))
    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        self.rpc.tick(self.now_s)

    @rule()
    def close(self) -> None:
        self.rpc.close()
        self._look()
        assert not self.open
        self.rpc = Rpc()
        self.flight = []

    @invariant()
    def each_ends_once_and_one_flies(self) -> None:
        self._look()
        assert len(self.open) <= LONGEST_QUEUE + 2

    def _look(self) -> None:
        for event in self.rpc.events():
            if isinstance(event, Asked):
                self.rpc.answer(event, {})
                continue
            self.open.remove(event.ticket)
            if isinstance(event, Failed) and event.failure is Failure.TIMEOUT:
                self.flight = [call for call in self.flight if not call.endswith(f"-{event.ticket}")]
        calls = [json.loads(text) for text in self.rpc.texts()]
        self.flight += [message[1] for message in calls if message[0] == 2]
        assert len(self.flight) <= 2  # the second one yielded


TestCalls = Calls.TestCase
TestCalls.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
_FIELDS = st.sampled_from(
    [
        "connectorId", "status", "timestamp", "meterStart", "idTag", "transactionId", "meterStop", "reason",
        "meterValue", "sampledValue", "value", "unit", "phase", "measurand", "context", "location",
        "chargePointVendor", "vendorId", "transactionInfo", "evse", "id", "evseId", "eventType",
        "chargingState", "idToken", "triggerReason", "offline", "unitOfMeasure", "multiplier",
        "stoppedReason", "connectorStatus", "chargingStation", "model", "customData",
    ]
)  # fmt: skip
_VALUES = (
    _JSON
    | st.sampled_from(
        [
            "L1",
            "kWh",
            "Charging",
            "Available",
            "Occupied",
            "Started",
            "Ended",
            "EVConnected",
            "Trigger",
            "tx-1",
            "2027-01-15T08:00:00Z",
            "0000-00-00T99:99:99+99",
            "1e308",
        ]
    )
    | st.integers(-(2**70), 2**70)
)
_BODY = st.recursive(
    st.dictionaries(_FIELDS, _VALUES, max_size=5),
    lambda inner: st.dictionaries(_FIELDS, inner | st.lists(inner, max_size=2) | _VALUES, max_size=4),
    max_leaves=4,
)
_ACTIONS = st.sampled_from(
    [
        "BootNotification", "StatusNotification", "StartTransaction", "StopTransaction", "MeterValues",
        "Authorize", "Heartbeat", "DataTransfer", "SignCertificate", "Nothing", "TransactionEvent",
        "NotifyEvent", "NotifyReport", "Get15118EVCertificate",
    ]
)  # fmt: skip
_FRAMES = st.builds(
    lambda kind, call_id, action, body: json.dumps([kind, call_id, action, body]),
    st.sampled_from([2, 2, 2, 3, 4]), st.text(max_size=4), _ACTIONS, _BODY | _JSON,
)  # fmt: skip


@pytest.mark.parametrize("ocpp", ["1.6", "2.0.1"])
@settings(max_examples=150, deadline=None)
@given(frames=st.lists(_FRAMES | st.text(max_size=40), min_size=1, max_size=6))
def test_no_text_raises_and_every_known_call_is_answered_as_it_may_be(frames: list[str], ocpp: str) -> None:
    fuzz_ocpp("\n".join(frame.replace("\n", " ") for frame in frames), ocpp)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("ocpp", ["1.6", "2.0.1"])
@settings(max_examples=10_000, deadline=None)
@given(frames=st.lists(_FRAMES | st.text(max_size=40), min_size=1, max_size=6))
def test_no_text_raises_for_long(frames: list[str], ocpp: str) -> None:
    fuzz_ocpp("\n".join(frame.replace("\n", " ") for frame in frames), ocpp)
