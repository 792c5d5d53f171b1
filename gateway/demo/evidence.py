"""A raw log opened for reading: power by the second, register writes, statuses and minutes, as records.

It reads the contract's messages from their text with the standard library alone, so that the judge
shares no line with the code it judges.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from gateway.demo.log import Observation

FOR_EVER_UTC_S = 1e12


@dataclass(frozen=True, slots=True)
class Second:
    """The devices' physics at one second."""

    at_utc_s: float
    pump_w: float
    room_c: float


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive seconds of one kind, from the first to the last of them."""

    begin_utc_s: float
    end_utc_s: float

    @property
    def lasted_s(self) -> float:
        """How long it went on."""
        return self.end_utc_s - self.begin_utc_s


@dataclass(frozen=True, slots=True)
class Sent:
    """A message somebody sent to the home. `until_utc_s`: cancelled, or its window's end."""

    at_utc_s: float
    id: str
    digest: str
    until_utc_s: float


@dataclass(frozen=True, slots=True)
class Status:
    """A status as the aggregator received it."""

    at_utc_s: float
    id: str
    reception: str
    digest: str
    targets: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Target:
    """What a status says of one asset."""

    status: str
    extent: str
    reason: str


@dataclass(frozen=True, slots=True)
class Reading:
    """One minute of one point as the aggregator received it; `facts` is the whole of it."""

    point: str
    stream: str
    seq: int
    start_utc_s: float
    end_utc_s: float
    quality: str
    reasons: tuple[str, ...]
    power_kw: float | None
    facts: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """The observations of one run, in order of time. Every span is [begin, end] in UTC seconds."""

    log: Sequence[Observation]

    def scene(self, number: int) -> tuple[float, float] | None:
        """When the director began and ended a scene; None if it did not do both."""
        marks = {
            one.facts["what"]: one.at_utc_s for one in self._kind("scene") if one.facts["number"] == number
        }
        return (marks["began"], marks["ended"]) if {"began", "ended"} <= marks.keys() else None

    def order(self, scene: int) -> Sent | None:
        """The instruction of a scene."""
        return self.sent(scene, "set")

    def sent(self, scene: int, what: str) -> Sent | None:
        """What was sent in a scene under that name."""
        for one in self._kind("sent"):
            if one.facts["scene"] == scene and one.facts["what"] == what:
                payload = payload_of(one.facts["text"])
                body = _object(payload)
                return Sent(
                    at_utc_s=one.at_utc_s,
                    id=str(body.get("id")),
                    digest="sha256:" + hashlib.sha256(payload).hexdigest(),
                    until_utc_s=self._cancelled_utc_s(str(body.get("id"))),
                )
        return None

    def command(self, scene: int) -> tuple[float, int | None] | None:
        """When the household gave its command in a scene, and the exit code it got."""
        told = {one.facts["what"]: one for one in self._kind("command") if one.facts["scene"] == scene}
        if "given" not in told:
            return None
        return told["given"].at_utc_s, told["answered"].facts["code"] if "answered" in told else None

    def seconds(self, begin: float, end: float) -> list[Second]:
        """Power and room by the second."""
        return [
            Second(one.at_utc_s, one.facts["pump_w"], one.facts["room_c"])
            for one in self._kind("second", begin, end)
        ]

    def writes(self, begin: float, end: float) -> list[Observation]:
        """Every write the pump took, from whomever."""
        return self._kind("written", begin, end)

    def last_write(self, register: int, before: float) -> float | None:
        """When the pump last took a write of a register."""
        at = [one.at_utc_s for one in self.writes(0.0, before) if one.facts["register"] == register]
        return max(at, default=None)

    def outage_of(self, name: str, begin: float, end: float) -> tuple[float | None, float | None]:
        """When a process was ended by the director, and when one of that name was started after it."""
        seen = [one for one in self._kind("process", begin, end) if one.facts["name"] == name]
        down = next((one.at_utc_s for one in seen if one.facts["what"] in ("killed", "stopped")), None)
        up = [one.at_utc_s for one in seen if one.facts["what"] == "started" and down and one.at_utc_s > down]
        return down, min(up, default=None)

    def exit_code(self, name: str, begin: float, end: float) -> int | None:
        """The code a process exited with, as its parent saw it; None if it did not."""
        return next(
            (
                one.facts["code"]
                for one in self._kind("process", begin, end)
                if (one.facts["name"], one.facts["what"]) == (name, "exited")
            ),
            None,
        )

    def heard(self, topic: str) -> bool:
        """Whether the aggregator received anything on a topic below the site's."""
        return any(below == topic for _, below, _ in self._received(0.0, FOR_EVER_UTC_S))

    def statuses(self, begin: float, end: float) -> list[Status]:
        """Statuses as the aggregator received them."""
        bodies = [(at, body) for at, topic, body in self._received(begin, end) if topic == "dispatch/status"]
        return [
            Status(
                at_utc_s=at,
                id=str(body.get("id")),
                reception=str(body.get("reception")),
                digest=str(body.get("digest")),
                targets=tuple(body.get("targets") or ()),
            )
            for at, body in bodies
            if body.get("schema") == "homeflex.status.v1"
        ]

    def targets(self, id: str, asset: str, begin: float, end: float) -> list[Target]:
        """What the statuses of an instruction say of an asset, in order."""
        return [
            Target(*(str(target.get(field)) for field in ("status", "extent", "reason")))
            for status in self.statuses(begin, end)
            for target in status.targets
            if status.id == id and target.get("asset") == asset
        ]

    def readings(self, before_utc_s: float = FOR_EVER_UTC_S) -> list[Reading]:
        """Every minute of every point that was heard by then, each (stream, seq, content) once."""
        found = {
            reading: None
            for _, topic, body in self._received(0.0, before_utc_s)
            if topic == "telemetry"
            for reading in _readings(body)
        }
        return list(found)

    def minute_edges(self, begin: float, end: float) -> set[float]:
        """The ends of minutes on the site's own grid, as its telemetry tells the offset."""
        offsets = [
            body["offsetS"]
            for _, topic, body in self._received(0.0, FOR_EVER_UTC_S)
            if topic == "telemetry" and "offsetS" in body
        ]
        if not offsets:
            return set()
        first = begin // 60 * 60 + offsets[0]
        edges = (first + 60.0 * step for step in range(-1, int(end - begin) // 60 + 3))
        return {edge for edge in edges if begin < edge <= end}

    def _cancelled_utc_s(self, id: str) -> float:
        return next(
            (
                one.at_utc_s
                for one in self._kind("sent")
                if one.facts["what"] == "cancel" and _object(payload_of(one.facts["text"])).get("id") == id
            ),
            FOR_EVER_UTC_S,
        )

    def _received(self, begin: float, end: float) -> Iterable[tuple[float, str, dict[str, Any]]]:
        """(time, topic below the site, body) of what the aggregator received."""
        for one in self._kind("received", begin, end):
            topic = one.facts["topic"].split("/", 3)[3]
            yield one.at_utc_s, topic, _object(one.facts["text"].encode())

    def _kind(self, kind: str, begin: float = 0.0, end: float = FOR_EVER_UTC_S) -> list[Observation]:
        return [one for one in self.log if one.kind == kind and begin <= one.at_utc_s <= end]


def stretches(seconds: Iterable[Second], holds: Callable[[Second], bool]) -> list[Stretch]:
    """Runs of consecutive seconds that satisfy `holds`."""
    found: list[Stretch] = []
    unbroken = False
    for second in seconds:
        if holds(second):
            begin = found.pop().begin_utc_s if unbroken else second.at_utc_s
            found.append(Stretch(begin, second.at_utc_s))
        unbroken = holds(second)
    return found


def longest(found: Iterable[Stretch]) -> Stretch:
    """The longest of them; one of no length at the beginning of time if there is none."""
    return max(found, key=lambda one: one.lasted_s, default=Stretch(0.0, 0.0))


def counted_twice(readings: Iterable[Reading]) -> bool:
    """Whether a number was used for two contents, or two readings of a point share time."""
    ordered = sorted(readings, key=lambda one: (one.point, one.start_utc_s, one.end_utc_s))
    numbers = [(one.point, one.stream, one.seq) for one in ordered]
    overlaps = (a.point == b.point and b.start_utc_s < a.end_utc_s for a, b in pairwise(ordered))
    return len(numbers) != len(set(numbers)) or any(overlaps)


def is_gap_free(readings: Iterable[Reading]) -> bool:
    """Whether each point's numbers and minutes follow on each other without a hole, in one stream."""
    ordered = sorted(readings, key=lambda one: (one.point, one.seq))
    return all(
        (a.stream, a.seq + 1, a.end_utc_s) == (b.stream, b.seq, b.start_utc_s)
        for a, b in pairwise(ordered)
        if a.point == b.point
    )


def one_at_each(edges: Iterable[float], readings: Iterable[Reading], points: Iterable[str]) -> bool:
    """Whether every point has exactly one reading that ends at each of the edges."""
    wanted = sorted((point, edge) for point in points for edge in edges)
    return wanted == sorted((one.point, one.end_utc_s) for one in readings)


def payload_of(text: str) -> bytes:
    """The payload of a compact JWS (RFC 7515, 7.1); other text as it is."""
    parts = text.split(".")
    if len(parts) != 3 or text.startswith("{"):
        return text.encode()
    return base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))


def _readings(body: dict[str, Any]) -> Iterable[Reading]:
    for point, bundle in body.get("points", {}).items():
        for one in bundle["readings"]:
            yield Reading(
                point=point,
                stream=bundle["stream"],
                seq=one["seq"],
                start_utc_s=datetime.fromisoformat(one["start"]).timestamp(),
                end_utc_s=datetime.fromisoformat(one["end"]).timestamp(),
                quality=one["quality"],
                reasons=tuple(one["reasons"]),
                power_kw=one["powerKw"],
                facts=json.dumps(one, sort_keys=True),
            )


def _object(text: bytes) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
