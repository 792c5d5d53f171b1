"""What is composed is what a gateway takes, and what it means there."""

from __future__ import annotations

import pytest

from gateway.aggregator.instruction import UNITS, Head, follows_s, set_body, stop_body, written
from gateway.core.model import Op, Vector
from gateway.wire.order import parse_order
from tests.wire.bodies import NOW_UTC_S, SITE, UNIT

HEAD = Head(SITE, NOW_UTC_S, "boa-4711", 3)
VALUES = {"KW": (1.4, 0.0), "PERCENT": (0.5, 0.8), None: (1, 3)}


@pytest.mark.parametrize("kind", UNITS)
def test_values_follow_on_each_other_in_the_gateways_units(kind: str) -> None:
    assert UNITS[kind] == UNIT[kind]
    values = VALUES[UNITS[kind]]
    body = set_body(
        HEAD, kind, values, targets=["class:ev"], start_utc_s=NOW_UTC_S + 60, each_s=1800,
        service="bm", serviceRef="ref", vector=None, startDelay="PT0S",
    )  # fmt: skip
    order = parse_order(written(body), SITE)
    inside = 1000 if UNITS[kind] == "KW" else 1
    assert [(ask.start_utc_s, ask.end_utc_s, ask.kind, ask.value) for ask in order.asks] == [
        (NOW_UTC_S + 60, NOW_UTC_S + 1860, kind, values[0] * inside),
        (NOW_UTC_S + 1860, NOW_UTC_S + 3660, kind, values[1] * inside),
    ]
    assert (order.id, order.revision, order.service_ref) == ("boa-4711", 3, "ref")
    assert (order.start_delay_max_s, order.end_delay_max_s, order.vector) == (0, None, Vector.AUTOMATED)
    assert order.expires_utc_s == NOW_UTC_S + 600


@pytest.mark.parametrize("op", ["cancel", "stopAll"])
def test_a_stop_is_one(op: str) -> None:
    order = parse_order(written(stop_body(HEAD, op, "PT10S")), SITE)
    assert (order.op, order.id, order.revision, order.end_delay_max_s) == (Op(op), "boa-4711", 3, 10)


def test_an_instruction_is_followed_to_its_end_and_an_hour_more_a_stop_for_an_hour() -> None:
    ahead = {"targets": ["class:ev"], "start_utc_s": NOW_UTC_S + 60, "each_s": 1800, "service": "bm"}
    payload = written(set_body(HEAD, "DISPATCH_SETPOINT", [1.4, 0.0], **ahead))
    assert follows_s(payload, SITE, NOW_UTC_S) == 3660 + 3600
    assert follows_s(written(stop_body(HEAD, "cancel")), SITE, NOW_UTC_S) == 3600


def test_each_instruction_without_an_id_gets_one_of_its_own() -> None:
    head = Head(SITE, NOW_UTC_S)
    assert stop_body(head, "stopAll")["id"] != stop_body(head, "stopAll")["id"]


def test_what_no_home_would_take_is_refused_before_it_is_sent_by_its_fields() -> None:
    body = set_body(HEAD, "SIMPLE", [7], targets=[], start_utc_s=NOW_UTC_S, each_s=0, service="bm")
    with pytest.raises(ValueError, match=r"targets: must have at least 1.*duration: must be more than 0"):
        written(body)
