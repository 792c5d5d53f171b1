"""What is so of an asset, as far as limits ask; told once more, from what was known."""

from __future__ import annotations

from gateway.core.model import (
    Asset,
    AssetClass,
    AssetMemory,
    Kind,
    Mark,
    Quality,
    Reading,
    Snapshot,
    Vector,
)

ROUNDING_S = 1e-6  # what adding seconds in another order may differ by


def is_of_a_block(snapshot: Snapshot, asset: Asset, was: AssetMemory) -> bool:
    """One that goes on, or has not rested yet."""
    rest_s = rest_of_s(snapshot, asset, was.outdoor_c) + ROUNDING_S
    return was.dispatched_since_s is not None or any(snapshot.now_s - b.end_s < rest_s for b in was.blocks)


def held_today_s(snapshot: Snapshot, asset: Asset, was: AssetMemory) -> float:
    """Of each block as much as may be of the last day."""
    found, most_s = 0.0, snapshot.limits[asset.id].longest_hold_s
    for n, block in enumerate(was.blocks, 1):
        goes_on = n == len(was.blocks) and was.dispatched_since_s is not None
        more_s = snapshot.now_s - (was.dispatched_since_s or 0.0) if goes_on else 0.0
        left_s = 86_400 if goes_on else block.end_s - (snapshot.now_s - 86_400)
        found += max(0.0, min(block.held_s + more_s, left_s)) if block.held_s < 1e9 else most_s
    return found


def is_too_warm(snapshot: Snapshot, asset: Asset) -> bool:
    """Warm enough that it may be held off for that: within the hysteresis of a maximum."""
    table, room_c = snapshot.limits[asset.id].room_max_c, value_of(snapshot.states[asset.id].room_c)
    values = [span.value for span in table.spans] + [v for v in (table.otherwise,) if v is not None]
    hysteresis_c = snapshot.limits[asset.id].hysteresis_c
    return room_c is not None and any(room_c > most_c - hysteresis_c for most_c in values)


def held_in_all_s(snapshot: Snapshot, was: AssetMemory) -> float:
    until_s = snapshot.now_s if was.scheduled_since_s is None else was.scheduled_since_s
    return was.held_s if was.held_since_s is None else was.held_s + until_s - was.held_since_s


def longest_s(snapshot: Snapshot, asset: Asset) -> float:
    """Shorter in frost."""
    limits, cold_c = snapshot.limits[asset.id], value_of(snapshot.states[asset.id].outdoor_c)
    frosty = cold_c is not None and limits.care.frost_c is not None and cold_c < limits.care.frost_c
    return min(limits.longest_hold_s, limits.care.frost_hold_s if frosty else limits.longest_hold_s)


def rest_of_s(snapshot: Snapshot, asset: Asset, was_c: float | None = None) -> float:
    """Longer while it freezes; and, where that is asked, if it did."""
    limits, cold_c = snapshot.limits[asset.id], value_of(snapshot.states[asset.id].outdoor_c)
    freezes = any(c is not None and c < 0 for c in (cold_c, was_c))
    return max(limits.rest_s, limits.care.frost_rest_s if freezes else 0)


def is_scheduled(snapshot: Snapshot, asset: Asset, held_w: int) -> bool:
    """The household's own schedule leaves no higher level of the device."""
    table = snapshot.limits[asset.id].schedule
    spans = [s for s in table.spans if s.start_utc_s <= snapshot.utc_s < s.end_utc_s]
    most_w = spans[0].value if spans else table.otherwise
    most_w = min([*delayed_w(snapshot, asset), *([] if most_w is None else [most_w])], default=None)
    if not snapshot.clock_trusted or most_w is None or most_w >= asset.nominal_w:
        return False
    return held_w >= level_at(asset, most_w)


def level_at(asset: Asset, most_w: float) -> int:
    """The highest of the device that is no more, or its lowest."""
    low, high = asset.ability.range_w or (0, -1)
    levels = [*asset.ability.levels_w, *range(low, high + 1, asset.ability.step_w)]
    return max((level for level in levels if level <= most_w), default=min(levels))


def delayed_w(snapshot: Snapshot, asset: Asset) -> list[int]:
    """What the schedule let it draw before each edge that is not half an hour ago, for as long as was drawn;
    but for those whose delay is over."""
    was = snapshot.memory.assets.get(asset.id)
    over_s = snapshot.utc_s - was.waited_utc_s if was and was.waited_utc_s is not None else 1e9
    over_s = 1e9 if over_s < -1800 else over_s
    ago_s = [(snapshot.utc_s - d.at_utc_s, d) for d in snapshot.limits[asset.id].delays]
    waits = [d.before_w for s, d in ago_s if 0 <= s < min(over_s, d.delay_s, 1800)]
    return waits if snapshot.clock_trusted else []


def is_raised(snapshot: Snapshot, asset: Asset) -> bool:
    """An instruction asks it to draw so much, or more, or to be charged so far."""
    asked = [i for i in snapshot.instructions if i.vector is Vector.AUTOMATED]
    asked = [i for i in asked if asset.id in i.scope.assets and asset.id not in i.ended]
    return any(step.kind is not Kind.CAP for i in asked for step in i.steps)


def taken(snapshot: Snapshot, asset: Asset) -> bool:
    """The household took it back; "charge now" is over when the car is gone or charged."""
    charge, soc = snapshot.limits[asset.id].charge, soc_of(snapshot, asset)
    goal = (charge and charge.max_soc) or 1.0
    charged = not is_there(snapshot, asset) or (soc is not None and soc >= goal)
    return any(
        o.asset == asset.id and o.until_s > snapshot.now_s and not o.paused and not (o.charging and charged)
        for o in snapshot.memory.overrides
    )


def paused(snapshot: Snapshot, asset: Asset) -> bool:
    said = [o for o in snapshot.memory.overrides if o.asset == asset.id]
    return any(o.paused and o.until_s > snapshot.now_s for o in said)


def is_young(snapshot: Snapshot, asset: Asset) -> bool:
    was = snapshot.memory.assets.get(asset.id)
    if was is None or was.held_w is not None or not was.running or was.running_since_s is None:
        return False
    return snapshot.now_s - was.running_since_s < snapshot.limits[asset.id].min_run_s


def value_of(reading: Reading | None) -> float | None:
    return None if reading is None or reading.quality is Quality.BAD else reading.value


def is_melting(snapshot: Snapshot, asset: Asset) -> bool:
    """Its ice, or in a cycle against legionella."""
    state = snapshot.states[asset.id]
    return bool(value_of(state.defrost)) or bool(value_of(state.legionella))


def lingers(snapshot: Snapshot, asset: Asset) -> bool:
    """A limit has just been reached, and is not left again yet."""
    was = snapshot.memory.assets.get(asset.id)
    if was is None:
        return False
    cold = was.too_cold or was.water_cold or was_colder(snapshot, asset)
    over_day_s = held_today_s(snapshot, asset, was) - snapshot.limits[asset.id].held_per_day_s
    edges_s = [
        over_day_s,
        *(snapshot.now_s - at_s - span_s for at_s in was.starts_s for span_s in (3600, 86_400)),
    ]
    is_on_edge = any(abs(edge_s) < ROUNDING_S for edge_s in edges_s)
    return cold or was.too_empty or was.late_for_utc_s is not None or is_on_edge


def was_colder(snapshot: Snapshot, asset: Asset) -> bool:
    was, now_c = snapshot.memory.assets.get(asset.id), value_of(snapshot.states[asset.id].outdoor_c)
    return was is not None and was.outdoor_c is not None and (now_c is None or was.outdoor_c < now_c)


def is_told_too_soon(snapshot: Snapshot, asset: Asset, was: AssetMemory, held_w: int | None) -> bool:
    """After so short a time, or for so little."""
    care = snapshot.limits[asset.id].care
    level_s = was.let_go_s if was.held_w is None else was.held_since_s if was.moved_s is None else was.moved_s
    turned_s = level_s if was.held_w == 0 else was.resumed_s
    turns = (was.held_w == 0) != (held_w == 0) and turned_s is not None and 0 in asset.ability.levels_w
    early = level_s is not None and snapshot.now_s - level_s < care.change_every_s - ROUNDING_S
    again = turns and snapshot.now_s - (turned_s or 0.0) < care.pause_s - ROUNDING_S
    rise_w = 0 if held_w is None or was.held_w is None else held_w - was.held_w
    return early or again or 0 < rise_w < care.min_change_w


def is_awaited(snapshot: Snapshot, asset: Asset) -> bool:
    """A car that has to be ready by some hour, and is not."""
    charge = snapshot.limits[asset.id].charge
    return charge is not None and bool(charge.deadlines) and need_of_ws(snapshot, asset) > 0


def must_be_on(snapshot: Snapshot, asset: Asset) -> bool:
    was, limits = snapshot.memory.assets.get(asset.id), snapshot.limits[asset.id]
    if is_warm(snapshot, asset):
        return True
    if was is None:
        return False
    if was.held_w == 0 and was.held_since_s is not None:
        off_s = snapshot.now_s - was.held_since_s
        return off_s >= limits.longest_off_s or (was.held_s >= 1e9 and limits.longest_off_s < 1e9)
    if was.held_w is None and was.let_go_s is not None:
        unknown_off = was.held_s >= 1e9 and limits.longest_off_s < 1e9
        on_s = max(limits.shortest_on_s, limits.rest_s if unknown_off else 0.0)
        return snapshot.now_s - was.let_go_s < on_s - ROUNDING_S
    return False


def is_warm(snapshot: Snapshot, asset: Asset) -> bool:
    air, most_c = snapshot.states[asset.id].air_c, snapshot.limits[asset.id].care.air_max_c
    return air is not None and air.quality is not Quality.BAD and most_c is not None and air.value >= most_c


def is_started_enough(snapshot: Snapshot, asset: Asset) -> bool:
    was, care = snapshot.memory.assets.get(asset.id), snapshot.limits[asset.id].care
    if was is None or was.held_w == 0:
        return False
    ago_s = [snapshot.now_s - at_s for at_s in was.starts_s]
    in_hour, in_day = (sum(s < within_s - ROUNDING_S for s in ago_s) for within_s in (3600, 86_400))
    return in_hour >= (care.starts_per_hour or 99) or in_day >= (care.starts_per_day or 99)


def is_there(snapshot: Snapshot, asset: Asset) -> bool:
    connected = snapshot.states[asset.id].connected
    return connected is None or connected.value == 1


def soc_of(snapshot: Snapshot, asset: Asset) -> float | None:
    """Measured since plug-in, else the last that was measured or typed, carried on."""
    state, was = snapshot.states[asset.id], snapshot.memory.assets.get(asset.id)
    if not is_there(snapshot, asset):
        return None
    if asset.asset_class is AssetClass.HEAT:
        return value_of(state.soc)
    plugged = was.plugged if was else None
    since_s = snapshot.now_s - plugged.at_s if plugged else 0 if state.connected else 1e9
    if state.soc and state.soc.quality is not Quality.BAD and state.soc.age_s <= since_s:
        return state.soc.value
    told = [said for said in (was.measured, was.typed) if said] if was else []
    if not told:
        return None
    last = max(told, key=lambda said: said.mark.at_s)
    return min(1.0, last.soc + share_of(snapshot, asset, delivered_ws(snapshot, asset, last.mark)))


def delivered_ws(snapshot: Snapshot, asset: Asset, mark: Mark | None) -> float:
    register = snapshot.states[asset.id].import_ws
    if mark is None or mark.register_ws is None or register is None:
        return 0
    most_ws = 1.1 * asset.nominal_w * (snapshot.now_s - mark.at_s)
    return max(0, min(int(register.value - mark.register_ws), int(most_ws)))


def share_of(snapshot: Snapshot, asset: Asset, metered_ws: float) -> float:
    charge = snapshot.limits[asset.id].charge
    return metered_ws * charge.efficiency / charge.battery_ws if charge and charge.battery_ws else 0.0


def is_full(snapshot: Snapshot, asset: Asset) -> bool:
    """At its maximum, or inside the hysteresis after it was."""
    charge, soc = snapshot.limits[asset.id].charge, soc_of(snapshot, asset)
    if charge is None or charge.max_soc is None or soc is None:
        return False
    was = snapshot.memory.assets.get(asset.id)
    return soc >= charge.max_soc or (was is not None and was.too_full and soc > charge.max_soc - 0.02)


def need_of_ws(snapshot: Snapshot, asset: Asset) -> float:
    charge, soc = snapshot.limits[asset.id].charge, soc_of(snapshot, asset)
    assert charge
    if asset.asset_class is AssetClass.HEAT:
        return store_need_ws(snapshot, asset)
    goal = charge.target_soc if charge.battery_ws else None
    if goal is not None and soc is not None:
        return max(0.0, (goal - soc) * (charge.battery_ws or 0) / charge.efficiency)
    wanted = charge.need_ws
    if wanted is None:
        wanted = 0 if goal is None else int(goal * (charge.battery_ws or 0) / charge.efficiency)
    was = snapshot.memory.assets.get(asset.id)
    return max(0.0, wanted - delivered_ws(snapshot, asset, was.plugged if was else None))


def store_need_ws(snapshot: Snapshot, asset: Asset) -> float:
    """What a store has not had since its hours began, as much as goes in; nothing while it is kept off."""
    charge, level = snapshot.limits[asset.id].charge, soc_of(snapshot, asset)
    table, was = snapshot.limits[asset.id].schedule, snapshot.memory.assets.get(asset.id)
    spans = [s for s in table.spans if s.start_utc_s <= snapshot.utc_s < s.end_utc_s]
    is_off = snapshot.clock_trusted and (spans[0].value if spans else table.otherwise) == 0
    if charge is None or charge.need_ws is None or is_off:
        return 0.0
    needed = max(0.0, charge.need_ws - delivered_ws(snapshot, asset, was.plugged if was else None))
    if level is None or charge.battery_ws is None:
        return needed
    return min(needed, max(0.0, ((charge.max_soc or 1.0) - level) * charge.battery_ws / charge.efficiency))


def charging_ws(snapshot: Snapshot, asset: Asset, needed_ws: float) -> float:
    """What is needed, and the more of it the less the car takes: down to a quarter when full."""
    charge, soc = snapshot.limits[asset.id].charge, soc_of(snapshot, asset)
    taper_from = charge and charge.taper_from_soc
    if soc is None or taper_from is None or not (charge and charge.battery_ws) or taper_from == 1:
        return needed_ws
    each = min(share_of(snapshot, asset, needed_ws), 1 - soc) / 500
    at = [soc + each * (n + 0.5) for n in range(500)]
    return sum(needed_ws / 500 / (1 - 0.75 * max(0, s - taper_from) / (1 - taper_from)) for s in at)


def rests(snapshot: Snapshot, asset: Asset) -> bool:
    was = snapshot.memory.assets.get(asset.id)
    if was is None or was.held_w != 0 or was.held_since_s is None:
        return False
    is_asked = taken(snapshot, asset) or not is_there(snapshot, asset)
    since_s = was.held_since_s if was.moved_s is None else was.moved_s
    is_short = snapshot.now_s - since_s < snapshot.limits[asset.id].min_rest_s
    return is_short and not (is_asked and asset.asset_class is not AssetClass.HEAT)


def waits(snapshot: Snapshot, asset: Asset) -> bool:
    """It is off for the fuse, and was not for long enough or is started too often."""
    was, supply = snapshot.memory.assets.get(asset.id), snapshot.supply
    if supply is None or was is None or was.held_w != 0 or was.starved_s is None:
        return False
    is_young = was.fed_s is not None and snapshot.now_s - was.fed_s < supply.starts_apart_s
    return is_young or snapshot.now_s - was.starved_s < supply.restart_s
