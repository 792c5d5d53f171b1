"""A file that is there whole or not at all, whatever ends the command that writes it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO


@contextlib.contextmanager
def whole_file(file: Path) -> Iterator[TextIO]:
    """Write a text beside `file`, and put it in its place at the end; a pipe or a device is written at once.

    Raises:
        OSError: there is no writing there; what was there before is there still.
    """
    if file.exists() and not file.is_file():
        with file.open("w", encoding="utf-8", newline="") as out:
            yield out
        return
    beside = file.with_name(f"{file.name}.part-{os.getpid()}")
    try:
        with beside.open("w", encoding="utf-8", newline="") as out:
            yield out
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)
