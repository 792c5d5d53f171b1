"""A home at a real broker, with nothing behind it: the gateway's own doors, and answers as scripted."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiomqtt

from gateway.core.model import Order
from gateway.wire.keys import KeyRing
from gateway.wire.order import parse_order
from gateway.wire.reception import Unacceptable
from gateway.wire.signature import opened, unverified_digest

SITE, STREAM = "home-7f3a", "01JDC0W3Q8Z5"
ROOT = f"homeflex/v1/{SITE}"
DISPATCH = "homeflex.dispatch.v1"


@dataclass
class Home:
    """What it heard, and what it answers: one status after the other for each instruction."""

    client: aiomqtt.Client
    ring: KeyRing
    lives: tuple[str, ...] = ("ACCEPTED",)
    heard: list[tuple[str, bytes, bool]] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    expires_s: list[int | None] = field(default_factory=list)  # of each dispatch, as the broker said
    seq: int = 0

    async def say(self, below: str, body: dict[str, Any], *, retain: bool = False) -> None:
        await self.client.publish(f"{ROOT}/{below}", json.dumps(body), qos=1, retain=retain)

    async def answer(self, token: bytes) -> None:
        await self.tell({"id": "another", "revision": 0, "digest": "sha256:another", "reception": "EXPIRED"})
        digest = f"sha256:{unverified_digest(token)}"
        facts: dict[str, Any] = {"id": None, "revision": None, "digest": digest, "reception": "OK"}
        try:
            payload = opened(
                token,
                self.ring,
                schema=DISPATCH,
                role="dispatch",
                utc_s=time.time(),
                signatures_required=True,
            )
            order = parse_order(payload, SITE)
        except Unacceptable as error:
            facts |= {"reception": error.reception.value, "text": error.text, "reason": error.reason.value}
            await self.tell(facts)
            return
        self.orders.append(order)
        facts |= {"id": order.id, "revision": order.revision}
        lives = ("REVOKED",) if order.op != "set" else self.lives
        for life in lives:
            await self.tell(facts, {"asset": "ev", "status": life, "reason": "none"})

    async def tell(self, facts: dict[str, Any], *targets: dict[str, Any]) -> None:
        self.seq += 1
        head = {"schema": "homeflex.status.v1", "site": SITE, "stream": STREAM, "seq": self.seq}
        await self.say(
            "dispatch/status", {**head, "at": "2026-11-23T17:00:04Z", "targets": [*targets], **facts}
        )

    async def until_heard(self, below: str) -> bytes:
        async with asyncio.timeout(15.0):
            while True:
                for topic, payload, _ in self.heard:
                    if topic == f"{ROOT}/{below}":
                        return payload
                await asyncio.sleep(0.01)

    async def listen(self) -> None:
        async for message in self.client.messages:
            payload = bytes(message.payload)
            self.heard.append((str(message.topic), payload, bool(message.retain)))
            if str(message.topic) == f"{ROOT}/dispatch":
                self.expires_s.append(getattr(message.properties, "MessageExpiryInterval", None))
                await self.answer(payload)


@contextlib.asynccontextmanager
async def at_home(port: int, ring: KeyRing, **more: Any) -> AsyncIterator[Home]:
    """A home that listens while the block runs. It sees the retained flag of what it is sent."""
    v5 = aiomqtt.ProtocolVersion.V5
    client = aiomqtt.Client("127.0.0.1", port, identifier="home", protocol=v5, timeout=15.0, **more)
    async with client:
        options = aiomqtt.client.SubscribeOptions(qos=1, retainAsPublished=True)
        for below in ("dispatch", "ack", "keys"):
            await client.subscribe(f"{ROOT}/{below}", options=options)
        home = Home(client, ring)
        listening = asyncio.create_task(home.listen())
        try:
            yield home
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
