"""Which home it is: drawn from a seed. Appliances, limits, clocks and sensors with their bad hours."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from gateway.core.model import (
    Ability,
    Asset,
    AssetClass,
    Care,
    Charge,
    Deadline,
    EdgeDelay,
    FallbackBy,
    Limits,
    Span,
    Supply,
    Timetable,
)
from tests.year import nature
from tests.year.appliance import Car, Cold, House, Kitchen, Reins, Storage
from tests.year.nature import DAY_S, HOUR_S, START_UTC_S, Spells

KWH_WS = 3_600_000
WATER_MIN_C = 40.0
OUTSIDE = ("outdoor_c", "defrost", "legionella")


@dataclass(frozen=True, slots=True)
class Drawn:
    """What does not change over the year. `gaps` says by sensor when it is silent."""

    assets: tuple[Asset, ...]
    supply: Supply
    meter_late_s: float
    knows_soc: bool
    keeps_off_peak: bool
    sees_air: bool
    sees_water: bool
    sees_outside: bool
    battery_kwh: float
    room_min_c: float
    ready_h: float
    cheap_h: tuple[float, float]
    gaps: dict[str, Spells]
    restarts: Spells
    clock_wrong: Spells
    clock_jumps: Spells

    def members(self, asset_class: AssetClass) -> tuple[str, ...]:
        """The assets of a class."""
        return tuple(asset.id for asset in self.assets if asset.asset_class is asset_class)


def drawn_home(seed: int) -> tuple[Drawn, dict[str, Car | House | Storage | Cold], Kitchen]:
    """The home with this number, and its whole year."""
    random = Random(seed)
    weather = nature.Weather(random)
    battery_kwh, room_min_c = random.choice([40.0, 60.0, 77.0]), random.choice([18.0, 19.0, 19.5])
    cheap_h = (23.5, 6.5)
    assets: list[Asset] = []
    appliances: dict[str, Car | House | Storage | Cold] = {}
    if seed % 5 != 4:
        takes_w = random.choice([7360.0, 7200.0, 3600.0])
        car = Car(battery_kwh, takes_w, random.uniform(0.89, 0.93), nature.trips(random), Reins(5, 900))
        car.limits = (0.2, 0.8, 0.9)
        ability = Ability((0,), (1380, 7360), 23, raises=True, fallback=FallbackBy.KEEP_ALIVE, lease_s=900)
        assets.append(Asset("ev", AssetClass.EV, 7360, ability))
        appliances["ev"] = car
    kind = ("pump", "pump", "resistance", "pump", "modulated")[seed % 5]
    ability = Ability((0,), fallback=FallbackBy.KEEP_ALIVE, lease_s=900)
    if kind == "modulated":
        ability = Ability((0,), (800, 3000), 100, fallback=FallbackBy.KEEP_ALIVE, lease_s=900)
    heat_ratio, nominal_w = (1.0, 6000) if kind == "resistance" else (random.uniform(2.6, 3.4), 3000)
    showers = None if kind == "resistance" else nature.showers(random)
    loss_w_k = random.uniform(130, 230)
    house = House(weather, showers, Reins(10, 900), nominal_w, heat_ratio, loss_w_k)
    house.care_c = (room_min_c, room_min_c + 0.3)
    if showers:
        house.cycle_s = random_of(seed, 3).uniform(1, 6) * DAY_S + 2.5 * HOUR_S
    house.water_care_c = (WATER_MIN_C, WATER_MIN_C + 3) if showers else ()
    sources = {name: (f"heat.{name}",) for name in OUTSIDE} if showers and seed % 4 != 1 else {}
    assets.append(Asset("heat", AssetClass.HEAT, nominal_w, ability, sources=sources))
    appliances["heat"] = house
    if seed % 3 == 0:
        ability = Ability((0,), fallback=FallbackBy.DEVICE, lease_s=900)
        assets.append(Asset("bricks", AssetClass.HEAT, 2400, ability, storage=True))
        appliances["bricks"] = Storage(weather, Reins(2, 900), 2400, cheap_h)
    plug = Ability((0,), fallback=FallbackBy.DEVICE, lease_s=900)
    assets.append(Asset("freezer", AssetClass.PLUG, 150, plug))
    appliances["freezer"] = Cold(Reins(1, 900), 90, -20, -17.5, -34, 16, 50_000, -15, -19)
    if seed % 2:
        assets.append(Asset("fridge", AssetClass.PLUG, 120, plug))
        appliances["fridge"] = Cold(Reins(1, 900), 80, 3, 5.5, -12, 20, 14_400, 8, 4)
    names = [
        f"{a.id}.{field}" for a in assets for field in ("power_w", "import_ws", "soc", "room_c", "air_c")
    ]
    gaps = {name: nature.poisson(random, 40 * DAY_S, 60, 6 * HOUR_S) for name in names}
    gaps |= {f"{a.id}.online": nature.poisson(random, 40 * DAY_S, 30, 3 * HOUR_S) for a in assets}
    for n, name in enumerate(("water_c", *OUTSIDE)):
        gaps[f"heat.{name}"] = nature.poisson(random_of(seed, 4 + n), 20 * DAY_S, 60, 6 * HOUR_S)
    gaps["boundary"] = nature.poisson(random, 15 * DAY_S, 10, 3 * HOUR_S)
    drawn = Drawn(
        tuple(assets),
        Supply(
            random.choice([9200, 11_500, 13_800]), max_age_s=1000, unmetered_w=random.choice([1500, 3000])
        ),
        random.choice([1.0, 10.0]),
        knows_soc=seed % 4 != 3,
        keeps_off_peak=seed % 2 == 0,
        sees_air=bool(seed % 2),
        sees_water=showers is not None and seed % 7 != 6,
        sees_outside=bool(sources),
        battery_kwh=battery_kwh,
        room_min_c=room_min_c,
        ready_h=7.0,
        cheap_h=cheap_h,
        gaps=gaps,
        restarts=nature.poisson(random, 12 * DAY_S, 5, 2 * HOUR_S),
        clock_wrong=nature.poisson(random, 15 * DAY_S, 60, 8 * HOUR_S),
        clock_jumps=nature.poisson(random, 25 * DAY_S, 600, 5 * HOUR_S),
    )
    return drawn, appliances, Kitchen(nature.cooking(random), Random(seed + 1))


def random_of(seed: int, part: int) -> Random:
    """What is drawn for one part of a home, whatever else is drawn."""
    return Random(1_000_003 * part + seed)


def limits_at(drawn: Drawn, day: int) -> dict[str, Limits]:
    """The limits laid out around a day, as a household would have set them."""
    midnights = [START_UTC_S + n * DAY_S for n in range(day - 1, day + 4)]
    warm = tuple(Span(at + 6.5 * HOUR_S, at + 22.5 * HOUR_S, drawn.room_min_c) for at in midnights)
    dear = tuple(Span(at + drawn.cheap_h[1] * HOUR_S, at + drawn.cheap_h[0] * HOUR_S, 0) for at in midnights)
    peak = tuple(
        Span(at + start * HOUR_S, at + end * HOUR_S, 0)
        for day_, at in enumerate(midnights, day - 1)
        for start, end in ((8, 11), (16, 22))
        if nature.weekday(day_) < 5
    )
    deadlines = tuple(Deadline(at + drawn.ready_h * HOUR_S, "07:00 local") for at in midnights)
    needs = None if drawn.knows_soc else 12 * KWH_WS
    charge = Charge(int(drawn.battery_kwh * KWH_WS), 0.2, 0.8, 0.9, needs, 0.88, deadlines)
    begins = tuple(at + drawn.cheap_h[0] * HOUR_S for at in midnights)
    ends = tuple(Deadline(at + drawn.cheap_h[1] * HOUR_S, "06:30 local") for at in midnights)
    store = Charge(16 * KWH_WS, need_ws=8 * KWH_WS, efficiency=1.0, deadlines=ends, begins=begins)
    bound = {
        "ev": Limits(
            longest_hold_s=14_400,
            rest_s=3600,
            charge=charge,
            care=Care(change_every_s=10, min_change_w=115, pause_s=300),
            schedule=Timetable(peak if drawn.keeps_off_peak else ()),
            delays=_delays(drawn, peak if drawn.keeps_off_peak else ()),
        ),
        "heat": Limits(
            room_min_c=Timetable(warm, 16.5),
            room_max_c=Timetable((), 24.0),
            water_min_c=WATER_MIN_C if drawn.sees_water else None,
            longest_hold_s=7200,
            rest_s=3600,
            most_fall_k=2.0,
            blocks_per_day=3,
            held_per_day_s=18_000,
            min_run_s=600,
            min_rest_s=600,
            care=Care(
                starts_per_hour=3,
                starts_per_day=8,
                frost_c=-5.0,
                frost_hold_s=3600,
                frost_rest_s=7200,
                outdoor_min_c=-10.0,
                legionella_every_days=8.0 if drawn.sees_outside else None,
            ),
        ),
        "bricks": Limits(
            longest_hold_s=21_600,
            rest_s=3600,
            blocks_per_day=3,
            held_per_day_s=21_600,
            schedule=Timetable(dear),
            delays=_delays(drawn, dear),
            charge=store,
        ),
        "freezer": Limits(
            longest_off_s=3600,
            shortest_on_s=21_600,
            min_rest_s=300,
            care=Care(starts_per_day=2, air_max_c=-15.0),
        ),
        "fridge": Limits(
            longest_off_s=1800,
            shortest_on_s=21_600,
            min_rest_s=300,
            care=Care(starts_per_day=2, air_max_c=8.0),
        ),
    }
    return {asset.id: bound[asset.id] for asset in drawn.assets}


def _delays(drawn: Drawn, off: tuple[Span, ...]) -> tuple[EdgeDelay, ...]:
    """Where each of these ends, the same each time it is laid out."""
    ends = [int(span.end_utc_s) for span in off]
    return tuple(
        EdgeDelay(at, random_of(int(drawn.battery_kwh), at).choice([0, 600, 1800]), 0) for at in ends
    )
