"""A small aggregator: signs instructions, hears everything the home says, acknowledges what it holds.

Keys, bodies and watermarks are `gateway.aggregator`'s; here is what the show needs: everything goes into the
log, and a second connection plays whoever else is on that broker, with no key of ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiomqtt

from gateway.aggregator import instruction
from gateway.aggregator.heard import UP, body_of, numbers
from gateway.aggregator.holding import Holding
from gateway.aggregator.instruction import Head
from gateway.aggregator.jwk import Key, trust_store
from gateway.demo.log import Log
from gateway.wire.dispatch import SCHEMA as DISPATCH

KID = "aggregator-1"
ACK_EVERY_S = 10.0
_HOST = "127.0.0.1"
_RETRY_S = 0.05  # it must listen again before the home speaks: the broker keeps nothing
_DEADLINE_S = 5.0
_TRUSTED_FROM_UTC_S, _TRUSTED_FOR_S = 1_577_836_800.0, 80 * 365 * 86_400.0  # from 2020 on


class Aggregator:
    """The aggregator of one site, on the broker at `port`; everything goes into `log`."""

    def __init__(self, site: str, port: int, log: Log, *, ack_every_s: float = ACK_EVERY_S) -> None:
        self.listening = asyncio.Event()
        self._site = site
        self._port = port
        self._log = log
        self._ack_every_s = ack_every_s
        self._key = _key()
        self._holding = Holding()
        self._client: aiomqtt.Client | None = None

    def trust_store(self) -> str:
        """The document that makes a site believe this aggregator's instructions, and nobody's else."""
        return trust_store(self._site, 1, [self._key]).decode()

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
        text = self._key.signed(payload.encode(), DISPATCH).decode()
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
        if below not in UP:
            return
        text = payload.decode(errors="replace")
        self._log.note("received", topic=topic, text=text)
        self._holding.take(self._site, numbers(below, body_of(payload)), self._log.now_utc_s())

    async def _acknowledge(self) -> None:
        while True:
            await asyncio.sleep(self._ack_every_s)
            if self._client is None or self._site not in self._holding.logs:
                continue
            ack = json.dumps(self._holding.ack(self._site, self._log.now_utc_s()))
            with contextlib.suppress(aiomqtt.MqttError):
                await self._publish("ack", ack, by="aggregator", scene=0, what="ack")


def set_body(
    site: str, target: str, cap_w: float, begin_utc_s: float, lasts_s: int, *, service: str = "demo"
) -> dict[str, Any]:
    """A cap on `target` from `begin_utc_s` on, with no delay: the body of a dispatch."""
    return instruction.set_body(
        Head(site, begin_utc_s),
        "IMPORT_CAPACITY_LIMIT",
        [cap_w / 1000],
        targets=[target],
        start_utc_s=begin_utc_s,
        each_s=lasts_s,
        service=service,
        priority=0,
        startDelay="PT0S",
        endDelay="PT0S",
    )


def cancel_body(site: str, id: str, now_utc_s: float) -> dict[str, Any]:
    """The end of an instruction, at once: the body of a dispatch."""
    return instruction.stop_body(Head(site, now_utc_s, id, 1), "cancel", "PT0S")


def forged(body: dict[str, Any]) -> str:
    """A dispatch signed under the aggregator's name with a key nobody trusts."""
    return _key().signed(json.dumps(body).encode(), DISPATCH).decode()


def _key() -> Key:
    return Key.new(KID, "dispatch", _TRUSTED_FROM_UTC_S, _TRUSTED_FOR_S)


def _connection(port: int, who: str) -> aiomqtt.Client:
    return aiomqtt.Client(
        _HOST,
        port,
        identifier=f"demo-{who}",
        protocol=aiomqtt.ProtocolVersion.V5,
        clean_start=True,
        timeout=_DEADLINE_S,
    )
