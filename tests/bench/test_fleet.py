"""The fleet's part of `make bench`: its gateways keep the product's rules, and nothing is lost on the way."""

from __future__ import annotations

import asyncio
import math
import random
import re
from pathlib import Path

import aiomqtt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.daemon.outbox import BACKFILL_EVERY_S, FETCH_PACKS, Fetch, Outbox, Parcel
from gateway.daemon.uplink import Pace, Retry
from gateway.daemon.uplog import PACK_S, Row
from gateway.wire.message import decode
from gateway.wire.readings import Telemetry
from tests.bench import packets, sizing, storm
from tests.bench.link import Link, Refused
from tests.bench.packets import Packet, Published, Will
from tests.bench.simulated import DEFAULTS, Log, wait_after, words_of_the_contract
from tests.bench.storm import ACL, AGGREGATOR, OPERATOR, Size
from tests.fakes.mosquitto import Mosquitto, needs_mosquitto

PAGE = Path(__file__).parents[2] / "docs" / "fleet.md"
BEGAN_UTC_S = 1_795_780_800  # on a quarter-hour
PATIENCE_S = 15.0


def test_the_page_has_the_access_list_that_is_measured() -> None:
    assert f"```\n{ACL}```" in PAGE.read_text()


def test_the_page_s_arithmetic_is_that_of_its_sizes() -> None:
    text = PAGE.read_text()
    packets_of = {
        topic: int(size) for topic, size in re.findall(r"^\| `([\w/]+)`[^|]*\| (\d+) \|", text, re.M)
    }
    (row,) = re.findall(r"A point's minute in a backfill is (\d+) bytes", text)
    one = sizing.One(packets_of, int(row), 4)
    loads = [sizing.load(one, homes, DEFAULTS.keepalive_s) for homes in sizing.FLEETS]
    assert sizing.table(loads) in text


def test_the_words_of_a_home_are_a_message_of_the_contract() -> None:
    body = words_of_the_contract().telemetry({"ev": [7, 8]}, backfill=True)
    told = decode(Telemetry, body, "home-7f3a")
    assert told.backfill
    assert [reading.seq for reading in told.points["ev"].readings] == [7, 8]


# --- packets --------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 20_000), max_size=4), st.integers(1, 500))
def test_packets_come_whole_however_they_are_cut(sizes: list[int], piece: int) -> None:
    bodies = [bytes(size) for size in sizes]
    wire = b"".join(packets.publish(number, "a/b", body) for number, body in enumerate(bodies, 1))
    buffer, found = bytearray(), list[Packet]()
    for start in range(0, len(wire), piece):
        buffer += wire[start : start + piece]
        found += packets.take(buffer)
    assert not buffer
    assert [packets.published(one) for one in found] == [
        Published("a/b", body, number, False) for number, body in enumerate(bodies, 1)
    ]


@needs_mosquitto
async def test_a_broker_and_another_client_understand_what_is_sent(tmp_path: Path) -> None:
    mine: list[Published] = []
    with Mosquitto(tmp_path, users={"hub": "secret"}) as broker:
        other = aiomqtt.Client(
            broker.host, broker.port, username="hub", password="secret", protocol=aiomqtt.ProtocolVersion.V5
        )
        async with asyncio.timeout(PATIENCE_S), other:
            link = await _open(broker, "hub", mine, will=Will("gone", b"lost", 0))
            await link.subscribe("to/me")
            await other.publish("to/me", b"hello", qos=1)
            await _until(lambda: bool(mine))
            await other.subscribe("#", qos=1)
            await link.publish("from/me", bytes(300))
            link.cut()
            heard = [await anext(other.messages) for _ in range(2)]
    assert mine[0].payload == b"hello"
    assert [(str(one.topic), one.payload) for one in heard] == [("from/me", bytes(300)), ("gone", b"lost")]


# --- the access list ------------------------------------------------------------------------------------


@needs_mosquitto
async def test_a_home_says_and_hears_only_what_is_its_own(tmp_path: Path) -> None:
    users = dict.fromkeys(("home-a", "home-b", AGGREGATOR, OPERATOR), "secret")
    with Mosquitto(tmp_path, users=users, acl=ACL) as broker:
        heard: list[Published] = []
        home, head = await _open(broker, "home-a", heard), await _open(broker, AGGREGATOR, [])
        for topic in (
            "presence",
            "state",
            "availability",
            "telemetry",
            "settlement",
            "dispatch/status",
            "event",
        ):
            await home.publish(f"homeflex/v1/home-a/{topic}", b"{}")
            with pytest.raises(Refused):
                await home.publish(f"homeflex/v1/home-b/{topic}", b"{}")
        for topic in ("dispatch", "ack", "keys"):
            with pytest.raises(Refused):
                await home.publish(f"homeflex/v1/home-a/{topic}", b"{}")
            # A subscription that is not a home's is granted by Mosquitto, and nothing comes of it.
            for site in ("home-a", "home-b"):
                await home.subscribe(f"homeflex/v1/{site}/{topic}")
                await head.publish(f"homeflex/v1/{site}/{topic}", site.encode())
        await _until(lambda: len(heard) == 3)
        await head.publish("homeflex/v1/home-a/ack", b"last")
        await _until(lambda: len(heard) == 4)
        with pytest.raises(Refused):
            await head.publish("homeflex/v1/home-a/telemetry", b"{}")
        for link in (home, head):
            link.close()
    assert {one.topic.split("/")[2] for one in heard} == {"home-a"}


@needs_mosquitto
async def test_no_home_ends_another_s_session_where_the_id_is_tied_to_the_user(tmp_path: Path) -> None:
    users = dict.fromkeys(("home-a", "home-b", AGGREGATOR), "secret")
    tied = re.findall(r"`(use_username_as_clientid true)`", PAGE.read_text())
    for lines, is_cut in (([], True), (tied, False)):
        heard, stolen = list[Published](), list[Published]()
        with Mosquitto(tmp_path / str(is_cut), users=users, acl=ACL, extra=tuple(lines)) as broker:
            home, head = await _open(broker, "home-a", heard), await _open(broker, AGGREGATOR, [])
            await home.subscribe("homeflex/v1/home-a/dispatch")
            thief = await _open(broker, "home-b", stolen, client_id="homeflex-home-a")
            await head.publish("homeflex/v1/home-a/dispatch", b"mine")
            await _until(lambda link=home, came=heard: link.has_ended or bool(came))
            assert home.has_ended is is_cut
            for link in (home, head, thief):
                link.close()
        assert ([one.payload for one in heard], stolen) == ([] if is_cut else [b"mine"], [])


# --- the rules ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("minutes", [1, 10, 60, 75, 76, 200, 360])
def test_a_backlog_goes_in_as_many_messages_as_the_product_sends(minutes: int) -> None:
    """The oracle is the product's outbox over a disk of packs. It has the last quarter-hour in memory, which
    may spare it one message."""
    rows = [Row("telemetry:ev", seq, BEGAN_UTC_S + 60.0 * (seq - 1), b"{}") for seq in range(1, minutes + 1)]
    outbox, now_s = Outbox("01JDC0W3Q8Z5", {}), 0.0
    for row in rows:
        outbox.add(row.log, row.at_utc_s, row.body, now_s)
        while (save := outbox.save(now_s)) is not None:
            outbox.saved(save)
    outbox.link(online=True)
    sent: list[list[int]] = []
    while (item := outbox.take(now_s)) is not None:
        if isinstance(item, Fetch):
            first = rows[item.first_seq - 1].at_utc_s // PACK_S
            packs = range(int(first), int(first) + FETCH_PACKS)
            outbox.fetched(item, [row for row in rows if row.at_utc_s // PACK_S in packs])
            continue
        assert isinstance(item, Parcel)
        sent.append([row.seq for row in item.rows])
        outbox.sent(item, BEGAN_UTC_S)
        now_s += BACKFILL_EVERY_S
    log, simulated = Log(minutes, todo=set(range(1, minutes + 1))), list[list[int]]()
    while log.todo:
        simulated.append(log.late())
        log.todo.difference_update(simulated[-1])
    assert [seq for seqs in simulated for seq in seqs] == list(range(1, minutes + 1))
    assert len(simulated) == sizing.backlog_messages(minutes)
    assert len(sent) <= len(simulated) <= len(sent) + 1


@given(st.integers(0, 2**32), st.floats(600, 21_600))
def test_after_a_long_outage_every_home_comes_within_the_longest_wait(seed: int, outage_s: float) -> None:
    retry = Retry(Pace(), random.Random(seed).random)
    assert 0 <= wait_after(outage_s, retry) <= 300


def test_after_a_long_outage_homes_come_as_the_arithmetic_says() -> None:
    """By then the attempts of a home are a renewal process with even waits of up to 300 s."""
    draw = random.Random(7).random
    waits_s = [wait_after(3600, Retry(Pace(), draw)) for _ in range(4000)]
    for until_s in (15, 60, 150):
        share = sum(wait_s <= until_s for wait_s in waits_s) / len(waits_s)
        assert math.isclose(share, 1 - (1 - until_s / 300) ** 2, abs_tol=0.03)
    assert sizing.peak_connects(1_000_000) == pytest.approx(6667, abs=1)


def test_an_ack_that_trails_brings_what_it_lacks_once_more() -> None:
    log = Log(10, sent_s=dict.fromkeys(range(1, 11), 1000.0))
    log.acknowledge(6, 1100.0)
    assert log.todo == set()
    log.acknowledge(6, 1121.0)
    assert log.todo == {7, 8, 9, 10}
    log.acknowledge(10, 1122.0)
    assert log.todo == set()


def test_a_load_is_the_sum_of_its_homes() -> None:
    one = sizing.One(dict.fromkeys((*sizing.RETAINED, "telemetry"), 600), 400, 4)
    small, large = sizing.load(one, 300, 20), sizing.load(one, 300_000, 20)
    assert (small.messages_per_s, small.bytes_per_s, small.pings_per_s) == (6.0, 3600.0, 15.0)
    assert small.retained_bytes == 300 * 4 * 600
    assert large.bytes_per_s == pytest.approx(1000 * small.bytes_per_s)
    short, long = small.returns
    assert (short.messages_each, short.bytes_each) == (3 + 4, 3 * 600 + 4 * 10 * 400)
    assert (long.messages_each, long.bytes_each) == (3 + 4 * 6, 3 * 600 + 4 * 360 * 400)
    assert short.messages_per_s == pytest.approx(300 / 150 * 7)
    with pytest.raises(ValueError, match="the waits still grow"):
        sizing.returned(one, 300, 60)


# --- the storm ------------------------------------------------------------------------------------------


@needs_mosquitto
async def test_a_small_fleet_loses_its_broker_and_not_a_row(tmp_path: Path) -> None:
    found = await storm.restarted(tmp_path, Size(8, 400), words_of_the_contract(), 600.0, 300.0)
    assert len(found.connected_s) == len(found.drained_s) == 8
    assert found.rows >= 8 * 10
    assert (found.lost, found.dropped, found.refused) == (0, 0, 0)
    assert found.wills == 8  # told by Mosquitto as it stops, without their delay


@needs_mosquitto
async def test_a_small_fleet_with_a_long_backlog_catches_up(tmp_path: Path) -> None:
    found = await storm.behind(tmp_path, Size(8, 400), words_of_the_contract(), 21_600.0)
    assert found.rows >= 8 * 360
    assert (found.lost, found.refused) == (0, 0)
    assert found.messages >= 8 * (3 + sizing.backlog_messages(360))


async def _open(
    broker: Mosquitto, user: str, heard: list[Published], *, client_id: str = "", will: Will | None = None
) -> Link:
    hello = packets.connect(
        client_id or f"homeflex-{user}",
        user,
        "secret",
        keepalive_s=20,
        session_expiry_s=60,
        receive_maximum=16,
        will=will,
    )
    return await Link.open(broker.port, hello, lambda _link, message: heard.append(message), 20.0)


async def _until(holds: object) -> None:
    assert callable(holds)
    async with asyncio.timeout(PATIENCE_S):
        while not holds():
            await asyncio.sleep(0.01)
