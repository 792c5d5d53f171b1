"""The simulated charger's conversation under a clock of the test: session, samples, keys, losses."""

from __future__ import annotations

import contextlib

import pytest

from gateway.demo.devices.ocpp import Call, Outbox, Problem
from tests.demo.charging import Garage, Message

ACCEPTED = {"idTagInfo": {"status": "Accepted"}}
BLOCKED = {"idTagInfo": {"status": "Blocked"}}


@pytest.fixture
def garage() -> Garage:
    garage = Garage()
    garage.connect()
    garage.passes(1)
    garage.heard()
    return garage


def _actions(garage: Garage) -> list[str]:
    return [action for action, _ in garage.heard()]


def _statuses(garage: Garage) -> list[str]:
    return [said["status"] for action, said in garage.heard() if action == "StatusNotification"]


def _key(garage: Garage, name: str) -> str:
    return str(garage.asks("GetConfiguration", key=[name])["configurationKey"][0]["value"])


# --- session ---


def test_a_car_that_is_plugged_in_waits_until_it_is_started_from_afar(garage: Garage) -> None:
    assert garage.passes(60) == 0.0
    assert garage.point.charger.status == "Preparing"
    assert garage.asks("RemoteStartTransaction", idTag="homeflex") == {"status": "Accepted"}
    assert garage.replies("Authorize", ACCEPTED) == {"idTag": "homeflex"}
    said = garage.replies("StartTransaction", {"transactionId": 7} | ACCEPTED)
    assert said.keys() == {"connectorId", "idTag", "meterStart", "timestamp"}
    assert garage.passes(8) == 32.0


def test_a_tag_that_is_not_accepted_starts_nothing(garage: Garage) -> None:
    garage.asks("RemoteStartTransaction", idTag="stranger")
    garage.replies("Authorize", BLOCKED)
    assert garage.passes(8) == 0.0
    assert "StartTransaction" not in _actions(garage)


def test_a_transaction_whose_tag_is_refused_afterwards_is_stopped(garage: Garage) -> None:
    garage.asks("ChangeConfiguration", key="AuthorizeRemoteTxRequests", value="false")
    garage.asks("RemoteStartTransaction", idTag="stranger")
    garage.replies("StartTransaction", {"transactionId": 9} | BLOCKED)
    said = garage.replies("StopTransaction", {})
    assert (said["transactionId"], said["reason"]) == (9, "DeAuthorized")
    assert garage.passes(8) == 0.0


def test_with_autostart_plugging_in_is_enough() -> None:
    garage = Garage(autostart=True)
    garage.car.plugged = False
    garage.connect()
    garage.passes(5)
    assert "Authorize" not in _actions(garage)
    garage.car.plugged = True
    garage.passes(1)
    garage.replies("Authorize", ACCEPTED)
    garage.replies("StartTransaction", {"transactionId": 7} | ACCEPTED)
    assert garage.passes(8) == 32.0


def test_with_autostart_a_car_is_charged_also_while_nobody_answers() -> None:
    garage = Garage(autostart=True)
    garage.car.plugged = False
    garage.connect()
    garage.point.disconnected()
    garage.car.plugged = True
    assert garage.passes(9) == 32.0
    assert "StartTransaction" in _actions(garage)


def test_pulling_the_plug_ends_the_session_and_plugging_in_again_begins_none(garage: Garage) -> None:
    garage.starts()
    garage.passes(10)
    garage.car.plugged = False
    garage.passes(2)
    said = garage.replies("StopTransaction", {})
    assert (said["transactionId"], said["reason"]) == (7, "EVDisconnected")
    garage.car.plugged = True
    assert garage.passes(10) == 0.0


@pytest.mark.parametrize(
    ("change", "payload"),
    [
        ("unplugged", {}),
        ("running", {}),
        ("", {"connectorId": 2}),
        ("", {"chargingProfile": "of another purpose"}),
    ],
)
def test_a_start_that_cannot_be_is_rejected(garage: Garage, change: str, payload: Message) -> None:
    garage.car.plugged = change != "unplugged"
    if change == "running":
        garage.starts()
    if "chargingProfile" in payload:
        periods = [{"startPeriod": 0, "limit": 8.0}]
        payload = {
            "chargingProfile": {
                "chargingProfileId": 1,
                "stackLevel": 0,
                "chargingProfilePurpose": "TxDefaultProfile",
                "chargingProfileKind": "Relative",
                "chargingSchedule": {"chargingRateUnit": "A", "chargingSchedulePeriod": periods},
            }
        }
    assert garage.asks("RemoteStartTransaction", idTag="x", **payload) == {"status": "Rejected"}


def test_a_profile_that_comes_with_the_start_limits_from_the_first_second(garage: Garage) -> None:
    garage.asks("ChangeConfiguration", key="AuthorizeRemoteTxRequests", value="false")
    profile = {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": {
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 8.0}],
        },
    }
    garage.asks("RemoteStartTransaction", idTag="x", chargingProfile=profile)
    assert garage.passes(1) == 8.0


def test_only_the_transaction_that_runs_can_be_stopped(garage: Garage) -> None:
    garage.starts(7)
    assert garage.asks("RemoteStopTransaction", transactionId=8) == {"status": "Rejected"}
    assert garage.asks("RemoteStopTransaction", transactionId=7) == {"status": "Accepted"}
    assert garage.replies("StopTransaction", {})["reason"] == "Remote"
    assert garage.passes(8) == 0.0
    assert garage.point.charger.status == "Finishing"


# --- what it says by itself ---


def test_every_change_of_its_state_is_told(garage: Garage) -> None:
    garage.starts()
    garage.passes(2)
    garage.profile(0.0)
    garage.passes(2)
    garage.asks("ClearChargingProfile")
    garage.passes(2)
    garage.car.soc = 1.0
    garage.passes(2)
    garage.car.plugged = False
    garage.passes(2)
    assert _statuses(garage) == ["Charging", "SuspendedEVSE", "Charging", "SuspendedEV", "Available"]


def test_its_heart_beats_as_the_boot_was_answered(garage: Garage) -> None:
    garage.passes(50)
    assert _actions(garage) == []
    garage.passes(10)
    assert _actions(garage) == ["Heartbeat"]


def test_an_answer_to_its_heart_sets_its_clock(garage: Garage) -> None:
    garage.asks("TriggerMessage", requestedMessage="Heartbeat")
    garage.replies("Heartbeat", {"currentTime": "2026-12-24T18:00:00Z"})
    assert garage.point.utc_s() == 1_798_135_200.0


def test_samples_come_as_often_and_measure_what_is_configured(garage: Garage) -> None:
    garage.starts()
    wanted = "Power.Active.Import,Energy.Active.Import.Register,Current.Import"
    garage.asks("ChangeConfiguration", key="MeterValuesSampledData", value=wanted)
    garage.asks("ChangeConfiguration", key="MeterValueSampleInterval", value="10")
    garage.passes(8)
    garage.heard()
    for _ in range(30):
        garage.passes(1)
    samples = [said for action, said in garage.heard() if action == "MeterValues"]
    assert [said["transactionId"] for said in samples] == [7, 7, 7]
    values = samples[0]["meterValue"][0]["sampledValue"]
    assert [(one["measurand"], one["unit"], one["context"]) for one in values] == [
        ("Power.Active.Import", "W", "Sample.Periodic"),
        ("Energy.Active.Import.Register", "Wh", "Sample.Periodic"),
        ("Current.Import", "A", "Sample.Periodic"),
    ]
    assert (values[0]["value"], values[2]["value"]) == ("7360.0", "32.0")
    first, last = (int(s["meterValue"][0]["sampledValue"][1]["value"]) for s in (samples[0], samples[2]))
    assert last - first in (40, 41)  # 20 s at 7360 W are 40.9 Wh, in whole ones


def test_samples_by_the_clock_come_also_without_a_session(garage: Garage) -> None:
    garage.asks("ChangeConfiguration", key="ClockAlignedDataInterval", value="60")
    for _ in range(120):
        garage.passes(1)
    samples = [said for action, said in garage.heard() if action == "MeterValues"]
    assert [said["meterValue"][0]["sampledValue"][0]["context"] for said in samples] == ["Sample.Clock"] * 2
    assert not any("transactionId" in said for said in samples)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("BootNotification", "BootNotification"),
        ("Heartbeat", "Heartbeat"),
        ("StatusNotification", "StatusNotification"),
        ("MeterValues", "MeterValues"),
    ],
)
def test_it_says_what_is_triggered(garage: Garage, wanted: str, said: str) -> None:
    assert garage.asks("TriggerMessage", requestedMessage=wanted, connectorId=1) == {"status": "Accepted"}
    assert _actions(garage) == [said]


def test_it_triggers_nothing_else(garage: Garage) -> None:
    odd = garage.asks("TriggerMessage", requestedMessage="FirmwareStatusNotification")
    elsewhere = garage.asks("TriggerMessage", requestedMessage="MeterValues", connectorId=2)
    assert (odd["status"], elsewhere["status"]) == ("NotImplemented", "Rejected")
    assert garage.heard() == []


# --- configuration ---


def test_all_keys_are_told_and_unknown_ones_named(garage: Garage) -> None:
    told = garage.asks("GetConfiguration")
    assert len(told["configurationKey"]) > 15
    assert told["unknownKey"] == []
    told = garage.asks("GetConfiguration", key=["numberofconnectors", "Colour"])
    assert told == {
        "configurationKey": [{"key": "NumberOfConnectors", "readonly": True, "value": "1"}],
        "unknownKey": ["Colour"],
    }


@pytest.mark.parametrize(
    ("key", "value", "status"),
    [
        ("MeterValueSampleInterval", "10", "Accepted"),
        ("metervaluesampleinterval", "10", "Accepted"),
        ("MeterValueSampleInterval", "ten", "Rejected"),
        ("MeterValueSampleInterval", "-1", "Rejected"),
        ("MeterValuesSampledData", "Voltage,Power.Active.Import", "Accepted"),
        ("MeterValuesSampledData", "Power.Active.Import,SoC", "Rejected"),
        ("MeterValuesSampledData", ",".join(["Voltage"] * 5), "Rejected"),
        ("AuthorizeRemoteTxRequests", "perhaps", "Rejected"),
        ("NumberOfConnectors", "2", "Rejected"),
        ("Colour", "red", "NotSupported"),
    ],
)
def test_a_key_takes_what_it_can_obey(garage: Garage, key: str, value: str, status: str) -> None:
    before = garage.asks("GetConfiguration")
    assert garage.asks("ChangeConfiguration", key=key, value=value) == {"status": status}
    if status == "Accepted":
        assert _key(garage, key) == value
    else:
        assert garage.asks("GetConfiguration") == before


@pytest.mark.parametrize(
    ("action", "payload", "code"),
    [
        ("UpdateFirmware", {}, "NotImplemented"),
        ("ChangeConfiguration", {"key": "HeartbeatInterval"}, "FormationViolation"),
        ("GetCompositeSchedule", {"connectorId": "one", "duration": 60}, "FormationViolation"),
    ],
)
def test_a_call_it_cannot_answer_is_an_error(
    garage: Garage, action: str, payload: Message, code: str
) -> None:
    with pytest.raises(Problem) as problem:
        garage.asks(action, **payload)
    assert problem.value.code == code


def test_every_call_is_noted_with_who_asked_also_a_refused_one(garage: Garage) -> None:
    garage.asked.clear()
    garage.asks("GetConfiguration", key=["x"])
    with contextlib.suppress(Problem):
        garage.asks("UpdateFirmware")
    peer = "10.0.0.2:9000"
    assert garage.asked == [("GetConfiguration", {"key": ["x"]}, peer), ("UpdateFirmware", {}, peer)]


# --- over a lost connection ---


def test_a_session_goes_on_without_a_connection_and_its_samples_are_told_afterwards(garage: Garage) -> None:
    garage.asks("ChangeConfiguration", key="MeterValueSampleInterval", value="10")
    garage.starts()
    garage.passes(8)
    garage.heard()
    garage.point.disconnected()
    garage.point.outbox.disconnected()
    for _ in range(40):
        garage.passes(1)
    assert garage.car.current_a == 32.0
    garage.connect()
    said = garage.heard()
    assert [action for action, _ in said] == ["MeterValues"] * 4 + ["StatusNotification"] * 2
    assert said[-1][1]["status"] == "Charging"


def test_what_a_transaction_said_waits_through_every_loss_until_it_is_answered(garage: Garage) -> None:
    garage.asks("ChangeConfiguration", key="AuthorizeRemoteTxRequests", value="false")
    garage.asks("ChangeConfiguration", key="MeterValueSampleInterval", value="10")
    garage.asks("RemoteStartTransaction", idTag="homeflex")
    garage.point.outbox.disconnected()
    garage.passes(8)
    garage.passes(8)
    garage.point.outbox.disconnected()
    garage.replies("StartTransaction", {"transactionId": 7} | ACCEPTED)
    garage.asks("RemoteStopTransaction", transactionId=7)
    garage.point.outbox.disconnected()
    said = garage.heard()
    assert [action for action, _ in said] == ["MeterValues", "StopTransaction"]
    assert [one["transactionId"] for _, one in said] == [7, 7]


def test_what_is_no_transactions_is_not_told_late(garage: Garage) -> None:
    garage.asks("TriggerMessage", requestedMessage="Heartbeat")
    garage.point.disconnected()
    garage.point.outbox.disconnected()
    assert garage.heard() == []


def test_some_chargers_introduce_themselves_only_once() -> None:
    garage = Garage(boots_each_time=False)
    assert garage.point.connected() is not None
    garage.connect()
    assert garage.point.connected() is None


def test_of_more_than_two_hundred_things_to_say_the_oldest_sample_goes() -> None:
    outbox = Outbox()
    outbox.put(Call("StartTransaction", dict, kept=True))
    for number in range(300):
        outbox.put(Call("MeterValues", lambda number=number: {"n": number}, kept=True))
    assert len(outbox.waiting) == 200
    assert outbox.waiting[0].action == "StartTransaction"
    assert outbox.waiting[1].payload() == {"n": 101}
