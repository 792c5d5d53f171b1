"""The kill harness kills what it started, notices who dies by himself, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from pathlib import Path

import pytest

from tests.faults.kill9 import DiedByItself, Kill9, Observer, torment

# Appends its process id, and that of a child, to a file; then runs on.
_PROGRAM = """
import os, subprocess, sys, time
child = subprocess.Popen(["sleep", "60"])
with open(sys.argv[1], "a") as pids:
    print(os.getpid(), child.pid, file=pids, flush=True)
print("running", flush=True)
time.sleep(60)
"""


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def _until_it_wrote(file: Path, lines: int) -> None:
    while not file.exists() or len(file.read_text().splitlines()) < lines:
        await asyncio.sleep(0.01)


async def _until_none_runs(pids: list[int]) -> None:
    """The kernel takes a moment to end what was killed."""
    async with asyncio.timeout(15):
        while any(map(_is_running, pids)):
            await asyncio.sleep(0.01)


async def test_each_life_is_killed_and_neither_it_nor_its_children_go_on(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    async with Kill9([sys.executable, "-c", _PROGRAM, str(pids)]) as victim:
        draw = random.Random(3)
        await torment(victim, kills=3, draw=draw, alive_s=(0.2, 0.3), ready=lambda: _until_it_wrote(pids, 1))
        assert [(life.killed, life.returncode) for life in victim.lives] == [(True, -signal.SIGKILL)] * 3
        assert len({life.pid for life in victim.lives}) == 3
    seen = [int(pid) for pid in pids.read_text().split()]
    assert len(seen) >= 2
    await _until_none_runs(seen)


async def test_leaving_the_harness_leaves_no_process_behind(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    async with Kill9([sys.executable, "-c", _PROGRAM, str(pids)]) as victim:
        await victim.start()
        await asyncio.wait_for(_until_it_wrote(pids, 1), 10)
    await _until_none_runs([int(pid) for pid in pids.read_text().split()])


async def test_a_program_that_dies_by_itself_is_told_with_its_last_words() -> None:
    async with Kill9([sys.executable, "-c", "print('out of beans'); raise SystemExit(3)"]) as victim:
        with pytest.raises(DiedByItself, match=r"exit code 3\n.*out of beans"):
            await torment(victim, kills=1, draw=random.Random(1), alive_s=(1.0, 1.0))


async def test_an_orderly_stop_is_not_a_kill() -> None:
    async with Kill9(["sleep", "60"]) as victim:
        pid = await victim.start()
        life = await victim.stop()
    assert (life.pid, life.killed, life.returncode) == (pid, False, -signal.SIGTERM)


def test_notes_keep_their_order_and_kind() -> None:
    observer = Observer()
    observer.saw("reading", 1)
    observer.saw("write", "x")
    observer.saw("reading", 2)
    assert observer.all("reading") == [1, 2]
    assert [n.at_s for n in observer.notes] == sorted(n.at_s for n in observer.notes)
