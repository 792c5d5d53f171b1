"""The demo itself, whole: every scene passes, and a sabotaged scene and only that one fails."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from gateway.demo import director
from gateway.demo.log import load
from gateway.demo.scenes import scenes
from tests.demo.processes import descendants, is_alive

pytestmark = [pytest.mark.long, pytest.mark.timeout(480)]
RUN_S = 300


async def _run(path: Path, *more: str) -> int:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", "demo", "--for", str(RUN_S), "--json", str(path), *more
    )
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            process.kill()


async def test_the_demo_plays_eight_scenes_and_all_pass(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    assert await _run(path) == 0
    assert director.judge(path) == 0


@pytest.mark.parametrize("scene", range(1, 9))
async def test_a_sabotaged_scene_fails_and_no_other(tmp_path: Path, scene: int) -> None:
    path = tmp_path / "run.json"
    assert await _run(path, "--sabotage", str(scene)) == 1
    verdicts = scenes(load(path))
    assert [v.number for v in verdicts if not v.passed] == [scene], [
        (v.number, c.text) for v in verdicts for c in v.claims if not c.holds
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
async def test_an_interrupted_demo_leaves_nothing_running(tmp_path: Path, number: signal.Signals) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", "demo", "--json", str(tmp_path / "run.json")
    )
    await asyncio.sleep(12.0)
    children = descendants(process.pid)
    assert len(children) >= 3  # two brokers and the daemon
    process.send_signal(number)
    code = await asyncio.wait_for(process.wait(), 15.0)
    assert code == (-signal.SIGKILL if number is signal.SIGKILL else 130)
    await asyncio.sleep(1.0)
    assert [pid for pid in children if is_alive(pid)] == []
