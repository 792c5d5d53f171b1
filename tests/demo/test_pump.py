"""The simulated heat pump: its bytes on a real socket, and its watchdog under a clock of the test."""

from __future__ import annotations

import asyncio

import pytest

from gateway.demo.devices import modbus
from gateway.demo.devices.house import House
from gateway.demo.devices.pump import Fault, Pump


class Clock:
    """Seconds the test advances."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pump(clock: Clock) -> Pump:
    return Pump(House(), clock)


def _pass(pump: Pump, clock: Clock, seconds: float) -> float:
    """Let time pass; gives the power drawn at its end."""
    clock.now_s += seconds
    pump.tick(1.0)
    return pump.power_w


def _block(pump: Pump, surplus_w: int = 0) -> None:
    pump.write(71, surplus_w, "test")
    pump.write(70, 1, "test")


def test_free_it_draws_its_nominal_power(pump: Pump, clock: Clock) -> None:
    assert _pass(pump, clock, 1.0) == 2400.0


def test_without_surplus_it_stands(pump: Pump, clock: Clock) -> None:
    _block(pump)
    assert _pass(pump, clock, 1.0) == 0.0


def test_it_draws_no_more_than_the_surplus(pump: Pump, clock: Clock) -> None:
    _block(pump, 1500)
    assert _pass(pump, clock, 1.0) == 1500.0


def test_the_surplus_means_nothing_while_its_control_is_off(pump: Pump, clock: Clock) -> None:
    pump.write(71, 0, "test")
    assert _pass(pump, clock, 1.0) == 2400.0


def test_let_go_it_is_free_at_once(pump: Pump, clock: Clock) -> None:
    _block(pump)
    pump.write(70, 0, "test")
    assert _pass(pump, clock, 1.0) == 2400.0


def test_the_watchdog_frees_it_120_s_after_the_last_surplus(pump: Pump, clock: Clock) -> None:
    _block(pump)
    assert _pass(pump, clock, 119.9) == 0.0
    assert _pass(pump, clock, 0.2) == 2400.0
    assert pump.read(70) == 1


def test_each_surplus_winds_the_watchdog_again(pump: Pump, clock: Clock) -> None:
    _block(pump)
    _pass(pump, clock, 80.0)
    pump.write(71, 0, "test")
    assert _pass(pump, clock, 119.0) == 0.0
    assert _pass(pump, clock, 2.0) == 2400.0


def test_its_control_register_does_not_wind_the_watchdog(pump: Pump, clock: Clock) -> None:
    _block(pump)
    _pass(pump, clock, 80.0)
    pump.write(70, 1, "test")
    assert _pass(pump, clock, 41.0) == 2400.0


def test_a_deaf_pump_takes_the_surplus_and_goes_on(pump: Pump, clock: Clock) -> None:
    pump.fault = Fault.DEAF
    _block(pump)
    assert (_pass(pump, clock, 1.0), pump.read(71), pump.read(70)) == (2400.0, 0, 1)


def test_a_creeping_pump_never_gets_to_speed_when_let_go(pump: Pump, clock: Clock) -> None:
    pump.fault = Fault.CREEPING
    _block(pump)
    assert _pass(pump, clock, 1.0) == 0.0
    pump.write(70, 0, "test")
    assert _pass(pump, clock, 1.0) == 600.0


def test_with_its_watchdog_asleep_it_stays_as_it_was(pump: Pump, clock: Clock) -> None:
    pump.fault = Fault.SLEEPING_WATCHDOG
    _block(pump)
    assert _pass(pump, clock, 3600.0) == 0.0


def test_its_values_are_those_of_the_makers_list(pump: Pump, clock: Clock) -> None:
    _pass(pump, clock, 1.0)
    found = {register: pump.read(register) for register in (100, 102, 123, 136, 171, 177, 172)}
    assert found == {100: 240, 102: 1, 123: 482, 136: 90, 171: 240, 177: 240, 172: 350}
    assert pump.read(140) - 0x10000 == round(pump.house.outdoor_c * 10)  # below zero, two's complement


@pytest.mark.parametrize(
    ("request_hex", "answer_hex"),
    [
        # header: transaction, protocol, length, unit; then the PDU
        ("0001 0000 0006 01 03 0064 0003", "0001 0000 0009 01 03 06 00f0 0001 0001"),  # 100..102
        ("0002 0000 0006 01 06 0047 05dc", "0002 0000 0006 01 06 0047 05dc"),  # 71 = 1500
        ("0003 0000 0009 01 10 0046 0001 02 0001", "0003 0000 0006 01 10 0046 0001"),  # 70 = 1, FC 16
        ("0004 0000 0006 01 03 0046 0002", "0004 0000 0007 01 03 04 0000 0000"),
        ("0005 0000 0006 01 03 00c8 0001", "0005 0000 0003 01 83 02"),  # register 200
        ("0006 0000 0006 01 03 0064 007e", "0006 0000 0003 01 83 03"),  # 126 registers
        ("0007 0000 0006 01 06 0046 0002", "0007 0000 0003 01 86 03"),  # 70 = 2
        ("0008 0000 0006 01 06 0064 0001", "0008 0000 0003 01 86 02"),  # a value, not a setting
        ("0009 0000 0006 01 04 0064 0001", "0009 0000 0003 01 84 01"),  # input registers
        ("000a 0000 0009 01 10 0046 0001 03 0001", "000a 0000 0003 01 90 03"),  # sizes disagree
        ("000b 0000 0003 01 03 00", "000b 0000 0003 01 83 03"),  # a request cut short
    ],
)
async def test_it_answers_as_the_protocol_says(pump: Pump, request_hex: str, answer_hex: str) -> None:
    async with modbus.listening(pump, unit=1) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        expected = bytes.fromhex(answer_hex)
        writer.write(bytes.fromhex(request_hex))
        assert (await asyncio.wait_for(reader.readexactly(len(expected)), 2)).hex() == expected.hex()
        writer.close()


async def test_another_unit_gets_no_answer_and_the_connection_goes_on(pump: Pump) -> None:
    async with modbus.listening(pump, unit=1) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(bytes.fromhex("0001 0000 0006 02 03 0064 0001" + "0002 0000 0006 01 03 0064 0001"))
        assert (await asyncio.wait_for(reader.readexactly(11), 2)).hex() == "000200000005010302" + "00f0"
        writer.close()


async def test_a_frame_that_is_not_modbus_ends_the_connection(pump: Pump) -> None:
    async with modbus.listening(pump, unit=1) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await asyncio.wait_for(reader.read(), 2) == b""
        writer.close()


async def test_every_write_is_noted_with_who_wrote() -> None:
    noted: list[tuple[int, int, str]] = []
    pump = Pump(House(), Clock(), lambda *write: noted.append(write))
    async with modbus.listening(pump, unit=1) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(bytes.fromhex("0001 0000 0006 01 06 0047 0000" + "0002 0000 0006 01 06 0064 0000"))
        await asyncio.wait_for(reader.readexactly(12 + 9), 2)
        host, our_port = writer.get_extra_info("sockname")
        writer.close()
    assert noted == [(71, 0, f"{host}:{our_port}")]  # the refused one is not
