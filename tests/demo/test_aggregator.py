"""The demo's aggregator against a real broker and the gateway's own reading of the contract."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiomqtt
import pytest

from gateway.core.model import Kind, Op
from gateway.demo import aggregator as demo
from gateway.demo.aggregator import Aggregator, cancel_body, forged, set_body
from gateway.demo.broker import Broker
from gateway.demo.evidence import Evidence
from gateway.demo.log import Log
from gateway.wire.ack import Ack
from gateway.wire.dispatch import DISPATCH_MAX_BYTES
from gateway.wire.keys import KeyRing, parse_keys
from gateway.wire.message import decode
from gateway.wire.order import parse_order
from gateway.wire.reception import Reception, Unacceptable
from gateway.wire.signature import unverified_digest, verify

SITE = "demo-home"
ROOT = f"homeflex/v1/{SITE}"


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    broker = Broker("test", tmp_path)
    async with broker.running():
        yield broker


def _home(broker: Broker) -> aiomqtt.Client:
    v5 = aiomqtt.ProtocolVersion.V5
    return aiomqtt.Client("127.0.0.1", broker.port, identifier="home", protocol=v5, timeout=2.0)


def _verified(token: bytes, ring: KeyRing) -> bytes:
    return verify(token, ring, schema="homeflex.dispatch.v1", role="dispatch", utc_s=time.time())


async def _next(client: aiomqtt.Client) -> bytes:
    async with asyncio.timeout(15.0):
        return bytes((await anext(aiter(client.messages))).payload)


async def test_the_home_can_verify_and_read_what_it_sends(broker: Broker) -> None:
    aggregator = Aggregator(SITE, broker.port, Log())
    ring = parse_keys(aggregator.trust_store().encode(), SITE)
    body = set_body(SITE, "asset:heat", 1400.0, 1_795_000_000.0, 600)
    async with aggregator.running(), _home(broker) as home:
        await aggregator.listening.wait()
        await home.subscribe(f"{ROOT}/dispatch", qos=1)
        await aggregator.send(body, scene=1, what="set")
        order = parse_order(_verified(await _next(home), ring), SITE)
        await aggregator.send(cancel_body(SITE, order.id, 1_795_000_060.0), scene=1, what="cancel")
        cancel = parse_order(_verified(await _next(home), ring), SITE)
    assert (order.op, order.targets, order.start_delay_max_s) == (Op.SET, ("asset:heat",), 0)
    assert [(a.kind, a.value, a.end_utc_s - a.start_utc_s) for a in order.asks] == [(Kind.CAP, 1400, 600)]
    assert (cancel.op, cancel.id, cancel.revision, cancel.end_delay_max_s) == (Op.CANCEL, order.id, 1, 0)


async def test_a_forged_instruction_bears_its_name_and_does_not_verify(broker: Broker) -> None:
    ring = parse_keys(Aggregator(SITE, broker.port, Log()).trust_store().encode(), SITE)
    token = forged(set_body(SITE, "asset:heat", 0.0, 1_795_000_000.0, 600)).encode()
    header = token.split(b".")[0]
    assert json.loads(base64.urlsafe_b64decode(header + b"==="))["kid"] == demo.KID
    with pytest.raises(Unacceptable) as refused:
        _verified(token, ring)
    assert refused.value.reception is Reception.INVALID_SIGNATURE


async def test_blown_up_by_blanks_an_instruction_is_the_same_and_too_large(broker: Broker) -> None:
    """Blanks after a JSON text mean nothing (RFC 8259, 2): only its size can be what it is refused for."""
    log = Log()
    aggregator = Aggregator(SITE, broker.port, log)
    ring = parse_keys(aggregator.trust_store().encode(), SITE)
    body = set_body(SITE, "asset:heat", 0.0, 1_795_000_000.0, 1800, service="tcm")
    async with aggregator.running(), _home(broker) as home:
        await aggregator.listening.wait()
        await home.subscribe(f"{ROOT}/dispatch", qos=1)
        await aggregator.send(body, scene=8, what="oversized", blanks=DISPATCH_MAX_BYTES)
        token = await _next(home)
    order = parse_order(_verified(token, ring).rstrip(), SITE)
    assert (order.id, order.service) == (body["id"], "tcm")
    assert len(token) > DISPATCH_MAX_BYTES
    sent = Evidence(log.observations).sent(8, "oversized")
    assert sent
    assert (sent.size_bytes, sent.digest) == (len(token), f"sha256:{unverified_digest(token)}")


async def test_everything_the_home_says_is_logged_and_nothing_it_is_told(broker: Broker) -> None:
    log = Log()
    aggregator = Aggregator(SITE, broker.port, log)
    async with aggregator.running(), _home(broker) as home:
        await aggregator.listening.wait()
        for topic in ("state", "dispatch", "dispatch/status", "keys"):
            await home.publish(f"{ROOT}/{topic}", topic, qos=1)
        assert await log.until(lambda seen: len([o for o in seen if o.kind == "received"]) == 2, 2.0)
        await asyncio.sleep(0.05)
    heard = [one.facts["text"] for one in log.observations if one.kind == "received"]
    assert heard == ["state", "dispatch/status"]


async def test_it_acknowledges_what_it_holds_without_a_gap(broker: Broker) -> None:
    aggregator = Aggregator(SITE, broker.port, Log(), ack_every_s=0.1)
    stream = "ABCDEFGHJKLM"
    async with aggregator.running(), _home(broker) as home:
        await aggregator.listening.wait()
        readings = [{"seq": 4}, {"seq": 5}, {"seq": 7}]
        points = {"heat": {"stream": stream, "readings": readings}}
        await home.publish(f"{ROOT}/event", json.dumps({"stream": stream, "seq": 1}), qos=1)
        await home.publish(f"{ROOT}/telemetry", json.dumps({"points": points}), qos=1)
        await home.publish(f"{ROOT}/telemetry", "broken", qos=1)
        await asyncio.sleep(0.1)
        await home.subscribe(f"{ROOT}/ack", qos=1)
        ack = decode(Ack, await _next(home), SITE)
    assert {log: (mark.stream, mark.seq) for log, mark in ack.logs.items()} == {
        "event": (stream, 1),
        "telemetry:heat": (stream, 5),
    }


async def test_it_listens_again_when_the_broker_is_back(broker: Broker) -> None:
    log = Log()
    aggregator = Aggregator(SITE, broker.port, log)
    async with aggregator.running():
        await asyncio.wait_for(aggregator.listening.wait(), 2.0)
        await broker.stop()
        async with asyncio.timeout(15.0):
            while aggregator.listening.is_set():
                await asyncio.sleep(0.01)
        await broker.start()
        await asyncio.wait_for(aggregator.listening.wait(), 2.0)
        async with _home(broker) as home:
            await home.publish(f"{ROOT}/state", "again", qos=1)
            assert await log.until(lambda seen: any(o.facts.get("text") == "again" for o in seen), 2.0)
