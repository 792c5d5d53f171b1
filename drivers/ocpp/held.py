"""What a charger took last, and what it takes in no way. Pure records."""

from __future__ import annotations

from dataclasses import dataclass

from drivers.base import Proof
from drivers.ocpp.learned import Session
from drivers.ocpp.profile import Limit

PAUSE = Limit(0, 0)


@dataclass(frozen=True, slots=True)
class Held:
    """What the charger accepted last. Limit None: nothing of ours lies over the session."""

    session: Session
    limit: Limit | None
    proof: Proof
    at_s: float
    since_s: float  # of this limit
    lead_s: float | None = None  # of the charger's clock by which its end was said


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the charger takes in no way: any limit of a session, or only a pause."""

    session: Session
    only_pause: bool
    until_s: float
    why: str

    def stands(self, session: Session, limit: Limit | None, now_s: float) -> bool:
        """Whether this limit need not be tried."""
        is_meant = limit is not None and (limit == PAUSE or not self.only_pause)
        return is_meant and self.session.since_s == session.since_s and now_s < self.until_s
