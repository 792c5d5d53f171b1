"""Random homes for the properties of the core: any snapshot a shell could hand to `decide`."""

from __future__ import annotations

from hypothesis import strategies as st

from gateway.core.model import (
    Ability,
    Asset,
    AssetClass,
    AssetMemory,
    AssetState,
    Instruction,
    Kind,
    Limits,
    Memory,
    Override,
    Quality,
    Reading,
    Scope,
    Snapshot,
    Span,
    Step,
    Supply,
    Timetable,
)

UTC = 1_800_000_000.0
NOW = 50_000.0

abilities = st.sampled_from(
    [
        Ability(levels_w=(0,), lease_s=120),
        Ability(range_w=(1500, 9000), step_w=100),
        Ability(levels_w=(0,), range_w=(1380, 7360), step_w=230, raises=True, lease_s=300),
        Ability(),
    ]
)
seconds = st.integers(-7200, 7200).map(float)


@st.composite
def readings(draw: st.DrawFn, low: float, high: float) -> Reading | None:
    if draw(st.integers(0, 5)) == 0:
        return None
    value = draw(st.integers(int(low * 10), int(high * 10))) / 10
    age_s = draw(st.sampled_from([0.0, 5.0, 29.0, 31.0, 899.0, 901.0]))
    return Reading(value, age_s, "x.y", draw(st.sampled_from(Quality)))


@st.composite
def timetables(draw: st.DrawFn, low: int, high: int) -> Timetable:
    start = UTC + draw(seconds)
    spans = tuple(
        Span(start + 1800 * n, start + 1800 * (n + 1), draw(st.integers(low, high)))
        for n in range(draw(st.integers(0, 3)))
    )
    return Timetable(spans, draw(st.none() | st.integers(low, high)))


@st.composite
def limits(draw: st.DrawFn) -> Limits:
    return Limits(
        room_min_c=draw(timetables(17, 20)),
        room_max_c=draw(timetables(21, 24)),
        longest_hold_s=draw(st.sampled_from([600.0, 7200.0])),
        rest_s=draw(st.sampled_from([0.0, 60.0, 3600.0])),
        min_run_s=draw(st.sampled_from([0.0, 600.0])),
        min_rest_s=draw(st.sampled_from([0.0, 600.0])),
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
    cold, warm = draw(st.sampled_from([(False, False), (True, False), (False, True)]))
    return AssetMemory(
        running, since if running else None, held_w, since if held_w is not None else None,
        let_go, held_s if let_go is not None or held_w is not None else 0.0, cold, warm,
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
    )  # fmt: skip


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    count = draw(st.integers(1, 3))
    assets = tuple(
        Asset(
            f"a{n}", draw(st.sampled_from(AssetClass)), draw(st.sampled_from([2400, 7360])), draw(abilities)
        )
        for n in range(count)
    )
    ids = [a.id for a in assets]
    asked = tuple(draw(instructions(ids, f"i{n}")) for n in range(draw(st.integers(0, 3))))
    begun = {i.key: NOW + draw(seconds) for i in asked if draw(st.booleans())}
    taken = draw(st.lists(st.sampled_from(ids), max_size=1))
    memory = Memory(
        NOW - 1, {a.id: draw(memories(a.ability)) for a in assets},
        tuple(Override(a, NOW + draw(st.sampled_from([-1.0, 60.0]))) for a in taken),
        draw(st.none() | st.sampled_from([NOW - 5, NOW - 61])), begun,
    )  # fmt: skip
    return Snapshot(
        NOW, UTC, draw(st.booleans()), assets,
        {a.id: AssetState(draw(readings(0, 8000)), draw(readings(16, 25)), draw(readings(0, 1)),
                          draw(st.booleans())) for a in assets},
        {a.id: draw(limits()) for a in assets},
        draw(st.none() | st.just(Supply(13_800)) | st.just(Supply(6000, unmetered_w=1000))),
        draw(readings(-3000, 14_000)), asked, memory,
    )  # fmt: skip
