"""What a home can show of an event afterwards: the same as its device and its aggregator saw."""

from __future__ import annotations

import csv
import time
from datetime import datetime
from pathlib import Path

from tests.home.beside import beside
from tests.home.house import House


def _utc_s(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()


@beside
async def test_a_report_tells_the_sample_that_the_pump_showed_and_outlives_a_kill(folder: Path) -> None:
    async with House(folder) as house:
        await house.start(minute_ends_in_s=20.0)
        await house.seen()
        house.pump.is_stubborn = True  # it takes what it is told, and runs on for a while
        sent_utc_s = time.time()
        sent = await house.aggregator.cap("asset:heat", 0.0)
        await house.until(lambda: house.pump.blocked, "the pump is told to rest", 3.0)
        await house.until(lambda: time.time() > sent_utc_s + 3, "it has been read since, running")
        written_utc_s = house.pump.told[0].at_utc_s
        house.pump.is_stubborn, rested_utc_s = False, time.time()
        await house.until(lambda: house.aggregator.said(sent.id, status="STARTED"), "it follows")
        started_utc_s = time.time()

        code, report = await house.cli("report", sent.id[:8])
        assert code == 0, report
        (asset,) = report["assets"]
        response, setting = asset["response"], asset["setting"]
        assert (asset["asset"], asset["status"], asset["evidence"]) == ("heat", "STARTED", "measured")
        assert rested_utc_s <= _utc_s(response["at"]) + 0.01 <= started_utc_s
        assert (response["power_w"], response["source"]) == (house.pump.power_w, "heat-hp.power_w")
        assert written_utc_s - 0.01 <= _utc_s(setting["at"]) <= rested_utc_s
        assert (setting["at_most_w"], setting["by"]) == (0, "read back")
        took_s = _utc_s(response["at"]) - _utc_s(setting["at"])
        assert abs(response["after_setting_s"] - took_s) < 0.1
        assert rested_utc_s - sent_utc_s - 1 < response["after_arrival_s"] < started_utc_s - sent_utc_s + 1

        await house.until(lambda: house.aggregator.minutes("heat"), "a minute", 75)
        (told,) = house.aggregator.minutes("heat")[:1]
        code, record = await house.cli("meter", "heat")
        assert code == 0, record
        kept = record["minutes"][0]
        assert (kept["seq"], kept["power_w"]) == (told["seq"], round(told["powerKw"] * 1000))
        assert (kept["instructions"], kept["limit_w"]) == ([sent.id], 0)

        await house.kill()
        await house.start()
        await house.seen()
        await house.aggregator.cancel(sent.id)
        await house.until(lambda: house.aggregator.said(sent.id, status="REVOKED"), "it has ended")
        drawing, table = folder / "event.svg", folder / "heat.csv"
        code, again = await house.cli("report", sent.id, "--plot", str(drawing))
        assert code == 0, again
        assert again["assets"][0]["response"] == response, "as before the kill"
        lives = [stand["status"] for stand in again["history"] if stand["name"] == "heat"]
        assert list(dict.fromkeys(lives)) == ["ACCEPTED", "STARTED", "REVOKED"]
        assert kept in again["minutes"]["heat"]
        assert drawing.read_text().startswith("<svg")
        code, _ = await house.cli("meter", "heat", "--csv", str(table), json_too=False)
        assert code == 0
        with table.open() as file:
            assert [int(row["seq"]) for row in csv.DictReader(file)][:1] == [told["seq"]]
