"""The uplink over real brokers, over a broken line, and byte by byte against a scripted broker."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import importlib.metadata
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import aiomqtt
import paho.mqtt.client
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.daemon.inbound import Inbound
from gateway.daemon.session import End, NotDelivered, Subscription
from gateway.daemon.uplink import Pace, Retry, Tls, Uplink, UplinkSettings, Will
from tests.fakes.authority import Authority
from tests.fakes.broker import EmbeddedBroker
from tests.fakes.mosquitto import Mosquitto, free_port, needs_mosquitto
from tests.faults.tcp_proxy import Fault, TcpProxy

HOST = "127.0.0.1"
ID = "homeflex-test"
DOWN = Subscription("down", retain_handling=2)
SOON_S = 15.0
AT_ONCE_S = 0.5  # well under any deadline of the uplink below
PACE = Pace(
    connect_s=3.0, answer_s=3.0, retry_first_s=0.02, retry_most_s=0.1, retry_taken_over_s=0.05, stable_s=60.0
)

Broker = Mosquitto | EmbeddedBroker


@dataclass
class Home:
    """Who listens: remembers everything, and acknowledges what `handles` says."""

    handles: Callable[[Inbound], bool] = lambda _inbound: True
    ups: list[bool] = field(default_factory=list)
    downs: list[str] = field(default_factory=list)
    messages_at_down: list[int] = field(default_factory=list)
    messages: list[Inbound] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    takeovers: list[str] = field(default_factory=list)
    uplink: Uplink | None = None

    def on_up(self, session_present: bool) -> None:
        self.ups.append(session_present)

    def on_down(self, reason: str) -> None:
        self.downs.append(reason)
        self.messages_at_down.append(len(self.messages))

    def on_message(self, inbound: Inbound) -> None:
        self.messages.append(inbound)
        if self.handles(inbound):
            assert self.uplink is not None
            self.uplink.acknowledge(inbound)

    def on_refused(self, topic: str, reason: str) -> None:
        self.refused.append((topic, reason))

    def on_taken_over(self, reason: str) -> None:
        self.takeovers.append(reason)

    @property
    def payloads(self) -> list[bytes]:
        return [inbound.payload for inbound in self.messages]


async def until(condition: Callable[[], object], within_s: float = SOON_S) -> None:
    """Wait for the outside world: a real broker in a real process."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def linked(
    home: Home,
    port: int,
    *subscriptions: Subscription,
    will: Will | None = None,
    pace: Pace = PACE,
    keepalive_s: int = 20,
    tls: Tls | None = None,
    host: str = HOST,
    username: str | None = None,
) -> AsyncIterator[Uplink]:
    """An uplink that runs, and is closed cleanly at the end."""
    password = None if username is None else "secret"
    settings = UplinkSettings(
        host, port, ID, tls=tls, username=username, password=password, keepalive_s=keepalive_s
    )
    uplink = Uplink(settings, subscriptions or (DOWN,), home, will=will, pace=pace)
    home.uplink = uplink
    running = asyncio.create_task(uplink.run())
    try:
        yield uplink
    finally:
        await uplink.close()
        await running


@contextlib.asynccontextmanager
async def aggregator(port: int, **options: str) -> AsyncIterator[aiomqtt.Client]:
    no_delay = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
    async with aiomqtt.Client(
        HOST, port, protocol=aiomqtt.ProtocolVersion.V5, socket_options=no_delay, **options
    ) as client:
        yield client


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as broker:
        yield broker


@pytest.fixture(params=[pytest.param(Mosquitto, marks=needs_mosquitto), EmbeddedBroker])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    with request.param(tmp_path) as broker:
        yield broker


# --- contract with aiomqtt, paho and both brokers: what an update of any of them may break ----------------


def test_aiomqtt_is_the_version_whose_private_attribute_we_know() -> None:
    assert importlib.metadata.version("aiomqtt").startswith("2.5.")


async def test_aiomqtt_still_holds_a_paho_client_with_manual_acknowledgement() -> None:
    held = aiomqtt.Client(HOST)._client
    assert isinstance(held, paho.mqtt.client.Client)
    assert callable(held.manual_ack_set)
    assert callable(held.ack)


async def test_unacknowledged_messages_come_again_and_acknowledged_ones_do_not(broker: Broker) -> None:
    home = Home(handles=lambda inbound: inbound.payload in (b"0", b"1"))
    async with TcpProxy(HOST, broker.port) as line, linked(home, line.port) as uplink:
        await until(lambda: home.ups)
        async with aggregator(broker.port) as sender:
            for number in range(5):
                await sender.publish("down", str(number), qos=1)
        await until(lambda: len(home.messages) == 5)
        home.handles = lambda _inbound: True
        await uplink.publish("up", b"the broker has read all before this")
        line.cut()
        await until(lambda: len(home.messages) == 8 and len(home.ups) == 2)
        assert home.payloads == [b"0", b"1", b"2", b"3", b"4", b"2", b"3", b"4"]
        assert home.ups == [False, True]
        await uplink.publish("up", b"the broker has read all before this")
        line.cut()
        await until(lambda: len(home.ups) == 3)
        async with aggregator(broker.port) as sender:
            await sender.publish("down", "5", qos=1)
        await until(lambda: home.payloads[-1] == b"5")
        assert len(home.messages) == 9


async def test_a_handle_of_a_former_connection_acknowledges_nothing(broker: Broker) -> None:
    home = Home(handles=lambda _inbound: False)
    async with TcpProxy(HOST, broker.port) as line, linked(home, line.port) as uplink:
        await until(lambda: home.ups)
        async with aggregator(broker.port) as sender:
            await sender.publish("down", "held", qos=1)
        await until(lambda: len(home.messages) == 1)
        line.cut()
        await until(lambda: len(home.messages) == 2)
        uplink.acknowledge(home.messages[0])
        line.cut()
        await until(lambda: len(home.messages) == 3)


async def test_a_killed_broker_that_forgot_us_is_subscribed_to_again(broker: Broker) -> None:
    home = Home()
    async with linked(home, broker.port) as uplink:
        await until(lambda: home.ups)
        broker.kill()
        await until(lambda: home.downs)
        with pytest.raises(NotDelivered, match="no link"):
            await uplink.publish("up", b"lost")
        broker.start()
        await until(lambda: len(home.ups) == 2)
        async with aggregator(broker.port) as sender:
            await sender.publish("down", "back", qos=1)
        await until(lambda: home.payloads == [b"back"])
        assert home.ups == [False, False]
        assert len(home.downs) == 1


async def test_what_is_published_arrives_with_its_topic_and_retained_if_asked(broker: Broker) -> None:
    home = Home()
    async with linked(home, broker.port) as uplink:
        await until(lambda: home.ups)
        await uplink.publish("up/state", b"kept", retain=True, expiry_s=60)
        async with aggregator(broker.port) as receiver:
            await receiver.subscribe("up/#", qos=1)
            message = await asyncio.wait_for(anext(receiver.messages), SOON_S)
    assert (message.topic.value, message.payload, message.retain) == ("up/state", b"kept", True)


async def test_more_unacknowledged_messages_than_we_may_hold_close_and_lose_nothing(tmp_path: Path) -> None:
    home = Home(handles=lambda _inbound: False)
    sent = {str(number).encode() for number in range(90)}
    # rumqttd knows no receive maximum: it is the broker that would drown us.
    with EmbeddedBroker(tmp_path) as broker:
        async with linked(home, broker.port):
            await until(lambda: home.ups)
            async with aggregator(broker.port) as sender:
                for payload in sorted(sent):
                    await sender.publish("down", payload, qos=1)
            await until(lambda: home.downs)
            assert "unacknowledged" in home.downs[0]
            assert home.messages_at_down[0] == 64
            home.handles = lambda _inbound: True
            await until(lambda: set(home.payloads) == sent)


async def test_more_unacknowledged_bytes_than_we_may_hold_close_and_lose_nothing(tmp_path: Path) -> None:
    home = Home(handles=lambda _inbound: False)
    with EmbeddedBroker(tmp_path) as broker:
        async with linked(home, broker.port):
            await until(lambda: home.ups)
            async with aggregator(broker.port) as sender:
                for letter in "abcde":
                    await sender.publish("down", letter * 250_000, qos=1)
            await until(lambda: home.downs)
            assert home.messages_at_down[0] == 4
            home.handles = lambda _inbound: True
            await until(lambda: {payload[:1] for payload in home.payloads} == {b"a", b"b", b"c", b"d", b"e"})


# --- Mosquitto: what only it enforces ---------------------------------------------------------------------


@needs_mosquitto
async def test_a_refused_message_is_not_delivered(tmp_path: Path) -> None:
    home = Home()
    with Mosquitto(tmp_path, users={"hub": "secret"}, acl="user hub\ntopic write up/#\n") as broker:
        async with linked(home, broker.port, username="hub") as uplink:
            await until(lambda: home.ups)
            await uplink.publish("up/state", b"mine")
            with pytest.raises(NotDelivered, match=r"elsewhere: Not authorized"):
                await uplink.publish("elsewhere", b"not mine")


@needs_mosquitto
async def test_a_wrong_password_is_told_as_such(tmp_path: Path) -> None:
    home = Home()
    with Mosquitto(tmp_path, users={"hub": "another"}) as broker:
        async with linked(home, broker.port, username="hub"):
            await until(lambda: home.downs)
    assert "Not authorized" in home.downs[0]


@needs_mosquitto
async def test_a_subscription_granted_without_our_quality_is_reported(tmp_path: Path) -> None:
    home = Home()
    with Mosquitto(tmp_path, extra=("max_qos 0",)) as broker:
        async with linked(home, broker.port):
            await until(lambda: home.ups)
    assert home.refused == [("down", "Granted QoS 0")]


@needs_mosquitto
async def test_a_retained_dispatch_is_not_sent_at_the_start_and_flagged_when_new(
    mosquitto: Mosquitto,
) -> None:
    home = Home()
    async with aggregator(mosquitto.port) as sender:
        await sender.publish("down", "old", qos=1, retain=True)
        await sender.publish("config", "kept", qos=1, retain=True)
        async with linked(home, mosquitto.port, Subscription("config"), DOWN):
            await until(lambda: home.ups)
            await sender.publish("down", "new", qos=1, retain=True)
            await sender.publish("down", "plain", qos=1)
            await until(lambda: len(home.messages) >= 3)
    assert [(m.payload, m.retain) for m in home.messages] == [
        (b"kept", True),
        (b"new", True),
        (b"plain", False),
    ]


@needs_mosquitto
async def test_what_is_retained_first_comes_before_what_was_queued_while_we_were_away(
    mosquitto: Mosquitto,
) -> None:
    away = Home()
    async with linked(away, mosquitto.port):
        await until(lambda: away.ups)
    home = Home(handles=lambda _inbound: False)
    async with aggregator(mosquitto.port) as sender:
        for number in range(3):
            await sender.publish("down", str(number), qos=1)
        await sender.publish("keys", "kept", qos=1, retain=True)
        async with linked(home, mosquitto.port, Subscription("keys", first=True), DOWN) as uplink:
            await until(lambda: home.messages)
            await asyncio.sleep(0.1)
            assert home.payloads == [b"kept"], "until it has effect"
            assert home.ups == []
            uplink.acknowledge(home.messages[0])
            await until(lambda: home.ups)
            await until(lambda: len(home.messages) == 4)
    assert home.payloads == [b"kept", b"0", b"1", b"2"]


@needs_mosquitto
async def test_a_full_window_of_queued_messages_does_not_keep_back_what_is_retained_first(
    mosquitto: Mosquitto,
) -> None:
    away = Home()
    async with linked(away, mosquitto.port):
        await until(lambda: away.ups)
    home = Home()
    async with aggregator(mosquitto.port) as sender:
        for number in range(40):
            await sender.publish("down", str(number), qos=1)
        await sender.publish("keys", "kept", qos=1, retain=True)
        pace = dataclasses.replace(PACE, retained_s=3600.0)
        async with linked(home, mosquitto.port, Subscription("keys", first=True), DOWN, pace=pace):
            await until(lambda: home.ups and len(home.messages) == 41)
    assert home.payloads.index(b"kept") == 40 - 15, "as many are held, the others came before"
    assert [payload for payload in home.payloads if payload != b"kept"] == [b"%d" % n for n in range(40)]


@needs_mosquitto
async def test_a_kept_session_does_not_wait_for_what_is_not_asked_for_again(mosquitto: Mosquitto) -> None:
    home = Home()
    first = (Subscription("keys", first=True), DOWN)
    pace = dataclasses.replace(PACE, retained_s=3600.0)
    async with TcpProxy(HOST, mosquitto.port) as line, aggregator(mosquitto.port) as sender:
        await sender.publish("keys", "kept", qos=1, retain=True)
        async with linked(home, line.port, *first, pace=pace):
            await until(lambda: home.ups)
            for number in range(2):
                line.cut()
                await until(lambda number=number: len(home.downs) == number + 1)
                await sender.publish("down", b"%d" % number, qos=1)
                # Each once: what is cut may take the PUBACK of the one before with it.
                wanted = [b"kept", b"0", b"1"][: number + 2]
                await until(lambda wanted=wanted: [*dict.fromkeys(home.payloads)] == wanted)
                await until(lambda number=number: home.ups == [False, True, True][: number + 2])


@needs_mosquitto
async def test_a_client_that_keeps_taking_our_place_is_reported(mosquitto: Mosquitto) -> None:
    home = Home()
    async with linked(home, mosquitto.port):
        for times in (1, 2, 3):
            await until(lambda times=times: len(home.ups) == times)
            assert not home.takeovers
            async with aggregator(mosquitto.port, identifier=ID):
                await until(lambda times=times: len(home.downs) == times)
        await until(lambda: home.takeovers)


@needs_mosquitto
async def test_a_clean_close_discards_the_will(mosquitto: Mosquitto) -> None:
    home = Home()
    async with aggregator(mosquitto.port) as observer:
        await observer.subscribe("presence", qos=1)
        async with linked(home, mosquitto.port, will=Will("presence", b"gone", delay_s=0)) as uplink:
            await until(lambda: home.ups)
            await uplink.publish("presence", b"stopping")
        heard = await asyncio.wait_for(anext(observer.messages), SOON_S)
        assert heard.payload == b"stopping"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(observer.messages), 0.2)


@needs_mosquitto
async def test_the_broker_speaks_for_us_when_we_end_without_goodbye(mosquitto: Mosquitto) -> None:
    home = Home()
    settings = UplinkSettings(HOST, mosquitto.port, ID)
    uplink = Uplink(settings, (DOWN,), home, will=Will("presence", b"gone", delay_s=0), pace=PACE)
    running = asyncio.create_task(uplink.run())
    await until(lambda: home.ups)
    async with aggregator(mosquitto.port) as observer:
        await observer.subscribe("presence", qos=1)
        running.cancel()
        heard = await asyncio.wait_for(anext(observer.messages), SOON_S)
    assert heard.payload == b"gone"
    with pytest.raises(asyncio.CancelledError):
        await running


@needs_mosquitto
async def test_a_will_with_a_delay_stays_unsaid_when_we_are_back_in_time(mosquitto: Mosquitto) -> None:
    home = Home()
    will = Will("presence", b"gone", delay_s=1)
    async with aggregator(mosquitto.port) as observer, TcpProxy(HOST, mosquitto.port) as line:
        await observer.subscribe("presence", qos=1)
        async with linked(home, line.port, will=will):
            await until(lambda: home.ups)
            line.cut()
            await until(lambda: len(home.ups) == 2)
            with pytest.raises(TimeoutError):  # Mosquitto looks once a second
                await asyncio.wait_for(anext(observer.messages), 2.2)


@needs_mosquitto
async def test_an_answer_does_not_wait_for_a_delayed_ack(mosquitto: Mosquitto) -> None:
    home = Home()
    round_trips_s = []
    async with linked(home, mosquitto.port) as uplink, aggregator(mosquitto.port) as sender:
        await until(lambda: home.ups)
        await sender.subscribe("up", qos=1)
        for count in range(1, 12):
            begun_s = time.perf_counter()
            await sender.publish("down", b"ask", qos=1)
            await until(lambda count=count: len(home.messages) == count)
            await uplink.publish("up", b"answer")
            await asyncio.wait_for(anext(sender.messages), SOON_S)
            round_trips_s.append(time.perf_counter() - begun_s)
    assert min(round_trips_s) < 0.03  # with Nagle's delay each takes 0.04 and more


# --- TLS --------------------------------------------------------------------------------------------------


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.new(tmp_path / "authority")


@pytest.fixture
def tls_broker(authority: Authority, tmp_path: Path) -> Iterator[Mosquitto]:
    certfile, keyfile = authority.issue("broker")
    extra = (
        f"cafile {authority.ca}",
        f"certfile {certfile}",
        f"keyfile {keyfile}",
        "require_certificate true",
    )
    with Mosquitto(tmp_path / "broker", extra=extra) as broker:
        yield broker


@needs_mosquitto
@pytest.mark.parametrize("host", ["localhost", HOST])
async def test_the_link_is_encrypted_and_both_sides_are_who_they_say(
    host: str, authority: Authority, tls_broker: Mosquitto
) -> None:
    home = Home()
    tls = Tls(authority.ca, *authority.issue("hub"))
    async with linked(home, tls_broker.port, tls=tls, host=host) as uplink:
        await until(lambda: home.ups)
        await uplink.publish("up", b"x" * 200_000)


@needs_mosquitto
async def test_a_broker_of_another_authority_is_not_spoken_to(
    authority: Authority, tls_broker: Mosquitto, tmp_path: Path
) -> None:
    home = Home()
    tls = Tls(Authority.new(tmp_path / "other").ca, *authority.issue("hub"))
    async with linked(home, tls_broker.port, tls=tls):
        await until(lambda: home.downs)
    assert "certificate verify failed" in home.downs[0]
    assert not home.ups


@needs_mosquitto
async def test_a_broker_of_another_name_is_not_spoken_to(
    authority: Authority, tls_broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home()
    found = socket.getaddrinfo(HOST, tls_broker.port, 0, socket.SOCK_STREAM)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: found)
    async with linked(
        home, tls_broker.port, tls=Tls(authority.ca, *authority.issue("hub")), host="broker.test"
    ):
        await until(lambda: home.downs)
    assert "Hostname mismatch" in home.downs[0]


@needs_mosquitto
async def test_a_refused_certificate_is_told_with_its_dates(
    authority: Authority, tls_broker: Mosquitto
) -> None:
    home = Home()
    expired = Tls(authority.ca, *authority.issue("hub", days=(-30, -2)))
    ended = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=2)
    async with linked(home, tls_broker.port, tls=expired):
        await until(lambda: home.downs, within_s=AT_ONCE_S)
    assert "certificate expired" in home.downs[0].lower().replace("_", " ")
    assert f"to {ended:%F})" in home.downs[0]


async def test_a_missing_file_is_named(tmp_path: Path) -> None:
    home = Home()
    async with linked(home, free_port(), tls=Tls(str(tmp_path / "ca.crt"))):
        await until(lambda: home.downs)
    assert str(tmp_path / "ca.crt") in home.downs[0]


@pytest.mark.parametrize("host", ["broker.example", "192.0.2.1", "10.0.0.5"])
def test_a_broker_elsewhere_without_tls_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="needs TLS"):
        UplinkSettings(host, 8883, ID)


def test_a_password_is_not_printed() -> None:
    assert "secret" not in repr(UplinkSettings(HOST, 1883, ID, password="secret"))


# --- a broken line ----------------------------------------------------------------------------------------


async def test_what_is_in_flight_when_the_line_breaks_fails_at_once(broker: Broker) -> None:
    home = Home()
    async with TcpProxy(HOST, broker.port) as line, linked(home, line.port) as uplink:
        await until(lambda: home.ups)
        line.fault = Fault(stall=True)
        waiting = [asyncio.create_task(uplink.publish("up", b"x")) for _ in range(40)]
        await asyncio.sleep(0.05)
        line.cut()
        async with asyncio.timeout(AT_ONCE_S):
            results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, NotDelivered) and "link lost" in str(result) for result in results)


async def test_a_broker_that_is_not_there_is_told_once_and_found_when_it_comes() -> None:
    home = Home()
    broker = ScriptedBroker()
    broker.port = free_port()
    async with linked(home, broker.port):
        await until(lambda: home.downs)
        await asyncio.sleep(0.2)  # several attempts
        async with broker.listening():
            await until(lambda: home.ups)
    assert home.downs == ["[Errno 111] Connection refused"]


async def test_a_name_server_that_hangs_holds_no_thread_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home()
    answered = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: answered.wait(SOON_S) and [])
    pace = Pace(connect_s=0.05, retry_first_s=0.01, retry_most_s=0.01)
    try:
        async with linked(home, 1883, pace=pace, host="localhost"):
            await until(lambda: home.downs)
            await asyncio.sleep(0.3)  # several attempts: more than its threads
            names = {thread.name for thread in threading.enumerate() if thread.name.startswith("uplink")}
            assert len(names) <= 2
            assert await asyncio.wait_for(asyncio.to_thread(lambda: "free"), AT_ONCE_S) == "free"
    finally:
        answered.set()
    assert "no answer in 0.05 s" in home.downs[0]


# --- byte by byte -----------------------------------------------------------------------------------------

CONNECT, PUBLISH, PUBACK, SUBSCRIBE, DISCONNECT = 1, 3, 4, 8, 14
CONNACK_OK = bytes.fromhex("20 03 00 00 00")  # no session, success, no properties
CONNACK_TWO_IN_FLIGHT = bytes.fromhex("20 06 00 00 03 21 00 02")  # receive maximum 2
CONNACK_SMALL_PACKETS = bytes.fromhex("20 08 00 00 05 27 00 00 00 64")  # maximum packet size 100
TAKEN_OVER = bytes.fromhex("e0 02 8e 00")


class ScriptedBroker:
    """Accepts everyone with `connack`, answers subscriptions with `suback`, and the rest as told."""

    def __init__(self, connack: bytes = CONNACK_OK, suback: int = 1) -> None:
        self.connack = connack
        self.suback = suback
        self.received: list[tuple[int, bytes]] = []  # packet type and what follows the length
        self.writer: asyncio.StreamWriter | None = None
        self.port = 0

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[ScriptedBroker]:
        server = await asyncio.start_server(self._serve, HOST, self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    def send(self, data: bytes) -> None:
        assert self.writer is not None
        self.writer.write(data)

    def publish(self, packet_id: int, payload: bytes, *, retain: bool = False) -> None:
        body = b"\x00\x04down" + struct.pack(">H", packet_id) + b"\x00" + payload
        self.send(bytes([0x32 | retain, len(body)]) + body)

    def of(self, kind: int) -> list[bytes]:
        return [body for packet, body in self.received if packet == kind]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                kind, body = await self._packet(reader)
                self.received.append((kind, body))
                if kind == CONNECT:
                    writer.write(self.connack)
                elif kind == SUBSCRIBE:
                    writer.write(b"\x90\x04" + body[:2] + bytes([0, self.suback]))
        writer.close()

    async def _packet(self, reader: asyncio.StreamReader) -> tuple[int, bytes]:
        kind = (await reader.readexactly(1))[0] >> 4
        length, shift = 0, 0
        while True:
            byte = (await reader.readexactly(1))[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return kind, await reader.readexactly(length)


async def test_acknowledgements_leave_in_order_of_arrival_whatever_the_order_of_commits() -> None:
    home = Home(handles=lambda _inbound: False)
    async with ScriptedBroker().listening() as broker, linked(home, broker.port) as uplink:
        await until(lambda: home.ups)
        for packet_id in (7, 3, 9):
            broker.publish(packet_id, b"x")
        await until(lambda: len(home.messages) == 3)
        first, second, third = home.messages
        uplink.acknowledge(third)
        uplink.acknowledge(second)
        await asyncio.sleep(0.05)
        assert broker.of(PUBACK) == []
        uplink.acknowledge(first)
        uplink.acknowledge(first)
        await until(lambda: len(broker.of(PUBACK)) == 3)
        assert [struct.unpack(">H", body[:2])[0] for body in broker.of(PUBACK)] == [7, 3, 9]


async def test_the_connection_asks_for_what_the_contract_says() -> None:
    home = Home()
    async with ScriptedBroker().listening() as broker, linked(home, broker.port, keepalive_s=20):
        await until(lambda: home.ups)
        (connect,) = broker.of(CONNECT)
        (subscribe,) = broker.of(SUBSCRIBE)
    # Protocol name and level 5, no clean start and nothing else, keepalive 20 s ...
    assert connect[:10] == b"\x00\x04MQTT\x05\x00\x00\x14"
    properties = connect[11 : 11 + connect[10]]
    assert b"\x11" + struct.pack(">I", 86_400) in properties  # session expiry
    assert b"\x21" + struct.pack(">H", 16) in properties  # receive maximum
    # ... and down at QoS 1, retained as published, retained ones never sent at the start.
    assert subscribe[3:] == b"\x00\x04down" + bytes([0b10_1_0_01])


async def test_a_refused_subscription_is_reported_and_the_others_stand() -> None:
    home = Home()
    async with (
        ScriptedBroker(suback=0x87).listening() as broker,
        linked(home, broker.port, Subscription("a"), Subscription("b")),
    ):
        await until(lambda: home.ups)
    assert home.refused == [("a", "Not authorized"), ("b", "Not authorized")]


async def test_the_rest_is_asked_for_when_what_is_retained_first_has_effect() -> None:
    home = Home(handles=lambda _inbound: False)
    first = (Subscription("down", first=True), Subscription("rest"))
    async with ScriptedBroker().listening() as broker, linked(home, broker.port, *first) as uplink:
        await until(lambda: broker.of(SUBSCRIBE))
        broker.publish(1, b"queued, or new")
        broker.publish(2, b"kept", retain=True)
        await until(lambda: len(home.messages) == 2)
        await asyncio.sleep(0.1)
        assert [body[5:9] for body in broker.of(SUBSCRIBE)] == [b"down"]
        for inbound in home.messages:
            uplink.acknowledge(inbound)
        await until(lambda: home.ups)
        assert [body[5:9] for body in broker.of(SUBSCRIBE)] == [b"down", b"rest"]


async def test_where_nothing_is_retained_first_the_rest_is_asked_for_after_a_while() -> None:
    home = Home()
    first = (Subscription("down", first=True), Subscription("rest"))
    pace = dataclasses.replace(PACE, retained_s=0.2)
    async with ScriptedBroker().listening() as broker, linked(home, broker.port, *first, pace=pace):
        await until(lambda: broker.of(SUBSCRIBE))
        begun_s = time.monotonic()
        await until(lambda: len(broker.of(SUBSCRIBE)) == 2)
        assert time.monotonic() - begun_s > 0.15
        await until(lambda: home.ups)


async def test_a_line_that_breaks_while_what_is_retained_is_awaited_is_made_again() -> None:
    home = Home()
    first = (Subscription("down", first=True), Subscription("rest"))
    pace = dataclasses.replace(PACE, retained_s=3600.0)
    async with ScriptedBroker().listening() as broker, linked(home, broker.port, *first, pace=pace):
        await until(lambda: broker.of(SUBSCRIBE))
        assert broker.writer is not None
        broker.writer.close()
        await until(lambda: len(broker.of(SUBSCRIBE)) == 2)
        broker.publish(1, b"kept", retain=True)
        await until(lambda: home.ups)


async def test_a_refused_first_subscription_is_not_waited_for() -> None:
    home = Home()
    first = (Subscription("a", first=True), Subscription("b"))
    pace = dataclasses.replace(PACE, retained_s=3600.0)
    async with (
        ScriptedBroker(suback=0x87).listening() as broker,
        linked(home, broker.port, *first, pace=pace),
    ):
        await until(lambda: home.ups)
    assert [topic for topic, _ in home.refused] == ["a", "b"]


async def test_a_fault_of_the_listener_in_what_was_held_back_ends_the_run_too() -> None:
    home = Home(handles=lambda inbound: inbound.topic != "down" or 1 // 0 > 0)
    settings = UplinkSettings(HOST, 0, ID)
    async with ScriptedBroker().listening() as broker:
        uplink = Uplink(
            dataclasses.replace(settings, port=broker.port),
            (Subscription("first", first=True), DOWN),
            home,
            pace=dataclasses.replace(PACE, retained_s=0.2),
        )
        running = asyncio.create_task(uplink.run())
        await until(lambda: broker.of(SUBSCRIBE))
        broker.publish(1, b"x")
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(running, SOON_S)


async def test_a_broker_that_says_taken_over_is_believed_the_first_time() -> None:
    home = Home()
    # In one segment: the end is there before the beginning was looked at.
    async with (
        ScriptedBroker(connack=CONNACK_OK + TAKEN_OVER).listening() as broker,
        linked(home, broker.port),
    ):
        await until(lambda: home.takeovers)
    assert home.takeovers[0] == "the broker said: Session taken over"


async def test_no_more_messages_are_in_flight_than_the_broker_takes() -> None:
    home = Home()
    async with (
        ScriptedBroker(CONNACK_TWO_IN_FLIGHT).listening() as broker,
        linked(home, broker.port) as uplink,
    ):
        await until(lambda: home.ups)
        sent = [asyncio.create_task(uplink.publish("up", str(n).encode())) for n in range(5)]
        for answered in range(5):
            await until(lambda n=answered: len(broker.of(PUBLISH)) == min(5, n + 2))
            await asyncio.sleep(0.02)
            assert len(broker.of(PUBLISH)) == min(5, answered + 2)
            packet_id = broker.of(PUBLISH)[answered][4:6]  # after the topic "up"
            broker.send(b"\x40\x02" + packet_id)
        await asyncio.gather(*sent)


async def test_messages_do_not_wait_without_bound_for_a_broker_that_does_not_answer() -> None:
    home = Home()
    pace = Pace(answer_s=0.2)
    async with ScriptedBroker().listening() as broker, linked(home, broker.port, pace=pace) as uplink:
        await until(lambda: home.ups)
        sent = [asyncio.create_task(uplink.publish("up", b"x")) for _ in range(16 + 64 + 1)]
        results = await asyncio.gather(*sent, return_exceptions=True)
        in_flight = len(broker.of(PUBLISH))
    texts = [str(result) for result in results if isinstance(result, NotDelivered)]
    assert in_flight == 16
    assert sum("no answer from the broker in 0.2 s" in text for text in texts) == 80
    assert sum("too many" in text for text in texts) == 1


async def test_a_message_larger_than_the_broker_takes_does_not_cost_the_link() -> None:
    home = Home()
    async with (
        ScriptedBroker(CONNACK_SMALL_PACKETS).listening() as broker,
        linked(home, broker.port) as uplink,
    ):
        await until(lambda: home.ups)
        with pytest.raises(NotDelivered, match="the broker takes 100"):
            await uplink.publish("up", b"x" * 90)
        assert broker.of(PUBLISH) == []


async def test_a_fault_of_the_listener_ends_the_run_and_is_not_swallowed() -> None:
    home = Home(handles=lambda _inbound: 1 // 0 > 0)
    async with ScriptedBroker().listening() as broker:
        uplink = Uplink(UplinkSettings(HOST, broker.port, ID), (DOWN,), home, pace=PACE)
        running = asyncio.create_task(uplink.run())
        await until(lambda: home.ups)
        broker.publish(1, b"x")
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(running, AT_ONCE_S)
    assert len(home.messages) == 1


async def test_a_line_that_only_looks_alive_is_noticed_within_two_keepalives() -> None:
    home = Home()
    async with ScriptedBroker().listening() as broker, linked(home, broker.port, keepalive_s=1):
        await until(lambda: home.downs, within_s=3.5)  # 2 x 1 s, looked at once a second; it answers no ping
    assert home.downs == ["the broker does not answer"]


async def test_closing_while_connecting_returns_at_once() -> None:
    home = Home()
    async with ScriptedBroker(connack=b"").listening() as broker:
        uplink = Uplink(UplinkSettings(HOST, broker.port, ID), (DOWN,), home, pace=PACE)
        running = asyncio.create_task(uplink.run())
        await until(lambda: broker.of(CONNECT))
        await uplink.close()
        await asyncio.wait_for(running, AT_ONCE_S)
    assert not home.ups


# --- how long to wait -------------------------------------------------------------------------------------

NEVER_UP = End("refused")
ends = st.builds(
    End,
    reason=st.just("x"),
    up_s=st.none() | st.floats(0, 1e6),
    silent=st.booleans(),
    taken_over=st.booleans(),
)


@given(st.lists(ends, max_size=40), st.floats(0, 1))
def test_no_wait_is_longer_than_five_minutes_and_none_after_a_takeover_shorter_than_one(
    history: list[End], drawn: float
) -> None:
    retry = Retry(Pace(), lambda: drawn)
    for end in history:
        wait_s = retry.after(end)
        assert 0 <= wait_s <= 300
        assert wait_s >= 60 or not retry.taken_over
        assert retry.taken_over or not end.taken_over


def test_waits_double_until_five_minutes_and_a_stable_session_begins_anew() -> None:
    retry = Retry(Pace(), lambda: 1.0)
    assert [retry.after(NEVER_UP) for _ in range(10)] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert retry.after(End("lost", up_s=59.9)) == 300
    assert retry.after(End("lost", up_s=60.0)) == 1


def test_a_fleet_does_not_come_back_in_step() -> None:
    assert Retry(Pace(), lambda: 0.25).after(NEVER_UP) == 0.25


def test_three_early_cuts_without_a_word_in_a_row_mean_another_has_our_id() -> None:
    retry = Retry(Pace(), lambda: 0.0)
    cut, lost, stable = End("x", 5.0, silent=True), End("keepalive", 5.0), End("x", 61.0, silent=True)
    seen = []
    for end in (cut, cut, lost, cut, cut, stable, cut, cut, NEVER_UP, cut, cut, cut, cut):
        retry.after(end)
        seen.append(retry.taken_over)
    assert seen == [False] * 11 + [True, True]
