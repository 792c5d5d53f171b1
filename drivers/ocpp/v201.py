"""OCPP 2.0.1 in both directions: what we say, built from the library's types, and what we are told, read
tolerantly. A `Version`, imported only when a charger first speaks it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any

from ocpp.v201 import call, call_result, datatypes, enums  # type: ignore[import-untyped]

from drivers.ocpp import transaction_event, variables
from drivers.ocpp.field import moment_s, moment_text, part, whole, word
from drivers.ocpp.keys import Keys
from drivers.ocpp.profile import End, Profile, Purpose, SessionId, Unit
from drivers.ocpp.rpc import Payload
from drivers.ocpp.version import Charger, Message
from drivers.ocpp.wording import limit_now, message, moment_or_none, plain

VIOLATION = "FormatViolation"
KEY_QUESTIONS: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...] = (
    ("GetVariables", (tuple(variables.VARIABLES),)),
    ("GetVariables one by one", tuple((key,) for key in variables.VARIABLES)),  # some take few in a message
)
LIMITS_STATION = True
READINGS: tuple[str, ...] = ("TransactionEvent", "MeterValues")
_SCHEDULE_ID = 1
_SOCKET = 1  # a state is asked of a connector of an EVSE (F06.FR.13); a home's has one
_REMOTE_STARTS = 2**31 - 1


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
    station = part(payload.get("chargingStation"))
    vendor, model = word(station.get("vendorName")), word(station.get("model"))
    # What another version of OCPP could or could not do in it says nothing of this one.
    charger.booted(vendor, model, f"{word(station.get('firmwareVersion'))} 2.0.1".strip())
    return plain(
        call_result.BootNotification(
            current_time=moment_text(charger.now_s()),
            interval=heartbeat_s,
            status=enums.RegistrationStatusEnumType.accepted,
        )
    )


def _heartbeat(_payload: Payload, charger: Charger) -> Payload:
    return plain(call_result.Heartbeat(current_time=moment_text(charger.now_s())))


def _status(payload: Payload, charger: Charger) -> Payload:
    evse, socket = whole(payload.get("evseId")) or 0, whole(payload.get("connectorId")) or _SOCKET
    status, stamp_s = word(payload.get("connectorStatus")), moment_s(payload.get("timestamp"))
    if status in ("Available", "Occupied"):
        charger.told_cable(evse, socket, stamp_s, plugged=status == "Occupied")
    else:
        charger.told_status(evse, status, stamp_s)
    return plain(call_result.StatusNotification())


def _authorize(_payload: Payload, _charger: Charger) -> Payload:
    return plain(call_result.Authorize(id_token_info=_accepted()))


def _transaction(payload: Payload, charger: Charger) -> Payload:
    transaction_event.tell(payload, charger)
    info = _accepted() if part(payload.get("idToken")) else None
    return plain(call_result.TransactionEvent(id_token_info=info))


def _meter(payload: Payload, charger: Charger) -> Payload:
    moments = transaction_event.readings(payload, charger)
    charger.told_meter(whole(payload.get("evseId")) or 0, None, moments)
    return plain(call_result.MeterValues())


def _data_transfer(_payload: Payload, _charger: Charger) -> Payload:
    return plain(call_result.DataTransfer(status=enums.DataTransferStatusEnumType.unknown_vendor_id))


def _certificate(_payload: Payload, _charger: Charger) -> Payload:
    return plain(call_result.SignCertificate(status=enums.GenericStatusEnumType.rejected))


def _certificate_status(_payload: Payload, _charger: Charger) -> Payload:
    return plain(call_result.GetCertificateStatus(status=enums.GetCertificateStatusEnumType.failed))


def _car_certificate(_payload: Payload, _charger: Charger) -> Payload:
    status = enums.Iso15118EVCertificateStatusEnumType.failed
    return plain(call_result.Get15118EVCertificate(status=status, exi_response=""))


def _needs(_payload: Payload, _charger: Charger) -> Payload:
    return {"status": "Rejected"}  # the car's own plan is not ours to make


def _schedule(_payload: Payload, _charger: Charger) -> Payload:
    return {"status": "Accepted"}


def _nothing(_payload: Payload, _charger: Charger) -> Payload:
    return {}


_ANSWERS: dict[str, Callable[[Payload, Charger], Payload]] = {
    "Heartbeat": _heartbeat,
    "StatusNotification": _status,
    "Authorize": _authorize,
    "TransactionEvent": _transaction,
    "MeterValues": _meter,
    "DataTransfer": _data_transfer,
    "SignCertificate": _certificate,
    "GetCertificateStatus": _certificate_status,
    "Get15118EVCertificate": _car_certificate,
    "NotifyEVChargingNeeds": _needs,
    "NotifyEVChargingSchedule": _schedule,
} | dict.fromkeys(
    (
        "NotifyReport", "NotifyEvent", "NotifyMonitoringReport", "NotifyCustomerInformation",
        "NotifyDisplayMessages", "NotifyChargingLimit", "ClearedChargingLimit", "ReportChargingProfiles",
        "ReservationStatusUpdate", "SecurityEventNotification", "FirmwareStatusNotification",
        "PublishFirmwareStatusNotification", "LogStatusNotification",
    ),
    _nothing,
)  # fmt: skip


def _accepted() -> Any:
    """Whoever can plug in a car at home may charge it."""
    return datatypes.IdTokenInfoType(status=enums.AuthorizationStatusEnumType.accepted)


# --- what we say --------------------------------------------------------------------------------------


def get_keys(keys: Sequence[str]) -> Message:
    """Ask for the variables of these keys."""
    asked = [
        datatypes.GetVariableDataType(
            component=datatypes.ComponentType(name=component), variable=datatypes.VariableType(name=name)
        )
        for component, name in variables.variables_of(keys)
    ]
    return message(call.GetVariables(get_variable_data=asked))


def keys_in(answer: Payload) -> Keys:
    """What an answer to GetVariables says."""
    return variables.keys_in(answer)


def set_key(key: str, value: str) -> Message:
    """Set the variable of one key."""
    component, name = variables.VARIABLES[key]
    setting = datatypes.SetVariableDataType(
        attribute_value=value,
        component=datatypes.ComponentType(name=component),
        variable=datatypes.VariableType(name=name),
    )
    return message(call.SetVariables(set_variable_data=[setting]))


def set_status(answer: Payload) -> str:
    """How that was answered."""
    return variables.set_status(answer)


def trigger(requested: str, connector: int) -> Message:
    """Ask for a message that the charger sends by itself at other times."""
    asked = enums.MessageTriggerEnumType(requested)
    socket = _SOCKET if asked == enums.MessageTriggerEnumType.status_notification else None
    evse = datatypes.EVSEType(id=connector, connector_id=socket)
    return message(call.TriggerMessage(requested_message=asked, evse=evse))


def get_session(transaction: SessionId) -> Message | None:
    """Ask whether a session still runs."""
    return message(call.GetTransactionStatus(transaction_id=str(transaction)))


def session_runs(answer: Payload) -> bool | None:
    """Whether it does; None: it is not told, or what ended it is still to come."""
    runs, is_queued = answer.get("ongoingIndicator"), answer.get("messagesInQueue")
    return runs if isinstance(runs, bool) and (runs or is_queued is False) else None


def start_session(connector: int, id_tag: str, profile: Profile | None) -> Message:
    """Begin a session, under a profile from its first second where the charger takes one."""
    return message(
        call.RequestStartTransaction(
            id_token=datatypes.IdTokenType(id_token=id_tag, type=enums.IdTokenEnumType.central),
            remote_start_id=secrets.randbelow(_REMOTE_STARTS),
            evse_id=connector,
            charging_profile=_profile(profile) if profile else None,
        )
    )


def default_targets(connector: int) -> tuple[int, int]:
    """All of the charger; our EVSE where that is refused."""
    return 0, connector


def set_profile(connector: int, profile: Profile) -> Message:
    """Lay a profile into the charger."""
    return message(call.SetChargingProfile(evse_id=connector, charging_profile=_profile(profile)))


def clear_profile(profile_id: int) -> Message:
    """Take the profile of this id out."""
    return message(call.ClearChargingProfile(charging_profile_id=profile_id))


def clear_profiles(connector: int, purpose: Purpose, stack_level: int) -> Message:
    """Take out what lies at this place, for chargers that do not know their profiles by id."""
    place = datatypes.ClearChargingProfileType(
        evse_id=connector,
        charging_profile_purpose=enums.ChargingProfilePurposeEnumType(purpose.value),
        stack_level=stack_level,
    )
    return message(call.ClearChargingProfile(charging_profile_criteria=place))


def get_composite(connector: int, unit: Unit) -> Message:
    """Ask what limit is in force."""
    return message(
        call.GetCompositeSchedule(
            duration=60, evse_id=connector, charging_rate_unit=enums.ChargingRateUnitEnumType(unit.value)
        )
    )


def composite_limit(answer: Payload, unit: Unit) -> float | None:
    """The limit in force now, in `unit`; infinite: none; None: it cannot be told."""
    return limit_now(answer, part(answer.get("schedule")), unit)


def _profile(profile: Profile) -> Any:
    lease = profile.lease
    start_s = lease.start_s if lease else profile.since_s
    kinds = enums.ChargingProfileKindEnumType
    schedule = datatypes.ChargingScheduleType(
        id=_SCHEDULE_ID,
        charging_rate_unit=enums.ChargingRateUnitEnumType(profile.unit.value),
        charging_schedule_period=[
            datatypes.ChargingSchedulePeriodType(start_period=0, limit=profile.limit.in_unit(profile.unit))
        ],
        duration=round(lease.end_s - lease.start_s) if lease and lease.end is not End.VALID_TO else None,
        start_schedule=moment_or_none(start_s),
    )
    is_dated = lease is not None and lease.end is not End.DURATION
    return datatypes.ChargingProfileType(
        id=profile.id,
        transaction_id=None if profile.transaction is None else str(profile.transaction),
        stack_level=profile.stack_level,
        charging_profile_purpose=enums.ChargingProfilePurposeEnumType(profile.purpose.value),
        charging_profile_kind=kinds.relative if start_s is None else kinds.absolute,
        valid_from=moment_or_none(lease.start_s) if lease and is_dated else None,
        valid_to=moment_or_none(lease.end_s) if lease and is_dated else None,
        charging_schedule=[schedule],
    )
