"""A freezer behind its plug in a whole home: off only for a while, and back by itself whatever happens."""

from __future__ import annotations

from pathlib import Path

from tests.home.beside import beside
from tests.home.full_house import FREEZER_W, FullHouse

OFF = ("Switch.Set", {"id": 0, "on": False, "toggle_after": 10})


@beside
async def test_a_freezer_comes_back_at_its_longest_off(folder: Path) -> None:
    async with FullHouse(folder) as house:
        house.config["asset"]["freezer"]["care"]["longest_off_s"] = 11  # its lease is 10
        await house.start()
        await house.seen()
        sent = await house.aggregator.cap("class:plug", 0.0, service="tcm", lasts_s=1800)
        await house.until(lambda: house.freezer_w == 0, "it is off")
        await house.until(lambda: house.aggregator.said(sent.id, asset="freezer", status="STARTED"), "said")
        await house.until(lambda: house.freezer_w == FREEZER_W, "it is back", 14.0)
        back = {"extent": "none", "reason": "applianceLimit"}
        await house.until(lambda: house.aggregator.said(sent.id, asset="freezer", **back), "and why")
        why = await house.why("freezer")
        assert (why["governor"], why["reason"]) == ("limit", "applianceLimit")


@beside
async def test_a_freezer_serves_no_balancing_and_wants_notice(folder: Path) -> None:
    async with FullHouse(folder) as house:
        house.config["services"] = {"plug_notice_s": 3600}
        await house.start()
        await house.seen()
        refused = {"status": "REJECTED", "reason": "notEligible"}
        for service in ("bm", "tcm"):
            sent = await house.aggregator.cap("asset:freezer", 0.0, service=service, lasts_s=1800)
            await house.until(lambda s=sent: house.aggregator.said(s.id, asset="freezer", **refused), service)
        assert OFF not in house.plug.commands()


@beside
async def test_who_presses_the_button_has_overridden(folder: Path) -> None:
    async with FullHouse(folder) as house:
        house.config["asset"]["freezer"]["care"] = {"shortest_on_s": 0}
        await house.start()
        await house.seen()
        sent = await house.aggregator.cap("asset:freezer", 0.0, service="tcm", lasts_s=1800)
        await house.until(lambda: house.freezer_w == 0, "it is off")
        house.plug.switches[0].turn(True, "button")
        taken = {"extent": "none", "reason": "userOverride"}
        await house.until(lambda: house.aggregator.said(sent.id, asset="freezer", **taken), "taken back")
        assert house.freezer_w == FREEZER_W
        assert (await house.cli("override", "freezer", "--end"))[0] == 0
        await house.until(lambda: house.freezer_w == 0, "given over again")


@beside
async def test_a_plug_that_would_stay_off_is_not_switched(folder: Path) -> None:
    async with FullHouse(folder) as house:
        house.plug.switches[0].config["initial_state"] = "off"
        await house.start()
        await house.seen()
        sent = await house.aggregator.cap("asset:freezer", 0.0, service="tcm", lasts_s=1800)
        refused = {"extent": "none", "reason": "deviceRefused"}
        await house.until(lambda: house.aggregator.said(sent.id, asset="freezer", **refused), "it refuses")
        assert OFF not in house.plug.commands()
        alarms = [e for e in house.aggregator.events() if e["severity"] == "alarm"]
        assert any("initial_state" in event["text"] for event in alarms)


@beside
async def test_without_the_daemon_everything_goes_back_by_hand(folder: Path) -> None:
    async with FullHouse(folder) as house:
        await house.start()
        await house.plug_in()
        await house.seen()
        await house.aggregator.cap("asset:ev", 0.0)
        await house.aggregator.cap("asset:freezer", 0.0, service="tcm", lasts_s=1800)
        await house.until(lambda: house.more_w() == 0, "both are held")
        await house.kill()
        code, answer = await house.cli("release")
        assert code == 0, answer
        assert house.more_w() > FREEZER_W
