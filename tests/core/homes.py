"""Random homes for the properties of the core: any snapshot a shell could hand to `decide`.

Drawn from a plain random source, so that a million of them are looked at in minutes; under hypothesis
(`laws.py`) the source is its own, and what it finds is shrunk.
"""

from __future__ import annotations

import math
from dataclasses import fields, replace
from random import Random
from typing import Any, TypeVar

from hypothesis import strategies as st

from gateway.core.model import (
    Ability,
    Asset,
    AssetClass,
    AssetMemory,
    AssetState,
    BaseLoad,
    Block,
    Care,
    Charge,
    Circuit,
    Deadline,
    EdgeDelay,
    Fall,
    Instruction,
    Kind,
    Limits,
    Mark,
    Measured,
    Memory,
    Override,
    Preheat,
    Quality,
    Raise,
    Reading,
    Reckoned,
    Scope,
    Snapshot,
    Span,
    Step,
    Supply,
    Timetable,
    Turn,
    Typed,
    Vector,
    Walls,
)

UTC = 1_800_000_000.0
NOW = 50_000.0
NOMINAL_W = (150, 2400, 7360, 22_080)

ABILITIES = [
    Ability(levels_w=(0,), lease_s=120),
    Ability(range_w=(1500, 9000), step_w=100),
    Ability(levels_w=(0,), range_w=(1380, 7360), step_w=230, raises=True, lease_s=300),
    Ability(levels_w=(0,), range_w=(4140, 22_080), step_w=69, raises=True, lease_s=900),
    Ability(),
]
abilities = st.sampled_from(ABILITIES)
# Blocks of a day: how long ago each began, and its minutes.
DAYS: list[tuple[tuple[float, int], ...]] = [
    (),
    ((7000.0, 110),),
    ((86_399.0, 60), (20_000.0, 60)),
    ((90_000.0, 120), (50_000.0, 60), (9000.0, 90)),
]
# What frost and hygiene ask for, and what was seen of them.
OUTSIDE: list[dict[str, Any]] = [
    {},
    {},
    {"frost_c": -5.0, "frost_hold_s": 3600.0, "frost_rest_s": 7200.0, "outdoor_min_c": -10.0},
    {"frost_c": -5.0, "frost_hold_s": 600.0, "off_may_freeze": True},
    {"legionella_every_days": 1.0, "frost_rest_s": 4000.0},
    {"outdoor_min_c": -10.0, "legionella_every_days": 8.0},
]
SEEN_OUTSIDE: list[dict[str, float]] = [
    {},
    {},
    {"defrosted_s": NOW - 599, "outdoor_c": -5.5},
    {"defrosted_s": NOW - 601, "outdoor_c": -10.5, "cycle_since_s": NOW - 601},
    {"outdoor_c": -0.5, "hot_since_s": NOW - 1801, "clean_utc_s": UTC - 43_201},
    {"outdoor_c": 1.0, "hot_since_s": NOW - 1799, "clean_utc_s": UTC - 640_000},
    {"clean_utc_s": UTC - 690_000, "cycle_since_s": NOW - 599},
]
PACES: list[dict[str, Any]] = [
    {},
    {"change_every_s": 10.0, "min_change_w": 345, "pause_s": 300.0},
    {"pause_s": 600.0},
]
SEEN = dict.fromkeys(("outdoor_c", "defrost", "legionella", "backup"), ("x.y",))
FLAGS = [
    None,
    *[Reading(value, 1.0, "x.y") for value in (0.0,) * 8 + (1.0,)],
    Reading(0.0, 1.0, "x.y", Quality.BAD),
]

T = TypeVar("T")


class Draw:
    """What is drawn, in few words."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def one(self, *values: T) -> T:
        """One of them."""
        return self._random.choice(values)

    def maybe(self, *values: T) -> T | None:
        """None as often as not."""
        return self._random.choice(values) if self.yes() else None

    def yes(self) -> bool:
        """As often as no."""
        return self._random.random() < 0.5

    def whole(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return self._random.randint(low, high)

    def some(self, values: list[T], *, least: int = 0, most: int | None = None) -> list[T]:
        """Some of them, each once."""
        most = len(values) if most is None else most
        return self._random.sample(values, self.whole(least, most))

    def second(self) -> float:
        """Within two hours of now, either way."""
        return float(self.whole(-7200, 7200))


def any_snapshot(random: Random) -> Snapshot:
    """Any snapshot."""
    draw = Draw(random)
    supply = supply_of(draw) if draw.yes() else None
    behind = supply.circuits if supply else ()
    assets = tuple(asset(draw, n, [c.id for c in behind]) for n in range(draw.whole(1, 3)))
    return Snapshot(
        NOW,
        UTC,
        draw.yes(),
        assets,
        {a.id: state(draw, a) for a in assets},
        {a.id: limits(draw) for a in assets},
        supply,
        reading(draw, -3000, 14_000),
        asked := tuple(instruction(draw, [a.id for a in assets], f"i{n}") for n in range(draw.whole(0, 3))),
        memory(draw, assets, asked),
        tuple(reading(draw, -2000, 8000) for _ in range(3)) if draw.yes() else (),
        {c.id: said for c in behind if c.unmetered_w is not None and (said := reading(draw, -2000, 8000))},
    )


def heating_snapshot(random: Random) -> Snapshot:
    """A home of what heats and may be raised, with little that keeps it from that: else nothing ever is."""
    draw, home = Draw(random), any_snapshot(random)
    quiet = dict.fromkeys(("defrost", "legionella", "backup"), Reading(0.0, 1.0, "x.y"))
    limits, states, memories = {}, {}, {}
    for id_, was in home.memory.assets.items():
        calm = Limits(rest_s=3600.0, preheat=draw.one(Preheat(2.0, 10_800.0), Preheat(0.5, 3600.0)))
        limits[id_] = _seldom(draw, calm, home.limits[id_])
        room = Reading(draw.whole(180, 220) / 10, draw.one(1.0, 899.0), "x.y")
        state = AssetState(room_c=room, online=True, outdoor_c=Reading(5.0, 1.0, "x.y"), **quiet)
        states[id_] = _seldom(draw, state, home.states[id_])
        began = draw.maybe(replace(raised(draw), room_c=room.value - draw.one(0.0, 0.3, 0.4, 0.5, 1.9, 2.0)))
        memories[id_] = AssetMemory(raised=began) if draw.whole(1, 8) > 1 else was
    ability = Ability((0,), raises=True, lease_s=120)
    memory = replace(home.memory, assets=memories, overrides=_seldom_any(draw, home.memory.overrides))
    start, kind = UTC + draw.one(-60.0, 599.0, 601.0, 3000.0, 9000.0), draw.one(Kind.CAP, Kind.FLOOR)
    step = Step(start, start + 3600, kind, draw.one(0, 1500, 9000))
    asked = replace(instruction(draw, list(limits), "ahead"), steps=(step,), vector=Vector.AUTOMATED)
    return replace(
        home,
        clock_trusted=draw.whole(1, 8) > 1,
        assets=tuple(
            replace(a, asset_class=AssetClass.HEAT, nominal_w=2400, ability=ability) for a in home.assets
        ),
        states=states,
        limits=limits,
        memory=memory,
        boundary_w=_seldom_any(draw, home.boundary_w) or Reading(draw.whole(0, 9000), 1.0, "x.y"),
        instructions=(*_seldom_any(draw, home.instructions), asked),
    )


def _seldom_any(draw: Draw, some: Any) -> Any:
    """They, one time in four; else none."""
    return some if draw.whole(1, 4) == 1 else ()


def _seldom(draw: Draw, calm: T, other: T) -> T:
    """The calm one, one in a dozen of its fields as in the other."""
    names = [each.name for each in fields(calm) if draw.whole(1, 12) == 1]  # type: ignore[arg-type]
    return replace(calm, **{name: getattr(other, name) for name in names})  # type: ignore[type-var]


def asset(draw: Draw, n: int, circuits: list[str]) -> Asset:
    ability = draw.one(*ABILITIES)
    return Asset(
        f"a{n}",
        draw.one(*AssetClass),
        draw.one(*(watts for watts in NOMINAL_W if watts >= (ability.range_w or (0,))[0])),
        ability,
        phases=draw.one((), (1,), (3,), (1, 2, 3)),
        circuit=draw.maybe(*circuits) if circuits else None,
        sources=draw.one({}, {}, SEEN),
    )


def supply_of(draw: Draw) -> Supply:
    """A main fuse and a tree of circuits."""
    fuse_w, unmetered_w, phases = draw.one((13_800, 0, 1), (6000, 1000, 1), (17_250, 4140, 3))
    circuits: list[Circuit] = []
    for n in range(draw.whole(0, 3)):
        parent = draw.maybe(*(c.id for c in circuits)) if circuits else None
        safe_w = draw.maybe(0, 1400, 3000)
        circuits.append(Circuit(f"c{n}", draw.one(1840, 3680, 11_040), draw.one(1, phases), parent, safe_w))
    return Supply(fuse_w, unmetered_w=unmetered_w, phases=phases, circuits=tuple(circuits))


def reading(draw: Draw, low: float, high: float) -> Reading | None:
    if draw.whole(0, 5) == 0:
        return None
    value = draw.whole(int(low * 10), int(high * 10)) / 10
    return Reading(value, draw.one(0.0, 5.0, 29.0, 31.0, 899.0, 901.0), "x.y", draw.one(*Quality))


def state(draw: Draw, asset: Asset) -> AssetState:
    """What it draws may be more than the installer said."""
    there = draw.maybe(0.0, 1.0, 1.0)
    return AssetState(
        power_w=reading(draw, 0, draw.one(0.0, 1.0, 1.0, 1.2) * asset.nominal_w),
        room_c=reading(draw, 16, 25),
        running=reading(draw, 0, 1),
        online=draw.yes(),
        soc=reading(draw, 0, 1),
        connected=None if there is None else Reading(there, 0.0, "x.y"),
        import_ws=reading(draw, 0, 40 * 3_600_000),
        air_c=reading(draw, -20, 10),
        water_c=reading(draw, 35, 65),
        outdoor_c=reading(draw, -12, 9),
        defrost=draw.one(*FLAGS),
        legionella=draw.one(*FLAGS),
        backup=draw.one(*FLAGS),
        changes_left=draw.one(None, None, Reading(2.0, 1.0, "x.y"), Reading(3.0, 1.0, "x.y")),
    )


def limits(draw: Draw) -> Limits:
    schedule = timetable(draw, 0, draw.one(0, 3000))
    return Limits(
        room_min_c=timetable(draw, 17, 20),
        room_max_c=timetable(draw, 21, 24),
        water_min_c=draw.maybe(40.0),
        longest_hold_s=draw.one(600.0, 7200.0),
        blocks_per_day=draw.maybe(1, 2, 3),
        held_per_day_s=draw.one(math.inf, 9000.0),
        preheat=draw.maybe(Preheat(2.0, 10_800.0), Preheat(0.5, 3600.0)),
        rest_s=draw.one(0.0, 60.0, 3600.0),
        most_fall_k=draw.one(math.inf, 2.0),
        min_run_s=draw.one(0.0, 600.0),
        min_rest_s=draw.one(0.0, 600.0),
        longest_off_s=draw.one(math.inf, 600.0, 3600.0),
        shortest_on_s=draw.one(0.0, 900.0, 21_600.0),
        care=care(draw),
        charge=charge(draw) if draw.yes() else None,
        schedule=schedule,
        delays=delays(draw, schedule) if draw.yes() else (),
    )


def timetable(draw: Draw, low: int, high: int) -> Timetable:
    start = UTC + draw.second()
    spans = tuple(
        Span(start + 1800 * n, start + 1800 * (n + 1), draw.whole(low, high)) for n in range(draw.whole(0, 3))
    )
    return Timetable(spans, draw.whole(low, high) if draw.yes() else None)


def delays(draw: Draw, schedule: Timetable) -> tuple[EdgeDelay, ...]:
    """One for each edge upwards."""
    edges = sorted({edge for span in schedule.spans for edge in (span.start_utc_s, span.end_utc_s)})
    found = []
    for edge in edges:
        before, after = schedule.at(edge - 1), schedule.at(edge)
        if before is not None and (after is None or after > before):
            found.append(EdgeDelay(edge, draw.one(0, 600, 1800), int(before)))
    return tuple(found)


def care(draw: Draw) -> Care:
    return Care(
        starts_per_hour=draw.maybe(1, 2, 3),
        starts_per_day=draw.maybe(1, 2, 3, 4),
        air_max_c=draw.maybe(-15.0, 8.0),
        **draw.one(*PACES),
        **draw.one(*OUTSIDE),
    )


def charge(draw: Draw) -> Charge:
    low, target, high = sorted(draw.some([0.1, 0.2, 0.5, 0.8, 0.9, 1.0], least=3, most=3))
    battery_ws = draw.maybe(60 * 3_600_000)
    ends = sorted(draw.some([1, 600, 3600, 20_000, 80_000], most=2))
    return Charge(
        battery_ws=battery_ws,
        min_soc=draw.maybe(low),
        target_soc=None if battery_ws is None else draw.maybe(target),
        max_soc=draw.maybe(high),
        need_ws=draw.maybe(10 * 3_600_000),
        efficiency=0.9,
        deadlines=tuple(Deadline(UTC + end, "07:00 local") for end in ends),
        taper_from_soc=draw.maybe(0.5, 0.8, 1.0),
        begins=tuple(UTC - ago_s for ago_s in draw.some([1, 600, 3600])),
    )


def instruction(draw: Draw, ids: list[str], name: str) -> Instruction:
    start, kind, site = (
        UTC + draw.second(),
        draw.one(Kind.CAP, Kind.SETPOINT, Kind.FLOOR, Kind.SOC),
        draw.yes(),
    )
    soc = draw.one(0.3, 0.85, 1.0) if kind is Kind.SOC else None
    steps = tuple(
        Step(start + 900 * n, start + 900 * (n + 1), kind, 0 if soc else draw.whole(0, 12_000), soc)
        for n in range(draw.whole(1, 3))
    )
    members = tuple(ids if site else draw.some(ids, least=1))
    targets = ("site",) if site else tuple(f"asset:{m}" for m in members)
    return Instruction(
        name,
        0,
        "bm",
        draw.one("response", "routine"),
        draw.whole(0, 3),
        UTC - draw.whole(0, 3),
        Scope(targets, members, site),
        steps,
        draw.one(0, 30),
        draw.one(0, 600),
        frozenset(draw.some(ids, most=1)),
        draw.one(Vector.AUTOMATED, Vector.AUTOMATED, Vector.MANUAL),
    )


def memory(draw: Draw, assets: tuple[Asset, ...], asked: tuple[Instruction, ...]) -> Memory:
    base_load = BaseLoad(draw.whole(0, 5000), NOW - draw.one(1, 31), NOW - draw.one(1, 16))
    lower_since_s = draw.one(None, NOW - 299, NOW - 301)
    reckoned = Reckoned(draw.whole(0, 5000), draw.whole(0, 5000), lower_since_s)
    return Memory(
        NOW - 1,
        {a.id: asset_memory(draw, a.ability) for a in assets},
        tuple(override(draw, a.id) for a in draw.some(list(assets), most=1)),
        {i.key: NOW + draw.second() for i in asked if draw.yes()},
        draw.maybe(base_load),
        draw.maybe(reckoned),
        tuple(draw.some([a.id for a in assets])),
        draw.one(NOW, NOW - 899, NOW - 901),
    )


def override(draw: Draw, asset: str) -> Override:
    charging, paused = draw.one((False, False), (True, False), (False, True))
    return Override(asset, NOW + draw.one(-1.0, 60.0), charging, paused)


def asset_memory(draw: Draw, ability: Ability) -> AssetMemory:
    running, since = draw.yes(), NOW - draw.one(1.0, 599.0, 601.0, 7300.0)
    levels = [*ability.levels_w, *(ability.range_w or ())]
    held_w = draw.maybe(*levels) if levels else None
    is_held = held_w is not None
    let_go = None if is_held else draw.maybe(since)
    blocks = tuple(Block(NOW - ago, NOW - ago + 60 * n, 50.0 * n) for ago, n in draw.one(*DAYS))
    goes_on = blocks and is_held and draw.yes()
    cold, warm = draw.one((False, False), (True, False), (False, True))
    register = draw.maybe(draw.whole(0, 40 * 3_600_000))
    mark = Mark(since, register, "x.y" if register is not None else "")
    return AssetMemory(
        running=running,
        running_since_s=since if running else None,
        held_w=held_w,
        held_since_s=since if is_held else None,
        let_go_s=let_go,
        held_s=draw.one(0.0, 100.0, 7200.0) if let_go is not None or is_held else 0.0,
        too_cold=cold,
        too_warm=warm,
        plugged=draw.maybe(mark),
        typed=draw.maybe(Typed(draw.whole(0, 100) / 100, mark)),
        measured=draw.maybe(Measured(draw.whole(0, 100) / 100, mark, "x.y")),
        told_s=draw.maybe(NOW, NOW - 3599, NOW - 3601),
        takes_w=draw.maybe(draw.whole(100, 8000)),
        took_w=draw.maybe(draw.whole(100, 8000)),
        too_empty=draw.yes(),
        too_full=draw.yes(),
        late_for_utc_s=draw.maybe(UTC - 7200, UTC + 3600, UTC + 20_000),
        quiet_since_s=draw.maybe(NOW, NOW - 599, NOW - 601, NOW - 2401),
        tight_s=draw.one(NOW - 1, NOW - 59, NOW - 61) if is_held else None,
        scheduled_since_s=draw.maybe(since) if is_held else None,
        moved_s=draw.maybe(NOW - 1, NOW - 9, NOW - 11) if is_held else None,
        starts_s=tuple(sorted(NOW - draw.whole(1, 90_000) for _ in range(draw.whole(0, 4)))),
        water_cold=draw.yes(),
        blocks=blocks,
        dispatched_since_s=blocks[-1].end_s if goes_on else None,
        turn=draw.maybe(Turn(NOW - draw.one(1, 9, 11, 40), draw.whole(0, 3000), draw.whole(3000, 8000))),
        short_s=draw.maybe(NOW - 5, NOW - 61),
        starved_s=draw.maybe(NOW - 1, NOW - 899, NOW - 901),
        fed_s=draw.maybe(NOW - 1000, NOW - 1799, NOW - 1801),
        aims=draw.yes(),
        fall=draw.maybe(Fall(since, 20.0, 19.8, draw.whole(0, 2))),
        walls=draw.maybe(Walls(NOW - draw.whole(0, 599), 20.2)),
        falls=draw.one((), (0.0,), (0.02, 0.035, 0.045), (0.015, 0.01, 0.05, 0.12)),
        backup_s=draw.maybe(NOW, NOW - 3599, NOW - 3601),
        began_c=draw.maybe(19.0, 22.0),
        chilled=draw.one(False, False, True) and (is_held or let_go is not None),
        resumed_s=None if held_w == 0 else draw.maybe(NOW - 299, NOW - 301),
        waited_utc_s=draw.maybe(UTC - 7200, UTC - 900, UTC + 600),
        raised=draw.maybe(raised(draw)),
        **draw.one(*SEEN_OUTSIDE),
    )


def raised(draw: Draw) -> Raise:
    """One that goes on, or that was stopped just now, a while or a day ago."""
    began_s = NOW - draw.one(60.0, 3599.0, 10_799.0, 10_801.0, 86_401.0)
    paused_s = draw.one(None, NOW - 1, NOW - 599, NOW - 601, NOW - 3601)
    return Raise(began_s, draw.whole(160, 240) / 10, paused_s, draw.one(False, False, True))
