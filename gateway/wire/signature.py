"""Signed messages: JWS compact (RFC 7515) with Ed25519 (RFC 9864), and nothing else JOSE allows.

The header is exactly `alg`, `kid` and `typ`. A typed header keeps a signature given for one kind of
message from counting for another; the role keeps a key from signing what it is not for.
"""

from __future__ import annotations

from binascii import Error as Base64Error
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.util import urlsafe_b64decode

from gateway.wire import keys
from gateway.wire.json_text import json_object
from gateway.wire.keys import KEYS_MAX_BYTES, ROOT_KID, KeyRing, Role, Root, parse_keys
from gateway.wire.message import MESSAGE_MAX_BYTES, digest
from gateway.wire.reception import Reception, Unacceptable, too_large

ALGORITHM = "Ed25519"
_HEADER = {"alg", "kid", "typ"}
_HEADER_MAX_BYTES = 512


class _Registry(jws.JWSRegistry):
    max_payload_length = MESSAGE_MAX_BYTES


_REGISTRY = _Registry(algorithms=[ALGORITHM])


def opened(
    message: bytes,
    ring: KeyRing,
    *,
    schema: str,
    role: Role,
    utc_s: float | None,
    signatures_required: bool,
    max_bytes: int = MESSAGE_MAX_BYTES,
) -> bytes:
    """The body of a message: verified if it is signed, as it is if it is plain and that is allowed.

    A plain body's size is for its parser to bound.

    Raises:
        Unacceptable: as `verify`; `INVALID_SIGNATURE` also for plain JSON where signatures are required.
    """
    if is_signed(message):
        return verify(message, ring, schema=schema, role=role, utc_s=utc_s, max_bytes=max_bytes)
    if signatures_required:
        raise _untrusted("not signed, and this site requires signatures")
    return message


def is_signed(message: bytes) -> bool:
    """Whether the message must be read as a JWS: anything that does not open like a JSON object."""
    return not message.lstrip(b" \t\r\n").startswith(b"{")


def unverified_digest(message: bytes) -> str:
    """SHA-256 of the body a message carries, for an answer that must not believe or echo any of it."""
    parts = message.split(b".")
    if is_signed(message) and len(parts) == 3:
        with suppress(Base64Error, ValueError):
            return digest(urlsafe_b64decode(parts[1]))
    return digest(message)


def verify(
    token: bytes,
    ring: KeyRing,
    *,
    schema: str,
    role: Role,
    utc_s: float | None,
    max_bytes: int = MESSAGE_MAX_BYTES,
) -> bytes:
    """The exact bytes a key of `role` signed as a message of type `schema`.

    `utc_s` is the trusted time now; None while the clock is not trusted, and then a key's validity
    is not looked at. That the body itself says `schema` is for its parser to check.

    Raises:
        Unacceptable: `INVALID_MESSAGE`: not a JWS. `INVALID_SIGNATURE`: one that does not count here.
            `TEMPORARY_ERROR`: beyond `max_bytes`.
    """
    return _verified(token, schema, max_bytes, lambda kid: _key(ring, kid, role, utc_s))


def signed_keys(token: bytes, root: Root, site: str) -> KeyRing:
    """The trust store for `site` in a message that the root signed. Its signature counts for nothing else,
    and no other key's for this.

    Raises:
        Unacceptable: as `verify` and `parse_keys`; `INVALID_SIGNATURE` also for plain JSON.
    """
    if not is_signed(token):
        raise _untrusted("not signed, and a trust store always is")
    body = _verified(token, keys.SCHEMA, KEYS_MAX_BYTES, lambda kid: _root(root, kid))
    return parse_keys(body, site, root)


def sign(payload: bytes, private_key: bytes, kid: str, typ: str) -> bytes:
    """The payload as JWS compact, signed with `private_key` (32 bytes), for the schema `typ`."""
    header = {"alg": ALGORITHM, "kid": kid, "typ": typ}
    return jws.serialize_compact(header, payload, _private(private_key), registry=_REGISTRY).encode()


def new_private_key() -> bytes:
    """A new Ed25519 private key: 32 random bytes."""
    private = OKPKey.generate_key("Ed25519").as_dict(private=True)
    return urlsafe_b64decode(str(private["d"]).encode())


def public_x(private_key: bytes) -> str:
    """The public half of `private_key`, as a JWK and the trust store write it."""
    return str(_private(private_key).as_dict(private=False)["x"])


@lru_cache(maxsize=8)
def _private(private_key: bytes) -> OKPKey:
    return OKPKey.import_key(OKPKey.binding.from_private_bytes("Ed25519", private_key))


def _header(token: bytes) -> dict[str, object]:
    parts = token.split(b".")
    if len(parts) != 3:
        raise _not_jws("a JWS in compact form has three parts")
    try:
        return json_object(urlsafe_b64decode(parts[0]), _HEADER_MAX_BYTES)
    except (Base64Error, ValueError):
        raise _not_jws("the header is not base64url") from None
    except Unacceptable:
        raise _not_jws("the header is not a JSON object") from None


def _verified(token: bytes, schema: str, max_bytes: int, key_of: Callable[[object], OKPKey]) -> bytes:
    if len(token) > max_bytes:
        raise too_large(f"{len(token)} bytes; at most {max_bytes} are taken")
    header = _header(token)
    if set(header) != _HEADER or header["alg"] != ALGORITHM:
        raise _untrusted(f"the header must be exactly alg ({ALGORITHM}), kid and typ")
    if header["typ"] != schema:
        raise _untrusted(f"typ must be {schema}")
    public = key_of(header["kid"])
    try:
        return jws.deserialize_compact(token, public, registry=_REGISTRY).payload
    except (JoseError, ValueError):
        raise _untrusted("the signature does not fit the message") from None


def _root(root: Root, kid: object) -> OKPKey:
    if kid != ROOT_KID:
        raise _untrusted(f"kid must be {ROOT_KID}: only the root signs trust stores")
    return root.public


def _key(ring: KeyRing, kid: object, role: Role, utc_s: float | None) -> OKPKey:
    key = ring.keys.get(kid) if isinstance(kid, str) else None
    if key is None:
        raise _untrusted("no trusted key has this kid")
    if key.trusted.role != role:
        raise _untrusted(f"the key's role is not {role}")
    if utc_s is not None and not key.trusted.is_valid(utc_s):
        raise _untrusted("the key is not valid at this time")
    return key.public


def _untrusted(text: str) -> Unacceptable:
    return Unacceptable(Reception.INVALID_SIGNATURE, text)


def _not_jws(text: str) -> Unacceptable:
    return Unacceptable(Reception.INVALID_MESSAGE, text)
