"""One daemon for one home: two would each take the other's setpoint back."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


class NotAlone(Exception):
    """Another process works with this state directory."""


@contextlib.contextmanager
def alone(state: Path) -> Iterator[None]:
    """Hold the state directory, made if there is none. The kernel lets go of it with the process (flock(2)).

    Raises:
        NotAlone: another process holds it.
        OSError: it cannot be made or read; one that cannot be written is held all the same.
    """
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory = os.open(state, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise NotAlone(f"another homeflex works with {state}; stop it first") from error
        yield
    finally:
        os.close(directory)
