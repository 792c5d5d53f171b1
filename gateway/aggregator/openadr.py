"""An OpenADR 3.1 event as our instructions: plain data in, bodies out, and all that is refused, with why.

It makes no OpenADR client or server of anything. What the standard leaves open, or means otherwise than we
do, is refused rather than interpreted: a relative value, "now" as the year 1, "for ever", loops, several
values in one interval, a random start to both sides. What OpenADR does not know (service, class, delays to
one side, expiry, revision) the caller says.

Source: OpenADR 3.1.0, Definition and User Guide (UG, with its section).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from gateway.aggregator.instruction import EXPIRES_S, UNITS, Head, written
from gateway.wire.moment import duration_of, moment_of

LAST_OF_ALL = 2**31 - 1
"""The priority of an event that has none: all others come before it."""

_FIELDS = {
    *("id", "createdDateTime", "modificationDateTime", "objectType", "programID", "eventName", "duration"),
    *("priority", "targets", "reportDescriptors", "payloadDescriptors", "intervalPeriod", "intervals"),
}
_TARGET = re.compile(r"site|class:(ev|heat|plug)|asset:[a-z0-9-]{1,40}")
_DURATION = re.compile(r"P(?=.)(?:(\d{1,6})D)?(?:T(?=.)(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,6})S)?)?")
_NONE_AT_ALL = re.compile(r"-?P(?:0+[YMWD])*(?:T(?:0+[HMS])+)?")
_FIRST_YEAR = 2000
_LISTS = ("intervals", "payloadDescriptors", "targets")
_PRICES = "a home does not decide by prices or carbon; IMPORT_CAPACITY_LIMIT or DISPATCH_SETPOINT"
_RELATIVE = (
    "relative to what is not said; IMPORT_CAPACITY_LIMIT or DISPATCH_SETPOINT, an absolute power in KW"
)
_ELSEWHERE = "what it means is agreed elsewhere; IMPORT_CAPACITY_LIMIT or DISPATCH_SETPOINT"
_NOT_TAKEN = {
    "EXPORT_CAPACITY_LIMIT": "no home of this release can limit its export",
    "DISPATCH_SETPOINT_RELATIVE": _RELATIVE,
    "CONTROL_LEVEL_OFFSET": _RELATIVE,
    "CONTROL_LEVEL_OFFSET_PERCENT": _RELATIVE,
    "CONTROL_SETPOINT": _ELSEWHERE,
    "DISPATCH_INSTRUCTION": _ELSEWHERE,
    "PRICE": _PRICES,
    "EXPORT_PRICE": _PRICES,
    "GHG": _PRICES,
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A field of the event that is not taken, and what would be right."""

    field: str
    why: str


_ASKS_NOTHING = Refusal(
    "intervals", "none has a value: an event that only asks for reports asks nothing here"
)


@dataclass(frozen=True, slots=True)
class Conversion:
    """One instruction for each type of value, and what was refused: what is in a refused part is in none."""

    bodies: tuple[dict[str, Any], ...]
    refused: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True)
class Receiver:
    """What an event does not say. `targets`: what its target strings mean in this home."""

    site: str
    issued_utc_s: float
    service: str = "trial"
    service_class: str = "response"
    targets: Mapping[str, str] = field(default_factory=dict)
    revision: int = 0
    expires_s: float = EXPIRES_S
    start_delay: str | None = None
    end_delay: str | None = None


@dataclass(frozen=True, slots=True)
class _Span:
    """[`start`, `end`) of one interval."""

    start_utc_s: float
    duration_s: int

    @property
    def end_utc_s(self) -> float:
        return self.start_utc_s + self.duration_s


def convert(event: object, receiver: Receiver) -> Conversion:
    """The instructions of an event: plain data, as parsed from its JSON."""
    if broken := [*_misshapen(event)]:
        return Conversion((), tuple(broken))
    assert isinstance(event, dict)
    if not _kinds(event):
        return Conversion((), (_ASKS_NOTHING,))
    spans, refused = _spans(event)
    refused += [*_beside(event), *_untargeted(event, receiver)]
    refused += [] if refused else [*_loops(event, spans)]
    of_all, bodies = bool(refused), []
    for kind in _kinds(event):
        problems = [*_untaken(event, kind)]
        if not problems and not of_all:
            body = _body(event, kind, spans, receiver)
            problems = [*_broken_rules(body)]
            bodies += [] if problems else [body]
        refused += problems
    return Conversion(tuple(bodies), tuple(refused))


# --- what is refused --------------------------------------------------------------------------------------


def _misshapen(event: object) -> Iterator[Refusal]:
    """What cannot even be read as an event."""
    if not isinstance(event, dict) or event.get("objectType", "EVENT") != "EVENT":
        yield Refusal("objectType", "must be EVENT: one event object of OpenADR 3.1")
        return
    lists = [name for name in _LISTS if not isinstance(event.get(name) or [], list)]
    if lists:
        yield from (Refusal(name, "must be a list") for name in lists)
        return
    if not event.get("intervals"):
        yield _ASKS_NOTHING
    yield from _misshapen_parts(event)


def _misshapen_parts(event: dict[str, Any]) -> Iterator[Refusal]:
    for n, one in enumerate(event.get("payloadDescriptors") or []):
        if not isinstance(one, dict):
            yield Refusal(f"payloadDescriptors[{n}]", "must be an object with payloadType and units")
    for place, period in _periods(event):
        if not isinstance(period, dict):
            yield Refusal(place, "must be an object with start and duration")
    for n, interval in enumerate(event.get("intervals") or []):
        payloads = interval.get("payloads") if isinstance(interval, dict) else None
        if not isinstance(payloads, list) or not all(map(_is_payload, payloads)):
            yield Refusal(f"intervals[{n}].payloads", "must be a list of objects with type and values")


def _is_payload(payload: object) -> bool:
    return (
        isinstance(payload, dict)
        and isinstance(payload.get("type"), str)
        and isinstance(payload.get("values"), list)
    )


def _periods(event: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every interval period that is there, and its place."""
    if event.get("intervalPeriod") is not None:
        yield "intervalPeriod", event["intervalPeriod"]
    for n, interval in enumerate(event.get("intervals") or []):
        if isinstance(interval, dict) and interval.get("intervalPeriod") is not None:
            yield f"intervals[{n}].intervalPeriod", interval["intervalPeriod"]


def _beside(event: dict[str, Any]) -> Iterator[Refusal]:
    """Fields beside the intervals."""
    for name in event.keys() - _FIELDS:
        yield Refusal(str(name), "is not a field of an OpenADR 3.1 event")
    priority = event.get("priority")
    if priority is not None and not (type(priority) is int and 0 <= priority <= LAST_OF_ALL):
        yield Refusal("priority", f"must be 0 (first) to {LAST_OF_ALL}")
    for place, period in _periods(event):
        random_start = period.get("randomizeStart")
        if random_start is not None and not _NONE_AT_ALL.fullmatch(str(random_start)):
            yield Refusal(
                f"{place}.randomizeStart", "also starts early (UG 7.3); a delay to one side is the sender's"
            )


def _untargeted(event: dict[str, Any], receiver: Receiver) -> Iterator[Refusal]:
    for n, target in enumerate(event.get("targets") or []):
        place = f"targets[{n}]"
        if not isinstance(target, str):
            yield Refusal(place, "is of OpenADR 3.0; in 3.1 a target is a plain string")
        elif not _TARGET.fullmatch(receiver.targets.get(target, target)):
            yield Refusal(place, f"{target!r} means nothing to a home; say what it is: {target}=class:ev")


def _loops(event: dict[str, Any], spans: list[_Span]) -> Iterator[Refusal]:
    """A duration of the event repeats its intervals, or cuts them off (UG 7.3)."""
    told, total_s = event.get("duration"), sum(span.duration_s for span in spans)
    try:
        is_sum = told is None or _duration_s(told) == total_s
    except ValueError:
        is_sum = False
    if not is_sum:
        yield Refusal(
            "duration", f"neither loops nor cuts; {duration_of(total_s)}, the sum of intervals, or none"
        )


def _untaken(event: dict[str, Any], kind: str) -> Iterator[Refusal]:
    """Why no instruction can be made of one type of value."""
    if kind not in UNITS:
        place = next(place for place, payload in _payloads(event) if payload["type"] == kind)
        yield Refusal(f"{place}.type", f"{kind}: {_why_not(kind)}")
        return
    units = [
        one.get("units") for one in event.get("payloadDescriptors") or [] if one.get("payloadType") == kind
    ]
    if UNITS[kind] is not None and units != [UNITS[kind]]:
        told = "; a state of charge is 0..1" if UNITS[kind] == "PERCENT" else ""
        yield Refusal("payloadDescriptors", f"{kind} must be described once, with units {UNITS[kind]}{told}")
    for n, interval in enumerate(event["intervals"]):
        found = [payload["values"] for payload in interval["payloads"] if payload["type"] == kind]
        if len(found) > 1:
            yield Refusal(f"intervals[{n}].payloads", f"{kind} must be there once")
    for place, payload in _payloads(event):
        if payload["type"] == kind and not (len(payload["values"]) == 1 and _is_number(payload["values"][0])):
            yield Refusal(f"{place}.values", "must be one number; an interval of its own for each of several")


def _why_not(kind: str) -> str:
    if kind.startswith("ALERT_"):
        return "an alert asks for nothing that can be measured; IMPORT_CAPACITY_LIMIT says how much"
    return _NOT_TAKEN.get(kind, f"is not taken; {', '.join(UNITS)} are")


def _broken_rules(body: dict[str, Any]) -> Iterator[Refusal]:
    """What only the instruction's own rules tell: bounds, at most 24 h, one interval after the other."""
    try:
        written(body)
    except ValueError as error:
        for problem in str(error).split("; "):
            place, _, why = problem.partition(": ")
            yield Refusal(place, why)


# --- what is taken ----------------------------------------------------------------------------------------


def _payloads(event: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for n, interval in enumerate(event["intervals"]):
        for k, payload in enumerate(interval["payloads"]):
            yield f"intervals[{n}].payloads[{k}]", payload


def _kinds(event: dict[str, Any]) -> list[str]:
    """The types of value in the event, in the order of their first use."""
    return list(dict.fromkeys(payload["type"] for _, payload in _payloads(event)))


def _spans(event: dict[str, Any]) -> tuple[list[_Span], list[Refusal]]:
    """When each interval is: without a start of its own, from the end of the one before (UG 7.4)."""
    spans: list[_Span] = []
    for n in range(len(event["intervals"])):
        place, told = _timing(event, n, "start")
        try:
            follows = bool(spans) and place == "intervalPeriod.start"
            start_utc_s = spans[-1].end_utc_s if follows else _utc_s(told)
            place, told = _timing(event, n, "duration")
            spans.append(_Span(start_utc_s, _duration_s(told)))
        except ValueError as error:
            return spans, [Refusal(place, str(error))]
    return spans, []


def _timing(event: dict[str, Any], n: int, name: str) -> tuple[str, object]:
    """`start` or `duration` as the interval says it, else the event; and where that stands."""
    own = event["intervals"][n].get("intervalPeriod") or {}
    if name in own:
        return f"intervals[{n}].intervalPeriod.{name}", own[name]
    return f"intervalPeriod.{name}", (event.get("intervalPeriod") or {}).get(name)


def _body(event: dict[str, Any], kind: str, spans: list[_Span], receiver: Receiver) -> dict[str, Any]:
    """The instruction for one type of value. Its intervals say when they are, each for itself."""
    suffix = "" if len(_kinds(event)) == 1 else f":{kind}"
    id = f"{event['id']}{suffix}" if event.get("id") else ""
    head = Head(receiver.site, receiver.issued_utc_s, id, receiver.revision, receiver.expires_s)
    told = {
        "serviceRef": next(
            (text for text in (event.get("eventName"), event.get("programID")) if _fits(text)), None
        ),
        "startDelay": receiver.start_delay,
        "endDelay": receiver.end_delay,
    }
    unit = UNITS[kind]
    targets = [receiver.targets.get(target, target) for target in event.get("targets") or ["site"]]
    return {
        **head.written("set"),
        "service": receiver.service,
        "serviceClass": receiver.service_class,
        "priority": LAST_OF_ALL if event.get("priority") is None else event["priority"],
        "targets": targets,
        **{name: value for name, value in told.items() if value is not None},
        "payloadDescriptors": [{"payloadType": kind, **({"units": unit} if unit else {})}],
        "intervals": [
            {
                "id": interval.get("id", n),
                "intervalPeriod": {
                    "start": moment_of(span.start_utc_s),
                    "duration": duration_of(span.duration_s),
                },
                "payloads": [{"type": kind, "values": payload["values"]}],
            }
            for n, (interval, span) in enumerate(zip(event["intervals"], spans, strict=True))
            for payload in interval["payloads"]
            if payload["type"] == kind
        ],
    }


def _fits(text: object) -> bool:
    return isinstance(text, str) and 1 <= len(text) <= 64 and text.isprintable()


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _utc_s(text: object) -> float:
    """RFC 3339 with any offset, whole seconds.

    Raises:
        ValueError: what would be right.
    """
    if text is None:
        raise ValueError("is missing: when does it start?")
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        raise ValueError(f"{str(text)[:40]!r} is no moment; 2026-11-23T17:00:00Z would be") from None
    if moment.year < _FIRST_YEAR:
        raise ValueError("the year 1 for `now` is not taken, for clocks may be wrong; the moment itself")
    if moment.tzinfo is None:
        raise ValueError(f"{str(text)[:40]!r} is in no zone; 2026-11-23T17:00:00Z would be")
    if moment.microsecond:
        raise ValueError("must be whole seconds")
    return moment.astimezone(UTC).timestamp()


def _duration_s(text: object) -> int:
    """ISO 8601 in days, hours, minutes and seconds; a day is 24 h, for all is in UTC.

    Raises:
        ValueError: what would be right.
    """
    if text is None:
        raise ValueError("is missing: how long does it last?")
    if str(text) == "P9999Y":
        raise ValueError("`for ever` is not taken; an end, at most 24 h after the start")
    found = _DURATION.fullmatch(str(text))
    if not found:
        raise ValueError(f"{str(text)[:40]!r} is not taken; PT1H30M would be")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
