"""kill -9 at any moment: what was promised before holds after."""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Any

from tests.home import promises
from tests.home.aggregator import ENDS, Aggregator, Sent, utc_s_of
from tests.home.beside import beside, long_beside
from tests.home.house import House


@beside
async def test_an_instruction_whose_status_was_seen_is_in_the_journal(folder: Path) -> None:
    async with House(folder) as house:
        for _ in range(3):
            await house.start()
            sent = await house.aggregator.cap("asset:heat", 0.0, ago_s=-3600, lasts_s=600)
            while not house.aggregator.statuses(sent.id):
                await asyncio.sleep(0)
            await house.kill()
            assert sent.id in _journal(house)
        await house.start()
        _, status = await house.cli("status")
        assert {one.id for one in house.aggregator.sent} == {one["id"] for one in status["instructions"]}
        await promises.no_number_is_missing_or_used_twice(house)


@beside
async def test_promises_hold_over_kills_at_drawn_moments(folder: Path) -> None:
    await _tormented(folder, kills=5, alive_s=(0.05, 0.8))


@long_beside(minutes=60)
async def test_promises_hold_over_a_hundred_kills(folder: Path) -> None:
    await _tormented(folder, kills=100, alive_s=(0.05, 8.0))


@beside
async def test_an_event_goes_on_after_a_crash(folder: Path) -> None:
    """The pump stays on its lease meanwhile: it is neither let go nor told anew what it does already."""
    async with House(folder) as house:
        await house.start()
        sent = await house.aggregator.cap("asset:heat", 0.0)
        await house.until(lambda: house.aggregator.said(sent.id, status="STARTED"), "it has started")
        await house.kill()
        await house.start()
        await house.seen()
        begun = len(house.pump.told)
        await house.until(lambda: house.aggregator.last(sent.id).get("extent") == "full", "it goes on")
        await asyncio.sleep(2.0)
        assert house.pump.blocked
        assert not any(write.register == 70 for write in house.pump.told[begun:])
        await house.aggregator.cancel(sent.id)
        await house.until(lambda: house.aggregator.said(sent.id, status="REVOKED"), "it has ended")
        assert not house.pump.is_told_to_rest


@beside
async def test_an_instruction_that_was_cancelled_is_replayed_in_vain_after_a_crash(folder: Path) -> None:
    async with House(folder) as house:
        await house.start()
        sent = await house.aggregator.cap("asset:heat", 0.0, ago_s=-3600)
        await house.aggregator.cancel(sent.id)
        await house.until(lambda: house.aggregator.said(sent.id, status="REVOKED"), "it has ended")
        await house.kill()
        await house.start()
        await house.aggregator.publish("dispatch", sent.token)
        await house.until(lambda: len(house.aggregator.statuses(sent.id)) == 3, "an answer")
        assert house.aggregator.statuses(sent.id)[-1]["reception"] == "REPLAYED"


async def _tormented(folder: Path, kills: int, alive_s: tuple[float, float]) -> None:
    """Kill at drawn moments: in a start, under way, and right after a minute was sent."""
    seed = random.randrange(2**32)
    draw = random.Random(seed)
    print(f"seed {seed}")
    async with House(folder) as house:
        await house.start()  # before its first session a broker keeps nothing for it
        await house.kill()
        enough = asyncio.Event()
        speaking = asyncio.create_task(_speak(house.aggregator, random.Random(seed + 1), enough))
        for kill in range(kills):
            if kill % 4 == 3:
                house.write()
                await house.daemon.start()
            else:
                await house.start(minute_ends_in_s=draw.uniform(1.5, 2.5))
                if kill % 4 != 1:
                    await _minute_or(house, 5.0)
            await asyncio.sleep(draw.uniform(*alive_s))
            await house.kill()
        enough.set()
        await speaking
        await house.start(minute_ends_in_s=4.0)
        await _judge(house, told_within_s=20 + 3 * kills)


async def _judge(house: House, told_within_s: float) -> None:
    """End everything, and hold what was seen against what is promised.

    Each life that was cut short left statuses that nobody heard: they come again, five a second.
    """
    sets = [one for one in house.aggregator.sent if one.body["op"] == "set"]
    await house.aggregator.stop_all()

    def open_ones() -> list[object]:
        return [
            (one.body, house.aggregator.statuses(one.id))
            for one in sets
            if not _is_over(house.aggregator, one)
        ]

    await house.until(
        lambda: not open_ones(), lambda: f"every one has ended, not {open_ones()}", told_within_s
    )
    await house.until(lambda: not house.pump.is_told_to_rest, "the pump is its owner's")
    await _minute_or(house, 6.0)
    await house.kill()
    await house.start(minute_ends_in_s=4.0)
    began_utc_s = time.time()
    await house.until(
        lambda: _has_register(house.aggregator, began_utc_s) and len(_known(house.aggregator)) > 1,
        "a minute with its register, and one before",
        75,
    )

    await promises.no_number_is_missing_or_used_twice(house)
    promises.minutes_join(house.aggregator.minutes("boundary"))
    promises.minutes_join(house.aggregator.minutes("heat"))
    promises.minutes_sum_to_the_register(house)
    promises.each_instruction_is_answered_and_ends_once(house.aggregator, sets)
    promises.the_pump_is_held_in_windows_only(house, sets)


def _is_over(aggregator: Aggregator, one: Sent) -> bool:
    is_ended = aggregator.last(one.id).get("status") in ENDS
    return bool(aggregator.statuses(one.id)) and (is_ended or not promises.was_taken(aggregator, one))


async def _speak(aggregator: Aggregator, draw: random.Random, enough: asyncio.Event) -> None:
    """Instructions of all kinds, one about each 0.7 s (the contract's bound is 20 in 10 s)."""
    while not enough.is_set():
        await asyncio.sleep(draw.uniform(0.5, 0.9))
        sets = [one for one in aggregator.sent if one.body["op"] == "set"]
        kind = draw.choice(("brief", "brief", "long", "later", "cancel", "again"))
        if kind == "brief":
            await aggregator.cap("asset:heat", 0.0, ends_in_s=draw.randint(3, 8))
        elif kind == "long":
            await aggregator.cap("asset:heat", draw.choice((0.0, 2.5)), end_delay="PT2S")
        elif kind == "later":
            await aggregator.cap("class:heat", 0.0, ago_s=-3600, lasts_s=1800)
        elif kind == "cancel" and sets:
            await aggregator.cancel(draw.choice(sets).id)
        elif sets:
            await aggregator.publish("dispatch", draw.choice(sets).token)


async def _minute_or(house: House, most_s: float) -> None:
    """Until a minute of this life is sent, or time is up."""
    began_utc_s, until_s = time.time(), time.monotonic() + most_s
    while not _has_register(house.aggregator, began_utc_s) and time.monotonic() < until_s:
        await asyncio.sleep(0.01)


def _has_register(aggregator: Aggregator, since_utc_s: float) -> bool:
    known = _known(aggregator)
    return bool(known) and utc_s_of(known[-1]["end"]) > since_utc_s


def _known(aggregator: Aggregator) -> list[dict[str, Any]]:
    """The minutes of the boundary whose register is known."""
    return [m for m in aggregator.minutes("boundary") if m["importRegisterKwh"] is not None]


def _journal(house: House) -> set[str]:
    """The ids on the disk, read from a copy."""
    copy = house.folder / f"copy-{time.monotonic_ns()}"
    shutil.copytree(house.folder / "state", copy, ignore=shutil.ignore_patterns("*.sock"))
    with contextlib.closing(sqlite3.connect(copy / "homeflex.db")) as database:
        return {id_ for (id_,) in database.execute("select id from entry")}
