"""Tales of a home wait for clocks most of the time: those marked `beside` run side by side.

The first one asked for starts all that were selected; each test then waits for its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.home.beside import Tale

AT_ONCE = 6  # daemons; each needs most of a second of a processor to start


class Side:
    """The tales that were started."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._running: dict[Tale, asyncio.Task[None]] = {}

    def start(self, tale: Tale, folder: Path, within_s: float) -> None:
        """Run a tale as soon as there is room."""
        self._running[tale] = asyncio.create_task(self._run(tale, folder, within_s), name=tale.__name__)

    async def end_of(self, tale: Tale) -> None:
        """Wait for a tale; raises what went wrong in it."""
        await self._running[tale]

    async def close(self) -> None:
        """End what still runs."""
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _run(self, tale: Tale, folder: Path, within_s: float) -> None:
        async with self._turn, asyncio.timeout(within_s):
            await tale(folder)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def side(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Side]:
    """All selected tales, running."""
    running = Side()
    tests: list[Any] = [getattr(item, "function", None) for item in request.session.items]
    for test in tests:
        if hasattr(test, "tale"):
            running.start(test.tale, tmp_path_factory.mktemp("home"), test.within_s)
    yield running
    await running.close()
