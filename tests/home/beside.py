"""The mark of a story that may run at the same time as others; conftest.py runs it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.mosquitto import needs_mosquitto

WITHIN_S = 240.0  # where all are started at once on a busy machine

Tale = Callable[[Path], Coroutine[Any, Any, None]]


def beside(tale: Tale) -> Any:
    """A test of the tale's name that waits for its end; the tale has a folder of its own."""
    return _test(tale, WITHIN_S)


def long_beside(minutes: float) -> Callable[[Tale], Any]:
    """The same for one that takes some minutes at most, and runs in `make test-long` only."""
    return lambda tale: pytest.mark.long(_test(tale, minutes * 60))


def _test(tale: Tale, within_s: float) -> Any:
    async def test(side: Any) -> None:
        await side.end_of(tale)

    test.__name__, test.__doc__, test.__module__ = tale.__name__, tale.__doc__, tale.__module__
    test.tale, test.within_s = tale, within_s  # type: ignore[attr-defined]
    marks = (pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(2 * within_s), needs_mosquitto)
    for mark in marks:
        test = mark(test)
    return test
