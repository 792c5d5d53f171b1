"""What a charger says and answers as an OCPP 1.6 charge point, core, smart charging and remote trigger.

It decides nothing but what 1.6 leaves to a charge point; the current is `charger.py`'s, profiles are
`smart_charging.py`'s, the connection is `ocpp.py`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from gateway.demo.devices import charge_profile, smart_charging
from gateway.demo.devices.car import Car
from gateway.demo.devices.charge_profile import Profile, Purpose
from gateway.demo.devices.charger import CONNECTOR, Charger, Session
from gateway.demo.devices.charger_keys import Keys
from gateway.demo.devices.ocpp import Call, Message, Outbox, Problem
from gateway.demo.devices.smart_charging import moment

IDENTITY = {
    "chargePointVendor": "Ampelwerk",
    "chargePointModel": "Wallbox 7",
    "chargePointSerialNumber": "AW7-0001742",
    "firmwareVersion": "2.3.1",
}
CARD = "04E1B2C3D4"  # the household's, known to the charger
_Note = Callable[[str, dict[str, Any], str], None]


class ChargePoint:
    """The charger's side of the conversation. `clock` is a monotonic clock in seconds.

    `autostart`: plugging in is enough; else somebody must start it from afar. `boots_each_time`: it
    introduces itself on every connection, as half of the real ones do, and not on the first alone.
    `on_asked(action, payload, peer)` hears of every call it gets.
    """

    def __init__(
        self,
        car: Car,
        clock: Callable[[], float],
        on_asked: _Note = lambda *_: None,
        *,
        autostart: bool = False,
        boots_each_time: bool = True,
    ) -> None:
        self.charger = Charger(car, self.utc_s)
        self.keys = Keys()
        self.outbox = Outbox()
        self.online = False
        self._clock = clock
        self._on_asked = on_asked
        self._autostart = autostart
        self._boots_each_time = boots_each_time
        self._booted = False
        self._utc_at_zero_s = -clock()  # until it is told the time it is 1970
        self._told_status = ""
        self._may_start = autostart
        self._heartbeat_s = 0.0
        self._sampled_utc_s = 0.0
        self._ticked_utc_s = self.utc_s()

    def utc_s(self) -> float:
        """Its own clock, set by the central system."""
        return self._utc_at_zero_s + self._clock()

    def tick(self, seconds: float) -> None:
        """Let `seconds` pass, and say what is due."""
        self._mind_cable()
        self.charger.tick(seconds)
        self._mind_status()
        self._mind_heartbeat()
        self._mind_samples()

    # --- the connection ---

    def connected(self) -> Call | None:
        """BootNotification, if it is to be said now."""
        if self._booted and not self._boots_each_time:
            return None
        return Call("BootNotification", lambda: dict(IDENTITY), self._take_boot)

    def accepted(self) -> None:
        """Tell the state of both connectors; 0 is the box itself."""
        self.online = self._booted = True
        self._heartbeat_s = self._clock()
        for connector in (0, CONNECTOR):
            self._tell_status(connector)

    def disconnected(self) -> None:
        """Whatever runs goes on."""
        self.online = False

    def answer(self, action: str, payload: Message, peer: str) -> Message:
        """The answer to a call of the central system. Raises `Problem`."""
        self._on_asked(action, payload, peer)
        answers: dict[str, Callable[[Message], Message]] = {
            "ChangeConfiguration": lambda p: {"status": self.keys.change(str(p["key"]), str(p["value"]))},
            "ClearChargingProfile": lambda p: smart_charging.clear_profile(self.charger, p),
            "GetCompositeSchedule": lambda p: smart_charging.composite(self.charger, p, self.utc_s()),
            "GetConfiguration": lambda p: dict(self.keys.told(p.get("key"))),
            "RemoteStartTransaction": self._remote_start,
            "RemoteStopTransaction": self._remote_stop,
            "SetChargingProfile": lambda p: smart_charging.set_profile(self.charger, p),
            "TriggerMessage": self._trigger,
        }
        if action not in answers:
            raise Problem("NotImplemented", action)
        try:
            return answers[action](payload)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Problem("FormationViolation", repr(error)) from error

    def _remote_start(self, payload: Message) -> Message:
        id_tag = str(payload["idTag"])
        profile = None
        if "chargingProfile" in payload:
            profile = charge_profile.parse(CONNECTOR, payload["chargingProfile"])
        fits = payload.get("connectorId", CONNECTOR) == CONNECTOR and self.charger.car.plugged
        if not fits or self.charger.session or (profile and profile.purpose is not Purpose.TRANSACTION):
            return {"status": "Rejected"}
        if self.keys.holds("AuthorizeRemoteTxRequests"):
            self._authorise(id_tag, profile)
        else:
            self._begin(id_tag, profile)
        return {"status": "Accepted"}

    def _remote_stop(self, payload: Message) -> Message:
        session = self.charger.session
        if session is None or payload["transactionId"] != session.id:
            return {"status": "Rejected"}
        self._end(session, "Remote")
        return {"status": "Accepted"}

    def _trigger(self, payload: Message) -> Message:
        connector = int(payload.get("connectorId", CONNECTOR))
        if connector not in (0, CONNECTOR):
            return {"status": "Rejected"}
        match payload["requestedMessage"]:
            case "BootNotification":
                self.outbox.put(Call("BootNotification", lambda: dict(IDENTITY), self._take_boot))
            case "Heartbeat":
                self._beat()
            case "StatusNotification":
                self._tell_status(connector)
            case "MeterValues":
                self._tell_sample("Trigger", "MeterValuesSampledData", self.utc_s())
            case _:
                return {"status": "NotImplemented"}
        return {"status": "Accepted"}

    # --- the session ---

    def _mind_cable(self) -> None:
        """Pulling the plug ends a session; plugging in may begin one."""
        if not self.charger.car.plugged:
            self._may_start = self._autostart
            if self.charger.session:
                self._end(self.charger.session, "EVDisconnected")
        elif self._may_start and self.charger.session is None:
            if self.online:
                self._authorise(CARD, None)
            elif self._booted and self.keys.holds("AllowOfflineTxForUnknownId"):
                self._begin(CARD, None)

    def _authorise(self, id_tag: str, profile: Profile | None) -> None:
        self._may_start = False

        def decided(answer: Message) -> None:
            free = self.charger.session is None and self.charger.car.plugged
            if answer["idTagInfo"]["status"] == "Accepted" and free:
                self._begin(id_tag, profile)

        self.outbox.put(Call("Authorize", lambda: {"idTag": id_tag}, decided))

    def _begin(self, id_tag: str, profile: Profile | None) -> None:
        self._may_start = False
        session = self.charger.begin(id_tag)
        self._sampled_utc_s = session.began_utc_s
        if profile:
            self.charger.profiles.install(profile)
        told = {
            "connectorId": CONNECTOR,
            "idTag": id_tag,
            "meterStart": self.charger.register_wh,
            "timestamp": moment(session.began_utc_s),
        }

        def numbered(answer: Message) -> None:
            session.id = answer["transactionId"]
            refused = answer["idTagInfo"]["status"] != "Accepted"
            if refused and self.keys.holds("StopTransactionOnInvalidId") and self.charger.session is session:
                self._end(session, "DeAuthorized")

        self.outbox.put(Call("StartTransaction", lambda: told, numbered, kept=True))

    def _end(self, session: Session, reason: str) -> None:
        self.charger.end()
        told = {
            "idTag": session.id_tag,
            "meterStop": self.charger.register_wh,
            "reason": reason,
            "timestamp": moment(self.utc_s()),
        }
        self.outbox.put(
            Call("StopTransaction", lambda: told | {"transactionId": _number(session)}, kept=True)
        )

    # --- what is due ---

    def _mind_status(self) -> None:
        if self.online and self.charger.status != self._told_status:
            self._tell_status(CONNECTOR)

    def _tell_status(self, connector: int) -> None:
        status = self.charger.status if connector else "Available"
        if connector:
            self._told_status = status
        told = {
            "connectorId": connector,
            "errorCode": "NoError",
            "status": status,
            "timestamp": moment(self.utc_s()),
        }
        self.outbox.put(Call("StatusNotification", lambda: told))

    def _mind_heartbeat(self) -> None:
        every_s = self.keys.seconds("HeartbeatInterval")
        if self.online and every_s and self._clock() - self._heartbeat_s >= every_s:
            self._beat()

    def _beat(self) -> None:
        self._heartbeat_s = self._clock()
        self.outbox.put(Call("Heartbeat", dict, lambda answer: self._set_clock(answer["currentTime"])))

    def _mind_samples(self) -> None:
        now_utc_s, session = self.utc_s(), self.charger.session
        every_s = self.keys.seconds("MeterValueSampleInterval")
        if session and every_s and now_utc_s - self._sampled_utc_s >= every_s:
            self._sampled_utc_s += every_s * ((now_utc_s - self._sampled_utc_s) // every_s)
            self._tell_sample("Sample.Periodic", "MeterValuesSampledData", now_utc_s)
        aligned_s = self.keys.seconds("ClockAlignedDataInterval")
        if aligned_s and now_utc_s // aligned_s > self._ticked_utc_s // aligned_s:
            self._tell_sample("Sample.Clock", "MeterValuesAlignedData", now_utc_s)
        self._ticked_utc_s = now_utc_s

    def _tell_sample(self, context: str, key: str, utc_s: float) -> None:
        measures, session = self.charger.measures(), self.charger.session
        if not session and not self.online:
            return
        sampled = [
            {"context": context, "measurand": one, "value": measures[one][0], "unit": measures[one][1]}
            for one in self.keys.measurands(key)
        ]
        told: Message = {
            "connectorId": CONNECTOR,
            "meterValue": [{"timestamp": moment(utc_s), "sampledValue": sampled}],
        }

        def payload() -> Message:
            return told | ({"transactionId": _number(session)} if session else {})

        if sampled:
            self.outbox.put(Call("MeterValues", payload, kept=session is not None))

    def _take_boot(self, answer: Message) -> None:
        self._set_clock(answer["currentTime"])
        if answer["status"] == "Accepted" and answer.get("interval"):
            self.keys.change("HeartbeatInterval", str(answer["interval"]))

    def _set_clock(self, text: str) -> None:
        self._utc_at_zero_s = datetime.fromisoformat(text).timestamp() - self._clock()


def _number(session: Session) -> int:
    """The transaction's; one that never got a number is told as -1, as chargers do."""
    return -1 if session.id is None else session.id
