"""The random delay where a car's own hours begin, over a crash: as `status` and the minutes tell it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tests.home.beside import beside
from tests.home.full_house import CAR_W, FullHouse, local_time


@beside
async def test_a_car_waits_the_same_delay_over_a_crash_until_the_household_skips_it(folder: Path) -> None:
    async with FullHouse(folder) as house:
        house.config["delays"] = {"default_start_s": 1800}
        drawn = await _waiting(house)
        await house.until(lambda: house.charger.power_w() == 0, "the car waits")

        await house.kill()
        await house.start(minute_ends_in_s=8)
        await house.seen()
        told = await house.asset("ev")
        assert (told["governor"], told["at_most_w"], _drawn(told["text"])) == ("delay", 0, drawn)
        assert house.charger.power_w() == 0
        assert 0 < told["delay_left_s"] < drawn
        assert "`homeflex skip-delay` ends it now" in (await house.why("ev"))["text"]
        await house.until(
            lambda: any(minute["governedBy"] == "delay" for minute in house.aggregator.minutes("ev")),
            "a minute says so",
            80.0,
        )

        code, answer = await house.cli("skip-delay", "ev")
        assert code == 0
        assert re.match(
            r"ev: the schedule of ev goes on now, .* early; now ev runs by its own control", answer["done"]
        )
        await house.until(lambda: house.charger.power_w() == CAR_W, "the car charges")
        await house.kill()
        await house.start()
        await house.seen()
        assert house.charger.power_w() == CAR_W
        assert (await house.asset("ev"))["delay_left_s"] is None
        assert (await house.cli("skip-delay", "ev"))[1] == {"done": "no random delay runs for ev"}
        (event,) = [event for event in house.aggregator.events() if event["kind"] == "override"]
        assert (event["asset"], event["reason"], event["text"]) == (
            "ev",
            "userOverride",
            "random delay of its schedule skipped by the household",
        )
        assert house.charger.violations == []


async def _waiting(house: FullHouse) -> int:
    """Start in hours that have just begun, as a new home as often as it takes for a draw that is long enough
    to be looked at; what was drawn."""
    off = {"from": local_time(-300), "to": local_time(-1), "value": 0}
    house.config["asset"]["ev"]["schedule"] = [off]
    for attempt in range(12):
        await house.start()
        if attempt == 0:
            await house.plug_in()
        await house.seen()
        told = await house.asset("ev")
        if (told["delay_left_s"] or 0) > 200 * house.pace:
            return _drawn(told["text"])
        await house.stop()
        shutil.rmtree(house.folder / "state")
    raise AssertionError("no draw of twelve is long enough")


def _drawn(text: str) -> int:
    found = re.match(r"its schedule lets it draw more, after a random delay of (\d+) s: ", text)
    assert found, text
    return int(found[1])
