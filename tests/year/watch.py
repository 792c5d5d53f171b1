"""What a year of a home is judged by: the oracle at every decision, and the home's own physics and clock.

The physical checks know nothing of the hub's memory: they look at what the appliances did, by true time.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

from gateway.core.model import AssetClass, Governor, Plan, Reason, Snapshot
from tests.oracle import violations
from tests.year.appliance import KWH_WS, Car, Cold, House
from tests.year.home import SEEN_FROM_W, Home
from tests.year.nature import DAY_S, HOUR_S, START_UTC_S

RANKS_HIGHER = {Reason.SUPPLY_LIMIT, Reason.APPLIANCE_LIMIT, Reason.CHARGE_LIMIT}
SLACK_S = 30.0  # one step of the room, one turn of the hub, one device that follows
COLDER_C = 0.15  # noise of the thermometer and a step of the room
MOST_REPORTED = 20


@dataclass(slots=True)
class Watch:
    """What was found, and what is counted."""

    found: list[str] = field(default_factory=list)
    limits: Counter[str] = field(default_factory=Counter)
    switches: Counter[str] = field(default_factory=Counter)
    shifted_kwh: Counter[str] = field(default_factory=Counter)
    decisions: int = 0
    _cold_s: dict[str, float] = field(default_factory=dict)
    _tepid_s: float = 0.0
    _disturbs_s: float = 0.0
    _spans: dict[str, list[list[float]]] = field(default_factory=dict)  # held by instructions: from, to
    _held_s: dict[str, float] = field(default_factory=dict)
    _over_s: float = 0.0
    _was: dict[str, int | None] = field(default_factory=dict)
    _why: dict[str, Reason] = field(default_factory=dict)
    _could_kwh: float = 0.0
    _began_soc: float = 0.0
    _ready_day: int = 0

    def decided(self, home: Home, snapshot: Snapshot, plan: Plan) -> None:
        """After each decision."""
        self.decisions += 1
        for text in violations(snapshot, plan):
            self._report(home, f"oracle {text}")
        for setpoint in plan.setpoints:
            id_ = setpoint.asset
            if self._was.get(id_) != setpoint.at_most_w:
                self.switches[id_] += 1
            if setpoint.reason is not Reason.NONE and self._why.get(id_) is not setpoint.reason:
                self.limits[f"{id_} {setpoint.reason}"] += 1
            self._was[id_], self._why[id_] = setpoint.at_most_w, setpoint.reason

    def passed(self, home: Home, plan: Plan, step_s: float) -> None:
        """Before each step: what is so at its start lasts to its end, for nothing happens in between."""
        for asset in home.drawn.assets:
            appliance, setpoint = home.appliances[asset.id], plan.setpoint(asset.id)
            assert setpoint
            held = appliance.reins.level_w is not None and setpoint.at_most_w is not None
            dispatched = setpoint.governor in {Governor.DISPATCH, Governor.DELAY} and not setpoint.of_schedule
            wants = not isinstance(appliance, Car) or self._may_charge(home, asset.id, appliance)
            wants = wants and home.limits[asset.id].schedule.at(moment(home)) is None
            self._hold(home, asset.id, step_s, held=held and dispatched and wants)
            if asset.asset_class is AssetClass.HEAT:
                self._day(home, asset.id, step_s, held=held and dispatched and wants)
            if held and dispatched and asset.asset_class is not AssetClass.EV:
                self.shifted_kwh[asset.id] += (asset.nominal_w - appliance.power_w) * step_s / KWH_WS
            if isinstance(appliance, House):
                self._room(
                    home, asset.id, appliance, step_s, held=held and setpoint.reason not in RANKS_HIGHER
                )
                self._water(home, appliance, step_s, held=held and setpoint.reason not in RANKS_HIGHER)
                self._outside(home, appliance, step_s, held=held and setpoint.reason not in RANKS_HIGHER)
            if isinstance(appliance, Cold) and appliance.reins.level_w == 0:
                self._food(home, asset.id, appliance)
            if isinstance(appliance, Car):
                if held and dispatched:
                    missed_w = max(0.0, appliance.wants_w() - appliance.power_w)
                    self.shifted_kwh[asset.id] += missed_w * step_s / KWH_WS
                self._car(home, appliance, step_s)
        self._fuse(home, step_s)

    def _is_held_anyway(self, home: Home, id_: str) -> bool:
        """Whether its household has paused it, or the fuse may hold it: its meter is silent, or was before
        what it switched off may start again."""
        is_paused = any(said.paused for said in home.memory.overrides if said.asset == id_)
        starts_s = int(home.drawn.supply.starts_apart_s) + 60
        silent = (home.drawn.gaps["boundary"].at(home.now_s - back_s) for back_s in range(0, starts_s, 60))
        return is_paused or any(silent)

    def _report(self, home: Home, text: str) -> None:
        if len(self.found) < MOST_REPORTED:
            self.found.append(f"day {home.now_s / DAY_S:.4f}: {text}")

    def _room(self, home: Home, id_: str, house: House, step_s: float, *, held: bool) -> None:
        """Never held below the minimum for longer than a rest of its compressor takes."""
        hour = home.now_s / HOUR_S % 24
        minimum_c = home.drawn.room_min_c if 6.5 <= hour < 22.5 else 16.5
        cold = held and house.reins.level_w == 0 and house.air_c < minimum_c - COLDER_C
        self._cold_s[id_] = self._cold_s.get(id_, 0.0) + step_s if cold else 0.0
        edge = any(abs(hour - at) < 0.2 for at in (6.5, 22.5)) or home.drawn.clock_jumps.at(home.now_s)
        if self._cold_s[id_] > 600 + SLACK_S and not edge:
            self._report(home, f"{id_} held for {self._cold_s[id_]:.0f} s at {house.air_c:.2f} °C")

    def _water(self, home: Home, house: House, step_s: float, *, held: bool) -> None:
        """Never held while the tank is below its minimum for longer than a rest of its compressor takes."""
        minimum_c = home.limits["heat"].water_min_c
        tepid = held and minimum_c is not None and house.tank_c < minimum_c - COLDER_C
        self._tepid_s = self._tepid_s + step_s if tepid else 0.0
        if self._tepid_s > 600 + SLACK_S:
            self._report(home, f"heat held for {self._tepid_s:.0f} s at {house.tank_c:.1f} °C of hot water")

    def _outside(self, home: Home, house: House, step_s: float, *, held: bool) -> None:
        """Not held in a defrost, in a cycle against legionella or long after the last; nor in deep cold."""
        if not home.drawn.sees_outside:
            return
        overdue = home.now_s - house.sterile_at_s > 8 * DAY_S
        resting_s = 600 if overdue or house.weather.outdoor_c(home.now_s) < -10.3 else 0
        disturbs = held and (house.melts_s > 0 or house.cycles or resting_s > 0)
        self._disturbs_s = self._disturbs_s + step_s if disturbs else 0.0
        if self._disturbs_s > resting_s + SLACK_S:
            outside = f"{house.weather.outdoor_c(home.now_s):.1f} °C outside"
            what = f"ice {house.melts_s:.0f} s, cycle {house.cycles}, overdue {overdue}, {outside}"
            self._report(home, f"heat held for {self._disturbs_s:.0f} s: {what}")

    def _may_charge(self, home: Home, id_: str, car: Car) -> bool:
        """The hold of a car begins with it, and one at its maximum is held for as long as it is there."""
        charge = home.limits[id_].charge
        most_soc = 1.0 if charge is None or charge.max_soc is None else charge.max_soc
        return car.there and car.soc < most_soc - 0.03

    def _food(self, home: Home, id_: str, cold: Cold) -> None:
        """What cools food is not held off while its air is too warm."""
        if cold.air_c > cold.limit_c + 0.3:
            self._report(home, f"{id_} {cold.air_c:.1f} °C while held off")

    def _hold(self, home: Home, id_: str, step_s: float, *, held: bool) -> None:
        """Not longer than the longest hold or off, by true time."""
        self._held_s[id_] = self._held_s.get(id_, 0.0) + step_s if held else 0.0
        limits = home.limits[id_]
        most_s = limits.longest_hold_s
        if id_ == "heat" and home.drawn.sees_outside and self._is_frosty(home):
            most_s = min(most_s, limits.care.frost_hold_s)
        if home.appliances[id_].reins.level_w == 0:
            most_s = min(most_s, limits.longest_off_s)
        most_s += limits.min_rest_s  # a compressor that was just stopped rests first
        if self._held_s[id_] > most_s + SLACK_S and not self._is_held_anyway(home, id_):
            self._report(home, f"{id_} held for {self._held_s[id_]:.0f} s")
            self._held_s[id_] = 0.0

    def _day(self, home: Home, id_: str, step_s: float, *, held: bool) -> None:
        """Within a day not more blocks, nor for longer in all, than allowed; a rest parts blocks, but not
        that of a hub that is down. A room that is too warm would be held all the same."""
        spans, now_s, limits = self._spans.setdefault(id_, []), home.now_s, home.limits[id_]
        if not held or self._is_warm(home, id_):
            return
        if spans and now_s - spans[-1][1] < 1:
            spans[-1][1] = now_s + step_s
        else:
            spans.append([now_s, now_s + step_s])
        spans[:] = [span for span in spans if span[1] > now_s - 2 * DAY_S]
        begun = [
            a
            for (_, b), (a, _) in pairwise([[0.0, -DAY_S], *spans])
            if a - b >= self._rest_s(home, id_, a) + SLACK_S and not self._was_dark(home, b, a)
        ]
        today_s = sum(max(0.0, b - max(a, now_s - DAY_S)) for a, b in spans)
        times = sum(a > now_s - DAY_S + SLACK_S for a in begun)
        many = times > (limits.blocks_per_day or 99)
        long = today_s > limits.held_per_day_s + limits.min_rest_s + SLACK_S
        if (many or long) and not self._is_held_anyway(home, id_):
            self._report(home, f"{id_} held {times} times, {today_s:.0f} s within a day")
            spans.clear()

    def _was_dark(self, home: Home, end_s: float, start_s: float) -> bool:
        """Whether the hub went down as one hold ended, and came back as the next began."""
        return any(
            spell in home.drawn.restarts.at(end_s + 1) for spell in home.drawn.restarts.at(start_s - SLACK_S)
        )

    def _is_warm(self, home: Home, id_: str) -> bool:
        """Whether its room is, or was lately, at its maximum, as far as a thermometer may tell."""
        house, maximum_c = home.appliances[id_], home.limits[id_].room_max_c.at(moment(home))
        least_c = home.limits[id_].hysteresis_c + COLDER_C
        return isinstance(house, House) and maximum_c is not None and house.air_c > maximum_c - least_c

    def _rest_s(self, home: Home, id_: str, at_s: float) -> float:
        """What parts two holds: longer where it may freeze, by what its thermometer says."""
        limits, house = home.limits[id_], home.appliances[id_]
        if not (isinstance(house, House) and home.drawn.sees_outside):
            return limits.rest_s
        return max(limits.rest_s, limits.care.frost_rest_s if house.weather.outdoor_c(at_s) < 1.5 else 0.0)

    def _is_frosty(self, home: Home) -> bool:
        house = home.appliances["heat"]
        return isinstance(house, House) and house.weather.outdoor_c(home.now_s) < -5.3

    def _fuse(self, home: Home, step_s: float) -> None:
        """Above the fuse for no longer than the meter and the slowest device take."""
        silent = home.drawn.gaps["boundary"].at(home.now_s)
        could_less = any(self._could_less(home, asset.id) for asset in home.drawn.assets)
        over = home.boundary_w > home.drawn.supply.fuse_w + SEEN_FROM_W and could_less and not silent
        self._over_s = self._over_s + step_s if over else 0.0
        if self._over_s > home.drawn.meter_late_s + 10 + SLACK_S:
            self._report(home, f"{home.boundary_w:.0f} W for {self._over_s:.0f} s")
            self._over_s = 0.0

    def _could_less(self, home: Home, id_: str) -> bool:
        blind = any(home.drawn.gaps[f"{id_}.{field}"].at(home.now_s) for field in ("online", "power_w"))
        return home.appliances[id_].power_w > 10 and home.appliances[id_].reins.level_w != 0 and not blind

    def _car(self, home: Home, car: Car, step_s: float) -> None:
        """Ready at its hour if four fifths of its power, whenever nothing was amiss, were enough."""
        if not car.there:
            self._could_kwh, self._began_soc = 0.0, car.soc
            self._ready_day = int((home.now_s - home.drawn.ready_h * HOUR_S) // DAY_S)
            return
        amiss = home.clock_trusted is False or not home.drawn.knows_soc or self._is_tight(home)
        amiss = amiss or bool(home.drawn.gaps["ev.online"].at(home.now_s))
        if not amiss:
            taper = min(1.0, max(0.2, (1.0 - car.soc) / (1.0 - car.tapers_at)))
            self._could_kwh += car.takes_w * taper * step_s / KWH_WS
        day = int((home.now_s - home.drawn.ready_h * HOUR_S) // DAY_S)
        if day == self._ready_day:
            return
        self._ready_day = day
        could_soc = self._began_soc + 0.75 * self._could_kwh * 0.88 / car.battery_kwh
        if home.drawn.knows_soc and min(0.8, could_soc) > car.soc + 0.03 and not self._was_off(home):
            self._report(home, f"car ready at {car.soc:.0%}, it could have been at {could_soc:.0%}")

    def _is_tight(self, home: Home) -> bool:
        return self._why.get("ev") is Reason.SUPPLY_LIMIT

    def _was_off(self, home: Home) -> bool:
        """The hub was down, or its clock wrong, in the night before."""
        back = [home.now_s - n * 900 for n in range(40)]
        spells = (
            home.drawn.restarts,
            home.drawn.clock_wrong,
            home.drawn.gaps["ev.online"],
            home.drawn.clock_jumps,
        )
        return any(spell.at(at_s) for spell in spells for at_s in back)


def moment(home: Home) -> float:
    """True UTC, for what is printed."""
    return START_UTC_S + home.now_s
