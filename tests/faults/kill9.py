"""Kills a program with SIGKILL at drawn moments and starts it again, while someone outside takes notes.

    async with Kill9([sys.executable, "-m", "gateway", "run", ...]) as victim:
        observer = Observer()                     # fed by the aggregator, the device, the broker
        await torment(victim, kills=20, draw=random.Random(seed), ready=observer_sees_presence)
    no_reading_is_missing(observer.notes, victim.lives)   # a check: a plain function of both

The moments are drawn from a seeded generator: a failure names the seed, and the same seed tries again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

STOP_S = 10.0
READY_S = 20.0
OUTPUT_MAX = 20_000  # bytes of the last life's output, for the words of a failure


@dataclass(frozen=True, slots=True)
class Life:
    """One run of the program. Monotonic seconds; `killed`: we ended it."""

    pid: int
    started_s: float
    ended_s: float
    killed: bool
    returncode: int


@dataclass(frozen=True, slots=True)
class Note:
    """One thing seen from outside, with its moment (monotonic seconds)."""

    at_s: float
    kind: str
    what: Any


@dataclass
class Observer:
    """What was seen from outside, in order."""

    notes: list[Note] = field(default_factory=list)

    def saw(self, kind: str, what: Any) -> None:
        """Take a note."""
        self.notes.append(Note(time.monotonic(), kind, what))

    def all(self, kind: str) -> list[Any]:
        """Everything of one kind that was seen."""
        return [note.what for note in self.notes if note.kind == kind]


class DiedByItself(AssertionError):
    """The program ended though no one killed it; the message is the end of its output."""


class Kill9:
    """The program: at most one life at a time, in a process group of its own, none left behind."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self.lives: list[Life] = []
        self._command = command
        self._environment = {**os.environ, **(environment or {})}
        self._process: asyncio.subprocess.Process | None = None
        self._started_s = 0.0
        self._output = bytearray()
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Kill9:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process:
            await self._end(signal.SIGKILL)

    async def start(self) -> int:
        """Begin a life; its process id."""
        assert self._process is None, "it lives already"
        self._output.clear()
        self._started_s = time.monotonic()
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self._environment,
            start_new_session=True,
        )
        assert self._process.stdout
        self._reading = asyncio.create_task(self._read(self._process.stdout))
        return self._process.pid

    async def kill(self) -> Life:
        """End the life without warning.

        Raises:
            DiedByItself: it had ended already.
        """
        if self._process and self._process.returncode is not None:
            returncode = self._process.returncode
            await self._end(signal.SIGKILL)
            raise DiedByItself(f"exit code {returncode}\n{self.output}")
        return await self._end(signal.SIGKILL)

    async def stop(self) -> Life:
        """End the life in order (SIGTERM); after `STOP_S` it is killed."""
        return await self._end(signal.SIGTERM)

    @property
    def output(self) -> str:
        """The end of what the present or last life wrote."""
        return self._output.decode(errors="replace")

    async def _end(self, how: signal.Signals) -> Life:
        process, self._process = self._process, None
        assert process, "it does not live"
        assert self._reading
        killed = how is signal.SIGKILL and process.returncode is None
        self._signal(process.pid, how)
        try:
            await asyncio.wait_for(process.wait(), STOP_S)
        except TimeoutError:
            killed = True
        self._signal(process.pid, signal.SIGKILL)  # whatever it started
        returncode = await process.wait()
        await self._reading
        self.lives.append(Life(process.pid, self._started_s, time.monotonic(), killed, returncode))
        return self.lives[-1]

    def _signal(self, group: int, how: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, how)

    async def _read(self, stdout: asyncio.StreamReader) -> None:
        while chunk := await stdout.read(4096):
            self._output += chunk
            del self._output[:-OUTPUT_MAX]


async def torment(
    victim: Kill9,
    *,
    kills: int,
    draw: random.Random,
    alive_s: tuple[float, float] = (0.05, 1.5),
    ready: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Start and kill so many times; afterwards it does not live.

    How long each life lasts is drawn from `alive_s`, and counted from its start or, for half of them, from
    when `ready` returns: both the start and the running program are hit.

    Raises:
        DiedByItself: a life ended before it was killed.
    """
    for _ in range(kills):
        await victim.start()
        if ready and draw.random() < 0.5:
            await asyncio.wait_for(ready(), READY_S)
        await asyncio.sleep(draw.uniform(*alive_s))
        await victim.kill()
