"""OCPP-J's remote calls as a plain object, for every version: text in, events and text out.

No socket and no clock: moments are handed in, on any clock that only goes forward. One CALL of ours is in
flight at a time; the others wait, urgent ones in front, and of those with one key only the newest.

One that yields is soon waited for no longer when an urgent one waits: OCPP-J 4.1.1 lets the next go when the
one before was answered or has timed out, and leaves to us when that is. A late answer still counts.
"""

from __future__ import annotations

import json
import math
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

LONGEST_QUEUE = 16
ANSWERS_KEPT = 16  # a CALL that comes twice with one id is answered twice and acted on once
ANSWERS_KEPT_S = 60.0  # later it is a charger that counts its messages anew
SPEAKS_WITHIN_S = 180.0  # three heartbeats: one that says something so often is there
LONGEST_ID = 255  # OCPP-J 4.1.4 allows 36; what is longer is still echoed, within reason

NOT_IMPLEMENTED = "NotImplemented"
FORMATION_VIOLATION = "FormationViolation"  # 1.6's word; 2.0.1 has another

Payload = Mapping[str, Any]
Build = Callable[[], Payload | None]
"""Makes a payload when its turn has come, so that what waited is never old; None: no longer needed."""


class Failure(StrEnum):
    """Why a CALL of ours was not answered."""

    TIMEOUT = "timeout"
    CLOSED = "closed"
    SUPERSEDED = "superseded"  # by a newer one with its key, or nothing was left to be said


@dataclass(frozen=True, slots=True)
class Asked:
    """The other side calls: `answer` or `decline` it."""

    id: str | int
    action: str
    payload: Payload
    mark: int  # of the frame, to know it again


@dataclass(frozen=True, slots=True)
class Answered:
    """The result of a CALL of ours."""

    ticket: int
    payload: Payload


@dataclass(frozen=True, slots=True)
class Declined:
    """A CALL of ours was answered with an error."""

    ticket: int
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A CALL of ours got no answer."""

    ticket: int
    failure: Failure


Event = Asked | Answered | Declined | Failed


@dataclass(frozen=True, slots=True)
class _Call:
    ticket: int
    action: str
    build: Build
    timeout_s: float
    yields_after_s: float
    key: str | None
    urgent: bool


@dataclass(frozen=True, slots=True)
class _Flight:
    ticket: int
    id: str
    due_s: float
    yields_s: float
    heard_after_s: float  # what is said later shows that it is there, though it does not answer


@dataclass(slots=True)
class _Heard:
    at_s: float
    answer: str | None = None


class Rpc:
    """One connection's calls in both directions. `violation` is this version's code for a malformed CALL."""

    def __init__(self, violation: str = FORMATION_VIOLATION) -> None:
        self.timeouts_in_a_row = 0  # of calls to one from which nothing at all was heard
        self.unread = 0  # frames that are nothing OCPP-J knows
        self.late = 0  # answers to nothing, or to a CALL that was given up
        self.violation = violation
        self._prefix = secrets.token_hex(4)
        self._tickets = 0
        self._waiting: list[_Call] = []
        self._flight: _Flight | None = None
        self._aside: _Flight | None = None  # it yielded, and may still be answered
        self._heard_s = self._silent_since_s = -math.inf
        self._closed = False
        self._heard: OrderedDict[tuple[str, int], _Heard] = OrderedDict()
        self._events: list[Event] = []
        self._texts: list[str] = []

    # --- what came of it ----------------------------------------------------------------------------

    def events(self) -> list[Event]:
        """What happened since the last look."""
        events, self._events = self._events, []
        return events

    def texts(self) -> list[str]:
        """What is to be sent, in this order."""
        texts, self._texts = self._texts, []
        return texts

    @property
    def due_s(self) -> float | None:
        """When `tick` has something to do."""
        moments_s = [flight.due_s for flight in self._open()]
        if self._flight and self._may_yield():
            moments_s.append(self._flight.yields_s)
        return min(moments_s, default=None)

    # --- our calls ----------------------------------------------------------------------------------

    def call(
        self,
        action: str,
        build: Build,
        now_s: float,
        *,
        timeout_s: float,
        yields_after_s: float = math.inf,
        key: str | None = None,
        urgent: bool = False,
    ) -> int:
        """Ask the other side, as soon as it is our turn; the ticket names the call in the events.

        One that yields is a question: once it was out for `yields_after_s`, an urgent call waits no longer
        for its answer.
        A waiting call with the same `key` is superseded. A full queue drops its oldest that is not urgent.
        """
        self._tickets += 1
        call = _Call(self._tickets, action, build, timeout_s, yields_after_s, key, urgent)
        if self._closed:
            self._events.append(Failed(call.ticket, Failure.CLOSED))
            return call.ticket
        for older in [waiting for waiting in self._waiting if key is not None and waiting.key == key]:
            self._drop(older)
        if len(self._waiting) >= LONGEST_QUEUE:
            self._drop(next((waiting for waiting in self._waiting if not waiting.urgent), self._waiting[0]))
        self._waiting.append(call)
        self._send_next(now_s)
        return call.ticket

    def tick(self, now_s: float) -> None:
        """Give up what was not answered in time."""
        for flight in self._open():
            if now_s >= flight.due_s:
                self._count(flight)
                self._events.append(Failed(flight.ticket, Failure.TIMEOUT))
                self._land(flight)
        self._send_next(now_s)

    def close(self) -> None:
        """The connection is gone: every call of ours has failed."""
        self._closed = True
        tickets = [flight.ticket for flight in self._open()] + [call.ticket for call in self._waiting]
        self._events += [Failed(ticket, Failure.CLOSED) for ticket in tickets]
        self._flight, self._aside, self._waiting = None, None, []

    def _drop(self, call: _Call) -> None:
        self._waiting.remove(call)
        self._events.append(Failed(call.ticket, Failure.SUPERSEDED))

    def _open(self) -> list[_Flight]:
        return [flight for flight in (self._aside, self._flight) if flight]

    def _count(self, unanswered: _Flight) -> None:
        """In a row are those between which nothing was heard."""
        if self._heard_s > unanswered.heard_after_s:
            self.timeouts_in_a_row = 0
        elif self._heard_s > self._silent_since_s:
            self.timeouts_in_a_row = 1
        else:
            self.timeouts_in_a_row += 1
        if self.timeouts_in_a_row == 1:
            self._silent_since_s = unanswered.heard_after_s

    def _land(self, flight: _Flight) -> None:
        if flight is self._flight:
            self._flight = None
        else:
            self._aside = None

    def _may_yield(self) -> bool:
        """Whether something urgent waits, and no call yielded before."""
        return self._aside is None and self._urgent() is not None

    def _urgent(self) -> _Call | None:
        return next((waiting for waiting in self._waiting if waiting.urgent), None)

    def _next(self) -> _Call | None:
        """Whose turn it is; what is not urgent waits for the one that yielded too."""
        if (urgent := self._urgent()) or self._aside:
            return urgent
        return self._waiting[0] if self._waiting else None

    def _send_next(self, now_s: float) -> None:
        if self._flight and now_s >= self._flight.yields_s and self._may_yield():
            self._aside, self._flight = self._flight, None
        while self._flight is None and (call := self._next()):
            payload = call.build()
            if payload is None:
                self._drop(call)
                continue
            self._waiting.remove(call)
            self._flight = _Flight(
                call.ticket,
                f"{self._prefix}-{call.ticket}",
                due_s=now_s + call.timeout_s,
                yields_s=now_s + call.yields_after_s,
                heard_after_s=now_s - (SPEAKS_WITHIN_S if math.isfinite(call.yields_after_s) else 0.0),
            )
            self._texts.append(_text([2, self._flight.id, call.action, payload]))

    # --- their calls --------------------------------------------------------------------------------

    def answer(self, asked: Asked, payload: Payload) -> None:
        """The result of a CALL of theirs."""
        self._reply(asked, [3, asked.id, payload])

    def decline(self, asked: Asked, code: str, text: str) -> None:
        """The error of a CALL of theirs."""
        self._reply(asked, [4, asked.id, code, text, {}])

    def _reply(self, asked: Asked, message: list[Any]) -> None:
        text = _text(message)
        self._texts.append(text)
        if heard := self._heard.get((str(asked.id), asked.mark)):
            heard.answer = text

    # --- what comes in ------------------------------------------------------------------------------

    def receive(self, text: str, now_s: float) -> None:
        """Take one frame, whatever it is."""
        if self._closed:
            return
        match _parsed(text):
            case [2, str() | int() as call_id, *rest] if _is_id(call_id):
                self._heard_s = now_s
                self._take_call(call_id, rest, hash(text), now_s)
            case [3, str() | int() as call_id, *rest]:
                payload = rest[0] if rest and isinstance(rest[0], dict) else {}
                self._take_answer(call_id, lambda ticket: Answered(ticket, payload), now_s)
            case [4, str() | int() as call_id, *rest]:
                code, words = (*(str(part)[:LONGEST_ID] for part in rest[:2]), "", "")[:2]
                self._take_answer(call_id, lambda ticket: Declined(ticket, code, words), now_s)
            case _:
                self.unread += 1  # without an id there is nothing that could be answered

    def _take_call(self, call_id: str | int, rest: list[Any], mark: int, now_s: float) -> None:
        before = self._heard.get((str(call_id), mark))
        if before and now_s - before.at_s < ANSWERS_KEPT_S:
            self._texts += [before.answer] if before.answer else []
            return
        self._heard[str(call_id), mark] = _Heard(now_s)
        self._heard.move_to_end((str(call_id), mark))
        if len(self._heard) > ANSWERS_KEPT:
            self._heard.popitem(last=False)
        action, payload = (*rest[:2], None, None)[:2]
        asked = Asked(call_id, str(action), {} if payload is None else payload, mark)
        if not isinstance(action, str):
            self.decline(asked, self.violation, "the action is a word")
        elif not isinstance(asked.payload, dict):
            self.decline(asked, self.violation, "the payload is an object")
        else:
            self._events.append(asked)

    def _take_answer(self, call_id: str | int, event: Callable[[int], Event], now_s: float) -> None:
        self._heard_s = now_s
        flight = next((flight for flight in self._open() if flight.id == call_id), None)
        if flight is None:
            self.late += 1
            return
        self.timeouts_in_a_row = 0
        self._events.append(event(flight.ticket))
        self._land(flight)
        self._send_next(now_s)


def _is_id(call_id: str | int) -> bool:
    return not isinstance(call_id, bool) and len(str(call_id)) <= LONGEST_ID


def _parsed(text: str) -> Any:
    """The JSON of a frame; None where there is none. NaN and infinities are read as null."""
    try:
        return json.loads(text, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None


def _text(message: list[Any]) -> str:
    return json.dumps(message, separators=(",", ":"))
