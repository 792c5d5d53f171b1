"""The simulated appliances: a car, a house with its heating, a storage heater, a fridge or freezer.

Each is a few physical equations. It draws what its own control wants, as far as it is held, and knows when
something will happen. Nothing here reads the product; a command takes a while, and a lease runs out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from random import Random

from tests.year.nature import Spell, Spells, Weather

KWH_WS = 3_600_000.0
STEP_S = 120.0  # of the equations
LESS_KWH = 0.3  # than full, before a store charges again
ICE_S, MELTS_S = 4000.0, 400.0  # of running in the cold, and of a defrost


@dataclass(slots=True)
class Reins:
    """What holds a device: the level last asked for takes `follows_s`, and is gone when nobody renews it."""

    follows_s: float
    lease_s: float
    level_w: int | None = None
    asked_w: int | None = None
    asked_s: float = -math.inf
    renewed_s: float = -math.inf

    def ask(self, now_s: float, level_w: int | None) -> None:
        """Told by the gateway, or told again."""
        self.renewed_s = now_s
        if level_w != self.asked_w:
            self.asked_w, self.asked_s = level_w, now_s

    def turn(self, now_s: float) -> None:
        """What is in force by now."""
        if self.asked_w is not None and now_s - self.renewed_s >= self.lease_s:
            self.asked_w, self.level_w = None, None
        if now_s - self.asked_s >= self.follows_s:
            self.level_w = self.asked_w

    def next_event_s(self, now_s: float) -> float:
        """Seconds until it follows, or lets go."""
        if self.asked_w != self.level_w:
            return max(0.5, self.asked_s + self.follows_s - now_s)
        return math.inf if self.asked_w is None else self.renewed_s + self.lease_s - now_s


@dataclass(slots=True)
class Car:
    """A battery, away on trips; it takes less when nearly full, and nothing below the charger's least."""

    battery_kwh: float
    takes_w: float
    efficiency: float
    trips: Spells
    reins: Reins
    least_w: float = 1380.0
    tapers_at: float = 0.88
    soc: float = 0.6
    there: bool = True
    power_w: float = 0.0
    register_ws: float = 0.0
    limits: tuple[float, ...] = ()

    def wants_w(self) -> float:
        """What it draws when nothing holds it."""
        if not self.there or self.soc >= 0.999:
            return 0.0
        taper = min(1.0, max(0.2, (1.0 - self.soc) / (1.0 - self.tapers_at)))
        return max(self.least_w, self.takes_w * taper)

    def advance(self, now_s: float, step_s: float) -> None:
        """What happens over the step that ends now."""
        left_s = step_s
        while left_s > 0:
            part_s = min(left_s, STEP_S)
            self.register_ws += self.power_w * part_s
            self.soc += self.power_w * part_s * self.efficiency / (self.battery_kwh * KWH_WS)
            self.soc, left_s = min(1.0, self.soc), left_s - part_s
            self._draw()
        away = self.trips.at(now_s)
        if self.there and away:
            self.soc = max(0.05, self.soc - away[0].value / self.battery_kwh)
        self.there = not away
        self.reins.turn(now_s)
        self._draw()

    def next_event_s(self, now_s: float) -> float:
        """Seconds until it leaves or comes, follows, or reaches a SoC that somebody cares for."""
        events = [self.trips.next_edge_s(now_s) - now_s, self.reins.next_event_s(now_s)]
        if self.power_w:
            speed = self.power_w * self.efficiency / (self.battery_kwh * KWH_WS)
            events += [(goal - self.soc) / speed for goal in (*self.limits, 0.999) if goal > self.soc]
            if self.soc > self.tapers_at:
                events.append(600.0)
        return max(1.0, min(events))

    def _draw(self) -> None:
        wants_w, level_w = self.wants_w(), self.reins.level_w
        if level_w is not None:
            wants_w = min(wants_w, level_w) if level_w >= self.least_w else 0.0
        self.power_w = wants_w


@dataclass(slots=True)
class House:
    """Air and walls, and a heat pump (or heater) that keeps the air at its set-point and a tank hot.

    `heat_ratio` is heat per electricity; capacities J/K, losses W/K.
    """

    weather: Weather
    showers: Spells | None
    reins: Reins
    nominal_w: float
    heat_ratio: float
    loss_w_k: float
    walls_w_k: float = 900.0
    air_j_k: float = 4.0e6
    walls_j_k: float = 3.0e7
    set_c: float = 20.6
    air_c: float = 20.5
    walls_c: float = 20.0
    tank_c: float = 48.0
    gains_w: float = 350.0
    on: bool = False
    on_since_s: float = -1e9
    tank_wants: bool = False
    room_wants: bool = True
    power_w: float = 0.0
    register_ws: float = 0.0
    care_c: tuple[float, ...] = ()
    water_care_c: tuple[float, ...] = ()
    ice_s: float = 0.0  # it has run for so long in the damp cold
    melts_s: float = 0.0  # it goes on melting it for so long
    cycle_s: float = math.inf  # when its next cycle against legionella begins
    cycles: bool = False
    sterile_s: float = 0.0  # how long the tank has been hot enough
    sterile_at_s: float = 0.0

    def advance(self, now_s: float, step_s: float) -> None:
        """Heat flows over the step that ends now; then its own thermostat looks."""
        outdoor_c = self.weather.outdoor_c(now_s)
        drawn = self.showers.at(now_s - step_s / 2) if self.showers else []
        left_s = step_s
        while left_s > 0:
            part_s = min(left_s, STEP_S)
            self._flow(outdoor_c, drawn, part_s)
            left_s -= part_s
        self.reins.turn(now_s)
        self._freeze(outdoor_c, step_s)
        self._sterilise(now_s, step_s)
        self._thermostat(now_s)

    def next_event_s(self, now_s: float) -> float:
        """Seconds until a temperature somebody cares for may be reached, never long at a time."""
        events = [900.0, self.reins.next_event_s(now_s)]
        if self.showers:
            events.append(self.showers.next_edge_s(now_s) - now_s)
        heat_w = self.power_w * self.heat_ratio * (not self._heats_tank())
        outdoor_c = self.weather.outdoor_c(now_s)
        speed = (heat_w + self.gains_w - self.loss_w_k * (self.air_c - outdoor_c)
                 - self.walls_w_k * (self.air_c - self.walls_c)) / self.air_j_k  # fmt: skip
        tau_s = self.air_j_k / (self.loss_w_k + self.walls_w_k)
        ends_c = self.air_c + speed * tau_s
        goals = (*self.care_c, self.set_c - 0.3, self.set_c + 0.3)
        if abs(speed) > 1e-7:
            left = ((ends_c - goal) / (ends_c - self.air_c) for goal in goals)
            events += [-tau_s * math.log(share) for share in left if 0 < share < 1]
        if self._heats_tank():
            events.append(max(1.0, 51.0 - self.tank_c) * 8e5 / max(1.0, self.power_w * self.heat_ratio))
        events += [s for s in (self.melts_s, self.cycle_s - now_s, ICE_S - self.ice_s) if s > 0]
        if self.cycles:
            events.append(60.0)
        if self.showers:
            drawn_w = 40.0 + sum(spell.value for spell in self.showers.at(now_s))
            speed = (self.power_w * self.heat_ratio * self._heats_tank() - drawn_w) / 8e5
            events += [s for goal in self.water_care_c if (s := (goal - self.tank_c) / speed) > 0]
        return max(STEP_S if self.reins.asked_w == self.reins.level_w else 0.5, min(events))

    def _heats_tank(self) -> bool:
        return self.on and self.tank_wants and self.showers is not None

    def _flow(self, outdoor_c: float, drawn: list[Spell], step_s: float) -> None:
        heat_w = self.power_w * self.heat_ratio
        if self.showers:
            lost_w = 40.0 + sum(spell.value for spell in drawn)
            self.tank_c += ((heat_w if self._heats_tank() else 0.0) - lost_w) * step_s / 8e5
            self.tank_c = max(12.0, self.tank_c)
        into_air_w = 0.0 if self._heats_tank() else heat_w
        between_w = self.walls_w_k * (self.air_c - self.walls_c)
        lost_w = self.loss_w_k * (self.air_c - outdoor_c)
        self.air_c += (into_air_w + self.gains_w - lost_w - between_w) * step_s / self.air_j_k
        self.walls_c += between_w * step_s / self.walls_j_k
        self.register_ws += self.power_w * step_s

    def _freeze(self, outdoor_c: float, step_s: float) -> None:
        """A heat pump collects ice while it runs in the cold, and melts it."""
        self.melts_s = max(0.0, self.melts_s - step_s)
        if self.heat_ratio > 1 and self.on and outdoor_c < 4 and not self.melts_s:
            self.ice_s += step_s
        if self.ice_s >= ICE_S:
            self.ice_s, self.melts_s = 0.0, MELTS_S

    def _sterilise(self, now_s: float, step_s: float) -> None:
        """Once a week the tank is kept hot for a while."""
        self.sterile_s = self.sterile_s + step_s if self.tank_c >= 60.0 else 0.0
        self.cycles = self.cycles or now_s >= self.cycle_s
        if self.cycles and self.sterile_s >= 2000.0:
            self.cycles, self.sterile_at_s, self.cycle_s = False, now_s, self.cycle_s + 7 * 86_400.0

    def _thermostat(self, now_s: float) -> None:
        low_c, high_c = (61.0, 62.0) if self.cycles else (43.0, 50.0)
        self.tank_wants = self.tank_c < (high_c if self.tank_wants else low_c)
        self.room_wants = self.air_c < (self.set_c + 0.3 if self.room_wants else self.set_c - 0.3)
        wants = self.room_wants or (self.tank_wants and self.showers is not None)
        level_w = self.reins.level_w
        may = level_w is None or level_w > 300
        on = wants and may
        if on and not self.on:
            self.on_since_s = now_s
        self.on = on
        full_w = self.nominal_w * 0.9
        self.power_w = (full_w if level_w is None else min(full_w, level_w)) if on else 15.0


@dataclass(slots=True)
class Storage:
    """A storage heater: bricks that charge in the household's cheap hours and warm the room all day."""

    weather: Weather
    reins: Reins
    nominal_w: float
    cheap_h: tuple[float, float]
    kwh: float = 10.0
    most_kwh: float = 16.0
    full: bool = False
    power_w: float = 0.0
    register_ws: float = 0.0

    def advance(self, now_s: float, step_s: float) -> None:
        """Charged and emptied over the step that ends now."""
        lost_w = max(0.0, 40.0 * (16.0 - self.weather.outdoor_c(now_s))) * min(1.0, self.kwh / 3.0)
        self.kwh = max(0.0, self.kwh + (self.power_w - lost_w) * step_s / KWH_WS)
        self.register_ws += self.power_w * step_s
        self.reins.turn(now_s)
        self.full = self.kwh >= self.most_kwh - (LESS_KWH if self.full else 0.0)
        free = self._is_cheap(now_s) and not self.full and self.reins.level_w is None
        self.power_w = self.nominal_w if free else 0.0

    def next_event_s(self, now_s: float) -> float:
        """Seconds until it is full, or its hours begin or end."""
        hour = now_s / 3600 % 24
        edges = [(edge - hour) % 24 * 3600 for edge in self.cheap_h]
        events = [self.reins.next_event_s(now_s), *(edge for edge in edges if edge > 1)]
        if self.power_w:
            events.append((self.most_kwh - self.kwh) * KWH_WS / self.power_w + 5)
        return max(0.5, min(events))

    def _is_cheap(self, now_s: float) -> bool:
        start, end = self.cheap_h
        hour = now_s / 3600 % 24
        return start <= hour < end if start < end else hour >= start or hour < end


@dataclass(slots=True)
class Cold:
    """A fridge or freezer: its air falls while the compressor runs and rises while it does not."""

    reins: Reins
    run_w: float
    low_c: float
    high_c: float
    runs_to_c: float  # where it would end if it ran for ever
    stands_to_c: float  # and where if it never did
    tau_s: float
    limit_c: float
    air_c: float = 0.0
    on: bool = True
    power_w: float = 0.0
    register_ws: float = 0.0

    def advance(self, now_s: float, step_s: float) -> None:
        """Exponential towards where it would end."""
        self.register_ws += self.power_w * step_s
        goal_c = self._goal_c()
        self.air_c = goal_c + (self.air_c - goal_c) * math.exp(-step_s / self.tau_s)
        self.reins.turn(now_s)
        if self.air_c >= self.high_c - 0.01:
            self.on = True
        elif self.air_c <= self.low_c + 0.01:
            self.on = False
        self.power_w = self.run_w if self._runs() else 1.0 if self.reins.level_w is None else 0.0

    def next_event_s(self, now_s: float) -> float:
        """Seconds until its own thermostat switches."""
        events, goal_c = [self.reins.next_event_s(now_s)], self._goal_c()
        edge_c = self.low_c if self._runs() else self.high_c
        share = (edge_c - goal_c) / (self.air_c - goal_c)
        if 0 < share < 1:
            events.append(-self.tau_s * math.log(share))
        return max(0.5, min(events, default=math.inf))

    def _runs(self) -> bool:
        return self.on and self.reins.level_w is None

    def _goal_c(self) -> float:
        return self.runs_to_c if self._runs() else self.stands_to_c


@dataclass(slots=True)
class Kitchen:
    """What else the home draws: a background that wanders, and cooking."""

    cooking: Spells
    random: Random
    background_w: float = 300.0
    power_w: float = 300.0
    wanders_s: float = field(default=0.0)

    def advance(self, now_s: float, _step_s: float) -> None:
        """Looked at again."""
        if now_s >= self.wanders_s:
            self.background_w = 120 + self.random.expovariate(1 / 200)
            self.wanders_s = now_s + 1800
        self.power_w = self.background_w + sum(spell.value for spell in self.cooking.at(now_s))

    def next_event_s(self, now_s: float) -> float:
        """Seconds until something is switched."""
        return max(0.5, min(self.cooking.next_edge_s(now_s), self.wanders_s) - now_s)
