"""The fleet over real sockets: what changes is touched, what does not keeps its connection."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace

import pytest

from drivers.base import (
    Applied,
    DevicePort,
    JsonValue,
    Links,
    Proof,
    Refused,
    Sample,
    Unreachable,
    Want,
    WrongDevice,
)
from gateway.core.model import Ability, Point
from gateway.daemon.config import Device
from gateway.daemon.fleet import Fleet, Health
from tests.faults.virtual_clock import virtual, virtual_clock


class Echo:
    """A device that tells its name each 20 ms and counts who ever connected."""

    def __init__(self) -> None:
        self.connections = 0
        self.writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Echo:
        self.server = await asyncio.start_server(self._client, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        self.cut()

    def cut(self) -> None:
        for writer in self.writers:
            writer.close()
        self.writers.clear()

    async def _client(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        while not writer.is_closing():
            writer.write(b"20.5\n")
            await asyncio.sleep(0.02)


@dataclass(frozen=True)
class Settings:
    port: int
    unit: int = 1


class Listener:
    """A driver as short as one can be."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    async def run(self, port: DevicePort) -> None:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.settings.port)
        except OSError as error:
            raise Unreachable(str(error)) from error
        try:
            while line := await reader.readline():
                port.publish({"room_c": Sample(float(line))})
                want = port.latest()
                if want:
                    port.applied(Applied(want, Proof.WRITTEN))
        finally:
            writer.close()
        raise Unreachable("hung up")


@dataclass
class House:
    """What the fleet told."""

    latest: dict[str, Point] = field(default_factory=dict)
    held: dict[str, Applied] = field(default_factory=dict)
    healths: dict[str, list[Health]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def points(self, _device: str, points: Mapping[str, Point]) -> None:
        self.latest.update(points)

    def applied(self, device: str, applied: Applied) -> None:
        self.held[device] = applied

    def refused(self, device: str, want: Want, why: str) -> None:
        self.said.append(f"{device} refused {want.at_most_w}: {why}")

    def event(self, device: str, event: object) -> None:
        self.said.append(f"{device}: {event}")

    def health(self, device: str, health: Health) -> None:
        self.healths.setdefault(device, []).append(health)


class NoFacts:
    def get(self, _key: str) -> JsonValue:
        return None

    async def put(self, _key: str, _value: JsonValue, *, durable: bool = False) -> None:
        del durable


def device(name: str, settings: object) -> Device:
    return Device(name, "listener", settings, Ability(), digest=repr(settings))


async def until(holds: object, within_s: float = 15.0) -> None:
    async with asyncio.timeout(within_s):
        while not holds():  # type: ignore[operator]
            await asyncio.sleep(0.01)


def fleet(house: House, driver: type = Listener) -> Fleet:
    def open_driver(device: Device, _links: Links) -> Listener:
        return driver(device.settings)  # type: ignore[no-any-return]

    return Fleet(open_driver, lambda _name: NoFacts(), house, virtual_clock())


@pytest.fixture
async def echoes() -> AsyncIterator[list[Echo]]:
    async with Echo() as one, Echo() as two, Echo() as three:
        yield [one, two, three]


async def test_changing_one_of_several_devices_leaves_the_sockets_of_the_others(echoes: list[Echo]) -> None:
    house = House()
    wanted = {f"d{n}": device(f"d{n}", Settings(echo.port)) for n, echo in enumerate(echoes)}
    async with fleet(house) as running:
        await running.reconcile(wanted)
        await until(lambda: len(house.latest) == 3)
        wanted["d1"] = device("d1", Settings(echoes[1].port, unit=2))
        await running.reconcile(wanted)
        await until(lambda: echoes[1].connections == 2)
        await running.reconcile(wanted)
        assert [e.connections for e in echoes] == [1, 2, 1]


async def test_a_device_taken_out_of_the_configuration_is_hung_up_on(echoes: list[Echo]) -> None:
    house = House()
    async with fleet(house) as running:
        await running.reconcile({"d0": device("d0", Settings(echoes[0].port))})
        await until(lambda: "d0.room_c" in house.latest)
        await running.reconcile({})
        house.latest.clear()
        await asyncio.sleep(0.1)
        assert house.latest == {}


async def test_a_device_that_hangs_up_is_called_again_and_told_of_once(echoes: list[Echo]) -> None:
    house = House()
    async with fleet(house) as running:
        await running.reconcile({"d0": device("d0", Settings(echoes[0].port))})
        await until(lambda: "d0.room_c" in house.latest)
        echoes[0].cut()
        await until(lambda: echoes[0].connections == 2)
        await until(lambda: house.healths["d0"][-1].online)
        assert [h.online for h in house.healths["d0"]] == [True, False, True]


async def test_a_want_reaches_the_device_and_its_answer_comes_back(echoes: list[Echo]) -> None:
    house = House()
    async with fleet(house) as running:
        await running.reconcile({"d0": device("d0", Settings(echoes[0].port))})
        running.want("d0", 0)
        running.want("d0", 0)
        await until(lambda: "d0" in house.held)
        assert house.held["d0"].want == Want(2, 0)


async def test_a_wrong_device_is_called_once_and_a_person_is_told(echoes: list[Echo]) -> None:
    calls = []

    class Stranger(Listener):
        async def run(self, port: DevicePort) -> None:
            calls.append(port.monotonic())
            raise WrongDevice("serial 7 answers, 8 was configured")

    house = House()
    async with fleet(house, Stranger) as running:
        await running.reconcile({"d0": device("d0", Settings(echoes[0].port))})
        await until(lambda: any("serial 7" in line for line in house.said))
        await asyncio.sleep(0.05)
        assert len(calls) == 1
        assert not house.healths["d0"][-1].online


@virtual
async def test_retries_grow_but_never_beyond_their_bound() -> None:
    calls: list[float] = []

    class Dead(Listener):
        async def run(self, port: DevicePort) -> None:
            calls.append(port.monotonic())
            raise Unreachable("no route")

    async with fleet(House(), Dead) as running:
        await running.reconcile({"d0": device("d0", Settings(0))})
        await asyncio.sleep(600)
    gaps = [later - earlier for earlier, later in itertools.pairwise(calls)]
    assert gaps[0] <= 1.0
    assert 15.0 <= max(gaps) <= 30.0
    assert len(calls) > 15


@virtual
async def test_one_driver_with_a_bug_does_not_stop_the_others() -> None:
    class Mixed(Listener):
        async def run(self, port: DevicePort) -> None:
            if self.settings.unit == 2:
                raise ZeroDivisionError
            while True:
                port.publish({"room_c": Sample(20.0)})
                await asyncio.sleep(1)

    house = House()
    good = device("good", Settings(0))
    async with fleet(house, Mixed) as running:
        await running.reconcile({"good": good, "bad": replace(good, name="bad", settings=Settings(0, 2))})
        await asyncio.sleep(300)
        assert asyncio.get_running_loop().time() - house.latest["good.room_c"].at_s <= 1
        assert "ZeroDivisionError" in house.healths["bad"][-1].why


@virtual
async def test_a_refusal_is_not_hurried() -> None:
    calls: list[float] = []

    class Sulking(Listener):
        async def run(self, port: DevicePort) -> None:
            calls.append(port.monotonic())
            raise Refused("locked by its owner")

    async with fleet(House(), Sulking) as running:
        await running.reconcile({"d0": device("d0", Settings(0))})
        await asyncio.sleep(200)
    assert len(calls) == 4
