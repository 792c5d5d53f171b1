"""A car's charge: whether it is plugged in, how full it is, what it still needs. Estimates, no rule.

What cannot be told is taken for less energy than may have flowed: too much charge is the lesser evil.

What heats from a store is charged as a car is: it is always there, its energy is counted from the start of
its charging hours on, and it loses what it holds, so that an old level says nothing.
"""

from __future__ import annotations

import math
from dataclasses import replace

from gateway.core.change import changed
from gateway.core.model import (
    TYPED,
    Asset,
    AssetClass,
    AssetMemory,
    Charge,
    Deadline,
    Mark,
    Measured,
    Memory,
    Quality,
    Reading,
    Reason,
    Snapshot,
    Typed,
)

UNSEEN_S = 3600.0  # in which one car may have gone and another come
FRESH_S = 900.0  # of a measured SoC; an older one is said with its age
SAME_S = 1.0  # a reading that is seen again
STEP_S = 60.0  # by which a clock may be set without its hours beginning anew
TYPED_KEPT_S = 86_400.0  # as a measured one: where nothing tells when the car is unplugged
WS_PER_KWH = 3_600_000
RAMPS_FOR_S = 120.0  # cars begin with little and on one phase
SMALL_FOR_S = 600.0  # as long must less than half of the power be seen: warming the cabin is no charging
NEARLY_ALL = 0.9  # of what car and charger can: who draws so much ramps no further
CAREFUL_W = 3680  # 16 A on one phase: what a car takes that nobody has seen yet; many take no more
FULL_SHARE = 0.25  # of its power that a car still takes when nearly full
DRAWS_MOST = 1.1  # times the nominal power; a register that rose faster is not believed


def is_store(asset: Asset) -> bool:
    """Whether what is charged is a store that heats and no car."""
    return asset.asset_class is AssetClass.HEAT


def is_its_time(snapshot: Snapshot, asset: Asset) -> bool:
    """Whether the household's own schedule lets it draw anything now."""
    return not snapshot.clock_trusted or snapshot.limit(asset.id).schedule.at(snapshot.utc_s) != 0


def is_plugged(snapshot: Snapshot, asset: Asset) -> bool:
    """Whether a car is there; while nobody can tell, one is."""
    connected = snapshot.state(asset.id).connected
    return connected is None or connected.value > 0.5


def soc(snapshot: Snapshot, asset: Asset) -> Reading | None:
    """The SoC: as measured now, else the last that was measured or typed in since the car was plugged in,
    carried on by the energy since."""
    if not is_plugged(snapshot, asset):
        return None
    if measured := _measured(snapshot, asset):
        return measured
    if is_store(asset):
        return None
    was = snapshot.memory.of(asset.id)
    known = [(told.mark.at_s, told) for told in (was.measured, was.typed) if told]
    if not known:
        return None
    at_s, last = max(known, key=lambda found: found[0])
    value = last.soc + _share(snapshot, asset, delivered_ws(snapshot, asset, last.mark))
    return Reading(
        min(1.0, value), snapshot.now_s - at_s, last.source if isinstance(last, Measured) else TYPED
    )


def surely_soc(snapshot: Snapshot, asset: Asset) -> float:
    """The least the SoC can be: what it is, or what the energy since plug-in makes of an empty battery."""
    known = soc(snapshot, asset)
    if known:
        return known.value
    plugged = snapshot.memory.of(asset.id).plugged
    return min(1.0, _share(snapshot, asset, delivered_ws(snapshot, asset, plugged)))


def need_ws(snapshot: Snapshot, asset: Asset) -> int | None:
    """The energy (metered) that is still needed; None: no car, or nothing is wanted of it."""
    charge = snapshot.limit(asset.id).charge
    if charge is None or not is_plugged(snapshot, asset):
        return None
    if is_store(asset):
        return _store_need_ws(snapshot, asset, charge)
    known = soc(snapshot, asset)
    if known and charge.battery_ws and charge.target_soc is not None:
        return _metered_ws(charge, charge.target_soc - known.value)
    wanted_ws = charge.need_ws
    if wanted_ws is None and charge.battery_ws and charge.target_soc is not None:
        wanted_ws = _metered_ws(charge, charge.target_soc)
    if wanted_ws is None:
        return None
    return max(0, wanted_ws - delivered_ws(snapshot, asset, snapshot.memory.of(asset.id).plugged))


def room_ws(snapshot: Snapshot, asset: Asset) -> int | None:
    """The energy (metered) that still goes in up to the maximum; None: nobody knows."""
    charge = snapshot.limit(asset.id).charge
    return to_soc_ws(snapshot, asset, 1.0 if charge is None or charge.max_soc is None else charge.max_soc)


def to_soc_ws(snapshot: Snapshot, asset: Asset, goal: float) -> int | None:
    """The energy (metered) that still goes in up to a SoC; None: nobody knows."""
    charge, known = snapshot.limit(asset.id).charge, soc(snapshot, asset)
    if charge is None or known is None or charge.battery_ws is None:
        return None
    return _metered_ws(charge, goal - known.value)


def even_until(snapshot: Snapshot, asset: Asset) -> tuple[float, Reason]:
    """The SoC up to which it takes all of its power, and what ends that: its maximum, or the car itself."""
    charge = snapshot.limit(asset.id).charge or Charge()
    tapers = 1.0 if charge.taper_from_soc is None else charge.taper_from_soc
    if charge.max_soc is not None and charge.max_soc <= tapers:
        return charge.max_soc, Reason.CHARGE_LIMIT
    return tapers, Reason.NO_DEMAND


def is_charged(snapshot: Snapshot, asset: Asset) -> bool:
    """Whether "charge now" is over: the car has gone, or is full (at its maximum, if it has one)."""
    if not is_plugged(snapshot, asset):
        return True
    charge, known = snapshot.limit(asset.id).charge or Charge(), soc(snapshot, asset)
    return known is not None and known.value >= (1.0 if charge.max_soc is None else charge.max_soc)


def power_w(snapshot: Snapshot, asset: Asset) -> int:
    """What the car draws when it may: as was seen of it, else of the one before, else the most there is."""
    was = snapshot.memory.of(asset.id)
    seen_w = was.took_w if was.takes_w is None else was.takes_w
    return _most_w(asset) if seen_w is None else min(seen_w, _most_w(asset))


def is_known(snapshot: Snapshot, asset: Asset) -> bool:
    """Whether this car, or the one before it, was ever seen to draw what it takes; a heater's is known."""
    was = snapshot.memory.of(asset.id)
    return is_store(asset) or was.takes_w is not None or was.took_w is not None


def careful_w(snapshot: Snapshot, asset: Asset) -> int:
    """What the car surely draws when it may: as was seen, else what a small one takes."""
    return power_w(snapshot, asset) if is_known(snapshot, asset) else min(CAREFUL_W, _most_w(asset))


def charging_s(snapshot: Snapshot, asset: Asset, need: int) -> float:
    """How long the car takes for so much energy (metered) if nothing holds it.

    From `taper_from_soc` on its power falls in a straight line to a quarter at full; where the SoC is
    unknown nobody can tell when, and it does not.
    """
    charge, known = snapshot.limit(asset.id).charge, soc(snapshot, asset)
    even_s = need / careful_w(snapshot, asset)
    if charge is None or known is None or charge.battery_ws is None or charge.taper_from_soc is None:
        return even_s
    end = min(1.0, known.value + _share(snapshot, asset, need))
    return even_s * _slowness(known.value, end, charge.taper_from_soc)


def _slowness(begin: float, end: float, taper_from: float) -> float:
    """How many times longer it takes from one SoC to another for the power that falls from `taper_from` on:
    the mean of 1 / (share of the power)."""
    if end <= taper_from or taper_from >= 1.0:
        return 1.0
    if end <= begin:
        return 1.0 / FULL_SHARE
    falls = (1.0 - FULL_SHARE) / (1.0 - taper_from)
    tapers = max(begin, taper_from)
    first, last = (1.0 - falls * (at - taper_from) for at in (tapers, end))
    return (tapers - begin + math.log(first / last) / falls) / (end - begin)


def next_deadline(snapshot: Snapshot, asset: Asset) -> Deadline | None:
    """The next moment by which the car is to be ready; None without one or without a trusted clock."""
    charge = snapshot.limit(asset.id).charge
    if charge is None or not snapshot.clock_trusted:
        return None
    return next((d for d in charge.deadlines if d.utc_s > snapshot.utc_s), None)


def words(snapshot: Snapshot, asset: Asset) -> str:
    """How the car or the store stands, for a person."""
    if not is_plugged(snapshot, asset):
        return "no car is plugged in"
    known, need, deadline = soc(snapshot, asset), need_ws(snapshot, asset), next_deadline(snapshot, asset)
    found = "charge unknown"
    if is_store(asset):
        found = _level_words(asset, known)
    elif known and known.source == TYPED:
        found = f"charged to {known.value:.0%}, by what was typed in {known.age_s / 3600:.1f} h ago"
    elif known and known.age_s > FRESH_S:
        found = f"charged to {known.value:.0%}, by what was measured {known.age_s / 3600:.1f} h ago"
    elif known:
        found = f"charged to {known.value:.0%}"
    if need is None:
        return found
    by = f" by {deadline.words}" if deadline else ""
    needed = f"{need / WS_PER_KWH:.2f} kWh needed{by}"
    return f"{found}; {needed}" if found else needed


def delivered_ws(snapshot: Snapshot, asset: Asset, mark: Mark | None) -> int:
    """The energy metered since `mark`; none of it where a register is unknown, another, or began anew."""
    register = snapshot.state(asset.id).import_ws
    if mark is None or mark.register_ws is None or register is None or register.source != mark.source:
        return 0
    most_ws = DRAWS_MOST * asset.nominal_w * max(0.0, snapshot.now_s - mark.at_s)
    return math.floor(min(max(0.0, register.value - mark.register_ws), most_ws))


def remembered(snapshot: Snapshot, asset: Asset, was: AssetMemory) -> AssetMemory:
    """The memory with the car that is plugged in now; what was typed goes with the car it was said of."""
    was = _seen(snapshot, asset, was)
    connected, plugged, typed = snapshot.state(asset.id).connected, was.plugged, was.typed
    if connected and connected.value <= 0.5:
        took_w = was.took_w if was.takes_w is None else was.takes_w
        return changed(was, plugged=None, typed=None, measured=None, takes_w=None, took_w=took_w)
    if connected and plugged is None:
        plugged = Mark(snapshot.now_s)
    if is_store(asset):
        plugged = _begun(snapshot, asset, plugged)
    if typed and plugged is None and snapshot.now_s - typed.mark.at_s > TYPED_KEPT_S:
        typed = None
    if typed:
        typed = changed(typed, mark=_with_register(snapshot, asset, typed.mark))
    plugged = plugged and _with_register(snapshot, asset, plugged)
    is_free = was.running and was.held_w is None
    was = changed(was, free_since_s=(was.free_since_s or snapshot.now_s) if is_free else None)
    return changed(
        was,
        plugged=plugged,
        typed=typed,
        measured=_last_measured(snapshot, asset, was),
        takes_w=_takes_w(snapshot, asset, was),
    )


def _level_words(asset: Asset, known: Reading | None) -> str:
    if known:
        return f"its store at {known.value:.0%}"
    return "level of its store unknown" if "soc" in asset.sources else ""


def _store_need_ws(snapshot: Snapshot, asset: Asset, charge: Charge) -> int | None:
    """What a store still needs in its hours, and no more than goes into it."""
    if charge.need_ws is None or not is_its_time(snapshot, asset):
        return None
    left_ws = max(0, charge.need_ws - delivered_ws(snapshot, asset, snapshot.memory.of(asset.id).plugged))
    most_ws = room_ws(snapshot, asset)
    return left_ws if most_ws is None else min(left_ws, most_ws)


def _begun(snapshot: Snapshot, asset: Asset, was: Mark | None) -> Mark | None:
    """The mark from which a store's energy is counted: a new one once its hours have begun anew."""
    charge = snapshot.limit(asset.id).charge
    if charge is None or not snapshot.clock_trusted:
        return was
    ago_s = min((snapshot.utc_s - at for at in charge.begins if at <= snapshot.utc_s), default=math.inf)
    if was and was.at_s + STEP_S >= snapshot.now_s - ago_s:
        return was
    return Mark(snapshot.now_s)


def type_in(snapshot: Snapshot, asset: Asset, value: float) -> Memory:
    """The memory with a SoC that a person just typed in."""
    memory, was = snapshot.memory, snapshot.memory.of(asset.id)
    typed = Typed(value, _with_register(snapshot, asset, Mark(snapshot.now_s)))
    return replace(memory, assets={**memory.assets, asset.id: replace(was, typed=typed)})


def _seen(snapshot: Snapshot, asset: Asset, was: AssetMemory) -> AssetMemory:
    """The memory, without what was of a car that may have gone while nobody could tell."""
    state = snapshot.state(asset.id)
    if state.connected is None or not (state.online or asset.control is None):
        return was
    unseen_s = 0.0 if was.told_s is None else snapshot.now_s - was.told_s
    if unseen_s > UNSEEN_S:
        was = changed(was, plugged=None, typed=None, measured=None)
    return changed(was, told_s=snapshot.now_s)


def _takes_w(snapshot: Snapshot, asset: Asset, was: AssetMemory) -> int | None:
    """The most it drew while free, once ramped; a battery that is nearly full draws less again."""
    power = snapshot.state(asset.id).power_w
    if power is None or (asset.ability.range_w and power.value < asset.ability.range_w[0]):
        return was.takes_w
    drawn_w, known_w = round(power.value), was.took_w if was.takes_w is None else was.takes_w
    if known_w is not None and drawn_w > known_w:
        return drawn_w
    if drawn_w >= NEARLY_ALL * _most_w(asset):
        return max(was.takes_w or 0, drawn_w)
    if was.free_since_s is None:
        return was.takes_w
    if snapshot.now_s - was.free_since_s < (RAMPS_FOR_S if 2 * drawn_w >= _most_w(asset) else SMALL_FOR_S):
        return was.takes_w
    return max(was.takes_w or 0, drawn_w) or None


def _most_w(asset: Asset) -> int:
    """What car and charger can at most."""
    return min(asset.nominal_w, asset.ability.range_w[1]) if asset.ability.range_w else asset.nominal_w


def _measured(snapshot: Snapshot, asset: Asset) -> Reading | None:
    """What is measured now, if it is of this car."""
    found = snapshot.state(asset.id).soc
    if found is None or found.quality is Quality.BAD:
        return None
    return found if is_store(asset) or found.age_s <= _plugged_for_s(snapshot, asset) else None


def _last_measured(snapshot: Snapshot, asset: Asset, was: AssetMemory) -> Measured | None:
    """The last SoC that was measured of this car; where nothing tells of the plug it is kept for a day."""
    now, last = _measured(snapshot, asset), was.measured
    if is_store(asset):
        return None
    if now:
        at_s = snapshot.now_s - now.age_s
        is_new = last is None or at_s > last.mark.at_s + SAME_S or now.source != last.source
        if is_new or (last and now.value != last.soc):
            last = Measured(now.value, Mark(at_s), now.source)
    elif last and was.plugged is None and snapshot.now_s - last.mark.at_s > TYPED_KEPT_S:
        return None
    return last and changed(last, mark=_with_register(snapshot, asset, last.mark))


def _plugged_for_s(snapshot: Snapshot, asset: Asset) -> float:
    plugged = snapshot.memory.of(asset.id).plugged
    if plugged:
        return snapshot.now_s - plugged.at_s
    return math.inf if snapshot.state(asset.id).connected is None else 0.0


def _with_register(snapshot: Snapshot, asset: Asset, mark: Mark) -> Mark:
    """The mark with its register, once one was read after it: an older one would count what came before."""
    register = snapshot.state(asset.id).import_ws
    if mark.register_ws is not None or register is None or register.age_s > snapshot.now_s - mark.at_s:
        return mark
    return changed(mark, register_ws=round(register.value), source=register.source)


def _share(snapshot: Snapshot, asset: Asset, metered_ws: int) -> float:
    """What metered energy makes of the battery, 0..1."""
    charge = snapshot.limit(asset.id).charge
    if charge is None or not charge.battery_ws:
        return 0.0
    return metered_ws * charge.efficiency / charge.battery_ws


def _metered_ws(charge: Charge, share: float) -> int:
    return max(0, math.ceil(share * (charge.battery_ws or 0) / charge.efficiency))
