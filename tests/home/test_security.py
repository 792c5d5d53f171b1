"""Nobody without the right key moves a load, and what is refused is answered as the contract says."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path

from gateway.wire.signature import new_private_key, sign
from tests.home import promises
from tests.home.aggregator import DISPATCH, KID, Aggregator, Key, cap_body
from tests.home.beside import beside
from tests.home.house import SITE, House


def _body() -> bytes:
    return json.dumps(cap_body(SITE, "asset:heat", 0.0)).encode()


def _signed(body: bytes, key: Key, typ: str = DISPATCH) -> bytes:
    return sign(body, key.private, key.kid, typ)


def _answers(aggregator: Aggregator, reception: str) -> list[dict[str, object]]:
    return [b for b in aggregator.all("dispatch/status", "status") if b["reception"] == reception]


@beside
async def test_what_is_not_signed_by_the_right_key_moves_nothing_and_is_answered_sparingly(
    folder: Path,
) -> None:
    async with House(folder) as house:
        aggregator = house.aggregator
        reader = aggregator.trust("reader", role="read")
        past = aggregator.trust("past", not_after="2026-01-01T00:00:00Z")
        await house.start()
        await house.seen()
        first = _body()
        bad = [
            _signed(first, Key(KID, private=new_private_key())),
            _body(),  # plain JSON
            _signed(_body(), Key("nobody", private=new_private_key())),
            _signed(_body(), reader),
            _signed(_body(), past),
            _signed(_body(), aggregator.keys[KID], typ="homeflex.keys.v1"),
            _signed(_body(), aggregator.keys[KID])[:-8] + b"AAAAAAAA",
        ]
        for message in bad:
            await aggregator.publish("dispatch", message)
        await house.until(lambda: _answers(aggregator, "INVALID_SIGNATURE"), "the first is answered")
        await asyncio.sleep(2.0)
        (answer,) = _answers(aggregator, "INVALID_SIGNATURE")
        assert (answer["id"], answer["revision"], answer["count"]) == (None, None, 1)
        assert answer["digest"] == f"sha256:{hashlib.sha256(first).hexdigest()}"

        await asyncio.sleep(9.0)
        await aggregator.publish("dispatch", bad[0])
        await house.until(lambda: len(_answers(aggregator, "INVALID_SIGNATURE")) == 2, "the next answer")
        assert _answers(aggregator, "INVALID_SIGNATURE")[1]["count"] == len(bad)
        counts = [e["count"] for e in aggregator.events() if e["kind"] == "security"]
        assert sum(counts) == len(bad) + 1
        assert not house.pump.told
        _, status = await house.cli("status")
        assert not status["instructions"]


@beside
async def test_a_retained_instruction_is_refused_now_and_after_a_restart(folder: Path) -> None:
    async with House(folder) as house:
        aggregator = house.aggregator
        await house.start()
        await house.seen()
        message = _signed(_body(), aggregator.keys[KID])
        await aggregator.publish("dispatch", message, retain=True)
        await house.until(lambda: _answers(aggregator, "INVALID_MESSAGE"), "it is refused")
        assert "retained" in next(e["text"] for e in aggregator.events() if e["kind"] == "security")
        await house.kill()
        await house.start()
        await house.seen()
        await asyncio.sleep(1.5)
        assert not house.pump.told
        await aggregator.publish("dispatch", b"", retain=True)


@beside
async def test_what_is_too_large_or_broken_or_for_another_home_is_answered_and_moves_nothing(
    folder: Path,
) -> None:
    async with House(folder) as house:
        aggregator, key = house.aggregator, house.aggregator.keys[KID]
        await house.start()
        await house.seen()
        large = json.dumps({**cap_body(SITE, "asset:heat", 0.0), "pad": "x" * 65_536}).encode()
        await aggregator.publish("dispatch", _signed(large, key))
        await house.until(lambda: _answers(aggregator, "TEMPORARY_ERROR"), "too large")
        assert _answers(aggregator, "TEMPORARY_ERROR")[0]["reason"] == "storage"

        wrong = [
            {**cap_body(SITE, "asset:heat", 0.0), "surprise": 1},
            {**cap_body(SITE, "asset:heat", 0.0), "randomizeStart": "PT5M"},
            cap_body("another-home", "asset:heat", 0.0),
            cap_body(SITE, "asset:heat", -1.0),
        ]
        for body in wrong:
            await aggregator.send(body)
        await house.until(
            lambda: len(_answers(aggregator, "INVALID_CONTENT")) == len(wrong), "each is answered"
        )
        for body, answer in zip(wrong, _answers(aggregator, "INVALID_CONTENT"), strict=True):
            assert answer["id"] == body["id"]
            assert answer["digest"] == f"sha256:{hashlib.sha256(json.dumps(body).encode()).hexdigest()}"
        unknown = await aggregator.cap("asset:garage", 0.0)
        await house.until(lambda: aggregator.statuses(unknown.id), "a target that is not there")
        (line,) = aggregator.statuses(unknown.id)[0]["targets"]
        assert line["target"], line
        assert (line["status"], line["reason"]) == ("REJECTED", "unknownTarget")
        assert not house.pump.told


@beside
async def test_a_replayed_or_altered_instruction_takes_no_effect(folder: Path) -> None:
    async with House(folder) as house:
        aggregator = house.aggregator
        await house.start()
        await house.seen()
        sent = await aggregator.cap("asset:heat", 0.0)
        await house.until(lambda: house.pump.blocked, "the pump rests")
        altered = {**sent.body, "intervals": [{**sent.body["intervals"][0]}], "priority": 7}
        await aggregator.send(altered)
        await house.until(lambda: _answers(aggregator, "INVALID_CONTENT"), "the same id, another body")
        await house.until(
            lambda: any(e["kind"] == "tamper" for e in aggregator.events()), "and a tamper event"
        )
        assert house.pump.blocked, "the former stays in force"

        await aggregator.cancel(sent.id)
        await house.until(lambda: not house.pump.is_told_to_rest, "it is cancelled")
        writes = len(house.pump.told)
        await aggregator.publish("dispatch", sent.token)
        await house.until(lambda: _answers(aggregator, "REPLAYED"), "the replay is answered")
        late = {**cap_body(SITE, "asset:heat", 0.0), "expiresAt": "2026-01-01T00:00:00Z"}
        late["issuedAt"] = "2026-01-01T00:00:00Z"
        await aggregator.send(late)
        await house.until(lambda: _answers(aggregator, "EXPIRED"), "so is what came too late")
        await asyncio.sleep(1.5)
        assert len(house.pump.told) == writes
        await promises.no_number_is_missing_or_used_twice(house)
