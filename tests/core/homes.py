"""Random homes for the properties of the core: any snapshot a shell could hand to `decide`."""

from __future__ import annotations

from typing import Any

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
    Fall,
    Instruction,
    Kind,
    Limits,
    Mark,
    Measured,
    Memory,
    Override,
    Quality,
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
)

UTC = 1_800_000_000.0
NOW = 50_000.0
NOMINAL_W = (150, 2400, 7360, 22_080)

abilities = st.sampled_from(
    [
        Ability(levels_w=(0,), lease_s=120),
        Ability(range_w=(1500, 9000), step_w=100),
        Ability(levels_w=(0,), range_w=(1380, 7360), step_w=230, raises=True, lease_s=300),
        Ability(levels_w=(0,), range_w=(4140, 22_080), step_w=69, raises=True, lease_s=900),
        Ability(),
    ]
)
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
    {"frost_c": -5.0, "frost_hold_s": 3600.0, "outdoor_min_c": -10.0},
    {"frost_c": -5.0, "frost_hold_s": 600.0, "off_may_freeze": True},
    {"legionella_every_days": 1.0},
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
SEEN = dict.fromkeys(("outdoor_c", "defrost", "legionella"), ("x.y",))
seconds = st.integers(-7200, 7200).map(float)


@st.composite
def readings(draw: st.DrawFn, low: float, high: float) -> Reading | None:
    if draw(st.integers(0, 5)) == 0:
        return None
    value = draw(st.integers(int(low * 10), int(high * 10))) / 10
    age_s = draw(st.sampled_from([0.0, 5.0, 29.0, 31.0, 899.0, 901.0]))
    return Reading(value, age_s, "x.y", draw(st.sampled_from(Quality)))


flags = st.sampled_from(
    [
        None,
        *[Reading(value, 1.0, "x.y") for value in (0.0,) * 8 + (1.0,)],
        Reading(0.0, 1.0, "x.y", Quality.BAD),
    ]
)


@st.composite
def timetables(draw: st.DrawFn, low: int, high: int) -> Timetable:
    start = UTC + draw(seconds)
    spans = tuple(
        Span(start + 1800 * n, start + 1800 * (n + 1), draw(st.integers(low, high)))
        for n in range(draw(st.integers(0, 3)))
    )
    return Timetable(spans, draw(st.none() | st.integers(low, high)))


@st.composite
def charges(draw: st.DrawFn) -> Charge:
    low, target, high = sorted(draw(st.lists(st.sampled_from([0.1, 0.2, 0.5, 0.8, 0.9, 1.0]), min_size=3,
                                             max_size=3, unique=True)))  # fmt: skip
    ends = sorted(draw(st.lists(st.sampled_from([1, 600, 3600, 20_000, 80_000]), max_size=2, unique=True)))
    battery_ws = draw(st.none() | st.just(60 * 3_600_000))
    return Charge(
        battery_ws,
        draw(st.none() | st.just(low)),
        None if battery_ws is None else draw(st.none() | st.just(target)),
        draw(st.none() | st.just(high)),
        draw(st.none() | st.just(10 * 3_600_000)),
        0.9,
        tuple(Deadline(UTC + end, "07:00 local") for end in ends),
        draw(st.none() | st.sampled_from([0.5, 0.8, 1.0])),
    )


@st.composite
def cares(draw: st.DrawFn) -> Care:
    return Care(
        starts_per_hour=draw(st.none() | st.integers(1, 3)),
        starts_per_day=draw(st.none() | st.integers(1, 4)),
        air_max_c=draw(st.none() | st.sampled_from([-15.0, 8.0])),
        **draw(st.sampled_from(OUTSIDE)),
    )


@st.composite
def limits(draw: st.DrawFn) -> Limits:
    return Limits(
        room_min_c=draw(timetables(17, 20)),
        room_max_c=draw(timetables(21, 24)),
        water_min_c=draw(st.none() | st.just(40.0)),
        longest_hold_s=draw(st.sampled_from([600.0, 7200.0])),
        blocks_per_day=draw(st.none() | st.integers(1, 3)),
        held_per_day_s=draw(st.sampled_from([float("inf"), 9000.0])),
        rest_s=draw(st.sampled_from([0.0, 60.0, 3600.0])),
        min_run_s=draw(st.sampled_from([0.0, 600.0])),
        min_rest_s=draw(st.sampled_from([0.0, 600.0])),
        longest_off_s=draw(st.sampled_from([float("inf"), 600.0, 3600.0])),
        shortest_on_s=draw(st.sampled_from([0.0, 900.0, 21_600.0])),
        care=draw(cares()),
        charge=draw(st.none() | charges()),
        schedule=draw(timetables(0, 3000)),
    )


@st.composite
def memories(draw: st.DrawFn, ability: Ability) -> AssetMemory:
    running = draw(st.booleans())
    since = NOW - draw(st.sampled_from([1.0, 599.0, 601.0, 7300.0]))
    levels = [*ability.levels_w, *(ability.range_w or ())]
    held_w = draw(st.none() | st.sampled_from(levels)) if levels else None
    held_s = draw(st.sampled_from([0.0, 100.0, 7200.0]))
    let_go = None if held_w is not None else draw(st.none() | st.just(since))
    blocks = tuple(Block(NOW - ago, NOW - ago + 60 * n, 50.0 * n) for ago, n in draw(st.sampled_from(DAYS)))
    goes_on = blocks and held_w is not None and draw(st.booleans())
    cold, warm = draw(st.sampled_from([(False, False), (True, False), (False, True)]))
    register = draw(st.none() | st.integers(0, 40 * 3_600_000))
    mark = Mark(since, register, "x.y" if register is not None else "")
    return AssetMemory(
        running, since if running else None, held_w, since if held_w is not None else None,
        let_go, held_s if let_go is not None or held_w is not None else 0.0, cold, warm,
        draw(st.none() | st.just(mark)),
        draw(st.none() | st.builds(Typed, st.floats(0, 1), st.just(mark))),
        draw(st.none() | st.builds(Measured, st.floats(0, 1), st.just(mark), st.just("x.y"))),
        draw(st.none() | st.sampled_from([NOW, NOW - 3599, NOW - 3601])),
        draw(st.none() | st.integers(100, 8000)),
        draw(st.none() | st.integers(100, 8000)),
        draw(st.booleans()), draw(st.booleans()),
        draw(st.none() | st.sampled_from([UTC - 7200, UTC + 3600, UTC + 20_000])),
        draw(st.none() | st.sampled_from([NOW, NOW - 599, NOW - 601, NOW - 2401])),
        None if held_w is None else draw(st.sampled_from([NOW - 1, NOW - 59, NOW - 61])),
        scheduled_since_s=None if held_w is None else draw(st.none() | st.just(since)),
        moved_s=None if held_w is None else draw(st.none() | st.sampled_from([NOW - 1, NOW - 9, NOW - 11])),
        starts_s=tuple(sorted(NOW - draw(st.integers(1, 90_000)) for _ in range(draw(st.integers(0, 4))))),
        water_cold=draw(st.booleans()),
        blocks=blocks, dispatched_since_s=blocks[-1].end_s if goes_on else None,
        turn=draw(st.none() | st.builds(Turn, st.sampled_from([NOW - 1, NOW - 9, NOW - 11, NOW - 40]),
                                        st.integers(0, 3000), st.integers(3000, 8000))),
        short_s=draw(st.none() | st.sampled_from([NOW - 5, NOW - 61])),
        starved_s=draw(st.none() | st.sampled_from([NOW - 1, NOW - 899, NOW - 901])),
        fed_s=draw(st.none() | st.sampled_from([NOW - 1000, NOW - 1799, NOW - 1801])),
        fall=draw(st.none() | st.builds(Fall, st.just(since), st.just(20.0), st.none() | st.just(1e-4))),
        cools_k_s=draw(st.none() | st.sampled_from([0.0, 1e-4, 1e-3])),
        **draw(st.sampled_from(SEEN_OUTSIDE)),
    )  # fmt: skip


@st.composite
def states(draw: st.DrawFn) -> AssetState:
    return AssetState(
        draw(readings(0, 8000)), draw(readings(16, 25)), draw(readings(0, 1)), draw(st.booleans()),
        draw(readings(0, 1)),
        draw(st.none() | st.sampled_from([0.0, 1.0, 1.0]).map(lambda there: Reading(there, 0.0, "x.y"))),
        draw(readings(0, 40 * 3_600_000)),
        draw(readings(-20, 10)),
        draw(readings(35, 65)),
        draw(readings(-12, 9)),
        draw(flags),
        draw(flags),
    )  # fmt: skip


@st.composite
def instructions(draw: st.DrawFn, ids: list[str], name: str) -> Instruction:
    start = UTC + draw(seconds)
    kind = draw(st.sampled_from([Kind.CAP, Kind.SETPOINT, Kind.FLOOR]))
    steps = tuple(
        Step(start + 900 * n, start + 900 * (n + 1), kind, draw(st.integers(0, 12_000)))
        for n in range(draw(st.integers(1, 3)))
    )
    site = draw(st.booleans())
    members = tuple(ids if site else draw(st.lists(st.sampled_from(ids), min_size=1, unique=True)))
    targets = ("site",) if site else tuple(f"asset:{m}" for m in members)
    return Instruction(
        name, 0, "bm", "response", draw(st.integers(0, 3)), UTC - draw(st.integers(0, 3)),
        Scope(targets, members, site), steps,
        draw(st.sampled_from([0, 30])), draw(st.sampled_from([0, 600])),
        frozenset(draw(st.lists(st.sampled_from(ids), max_size=1))),
        draw(st.sampled_from([Vector.AUTOMATED, Vector.AUTOMATED, Vector.MANUAL])),
    )  # fmt: skip


@st.composite
def overrides(draw: st.DrawFn, asset: str) -> Override:
    charging, paused = draw(st.sampled_from([(False, False), (True, False), (False, True)]))
    return Override(asset, NOW + draw(st.sampled_from([-1.0, 60.0])), charging, paused)


@st.composite
def supplies(draw: st.DrawFn) -> Supply:
    """A main fuse and a tree of circuits."""
    main = draw(st.sampled_from([(13_800, 0, 1), (6000, 1000, 1), (17_250, 4140, 3)]))
    circuits: list[Circuit] = []
    for n in range(draw(st.integers(0, 3))):
        parent = draw(st.none() | st.sampled_from([c.id for c in circuits])) if circuits else None
        phases = draw(st.sampled_from([1, main[2]]))
        unmetered_w = draw(st.none() | st.sampled_from([0, 1400, 3000]))
        fuse_w = draw(st.sampled_from([1840, 3680, 11_040]))
        circuits.append(Circuit(f"c{n}", fuse_w, phases, parent, unmetered_w))
    return Supply(main[0], unmetered_w=main[1], phases=main[2], circuits=tuple(circuits))


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    count = draw(st.integers(1, 3))
    supply = draw(st.none() | supplies())
    behind = supply.circuits if supply else ()
    assets = tuple(
        Asset(
            f"a{n}",
            draw(st.sampled_from(AssetClass)),
            draw(st.sampled_from([150, 2400, 7360, 22_080])),
            draw(abilities),
            phases=draw(st.sampled_from([(), (1,), (3,), (1, 2, 3)])),
            circuit=draw(st.none() | st.sampled_from([c.id for c in behind])) if behind else None,
            sources=draw(st.sampled_from([{}, {}, SEEN])),
        )
        for n in range(count)
    )
    ids = [a.id for a in assets]
    asked = tuple(draw(instructions(ids, f"i{n}")) for n in range(draw(st.integers(0, 3))))
    begun = {i.key: NOW + draw(seconds) for i in asked if draw(st.booleans())}
    taken = draw(st.lists(st.sampled_from(ids), max_size=1))
    memory = Memory(
        NOW - 1, {a.id: draw(memories(a.ability)) for a in assets},
        tuple(draw(overrides(a)) for a in taken),
        begun,
        draw(st.none() | st.builds(BaseLoad, st.integers(0, 5000), st.sampled_from([NOW - 1, NOW - 31]),
                                   st.sampled_from([NOW - 1, NOW - 16]))),
        draw(st.none() | st.builds(Reckoned, st.integers(0, 5000), st.integers(0, 5000),
                                   st.sampled_from([None, NOW - 299, NOW - 301]))),
    )  # fmt: skip
    return Snapshot(
        NOW, UTC, draw(st.booleans()), assets,
        {a.id: draw(states()) for a in assets},
        {a.id: draw(limits()) for a in assets},
        supply,
        draw(readings(-3000, 14_000)), asked, memory,
        draw(st.just(()) | st.tuples(*[readings(-2000, 8000)] * 3)),
        {c.id: said for c in behind if c.unmetered_w is not None and (said := draw(readings(-2000, 8000)))},
    )  # fmt: skip
