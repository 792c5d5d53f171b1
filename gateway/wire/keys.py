"""The trust store: whose signature counts for what, and from when to when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

from annotated_types import Len
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from pydantic import Field, StringConstraints

from gateway.wire.message import Obeyed, decode, listed
from gateway.wire.quantity import Count, SiteId, Text, Utc
from gateway.wire.reception import Reception, Unacceptable

SCHEMA: Final = "homeflex.keys.v1"
MOST_KEYS = 32

Role = Literal["dispatch", "config", "profiles", "read"]


class TrustedKey(Obeyed):
    """One Ed25519 public key (`x` as in a JWK), one role, valid in [`notBefore`, `notAfter`)."""

    kid: Text
    x: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")]
    role: Role
    not_before_utc_s: Utc = Field(alias="notBefore")
    not_after_utc_s: Utc = Field(alias="notAfter")

    def is_valid(self, utc_s: float) -> bool:
        """Whether the key counts at `utc_s`."""
        return self.not_before_utc_s <= utc_s < self.not_after_utc_s


class TrustStore(Obeyed):
    """All keys a site trusts; a new version replaces the last one whole."""

    schema_name: Literal["homeflex.keys.v1"] = Field(default=SCHEMA, alias="schema")
    site: SiteId
    version: Count
    keys: Annotated[tuple[TrustedKey, ...], Len(0, MOST_KEYS)]


@dataclass(frozen=True, slots=True)
class RingKey:
    """A trusted key, ready to verify with."""

    trusted: TrustedKey
    public: OKPKey


@dataclass(frozen=True, slots=True)
class KeyRing:
    """A trust store, ready to verify with. An empty ring trusts nobody."""

    version: int = 0
    keys: Mapping[str, RingKey] = field(default_factory=dict)


def parse_keys(document: bytes, site: str) -> KeyRing:
    """The keys in a trust-store document for `site`.

    Raises:
        Unacceptable: the document cannot be used whole; all its problems are in the text.
    """
    store = decode(TrustStore, document, site)
    times = Counter(key.kid for key in store.keys)
    problems = [f"keys: {kid} appears {count} times" for kid, count in times.items() if count > 1]
    problems += [
        f"keys[{n}].notAfter: must be after notBefore"
        for n, key in enumerate(store.keys)
        if key.not_after_utc_s <= key.not_before_utc_s
    ]
    ring: dict[str, RingKey] = {}
    for n, key in enumerate(store.keys):
        try:
            ring[key.kid] = RingKey(key, OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": key.x}))
        except (JoseError, ValueError):
            problems.append(f"keys[{n}].x: must be the 32 bytes of an Ed25519 public key in base64url")
    if problems:
        raise Unacceptable(Reception.INVALID_CONTENT, listed(problems))
    return KeyRing(store.version, ring)
