"""Each local limit once more, as an inequality over a snapshot and the plan made of it.

Knows only the vocabulary. Where two limits leave no room the higher rank may break the lower:
supply > care > override > comfort.
"""

from __future__ import annotations

from gateway.core.model import Asset, AssetClass, Plan, Quality, Snapshot
from tests.oracle.facts import (
    ROUNDING_S,
    charging_ws,
    delayed_w,
    delivered_ws,
    held_in_all_s,
    held_today_s,
    is_awaited,
    is_full,
    is_melting,
    is_of_a_block,
    is_raised,
    is_scheduled,
    is_started_enough,
    is_there,
    is_told_too_soon,
    is_too_warm,
    is_warm,
    is_young,
    level_at,
    lingers,
    longest_s,
    must_be_on,
    need_of_ws,
    paused,
    rest_of_s,
    rests,
    share_of,
    soc_of,
    taken,
    value_of,
    waits,
    was_colder,
)
from tests.oracle.fuses import demand_w, holdable, lines_of, tight
from tests.oracle.raises import raise_violations


def violations(snapshot: Snapshot, plan: Plan) -> list[str]:
    """Every limit the plan breaks, in words; empty if it keeps all."""
    found = []
    for asset in snapshot.assets:
        if not (asset.ability.levels_w or asset.ability.range_w):
            continue
        held_w = next(s.at_most_w for s in plan.setpoints if s.asset == asset.id)
        for limit in (*LIMITS, start_delay):
            if not limit(snapshot, asset, held_w):
                found.append(f"{limit.__name__}: {asset.id} held at {held_w}")
    if not fuse(snapshot, plan):
        found.append("fuse")
    return [*found, *raise_violations(snapshot, plan)]


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
    may = held_w is None or not (unknown or old or cold) or rests(snapshot, asset) or tight(snapshot, asset)
    return may or is_full(snapshot, asset)


def water_minimum(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """With hot water at or below its minimum, or unknown, nothing is held."""
    least_c, water = snapshot.limits[asset.id].water_min_c, snapshot.states[asset.id].water_c
    if held_w is None or least_c is None:
        return True
    is_warm = water is not None and water.quality is not Quality.BAD and water.value > least_c
    return is_warm or rests(snapshot, asset) or tight(snapshot, asset) or is_full(snapshot, asset)


def longest_hold(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """Held no longer in all than allowed, until it has rested; but for what the household wants itself."""
    was, rest_s = snapshot.memory.assets.get(asset.id), rest_of_s(snapshot, asset)
    if was is None or held_w is None:
        return True
    rested = was.held_w is None and was.let_go_s is not None and snapshot.now_s - was.let_go_s >= rest_s
    within = (
        held_in_all_s(snapshot, was) < longest_s(snapshot, asset)
        or rested
        or is_scheduled(snapshot, asset, held_w)
        or (asset.asset_class is AssetClass.EV and paused(snapshot, asset))
    )
    return within or rests(snapshot, asset) or tight(snapshot, asset) or is_full(snapshot, asset)


def fall_of_the_room(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """Nothing is held whose room has fallen as far as it may, until it has rested; but for the schedule."""
    was, rest_s = snapshot.memory.assets.get(asset.id), rest_of_s(snapshot, asset)
    if was is None or held_w is None:
        return True
    limits, room, room_c = snapshot.limits[asset.id], snapshot.states[asset.id].room_c, None
    if room is not None and room.age_s <= limits.room_max_age_s:
        room_c = value_of(room)
    fell = room_c is not None and was.began_c is not None and was.began_c - room_c >= limits.most_fall_k
    rested = was.held_w is None and was.let_go_s is not None and snapshot.now_s - was.let_go_s >= rest_s
    excused = rested or is_scheduled(snapshot, asset, held_w) or is_full(snapshot, asset)
    excused = excused or is_too_warm(snapshot, asset)
    return not (fell or was.chilled) or excused or rests(snapshot, asset) or tight(snapshot, asset)


def blocks_of_a_day(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """Held in so many blocks within a day and for so long in all; but for what the household wants itself."""
    was, limits = snapshot.memory.assets.get(asset.id), snapshot.limits[asset.id]
    if was is None or held_w is None or limits.blocks_per_day is None:
        return True
    excused = (
        is_scheduled(snapshot, asset, held_w) or is_full(snapshot, asset) or is_too_warm(snapshot, asset)
    )
    excused = excused or rests(snapshot, asset) or tight(snapshot, asset)
    begun = sum(snapshot.now_s - block.start_s < 86_400 - ROUNDING_S for block in was.blocks)
    often = not is_of_a_block(snapshot, asset, was) and begun >= limits.blocks_per_day
    return excused or not (often or held_today_s(snapshot, asset, was) > limits.held_per_day_s + ROUNDING_S)


def minimum_run(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """A compressor that has just started is not held."""
    return held_w is None or not is_young(snapshot, asset) or tight(snapshot, asset)


def minimum_rest(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """A compressor that was held off stays off for its rest."""
    return (
        held_w == 0
        or 0 not in asset.ability.levels_w
        or not rests(snapshot, asset)
        or must_be_on(snapshot, asset)
        or is_melting(snapshot, asset)
    )


def starts(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """Nothing is switched off that we have started as often as it bears within an hour or a day."""
    was = snapshot.memory.assets.get(asset.id)
    begins = held_w == 0 and was is not None and was.held_w != 0
    return not begins or not is_started_enough(snapshot, asset) or tight(snapshot, asset)


def food(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """What cools food is not held once its air is too warm."""
    return held_w is None or not is_warm(snapshot, asset) or tight(snapshot, asset)


def defrost(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """Nothing is held while ice melts or hot water is sterilised, nor where that may be and nobody knows."""
    state, sources = snapshot.states[asset.id], asset.sources
    blind = any(
        value_of(getattr(state, name)) is None for name in ("defrost", "legionella") if name in sources
    )
    calm = not is_melting(snapshot, asset) and (not blind or rests(snapshot, asset))
    return held_w is None or calm or tight(snapshot, asset)


def after_defrost(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """Nothing is held for ten minutes after a defrost."""
    was = snapshot.memory.assets.get(asset.id)
    lately = (
        was is not None
        and was.defrosted_s is not None
        and snapshot.now_s - was.defrosted_s < 600 - ROUNDING_S
    )
    return held_w is None or not lately or rests(snapshot, asset) or tight(snapshot, asset)


def backup_heater(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """Nothing is held while a backup heater runs or may, nor for an hour after one that a hold called."""
    was, watts = snapshot.memory.assets.get(asset.id), value_of(snapshot.states[asset.id].backup)
    blind = watts is None and "backup" in asset.sources
    called_s = was.backup_s if was else None
    lately = called_s is not None and snapshot.now_s - called_s < 3600 - ROUNDING_S
    may = held_w is None or not (watts or blind or lately)
    return may or rests(snapshot, asset) or tight(snapshot, asset)


def deep_cold(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """Nothing is held in deep cold, nor off in frost where that may freeze; not to know it is as bad."""
    care, cold_c = snapshot.limits[asset.id].care, value_of(snapshot.states[asset.id].outdoor_c)
    too_cold = cold_c is not None and care.outdoor_min_c is not None and cold_c < care.outdoor_min_c
    freezes = cold_c is not None and care.off_may_freeze and cold_c < 0 and held_w == 0
    blind = cold_c is None and "outdoor_c" in asset.sources
    may = held_w is None or not (too_cold or freezes or blind)
    return may or rests(snapshot, asset) or tight(snapshot, asset)


def legionella(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """Nothing is held from twelve hours before hot water is to be sterilised, or with no trusted clock."""
    days, was = snapshot.limits[asset.id].care.legionella_every_days, snapshot.memory.assets.get(asset.id)
    if held_w is None or days is None:
        return True
    clean_utc_s = snapshot.utc_s if was is None or was.clean_utc_s is None else was.clean_utc_s
    in_time = snapshot.utc_s - clean_utc_s < days * 86_400 - 43_200 + ROUNDING_S
    return (snapshot.clock_trusted and in_time) or rests(snapshot, asset) or tight(snapshot, asset)


def override(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """What the household took back is not held."""
    return held_w is None or not taken(snapshot, asset) or rests(snapshot, asset) or tight(snapshot, asset)


def pause(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """What the household paused is held as low as it goes, unless that would break another limit, or one
    that has just been reached is not left again yet."""
    lowest_w = min((*asset.ability.levels_w, *(asset.ability.range_w or ())[:1]))
    if held_w == lowest_w or not paused(snapshot, asset) or lingers(snapshot, asset):
        return True
    others = (limit for limit in LIMITS if limit not in (pause, charge_maximum, pace))
    return any(not limit(snapshot, asset, lowest_w) for limit in others) or tight(snapshot, asset)


def pace(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """What has steps is not told anew just after it was told, nor paused and let run again, nor raised by
    little; unless another limit wants it."""
    was = snapshot.memory.assets.get(asset.id)
    if asset.ability.range_w is None or was is None or held_w == was.held_w or not is_there(snapshot, asset):
        return True
    if not is_told_too_soon(snapshot, asset, was, held_w) or lingers(snapshot, asset):
        return True
    others = (limit for limit in LIMITS if limit not in (pace, pause, level_exists))
    insists = is_too_warm(snapshot, asset) or paused(snapshot, asset) or is_awaited(snapshot, asset)
    return (
        insists or tight(snapshot, asset) or any(not limit(snapshot, asset, was.held_w) for limit in others)
    )


def wear(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """With fewer than three changes left nothing is held but for the fuse, nor at another level but for a
    limit."""
    left, was = value_of(snapshot.states[asset.id].changes_left), snapshot.memory.assets.get(asset.id)
    was_w = was.held_w if was else None
    if left is None or left >= 3 or held_w in (None, was_w) or tight(snapshot, asset):
        return True
    others = (limit for limit in LIMITS if limit not in (pace, pause, wear, charge_maximum))
    insists = is_too_warm(snapshot, asset) or paused(snapshot, asset) or is_awaited(snapshot, asset)
    insists = insists or lingers(snapshot, asset) or is_full(snapshot, asset)
    insists = insists or any(not limit(snapshot, asset, was_w) for limit in others)
    return was_w is not None and insists


def start_delay(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """What waits a random delay of its schedule draws no more than before; unless a limit, the household or
    an instruction wants it."""
    waits_w = [level_at(asset, most_w) for most_w in delayed_w(snapshot, asset) if most_w < asset.nominal_w]
    if not waits_w or (held_w is not None and held_w <= min(waits_w)):
        return True
    wanted = lingers(snapshot, asset) or is_awaited(snapshot, asset) or is_raised(snapshot, asset)
    wanted = wanted or tight(snapshot, asset)
    return wanted or any(not limit(snapshot, asset, min(waits_w)) for limit in LIMITS)


def longest_off(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """What was off for as long as it may comes back; what was let go stays on for its time."""
    return held_w is None or not must_be_on(snapshot, asset) or tight(snapshot, asset)


def charge_minimum(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """A car that is there, or a store, and below its minimum is not held; one that may be, neither."""
    charge = snapshot.limits[asset.id].charge
    if held_w is None or charge is None or charge.min_soc is None or not is_there(snapshot, asset):
        return True
    soc = soc_of(snapshot, asset)
    if soc is None and asset.asset_class is AssetClass.HEAT:
        soc = 0.0
    elif soc is None and charge.need_ws is None:
        was = snapshot.memory.assets.get(asset.id)
        soc = share_of(snapshot, asset, delivered_ws(snapshot, asset, was.plugged if was else None))
    low = soc is not None and soc < charge.min_soc
    return not low or rests(snapshot, asset) or tight(snapshot, asset)


def charge_maximum(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """A car at its maximum is held as low as it goes, unless a person or the appliance says otherwise."""
    levels = (*asset.ability.levels_w, *(asset.ability.range_w or ())[:1])
    if held_w == min(levels) or not is_full(snapshot, asset):
        return True
    runs = taken(snapshot, asset) or is_young(snapshot, asset) or must_be_on(snapshot, asset)
    runs = runs or is_started_enough(snapshot, asset) or was_colder(snapshot, asset)
    outside = (defrost, after_defrost, deep_cold, legionella, backup_heater, wear)
    return runs or any(not limit(snapshot, asset, min(levels)) for limit in outside) or tight(snapshot, asset)


def ready_by(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """From the latest start on a car or a store gets at least what it needs over the time left."""
    charge = snapshot.limits[asset.id].charge
    if held_w is None or charge is None or not charge.deadlines or not is_there(snapshot, asset):
        return True
    needed_ws = need_of_ws(snapshot, asset)
    excused = rests(snapshot, asset) or tight(snapshot, asset) or is_full(snapshot, asset)
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
    unseen_w = most_w if asset.asset_class is AssetClass.HEAT else 3680
    takes_w = min(most_w, (was and (was.takes_w or was.took_w)) or unseen_w)
    could_wait = not ahead or charging_ws(snapshot, asset, needed_ws) / (0.8 * takes_w) < ahead[0]
    return could_wait or held_w * ahead[0] >= min(needed_ws, asset.nominal_w * ahead[0])


def restart(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """What was switched off for the fuse is not started before its time."""
    return held_w == 0 or not waits(snapshot, asset)


def fuse(snapshot: Snapshot, plan: Plan) -> bool:
    """On each line all together stay under what it leaves to be kept to at once, or as low as they go while
    on; and under what it leaves at the most, or as low as they go at all."""
    held = {s.asset: s.at_most_w for s in plan.setpoints}
    for at_once_w, most_w, parts, _ in lines_of(snapshot):
        total_w, lowest, lowest_on = 0.0, True, True
        for asset in (a for a in holdable(snapshot) if parts[a.id]):
            levels = [*asset.ability.levels_w, *(asset.ability.range_w or ())[:1]]
            draws_w, held_w = demand_w(snapshot, asset), held[asset.id]
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
    backup_heater,
    fall_of_the_room,
    minimum_run,
    minimum_rest,
    longest_off,
    starts,
    restart,
    food,
    override,
    pause,
    pace,
    wear,
    charge_minimum,
    charge_maximum,
    ready_by,
)
