"""A small aggregator: signs instructions, hears everything the home says, acknowledges what it holds.

Written from the contract, with its own bodies; only the signature is the gateway's `wire`. A second
connection plays whoever else is on that broker, with no key of ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import aiomqtt

from gateway.demo.log import Log
from gateway.wire.signature import new_private_key, public_x, sign

KID = "aggregator-1"
DISPATCH = "homeflex.dispatch.v1"
ACK_EVERY_S = 10.0
_HOST = "127.0.0.1"
_RETRY_S = 0.05  # it must listen again before the home speaks: the broker keeps nothing
_DEADLINE_S = 5.0
_UP = {"presence", "state", "availability", "dispatch/status", "telemetry", "settlement", "event"}


class Aggregator:
    """The aggregator of one site, on the broker at `port`; everything goes into `log`."""

    def __init__(self, site: str, port: int, log: Log, *, ack_every_s: float = ACK_EVERY_S) -> None:
        self.listening = asyncio.Event()
        self._site = site
        self._port = port
        self._log = log
        self._ack_every_s = ack_every_s
        self._private_key = new_private_key()
        self._holds: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
        self._client: aiomqtt.Client | None = None

    def trust_store(self) -> str:
        """The document that makes a site believe this aggregator's instructions, and nobody's else."""
        key = {
            "kid": KID,
            "x": public_x(self._private_key),
            "role": "dispatch",
            "notBefore": "2020-01-01T00:00:00Z",
            "notAfter": "2100-01-01T00:00:00Z",
        }
        return json.dumps({"schema": "homeflex.keys.v1", "site": self._site, "version": 1, "keys": [key]})

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listening and acknowledging while the block runs, over any loss of the broker."""
        async with asyncio.TaskGroup() as tasks:
            workers = [
                tasks.create_task(self._listen(), name="aggregator"),
                tasks.create_task(self._acknowledge(), name="aggregator acks"),
            ]
            try:
                yield
            finally:
                for worker in workers:
                    worker.cancel()

    async def send(self, body: dict[str, Any], *, scene: int, what: str, blanks: int = 0) -> str:
        """Sign and publish a dispatch, blown up by so many blanks; gives the message as sent."""
        payload = json.dumps(body) + " " * blanks
        text = sign(payload.encode(), self._private_key, KID, DISPATCH).decode()
        await self._publish("dispatch", text, by="aggregator", scene=scene, what=what)
        return text

    async def send_as_stranger(self, text: str, *, scene: int, what: str) -> None:
        """Publish a dispatch from a connection that is not the aggregator's."""
        async with _connection(self._port, "stranger") as client:
            await self._publish("dispatch", text, by="stranger", scene=scene, what=what, client=client)

    async def _publish(
        self, topic: str, text: str, *, client: aiomqtt.Client | None = None, **facts: Any
    ) -> None:
        speaker = client or self._client
        if speaker is None:
            raise aiomqtt.MqttError("the aggregator has no broker now")
        full = f"homeflex/v1/{self._site}/{topic}"
        self._log.note("sent", topic=full, text=text, **facts)
        await speaker.publish(full, text, qos=1, timeout=_DEADLINE_S)

    async def _listen(self) -> None:
        while True:
            with contextlib.suppress(aiomqtt.MqttError):
                async with _connection(self._port, "aggregator") as client:
                    await client.subscribe(f"homeflex/v1/{self._site}/#", qos=1)
                    self._client = client
                    self.listening.set()
                    async for message in client.messages:
                        self._take(str(message.topic), bytes(message.payload))
            self._client = None
            self.listening.clear()
            await asyncio.sleep(_RETRY_S)

    def _take(self, topic: str, payload: bytes) -> None:
        below = topic.split("/", 3)[3]
        if below not in _UP:
            return
        text = payload.decode(errors="replace")
        self._log.note("received", topic=topic, text=text)
        for log, stream, seq in numbers(below, text):
            self._holds[log, stream].add(seq)

    async def _acknowledge(self) -> None:
        while True:
            await asyncio.sleep(self._ack_every_s)
            if self._client is None or not self._holds:
                continue
            with contextlib.suppress(aiomqtt.MqttError):
                await self._publish("ack", json.dumps(self._ack()), by="aggregator", scene=0, what="ack")

    def _ack(self) -> dict[str, Any]:
        logs = {
            log: {"stream": stream, "seq": watermark(held)} for (log, stream), held in self._holds.items()
        }
        at = moment(self._log.now_utc_s())
        return {"schema": "homeflex.ack.v1", "site": self._site, "at": at, "logs": logs}


def set_body(
    site: str, target: str, cap_w: float, begin_utc_s: float, lasts_s: int, *, service: str = "demo"
) -> dict[str, Any]:
    """A cap on `target` from `begin_utc_s` on, with no delay: the body of a dispatch."""
    kind = "IMPORT_CAPACITY_LIMIT"
    return {
        **_head(site, str(uuid.uuid4()), 0, "set", begin_utc_s),
        "service": service,
        "serviceClass": "response",
        "priority": 0,
        "targets": [target],
        "startDelay": "PT0S",
        "endDelay": "PT0S",
        "intervalPeriod": {"start": moment(begin_utc_s), "duration": f"PT{lasts_s}S"},
        "payloadDescriptors": [{"payloadType": kind, "units": "KW"}],
        "intervals": [{"id": 0, "payloads": [{"type": kind, "values": [cap_w / 1000]}]}],
    }


def cancel_body(site: str, id: str, now_utc_s: float) -> dict[str, Any]:
    """The end of an instruction, at once: the body of a dispatch."""
    return {**_head(site, id, 1, "cancel", now_utc_s), "endDelay": "PT0S"}


def forged(body: dict[str, Any]) -> str:
    """A dispatch signed under the aggregator's name with a key nobody trusts."""
    return sign(json.dumps(body).encode(), new_private_key(), KID, DISPATCH).decode()


def numbers(topic: str, text: str) -> list[tuple[str, str, int]]:
    """(log, stream, seq) of everything numbered in a message below the site's topic."""
    try:
        body = json.loads(text)
        if topic == "telemetry":
            return [
                (f"telemetry:{point}", bundle["stream"], reading["seq"])
                for point, bundle in body["points"].items()
                for reading in bundle["readings"]
            ]
        if topic in ("dispatch/status", "event"):
            return [(topic.removeprefix("dispatch/"), body["stream"], body["seq"])]
    except (ValueError, KeyError, TypeError):
        pass  # no numbers to be had; the log has the message
    return []


def watermark(held: set[int]) -> int:
    """The highest number with nothing missing below, from the lowest one held."""
    seq = min(held)
    while seq + 1 in held:
        seq += 1
    return seq


def moment(utc_s: float) -> str:
    """RFC 3339 in UTC, whole seconds."""
    return f"{datetime.fromtimestamp(int(utc_s), UTC):%Y-%m-%dT%H:%M:%SZ}"


def _head(site: str, id: str, revision: int, op: str, now_utc_s: float) -> dict[str, Any]:
    return {
        "schema": DISPATCH,
        "site": site,
        "id": id,
        "revision": revision,
        "op": op,
        "issuedAt": moment(now_utc_s),
        "expiresAt": moment(now_utc_s + 600),
    }


def _connection(port: int, who: str) -> aiomqtt.Client:
    return aiomqtt.Client(
        _HOST,
        port,
        identifier=f"demo-{who}",
        protocol=aiomqtt.ProtocolVersion.V5,
        clean_start=True,
        timeout=_DEADLINE_S,
    )
