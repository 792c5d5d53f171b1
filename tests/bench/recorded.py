"""What one real home says, byte by byte: the daemon with four devices, on a hurried clock."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from gateway.aggregator.instruction import SCHEMA
from gateway.aggregator.jwk import Key, trust_store
from gateway.demo.aggregator import Aggregator as Listener
from gateway.demo.aggregator import set_body
from gateway.demo.log import Log
from gateway.wire.keys import SCHEMA as KEYS
from gateway.wire.signature import sign
from tests.bench.hurried import hurried
from tests.bench.rest import HURRY, HurriedLog
from tests.bench.subject import WITHIN_S, Homeflex, homeflex
from tests.bench.whole_home import beside
from tests.fakes.mosquitto import Mosquitto

SITE = "home-7f3a"
POINTS = 4
HELD_S = 300


async def messages(folder: Path) -> dict[str, bytes]:
    """The last message on each topic, up and down, once four points are metered and an instruction held.

    `keys` and `dispatch` are as they are signed.
    """
    since_s = time.time()
    utc_s = hurried(time.time, HURRY, since_s)
    with Mosquitto(folder / "broker") as broker:
        log = HurriedLog(utc_s)
        listener = Listener(SITE, broker.port, log, ack_every_s=0.5)
        hurry = ("tests.bench.hurried", str(HURRY), str(since_s))
        async with listener.running(), real_home(folder / SITE, broker, listener, utc_s, HURRY, hurry):
            await _until(lambda: _is_whole(_last(log)))
            await listener.send(set_body(SITE, "class:ev", 1400.0, utc_s(), HELD_S), scene=0, what="set")
            await _until(lambda: "dispatch/status" in _last(log))
            found = _last(log)
    return found | {"keys": _signed_keys(utc_s())}


@contextlib.asynccontextmanager
async def real_home(
    folder: Path,
    broker: Mosquitto,
    listener: Listener,
    utc_s: Callable[[], float],
    factor: float,
    hurry: tuple[str, ...],
    password: str | None = None,
) -> AsyncIterator[Homeflex]:
    """The daemon with a heat pump, a charger, a plug and a meter; running."""
    async with beside(utc_s, factor) as others:
        home = homeflex(
            folder.name,
            folder,
            broker.port,
            listener.trust_store(),
            more=others,
            password=password,
            hurry=hurry,
        )
        async with home as daemon:
            await daemon.start()
            yield daemon


def _last(log: Log) -> dict[str, bytes]:
    return {
        one.facts["topic"].split("/", 3)[3]: one.facts["text"].encode()
        for one in log.observations
        if one.kind in ("received", "sent")
    }


def _is_whole(found: dict[str, bytes]) -> bool:
    told = json.loads(found.get("telemetry", b'{"points": {}}'))
    return len(told["points"]) == POINTS and "availability" in found and "ack" in found


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not holds():
            await asyncio.sleep(0.05)


def _signed_keys(utc_s: float) -> bytes:
    """A trust store with two keys, as while they are rotated."""
    root = Key.new("root", "root", utc_s, 86_400)
    keys = [Key.new(f"agg-{number}", "dispatch", utc_s, 86_400) for number in range(2)]
    return sign(trust_store(SITE, 1, keys), root.private, "root", KEYS)


def dispatch(utc_s: float) -> bytes:
    """The body of an instruction for one class of one home."""
    return json.dumps({**set_body(SITE, "class:ev", 1400.0, utc_s, HELD_S), "schema": SCHEMA}).encode()
