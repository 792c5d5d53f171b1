"""The hub's idea of UTC: an anchor on the monotonic clock, whether to trust it, and its steps.

A hub without a battery clock starts years in the past. Until the kernel says that its clock is
synchronised, UTC is only a number.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

STEP_S = 2.0  # the wall clock is followed by re-anchoring when it differs by more; less is its own slewing
# Without its source a hub's clock may drift 100 ppm (a bad crystal): trusted for about 3 days.
DRIFT = 100e-6
ERROR_MAX_S = 30.0
BUILT_UTC_S = 1_767_225_600.0  # 2026-01-01: no release is older, so no true clock is

_ERROR_UNKNOWN_US = 16_000_000  # where the kernel's own estimate stops growing: not synchronised


class Trust(StrEnum):
    """Whom to believe about UTC: the kernel's clock discipline, or (on a test rig) the clock as it is."""

    KERNEL = "kernel"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class Discipline:
    """What the kernel says of its clock: disciplined by a time source, and its largest error (s)."""

    synchronised: bool
    error_s: float


@dataclass(frozen=True, slots=True)
class Step:
    """UTC jumped: it was `before_utc_s` and is now `by_s` later (negative: earlier)."""

    before_utc_s: float
    by_s: float


class Clock:
    """UTC between steps runs as the monotonic clock does. `floor_utc_s` is the last UTC known from before:
    an earlier one is not trusted. Call `check` each second."""

    def __init__(
        self,
        *,
        trust: Trust = Trust.KERNEL,
        floor_utc_s: float = BUILT_UTC_S,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        discipline: Callable[[], Discipline] | None = None,
    ) -> None:
        self._trust = trust
        self._floor_utc_s = max(floor_utc_s, BUILT_UTC_S)
        self._wall = wall
        self._monotonic = monotonic
        self._discipline = discipline or read_discipline
        self._disciplined = False
        self._known: tuple[float, float] | None = None  # when (monotonic) the error was last known, and it
        self._anchor()
        self.check()

    def monotonic_s(self) -> float:
        """Seconds that never jump."""
        return self._monotonic()

    def utc_s(self) -> float:
        """Seconds since 1970, whether or not to be trusted."""
        return self._anchor_utc_s + (self._monotonic() - self._anchor_s)

    def check(self) -> Step | None:
        """Look at the wall clock and the kernel: follow a step and report it, renew or lose trust."""
        step = self._follow()
        if step:
            self._known = None  # set by hand, unless the kernel says otherwise
        kernel = self._discipline()
        self._disciplined = kernel.synchronised
        # Between two answers of the time source the kernel assumes 500 ppm: our own bound may be closer.
        if kernel.synchronised and kernel.error_s <= self._drifted_s():
            self._known = (self._monotonic(), kernel.error_s)
        return step

    @property
    def trusted(self) -> bool:
        """Whether UTC may start and time services."""
        return self.utc_s() >= self._floor_utc_s and self.error_s <= ERROR_MAX_S

    @property
    def source(self) -> str:
        """Where the trust comes from: `ntp`, `holdover`, `configuration`; `none` where there is none."""
        if not self.trusted:
            return "none"
        if self._trust is Trust.ALWAYS:
            return "configuration"
        return "ntp" if self._disciplined else "holdover"

    @property
    def error_s(self) -> float:
        """The largest error of UTC (s); inf while nothing is known of it."""
        return 0.0 if self._trust is Trust.ALWAYS else self._drifted_s()

    def _drifted_s(self) -> float:
        if self._known is None:
            return float("inf")
        at_s, error_s = self._known
        return error_s + DRIFT * (self._monotonic() - at_s)

    def _anchor(self) -> None:
        self._anchor_s, self._anchor_utc_s = self._monotonic(), self._wall()

    def _follow(self) -> Step | None:
        before_utc_s = self.utc_s()
        by_s = self._wall() - before_utc_s
        if abs(by_s) <= STEP_S:
            return None
        self._anchor()
        return Step(before_utc_s, by_s)


# --- the kernel -----------------------------------------------------------------------------------------


class _Timex(ctypes.Structure):
    """The head of `struct timex` (adjtimex(2)); only reading needs no more than its size."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("rest", ctypes.c_char * 256),
    )


def read_discipline() -> Discipline:
    """What the kernel says, by adjtimex(2) without a mode, which needs no privilege.

    As systemd does, STA_UNSYNC is not looked at: it is also set to keep the kernel off a clock in local time.
    """
    try:
        adjtimex = ctypes.CDLL(None).adjtimex
    except AttributeError:
        return Discipline(synchronised=False, error_s=float("inf"))
    answer = _Timex()
    if adjtimex(ctypes.byref(answer)) < 0 or answer.maxerror >= _ERROR_UNKNOWN_US:
        return Discipline(synchronised=False, error_s=float("inf"))
    return Discipline(synchronised=True, error_s=answer.maxerror / 1e6)
