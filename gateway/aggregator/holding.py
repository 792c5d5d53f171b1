"""How far we hold each log of a home without a gap, and the `ack` that says so.

A log that is new to us counts from the first number heard. A gap that did not fill in `GIVE_UP_S`, though
each ack asked for it, is lost: the home no longer has it. It is told once, and passed over.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from gateway.wire.ack import SCHEMA
from gateway.wire.moment import moment_of

GIVE_UP_S = 3600.0
_APART_MOST = 256  # stretches above a gap that are remembered; others are sent again, which harms nobody


@dataclass(slots=True)
class Log:
    """One log: everything up to `seq` is held, and what lies `apart` above it, first and last."""

    stream: str
    seq: int
    apart: list[tuple[int, int]] = field(default_factory=list)
    stuck_utc_s: float = 0.0

    def take(self, seq: int, now_utc_s: float) -> bool:
        """Hold a number; whether it is new."""
        if seq <= self.seq or any(first <= seq <= last for first, last in self.apart):
            return False
        before, had_gap = self.seq, bool(self.apart)
        self.apart = _joined([*self.apart, (seq, seq)])
        self._close_up()
        if self.seq > before or not had_gap:
            self.stuck_utc_s = now_utc_s
        return True

    def give_up(self, now_utc_s: float) -> tuple[int, int] | None:
        """The gap that will not fill any more, first and last; it is passed over."""
        if not self.apart or now_utc_s - self.stuck_utc_s < GIVE_UP_S:
            return None
        lost = (self.seq + 1, self.apart[0][0] - 1)
        self.seq, self.stuck_utc_s = lost[1], now_utc_s
        self._close_up()
        return lost

    def _close_up(self) -> None:
        while self.apart and self.apart[0][0] <= self.seq + 1:
            self.seq = max(self.seq, self.apart.pop(0)[1])
        del self.apart[_APART_MOST:]


class Holding:
    """All logs of all homes."""

    def __init__(self) -> None:
        self.logs: dict[str, dict[str, Log]] = {}
        """By site, then by log."""

    def take(self, site: str, numbers: Iterable[tuple[str, str, int]], now_utc_s: float) -> bool:
        """Hold (log, stream, seq); whether any is new. Another stream replaces the one before."""
        fresh = False
        for name, stream, seq in numbers:
            logs = self.logs.setdefault(site, {})
            if name not in logs or logs[name].stream != stream:
                logs[name] = Log(stream, seq - 1)
            fresh |= logs[name].take(seq, now_utc_s)
        return fresh

    def ack(self, site: str, at_utc_s: float) -> dict[str, Any]:
        """The body of an `ack` for a site."""
        logs = {name: {"stream": log.stream, "seq": log.seq} for name, log in self.logs[site].items()}
        return {"schema": SCHEMA, "site": site, "at": moment_of(at_utc_s), "logs": logs}

    def give_up(self, now_utc_s: float) -> list[tuple[str, str, int, int]]:
        """Gaps that will not fill: site, log, first and last."""
        return [
            (site, name, *lost)
            for site, logs in self.logs.items()
            for name, log in logs.items()
            if (lost := log.give_up(now_utc_s)) is not None
        ]

    def saved(self) -> str:
        """Everything, for a file."""
        return json.dumps(
            {
                site: {name: [log.stream, log.seq, log.apart, log.stuck_utc_s] for name, log in logs.items()}
                for site, logs in self.logs.items()
            }
        )

    @classmethod
    def restored(cls, text: str) -> Holding:
        """What `saved` wrote.

        Raises:
            ValueError: the text is not that.
        """
        holding = cls()
        try:
            for site, logs in json.loads(text).items():
                holding.logs[site] = {name: _log(*facts) for name, facts in logs.items()}
        except (TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"this is not a state of `ack`: {error}") from error
        return holding


def _log(stream: str, seq: int, apart: list[list[int]], stuck_utc_s: float) -> Log:
    return Log(str(stream), int(seq), [(int(a), int(b)) for a, b in apart], float(stuck_utc_s))


def _joined(stretches: list[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for first, last in sorted(stretches):
        if found and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(last, found[-1][1])
        else:
            found.append((first, last))
    return found
