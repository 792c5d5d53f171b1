"""The aggregator's broker goes and comes back, with or without its memory: nothing is lost or told twice."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from tests.faults.tcp_proxy import HEALTHY, Fault, TcpProxy
from tests.home import promises
from tests.home.aggregator import Aggregator, utc_s_of
from tests.home.beside import beside, long_beside
from tests.home.house import House


@beside
async def test_a_broker_that_restarts_costs_no_minute_and_no_status(folder: Path) -> None:
    async with House(folder) as house:
        await house.start(minute_ends_in_s=12.0)
        sent = await house.aggregator.cap("asset:heat", 0.0)
        await house.until(lambda: house.pump.blocked, "the pump rests")
        await _before_the_minute_ends(house)
        house.broker.terminate()
        await _over_a_minute(house)
        await asyncio.to_thread(house.broker.start)
        await house.until(lambda: house.aggregator.minutes("heat"), "the minute comes", 30)
        await house.until(lambda: house.aggregator.said(sent.id, status="STARTED"), "its status too")
        assert _backfilled(house.aggregator) == {"heat", "boundary"}
        await house.aggregator.cancel(sent.id)
        await house.until(lambda: house.aggregator.said(sent.id, status="REVOKED"), "the link works")
        await promises.no_number_is_missing_or_used_twice(house)


@beside
async def test_a_broker_that_forgot_all_costs_no_minute_and_no_status(folder: Path) -> None:
    """The aggregator listens again before the home is let in: what a broker took for nobody is for acks."""
    async with House(folder, kept=False) as house, TcpProxy("127.0.0.1", house.broker.port) as line:
        house.config["uplink"]["port"] = line.port
        await house.start(minute_ends_in_s=12.0)
        sent = await house.aggregator.cap("asset:heat", 0.0)
        await house.until(lambda: house.pump.blocked, "the pump rests")
        await _before_the_minute_ends(house)
        line.fault = Fault(refuse=True)
        house.broker.kill()
        await _over_a_minute(house)
        await asyncio.to_thread(house.broker.start)
        await asyncio.wait_for(house.aggregator.listening.wait(), 5)
        line.fault = HEALTHY
        await house.until(lambda: house.aggregator.minutes("heat"), "the minute comes", 30)
        await house.until(lambda: house.aggregator.said(sent.id, status="STARTED"), "its status too")
        assert _backfilled(house.aggregator) == {"heat", "boundary"}
        presence = house.aggregator.all("presence")[-1]
        assert presence["online"], "what is retained is said again"
        await house.aggregator.cancel(sent.id)
        await house.until(lambda: house.aggregator.said(sent.id, status="REVOKED"), "the link works")
        await promises.no_number_is_missing_or_used_twice(house)


@long_beside(minutes=1)
async def test_a_line_that_is_only_silent_is_noticed_and_nothing_is_lost(folder: Path) -> None:
    """Half-open: no end is told, the keepalive finds out."""
    async with House(folder) as house, TcpProxy("127.0.0.1", house.broker.port) as line:
        house.config["uplink"]["port"] = line.port
        await house.start(minute_ends_in_s=5.0)
        await _before_the_minute_ends(house)
        line.fault = Fault(half_open=True)
        await _over_a_minute(house)
        line.fault = HEALTHY
        line.cut()
        await house.until(lambda: house.aggregator.minutes("heat"), "the minute comes", 30)
        await promises.no_number_is_missing_or_used_twice(house)


@long_beside(minutes=15)
async def test_minutes_the_aggregator_lost_come_again_for_its_acks(folder: Path) -> None:
    """The broker took them while nobody listened; an ack that trails by more than 120 s asks for them."""
    async with House(folder, kept=False) as house:
        house.aggregator.acknowledges = False
        await house.start(minute_ends_in_s=5.0)
        await house.until(lambda: house.aggregator.minutes("heat"), "a first minute", 30)
        held = len(house.aggregator.minutes("heat"))
        house.aggregator.deaf = True
        await asyncio.sleep(125.0)
        house.aggregator.deaf = False
        await asyncio.sleep(125.0)
        house.aggregator.acknowledges = True
        await house.until(
            lambda: (
                promises.holes(house.aggregator) == [] and len(house.aggregator.minutes("heat")) > held + 3
            ),
            lambda: promises.holes(house.aggregator),
            30,
        )
        await promises.no_number_is_missing_or_used_twice(house)
        promises.minutes_join(house.aggregator.minutes("heat"))
        promises.minutes_sum_to_the_register(house)


@long_beside(minutes=15)
async def test_an_outage_of_five_minutes_costs_no_minute(folder: Path) -> None:
    async with House(folder) as house:
        await house.start(minute_ends_in_s=5.0)
        await house.until(lambda: house.aggregator.minutes("heat"), "a first minute", 30)
        house.broker.terminate()
        await asyncio.sleep(300.0)
        back_utc_s = time.time()
        await asyncio.to_thread(house.broker.start)
        await house.until(lambda: _last_end(house.aggregator) > back_utc_s, "a minute of now", 330)
        await promises.no_number_is_missing_or_used_twice(house)
        promises.minutes_join(house.aggregator.minutes("boundary"))
        promises.minutes_sum_to_the_register(house)
        first, *rest = house.aggregator.minutes("boundary")
        assert {m["quality"] for m in rest} == {"OK"}, first


async def _before_the_minute_ends(house: House) -> None:
    """As late as can be: the longer a broker is away, the longer the home waits before it tries again."""
    await asyncio.sleep(_left_s(house) - 0.7)


async def _over_a_minute(house: House) -> None:
    """Past the end of the minute that runs, and until it was cut."""
    await asyncio.sleep(_left_s(house) + 2.0)


def _left_s(house: House) -> float:
    edge_s: int = house.config["reporting"]["offset_s"]
    return (edge_s - time.time()) % 60


def _backfilled(aggregator: Aggregator) -> set[str]:
    return {point for body in aggregator.all("telemetry") if body["backfill"] for point in body["points"]}


def _last_end(aggregator: Aggregator) -> float:
    return utc_s_of(aggregator.minutes("boundary")[-1]["end"])
