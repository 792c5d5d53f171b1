"""Pre-heat: what heats is asked to draw more ahead of an instruction that will hold it, or for one that
asks it to; only where the household has switched that on, by so many kelvin of its room and for so long.

It has the last word and the weakest. Raised is only what nothing holds and what no limit speaks of, but for
a minimum run or a home that is cold; and only where every fuse leaves it all its power. What stops it does
so at once; it goes on after a while, within the same kelvin and hours. The next one waits until it has
rested and its room is back where it began, or a day has passed: else each would begin where the last one
ended. Figures: modbus reference C1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from gateway.core.bounds import wear
from gateway.core.bounds.comfort import room_known, room_max_c
from gateway.core.change import changed
from gateway.core.fuse import Line, left_for, taken
from gateway.core.model import (
    Asset,
    AssetClass,
    AssetMemory,
    Bound,
    Governor,
    Instruction,
    Kind,
    Preheat,
    Raise,
    Rank,
    Reading,
    Reason,
    Setpoint,
    Snapshot,
    Step,
    Vector,
)
from gateway.core.settle import drawn_w
from gateway.core.share import Share
from gateway.core.span import in_words

STEADY_S = 600.0  # not begun for less, nor again so soon
REST_S = 3600.0  # of its own control after it
DAY_S = 86_400.0
ROOM_MAX_AGE_S = 900.0  # modbus reference C5; the household may say less
WARMS_K_S = 2.0 / 3600  # for what is offered: fast, so that little is promised
NOISE_K = 0.1  # nearer than that to where it ends it is not begun
CHANGES = 2 * wear.HOLD_AND_BACK  # its own and those of the hold after it


class Cause(NamedTuple):
    """For what it is raised, and who is told to have done it."""

    text: str
    governor: Governor


class Way(NamedTuple):
    """How far a raise may go: from the room now to the warmest it may be made, and for how long. `was`: one
    that goes on, or that counts still."""

    room_c: float
    most_c: float
    left_s: float
    was: Raise | None


def raised(
    snapshot: Snapshot,
    settled: list[Setpoint],
    found: tuple[Line, ...],
    bounds: Mapping[str, list[Bound]],
    shares: Mapping[str, Iterable[Share]],
) -> list[Setpoint]:
    """The setpoints, those raised that are to draw more and have all their power of the fuses found."""
    if not any(limits.preheat for limits in snapshot.limits.values()):
        return settled
    assets, left, result = {asset.id: asset for asset in snapshot.assets}, found, []
    for setpoint in settled:
        left = taken(left, setpoint.asset, drawn_w(snapshot, assets[setpoint.asset], setpoint, found))
    for setpoint in settled:
        asset = assets[setpoint.asset]
        free = taken(left, asset.id, -drawn_w(snapshot, asset, setpoint, found))
        cause = _cause(snapshot, asset, shares.get(asset.id, ())) if _is_free(setpoint) else None
        fits = left_for(free, asset).power_w >= asset.nominal_w
        if cause and fits and why_not(snapshot, asset, bounds[asset.id]) is None:
            left = taken(free, asset.id, asset.nominal_w)
            text = f"{cause.text}: {_words(snapshot, asset)}"
            setpoint = replace(setpoint, governor=cause.governor, text=text, raised=True)
        result.append(setpoint)
    return result


def why_not(snapshot: Snapshot, asset: Asset, bounds: Iterable[Bound]) -> tuple[Reason, str] | None:
    """Why it is not raised, whoever asks; None: it may be, as far as the fuses leave it its power."""
    if snapshot.limit(asset.id).preheat is None or asset.asset_class is not AssetClass.HEAT:
        return Reason.OUTSIDE_CAPABILITY, "the household has not switched pre-heat on"
    if not asset.ability.raises:
        return Reason.OUTSIDE_CAPABILITY, "its device cannot be asked to draw more"
    if not snapshot.state(asset.id).online:
        return Reason.DEVICE_OFFLINE, "device does not answer"
    if against := next((bound for bound in bounds if _is_against(bound)), None):
        return against.reason, against.text
    way = _way(snapshot, asset)
    if way is None:
        return Reason.COMFORT_LIMIT, "room temperature unknown"
    if way.room_c >= way.most_c or (way.was and way.was.is_over):
        return Reason.COMFORT_LIMIT, f"room {way.room_c:.1f} °C, raised to {way.most_c:.1f} °C at most"
    if way.left_s <= 0:
        return Reason.COMFORT_LIMIT, "was raised for as long as it may be"
    return None if _goes_on(way.was) else _begins_not(snapshot, asset, way)


def words(snapshot: Snapshot, asset: Asset, setpoint: Setpoint, bounds: Iterable[Bound]) -> str:
    """How it stands with its pre-heat; empty where there is none."""
    preheat = snapshot.limit(asset.id).preheat
    if preheat is None:
        return ""
    if setpoint.raised:
        return setpoint.text
    if refused := why_not(snapshot, asset, bounds):
        return f"not raised: {refused[1]}"
    if _ahead(snapshot, asset, preheat) is None:
        most = f"{preheat.kelvin:g} K and {in_words(preheat.for_s)} at most"
        return f"not raised: no instruction that would hold it lies ahead; {most}"
    return "not raised: it is held, or a fuse leaves it too little"


def lasts_s(snapshot: Snapshot, asset: Asset) -> float:
    """How long it surely goes on, or would, from now on."""
    way = _way(snapshot, asset)
    return 0.0 if way is None else max(0.0, min(way.left_s, (way.most_c - way.room_c) / WARMS_K_S))


def remembered(snapshot: Snapshot, asset: Asset, setpoint: Setpoint | None, now: AssetMemory) -> AssetMemory:
    """`now` with when it was first raised, from which room, and when it last stopped."""
    if snapshot.limit(asset.id).preheat is None:
        return changed(now, raised=None)
    way, last = _way(snapshot, asset), _last(snapshot, asset)
    if way and setpoint and setpoint.raised:
        began = last or Raise(snapshot.now_s, way.room_c)
        return changed(now, raised=replace(began, paused_s=None))
    if last and _goes_on(last):
        is_over = way is not None and way.room_c >= way.most_c
        last = replace(last, paused_s=snapshot.now_s, is_over=is_over)
    return changed(now, raised=last)


def untimed(was: Raise, now_s: float) -> Raise:
    """What may be believed where nobody knows how long ago it was: it is over, and has only just stopped."""
    return replace(was, began_s=now_s, paused_s=now_s, is_over=True)


def edges_s(snapshot: Snapshot, asset: Asset) -> list[float]:
    """Seconds until one may begin or ends by time alone."""
    preheat, was, room = (
        snapshot.limit(asset.id).preheat,
        snapshot.memory.of(asset.id).raised,
        snapshot.state(asset.id).room_c,
    )
    if preheat is None:
        return []
    starts_s = [left_s for left_s, _ in _starts(snapshot, asset)]
    edges = [left_s - early_s for left_s in starts_s for early_s in (preheat.for_s, STEADY_S, 0.0)]
    edges += [ROOM_MAX_AGE_S - room.age_s] if room else []
    if was:
        marks_s = [was.began_s + preheat.for_s, was.began_s + DAY_S]
        marks_s += [] if was.paused_s is None else [was.paused_s + STEADY_S, was.paused_s + REST_S]
        edges += [mark_s - snapshot.now_s for mark_s in marks_s]
    return edges


def _is_free(setpoint: Setpoint) -> bool:
    return setpoint.at_most_w is None and setpoint.governor is Governor.HOUSEHOLD


def _is_against(bound: Bound) -> bool:
    """Whether it asks for less, keeps instructions off, or says that the device is not to be meddled with."""
    meddles = bound.rank >= Rank.OVERRIDE and bound.reason is not Reason.MINIMUM_RUN
    return bound.at_most_w is not None or bound.leaves_schedule or meddles


def _cause(snapshot: Snapshot, asset: Asset, shares: Iterable[Share]) -> Cause | None:
    for share in shares:
        is_floor = share.in_force.step.kind is Kind.FLOOR and share.governs and share.asked_w
        if is_floor and not draws_enough(snapshot, asset, share):
            instruction = share.in_force.instruction
            return Cause(f"raised by instruction {instruction.id} ({instruction.service})", Governor.DISPATCH)
    preheat = snapshot.limit(asset.id).preheat
    return _ahead(snapshot, asset, preheat) if preheat else None


def draws_enough(snapshot: Snapshot, asset: Asset, share: Share) -> bool:
    """Whether it draws by itself what a floor asks for: one that is raised is asked to go on."""
    power, is_raised = snapshot.state(asset.id).power_w, _goes_on(snapshot.memory.of(asset.id).raised)
    return not is_raised and power is not None and power.value >= (share.asked_w or 0)


def _ahead(snapshot: Snapshot, asset: Asset, preheat: Preheat) -> Cause | None:
    """The next instruction that will hold it, if that is near enough, and worth a beginning."""
    starts = sorted(_starts(snapshot, asset), key=lambda start: start[0])
    least_s = 0.0 if _goes_on(snapshot.memory.of(asset.id).raised) else STEADY_S
    if not starts or not least_s <= starts[0][0] <= preheat.for_s:
        return None
    left_s, id_ = starts[0]
    return Cause(f"pre-heats for instruction {id_}, which begins in {in_words(left_s)}", Governor.PREHEAT)


def _starts(snapshot: Snapshot, asset: Asset) -> list[tuple[float, str]]:
    """How soon instructions will hold it, and which; none is known without a trusted clock."""
    if not snapshot.clock_trusted:
        return []
    starts = [
        (step.start_utc_s + instruction.start_delay_s - snapshot.utc_s, instruction.id)
        for instruction in snapshot.instructions
        if instruction.vector is Vector.AUTOMATED and instruction.is_of(asset.id)
        for step in instruction.steps
        if _holds(snapshot, instruction, step)
    ]
    return [start for start in starts if start[0] > 0]


def _holds(snapshot: Snapshot, instruction: Instruction, step: Step) -> bool:
    """Whether it leaves its assets less than their nominal power. What the rest of the home draws is no part
    of that, for a site's value either: a kettle does not begin a pre-heat."""
    members = [asset for asset in snapshot.assets if asset.id in instruction.scope.assets]
    return not step.kind.only_raises and step.power_w < sum(asset.nominal_w for asset in members)


def _way(snapshot: Snapshot, asset: Asset) -> Way | None:
    """How far it may be raised, short of the maximum at which it would be held off; None: nobody knows its
    room, or it may not."""
    limits, was = snapshot.limit(asset.id), _last(snapshot, asset)
    preheat, room = limits.preheat, _room(snapshot, asset)
    if preheat is None or room is None:
        return None
    maximum_c = room_max_c(snapshot, limits)
    warm_c = (was.room_c if was else room.value) + preheat.kelvin
    most_c = warm_c if maximum_c is None else min(warm_c, maximum_c - limits.hysteresis_c)
    gone_s = snapshot.now_s - was.began_s if was else 0.0
    return Way(room.value, most_c, preheat.for_s - gone_s, was)


def _room(snapshot: Snapshot, asset: Asset) -> Reading | None:
    room = room_known(snapshot, asset, snapshot.limit(asset.id))
    return None if room is None or room.age_s > ROOM_MAX_AGE_S else room


def _last(snapshot: Snapshot, asset: Asset) -> Raise | None:
    """The raise that goes on, or the last one as long as it counts."""
    was, room = snapshot.memory.of(asset.id).raised, _room(snapshot, asset)
    if was is None or was.paused_s is None or snapshot.now_s - was.paused_s < REST_S:
        return was
    is_back = room is not None and room.value <= was.room_c
    return None if is_back or snapshot.now_s - was.began_s >= DAY_S else was


def _goes_on(was: Raise | None) -> bool:
    return was is not None and was.paused_s is None


def _begins_not(snapshot: Snapshot, asset: Asset, way: Way) -> tuple[Reason, str] | None:
    """Why one that may go on is not begun, or begun again."""
    paused_s = way.was.paused_s if way.was else None
    if wear.is_spent(snapshot, asset, CHANGES):
        return Reason.APPLIANCE_LIMIT, wear.words(snapshot, asset)
    if paused_s is not None and snapshot.now_s - paused_s < STEADY_S:
        return Reason.COMFORT_LIMIT, f"was raised {in_words(snapshot.now_s - paused_s)} ago"
    if way.room_c > way.most_c - min(NOISE_K, snapshot.limit(asset.id).hysteresis_c):
        return Reason.COMFORT_LIMIT, f"room {way.room_c:.1f} °C, raised to {way.most_c:.1f} °C at most"
    return None


def _words(snapshot: Snapshot, asset: Asset) -> str:
    """How far it may still be raised."""
    way = _way(snapshot, asset)
    assert way
    return f"room {way.room_c:.1f} °C, {way.most_c:.1f} °C at most, for {in_words(way.left_s)} at most"
