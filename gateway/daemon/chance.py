"""What is drawn once for this home and kept: the second at which its minutes end, and the seed of the random
delays of its schedules.

One seed gives each edge its own draw. So an edge has the same draw after a kill -9 at any moment and however
the clock jumps, and nothing has to be saved before it is due.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Callable

import structlog

from gateway.daemon.store import PutMeta, Store

log = structlog.get_logger()

SEED_BYTES = 16
SEED, OFFSET = "seed", "offset"  # what they are saved as

Draw = Callable[[str, float], float]
"""What is drawn for an asset and a moment (UTC), from 0 up to but not including 1."""


class Drawn:
    """The two draws. They are on the disk before they are used; a disk that does not take them keeps nobody
    from charging: it is tried again, and a start before that draws anew."""

    def __init__(self, store: Store) -> None:
        saved = store.saved.meta
        self._store = store
        self._is_kept = SEED in saved and OFFSET in saved
        self._was_told = False
        self.seed = saved.get(SEED) or new_seed()
        self.offset_s = int(saved[OFFSET]) if OFFSET in saved else secrets.randbelow(60)
        """A uniform second of the minute, 0 to 59."""

    async def keep(self, wait_s: float) -> None:
        """Save them, if they are not saved, and wait for that so long at most."""
        if self._is_kept:
            return
        offset = PutMeta(OFFSET, str(self.offset_s).encode())
        saving = self._store.submit(PutMeta(SEED, self.seed), offset)
        await asyncio.wait([saving], timeout=wait_s)
        self._is_kept = saving.done() and saving.exception() is None
        if not self._is_kept and not self._was_told:
            self._was_told = True
            log.error("what was drawn for this home is not saved yet")


def new_seed() -> bytes:
    """A seed from the system's random source."""
    return secrets.token_bytes(SEED_BYTES)


def draw_of(seed: bytes) -> Draw:
    """The draws of a seed: as good as independent ones to whoever does not know it."""

    def draw(asset: str, at_utc_s: float) -> float:
        mixed = hashlib.blake2b(f"{asset} {at_utc_s:.0f}".encode(), key=seed, digest_size=6)
        return int.from_bytes(mixed.digest()) / 2**48

    return draw
