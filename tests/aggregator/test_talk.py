"""The conversations over a real broker, with a home that knows nothing but the contract."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.aggregator import jwk, question, talk
from gateway.aggregator.broker import Broker, NoBroker
from gateway.aggregator.following import Ending
from gateway.aggregator.heard import Heard, of_lines
from gateway.aggregator.instruction import Head, set_body, stop_body, written
from gateway.aggregator.jwk import Key
from gateway.wire.ack import Ack
from gateway.wire.dispatch import SCHEMA
from gateway.wire.keys import parse_keys
from gateway.wire.message import decode
from gateway.wire.rpc import parse_request
from tests.aggregator.home import ROOT, SITE, STREAM, Home, at_home
from tests.aggregator.streams import Step, readings, telemetry
from tests.fakes.authority import Authority
from tests.fakes.mosquitto import Mosquitto, free_port, needs_mosquitto

pytestmark = needs_mosquitto
KEY = Key.new("agg-1", "dispatch", time.time() - 60, 3600)
RING = parse_keys(jwk.trust_store(SITE, 1, [KEY]), SITE)
WAIT_S = 15.0


@pytest.fixture(scope="module")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path_factory.mktemp("broker")) as broker:
        yield broker


@pytest.fixture
def broker(mosquitto: Mosquitto) -> Broker:
    return Broker.at(f"mqtt://127.0.0.1:{mosquitto.port}")


@pytest_asyncio.fixture
async def home(mosquitto: Mosquitto) -> AsyncIterator[Home]:
    async with at_home(mosquitto.port, RING) as home:
        yield home


def cap(id: str = "boa") -> bytes:
    head = Head(SITE, time.time(), id)
    body = set_body(
        head,
        "IMPORT_CAPACITY_LIMIT",
        [1.4],
        targets=["class:ev"],
        start_utc_s=time.time(),
        each_s=1800,
        service="bm",
    )
    return written(body)


async def send(
    broker: Broker, payload: bytes, *, key: Key = KEY, follow_s: float | None = None
) -> tuple[Ending, list[Heard]]:
    told: list[Heard] = []
    token = key.signed(payload, SCHEMA)
    ending = await talk.send(broker, SITE, payload, token, told.append, wait_s=WAIT_S, follow_s=follow_s)
    return ending, told


async def test_what_is_sent_is_believed_and_its_reception_told(broker: Broker, home: Home) -> None:
    ending, told = await send(broker, cap())
    assert ending is Ending.SUCCEEDED
    assert [one.body["targets"][0]["status"] for one in told] == ["ACCEPTED"]
    (order,) = home.orders
    assert order.id == "boa"
    assert [(topic, retained) for topic, _, retained in home.heard] == [(f"{ROOT}/dispatch", False)]
    (expires_s,) = home.expires_s
    assert expires_s is not None
    assert 600 - WAIT_S < expires_s <= 600, "no broker need keep it longer than it may be accepted"


async def test_followed_it_is_told_to_its_end(broker: Broker, home: Home) -> None:
    home.lives = ("ACCEPTED", "STARTED", "SUCCEEDED")
    ending, told = await send(broker, cap(), follow_s=WAIT_S)
    assert ending is Ending.SUCCEEDED
    assert [one.body["targets"][0]["status"] for one in told] == [*home.lives]


async def test_one_that_never_ends_is_not_followed_for_ever(broker: Broker, home: Home) -> None:
    home.lives = ("ACCEPTED", "STARTED")
    with pytest.raises(
        talk.NoAnswer, match=r"boa had not ended after 0\.5 s; the last word on it: ev STARTED"
    ):
        await send(broker, cap(), follow_s=0.5)


async def test_a_cancel_is_followed_to_the_end_of_what_it_cancels(broker: Broker, home: Home) -> None:
    ending, told = await send(
        broker, written(stop_body(Head(SITE, time.time(), "boa", 1), "cancel")), follow_s=WAIT_S
    )
    assert (ending, told[-1].body["targets"][0]["status"]) == (Ending.NOT, "REVOKED")


@pytest.mark.parametrize("lives", [("REJECTED",), ("ABORTED",)])
async def test_what_is_not_done_is_not_done(broker: Broker, home: Home, lives: tuple[str, ...]) -> None:
    home.lives = lives
    assert (await send(broker, cap(), follow_s=WAIT_S))[0] is Ending.NOT


async def test_a_key_nobody_trusts_is_answered_with_why(broker: Broker, home: Home) -> None:
    stranger = Key.new("agg-2", "dispatch", time.time() - 60, 3600)
    ending, (told,) = await send(broker, cap(), key=stranger, follow_s=WAIT_S)
    assert ending is Ending.NOT
    assert told.body["reception"] == "INVALID_SIGNATURE"
    assert home.orders == []


async def test_a_body_is_sent_as_it_is_and_its_refusal_told(broker: Broker, home: Home) -> None:
    ending, (told,) = await send(broker, b'{"schema": "homeflex.dispatch.v1", "op": "dance"}')
    assert (ending, told.body["reception"]) == (Ending.NOT, "INVALID_CONTENT")


async def test_nobody_at_home_is_no_answer(broker: Broker) -> None:
    with pytest.raises(talk.NoAnswer, match=r"no answer in 0\.2 s"):
        await talk.send(broker, SITE, b"{}", KEY.signed(b"{}", SCHEMA), print, wait_s=0.2)


async def test_no_broker_is_said_so() -> None:
    with pytest.raises(NoBroker, match=r"127\.0\.0\.1"):
        await talk.watch(Broker.at(f"mqtt://127.0.0.1:{free_port()}"), "+", print, lasts_s=WAIT_S)


async def test_keys_are_retained_and_waited_for_until_they_are_in_force(broker: Broker, home: Home) -> None:
    root = Key.new("root", "root", time.time(), 3600)
    token = jwk.signed_trust_store(jwk.trust_store(SITE, 2, [KEY]), root)
    for version, source in ((1, "remote"), (2, "local")):
        await home.say("state", {"keys": {"version": version, "source": source}}, retain=True)
        with pytest.raises(talk.NoAnswer, match=f"its state says: version {version}, {source}"):
            await talk.publish_keys(broker, SITE, 2, token, wait_s=0.3)
    assert await home.until_heard("keys") == token
    assert {retained for topic, _, retained in home.heard if topic == f"{ROOT}/keys"} == {True}
    publishing = asyncio.create_task(talk.publish_keys(broker, SITE, 2, token, wait_s=WAIT_S))
    await home.say("state", {"keys": {"version": 2, "source": "remote"}}, retain=True)
    await publishing
    for below in ("keys", "state"):
        await home.client.publish(f"{ROOT}/{below}", b"", retain=True)


async def test_keys_that_the_broker_does_not_keep_are_told(tmp_path: Path) -> None:
    """A broker that does not let us write acknowledges all the same."""
    with Mosquitto(tmp_path, acl="topic read homeflex/v1/#\n") as mosquitto:
        broker = Broker.at(f"mqtt://127.0.0.1:{mosquitto.port}")
        with pytest.raises(
            talk.NoAnswer, match="does not keep it: may we write to homeflex/v1/home-7f3a/keys"
        ):
            await talk.publish_keys(broker, SITE, 2, b"a.b.c", wait_s=0.5)


async def test_watch_tells_all_homes_and_follows_one_instruction(broker: Broker, home: Home) -> None:
    told: list[Heard] = []
    await home.say("presence", {"online": True, "boot": "k3v9q2m7x1ab"}, retain=True)
    watching = asyncio.create_task(talk.watch(broker, "+", told.append, lasts_s=None))
    following = asyncio.create_task(talk.watch(broker, SITE, told.append, lasts_s=WAIT_S, id="boa"))
    async with asyncio.timeout(WAIT_S):
        while not told:
            await asyncio.sleep(0.01)
        while not following.done():  # it may begin to listen after a status
            await home.tell(
                {"id": "boa", "revision": 0, "reception": "OK"}, {"asset": "ev", "status": "SUCCEEDED"}
            )
            await asyncio.sleep(0.05)
        await home.say("presence", {"online": False, "boot": "k3v9q2m7x1ab"}, retain=True)
        while told[-1].below != "presence":
            await asyncio.sleep(0.01)
    watching.cancel()
    assert await following is Ending.SUCCEEDED
    assert (told[0].below, told[0].retained, told[0].site) == ("presence", True, SITE)


async def test_an_instruction_that_does_not_end_is_no_answer(broker: Broker, home: Home) -> None:
    with pytest.raises(talk.NoAnswer, match=r"boa had not ended after 0\.3 s; the last word on it: none"):
        await talk.watch(broker, SITE, print, lasts_s=0.3, id="boa")


async def test_watch_goes_on_when_the_broker_is_back(tmp_path: Path) -> None:
    told: list[Heard] = []
    with Mosquitto(tmp_path) as mosquitto:
        broker = Broker.at(f"mqtt://127.0.0.1:{mosquitto.port}")
        watching = asyncio.create_task(talk.watch(broker, "+", told.append, lasts_s=None))
        async with at_home(mosquitto.port, RING) as home:
            await _until_told(home, told)
        mosquitto.restart()
        told.clear()
        async with at_home(mosquitto.port, RING) as home:
            await _until_told(home, told)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def _until_told(home: Home, told: list[Heard]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not told:
            await home.say("event", {"stream": STREAM, "seq": 1})
            await asyncio.sleep(0.05)


async def test_what_is_acknowledged_is_on_the_disk_and_a_restart_goes_on(
    broker: Broker, home: Home, tmp_path: Path
) -> None:
    stream = readings([Step(20_000, 0, False)] * 6)
    await _take_in(broker, home, tmp_path, [stream[:2], stream[3:4]], wanted=2)
    await _take_in(broker, home, tmp_path, [stream[2:3], stream[4:]], wanted=6)
    kept = [one for file in tmp_path.glob("*.jsonl") for one in of_lines(file.read_text().splitlines())]
    seqs = [
        one["seq"]
        for heard in kept
        if heard.below == "telemetry"
        for one in heard.body["points"]["ev"]["readings"]
    ]
    assert sorted(set(seqs)) == [1, 2, 3, 4, 5, 6]
    assert len(seqs) == len(set(seqs))


async def _take_in(
    broker: Broker, home: Home, folder: Path, messages: list[list[object]], wanted: int
) -> None:
    """Until an ack names `wanted`. It counts from the first number heard: so first of all it must listen."""
    home.heard.clear()
    book = talk.Book(folder)
    acking = asyncio.create_task(talk.take_in(broker, "+", book, lambda _: None, every_s=0.05, lasts_s=None))
    async with asyncio.timeout(WAIT_S):
        while not _acked(home):
            await home.say("event", {"stream": STREAM, "seq": 1})
            await asyncio.sleep(0.05)
        for one in messages:
            await home.say("telemetry", telemetry(*one).body)  # type: ignore[arg-type]
        while _acked(home).get("telemetry:ev") != wanted:
            await asyncio.sleep(0.05)
    acking.cancel()
    await asyncio.gather(acking, return_exceptions=True)


def _acked(home: Home) -> dict[str, int]:
    """What the last ack names."""
    acks = [payload for topic, payload, _ in home.heard if topic == f"{ROOT}/ack"]
    return {log: mark.seq for log, mark in decode(Ack, acks[-1], SITE).logs.items()} if acks else {}


def test_watermarks_that_are_not_ours_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "watermarks.json").write_text("mine")
    with pytest.raises(ValueError, match="not a state"):
        talk.Book(tmp_path)
    assert (tmp_path / "watermarks.json").read_text() == "mine"


@pytest.mark.parametrize("torn", ["", '{"topic": "homeflex/v1/ho', "{}\n{"])
def test_a_crash_in_the_middle_of_a_line_costs_that_line_and_no_other(tmp_path: Path, torn: str) -> None:
    stream = readings([Step(1, 0, False)] * 3)
    book = talk.Book(tmp_path)
    book.take(telemetry(*stream[:2]))
    book.save(0.0)
    (file,) = tmp_path.glob("*.jsonl")
    whole = file.read_text()
    file.write_text(whole + torn)
    book = talk.Book(tmp_path)
    book.take(telemetry(stream[2]))
    book.save(0.0)
    lines = file.read_text().removeprefix(whole + torn.rpartition("\n")[0]).strip().splitlines()
    (kept,) = of_lines(lines)
    assert kept.body["points"]["ev"]["readings"][0]["seq"] == 3


def test_nothing_is_in_the_watermarks_that_is_not_in_a_file(tmp_path: Path) -> None:
    book = talk.Book(tmp_path)
    book.take(telemetry(*readings([Step(1, 0, False)] * 3), at_utc_s=1_795_453_237.0))
    assert [*tmp_path.iterdir()] == []
    book.save(0.0)
    assert {path.name for path in tmp_path.iterdir()} == {"watermarks.json", "2026-11-23.jsonl"}
    assert json.loads((tmp_path / "watermarks.json").read_text())[SITE]["telemetry:ev"][1] == 3


async def test_tls_with_a_certificate_a_password_and_a_broker_that_is_somebody_else(tmp_path: Path) -> None:
    authority = Authority.new(tmp_path / "authority")
    certificate, key = authority.issue("broker")
    extra = (f"cafile {authority.ca}", f"certfile {certificate}", f"keyfile {key}")
    with Mosquitto(tmp_path / "broker", users={"aggregator": "geheim"}, extra=extra) as mosquitto:
        url, ca = f"mqtts://localhost:{mosquitto.port}", Path(authority.ca)
        await talk.watch(Broker.at(url, ca=ca, login=("aggregator", "geheim")), "+", print, lasts_s=0.3)
        with pytest.raises(NoBroker, match=r"[Nn]ot authori[sz]ed"):
            await talk.watch(Broker.at(url, ca=ca, login=("aggregator", "wrong")), "+", print, lasts_s=WAIT_S)
        other = Authority.new(tmp_path / "other")
        with pytest.raises(NoBroker, match="certificate verify failed"):
            await talk.watch(Broker.at(url, ca=Path(other.ca)), "+", print, lasts_s=WAIT_S)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("broker.example", "mqtts://broker.example:8883 would be"),
        ("http://broker.example", "is no broker"),
        ("mqtt://broker.example", "without TLS"),
        ("mqtts://user:secret@broker.example", "has no place in the URL"),
        ("mqtts://broker.example:port", "is no broker"),
    ],
)
def test_a_broker_that_is_none_is_refused_with_what_would_be(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as refused:
        Broker.at(url)
    assert "secret" not in str(refused.value)


def test_files_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(ValueError, match="go together"):
        Broker.at("mqtts://b", certificate=Path("a.pem"))
    with pytest.raises(ValueError, match="for mqtts"):
        Broker.at("mqtt://127.0.0.1", ca=Path("a.pem"))
    assert "geheim" not in repr(Broker.at("mqtts://b", login=("a", "geheim")))


async def test_a_question_that_nobody_answers_says_what_to_look_at(broker: Broker) -> None:
    token = KEY.signed(question.body(SITE, "state", time.time()), "homeflex.rpc.v1")
    with pytest.raises(talk.NoAnswer, match="does the broker let it read"):
        await talk.ask(broker, "home-nobody", "state", token, wait_s=0.3)


@pytest.mark.parametrize(
    ("verb", "rows", "right"),
    [
        ("weather", None, "one of state, readings, diagnose"),
        ("readings", None, "needs --log, --first and --last"),
        ("state", ("event", 1, 2), "no other question has them"),
    ],
)
def test_a_question_that_is_none_is_told_before_it_is_sent(
    verb: str, rows: tuple[str, int, int] | None, right: str
) -> None:
    with pytest.raises(ValueError, match=right):
        question.body(SITE, verb, time.time(), rows)


def test_a_question_is_one_that_a_home_takes() -> None:
    payload = question.body(SITE, "readings", time.time(), ("telemetry:ev", 3, 9))
    taken = parse_request(payload, SITE, "readings")
    assert taken.rows
    assert (taken.rows.log, taken.rows.first_seq, taken.rows.last_seq) == ("telemetry:ev", 3, 9)
