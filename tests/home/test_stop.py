"""Stopping in order, stopping at once, and giving everything back by hand."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.fakes.modbus import ModbusServer
from tests.home.beside import beside, long_beside
from tests.home.house import House, Nibe

LIMIT, LIMIT_ON = 6007, 6012


@asynccontextmanager
async def _two_pumps(folder: Path) -> AsyncIterator[tuple[House, Nibe, ModbusServer]]:
    """One pump that falls back alone, and a NIBE that never would."""
    nibe = Nibe()
    async with House(folder) as house, ModbusServer({1: nibe}) as server:
        house.config["devices"]["ground-hp"] = {
            "driver": "modbus",
            "profile": "nibe-s",
            "host": "127.0.0.1",
            "port": server.port,
            "poll_s": 1,
            "timeout_s": 1.0,
            "harmless_w": 1500,
        }
        house.config["asset"]["ground"] = {
            **house.config["asset"]["heat"],
            "control": "ground-hp",
            "power_w": ["ground-hp.power_w"],
            "running": ["ground-hp.compressor_on"],
        }
        yield house, nibe, server


async def _held(house: House, nibe: Nibe) -> list[str]:
    """Both pumps held; the instructions."""
    await house.start()
    sent = [await house.aggregator.cap("asset:heat", 0.0), await house.aggregator.cap("asset:ground", 1.5)]
    await house.until(lambda: house.pump.blocked and nibe.holding[LIMIT_ON] == 1, "both are held")
    assert nibe.holding[LIMIT] == 15
    return [one.id for one in sent]


@beside
async def test_a_clean_stop_gives_back_only_what_would_not_fall_back_alone(folder: Path) -> None:
    async with _two_pumps(folder) as (house, nibe, _):
        ids = await _held(house, nibe)
        await house.until(lambda: house.aggregator.said(ids[0], status="STARTED"), "one has started")
        stops_utc_s = time.time()
        life = await house.stop()
        assert (life.returncode, life.killed) == (0, False)
        assert nibe.holding[LIMIT_ON] == 0
        assert house.pump.is_told_to_rest, "it stays on its lease"
        assert not [write for write in house.pump.told if write.at_utc_s > stops_utc_s]
        await house.until(lambda: not house.aggregator.all("presence")[-1]["online"], "it said goodbye", 3.0)
        assert house.aggregator.all("presence")[-1]["reason"] == "stopping"

        await house.start()
        await house.until(lambda: nibe.holding[LIMIT_ON] == 1, "its instruction goes on")
        assert house.pump.blocked
        assert not any(w.register == 70 for w in house.pump.told if w.at_utc_s > stops_utc_s)
        _, status = await house.cli("status")
        assert {one["id"] for one in status["instructions"]} == set(ids)
        await house.aggregator.stop_all()
        await house.until(
            lambda: not house.pump.is_told_to_rest and not nibe.holding[LIMIT_ON], "both are their owner's"
        )
        for id_, asset in zip(ids, ("heat", "ground"), strict=True):
            await house.until(
                lambda a=asset, i=id_: house.aggregator.said(i, asset=a, status="REVOKED"), "ended"
            )


@beside
async def test_a_second_signal_aborts_a_stop_that_waits(folder: Path) -> None:
    async with _two_pumps(folder) as (house, nibe, server):
        await _held(house, nibe)
        server.silent = True  # it cannot be given back, so the stop waits for it
        os.kill(house.pid, signal.SIGTERM)
        await asyncio.sleep(1.0)
        began_s = time.monotonic()
        life = await house.stop()  # the second
        assert time.monotonic() - began_s < 4.0 * house.pace
        assert (life.returncode, life.killed) == (1, False)


@beside
async def test_a_stop_in_the_midst_of_a_start_is_clean(folder: Path) -> None:
    async with House(folder) as house:
        house.write()
        for after_s in (0.5, 0.7, 0.9, 1.1):
            await house.daemon.start()
            await asyncio.sleep(after_s)
            life = await house.stop()
            assert not life.killed
            assert life.returncode in (0, -signal.SIGTERM), "in order, or before anything had begun"


@beside
async def test_release_gives_back_a_running_daemons_devices_for_a_while(folder: Path) -> None:
    async with _two_pumps(folder) as (house, nibe, _):
        ids = await _held(house, nibe)
        code, answer = await house.cli("release", "--for", "1h")
        assert code == 0
        assert answer["done"].startswith("heat, ground: given back for 60 min")
        await house.until(
            lambda: not house.pump.is_told_to_rest and not nibe.holding[LIMIT_ON],
            "both are their owner's",
            4.0,
        )
        await house.until(
            lambda: house.aggregator.said(ids[0], reason="userOverride"), "the aggregator knows"
        )


@beside
async def test_release_gives_back_devices_that_a_dead_daemon_held(folder: Path) -> None:
    async with _two_pumps(folder) as (house, nibe, _):
        await _held(house, nibe)
        await house.kill()
        assert nibe.holding[LIMIT_ON] == 1
        code, answer = await house.cli("release")
        assert (code, answer) == (0, {"done": "given back: heat-hp, ground-hp"})
        assert not house.pump.is_told_to_rest
        assert nibe.holding[LIMIT_ON] == 0


@long_beside(minutes=2)
async def test_release_says_which_device_it_did_not_reach_and_what_becomes_of_it(folder: Path) -> None:
    async with _two_pumps(folder) as (house, nibe, server):
        await _held(house, nibe)
        await house.kill()
        await server.stop()
        code, answer = await house.cli("release", within_s=90)
        assert code == 1
        assert answer["error"].endswith("ground-hp, which keeps our last setting until it is")
        assert not house.pump.is_told_to_rest
