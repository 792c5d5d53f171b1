"""Charging profiles as a charge point keeps them: which limit holds now, by the stacking rules of OCPP 1.6.

"Open Charge Point Protocol 1.6", 3.13 (smart charging) and 7.8 to 7.14 (its types). Pure: every moment is
given, in UTC seconds. Limits are in ampere per phase.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

MAX_STACK_LEVEL, MAX_PERIODS, MAX_INSTALLED = 5, 6, 8
RATE_UNIT = "A"
_RECURRENCE_S = {"Daily": 86_400.0, "Weekly": 604_800.0}


class Purpose(StrEnum):
    """What a profile limits: the whole charge point, any transaction, or the one that runs."""

    STATION = "ChargePointMaxProfile"
    DEFAULT = "TxDefaultProfile"
    TRANSACTION = "TxProfile"


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile. `start_utc_s` None: its schedule starts with the transaction."""

    id: int
    connector: int
    purpose: Purpose
    level: int
    transaction: int | None
    valid_from_utc_s: float
    valid_to_utc_s: float
    start_utc_s: float | None
    every_s: float | None
    duration_s: float
    unit: str
    periods: tuple[tuple[float, float], ...]  # (from its start, limit in ampere)

    def limit_a(self, utc_s: float, began_utc_s: float | None, expires: bool = True) -> float | None:
        """The limit it gives at a moment of a transaction that began then; None: it gives none."""
        begin_utc_s = self.begin_utc_s(utc_s, began_utc_s)
        if begin_utc_s is None or not max(self.valid_from_utc_s, begin_utc_s) <= utc_s:
            return None
        since_s = utc_s - begin_utc_s
        if expires and (since_s >= self.duration_s or utc_s >= self.valid_to_utc_s):
            return None
        return [limit_a for begin_s, limit_a in self.periods if begin_s <= since_s][-1]

    def begin_utc_s(self, utc_s: float, began_utc_s: float | None) -> float | None:
        """When its schedule began, the last time before `utc_s` if it comes again."""
        if self.start_utc_s is None:
            return began_utc_s
        if self.every_s is None or utc_s < self.start_utc_s:
            return self.start_utc_s
        return utc_s - (utc_s - self.start_utc_s) % self.every_s

    def edges_utc_s(self, utc_s: float, began_utc_s: float | None) -> Iterable[float]:
        """Every moment from then on at which its limit may change, in this turn and the next."""
        yield from (self.valid_from_utc_s, self.valid_to_utc_s)
        begin_utc_s = self.begin_utc_s(utc_s, began_utc_s)
        if begin_utc_s is not None:
            for turn_s in (0.0, self.every_s or 0.0):
                yield from (begin_utc_s + turn_s + begin_s for begin_s, _ in self.periods)
                yield begin_utc_s + turn_s + self.duration_s


def parse(connector: int, document: dict[str, Any]) -> Profile:
    """A profile as `SetChargingProfile` carries it.

    Raises:
        KeyError, TypeError, ValueError: it is not as the type says.
    """
    schedule = document["chargingSchedule"]
    start, kind = schedule.get("startSchedule"), document["chargingProfileKind"]
    if kind not in ("Absolute", "Recurring", "Relative"):
        raise ValueError(f"chargingProfileKind {kind}")
    return Profile(
        id=int(document["chargingProfileId"]),
        connector=connector,
        purpose=Purpose(document["chargingProfilePurpose"]),
        level=int(document["stackLevel"]),
        transaction=document.get("transactionId"),
        valid_from_utc_s=_moment(document.get("validFrom"), -math.inf),
        valid_to_utc_s=_moment(document.get("validTo"), math.inf),
        start_utc_s=None if start is None or kind == "Relative" else _moment(start, 0.0),
        every_s=_RECURRENCE_S[document["recurrencyKind"]] if kind == "Recurring" else None,
        duration_s=float(schedule.get("duration", math.inf)),
        unit=schedule["chargingRateUnit"],
        periods=_periods(schedule["chargingSchedulePeriod"]),
    )


class Profiles:
    """The profiles a charge point with one connector has installed.

    `expire` False is a fault: their ends pass and nothing happens.
    """

    def __init__(self) -> None:
        self.expire = True
        self._installed: list[Profile] = []

    def install(self, profile: Profile) -> bool:
        """Take a profile in place of the one of its id, or of its place in the stack; whether it fits."""
        others = [one for one in self._installed if one.id != profile.id and _place(one) != _place(profile)]
        fits = (
            profile.unit == RATE_UNIT
            and 0 <= profile.level <= MAX_STACK_LEVEL
            and len(profile.periods) <= MAX_PERIODS
            and len(others) < MAX_INSTALLED
        )
        if fits:
            self._installed = [*others, profile]
        return fits

    def clear(self, id: int | None, connector: int | None, purpose: str | None, level: int | None) -> bool:
        """Drop the profile of that id, or those that match all that is given; whether there were any."""
        wanted = (connector, purpose, level)
        kept = [
            one for one in self._installed if (one.id != id if id is not None else not _matches(one, wanted))
        ]
        cleared, self._installed = len(kept) < len(self._installed), kept
        return cleared

    def end_transaction(self) -> None:
        """A profile of a transaction goes with it (3.13.1)."""
        self.clear(None, None, Purpose.TRANSACTION, None)

    def limit_a(self, utc_s: float, began_utc_s: float | None) -> float:
        """The limit in force at a moment; infinity if there is none."""
        station_a = self._stacked(Purpose.STATION, 0, utc_s, began_utc_s)
        ways = (
            (Purpose.TRANSACTION, 1),
            (Purpose.DEFAULT, 1),
            (Purpose.DEFAULT, 0),  # what is set for the connector stands before what is set for all
        )
        for purpose, connector in ways:
            limit_a = self._stacked(purpose, connector, utc_s, began_utc_s)
            if limit_a is not None:
                return min(limit_a, math.inf if station_a is None else station_a)
        return math.inf if station_a is None else station_a

    def composite(
        self, utc_s: float, for_s: float, began_utc_s: float | None, most_a: float
    ) -> list[tuple[int, float]]:
        """(seconds from now, limit) of each change within `for_s`, the rating `most_a` where none holds."""
        edges = {edge for one in self._installed for edge in one.edges_utc_s(utc_s, began_utc_s)}
        found: list[tuple[int, float]] = []
        for at_utc_s in sorted({utc_s, *(edge for edge in edges if utc_s < edge < utc_s + for_s)}):
            limit_a = min(most_a, self.limit_a(at_utc_s, began_utc_s))
            if not found or found[-1][1] != limit_a:
                found.append((math.ceil(at_utc_s - utc_s), limit_a))
        return found

    def _stacked(
        self, purpose: Purpose, connector: int, utc_s: float, began_utc_s: float | None
    ) -> float | None:
        """Of one purpose, what the highest level that gives a limit now says."""
        of_it = [one for one in self._installed if (one.purpose, one.connector) == (purpose, connector)]
        limits_a = (
            one.limit_a(utc_s, began_utc_s, self.expire)
            for one in sorted(of_it, key=lambda one: one.level, reverse=True)
        )
        return next((limit_a for limit_a in limits_a if limit_a is not None), None)


def _place(profile: Profile) -> tuple[int, Purpose, int]:
    return profile.connector, profile.purpose, profile.level


def _matches(profile: Profile, wanted: tuple[int | None, str | None, int | None]) -> bool:
    return all(want is None or have == want for have, want in zip(_place(profile), wanted, strict=True))


def _periods(found: list[dict[str, Any]]) -> tuple[tuple[float, float], ...]:
    periods = tuple((float(one["startPeriod"]), float(one["limit"])) for one in found)
    begins_s = [begin_s for begin_s, _ in periods]
    if not periods or begins_s[0] != 0 or begins_s != sorted(set(begins_s)):
        raise ValueError("chargingSchedulePeriod: from 0 on, each later than the one before")
    if any(limit_a < 0 or abs(10 * limit_a - round(10 * limit_a)) > 1e-6 for _, limit_a in periods):
        raise ValueError("limit: at least 0, with at most one decimal")
    return periods


def _moment(text: str | None, otherwise_utc_s: float) -> float:
    return otherwise_utc_s if text is None else datetime.fromisoformat(text).timestamp()
