"""A question to a home: its body, composed by the contract."""

from __future__ import annotations

import json
import secrets

from gateway.wire.moment import moment_of
from gateway.wire.rpc import REQUEST

VERBS = ("state", "readings", "diagnose")
LASTS_S = 60.0


def body(site: str, verb: str, now_utc_s: float, rows: tuple[str, int, int] | None = None) -> bytes:
    """A question as compact JSON, good for a minute. `rows`: the log, its first and its last number.

    Raises:
        ValueError: rows go with `readings`, and only with that.
    """
    if verb not in VERBS:
        raise ValueError(f"{verb!r} is no question; one of {', '.join(VERBS)} would be")
    if (verb == "readings") is (rows is None):
        raise ValueError("readings needs --log, --first and --last; no other question has them")
    found: dict[str, object] = {
        "schema": REQUEST,
        "site": site,
        "id": f"q-{secrets.token_hex(6)}",
        "verb": verb,
        "issuedAt": moment_of(now_utc_s),
        "expiresAt": moment_of(now_utc_s + LASTS_S),
    }
    if rows is not None:
        found["rows"] = dict(zip(("log", "firstSeq", "lastSeq"), rows, strict=True))
    return json.dumps(found, separators=(",", ":")).encode()
