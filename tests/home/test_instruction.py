"""An instruction on its way: from the aggregator's signature to the pump's register, and back as statuses."""

from __future__ import annotations

import time
from pathlib import Path

from tests.home.beside import beside
from tests.home.house import House


@beside
async def test_a_signed_cap_reaches_the_register_and_its_statuses_come_in_order(folder: Path) -> None:
    async with House(folder) as house:
        await house.start()
        await house.seen()
        begun_utc_s = time.time()
        sent = await house.aggregator.cap("asset:heat", 0.0)
        await house.until(lambda: house.pump.blocked, "the pump rests", 3.0)
        assert house.pump.told[0].at_utc_s - begun_utc_s < house.pace
        await house.until(lambda: house.aggregator.said(sent.id, status="STARTED"), "it has started")
        line = house.aggregator.last(sent.id)
        assert (line["extent"], line["evidence"], line["limitKw"]) == ("full", "measured", 0.0)

        await house.aggregator.cancel(sent.id)
        await house.until(lambda: not house.pump.is_told_to_rest, "the pump is its owner's", 3.0)
        await house.until(lambda: house.aggregator.said(sent.id, status="REVOKED"), "it has ended")
        lives = [line["status"] for line in house.aggregator.lines(sent.id)]
        assert list(dict.fromkeys(lives)) == ["ACCEPTED", "STARTED", "REVOKED"]
        assert {body["reception"] for body in house.aggregator.statuses(sent.id)} == {"OK"}
