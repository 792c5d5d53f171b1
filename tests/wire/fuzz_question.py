"""Entry point for a byte fuzzer: whatever arrives as a question becomes one or the one known error."""

from __future__ import annotations

from gateway.wire.reception import Reception, Unacceptable
from gateway.wire.rpc import LONGEST_S, Request, parse_request

SITE = "home-7f3a"
KNOWN = {Reception.INVALID_MESSAGE, Reception.INVALID_CONTENT, Reception.TEMPORARY_ERROR}


def fuzz_question(data: bytes) -> None:
    """Feed `data` to the door of each verb; at most one of them takes it."""
    taken = [verb for verb in ("state", "readings", "diagnose", "config-check") if _is_taken(data, verb)]
    assert len(taken) <= 1


def _is_taken(data: bytes, verb: str) -> bool:
    told = _parsed(data, verb)
    if isinstance(told, Unacceptable):
        assert told.reception in KNOWN
        assert told.text.isprintable()
        assert len(told.text) < 2000
        return False
    assert (told.verb, told.site) == (verb, SITE)
    assert 0 <= told.expires_utc_s - told.issued_utc_s <= LONGEST_S
    assert (told.rows is not None) == (verb == "readings")
    assert told.rows is None or 0 <= told.rows.first_seq <= told.rows.last_seq < 2**31
    return True


def _parsed(data: bytes, verb: str) -> Request | Unacceptable:
    try:
        return parse_request(data, SITE, verb)
    except Unacceptable as refusal:
        return refusal
