"""Memory that was used once and is free goes back to the system: starting takes more than running."""

from __future__ import annotations

import asyncio
import ctypes

FIRST_AFTER_S = 60.0  # by then every device's library is loaded
EVERY_S = 3600.0


async def keep_small() -> None:
    """Give free memory back now and then, for ever (malloc_trim(3), where the C library has it)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    wait_s = FIRST_AFTER_S
    while trim:
        await asyncio.sleep(wait_s)
        trim(0)
        wait_s = EVERY_S
