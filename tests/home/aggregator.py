"""An aggregator of the tests' own, over MQTT 5: signs instructions, hears all, acknowledges what it holds.

Written from the contract. What it hears is kept as it came, and is read with the wire's models only to
say what breaks them; judging it is promises.py's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from gateway.wire.availability import Availability
from gateway.wire.event import Event
from gateway.wire.message import Part, decode, encode
from gateway.wire.readings import Telemetry
from gateway.wire.reception import Unacceptable
from gateway.wire.settlement import Settlement
from gateway.wire.signature import new_private_key, public_x, sign
from gateway.wire.state import Presence, State
from gateway.wire.status import Status, Summary

KID = "aggregator-1"
DISPATCH = "homeflex.dispatch.v1"
CAP = "IMPORT_CAPACITY_LIMIT"
ENDS = {"SUCCEEDED", "ABORTED", "REVOKED", "REJECTED"}
RETRY_S = 0.05
DEADLINE_S = 5.0

_MODELS: dict[str, tuple[type[Part], ...]] = {
    "presence": (Presence,),
    "state": (State,),
    "availability": (Availability,),
    "dispatch/status": (Status, Summary),
    "telemetry": (Telemetry,),
    "settlement": (Settlement,),
    "event": (Event,),
}


@dataclass(frozen=True, slots=True)
class Heard:
    """One message of the home, as it came."""

    at_utc_s: float
    topic: str  # below the site's
    retain: bool
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sent:
    """One dispatch, as it went."""

    at_utc_s: float
    body: dict[str, Any]
    token: bytes

    @property
    def id(self) -> str:
        """The instruction's."""
        return str(self.body["id"])


@dataclass(frozen=True, slots=True)
class Key:
    """A private key and what the trust store says of it."""

    kid: str
    role: str = "dispatch"
    not_before: str = "2020-01-01T00:00:00Z"
    not_after: str = "2100-01-01T00:00:00Z"
    private: bytes = b""


class Aggregator:
    """The aggregator of one site, at the broker on `port`."""

    def __init__(self, site: str, port: int) -> None:
        self.heard: list[Heard] = []
        self.sent: list[Sent] = []
        self.misfits: list[str] = []
        """What does not fit the contract's models, or says more than they know."""
        self.keys = {KID: Key(KID, private=new_private_key())}
        self.root = new_private_key()
        self.acknowledges = True
        self.deaf = False  # what comes is lost, as in a crash of its own
        self.listening = asyncio.Event()
        self._ends = False
        self._site = site
        self._port = port
        self._client: aiomqtt.Client | None = None
        self._holds: defaultdict[tuple[str, str], set[int]] = defaultdict(set)

    def trust(self, kid: str, **facts: str) -> Key:
        """One more key for the trust store."""
        self.keys[kid] = Key(kid, private=new_private_key(), **facts)
        return self.keys[kid]

    @property
    def root_x(self) -> str:
        """What a home is told of the root key at commissioning."""
        return public_x(self.root)

    def trust_store(self, version: int = 1) -> str:
        """The document that names all keys."""
        keys = [
            {
                "kid": key.kid,
                "x": public_x(key.private),
                "role": key.role,
                "notBefore": key.not_before,
                "notAfter": key.not_after,
            }
            for key in self.keys.values()
        ]
        return json.dumps(
            {"schema": "homeflex.keys.v1", "site": self._site, "version": version, "keys": keys}
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Hears and acknowledges while the block runs, over any loss of the broker."""
        workers = [asyncio.create_task(self._listen()), asyncio.create_task(self._acknowledge())]
        try:
            await asyncio.wait_for(self.listening.wait(), DEADLINE_S)
            yield
        finally:
            self._ends = True  # a cancellation may be swallowed by wait_for of Python 3.11, inside aiomqtt
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    # --- what it says -------------------------------------------------------------------------------

    async def send(self, body: dict[str, Any], key: Key | None = None) -> Sent:
        """Sign and publish a dispatch."""
        key = key or self.keys[KID]
        token = sign(json.dumps(body).encode(), key.private, key.kid, DISPATCH)
        sent = Sent(time.time(), body, token)
        self.sent.append(sent)
        await self.publish("dispatch", token)
        return sent

    async def send_keys(self, version: int, *, root: bytes | None = None) -> bytes:
        """Sign and publish the document that names all keys, retained; the message."""
        token = sign(self.trust_store(version).encode(), root or self.root, "root", "homeflex.keys.v1")
        await self.publish("keys", token, retain=True)
        return token

    async def cap(self, target: str, kw: float, **timing: Any) -> Sent:
        """Send a cap; see `cap_body`."""
        return await self.send(cap_body(self._site, target, kw, **timing))

    async def cancel(self, id: str, revision: int = 1) -> Sent:
        """Send the end of an instruction, at once."""
        return await self.send(stop_body(self._site, "cancel", id, revision))

    async def stop_all(self) -> Sent:
        """Send the end of all that was issued till now."""
        return await self.send(stop_body(self._site, "stopAll", str(uuid.uuid4()), 0))

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Say anything on one of the site's topics, as soon as there is a broker."""
        await asyncio.wait_for(self.listening.wait(), DEADLINE_S)
        assert self._client is not None
        await self._client.publish(self._full(topic), payload, qos=1, retain=retain, timeout=DEADLINE_S)

    async def acknowledge(self) -> None:
        """Say how far it holds each log."""
        logs = {
            log: {"stream": stream, "seq": watermark(held)} for (log, stream), held in self._holds.items()
        }
        body = {"schema": "homeflex.ack.v1", "site": self._site, "at": moment(time.time()), "logs": logs}
        await self.publish("ack", json.dumps(body).encode())

    # --- what it heard ------------------------------------------------------------------------------

    def all(self, topic: str, schema: str = "") -> list[dict[str, Any]]:
        """The bodies heard on a topic, in order of arrival."""
        return [h.body for h in self.heard if h.topic == topic and schema in h.body["schema"]]

    def events(self) -> list[dict[str, Any]]:
        """Each event once, in the home's order: what was not known to be sent comes again after a crash."""
        found = {(body["stream"], body["seq"]): body for body in self.all("event")}
        return [body for _, body in sorted(found.items())]

    def statuses(self, id: str | None) -> list[dict[str, Any]]:
        """Each status of one instruction once, in the home's order."""
        found = [body for body in self.all("dispatch/status", "status") if body["id"] == id]
        return [body for _, body in sorted({body["seq"]: body for body in found}.items())]

    def lines(self, id: str, asset: str = "heat") -> list[dict[str, Any]]:
        """What the statuses of one instruction say of one asset, in order."""
        return [line for body in self.statuses(id) for line in body["targets"] if line.get("asset") == asset]

    def said(self, id: str, *, asset: str = "heat", **facts: object) -> bool:
        """Whether a status of the instruction said this of the asset."""
        return any(facts.items() <= line.items() for line in self.lines(id, asset))

    def last(self, id: str, asset: str = "heat") -> dict[str, Any]:
        """What the last status of an instruction says of an asset."""
        return (self.lines(id, asset) or [{}])[-1]

    def minutes(self, point: str) -> list[dict[str, Any]]:
        """Each reading of a point once, in order."""
        found: dict[int, dict[str, Any]] = {}
        for body in (*self.all("telemetry"), *self.all(f"telemetry/{point}")):
            for reading in body["points"].get(point, {"readings": []})["readings"]:
                found[reading["seq"]] = reading
        return [reading for _, reading in sorted(found.items())]

    # --- its work -----------------------------------------------------------------------------------

    async def _listen(self) -> None:
        while not self._ends:
            with contextlib.suppress(aiomqtt.MqttError):
                async with self._connection() as client:
                    await client.subscribe(self._full("#"), qos=1)
                    self._client = client
                    self.listening.set()
                    async for message in client.messages:
                        self._take(str(message.topic), bytes(message.payload), bool(message.retain))
            self._client = None
            self.listening.clear()
            await asyncio.sleep(RETRY_S)

    def _connection(self) -> aiomqtt.Client:
        kept = Properties(PacketTypes.CONNECT)
        kept.SessionExpiryInterval = 3600
        return aiomqtt.Client(
            "127.0.0.1",
            self._port,
            identifier="aggregator",
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=False,
            properties=kept,
            timeout=DEADLINE_S,
        )

    def _take(self, topic: str, payload: bytes, retain: bool) -> None:
        below = topic.removeprefix(self._full(""))
        kind = "telemetry" if below.startswith("telemetry/") else below
        if kind not in _MODELS or self.deaf:
            return
        body = json.loads(payload)
        self.heard.append(Heard(time.time(), below, retain, body))
        self.misfits += _misfits(kind, payload, self._site)
        for log, stream, seq in numbered(kind, body):
            self._holds[log, stream].add(seq)

    async def _acknowledge(self) -> None:
        while not self._ends:
            await asyncio.sleep(2.0)
            if self._client and self._holds and self.acknowledges:
                with contextlib.suppress(aiomqtt.MqttError):
                    await self.acknowledge()

    def _full(self, topic: str) -> str:
        return f"homeflex/v1/{self._site}/{topic}"


def cap_body(
    site: str,
    target: str,
    kw: float,
    *,
    ago_s: float = 0,
    lasts_s: int = 300,
    ends_in_s: int | None = None,
    end_delay: str = "PT0S",
    service: str = "trial",
) -> dict[str, Any]:
    """A cap that began `ago_s` ago for `lasts_s`; or one of 300 s that began so that it `ends_in_s`."""
    if ends_in_s is not None:
        ago_s = lasts_s - ends_in_s
    return {
        **_head(site, str(uuid.uuid4()), 0, "set"),
        "service": service,
        "serviceClass": "response",
        "priority": 0,
        "targets": [target],
        "startDelay": "PT0S",
        "endDelay": end_delay,
        "intervalPeriod": {"start": moment(time.time() - ago_s), "duration": f"PT{lasts_s}S"},
        "payloadDescriptors": [{"payloadType": CAP, "units": "KW"}],
        "intervals": [{"id": 0, "payloads": [{"type": CAP, "values": [kw]}]}],
    }


def stop_body(site: str, op: str, id: str, revision: int) -> dict[str, Any]:
    """A `cancel` or `stopAll`, with no delay of the return."""
    return {**_head(site, id, revision, op), "endDelay": "PT0S"}


def numbered(topic: str, body: dict[str, Any]) -> list[tuple[str, str, int]]:
    """(log, stream, seq) of everything numbered in a message; `seq` 0 is a status no log could hold."""
    if topic in ("telemetry", "settlement"):
        return [
            (f"{topic}:{point}", told["stream"], row["seq"])
            for point, told in body["points"].items()
            for row in told["readings" if topic == "telemetry" else "halfHours"]
        ]
    if topic in ("dispatch/status", "event") and body["seq"]:
        return [(topic.removeprefix("dispatch/"), body["stream"], body["seq"])]
    return []


def watermark(held: set[int]) -> int:
    """The highest number with nothing missing below."""
    seq = 0
    while seq + 1 in held:
        seq += 1
    return seq


def moment(utc_s: float) -> str:
    """RFC 3339 in UTC, whole seconds."""
    return f"{datetime.fromtimestamp(int(utc_s), UTC):%Y-%m-%dT%H:%M:%SZ}"


def utc_s_of(text: str) -> float:
    """The other way."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def _head(site: str, id: str, revision: int, op: str) -> dict[str, Any]:
    now_utc_s = time.time()
    return {
        "schema": DISPATCH,
        "site": site,
        "id": id,
        "revision": revision,
        "op": op,
        "issuedAt": moment(now_utc_s),
        "expiresAt": moment(now_utc_s + 600),
    }


def _misfits(topic: str, payload: bytes, site: str) -> list[str]:
    problems = []
    for model in _MODELS[topic]:
        try:
            read = decode(model, payload, site)
        except Unacceptable as error:
            problems.append(f"{topic}: {error.text}: {payload!r}")
            continue
        again = json.loads(encode(read))
        return [] if again == json.loads(payload) else [f"{topic}: reads as {again}, came as {payload!r}"]
    return problems[-1:]
