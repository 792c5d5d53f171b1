"""A charging profile in words that no version owns, and the limits it carries. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

LOWEST_A10 = 60  # IEC 61851: nothing between 0 and 6 A

FAILSAFE_ID = 10
LEASE_ID = 20
DEFAULT_LEASE_ID = 30  # a lease that has no transaction to hang on
STATION_LEASE_ID = 40  # one over all of a charger that takes no other


SessionId = int | str
"""A running session's: ours in 1.6, the charger's own in 2.0.1."""


class Purpose(StrEnum):
    """What a profile is laid over."""

    SESSION = "TxProfile"  # the running session only
    ANY_SESSION = "TxDefaultProfile"  # any session, where it has no profile of its own
    STATION = "ChargingStationMaxProfile"  # all of the charger, beside what else holds


class Unit(StrEnum):
    """What a profile counts in."""

    AMPERE = "A"
    WATT = "W"


class End(StrEnum):
    """How a lease says when it ends. What has no end is no lease."""

    BOTH = "both"  # by `duration` and by `validTo`
    DURATION = "duration"
    VALID_TO = "validTo"


@dataclass(frozen=True, slots=True)
class Limit:
    """What a session may draw: tenths of an ampere for each phase, and watts in all."""

    a10: int
    power_w: int

    def in_unit(self, unit: Unit) -> float:
        """As a profile says it, with one decimal."""
        return self.a10 / 10 if unit is Unit.AMPERE else float(self.power_w)


@dataclass(frozen=True, slots=True)
class Lease:
    """From when to when (UTC on the charger's clock) a profile counts."""

    start_s: float
    end_s: float
    end: End = End.BOTH


@dataclass(frozen=True, slots=True)
class Profile:
    """What is laid into the charger; without a lease it stays."""

    id: int
    purpose: Purpose
    stack_level: int
    unit: Unit
    limit: Limit
    transaction: SessionId | None = None
    lease: Lease | None = None
    since_s: float | None = None  # without a lease: UTC it counts from; None: from a session's start


@dataclass(frozen=True, slots=True)
class Wiring:
    """The supply of a charger: what converts watts into amperes, and its steps."""

    phases: int
    volts: float
    max_a10: int
    step_a10: int

    @property
    def most(self) -> Limit:
        """Its full rating."""
        return self.of_amperes(self.max_a10)

    def of_amperes(self, a10: int) -> Limit:
        """A limit in tenths of an ampere a phase."""
        return Limit(a10, int(a10 * self.volts * self.phases / 10))

    def at_most(self, power_w: int, phases_seen: int | None = None) -> Limit:
        """The highest limit at which a session draws at most this, also on more phases than it should have.

        It is rounded down to the charger's steps; under 6 A only 0 is left.
        """
        phases = max(self.phases, phases_seen or 0)
        a10 = min(self.max_a10, int(power_w * 10 / (self.volts * phases) + 1e-9))
        a10 -= a10 % self.step_a10
        return Limit(a10, min(power_w, self.most.power_w)) if a10 >= LOWEST_A10 else Limit(0, 0)
