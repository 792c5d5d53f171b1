"""A charger that speaks OCPP 1.6J, written from the specification, with a car plugged into it and the faults
real ones have. Shares no code with the product; only the WebSocket client is a library's.

Limits in force are what 1.6 documents: the session's profile if one is valid now, else the default for any
session; of several the highest stack level; never above the station's own. Time is its own (`clock`).
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

Json = dict[str, Any]
START_UTC_S = 1_800_000_000.0


class CallError(Exception):
    """A CALLERROR; the argument is its code."""


def stamp(utc_s: float) -> str:
    return datetime.fromtimestamp(utc_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def moment(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def profile_in(payload: Json) -> Json:
    """The profile of a SetChargingProfile, in either version."""
    profile: Json = payload.get("csChargingProfiles") or payload["chargingProfile"]
    return profile


@dataclass
class Quirks:
    """What is wrong with this charger. Takes effect with the next message."""

    subprotocols: tuple[str, ...] = ("ocpp1.6",)
    boots: bool = True  # tells its start at the first connection
    boot_late_s: float = 0.0
    boots_again: bool = False  # ... and at each further one
    tells_status: bool = True  # at each connection
    silent: bool = False  # takes calls, answers none, says nothing
    delay_s: float = 0.0
    mute: set[str] = field(default_factory=set)  # actions it does not answer
    errors: dict[str, str] = field(default_factory=dict)  # action -> CALLERROR code
    statuses: dict[str, str] = field(default_factory=dict)  # action -> status it answers instead
    units: set[str] = field(default_factory=lambda: {"A", "W"})
    levels: set[int] | None = None  # stack levels it takes; None: all
    ends: set[str] = field(default_factory=lambda: {"validTo", "duration"})  # that it takes
    ignores_profiles: bool = False  # accepts and does nothing
    takes_zero: bool = True
    takes_purposes: set[str] = field(
        default_factory=lambda: {"TxProfile", "TxDefaultProfile", "ChargePointMaxProfile"}
    )
    knows_ids: bool = True  # clears profiles by id
    measurands: set[str] | None = None  # that it has; another in a list refuses all of it
    kwh: bool = False
    no_transaction_id: bool = False  # in its meter values
    clock_off_s: float = 0.0
    states_since_s: float | None = 0.0  # its states are stamped with when they began; None: not stamped
    believes_us: bool = False  # sets its clock by what the gateway says
    needs_kick: bool = False  # stays at nothing after a pause until a second one ends
    hears_late: bool = False  # overhears the first limit after a pause


@dataclass
class Charger:
    """One charger that keeps calling a port of this machine, and its car."""

    port: int
    id: str = "garage"
    path: str | None = None  # instead of /ID
    password: str | bytes | None = None
    user: str | None = None
    quirks: Quirks = field(default_factory=Quirks)
    demand_a: float = 32.0  # what the car would take, each phase
    phases: int = 1
    rating_a: float = 32.0
    soc_pct: float | None = None
    firmware: str = "1.0"
    reconnect_s: float = 0.02
    sample_s: float | None = None  # how often it sends its meter in a session; None: only when told to
    clock: Callable[[], float] = lambda: START_UTC_S

    status: str = "Available"
    transaction: int | None = None
    register_wh: float = 1000.0
    keys: dict[str, str] = field(default_factory=dict)
    profiles: list[Json] = field(default_factory=list)
    asked: list[tuple[str, Json]] = field(default_factory=list)  # every call of the gateway's, in order
    answers: list[tuple[str, Json]] = field(default_factory=list)  # and every answer to ours
    violations: list[str] = field(default_factory=list)  # what a gateway must not do
    connections: int = 0
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    ocpp: ClassVar[str] = "1.6"
    told_connectors: ClassVar[tuple[int, ...]] = (0, 1)

    def __post_init__(self) -> None:
        self.keys = {
            "SupportedFeatureProfiles": "Core,SmartCharging,RemoteTrigger",
            "ChargingScheduleAllowedChargingRateUnit": "Current,Power",
            "ChargeProfileMaxStackLevel": "3",
            "MeterValuesSampledData": "Energy.Active.Import.Register",
            "MeterValueSampleInterval": "60",
            "MeterValuesAlignedData": "",
            "ClockAlignedDataInterval": "0",
            "WebSocketPingInterval": "0",
            "AuthorizeRemoteTxRequests": "true",
            **self.keys,
        }
        self._socket: ClientConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._ids = itertools.count(1)
        self._pending: dict[str, asyncio.Future[Json]] = {}
        self._in_flight = 0
        self._accepted = False
        self._boot_id = ""
        self._session_began_s = 0.0
        self._paused = False
        self._kicks = 0

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._keep_calling())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """The charger loses its power."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    # --- what it does with its car --------------------------------------------------------------------

    @property
    def now_s(self) -> float:
        return self.clock() + self.quirks.clock_off_s

    def limit_a(self) -> float:
        """What holds for the session now, each phase."""
        if self.quirks.ignores_profiles:
            return self.rating_a
        own = self._in_force("ChargePointMaxProfile")
        session = self._in_force("TxProfile") if self.transaction is not None else None
        default = self._in_force("TxDefaultProfile")
        chosen = session if session is not None else default
        return min(self.rating_a, *(limit for limit in (own, chosen) if limit is not None), self.rating_a)

    def power_w(self) -> float:
        """What the car draws now."""
        if self.transaction is None:
            return 0.0
        amperes = min(self.limit_a(), self.demand_a)
        if amperes < 6:
            self._paused = True
            return 0.0
        if self._paused and self.quirks.needs_kick and self._kicks < 2:
            return 0.0
        return amperes * 230.0 * self.phases

    def _in_force(self, purpose: str) -> float | None:
        valid = [p for p in self.profiles if p["chargingProfilePurpose"] == purpose]
        limits = [(p["stackLevel"], limit) for p in valid if (limit := self._limit_of(p)) is not None]
        return max(limits)[1] if limits else None

    def _limit_of(self, profile: Json) -> float | None:
        now_s, schedule = self.now_s, profile["chargingSchedule"]
        if "validFrom" in profile and now_s < moment(profile["validFrom"]):
            return None
        if "validTo" in profile and now_s >= moment(profile["validTo"]):
            return None
        start_s = self._session_began_s
        if profile["chargingProfileKind"] == "Absolute" and "startSchedule" in schedule:
            start_s = moment(schedule["startSchedule"])
        elapsed_s = now_s - start_s
        if elapsed_s < 0 or ("duration" in schedule and elapsed_s >= schedule["duration"]):
            return None
        periods = [p for p in schedule["chargingSchedulePeriod"] if p["startPeriod"] <= elapsed_s]
        if not periods:
            return None
        limit: float = periods[-1]["limit"]
        return limit if schedule["chargingRateUnit"] == "A" else limit / (230.0 * self.phases)

    # --- what it says ----------------------------------------------------------------------------------

    async def plug(self, status: str = "Preparing") -> None:
        await self.tell(status)

    async def unplug(self) -> None:
        if self.transaction is not None:
            await self.end("EVDisconnected")
        await self.tell("Available")

    async def tell(self, status: str) -> None:
        self.status = status
        await self.call("StatusNotification", self._status(1))

    async def begin(self, id_tag: str = "card", **changes: Any) -> int:
        """Start a session as the household would."""
        message = {
            "connectorId": 1,
            "idTag": id_tag,
            "meterStart": round(self.register_wh),
            "timestamp": stamp(self.now_s),
            **changes,
        }
        answer = await self.call("StartTransaction", message)
        self.transaction = answer["transactionId"]
        self._session_began_s = self.now_s
        await self.tell("Charging")
        return answer["transactionId"]  # type: ignore[no-any-return]

    async def end(self, reason: str = "Local") -> None:
        transaction, self.transaction = self.transaction, None
        self.profiles = [p for p in self.profiles if p["chargingProfilePurpose"] != "TxProfile"]
        message = {
            "transactionId": transaction,
            "meterStop": round(self.register_wh),
            "timestamp": stamp(self.now_s),
            **({"reason": reason} if reason else {}),
        }
        await self.call("StopTransaction", message)
        await self.tell("Finishing")

    async def meter(self, context: str = "Sample.Periodic", at_s: float | None = None) -> None:
        await self.call("MeterValues", self.meter_values(context, at_s))

    def meter_values(self, context: str = "Sample.Periodic", at_s: float | None = None) -> Json:
        """What its configuration says is to be sampled, now."""
        wanted = self.keys["MeterValuesSampledData"].split(",")
        energy = self.register_wh / 1000 if self.quirks.kwh else self.register_wh
        volts, amperes = 230.0, self.power_w() / 230.0 / self.phases
        values: dict[str, list[Json]] = {
            "Energy.Active.Import.Register": [
                {"value": f"{energy:.3f}", "unit": "kWh" if self.quirks.kwh else "Wh"}
            ],
            "Power.Active.Import": [
                {"value": f"{self.power_w() / 1000:.3f}", "unit": "kW"}
                if self.quirks.kwh
                else {"value": f"{self.power_w():.1f}", "unit": "W"}
            ],
            "Current.Import": [
                {"value": f"{amperes:.1f}", "unit": "A", "phase": f"L{n}"} for n in range(1, self.phases + 1)
            ],
            "Voltage": [
                {"value": f"{volts:.0f}", "unit": "V", "phase": f"L{n}-N"} for n in range(1, self.phases + 1)
            ],
            "SoC": [] if self.soc_pct is None else [{"value": f"{self.soc_pct:g}", "unit": "Percent"}],
        }
        sampled = [
            {"measurand": name, "context": context, **value}
            for name in wanted
            for value in values.get(name, [])
        ]
        message: Json = {
            "connectorId": 1,
            "meterValue": [
                {"timestamp": stamp(self.now_s if at_s is None else at_s), "sampledValue": sampled}
            ],
        }
        if self.transaction is not None and not self.quirks.no_transaction_id:
            message["transactionId"] = self.transaction
        return message

    async def call(self, action: str, payload: Json, message_id: str | None = None) -> Json:
        """Call the gateway, and its answer."""
        return await self.raw(json.dumps([2, message_id or str(next(self._ids)), action, payload]))

    async def raw(self, text: str, within_s: float = 15.0) -> Json:
        """Send any text with a message id, and wait for what is answered to it."""
        message_id = json.loads(text)[1]
        future = self._pending[message_id] = asyncio.get_running_loop().create_future()
        async with asyncio.timeout(within_s):
            await self.send(text)
            answer = await future
        self.answers.append((json.loads(text)[2], answer))
        return answer

    async def send(self, text: str | bytes) -> None:
        """Put a frame on the wire, once there is one."""
        while self._socket is None or self.quirks.silent:
            await asyncio.sleep(0.005)
        await self._socket.send(text)

    async def until(self, condition: Callable[[], bool], within_s: float = 15.0) -> None:
        """Wait until something the gateway says makes it true."""
        async with asyncio.timeout(within_s):
            while not condition():
                self.heard.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await self.heard.wait()

    def asked_for(self, action: str) -> list[Json]:
        """The payloads of one action, in their order."""
        return [payload for name, payload in self.asked if name == action]

    def limits(self, purpose: str = "TxProfile") -> list[float]:
        """The limits that were laid, in their order, whether taken or not."""
        asked = [payload["csChargingProfiles"] for payload in self.asked_for("SetChargingProfile")]
        return [
            p["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"]
            for p in asked
            if p["chargingProfilePurpose"] == purpose
        ]

    def drop(self) -> None:
        """The network loses the connection."""
        if self._socket:
            self._socket.transport.abort()

    # --- the wire ----------------------------------------------------------------------------------------

    async def open_socket(self) -> ClientConnection:
        """A further connection of the same charger."""
        headers = {}
        if self.password is not None:
            secret = self.password.encode() if isinstance(self.password, str) else self.password
            user = (self.id if self.user is None else self.user).encode()
            headers["Authorization"] = "Basic " + base64.b64encode(user + b":" + secret).decode()
        path = f"/{self.id}" if self.path is None else self.path
        return await connect(
            f"ws://127.0.0.1:{self.port}{path}",
            subprotocols=[Subprotocol(name) for name in self.quirks.subprotocols] or None,
            additional_headers=headers,
            compression=None,
            ping_interval=None,
            close_timeout=0.2,
            proxy=None,
        )

    async def _keep_calling(self) -> None:
        while True:
            try:
                socket = await self.open_socket()
            except (OSError, InvalidHandshake, TimeoutError, ConnectionClosed):
                await asyncio.sleep(self.reconnect_s)
                continue
            self._socket = socket
            self.connections += 1
            greeting = asyncio.create_task(self._greet_and_sample())
            try:
                await self._listen(socket)
            finally:
                self._socket = None
                greeting.cancel()
                await asyncio.gather(greeting, return_exceptions=True)
                await socket.close()
            await asyncio.sleep(self.reconnect_s)

    async def _greet_and_sample(self) -> None:
        await self._greet()
        while self.sample_s is not None:
            await asyncio.sleep(self.sample_s)
            if self.transaction is not None and not self.quirks.silent:
                await self.meter()

    async def _greet(self) -> None:
        if self.quirks.silent:
            return
        if self.quirks.boots and (self.connections == 1 or self.quirks.boots_again):
            await asyncio.sleep(self.quirks.boot_late_s)
            await self.boot()
        else:
            self._accepted = True
        if self.quirks.tells_status:
            for connector in self.told_connectors:
                await self.call("StatusNotification", self._status(connector))

    async def boot(self) -> None:
        self._accepted, self._boot_id = False, str(next(self._ids))
        message = {
            "chargePointVendor": "Fjord",
            "chargePointModel": "Wall 7",
            "firmwareVersion": self.firmware,
        }
        answer = await self.call("BootNotification", message, self._boot_id)
        if self.quirks.believes_us:
            self.quirks.clock_off_s = moment(answer["currentTime"]) - self.clock()

    def _status(self, connector: int) -> Json:
        status = self.status if connector else "Available"
        message = {"connectorId": connector, "errorCode": "NoError", "status": status}
        if self.quirks.states_since_s is not None:
            message["timestamp"] = stamp(self.now_s - self.quirks.states_since_s)
        return message

    async def _listen(self, socket: ClientConnection) -> None:
        answering: set[asyncio.Task[None]] = set()
        with suppress(ConnectionClosed):
            async for text in socket:
                kind, message_id, *rest = json.loads(text)
                if kind == 2:
                    task = asyncio.create_task(self._answer(socket, message_id, *rest))
                    answering.add(task)
                    task.add_done_callback(answering.discard)
                elif (future := self._pending.pop(message_id, None)) and not future.done():
                    self._accepted |= message_id == self._boot_id  # now, not when its sender goes on
                    future.set_result(rest[0] if kind == 3 else {"error": rest[0]})
                self.heard.set()
        self._in_flight = 0
        await asyncio.gather(*answering, return_exceptions=True)

    async def _answer(self, socket: ClientConnection, message_id: str, action: str, payload: Json) -> None:
        self.asked.append((action, payload))
        if self._in_flight:
            self.violations.append(f"{action} before the call before it was answered")
        if not self._accepted and not self.quirks.silent:
            self.violations.append(f"{action} before the start was accepted")
        if self.quirks.silent or action in self.quirks.mute:
            return
        self._in_flight += 1
        await asyncio.sleep(self.quirks.delay_s)
        self._in_flight = 0
        try:
            frame = [3, message_id, self._result(action, payload)]
        except CallError as error:
            frame = [4, message_id, error.args[0], "", {}]
        with suppress(ConnectionClosed):
            await socket.send(json.dumps(frame))

    def _result(self, action: str, payload: Json) -> Json:
        if action in self.quirks.errors:
            raise CallError(self.quirks.errors[action])
        if action in self.quirks.statuses:
            return {"status": self.quirks.statuses[action]}
        answer = getattr(self, f"_on_{action}", None)
        if answer is None:
            raise CallError("NotImplemented")
        return answer(payload)  # type: ignore[no-any-return]

    def _on_GetConfiguration(self, payload: Json) -> Json:  # noqa: N802
        names = payload.get("key") or list(self.keys)
        known = [{"key": n, "readonly": False, "value": self.keys[n]} for n in names if n in self.keys]
        return {"configurationKey": known, "unknownKey": [n for n in names if n not in self.keys]}

    def _on_ChangeConfiguration(self, payload: Json) -> Json:  # noqa: N802
        key, value = payload["key"], payload["value"]
        if key not in self.keys:
            return {"status": "NotSupported"}
        known = self.quirks.measurands
        if key.startswith("MeterValues") and known is not None and set(value.split(",")) - known:
            return {"status": "Rejected"}
        self.keys[key] = value
        return {"status": "Accepted"}

    def _on_TriggerMessage(self, payload: Json) -> Json:  # noqa: N802
        messages = {"StatusNotification": self._status(1), "MeterValues": self.meter_values("Trigger")}
        message = messages.get(payload["requestedMessage"])
        if message is None:
            return {"status": "NotImplemented"}
        asyncio.get_running_loop().call_soon(self._tell_soon, payload["requestedMessage"], message)
        return {"status": "Accepted"}

    def _tell_soon(self, action: str, message: Json) -> None:
        self._telling = asyncio.ensure_future(self._tell(action, message))

    async def _tell(self, action: str, message: Json) -> None:
        with suppress(ConnectionClosed, TimeoutError):
            await self.call(action, message)

    def _on_RemoteStartTransaction(self, payload: Json) -> Json:  # noqa: N802
        if self.status != "Preparing" or self.transaction is not None:
            return {"status": "Rejected"}
        asyncio.get_running_loop().call_soon(self._begin_soon, payload)
        return {"status": "Accepted"}

    def _begin_soon(self, payload: Json) -> None:
        self._telling = asyncio.ensure_future(self._begin(payload))

    async def _begin(self, payload: Json) -> None:
        with suppress(ConnectionClosed, TimeoutError):
            if profile := payload.get("chargingProfile"):
                self.profiles.append(profile)
            await self.begin(payload["idTag"])

    def _on_SetChargingProfile(self, payload: Json) -> Json:  # noqa: N802
        profile = payload["csChargingProfiles"]
        if not self._takes(profile):
            return {"status": "Rejected"}
        limit = profile["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"]
        before = self.limit_a()
        place = (profile["chargingProfilePurpose"], profile["stackLevel"])
        self.profiles = [
            p
            for p in self.profiles
            if (p["chargingProfilePurpose"], p["stackLevel"]) != place
            and p["chargingProfileId"] != profile["chargingProfileId"]
        ]
        if (
            self.quirks.hears_late
            and before == 0
            and limit > 0
            and profile["chargingProfilePurpose"] == "TxProfile"
        ):
            self.quirks.hears_late = False
            profile = json.loads(json.dumps(profile))
            profile["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"] = 0
        self.profiles.append(profile)
        self._kicks += before == 0 and limit > 0
        self.power_w()
        return {"status": "Accepted"}

    def _takes(self, profile: Json) -> bool:
        quirks, schedule = self.quirks, profile["chargingSchedule"]
        purpose = profile["chargingProfilePurpose"]
        ends = {"validTo"} & set(profile) | {"duration"} & set(schedule)
        limit = schedule["chargingSchedulePeriod"][0]["limit"]
        return (
            purpose in quirks.takes_purposes
            and schedule["chargingRateUnit"] in quirks.units
            and (quirks.levels is None or profile["stackLevel"] in quirks.levels)
            and ends <= quirks.ends
            and (limit > 0 or quirks.takes_zero)
            and (purpose != "TxProfile" or self._is_mine(profile))
        )

    def _is_mine(self, profile: Json) -> bool:
        return (
            self.transaction is not None
            and profile.get("transactionId", self.transaction) == self.transaction
        )

    def _on_ClearChargingProfile(self, payload: Json) -> Json:  # noqa: N802
        def is_meant(profile: Json) -> bool:
            if "id" in payload:
                return self.quirks.knows_ids and bool(profile["chargingProfileId"] == payload["id"])
            return all(
                profile[name] == payload[name]
                for name in ("chargingProfilePurpose", "stackLevel")
                if name in payload
            )

        kept = [p for p in self.profiles if not is_meant(p)]
        found, self.profiles = len(kept) < len(self.profiles), kept
        return {"status": "Accepted" if found else "Unknown"}

    def _on_GetCompositeSchedule(self, payload: Json) -> Json:  # noqa: N802
        unit = payload.get("chargingRateUnit", "A")
        limit = self.limit_a() * (1 if unit == "A" else 230.0 * self.phases)
        schedule = {
            "duration": payload["duration"],
            "chargingRateUnit": unit,
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
        }
        return {"status": "Accepted", "connectorId": payload["connectorId"], "chargingSchedule": schedule}
