"""OCPP 1.6 in both directions: what we say, built from the library's types, and what we are told, read
tolerantly. A `Version`, imported only when a charger first speaks it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ocpp.v16 import call, call_result, datatypes, enums  # type: ignore[import-untyped]

from drivers.ocpp.field import moment_s, moment_text, number, part, parts, whole, word
from drivers.ocpp.keys import NEEDED, Keys
from drivers.ocpp.meter import metered
from drivers.ocpp.profile import End, Profile, Purpose, SessionId, Unit
from drivers.ocpp.rpc import FORMATION_VIOLATION, Payload
from drivers.ocpp.version import Charger, Message
from drivers.ocpp.wording import limit_now, message, moment_or_none, plain

WH_WS = 3600
VIOLATION = FORMATION_VIOLATION
KEY_QUESTIONS: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...] = (
    ("GetConfiguration", ((),)),
    ("GetConfiguration by key", (NEEDED,)),
)
LIMITS_STATION = False
READINGS: tuple[str, ...] = ("MeterValues",)


# --- what we are told ---------------------------------------------------------------------------------


def answer_to(action: str, payload: Payload, charger: Charger, heartbeat_s: int) -> Payload | None:
    """Tell `charger` what a call says, and the answer to it; None: there is no such call.

    An odd field never makes it an error: a charger would repeat the message for ever.
    """
    if action == "BootNotification":
        return _boot(payload, charger, heartbeat_s)
    answer = _ANSWERS.get(action)
    return answer(payload, charger) if answer else None


def _boot(payload: Payload, charger: Charger, heartbeat_s: int) -> Payload:
    vendor, model = word(payload.get("chargePointVendor")), word(payload.get("chargePointModel"))
    charger.booted(vendor, model, word(payload.get("firmwareVersion")))
    return plain(
        call_result.BootNotification(
            current_time=moment_text(charger.now_s()),
            interval=heartbeat_s,
            status=enums.RegistrationStatus.accepted,
        )
    )


def _heartbeat(_payload: Payload, charger: Charger) -> Payload:
    return plain(call_result.Heartbeat(current_time=moment_text(charger.now_s())))


def _status(payload: Payload, charger: Charger) -> Payload:
    connector = whole(payload.get("connectorId")) or 0
    charger.told_status(connector, word(payload.get("status")), moment_s(payload.get("timestamp")))
    return plain(call_result.StatusNotification())


def _authorize(_payload: Payload, _charger: Charger) -> Payload:
    return plain(call_result.Authorize(id_tag_info=_accepted()))


def _start(payload: Payload, charger: Charger) -> Payload:
    transaction = charger.started(
        whole(payload.get("connectorId")) or 0,
        word(payload.get("idTag")),
        _register_ws(payload.get("meterStart")),
        moment_s(payload.get("timestamp")),
        word(payload.get("timestamp")),
    )
    return plain(call_result.StartTransaction(transaction_id=transaction, id_tag_info=_accepted()))


def _stop(payload: Payload, charger: Charger) -> Payload:
    charger.stopped(
        whole(payload.get("transactionId")),
        _register_ws(payload.get("meterStop")),
        moment_s(payload.get("timestamp")),
        word(payload.get("reason")),
    )
    info = _accepted() if word(payload.get("idTag")) else None
    return plain(call_result.StopTransaction(id_tag_info=info))


def _meter(payload: Payload, charger: Charger) -> Payload:
    moments = metered(payload, charger.volts, charger.phases)
    charger.told_meter(whole(payload.get("connectorId")) or 0, whole(payload.get("transactionId")), moments)
    return plain(call_result.MeterValues())


def _data_transfer(_payload: Payload, _charger: Charger) -> Payload:
    return plain(call_result.DataTransfer(status=enums.DataTransferStatus.unknown_vendor_id))


def _certificate(_payload: Payload, _charger: Charger) -> Payload:
    return plain(call_result.SignCertificate(status=enums.GenericStatus.rejected))


def _nothing(_payload: Payload, _charger: Charger) -> Payload:
    return {}


_ANSWERS: dict[str, Callable[[Payload, Charger], Payload]] = {
    "Heartbeat": _heartbeat,
    "StatusNotification": _status,
    "Authorize": _authorize,
    "StartTransaction": _start,
    "StopTransaction": _stop,
    "MeterValues": _meter,
    "DataTransfer": _data_transfer,
    "SignCertificate": _certificate,
    "FirmwareStatusNotification": _nothing,
    "DiagnosticsStatusNotification": _nothing,
    "SignedFirmwareStatusNotification": _nothing,
    "LogStatusNotification": _nothing,
    "SecurityEventNotification": _nothing,
}


def _accepted() -> Any:
    """Whoever can plug in a car at home may charge it."""
    return datatypes.IdTagInfo(status=enums.AuthorizationStatus.accepted)


def _register_ws(value: object) -> int | None:
    found = number(value)
    return round(found * WH_WS) if found is not None and found >= 0 else None


# --- what we say --------------------------------------------------------------------------------------


def get_keys(keys: Sequence[str] = ()) -> Message:
    """Ask for these keys, or for all of them."""
    return message(call.GetConfiguration(key=list(keys) or None))


def keys_in(answer: Payload) -> Keys:
    """What an answer to GetConfiguration says."""
    told = {}
    for entry in parts(answer.get("configurationKey")):
        told[word(entry.get("key"))] = entry.get("value"), entry.get("readonly") is True
    return Keys.told(told)


def set_key(key: str, value: str) -> Message:
    """Set one key."""
    return message(call.ChangeConfiguration(key=key, value=value))


def set_status(answer: Payload) -> str:
    """How that was answered."""
    return word(answer.get("status"))


def trigger(requested: str, connector: int) -> Message:
    """Ask for a message that the charger sends by itself at other times."""
    return message(
        call.TriggerMessage(requested_message=enums.MessageTrigger(requested), connector_id=connector)
    )


def get_session(_transaction: SessionId) -> Message | None:
    """There is no such question."""
    return None


def session_runs(_answer: Payload) -> bool | None:
    """It is not told."""
    return None


def start_session(connector: int, id_tag: str, profile: Profile | None) -> Message:
    """Begin a session, under a profile from its first second where the charger takes one."""
    return message(
        call.RemoteStartTransaction(
            id_tag=id_tag, connector_id=connector, charging_profile=_profile(profile) if profile else None
        )
    )


def default_targets(connector: int) -> tuple[int, int]:
    """Our connector; all of the charger where that is refused."""
    return connector, 0


def set_profile(connector: int, profile: Profile) -> Message:
    """Lay a profile into the charger."""
    return message(call.SetChargingProfile(connector_id=connector, cs_charging_profiles=_profile(profile)))


def clear_profile(profile_id: int) -> Message:
    """Take the profile of this id out."""
    return message(call.ClearChargingProfile(id=profile_id))


def clear_profiles(connector: int, purpose: Purpose, stack_level: int) -> Message:
    """Take out what lies at this place, for chargers that do not know their profiles by id."""
    return message(
        call.ClearChargingProfile(
            connector_id=connector,
            charging_profile_purpose=enums.ChargingProfilePurposeType(purpose.value),
            stack_level=stack_level,
        )
    )


def get_composite(connector: int, unit: Unit) -> Message:
    """Ask what limit is in force."""
    return message(
        call.GetCompositeSchedule(
            connector_id=connector, duration=60, charging_rate_unit=enums.ChargingRateUnitType(unit.value)
        )
    )


def composite_limit(answer: Payload, unit: Unit) -> float | None:
    """The limit in force now, in `unit`; infinite: none; None: it cannot be told."""
    return limit_now(answer, part(answer.get("chargingSchedule")), unit)


def _profile(profile: Profile) -> Any:
    lease = profile.lease
    start_s = lease.start_s if lease else profile.since_s
    kinds = enums.ChargingProfileKindType
    schedule = datatypes.ChargingSchedule(
        charging_rate_unit=enums.ChargingRateUnitType(profile.unit.value),
        charging_schedule_period=[
            datatypes.ChargingSchedulePeriod(start_period=0, limit=profile.limit.in_unit(profile.unit))
        ],
        duration=round(lease.end_s - lease.start_s) if lease and lease.end is not End.VALID_TO else None,
        start_schedule=moment_or_none(start_s),
    )
    is_dated = lease is not None and lease.end is not End.DURATION
    return datatypes.ChargingProfile(
        charging_profile_id=profile.id,
        transaction_id=profile.transaction if isinstance(profile.transaction, int) else None,
        stack_level=profile.stack_level,
        charging_profile_purpose=enums.ChargingProfilePurposeType(profile.purpose.value),
        charging_profile_kind=kinds.relative if start_s is None else kinds.absolute,
        valid_from=moment_or_none(lease.start_s) if lease and is_dated else None,
        valid_to=moment_or_none(lease.end_s) if lease and is_dated else None,
        charging_schedule=schedule,
    )
