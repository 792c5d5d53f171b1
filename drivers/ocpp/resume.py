"""A session that is to draw again after a pause: what helps, and when. Pure; limits are laid elsewhere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum, auto

from drivers.ocpp.pace import Pace


class Help(Enum):
    """What a session needs that was paused."""

    NOTHING = auto()  # it draws
    AGAIN = auto()  # the limit once more: some overhear the first after a pause
    PAUSE = auto()  # a second pause: some cars wake when it ends
    NO_MORE = auto()  # the car takes nothing


@dataclass(slots=True)
class Resume:
    """The time after one pause."""

    since_s: float
    pace: Pace
    said_again: bool = False
    paused_again: bool = False

    def due(self, draws: bool, can_repeat: bool) -> tuple[float, Help]:
        """When which help is due; a limit that was taken out cannot be said again."""
        if draws:
            return -math.inf, Help.NOTHING
        if not self.said_again and can_repeat:
            return self.since_s + self.pace.again_s, Help.AGAIN
        return self.since_s + self.pace.resume_s, Help.NO_MORE if self.paused_again else Help.PAUSE

    def pause(self, now_s: float) -> None:
        """A second pause begins and ends now."""
        self.paused_again, self.since_s = True, now_s
