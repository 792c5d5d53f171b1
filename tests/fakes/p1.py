"""A smart meter's P1 port for tests: genuine telegrams, restamped or damaged, over TCP or a pty.

It does what a meter with a cable or a serial-to-TCP bridge does: push, and never listen. It shares no code
with the product; its check sum is computed bit by bit.
"""

from __future__ import annotations

import asyncio
import os
import re
import tty
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self


def check_sum(data: bytes) -> int:
    """CRC-16 with polynomial x^16 + x^15 + x^2 + 1, least significant bit first (DSMR 5.0.2 P1, 6.2)."""
    register = 0
    for byte in data:
        register ^= byte
        for _ in range(8):
            carry = register & 1
            register >>= 1
            if carry:
                register ^= 0xA001
    return register


def sealed(body: bytes) -> bytes:
    """A telegram from "/" to "!" with its check sum and line end."""
    return body + b"%04X\r\n" % check_sum(body)


def restamped(
    telegram: bytes,
    *,
    local: datetime | None = None,
    summer: bool = False,
    import_w: int | None = None,
    export_w: int | None = None,
    import_wh: int | None = None,
) -> bytes:
    """A genuine DSMR telegram with another clock and other values, its check sum made good again."""
    body = telegram[: telegram.index(b"!") + 1]
    if local is not None:
        stamp = local.strftime("%y%m%d%H%M%S") + ("S" if summer else "W")
        body = re.sub(rb"(0-0:1\.0\.0\()[^)]*", rb"\g<1>" + stamp.encode(), body)
    for code, value in (("1.7.0", import_w), ("2.7.0", export_w), ("1.8.1", import_wh)):
        if value is not None:
            width = 10 if ".8." in code else 6
            pattern = rf"(1-0:{re.escape(code)}\()[^*]*".encode()
            body = re.sub(pattern, rf"\g<1>{value / 1000:0{width}.3f}".encode(), body)
    return sealed(body)


class P1OverTcp:
    """A bridge that repeats what the meter says to whoever connects."""

    def __init__(self) -> None:
        self.connections = 0
        self._writers: list[asyncio.StreamWriter] = []
        self._accepted = asyncio.Event()
        self._serving: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.hang_up()
        while self._serving:
            await asyncio.wait(self._serving)

    @property
    def address(self) -> str:
        """Where to connect, as "host:port"."""
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()
        return f"{host}:{port}"

    async def connected(self, in_all: int = 1) -> None:
        """Wait until so many connections have been taken, counting those that are gone."""
        while self.connections < in_all:
            self._accepted.clear()
            await self._accepted.wait()

    def send(self, data: bytes) -> None:
        """Push bytes to everyone who listens."""
        for writer in self._writers:
            writer.write(data)

    @property
    def listeners(self) -> int:
        """How many are connected now."""
        return len(self._writers)

    def hang_up(self) -> None:
        """Close every connection; new ones are taken."""
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        self._accepted.set()
        serving = asyncio.create_task(self._until_it_leaves(reader, writer))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)

    async def _until_it_leaves(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await reader.read()  # a listener has nothing to say
        writer.close()
        if writer in self._writers:
            self._writers.remove(writer)


class P1OverSerial:
    """A USB cable: a pty behind a stable link, as under /dev/serial/by-id; each plugging is a new device."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "usb-P1-cable"
        self._meter_end: int | None = None
        self._cable_end: int | None = None

    def __enter__(self) -> Self:
        self.plug_in()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unplug()

    def plug_in(self) -> None:
        """A new device node under the old name."""
        self._meter_end, self._cable_end = os.openpty()
        tty.setraw(self._cable_end)
        os.set_blocking(self._meter_end, False)
        self.path.symlink_to(os.ttyname(self._cable_end))

    def unplug(self) -> None:
        """The node and its name are gone; who has it open gets an error."""
        self.path.unlink(missing_ok=True)
        for end in (self._meter_end, self._cable_end):
            if end is not None:
                os.close(end)
        self._meter_end = self._cable_end = None

    def send(self, data: bytes) -> None:
        """Push bytes down the cable; a meter does not wait for a reader."""
        assert self._meter_end is not None, "the cable is unplugged"
        with suppress(BlockingIOError):
            os.write(self._meter_end, data)
