"""A smart meter at the supply: one DSMR 5.0 P1 telegram a second to every TCP client.

The telegram is a real one, captured from an Iskra AM550 (ISK5\\2M550E-1012); clock, registers, power and
check sum are rewritten, everything else stays as captured.
Capture: test/isk.txt of github.com/Wassasin/dsmr5, Copyright (c) Wouter Geraedts, MIT licence.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

_CAPTURED = (
    "/ISK5\\2M550E-1012\r\n"
    "\r\n"
    "1-3:0.2.8(50)\r\n"
    "0-0:1.0.0(190320181403W)\r\n"
    "0-0:96.1.1(4530303433303037303532383730333138)\r\n"
    "1-0:1.8.1(000576.239*kWh)\r\n"
    "1-0:1.8.2(000465.162*kWh)\r\n"
    "1-0:2.8.1(000000.000*kWh)\r\n"
    "1-0:2.8.2(000000.000*kWh)\r\n"
    "0-0:96.14.0(0002)\r\n"
    "1-0:1.7.0(00.193*kW)\r\n"
    "1-0:2.7.0(00.000*kW)\r\n"
    "0-0:96.7.21(00009)\r\n"
    "0-0:96.7.9(00008)\r\n"
    "1-0:99.97.0(6)(0-0:96.7.19)(190201235231W)(0000003231*s)(190212214204W)(0000001489*s)"
    "(190212215426W)(0000000315*s)(190310230314W)(0000000295*s)(190316085447W)(0000000230*s)"
    "(190316123141W)(0000000516*s)\r\n"
    "1-0:32.32.0(00006)\r\n"
    "1-0:32.36.0(00001)\r\n"
    "0-0:96.13.0()\r\n"
    "1-0:32.7.0(236.1*V)\r\n"
    "1-0:31.7.0(001*A)\r\n"
    "1-0:21.7.0(00.193*kW)\r\n"
    "1-0:22.7.0(00.000*kW)\r\n"
    "0-1:24.1.0(003)\r\n"
    "0-1:96.1.0(4730303332353635353335353230313137)\r\n"
    "0-1:24.2.1(190320181003W)(00304.089*m3)\r\n"
    "!67B1\r\n"
)
_IMPORTED_KWH = 465.162  # register 1.8.2 of the capture: tariff 2 is the one running
_VOLT = 236.1
_ZONE = ZoneInfo("Europe/Amsterdam")
_WS_PER_KWH = 3.6e6


class Meter:
    """A meter without generation behind it: its import register only grows. Power in watts."""

    def __init__(self) -> None:
        self.power_w = 0.0
        self.imported_ws = _IMPORTED_KWH * _WS_PER_KWH
        self._clients: set[asyncio.StreamWriter] = set()

    @property
    def clients(self) -> int:
        """How many listen."""
        return len(self._clients)

    def tick(self, seconds: float, power_w: float) -> None:
        """Let `seconds` pass at `power_w` and the register grow."""
        self.power_w = power_w
        self.imported_ws += power_w * seconds

    def send(self, utc_s: float) -> None:
        """Send one telegram to every client; one that does not read is dropped."""
        text = telegram(utc_s, self.power_w, self.imported_ws)
        for client in list(self._clients):
            if client.transport.get_write_buffer_size() > 20 * len(text):
                client.transport.abort()
            else:
                client.write(text)

    @contextlib.asynccontextmanager
    async def listening(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[int]:
        """Serve telegrams while the block runs; gives the port."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._clients.add(writer)
            try:
                with contextlib.suppress(ConnectionError):
                    while await reader.read(1024):
                        pass  # a P1 port hears nothing
            finally:
                self._clients.discard(writer)
                writer.close()

        server = await asyncio.start_server(serve, host, port)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for client in self._clients:
                client.close()


def telegram(utc_s: float, power_w: float, imported_ws: float) -> bytes:
    """The captured telegram with this clock (UTC seconds), import power and import register."""
    local = datetime.fromtimestamp(utc_s, UTC).astimezone(_ZONE)
    power = f"{power_w / 1000:06.3f}*kW"
    text = _CAPTURED
    for code, value in {
        "0-0:1.0.0": f"{local:%y%m%d%H%M%S}{'S' if local.dst() else 'W'}",
        "1-0:1.8.2": f"{imported_ws // 3600 / 1000:010.3f}*kWh",  # a register never rounds up
        "1-0:1.7.0": power,
        "1-0:21.7.0": power,
        "1-0:31.7.0": f"{round(power_w / _VOLT):03d}*A",
    }.items():
        text = re.sub(rf"^{re.escape(code)}\(.*\)", f"{code}({value})", text, flags=re.MULTILINE)
    body = text[: text.index("!") + 1].encode("ascii")
    return body + f"{check_sum(body):04X}\r\n".encode("ascii")


def check_sum(body: bytes) -> int:
    """CRC16 from `/` to `!` (DSMR 5.0.2 P1, 6.2: polynomial x16+x15+x2+1, least bit first, start 0)."""
    crc = 0
    for byte in body:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


def base_load_w(second: float) -> float:
    """Everything else in the house: a fridge, lights and standby, wandering between 250 and 450 W."""
    return round(350.0 + 70.0 * math.sin(second / 7.0) + 30.0 * math.sin(second / 2.3))
