"""Key files and trust stores: what is written is what a gateway believes, and nothing is overwritten."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path

import pytest

from gateway.aggregator import jwk
from gateway.aggregator.jwk import BadKey, Key
from gateway.wire.keys import parse_keys
from gateway.wire.reception import Unacceptable
from gateway.wire.signature import verify
from tests.wire.bodies import NOW_UTC_S, SITE

DAY_S = 86_400


def key(kid: str = "agg-1", role: str = "dispatch") -> Key:
    return Key.new(kid, role, NOW_UTC_S, 90 * DAY_S)


def test_a_key_survives_its_files_and_only_the_private_one_can_sign(tmp_path: Path) -> None:
    made = key()
    private, public = jwk.save(made, tmp_path)
    assert jwk.load(private) == made
    assert jwk.load(public).public == made.public
    assert "d" not in json.loads(public.read_text())
    with pytest.raises(BadKey, match="public half"):
        jwk.load(public).signed(b"{}", "homeflex.dispatch.v1")


def test_a_private_key_is_its_owners_alone_and_a_jwk(tmp_path: Path) -> None:
    private, _ = jwk.save(key(), tmp_path)
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    found = json.loads(private.read_text())
    assert (found["kty"], found["crv"]) == ("OKP", "Ed25519")
    assert len(base64.urlsafe_b64decode(found["d"] + "=")) == 32


@pytest.mark.parametrize("there", ["agg-1.json", "agg-1.pub.json"])
def test_no_key_is_ever_overwritten(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("precious")
    with pytest.raises(BadKey, match="never overwritten"):
        jwk.save(key(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "precious"


@pytest.mark.parametrize(
    ("kid", "role"), [("../agg", "dispatch"), ("", "dispatch"), ("root", "dispatch"), ("r", "root")]
)
def test_a_kid_must_do_as_a_file_and_root_is_the_roots(tmp_path: Path, kid: str, role: str) -> None:
    with pytest.raises(BadKey, match="--kid"):
        jwk.save(key(kid, role), tmp_path)


def test_what_it_signs_verifies_with_the_trust_store_it_makes() -> None:
    made, other = key(), key("agg-2", "read")
    document = jwk.trust_store(SITE, 7, [made, other])
    ring = parse_keys(document, SITE)
    assert ring.version == 7
    assert {kid: one.trusted.role for kid, one in ring.keys.items()} == {"agg-1": "dispatch", "agg-2": "read"}
    token = made.signed(b'{"a": 1}', "homeflex.dispatch.v1")
    facts = {"schema": "homeflex.dispatch.v1", "role": "dispatch"}
    assert verify(token, ring, utc_s=NOW_UTC_S, **facts) == b'{"a": 1}'  # type: ignore[arg-type]
    for utc_s in (NOW_UTC_S - 1, NOW_UTC_S + 90 * DAY_S):
        with pytest.raises(Unacceptable, match="not valid at this time"):
            verify(token, ring, utc_s=utc_s, **facts)  # type: ignore[arg-type]


def test_a_signed_trust_store_has_exactly_the_header_of_the_contract() -> None:
    root = Key.new("root", "root", NOW_UTC_S, DAY_S)
    document = jwk.trust_store(SITE, 2, [key()])
    token = jwk.signed_trust_store(document, root)
    header, payload, _ = token.split(b".")
    assert json.loads(base64.urlsafe_b64decode(header + b"==")) == {
        "alg": "Ed25519", "kid": "root", "typ": "homeflex.keys.v1",
    }  # fmt: skip
    assert base64.urlsafe_b64decode(payload + b"==") == document
    assert jwk.addressee(token) == (SITE, 2)


def test_only_the_root_signs_trust_stores_and_it_stands_in_none() -> None:
    with pytest.raises(BadKey, match="only the root key"):
        jwk.signed_trust_store(b"{}", key())
    with pytest.raises(BadKey, match="stands in none"):
        jwk.trust_store(SITE, 1, [Key.new("root", "root", NOW_UTC_S, DAY_S)])


def test_a_trust_store_that_no_gateway_would_take_is_not_made() -> None:
    with pytest.raises(BadKey, match="agg-1 appears 2 times"):
        jwk.trust_store(SITE, 1, [key(), key()])
    with pytest.raises(BadKey, match="site: "):
        jwk.trust_store("Home 7", 1, [key()])
    with pytest.raises(BadKey, match="at most 32"):
        jwk.trust_store(SITE, 1, [key(f"k{n}") for n in range(33)])


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kty": "RSA"}', "\x00"])
def test_what_is_no_key_file_is_said_to_be_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "key.json").write_text(text)
    with pytest.raises(BadKey, match="is no key file"):
        jwk.load(tmp_path / "key.json")


def test_halves_that_do_not_belong_together_are_no_key(tmp_path: Path) -> None:
    private, _ = jwk.save(key(), tmp_path)
    private.write_text(json.dumps({**json.loads(private.read_text()), "x": key().x}))
    with pytest.raises(BadKey, match="is no key file"):
        jwk.load(private)


@pytest.mark.parametrize("token", [b"", b"a.b.c", b"{}", b"e30.e30.e30"])
def test_what_is_no_signed_trust_store_is_not_published(token: bytes) -> None:
    with pytest.raises(BadKey, match="no signed trust store"):
        jwk.addressee(token)
