"""Digest authentication (RFC 7616), the client's half: read a challenge, answer it. No I/O, no state.

A plug asks in a header of HTTP 401, or in the message of a JSON-RPC error 401; the answer goes back the
same way.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from drivers.base import JsonValue

_HASHES = {"SHA-256": "sha256", "MD5": "md5"}
LONGEST_HEADER = 1024  # looked at; the longest seen has under 200
_STRONGEST_FIRST = tuple(_HASHES)
# A parameter of a challenge, after the scheme's name where a challenge begins (RFC 7616, 3.3; RFC 7235, 2.1).
# Quoted text with backslashes or beyond ASCII is not taken: no device has a reason for it.
_PARAMETER = re.compile(r'(?:([A-Za-z][\w-]*) +)?([A-Za-z][\w-]*) *= *(?:"([ !#-\[\]-~]*)"|([!#-+\--~]+))')
_FRAME_METHOD, _FRAME_URI = "dummy_method", "dummy_uri"  # what a frame's hash has instead (Gen2+ RPC)


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the device wants to see answered. `stale`: the last answer was right, its nonce was old."""

    realm: str
    nonce: str
    algorithm: str
    opaque: str | None = None
    stale: bool = False
    in_frame: bool = False


@dataclass(frozen=True, slots=True)
class Secret:
    """Who we are to the device."""

    user: str
    password: str


def challenge_in(headers: Iterable[str]) -> Challenge | None:
    """The strongest challenge in `WWW-Authenticate` headers that can be answered."""
    found = [c for header in headers for asked in _asked(header) if (c := _challenge(asked))]
    return min(found, key=lambda c: _STRONGEST_FIRST.index(c.algorithm), default=None)


def challenge_in_message(message: object) -> Challenge | None:
    """The challenge in the message of an RPC error 401, which is JSON in a text."""
    try:
        asked = json.loads(message) if isinstance(message, str) else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(asked, dict) or asked.get("auth_type") != "digest":
        return None
    realm, nonce, algorithm = asked.get("realm"), asked.get("nonce"), asked.get("algorithm", "SHA-256")
    if isinstance(nonce, bool) or not isinstance(nonce, int | str) or not isinstance(realm, str):
        return None
    if not isinstance(algorithm, str) or algorithm not in _HASHES or not (realm + str(nonce)).isascii():
        return None
    return Challenge(realm, str(nonce), algorithm, in_frame=True)


def authorization(
    challenge: Challenge, secret: Secret, method: str, uri: str, count: int, own_nonce: str
) -> str:
    """The `Authorization` header: the `count`-th answer to this challenge (RFC 7616, 3.4)."""
    response = _response(challenge, secret, f"{method}:{uri}", f"{count:08x}", own_nonce)
    opaque = "" if challenge.opaque is None else f', opaque="{challenge.opaque}"'
    return (
        f'Digest username="{secret.user}", realm="{challenge.realm}", uri="{uri}", '
        f'algorithm={challenge.algorithm}, nonce="{challenge.nonce}", nc={count:08x}, '
        f'cnonce="{own_nonce}", qop=auth, response="{response}"{opaque}'
    )


def authentication(challenge: Challenge, secret: Secret, count: int, own_nonce: str) -> dict[str, JsonValue]:
    """The `auth` member of a frame: the same, with stand-ins for HTTP's words."""
    nonce = int(challenge.nonce) if challenge.nonce.isdecimal() else challenge.nonce
    words = f"{_FRAME_METHOD}:{_FRAME_URI}"
    return {
        "realm": challenge.realm,
        "username": secret.user,
        "nonce": nonce,
        "cnonce": own_nonce,
        "nc": count,
        "algorithm": challenge.algorithm,
        "response": _response(challenge, secret, words, str(count), own_nonce),
    }


def _response(challenge: Challenge, secret: Secret, words: str, count: str, own_nonce: str) -> str:
    def hashed(text: str) -> str:
        return hashlib.new(_HASHES[challenge.algorithm], text.encode()).hexdigest()

    who = hashed(f"{secret.user}:{challenge.realm}:{secret.password}")
    return hashed(f"{who}:{challenge.nonce}:{count}:{own_nonce}:auth:{hashed(words)}")


def _asked(header: str) -> list[dict[str, str]]:
    """The parameters of each digest challenge in one header."""
    challenges: list[tuple[str, dict[str, str]]] = []
    for scheme, name, quoted, plain in _PARAMETER.findall(header[:LONGEST_HEADER]):
        if scheme:
            challenges.append((scheme.lower(), {}))
        if challenges:
            challenges[-1][1][name.lower()] = quoted or plain
    return [parameters for scheme, parameters in challenges if scheme == "digest"]


def _challenge(asked: dict[str, str]) -> Challenge | None:
    algorithm = asked.get("algorithm", "MD5").upper()  # RFC 7616, 3.3: MD5 where it does not say
    offers_auth = "auth" in [word.strip() for word in asked.get("qop", "").lower().split(",")]
    if algorithm not in _HASHES or not offers_auth or not asked.get("nonce") or "realm" not in asked:
        return None
    is_stale = asked.get("stale", "").lower() == "true"
    return Challenge(asked["realm"], asked["nonce"], algorithm, asked.get("opaque"), is_stale)
