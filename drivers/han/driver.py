"""A smart meter's P1 port as a driver: over a serial cable or a serial-to-TCP bridge.

Publishes `power_w` (net at the boundary), `l1_w` to `l3_w` (of each phase it tells of), `import_ws` and
`export_ws`. The meter's number is never read.
"""

from __future__ import annotations

import asyncio
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Literal, Self

import serial_asyncio_fast
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from drivers.base import (
    DeviceEvent,
    DevicePort,
    DriverKind,
    Links,
    Quality,
    Sample,
    Unintelligible,
    Unreachable,
)
from drivers.han.freshness import Freshness
from drivers.han.p1 import P1Decoder, Telegram

CONNECT_WITHIN_S = 10.0
CLOSE_WITHIN_S = 2.0
END_SILENCE_S = 0.05  # some Swedish meters send no line end after the check sum
SILENCE_AT_LEAST_S = 15.0
NO_TELEGRAM_S = 30.0
NOISY_AFTER = 3


class P1Settings(BaseModel):
    """Where the meter is. `parity = "even"` means seven data bits (7E1: DSMR 2 and 3, German D0)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tcp: str | None = None
    serial: str | None = None
    baud: int = Field(default=115200, gt=0)
    parity: Literal["none", "even"] = "none"
    decode: Literal["p1"] = "p1"
    expected_every_s: float | None = Field(default=None, ge=1, le=300)
    winter_utc_offset_h: int = Field(default=1, ge=-12, le=14)  # what W on its clock means; 2 in Finland

    @field_validator("tcp")
    @classmethod
    def _has_host_and_port(cls, tcp: str | None) -> str | None:
        host, _, port = (tcp or "localhost:1").rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError('should be "host:port", as in "192.168.1.20:23"')
        return tcp

    @field_validator("serial")
    @classmethod
    def _is_a_path(cls, serial: str | None) -> str | None:
        if serial is not None and not serial.startswith("/"):
            raise ValueError('should be a path that survives replugging, as in "/dev/serial/by-id/..."')
        return serial

    @model_validator(mode="after")
    def _is_one_way(self) -> Self:
        if (self.tcp is None) == (self.serial is None):
            raise ValueError("give either tcp or serial")
        if self.tcp is not None and self.model_fields_set & {"baud", "parity"}:
            raise ValueError("baud and parity belong to serial; over tcp the bridge has them")
        return self

    @property
    def where(self) -> str:
        """The endpoint, for people."""
        return self.tcp or self.serial or ""


class P1Driver:
    """One meter. What is known of its rhythm and its clock outlives a connection."""

    def __init__(self, settings: P1Settings) -> None:
        self._settings = settings
        self._freshness = Freshness(settings.expected_every_s)
        self._told: set[str] = set()

    async def run(self, port: DevicePort) -> None:
        """Listen until cancelled.

        Raises:
            Unreachable: no connection, end of stream, unplugged, or no byte for long.
            Unintelligible: bytes but no telegram for 30 s; names the settings to check.
        """
        async with _opened(self._settings) as reader:
            await self._listen(reader, port)

    async def _listen(self, reader: asyncio.StreamReader, port: DevicePort) -> None:
        decoder = P1Decoder(self._settings.winter_utc_offset_h * 3600)
        last_telegram_s = port.monotonic()
        while True:
            telegrams = await self._heard(reader, decoder)
            for telegram in telegrams:
                self._publish(telegram, port)
                last_telegram_s = port.monotonic()
            noisy = decoder.counters.bad_crc_in_a_row >= NOISY_AFTER
            self._tell(port, "noisy", noisy, f"{NOISY_AFTER} telegrams in a row failed their check sum")
            waited_s = port.monotonic() - last_telegram_s
            if waited_s > max(NO_TELEGRAM_S, 3 * self._freshness.every_s):
                raise Unintelligible(self._advice(decoder, waited_s))

    async def _heard(self, reader: asyncio.StreamReader, decoder: P1Decoder) -> list[Telegram]:
        """The telegrams completed by the next bytes, or by the silence after the last ones."""
        if decoder.ending:
            with suppress(TimeoutError):
                async with asyncio.timeout(END_SILENCE_S):
                    return decoder.feed(await self._read(reader))
            if telegrams := decoder.idle():
                return telegrams
        silence_s = max(SILENCE_AT_LEAST_S, 3 * self._freshness.every_s)
        try:
            async with asyncio.timeout(silence_s):
                return decoder.feed(await self._read(reader))
        except TimeoutError:
            # A half-open connection looks just like a silent meter: only a new one can tell.
            raise Unreachable(f"no byte from {self._settings.where} for {silence_s:.0f} s") from None

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        try:
            data = await reader.read(4096)
        except OSError as error:  # SerialException is one
            raise Unreachable(f"lost {self._settings.where}: {error}") from error
        if not data:
            raise Unreachable(f"{self._settings.where} closed the connection")
        return data

    def _publish(self, telegram: Telegram, port: DevicePort) -> None:
        age_reasons = self._freshness.judge(telegram, port.monotonic(), port.utc())
        port.publish(_samples(telegram, age_reasons))
        text = "the meter's clock is more than a minute off; its readings still count"
        self._tell(port, "clockOff", "clockOff" in age_reasons, text)

    def _tell(self, port: DevicePort, kind: str, is_so: bool, text: str) -> None:
        """Report once when it begins; be ready to report again when it has ended."""
        if not is_so:
            self._told.discard(kind)
        elif kind not in self._told:
            self._told.add(kind)
            port.report(DeviceEvent(kind, text, "warning"))

    def _advice(self, decoder: P1Decoder, waited_s: float) -> str:
        settings, counters = self._settings, decoder.counters
        line = (
            f"baud = {settings.baud} and parity = {settings.parity!r}"
            if settings.serial
            else "the bridge's baud rate and parity"
        )
        return (
            f"bytes but no telegram from {settings.where} for {waited_s:.0f} s "
            f"({counters.bad_crc} failed the check sum, {counters.cut} broke off, "
            f"{counters.noise_bytes} bytes of noise): check {line} "
            "(usual are 115200 none and 9600 even), and that the meter does not encrypt"
        )


def _samples(telegram: Telegram, age_reasons: tuple[str, ...]) -> dict[str, Sample]:
    """What a telegram says, in watts and watt-seconds. Of a frozen one, only that it is frozen."""
    reasons = (*age_reasons, *(() if telegram.checked else ("unchecked",)))
    power_reasons = (*reasons, *(("exportUnknown",) if telegram.export_unknown else ()))
    told = {
        "power_w": (telegram.net_power_w, power_reasons),
        **{f"l{n}_w": (value, reasons) for n, value in enumerate(telegram.phases_w, 1)},
        "import_ws": (_ws(telegram.import_wh), reasons),
        "export_ws": (_ws(telegram.export_wh), reasons),
    }
    return {
        name: _sample(value, reasons, telegram.meter_utc_s)
        for name, (value, reasons) in told.items()
        if value is not None
    }


def _sample(value: float, reasons: tuple[str, ...], source_utc_s: float | None) -> Sample:
    if "frozen" in reasons:
        return Sample(None, Quality.BAD, reasons, source_utc_s)
    return Sample(round(value), Quality.UNCERTAIN if reasons else Quality.GOOD, reasons, source_utc_s)


def _ws(energy_wh: float | None) -> float | None:
    return None if energy_wh is None else energy_wh * 3600


@asynccontextmanager
async def _opened(settings: P1Settings) -> AsyncIterator[asyncio.StreamReader]:
    """The meter's bytes while the connection is open.

    Raises:
        Unreachable: it cannot be opened.
    """
    try:
        async with asyncio.timeout(CONNECT_WITHIN_S):
            reader, writer = await _open(settings)
    except (OSError, ValueError, termios.error) as error:  # the last two: a rate or frame it cannot do
        raise Unreachable(f"cannot open {settings.where}: {error or 'no answer'}") from error
    try:
        yield reader
    finally:
        writer.close()
        with suppress(OSError):  # an unplugged port raises the same SerialException once more here
            async with asyncio.timeout(CLOSE_WITHIN_S):
                await writer.wait_closed()


async def _open(settings: P1Settings) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if settings.tcp is not None:
        host, _, port = settings.tcp.rpartition(":")
        return await asyncio.open_connection(host.strip("[]"), int(port))
    pair: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    pair = await serial_asyncio_fast.open_serial_connection(
        url=settings.serial,
        baudrate=settings.baud,
        bytesize=7 if settings.parity == "even" else 8,
        parity="E" if settings.parity == "even" else "N",
        exclusive=True,  # a second reader would steal bytes
    )
    return pair


def _driver(settings: P1Settings, _links: Links) -> P1Driver:
    return P1Driver(settings)


_POINTS = frozenset({"power_w", "l1_w", "l2_w", "l3_w", "import_ws", "export_ws"})

KIND = DriverKind(settings=P1Settings, open=_driver, points=lambda _settings: _POINTS)
