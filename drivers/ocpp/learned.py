"""What is known of a charger beyond one message: its running session, and what outlives a connection."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from drivers.ocpp.charger_clock import ChargerClock
from drivers.ocpp.keys import Keys
from drivers.ocpp.mute import Mute
from drivers.ocpp.profile import SessionId

BOOTS_KEPT = 4


@dataclass(frozen=True, slots=True)
class Session:
    """A running session. Without an id the charger never told it; a presumed one ran when we last knew."""

    id: SessionId | None
    since_s: float
    phases: int | None = None
    presumed: bool = False


@dataclass
class Learned:
    """What outlives a connection, but not the daemon."""

    clock: ChargerClock = field(default_factory=ChargerClock)
    boots_s: deque[float] = field(default_factory=lambda: deque(maxlen=BOOTS_KEPT))
    mute: Mute = field(default_factory=Mute)
    keys: Keys = field(default_factory=lambda: Keys({}))  # as it told them last
    hung_up_s: float = -math.inf  # when we last ended a connection because limits were not answered
    told: set[str] = field(default_factory=set)  # events a person has heard of
