"""Arbitrary bytes as a Shelly's answer: one of the four errors or points, and nothing else."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from drivers.base import DriverError
from drivers.plugs.http import Client
from drivers.plugs.rpc import Rpc
from drivers.plugs.status import points_of

_HEADS = (
    b"",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
    b'HTTP/1.1 200 OK\r\ncontent-length: 400\r\n\r\n{"id": 1, "result": {"switch:0": {"output": ',
    b'HTTP/1.1 200 OK\r\n\r\n{"id": 1, "error": {"code": ',
    b"HTTP/1.1 401 No\r\nwww-authenticate: Digest ",
)


def fuzz_shelly(data: bytes) -> None:
    """Answer every request with `data`; its first byte chooses a sound beginning to put before the rest."""
    head = _HEADS[data[0] % len(_HEADS)] if data else b""
    asyncio.run(_answered_with(head + data[1:]))


async def _answered_with(answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.read(2048)
            writer.write(answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, Client("127.0.0.1", server.sockets[0].getsockname()[1], 2.0) as client:
        with suppress(DriverError):
            points = points_of(await Rpc(client, "geheim").call("Shelly.GetStatus", {}), 0)
            assert points.keys() <= {"on", "power_w", "import_ws", "export_ws"}
