"""Entry point for a byte fuzzer: whatever arrives as a dispatch becomes an order or the one known error."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TypeVar

from gateway.core.model import Kind, Order
from gateway.wire.keys import parse_keys
from gateway.wire.message import encode
from gateway.wire.order import parse_order
from gateway.wire.reception import Reception, Unacceptable
from gateway.wire.signature import opened, public_x, sign
from gateway.wire.status import Status

T = TypeVar("T")
SITE = "home-7f3a"
SCHEMA = "homeflex.dispatch.v1"
SECRET = bytes(range(1, 33))
RING = parse_keys(
    json.dumps(
        {
            "schema": "homeflex.keys.v1",
            "site": SITE,
            "version": 1,
            "keys": [
                {
                    "kid": "agg",
                    "x": public_x(SECRET),
                    "role": "dispatch",
                    "notBefore": "2026-01-01T00:00:00Z",
                    "notAfter": "2027-01-01T00:00:00Z",
                }
            ],
        }
    ).encode(),
    SITE,
)
PARSED = {Reception.INVALID_MESSAGE, Reception.INVALID_CONTENT, Reception.TEMPORARY_ERROR}


def fuzz_dispatch(data: bytes) -> None:
    """Feed `data` to each door of a dispatch: as a message nobody signed, as one we trust, and as a body."""
    body, refusal = _outcome(lambda: _opened(data))
    if refusal is None:
        assert body == data
    else:
        assert refusal.reception in {*PARSED, Reception.INVALID_SIGNATURE}
        assert (refusal.id, refusal.revision) == (None, None)
    body, refusal = _outcome(lambda: _opened(sign(data, SECRET, "agg", SCHEMA)))
    assert body == data if refusal is None else refusal.reception is Reception.TEMPORARY_ERROR
    order, refusal = _outcome(lambda: parse_order(data, SITE))
    if refusal is None:
        assert order is not None
        assert_sane(order)
    else:
        assert refusal.reception in PARSED
        assert refusal.text.isprintable()
        assert len(refusal.text) < 2000
        _answer(refusal)


def fuzz_token(token: bytes, payload: bytes) -> None:
    """Feed what was the signed `payload`, and may have been scratched: it is still that, or refused."""
    body, refusal = _outcome(lambda: _opened(token, signatures_required=True))
    if refusal is None:
        assert body == payload
    else:
        assert refusal.reception in {*PARSED, Reception.INVALID_SIGNATURE}
        assert (refusal.id, refusal.revision) == (None, None)


def _outcome(work: Callable[[], T]) -> tuple[T | None, Unacceptable | None]:
    try:
        return work(), None
    except Unacceptable as refusal:
        return None, refusal


def _opened(data: bytes, *, signatures_required: bool = False) -> bytes:
    return opened(
        data,
        RING,
        schema=SCHEMA,
        role="dispatch",
        utc_s=None,
        signatures_required=signatures_required,
    )


def assert_sane(order: Order) -> None:
    """What the core may rely on, restated."""
    assert 1 <= len(order.id) <= 64
    assert 0 <= order.revision < 2**31
    assert 0 <= order.expires_utc_s - order.issued_utc_s <= 7 * 86_400
    assert order.end_delay_max_s is None or 0 <= order.end_delay_max_s <= 1800
    if order.op != "set":
        assert not order.asks
        assert not order.targets
        return
    assert 1 <= len(order.targets) <= 16
    assert order.targets == ("site",) or "site" not in order.targets
    assert 1 <= len(order.asks) <= 288
    assert order.asks[-1].end_utc_s - order.asks[0].start_utc_s <= 86_400
    for before, after in zip(order.asks, order.asks[1:], strict=False):
        assert before.end_utc_s == after.start_utc_s
    for ask in order.asks:
        assert ask.end_utc_s > ask.start_utc_s
        assert ask.start_utc_s == int(ask.start_utc_s)
        most = {Kind.SOC: 1, Kind.SIMPLE: 3}.get(ask.kind, 10_000_000)
        assert 0 <= ask.value <= most


def _answer(refusal: Unacceptable) -> None:
    """Every refusal can be told to its sender."""
    encode(
        Status(
            site=SITE,
            stream="01JDC0W3Q8Z5",
            seq=0,
            id=refusal.id,
            revision=refusal.revision,
            digest="00",
            at_utc_s=0.0,
            reception=refusal.reception,
            reason=refusal.reason,
            text=refusal.text,
        )
    )
