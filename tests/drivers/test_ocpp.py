"""A charger's conversation over a real socket: sessions, readings, adoption, and what chargers get wrong."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from drivers.base import Quality, Unreachable
from tests.drivers.ocpp_house import QUICK, Hub, home, serving
from tests.drivers.running import running
from tests.fakes.charger import START_UTC_S, Charger, moment, stamp
from tests.fakes.mosquitto import free_port

# --- boot and set-up ---


async def test_a_charger_is_not_called_before_its_start_was_accepted() -> None:
    def late(charger: Charger) -> None:
        charger.quirks.boot_late_s = 0.06

    async with home(late) as at:
        await at.set_up()
    assert at.charger.asked[0][0] == "GetConfiguration"
    action, answer = at.charger.answers[0]
    assert action == "BootNotification"
    assert abs(moment(answer["currentTime"]) - at.port.wall_s) < 5


async def test_a_charger_that_never_tells_a_start_is_called_all_the_same() -> None:
    def never(charger: Charger) -> None:
        charger.quirks.boots = charger.quirks.tells_status = False

    async with home(never) as at:
        await at.set_up()
        await at.port.until(lambda: at.port.value("connected") == 0)  # it was asked for its state


async def test_only_what_differs_is_configured() -> None:
    async with home() as at:
        await at.set_up()
        first = at.charger.asked_for("ChangeConfiguration")
        at.charger.drop()
        await at.charger.until(lambda: at.charger.connections == 2)
        await at.charger.until(lambda: len(at.charger.asked_for("GetConfiguration")) == 2)
        await asyncio.sleep(0.1)
    assert len(first) == 6
    assert at.charger.asked_for("ChangeConfiguration") == first
    assert at.charger.keys["MeterValueSampleInterval"] == "10"


async def test_measurands_are_cut_to_what_the_charger_takes() -> None:
    def few(charger: Charger) -> None:
        charger.quirks.measurands = {"Power.Active.Import", "Energy.Active.Import.Register"}

    async with home(few) as at:
        await at.set_up()
        assert (
            at.charger.keys["MeterValuesSampledData"] == "Power.Active.Import,Energy.Active.Import.Register"
        )
        tries = len(at.charger.asked_for("ChangeConfiguration"))
        at.charger.drop()
        await at.charger.until(lambda: len(at.charger.asked_for("GetConfiguration")) == 2)
        await asyncio.sleep(0.1)
        assert len(at.charger.asked_for("ChangeConfiguration")) == tries  # it is known what it takes


async def test_a_charger_that_does_not_tell_its_keys_is_configured_blindly() -> None:
    def mute(charger: Charger) -> None:
        charger.quirks.errors = {"GetConfiguration": "InternalError"}

    async with home(mute) as at:
        await at.set_up()
        await at.port.holds(0)


async def test_a_start_in_the_middle_is_set_up_again() -> None:
    async with home() as at:
        await at.session()
        await at.port.holds(2300)
        at.charger.keys["MeterValueSampleInterval"] = "60"
        at.charger.profiles.clear()
        await at.charger.boot()
        await at.charger.until(lambda: at.charger.keys["MeterValueSampleInterval"] == "10")
        await at.charger.until(lambda: at.charger.limit_a() == 10)


async def test_a_charger_that_starts_again_and_again_is_no_longer_configured() -> None:
    async with home() as at:
        await at.set_up()
        for _ in range(4):
            await at.charger.boot()
            await asyncio.sleep(0.05)
        await at.port.until(lambda: "bootStorm" in [event.kind for event in at.port.events])
        at.charger.keys["MeterValueSampleInterval"] = "60"
        await at.charger.boot()
        await at.session()
        await at.port.holds(0)  # it is served all the same
        assert at.charger.keys["MeterValueSampleInterval"] == "60"


# --- sessions ---


async def test_a_session_is_told_from_plug_to_unplug() -> None:
    async with home(lambda charger: setattr(charger, "soc_pct", 40)) as at:
        await at.set_up()
        await at.charger.plug()
        await at.port.until(lambda: at.port.value("connected") == 1)
        assert at.port.value("charging") == 0
        await at.charger.begin()
        await at.charger.meter()
        assert at.port.value("charging") == 1
        assert at.port.value("power_w") == 7360
        assert at.port.value("import_ws") == 3_600_000
        assert at.port.value("soc") == 0.4
        at.charger.register_wh += 500
        await at.charger.end()
        assert at.port.value("power_w") == 0
        assert at.port.value("import_ws") == 5_400_000
        assert (at.port.value("connected"), at.port.value("charging")) == (1, 0)
        await at.charger.unplug()
        assert at.port.value("connected") == 0


async def test_a_start_told_twice_is_one_session() -> None:
    async with home() as at:
        await at.set_up()
        one = await at.charger.begin()
        two = await at.charger.begin()  # the answer was lost: same stamp, same register, a new message
        assert one == two
        at.charger.register_wh += 1
        assert await at.charger.begin() != one


async def test_ids_of_sessions_are_never_given_again() -> None:
    port = Hub()
    seen = set()
    for run in range(3):
        async with home(port=port) as at:
            await at.set_up()
            for session in range(3):
                at.charger.register_wh += 1 + run * 10 + session
                seen.add(await at.charger.begin())
                await at.charger.end()
        port.facts.lose_unsynced()  # the power cut after each run
    assert len(seen) == 9
    assert all(0 < number < 2**31 for number in seen)


async def test_whoever_plugs_in_at_home_may_charge() -> None:
    async with home() as at:
        await at.set_up()
        assert await at.charger.call("Authorize", {"idTag": "stranger"}) == {
            "idTagInfo": {"status": "Accepted"}
        }


async def test_a_session_that_began_before_us_is_adopted() -> None:
    def charging(charger: Charger) -> None:
        charger.quirks.boots = False
        charger.status, charger.transaction = "Charging", 77

    async with home(charging) as at:
        await at.port.holds(2300)
        assert at.charger.limit_a() == 10

        def sessions() -> set[int | None]:
            asked = at.charger.asked_for("SetChargingProfile")
            return {ask["csChargingProfiles"].get("transactionId") for ask in asked}

        await at.charger.until(lambda: 77 in sessions())  # a default goes before it or after
        assert at.port.value("charging") == 1


async def test_a_session_goes_on_over_a_lost_connection() -> None:
    async with home() as at:
        transaction = await at.session()
        await at.port.holds(2300)
        at.charger.quirks.tells_status = False
        at.charger.profiles.clear()
        at.charger.drop()
        await at.charger.until(lambda: at.charger.connections == 2)
        await at.charger.until(lambda: at.charger.limit_a() == 10)  # the want is asserted again
        last = at.charger.asked_for("SetChargingProfile")[-1]["csChargingProfiles"]
        assert last["transactionId"] == transaction


async def test_a_session_that_ended_while_we_were_away_is_over() -> None:
    port = Hub()
    async with home(port=port) as at:
        transaction = await at.session()
        charger = at.charger
    charger.transaction = None
    charger.quirks.boots = charger.quirks.tells_status = False
    async with running(serving(charger).run(port)), charger:
        await charger.call(
            "StopTransaction",
            {"transactionId": transaction, "meterStop": 1200, "timestamp": stamp(START_UTC_S - 600)},
        )
        await port.until(lambda: port.value("charging") == 0)
        assert port.value("power_w") == 0


async def test_readings_that_waited_for_a_connection_are_no_news() -> None:
    async with home() as at:
        await at.session()
        at.charger.demand_a = 6
        await at.charger.meter(at_s=START_UTC_S - 600)
        assert at.port.value("power_w") == 7360
        await at.charger.meter()
        assert at.port.value("power_w") == 1380


async def test_a_reading_of_a_session_that_is_over_is_no_news() -> None:
    async with home() as at:
        await at.session()
        late = at.charger.meter_values()
        await at.charger.end()
        await at.charger.call("MeterValues", late)
        assert at.port.value("power_w") == 0
        assert at.port.value("charging") == 0


async def test_readings_of_a_short_outage_are_no_news_either() -> None:
    async with home() as at:
        await at.session()
        at.port.pass_time(30)
        await at.charger.meter()
        waited_s = at.charger.now_s
        at.charger.drop()
        at.port.pass_time(10)
        await at.charger.until(lambda: at.charger.connections == 2)
        at.port.points.clear()
        await at.charger.meter(at_s=waited_s)
        assert "power_w" not in at.port.points
        await at.charger.meter()
        assert at.port.value("power_w") == 7360


async def test_an_idle_charger_still_says_that_it_draws_nothing() -> None:
    async with home() as at:
        await at.set_up()
        before = at.port.publications
        at.port.pass_time(60)
        await at.charger.call("Heartbeat", {})
        assert at.port.publications > before
        assert at.port.sample("power_w").reasons == ("noSession",)


async def test_of_a_session_without_readings_nothing_old_is_told_again() -> None:
    async with home() as at:
        await at.session()
        at.port.points.clear()
        at.charger.quirks.mute.add("TriggerMessage")
        at.port.pass_time(60)
        await at.charger.call("Heartbeat", {})
        assert "power_w" not in at.port.points
        assert at.port.value("charging") == 1


async def test_missing_readings_are_asked_for() -> None:
    async with home() as at:
        await at.session()
        at.port.points.clear()
        at.port.pass_time(31)
        await at.charger.call("Heartbeat", {})
        await at.charger.tell("Charging")
        await at.port.until(lambda: at.port.value("power_w") == 7360)
        assert {"requestedMessage": "MeterValues", "connectorId": 1} in at.charger.asked_for("TriggerMessage")


async def test_they_are_not_asked_for_again_and_again() -> None:
    def promises(charger: Charger) -> None:
        charger.quirks.statuses = {"TriggerMessage": "Accepted"}

    async with home(promises, pace=replace(QUICK, trigger_s=30)) as at:
        await at.session()
        for _ in range(10):
            at.port.pass_time(10)
            await at.charger.tell("Charging")
            await asyncio.sleep(0.02)
        assert 2 <= len(at.charger.asked_for("TriggerMessage")) <= 3


async def test_soc_counts_only_in_a_session_and_only_from_1_to_100() -> None:
    async with home() as at:
        await at.session()
        for soc, told in ((0, None), (55, 0.55), (101, 0.55)):
            at.charger.soc_pct = soc
            await at.charger.meter()
            assert at.port.value("soc") == told


# --- starting a session ---


async def test_a_car_that_waits_is_started() -> None:
    async with home(start=True) as at:
        await at.set_up()
        await at.charger.plug()
        await at.charger.until(lambda: at.charger.transaction is not None)
    assert at.charger.asked_for("RemoteStartTransaction")[0]["idTag"] == "homeflex"


async def test_a_session_is_started_under_the_limit_in_force() -> None:
    async with home(start=True) as at:
        await at.set_up()
        await at.port.holds(2300)
        await at.charger.plug()
        await at.charger.until(lambda: at.charger.transaction is not None)
        started = at.charger.asked_for("RemoteStartTransaction")[0]["chargingProfile"]
        assert started["chargingProfilePurpose"] == "TxProfile"
        assert "transactionId" not in started
        assert at.charger.limit_a() == 10


async def test_nothing_is_started_while_it_is_to_draw_nothing() -> None:
    async with home(start=True) as at:
        await at.set_up()
        await at.port.holds(0)
        await at.charger.plug()
        await asyncio.sleep(0.1)
        assert at.charger.asked_for("RemoteStartTransaction") == []
        at.port.want(None)
        await at.charger.until(lambda: at.charger.transaction is not None)


@pytest.mark.parametrize(("reason", "starts"), [("Local", 0), ("Remote", 0), ("PowerLoss", 1)])
async def test_what_the_household_stopped_is_not_started_against_it(reason: str, starts: int) -> None:
    port = Hub()
    async with home(start=True, port=port) as at:
        await at.session()
        await at.charger.end(reason)
        await at.charger.plug()
        await asyncio.sleep(0.15)
        assert len(at.charger.asked_for("RemoteStartTransaction")) == starts
        charger = at.charger
    if starts:
        return
    async with running(serving(charger, start=True).run(port)), charger:  # nor after a restart
        await asyncio.sleep(0.3)
        assert charger.asked_for("RemoteStartTransaction") == []
        await charger.unplug()
        await charger.plug()
        await charger.until(lambda: charger.transaction is not None)


async def test_a_session_that_a_pause_ended_is_started_when_the_pause_is_over() -> None:
    async with home(start=True) as at:
        await at.session()
        await at.port.holds(0)
        await at.charger.end("")
        at.charger.register_wh += 1
        await at.charger.plug()
        await asyncio.sleep(0.1)
        assert at.charger.asked_for("RemoteStartTransaction") == []
        at.port.want(None)
        await at.charger.until(lambda: at.charger.transaction is not None)


async def test_a_charger_that_does_not_start_is_asked_only_a_few_times() -> None:
    def never(charger: Charger) -> None:
        charger.quirks.statuses = {"RemoteStartTransaction": "Rejected"}

    async with home(never, start=True) as at:
        await at.set_up()
        await at.charger.plug()
        for _ in range(12):
            at.port.pass_time(400)
            await at.charger.call("Heartbeat", {})
            await at.charger.tell("Preparing")
            await asyncio.sleep(0.02)
    assert len(at.charger.asked_for("RemoteStartTransaction")) == 5


# --- what a charger gets wrong ---


async def test_odd_fields_are_no_reason_for_an_error() -> None:
    async with home() as at:
        await at.set_up()
        odd = [
            ("BootNotification", {"chargePointSerialNumber": "x" * 60, "chargePointVendor": 7}),
            ("StatusNotification", {"connectorId": "1", "status": None, "errorCode": "Error"}),
            ("StartTransaction", {"meterStart": "many", "connectorId": None, "extra": []}),
            ("StopTransaction", {"transactionId": 2**40, "timestamp": "yesterday", "meterStop": -1}),
            ("MeterValues", {"meterValue": {"sampledValue": {"value": "7.2", "unit": "furlong"}}}),
            ("MeterValues", {}),
            ("DataTransfer", {"vendorId": "Fjord", "data": "x" * 40_000}),
            ("FirmwareStatusNotification", {"status": "Idle"}),
            ("SecurityEventNotification", {}),
        ]
        for action, payload in odd:
            answer = await at.charger.call(action, payload)
            assert "error" not in answer, action


async def test_a_call_nobody_knows_is_declined() -> None:
    async with home() as at:
        assert await at.charger.call("MakeTea", {}) == {"error": "NotImplemented"}
        answer = await at.charger.raw(json.dumps([2, "9", "Heartbeat", 5]))
        assert answer == {"error": "FormationViolation"}


async def test_bad_frames_do_not_end_the_connection() -> None:
    async with home() as at:
        await at.set_up()
        frames = [
            "",
            "x",
            "{}",
            "[]",
            "[2]",
            "[2,[],{},{}]",
            "[3,7]",
            "[9,1,2,3]",
            "[" * 50_000,
            b"\xff\xfe\x00",
        ]
        for frame in frames:
            await at.charger.send(frame)
        await at.charger.call("Heartbeat", {})
        assert at.charger.connections == 1


async def test_a_message_of_40_kb_is_read() -> None:
    async with home() as at:
        await at.session()
        message = at.charger.meter_values()
        message["meterValue"] = message["meterValue"] * 100
        assert len(json.dumps(message)) > 40_000
        assert await at.charger.call("MeterValues", message) == {}


async def test_a_message_too_large_ends_only_the_connection() -> None:
    async with home() as at:
        await at.set_up()
        await at.charger.send("x" * 300_000)
        await at.charger.until(lambda: at.charger.connections == 2)
        await at.charger.call("Heartbeat", {})


async def test_a_call_that_comes_twice_is_answered_twice() -> None:
    async with home() as at:
        await at.set_up()
        frame = json.dumps([2, "same", "StartTransaction", {"connectorId": 1, "idTag": "a", "meterStart": 5}])
        one = await at.charger.raw(frame)
        two = await at.charger.raw(frame)
        assert one == two


async def test_the_charger_clock_is_what_its_limits_end_by() -> None:
    """Its clock is a day behind: by ours a lease of 15 minutes would hold for a day."""

    def behind(charger: Charger) -> None:
        charger.quirks.clock_off_s = -86_400

    async with home(behind) as at:
        await at.session()
        for _ in range(2):
            at.port.pass_time(10)
            await at.charger.meter()
        await at.port.holds(0)
        assert at.charger.power_w() == 0
        at.port.pass_time(901)
        assert at.charger.power_w() == 7360
        assert "clockOff" in [event.kind for event in at.port.events]


@pytest.mark.parametrize("believes_us", [True, False])
async def test_with_our_clock_not_trusted_limits_count_on_the_charger_clock(believes_us: bool) -> None:
    port = Hub()
    port.utc_s = None
    async with home(lambda charger: setattr(charger.quirks, "believes_us", believes_us), port=port) as at:
        await at.session()
        if not believes_us:
            at.port.pass_time(10)
            await at.charger.meter()
        await at.port.holds(0)
        assert at.charger.power_w() == 0
        at.port.pass_time(901)
        assert at.charger.power_w() == 7360


# --- meters ---


async def test_kilowatts_are_read_as_such() -> None:
    async with home(lambda charger: setattr(charger.quirks, "kwh", True)) as at:
        await at.session()
        assert at.port.value("power_w") == 7360
        assert at.port.value("import_ws") == 3_600_000


async def test_three_phases_are_summed() -> None:
    def three(charger: Charger) -> None:
        charger.phases, charger.quirks.measurands = 3, {"Current.Import", "Energy.Active.Import.Register"}
        charger.keys["MeterValuesSampledData"] = "Current.Import,Energy.Active.Import.Register"

    async with home(three, phases=3) as at:
        await at.session()
        at.charger.keys["MeterValuesSampledData"] = "Current.Import,Energy.Active.Import.Register"
        await at.charger.meter()
        assert at.port.value("power_w") == 3 * 7360
        assert at.port.sample("power_w").quality is Quality.UNCERTAIN


async def test_of_a_charger_that_tells_only_energy_the_power_is_known_after_a_minute() -> None:
    def energy(charger: Charger) -> None:
        charger.quirks.measurands = {"Energy.Active.Import.Register"}

    async with home(energy) as at:
        await at.session()
        assert at.charger.keys["MeterValuesSampledData"] == "Energy.Active.Import.Register"
        for _ in range(7):
            at.port.pass_time(10)
            at.charger.register_wh += 20
            await at.charger.meter()
        assert at.port.value("power_w") == 7200
        assert at.port.sample("power_w").reasons == ("fromEnergy",)


# --- coming and going ---


async def test_a_charger_that_stops_answering_is_unreachable() -> None:
    port, charger = Hub(), Charger(free_port(), transaction=7, status="Charging")
    async with running(serving(charger, timeout_s=0.1).run(port)) as task, charger:
        await port.holds(2300)
        charger.quirks.silent = True
        port.want(0)
        with pytest.raises(Unreachable, match="2 calls in a row were not answered"):
            await asyncio.wait_for(task, 15)


async def test_a_charger_that_stays_away_is_unreachable_and_one_that_returns_is_not() -> None:
    port, charger = Hub(), Charger(free_port())
    driver = serving(charger)
    async with running(driver.run(port)) as task:
        async with charger:
            await charger.until(lambda: len(charger.asked) > 5)
            charger.drop()
            await charger.until(lambda: charger.connections == 2)
            assert not task.done()
        with pytest.raises(Unreachable, match="the charger is away"):
            await asyncio.wait_for(task, 15)


async def test_a_charger_that_never_came_is_told_where_to_call() -> None:
    charger = Charger(free_port(), id="garge")
    async with running(serving(charger).run(Hub())) as task, charger:
        with pytest.raises(Unreachable, match="'garge' is not configured here"):
            await asyncio.wait_for(task, 15)


async def test_pending_calls_end_with_the_connection() -> None:
    async with home(timeout_s=30.0) as at:
        await at.session()
        at.charger.quirks.silent = True
        at.port.want(0)
        await at.charger.until(lambda: at.charger.limits() != [])
        at.charger.quirks.silent = False
        began_s = asyncio.get_running_loop().time()
        at.charger.drop()
        await at.port.until(lambda: bool(at.port.done))
        assert asyncio.get_running_loop().time() - began_s < 1.0
