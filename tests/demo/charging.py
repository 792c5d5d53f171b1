"""A charger under a clock of the test, and what a central system says to it, written from OCPP 1.6."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from gateway.demo.devices.car import Car
from gateway.demo.devices.charge_point import ChargePoint

T0_UTC_S = 1_795_000_000.0
Message = dict[str, Any]


class Clock:
    """Seconds the test advances."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Garage:
    """A charge point, its car, and the far end of its conversation."""

    def __init__(self, *, autostart: bool = False, boots_each_time: bool = True, soc: float = 0.5) -> None:
        self.clock = Clock()
        self.asked: list[tuple[str, Message, str]] = []
        self.car = Car(soc)
        self.point = ChargePoint(
            self.car,
            self.clock,
            lambda *asked: self.asked.append(asked),
            autostart=autostart,
            boots_each_time=boots_each_time,
        )

    def connect(self) -> None:
        """Boot and be accepted, without a network."""
        boot = self.point.connected()
        if boot:
            boot.then({"status": "Accepted", "interval": 60, "currentTime": self.moment()})
        self.point.accepted()

    def asks(self, action: str, **payload: Any) -> Message:
        """The answer to a call."""
        return self.point.answer(action, payload, "10.0.0.2:9000")

    def heard(self) -> list[tuple[str, Message]]:
        """What it said since it was last asked, as (action, payload); nothing is answered."""
        found = []
        while self.point.outbox.waiting:
            call = self.point.outbox.waiting[0]
            found.append((call.action, call.payload()))
            self.point.outbox.done(call)
        return found

    def replies(self, action: str, answer: Message) -> Message:
        """Answer the first call of that kind; gives its payload."""
        call = next(one for one in self.point.outbox.waiting if one.action == action)
        said = call.payload()
        self.point.outbox.done(call)
        call.then(answer)
        return said

    def starts(self, id: int = 7) -> None:
        """A session, begun from afar and numbered."""
        self.asks("ChangeConfiguration", key="AuthorizeRemoteTxRequests", value="false")
        assert self.asks("RemoteStartTransaction", idTag="homeflex", connectorId=1)["status"] == "Accepted"
        self.replies("StartTransaction", {"transactionId": id, "idTagInfo": {"status": "Accepted"}})

    def passes(self, seconds: float) -> float:
        """Let time pass, the last eight seconds of it in ticks; gives what the car draws then (A)."""
        self.clock.now_s += max(0.0, seconds - 8.0)
        for _ in range(min(8, int(seconds))):
            self.clock.now_s += 1.0
            self.point.tick(1.0)
        return round(self.car.current_a, 3)

    def moment(self, after_s: float = 0.0) -> str:
        """A moment from now, as on the wire."""
        at = T0_UTC_S + self.clock.now_s - 1000.0 + after_s
        return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"

    def profile(
        self,
        *limits_a: float,
        purpose: str = "TxProfile",
        connector: int = 1,
        id: int = 20,
        level: int = 0,
        kind: str = "Absolute",
        starts_s: float | None = 0.0,
        each_s: int = 100,
        schedule: Message | None = None,
        **more: Any,
    ) -> str:
        """Set a profile whose limits follow each other every `each_s`; gives the status."""
        periods = [{"startPeriod": n * each_s, "limit": limit_a} for n, limit_a in enumerate(limits_a)]
        start = {} if starts_s is None else {"startSchedule": self.moment(starts_s)}
        body = {
            "chargingProfileId": id,
            "stackLevel": level,
            "chargingProfilePurpose": purpose,
            "chargingProfileKind": kind,
            "chargingSchedule": {
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": periods,
                **start,
                **(schedule or {}),
            },
            **more,
        }
        return str(self.asks("SetChargingProfile", connectorId=connector, csChargingProfiles=body)["status"])
