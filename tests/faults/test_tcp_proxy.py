"""The fault proxy does what each fault says, and nothing when healthy."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.faults.tcp_proxy import HEALTHY, Fault, TcpProxy, Way

SOON_S = 2.0
NEVER_S = 0.05


@pytest.fixture
async def proxy() -> AsyncIterator[TcpProxy]:
    """A proxy before a server that sends back what it gets, and ends when its peer does."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(4096):
                writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server, TcpProxy("127.0.0.1", server.sockets[0].getsockname()[1]) as proxy:
        yield proxy


Pipe = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def pipe(proxy: TcpProxy) -> AsyncIterator[Pipe]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    yield reader, writer
    writer.transport.abort()


async def _said(pipe: Pipe, words: bytes) -> bytes:
    pipe[1].write(words)
    return await asyncio.wait_for(pipe[0].readexactly(len(words)), SOON_S)


async def test_a_healthy_proxy_changes_nothing_and_counts(proxy: TcpProxy, pipe: Pipe) -> None:
    assert await _said(pipe, b"hello" * 1000) == b"hello" * 1000
    assert (proxy.connections, proxy.bytes) == (1, {Way.UP: 5000, Way.DOWN: 5000})


async def test_an_orderly_end_is_passed_on(proxy: TcpProxy, pipe: Pipe) -> None:
    await _said(pipe, b"hello")
    pipe[1].write_eof()
    assert await asyncio.wait_for(pipe[0].read(), SOON_S) == b""


async def test_a_cut_resets_the_connection_and_a_new_one_works(proxy: TcpProxy, pipe: Pipe) -> None:
    await _said(pipe, b"hello")
    proxy.cut()
    with contextlib.suppress(ConnectionResetError):
        assert await asyncio.wait_for(pipe[0].read(), SOON_S) == b""
    again = await asyncio.open_connection("127.0.0.1", proxy.port)
    assert await _said(again, b"hello") == b"hello"
    again[1].close()


async def test_a_refusing_proxy_resets_who_connects(proxy: TcpProxy) -> None:
    proxy.fault = Fault(refuse=True)
    with contextlib.suppress(ConnectionError):
        reader, _ = await asyncio.open_connection("127.0.0.1", proxy.port)
        assert await asyncio.wait_for(reader.read(), SOON_S) == b""
    assert (proxy.refused, proxy.connections) == (1, 0)


async def test_a_stall_holds_bytes_back_and_lets_them_go_when_it_ends(proxy: TcpProxy, pipe: Pipe) -> None:
    await _said(pipe, b"hello")
    proxy.fault = Fault(stall=True)
    pipe[1].write(b"later")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(pipe[0].read(1), NEVER_S)
    proxy.fault = HEALTHY
    assert await asyncio.wait_for(pipe[0].readexactly(5), SOON_S) == b"later"


async def test_half_open_swallows_bytes_and_ends_without_a_word(proxy: TcpProxy, pipe: Pipe) -> None:
    await _said(pipe, b"hello")
    proxy.fault = Fault(half_open=True)
    pipe[1].write(b"gone!")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(pipe[0].read(1), NEVER_S)
    assert proxy.bytes[Way.UP] == 10
    proxy.fault = HEALTHY
    assert await _said(pipe, b"again") == b"again"


async def test_half_open_hides_that_one_side_has_gone(proxy: TcpProxy, pipe: Pipe) -> None:
    await _said(pipe, b"hello")
    proxy.fault = Fault(half_open=True)
    pipe[1].transport.abort()
    await asyncio.sleep(NEVER_S)
    assert proxy.open_connections == 1


async def test_split_sends_byte_by_byte(proxy: TcpProxy, pipe: Pipe) -> None:
    proxy.fault = Fault(ways=frozenset({Way.DOWN}), split=1, delay_s=0.001)
    pipe[1].write(b"hello")
    pieces = [await asyncio.wait_for(pipe[0].read(100), SOON_S) for _ in range(5)]
    assert pieces == [b"h", b"e", b"l", b"l", b"o"]


async def test_corrupt_turns_one_bit_of_each_byte_in_one_way_only(proxy: TcpProxy, pipe: Pipe) -> None:
    proxy.fault = Fault(ways=frozenset({Way.UP}), corrupt=1.0)
    back = await _said(pipe, bytes(100))
    assert all(byte.bit_count() == 1 for byte in back)


async def test_slow_takes_its_time(proxy: TcpProxy, pipe: Pipe) -> None:
    proxy.fault = Fault(ways=frozenset({Way.UP}), slow=10_000)
    started_s = asyncio.get_running_loop().time()
    await _said(pipe, bytes(1000))
    assert asyncio.get_running_loop().time() - started_s >= 0.1
