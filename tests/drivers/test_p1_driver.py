"""The P1 driver on a real socket (on a virtual clock) and on a real pty."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from drivers.base import Driver, Links, Quality, Unintelligible, Unreachable
from drivers.han.driver import KIND
from drivers.registry import kind
from tests.drivers.conformance import Subject, Watching
from tests.fakes.p1 import P1OverSerial, P1OverTcp, restamped
from tests.fakes.port import FakePort

HAN = Path(__file__).parents[1] / "recordings" / "han"
ISKRA = (HAN / "p1_nl_dsmr50_iskra_1ph.txt").read_bytes()
LANDIS = (HAN / "p1_se_landisgyr_e360_export.txt").read_bytes()
DSMR22 = (HAN / "p1_nl_dsmr22_nocrc.txt").read_bytes()
EASYMETER = (HAN / "d0_de_easymeter_q3d_b.txt").read_bytes()
BAD_CRC = (HAN / "p1_nl_dsmr50_bad_crc.txt").read_bytes()
EXPECTED: list[dict[str, Any]] = json.loads((HAN / "expected.json").read_text())
NOON = datetime(2027, 1, 15, 12, 0, 0, tzinfo=UTC)


def driver(**settings: object) -> Driver:
    return KIND.open(KIND.settings(**settings), Links())


def at(second: int, **values: int) -> bytes:
    """A genuine telegram as its meter would send it at so many seconds after noon UTC."""
    return restamped(ISKRA, local=NOON + timedelta(hours=1, seconds=second), **values)


def split(stream: bytes) -> list[bytes]:
    """The telegrams of a stream without damage."""
    return [b"/" + part for part in stream.split(b"/")[1:]]


class Home:
    """A meter on a bridge and a driver that listens; `port.utc_s` keeps the meter's time, from noon on."""

    def __init__(self, meter: P1OverTcp, utc_s: float | None = NOON.timestamp()) -> None:
        self.meter = meter
        self.port = FakePort(utc_s=utc_s)
        self.driver = driver(tcp=meter.address)

    async def listens(self) -> None:
        """(Again) connect. In the test, not in a fixture: only a test's body runs on the virtual clock."""
        self.task = asyncio.create_task(self.driver.run(self.port))
        await self.meter.connected(self.meter.connections + 1)

    async def hears(self, data: bytes, after_s: float = 1.0) -> None:
        before = self.port.publications
        self.meter.send(data)
        await self.port.until(lambda: self.port.publications > before)
        await self.passes(after_s)

    async def passes(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        if self.port.utc_s is not None:
            self.port.utc_s += seconds

    def power(self) -> tuple[float | None, Quality, tuple[str, ...]]:
        sample = self.port.points["power_w"]
        return sample.value, sample.quality, sample.reasons


@asynccontextmanager
async def a_home(utc_s: float | None = NOON.timestamp()) -> AsyncIterator[Home]:
    async with P1OverTcp() as meter:
        home = Home(meter, utc_s)
        await home.listens()
        yield home
        home.task.cancel()
        await asyncio.wait([home.task])


# --- what is published --------------------------------------------------------------------------------


@pytest.mark.looptime
async def test_power_and_registers_of_a_real_telegram_are_published_in_watts_and_watt_seconds() -> None:
    async with a_home() as home:
        await home.hears(at(0))
        points = home.port.points
        assert {name: sample.value for name, sample in points.items()} == {
            "power_w": 193,
            "l1_w": 193,
            "import_ws": 1_041_401 * 3600,
            "export_ws": 0,
        }
        assert all(s.quality is Quality.GOOD and not s.reasons for s in points.values())
        assert points["power_w"].source_utc_s == NOON.timestamp()


@pytest.mark.looptime
async def test_export_is_negative_and_needs_no_line_end_after_the_check_sum() -> None:
    async with a_home(utc_s=None) as home:
        await home.hears(LANDIS)
        assert home.power() == (-20, Quality.GOOD, ())


@pytest.mark.looptime
async def test_a_telegram_with_nothing_after_its_end_mark_is_published_at_once() -> None:
    async with a_home() as home:
        await home.hears(EASYMETER[: EASYMETER.index(b"!") + 1])
        assert home.power()[0] == 2125


@pytest.mark.looptime
async def test_a_telegram_without_a_check_sum_is_uncertain_and_says_why() -> None:
    async with a_home() as home:
        await home.hears(DSMR22)
        assert home.power() == (1010, Quality.UNCERTAIN, ("unchecked",))
        assert home.port.points["import_ws"].quality is Quality.UNCERTAIN


@pytest.mark.looptime
async def test_nothing_imported_and_export_not_told_is_uncertain() -> None:
    async with a_home() as home:
        await home.hears(EASYMETER.replace(b"002124.86", b"000000.00"))
        assert home.power() == (0, Quality.UNCERTAIN, ("unchecked", "exportUnknown"))
        assert home.port.points["export_ws"].reasons == ("unchecked",)


@pytest.mark.looptime
@pytest.mark.parametrize("expected", [e for e in EXPECTED if e["serial"]], ids=lambda e: e["file"])
async def test_the_number_of_the_meter_is_never_published_nor_told(expected: dict[str, Any]) -> None:
    async with a_home() as home:
        home.meter.send((HAN / expected["file"]).read_bytes())
        with pytest.raises(Unreachable) as ended:
            await home.task
        said = f"{home.port.points} {home.port.events} {ended.value}".lower()
        assert expected["serial"].lower() not in said
        assert expected["serial"].encode().hex() not in said


@pytest.mark.looptime
async def test_an_hour_that_comes_twice_is_taken_in_the_order_of_arrival() -> None:
    async with a_home(utc_s=None) as home:
        heard = []
        for telegram in split((HAN / "stream_p1_autumn_clock_change.bin").read_bytes()):
            await home.hears(telegram)
            heard.append((home.power(), home.port.points["power_w"].source_utc_s))
        assert [power for power, _ in heard] == [(w, Quality.GOOD, ()) for w in (210, 211, 212, 213)]
        times = [utc_s for _, utc_s in heard if utc_s is not None]
        assert [later - earlier for earlier, later in pairwise(times)] == [1, 1, 1]


# --- alive or only talking ----------------------------------------------------------------------------


@pytest.mark.looptime
async def test_a_telegram_that_only_repeats_is_frozen_and_carries_no_value() -> None:
    async with a_home(utc_s=None) as home:
        qualities = []
        for telegram in split((HAN / "stream_p1_frozen.bin").read_bytes()):
            await home.hears(telegram)
            qualities.append(home.power()[1])
        assert qualities == [Quality.GOOD] * 3 + [Quality.BAD] * 2
        assert home.power() == (None, Quality.BAD, ("frozen",))
        assert {sample.value for sample in home.port.points.values()} == {None}


@pytest.mark.looptime
async def test_a_frozen_meter_that_moves_again_is_good_again() -> None:
    async with a_home() as home:
        for _ in range(6):
            await home.hears(at(0))
        assert home.power()[1] is Quality.BAD
        await home.hears(at(6))
        assert home.power() == (193, Quality.GOOD, ())


@pytest.mark.looptime
async def test_a_stopped_clock_over_moving_values_costs_the_clock_its_trust_not_the_reading() -> None:
    async with a_home() as home:
        for second in range(6):
            await home.hears(at(0, import_w=1000 + second))
        assert home.power() == (1005, Quality.UNCERTAIN, ("clockStopped",))


@pytest.mark.looptime
async def test_a_bridge_that_holds_telegrams_back_is_not_taken_for_a_faster_meter() -> None:
    async with a_home() as home:
        for second in range(0, 60, 10):
            await home.hears(at(second), after_s=10)
        await home.passes(19)
        for second in (60, 70, 80):  # late, all at once
            await home.hears(at(second), after_s=0)
        await home.passes(25)  # longer than three periods of a meter that sends every second
        assert not home.task.done()


@pytest.mark.looptime
async def test_without_a_clock_power_whose_energy_stands_still_is_frozen() -> None:
    async with a_home() as home:
        for _ in range(7):
            await home.hears(DSMR22, after_s=10)
        assert home.power() == (None, Quality.BAD, ("frozen", "unchecked"))


@pytest.mark.looptime
async def test_without_a_clock_steady_low_power_is_no_proof_of_a_frozen_meter() -> None:
    async with a_home() as home:
        for _ in range(20):
            await home.hears(DSMR22.replace(b"0001.01", b"0000.21"), after_s=10)
        assert home.power() == (210, Quality.UNCERTAIN, ("unchecked",))


@pytest.mark.looptime
async def test_a_coarse_register_is_given_the_time_it_needs_to_move() -> None:
    async with a_home() as home:
        coarse = DSMR22.replace(b"00001.001*kWh", b"00001.0*kWh")  # 1010 W moves 100 Wh in six minutes
        for _ in range(20):
            await home.hears(coarse, after_s=10)
        assert home.power()[0] == 1010


@pytest.mark.looptime
async def test_a_wrong_clock_is_told_once_and_its_readings_still_count() -> None:
    async with a_home() as home:
        for second in range(3):
            await home.hears(at(second + 90))
        assert home.power() == (193, Quality.UNCERTAIN, ("clockOff",))
        assert [event.kind for event in home.port.events] == ["clockOff"]
        await home.hears(at(3))
        await home.hears(at(100))
        assert [event.kind for event in home.port.events] == ["clockOff", "clockOff"]


@pytest.mark.looptime
async def test_the_meter_is_not_blamed_while_our_own_clock_is_not_trusted() -> None:
    async with a_home(utc_s=None) as home:
        await home.hears(at(90))
        assert home.power() == (193, Quality.GOOD, ())
        assert not home.port.events


@pytest.mark.looptime
async def test_three_wrong_check_sums_in_a_row_are_told_once() -> None:
    async with a_home() as home:
        await home.hears(at(0))
        for _ in range(2):
            home.meter.send(BAD_CRC)
            await home.passes(1)
        assert not home.port.events
        for _ in range(3):
            home.meter.send(BAD_CRC)
            await home.passes(1)
        assert [event.kind for event in home.port.events] == ["noisy"]
        assert home.port.publications == 1
        await home.hears(at(6))
        assert home.power()[1] is Quality.GOOD


# --- the line -----------------------------------------------------------------------------------------


@pytest.mark.looptime
@pytest.mark.parametrize(("every_s", "silence_s"), [(1, 15), (10, 30)])
async def test_a_half_open_connection_is_given_up_after_three_periods(every_s: int, silence_s: int) -> None:
    async with a_home() as home:
        for count in range(6):
            await home.hears(at(count * every_s), after_s=every_s if count < 5 else 0)
        silent_since_s = home.port.monotonic()
        with pytest.raises(Unreachable, match="no byte"):
            await home.task
        assert home.port.monotonic() - silent_since_s == pytest.approx(silence_s, abs=0.1)


@pytest.mark.looptime
async def test_bytes_but_no_telegram_names_the_settings_to_check() -> None:
    async with a_home() as home:
        for _ in range(40):
            home.meter.send(b"\xf0\x9e/\x06!" * 50)
            await home.passes(1)
        with pytest.raises(Unintelligible, match="baud rate and parity"):
            await home.task
        assert home.port.publications == 0


@pytest.mark.looptime
async def test_a_bridge_that_hangs_up_or_is_not_there_is_unreachable() -> None:
    async with a_home() as home:
        await home.hears(at(0))
        home.meter.hang_up()
        with pytest.raises(Unreachable, match="closed"):
            await home.task
        with pytest.raises(Unreachable, match="cannot open"):
            await driver(tcp="127.0.0.1:1").run(home.port)


@pytest.mark.looptime
async def test_a_driver_that_is_stopped_lets_go_of_the_bridge() -> None:
    async with a_home() as home:
        await home.hears(at(0))
        home.task.cancel()
        await asyncio.wait([home.task])
        await asyncio.sleep(0.1)
        assert home.task.cancelled()
        assert home.meter.listeners == 0


@pytest.mark.looptime
async def test_a_frozen_bridge_stays_frozen_over_a_new_connection() -> None:
    async with a_home(utc_s=None) as home:
        for _ in range(6):
            await home.hears(at(0))
            home.meter.hang_up()
            with pytest.raises(Unreachable):
                await home.task
            await home.listens()
        assert home.power()[2] == ("frozen",)


class BridgeSubject(Subject):
    patience_s, slow_s = 15.0, 5.0  # of virtual time

    def __init__(self, meter: P1OverTcp) -> None:
        self._meter = meter
        self._drivers = 0
        self._part_s = 0.0

    def driver(self) -> Driver:
        self._drivers += 1
        return driver(tcp=self._meter.address)

    async def silence(self) -> None:
        """A meter that is not prompted says nothing."""

    async def slow_down(self, answer_s: float) -> None:
        self._part_s = answer_s

    async def recover(self) -> None:
        self._part_s = 0.0

    async def prompt(self) -> None:
        await self._meter.connected(self._drivers)
        for start in range(0, len(ISKRA), 200):
            self._meter.send(ISKRA[start : start + 200])
            await asyncio.sleep(self._part_s)


@pytest.mark.looptime
class TestP1OverTcp(Watching):
    @pytest.fixture
    async def subject(self) -> AsyncIterator[BridgeSubject]:
        async with P1OverTcp() as meter:
            yield BridgeSubject(meter)


# --- the cable ----------------------------------------------------------------------------------------


class LatePort(FakePort):
    """A port whose clock can be put forward: threads that open a tty do not run on a virtual one."""

    ahead_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[P1OverSerial]:
    with P1OverSerial(tmp_path) as cable:
        yield cable


async def pushed(cable: P1OverSerial, data: bytes, port: FakePort, publications: int = 1) -> None:
    """Push again and again, as a meter does: bytes sent before the tty is open are lost."""
    async with asyncio.timeout(15):
        while port.publications < publications:
            cable.send(data)
            await asyncio.sleep(0.02)


async def test_an_unplugged_cable_is_unreachable_and_works_again_when_replugged(cable: P1OverSerial) -> None:
    port = LatePort(utc_s=None)
    meter_driver = driver(serial=str(cable.path))
    for plugging in (1, 2):
        task = asyncio.create_task(meter_driver.run(port))
        await pushed(cable, at(plugging, import_w=plugging), port, port.publications + 1)
        assert port.points["power_w"].value == plugging
        cable.send(at(9)[:100])  # cut in mid-telegram
        cable.unplug()
        with pytest.raises(Unreachable):
            await asyncio.wait_for(task, 15)
        with pytest.raises(Unreachable, match="cannot open"):
            await meter_driver.run(port)
        cable.plug_in()


async def test_a_cable_at_the_wrong_rate_names_baud_and_parity(cable: P1OverSerial) -> None:
    port = LatePort()
    task = asyncio.create_task(driver(serial=str(cable.path), baud=9600).run(port))
    await pushed(cable, DSMR22, port)
    port.ahead_s = 31.0
    cable.send(b"\x9e\xf0" * 20)
    with pytest.raises(Unintelligible, match=r"baud = 9600 and parity = 'none'"):
        await asyncio.wait_for(task, 15)


async def test_a_port_that_cannot_do_the_frame_is_a_driver_error(cable: P1OverSerial) -> None:
    with pytest.raises(Unreachable, match="cannot open"):  # a pty has eight bits and no parity
        await driver(serial=str(cable.path), parity="even").run(FakePort())


async def test_a_second_reader_of_the_same_cable_is_turned_away(cable: P1OverSerial) -> None:
    port = FakePort(utc_s=None)
    task = asyncio.create_task(driver(serial=str(cable.path)).run(port))
    await pushed(cable, ISKRA, port)
    with pytest.raises(Unreachable, match="cannot open"):
        await driver(serial=str(cable.path)).run(FakePort())
    task.cancel()
    await asyncio.wait([task])


# --- settings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "advice"),
    [
        ({}, "either tcp or serial"),
        ({"tcp": "meter:23", "serial": "/dev/ttyUSB0"}, "either tcp or serial"),
        ({"tcp": "meter"}, "host:port"),
        ({"tcp": "meter:0"}, "host:port"),
        ({"tcp": "meter:23", "baud": 9600}, "belong to serial"),
        ({"serial": "socket://meter:23"}, "by-id"),
        ({"serial": "/dev/ttyUSB0", "speed": 9600}, "speed"),
        ({"tcp": "meter:23", "expected_every_s": 0}, "expected_every_s"),
    ],
)
def test_wrong_settings_say_what_would_be_right(settings: dict[str, object], advice: str) -> None:
    with pytest.raises(ValidationError, match=advice):
        KIND.settings(**settings)


def test_the_registry_knows_it_and_it_can_only_be_watched() -> None:
    assert kind("p1") is KIND
    assert not KIND.ability(KIND.settings(tcp="[::1]:23")).holds
