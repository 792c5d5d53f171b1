"""The local socket: one question a line, one answer a line. Server for the daemon, client for the CLI."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.console.answers import Answer, Question

QUESTION_MAX = 4096
CLIENTS_MAX = 8
IDLE_S = 30.0
ANSWER_S = 10.0


class NoAnswer(Exception):
    """The daemon does not answer at the socket; the message says what to do."""


@asynccontextmanager
async def serve(path: Path, answer: Callable[[Question], Awaitable[Answer]]) -> AsyncIterator[None]:
    """Answer questions at `path` while inside; readable and writable by owner and group only."""
    talking: set[asyncio.Task[None]] = set()

    def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = _talk(reader, writer, answer, busy=len(talking) >= CLIENTS_MAX)
        task = asyncio.create_task(conversation, name="console")
        talking.add(task)
        task.add_done_callback(talking.discard)

    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(client, path, limit=QUESTION_MAX)
    path.chmod(0o660)
    try:
        yield
    finally:
        server.close()
        for task in talking:
            task.cancel()
        path.unlink(missing_ok=True)


def ask(path: Path, question: Question) -> Any:
    """The daemon's answer to `question`.

    Raises:
        NoAnswer: nobody listens there, or it took too long.
    """
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(ANSWER_S)
        try:
            line.connect(str(path))
            line.sendall(json.dumps(question).encode() + b"\n")
            with line.makefile("rb") as answers:
                return json.loads(answers.readline())
        except (OSError, ValueError) as error:
            raise NoAnswer(f"no daemon answers at {path} ({error}); is `homeflex run` up?") from error


async def _talk(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    answer: Callable[[Question], Awaitable[Answer]],
    *,
    busy: bool,
) -> None:
    try:
        if busy:
            await _say(writer, {"error": f"{CLIENTS_MAX} others are asking; try again in a moment"})
        else:
            await _converse(reader, writer, answer)
    except (ConnectionError, TimeoutError):
        writer.transport.abort()  # gone, silent, or not reading: closing would wait for them to read
    finally:
        writer.close()


async def _converse(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    answer: Callable[[Question], Awaitable[Answer]],
) -> None:
    while True:
        try:
            async with asyncio.timeout(IDLE_S):
                line = await reader.readline()
        except ValueError:  # what follows is the rest of it: nothing more is read
            await _say(writer, {"error": f"a question has at most {QUESTION_MAX} bytes"})
            return
        if not line:
            return
        await _say(writer, await _answer(line, answer))


async def _say(writer: asyncio.StreamWriter, said: Answer) -> None:
    writer.write(json.dumps(said).encode() + b"\n")
    async with asyncio.timeout(IDLE_S):
        await writer.drain()


async def _answer(line: bytes, answer: Callable[[Question], Awaitable[Answer]]) -> Answer:
    try:
        question = json.loads(line)
    except (ValueError, RecursionError):
        question = None
    if not isinstance(question, dict) or not isinstance(question.get("ask"), str):
        return {"error": 'not a question; {"ask": "status"} would be one'}
    return await answer(question)  # type: ignore[arg-type]  # the answerer checks the verb and its words
