"""The aggregator's end of an instruction: signs, publishes, and notes when device and status moved.

All moments are taken here, in one process outside the programs under test, on one clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiomqtt

from gateway.demo.aggregator import DISPATCH, KID, cancel_body, set_body
from gateway.wire.signature import new_private_key, public_x, sign
from tests.bench.rig import HOST
from tests.bench.subject import Bare, Homeflex

ANSWER_S = 5.0
HOLD_S = 3600
NO_DELAY = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds from the publishing of one instruction: the first command, the one in force, its status."""

    op: str
    written_s: float
    in_force_s: float
    told_s: float


class Aggregator:
    """One connection to the broker for all sites."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        self._private_key = new_private_key()
        self._statuses: asyncio.Queue[tuple[str, dict[str, Any], float]] = asyncio.Queue()
        self._online: dict[str, asyncio.Event] = {}

    def trust_store(self, site: str) -> str:
        """The document that makes `site` believe us."""
        key = {
            "kid": KID,
            "x": public_x(self._private_key),
            "role": "dispatch",
            "notBefore": "2020-01-01T00:00:00Z",
            "notAfter": "2100-01-01T00:00:00Z",
        }
        return json.dumps({"schema": "homeflex.keys.v1", "site": site, "version": 1, "keys": [key]})

    async def online(self, site: str) -> None:
        """Wait until a site says that it is there."""
        async with asyncio.timeout(ANSWER_S):
            await self._online.setdefault(site, asyncio.Event()).wait()

    async def listen(self) -> None:
        """Take what the sites say, for ever."""
        async for message in self._client.messages:
            at_s = time.perf_counter()
            _, _, site, topic = str(message.topic).split("/", 3)
            body = json.loads(bytes(message.payload))
            if topic == "presence" and body["online"]:
                self._online.setdefault(site, asyncio.Event()).set()
            elif topic == "dispatch/status":
                self._statuses.put_nowait((site, body, at_s))

    async def hold(self, subject: Bare | Homeflex, number: int) -> tuple[str, Timing]:
        """The `number`-th hold of the device in this life, from now on; the instruction's id."""
        rig = subject.rig
        body = set_body(subject.site, f"asset:{rig.asset}", rig.cap_kw(number) * 1000, time.time(), HOLD_S)
        return body["id"], await self._exchange(subject, body)

    async def end(self, subject: Bare | Homeflex, id_: str) -> Timing:
        """Cancel that instruction."""
        return await self._exchange(subject, cancel_body(subject.site, id_, time.time()))

    async def _exchange(self, subject: Bare | Homeflex, body: dict[str, Any]) -> Timing:
        message = json.dumps(body).encode()
        if subject.signs:
            message = sign(message, self._private_key, KID, DISPATCH)
        commands: list[tuple[str, float]] = []
        in_force = asyncio.Event()

        def note(what: str, at_s: float) -> None:
            commands.append((what, at_s))
            if what == subject.rig.in_force:
                in_force.set()

        subject.device.on_command = note
        published_s = time.perf_counter()
        await self._client.publish(f"homeflex/v1/{subject.site}/dispatch", message, qos=1)
        try:
            async with asyncio.timeout(ANSWER_S):
                told_s = await self._answer(subject.site, body)
                await in_force.wait()
        except TimeoutError as error:
            raise RuntimeError(
                f"{subject.site}: {body['op']} not obeyed; the device was told: {commands}"
            ) from error
        in_force_s = next(at_s for what, at_s in commands if what == subject.rig.in_force)
        return Timing(
            body["op"], commands[0][1] - published_s, in_force_s - published_s, told_s - published_s
        )

    async def _answer(self, site: str, body: dict[str, Any]) -> float:
        """When the first status of an instruction came.

        Raises:
            RuntimeError: it was refused.
        """
        while True:
            said_by, status, at_s = await self._statuses.get()
            if (said_by, status.get("id"), status.get("revision")) == (site, body["id"], body["revision"]):
                if status["reception"] != "OK":
                    raise RuntimeError(f"{site} refused {body['op']}: {status}")
                return at_s


@contextlib.asynccontextmanager
async def listening(broker_port: int) -> AsyncIterator[Aggregator]:
    """An aggregator at the broker while the block runs."""
    connection = aiomqtt.Client(
        HOST,
        broker_port,
        identifier="bench-aggregator",
        protocol=aiomqtt.ProtocolVersion.V5,
        socket_options=[NO_DELAY],
    )
    async with connection as client, asyncio.TaskGroup() as tasks:
        aggregator = Aggregator(client)
        for topic in ("presence", "dispatch/status"):
            await client.subscribe(f"homeflex/v1/+/{topic}", qos=1)
        listener = tasks.create_task(aggregator.listen(), name="aggregator")
        try:
            yield aggregator
        finally:
            listener.cancel()
