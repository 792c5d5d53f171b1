"""Modbus TCP as a device speaks it: frames in, answers out, over one listening socket.

Written from "MODBUS Application Protocol V1.1b3" and "MODBUS Messaging on TCP/IP V1.0b"; it knows
function codes 03, 06 and 16, and no product.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from typing import Protocol

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
_READ, _WRITE_ONE, _WRITE_MANY = 3, 6, 16
_MOST_READ, _MOST_WRITTEN = 125, 123  # V1.1b3, 6.3 and 6.12
_HEADER = struct.Struct(">HHHB")  # transaction, protocol (0), bytes that follow, unit


class Exceptional(Exception):
    """The request gets an exception answer with this code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code}")
        self.code = code


class Registers(Protocol):
    """A device's holding registers. Both raise `Exceptional`."""

    def read(self, register: int) -> int:
        """The register's 16 bits."""

    def write(self, register: int, value: int, peer: str) -> None:
        """Take a value from the network address `peer`."""


def answer(registers: Registers, request: bytes, peer: str) -> bytes:
    """The answer to one request; both without the header."""
    try:
        return _answer(registers, request, peer)
    except Exceptional as refusal:
        return bytes((request[0] | 0x80, refusal.code))
    except (struct.error, IndexError):
        return bytes((request[0] | 0x80, ILLEGAL_VALUE))


@contextlib.asynccontextmanager
async def listening(
    registers: Registers, unit: int, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[int]:
    """Serve the registers while the block runs; gives the port. Another unit gets no answer."""
    peers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.add(writer)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                await _converse(registers, unit, reader, writer)
        finally:
            peers.discard(writer)
            writer.close()

    server = await asyncio.start_server(serve, host, port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in peers:
            writer.close()


async def _converse(
    registers: Registers, unit: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    peer = "{}:{}".format(*writer.get_extra_info("peername"))
    while True:
        transaction, protocol, length, asked_unit = _HEADER.unpack(await reader.readexactly(_HEADER.size))
        if protocol != 0 or not 2 <= length <= 254:
            return
        request = await reader.readexactly(length - 1)
        if asked_unit == unit:
            reply = answer(registers, request, peer)
            writer.write(_HEADER.pack(transaction, 0, len(reply) + 1, unit) + reply)
            await writer.drain()


def _answer(registers: Registers, request: bytes, peer: str) -> bytes:
    function = request[0]
    if function == _READ:
        first, count = struct.unpack(">HH", request[1:])
        _must(1 <= count <= _MOST_READ, ILLEGAL_VALUE)
        values = [registers.read(register) for register in range(first, first + count)]
        return struct.pack(f">BB{count}H", function, 2 * count, *values)
    if function == _WRITE_ONE:
        register, value = struct.unpack(">HH", request[1:])
        registers.write(register, value, peer)
        return request
    if function == _WRITE_MANY:
        first, count, size = struct.unpack(">HHB", request[1:6])
        _must(1 <= count <= _MOST_WRITTEN and size == 2 * count == len(request) - 6, ILLEGAL_VALUE)
        for offset, value in enumerate(struct.unpack(f">{count}H", request[6:])):
            registers.write(first + offset, value, peer)
        return request[:5]
    raise Exceptional(ILLEGAL_FUNCTION)


def _must(claim: bool, code: int) -> None:
    if not claim:
        raise Exceptional(code)
