"""What must be so of what is asked to draw more than it would by itself; told once more."""

from __future__ import annotations

from gateway.core.model import Asset, AssetClass, Kind, Plan, Raise, Snapshot, Vector
from tests.oracle.facts import ROUNDING_S, is_melting, is_too_warm, paused, taken, value_of
from tests.oracle.fuses import demand_w, holdable, lines_of


def raise_violations(snapshot: Snapshot, plan: Plan) -> list[str]:
    """Every bound of a raise that the plan breaks, in words."""
    raised = {s.asset for s in plan.setpoints if s.raised}
    held = {s.asset for s in plan.setpoints if s.at_most_w is not None}
    found = [f"held and raised: {id_}" for id_ in raised & held]
    for asset in (a for a in snapshot.assets if a.id in raised):
        found += [f"{bound.__name__}: {asset.id}" for bound in RAISES if not bound(snapshot, asset)]
    return found if not raised or _fuses_carry(snapshot, plan) else [*found, "raised over a fuse"]


def switched_on(snapshot: Snapshot, asset: Asset) -> bool:
    """Only what heats, where the household wants it and the device can, and answers."""
    is_wanted = snapshot.limits[asset.id].preheat is not None and asset.asset_class is AssetClass.HEAT
    return is_wanted and asset.ability.raises and snapshot.states[asset.id].online


def room_seen(snapshot: Snapshot, asset: Asset) -> bool:
    """Only while somebody knows the room."""
    room, limits = snapshot.states[asset.id].room_c, snapshot.limits[asset.id]
    return room is not None and value_of(room) is not None and room.age_s <= min(900, limits.room_max_age_s)


def kelvin(snapshot: Snapshot, asset: Asset) -> bool:
    """The room has not gained all it may since it began, and is not near where it would be held off."""
    was, room_c = _last(snapshot, asset), value_of(snapshot.states[asset.id].room_c)
    preheat = snapshot.limits[asset.id].preheat
    assert preheat
    assert room_c is not None
    return was is None or (room_c < was.room_c + preheat.kelvin and not was.is_over)


def room_maximum(snapshot: Snapshot, asset: Asset) -> bool:
    """Not near the maximum in force, nor near any of the week without a clock."""
    limits, room_c = snapshot.limits[asset.id], value_of(snapshot.states[asset.id].room_c)
    table, utc_s = limits.room_max_c, snapshot.utc_s
    if not snapshot.clock_trusted:
        return not is_too_warm(snapshot, asset)
    spans = [span.value for span in table.spans if span.start_utc_s <= utc_s < span.end_utc_s]
    most_c = spans[0] if spans else table.otherwise
    return most_c is None or (room_c is not None and room_c < most_c - limits.hysteresis_c)


def hours(snapshot: Snapshot, asset: Asset) -> bool:
    """Not for longer than it may since it began."""
    was, preheat = _last(snapshot, asset), snapshot.limits[asset.id].preheat
    assert preheat
    return was is None or snapshot.now_s - was.began_s < preheat.for_s + ROUNDING_S


def ten_minutes(snapshot: Snapshot, asset: Asset) -> bool:
    """Not again so soon after it was stopped."""
    was = _last(snapshot, asset)
    return was is None or was.paused_s is None or snapshot.now_s - was.paused_s > 600 - ROUNDING_S


def household(snapshot: Snapshot, asset: Asset) -> bool:
    """Not against what the household has said."""
    return not taken(snapshot, asset) and not paused(snapshot, asset)


def appliance(snapshot: Snapshot, asset: Asset) -> bool:
    """Not while ice melts, hot water is sterilised or the backup heater runs, nor where nobody knows."""
    state = snapshot.states[asset.id]
    told = {name: value_of(getattr(state, name)) for name in ("defrost", "legionella", "backup")}
    is_blind = any(told[name] is None for name in told if name in asset.sources)
    return not is_melting(snapshot, asset) and not told["backup"] and not is_blind


def memory(snapshot: Snapshot, asset: Asset) -> bool:
    """Not where the device's memory would bear no hold after it."""
    left, was = value_of(snapshot.states[asset.id].changes_left), _last(snapshot, asset)
    goes_on = was is not None and was.paused_s is None
    return left is None or left >= (3 if goes_on else 5)


def cause(snapshot: Snapshot, asset: Asset) -> bool:
    """Only for an instruction: one that asks for more, or one within its hours that asks for less."""
    preheat = snapshot.limits[asset.id].preheat
    assert preheat
    for one in (i for i in snapshot.instructions if i.vector is Vector.AUTOMATED):
        for step in one.steps if asset.id in one.scope.assets and asset.id not in one.ended else ():
            in_s = step.start_utc_s + one.start_delay_s - snapshot.utc_s
            left_s = step.end_utc_s + one.start_delay_s - snapshot.utc_s
            if step.kind is Kind.FLOOR and in_s <= ROUNDING_S and left_s > -ROUNDING_S:
                return True
            is_less = step.kind in {Kind.CAP, Kind.SETPOINT} and snapshot.clock_trusted
            if is_less and 0 < in_s <= preheat.for_s + ROUNDING_S:
                return True
    return False


def _last(snapshot: Snapshot, asset: Asset) -> Raise | None:
    """One that goes on, or stopped within the hour; or within the day, and its room is still warm."""
    was, room_c = snapshot.memory.of(asset.id).raised, value_of(snapshot.states[asset.id].room_c)
    if was is None or was.paused_s is None or snapshot.now_s - was.paused_s < 3600 - ROUNDING_S:
        return was
    is_warm = room_c is None or room_c > was.room_c
    return was if is_warm and snapshot.now_s - was.began_s < 86_400 - ROUNDING_S else None


def _fuses_carry(snapshot: Snapshot, plan: Plan) -> bool:
    """Each line carries all it does with all the power of what is raised."""
    told = {s.asset: s for s in plan.setpoints}

    def draws_w(asset: Asset) -> float:
        held_w, watts = told[asset.id].at_most_w, demand_w(snapshot, asset)
        return asset.nominal_w if told[asset.id].raised else watts if held_w is None else min(watts, held_w)

    return all(
        sum(parts[a.id] * draws_w(a) for a in holdable(snapshot)) <= at_once_w + 1
        for at_once_w, _, parts, _ in lines_of(snapshot)
        if any(told[a.id].raised and parts[a.id] for a in holdable(snapshot))
    )


RAISES = (
    switched_on,
    room_seen,
    kelvin,
    room_maximum,
    hours,
    ten_minutes,
    household,
    appliance,
    memory,
    cause,
)
