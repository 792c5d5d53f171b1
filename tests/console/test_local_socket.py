"""The local socket: whoever asks, and whatever they send, it answers or ends, and stays bounded."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.console import local_socket
from gateway.console.answers import Answer, Question
from gateway.console.local_socket import CLIENTS_MAX, QUESTION_MAX, NoAnswer, ask, serve


async def _echo(question: Question) -> Answer:
    return {"done": question["ask"]}


@pytest.fixture
async def path(tmp_path: Path) -> AsyncIterator[Path]:
    async with serve(tmp_path / "run" / "console.sock", _echo):
        yield tmp_path / "run" / "console.sock"


async def _said(path: Path, *lines: bytes) -> list[Any]:
    """What is answered to these lines until the other side has no more to say."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.writelines(lines)
    writer.write_eof()
    async with asyncio.timeout(15):
        answers = [json.loads(line) for line in (await reader.read()).splitlines()]
    writer.close()
    return answers


async def test_a_question_gets_its_answer(path: Path) -> None:
    assert await asyncio.to_thread(ask, path, {"ask": "status"}) == {"done": "status"}


async def test_one_caller_may_ask_several_questions(path: Path) -> None:
    assert await _said(path, b'{"ask": "status"}\n', b'{"ask": "why"}\n') == [
        {"done": "status"},
        {"done": "why"},
    ]


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"status\n",
        b"[]\n",
        b"{}\n",
        b'{"ask": 1}\n',
        b"\xff\xfe\n",
        b"\x00" * 100 + b"\n",
        b"[" * 4000 + b"\n",
    ],
)
async def test_garbage_is_told_what_a_question_is_and_the_next_one_is_answered(
    path: Path, line: bytes
) -> None:
    answers = await _said(path, line, b'{"ask": "why"}\n')
    assert answers == [{"error": 'not a question; {"ask": "status"} would be one'}, {"done": "why"}]


async def test_a_question_is_bounded_and_the_rest_of_it_is_not_taken_for_another(path: Path) -> None:
    long = b'{"ask": "' + b"x" * 3 * QUESTION_MAX + b'"}\n'
    assert await _said(path, long, b'{"ask": "why"}\n') == [
        {"error": f"a question has at most {QUESTION_MAX} bytes"}
    ]


async def test_a_caller_too_many_is_told_so_and_room_is_made_when_one_leaves(path: Path) -> None:
    callers = [await asyncio.open_unix_connection(path) for _ in range(CLIENTS_MAX)]
    for reader, writer in callers:  # each is really in conversation
        writer.write(b'{"ask": "why"}\n')
        assert await reader.readline()
    (refused,) = await _said(path)
    assert "try again" in refused["error"]
    callers[0][1].close()
    await callers[0][1].wait_closed()
    assert await _until_answered(path) == {"done": "status"}
    for _, writer in callers[1:]:
        writer.close()


async def _until_answered(path: Path) -> Any:
    async with asyncio.timeout(15):
        while "error" in (answer := await asyncio.to_thread(ask, path, {"ask": "status"})):
            await asyncio.sleep(0.01)
        return answer


async def test_a_silent_caller_is_let_go(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_socket, "IDLE_S", 0.05)
    reader, writer = await asyncio.open_unix_connection(path)
    async with asyncio.timeout(15):
        assert await reader.read() == b""
    writer.close()


async def test_a_caller_who_does_not_read_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_socket, "IDLE_S", 0.1)

    async def much(_: Question) -> Answer:
        return {"done": "x" * 1_000_000}

    async with serve(tmp_path / "console.sock", much):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "console.sock")
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(b'{"ask": "status"}\n')
        await asyncio.sleep(0.4)
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        async with asyncio.timeout(15):
            assert len(await reader.read()) < 1_000_000
        writer.close()


async def test_only_owner_and_group_may_ask(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


async def test_what_a_killed_daemon_left_is_no_obstacle_and_nothing_is_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "console.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    async with serve(path, _echo):
        assert await asyncio.to_thread(ask, path, {"ask": "why"}) == {"done": "why"}
    assert not path.exists()


async def test_the_end_ends_every_conversation(tmp_path: Path) -> None:
    async with serve(tmp_path / "console.sock", _echo):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "console.sock")
        writer.write(b'{"ask": "why"}\n')
        await reader.readline()
    async with asyncio.timeout(15):
        assert await reader.read() == b""
    writer.close()


def test_nobody_there_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NoAnswer, match="is `homeflex run` up"):
        ask(tmp_path / "none.sock", {"ask": "status"})
