"""Counts what a program costs the disk: bytes from /proc, syncs and writes from strace."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

RUN_S = 60
_SYNCS = ("fsync", "fdatasync", "sync_file_range", "sync", "syncfs", "msync")
_WRITES = ("write", "pwrite64", "writev", "pwritev", "pwritev2")
_ROW = re.compile(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$")


@dataclass(frozen=True, slots=True)
class Io:
    """What a process wrote so far: `written_bytes` by its calls, `stored_bytes` sent to the storage layer."""

    written_bytes: int
    stored_bytes: int

    def __sub__(self, before: Io) -> Io:
        return Io(self.written_bytes - before.written_bytes, self.stored_bytes - before.stored_bytes)


def io_of(pid: int | None = None) -> Io:
    """The counters of a running process (default: this one), from /proc/PID/io."""
    lines = Path(f"/proc/{pid or os.getpid()}/io").read_text().splitlines()
    counts = {name: int(count) for name, count in (line.split(": ") for line in lines)}
    return Io(counts["wchar"], counts["write_bytes"])


@dataclass(frozen=True, slots=True)
class Syscalls:
    """Calls of a whole run, all threads and children."""

    syncs: int
    writes: int


def syscalls_of(command: Sequence[str], run_s: float = RUN_S) -> Syscalls:
    """Run the command to its end and count; skips the test where strace is missing.

    Raises:
        subprocess.CalledProcessError: the command failed.
    """
    if not shutil.which("strace"):
        pytest.skip("strace is not installed (apt install strace)")
    with tempfile.NamedTemporaryFile("r") as table:
        traced = [
            "strace",
            "-f",
            "-c",
            "-e",
            "trace=" + ",".join(_SYNCS + _WRITES),
            "-o",
            table.name,
            *command,
        ]
        subprocess.run(traced, check=True, capture_output=True, timeout=run_s)
        counts = {m[2]: int(m[1]) for m in map(_ROW.match, table.read().splitlines()) if m}
    return Syscalls(sum(counts.get(c, 0) for c in _SYNCS), sum(counts.get(c, 0) for c in _WRITES))
