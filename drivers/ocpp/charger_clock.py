"""What time a charger thinks it is: a profile ends by that clock, and old messages must not pass as new.

Pure: moments are handed in. `lead_s` is UTC as the charger tells it minus our monotonic clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto

REPLAY_AFTER_S = 120.0  # a stamp further behind is of a message that waited for its connection
ROUNDED_S = 2.0  # what stamps of whole seconds and a slow wire make of a message sent just now
STEADY_FOR_S = 5.0  # two messages at least this far apart ...
STEADY_WITHIN_S = 3.0  # ... whose stamps are as far apart were sent as they arrived
_RECENT = 5


class Kept(Enum):
    """Whether a charger may have kept a message until it had a connection."""

    MAYBE = auto()  # what OCPP 1.6 calls transaction-related waits for its connection
    HARDLY = auto()  # a state does not, but may be stamped with when it began
    NEVER = auto()  # it was asked for just now


@dataclass
class ChargerClock:
    """The charger's clock as its messages show it; it outlives a connection."""

    _proven: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))
    remembered_off_s: float | None = None  # how far it was from ours when it was last known; None: never
    was_asked: bool = False  # for a message that tells it
    _hint_s: float | None = None  # its lead as far as one message can tell
    _anchor: tuple[float, float] | None = None  # stamp, arrival
    _told_lead_s: float | None = None

    def told(self, utc_s: float, now_s: float) -> None:
        """We told the charger what time it is; most believe it."""
        self._told_lead_s = utc_s - now_s

    def heard(self, stamp_s: float, now_s: float, ours_s: float | None, kept: Kept = Kept.MAYBE) -> None:
        """Take the stamp of a message. `ours_s`: UTC if our clock is trusted."""
        lead_s = stamp_s - now_s
        expected_s = self._expected_s(now_s, ours_s)
        # What waited a minute for its connection looks like a clock a minute slow: only time tells which.
        near = expected_s is not None and abs(stamp_s - expected_s) <= STEADY_WITHIN_S
        if kept is Kept.NEVER or near or self._is_steady(stamp_s, now_s):
            if self._proven and abs(lead_s - self._proven[-1]) > REPLAY_AFTER_S:
                self._proven.clear()  # it was set
            self._proven.append(lead_s)
        elif self._hints(stamp_s, expected_s, kept):
            self._hint_s = max(lead_s, lead_s if self._hint_s is None else self._hint_s)
        if (
            self._anchor is None
            or now_s - self._anchor[1] >= STEADY_FOR_S
            or self._contradicts(stamp_s, now_s)
        ):
            self._anchor = stamp_s, now_s

    def is_old(self, stamp_s: float, now_s: float, ours_s: float | None, opened_s: float) -> bool:
        """Whether a message with this stamp is of the past, as one that waited for its connection to open."""
        charger_s = self.utc_s(now_s, ours_s)
        if charger_s is None:
            return False
        at_opening_s = charger_s - (now_s - opened_s)
        return stamp_s < max(charger_s - REPLAY_AFTER_S, at_opening_s - ROUNDED_S)

    def utc_s(self, now_s: float, ours_s: float | None) -> float | None:
        """UTC by the charger's clock; where it never told, by ours or as we told it; None: nobody knows.

        A charger that was never met is taken at its word: a lease that ends by a clock that is too slow
        ends too early, one by a clock that is too fast too late.
        """
        if self._proven:
            # Messages are late, never early: the highest lead is the nearest.
            return now_s + max(self._proven)
        if self._hint_s is not None:
            return now_s + self._hint_s
        return self._expected_s(now_s, ours_s)

    @property
    def is_proven(self) -> bool:
        """Whether its messages showed it, in this life of the gateway."""
        return bool(self._proven)

    @property
    def is_known(self) -> bool:
        """Whether they showed it, in this life or an earlier one."""
        return self.is_proven or self.remembered_off_s is not None

    def off_s(self, now_s: float, ours_s: float | None) -> float:
        """How far it is from ours; 0 where that is not known."""
        charger_s = self.utc_s(now_s, ours_s)
        return 0.0 if charger_s is None or ours_s is None else charger_s - ours_s

    def _expected_s(self, now_s: float, ours_s: float | None) -> float | None:
        if ours_s is None and self._told_lead_s is not None:
            return now_s + self._told_lead_s
        return None if ours_s is None else ours_s + (self.remembered_off_s or 0.0)

    def _hints(self, stamp_s: float, expected_s: float | None, kept: Kept) -> bool:
        """Whether one message tells something: none is stamped ahead of its sender's clock, and what is
        behind may have waited."""
        is_ahead = expected_s is not None and stamp_s > expected_s
        return is_ahead or (kept is Kept.HARDLY and self.remembered_off_s is None)

    def _is_steady(self, stamp_s: float, now_s: float) -> bool:
        if self._anchor is None or now_s - self._anchor[1] < STEADY_FOR_S:
            return False
        return not self._contradicts(stamp_s, now_s)

    def _contradicts(self, stamp_s: float, now_s: float) -> bool:
        """Whether this message and the anchor cannot both have been sent as they arrived."""
        if self._anchor is None:
            return False
        return abs((stamp_s - self._anchor[0]) - (now_s - self._anchor[1])) >= STEADY_WITHIN_S
