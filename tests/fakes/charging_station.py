"""A charger that speaks OCPP 2.0.1, written from the specification: the box, its car and its wire are those
of `charger.py`, what is said is 2.0.1's. Shares no code with the product.

It knows transactions by its own ids, tells EVSE and token once in each, and of its state only whether a
car is plugged in.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import Any, ClassVar

from tests.fakes.charger import CallError, Charger, Json, Quirks, stamp

_DRAWS = {"Charging", "SuspendedEV", "SuspendedEVSE"}


@dataclass
class StationQuirks(Quirks):
    """What else may be wrong with one that speaks 2.0.1."""

    subprotocols: tuple[str, ...] = ("ocpp2.0.1",)
    variables_at_once: int = 100
    starts_when_plugged: bool = False  # a transaction, before anybody let the car charge (TxStartPoint)
    tells_start: bool = True
    tells_state: bool = True  # `chargingState`
    counts: bool = True  # `seqNo`; else it is always 0
    meters_apart: bool = False  # readings of a transaction come as MeterValues without one
    units: set[str] = field(default_factory=lambda: {"A", "W"})
    unitless: bool = False
    kilo: bool = False  # Wh and W with a multiplier of 3
    kwh_at_end: bool = False
    empty_samples: bool = False  # of what waited for its connection only the frame is left


@dataclass
class ChargingStation(Charger):
    """One charging station with one EVSE of one connector."""

    quirks: StationQuirks = field(default_factory=StationQuirks)
    transaction: str | None = None  # type: ignore[assignment]  # a text of its own in this version
    said: list[tuple[str, Json]] = field(default_factory=list)  # every call of its own

    ocpp: ClassVar[str] = "2.0.1"
    told_connectors: ClassVar[tuple[int, ...]] = (1,)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.keys = {
            "SampledDataCtrlr.TxUpdatedMeasurands": "Energy.Active.Import.Register",
            "SampledDataCtrlr.TxUpdatedInterval": "60",
            "AlignedDataCtrlr.Measurands": "",
            "AlignedDataCtrlr.Interval": "0",
            "AuthCtrlr.AuthorizeRemoteStart": "true",
            "OCPPCommCtrlr.WebSocketPingInterval": "0",
        }  # no SmartChargingCtrlr: the one program that did smart charging had none either
        self._numbers = itertools.count()
        self._transactions = itertools.count(1)
        self.is_authorised = False

    def power_w(self) -> float:
        return super().power_w() if self.is_authorised else 0.0

    # --- what it says ----------------------------------------------------------------------------------

    async def call(self, action: str, payload: Json, message_id: str | None = None) -> Json:
        self.said.append((action, payload))
        return await super().call(action, payload, message_id)

    async def boot(self) -> None:
        self._accepted, self._boot_id = False, str(next(self._ids))
        station = {"vendorName": "Fjord", "model": "Wall 8", "firmwareVersion": self.firmware}
        message = {"reason": "PowerUp", "chargingStation": station}
        await self.call("BootNotification", message, self._boot_id)

    async def plug(self, status: str = "Preparing") -> None:
        await self.tell(status)
        if self.quirks.starts_when_plugged:
            self._open()
            await self._event("Started", "CablePluggedIn", evse={"id": 1, "connectorId": 1})

    async def unplug(self) -> None:
        if self.transaction is not None:
            await self.end("EVDisconnected", trigger="EVDeparted")
        await self.tell("Available")

    async def begin(self, id_tag: str = "card", **changes: Any) -> str:  # type: ignore[override]
        """Let the car charge, as the household would; the transaction's id."""
        self.is_authorised, self.status = True, "Charging"
        token = {"idToken": {"idToken": id_tag, "type": "ISO14443"}}
        if self.transaction is not None:
            await self._event("Updated", "Authorized", **token, **changes)
            return self.transaction
        transaction = self._open()
        if self.quirks.tells_start:
            await self._event("Started", "Authorized", evse={"id": 1}, **token, **changes)
        return transaction

    def restart_count(self) -> None:
        """Its program starts anew, and counts its transactions from one."""
        self._transactions = itertools.count(1)

    def _open(self) -> str:
        self.transaction, self._session_began_s = f"tx-{next(self._transactions)}-{self.id}", self.now_s
        self._numbers = itertools.count()
        return self.transaction

    async def end(self, reason: str = "Local", *, trigger: str = "StopAuthorized", **changes: Any) -> None:
        message = self.event("Ended", trigger, **changes)
        if reason:
            message["transactionInfo"]["stoppedReason"] = reason
        message["transactionInfo"].pop("chargingState", None)
        self.transaction, self.is_authorised = None, False
        self.status = "Finishing"
        self.profiles = [p for p in self.profiles if p["chargingProfilePurpose"] != "TxProfile"]
        await self.call("TransactionEvent", message)

    async def meter(self, context: str = "Sample.Periodic", at_s: float | None = None) -> None:
        if self.transaction is None or self.quirks.meters_apart:
            await self.call("MeterValues", self.meter_values(context, at_s))
        else:
            waited = {} if at_s is None else {"offline": True}
            await self._event("Updated", "MeterValuePeriodic", at_s=at_s, **waited)

    def event(self, kind: str, trigger: str, at_s: float | None = None, state: str = "", **more: Any) -> Json:
        """A TransactionEvent of the transaction that runs."""
        info: Json = {"transactionId": self.transaction}
        if self.quirks.tells_state:
            info["chargingState"] = state or self._state()
        context = {"Started": "Transaction.Begin", "Ended": "Transaction.End"}.get(kind, "Sample.Periodic")
        context = "Trigger" if trigger == "Trigger" else context
        message: Json = {
            "eventType": kind,
            "timestamp": stamp(self.now_s if at_s is None else at_s),
            "triggerReason": trigger,
            "seqNo": next(self._numbers) if self.quirks.counts else 0,
            "transactionInfo": info,
            **more,
        }
        if not (self.quirks.empty_samples and "offline" in more):
            message["meterValue"] = self._metered(context, at_s)
        return message

    def meter_values(self, context: str = "Sample.Periodic", at_s: float | None = None) -> Json:
        return {"evseId": 1, "meterValue": self._metered(context, at_s)}

    async def _event(self, kind: str, trigger: str, **more: Any) -> None:
        await self.call("TransactionEvent", self.event(kind, trigger, **more))

    def _state(self) -> str:
        if not self.is_authorised:
            return "EVConnected"
        if self.limit_a() < 6:
            return "SuspendedEVSE"
        return self.status if self.status in _DRAWS else "Charging"

    def _metered(self, context: str, at_s: float | None) -> list[Json]:
        wanted = self.keys["SampledDataCtrlr.TxUpdatedMeasurands"].split(",")
        amperes = self.power_w() / 230.0 / self.phases
        is_kwh = self.quirks.kwh_at_end and context == "Transaction.End"
        values: dict[str, list[Json]] = {
            "Energy.Active.Import.Register": [
                self._value(self.register_wh / 1000, "kWh") if is_kwh else self._value(self.register_wh, "Wh")
            ],
            "Power.Active.Import": [self._value(self.power_w(), "W")],
            "Current.Import": [
                {"value": amperes, "phase": f"L{n}", "unitOfMeasure": {"unit": "A"}}
                for n in range(1, self.phases + 1)
            ],
            "Voltage": [{"value": 230.0, "unitOfMeasure": {"unit": "V"}}],
            "SoC": []
            if self.soc_pct is None
            else [{"value": self.soc_pct, "unitOfMeasure": {"unit": "Percent"}}],
        }
        sampled = [
            {"measurand": name, "context": context, **value}
            for name in wanted
            for value in values.get(name, [])
        ]
        return [{"timestamp": stamp(self.now_s if at_s is None else at_s), "sampledValue": sampled}]

    def _value(self, value: float, unit: str) -> Json:
        if self.quirks.unitless:
            return {"value": value}
        if self.quirks.kilo:
            return {"value": value / 1000, "unitOfMeasure": {"unit": unit, "multiplier": 3}}
        return {"value": value, "unitOfMeasure": {"unit": unit}}

    def _status(self, connector: int) -> Json:
        status = "Available" if self.status == "Available" else "Occupied"
        return {
            "timestamp": stamp(self.now_s),
            "connectorStatus": status,
            "evseId": connector,
            "connectorId": 1,
        }

    # --- what it answers ---------------------------------------------------------------------------------

    def limits(self, purpose: str = "TxProfile") -> list[float]:
        asked = [payload["chargingProfile"] for payload in self.asked_for("SetChargingProfile")]
        return [
            p["chargingSchedule"][0]["chargingSchedulePeriod"][0]["limit"]
            for p in asked
            if p["chargingProfilePurpose"] == purpose
        ]

    def _result(self, action: str, payload: Json) -> Json:
        requested = str(payload.get("requestedMessage"))
        if action == "TriggerMessage" and requested in self.quirks.statuses:
            return {"status": self.quirks.statuses[requested]}
        return super()._result(action, payload)

    def _on_GetVariables(self, payload: Json) -> Json:  # noqa: N802
        if len(payload["getVariableData"]) > self.quirks.variables_at_once:
            raise CallError("OccurrenceConstraintViolation")
        return {"getVariableResult": [self._got(asked) for asked in payload["getVariableData"]]}

    def _got(self, asked: Json) -> Json:
        name = f"{asked['component']['name']}.{asked['variable']['name']}"
        if name not in self.keys:
            return {**asked, "attributeStatus": "UnknownComponent"}
        return {**asked, "attributeStatus": "Accepted", "attributeValue": self.keys[name]}

    def _on_SetVariables(self, payload: Json) -> Json:  # noqa: N802
        return {"setVariableResult": [self._set(asked) for asked in payload["setVariableData"]]}

    def _set(self, asked: Json) -> Json:
        name = f"{asked['component']['name']}.{asked['variable']['name']}"
        told = {"component": asked["component"], "variable": asked["variable"]}
        known, value = self.quirks.measurands, asked["attributeValue"]
        if name not in self.keys:
            return {**told, "attributeStatus": "UnknownVariable"}
        if name.endswith("Measurands") and known is not None and set(value.split(",")) - known:
            return {**told, "attributeStatus": "Rejected"}
        self.keys[name] = value
        return {**told, "attributeStatus": "Accepted"}

    def _on_TriggerMessage(self, payload: Json) -> Json:  # noqa: N802
        requested = payload["requestedMessage"]
        if requested == "TransactionEvent":
            if self.transaction is None:
                return {"status": "Rejected"}
            message = self.event("Updated", "Trigger")
        elif requested == "StatusNotification":
            if "connectorId" not in payload.get("evse", {}):
                return {"status": "Rejected"}  # F06.FR.13
            message = self._status(1)
        elif requested == "MeterValues":
            message = self.meter_values("Trigger")
        else:
            return {"status": "NotImplemented"}
        asyncio.get_running_loop().call_soon(self._tell_soon, requested, message)
        return {"status": "Accepted"}

    def _on_GetTransactionStatus(self, payload: Json) -> Json:  # noqa: N802
        is_it = self.transaction is not None and payload.get("transactionId") == self.transaction
        return {"ongoingIndicator": is_it, "messagesInQueue": False}

    def _on_RequestStartTransaction(self, payload: Json) -> Json:  # noqa: N802
        if self.status != "Preparing" or self.is_authorised:
            return {"status": "Rejected"}
        asyncio.get_running_loop().call_soon(self._begin_soon, payload)
        return {"status": "Accepted"}

    async def _begin(self, payload: Json) -> None:
        if profile := payload.get("chargingProfile"):
            self.profiles.append(_as_kept(profile, 1))
        self.is_authorised, self.status = True, "Charging"
        is_new = self.transaction is None
        more: Json = {"evse": {"id": 1}} if is_new else {}
        if is_new:
            self._open()
        message = self.event("Started" if is_new else "Updated", "RemoteStart", **more)
        message["transactionInfo"]["remoteStartId"] = payload["remoteStartId"]
        await self._tell("TransactionEvent", message | {"idToken": payload["idToken"]})

    def _on_SetChargingProfile(self, payload: Json) -> Json:  # noqa: N802
        evse, profile = payload["evseId"], payload["chargingProfile"]
        purpose, level = profile["chargingProfilePurpose"], profile["stackLevel"]
        is_elsewhere = any(  # K01.FR.52 and .53: one default for all and for an EVSE cannot be of one level
            (p["chargingProfilePurpose"], p["stackLevel"]) == ("TxDefaultProfile", level)
            and p["evse"] != evse
            for p in self.profiles
        )
        if purpose == "TxDefaultProfile" and is_elsewhere:
            return {"status": "Rejected"}
        if purpose == "TxProfile" and ("transactionId" not in profile or evse == 0):
            return {"status": "Rejected"}
        if purpose == "ChargingStationMaxProfile" and evse != 0:
            return {"status": "Rejected"}
        return super()._on_SetChargingProfile({"csChargingProfiles": _as_kept(profile, evse)})

    def _on_ClearChargingProfile(self, payload: Json) -> Json:  # noqa: N802
        criteria = payload.get("chargingProfileCriteria", {})
        asked = {"id": payload["chargingProfileId"]} if "chargingProfileId" in payload else criteria
        return super()._on_ClearChargingProfile(asked)

    def _on_GetCompositeSchedule(self, payload: Json) -> Json:  # noqa: N802
        unit = payload.get("chargingRateUnit", "A")
        limit = self.limit_a() * (1 if unit == "A" else 230.0 * self.phases)
        schedule = {
            "evseId": payload["evseId"],
            "duration": payload["duration"],
            "scheduleStart": stamp(self.now_s),
            "chargingRateUnit": unit,
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
        }
        return {"status": "Accepted", "schedule": schedule}


def _as_kept(profile: Json, evse: int) -> Json:
    """A profile with its one schedule, as the box keeps it."""
    (schedule,) = profile["chargingSchedule"]
    purpose = profile["chargingProfilePurpose"].replace("ChargingStation", "ChargePoint")
    profile = profile | {"chargingProfilePurpose": purpose}
    return {**profile, "chargingProfileId": profile["id"], "chargingSchedule": schedule, "evse": evse}
