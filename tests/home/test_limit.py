"""Local limits win over a correctly signed instruction, each with its reason, and the CLI says the same."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from tests.home.beside import beside
from tests.home.house import BASE_LOAD_W, House


@beside
async def test_a_cold_room_refuses_the_block(folder: Path) -> None:
    async with House(folder) as house:
        house.rooms_c["heat"] = 17.9
        await house.start()
        await house.seen()
        sent = await house.aggregator.cap("asset:heat", 0.0)
        refused = {"status": "ACCEPTED", "extent": "none", "reason": "comfortLimit"}
        await house.until(lambda: house.aggregator.said(sent.id, **refused), "the room is too cold")
        why = await house.why()
        assert (why["governor"], why["reason"], why["at_most_w"]) == ("limit", "comfortLimit", None)
        assert "17.9" in why["text"]
        assert [event["reason"] for event in house.aggregator.events() if event["kind"] == "limit"]
        assert not house.pump.told

        house.rooms_c["heat"] = 20.5
        await house.until(lambda: house.pump.blocked, "the room is warm again")
        await house.until(lambda: house.aggregator.said(sent.id, extent="full"), "it has started")
        house.rooms_c["heat"] = 18.0
        await house.until(lambda: not house.pump.is_told_to_rest, "it reached its minimum", 3.0)
        await house.until(
            lambda: house.aggregator.last(sent.id).get("reason") == "comfortLimit", "and says so"
        )
        assert house.aggregator.last(sent.id)["status"] == "STARTED"


@beside
async def test_a_room_that_falls_silent_lets_the_pump_go(folder: Path) -> None:
    async with House(folder) as house:
        house.config["asset"]["heat"]["comfort"]["room_max_age_s"] = 3
        await house.start()
        sent = await house.aggregator.cap("asset:heat", 0.0)
        await house.until(lambda: house.pump.blocked, "the pump rests")
        house.rooms_c["heat"] = None
        await house.until(lambda: not house.pump.is_told_to_rest, "nobody sees the room", 6.0)
        await house.until(
            lambda: "unknown" in house.aggregator.last(sent.id).get("text", ""), "and it says why"
        )
        assert house.aggregator.last(sent.id)["reason"] == "comfortLimit"


@beside
async def test_an_override_at_home_wins_until_it_ends(folder: Path) -> None:
    async with House(folder) as house:
        await house.start()
        sent = await house.aggregator.cap("asset:heat", 0.0)
        await house.until(lambda: house.pump.blocked, "the pump rests")
        code, answer = await house.cli("override", "heat", "--for", "2h")
        assert code == 0
        assert answer["done"].startswith("heat: taken back for 120 min")
        await house.until(lambda: not house.pump.is_told_to_rest, "the household has it", 3.0)
        await house.until(
            lambda: house.aggregator.said(sent.id, extent="none", reason="userOverride"),
            "the aggregator knows",
        )
        event = next(event for event in house.aggregator.events() if event["kind"] == "override")
        assert (event["asset"], event["dispatchIds"]) == ("heat", [sent.id])
        assert (await house.asset())["governor"] == "override"

        await house.kill()  # what the household said outlives a crash
        began_utc_s = time.time()
        await house.start()
        await house.seen()
        await asyncio.sleep(2.0)
        assert not house.pump.holds_since(began_utc_s)
        await house.cli("override", "heat", "--end")
        await house.until(lambda: house.pump.blocked, "the instruction has it again", 3.0)


@beside
async def test_minimum_run_and_minimum_rest_are_kept(folder: Path) -> None:
    """One compressor has just started; the other was stopped, and cancelled at once."""
    async with House(folder, assets=("runs", "rests")) as house:
        house.config["asset"]["runs"]["care"] = {"min_run_s": 600, "min_rest_s": 0}
        house.config["asset"]["rests"]["care"] = {"min_run_s": 0, "min_rest_s": 7}
        await house.start()
        await house.seen()
        run = await house.aggregator.cap("asset:runs", 0.0)
        rest = await house.aggregator.cap("asset:rests", 0.0)
        await house.until(lambda: house.pumps["rests"].blocked, "the second rests")
        began_s = time.monotonic()
        await house.aggregator.cancel(rest.id)
        await house.until(
            lambda: house.aggregator.said(rest.id, asset="rests", status="REVOKED"), "it is over"
        )
        assert (await house.why("rests"))["reason"] == "applianceLimit"
        await house.until(
            lambda: house.aggregator.said(run.id, asset="runs", extent="none", reason="minimumRun"), "it runs"
        )
        await house.until(lambda: not house.pumps["rests"].is_told_to_rest, "it has rested")
        assert 6.0 < time.monotonic() - began_s < 10.0 * house.pace
        assert not house.pumps["runs"].told


@beside
async def test_the_fuse_wins_over_an_instruction_and_over_the_household(folder: Path) -> None:
    async with House(folder) as house:
        house.config["supply"] = {"fuse_a": 25, "silent_meter_w": 0, "restore_s": 2, "restart_s": 2}
        await house.start()
        await house.seen()
        await asyncio.sleep(1.0)
        assert not house.pump.told, "a meter that has had no time to speak is no reason to hold"
        house.more_w = lambda: 25 * 230 - BASE_LOAD_W  # the oven and the kettle
        await house.until(lambda: house.pump.blocked, "the fuse has no room", 4.0)
        why = await house.why()
        assert (why["governor"], why["reason"]) == ("limit", "supplyLimit")
        await house.cli("override", "heat", "--for", "1h")
        await asyncio.sleep(1.5)
        assert house.pump.blocked
        await house.cli("override", "heat", "--end")
        house.more_w = lambda: 0.0
        await house.until(lambda: not house.pump.is_told_to_rest, "there is room again")
