"""Instructions as an aggregator composes them: bodies of the topic `dispatch`, plain data."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway.wire.dispatch import SCHEMA
from gateway.wire.dispatch import UNITS as TAKEN
from gateway.wire.moment import duration_of, moment_of
from gateway.wire.order import parse_order
from gateway.wire.reception import Unacceptable

RETURNS_S = 3600  # the longest return is half of it; then the summary, also from a home that was away
EXPIRES_S = 600  # how long an instruction may be under way before it is no longer to be accepted
UNITS = {kind.value: unit for kind, unit in TAKEN.items() if kind.value != "EXPORT_CAPACITY_LIMIT"}
"""What may be asked, and the unit that goes with it (PERCENT is 0..1); no home here can export."""


@dataclass(frozen=True, slots=True)
class Head:
    """Which instruction it is, and until when (UTC seconds) it may be accepted."""

    site: str
    issued_utc_s: float
    id: str = ""
    revision: int = 0
    expires_s: float = EXPIRES_S

    def written(self, op: str) -> dict[str, Any]:
        """Its fields; without an id of its own it gets a new one."""
        return {
            "schema": SCHEMA,
            "site": self.site,
            "id": self.id or str(uuid.uuid4()),
            "revision": self.revision,
            "op": op,
            "issuedAt": moment_of(self.issued_utc_s),
            "expiresAt": moment_of(self.issued_utc_s + self.expires_s),
        }


def set_body(
    head: Head,
    kind: str,
    values: Sequence[float],
    *,
    targets: Sequence[str],
    start_utc_s: float,
    each_s: int,
    service: str,
    service_class: str = "response",
    priority: int = 10,
    **more: Any,
) -> dict[str, Any]:
    """One value after the other from `start_utc_s` on, each for `each_s`.

    `more` are further fields under the contract's names; those that are None are left out.
    """
    descriptor = {"payloadType": kind, "units": UNITS[kind]}
    return {
        **head.written("set"),
        "service": service,
        "serviceClass": service_class,
        "priority": priority,
        "targets": [*targets],
        **_there(more),
        "intervalPeriod": {"start": moment_of(start_utc_s), "duration": duration_of(each_s)},
        "payloadDescriptors": [_there(descriptor)],
        "intervals": [
            {"id": n, "payloads": [{"type": kind, "values": [value]}]} for n, value in enumerate(values)
        ],
    }


def stop_body(head: Head, op: str, end_delay: str | None = None) -> dict[str, Any]:
    """The end of one instruction (`cancel`) or of all that were issued up to now (`stopAll`)."""
    return {**head.written(op), **_there({"endDelay": end_delay})}


def written(body: dict[str, Any]) -> bytes:
    """The bytes to sign.

    Raises:
        ValueError: no home would take it; the text names every broken field.
    """
    payload = json.dumps(body).encode()
    try:
        parse_order(payload, str(body["site"]))
    except Unacceptable as error:
        raise ValueError(error.text) from None
    return payload


def follows_s(payload: bytes, site: str, now_utc_s: float) -> float:
    """How long it may take, from now on, until a home has told how what was `written` ended."""
    order = parse_order(payload, site)
    ends_utc_s = order.asks[-1].end_utc_s if order.asks else now_utc_s
    return max(0.0, ends_utc_s - now_utc_s) + RETURNS_S


def _there(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
