"""One simulated home: its appliances, what the hub sees of them, what is asked of it, and its bad days.

True time is `now_s` (seconds of the year). The hub has a monotonic clock of its own that begins anew with
each start, a UTC clock that may be wrong, and readings that are noisy, late or missing.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field, replace
from itertools import pairwise
from random import Random

from gateway.core.decide import decide
from gateway.core.memory import override, remember, resume
from gateway.core.model import (
    AssetClass,
    AssetState,
    Instruction,
    Kind,
    Limits,
    Memory,
    Override,
    Plan,
    Reading,
    Scope,
    Snapshot,
    Step,
)
from tests.year.appliance import Car, Cold, House, Kitchen, Storage
from tests.year.draw import Drawn, limits_at
from tests.year.nature import DAY_S, HOUR_S, START_UTC_S

Appliance = Car | House | Storage | Cold
SEEN_FROM_W = 300  # a change of this at the supply is an event when its meter shows it
LONGEST_STEP_S = 900.0


@dataclass(slots=True)
class Home:
    """The home at a moment of its year."""

    drawn: Drawn
    appliances: dict[str, Appliance]
    kitchen: Kitchen
    random: Random
    now_s: float = 0.0
    boot_s: float = -1000.0  # true time at which the monotonic clock showed nothing
    memory: Memory = field(default_factory=Memory)
    instructions: tuple[Instruction, ...] = ()
    limits: dict[str, Limits] = field(default_factory=dict)
    laid_out_day: int = -1
    seen: list[tuple[float, float]] = field(default_factory=list)  # the supply's power since when
    asks_s: float = 5 * HOUR_S
    takes_s: float = DAY_S
    dark_until_s: float = -1.0  # a restart goes on
    named: int = 0
    undisturbed: bool = False  # nothing is asked of a fork but the probe
    began_utc_s: float = START_UTC_S

    def fork(self) -> Home:
        """The same home, to be asked what would be."""
        other = copy.copy(self)
        other.appliances = {id_: _twin(appliance) for id_, appliance in self.appliances.items()}
        other.kitchen = copy.copy(self.kitchen)
        other.kitchen.random = copy.copy(self.kitchen.random)
        other.random, other.seen = copy.copy(self.random), list(self.seen)
        other.undisturbed = True
        return other

    @property
    def boundary_w(self) -> float:
        """The true power at the supply."""
        return self.kitchen.power_w + sum(a.power_w for a in self.appliances.values())

    @property
    def monotonic_s(self) -> float:
        """The hub's monotonic clock."""
        return self.now_s - self.boot_s

    @property
    def utc_s(self) -> float:
        """The hub's UTC, right or wrong."""
        wrong = self.drawn.clock_wrong.at(self.now_s)
        jumped = self.drawn.clock_jumps.at(self.now_s)
        error_s = wrong[0].value * 6 * HOUR_S if wrong else jumped[0].value * 60 if jumped else 0.0
        return self.began_utc_s + self.now_s + error_s

    @property
    def clock_trusted(self) -> bool:
        """Whether the hub believes its UTC; a wrong clock that it does not is the worst it can have."""
        return not self.drawn.clock_wrong.at(self.now_s)

    def snapshot(self) -> Snapshot:
        """What the hub knows now."""
        day = int(self.now_s // DAY_S)
        if day != self.laid_out_day:
            self.limits, self.laid_out_day = limits_at(self.drawn, day), day
        return Snapshot(
            self.monotonic_s,
            self.utc_s,
            self.clock_trusted,
            self.drawn.assets,
            {asset.id: self._state(asset.id, asset.asset_class) for asset in self.drawn.assets},
            self.limits,
            self.drawn.supply,
            self._boundary(),
            self.instructions,
            self.memory,
        )

    def turn(self) -> tuple[Snapshot, Plan]:
        """One decision, remembered and told to the devices."""
        snapshot = self.snapshot()
        plan = decide(snapshot)
        self.memory = remember(snapshot, plan)
        for setpoint in plan.setpoints:
            if self._answers(setpoint.asset):
                self.appliances[setpoint.asset].reins.ask(self.now_s, setpoint.at_most_w)
        return snapshot, plan

    def step_s(self, plan: Plan) -> float:
        """How long nothing happens, by the plan and by the home itself."""
        events = [plan.next_change_s, LONGEST_STEP_S, self.kitchen.next_event_s(self.now_s)]
        events += [a.next_event_s(self.now_s) for a in self.appliances.values()]
        for (_, before_w), (at_s, after_w) in pairwise(self.seen):
            shows_s = at_s + self.drawn.meter_late_s - self.now_s
            if shows_s > 0 and abs(after_w - before_w) > SEEN_FROM_W:
                events.append(shows_s)
        edges = [
            self.drawn.clock_wrong,
            self.drawn.clock_jumps,
            self.drawn.restarts,
            *self.drawn.gaps.values(),
        ]
        events += [spells.next_edge_s(self.now_s) - self.now_s for spells in edges]
        events += [self.asks_s - self.now_s, self.takes_s - self.now_s]
        leases = [min(600.0, a.ability.lease_s * 2 / 3) for a in self.drawn.assets if self._is_held(a.id)]
        return max(0.5, min([*events, *leases]))

    def advance(self, step_s: float) -> None:
        """The home goes on for so long."""
        self.now_s += step_s
        for appliance in self.appliances.values():
            appliance.advance(self.now_s, step_s)
        self.kitchen.advance(self.now_s, step_s)
        self.seen.append((self.now_s, self.boundary_w))
        while len(self.seen) > 2 and self.seen[1][0] < self.now_s - 60:
            self.seen.pop(0)
        if not self.undisturbed:
            self._is_asked()
        self._is_taken_back()

    def is_dark(self) -> bool:
        """Whether the hub is down; when it comes back it starts with what it had stored."""
        if down := self.drawn.restarts.at(self.now_s):
            self.dark_until_s = down[0].end_s
            return True
        if self.dark_until_s > 0:
            self._starts(self.now_s)
            self.dark_until_s = -1.0
        return False

    def _starts(self, now_s: float) -> None:
        stored_s = self.memory.at_s + self.boot_s
        elapsed_s = now_s - stored_s if self.clock_trusted else None
        self.boot_s = now_s - 8.0
        self.memory = resume(self.memory, 8.0, elapsed_s)

    def _is_held(self, id_: str) -> bool:
        return self.appliances[id_].reins.asked_w is not None

    def _answers(self, id_: str) -> bool:
        return not self.drawn.gaps[f"{id_}.online"].at(self.now_s)

    def _reading(self, name: str, value: float, noise: float = 0.0, age_s: float = 1.0) -> Reading | None:
        if name in self.drawn.gaps and self.drawn.gaps[name].at(self.now_s):
            return None
        return Reading(value + (self.random.uniform(-noise, noise) if noise else 0.0), age_s, name)

    def _state(self, id_: str, asset_class: AssetClass) -> AssetState:
        appliance, online = self.appliances[id_], self._answers(id_)
        power_w = appliance.power_w
        state = AssetState(
            power_w=self._reading(f"{id_}.power_w", power_w, 0.01 * power_w) if online else None,
            import_ws=self._reading(f"{id_}.import_ws", math.floor(appliance.register_ws), 0.0, 2.0),
            online=online,
        )
        if isinstance(appliance, Car):
            knows = self.drawn.knows_soc and appliance.there
            soc = self._reading(f"{id_}.soc", round(appliance.soc, 2)) if knows else None
            there = Reading(float(appliance.there), 1.0, f"{id_}.connected")
            return replace(state, soc=soc, connected=there)
        if isinstance(appliance, House):
            room = self._reading(f"{id_}.room_c", appliance.air_c, 0.05, 20.0)
            water = self._reading(f"{id_}.water_c", appliance.tank_c, 0.1, 20.0)
            water = water if self.drawn.sees_water else None
            running = Reading(float(appliance.on), 1.0, f"{id_}.running")
            state = replace(state, room_c=room, water_c=water, running=running)
            return self._outside(state, appliance) if self.drawn.sees_outside else state
        if isinstance(appliance, Cold) and self.drawn.sees_air:
            return replace(state, air_c=self._reading(f"{id_}.air_c", appliance.air_c, 0.1, 20.0))
        return state

    def _outside(self, state: AssetState, house: House) -> AssetState:
        return replace(
            state,
            outdoor_c=self._reading("heat.outdoor_c", house.weather.outdoor_c(self.now_s), 0.1, 300.0),
            defrost=self._reading("heat.defrost", float(house.melts_s > 0)),
            legionella=self._reading("heat.legionella", float(house.cycles)),
        )

    def _boundary(self) -> Reading | None:
        if self.drawn.gaps["boundary"].at(self.now_s):
            return None
        then_s = self.now_s - self.drawn.meter_late_s
        shown = [power_w for at_s, power_w in self.seen if at_s <= then_s] or [self.seen[0][1]]
        return Reading(shown[-1] + self.random.uniform(-3, 3), self.drawn.meter_late_s, "meter.power_w")

    def _is_taken_back(self) -> None:
        if self.now_s < self.takes_s:
            return
        self.takes_s = self.now_s + self.random.expovariate(1 / (8 * DAY_S))
        asset = self.random.choice(self.drawn.assets)
        charging = asset.asset_class is AssetClass.EV and self.random.random() < 0.5
        until_s = self.monotonic_s + self.random.uniform(600, 4 * HOUR_S)
        paused = not charging and self.random.random() < 0.3
        self.memory = override(self.memory, asset.id, Override(asset.id, until_s, charging, paused))

    def _is_asked(self) -> None:
        if self.now_s < self.asks_s:
            return
        self.asks_s = self.now_s + self.random.expovariate(1 / (5 * HOUR_S))
        utc_s = self.began_utc_s + self.now_s
        going = tuple(i for i in self.instructions if i.end_utc_s + i.end_delay_s > utc_s - 600)
        if going and self.random.random() < 0.2:
            self.instructions = going[1:]  # cancelled
            return
        self.named += 1
        self.instructions = (*going, instruction(self.drawn, self.random, utc_s, f"i{self.named}"))


def instruction(drawn: Drawn, random: Random, utc_s: float, name: str) -> Instruction:
    """Something an aggregator might ask, now or in some hours."""
    ids = tuple(asset.id for asset in drawn.assets)
    scope = random.choice(
        [
            Scope(("site",), ids, True),
            *(Scope((f"asset:{id_}",), (id_,)) for id_ in ids),
            *(Scope((f"class:{c}",), found) for c in AssetClass if (found := drawn.members(c))),
        ]
    )
    start_utc_s = utc_s + random.choice([0, 0, 600, 3600, 4 * 3600])
    each_s = random.choice([1800, 1800, 3600, 7200])
    kind = random.choice([Kind.CAP, Kind.CAP, Kind.SETPOINT, Kind.FLOOR])
    if scope.assets == ("ev",) and drawn.knows_soc and random.random() < 0.4:
        kind = Kind.SOC
    most_w = 6000 if len(scope.assets) > 1 else 3000
    steps = tuple(
        Step(
            start_utc_s + n * each_s,
            start_utc_s + (n + 1) * each_s,
            kind,
            0 if kind is Kind.SOC else random.choice([0, 0, random.randint(0, most_w)]),
            random.uniform(0.3, 1.0) if kind is Kind.SOC else None,
        )
        for n in range(random.randint(1, 4))
    )
    delays = random.choice([0, random.randint(0, 600)]), random.choice([0, random.randint(0, 600)])
    return Instruction(name, 0, "bm", "response", random.randint(0, 3), utc_s, scope, steps, *delays)


def _twin(appliance: Appliance) -> Appliance:
    twin = copy.copy(appliance)
    twin.reins = copy.copy(appliance.reins)
    return twin
