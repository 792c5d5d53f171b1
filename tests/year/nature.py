"""What the simulated year brings from outside: weather with cold spells, and what a household does each day.

Drawn once from a seed, so that a year can be run again; shares nothing with the product.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

DAY_S, HOUR_S = 86_400.0, 3600.0
DRAWN_DAYS = 367  # as long as anybody watches; a home is the same however long that is
START_UTC_S = 1_798_761_600.0  # 2027-01-01, a Friday
FIRST_WEEKDAY = 4  # 0 is Monday


class Weather:
    """Outdoor temperature by the hour: a season, a day, what lingers, and a few cold spells."""

    def __init__(self, random: Random) -> None:
        spells = [(random.uniform(0, 90), random.uniform(3, 9), random.uniform(5, 11)) for _ in range(3)]
        spells += [(random.uniform(300, 365), random.uniform(3, 7), random.uniform(4, 9)) for _ in range(2)]
        lingers_c, hours = 0.0, []
        for hour in range((DRAWN_DAYS + 2) * 24):
            day = hour / 24
            lingers_c = 0.99 * lingers_c + random.gauss(0, 0.4)
            season_c = 10.0 - 7.0 * math.cos(2 * math.pi * (day - 20) / 365)
            daily_c = -3.0 * math.cos(2 * math.pi * (hour % 24 - 3) / 24)
            colder_c = sum(fall for start, length, fall in spells if start <= day % 365 < start + length)
            hours.append(season_c + daily_c + lingers_c - colder_c)
        self._hours = tuple(hours)

    def outdoor_c(self, at_s: float) -> float:
        """The temperature at a moment of the year."""
        hour, part = divmod(at_s / HOUR_S, 1)
        before, after = self._hours[int(hour)], self._hours[int(hour) + 1]
        return before + (after - before) * part


@dataclass(frozen=True, slots=True)
class Spell:
    """Something that lasts over [start_s, end_s)."""

    start_s: float
    end_s: float
    value: float = 1.0


class Spells:
    """Spells of one kind in order of their start; they may overlap."""

    def __init__(self, spells: list[Spell]) -> None:
        self._spells = tuple(sorted(spells, key=lambda spell: spell.start_s))
        self._starts = [spell.start_s for spell in self._spells]
        self._longest_s = max((s.end_s - s.start_s for s in self._spells), default=0.0)
        self._edges = sorted({edge for s in self._spells for edge in (s.start_s, s.end_s)})

    def at(self, now_s: float) -> list[Spell]:
        """Those in force."""
        last = bisect_right(self._starts, now_s)
        first = bisect_right(self._starts, now_s - self._longest_s - 1)
        return [spell for spell in self._spells[first:last] if now_s < spell.end_s]

    def next_edge_s(self, now_s: float) -> float:
        """The next moment at which one begins or ends."""
        index = bisect_right(self._edges, now_s)
        return self._edges[index] if index < len(self._edges) else math.inf


def poisson(random: Random, every_s: float, shortest_s: float, longest_s: float) -> Spells:
    """Spells that come by chance, one each `every_s` on average, apart from each other."""
    found, at_s = [], random.expovariate(1 / every_s)
    while at_s < DRAWN_DAYS * DAY_S:
        lasts_s = math.exp(random.uniform(math.log(shortest_s), math.log(longest_s)))
        found.append(Spell(at_s, at_s + lasts_s, random.uniform(-1, 1)))
        at_s += lasts_s + random.expovariate(1 / every_s)
    return Spells(found)


def weekday(day: int) -> int:
    """0 is Monday."""
    return (day + FIRST_WEEKDAY) % 7


def cooking(random: Random) -> Spells:
    """Kettles, ovens and washing machines: watts over short spells."""
    found = []
    for day in range(DRAWN_DAYS):
        for _ in range(random.randint(3, 8)):
            start_s = day * DAY_S + random.choice([7, 8, 13, 17, 20]) * HOUR_S + random.uniform(0, 5400)
            found.append(Spell(start_s, start_s + random.uniform(90, 240), random.uniform(2200, 3000)))
        if random.random() < 0.6:
            start_s = day * DAY_S + random.uniform(17, 19) * HOUR_S
            for burst in range(random.randint(3, 6)):
                on_s = start_s + burst * 600
                found.append(Spell(on_s, on_s + random.uniform(200, 500), random.uniform(1800, 2600)))
        if random.random() < 0.4:
            start_s = day * DAY_S + random.uniform(9, 21) * HOUR_S
            found.append(Spell(start_s, start_s + 1500, 2000))
    return Spells(found)


def showers(random: Random) -> Spells:
    """Hot water drawn, as watts of heat from the tank."""
    return Spells(
        [
            Spell(at_s, at_s + 420, random.uniform(8000, 14_000))
            for day in range(DRAWN_DAYS)
            for hour in random.sample([6.5, 7.2, 8.0, 18.5, 21.5], random.randint(2, 4))
            for at_s in [day * DAY_S + hour * HOUR_S + random.uniform(0, 1200)]
        ]
    )


def trips(random: Random) -> Spells:
    """When the car is away, and what it drives (kWh from its battery)."""
    return Spells(list(_trips(random)))


def _trips(random: Random) -> Iterator[Spell]:
    for day in range(DRAWN_DAYS):
        if weekday(day) < 5 and random.random() < 0.85:
            leaves_s = day * DAY_S + random.uniform(7.1, 8.2) * HOUR_S
            comes_s = day * DAY_S + random.choice([16, 17, 18, 18, 21]) * HOUR_S + random.uniform(0, 4000)
            yield Spell(leaves_s, comes_s, random.uniform(3, 16))
        elif weekday(day) >= 5 and random.random() < 0.6:
            leaves_s = day * DAY_S + random.uniform(9.2, 13) * HOUR_S
            yield Spell(leaves_s, leaves_s + random.uniform(1, 8) * HOUR_S, random.uniform(2, 35))
