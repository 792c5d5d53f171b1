"""Entry point for a byte fuzzer: whatever arrives as a trust store becomes one or the one known error."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from gateway.wire.keys import KeyRing, parse_keys, root_of
from gateway.wire.reception import Reception, Unacceptable
from gateway.wire.signature import public_x, sign, signed_keys

SITE = "home-7f3a"
ROOT_SECRET = bytes(range(32))
ROOT = root_of(public_x(ROOT_SECRET))
UNSOUND = {Reception.INVALID_MESSAGE, Reception.INVALID_CONTENT, Reception.TEMPORARY_ERROR}


def fuzz_keys(data: bytes) -> None:
    """Feed `data` to each door of a trust store: as a message, as a file, and as what the root signed."""
    refusal = _refusal(lambda: signed_keys(data, ROOT, SITE))
    assert refusal, "nobody signed it"
    assert refusal.reception in {*UNSOUND, Reception.INVALID_SIGNATURE}

    as_file = _refusal(lambda: _used(data))
    assert as_file is None or as_file.reception in UNSOUND
    signed = _refusal(lambda: signed_keys(sign(data, ROOT_SECRET, "root", "homeflex.keys.v1"), ROOT, SITE))
    assert (signed is None) is (as_file is None)
    for told in filter(None, (as_file, signed)):
        assert told.text.isprintable()
        assert len(told.text) < 2000


def _refusal(work: Callable[[], object]) -> Unacceptable | None:
    try:
        work()
    except Unacceptable as refusal:
        return refusal
    return None


def _used(data: bytes) -> None:
    ring = parse_keys(data, SITE, ROOT)
    assert_sane(ring, data)


def assert_sane(ring: KeyRing, data: bytes) -> None:
    """What the daemon may rely on, restated."""
    assert ring.digest == hashlib.sha256(data).hexdigest()
    assert 0 <= ring.version < 2**31
    assert len(ring.keys) <= 32
    for kid, key in ring.keys.items():
        assert kid == key.trusted.kid != "root"
        assert key.trusted.role in {"dispatch", "config", "profiles", "read"}
        assert key.trusted.not_before_utc_s < key.trusted.not_after_utc_s
        assert key.trusted.x != ROOT.x
        assert key.public.as_dict(private=False)["x"] == key.trusted.x
