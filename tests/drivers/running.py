"""A driver at work in a test: started, and stopped at the end whatever happened."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress

from drivers.base import DriverError


@asynccontextmanager
async def running(run: Coroutine[object, object, None]) -> AsyncIterator[asyncio.Task[None]]:
    """The task of a driver's `run`; look at it for how it failed. A wait in vain for one that failed is
    told as its failure.
    """
    task = asyncio.ensure_future(run)
    try:
        yield task
    except TimeoutError:
        if task.done():
            task.result()
        raise
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, DriverError):
            await task
