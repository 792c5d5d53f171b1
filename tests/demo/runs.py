"""A run of the demo in which everything went well, as a log: what the judge's tests tamper with.

Written from the contract, the devices' protocols and the scenes' words by hand; no code of the demo wrote it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime

from gateway.demo.log import Observation

T0 = 1_795_000_000.0 - 1_795_000_000 % 60  # a whole minute, in winter: London's clock shows UTC
END = 300
OFFSET_S = 34
EDGES = (-26, 34, 94, 154, 214, 274)
POINTS = ("ev", "heat", "freezer", "boundary")
SCENES = {
    1: (3.0, 36.5), 2: (4.0, 48.5), 3: (4.1, 46.0), 4: (38.0, 122.5),
    5: (62.0, 85.5), 6: (124.0, 292.0), 7: (86.0, 101.5), 8: (49.0, 61.0),
}  # fmt: skip
ORDERS = {1: (6.0, 36.0), 2: (4.5, 48.0), 3: (4.5, 44.0), 4: (40.0, 122.0),
          5: (62.5, 85.0), 6: (125.0, 1e9), 7: (86.2, 101.0)}  # sent, cancelled  # fmt: skip
BM, FORGED, REPLAYED, OVERSIZED = 40.0, 49.5, 51.0, 53.0
TYPED, READY = 38.5, 120
COMMAND, OVER = 68.0, 80.0
BROKER_DOWN, BROKER_UP = 90.0, 97.0
TOLD, KILLED, STARTED = 125.5, 145.0, 250.0  # the pump's write, before and after the kill
CAR_TOLD, PLUG_TOLD = 125.6, 125.7
TARGETS = {
    1: ["class:ev"], 2: ["asset:heat"], 3: ["asset:freezer"], 4: ["asset:ev"], 5: ["asset:heat"],
    6: ["asset:ev", "asset:heat", "asset:freezer"], 7: ["asset:heat"], 33: ["asset:freezer"],
}  # fmt: skip
SERVICES = {1: "bm", 3: "tcm", 4: "bm", 6: "tcm", 33: "bm"}
CAPS_KW = {1: 1.4, 4: 1.4, 6: 1.6}
CONFIGURATION = """\
[site]
zone = "Europe/London"
[asset.ev.charge]
battery_kwh = 3.0
target_soc = 0.58
ready_by = "{hour}"
efficiency = 0.9
"""


def good_run() -> list[Observation]:
    """The log of a run in which all eight scenes succeed."""
    found = [
        at(
            0.1,
            "configured",
            text=CONFIGURATION.format(hour=f"{datetime.fromtimestamp(T0 + READY, UTC):%H:%M}"),
        )
    ]
    found += [*_seconds(), *_scenes(), *_sent(), *_writes(), *_asked(), *_processes(), *_commands()]
    found += [*_statuses(), *_minutes()]
    return sorted(found, key=lambda one: one.at_utc_s)


def at(second: float, kind: str, **facts: object) -> Observation:
    """An observation `second` seconds after the start of the run."""
    return Observation(round(T0 + second, 3), kind, facts)


def moment(second: float) -> str:
    """RFC 3339 of a second of the run."""
    return f"{datetime.fromtimestamp(T0 + second, UTC):%Y-%m-%dT%H:%M:%SZ}"


def received(second: float, topic: str, body: dict[str, object]) -> Observation:
    """A message from the home."""
    return at(second, "received", topic=f"homeflex/v1/demo-home/{topic}", text=json.dumps(body))


# --- the devices ---


def pump_stands(second: float) -> bool:
    """Whether the pump stands still at this second."""
    return (
        6 <= second < 40
        or 64 <= second < COMMAND + 1
        or OVER + 1 <= second < 85.5
        or 87 <= second < 101.5
        or 126 <= second < TOLD + 120.5
        or second >= 255
    )


def car_w(second: float) -> float:
    """What the car draws: to be ready at `READY` it must begin to draw more at 69.7."""
    if 70 <= second < READY:
        return 5888.0
    capped = 9 <= second < 36.5 or 42 <= second < 122.5 or 127 <= second < CAR_TOLD + 90.4 or second >= 255
    return 1380.0 if capped else 7360.0


def plug_is_off(second: float) -> bool:
    """Whether the freezer has no mains."""
    return 6 <= second < 36 or 126 <= second < PLUG_TOLD + 30.3 or second >= 270


def _seconds() -> list[Observation]:
    found, room_c = [], 20.0
    for second in range(END):
        still, off = pump_stands(second), plug_is_off(second)
        room_c += (-0.0295 if second < 40 else -0.002) if still else 0.02
        powers = {"pump_w": 0.0 if still else 2400.0, "house_w": 350.0, "room_c": round(room_c, 3)}
        powers |= {"charger_w": car_w(second), "car_soc": 0.55, "car_connected": True}
        powers |= {"freezer_w": 0.0 if off else 112.0, "plug_on": not off, "freezer_c": -14.0}
        found.append(at(second, "second", **powers))
    return found


def _writes() -> list[Observation]:
    blocks = (5.0, 63.5, 80.5, 86.5, TOLD, 252.0)
    releases = (40.0, COMMAND + 0.5, 85.2, 101.2)
    peer = "127.0.0.1:4000"
    return [
        *(at(second, "written", register=71, value=0, peer=peer) for second in blocks),
        *(at(second + 0.05, "written", register=70, value=1, peer=peer) for second in blocks),
        *(at(second, "written", register=70, value=0, peer=peer) for second in releases),
    ]


def limit(second: float, limit_a: float, **changes: object) -> Observation:
    """A limit for the charge that runs, as the charger heard it: for 90 s, said both ways."""
    profile = {
        "chargingProfileId": 20,
        "transactionId": 7,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Absolute",
        "validTo": moment(second + 90),
        "chargingSchedule": {
            "startSchedule": moment(second - 60),
            "duration": 150,
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit_a}],
        },
    }
    return asked(second, "charger", "SetChargingProfile", connectorId=1, csChargingProfiles=profile | changes)


def switch(second: float, on: bool, **params: object) -> Observation:
    """What the plug was told."""
    return asked(second, "plug", "Switch.Set", id=0, on=on, **params)


def asked(second: float, device: str, what: str, **params: object) -> Observation:
    """A call that a device got."""
    return at(second, "asked", device=device, what=what, params=params, peer="127.0.0.1:5000")


def _asked() -> list[Observation]:
    idle = {"chargingProfilePurpose": "TxDefaultProfile"}
    return [
        limit(1.5, 32.0, **idle),
        *(limit(second, 6.0) for second in (8.0, 41.0, CAR_TOLD, 252.1)),
        limit(69.8, 25.6),
        *(asked(second, "charger", "ClearChargingProfile", id=20) for second in (36.2, 122.2)),
        *(switch(second, False, toggle_after=30) for second in (5.5, 25.5, PLUG_TOLD, 269.5, 289.5)),
        switch(35.6, True),
        *(asked(float(second), "plug", "Switch.GetStatus", id=0) for second in (3, 50, 144, 255)),
    ]


# --- what was done ---


def _scenes() -> list[Observation]:
    return [
        at(second, "scene", number=number, what=what)
        for number, marks in SCENES.items()
        for second, what in zip(marks, ("began", "ended"), strict=True)
    ]


def _sent() -> list[Observation]:
    found = [at(begin, "sent", **_message(n, "set", n)) for n, (begin, _) in ORDERS.items()]
    found += [at(end, "sent", **_message(n, "cancel", n)) for n, (_, end) in ORDERS.items() if end < END]
    found.append(at(BM, "sent", **_message(33, "bm", 3)))
    found.append(at(FORGED, "sent", **_message(99, "forged", 8)))
    found.append(at(REPLAYED, "sent", **_message(2, "replayed", 8)))
    found.append(at(OVERSIZED, "sent", **_message(98, "oversized", 8)))
    return found


def _message(number: int, what: str, scene: int) -> dict[str, object]:
    parts = (b'{"alg":"Ed25519"}', _body(number, "cancel" if what == "cancel" else "set"), b"signature")
    text = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
    by = "stranger" if what in ("forged", "replayed") else "aggregator"
    return {"topic": "homeflex/v1/demo-home/dispatch", "text": text, "by": by, "scene": scene, "what": what}


def _body(number: int, op: str) -> bytes:
    body: dict[str, object] = {"schema": "homeflex.dispatch.v1", "id": f"id-{number}", "op": op}
    if op == "set":
        values = [CAPS_KW.get(number, 0.0)]
        payload = {"type": "IMPORT_CAPACITY_LIMIT", "values": values}
        body |= {"targets": TARGETS.get(number, TARGETS[6]), "service": SERVICES.get(number, "demo")}
        body |= {"intervals": [{"id": 0, "payloads": [payload]}]}
    return (json.dumps(body) + " " * (65_536 if number == 98 else 0)).encode()


def _processes() -> list[Observation]:
    def process(second: float, name: str, pid: int, what: str, code: int | None = None) -> Observation:
        return at(second, "process", name=name, pid=pid, what=what, code=code)

    return [
        process(1.0, "daemon", 100, "started"),
        process(BROKER_DOWN, "broker", 50, "stopped"),
        process(BROKER_UP, "broker", 51, "started"),
        process(KILLED, "daemon", 100, "killed"),
        process(KILLED + 0.01, "daemon", 100, "exited", -9),
        process(STARTED, "daemon", 101, "started"),
        process(END - 1.0, "daemon", 101, "exited", 0),
    ]


def _commands() -> list[Observation]:
    def command(second: float, scene: int, *words: str) -> list[Observation]:
        said = {"arguments": [*words], "scene": scene}
        return [
            at(second, "command", what="given", code=None, output="", **said),
            at(second + 0.4, "command", what="answered", code=0, output="done", **said),
        ]

    return [*command(TYPED, 4, "soc", "55", "ev"), *command(COMMAND, 5, "override", "heat", "--for", "12s")]


# --- what the aggregator heard ---


def status(second: float, number: int, asset: str, **changes: object) -> Observation:
    """A status of the instruction `id-<number>` on one asset, followed in full unless changed."""
    target = {
        "asset": asset,
        "status": "STARTED",
        "extent": "full",
        "evidence": "measured",
        "reason": "none",
        "text": "",
    }
    return received(second, "dispatch/status", _status(number, [target | changes]))


def refusal(second: float, number: int, reception: str, **changes: object) -> Observation:
    """The answer to a message that was not obeyed."""
    return received(second, "dispatch/status", _status(number, [], reception) | changes)


def _status(number: int, targets: list[dict[str, object]], reception: str = "OK") -> dict[str, object]:
    digest = hashlib.sha256(_body(number, "set")).hexdigest()
    return {
        "schema": "homeflex.status.v1",
        "site": "demo-home",
        "stream": "STREAM",
        "seq": 1,
        "id": None if reception in ("INVALID_SIGNATURE", "TEMPORARY_ERROR") else f"id-{number}",
        "digest": f"sha256:{digest}",
        "reception": reception,
        "targets": targets,
    }


def _statuses() -> list[Observation]:
    hour = f"{datetime.fromtimestamp(T0 + READY, UTC):%H:%M}"
    needs = {"extent": "partial", "reason": "chargeLimit", "text": f"0.09 kWh still needed by {hour} local"}
    return [
        status(6.1, 1, "ev", status="ACCEPTED", extent="none"),
        status(16.0, 1, "ev"),
        status(10.0, 2, "heat"),
        status(41.0, 2, "heat", extent="none", reason="comfortLimit"),
        status(11.0, 3, "freezer"),
        status(36.0, 3, "freezer", extent="none", reason="applianceLimit"),
        status(BM + 0.1, 33, "freezer", status="REJECTED", extent="none", reason="notEligible"),
        status(50.0, 4, "ev"),
        status(75.0, 4, "ev", **needs),
        status(65.0, 5, "heat"),
        status(COMMAND + 2, 5, "heat", extent="none", reason="userOverride"),
        status(OVER + 3, 5, "heat"),
        refusal(FORGED + 0.1, 99, "INVALID_SIGNATURE"),
        refusal(REPLAYED + 0.1, 2, "REPLAYED"),
        refusal(OVERSIZED + 0.1, 98, "TEMPORARY_ERROR", reason="storage"),
        status(89.0, 7, "heat"),
        *(status(135.0, 6, asset) for asset in POINTS[:3]),
        *(status(252.5, 6, asset, extent="none", reason="gatewayRestart") for asset in POINTS[:3]),
        *(status(275.0, 6, asset) for asset in POINTS[:3]),
    ]


def _minutes() -> list[Observation]:
    delivered = {34: 34.6, 94: 99.0, 154: 252.0, 214: 252.2, 274: 275.2}
    return [telemetry(delivered[edge], n, edge) for n, edge in enumerate(EDGES) if edge in delivered]


def telemetry(second: float, seq: int, edge: int, **changes: object) -> Observation:
    """The minute that ends at second `edge`, received at `second`, of all four points."""
    is_lost = edge in (154, 214)
    reading = {
        "seq": seq,
        "start": moment(edge - 60),
        "end": moment(edge),
        "powerKw": None if is_lost else 1.2,
        "quality": "MISSING" if is_lost else "OK",
        "reasons": ["restart"] if is_lost else [],
        "limitKw": 1.38 if edge == 34 else None,
        "dispatchIds": ["id-1"] if edge == 34 else [],
    }
    bundle = {"stream": "STREAM", "readings": [reading | changes]}
    body = {
        "schema": "homeflex.telemetry.v1",
        "offsetS": OFFSET_S,
        "points": dict.fromkeys(POINTS, bundle),
    }
    return received(second, "telemetry", body)
