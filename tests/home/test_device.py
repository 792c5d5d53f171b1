"""Devices that go and come back, obey or do not: the aggregator is told what is true."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.faults.tcp_proxy import HEALTHY, Fault, TcpProxy
from tests.home.beside import beside, long_beside
from tests.home.house import CONTROL, House


@beside
async def test_a_pump_that_is_cut_off_in_an_event_is_told_and_held_again(folder: Path) -> None:
    """It lost power, so it forgot what it was told."""
    async with House(folder) as house, TcpProxy("127.0.0.1", house.servers["heat"].port) as line:
        house.config["devices"]["heat-hp"]["port"] = line.port
        await house.start()
        await house.seen()
        sent = await house.aggregator.cap("asset:heat", 0.0)
        await house.until(lambda: house.aggregator.said(sent.id, extent="full"), "it has started")
        line.fault = Fault(refuse=True)
        line.cut()
        house.pump.holding[CONTROL] = 0
        offline = {"status": "STARTED", "extent": "none", "reason": "deviceOffline"}
        await house.until(lambda: house.aggregator.said(sent.id, **offline), "it is offline")
        line.fault = HEALTHY
        await house.until(lambda: house.pump.blocked, "it is held again")
        await house.until(lambda: house.aggregator.last(sent.id)["extent"] == "full", "and says so")
        kinds = [e["kind"] for e in house.aggregator.events() if e["asset"] == "heat"]
        assert kinds == ["deviceLost", "deviceBack"]


@long_beside(minutes=1)
async def test_a_pump_that_stops_answering_is_noticed_though_its_line_stands(folder: Path) -> None:
    async with House(folder) as house, TcpProxy("127.0.0.1", house.servers["heat"].port) as line:
        house.config["devices"]["heat-hp"]["port"] = line.port
        await house.start()
        sent = await house.aggregator.cap("asset:heat", 0.0)
        await house.until(lambda: house.aggregator.said(sent.id, extent="full"), "it has started")
        line.fault = Fault(stall=True)
        await house.until(lambda: house.aggregator.said(sent.id, reason="deviceOffline"), "it is offline")
        line.fault = HEALTHY
        await house.until(lambda: house.aggregator.last(sent.id)["extent"] == "full", "it is back")
        assert house.pump.blocked


@beside
async def test_an_instruction_to_a_pump_that_is_away_is_accepted_and_tried_when_it_returns(
    folder: Path,
) -> None:
    async with House(folder) as house, TcpProxy("127.0.0.1", house.servers["heat"].port) as line:
        house.config["devices"]["heat-hp"]["port"] = line.port
        line.fault = Fault(refuse=True)
        await house.start()
        sent = await house.aggregator.cap("asset:heat", 0.0)
        away = {"status": "ACCEPTED", "extent": "none", "reason": "deviceOffline"}
        await house.until(
            lambda: house.aggregator.said(sent.id, **away), "accepted, and told why nothing comes"
        )
        line.fault = HEALTHY
        await house.until(lambda: house.pump.blocked, "it is held")
        await house.until(lambda: house.aggregator.said(sent.id, status="STARTED"), "it has started")


@beside
async def test_a_pump_that_was_idle_is_told_as_idle(folder: Path) -> None:
    async with House(folder) as house:
        house.pump.demand_w = 0
        await house.start()
        await house.seen()
        sent = await house.aggregator.cap("asset:heat", 0.0)
        await house.until(lambda: house.aggregator.said(sent.id, status="STARTED"), "it is inside the value")
        line = house.aggregator.last(sent.id)
        assert (line["extent"], line["evidence"], line["measuredKw"]) == ("full", "idle", 0.0)


@beside
async def test_a_pump_that_is_not_the_configured_one_is_never_written_to(folder: Path) -> None:
    async with House(folder) as house:
        house.pump.holding[100] = 112  # a controller without writable registers
        await house.start()
        await house.until(lambda: "nothing is written to it" in house.output, "the wrong device")
        sent = await house.aggregator.cap("asset:heat", 0.0)
        await house.until(lambda: house.aggregator.said(sent.id, reason="deviceOffline"), "it cannot serve")
        await asyncio.sleep(1.0)
        assert not house.pump.told
        assert any(e["severity"] == "alarm" for e in house.aggregator.events())


@long_beside(minutes=10)
async def test_a_pump_that_takes_the_block_and_runs_on_is_told_as_not_following(folder: Path) -> None:
    """Its registers say one thing and its power another; the summary counts none of it as held."""
    async with House(folder) as house:
        house.pump.is_stubborn = True
        await house.start()
        await house.seen()
        sent = await house.aggregator.cap("asset:heat", 0.0, lasts_s=420)
        ignored = {"status": "ACCEPTED", "extent": "none", "reason": "notFollowing"}
        await house.until(lambda: house.aggregator.said(sent.id, **ignored), "nothing follows", 330)
        assert house.pump.is_told_to_rest, "we keep trying"
        await house.until(lambda: house.aggregator.said(sent.id, status="ABORTED"), "it never started", 150)
        await house.until(
            lambda: any(b["id"] == sent.id for b in house.aggregator.all("dispatch/status", "summary")),
            "its summary",
            130,
        )
        (summary,) = (b for b in house.aggregator.all("dispatch/status", "summary") if b["id"] == sent.id)
        (told,) = summary["assets"]
        assert (told["status"], told["heldS"], told["idleS"]) == ("ABORTED", 0, 0)
        assert 415 <= told["limitedS"] <= 421
        assert abs(told["energyKwh"] - 3.6 * 420 / 3600) < 0.01
