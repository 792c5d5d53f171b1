"""A raw log opened for reading: power by the second, calls to devices, statuses, minutes, as records.

It reads the contract's messages from their text with the standard library alone, so that the judge
shares no line with the code it judges.
"""

from __future__ import annotations

import base64
import hashlib
import json
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.demo.asked import ChargeLimit, Switch, charge_limit, switch
from gateway.demo.log import Observation
from gateway.demo.reading import Reading, readings_of

FOR_EVER_UTC_S = 1e12


@dataclass(frozen=True, slots=True)
class Second:
    """The devices' physics at one second. `together_w` is what an instruction over all assets is about."""

    at_utc_s: float
    pump_w: float
    room_c: float
    charger_w: float
    freezer_w: float
    plug_on: bool

    @property
    def together_w(self) -> float:
        """Car, pump and freezer."""
        return self.charger_w + self.pump_w + self.freezer_w


@dataclass(frozen=True, slots=True)
class Sent:
    """A message sent to the home. `cap_w` is its first value; `until_utc_s`: cancelled, or for ever."""

    at_utc_s: float
    id: str
    digest: str
    targets: tuple[str, ...]
    service: str
    cap_w: float
    size_bytes: int
    until_utc_s: float


@dataclass(frozen=True, slots=True)
class Command:
    """What the household typed, and the exit code it got."""

    at_utc_s: float
    words: tuple[str, ...]
    code: int | None


@dataclass(frozen=True, slots=True)
class Status:
    """A status as the aggregator received it."""

    at_utc_s: float
    id: str
    reception: str
    reason: str
    digest: str
    targets: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Target:
    """What a status says of one asset."""

    at_utc_s: float
    status: str
    extent: str
    reason: str
    evidence: str
    text: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """The observations of one run, in order of time. Every span is [begin, end] in UTC seconds."""

    log: Sequence[Observation]

    def configuration(self) -> dict[str, Any]:
        """The file the daemon was started with; nothing if it is not in the log."""
        texts = [one.facts["text"] for one in self._kind("configured")]
        return tomllib.loads(texts[0]) if texts else {}

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
                    targets=tuple(body.get("targets") or ()),
                    service=str(body.get("service")),
                    cap_w=_cap_w(body),
                    size_bytes=len(one.facts["text"]),
                    until_utc_s=self._cancelled_utc_s(str(body.get("id"))),
                )
        return None

    def command(self, scene: int) -> Command | None:
        """What the household did in a scene."""
        told = {one.facts["what"]: one for one in self._kind("command") if one.facts["scene"] == scene}
        if "given" not in told:
            return None
        given, code = told["given"], told["answered"].facts["code"] if "answered" in told else None
        return Command(given.at_utc_s, tuple(map(str, given.facts["arguments"])), code)

    def seconds(self, begin: float, end: float) -> list[Second]:
        """Powers, room and plug by the second."""
        return [
            Second(
                one.at_utc_s,
                one.facts["pump_w"],
                one.facts["room_c"],
                one.facts["charger_w"],
                one.facts["freezer_w"],
                bool(one.facts["plug_on"]),
            )
            for one in self._kind("second", begin, end)
        ]

    # --- what devices were told ---

    def writes(self, begin: float, end: float) -> list[Observation]:
        """Every write the pump took, from whomever."""
        return self._kind("written", begin, end)

    def last_write(self, register: int, before: float) -> float | None:
        """When the pump last took a write of a register."""
        at = [one.at_utc_s for one in self.writes(0.0, before) if one.facts["register"] == register]
        return max(at, default=None)

    def asked(self, begin: float, end: float) -> list[Observation]:
        """Every call the charger or the plug got, from whomever."""
        return self._kind("asked", begin, end)

    def charge_limits(self, begin: float, end: float) -> list[ChargeLimit]:
        """The limits set for the transaction that charges the car."""
        found = (charge_limit(one) for one in self.asked(begin, end))
        return [one for one in found if one is not None]

    def switches(self, begin: float, end: float) -> list[Switch]:
        """What the freezer's plug was told."""
        return [one for one in map(switch, self.asked(begin, end)) if one is not None]

    # --- processes ---

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

    # --- what the aggregator heard ---

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
                reason=str(body.get("reason")),
                digest=str(body.get("digest")),
                targets=tuple(body.get("targets") or ()),
            )
            for at, body in bodies
            if body.get("schema") == "homeflex.status.v1"
        ]

    def targets(self, id: str, asset: str, begin: float, end: float) -> list[Target]:
        """What the statuses of an instruction say of an asset, in order."""
        fields = ("status", "extent", "reason", "evidence", "text")
        return [
            Target(status.at_utc_s, *(str(target.get(field)) for field in fields))
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
            for reading in readings_of(body)
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


def payload_of(text: str) -> bytes:
    """The payload of a compact JWS (RFC 7515, 7.1); other text as it is."""
    parts = text.split(".")
    if len(parts) != 3 or text.startswith("{"):
        return text.encode()
    return base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))


def _cap_w(body: dict[str, Any]) -> float:
    """The first value of an instruction; 0 where there is none."""
    for interval in body.get("intervals") or ():
        for payload in interval["payloads"]:
            return 1000.0 * float(payload["values"][0])
    return 0.0


def _object(text: bytes) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
