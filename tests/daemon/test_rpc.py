"""Questions from afar: who may ask, where the answer goes, how often, and what each verb answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.daemon.clock import Clock, Discipline
from gateway.daemon.inbound import Inbound
from gateway.daemon.outbox import Fetch, Outbox, Parcel, commit, load
from gateway.daemon.records import Records
from gateway.daemon.rpc import PER_MINUTE, Rpc
from gateway.daemon.store import Store
from gateway.wire.keys import KeyRing, parse_keys
from gateway.wire.message import decode
from gateway.wire.rpc import Reply
from gateway.wire.state import State
from tests.wire.bodies import SITE, moment
from tests.wire.test_contract_page import EXAMPLES
from tests.wire.test_signature import key, token

READER, SENDER, STRANGER = (bytes([n]) * 32 for n in (21, 22, 23))
LONG = {"notBefore": "2020-01-01T00:00:00Z", "notAfter": "2100-01-01T00:00:00Z"}
UTC_S = 1_795_453_200.0  # 2026-11-23T17:00:00Z
REPLY = f"homeflex/v1/{SITE}/reply/t-1"
(STATE,) = (one for one in EXAMPLES if one["schema"] == "homeflex.state.v1")


def ring() -> KeyRing:
    keys = [key("reader", READER, role="read", **LONG), key("sender", SENDER, **LONG)]
    store = {"schema": "homeflex.keys.v1", "site": SITE, "version": 1, "keys": keys}
    return parse_keys(json.dumps(store).encode(), SITE)


@dataclass
class Desk:
    """A home that is asked; `said`: topic, reply and correlation data of each answer."""

    rpc: Rpc
    outbox: Outbox
    store: Store
    acknowledged: list[int] = field(default_factory=list)
    said: list[tuple[str, dict[str, Any], bytes | None]] = field(default_factory=list)
    now_s: float = 1000.0
    requires: bool = True

    async def ask(self, verb: str = "state", secret: bytes = READER, **more: Any) -> None:
        await self.hear(signed(question(verb, **more), secret), verb)

    async def hear(self, payload: bytes, verb: str = "state", **more: Any) -> None:
        facts: dict[str, Any] = {"retain": False, "response_topic": REPLY, "correlation": b"c-7", **more}
        serial = len(self.acknowledged) + 1
        self.rpc.message(Inbound(serial, f"homeflex/v1/{SITE}/rpc/{verb}", payload, **facts), verb)
        await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name() == f"answer {verb}"))

    def hears(self, topic: str, body: bytes, correlation: bytes | None) -> None:
        decode(Reply, body, SITE)
        self.said.append((topic, json.loads(body), correlation))

    async def sends(self, *, arrives: bool = True) -> list[int]:
        """The numbers in the next message, which arrives or does not; none if nothing waits."""
        self.now_s += 1
        while isinstance(item := self.outbox.take(self.now_s), Fetch):
            await load(self.outbox, self.store, item, self.now_s)
        if not isinstance(item, Parcel):
            return []
        if arrives:
            self.outbox.sent(item, UTC_S)
        else:
            self.outbox.failed(item)
        return [row.seq for row in item.rows]

    @property
    def last(self) -> dict[str, Any]:
        return self.said[-1][1]


def question(verb: str = "state", **more: Any) -> dict[str, Any]:
    return {
        "schema": "homeflex.rpc.v1",
        "site": SITE,
        "id": "q-1",
        "verb": verb,
        "issuedAt": moment(UTC_S + 1000),
        "expiresAt": moment(UTC_S + 1060),
        **more,
    }


def signed(body: dict[str, Any], secret: bytes = READER) -> bytes:
    kid = "sender" if secret == SENDER else "reader"
    return token({"alg": "Ed25519", "kid": kid, "typ": "homeflex.rpc.v1"}, json.dumps(body).encode(), secret)


@contextlib.asynccontextmanager
async def desk(folder: Path) -> AsyncIterator[Desk]:
    async with Store.open(folder / "homeflex.db") as store:
        made: list[Desk] = []
        clock = Clock(
            wall=lambda: UTC_S + (made[0].now_s if made else 1000.0),
            monotonic=lambda: made[0].now_s if made else 1000.0,
            discipline=lambda: Discipline(True, 0.01),
        )
        outbox = Outbox(store.saved.stream, store.saved.heads)
        records = Records(SITE, "boot-boot-bo", store, outbox, clock)
        state = State.model_validate_json(json.dumps(STATE), by_alias=True)
        rpc = Rpc(SITE, ring, lambda: made[0].requires, lambda: state, outbox, store, records, clock)
        made.append(Desk(rpc, outbox, store))
        rpc.acknowledge = lambda inbound: made[0].acknowledged.append(inbound.serial)
        rpc.tell = made[0].hears
        yield made[0]


async def test_the_state_is_answered_where_the_asker_listens(tmp_path: Path) -> None:
    async with desk(tmp_path) as home:
        await home.ask("state")
        (answer,) = home.said
        assert (answer[0], answer[2]) == ("reply/t-1", b"c-7")
        assert (answer[1]["reception"], answer[1]["id"], answer[1]["state"]) == ("OK", "q-1", STATE)
        assert home.acknowledged == [1]


async def test_a_diagnosis_tells_what_the_disk_holds(tmp_path: Path) -> None:
    async with desk(tmp_path) as home:
        home.now_s += 90
        await home.ask("diagnose", issuedAt=moment(UTC_S + 1090), expiresAt=moment(UTC_S + 1100))
        told = home.last["diagnose"]
        assert (told["upS"], told["storageFailure"], told["droppedRows"]) == (90, None, 0)
        assert 1_000 < told["storedBytes"] < 1_000_000
        assert told["residentBytes"] > 10_000_000


async def test_readings_come_again_whatever_was_acknowledged(tmp_path: Path) -> None:
    async with desk(tmp_path) as home:
        home.outbox.link(online=True)
        home.outbox.fill("telemetry:ev", [(UTC_S + 60 * n, b"{}") for n in range(1, 8)], home.now_s)
        home.outbox.flush()
        await commit(home.outbox, home.store, home.now_s)
        assert await home.sends() == [1, 2, 3, 4, 5, 6, 7]
        home.outbox.ack("telemetry:ev", home.outbox.stream, 7, UTC_S)
        await home.ask("readings", rows={"log": "telemetry:ev", "firstSeq": 3, "lastSeq": 900})
        told = {"log": "telemetry:ev", "stream": home.outbox.stream, "firstSeq": 3, "lastSeq": 7}
        assert home.last["readings"] == told
        home.outbox.ack("telemetry:ev", home.outbox.stream, 7, UTC_S + 5)
        assert await home.sends(arrives=False) == [3, 4, 5, 6, 7]
        assert await home.sends() == [3, 4, 5, 6, 7], "what did not arrive goes once more"
        assert await home.sends() == []


async def test_a_log_that_is_none_is_refused(tmp_path: Path) -> None:
    async with desk(tmp_path) as home:
        await home.ask("readings", rows={"log": "telemetry:sauna", "firstSeq": 1, "lastSeq": 2})
        assert home.last["reception"] == "INVALID_CONTENT"
        assert "no log telemetry:sauna" in home.last["text"]


@pytest.mark.parametrize(
    ("secret", "more", "reception"),
    [
        (SENDER, {}, "INVALID_SIGNATURE"),
        (STRANGER, {}, "INVALID_SIGNATURE"),
        (READER, {"site": "home-other"}, "INVALID_CONTENT"),
        (READER, {"rows": {"log": "event", "firstSeq": 1, "lastSeq": 2}}, "INVALID_CONTENT"),
        (READER, {"more": 1}, "INVALID_CONTENT"),
        (READER, {"expiresAt": moment(UTC_S + 1301)}, "INVALID_CONTENT"),
        (READER, {"issuedAt": moment(UTC_S + 900), "expiresAt": moment(UTC_S + 999)}, "EXPIRED"),
        (READER, {"issuedAt": moment(UTC_S + 1130), "expiresAt": moment(UTC_S + 1131)}, "TEMPORARY_ERROR"),
    ],
    ids=range(8),
)
async def test_what_is_not_right_is_refused_by_its_word(
    tmp_path: Path, secret: bytes, more: dict[str, Any], reception: str
) -> None:
    async with desk(tmp_path) as home:
        await home.ask("state", secret, **more)
        assert home.last["reception"] == reception
        assert home.last["text"]
        assert home.last["id"] == (None if reception == "INVALID_SIGNATURE" else "q-1")
        assert "state" not in home.last


async def test_a_signed_question_counts_for_its_own_verb_only(tmp_path: Path) -> None:
    async with desk(tmp_path) as home:
        await home.hear(signed(question("state")), verb="diagnose")
        assert home.last["reception"] == "INVALID_CONTENT"


@pytest.mark.parametrize(
    "topic",
    [
        None,
        "",
        "homeflex/v1/other/reply/t",
        f"homeflex/v1/{SITE}/reply/",
        f"{REPLY}/more",
        "reply/t",
        REPLY + "#",
    ],
)
async def test_an_answer_goes_below_our_own_topics_only(tmp_path: Path, topic: str | None) -> None:
    async with desk(tmp_path) as home:
        await home.hear(signed(question()), response_topic=topic)
        assert home.said == []
        assert home.acknowledged == [1]


async def test_ten_a_minute_are_answered_and_a_flood_is_not(tmp_path: Path) -> None:
    async with desk(tmp_path) as home:
        for _ in range(3 * PER_MINUTE):
            await home.ask("state")
        assert [told["reception"] for _, told, _ in home.said] == ["OK"] * PER_MINUTE + ["TEMPORARY_ERROR"]
        home.now_s += 61
        await home.ask("state", issuedAt=moment(UTC_S + 1060), expiresAt=moment(UTC_S + 1100))
        assert home.last["reception"] == "OK"


async def test_a_flood_of_bad_signatures_is_answered_once_with_a_count(tmp_path: Path) -> None:
    async with desk(tmp_path) as home:
        for _ in range(50):
            await home.ask("state", STRANGER)
        home.now_s += 11
        await home.ask("state", STRANGER)
        assert [told["count"] for _, told, _ in home.said] == [1, 50]


async def test_plain_questions_are_answered_only_where_signatures_are_not_required(tmp_path: Path) -> None:
    async with desk(tmp_path) as home:
        await home.hear(json.dumps(question()).encode())
        assert home.last["reception"] == "INVALID_SIGNATURE"
        home.requires = False
        await home.hear(json.dumps(question()).encode())
        assert home.last["reception"] == "OK"
        home.now_s += 11
        await home.hear(json.dumps(question()).encode(), retain=True)
        assert home.last["reception"] == "INVALID_MESSAGE"
