"""How much an asset, a class or the home can give: `decide` asked with "as low as can be" and "as high".

No rule of its own: what is offered is what the deciding functions answer to a probe instruction,
stepped forward by their own `next_change_s` with today's readings standing still.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from gateway.core import charging, preheat, schedule
from gateway.core.cooling import NOISE_C, cold_in_s, foreseen_c
from gateway.core.decide import decide
from gateway.core.demand import is_idle
from gateway.core.fuse import assets_power_w
from gateway.core.memory import remember
from gateway.core.model import (
    Asset,
    AssetClass,
    AssetState,
    Instruction,
    Kind,
    Plan,
    Reading,
    Reason,
    Scope,
    Snapshot,
    Step,
    Timetable,
)

HORIZON_S = 24 * 3600.0
HALF_HOUR_S = 1800.0
SHORTEST_STEP_S = 0.001  # a clock stands still at less
REACH_S = 3600.0  # within which a hold begins that is offered: by then the next ones are told
MAX_STEPS = 64  # decisions a probe may take; a probe that needs more offers less
RESPOND_S = {AssetClass.EV: 30.0, AssetClass.HEAT: 120.0, AssetClass.PLUG: 15.0}  # CrowdFlex D5 table 4
KETTLE_W = 3000  # of one phase: the most that a British plug carries
_PROBE = "~probe"  # no instruction may be called so: ids begin with a letter or a digit


@dataclass(frozen=True, slots=True)
class Offer:
    """A power (W, import positive) that can be held from `after_s` on for `for_s`, until `until` ends it."""

    to_w: float
    for_s: float
    after_s: float
    respond_s: float
    until: Reason


@dataclass(frozen=True, slots=True)
class Scoped:
    """What one target can give now."""

    target: str
    now_w: float | None
    down: Offer
    up: Offer
    connected: bool


@dataclass(frozen=True, slots=True)
class Expected:
    """What one target is expected to draw in a half-hour, by the household's own settings."""

    target: str
    start_utc_s: float
    end_utc_s: float
    power_w: float
    min_w: float
    max_w: float


def scopes(snapshot: Snapshot) -> tuple[Scoped, ...]:
    """Each holdable asset, each class with one, and the site."""
    assets = [a for a in snapshot.assets if a.ability.holds]
    targets = [(f"asset:{a.id}", [a]) for a in assets]
    for asset_class in AssetClass:
        members = [a for a in assets if a.asset_class is asset_class]
        if members:
            targets.append((f"class:{asset_class}", members))
    offers = tuple(_scoped(snapshot, target, members) for target, members in targets)
    if not assets or snapshot.boundary_w is None:
        return offers
    return (*offers, _site(snapshot, snapshot.boundary_w.value, _scoped(snapshot, "site", assets)))


def expected(snapshot: Snapshot) -> tuple[Expected, ...]:
    """The half-hours of the next 24 h; a plan, not a baseline. Nothing without a trusted clock."""
    if not snapshot.clock_trusted:
        return ()
    first = math.ceil(snapshot.utc_s / HALF_HOUR_S) * HALF_HOUR_S
    starts = [first + n * HALF_HOUR_S for n in range(int(HORIZON_S / HALF_HOUR_S))]
    assets = [asset for asset in snapshot.assets if asset.ability.holds]
    return tuple(found for asset in assets for found in _day(snapshot, asset, starts))


def _day(snapshot: Snapshot, asset: Asset, starts: list[float]) -> Iterator[Expected]:
    """A car draws what it can until it is full; what is held now is not held by the household."""
    likely_w, left_ws = _likely(snapshot, asset)
    for start_utc_s in starts:
        found = _expected(snapshot, asset, start_utc_s, min(likely_w, left_ws / HALF_HOUR_S))
        left_ws -= found.power_w * HALF_HOUR_S
        yield found


def _likely(snapshot: Snapshot, asset: Asset) -> tuple[float, float]:
    """What it is likely to draw, and how much energy in all."""
    power = snapshot.state(asset.id).power_w
    charge = snapshot.limit(asset.id).charge
    if charge is None:
        return asset.nominal_w if power is None else power.value, math.inf
    left_ws = charging.room_ws(snapshot, asset)
    if left_ws is None:
        left_ws = charging.need_ws(snapshot, asset)
    if left_ws is None and charging.is_store(asset):
        left_ws = charge.need_ws
    if not charging.is_plugged(snapshot, asset) or is_idle(snapshot, asset):
        left_ws = 0
    return charging.power_w(snapshot, asset), math.inf if left_ws is None else left_ws


def _expected(snapshot: Snapshot, asset: Asset, start_utc_s: float, likely_w: float) -> Expected:
    scheduled = snapshot.limit(asset.id).schedule.at(start_utc_s)
    most_w = asset.nominal_w if scheduled is None else min(asset.nominal_w, scheduled)
    lowest_w = asset.ability.lowest_w or 0
    power_w = min(likely_w, most_w)
    for delay in schedule.running(snapshot, asset, start_utc_s):
        waits = min(1.0, (delay.end_utc_s - start_utc_s) / HALF_HOUR_S)
        power_w = min(power_w, waits * min(likely_w, delay.before_w) + (1 - waits) * min(likely_w, most_w))
    return Expected(
        f"asset:{asset.id}",
        start_utc_s,
        start_utc_s + HALF_HOUR_S,
        power_w,
        min(lowest_w, most_w),
        most_w,
    )


def _scoped(snapshot: Snapshot, target: str, members: list[Asset]) -> Scoped:
    powers = [snapshot.state(a.id).power_w for a in members]
    now_w = sum(p.value for p in powers if p) if all(powers) else None
    respond_s = max(RESPOND_S[a.asset_class] for a in members)
    down = _hold(snapshot, members, respond_s)
    up = _raise(snapshot, members, now_w, respond_s)
    is_there = any(snapshot.state(a.id).online and charging.is_plugged(snapshot, a) for a in members)
    return Scoped(target, now_w, down, up, is_there)


def _site(snapshot: Snapshot, boundary_w: float, assets: Scoped) -> Scoped:
    """The assets' offer moved to the boundary: the base load goes on whatever they do."""
    base_w = boundary_w - assets_power_w(snapshot)
    return replace(
        assets,
        now_w=boundary_w,
        down=replace(assets.down, to_w=assets.down.to_w + base_w),
        up=replace(assets.up, to_w=assets.up.to_w + base_w if assets.up.for_s else boundary_w),
    )


def _hold(snapshot: Snapshot, members: list[Asset], respond_s: float) -> Offer:
    """How low, from when, and for how long the members can be held together."""
    moment = _unaided(_probing(snapshot, members))
    elapsed_s, after_s, low_w, until = 0.0, 0.0, math.inf, Reason.NONE
    for _ in range(MAX_STEPS):
        if low_w == math.inf and elapsed_s > REACH_S:
            break
        plan = decide(moment)
        held_w = _held_w(plan, members)
        if low_w == math.inf and held_w is not None:
            low_w, after_s = held_w, elapsed_s
        elif low_w != math.inf and (held_w is None or held_w > low_w):
            until = _why(plan, members)
            break
        change_s = min(plan.next_change_s, *(cold_in_s(moment, asset) for asset in members))
        step_s = min(max(change_s, SHORTEST_STEP_S), HORIZON_S - elapsed_s)
        if step_s <= 0:
            break
        moment = _later(moment, plan, step_s)
        elapsed_s += step_s
    if low_w == math.inf:
        reason = _why(decide(_probing(snapshot, members)), members)
        free_w = float(sum(a.nominal_w for a in members))
        return Offer(free_w, 0.0, 0.0, respond_s, reason)
    return Offer(low_w, elapsed_s - after_s, after_s, respond_s, until)


def _raise(snapshot: Snapshot, members: list[Asset], now_w: float | None, respond_s: float) -> Offer:
    """How high the members can be asked to go together, and for how long what they need lasts at that."""
    plan = decide(_cooking(_probing(snapshot, members, Kind.FLOOR, sum(a.nominal_w for a in members))))
    to_w, for_s, until = 0.0, math.inf, Reason.OUTSIDE_CAPABILITY
    for asset in members:
        own, high_w = snapshot.state(asset.id).power_w, _high_w(snapshot, asset, plan)
        lasts_s, ends = _lasts(snapshot, asset, high_w) if high_w else (0.0, Reason.NONE)
        if not high_w or not lasts_s:
            to_w += own.value if own else asset.nominal_w
            continue
        to_w += high_w
        if lasts_s < for_s:
            for_s, until = lasts_s, ends
    if for_s == math.inf or (now_w is not None and to_w <= now_w):
        return Offer(to_w if now_w is None else now_w, 0.0, 0.0, respond_s, until)
    return Offer(to_w, for_s, 0.0, respond_s, until)


def _high_w(snapshot: Snapshot, asset: Asset, plan: Plan) -> int | None:
    """As high as it can be asked to go; None: it cannot be asked."""
    setpoint = plan.setpoint(asset.id)
    if asset.asset_class is AssetClass.HEAT:  # it can be asked though it is quiet now
        return asset.nominal_w if setpoint is not None and setpoint.raised else None
    is_there = snapshot.state(asset.id).online and not is_idle(snapshot, asset)
    if not asset.ability.raises or not is_there or setpoint is None:
        return None
    return charging.power_w(snapshot, asset) if setpoint.at_most_w is None else setpoint.at_most_w or None


def _lasts(snapshot: Snapshot, asset: Asset, power_w: int) -> tuple[float, Reason]:
    """How long what heats may take such a power, or a car surely takes it, and what ends it. A car of
    unknown charge may be full, and it may lose less on the way than is known."""
    if asset.asset_class is AssetClass.HEAT:
        return preheat.lasts_s(snapshot, asset), Reason.COMFORT_LIMIT
    charge, (goal, ends) = snapshot.limit(asset.id).charge, charging.even_until(snapshot, asset)
    left_ws = charging.to_soc_ws(snapshot, asset, goal)
    if charge is None or left_ws is None:
        return 0.0, ends
    return charge.efficiency * left_ws / power_w, ends


def _probing(snapshot: Snapshot, members: list[Asset], kind: Kind = Kind.CAP, power_w: int = 0) -> Snapshot:
    """The snapshot with the probe in the place of every instruction and schedule, its readings ageless:
    they stand still while the probe is stepped forward. A charger's next change is within its `respond_s`."""
    ids = tuple(a.id for a in members)
    step = Step(snapshot.utc_s, snapshot.utc_s + HORIZON_S, kind, power_w)
    scope = Scope(tuple(f"asset:{id_}" for id_ in ids), ids)
    probe = Instruction(_PROBE, 0, "", "response", 0, snapshot.utc_s, scope, (step,))
    begun = {**snapshot.memory.latest_end_s, probe.key: snapshot.now_s + HORIZON_S}
    limits = {
        id_: replace(
            own,
            room_max_age_s=_endless(own.room_max_age_s, snapshot.state(id_).room_c),
            care=replace(own.care, change_every_s=0.0),
        )
        for id_, own in snapshot.limits.items()
    }
    supply = snapshot.supply
    if supply:
        supply = replace(supply, max_age_s=_endless(supply.max_age_s, snapshot.boundary_w))
    memory = replace(snapshot.memory, latest_end_s=begun)
    return replace(snapshot, instructions=(probe,), memory=memory, limits=limits, supply=supply)


def _cooking(snapshot: Snapshot) -> Snapshot:
    """With room left below the main fuse for what a kitchen may switch on at any moment."""
    supply = snapshot.supply
    if supply is None:
        return snapshot
    return replace(snapshot, supply=replace(supply, fuse_w=max(0, supply.fuse_w - KETTLE_W * supply.phases)))


def _unaided(snapshot: Snapshot) -> Snapshot:
    """Without what holds an asset only for the moment: a full fuse, a room that is too warm; and each room as
    cold as its thermometer may say next."""
    cool = {id_: replace(own, room_max_c=Timetable()) for id_, own in snapshot.limits.items()}
    states = {
        id_: replace(state, room_c=replace(state.room_c, value=state.room_c.value - NOISE_C))
        if state.room_c
        else state
        for id_, state in snapshot.states.items()
    }
    return replace(snapshot, supply=None, limits=cool, states=states)


def _endless(max_age_s: float, reading: Reading | None) -> float:
    """For ever, if the reading is fresh now; one that is not stays as it is."""
    return math.inf if reading and reading.age_s <= max_age_s else max_age_s


def _later(moment: Snapshot, plan: Plan, step_s: float) -> Snapshot:
    memory, now_s = remember(moment, plan), moment.now_s + step_s
    seen = {id_: replace(asset, told_s=now_s) for id_, asset in memory.assets.items()}  # all the while
    memory = replace(memory, assets=seen)
    states = {**moment.states, **{a.id: _cooled(moment, plan, a, step_s) for a in moment.assets}}
    return replace(moment, now_s=now_s, utc_s=moment.utc_s + step_s, memory=memory, states=states)


def _cooled(moment: Snapshot, plan: Plan, asset: Asset, step_s: float) -> AssetState:
    """The state with the room as it is foreseen where its heating is off."""
    state, setpoint, room_c = (
        moment.state(asset.id),
        plan.setpoint(asset.id),
        foreseen_c(moment, asset, step_s),
    )
    if state.room_c is None or room_c is None or setpoint is None or setpoint.at_most_w != 0:
        return state
    return replace(state, room_c=replace(state.room_c, value=room_c))


def _held_w(plan: Plan, members: Iterable[Asset]) -> float | None:
    """What the members are held to together; None if one of them is not held."""
    levels = [s.at_most_w for a in members if (s := plan.setpoint(a.id))]
    return float(sum(w for w in levels if w is not None)) if None not in levels else None


def _why(plan: Plan, members: Iterable[Asset]) -> Reason:
    setpoints = [s for a in members if (s := plan.setpoint(a.id))]
    return next((s.reason for s in setpoints if s.reason is not Reason.NONE), Reason.NONE)
