"""Which processes are there, as Linux tells it."""

from __future__ import annotations

from pathlib import Path


def is_alive(pid: int) -> bool:
    """Whether it runs; one that ended and was not yet collected does not."""
    return _stat(pid)[0] not in ("Z", "gone")


def descendants(pid: int) -> set[int]:
    """Every process below this one."""
    pids = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    children = {child for child in pids if _stat(child)[1] == str(pid)}
    return children.union(*map(descendants, children))


def _stat(pid: int) -> list[str]:
    """State and parent (proc(5), /proc/PID/stat after the name in brackets)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[:2]
    except OSError:
        return ["gone", ""]
