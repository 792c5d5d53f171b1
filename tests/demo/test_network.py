"""The broker, the home's line to it, the room sensor and the leash, on real sockets and processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiomqtt
import pytest

from gateway.demo import leash
from gateway.demo.broker import Broker
from gateway.demo.devices import room
from gateway.demo.line import Line
from gateway.demo.saboteur import OneMinute
from tests.demo.processes import is_alive

TELEMETRY = "homeflex/v1/demo-home/telemetry"


def _client(port: int, name: str, timeout_s: float = 2.0) -> aiomqtt.Client:
    v5 = aiomqtt.ProtocolVersion.V5
    return aiomqtt.Client("127.0.0.1", port, identifier=name, protocol=v5, timeout=timeout_s)


async def _next(client: aiomqtt.Client) -> aiomqtt.Message:
    async with asyncio.timeout(15.0):
        return await anext(aiter(client.messages))


def _minute(*ends: str) -> str:
    readings = [{"end": end} for end in ends]
    return json.dumps({"points": {"heat": {"readings": readings}}})


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    broker = Broker("test", tmp_path)
    async with broker.running():
        yield broker


async def test_the_broker_goes_and_comes_back_on_its_port_with_nothing_kept(broker: Broker) -> None:
    first_pid = broker.pid
    async with _client(broker.port, "speaker") as speaker:
        await speaker.publish("kept", "x", qos=1, retain=True)
        await broker.stop()
        with pytest.raises(aiomqtt.MqttError):
            await _next(speaker)
    await broker.start()
    assert broker.pid not in (None, first_pid)
    async with _client(broker.port, "listener") as listener:
        await listener.subscribe("#", qos=1)
        await listener.publish("fresh", "y", qos=1)
        assert (await _next(listener)).topic.value == "fresh"


async def test_a_broker_that_does_not_come_up_is_said_so(tmp_path: Path) -> None:
    broker = Broker("broken", tmp_path)
    (tmp_path / "broken.toml").write_text("this is no configuration")
    with pytest.raises(RuntimeError, match="broken did not come up"):
        await broker.start()


async def test_the_room_sensor_is_heard_as_a_zigbee_bridge_would_be(tmp_path: Path) -> None:
    small = aiomqtt.ProtocolVersion.V311
    household = Broker("household", tmp_path, "v4")
    async with (
        household.running(),
        aiomqtt.Client("127.0.0.1", household.port, identifier="listener", protocol=small) as listener,
    ):
        await listener.subscribe("zigbee2mqtt/+")
        async with room.connected("127.0.0.1", household.port) as publish:
            publish(19.416)
            message = await _next(listener)
    assert message.topic.value == "zigbee2mqtt/living-room"
    assert json.loads(bytes(message.payload))["temperature"] == 19.42


async def test_the_line_carries_both_ways_and_can_be_cut_and_joined(broker: Broker) -> None:
    line = Line(broker.port)
    async with line.listening() as port:
        async with _client(port, "home") as home:
            await home.subscribe("down", qos=1)
            await home.publish("down", b"z" * 200_000, qos=1)
            assert len(bytes((await _next(home)).payload)) == 200_000
            line.cut()
            with pytest.raises(aiomqtt.MqttError):
                await _next(home)
        with pytest.raises(aiomqtt.MqttError):
            await _client(port, "home", timeout_s=0.3).__aenter__()
        line.join()
        async with _client(port, "home") as home:
            await home.publish("up", "", qos=1)


async def test_a_lost_minute_is_acknowledged_and_never_arrives_however_often_it_is_sent(
    broker: Broker,
) -> None:
    line = Line(broker.port)
    line.loses = OneMinute()
    async with (
        line.listening() as port,
        _client(broker.port, "listener") as listener,
        _client(port, "home") as home,
    ):
        await listener.subscribe("#", qos=1)
        await home.publish("homeflex/v1/demo-home/state", "{}", qos=1, retain=True)
        await home.publish(TELEMETRY, _minute("17:01"), qos=1)
        await home.publish(TELEMETRY, _minute("17:00", "17:01"), qos=1)
        await home.publish(TELEMETRY, _minute("17:02"), qos=1)
        assert (await _next(listener)).topic.value.endswith("state")
        assert bytes((await _next(listener)).payload).decode() == _minute("17:02")


async def test_a_child_on_a_leash_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import asyncio, os, pathlib, sys\n"
        "from gateway.demo import leash\n"
        "async def main():\n"
        "    child = await leash.start(['/bin/sleep', '600'], pathlib.Path(sys.argv[1]), os.environ)\n"
        "    print(child.pid, flush=True)\n"
        "    await child.wait()\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(tmp_path / "out"), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout
    child = int(await asyncio.wait_for(parent.stdout.readline(), 10))
    await _become_sleep(child)
    assert os.getpgid(child) == child  # Ctrl-C in the terminal does not reach it
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    deadline_s = time.monotonic() + 5.0
    while is_alive(child) and time.monotonic() < deadline_s:
        await asyncio.sleep(0.02)
    assert not is_alive(child)


async def test_a_child_that_will_not_end_is_made_to(tmp_path: Path) -> None:
    program = (
        "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    )
    child = await leash.start([sys.executable, "-c", program], tmp_path / "out", os.environ)
    async with asyncio.timeout(15.0):
        while not (tmp_path / "out").read_text():
            await asyncio.sleep(0.02)
    assert await leash.stop(child, within_s=0.1) == -signal.SIGKILL


async def _become_sleep(pid: int) -> None:
    async with asyncio.timeout(15.0):
        while b"sleep" not in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]:
            await asyncio.sleep(0.02)
