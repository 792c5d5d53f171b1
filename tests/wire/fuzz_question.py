"""Entry point for a byte fuzzer: whatever arrives as a question becomes one or the one known error."""

from __future__ import annotations

from gateway.wire.reception import Reception, Unacceptable
from gateway.wire.rpc import LONGEST_S, parse_request

SITE = "home-7f3a"
KNOWN = {Reception.INVALID_MESSAGE, Reception.INVALID_CONTENT, Reception.TEMPORARY_ERROR}


def fuzz_question(data: bytes) -> None:
    """Feed `data` to the door of each verb; at most one of them takes it."""
    taken = [verb for verb in ("state", "readings", "diagnose", "config-check") if _is_taken(data, verb)]
    assert len(taken) <= 1


def _is_taken(data: bytes, verb: str) -> bool:
    try:
        request = parse_request(data, SITE, verb)
    except Unacceptable as refusal:
        assert refusal.reception in KNOWN
        assert refusal.text.isprintable()
        assert len(refusal.text) < 2000
        return False
    assert (request.verb, request.site) == (verb, SITE)
    assert 0 <= request.expires_utc_s - request.issued_utc_s <= LONGEST_S
    assert (request.rows is not None) == (verb == "readings")
    if request.rows:
        assert 0 <= request.rows.first_seq <= request.rows.last_seq < 2**31
    return True
