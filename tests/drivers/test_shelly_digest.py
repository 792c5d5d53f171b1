"""Digest authentication gives the answers of RFC 7616's own examples, and finds what a device asks for."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.plugs.digest import (
    Challenge,
    Secret,
    authentication,
    authorization,
    challenge_in,
    challenge_in_message,
)

# RFC 7616, 3.9.1: a server that offers both, and what Mufasa answers.
NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
OPAQUE = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
OWN_NONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
RFC = {
    algorithm: f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, '
    f'nonce="{NONCE}", opaque="{OPAQUE}"'
    for algorithm in ("SHA-256", "MD5")
}
MUFASA = Secret("Mufasa", "Circle of Life")
RESPONSES = {
    "MD5": "8ca523f5e9506fed4657c9700eebdbec",
    "SHA-256": "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
}


@pytest.mark.parametrize("algorithm", RESPONSES)
def test_the_examples_of_the_standard_are_answered_as_it_says(algorithm: str) -> None:
    challenge = challenge_in([RFC[algorithm]])
    assert challenge == Challenge("http-auth@example.org", NONCE, algorithm, OPAQUE)
    header = authorization(challenge, MUFASA, "GET", "/dir/index.html", 1, OWN_NONCE)
    assert header == (
        f'Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", '
        f'algorithm={algorithm}, nonce="{NONCE}", nc=00000001, cnonce="{OWN_NONCE}", qop=auth, '
        f'response="{RESPONSES[algorithm]}", opaque="{OPAQUE}"'
    )


def test_of_two_that_are_offered_the_stronger_is_answered() -> None:
    for headers in ([RFC["MD5"], RFC["SHA-256"]], [f"{RFC['MD5']}, {RFC['SHA-256']}"]):
        found = challenge_in(headers)
        assert found
        assert found.algorithm == "SHA-256"


def test_a_count_is_eight_hexadecimal_digits() -> None:
    header = authorization(Challenge("r", "n", "MD5"), Secret("u", "p"), "GET", "/", 255, "c")
    who, words = (hashlib.md5(text).hexdigest() for text in (b"u:r:p", b"GET:/"))
    response = hashlib.md5(f"{who}:n:000000ff:c:auth:{words}".encode()).hexdigest()
    assert "nc=000000ff," in header
    assert f'response="{response}"' in header


def test_a_nonce_that_grew_old_is_called_stale() -> None:
    found = challenge_in(['Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256, stale=TRUE'])
    assert found
    assert found.stale


def test_without_a_word_of_the_algorithm_it_is_md5() -> None:
    found = challenge_in(['Basic realm="other", digest realm="r",nonce="n" , qop=auth'])
    assert found == Challenge("r", "n", "MD5")


@pytest.mark.parametrize(
    "header",
    [
        'Basic realm="r"',
        'Digest realm="r", nonce="n", algorithm=SHA-256',  # no qop: RFC 2069
        'Digest realm="r", nonce="n", qop="auth-int", algorithm=SHA-256',
        'Digest realm="r", nonce="n", qop="auth", algorithm=SHA-512-256',
        'Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256-sess',
        'Digest nonce="n", qop="auth"',
        'Digest realm="r", nonce="", qop="auth"',
        'Digest realm="r\xe9", nonce="n", qop="auth"',
        "",
    ],
)
def test_what_we_cannot_answer_is_not_answered(header: str) -> None:
    assert challenge_in([header]) is None


def test_a_frame_is_answered_with_stand_ins_for_the_words_of_http() -> None:
    challenge = Challenge("shellyplus2pm-aabbccddeeff", "1725185413", "SHA-256", in_frame=True)
    member = authentication(challenge, Secret("admin", "geheim"), 1, "2387482374")
    assert member == {
        "realm": "shellyplus2pm-aabbccddeeff",
        "username": "admin",
        "nonce": 1725185413,
        "cnonce": "2387482374",
        "nc": 1,
        "algorithm": "SHA-256",
        "response": "78e017eb0d81e7ce18979b98ebe467d3725db7b3402e2d1faeaebd971031e704",
    }


@pytest.mark.parametrize(
    "message",
    [
        None,
        401,
        "Unauthorized",
        "[" * 5000,
        '{"auth_type": "basic", "nonce": 1, "realm": "r", "algorithm": "SHA-256"}',
        '{"auth_type": "digest", "nonce": true, "realm": "r", "algorithm": "SHA-256"}',
        '{"auth_type": "digest", "nonce": 1, "realm": 7, "algorithm": "SHA-256"}',
        '{"auth_type": "digest", "nonce": 1, "realm": "\\ud800", "algorithm": "SHA-256"}',
        '{"auth_type": "digest", "nonce": 1, "realm": "r", "algorithm": ["SHA-256"]}',
        '{"auth_type": "digest", "nonce": 1, "realm": "r", "algorithm": "SHA-1"}',
    ],
)
def test_a_message_that_asks_for_nothing_we_know_is_no_challenge(message: object) -> None:
    assert challenge_in_message(message) is None


PIECES = st.sampled_from(
    ["Digest ", "Basic ", 'realm="r"', 'nonce="', '"', ", ", "qop=auth", "=", "\\", "\n"]
)


@given(st.lists(PIECES | st.text(max_size=5), max_size=40))
def test_whatever_a_device_asks_its_answer_is_one_line_of_plain_text(pieces: list[str]) -> None:
    found = challenge_in(["".join(pieces)])
    if found:
        header = authorization(found, MUFASA, "POST", "/rpc", 1, "c")
        assert header.isascii()
        assert header.isprintable()
