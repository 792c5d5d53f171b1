"""A disk that takes its time: a shim before the C library that delays and counts the syncs of a process."""

from __future__ import annotations

import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("slow_disk.c")


@dataclass(frozen=True, slots=True)
class SlowDisk:
    """Every sync of a process started with `environment` takes `delay_ms` longer and is counted."""

    environment: dict[str, str]
    counter: Path

    @property
    def syncs(self) -> int:
        """How many there were so far."""
        found: int = struct.unpack("<Q", self.counter.read_bytes())[0]
        return found


def slow_disk(folder: Path, name: str, delay_ms: int) -> SlowDisk | None:
    """A shim of its own for one process; None where there is no gcc to compile it."""
    library = folder / "slow_disk.so"
    if not library.exists():
        if not shutil.which("gcc"):
            return None
        subprocess.run(
            ["gcc", "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"], check=True
        )
    counter = folder / f"{name}.syncs"
    counter.write_bytes(bytes(8))
    environment = {
        "LD_PRELOAD": str(library),
        "BENCH_SYNC_COUNT": str(counter),
        "BENCH_SYNC_DELAY_US": str(delay_ms * 1000),
    }
    return SlowDisk(environment, counter)
