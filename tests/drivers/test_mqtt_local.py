"""Devices on a local broker, against a real Mosquitto; what Mosquitto never does, against a small server."""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.base import Driver, Links, Quality, Refused, Sample, Unreachable
from drivers.mqtt_local.driver import KIND, MqttLocalDriver
from drivers.mqtt_local.payload import LARGEST_BYTES, number
from drivers.registry import kind
from gateway.core.bind import state_of
from gateway.core.model import Asset, AssetClass, Point
from tests.drivers.conformance import Subject, Watching
from tests.drivers.fuzz_mqtt_payload import fuzz_mqtt_payload
from tests.fakes.mosquitto import Mosquitto, free_port, needs_mosquitto
from tests.fakes.port import FakePort

ROOM = {"room_c": {"topic": "zigbee2mqtt/livingroom", "json": "temperature"}}
PLUG = {"power_w": {"topic": "tele/plug/SENSOR", "json": "ENERGY.Power"}}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as broker:
        yield broker


def device(port: int, points: dict[str, Any], links: Links | None = None, **broker: object) -> Driver:
    broker = {"host": "127.0.0.1", "port": port, **broker}
    return KIND.open(KIND.settings(broker=broker, points=points), links or Links())


@asynccontextmanager
async def running(*pairs: tuple[Driver, FakePort]) -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks = [asyncio.create_task(driver.run(port)) for driver, port in pairs]
    yield tasks
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def says(broker: Mosquitto, topic: str, payload: object, *, retain: bool = False) -> None:
    """What a sensor does: connect, publish, leave."""
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    async with aiomqtt.Client(broker.host, broker.port) as sensor:
        await sensor.publish(topic, data, qos=1, retain=retain)


async def heard(broker: Mosquitto, port: FakePort, topic: str, payload: object) -> Sample:
    """Say it until it is heard (before the subscription nobody listens); the last thing published."""
    before = port.publications
    async with asyncio.timeout(15):
        while port.publications == before:
            await says(broker, topic, payload)
            await asyncio.sleep(0.02)
    return next(reversed(port.points.values()))


async def subscribed(broker: Mosquitto, times: int = 1) -> None:
    async with asyncio.timeout(15):
        while broker.log.count("Sending SUBACK to homeflex") < times:
            await asyncio.sleep(0.01)


# --- on a real broker ---------------------------------------------------------------------------------


@needs_mosquitto
async def test_a_room_sensor_becomes_a_point(broker: Mosquitto) -> None:
    port = FakePort()
    async with running((device(broker.port, ROOM), port)):
        sample = await heard(broker, port, "zigbee2mqtt/livingroom", {"temperature": 21.4, "battery": 97})
    assert port.points == {"room_c": sample}
    assert sample == Sample(21.4)


@needs_mosquitto
async def test_several_points_of_one_message_are_scaled_into_their_units(broker: Mosquitto) -> None:
    points = {
        "power_w": {"topic": "t", "json": "kw", "scale": 1000},
        "import_ws": {"topic": "t", "json": "total.kwh", "scale": 3_600_000},
        "outdoor_c": {"topic": "t", "json": "f", "scale": 5 / 9, "offset": -32 * 5 / 9},
    }
    port = FakePort()
    async with running((device(broker.port, points), port)):
        await heard(broker, port, "t", {"kw": "1.2345", "total": {"kwh": 12.5}, "f": 50})
    assert port.publications == 1
    assert (port.points["power_w"].value, port.points["import_ws"].value) == (1234, 45_000_000)
    assert port.points["outdoor_c"].value == pytest.approx(10.0)


@needs_mosquitto
async def test_a_plain_number_needs_no_path(broker: Mosquitto) -> None:
    port = FakePort()
    async with running((device(broker.port, {"flow_c": {"topic": "ebusd/flow", "qos": 1}}), port)):
        assert await heard(broker, port, "ebusd/flow", b" 34.5\n") == Sample(34.5)


@needs_mosquitto
async def test_a_retained_message_is_of_unknown_age_and_never_follows_a_live_one(broker: Mosquitto) -> None:
    port, driver = FakePort(), device(broker.port, {**ROOM, **PLUG})
    await says(broker, "zigbee2mqtt/livingroom", {"temperature": 18.0}, retain=True)
    async with running((driver, port)):
        await port.until(lambda: port.publications == 1)
        assert port.points["room_c"] == Sample(18.0, Quality.UNCERTAIN, ("retained",))
        await heard(broker, port, "zigbee2mqtt/livingroom", {"temperature": 21.0})
        assert port.points["room_c"] == Sample(21.0)
    async with running((driver, port)):
        await heard(broker, port, "tele/plug/SENSOR", {"ENERGY": {"Power": 5}})  # after what was retained
        assert port.points["room_c"] == Sample(21.0)


@needs_mosquitto
async def test_a_message_without_a_number_is_dropped_counted_and_told_once(broker: Mosquitto) -> None:
    port, driver = FakePort(), device(broker.port, ROOM)
    assert isinstance(driver, MqttLocalDriver)
    async with running((driver, port)) as (task,):
        await heard(broker, port, "zigbee2mqtt/livingroom", {"temperature": 20.0})
        for bad in (
            b"\xff\xfe",
            b"offline",
            {"temperature": None},
            {"battery": 9},
            b"1" * (LARGEST_BYTES + 1),
        ):
            await says(broker, "zigbee2mqtt/livingroom", bad)
        await heard(broker, port, "zigbee2mqtt/livingroom", {"temperature": 20.5})
        assert not task.done()
    assert driver.dropped == {"room_c": 5}
    assert [event.kind for event in port.events] == ["unreadable"]
    assert port.points["room_c"].value == 20.5


@needs_mosquitto
async def test_one_asset_is_fed_from_three_devices_over_one_connection(broker: Mosquitto) -> None:
    links = Links()
    sources = {
        "plug": PLUG,
        "sensor": ROOM,
        "ebus": {"compressor_on": {"topic": "ebusd/compressor"}},
    }
    ports = {name: FakePort() for name in sources}
    pairs = [(device(broker.port, points, links), ports[name]) for name, points in sources.items()]
    async with running(*pairs):
        await heard(broker, ports["plug"], "tele/plug/SENSOR", {"ENERGY": {"Power": 812}})
        await heard(broker, ports["sensor"], "zigbee2mqtt/livingroom", {"temperature": 20.5})
        await heard(broker, ports["ebus"], "ebusd/compressor", 1)
        assert broker.log.count("as homeflex-") == 1
    asset = Asset(
        "hp",
        AssetClass.HEAT,
        nominal_w=2000,
        sources={
            "power_w": ("plug.power_w",),
            "room_c": ("sensor.room_c",),
            "running": ("ebus.compressor_on",),
        },
    )
    points = {
        f"{name}.{point}": Point(sample.value, at_s=100.0, quality=sample.quality)
        for name, port in ports.items()
        for point, sample in port.points.items()
    }
    state = state_of(points, asset, 101.0, online=True, room_max_age_s=3600.0)
    assert state.power_w is not None
    assert state.room_c is not None
    assert state.running is not None
    assert (state.power_w.value, state.room_c.value, state.running.value) == (812, 20.5, 1.0)


@needs_mosquitto
async def test_a_lost_broker_is_unreachable_for_every_device_on_it_and_works_again(broker: Mosquitto) -> None:
    links, ports = Links(), [FakePort(), FakePort()]
    drivers = [device(broker.port, points, links) for points in (ROOM, PLUG)]
    async with running(*zip(drivers, ports, strict=True)) as tasks:
        await subscribed(broker, 2)
        broker.kill()
        for task in tasks:
            with pytest.raises(Unreachable, match="lost the broker"):
                await asyncio.wait_for(task, 15)
    with pytest.raises(Unreachable, match="no broker"):
        await drivers[0].run(ports[0])
    broker.start()
    async with running(*zip(drivers, ports, strict=True)):
        await heard(broker, ports[0], "zigbee2mqtt/livingroom", {"temperature": 20.0})
        await heard(broker, ports[1], "tele/plug/SENSOR", {"ENERGY": {"Power": 5}})


@needs_mosquitto
async def test_a_device_that_leaves_takes_nothing_from_the_others(broker: Mosquitto) -> None:
    links, staying, leaving = Links(), FakePort(), FakePort()
    both = {**ROOM, **PLUG}
    async with running((device(broker.port, ROOM, links), staying)):
        async with running((device(broker.port, both, links), leaving)):
            await heard(broker, leaving, "tele/plug/SENSOR", {"ENERGY": {"Power": 5}})
        await heard(broker, staying, "zigbee2mqtt/livingroom", {"temperature": 20.0})
        assert broker.log.count("Sending UNSUBACK to homeflex") == 1
        assert broker.log.count("as homeflex-") == 1
    async with asyncio.timeout(15):
        while "Received DISCONNECT from homeflex" not in broker.log:
            await asyncio.sleep(0.01)


@pytest.mark.long
@pytest.mark.timeout(120)
@needs_mosquitto
async def test_a_broker_that_hangs_is_unreachable_within_a_minute(broker: Mosquitto) -> None:
    async with running((device(broker.port, ROOM), FakePort())) as (task,):
        await subscribed(broker)
        os.kill(broker.pid, signal.SIGSTOP)
        try:
            with pytest.raises(Unreachable):
                await asyncio.wait_for(task, 60)
        finally:
            os.kill(broker.pid, signal.SIGCONT)


class SensorSubject(Subject):
    point = "room_c"

    def __init__(self, broker: Mosquitto) -> None:
        self._broker = broker
        self._late_s = 0.0
        self._drivers = 0

    def driver(self) -> Driver:
        self._drivers += 1
        return device(self._broker.port, ROOM)

    async def silence(self) -> None:
        self._broker.kill()

    async def slow_down(self, answer_s: float) -> None:
        self._late_s = answer_s

    async def recover(self) -> None:
        self._broker.restart()

    async def prompt(self) -> None:
        await subscribed(self._broker, self._drivers)
        await asyncio.sleep(self._late_s)
        await says(self._broker, "zigbee2mqtt/livingroom", {"temperature": 20.0})


@needs_mosquitto
class TestMqttLocal(Watching):
    @pytest.fixture
    async def subject(self, broker: Mosquitto) -> SensorSubject:
        return SensorSubject(broker)


# --- who may listen -----------------------------------------------------------------------------------


@needs_mosquitto
async def test_the_password_comes_from_a_file_or_from_the_service_manager(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mqtt").write_text("s3cret\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with Mosquitto(tmp_path / "broker", users={"hub": "s3cret"}) as broker:
        for password_file in (str(tmp_path / "mqtt"), "$CREDENTIALS_DIRECTORY/mqtt"):
            secret = {"username": "hub", "password_file": password_file}
            task = asyncio.create_task(device(broker.port, ROOM, **secret).run(FakePort()))
            await subscribed(broker, 1 if password_file.startswith("/") else 2)
            task.cancel()
            await asyncio.wait([task])


@needs_mosquitto
async def test_a_wrong_or_missing_password_is_refused_and_never_shown(tmp_path: Path) -> None:
    (tmp_path / "mqtt").write_text("wr0ng")
    with Mosquitto(tmp_path / "broker", users={"hub": "s3cret"}) as broker:
        for name, advice in (("mqtt", "check username and password"), ("none", "cannot read")):
            secret = {"username": "hub", "password_file": str(tmp_path / name)}
            with pytest.raises(Refused, match=advice) as refused:
                await device(broker.port, ROOM, **secret).run(FakePort())
            assert "wr0ng" not in str(refused.value)
        with pytest.raises(Refused):
            await device(broker.port, ROOM).run(FakePort())


class OddBroker:
    """Speaks just enough MQTT 3.1.1 to refuse or grant a subscription or to be late with its first answer."""

    def __init__(self, *, answers: bool, grants: bool = False) -> None:
        self.may_answer = asyncio.Event()
        self.connected = asyncio.Event()
        self.asked = asyncio.Event()
        self.left = asyncio.Event()
        self._verdict = b"\x00" if grants else b"\x80"
        if answers:
            self.may_answer.set()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        yield server.sockets[0].getsockname()[1]
        server.close()
        await asyncio.wait_for(self.left.wait(), 15)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while header := await reader.read(2):
            body = await reader.readexactly(header[1])
            if header[0] >> 4 == 1:  # CONNECT
                self.connected.set()
                await self.may_answer.wait()
                writer.write(b"\x20\x02\x00\x00")
            elif header[0] >> 4 == 8:  # SUBSCRIBE
                writer.write(b"\x90\x03" + body[:2] + self._verdict)
                self.asked.set()
        writer.close()
        self.left.set()


async def test_a_topic_we_may_not_hear_is_refused_by_name() -> None:
    async with OddBroker(answers=True).serving() as port:
        with pytest.raises(Refused, match="zigbee2mqtt/livingroom"):
            await device(port, ROOM).run(FakePort())


async def test_a_driver_stopped_while_connecting_leaves_no_connection_behind() -> None:
    broker = OddBroker(answers=False)
    async with broker.serving() as port:
        task = asyncio.create_task(device(port, ROOM).run(FakePort()))
        await asyncio.wait_for(broker.connected.wait(), 15)
        task.cancel()
        await asyncio.wait([task], timeout=0.5)
        assert task.cancelled()
        broker.may_answer.set()  # on the way out the broker waits until the client has hung up


@pytest.mark.parametrize("turns_after_the_answer", range(12))
async def test_a_driver_stopped_in_the_moment_of_an_answer_stops(turns_after_the_answer: int) -> None:
    broker = OddBroker(answers=True, grants=True)
    async with broker.serving() as port:
        task = asyncio.create_task(device(port, ROOM).run(FakePort()))
        await asyncio.wait_for(broker.asked.wait(), 15)
        for _ in range(turns_after_the_answer):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task], timeout=3)
        stopped = task.cancelled()
        task.cancel()
        assert stopped


async def test_where_no_broker_is_is_unreachable() -> None:
    with pytest.raises(Unreachable, match="no broker"):
        await device(free_port(), ROOM).run(FakePort())


# --- payloads -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "path", "value"),
    [
        (b"21.5", None, 21.5),
        (b"-0.5e1", None, -5.0),
        (b'{"a": {"b": 3}}', "a.b", 3.0),
        (b'{"a": [1, {"b": "3.5"}]}', "a.1.b", 3.5),
        (b'{"a": true}', "a", None),
        (b'{"a": null}', "a", None),
        (b'{"a": {"b": 3}}', "a", None),
        (b'{"a": 3}', "a.b", None),
        (b'{"a": NaN}', "a", None),
        (b'{"a": 1e999}', "a", None),
        (b'{"a": 1' + b"0" * 400 + b"}", "a", None),
        (b"[" * 60_000, "a", None),
        (b"nan", None, None),
        (b"1_000", None, None),
        (b"0x10", None, None),
        ("٣".encode(), None, None),
        (b"", None, None),
        (b" " * LARGEST_BYTES + b"1", None, None),
    ],
)
def test_only_a_number_is_a_number(payload: bytes, path: str | None, value: float | None) -> None:
    assert number(payload, path) == value


@given(
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.lists(st.text("abc", min_size=1), min_size=1),
)
def test_a_number_put_into_a_document_is_found_at_its_path(value: float, steps: list[str]) -> None:
    document: Any = value
    for step in reversed(steps):
        document = {step: document, "other": 0}
    found = number(json.dumps(document).encode(), ".".join(steps))
    assert found is not None
    assert math.isclose(found, value)


ANYTHING = st.one_of(
    st.binary(max_size=200),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(st.sampled_from(["temperature", "a", "b", "0", ""]), inner, max_size=3),
        ),
    ).map(lambda document: json.dumps(document).encode()),
)


@settings(max_examples=100)
@given(ANYTHING)
def test_any_payload_is_survived(data: bytes) -> None:
    fuzz_mqtt_payload(data)


@pytest.mark.long
@settings(max_examples=5_000)
@given(ANYTHING)
def test_any_payload_is_survived_for_long(data: bytes) -> None:
    fuzz_mqtt_payload(data)


# --- settings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("broker", "points", "advice"),
    [
        ({}, {"room_c": {"topic": "zigbee2mqtt/+"}}, "exact topic"),
        ({}, {"room_c": {"topic": "zigbee2mqtt/#"}}, "exact topic"),
        ({}, {"room_c": {"topic": "$share/a/b"}}, "exact topic"),
        ({}, {"room_c": {"topic": ""}}, "exact topic"),
        ({}, {"Room C": {"topic": "a"}}, "Room C"),
        ({}, {"room_c": {"topic": "a", "max_age": 3}}, "max_age"),
        ({}, {}, "points"),
        ({"password": "s3cret"}, ROOM, "broker.password"),
        ({"password_file": "/run/secret"}, ROOM, "needs a username"),
        ({"username": "a", "password_file": "$CREDENTIALS_DIRECTORY/a"}, ROOM, "LoadCredential"),
    ],
)
def test_wrong_settings_say_what_would_be_right(
    broker: dict[str, Any], points: dict[str, Any], advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(ValidationError, match=advice):
        KIND.settings(broker={"host": "127.0.0.1", **broker}, points=points)


def test_the_registry_knows_it_and_it_can_only_be_watched() -> None:
    assert kind("mqtt_local") is KIND
    assert not KIND.ability(KIND.settings(broker={"host": "127.0.0.1"}, points=ROOM)).holds
