"""The disk fails under a running daemon: nothing is taken on that could be forgotten, a stop always works."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.faults.small_disk import small_disk
from tests.home import promises
from tests.home.aggregator import cap_body
from tests.home.beside import beside, long_beside
from tests.home.house import SITE, House


def _unjournalled(house: House) -> list[dict[str, Any]]:
    bodies = house.aggregator.all("dispatch/status", "status")
    return [b for b in bodies if b["reception"] == "TEMPORARY_ERROR" and "journal" in b["text"]]


@beside
async def test_what_cannot_be_journalled_is_not_carried_out_but_a_stop_is(folder: Path) -> None:
    """Every write to a file fails (EFBIG)."""
    async with House(folder) as house:
        await house.start()

        def allow(size: int) -> None:
            resource.prlimit(house.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

        async def fails() -> None:
            allow(1)

        await _troubled(house, fails, works=lambda: allow(resource.RLIM_INFINITY))


@long_beside(minutes=5)
async def test_a_full_disk_is_survived(folder: Path) -> None:
    """ENOSPC on a file system of 4 MB; the daemon has room of its own for a while."""
    (folder / "state").mkdir()
    filler = folder / "state" / "filler"
    with small_disk(folder / "state", megabytes=4):
        async with House(folder) as house:
            await house.start()

            async def fails() -> None:
                with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                    while file.write(b"x" * 4096):
                        pass
                for size in (288, 1):  # where no large one fits a small one may
                    failed = len(_unjournalled(house))
                    while len(_unjournalled(house)) < failed + 3:
                        await house.aggregator.send(_for_later(size))
                        await asyncio.sleep(0.6)  # the contract's bound is 20 in 10 s

            await _troubled(house, fails, works=filler.unlink)


def _for_later(intervals: int) -> dict[str, Any]:
    body = cap_body(SITE, "asset:heat", 0.0, ago_s=-7200, lasts_s=300)
    (interval,) = body["intervals"]
    return {**body, "intervals": [{**interval, "id": id_} for id_ in range(intervals)]}


async def _troubled(house: House, fails: Callable[[], Awaitable[None]], works: Callable[[], object]) -> None:
    aggregator = house.aggregator
    running = await aggregator.cap("asset:heat", 0.0)
    await house.until(lambda: house.pump.blocked, "the pump rests")
    await house.until(lambda: aggregator.said(running.id, status="STARTED"), "it has started")

    await fails()
    await aggregator.cancel(running.id)
    await house.until(lambda: not house.pump.is_told_to_rest, "a stop needs no disk", 4.0)
    refused = await aggregator.cap("asset:heat", 0.0)
    await house.until(lambda: any(b["id"] == refused.id for b in _unjournalled(house)), "it says so")
    await house.until(lambda: not house.pump.is_told_to_rest, "and withdraws what it may have begun", 3.0)
    await asyncio.sleep(1.5)
    assert not house.pump.is_told_to_rest

    works()
    for _ in range(20):  # more than the broker sends unacknowledged: a refused one must not block the line
        await aggregator.acknowledge()
    again = await aggregator.cap("asset:heat", 0.0)
    await house.until(lambda: house.pump.blocked, "a working disk is used again", 10.0)
    await house.until(lambda: aggregator.said(again.id, status="ACCEPTED"), "and answered")
    await aggregator.cancel(again.id)
    await house.until(lambda: aggregator.said(again.id, status="REVOKED"), "and ended")
    await house.until(lambda: aggregator.said(running.id, status="REVOKED"), "so is the end it kept", 10.0)
    await house.kill()
    await house.start()
    await house.seen()
    await asyncio.sleep(1.5)
    assert not house.pump.is_told_to_rest, "the cancel that the disk did not take still counts"
    await promises.no_number_is_missing_or_used_twice(house)
