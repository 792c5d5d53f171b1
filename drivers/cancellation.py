"""A driver that is told to stop stops, whatever a library does with the word."""

from __future__ import annotations

import asyncio


def heed_cancellation() -> None:
    """Call after a wait in a library: `asyncio.wait_for` of Python 3.11 forgets a cancellation that arrives
    together with the answer, and the driver would go on.

    Raises:
        CancelledError: we were told to stop.
    """
    task = asyncio.current_task()
    if task and task.cancelling():
        raise asyncio.CancelledError
