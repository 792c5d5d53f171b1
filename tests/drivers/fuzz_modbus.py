"""Arbitrary bytes as a Modbus device's answer: one of the four errors or registers, and nothing else."""

from __future__ import annotations

import asyncio

from drivers.base import DriverError
from drivers.modbus.codec import sample_of
from drivers.modbus.link import Connection
from drivers.profile import Point, Table

_TYPES = ("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "float32")


def fuzz_modbus(data: bytes) -> None:
    """Feed `data` to the decoder and, after a request, to the client.

    The first byte chooses whether a right header (transaction, unit, length) is put before the rest.
    """
    words = [int.from_bytes(data[at : at + 2]) for at in (0, 2)]
    for kind in _TYPES:
        point = Point.model_validate(
            {"table": "input", "address": 0, "type": kind, "source": "fuzz", "confidence": "seen"}
        )
        sample_of(point, words[: point.count])
    asyncio.run(_answered_with(data))


async def _answered_with(data: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.read(64)
        writer.write(_answer(request, data))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        connection = Connection("127.0.0.1", server.sockets[0].getsockname()[1], 2.0)
        try:
            await connection.open()
            registers = await connection.read(1, Table.HOLDING, 100, 2, 2.0)
            assert len(registers) == 2
            assert all(0 <= register <= 0xFFFF for register in registers)
        except DriverError:
            pass
        finally:
            connection.close()


def _answer(request: bytes, data: bytes) -> bytes:
    if not data or data[0] & 1:
        return data
    body = data[1:]
    return request[:4] + (len(body) + 1).to_bytes(2) + request[6:7] + body
