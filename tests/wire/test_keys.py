"""The trust store is used whole or not at all."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest

from gateway.wire.keys import parse_keys, root_of
from gateway.wire.reception import Unacceptable
from tests.wire.bodies import GONE, SITE, changed

# RFC 8037 appendix A.1
KEY = {
    "kid": "agg-1",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    "role": "dispatch",
    "notBefore": "2026-11-01T00:00:00Z",
    "notAfter": "2026-12-01T00:00:00Z",
}
STORE: dict[str, Any] = {"schema": "homeflex.keys.v1", "site": SITE, "version": 3, "keys": [KEY]}


def test_a_store_becomes_a_ring_by_kid() -> None:
    ring = parse_keys(
        json.dumps({**STORE, "keys": [KEY, {**KEY, "kid": "next", "role": "read"}]}).encode(), SITE
    )
    assert ring.version == 3
    assert {kid: key.trusted.role for kid, key in ring.keys.items()} == {"agg-1": "dispatch", "next": "read"}


def test_a_store_without_keys_trusts_nobody() -> None:
    assert parse_keys(json.dumps({**STORE, "keys": []}).encode(), SITE).keys == {}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema": "homeflex.keys.v2"}, "schema: must be homeflex.keys.v1"),
        ({"site": "home-0000"}, "site: must be home-7f3a"),
        ({"version": -1}, "version: must be at least 0"),
        ({"comment": "x"}, "comment: is not a field"),
        ({"keys": GONE}, "keys: is missing"),
        ({"keys": [KEY, KEY]}, "keys: agg-1 appears 2 times"),
        ({"keys": [{**KEY, "kid": f"k{n}"} for n in range(33)]}, "keys: must have at most 32"),
        ({"keys.0.role": "root"}, "keys[0].role: must be 'dispatch'"),
        ({"keys.0.x": "AAAA"}, "keys[0].x: must match"),
        ({"keys.0.x": "A" * 42 + "B"}, "keys[0].x: must be the 32 bytes"),
        ({"keys.0.d": "secret"}, "keys[0].d: is not a field"),
        ({"keys.0.notAfter": "2026-11-01T00:00:00Z"}, "keys[0].notAfter: must be after notBefore"),
        ({"keys.0.notBefore": "today"}, "keys[0].notBefore: 'today' is not a moment"),
        ({"keys.0.kid": ""}, "keys[0].kid: must have at least 1"),
        ({"keys.0.kid": "root"}, "keys[0].kid: root is the name of the root key"),
    ],
    ids=lambda part: ",".join(part) if isinstance(part, dict) else "",
)
def test_a_broken_store_is_refused_with_the_fields_name(changes: dict[str, object], words: str) -> None:
    with pytest.raises(Unacceptable) as caught:
        parse_keys(json.dumps(changed(STORE, changes)).encode(), SITE)
    assert words in caught.value.text


def test_the_root_key_is_never_one_of_the_store_under_any_name() -> None:
    document = json.dumps(STORE).encode()
    with pytest.raises(Unacceptable, match=r"keys\[0\]\.x: is the root key's"):
        parse_keys(document, SITE, root_of(KEY["x"]))
    assert parse_keys(document, SITE, root_of("Jv68CkGkdjj-ZrfKPIjlPH5k6T3zZ7DLQsUcz-sZ2f4")).version == 3


def test_a_store_is_named_by_the_bytes_of_its_document() -> None:
    document = json.dumps(STORE, indent=1).encode()
    assert parse_keys(document, SITE).digest == hashlib.sha256(document).hexdigest()


def test_the_roots_fingerprint_is_the_first_sixteen_digits_of_the_hash_of_its_bytes_in_groups() -> None:
    digits = hashlib.sha256(base64.urlsafe_b64decode(KEY["x"] + "=")).hexdigest()
    assert root_of(KEY["x"]).fingerprint == f"{digits[:4]} {digits[4:8]} {digits[8:12]} {digits[12:16]}"


@pytest.mark.parametrize("x", ["", "AAAA", "A" * 42 + "B", "!" * 43])
def test_what_is_no_key_is_no_root(x: str) -> None:
    with pytest.raises(ValueError, match="32 bytes of an Ed25519 public key"):
        root_of(x)
