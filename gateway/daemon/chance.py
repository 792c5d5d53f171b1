"""The random delays of schedules: one seed of the home, drawn once and kept, gives each edge its own draw.

So an edge has the same draw after a kill -9 at any moment and however the clock jumps, and nothing has to be
saved before it is due.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable

SEED_BYTES = 16
SEED = "seed"  # what it is saved as

Draw = Callable[[str, float], float]
"""What is drawn for an asset and a moment (UTC), from 0 up to but not including 1."""


def new_seed() -> bytes:
    """A seed from the system's random source."""
    return secrets.token_bytes(SEED_BYTES)


def draw_of(seed: bytes) -> Draw:
    """The draws of a seed: as good as independent ones to whoever does not know it."""

    def draw(asset: str, at_utc_s: float) -> float:
        mixed = hashlib.blake2b(f"{asset} {at_utc_s:.0f}".encode(), key=seed, digest_size=6)
        return int.from_bytes(mixed.digest()) / 2**48

    return draw
