"""What a meter is told and what it tells: samples in, interval readings out, in the contract's words."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from gateway.core.model import Quality

HOLD_S = 60.0  # the longest extrapolation at the last power, and gap bridged between two samples


class Cause(StrEnum):
    """Why a reading is not plainly OK; the contract's `reasons`, in its order."""

    EDGE = "edge"
    FROZEN = "frozen"
    STALE = "stale"
    COUNTER_RESET = "counterReset"
    CLOCK_UNTRUSTED = "clockUntrusted"
    IMPLAUSIBLE = "implausible"
    DEVICE_OFFLINE = "deviceOffline"
    EXPORT_UNKNOWN = "exportUnknown"
    REGRID = "regrid"
    RESTART = "restart"


class Grade(StrEnum):
    """The contract's `quality` of a reading."""

    OK = "OK"
    ESTIMATED = "ESTIMATED"
    MISSING = "MISSING"
    BAD = "BAD"


class Source(StrEnum):
    """What measures a point; an estimate is never OK."""

    METER = "meter"
    DEVICE = "device"
    ESTIMATE = "estimate"


@dataclass(frozen=True, slots=True)
class Anchor:
    """One moment on both clocks. `trusted`: the UTC of it may be published."""

    mono_s: float
    utc_s: float
    trusted: bool

    def utc(self, at_s: float) -> float:
        """UTC of a monotonic time."""
        return self.utc_s + (at_s - self.mono_s)

    def mono(self, utc_s: float) -> float:
        """Monotonic time of a UTC."""
        return self.mono_s + (utc_s - self.utc_s)

    def stamp(self, at_s: float) -> float:
        """UTC of a monotonic time to the whole second; times a second apart never share one."""
        return float(math.floor(self.utc(at_s) + 0.5))


@dataclass(frozen=True, slots=True)
class Sample:
    """What a device said at `at_s`; None is what it did not say. Registers are never netted.

    BAD values and frozen ones are not used: they say from when on, and why, nothing is known.
    """

    at_s: float
    power_w: float | None = None
    import_ws: int | None = None
    export_ws: int | None = None
    quality: Quality = Quality.GOOD
    reasons: tuple[str, ...] = ()

    @property
    def registers(self) -> tuple[int | None, int | None]:
        """Import, export."""
        return self.import_ws, self.export_ws

    @property
    def says_something(self) -> bool:
        """Whether there is any value in it."""
        return self.power_w is not None or self.registers != (None, None)


@dataclass(frozen=True, slots=True)
class Spec:
    """What is known of a point beforehand.

    `max_w` is the most that can flow either way; `fresh_s` how long a sample speaks for (two periods
    of its source); `wait_s` how long an interval's end waits for a later sample at most; `resolution_ws` the
    step of its registers (None: learnt).
    """

    source: Source = Source.METER
    max_w: float = 100_000.0
    fresh_s: float = 20.0
    wait_s: float = 1.5
    resolution_ws: int | None = None


@dataclass(frozen=True, slots=True)
class Flowed:
    """What has flowed through a meter in all (Ws, net). Only differences mean anything, and none from before
    its register was first read (`by_register`) to after that."""

    energy_ws: float
    by_register: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """One interval [start, end) of one point. Registers are those at its end.

    `gap_ws` is what flowed while nothing was known before it. Not `stamped`: its UTC waits for `stamp`.
    """

    start_s: float
    end_s: float
    start_utc_s: float
    end_utc_s: float
    stamped: bool
    source: Source
    quality: Grade
    reasons: tuple[Cause, ...] = ()
    coverage: float = 0.0
    power_w: int | None = None
    energy_ws: int | None = None
    import_register_ws: int | None = None
    export_register_ws: int | None = None
    gap_ws: int | None = None
    last_w: float | None = None
    last_at_s: float | None = None
    last_at_utc_s: float | None = None
    method: str = "MEAN"


def stamp(reading: Reading, anchor: Anchor) -> Reading:
    """A reading of this life with the UTC it had, now that the clock is trusted.

    By the anchor of the cut that first had one trusted: so the series stays whole.
    """
    last_at_utc_s = None if reading.last_at_s is None else anchor.utc(reading.last_at_s)
    return replace(
        reading,
        start_utc_s=anchor.stamp(reading.start_s),
        end_utc_s=anchor.stamp(reading.end_s),
        last_at_utc_s=last_at_utc_s,
        stamped=True,
    )


def causes_of(*words: str) -> tuple[Cause, ...]:
    """The contract's words among these, each once, in its order."""
    return tuple(cause for cause in Cause if cause in words)
