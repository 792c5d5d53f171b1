"""One instruction followed from its statuses to its end, and how it ended."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

ENDS = frozenset({"REJECTED", "SUCCEEDED", "ABORTED", "REVOKED"})


class Ending(IntEnum):
    """How an instruction ended; the exit codes of `send --follow` and `watch --id`."""

    SUCCEEDED = 0  # every asset
    NOT = 1  # none: refused, rejected, aborted or revoked
    IN_PART = 5  # some assets did


class Following:
    """What the statuses of one id say, in the order heard."""

    def __init__(self, id: str) -> None:
        self.id = id
        self.lives: dict[str, str] = {}
        """The last word on each asset, or on a target that matched none."""
        self.is_refused = False
        self._revision = -1

    def take(self, body: dict[str, Any]) -> bool:
        """Hear a message of the topic `dispatch/status`; whether it is of this instruction."""
        if body.get("id") != self.id:
            return False
        if body.get("schema") == "homeflex.summary.v1":
            self.lives |= {one["asset"]: one["status"] for one in body.get("assets", [])}
            return True
        if body.get("reception") != "OK":  # of a later revision: the former stays in force
            self.is_refused |= self._revision < 0
            return True
        self._revision = max(self._revision, body.get("revision") or 0)
        for one in body.get("targets", []):
            is_whole = "asset" not in one and one.get("reason") != "unknownTarget"
            if not is_whole:
                self.lives[one.get("asset") or one["target"]] = one["status"]
        return True

    @property
    def ending(self) -> Ending | None:
        """How it ended; None while it goes on."""
        if self.is_refused and not self.lives:
            return Ending.NOT
        if not self.lives or not set(self.lives.values()) <= ENDS:
            return None
        succeeded = [life == "SUCCEEDED" for life in self.lives.values()]
        return Ending.SUCCEEDED if all(succeeded) else Ending.IN_PART if any(succeeded) else Ending.NOT
