"""Keys of the aggregator as files, and the trust store made of their public halves.

A key file is a JWK (RFC 8037) with what the trust store says of it beside: `role`, `notBefore`, `notAfter`.
The private one has `d` and is its owner's alone, the public one is `.pub.json`; neither is ever overwritten.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.wire.keys import ROOT_KID, SCHEMA, parse_keys
from gateway.wire.moment import moment_of, utc_s_of
from gateway.wire.reception import Unacceptable
from gateway.wire.signature import new_private_key, public_x, sign

ROOT = ROOT_KID
"""The key that signs trust stores and nothing else: its `kid` and its role in a file."""
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
ROLES = ("dispatch", "config", "profiles", "read")


class BadKey(Exception):
    """A key or a trust store cannot be used, or would overwrite another; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key with one role, valid in [`not_before`, `not_after`). `private` is empty in a public file."""

    kid: str
    role: str
    x: str
    not_before_utc_s: float
    not_after_utc_s: float
    private: bytes = field(default=b"", repr=False)

    @classmethod
    def new(cls, kid: str, role: str, now_utc_s: float, valid_s: float) -> Key:
        """A new key, valid from now on for so long."""
        private = new_private_key()
        return cls(kid, role, public_x(private), int(now_utc_s), int(now_utc_s + valid_s), private)

    @property
    def public(self) -> dict[str, Any]:
        """As the trust store has it."""
        return {
            "kid": self.kid,
            "x": self.x,
            "role": self.role,
            "notBefore": moment_of(self.not_before_utc_s),
            "notAfter": moment_of(self.not_after_utc_s),
        }

    def signed(self, payload: bytes, schema: str) -> bytes:
        """The payload as JWS compact.

        Raises:
            BadKey: only the public half is here.
        """
        if not self.private:
            raise BadKey(f"{self.kid}: this is the public half; signing needs the file with `d`")
        return sign(payload, self.private, self.kid, schema)


def save(key: Key, folder: Path) -> tuple[Path, Path]:
    """Write the private and the public file of a key; their paths.

    Raises:
        BadKey: one of them is there already, or the kid cannot be the name of a file.
        OSError: the folder cannot be written to.
    """
    if not _FILE_NAME.fullmatch(key.kid) or (key.kid == ROOT) is not (key.role == ROOT):
        raise BadKey(f"--kid {key.kid}: letters, digits, dot, _ and -, 64 at most, and not {ROOT}")
    private, public = folder / f"{key.kid}.json", folder / f"{key.kid}.pub.json"
    for path in (private, public):
        if path.exists():
            raise BadKey(f"{path} is there already and a key is never overwritten; take another kid")
    jwk = {"kty": "OKP", "crv": "Ed25519", **key.public}
    secret = base64.urlsafe_b64encode(key.private).decode().rstrip("=")
    for path, document, mode in ((private, {**jwk, "d": secret}, 0o600), (public, jwk, 0o644)):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with open(opened, "w", encoding="utf-8") as file:
            file.write(json.dumps(document, indent=1) + "\n")
    return private, public


def load(path: Path) -> Key:
    """The key in a file, private or public.

    Raises:
        BadKey: it is none.
        OSError: it cannot be read.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        private = base64.urlsafe_b64decode(found.get("d", "") + "==")
        key = Key(
            found["kid"],
            found["role"],
            found["x"],
            utc_s_of(found["notBefore"]),
            utc_s_of(found["notAfter"]),
            private,
        )
        fits = (found["kty"], found["crv"]) == ("OKP", "Ed25519") and (
            not private or public_x(private) == key.x
        )
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        fits = False
    if not fits:
        raise BadKey(f"{path} is no key file; `homeflex aggregator keys new` writes them")
    return key


def trust_store(site: str, version: int, keys: Sequence[Key]) -> bytes:
    """The document of all keys that a site is to trust, as plain JSON.

    Raises:
        BadKey: no gateway would take it; the text names every broken field.
    """
    if any(key.role == ROOT for key in keys):
        raise BadKey("the root key signs trust stores and stands in none")
    document = {"schema": SCHEMA, "site": site, "version": version, "keys": [key.public for key in keys]}
    payload = json.dumps(document).encode()
    try:
        parse_keys(payload, site)
    except Unacceptable as error:
        raise BadKey(error.text) from None
    return payload


def signed_trust_store(payload: bytes, root: Key) -> bytes:
    """The document signed for the topic `keys`.

    Raises:
        BadKey: not with a root key.
    """
    if root.role != ROOT:
        raise BadKey(f"{root.kid}: its role is {root.role}; only the root key signs trust stores")
    return root.signed(payload, SCHEMA)


def addressee(token: bytes) -> tuple[str, int]:
    """Whose trust store a signed one is, and its version, by its own word.

    Raises:
        BadKey: it is no signed trust store.
    """
    try:
        found = json.loads(base64.urlsafe_b64decode(token.split(b".")[1] + b"=="))
        if found["schema"] == SCHEMA:
            return str(found["site"]), int(found["version"])
    except (ValueError, KeyError, TypeError, IndexError, binascii.Error):
        pass
    raise BadKey("this is no signed trust store; `homeflex aggregator keys sign` writes them")
