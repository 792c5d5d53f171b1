"""A car at its charger in a whole home: held by leases, ready in time, and the household's all the while."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.fakes.charging_station import ChargingStation
from tests.home.beside import beside
from tests.home.full_house import CAR_W, FullHouse, local_time
from tests.home.house import BASE_LOAD_W


@beside
async def test_a_cap_on_the_car_is_a_lease_in_the_charger_and_is_measured(folder: Path) -> None:
    async with FullHouse(folder) as house:
        await house.start()
        await house.plug_in()
        await house.seen()
        sent = await house.aggregator.cap("class:ev", 1.4, service="bm")
        await house.until(lambda: house.charger.power_w() == 1380, "6 A, for 1.4 kW")
        held = {"status": "STARTED", "extent": "full", "evidence": "measured", "limitKw": 1.38}
        await house.until(lambda: house.aggregator.said(sent.id, asset="ev", **held), "it is followed")
        (lease,) = house.leases()[-1:]
        assert lease["transactionId"] == house.charger.transaction
        assert lease["validTo"]
        assert lease["chargingSchedule"]["duration"]
        whole = [line for body in house.aggregator.statuses(sent.id) for line in body["targets"]]
        assert [line for line in whole if line.get("target") == "class:ev"], "one line for the whole class"

        await house.aggregator.cancel(sent.id)
        await house.until(lambda: house.charger.power_w() == CAR_W, "the car is its owner's again")
        assert house.charger.violations == []


@beside
async def test_a_car_that_comes_in_an_instruction_begins_under_it(folder: Path) -> None:
    async with FullHouse(folder) as house:
        await house.start()
        await house.charger.until(lambda: house.charger.connections > 0, 15)
        await house.charger.tell("Available")
        await house.seen()
        sent = await house.aggregator.cap("asset:ev", 0.0)
        away = {"status": "ACCEPTED", "extent": "none", "reason": "notConnected"}
        await house.until(lambda: house.aggregator.said(sent.id, asset="ev", **away), "no car is there")
        await house.plug_in()
        await house.until(lambda: house.leases(), "a lease lies over its session")
        await house.until(
            lambda: house.aggregator.said(sent.id, asset="ev", status="STARTED"), "it is followed"
        )
        assert house.charger.power_w() == 0


@beside
async def test_a_session_is_adopted_after_a_crash_and_held_all_the_while(folder: Path) -> None:
    async with FullHouse(folder) as house:
        await house.start()
        await house.plug_in()
        await house.seen()
        sent = await house.aggregator.cap("asset:ev", 2.0)
        await house.until(lambda: house.charger.power_w() < 2000, "the car is held")
        transaction, leases = house.charger.transaction, len(house.leases())
        house.charger.quirks.boots, house.charger.quirks.tells_status = False, False
        await house.kill()
        await asyncio.sleep(1)
        assert house.charger.power_w() < 2000, "by its lease"
        await house.start()
        await house.until(lambda: len(house.leases()) > leases, "the lease is renewed")
        assert house.leases()[-1]["transactionId"] == transaction
        await house.until(
            lambda: house.aggregator.last(sent.id, "ev").get("extent") == "full", "it is followed again"
        )
        assert house.charger.power_w() < 2000


@beside
async def test_a_car_at_a_charger_of_2_0_1_is_held_over_a_crash_and_given_back(folder: Path) -> None:
    async with FullHouse(folder, ChargingStation) as house:
        await house.start()
        await house.plug_in()
        await house.seen()
        sent = await house.aggregator.cap("class:ev", 1.4, service="bm")
        held = {"status": "STARTED", "extent": "full", "evidence": "measured", "limitKw": 1.38}
        await house.until(lambda: house.aggregator.said(sent.id, asset="ev", **held), "it is followed")
        transaction, leases = house.charger.transaction, len(house.leases())
        house.charger.quirks.boots = house.charger.quirks.tells_status = False
        await house.kill()
        assert house.charger.power_w() == 1380, "by its lease"
        await house.start()
        await house.until(lambda: len(house.leases()) > leases, "the lease is renewed")
        assert house.leases()[-1]["transactionId"] == transaction
        assert house.leases()[-1]["validTo"]
        await house.aggregator.cancel(sent.id)
        await house.until(lambda: house.charger.power_w() == CAR_W, "the car is its owner's again")
        assert house.charger.violations == []


@beside
async def test_a_car_is_ready_in_time_whatever_is_asked(folder: Path) -> None:
    """57 % typed in and 60 % by five minutes from now: 1.8 kWh of 7.4 kW take 15 min. Too late already, so
    it charges as fast as it can; with 57.8 % typed, as fast as it must."""
    async with FullHouse(folder) as house:
        charge = {"target_soc": 0.6, "ready_by": local_time(6), "efficiency": 1.0}
        house.config["asset"]["ev"]["charge"] |= charge
        await house.start()
        await house.plug_in()
        await house.seen()
        assert (await house.cli("soc", "57"))[0] == 0
        sent = await house.aggregator.cap("asset:ev", 0.0)
        limit = {"extent": "none", "reason": "chargeLimit"}
        await house.until(lambda: house.aggregator.said(sent.id, asset="ev", **limit), "the car goes first")
        assert house.charger.power_w() == CAR_W
        car = await house.car()
        assert (car["soc_source"], round(car["soc"], 2)) == ("typed", 0.57)

        assert (await house.cli("soc", "59.2"))[0] == 0
        part = {"extent": "partial", "reason": "chargeLimit"}
        await house.until(lambda: house.aggregator.said(sent.id, asset="ev", **part), "a part is enough")
        assert 1380 <= house.charger.power_w() < CAR_W
        assert "still needed by" in house.aggregator.last(sent.id, "ev")["text"]

        await house.stop()
        await house.start()
        assert (await house.car())["soc_source"] == "typed", "a restart forgets nothing that was typed in"


@beside
async def test_charge_now_holds_until_the_car_is_gone(folder: Path) -> None:
    async with FullHouse(folder) as house:
        await house.start()
        await house.plug_in()
        await house.seen()
        sent = await house.aggregator.cap("asset:ev", 0.0)
        await house.until(lambda: house.charger.power_w() == 0, "the car is held")
        assert (await house.cli("charge-now"))[0] == 0
        await house.until(lambda: house.charger.power_w() == CAR_W, "it charges now")
        overridden = {"extent": "none", "reason": "userOverride"}
        await house.until(lambda: house.aggregator.said(sent.id, asset="ev", **overridden), "and why")
        events = house.aggregator.events()
        assert [e for e in events if e["kind"] == "override" and e["text"].startswith("charge now")]
        await house.charger.unplug()
        await house.until(
            lambda: house.aggregator.last(sent.id, "ev").get("reason") == "notConnected", "it has gone"
        )
        await house.plug_in()
        await house.until(lambda: house.charger.power_w() == 0, "the next one is held")


@beside
async def test_charge_now_that_the_household_ends_is_not_told_as_over_by_itself(folder: Path) -> None:
    async with FullHouse(folder) as house:
        await house.start()
        await house.plug_in()
        await house.seen()
        await house.aggregator.cap("asset:ev", 0.0)
        await house.until(lambda: house.charger.power_w() == 0, "the car is held")
        assert (await house.cli("charge-now"))[0] == 0
        await house.until(lambda: house.charger.power_w() == CAR_W, "it charges now")
        assert (await house.cli("override", "ev", "--end"))[0] == 0
        await house.until(lambda: house.charger.power_w() == 0, "the car is held again")
        told = [e["text"] for e in house.aggregator.events() if e["kind"] == "override"]
        assert told == ["charge now, by the household", "given back by the household"]


@beside
async def test_one_value_for_car_and_pump_is_never_exceeded_by_both(folder: Path) -> None:
    async with FullHouse(folder) as house:
        await house.start()
        await house.plug_in()
        await house.seen()
        both = await house.aggregator.cap("site", 5.0)
        await house.until(
            lambda: house.aggregator.said(both.id, asset="ev", status="STARTED"), "the car follows", 30
        )

        def net_w() -> float:
            return BASE_LOAD_W + house.pump.power_w + house.more_w()

        await house.until(lambda: net_w() <= 5000, lambda: f"5 kW at the meter, not {net_w():.0f}")
        for _ in range(20):
            await asyncio.sleep(0.2)
            assert net_w() <= 5000


@beside
async def test_what_the_vehicle_itself_says_of_its_charge_counts_and_is_carried_on_in_its_silence(
    folder: Path,
) -> None:
    async with FullHouse(folder) as house:
        house.config["devices"]["vehicle"] = {
            "driver": "mqtt_local",
            "broker": {"host": "127.0.0.1", "port": house.local_broker.port},
            "points": {"soc": {"topic": "vehicle", "json": "battery", "scale": 0.01}},
        }
        house.config["asset"]["ev"]["soc"] = ["vehicle.soc", "charger.soc", "typed"]
        house.config["asset"]["ev"]["charge"] |= {"battery_kwh": 0.3, "min_soc": 0.3}
        await house.start()
        await house.plug_in()
        await house.seen()
        sent = await house.aggregator.cap("asset:ev", 0.0)
        await house.publish("vehicle", battery=20)
        below = {"extent": "none", "reason": "chargeLimit"}
        await house.until(
            lambda: house.aggregator.said(sent.id, asset="ev", **below), "it is below its minimum"
        )
        car = await house.car()
        assert (car["soc"], car["soc_source"]) == (0.2, "vehicle.soc")
        assert "20%" in car["text"]
        assert 0 <= car["soc_age_s"] < 30

        house.charger.quirks.boots, house.charger.quirks.tells_status = False, False
        await house.stop()
        await house.start()  # and hears nothing of the vehicle
        house.charger.register_wh += 45  # of which 13.5 % of its battery come
        await house.until(
            lambda: house.charger.power_w() == 0, "its minimum was reached by the energy since", 120
        )
        car = await house.car()
        assert 0.32 <= car["soc"] < 0.5
        assert car["soc_source"] == "vehicle.soc"
        assert car["soc_age_s"] > 10

        await house.publish("vehicle", battery=25)
        await house.until(lambda: house.charger.power_w() == CAR_W, "what it says itself comes first")


@beside
async def test_the_household_sees_each_charge_what_was_asked_of_it_and_that_the_hub_was_away(
    folder: Path,
) -> None:
    async with FullHouse(folder) as house:
        await house.start()
        await house.charger.until(lambda: house.charger.connections > 0, 15)
        await house.charger.tell("Available")
        await house.seen()
        await house.plug_in()
        await house.until(lambda: house.charger.power_w() == CAR_W, "it charges")
        house.charger.register_wh += 40
        sent = await house.aggregator.cap("asset:ev", 2.0)
        await house.until(lambda: house.aggregator.said(sent.id, asset="ev", status="STARTED"), "it is held")
        house.charger.quirks.boots, house.charger.quirks.tells_status = False, False
        await house.kill()
        house.charger.register_wh += 20
        await house.start()
        await house.until(
            lambda: house.aggregator.last(sent.id, "ev").get("extent") == "full", "it is followed again"
        )
        house.charger.register_wh += 10
        await asyncio.sleep(2)  # the charger tells its register each second
        await house.charger.unplug()
        (session,) = await _sessions_until_over(house)
        assert abs(session["energy_kwh"] - 0.070) <= 0.005, "a second or two of its power at each edge"
        assert session["energy_by"] == "register"
        assert (session["plugged_in_seen"], session["unplugged_seen"]) == (True, True)
        held = [rate for rate in session["rates"] if rate["governed_by"] == "dispatch"]
        assert [sent.id] in [rate["instructions"] for rate in held]
        assert len(session["unseen"]) == 1, "it says that the hub was away"
        assert session["charging"][0]["start"] >= session["plugged_in"]


async def _sessions_until_over(house: FullHouse) -> list[Any]:
    while True:
        code, said = await house.cli("sessions", "ev")
        assert code == 0, said
        sessions: list[Any] = said["sessions"]
        if sessions and not sessions[-1]["open"]:
            return sessions
        await asyncio.sleep(0.2)
