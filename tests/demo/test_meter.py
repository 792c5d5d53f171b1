"""The simulated meter: its telegram is the captured one, with sound check sums."""

from __future__ import annotations

import asyncio
import re
import socket
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from gateway.demo.devices.meter import Meter, base_load_w, telegram

CAPTURED_UTC_S = datetime(2019, 3, 20, 17, 14, 3, tzinfo=UTC).timestamp()  # 18:14:03 W on its clock


def _crc16_arc(text: bytes) -> int:
    """CRC-16/ARC by long division of the bit string, as the algebra says it; 0xBB3D for "123456789"."""
    bits = [byte >> n & 1 for byte in text for n in range(8)] + [0] * 16
    divisor = [int(bit) for bit in f"{0x18005:017b}"]
    for n in range(len(bits) - 16):
        if bits[n]:
            bits[n : n + 17] = [a ^ b for a, b in zip(bits[n : n + 17], divisor, strict=True)]
    return sum(bit << n for n, bit in enumerate(bits[-16:]))


def test_at_the_moment_of_the_capture_it_is_the_capture() -> None:
    """The capture's own check sum, made by the meter, is the oracle."""
    text = telegram(CAPTURED_UTC_S, 193.0, 465.162 * 3.6e6)
    assert text.endswith(b"!67B1\r\n")
    assert b"0-0:1.0.0(190320181403W)\r\n" in text


def test_the_oracle_of_these_tests_knows_the_published_check_value() -> None:
    assert _crc16_arc(b"123456789") == 0xBB3D


@given(
    utc_s=st.floats(1.5e9, 2.5e9),
    power_w=st.integers(0, 17_000),
    imported_ws=st.integers(0, int(900_000 * 3.6e6)),
)
def test_every_telegram_has_a_sound_check_sum(utc_s: float, power_w: int, imported_ws: int) -> None:
    text = telegram(utc_s, float(power_w), float(imported_ws))
    body, _, printed = text.partition(b"!")
    assert printed == f"{_crc16_arc(body + b'!'):04X}\r\n".encode()


@given(power_w=st.integers(0, 17_000), imported_ws=st.integers(0, int(900_000 * 3.6e6)))
def test_power_and_register_can_be_read_back(power_w: int, imported_ws: int) -> None:
    text = telegram(CAPTURED_UTC_S, float(power_w), float(imported_ws)).decode()
    power = re.search(r"1-0:1\.7\.0\((\d\d\.\d{3})\*kW\)", text)
    register = re.search(r"1-0:1\.8\.2\((\d{6}\.\d{3})\*kWh\)", text)
    assert power
    assert register
    assert round(float(power[1]) * 1000) == power_w
    assert 0 <= imported_ws - round(float(register[1]) * 1000) * 3600 < 3600


def test_its_clock_is_local_and_says_so() -> None:
    summer = telegram(datetime(2026, 7, 1, 12, 0, 0, tzinfo=UTC).timestamp(), 0.0, 0.0)
    assert b"0-0:1.0.0(260701140000S)" in summer


def test_the_register_grows_by_power_times_time() -> None:
    meter = Meter()
    before_ws = meter.imported_ws
    for _ in range(3600):
        meter.tick(1.0, 1000.0)
    assert meter.imported_ws - before_ws == 3.6e6


def test_the_base_load_stays_between_250_and_450_watts() -> None:
    assert all(250 <= base_load_w(second) <= 450 for second in range(3600))


async def test_every_client_gets_every_telegram() -> None:
    meter = Meter()
    async with meter.listening() as port:
        clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        await asyncio.sleep(0.02)
        meter.tick(1.0, 500.0)
        meter.send(CAPTURED_UTC_S)
        expected = telegram(CAPTURED_UTC_S, 500.0, meter.imported_ws)
        for reader, writer in clients:
            assert await asyncio.wait_for(reader.readexactly(len(expected)), 2) == expected
            writer.close()


async def test_a_client_that_never_reads_is_dropped_and_the_others_go_on() -> None:
    meter = Meter()
    async with meter.listening() as port:
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", port))
        await asyncio.sleep(0.02)
        for second in range(20_000):
            meter.send(CAPTURED_UTC_S + second)
            if not second % 100:
                await asyncio.sleep(0)
            if not meter.clients:
                break
        assert meter.clients == 0
        deaf.close()
