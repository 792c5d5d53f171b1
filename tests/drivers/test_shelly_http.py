"""The HTTP client on a bad day: whatever comes over the wire is an answer or one of the four errors."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.base import DriverError, Unintelligible, Unreachable
from drivers.plugs.http import LARGEST_ANSWER_BYTES, Client
from tests.drivers.fuzz_shelly import fuzz_shelly
from tests.fakes.shelly import Shelly

DEADLINE_S = 5.0  # of a busy machine: who waits for it asks for less
SILENCE_S = 1.0  # after which a plug does not answer


@pytest.fixture
async def plug() -> AsyncIterator[Shelly]:
    async with Shelly() as plug:
        yield plug


@pytest.fixture
async def client(plug: Shelly) -> AsyncIterator[Client]:
    async with Client("127.0.0.1", plug.port, DEADLINE_S) as client:
        yield client


@pytest.fixture
async def hasty(plug: Shelly) -> AsyncIterator[Client]:
    """A client that soon takes silence for one."""
    async with Client("127.0.0.1", plug.port, SILENCE_S) as client:
        yield client


async def ask(client: Client) -> str:
    """Ask who it is; the model."""
    answer = await client.request("GET", "/shelly")
    assert answer.status == 200
    assert b"SNPL-00112EU" in answer.body
    return "SNPL-00112EU"


# --- one connection ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunked", [False, True])
async def test_many_requests_go_over_one_connection(plug: Shelly, client: Client, chunked: bool) -> None:
    plug.chunked = chunked
    for _ in range(5):
        await ask(client)
    assert (plug.connections, plug.requests) == (1, 5)


async def test_a_device_that_closes_after_each_answer_gets_a_new_connection_each_time(
    plug: Shelly, client: Client
) -> None:
    plug.closes_after_answer = True
    for _ in range(3):
        await ask(client)
    assert (plug.connections, plug.requests) == (3, 3)


async def test_a_connection_closed_while_idle_is_replaced(plug: Shelly, client: Client) -> None:
    await ask(client)
    plug.close_idle()
    await asyncio.sleep(0.02)
    await ask(client)
    assert (plug.connections, plug.requests) == (2, 2)


async def test_a_connection_closed_under_the_request_is_replaced_once(plug: Shelly, client: Client) -> None:
    """The device gave it up while the request was on its way: it was not answered at all."""
    await ask(client)
    plug.hang_up_on = 1
    await ask(client)
    assert (plug.connections, plug.requests) == (2, 3)


async def test_it_is_replaced_once_and_not_for_ever(plug: Shelly, client: Client) -> None:
    await ask(client)
    plug.hang_up_on = 9
    with pytest.raises(Unreachable, match="hung up without an answer"):
        await ask(client)
    assert (plug.connections, plug.requests) == (2, 3)


async def test_a_new_connection_that_is_closed_without_an_answer_is_not_tried_again(
    plug: Shelly, client: Client
) -> None:
    plug.hang_up_on = 9
    with pytest.raises(Unreachable, match="hung up without an answer"):
        await ask(client)
    assert (plug.connections, plug.requests) == (1, 1)


async def test_a_request_that_was_answered_in_part_is_not_sent_again(plug: Shelly, client: Client) -> None:
    await ask(client)
    plug.cut_after = 60
    with pytest.raises(Unreachable):
        await ask(client)
    assert (plug.connections, plug.requests) == (1, 2)


async def test_a_request_whose_answer_is_cut_short_by_a_reset_is_not_sent_again() -> None:
    requests = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        while await reader.read(2048):
            requests += 1
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n" + b"[]"[: 3 - requests])
            await asyncio.sleep(0.02)
            if requests > 1:
                at_once = struct.pack("ii", 1, 0)  # a close with no time to linger is a reset
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
                writer.close()
                return

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, Client("127.0.0.1", port, DEADLINE_S) as client:
        assert (await client.request("GET", "/")).body == b"[]"
        with pytest.raises(Unreachable):
            await client.request("GET", "/")
    assert requests == 2


async def test_after_a_failure_the_next_request_has_a_connection_of_its_own(
    plug: Shelly, hasty: Client
) -> None:
    """What comes late is never taken for the answer to what was asked since."""
    plug.delay_s = 1.5 * SILENCE_S
    with pytest.raises(Unreachable, match="no answer within"):
        await hasty.request("GET", "/late")
    plug.delay_s = 0
    await ask(hasty)
    assert plug.connections == 2


async def test_what_comes_after_an_answer_is_not_the_next_answer(plug: Shelly, client: Client) -> None:
    plug.mangle = lambda answer: answer + b"HTTP/1.1 404 Late\r\ncontent-length: 0\r\n\r\n"
    for _ in range(3):
        await ask(client)
    assert plug.connections == 3


async def test_a_request_told_to_stop_at_any_moment_stops(plug: Shelly) -> None:
    finished = False
    for steps in range(1, 300):
        async with Client("127.0.0.1", plug.port, DEADLINE_S) as client:
            task = asyncio.ensure_future(ask(client))
            for _ in range(steps):
                await asyncio.sleep(0)
            if finished := task.done():
                break
            task.cancel()
            await asyncio.wait([task], timeout=15)
            assert task.cancelled(), f"went on when cancelled after {steps} steps"
    assert finished


# --- faults -----------------------------------------------------------------------------------------------


def _say_nothing(plug: Shelly) -> None:
    plug.silent = True


def _be_too_slow(plug: Shelly) -> None:
    plug.delay_s = 3 * SILENCE_S


def _cut_in_the_head(plug: Shelly) -> None:
    plug.cut_after = 20


def _cut_in_the_body(plug: Shelly) -> None:
    plug.mangle = lambda answer: answer.replace(b"Content-Length: ", b"Content-Length: 9")
    plug.closes_after_answer = True


def _cut_in_a_chunk(plug: Shelly) -> None:
    plug.chunked = True
    plug.cut_after = 180


def _speak_another_protocol(plug: Shelly) -> None:
    plug.mangle = lambda _: b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n"


def _say_two_lengths(plug: Shelly) -> None:
    plug.mangle = lambda answer: answer.replace(b"Server:", b"Content-Length: 5\r\nServer:")


def _write_bad_chunks(plug: Shelly) -> None:
    plug.chunked = True
    plug.mangle = lambda answer: answer.replace(b"\r\n\r\n", b"\r\n\r\nzz")


def _send_too_much(plug: Shelly) -> None:
    plug.shelly |= {"noise": "x" * LARGEST_ANSWER_BYTES}


def _send_endless_heads(plug: Shelly) -> None:
    plug.mangle = lambda _: b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000


FAULTS: list[tuple[Callable[[Shelly], None], type[DriverError]]] = [
    (_say_nothing, Unreachable),
    (_be_too_slow, Unreachable),
    (_cut_in_the_head, Unreachable),
    (_cut_in_the_body, Unreachable),
    (_cut_in_a_chunk, Unreachable),
    (_speak_another_protocol, Unintelligible),
    (_say_two_lengths, Unintelligible),
    (_write_bad_chunks, Unintelligible),
    (_send_too_much, Unintelligible),
    (_send_endless_heads, Unintelligible),
]


@pytest.mark.parametrize(("break_it", "error"), FAULTS, ids=lambda case: getattr(case, "__name__", ""))
@pytest.mark.parametrize("kept", [False, True], ids=["new", "kept"])
async def test_each_fault_is_one_of_the_four_errors(
    plug: Shelly, hasty: Client, break_it: Callable[[Shelly], None], error: type[DriverError], kept: bool
) -> None:
    if kept:
        await ask(hasty)
    break_it(plug)
    with pytest.raises(DriverError) as raised:
        await ask(hasty)
    assert type(raised.value) is error


async def test_an_answer_of_the_largest_size_is_still_read(plug: Shelly, client: Client) -> None:
    answer = await client.request("GET", "/shelly")
    plug.shelly |= {"noise": "x" * (LARGEST_ANSWER_BYTES - len(answer.body) - len(', "noise": ""'))}
    assert len((await client.request("GET", "/shelly")).body) == LARGEST_ANSWER_BYTES


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "x" * 70])
async def test_where_nobody_answers_is_unreachable(host: str) -> None:
    async with Shelly() as plug:
        pass
    async with Client(host, plug.port, DEADLINE_S) as client:
        with pytest.raises(Unreachable):
            await ask(client)


@settings(max_examples=80)
@given(st.binary(max_size=300))
def test_no_answer_whatever_gets_past_the_four_errors(data: bytes) -> None:
    fuzz_shelly(data)
