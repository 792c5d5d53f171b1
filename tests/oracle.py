"""Each local limit once more, as an inequality over a snapshot and the plan made of it.

Knows only the vocabulary. Where two limits leave no room the higher rank may break the lower:
supply > care > override > comfort.
"""

from __future__ import annotations

from gateway.core.model import Asset, Plan, Quality, Snapshot


def violations(snapshot: Snapshot, plan: Plan) -> list[str]:
    """Every limit the plan breaks, in words; empty if it keeps all."""
    found = []
    for asset in snapshot.assets:
        if not (asset.ability.levels_w or asset.ability.range_w):
            continue
        held_w = next(s.at_most_w for s in plan.setpoints if s.asset == asset.id)
        for limit in (level_exists, room_minimum, longest_hold, minimum_run, minimum_rest, override):
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
    return held_w is None or not (unknown or old or cold) or _rests(snapshot, asset) or _tight(snapshot)


def longest_hold(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """Held no longer in all than allowed, until it has rested."""
    was, limits = snapshot.memory.assets.get(asset.id), snapshot.limits[asset.id]
    if was is None or held_w is None:
        return True
    present_s = 0.0 if was.held_since_s is None else snapshot.now_s - was.held_since_s
    rested = (
        was.held_w is None and was.let_go_s is not None and snapshot.now_s - was.let_go_s >= limits.rest_s
    )
    within = was.held_s + present_s < limits.longest_hold_s or rested
    return within or _rests(snapshot, asset) or _tight(snapshot)


def minimum_run(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """A compressor that has just started is not held."""
    was = snapshot.memory.assets.get(asset.id)
    if was is None or was.held_w is not None or not was.running or was.running_since_s is None:
        return True
    young = snapshot.now_s - was.running_since_s < snapshot.limits[asset.id].min_run_s
    return held_w is None or not young or _tight(snapshot)


def minimum_rest(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """A compressor that was held off stays off for its rest."""
    return held_w == 0 or 0 not in asset.ability.levels_w or not _rests(snapshot, asset)


def override(snapshot: Snapshot, asset: Asset, held_w: int | None) -> bool:
    """What the household took back is not held."""
    taken = any(o.asset == asset.id and o.until_s > snapshot.now_s for o in snapshot.memory.overrides)
    return held_w is None or not taken or _rests(snapshot, asset) or _tight(snapshot)


def fuse(snapshot: Snapshot, plan: Plan) -> bool:
    """All held assets together stay under what the fuse leaves, or are as low as they go."""
    if snapshot.supply is None:
        return True
    total_w, lowest = 0.0, True
    for asset in snapshot.assets:
        if not (asset.ability.levels_w or asset.ability.range_w):
            continue
        held_w = next(s.at_most_w for s in plan.setpoints if s.asset == asset.id)
        levels = (*asset.ability.levels_w, *(asset.ability.range_w or ())[:1])
        lowest = lowest and held_w == min(levels)
        draws_w = _draws_w(snapshot, asset)
        total_w += draws_w if held_w is None else min(draws_w, held_w)
    return lowest or total_w <= max(0, _left_w(snapshot)) + 1 or not _tight(snapshot)


def _rests(snapshot: Snapshot, asset: Asset) -> bool:
    was = snapshot.memory.assets.get(asset.id)
    if was is None or was.held_w != 0 or was.held_since_s is None:
        return False
    return snapshot.now_s - was.held_since_s < snapshot.limits[asset.id].min_rest_s


def _tight(snapshot: Snapshot) -> bool:
    """The fuse leaves less than the assets draw now (or could draw, if that is not seen), or did lately."""
    if snapshot.supply is None:
        return False
    could_w = sum(_draws_w(snapshot, a) for a in snapshot.assets if a.ability.levels_w or a.ability.range_w)
    since_s = snapshot.memory.supply_tight_s
    lately = since_s is not None and snapshot.now_s - since_s < snapshot.supply.restore_s
    return lately or could_w > _left_w(snapshot)


def _draws_w(snapshot: Snapshot, asset: Asset) -> float:
    power = snapshot.states[asset.id].power_w
    was = snapshot.memory.assets.get(asset.id)
    held = was is not None and was.held_w is not None
    return asset.nominal_w if power is None or held else power.value


def _left_w(snapshot: Snapshot) -> float:
    assert snapshot.supply
    boundary = snapshot.boundary_w
    if boundary is None or boundary.quality is Quality.BAD or boundary.age_s > snapshot.supply.max_age_s:
        return snapshot.supply.unmetered_w
    drawn_w = 0.0
    for asset in snapshot.assets:
        power, was = snapshot.states[asset.id].power_w, snapshot.memory.assets.get(asset.id)
        if power is None or not (asset.ability.levels_w or asset.ability.range_w):
            continue
        held_w = was.held_w if was is not None else None
        drawn_w += power.value if held_w is None else min(power.value, held_w)
    return snapshot.supply.fuse_w - (boundary.value - drawn_w)
