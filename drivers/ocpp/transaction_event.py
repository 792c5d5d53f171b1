"""What a TransactionEvent of 2.0.1 says of a session, for the rest of the driver (part 2, E: transactions).

A transaction may begin before anybody let the car charge, and may outlast its car; a session does neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from drivers.ocpp.field import moment_s, number, part, parts, whole, word
from drivers.ocpp.meter import Metered, metered
from drivers.ocpp.rpc import Payload
from drivers.ocpp.version import Charger, SessionTold

_STATES = {
    "Charging": "Charging",
    "SuspendedEV": "SuspendedEV",
    "SuspendedEVSE": "SuspendedEVSE",
    "EVConnected": "Preparing",
    "Idle": "Available",
}
_AUTHORISED = {"Authorized", "RemoteStart", "StopAuthorized", "RemoteStop", "Deauthorized"}
_LEFT = {"EVDeparted", "EVCommunicationLost"}
_WITHOUT_CAR = {"EVDisconnected", "Timeout"}
_LARGEST_EXPONENT = 9


def tell(payload: Payload, charger: Charger) -> None:
    """Tell `charger` what an event says; one that names no transaction is a reading at most."""
    info = part(payload.get("transactionInfo"))
    transaction, evse = word(info.get("transactionId")), part(payload.get("evse"))
    moments = readings(payload, charger)
    if not transaction:
        charger.told_meter(whole(evse.get("id")) or 0, None, moments)
    elif word(payload.get("eventType")) == "Ended":
        _tell_end(payload, transaction, info, charger)
    else:
        charger.told_session(_told(payload, transaction, info, evse, moments, charger))


def readings(payload: Payload, charger: Charger) -> list[Metered]:
    """The moments of a message with meter values."""
    asked_for = word(payload.get("triggerReason")) == "Trigger"
    plain = {"meterValue": [_plain(entry) for entry in parts(payload.get("meterValue"))]}
    moments = metered(plain, charger.volts, charger.phases)
    return [replace(moment, asked_for=True) for moment in moments] if asked_for else moments


def _told(
    payload: Payload,
    transaction: str,
    info: Mapping[str, Any],
    evse: Mapping[str, Any],
    moments: list[Metered],
    charger: Charger,
) -> SessionTold:
    reason = word(payload.get("triggerReason"))
    is_start = word(payload.get("eventType")) == "Started"
    return SessionTold(
        id=transaction,
        connector=whole(evse.get("id")) or None,
        socket=whole(evse.get("connectorId")) or None,
        state=_STATES.get(word(info.get("chargingState")), ""),
        begins=is_start,
        authorised=reason in _AUTHORISED or _has_token(payload),
        stamp_s=moment_s(payload.get("timestamp")),
        waited=payload.get("offline") is True,
        asked_for=reason == "Trigger",
        register_ws=_register_ws(payload, charger) if is_start else None,
        moments=tuple(moments),
    )


def _tell_end(payload: Payload, transaction: str, info: Mapping[str, Any], charger: Charger) -> None:
    reason, trigger = word(info.get("stoppedReason")), word(payload.get("triggerReason"))
    if not reason and trigger in _LEFT:
        reason = "EVDisconnected"
    is_away = reason in _WITHOUT_CAR or word(info.get("chargingState")) == "Idle"
    charger.stopped(
        transaction,
        _register_ws(payload, charger),
        moment_s(payload.get("timestamp")),
        reason,
        state="Available" if is_away else "Finishing",
        waited=payload.get("offline") is True,
    )


def _has_token(payload: Payload) -> bool:
    token = part(payload.get("idToken"))
    return bool(token) and word(token.get("type")) != "NoAuthorization"


def _register_ws(payload: Payload, charger: Charger) -> int | None:
    """The register at a start or an end, which is no reading of now."""
    entries = [_plain(entry, drop="context") for entry in parts(payload.get("meterValue"))]
    moments = metered({"meterValue": entries}, charger.volts, charger.phases)
    told = [moment.register_ws for moment in moments if moment.register_ws is not None]
    return round(told[-1]) if told and told[-1] >= 0 else None


def _plain(entry: Mapping[str, Any], drop: str = "") -> dict[str, Any]:
    """A meter value as 1.6 has it: the unit beside the value, and no multiplier."""
    values = [_value(each) for each in parts(entry.get("sampledValue"))]
    return {**entry, "sampledValue": [{k: v for k, v in each.items() if k != drop} for each in values]}


def _value(entry: Mapping[str, Any]) -> dict[str, Any]:
    unit = part(entry.get("unitOfMeasure"))
    value, exponent = number(entry.get("value")), whole(unit.get("multiplier")) or 0
    if value is None or abs(exponent) > _LARGEST_EXPONENT:
        return {**entry, "value": None}
    return {**entry, "value": value * 10.0**exponent, "unit": unit.get("unit", entry.get("unit", ""))}
