"""From the bytes of a dispatch to an order the core understands, or to the answer why not.

Only what the message itself can tell is checked here. Whatever needs a clock, the journal or the
assets of the home (expired, replayed, too far ahead, unknown target) is the book's.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from pydantic import ValidationError

from gateway.core.model import Ask, Kind, Op, Order, Vector
from gateway.wire.dispatch import (
    DISPATCH_MAX_BYTES,
    MOST_INTERVALS,
    MOST_TARGETS,
    SCHEMA,
    UNITS,
    Interval,
    SetBody,
    StopBody,
)
from gateway.wire.json_text import json_object
from gateway.wire.message import digest, listed, problems_of, read, require_schema, site_problems
from gateway.wire.reception import Reception, Unacceptable, too_large

LONGEST_WINDOW_S = 24 * 3600
LONGEST_EXPIRY_S = 7 * 24 * 3600
_MODELS: dict[object, type[SetBody] | type[StopBody]] = {
    "set": SetBody,
    "cancel": StopBody,
    "stopAll": StopBody,
}


def parse_order(payload: bytes, site: str) -> Order:
    """The order in the exact bytes of a dispatch body, after the signature was verified.

    Raises:
        Unacceptable: `INVALID_MESSAGE`: not JSON, or not this schema. `INVALID_CONTENT`: a rule is
            broken; all broken ones are told at once. `TEMPORARY_ERROR`: beyond the contract's bounds.
    """
    raw = json_object(payload, DISPATCH_MAX_BYTES)
    try:
        require_schema(raw, SCHEMA)
        _refuse_beyond_bounds(raw)
        return _order(_body(raw, payload, site), digest(payload))
    except Unacceptable as refusal:
        refusal.id, refusal.revision = _readable_id(raw), _readable_revision(raw)
        raise


def _refuse_beyond_bounds(raw: dict[str, object]) -> None:
    for name, most in (("intervals", MOST_INTERVALS), ("targets", MOST_TARGETS)):
        found = raw.get(name)
        if isinstance(found, list) and len(found) > most:
            raise too_large(f"{name}: has {len(found)}; at most {most} are taken")


def _body(raw: dict[str, object], payload: bytes, site: str) -> SetBody | StopBody:
    op = raw.get("op")
    model = _MODELS.get(op) if isinstance(op, str) else None
    if model is None:
        raise Unacceptable(Reception.INVALID_CONTENT, "op: must be set, cancel or stopAll")
    problems = site_problems(raw, site)
    try:
        body = read(model, payload)
    except ValidationError as error:
        problems += problems_of(error)
    else:
        problems += _broken_rules(body)
    if problems:
        raise Unacceptable(Reception.INVALID_CONTENT, listed(problems))
    return body


def _broken_rules(body: SetBody | StopBody) -> Iterator[str]:
    if not 0 <= body.expires_utc_s - body.issued_utc_s <= LONGEST_EXPIRY_S:
        yield "expiresAt: must be at or after issuedAt, by at most 7 days"
    if isinstance(body, SetBody):
        if "site" in body.targets and len(body.targets) > 1:
            yield "targets: site must stand alone, for it takes in all others"
        yield from _undescribed(body)
        yield from _broken_timing(body)


def _undescribed(body: SetBody) -> Iterator[str]:
    described = [descriptor.payload_type for descriptor in body.payload_descriptors]
    if len(set(described)) < len(described):
        yield "payloadDescriptors: each type must be described once"
    for kind in dict.fromkeys(_payload_kind(interval) for interval in body.intervals):
        if kind not in described:
            unit = f" with units {UNITS[kind]}" if UNITS[kind] else ""
            yield f"payloadDescriptors: {kind} is used and must be described{unit}"


def _broken_timing(body: SetBody) -> Iterator[str]:
    if body.interval_period is not None:
        if any(interval.interval_period for interval in body.intervals):
            yield "intervalPeriod: must be on the event or on every interval, not on both"
    elif not all(interval.interval_period for interval in body.intervals):
        yield "intervalPeriod: must be on the event or on every interval"
        return
    spans = _spans(body)
    for k, (before, after) in enumerate(pairwise(spans), 1):
        if after[0] != before[1]:
            yield f"intervals[{k}].intervalPeriod.start: must be the end of the interval before"
    if spans[-1][1] - spans[0][0] > LONGEST_WINDOW_S:
        yield "intervals: must be at most 24 h in all"


def _spans(body: SetBody) -> list[tuple[float, float]]:
    if body.interval_period is not None:
        start, each = body.interval_period.start_utc_s, body.interval_period.duration_s
        return [(start + k * each, start + (k + 1) * each) for k in range(len(body.intervals))]
    periods = (interval.interval_period for interval in body.intervals)
    return [(p.start_utc_s, p.start_utc_s + p.duration_s) for p in periods if p is not None]


def _order(body: SetBody | StopBody, sha256: str) -> Order:
    if isinstance(body, StopBody):
        return Order(
            op=Op(body.op),
            id=body.id,
            revision=body.revision,
            digest=sha256,
            issued_utc_s=body.issued_utc_s,
            expires_utc_s=body.expires_utc_s,
            end_delay_max_s=body.end_delay_s,
        )
    return Order(
        op=Op.SET,
        id=body.id,
        revision=body.revision,
        digest=sha256,
        issued_utc_s=body.issued_utc_s,
        expires_utc_s=body.expires_utc_s,
        service=body.service,
        service_class=body.service_class,
        service_ref=body.service_ref,
        vector=Vector(body.vector),
        priority=body.priority,
        targets=tuple(dict.fromkeys(body.targets)),
        start_delay_max_s=body.start_delay_s,
        end_delay_max_s=body.end_delay_s,
        asks=tuple(
            Ask(start, end, _payload_kind(interval), _inside_value(interval))
            for (start, end), interval in zip(_spans(body), body.intervals, strict=True)
        ),
    )


def _payload_kind(interval: Interval) -> Kind:
    return interval.payloads[0].type


def _inside_value(interval: Interval) -> float:
    value = interval.payloads[0].values[0]
    return round(value * 1000) if UNITS[_payload_kind(interval)] == "KW" else value


def _readable_id(raw: dict[str, object]) -> str | None:
    found = raw.get("id")
    return found if isinstance(found, str) and 1 <= len(found) <= 64 and found.isprintable() else None


def _readable_revision(raw: dict[str, object]) -> int | None:
    found = raw.get("revision")
    return found if type(found) is int and 0 <= found < 2**31 else None
