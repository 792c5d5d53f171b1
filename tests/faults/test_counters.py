"""The counters see what a program writes and syncs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.faults.counters import io_of, syscalls_of

_PROGRAM = """
import os, sys
file = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
for _ in range(int(sys.argv[2])):
    os.write(file, b"x" * 1000)
    os.fdatasync(file)
"""


def test_every_sync_and_write_of_a_run_is_counted(tmp_path: Path) -> None:
    few, many = (
        syscalls_of([sys.executable, "-c", _PROGRAM, str(tmp_path / "file"), times]) for times in ("2", "12")
    )
    assert (many.syncs - few.syncs, many.writes - few.writes) == (10, 10)
    assert few.syncs == 2


def test_bytes_of_a_process_are_counted(tmp_path: Path) -> None:
    before = io_of()
    (tmp_path / "file").write_bytes(bytes(100_000))
    assert 100_000 <= (io_of(os.getpid()) - before).written_bytes < 200_000
