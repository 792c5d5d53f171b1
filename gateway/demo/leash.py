"""A child process that cannot outlive us: whoever ends the demo, however hard, ends its children.

The child leads a process group of its own, so that Ctrl-C in the terminal reaches only the demo, and
asks the kernel (Linux, prctl(2) PR_SET_PDEATHSIG) to be killed when its parent is gone.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1


async def start(command: Sequence[str], output: Path, env: Mapping[str, str]) -> asyncio.subprocess.Process:
    """Start `command` on a leash, its output appended to a file."""
    with output.open("ab") as sink:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            __name__,
            str(os.getpid()),
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            env=env,
            process_group=0,
        )


async def stop(process: asyncio.subprocess.Process, within_s: float) -> int:
    """Ask the process to end, insist after `within_s`; gives its exit code."""
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
        try:
            return await asyncio.wait_for(process.wait(), within_s)
        except TimeoutError:
            process.kill()
    return await process.wait()


def _become(parent: int, command: list[str]) -> None:
    """Tie this process to its parent, then become `command`; the process id stays."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it went before we were tied
        sys.exit(1)
    os.execv(command[0], command)


if __name__ == "__main__":
    _become(int(sys.argv[1]), sys.argv[2:])
