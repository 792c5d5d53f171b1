"""A home, one look later."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gateway.core.decide import decide
from gateway.core.memory import remember
from gateway.core.model import Snapshot


def later(snapshot: Snapshot, after_s: float, **more: Any) -> Snapshot:
    """The moment after, remembering what was decided."""
    memory = remember(snapshot, decide(snapshot))
    moved = {"now_s": snapshot.now_s + after_s, "utc_s": snapshot.utc_s + after_s, "memory": memory}
    return replace(snapshot, **moved, **more)
