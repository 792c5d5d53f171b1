"""A run of the demo in which everything went well, as a log: what the judge's tests tamper with.

Written from the contract and the scenes' words by hand; no code of the demo wrote it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime

from gateway.demo.log import Observation

T0 = 1_795_000_000.0 - 1_795_000_000 % 60  # a whole minute
OFFSET_S = 48
EDGES = (-12, 48, 108, 168, 228)
BLOCKS = {1: (6.0, 48.0), 2: (55.0, 75.0), 3: (84.0, 1e9)}  # sent, cancelled
COMMAND, OVER = 60.0, 72.0
FORGED, REPLAYED = 76.0, 78.0
BROKER_DOWN, BROKER_UP = 103.0, 112.0
LAST_WRITE, KILLED, STARTED = 85.0, 160.0, 209.0
SCENES = {1: (5.5, 49.0), 2: (54.0, 75.5), 5: (75.8, 82.0), 3: (83.5, 222.0), 4: (102.5, 118.0)}


def good_run() -> list[Observation]:
    """The log of a run in which all five scenes succeed."""
    found = [*_seconds(), *_scenes(), *_sent(), *_writes(), *_processes(), *_statuses(), *_minutes()]
    return sorted(found, key=lambda one: one.at_utc_s)


def at(second: float, kind: str, **facts: object) -> Observation:
    """An observation `second` seconds after the start of the run."""
    return Observation(T0 + second, kind, facts)


def moment(second: float) -> str:
    """RFC 3339 of a second of the run."""
    return f"{datetime.fromtimestamp(T0 + second, UTC):%Y-%m-%dT%H:%M:%SZ}"


def received(second: float, topic: str, body: dict[str, object]) -> Observation:
    """A message from the home."""
    return at(second, "received", topic=f"homeflex/v1/demo-home/{topic}", text=json.dumps(body))


def status(second: float, number: int, **changes: object) -> Observation:
    """A status of the instruction of scene `number`, followed in full unless changed."""
    target = {"asset": "heat", "status": "STARTED", "extent": "full", "reason": "none", "limitKw": 0.0}
    return received(second, "dispatch/status", _status(number, [target | changes]))


def is_block(second: float) -> bool:
    """Whether the pump stands still at this second."""
    return (
        7.0 <= second < 41.0
        or 56.0 <= second < COMMAND + 1
        or OVER + 1 <= second < 75.5
        or 85.5 <= second < LAST_WRITE + 120.5
        or second >= 212.0
    )


def _seconds() -> list[Observation]:
    found, room_c = [], 20.0
    for second in range(240):
        still = is_block(second)
        room_c += (-0.033 if second < 41 else -0.002) if still else 0.02
        found.append(
            at(second, "second", pump_w=0.0 if still else 2400.0, house_w=350.0, room_c=round(room_c, 3))
        )
    return found


def _scenes() -> list[Observation]:
    return [
        at(second, "scene", number=number, what=what)
        for number, marks in SCENES.items()
        for second, what in zip(marks, ("began", "ended"), strict=True)
    ]


def _sent() -> list[Observation]:
    found = [at(begin, "sent", **_message(n, "set", n)) for n, (begin, _) in BLOCKS.items()]
    found += [at(end, "sent", **_message(n, "cancel", n)) for n, (_, end) in BLOCKS.items() if end < 240]
    found.append(at(FORGED, "sent", **_message(99, "forged", 5)))
    found.append(at(REPLAYED, "sent", **_message(1, "replayed", 5)))
    return found


def _message(number: int, what: str, scene: int) -> dict[str, object]:
    op = "cancel" if what == "cancel" else "set"
    parts = (b'{"alg":"Ed25519"}', _body(number, op), b"signature")
    text = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
    by = "aggregator" if scene < 5 else "stranger"
    return {"topic": "homeflex/v1/demo-home/dispatch", "text": text, "by": by, "scene": scene, "what": what}


def _body(number: int, op: str) -> bytes:
    return json.dumps({"schema": "homeflex.dispatch.v1", "id": f"id-{number}", "op": op}).encode()


def _writes() -> list[Observation]:
    blocks, releases = (6.8, 55.5, 73.0, LAST_WRITE, 211.5), (41.0, COMMAND + 0.5, 75.2)
    return [
        *(at(second, "written", register=71, value=0, peer="127.0.0.1:4000") for second in blocks),
        *(
            at(second + 0.05, "written", register=70, value=1, peer="127.0.0.1:4000")
            for second in (6.8, 55.5, 73.0, LAST_WRITE)
        ),
        *(at(second, "written", register=70, value=0, peer="127.0.0.1:4000") for second in releases),
    ]


def _processes() -> list[Observation]:
    def process(second: float, name: str, pid: int, what: str, code: int | None = None) -> Observation:
        return at(second, "process", name=name, pid=pid, what=what, code=code)

    said = {"arguments": ["override", "heat"], "scene": 2}
    return [
        process(1.0, "daemon", 100, "started"),
        process(BROKER_DOWN, "broker", 50, "stopped"),
        process(BROKER_UP, "broker", 51, "started"),
        process(KILLED, "daemon", 100, "killed"),
        process(KILLED + 0.01, "daemon", 100, "exited", -9),
        process(STARTED, "daemon", 101, "started"),
        process(239.0, "daemon", 101, "exited", 0),
        at(COMMAND, "command", what="given", code=None, output="", **said),
        at(COMMAND + 0.4, "command", what="answered", code=0, output="done", **said),
    ]


def _status(number: int, targets: list[dict[str, object]], reception: str = "OK") -> dict[str, object]:
    digest = hashlib.sha256(_body(number, "set")).hexdigest()
    return {
        "schema": "homeflex.status.v1",
        "site": "demo-home",
        "stream": "STREAM",
        "seq": 1,
        "id": None if reception == "INVALID_SIGNATURE" else f"id-{number}",
        "digest": f"sha256:{digest}",
        "reception": reception,
        "targets": targets,
    }


def _statuses() -> list[Observation]:
    return [
        status(6.1, 1, status="ACCEPTED", extent="none"),
        status(12.0, 1),
        status(42.0, 1, extent="none", reason="comfortLimit"),
        status(48.1, 1, status="REVOKED", extent="none", reason="cancelled"),
        status(58.0, 2),
        status(62.0, 2, extent="none", reason="userOverride"),
        status(74.0, 2),
        status(75.2, 2, status="REVOKED", reason="cancelled"),
        received(FORGED + 0.1, "dispatch/status", _status(99, [], "INVALID_SIGNATURE")),
        received(REPLAYED + 0.1, "dispatch/status", _status(1, [], "REPLAYED")),
        status(88.0, 3),
        status(210.5, 3, extent="none", reason="gatewayRestart"),
        status(216.0, 3),
    ]


def _minutes() -> list[Observation]:
    delivered = {48: 48.6, 108: 114.0, 168: 211.0, 228: 229.0}
    return [telemetry(delivered[edge], n, edge) for n, edge in enumerate(EDGES) if edge in delivered]


def telemetry(second: float, seq: int, edge: int, **changes: object) -> Observation:
    """The minute that ends at second `edge`, received at `second`, of both points."""
    is_lost = edge == 168
    reading = {
        "seq": seq,
        "start": moment(edge - 60),
        "end": moment(edge),
        "powerKw": None if is_lost else 1.2,
        "quality": "MISSING" if is_lost else "OK",
        "reasons": ["restart"] if is_lost else [],
    }
    bundle = {"stream": "STREAM", "readings": [reading | changes]}
    body = {
        "schema": "homeflex.telemetry.v1",
        "offsetS": OFFSET_S,
        "points": {"heat": bundle, "boundary": bundle},
    }
    return received(second, "telemetry", body)
