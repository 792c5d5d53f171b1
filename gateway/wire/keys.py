"""The trust store: whose signature counts for what, and from when to when; and the root key that signs it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

from annotated_types import Len
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.util import urlsafe_b64decode
from pydantic import Field, StringConstraints

from gateway.wire.message import Obeyed, decode, digest, listed
from gateway.wire.quantity import Count, SiteId, Text, Utc
from gateway.wire.reception import Reception, Unacceptable

SCHEMA: Final = "homeflex.keys.v1"
MOST_KEYS = 32
KEYS_MAX_BYTES = 64 * 1024
ROOT_KID: Final = "root"
_PUBLIC = "must be the 32 bytes of an Ed25519 public key in base64url"

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
    """A trust store, ready to verify with. An empty ring trusts nobody. `digest` names its document."""

    version: int = 0
    keys: Mapping[str, RingKey] = field(default_factory=dict)
    digest: str = ""

    @property
    def trusted(self) -> dict[str, TrustedKey]:
        """What the document says of each key, by its kid."""
        return {kid: key.trusted for kid, key in self.keys.items()}


@dataclass(frozen=True, slots=True)
class Root:
    """The root key that a site was commissioned with: it signs the trust store and nothing else."""

    x: str
    public: OKPKey

    @property
    def fingerprint(self) -> str:
        """What two people compare on the telephone: the beginning of the SHA-256 of the key's 32 bytes, 16
        hexadecimal digits in groups of four."""
        digits = hashlib.sha256(urlsafe_b64decode(self.x.encode())).hexdigest()
        return " ".join(digits[at : at + 4] for at in range(0, 16, 4))


def root_of(x: str) -> Root:
    """The root key whose public half is `x`, as in a JWK.

    Raises:
        ValueError: it is none.
    """
    return Root(x, _public(x))


def parse_keys(document: bytes, site: str, root: Root | None = None) -> KeyRing:
    """The keys in a trust-store document for `site`, none of which may stand for the `root`.

    Raises:
        Unacceptable: the document cannot be used whole; all its problems are in the text.
    """
    store = decode(TrustStore, document, site)
    times = Counter(key.kid for key in store.keys)
    problems = [f"keys: {kid} appears {count} times" for kid, count in times.items() if count > 1]
    ring: dict[str, RingKey] = {}
    for n, key in enumerate(store.keys):
        problems += [f"keys[{n}].{problem}" for problem in _problems(key, root)]
        try:
            ring[key.kid] = RingKey(key, _public(key.x))
        except ValueError as error:
            problems.append(f"keys[{n}].x: {error}")
    if problems:
        raise Unacceptable(Reception.INVALID_CONTENT, listed(problems))
    return KeyRing(store.version, ring, digest(document))


def _problems(key: TrustedKey, root: Root | None) -> Iterator[str]:
    if key.kid == ROOT_KID:
        yield f"kid: {ROOT_KID} is the name of the root key, which signs trust stores only; choose another"
    if root and key.x == root.x:
        yield "x: is the root key's, which signs trust stores only; give a key of its own"
    if key.not_after_utc_s <= key.not_before_utc_s:
        yield "notAfter: must be after notBefore"


def _public(x: str) -> OKPKey:
    try:
        return OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": x})
    except (JoseError, ValueError):
        raise ValueError(_PUBLIC) from None
