"""What anybody can cause is told once in a while, with a count: a flood of it must not drown the rest."""

from __future__ import annotations


class Seldom:
    """Counts what is alike, and says when it is to be told."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._told_s = float("-inf")
        self._count = 0

    def count(self, now_s: float) -> int | None:
        """One more: how many it stands for, those since the last that was told; None: it is only counted."""
        self._count += 1
        if now_s - self._told_s < self._every_s:
            return None
        self._told_s, count, self._count = now_s, self._count, 0
        return count
