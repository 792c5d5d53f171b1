"""The stories of 1.6 as 2.0.1 tells them: sessions with ids of their own, limits, the fail-safe, oddities."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any

import pytest
from ocpp.messages import Call

from drivers.base import Links, Proof
from drivers.ocpp.driver import Ocpp
from drivers.ocpp.pace import Pace
from drivers.ocpp.settings import ZERO_CONFIRMED, Settings
from tests.drivers.ocpp_house import QUICK, Home, Hub, check, home, serving, valid
from tests.drivers.running import running
from tests.fakes.charger import START_UTC_S, Charger, moment, profile_in
from tests.fakes.charging_station import ChargingStation, StationQuirks
from tests.fakes.mosquitto import free_port
from tests.faults.virtual_clock import virtual

LEASE_S = 300
QUESTIONS = {"GetVariables", "SetVariables", "GetCompositeSchedule", "TriggerMessage", "GetTransactionStatus"}


def station(prepare: Any = lambda _station: None, **more: Any) -> AbstractAsyncContextManager[Home]:
    return home(prepare, kind=ChargingStation, **more)


def odd(**quirks: Any) -> Any:
    """Makes a charging station an odd one."""

    def prepare(charger: ChargingStation) -> None:
        for name, value in quirks.items():
            assert hasattr(StationQuirks(), name)
            setattr(charger.quirks, name, value)

    return prepare


def said(at: Home, action: str) -> list[dict[str, Any]]:
    assert isinstance(at.charger, ChargingStation)
    return [payload for name, payload in at.charger.said if name == action]


# --- set-up ---


async def test_it_is_asked_for_few_variables_and_set_where_they_differ() -> None:
    async with station() as at:
        await at.session()
        assert at.charger.keys == {
            "SampledDataCtrlr.TxUpdatedMeasurands": (
                "Power.Active.Import,Energy.Active.Import.Register,Current.Import,Voltage,SoC"
            ),
            "SampledDataCtrlr.TxUpdatedInterval": "10",
            "AlignedDataCtrlr.Measurands": (
                "Power.Active.Import,Energy.Active.Import.Register,Current.Import,Voltage,SoC"
            ),
            "AlignedDataCtrlr.Interval": "60",
            "AuthCtrlr.AuthorizeRemoteStart": "false",
            "OCPPCommCtrlr.WebSocketPingInterval": "20",
        }
        never = {"GetBaseReport", "Reset", "RequestStopTransaction", "GetConfiguration"}
        assert not never & {action for action, _ in at.charger.asked}
        for payload in said(at, "TransactionEvent"):  # the fake itself says what 2.0.1 allows
            valid(Call("id", "TransactionEvent", payload), "2.0.1")


async def test_a_list_of_measurands_is_cut_to_what_it_takes() -> None:
    async with station(odd(measurands={"Power.Active.Import", "Energy.Active.Import.Register"})) as at:
        await at.set_up()
        taken = at.charger.keys["SampledDataCtrlr.TxUpdatedMeasurands"]
        assert taken == "Power.Active.Import,Energy.Active.Import.Register"


async def test_variables_are_asked_for_one_by_one_where_it_takes_few_at_once() -> None:
    async with station(odd(variables_at_once=1)) as at:
        await at.set_up()
        written = len(at.charger.asked_for("SetVariables"))
        at.charger.drop()
        await at.charger.until(lambda: len(at.charger.asked_for("GetVariables")) == 2 * 8 + 1)
        await asyncio.sleep(0.1)
        assert len(at.charger.asked_for("SetVariables")) == written  # nothing differs


@virtual
@pytest.mark.parametrize("mute", [{"GetVariables"}, QUESTIONS])
async def test_a_first_limit_goes_out_in_seconds_whatever_question_is_not_answered(mute: set[str]) -> None:
    async with station(odd(mute=set(mute)), pace=Pace(), timeout_s=30.0) as at:
        await at.charger.until(lambda: len(at.charger.answers) == 2)  # its start and its state
        await at.charger.begin()
        for power_w, limit_a in ((2300, 10), (4600, 20), (0, 0), (6900, 30), (2300, 10)):
            at.port.want(power_w)
            wanted_s = asyncio.get_running_loop().time()
            await at.charger.until(lambda limit_a=limit_a: at.charger.limit_a() == limit_a, 60)  # type: ignore[misc]
            waited_s = asyncio.get_running_loop().time() - wanted_s
            assert waited_s < (15 if power_w > 0 else 5)  # up waits for its pace
        assert at.charger.connections == 1


async def test_one_that_tells_and_takes_no_variables_is_held_all_the_same() -> None:
    errors = {"GetVariables": "NotImplemented", "SetVariables": "NotImplemented"}
    async with station(odd(errors=errors)) as at:
        await at.charger.until(lambda: at.charger.asked_for("SetVariables") != [])
        await at.charger.begin()
        await at.charger.meter()
        await at.port.holds(2300)
        assert at.charger.limit_a() == 10


async def test_of_two_versions_the_one_in_the_configuration_is_spoken() -> None:
    async with station(odd(subprotocols=("ocpp2.0.1", "ocpp1.6")), version="2.0.1") as at:
        await at.session()
        await at.port.holds(2300)
        assert at.charger.asked_for("GetVariables") != []


# --- the fail-safe and the lease ---


async def test_the_fail_safe_is_a_default_for_all_of_the_charger() -> None:
    async with station(failsafe_a=10) as at:
        await at.set_up()
        (laid,) = at.charger.asked_for("SetChargingProfile")
    assert laid["evseId"] == 0
    profile = profile_in(laid)
    assert (profile["id"], profile["chargingProfilePurpose"]) == (10, "TxDefaultProfile")
    assert profile["chargingSchedule"][0]["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 10.0}]
    assert not {"validTo", "transactionId"} & set(profile)


async def test_a_default_that_lies_at_its_evse_is_replaced_there() -> None:
    def has_one(charger: ChargingStation) -> None:
        schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 32}]}
        charger.profiles.append(
            {
                "chargingProfileId": 7, "evse": 1, "stackLevel": 0, "chargingProfileKind": "Relative",
                "chargingProfilePurpose": "TxDefaultProfile", "chargingSchedule": schedule,
            }
        )  # fmt: skip

    async with station(has_one, failsafe_a=10) as at:
        await at.session()
        assert at.charger.limit_a() == 10


async def test_a_lease_says_its_end_twice_and_the_charger_s_own_id() -> None:
    async with station(lease_s=LEASE_S) as at:
        transaction = await at.session()
        await at.port.holds(2300)
        (lease,) = [
            asked for asked in at.charger.asked_for("SetChargingProfile") if profile_in(asked)["id"] == 20
        ]
        assert at.port.done[-1].proof is Proof.READ_BACK
    profile = profile_in(lease)
    (schedule,) = profile["chargingSchedule"]
    start_s = moment(schedule["startSchedule"])
    assert START_UTC_S - 61 <= start_s == moment(profile["validFrom"]) <= START_UTC_S - 55
    assert moment(profile["validTo"]) == start_s + 60 + LEASE_S
    assert schedule["duration"] == 60 + LEASE_S
    assert (lease["evseId"], profile["transactionId"]) == (1, transaction)
    assert schedule["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 10.0}]


@pytest.mark.parametrize("failsafe_a", [32, 10, 0])
async def test_with_the_gateway_gone_the_fail_safe_holds_within_the_lease(failsafe_a: float) -> None:
    async with station(lease_s=LEASE_S, failsafe_a=failsafe_a, failsafe_zero_confirmed=ZERO_CONFIRMED) as at:
        await at.session()
        await at.port.holds(2300 if failsafe_a == 32 else 7360)
        charger, port = at.charger, at.port
    port.pass_time(LEASE_S - 10)
    assert charger.limit_a() == (10 if failsafe_a == 32 else 32)
    port.pass_time(10)
    assert charger.limit_a() == failsafe_a


@pytest.mark.parametrize(
    "quirk", [{}, {"knows_ids": False}, {"errors": {"ClearChargingProfile": "NotImplemented"}}]
)
async def test_given_back_the_session_is_its_owner_s(quirk: dict[str, Any]) -> None:
    async with station(odd(**quirk)) as at:
        await at.session()
        await at.port.holds(0)
        await at.port.holds(None)
        assert at.charger.limit_a() == 32


async def test_a_limit_it_does_not_take_in_amperes_is_said_in_watts() -> None:
    async with station(odd(units={"W"})) as at:
        await at.session()
        await at.port.holds(2300)
        assert at.charger.limit_a() == 10


async def test_one_that_limits_only_all_of_itself_is_held_by_that() -> None:
    async with station(odd(takes_purposes={"ChargePointMaxProfile"}), lease_s=LEASE_S) as at:
        await at.session()
        await at.port.holds(2300)
        assert at.charger.limit_a() == 10
        laid = at.charger.asked_for("SetChargingProfile")[-1]
        assert (laid["evseId"], profile_in(laid)["id"]) == (0, 40)
        assert profile_in(laid)["validTo"]
        await at.port.holds(None)
        assert at.charger.limit_a() == 32
        assert at.charger.profiles == []
        for power_w in (2300, 4600):  # what it never took is not tried again, nor counted as wear
            await at.port.holds(power_w)
        at.port.pass_time(LEASE_S)
        assert at.charger.limit_a() == 32


async def test_both_versions_share_a_port_over_a_restart_of_ours() -> None:
    ports, links_port = [Hub(), Hub()], free_port()
    chargers = [Charger(links_port, id="one"), ChargingStation(links_port, id="two")]
    async with AsyncExitStack() as street:
        for charger in chargers:
            await street.enter_async_context(charger)
        for power_w, limit_a in ((2300, 10), (4600, 20)):
            links = Links()
            async with AsyncExitStack() as stack:
                for charger, port in zip(chargers, ports, strict=True):
                    settings = Settings(
                        listen="127.0.0.1", port=links_port, charge_point=charger.id, timeout_s=1, start=False
                    )
                    await stack.enter_async_context(running(Ocpp(settings, links, QUICK).run(port)))
                for charger, port in zip(chargers, ports, strict=True):
                    if charger.transaction is None:
                        await charger.begin()
                    await port.holds(power_w)
                    await charger.until(lambda charger=charger, limit_a=limit_a: charger.limit_a() == limit_a)  # type: ignore[misc]
        for charger in chargers:
            check(charger)


async def test_smart_charging_that_is_not_there_is_told_though_the_model_says_it_is() -> None:
    def boasts(charger: ChargingStation) -> None:
        charger.quirks.errors = {"SetChargingProfile": "NotImplemented"}
        charger.keys |= {"SmartChargingCtrlr.RateUnit": "A,W", "SmartChargingCtrlr.ProfileStackLevel": "3"}

    async with station(boasts) as at:
        await at.session()
        want = at.port.want(2300)
        await at.port.until(lambda: at.port.answered(want))
        assert want in [refused for refused, _ in at.port.refusals]
        assert {"monitorOnly", "noFailsafe"} <= {event.kind for event in at.port.events}


@pytest.mark.parametrize("off_s", [-86_400.0, 0.0, 86_400.0])
async def test_a_lease_counts_on_the_charger_s_own_clock(off_s: float) -> None:
    async with station(odd(clock_off_s=off_s), lease_s=LEASE_S) as at:
        await at.session()
        await at.port.holds(2300)
        assert at.charger.limit_a() == 10
        at.port.pass_time(LEASE_S - 20)
        assert at.charger.limit_a() == 10
        at.port.pass_time(21)
        assert at.charger.limit_a() == 32


# --- sessions ---


async def test_a_session_is_told_from_plug_to_unplug() -> None:
    async with station(lambda charger: setattr(charger, "soc_pct", 40)) as at:
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


@pytest.mark.parametrize(
    "quirk",
    [
        {"tells_start": False}, {"tells_state": False}, {"counts": False}, {"meters_apart": True},
        {"unitless": True}, {"kilo": True}, {"kwh_at_end": True},
    ],
    ids=lambda quirk: next(iter(quirk)),
)  # fmt: skip
async def test_whatever_a_charger_leaves_out_or_words_its_own_way(quirk: dict[str, Any]) -> None:
    async with station(odd(**quirk)) as at:
        await at.session()
        assert (at.port.value("power_w"), at.port.value("charging")) == (7360, 1)
        await at.port.holds(2300)
        assert at.charger.limit_a() == 10
        await at.charger.meter()
        assert (at.port.value("power_w"), at.port.value("import_ws")) == (2300, 3_600_000)
        at.charger.register_wh += 500
        await at.charger.end()
        assert (at.port.value("power_w"), at.port.value("import_ws")) == (0, 5_400_000)


async def test_an_event_told_twice_is_one() -> None:
    async with station() as at:
        transaction = await at.session()
        start = said(at, "TransactionEvent")[0]
        await at.charger.call("TransactionEvent", start)
        await at.port.holds(2300)
        late = at.charger.event("Updated", "MeterValuePeriodic")  # type: ignore[attr-defined]
        await at.charger.end()
        end = said(at, "TransactionEvent")[-1]
        for again in (end, late):
            await at.charger.call("TransactionEvent", again)
        assert end["transactionInfo"]["transactionId"] == transaction
        assert (at.port.value("charging"), at.port.value("power_w")) == (0, 0)


async def test_who_brings_a_token_is_accepted() -> None:
    async with station() as at:
        await at.session()
        token = {"idToken": "stranger", "type": "ISO14443"}
        accepted = {"idTokenInfo": {"status": "Accepted"}}
        assert await at.charger.call("Authorize", {"idToken": token}) == accepted
        start = [answer for action, answer in at.charger.answers if action == "TransactionEvent"]
        assert start == [accepted, {}]


async def test_a_session_that_began_before_us_is_adopted_and_held() -> None:
    def charging(charger: ChargingStation) -> None:
        charger.quirks.boots = False
        charger.status, charger.transaction, charger.is_authorised = "Charging", "tx-77", True

    async with station(charging) as at:
        await at.port.holds(2300)
        await at.charger.until(lambda: at.charger.limit_a() == 10)
        assert profile_in(at.charger.asked_for("SetChargingProfile")[-1])["transactionId"] == "tx-77"
        assert at.port.value("charging") == 1
        assert at.charger.asked_for("TriggerMessage") != []


async def test_a_session_goes_on_over_a_restart_of_ours() -> None:
    port = Hub()
    async with station(port=port) as at:
        transaction = await at.session()
        charger = at.charger
    charger.quirks.boots = False
    charger.profiles.clear()
    async with running(serving(charger).run(port)), charger:
        await port.holds(2300)
        await charger.until(lambda: charger.limit_a() == 10)
        assert profile_in(charger.asked_for("SetChargingProfile")[-1])["transactionId"] == transaction


async def test_a_session_goes_on_over_a_lost_connection() -> None:
    async with station() as at:
        await at.session()
        await at.port.holds(2300)
        at.charger.quirks.tells_status = False
        at.charger.profiles.clear()
        at.charger.drop()
        await at.charger.until(lambda: at.charger.connections == 2)
        await at.charger.until(lambda: at.charger.limit_a() == 10)


@pytest.mark.parametrize("goes_on", [False, True])
async def test_a_start_in_the_middle_is_set_up_again_and_the_session_is_what_it_tells(goes_on: bool) -> None:
    async with station() as at:
        await at.session()
        await at.port.holds(2300)
        at.charger.keys["SampledDataCtrlr.TxUpdatedInterval"] = "60"
        at.charger.profiles.clear()
        await at.charger.boot()
        await at.charger.tell("Charging")  # occupied
        if goes_on:
            await at.charger.meter()
            await at.charger.until(lambda: at.charger.limit_a() == 10)
        else:
            await at.charger.end("PowerLoss", trigger="AbnormalCondition")
        await at.charger.until(lambda: at.charger.keys["SampledDataCtrlr.TxUpdatedInterval"] == "10")
        assert at.port.value("charging") == int(goes_on)
        assert at.port.value("connected") == 1


@pytest.mark.parametrize("missing", ["", "GetTransactionStatus", "TriggerMessage"])
async def test_a_session_whose_end_nobody_told_is_asked_for(missing: str) -> None:
    port = Hub()
    async with station(port=port) as at:
        await at.session()
        charger = at.charger
    charger.transaction, charger.status = None, "Preparing"
    charger.quirks.boots = False
    charger.quirks.errors = {missing: "NotImplemented"}
    async with running(serving(charger).run(port)), charger:
        await charger.until(lambda: charger.asked_for("GetTransactionStatus") != [])
        await port.until(lambda: port.value("charging") == 0)
        assert port.value("connected") == 1
        await charger.begin()  # and one that runs after all is told by its messages
        assert port.value("charging") == 1


async def test_what_waited_for_a_connection_is_no_news() -> None:
    async with station() as at:
        await at.session()
        at.charger.demand_a = 6
        await at.charger.meter(at_s=START_UTC_S - 600)
        assert at.port.value("power_w") == 7360
        await at.charger.meter(at_s=at.charger.now_s)  # said to have waited, whatever its stamp
        assert at.port.value("power_w") == 7360
        await at.charger.meter()
        assert at.port.value("power_w") == 1380


async def test_what_waited_may_have_lost_its_readings() -> None:
    async with station(odd(empty_samples=True)) as at:
        await at.session()
        await at.charger.meter(at_s=START_UTC_S - 600)
        assert at.port.value("power_w") == 7360


async def test_a_session_that_came_and_went_while_we_were_away_is_over() -> None:
    async with station() as at:
        await at.set_up()
        transaction = await at.charger.begin()
        await at.charger.end()
        other = {"transactionInfo": {"transactionId": "tx-off"}, "offline": True}
        frame = {"timestamp": "2027-01-15T07:00:00Z", "seqNo": 0, "evse": {"id": 1}}
        for kind, reason in (
            ("Started", "Authorized"),
            ("Updated", "MeterValuePeriodic"),
            ("Ended", "EVDeparted"),
        ):
            await at.charger.call(
                "TransactionEvent", {"eventType": kind, "triggerReason": reason, **frame, **other}
            )
        assert transaction != "tx-off"
        assert at.port.value("charging") == 0


async def test_an_id_that_is_given_again_is_another_session() -> None:
    port = Hub()
    async with station(port=port) as at:
        for _ in range(2):
            await at.charger.begin()
            assert port.value("charging") == 1
            await at.charger.end()
            at.charger.restart_count()  # type: ignore[attr-defined]
        await at.port.until(lambda: "True" in str(port.facts.get("transactions")))
        charger = at.charger
    charger.quirks.tells_start = False  # type: ignore[attr-defined]
    async with running(serving(charger).run(port)), charger:
        await charger.begin()
        await charger.meter()
        assert port.value("charging") == 1
        await port.holds(2300)
        assert charger.limit_a() == 10


async def test_a_session_of_another_evse_is_not_ours() -> None:
    async with station() as at:
        await at.set_up()
        info = {"transactionInfo": {"transactionId": "tx-2", "chargingState": "Charging"}}
        frame: dict[str, Any] = {"timestamp": "2027-01-15T08:00:00Z", "seqNo": 0, **info}
        start = {"eventType": "Started", "triggerReason": "Authorized", "evse": {"id": 2}, **frame}
        await at.charger.call("TransactionEvent", start)
        update = {"eventType": "Updated", "triggerReason": "ChargingStateChanged", **frame}
        await at.charger.call("TransactionEvent", update)
        assert at.port.value("charging") == 0
        await at.charger.begin()
        end = {"eventType": "Ended", "triggerReason": "EVDeparted", **frame}
        await at.charger.call("TransactionEvent", end)
        assert at.port.value("charging") == 1


async def test_nor_does_its_end_end_one_of_ours_that_never_told_its_id() -> None:
    errors = {"TriggerMessage": "NotImplemented"}
    async with station(odd(tells_start=False, meters_apart=True, errors=errors)) as at:
        await at.session()
        assert at.port.value("charging") == 1
        frame = {
            "timestamp": "2027-01-15T08:00:00Z",
            "seqNo": 0,
            "transactionInfo": {"transactionId": "tx-2"},
        }
        start = {"eventType": "Started", "triggerReason": "Authorized", "evse": {"id": 2}, **frame}
        await at.charger.call("TransactionEvent", start)
        await at.charger.call(
            "TransactionEvent", {"eventType": "Ended", "triggerReason": "EVDeparted", **frame}
        )
        assert at.port.value("charging") == 1


async def test_after_a_session_nothing_is_drawn_and_the_car_is_there_until_it_left() -> None:
    async with station(start=True) as at:
        await at.session()
        await at.charger.end("TimeLimitReached", trigger="TimeLimitReached")
        at.port.pass_time(80)
        await at.charger.call("Heartbeat", {})
        assert at.port.sample("power_w").reasons == ("noSession",)
        assert at.port.value("connected") == 1
        assert at.charger.asked_for("RequestStartTransaction") == []
        await at.charger.begin()
        await at.charger.end("EVDisconnected", trigger="EVDeparted")  # and its state is not told
        assert at.port.value("connected") == 0


async def test_a_state_that_is_not_told_is_asked_for() -> None:
    def silent(charger: ChargingStation) -> None:
        charger.status, charger.quirks.boots, charger.quirks.tells_status = "Preparing", False, False

    async with station(silent) as at:
        await at.port.until(lambda: at.port.value("connected") == 1)
        assert at.port.value("charging") == 0


async def test_the_other_connector_of_an_evse_ends_nothing() -> None:
    async with station() as at:
        await at.session()
        free = {
            "timestamp": "2027-01-15T08:00:00Z",
            "connectorStatus": "Available",
            "evseId": 1,
            "connectorId": 2,
        }
        await at.charger.call("StatusNotification", free)
        assert (at.port.value("charging"), at.port.value("connected")) == (1, 1)
        await at.charger.call("StatusNotification", free | {"connectorId": 1})
        assert (at.port.value("charging"), at.port.value("connected")) == (0, 0)
        await at.charger.meter()  # it runs after all
        assert at.port.value("charging") == 1


async def test_a_transaction_that_outlasts_its_car_is_no_session() -> None:
    async with station() as at:
        await at.session()
        idle = at.charger.event("Updated", "EVDeparted", state="Idle")  # type: ignore[attr-defined]
        await at.charger.call("TransactionEvent", idle)
        assert (at.port.value("charging"), at.port.value("connected")) == (0, 0)
        await at.charger.meter()  # another car came
        assert (at.port.value("charging"), at.port.value("connected")) == (1, 1)


# --- starting a session ---


@pytest.mark.parametrize("starts_when_plugged", [False, True])
async def test_a_car_that_waits_is_started_under_the_limit_in_force(starts_when_plugged: bool) -> None:
    async with station(odd(starts_when_plugged=starts_when_plugged), start=True) as at:
        await at.set_up()
        await at.port.holds(2300)
        await at.charger.plug()
        await at.charger.until(lambda: at.charger.power_w() == 2300)
        (start, *_) = at.charger.asked_for("RequestStartTransaction")
        await at.port.until(lambda: at.port.value("charging") == 1)
    assert start["idToken"] == {"idToken": "homeflex", "type": "Central"}
    assert start["evseId"] == 1
    assert start["chargingProfile"]["chargingProfilePurpose"] == "TxProfile"
    assert "transactionId" not in start["chargingProfile"]


async def test_before_anybody_let_the_car_charge_there_is_no_session() -> None:
    async with station(odd(starts_when_plugged=True)) as at:
        await at.set_up()
        await at.charger.plug()
        assert (at.port.value("connected"), at.port.value("charging")) == (1, 0)
        await at.port.holds(2300)
        assert at.charger.limits() == []
        await at.charger.begin()
        await at.charger.until(lambda: at.charger.limit_a() == 10)
        assert at.port.value("charging") == 1


async def test_a_car_that_waited_over_a_restart_of_ours_is_started() -> None:
    port = Hub()
    async with station(odd(starts_when_plugged=True), port=port) as at:
        await at.set_up()
        await at.charger.plug()
        await at.port.until(lambda: "garage" in str(port.facts.get("transactions")))
        charger = at.charger
    charger.quirks.boots = False
    async with running(serving(charger, start=True).run(port)), charger:
        await charger.until(lambda: charger.power_w() > 0)


async def test_a_token_lets_a_car_charge_whatever_the_message_is_about() -> None:
    async with station() as at:
        await at.set_up()
        await at.charger.begin(state="EVConnected", triggerReason="CablePluggedIn")
        assert at.port.value("charging") == 1


async def test_a_car_that_comes_after_its_card_begins_under_the_limit() -> None:
    async with station(start=True) as at:
        await at.set_up()
        await at.port.holds(2300)
        await at.charger.begin(state="Idle")  # TxStartPoint Authorized: the card first, told once
        assert (at.port.value("connected"), at.port.value("charging")) == (0, 0)
        plugged = at.charger.event("Updated", "CablePluggedIn", state="EVConnected")  # type: ignore[attr-defined]
        await at.charger.call("TransactionEvent", plugged)
        assert (at.port.value("connected"), at.port.value("charging")) == (1, 1)
        await at.charger.until(lambda: at.charger.limit_a() == 10)
        assert at.charger.asked_for("RequestStartTransaction") == []


async def test_what_the_household_ended_is_not_started_again() -> None:
    async with station(start=True) as at:
        await at.set_up()
        await at.charger.begin()
        await at.charger.end("Local")
        await at.charger.tell("Preparing")  # occupied, as far as 2.0.1 tells
        await asyncio.sleep(0.1)
        assert at.charger.asked_for("RequestStartTransaction") == []
        await at.charger.unplug()
        await at.charger.plug()
        await at.charger.until(lambda: at.charger.asked_for("RequestStartTransaction") != [])


async def test_a_car_that_was_there_before_us_is_started_once_it_is_known_to_wait() -> None:
    def plugged(charger: ChargingStation) -> None:
        charger.status, charger.quirks.boots = "Preparing", False

    async with station(plugged, start=True) as at:
        await at.charger.until(lambda: at.charger.transaction is not None)
        asked = [action for action, _ in at.charger.asked]
        assert asked.index("TriggerMessage") < asked.index("RequestStartTransaction")


# --- anything else ---


async def test_every_other_message_is_answered_as_2_0_1_says() -> None:
    nothing = [
        "NotifyReport", "NotifyEvent", "NotifyMonitoringReport", "NotifyCustomerInformation",
        "NotifyDisplayMessages", "NotifyChargingLimit", "ClearedChargingLimit", "ReportChargingProfiles",
        "ReservationStatusUpdate", "SecurityEventNotification", "FirmwareStatusNotification",
        "PublishFirmwareStatusNotification", "LogStatusNotification",
    ]  # fmt: skip
    said = ["DataTransfer", "SignCertificate", "GetCertificateStatus", "Get15118EVCertificate"]
    said += [
        "NotifyEVChargingNeeds",
        "NotifyEVChargingSchedule",
        "Heartbeat",
        "MeterValues",
        "StatusNotification",
    ]
    async with station() as at:
        for action in nothing:
            assert await at.charger.call(action, {"customData": {"vendorId": "x"}}) == {}
        for action in said:
            assert "error" not in await at.charger.call(action, {})  # and is valid: the house looks
        assert await at.charger.call("PullDynamicScheduleUpdate", {}) == {"error": "NotImplemented"}
        assert await at.charger.raw('[2,"odd","Heartbeat",[]]') == {"error": "FormatViolation"}
        for broken in (
            {},
            {"eventType": "Updated", "transactionInfo": []},
            {"transactionInfo": {"transactionId": 5}},
        ):
            assert "error" not in await at.charger.call("TransactionEvent", broken)
