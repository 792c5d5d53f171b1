"""A Modbus TCP server written from the protocol (Modbus Messaging on TCP/IP 1.0b, Application Protocol
1.1b3), with the faults real ones have, and an Xtherma heat pump behind it. Shares no code with the product.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Self

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, BUSY = 1, 2, 3, 6
_READS = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}


class _Exception(Exception):
    """An exception answer; the argument is its code."""


@dataclass
class Unit:
    """One device: four tables of what exists, and a log of what was written to it, in order."""

    coil: dict[int, int] = field(default_factory=dict)
    discrete: dict[int, int] = field(default_factory=dict)
    holding: dict[int, int] = field(default_factory=dict)
    input: dict[int, int] = field(default_factory=dict)
    writes: list[tuple[str, int, int]] = field(default_factory=list)
    deaf_to: set[int] = field(default_factory=set)  # holding registers that accept a write and stay
    read_only: set[int] = field(default_factory=set)  # holding registers that refuse a write

    def table(self, name: str) -> dict[int, int]:
        found: dict[int, int] = getattr(self, name)
        return found

    def put(self, table: str, address: int, value: int) -> None:
        if address in self.read_only:
            raise _Exception(ILLEGAL_VALUE)
        self.writes.append((table, address, value))
        if address not in self.deaf_to:
            self.table(table)[address] = value


@dataclass
class Xtherma(Unit):
    """The heat pump as far as its maker documents it.

    It follows the surplus value while control is on (70) and the value (71) is younger than 120 s;
    otherwise it heats as its owner set it. `clock` gives seconds.
    """

    clock: Callable[[], float] = monotonic
    demand_w: int = 1_500
    _surplus_at_s: float = float("-inf")

    WATCHDOG_S = 120.0

    def __post_init__(self) -> None:
        self.holding |= {
            **dict.fromkeys(range(3), 0), 0: 1, 1: 4, 60: 0, 61: 5, 62: 5, 63: 5, 64: 0, 65: 0, 70: 0, 71: 0,
            **dict.fromkeys(range(100, 106), 0), 100: 248, 101: 2, 102: 1,
            **dict.fromkeys(range(110, 117), 300), **dict.fromkeys(range(120, 127), 310), 124: 205,
            **dict.fromkeys(range(130, 139), 0), 130: 143, 136: 48,
            **dict.fromkeys(range(140, 145), 65_516), **dict.fromkeys(range(170, 178), 0),
            **dict.fromkeys(range(180, 194), 0),
        }  # fmt: skip
        self._settle()

    @property
    def blocked(self) -> bool:
        """Whether it rests because no surplus is offered."""
        fresh = self.clock() - self._surplus_at_s < self.WATCHDOG_S
        return bool(self.holding[70]) and fresh and self.holding[71] == 0

    @property
    def power_w(self) -> int:
        """What it draws now (W)."""
        return 0 if self.blocked else self.demand_w

    def table(self, name: str) -> dict[int, int]:
        self._settle()
        return super().table(name)

    def put(self, table: str, address: int, value: int) -> None:
        if table == "holding" and not 0 <= address <= 99:
            raise _Exception(ILLEGAL_ADDRESS)  # 100 and above: read only
        super().put(table, address, value)
        if address == 71:
            self._surplus_at_s = self.clock()

    def _settle(self) -> None:
        self.holding[136] = 0 if self.blocked else 48
        self.holding[171] = self.holding[177] = self.power_w // 10


@dataclass
class ModbusServer:
    """Serves units on a free loopback port. The fault fields take effect with the next request."""

    units: dict[int, Unit]
    delay_s: float = 0.0
    silent: bool = False  # takes requests, answers none
    answers_as_unit: int | None = None
    exception: int | None = None  # answered to everything
    cut_after: int | None = None  # bytes of the next answer, then the connection ends
    mangle: Callable[[bytes], bytes] | None = None  # applied to each whole answer
    connections: int = 0
    requests: list[tuple[int, int, int, int]] = field(default_factory=list)  # unit, function, address, count
    last_request: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections and drop those there are."""
        if self._server:
            self._server.close()
        self.drop()

    def drop(self) -> None:
        """Cut every connection."""
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        try:
            while True:
                head = await reader.readexactly(7)
                transaction, _protocol, length, unit = struct.unpack(">HHHB", head)
                answer = self._answer(unit, await reader.readexactly(length - 1))
                self.last_request.set()
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if answer is None or self.silent:
                    continue
                await self._send(writer, transaction, unit, answer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _send(self, writer: asyncio.StreamWriter, transaction: int, unit: int, pdu: bytes) -> None:
        as_unit = unit if self.answers_as_unit is None else self.answers_as_unit
        frame = struct.pack(">HHHB", transaction, 0, len(pdu) + 1, as_unit) + pdu
        frame = self.mangle(frame) if self.mangle else frame
        if self.cut_after is not None:
            writer.write(frame[: self.cut_after])
            await writer.drain()
            self.cut_after = None
            raise ConnectionResetError
        writer.write(frame)
        await writer.drain()

    def _answer(self, unit: int, pdu: bytes) -> bytes | None:
        function, address, count = struct.unpack(">BHH", pdu[:5])
        self.requests.append((unit, function, address, count))
        if unit not in self.units:
            return None  # a gateway waits for a device that is not there
        try:
            if self.exception:
                raise _Exception(self.exception)
            return bytes([function]) + _execute(self.units[unit], function, address, count, pdu[5:])
        except _Exception as error:
            return bytes([function | 0x80, error.args[0]])


def _execute(unit: Unit, function: int, address: int, count: int, rest: bytes) -> bytes:
    if function in _READS:
        return _read(unit.table(_READS[function]), function, address, count)
    if function == 5:
        _require(unit.coil, address, 1)
        unit.put("coil", address, int(count == 0xFF00))
        return struct.pack(">HH", address, count)
    if function == 6:
        _require(unit.holding, address, 1)
        unit.put("holding", address, count)
        return struct.pack(">HH", address, count)
    if function == 16:
        _require(unit.holding, address, count)
        for offset, value in enumerate(struct.unpack(f">{count}H", rest[1:])):
            unit.put("holding", address + offset, value)
        return struct.pack(">HH", address, count)
    raise _Exception(ILLEGAL_FUNCTION)


def _read(table: dict[int, int], function: int, address: int, count: int) -> bytes:
    if not 1 <= count <= (2_000 if function in (1, 2) else 125):
        raise _Exception(ILLEGAL_VALUE)
    _require(table, address, count)
    values = [table[address + offset] for offset in range(count)]
    if function in (1, 2):
        packed = sum(bit << place for place, bit in enumerate(values)).to_bytes(-(-count // 8), "little")
    else:
        packed = struct.pack(f">{count}H", *values)
    return bytes([len(packed)]) + packed


def _require(table: dict[int, int], address: int, count: int) -> None:
    if any(address + offset not in table for offset in range(count)):
        raise _Exception(ILLEGAL_ADDRESS)
