"""What the aggregator reads of a home: minutes, the state, what it can give, and the sum of an event."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.home import promises
from tests.home.aggregator import cap_body, moment, utc_s_of
from tests.home.beside import beside, long_beside
from tests.home.house import BASE_LOAD_W, NOMINAL_W, SITE, House


@beside
async def test_a_minute_tells_what_held_the_pump_and_by_whose_word(folder: Path) -> None:
    async with House(folder) as house:
        await house.start(minute_ends_in_s=16.0)
        await house.seen()
        sent = await house.aggregator.cap("asset:heat", 0.0)
        await house.until(lambda: house.aggregator.minutes("heat"), "the minute", 75)
        (telemetry,) = house.aggregator.all("telemetry")
        assert (telemetry["offsetS"], telemetry["backfill"]) == (house.config["reporting"]["offset_s"], False)
        (heat,) = house.aggregator.minutes("heat")
        assert int(utc_s_of(heat["end"])) % 60 == telemetry["offsetS"]
        assert (heat["limitKw"], heat["governedBy"], heat["dispatchIds"]) == (0.0, "dispatch", [sent.id])
        assert (heat["roomC"], heat["source"], heat["method"]) == (20.5, "device", "MEAN")
        assert heat["roomAgeS"] <= 2
        assert heat["quality"] == "OK"
        assert heat["reasons"] == ["regrid"]
        assert heat["importRegisterKwh"] is None, "this pump has no register"
        assert 0 <= heat["powerKw"] < 3.6 / 2

        (boundary,) = house.aggregator.minutes("boundary")
        assert (boundary["start"], boundary["end"]) == (heat["start"], heat["end"])
        assert (boundary["limitKw"], boundary["governedBy"], boundary["dispatchIds"]) == (None, "none", [])
        assert (boundary["source"], boundary["roomC"], boundary["exportRegisterKwh"]) == ("meter", None, 0.0)
        assert boundary["lastKw"] == BASE_LOAD_W / 1000
        arrived = next(h.at_utc_s for h in house.aggregator.heard if h.topic == "telemetry")
        assert arrived - utc_s_of(heat["end"]) < 2.0 * house.pace, "published within 2 s of the minute's end"


@beside
async def test_state_and_availability_say_what_the_home_is_and_can_give(folder: Path) -> None:
    async with House(folder) as house:
        await house.start()
        await house.until(
            lambda: [s for s in house.aggregator.all("state") if all(d["healthy"] for d in s["devices"])],
            "all are healthy",
        )
        state = house.aggregator.all("state")[-1]
        (heat,) = state["assets"]
        assert (heat["id"], heat["class"], heat["leaseS"], heat["failsafe"]) == (
            "heat",
            "heat",
            120,
            "keep-alive",
        )
        assert (heat["can"]["levelsKw"], heat["nominalKw"]) == ([0.0], NOMINAL_W / 1000)
        assert {point["id"] for point in state["points"]} == {"heat", "boundary"}
        assert (state["signaturesRequired"], state["clock"]["source"]) == (True, "configuration")

        def offers() -> dict[str, Any]:
            (*_, offered) = house.aggregator.all("availability") or [{"scopes": []}]
            return {scope["target"]: scope for scope in offered["scopes"]}

        def is_off_possible() -> bool:
            return "asset:heat" in offers() and offers()["asset:heat"]["down"]["toKw"] == 0.0

        await house.until(is_off_possible, "its pump may be off, said anew within 15 s of its first word", 20)
        scopes = offers()
        assert scopes.keys() == {"asset:heat", "class:heat", "site"}
        for_s = scopes["asset:heat"]["down"]["forS"]
        assert 2300 < for_s < 2500, "its room may fall by 2 K, as yet at 3 K an hour"
        offered = house.aggregator.all("availability")[-1]
        assert len(offered["expected"]) == 48
        assert utc_s_of(offered["validUntil"]) > time.time() + 300


@long_beside(minutes=9)
async def test_an_event_is_summed_up_once_and_agrees_with_the_meter(folder: Path) -> None:
    async with House(folder) as house:
        await house.start(minute_ends_in_s=20.0)
        await house.seen()
        body = cap_body(SITE, "asset:heat", 0.0, ago_s=-40)
        sent = await house.aggregator.send(body)
        begins_utc_s = utc_s_of(body["intervalPeriod"]["start"])
        await house.until(lambda: house.pump.blocked, "it begins", 45)
        assert abs(time.time() - begins_utc_s) < 2.0 * house.pace
        await house.until(lambda: house.aggregator.said(sent.id, status="SUCCEEDED"), "it ends", 310)
        await house.until(lambda: not house.pump.is_told_to_rest, "and the pump is its owner's", 3.0)
        ended_s = time.monotonic()
        await house.until(lambda: _summaries(house, sent.id), "its summary", 125)
        assert 55.0 < time.monotonic() - ended_s < 121.0
        (summary,) = _summaries(house, sent.id)
        assert summary["window"] == {"start": moment(begins_utc_s), "end": moment(begins_utc_s + 300)}
        (told,) = summary["assets"]
        assert (told["status"], told["idleS"], told["delayS"]) == ("SUCCEEDED", 0, 0)
        assert told["heldS"] + told["limitedS"] == 300
        assert told["heldS"] > 290
        assert 0 <= told["energyKwh"] < 0.005, "it rested"
        minutes = {m["seq"]: m for m in house.aggregator.minutes("heat")}
        assert (
            utc_s_of(minutes[told["firstSeq"]]["start"])
            <= begins_utc_s
            < utc_s_of(minutes[told["firstSeq"]]["end"])
        )
        assert {m["quality"] for m in minutes.values()} == {"OK"}
        await promises.no_number_is_missing_or_used_twice(house)
        promises.minutes_join(house.aggregator.minutes("heat"))
        promises.minutes_sum_to_the_register(house)
        code, report = await house.cli("report", sent.id)
        assert code == 0, report
        (asset,) = report["assets"]
        assert (asset["energy_kwh"], asset["quality"]) == (told["energyKwh"], told["quality"])
        assert (asset["status"], asset["held_s"]) == ("SUCCEEDED", told["heldS"])
        assert abs(utc_s_of(report["ended"]) - begins_utc_s - 300) < 2
        shown = [m for m in report["minutes"]["heat"] if sent.id in m["instructions"]]
        assert [m["seq"] for m in shown] == list(range(told["firstSeq"], told["lastSeq"] + 1))
        await house.stop()
        with closing(sqlite3.connect(house.folder / "state" / "homeflex.db")) as database:
            assert database.execute("select id from evidence").fetchall() == [(sent.id,)]


def _summaries(house: House, id_: str) -> list[dict[str, Any]]:
    return [b for b in house.aggregator.all("dispatch/status", "summary") if b["id"] == id_]
