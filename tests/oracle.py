"""Each local limit once more, as an inequality over a snapshot and the plan made of it.

Knows only the vocabulary. Where two limits leave no room the higher rank may break the lower:
supply > care > override > comfort.
"""

from __future__ import annotations

from gateway.core.model import Asset, AssetClass, AssetMemory, Mark, Plan, Quality, Reading, Snapshot

ROUNDING_S = 1e-6  # what adding seconds in another order may differ by


def violations(snapshot: Snapshot, plan: Plan) -> list[str]:
    """Every limit the plan breaks, in words; empty if it keeps all."""
    found = []
    for asset in snapshot.assets:
        if not (asset.ability.levels_w or asset.ability.range_w):
            continue
        held_w = next(s.at_most_w for s in plan.setpoints if s.asset == asset.id)
        for limit in LIMITS:
            if not limit(snapshot, asset, held_w):
                found.append(f"{limit.__name__}: {asset.id} held at {held_w}")
    if not fuse(snapshot, plan):
        found.append("fuse")
    return found


def level_exists(_snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """A device is only told what it can do."""
    low_high = asset.ability.range_w
    in_range = (
        low_high is not None
        and held_w is not None
        and low_high[0] <= held_w <= low_high[1]
        and (held_w - low_high[0]) % asset.ability.step_w == 0
    )
    return held_w is None or held_w in asset.ability.levels_w or in_range


def room_minimum(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """At or below the minimum, or with the room unknown, nothing is held."""
    table = snapshot.limits[asset.id].room_min_c
    values = [s.value for s in table.spans] + ([table.otherwise] if table.otherwise is not None else [])
    if snapshot.clock_trusted:
        spans = [s for s in table.spans if s.start_utc_s <= snapshot.utc_s < s.end_utc_s]
        values = [spans[0].value] if spans else [table.otherwise] if table.otherwise is not None else []
    if not values:
        return True
    room = snapshot.states[asset.id].room_c
    unknown = room is None or room.quality is Quality.BAD
    old = room is not None and room.age_s > snapshot.limits[asset.id].room_max_age_s
    cold = room is not None and room.value <= max(values)
    may = held_w is None or not (unknown or old or cold) or _rests(snapshot, asset) or _tight(snapshot, asset)
    return may or _is_full(snapshot, asset)


def water_minimum(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """With hot water at or below its minimum, or unknown, nothing is held."""
    least_c, water = snapshot.limits[asset.id].water_min_c, snapshot.states[asset.id].water_c
    if held_w is None or least_c is None:
        return True
    is_warm = water is not None and water.quality is not Quality.BAD and water.value > least_c
    return is_warm or _rests(snapshot, asset) or _tight(snapshot, asset) or _is_full(snapshot, asset)


def longest_hold(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """Held no longer in all than allowed, until it has rested; but for what the household wants itself."""
    was, limits = snapshot.memory.assets.get(asset.id), snapshot.limits[asset.id]
    if was is None or held_w is None:
        return True
    rested = (
        was.held_w is None and was.let_go_s is not None and snapshot.now_s - was.let_go_s >= limits.rest_s
    )
    within = (
        _held_in_all_s(snapshot, was) < _longest_s(snapshot, asset)
        or rested
        or _is_scheduled(snapshot, asset, held_w)
        or (asset.asset_class is AssetClass.EV and _paused(snapshot, asset))
    )
    return within or _rests(snapshot, asset) or _tight(snapshot, asset) or _is_full(snapshot, asset)


def blocks_of_a_day(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """Held in so many blocks within a day and for so long in all; but for what the household wants itself."""
    was, limits = snapshot.memory.assets.get(asset.id), snapshot.limits[asset.id]
    if was is None or held_w is None or limits.blocks_per_day is None:
        return True
    excused = (
        _is_scheduled(snapshot, asset, held_w) or _is_full(snapshot, asset) or _is_too_warm(snapshot, asset)
    )
    excused = excused or _rests(snapshot, asset) or _tight(snapshot, asset)
    begun = sum(snapshot.now_s - block.start_s < 86_400 - ROUNDING_S for block in was.blocks)
    often = not _is_of_a_block(snapshot, asset, was) and begun >= limits.blocks_per_day
    return excused or not (often or _held_today_s(snapshot, asset, was) > limits.held_per_day_s + ROUNDING_S)


def _is_of_a_block(snapshot: Snapshot, asset: Asset, was: AssetMemory) -> bool:
    """One that goes on, or has not rested yet."""
    rest_s = snapshot.limits[asset.id].rest_s + ROUNDING_S
    return was.dispatched_since_s is not None or any(snapshot.now_s - b.end_s < rest_s for b in was.blocks)


def _held_today_s(snapshot: Snapshot, asset: Asset, was: AssetMemory) -> float:
    """Of each block as much as may be of the last day."""
    found, most_s = 0.0, snapshot.limits[asset.id].longest_hold_s
    for n, block in enumerate(was.blocks, 1):
        goes_on = n == len(was.blocks) and was.dispatched_since_s is not None
        more_s = snapshot.now_s - (was.dispatched_since_s or 0.0) if goes_on else 0.0
        left_s = 86_400 if goes_on else block.end_s - (snapshot.now_s - 86_400)
        found += max(0.0, min(block.held_s + more_s, left_s)) if block.held_s < 1e9 else most_s
    return found


def _is_too_warm(snapshot: Snapshot, asset: Asset) -> bool:
    """Warm enough that it may be held off for that: within the hysteresis of a maximum."""
    table, room_c = snapshot.limits[asset.id].room_max_c, _value(snapshot.states[asset.id].room_c)
    values = [span.value for span in table.spans] + [v for v in (table.otherwise,) if v is not None]
    hysteresis_c = snapshot.limits[asset.id].hysteresis_c
    return room_c is not None and any(room_c > most_c - hysteresis_c for most_c in values)


def _held_in_all_s(snapshot: Snapshot, was: AssetMemory) -> float:
    until_s = snapshot.now_s if was.scheduled_since_s is None else was.scheduled_since_s
    return was.held_s if was.held_since_s is None else was.held_s + until_s - was.held_since_s


def _longest_s(snapshot: Snapshot, asset: Asset) -> float:
    """Shorter in frost."""
    limits, cold_c = snapshot.limits[asset.id], _value(snapshot.states[asset.id].outdoor_c)
    frosty = cold_c is not None and limits.care.frost_c is not None and cold_c < limits.care.frost_c
    return min(limits.longest_hold_s, limits.care.frost_hold_s if frosty else limits.longest_hold_s)


def _is_scheduled(snapshot: Snapshot, asset: Asset, held_w: int) -> bool:
    """The household's own schedule leaves no higher level of the device."""
    table = snapshot.limits[asset.id].schedule
    spans = [s for s in table.spans if s.start_utc_s <= snapshot.utc_s < s.end_utc_s]
    most_w = spans[0].value if spans else table.otherwise
    if not snapshot.clock_trusted or most_w is None or most_w >= asset.nominal_w:
        return False
    low, high = asset.ability.range_w or (0, -1)
    levels = [*asset.ability.levels_w, *range(low, high + 1, asset.ability.step_w)]
    return held_w >= max((level for level in levels if level <= most_w), default=min(levels))


def minimum_run(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """A compressor that has just started is not held."""
    return held_w is None or not _is_young(snapshot, asset) or _tight(snapshot, asset)


def minimum_rest(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """A compressor that was held off stays off for its rest."""
    return (
        held_w == 0
        or 0 not in asset.ability.levels_w
        or not _rests(snapshot, asset)
        or _must_be_on(snapshot, asset)
        or _is_melting(snapshot, asset)
    )


def starts(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """Nothing is switched off that we have started as often as it bears within an hour or a day."""
    was = snapshot.memory.assets.get(asset.id)
    begins = held_w == 0 and was is not None and was.held_w != 0
    return not begins or not _is_started_enough(snapshot, asset) or _tight(snapshot, asset)


def food(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """What cools food is not held once its air is too warm."""
    return held_w is None or not _is_warm(snapshot, asset) or _tight(snapshot, asset)


def defrost(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """Nothing is held while ice melts or hot water is sterilised, nor where that may be and nobody knows."""
    state, sources = snapshot.states[asset.id], asset.sources
    blind = any(_value(getattr(state, name)) is None for name in ("defrost", "legionella") if name in sources)
    calm = not _is_melting(snapshot, asset) and (not blind or _rests(snapshot, asset))
    return held_w is None or calm or _tight(snapshot, asset)


def after_defrost(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """Nothing is held for ten minutes after a defrost."""
    was = snapshot.memory.assets.get(asset.id)
    lately = (
        was is not None
        and was.defrosted_s is not None
        and snapshot.now_s - was.defrosted_s < 600 - ROUNDING_S
    )
    return held_w is None or not lately or _rests(snapshot, asset) or _tight(snapshot, asset)


def deep_cold(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """Nothing is held in deep cold, nor off in frost where that may freeze; not to know it is as bad."""
    care, cold_c = snapshot.limits[asset.id].care, _value(snapshot.states[asset.id].outdoor_c)
    too_cold = cold_c is not None and care.outdoor_min_c is not None and cold_c < care.outdoor_min_c
    freezes = cold_c is not None and care.off_may_freeze and cold_c < 0 and held_w == 0
    blind = cold_c is None and "outdoor_c" in asset.sources
    may = held_w is None or not (too_cold or freezes or blind)
    return may or _rests(snapshot, asset) or _tight(snapshot, asset)


def legionella(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """Nothing is held from twelve hours before hot water is to be sterilised, or with no trusted clock."""
    days, was = snapshot.limits[asset.id].care.legionella_every_days, snapshot.memory.assets.get(asset.id)
    if held_w is None or days is None:
        return True
    clean_utc_s = snapshot.utc_s if was is None or was.clean_utc_s is None else was.clean_utc_s
    in_time = snapshot.utc_s - clean_utc_s < days * 86_400 - 43_200 + ROUNDING_S
    return (snapshot.clock_trusted and in_time) or _rests(snapshot, asset) or _tight(snapshot, asset)


def override(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """What the household took back is not held."""
    return held_w is None or not _taken(snapshot, asset) or _rests(snapshot, asset) or _tight(snapshot, asset)


def pause(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """What the household paused is held as low as it goes, unless that would break another limit, or one
    that has just been reached is not left again yet."""
    lowest_w = min((*asset.ability.levels_w, *(asset.ability.range_w or ())[:1]))
    others = (limit for limit in LIMITS if limit not in (pause, charge_maximum))
    broken = any(not limit(snapshot, asset, lowest_w) for limit in others) or _tight(snapshot, asset)
    return held_w == lowest_w or not _paused(snapshot, asset) or _lingers(snapshot, asset) or broken


def longest_off(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """What was off for as long as it may comes back; what was let go stays on for its time."""
    return held_w is None or not _must_be_on(snapshot, asset) or _tight(snapshot, asset)


def charge_minimum(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """A car that is there and below its minimum is not held; one that may be, neither."""
    charge = snapshot.limits[asset.id].charge
    if held_w is None or charge is None or charge.min_soc is None or not _is_there(snapshot, asset):
        return True
    soc = _soc(snapshot, asset)
    if soc is None and charge.need_ws is None:
        was = snapshot.memory.assets.get(asset.id)
        soc = _share(snapshot, asset, _delivered_ws(snapshot, asset, was.plugged if was else None))
    low = soc is not None and soc < charge.min_soc
    return not low or _rests(snapshot, asset) or _tight(snapshot, asset)


def charge_maximum(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """A car at its maximum is held as low as it goes, unless a person or the appliance says otherwise."""
    levels = (*asset.ability.levels_w, *(asset.ability.range_w or ())[:1])
    runs = _taken(snapshot, asset) or _is_young(snapshot, asset) or _must_be_on(snapshot, asset)
    runs = runs or _is_started_enough(snapshot, asset) or _was_colder(snapshot, asset)
    outside = (defrost, after_defrost, deep_cold, legionella)
    runs = runs or any(not limit(snapshot, asset, min(levels)) for limit in outside)
    runs = runs or _tight(snapshot, asset)
    return held_w == min(levels) or not _is_full(snapshot, asset) or runs


def ready_by(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """From the latest start on a car gets at least what it needs over the time left."""
    charge = snapshot.limits[asset.id].charge
    if held_w is None or charge is None or not charge.deadlines or not _is_there(snapshot, asset):
        return True
    needed_ws = _needed_ws(snapshot, asset)
    excused = _rests(snapshot, asset) or _tight(snapshot, asset) or _is_full(snapshot, asset)
    if not needed_ws or excused:
        return True
    if not snapshot.clock_trusted:
        return False
    ahead = [d.utc_s - snapshot.utc_s for d in charge.deadlines if d.utc_s > snapshot.utc_s]
    was = snapshot.memory.assets.get(asset.id)
    ago_s = snapshot.utc_s - was.late_for_utc_s if was and was.late_for_utc_s else -1.0
    if 0 <= ago_s < 43_200 and was and any(d.utc_s == was.late_for_utc_s for d in charge.deadlines):
        return False
    most_w = min(asset.nominal_w, *(asset.ability.range_w or ())[1:], asset.nominal_w)
    takes_w = min(most_w, (was and (was.takes_w or was.took_w)) or 3680)
    could_wait = not ahead or _charging_ws(snapshot, asset, needed_ws) / (0.8 * takes_w) < ahead[0]
    return could_wait or held_w * ahead[0] >= min(needed_ws, asset.nominal_w * ahead[0])


def restart(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """What was switched off for the fuse is not started before its time."""
    return held_w == 0 or not _waits(snapshot, asset)


def fuse(snapshot: Snapshot, plan: Plan) -> bool:
    """On each line all together stay under what it leaves to be kept to at once, or as low as they go while
    on; and under what it leaves at the most, or as low as they go at all."""
    held = {s.asset: s.at_most_w for s in plan.setpoints}
    for at_once_w, most_w, parts, _ in _lines(snapshot):
        total_w, lowest, lowest_on = 0.0, True, True
        for asset in (a for a in _holdable(snapshot) if parts[a.id]):
            levels = [*asset.ability.levels_w, *(asset.ability.range_w or ())[:1]]
            draws_w, held_w = _draws_w(snapshot, asset), held[asset.id]
            asked_w = draws_w if held_w is None else min(draws_w, held_w)
            total_w += parts[asset.id] * asked_w
            on_w = min((level for level in levels if level), default=asset.nominal_w)
            lowest, lowest_on = lowest and asked_w <= min(levels), lowest_on and asked_w <= on_w
        kept = lowest_on or total_w <= max(0, at_once_w) + 1
        if not kept or not (lowest or total_w <= max(0, most_w) + 1):
            return False
    return True


LIMITS = (
    level_exists,
    room_minimum,
    water_minimum,
    longest_hold,
    blocks_of_a_day,
    defrost,
    after_defrost,
    deep_cold,
    legionella,
    minimum_run,
    minimum_rest,
    longest_off,
    starts,
    restart,
    food,
    override,
    pause,
    charge_minimum,
    charge_maximum,
    ready_by,
)


def _taken(snapshot: Snapshot, asset: Asset) -> bool:
    """The household took it back; "charge now" is over when the car is gone or charged."""
    charge, soc = snapshot.limits[asset.id].charge, _soc(snapshot, asset)
    goal = (charge and charge.max_soc) or 1.0
    charged = not _is_there(snapshot, asset) or (soc is not None and soc >= goal)
    return any(
        o.asset == asset.id and o.until_s > snapshot.now_s and not o.paused and not (o.charging and charged)
        for o in snapshot.memory.overrides
    )


def _paused(snapshot: Snapshot, asset: Asset) -> bool:
    said = [o for o in snapshot.memory.overrides if o.asset == asset.id]
    return any(o.paused and o.until_s > snapshot.now_s for o in said)


def _is_young(snapshot: Snapshot, asset: Asset) -> bool:
    was = snapshot.memory.assets.get(asset.id)
    if was is None or was.held_w is not None or not was.running or was.running_since_s is None:
        return False
    return snapshot.now_s - was.running_since_s < snapshot.limits[asset.id].min_run_s


def _value(reading: Reading | None) -> float | None:
    return None if reading is None or reading.quality is Quality.BAD else reading.value


def _is_melting(snapshot: Snapshot, asset: Asset) -> bool:
    """Its ice, or in a cycle against legionella."""
    state = snapshot.states[asset.id]
    return bool(_value(state.defrost)) or bool(_value(state.legionella))


def _lingers(snapshot: Snapshot, asset: Asset) -> bool:
    """A limit has just been reached, and is not left again yet."""
    was = snapshot.memory.assets.get(asset.id)
    if was is None:
        return False
    cold = was.too_cold or was.water_cold or _was_colder(snapshot, asset)
    over_day_s = _held_today_s(snapshot, asset, was) - snapshot.limits[asset.id].held_per_day_s
    return cold or was.too_empty or was.late_for_utc_s is not None or abs(over_day_s) < ROUNDING_S


def _was_colder(snapshot: Snapshot, asset: Asset) -> bool:
    was, now_c = snapshot.memory.assets.get(asset.id), _value(snapshot.states[asset.id].outdoor_c)
    return was is not None and was.outdoor_c is not None and (now_c is None or was.outdoor_c < now_c)


def _must_be_on(snapshot: Snapshot, asset: Asset) -> bool:
    was, limits = snapshot.memory.assets.get(asset.id), snapshot.limits[asset.id]
    if _is_warm(snapshot, asset):
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


def _is_warm(snapshot: Snapshot, asset: Asset) -> bool:
    air, most_c = snapshot.states[asset.id].air_c, snapshot.limits[asset.id].care.air_max_c
    return air is not None and air.quality is not Quality.BAD and most_c is not None and air.value >= most_c


def _is_started_enough(snapshot: Snapshot, asset: Asset) -> bool:
    was, care = snapshot.memory.assets.get(asset.id), snapshot.limits[asset.id].care
    if was is None or was.held_w == 0:
        return False
    ago_s = [snapshot.now_s - at_s for at_s in was.starts_s]
    in_hour, in_day = (sum(s < within_s - ROUNDING_S for s in ago_s) for within_s in (3600, 86_400))
    return in_hour >= (care.starts_per_hour or 99) or in_day >= (care.starts_per_day or 99)


def _is_there(snapshot: Snapshot, asset: Asset) -> bool:
    connected = snapshot.states[asset.id].connected
    return connected is None or connected.value == 1


def _soc(snapshot: Snapshot, asset: Asset) -> float | None:
    """Measured since plug-in, else the last that was measured or typed, carried on."""
    state, was = snapshot.states[asset.id], snapshot.memory.assets.get(asset.id)
    if not _is_there(snapshot, asset):
        return None
    plugged = was.plugged if was else None
    since_s = snapshot.now_s - plugged.at_s if plugged else 0 if state.connected else 1e9
    if state.soc and state.soc.quality is not Quality.BAD and state.soc.age_s <= since_s:
        return state.soc.value
    told = [said for said in (was.measured, was.typed) if said] if was else []
    if not told:
        return None
    last = max(told, key=lambda said: said.mark.at_s)
    return min(1.0, last.soc + _share(snapshot, asset, _delivered_ws(snapshot, asset, last.mark)))


def _delivered_ws(snapshot: Snapshot, asset: Asset, mark: Mark | None) -> float:
    register = snapshot.states[asset.id].import_ws
    if mark is None or mark.register_ws is None or register is None:
        return 0
    most_ws = 1.1 * asset.nominal_w * (snapshot.now_s - mark.at_s)
    return max(0, min(int(register.value - mark.register_ws), int(most_ws)))


def _share(snapshot: Snapshot, asset: Asset, metered_ws: float) -> float:
    charge = snapshot.limits[asset.id].charge
    return metered_ws * charge.efficiency / charge.battery_ws if charge and charge.battery_ws else 0.0


def _is_full(snapshot: Snapshot, asset: Asset) -> bool:
    """At its maximum, or inside the hysteresis after it was."""
    charge, soc = snapshot.limits[asset.id].charge, _soc(snapshot, asset)
    if charge is None or charge.max_soc is None or soc is None:
        return False
    was = snapshot.memory.assets.get(asset.id)
    return soc >= charge.max_soc or (was is not None and was.too_full and soc > charge.max_soc - 0.02)


def _needed_ws(snapshot: Snapshot, asset: Asset) -> float:
    charge, soc = snapshot.limits[asset.id].charge, _soc(snapshot, asset)
    assert charge
    goal = charge.target_soc if charge.battery_ws else None
    if goal is not None and soc is not None:
        return max(0.0, (goal - soc) * (charge.battery_ws or 0) / charge.efficiency)
    wanted = charge.need_ws
    if wanted is None:
        wanted = 0 if goal is None else int(goal * (charge.battery_ws or 0) / charge.efficiency)
    was = snapshot.memory.assets.get(asset.id)
    return max(0.0, wanted - _delivered_ws(snapshot, asset, was.plugged if was else None))


def _charging_ws(snapshot: Snapshot, asset: Asset, needed_ws: float) -> float:
    """What is needed, and the more of it the less the car takes: down to a quarter when full."""
    charge, soc = snapshot.limits[asset.id].charge, _soc(snapshot, asset)
    taper_from = charge and charge.taper_from_soc
    if soc is None or taper_from is None or not (charge and charge.battery_ws) or taper_from == 1:
        return needed_ws
    each = min(_share(snapshot, asset, needed_ws), 1 - soc) / 500
    at = [soc + each * (n + 0.5) for n in range(500)]
    return sum(needed_ws / 500 / (1 - 0.75 * max(0, s - taper_from) / (1 - taper_from)) for s in at)


def _rests(snapshot: Snapshot, asset: Asset) -> bool:
    was = snapshot.memory.assets.get(asset.id)
    if was is None or was.held_w != 0 or was.held_since_s is None:
        return False
    is_asked = _taken(snapshot, asset) or not _is_there(snapshot, asset)
    since_s = was.held_since_s if was.moved_s is None else was.moved_s
    is_short = snapshot.now_s - since_s < snapshot.limits[asset.id].min_rest_s
    return is_short and not (is_asked and asset.asset_class is not AssetClass.HEAT)


def _waits(snapshot: Snapshot, asset: Asset) -> bool:
    """It is off for the fuse, and was not for long enough or is started too often."""
    was, supply = snapshot.memory.assets.get(asset.id), snapshot.supply
    if supply is None or was is None or was.held_w != 0 or was.starved_s is None:
        return False
    is_young = was.fed_s is not None and snapshot.now_s - was.fed_s < supply.starts_apart_s
    return is_young or snapshot.now_s - was.starved_s < supply.restart_s


def _holdable(snapshot: Snapshot) -> list[Asset]:
    return [a for a in snapshot.assets if a.ability.levels_w or a.ability.range_w]


def _tight(snapshot: Snapshot, asset: Asset) -> bool:
    """A fuse before it leaves less than the assets draw now (or could draw, if that is not seen), or left it
    too little lately."""
    was = snapshot.memory.assets.get(asset.id)
    if snapshot.supply is None:
        return False
    short_s = was.short_s if was and was.held_w is not None else None
    if _waits(snapshot, asset) or (
        short_s is not None and snapshot.now_s - short_s < snapshot.supply.restore_s
    ):
        return True
    return any(
        parts[asset.id] and sum(parts[a.id] * _draws_w(snapshot, a) for a in _holdable(snapshot)) > at_once_w
        for at_once_w, _, parts, _ in _lines(snapshot)
    )


def _draws_w(snapshot: Snapshot, asset: Asset) -> float:
    """While it is its owner's what it shows, or may draw by now if the home draws too much."""
    power, was = snapshot.states[asset.id].power_w, snapshot.memory.assets.get(asset.id)
    if power is None or (was is not None and was.held_w is not None):
        return asset.nominal_w
    over = [age_s for _, _, parts, age_s in _lines(snapshot) if age_s is not None and parts[asset.id]]
    return max([_drawn_w(snapshot, asset, age_s)[2] for age_s in over], default=power.value)


def _is_behind(snapshot: Snapshot, asset: Asset, circuit: str) -> bool:
    """Whether a circuit is the asset's, or is above it."""
    assert snapshot.supply
    above = {c.id: c.parent for c in snapshot.supply.circuits}
    at = asset.circuit
    for _ in above:
        if at is None or at == circuit:
            return at == circuit
        at = above[at]
    return False


def _meters(snapshot: Snapshot) -> list[tuple[list[Asset], int, int, int | None, list[Reading | None], int]]:
    """Of each fuse: what is behind it, its phases, its power, the safe one where it has a meter, what the
    meter says of each phase, and of how many phases together that is."""
    supply, assets = snapshot.supply, _holdable(snapshot)
    assert supply
    n, told = supply.phases, [*snapshot.boundary_phases_w]
    each, of = (told, 1) if len(told) == n else ([snapshot.boundary_w] * n, n)
    found = [(assets, n, supply.fuse_w, supply.unmetered_w, each, of)]
    for c in supply.circuits:
        behind = [a for a in assets if _is_behind(snapshot, a, c.id)]
        said = [snapshot.circuits_w.get(c.id)] * c.phases
        found.append((behind, c.phases, c.fuse_w, c.unmetered_w, said, c.phases))
    return found


def _lines(snapshot: Snapshot) -> list[tuple[float, float, dict[str, float], float | None]]:
    """Of each fuse on each phase: what it leaves to be kept to at once, at the most, what of each asset it
    carries, and how old a reading is that shows more than the fuse."""
    if snapshot.supply is None:
        return []
    found = []
    for behind, n, fuse_w, safe_w, each, of in _meters(snapshot):
        for phase, reading in enumerate(each, 1):
            parts = {a.id: _part(a, phase, n) if a in behind else 0.0 for a in _holdable(snapshot)}
            believed = reading and reading.quality is not Quality.BAD
            if safe_w is None or not reading or not believed or reading.age_s > snapshot.supply.max_age_s:
                room_w = (fuse_w if safe_w is None else safe_w) / n
                found.append((room_w, room_w, parts, None))
                continue
            room_w = fuse_w / n - reading.value / of
            seen = [1 / of if of > 1 else parts[a.id] if a.phases or n == 1 else 0.0 for a in behind]
            drawn = [_drawn_w(snapshot, a, reading.age_s) for a in behind]
            least_w, likely_w, most_w = (
                room_w + sum(part * watts[n] for part, watts in zip(seen, drawn, strict=True))
                for n in range(3)
            )
            over = room_w < 0
            kept_w = (least_w, most_w) if over else (likely_w, likely_w)
            found.append((*kept_w, parts, reading.age_s if over else None))
    return found


def _part(asset: Asset, phase: int, phases: int) -> float:
    if phases == 1 or not asset.phases:
        return 1.0
    return 1 / len(asset.phases) if phase in asset.phases else 0.0


def _drawn_w(snapshot: Snapshot, asset: Asset, lag_s: float) -> tuple[float, float, float]:
    """What it drew when a meter read so long ago: at the least, likely, at the most."""
    power, was = snapshot.states[asset.id].power_w, snapshot.memory.assets.get(asset.id)
    if power is None:
        return 0, 0, 0
    may_w = asset.nominal_w if was is None or was.held_w is None else was.held_w
    least_w = power.value if was is None or was.held_w is None else min(power.value, may_w)
    turn = was.turn if was else None
    may_more_w = max(least_w, may_w) if power.age_s > lag_s else least_w
    if turn is None or snapshot.now_s - power.age_s >= turn.at_s + 10:
        return least_w, least_w, may_more_w
    if snapshot.now_s - lag_s <= turn.at_s:
        return turn.least_w, turn.least_w, turn.most_w
    if snapshot.now_s - lag_s < turn.at_s + 10 and not power.value <= may_w < turn.least_w:
        return (least_w, *[max(least_w, may_w, turn.most_w)] * 2)
    return least_w, may_w, max(least_w, may_w)
