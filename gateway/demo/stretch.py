"""Runs of consecutive seconds in which something held."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar


class Timed(Protocol):
    """Something seen at a moment."""

    @property
    def at_utc_s(self) -> float:
        """When."""


TimedT = TypeVar("TimedT", bound=Timed)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive seconds of one kind, from the first to the last of them."""

    begin_utc_s: float
    end_utc_s: float

    @property
    def lasted_s(self) -> float:
        """How long it went on."""
        return self.end_utc_s - self.begin_utc_s


def stretches(seconds: Iterable[TimedT], holds: Callable[[TimedT], bool]) -> list[Stretch]:
    """Runs of consecutive seconds that satisfy `holds`."""
    found: list[Stretch] = []
    unbroken = False
    for second in seconds:
        if holds(second):
            begin = found.pop().begin_utc_s if unbroken else second.at_utc_s
            found.append(Stretch(begin, second.at_utc_s))
        unbroken = holds(second)
    return found


def longest(found: Iterable[Stretch]) -> Stretch:
    """The longest of them; one of no length at the beginning of time if there is none."""
    return max(found, key=lambda one: one.lasted_s, default=Stretch(0.0, 0.0))


def lasting(seconds: Iterable[TimedT], holds: Callable[[TimedT], bool]) -> Stretch | None:
    """The stretch that lasts to the very end, if there is one: from then on it held all the time."""
    last = None
    for second in seconds:
        if not holds(second):
            last = None
        else:
            last = Stretch(last.begin_utc_s if last else second.at_utc_s, second.at_utc_s)
    return last
