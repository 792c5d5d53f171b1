"""Which signatures count. The tokens here are made with the cipher itself, not with the code under test."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire.keys import KeyRing, parse_keys, root_of
from gateway.wire.message import digest
from gateway.wire.order import parse_order
from gateway.wire.reception import Reception, Unacceptable
from gateway.wire.signature import (
    new_private_key,
    opened,
    public_x,
    sign,
    signed_keys,
    unverified_digest,
    verify,
)
from tests.wire.bodies import DISPATCH, EXAMPLE, NOW_UTC_S, SITE, written

SECRET = bytes(range(32))
READER = bytes(range(32, 64))
CIPHER = Ed25519PrivateKey.from_private_bytes(SECRET)
BODY = written(EXAMPLE)
HEADER = {"alg": "Ed25519", "kid": "agg-1", "typ": DISPATCH}


def b64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def x_of(secret: bytes) -> str:
    return b64(Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()).decode()


def store(*keys: dict[str, object]) -> bytes:
    return json.dumps({"schema": "homeflex.keys.v1", "site": SITE, "version": 3, "keys": keys}).encode()


def key(kid: str, secret: bytes, role: str = "dispatch", **more: object) -> dict[str, object]:
    valid = {"notBefore": "2026-11-01T00:00:00Z", "notAfter": "2026-12-01T00:00:00Z"}
    return {"kid": kid, "x": x_of(secret), "role": role, **valid, **more}


RING = parse_keys(
    store(
        key("agg-1", SECRET),
        key("reader", READER, "read"),
        key("old", SECRET, notAfter="2026-11-23T17:00:00Z"),
        key("next", SECRET, notBefore="2026-11-23T17:00:01Z"),
        key("just", SECRET, notBefore="2026-11-23T17:00:00Z", notAfter="2026-11-23T17:00:01Z"),
    ),
    SITE,
)


def token(
    header: Any = HEADER, payload: bytes = BODY, secret: bytes = SECRET, *, raw_header: bytes | None = None
) -> bytes:
    head = b64(json.dumps(header).encode() if raw_header is None else raw_header)
    signed = head + b"." + b64(payload)
    return signed + b"." + b64(Ed25519PrivateKey.from_private_bytes(secret).sign(signed))


def verified(message: bytes, utc_s: float | None = NOW_UTC_S, ring: KeyRing = RING) -> bytes:
    return verify(message, ring, schema=DISPATCH, role="dispatch", utc_s=utc_s)


def refusal_of(message: bytes, utc_s: float | None = NOW_UTC_S) -> Unacceptable:
    with pytest.raises(Unacceptable) as caught:
        verified(message, utc_s)
    return caught.value


def test_a_signed_dispatch_gives_back_its_exact_bytes() -> None:
    assert verified(token()) == BODY
    assert parse_order(verified(token()), SITE).digest == hashlib.sha256(BODY).hexdigest() == digest(BODY)


def test_what_we_sign_anyone_with_the_public_key_can_verify() -> None:
    private = new_private_key()
    made = sign(BODY, private, "agg-1", DISPATCH)
    head, payload, signature = made.split(b".")
    public = base64.urlsafe_b64decode(public_x(private) + "=")
    Ed25519PublicKey.from_public_bytes(public).verify(
        base64.urlsafe_b64decode(signature + b"=="), head + b"." + payload
    )
    assert json.loads(base64.urlsafe_b64decode(head + b"==")) == HEADER
    assert len(private) == 32
    assert private != new_private_key()


def test_the_public_half_is_that_of_rfc_8032() -> None:
    """RFC 8032 section 7.1, test 1; its JWK form is RFC 8037 appendix A.2."""
    private = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    assert public_x(private) == "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=400))
def test_sign_and_verify_are_each_others_inverse(payload: bytes) -> None:
    assert verified(sign(payload, SECRET, "agg-1", DISPATCH)) == payload


HEAD, PAYLOAD, SIGNATURE = token().split(b".")
OTHER_BODY = written({**EXAMPLE, "revision": 1})


def hs256_with_the_public_key() -> bytes:
    """The old confusion: the public key taken as a shared secret."""
    signed = b64(json.dumps({**HEADER, "alg": "HS256"}).encode()) + b"." + PAYLOAD
    mac = hmac.new(CIPHER.public_key().public_bytes_raw(), signed, hashlib.sha256).digest()
    return signed + b"." + b64(mac)


def with_trailing_bits() -> bytes:
    """The same signature bytes, written with spare bits of base64 set."""
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = letters[letters.index(SIGNATURE[-1:]) | 1 : (letters.index(SIGNATURE[-1:]) | 1) + 1]
    return b".".join([HEAD, PAYLOAD, SIGNATURE[:-1] + last])


def with_s_plus_the_group_order() -> bytes:
    """A signature changed without the key: S + L (RFC 8032 section 5.1.7 forbids it)."""
    raw = base64.urlsafe_b64decode(SIGNATURE + b"==")
    order = 2**252 + 27742317777372353535851937790883648493
    s = int.from_bytes(raw[32:], "little") + order
    return b".".join([HEAD, PAYLOAD, b64(raw[:32] + s.to_bytes(32, "little"))])


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(b".".join([HEAD, b64(OTHER_BODY), SIGNATURE]), id="altered payload"),
        pytest.param(b".".join([HEAD, b"", SIGNATURE]), id="payload taken out"),
        pytest.param(b".".join([HEAD, PAYLOAD, b""]), id="signature taken out"),
        pytest.param(b".".join([HEAD, PAYLOAD, SIGNATURE[:-4]]), id="signature cut"),
        pytest.param(b".".join([HEAD, PAYLOAD, SIGNATURE + b"=="]), id="padded signature"),
        pytest.param(b".".join([HEAD, PAYLOAD + b"=", SIGNATURE]), id="padded payload"),
        pytest.param(b".".join([HEAD, PAYLOAD, b"A" * 86]), id="signature of noughts"),
        pytest.param(b".".join([HEAD, PAYLOAD, SIGNATURE[:40] + b" " + SIGNATURE[40:]]), id="a space in it"),
        pytest.param(with_trailing_bits(), id="spare bits set"),
        pytest.param(with_s_plus_the_group_order(), id="malleated signature"),
        pytest.param(token(secret=READER), id="another key"),
        pytest.param(token({**HEADER, "kid": "reader"}, secret=READER), id="a key of another role"),
        pytest.param(token({**HEADER, "kid": "nobody"}), id="unknown kid"),
        pytest.param(token({**HEADER, "kid": ["agg-1"]}), id="kid not text"),
        pytest.param(token({**HEADER, "kid": None}), id="kid null"),
        pytest.param(token({**HEADER, "alg": "EdDSA"}), id="alg EdDSA"),
        pytest.param(token({**HEADER, "alg": "none"}), id="alg none"),
        pytest.param(token({**HEADER, "alg": "none"}).rsplit(b".", 1)[0] + b".", id="alg none, unsigned"),
        pytest.param(token({**HEADER, "alg": ["Ed25519"]}), id="alg a list"),
        pytest.param(hs256_with_the_public_key(), id="alg HS256"),
        pytest.param(token({**HEADER, "typ": "homeflex.config.v1"}), id="typ of another schema"),
        pytest.param(token({**HEADER, "typ": "JWT"}), id="typ JWT"),
        pytest.param(token({"alg": "Ed25519", "kid": "agg-1"}), id="no typ"),
        pytest.param(token({"alg": "Ed25519", "typ": DISPATCH}), id="no kid"),
        pytest.param(token({**HEADER, "crit": ["exp"], "exp": 0}), id="crit"),
        pytest.param(token({**HEADER, "b64": False, "crit": ["b64"]}), id="b64"),
        pytest.param(
            token({**HEADER, "jwk": {"kty": "OKP", "crv": "Ed25519", "x": x_of(READER)}}, secret=READER),
            id="brings its own jwk",
        ),
        pytest.param(token({**HEADER, "jku": "https://localhost/keys"}), id="jku"),
        pytest.param(token({**HEADER, "x5c": []}), id="x5c"),
        pytest.param(token({**HEADER, "cty": "json"}), id="cty"),
        pytest.param(token({}), id="empty header"),
    ],
)
def test_a_signature_that_does_not_count_here_is_refused(attack: bytes) -> None:
    refusal = refusal_of(attack)
    assert refusal.reception is Reception.INVALID_SIGNATURE
    assert (refusal.id, refusal.revision) == (None, None)
    assert EXAMPLE["id"] not in refusal.text


@pytest.mark.parametrize(
    "noise",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"..", id="dots"),
        pytest.param(b"ey", id="a beginning"),
        pytest.param(HEAD + b"." + PAYLOAD, id="two parts"),
        pytest.param(token() + b".x", id="four parts"),
        pytest.param(b".".join([HEAD + b"=", PAYLOAD, SIGNATURE]), id="padded header"),
        pytest.param(b".".join([b"!!!!", PAYLOAD, SIGNATURE]), id="header not base64url"),
        pytest.param(b".".join([b"\xff\xfe", PAYLOAD, SIGNATURE]), id="header not ASCII"),
        pytest.param(token([]), id="header a list"),
        pytest.param(token("alg"), id="header text"),
        pytest.param(token(7), id="header a number"),
        pytest.param(token(raw_header=b'{"alg":"none",' + json.dumps(HEADER).encode()[1:]), id="alg twice"),
        pytest.param(token(raw_header=b"[" * 380), id="header nested"),
        pytest.param(token({**HEADER, "kid": "x" * 600}), id="header too long"),
        pytest.param(json.dumps({"payload": "", "signatures": []}).encode(), id="JWS in JSON form"),
    ],
)
def test_what_is_no_jws_is_an_invalid_message(noise: bytes) -> None:
    assert refusal_of(noise).reception is Reception.INVALID_MESSAGE


def test_an_oversized_token_is_refused_before_it_is_looked_at() -> None:
    large = token(payload=b"x" * 300_000)
    assert refusal_of(large).reception is Reception.TEMPORARY_ERROR
    with pytest.raises(Unacceptable, match="at most 65536"):
        verify(
            token(payload=b"x" * 60_000), RING, schema=DISPATCH, role="dispatch", utc_s=None, max_bytes=65_536
        )


def test_the_largest_message_allowed_is_verified() -> None:
    payload = b"x" * 190_000
    assert verified(token(payload=payload)) == payload


@pytest.mark.parametrize("kid", ["old", "next"])
def test_a_key_outside_its_time_counts_only_while_the_clock_is_not_trusted(kid: str) -> None:
    message = token({**HEADER, "kid": kid})
    assert refusal_of(message).reception is Reception.INVALID_SIGNATURE
    assert verified(message, utc_s=None) == BODY


def test_validity_includes_its_start_and_not_its_end() -> None:
    message = token({**HEADER, "kid": "just"})
    assert verified(message, NOW_UTC_S) == BODY
    assert refusal_of(message, NOW_UTC_S - 1).reception is Reception.INVALID_SIGNATURE
    assert refusal_of(message, NOW_UTC_S + 1).reception is Reception.INVALID_SIGNATURE


def test_an_empty_ring_trusts_nobody() -> None:
    with pytest.raises(Unacceptable, match="no trusted key"):
        verified(token(), ring=KeyRing())


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_one_changed_byte_anywhere_is_refused(data: st.DataObject) -> None:
    message = bytearray(token())
    at = data.draw(st.integers(0, len(message) - 1))
    message[at] = data.draw(st.integers(0, 255).filter(lambda byte: byte != message[at]))
    assert refusal_of(bytes(message)).reception in {Reception.INVALID_SIGNATURE, Reception.INVALID_MESSAGE}


def opened_here(message: bytes, *, required: bool) -> bytes:
    return opened(
        message, RING, schema=DISPATCH, role="dispatch", utc_s=NOW_UTC_S, signatures_required=required
    )


@pytest.mark.parametrize("plain", [BODY, b" \n\t" + BODY, b"{"])
def test_plain_json_is_opened_only_where_signatures_are_not_required(plain: bytes) -> None:
    assert opened_here(plain, required=False) == plain
    with pytest.raises(Unacceptable, match="requires signatures") as caught:
        opened_here(plain, required=True)
    assert caught.value.reception is Reception.INVALID_SIGNATURE


def test_a_bad_signature_is_refused_also_where_none_is_required() -> None:
    assert opened_here(token(), required=False) == BODY
    with pytest.raises(Unacceptable):
        opened_here(token(secret=READER), required=False)


def test_verify_and_parse_take_a_small_part_of_a_millisecond() -> None:
    """0.16 ms on a laptop core; ten times that is still refused."""
    message, took_s = token(), []
    for _ in range(60):
        began_s = time.perf_counter()
        parse_order(opened_here(message, required=True), SITE)
        took_s.append(time.perf_counter() - began_s)
    assert min(took_s) < 0.0016


def test_the_digest_of_an_unverified_message_is_that_of_the_body_it_carries() -> None:
    body = b'{"schema":"homeflex.dispatch.v1"}'
    token = sign(body, new_private_key(), "k", "homeflex.dispatch.v1")
    assert unverified_digest(token) == hashlib.sha256(body).hexdigest()
    assert unverified_digest(body) == hashlib.sha256(body).hexdigest()
    assert unverified_digest(b"a.!.c") == hashlib.sha256(b"a.!.c").hexdigest()


# --- the root, and what it signs --------------------------------------------------------------------------

ROOT_SECRET = bytes(range(64, 96))
ROOT = root_of(x_of(ROOT_SECRET))
ROOTED = {"alg": "Ed25519", "kid": "root", "typ": "homeflex.keys.v1"}
STORE = store(key("agg-1", SECRET))


def keys_token(header: Any = ROOTED, payload: bytes = STORE, secret: bytes = ROOT_SECRET) -> bytes:
    return token(header, payload, secret)


def test_a_trust_store_that_the_root_signed_is_taken() -> None:
    ring = signed_keys(keys_token(), ROOT, SITE)
    assert (ring.version, list(ring.keys)) == (3, ["agg-1"])
    assert ring.digest == hashlib.sha256(STORE).hexdigest()


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(keys_token(secret=SECRET), id="a key of the store in the root's name"),
        pytest.param(keys_token({**ROOTED, "kid": "agg-1"}, secret=SECRET), id="a key of the store"),
        pytest.param(keys_token({**ROOTED, "kid": "agg-1"}), id="the root under another name"),
        pytest.param(keys_token({**ROOTED, "kid": None}), id="the root without a name"),
        pytest.param(keys_token({**ROOTED, "typ": DISPATCH}), id="signed as a dispatch"),
        pytest.param(keys_token({**ROOTED, "typ": "JWT"}), id="signed as a JWT"),
        pytest.param(keys_token({**ROOTED, "crit": ["exp"], "exp": 0}), id="crit"),
        pytest.param(keys_token({**ROOTED, "alg": "EdDSA"}), id="alg EdDSA"),
        pytest.param(
            keys_token({**ROOTED, "jwk": {"kty": "OKP", "crv": "Ed25519", "x": x_of(SECRET)}}, secret=SECRET),
            id="brings its own jwk",
        ),
        pytest.param(STORE, id="plain JSON"),
        pytest.param(b" \n" + STORE, id="plain JSON after blanks"),
    ],
)
def test_a_trust_store_that_the_root_did_not_sign_as_one_is_refused(attack: bytes) -> None:
    with pytest.raises(Unacceptable) as caught:
        signed_keys(attack, ROOT, SITE)
    assert caught.value.reception is Reception.INVALID_SIGNATURE


def test_a_trust_store_of_more_than_64_kib_is_refused_before_it_is_looked_at() -> None:
    for size, reception in ((65_536, Reception.INVALID_MESSAGE), (65_537, Reception.TEMPORARY_ERROR)):
        with pytest.raises(Unacceptable) as caught:
            signed_keys(b"x" * size, ROOT, SITE)
        assert caught.value.reception is reception


def test_what_the_root_signed_must_still_be_a_trust_store_for_this_site() -> None:
    for payload, reception in (
        (b"[]", Reception.INVALID_MESSAGE),
        (BODY, Reception.INVALID_MESSAGE),
        (STORE.replace(SITE.encode(), b"home-0000"), Reception.INVALID_CONTENT),
        (store(key("root", SECRET)), Reception.INVALID_CONTENT),
        (store(key("agg-1", ROOT_SECRET)), Reception.INVALID_CONTENT),
    ):
        with pytest.raises(Unacceptable) as caught:
            signed_keys(keys_token(payload=payload), ROOT, SITE)
        assert caught.value.reception is reception


def test_the_root_signs_no_dispatch() -> None:
    header = {**HEADER, "kid": "root"}
    assert refusal_of(token(header, secret=ROOT_SECRET)).reception is Reception.INVALID_SIGNATURE
    assert refusal_of(token(secret=ROOT_SECRET)).reception is Reception.INVALID_SIGNATURE
