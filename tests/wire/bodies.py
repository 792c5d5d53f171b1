"""Dispatch messages as an aggregator writes them, built without the code under test."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

SITE = "home-7f3a"
DISPATCH = "homeflex.dispatch.v1"
NOW_UTC_S = int(datetime(2026, 11, 23, 17, tzinfo=UTC).timestamp())

EXAMPLE: dict[str, Any] = {
    "schema": DISPATCH,
    "site": SITE,
    "id": "0193b3f0-5c1e-7cc0-9a51-1f0f6b3c2a10",
    "revision": 0,
    "op": "set",
    "issuedAt": "2026-11-23T16:50:00Z",
    "expiresAt": "2026-11-23T17:05:00Z",
    "service": "bm",
    "serviceClass": "response",
    "serviceRef": "boa-4711",
    "vector": "automated",
    "priority": 10,
    "targets": ["class:ev"],
    "startDelay": "PT0S",
    "intervalPeriod": {"start": "2026-11-23T17:00:00Z", "duration": "PT30M"},
    "payloadDescriptors": [{"payloadType": "IMPORT_CAPACITY_LIMIT", "units": "KW"}],
    "intervals": [{"id": 0, "payloads": [{"type": "IMPORT_CAPACITY_LIMIT", "values": [1.4]}]}],
}
STOP: dict[str, Any] = {
    "schema": DISPATCH,
    "site": SITE,
    "id": "0193b3f0-5c1e-7cc0-9a51-1f0f6b3c2a10",
    "revision": 1,
    "op": "cancel",
    "issuedAt": "2026-11-23T17:10:00Z",
    "expiresAt": "2026-11-23T17:30:00Z",
}

GONE = object()
"""Put in the place of a value to take its field out."""


def written(body: object) -> bytes:
    return json.dumps(body).encode()


def changed(body: dict[str, Any], changes: dict[str, object]) -> dict[str, Any]:
    """The body with dotted paths (`intervals.0.id`) set to new values."""
    body = copy.deepcopy(body)
    for path, value in changes.items():
        *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
        place: Any = body
        for step in way:
            place = place[step]
        if value is GONE:
            del place[last]
        else:
            place[last] = value
    return body


def moment(utc_s: float) -> str:
    return datetime.fromtimestamp(utc_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


UNIT = {
    "IMPORT_CAPACITY_LIMIT": "KW",
    "DISPATCH_SETPOINT": "KW",
    "X_IMPORT_FLOOR": "KW",
    "EXPORT_CAPACITY_LIMIT": "KW",
    "CHARGE_STATE_SETPOINT": "PERCENT",
    "SIMPLE": None,
}


@st.composite
def durations(draw: st.DrawFn, low_s: int, high_s: int) -> tuple[int, str]:
    """Seconds, and one of the ways to write them."""
    total_s = draw(st.integers(low_s, high_s))
    minutes, seconds = divmod(total_s, 60)
    hours, rest = divmod(minutes, 60)
    ways = [f"PT{total_s}S", f"PT{minutes}M{seconds}S", f"PT{hours}H{rest}M{seconds}S"]
    if seconds == 0:
        ways.append(f"PT{minutes}M")
    return total_s, draw(st.sampled_from(ways))


@st.composite
def payloads(draw: st.DrawFn) -> tuple[str, float, float]:
    """Type, value as written, value as the core should see it."""
    kind = draw(st.sampled_from(sorted(UNIT)))
    if UNIT[kind] == "KW":
        power_w = draw(st.integers(0, 10_000_000))
        return kind, power_w / 1000, power_w
    if UNIT[kind] == "PERCENT":
        percent = draw(st.integers(0, 100))
        return kind, percent / 100, percent / 100
    level = draw(st.integers(0, 3))
    return kind, level, level


@st.composite
def set_bodies(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """A valid `set` and, by name, what the order made of it must say."""
    start_s = NOW_UTC_S + draw(st.integers(-86_400, 86_400 * 35))
    issued_s = NOW_UTC_S + draw(st.integers(-3600, 3600))
    expires_s = issued_s + draw(st.integers(0, 7 * 86_400))
    each_s, each = draw(durations(1, 3600))
    found = draw(st.lists(payloads(), min_size=1, max_size=6))
    spans = [(start_s + k * each_s, start_s + (k + 1) * each_s) for k in range(len(found))]
    on_event = draw(st.booleans())
    intervals = [
        {
            "id": k,
            "payloads": [{"type": kind, "values": [outside]}],
            **({} if on_event else {"intervalPeriod": {"start": moment(spans[k][0]), "duration": each}}),
        }
        for k, (kind, outside, _) in enumerate(found)
    ]
    delay_s, delay = draw(durations(0, 1800))
    targets = draw(
        st.sampled_from((["site"], ["class:ev"], ["class:heat", "class:plug"], ["asset:hp", "asset:ev-2"]))
    )
    priority = draw(st.integers(0, 2**31 - 1))
    body = {
        **changed(EXAMPLE, {"startDelay": GONE, "intervalPeriod": GONE}),
        "issuedAt": moment(issued_s),
        "expiresAt": moment(expires_s),
        "priority": priority,
        "targets": targets,
        "endDelay": delay,
        "payloadDescriptors": [
            {"payloadType": kind, **({"units": UNIT[kind]} if UNIT[kind] else {})}
            for kind in {kind for kind, _, _ in found}
        ],
        "intervals": intervals,
        **({"intervalPeriod": {"start": moment(start_s), "duration": each}} if on_event else {}),
    }
    wanted = {
        "issued_utc_s": issued_s,
        "expires_utc_s": expires_s,
        "priority": priority,
        "targets": tuple(targets),
        "start_delay_max_s": None,
        "end_delay_max_s": delay_s,
        "asks": [(*span, kind, inside) for span, (kind, _, inside) in zip(spans, found, strict=True)],
    }
    return body, wanted
