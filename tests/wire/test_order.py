"""What a dispatch becomes, and in which words it is refused."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from gateway.core.model import Kind, Op, Reason
from gateway.wire.dispatch import SetBody
from gateway.wire.message import decode, encode
from gateway.wire.order import parse_order
from gateway.wire.reception import Reception, Unacceptable
from tests.wire.bodies import EXAMPLE, GONE, NOW_UTC_S, SITE, STOP, changed, set_bodies, written


def refused(payload: bytes) -> Unacceptable:
    with pytest.raises(Unacceptable) as caught:
        parse_order(payload, SITE)
    return caught.value


def test_the_contracts_example_becomes_an_order_in_watts_and_utc_seconds() -> None:
    payload = written(EXAMPLE)
    order = parse_order(payload, SITE)
    (ask,) = order.asks
    assert (ask.start_utc_s, ask.end_utc_s) == (NOW_UTC_S, NOW_UTC_S + 1800)
    assert (ask.kind, ask.value) == (Kind.CAP, 1400)
    assert isinstance(ask.value, int)
    assert order.targets == ("class:ev",)
    assert (order.start_delay_max_s, order.end_delay_max_s) == (0, None)
    assert (order.service, order.service_class, order.service_ref) == ("bm", "response", "boa-4711")
    assert order.digest == hashlib.sha256(payload).hexdigest()


@pytest.mark.parametrize(("name", "op"), [("cancel", Op.CANCEL), ("stopAll", Op.STOP_ALL)])
def test_a_stop_carries_who_and_when_and_no_more(name: str, op: Op) -> None:
    order = parse_order(written({**STOP, "op": name, "endDelay": "PT0S"}), SITE)
    assert (order.op, order.revision, order.end_delay_max_s) == (op, 1, 0)
    assert order.issued_utc_s == NOW_UTC_S + 600
    assert order.asks == ()


@settings(max_examples=60, deadline=None)
@given(set_bodies())
def test_every_valid_set_means_what_was_written(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    body, wanted = pair
    order = parse_order(written(body), SITE)
    assert [(a.start_utc_s, a.end_utc_s, a.kind, a.value) for a in order.asks] == wanted.pop("asks")
    assert {name: getattr(order, name) for name in wanted} == wanted


@settings(max_examples=60, deadline=None)
@given(set_bodies())
def test_a_message_written_by_the_models_is_read_back_the_same(pair: tuple[dict[str, Any], Any]) -> None:
    body, _ = pair
    model = decode(SetBody, written(body), SITE)
    again = encode(model)
    assert decode(SetBody, again, SITE) == model
    there, back = parse_order(written(body), SITE), parse_order(again, SITE)
    assert replace(back, digest=there.digest) == there


@pytest.mark.parametrize(
    ("kw", "power_w"),
    [(1.383, 1383), (0.29, 290), (1.3830000000001, 1383), (7, 7000), (0, 0), (2.0006, 2001)],
)
def test_kilowatts_become_the_nearest_watt(kw: float, power_w: int) -> None:
    body = changed(EXAMPLE, {"intervals.0.payloads.0.values": [kw]})
    assert parse_order(written(body), SITE).asks[0].value == power_w


def period(start: str, duration: str = "PT30M") -> dict[str, str]:
    return {"start": f"2026-11-23T{start}:00Z", "duration": duration}


def interval(**more: object) -> dict[str, object]:
    return {"id": 0, "payloads": PAYLOADS, **more}


PAYLOADS = EXAMPLE["intervals"][0]["payloads"]


V = "intervals.0.payloads.0.values"
T = "intervals.0.payloads.0.type"
SOC = {"payloadDescriptors": [{"payloadType": "CHARGE_STATE_SETPOINT", "units": "PERCENT"}]}
SIMPLE = {"payloadDescriptors": [{"payloadType": "SIMPLE"}]}


BROKEN: list[tuple[dict[str, object], list[str]]] = [
    ({"site": "home-0000"}, ["site: must be home-7f3a"]),
    ({"op": "start"}, ["op: must be set, cancel or stopAll"]),
    ({"op": GONE}, ["op: must be"]),
    ({"id": ""}, ["id: "]),
    ({"id": "~probe"}, ["id: "]),
    ({"id": "x" * 65}, ["id: "]),
    ({"id": "a\nb"}, ["id: "]),
    ({"revision": -1}, ["revision: must be at least 0"]),
    ({"revision": True}, ["revision: must be a whole number"]),
    ({"revision": 1.0}, ["revision: must be a whole number"]),
    ({"revision": 2**31}, ["revision: must be at most"]),
    ({"priority": GONE}, ["priority: is missing"]),
    ({"priority": "10"}, ["priority: must be a whole number"]),
    ({"service": GONE}, ["service: is missing"]),
    ({"service": "b\u0000m"}, ["service: must be text without control characters"]),
    ({"serviceClass": "fast"}, ["serviceClass: must be 'response' or 'routine'"]),
    ({"vector": "both"}, ["vector: must be 'automated' or 'manual'"]),
    ({"issuedAt": 5}, ["issuedAt: must be text"]),
    ({"issuedAt": "2026-11-23T16:50:00+00:00"}, ["issuedAt", "is not a moment such as"]),
    ({"issuedAt": "2026-11-23T16:50:00.5Z"}, ["issuedAt", "whole seconds"]),
    ({"issuedAt": "2026-02-30T16:50:00Z"}, ["issuedAt", "does not exist"]),
    ({"issuedAt": "2026-11-23T23:59:60Z"}, ["issuedAt", "does not exist"]),
    ({"expiresAt": "2026-11-30T16:50:01Z"}, ["expiresAt: must be", "at most 7 days"]),
    ({"expiresAt": "2026-11-23T16:49:59Z"}, ["expiresAt: must be"]),
    ({"targets": []}, ["targets: must have at least 1"]),
    ({"targets": "site"}, ["targets: must be a list"]),
    ({"targets": ["site", "class:ev"]}, ["targets: site must stand alone"]),
    ({"targets": ["class:boiler"]}, ["targets[0]: must match"]),
    ({"targets": ["asset:EV"]}, ["targets[0]: must match"]),
    ({"targets": ["asset:ev\n"]}, ["targets[0]: must match"]),
    ({"startDelay": "PT30M1S"}, ["startDelay: must be at most PT30M"]),
    ({"endDelay": "PT1H"}, ["endDelay: must be at most PT30M"]),
    ({"endDelay": "P1D"}, ["endDelay", "is not a duration such as"]),
    ({"randomizeStart": "PT5M"}, ["randomizeStart: is not taken", "use startDelay"]),
    ({"intervalPeriod.randomizeStart": "PT5M"}, ["intervalPeriod.randomizeStart: is not taken"]),
    ({"duration": "P9999Y"}, ["duration: is not taken here"]),
    ({"colour": "red"}, ["colour: is not a field"]),
    (
        {"issuedAt": GONE, "issued_utc_s": EXAMPLE["issuedAt"]},
        ["issuedAt: is missing", "issued_utc_s: is not a field"],
    ),
    ({"intervalPeriod": GONE}, ["intervalPeriod: must be on the event or on every interval"]),
    ({"intervalPeriod.duration": "PT0S"}, ["intervalPeriod.duration: must be more than 0"]),
    ({"intervalPeriod.duration": "PT"}, ["intervalPeriod.duration", "is not a duration"]),
    ({"intervalPeriod.duration": "PT1.5H"}, ["intervalPeriod.duration", "is not a duration"]),
    ({"intervalPeriod.duration": "PT１H"}, ["intervalPeriod.duration", "is not a duration"]),
    ({"intervalPeriod.duration": "PT24H1S"}, ["intervals: must be at most 24 h in all"]),
    ({"intervalPeriod.start": "0001-01-01T00:00:00Z"}, ["intervalPeriod.start", "is not of our time"]),
    ({"intervalPeriod.start": "9999-12-31T23:59:59Z"}, ["intervalPeriod.start", "is not of our time"]),
    ({"intervals": []}, ["intervals: must have at least 1"]),
    ({"intervals": [interval(intervalPeriod=period("17:00"))]}, ["not on both"]),
    (
        {"intervalPeriod": GONE, "intervals": [interval(intervalPeriod=period("17:00")), interval()]},
        ["must be on the event or on every interval"],
    ),
    (
        {
            "intervalPeriod": GONE,
            "intervals": [interval(intervalPeriod=period(at)) for at in ("17:00", "17:31")],
        },
        ["intervals[1].intervalPeriod.start: must be the end of the interval before"],
    ),
    (
        {
            "intervalPeriod": GONE,
            "intervals": [interval(intervalPeriod=period(at)) for at in ("17:30", "17:00")],
        },
        ["intervals[1].intervalPeriod.start: must be the end of the interval before"],
    ),
    ({"intervals.0.payloads": []}, ["intervals[0].payloads: must have at least 1"]),
    (
        {"intervals.0.payloads": EXAMPLE["intervals"][0]["payloads"] * 2},
        ["payloads: must have at most 1"],
    ),
    ({V: [1, 2]}, ["intervals[0].payloads[0].values: must have at most 1"]),
    ({V: ["1.4"]}, ["values[0]: must be a number"]),
    ({V: [True]}, ["values[0]: must be a number"]),
    ({V: [-0.001]}, ["the value of IMPORT_CAPACITY_LIMIT must be 0 to 10000"]),
    ({V: [10_000.001]}, ["the value of IMPORT_CAPACITY_LIMIT must be 0 to 10000"]),
    ({V: [10**400]}, ["values[0]: must be"]),
    ({T: "PRICE"}, ["intervals[0].payloads[0].type: must be 'IMPORT_CAPACITY_LIMIT'"]),
    ({T: "DISPATCH_SETPOINT"}, ["DISPATCH_SETPOINT is used and must be described with units KW"]),
    ({"payloadDescriptors": []}, ["payloadDescriptors: must have at least 1"]),
    ({"payloadDescriptors.0.units": "W"}, ["payloadDescriptors[0].units: must be"]),
    ({"payloadDescriptors.0.units": "PERCENT"}, ["units of IMPORT_CAPACITY_LIMIT must be KW"]),
    ({"payloadDescriptors": EXAMPLE["payloadDescriptors"] * 2}, ["each type must be described once"]),
    ({**SOC, T: "CHARGE_STATE_SETPOINT", V: [80]}, ["the value of CHARGE_STATE_SETPOINT must be 0 to 1"]),
    ({**SIMPLE, T: "SIMPLE", V: [4]}, ["the value of SIMPLE must be 0 to 3"]),
    ({**SIMPLE, T: "SIMPLE", V: [1.5]}, ["the value of SIMPLE must be 0, 1, 2 or 3"]),
    (
        {"revision": -1, "endDelay": "x", "colour": "red", "site": "home-0000", "targets": []},
        ["revision: ", "endDelay: ", "colour: ", "site: ", "targets: "],
    ),
]


@pytest.mark.parametrize(
    ("changes", "words"),
    BROKEN,
    ids=lambda part: ",".join(part) if isinstance(part, dict) else "",
)
def test_a_broken_rule_is_refused_by_the_fields_name(changes: dict[str, object], words: list[str]) -> None:
    refusal = refused(written(changed(EXAMPLE, changes)))
    assert refusal.reception is Reception.INVALID_CONTENT
    for word in words:
        assert word in refusal.text
    if "revision" not in changes and "id" not in changes:
        assert (refusal.id, refusal.revision) == (EXAMPLE["id"], 0)


@pytest.mark.parametrize("field", ["targets", "intervals", "service", "startDelay", "priority"])
def test_a_stop_with_more_than_its_fields_is_refused(field: str) -> None:
    refusal = refused(written({**STOP, field: EXAMPLE[field]}))
    assert refusal.reception is Reception.INVALID_CONTENT
    assert f"{field}: is not a field of this message" in refusal.text


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"", "not a JSON message"),
        (b"[]", "outermost value must be an object"),
        (written({**EXAMPLE, "schema": "homeflex.dispatch.v2"}), "schema: must be homeflex.dispatch.v1"),
        (written(changed(EXAMPLE, {"schema": GONE})), "schema: must be homeflex.dispatch.v1"),
        (written(EXAMPLE).replace(b'"revision": 0', b'"revision": 0, "revision": 1'), "twice"),
        (written(EXAMPLE).replace(b"1.4", b"NaN"), "NaN"),
        (written(EXAMPLE).replace(b"1.4", b"-Infinity"), "Infinity"),
        (written(EXAMPLE).replace(b"1.4", b"1e999"), "too large"),
        (written(EXAMPLE).replace(b"boa", b"\xff\xfe"), "UTF-8"),
        (written(EXAMPLE).decode().encode("utf-16"), "not UTF-8"),
        (written(EXAMPLE).replace(b"boa", b"\\ud800"), "not a JSON message"),
        (written(EXAMPLE) + b"{}", "not a JSON message"),
        (written({**EXAMPLE, "service": [[[[[[[[[[[[[[[[["x"]]]]]]]]]]]]]]]]]}), "nested too deeply"),
        (b"[" * 60_000, "nested too deeply"),
    ],
)
def test_what_is_not_a_dispatch_at_all_is_an_invalid_message(payload: bytes, words: str) -> None:
    refusal = refused(payload)
    assert refusal.reception is Reception.INVALID_MESSAGE
    assert words in refusal.text


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (written(EXAMPLE) + b" " * 65_536, "at most 65536"),
        (written({**EXAMPLE, "targets": [f"asset:a{n}" for n in range(17)]}), "targets: has 17; at most 16"),
        (
            written(changed(EXAMPLE, {"intervalPeriod.duration": "PT5M", "intervals": [interval()] * 289})),
            "intervals: has 289; at most 288",
        ),
    ],
)
def test_beyond_the_bounds_is_a_temporary_error_of_storage(payload: bytes, words: str) -> None:
    refusal = refused(payload)
    assert (refusal.reception, refusal.reason) == (Reception.TEMPORARY_ERROR, Reason.STORAGE)
    assert words in refusal.text


def test_a_day_of_five_minutes_and_sixteen_targets_are_taken() -> None:
    body = changed(EXAMPLE, {"intervalPeriod.duration": "PT5M", "intervals": [interval()] * 288})
    order = parse_order(written({**body, "targets": [f"asset:a{n}" for n in range(16)]}), SITE)
    assert len(order.asks) == 288
    assert order.asks[-1].end_utc_s == NOW_UTC_S + 86_400


@pytest.mark.parametrize("unreadable", [True, "0", 0.0, -1, 2**31, None])
def test_a_revision_that_could_not_be_read_is_not_answered(unreadable: object) -> None:
    refusal = refused(written({**EXAMPLE, "revision": unreadable}))
    assert refusal.revision is None
    assert refusal.id == EXAMPLE["id"]


def test_a_text_of_many_problems_stays_short_and_printable() -> None:
    refusal = refused(written({**EXAMPLE, **{f"x\n{n}" * 20: 0 for n in range(500)}}))
    assert len(refusal.text) < 2000
    assert "and 492 more" in refusal.text
    assert "\n" not in refusal.text
