"""What is remembered from one decision to the next, and what may be believed of it after a restart."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

from gateway.core import charging, cooling, preheat, reckoning, schedule, slack
from gateway.core.base_load import base_load
from gateway.core.bounds import backup, blocks, care, charge, chill, comfort, frost, hygiene, pace, supply
from gateway.core.bounds.override import lasts
from gateway.core.change import changed
from gateway.core.demand import RUNS_ABOVE, quiet_since_s
from gateway.core.fuse import Line, lines
from gateway.core.model import (
    UNKNOWN_LONG_S,
    Asset,
    AssetMemory,
    Given,
    Governor,
    Kind,
    Limits,
    Mark,
    Memory,
    Override,
    Plan,
    Setpoint,
    Snapshot,
)
from gateway.core.share import InForce, in_force, is_shared, needs_no_delay, site_value_w


class Said(NamedTuple):
    """What was decided of one asset, and the most the household's schedule lets it draw (W). `is_aimed`: it
    charges now for a SoC that an instruction asks for; `is_answered`: an instruction moves it for which it
    waits for no delay of its schedule."""

    setpoint: Setpoint | None
    scheduled_w: int | None
    is_aimed: bool
    is_answered: bool

    @property
    def held_w(self) -> int | None:
        """What it is held at (W)."""
        return self.setpoint.at_most_w if self.setpoint else None

    @property
    def is_scheduled(self) -> bool:
        """Whether it is the household's own schedule that holds it, or would hold it lower."""
        if self.setpoint is None or self.held_w is None:
            return False
        is_lifted = self.scheduled_w is not None and self.held_w >= self.scheduled_w
        is_aimed = self.setpoint.governor is Governor.DISPATCH and self.is_aimed
        return self.setpoint.of_schedule or (is_aimed and is_lifted)


def remember(snapshot: Snapshot, plan: Plan) -> Memory:
    """The memory after `plan` was made of `snapshot`. Forgets what no rule can ask for any more."""
    memory, known = snapshot.memory, {asset.id: asset for asset in snapshot.assets}
    fuses = lines(snapshot)
    active = in_force(snapshot)
    setpoints = {setpoint.asset: setpoint for setpoint in plan.setpoints}
    aimed, answered = {given.asset for given in plan.given if _is_aimed(given)}, _answered(active)
    said = {
        id_: Said(setpoints.get(id_), schedule.scheduled_w(snapshot, asset), id_ in aimed, id_ in answered)
        for id_, asset in known.items()
    }
    assets = {asset.id: _of(snapshot, asset, fuses, plan, said[asset.id]) for asset in snapshot.assets}
    order, ordered_s = slack.remembered(snapshot, shares=is_shared(active))
    moved = any(assets[id_].held_w != memory.of(id_).held_w for id_ in assets)
    return Memory(
        at_s=snapshot.now_s,
        assets=assets,
        overrides=tuple(
            o for o in memory.overrides if o.asset in known and lasts(snapshot, known[o.asset], o)
        ),
        latest_end_s=_latest_ends(snapshot, active),
        base_load=base_load(snapshot, moved=moved),
        reckoned=reckoning.remembered(snapshot, site_value_w(active)),
        order=order,
        ordered_s=ordered_s,
    )


def resume(memory: Memory, now_s: float, elapsed_s: float | None) -> Memory:
    """The memory of an earlier run, moved to this run's monotonic clock.

    `elapsed_s` is the time since `memory.at_s` by trusted UTC; None: nobody knows, and each rule gets
    the safe side: a hold lasted its longest, a rest or a run has only begun, what we started was started
    just now, an override goes on but a pause does not, what was charged or typed in is forgotten for it may
    have been of another car, and what instruction had begun is not known to go on before a trusted clock
    says so.
    """
    shift_s = now_s - memory.at_s - (elapsed_s or 0.0)

    def moved(at_s: float | None) -> float | None:
        return None if at_s is None else at_s + shift_s

    assets = {}
    for id_, was in memory.assets.items():
        now = replace(
            was,
            running_since_s=moved(was.running_since_s),
            held_since_s=moved(was.held_since_s),
            let_go_s=moved(was.let_go_s),
            plugged=was.plugged and _moved(was.plugged, shift_s),
            typed=was.typed and replace(was.typed, mark=_moved(was.typed.mark, shift_s)),
            measured=was.measured and replace(was.measured, mark=_moved(was.measured.mark, shift_s)),
            told_s=moved(was.told_s),
            quiet_since_s=moved(was.quiet_since_s),
            tight_s=moved(was.tight_s),
            free_since_s=moved(was.free_since_s),
            scheduled_since_s=moved(was.scheduled_since_s),
            moved_s=moved(was.moved_s),
            starts_s=tuple(at_s + shift_s for at_s in was.starts_s),
            turn=None,
            short_s=moved(was.short_s),
            starved_s=None if was.starved_s is None else now_s,
            fed_s=moved(was.fed_s),
            defrosted_s=moved(was.defrosted_s),
            backup_s=moved(was.backup_s),
            fall=None,  # the room may have been heated meanwhile
            walls=was.walls and replace(was.walls, at_s=was.walls.at_s + shift_s),
            cycle_since_s=None,  # whether it went on meanwhile nobody saw
            hot_since_s=None,
            blocks=tuple(
                replace(block, start_s=block.start_s + shift_s, end_s=block.end_s + shift_s)
                for block in was.blocks
            ),
            dispatched_since_s=moved(was.dispatched_since_s),
            resumed_s=moved(was.resumed_s),
            raised=was.raised
            and replace(
                was.raised, began_s=was.raised.began_s + shift_s, paused_s=moved(was.raised.paused_s)
            ),
        )
        assets[id_] = _untimed(now, now_s) if elapsed_s is None else now
    return Memory(
        at_s=now_s,
        assets=assets,
        overrides=tuple(
            replace(o, until_s=now_s if o.paused and elapsed_s is None else o.until_s + shift_s)
            for o in memory.overrides
        ),
        latest_end_s={}
        if elapsed_s is None
        else {key: end_s + shift_s for key, end_s in memory.latest_end_s.items()},
        order=memory.order,
        ordered_s=now_s if elapsed_s is None and memory.order else moved(memory.ordered_s),
    )


def override(memory: Memory, asset: str, taken: Override | None) -> Memory:
    """The memory with the household's last word on `asset`; None ends what it said."""
    others = tuple(o for o in memory.overrides if o.asset != asset)
    return replace(memory, overrides=(*others, *((taken,) if taken else ())))


def _moved(mark: Mark, shift_s: float) -> Mark:
    return replace(mark, at_s=mark.at_s + shift_s)


def _untimed(was: AssetMemory, now_s: float) -> AssetMemory:
    """What may be believed where nobody knows how long ago it was."""
    return replace(
        blocks.untimed(was, now_s),
        running_since_s=now_s if was.running else None,
        held_since_s=now_s if was.held_w is not None else None,
        let_go_s=now_s if was.held_w is None else was.let_go_s,
        held_s=UNKNOWN_LONG_S if was.held_w is not None else was.held_s,
        plugged=was.plugged and Mark(now_s),
        typed=None,
        measured=None,
        told_s=None,
        quiet_since_s=None,
        tight_s=None,
        short_s=None,
        free_since_s=None,
        scheduled_since_s=None,
        moved_s=None,
        starts_s=(now_s,) * len(was.starts_s),
        fed_s=None if was.fed_s is None else now_s,
        defrosted_s=None if was.defrosted_s is None else now_s,
        backup_s=None if was.backup_s is None else now_s,
        fall=None,
        walls=was.walls and replace(was.walls, at_s=now_s),
        resumed_s=None if was.resumed_s is None else now_s,
        raised=was.raised and preheat.untimed(was.raised, now_s),
    )


def _of(snapshot: Snapshot, asset: Asset, fuses: tuple[Line, ...], plan: Plan, said: Said) -> AssetMemory:
    was, limits = snapshot.memory.of(asset.id), snapshot.limit(asset.id)
    running, running_since_s = _running(snapshot, asset, was)
    cold, warm = _beyond(snapshot, asset, limits, was)
    now = changed(
        was,
        running=running,
        running_since_s=running_since_s,
        too_cold=cold,
        too_warm=warm,
        water_cold=comfort.is_water_cold(snapshot, asset),
        quiet_since_s=quiet_since_s(snapshot, asset, was),
        tight_s=_tight_s(snapshot, was, said),
        aims=said.is_aimed,
    )
    now = charge.remembered(snapshot, asset, now)
    now = hygiene.remembered(snapshot, asset, frost.remembered(snapshot, asset, now))
    now = charging.remembered(snapshot, asset, now)
    now = _held(_rested(snapshot, asset, now), said.held_w, snapshot.now_s)
    if now.plugged and not was.plugged and now.held_w is not None and not charging.is_store(asset):
        # the hold of a car begins with it
        since_s = care.level_since_s(now)
        now = changed(now, held_since_s=snapshot.now_s, held_s=0.0, scheduled_since_s=None, moved_s=since_s)
    now = pace.remembered(snapshot, asset, was, care.remembered(snapshot, asset, was, now))
    now = supply.remembered(snapshot, asset, fuses, said.setpoint, now)
    now = blocks.remembered(snapshot, asset, plan, backup.remembered(snapshot, asset, now))
    now = chill.remembered(snapshot, asset, now, is_scheduled=said.is_scheduled)
    now = cooling.remembered(snapshot, asset, was, now)
    now = schedule.remembered(snapshot, asset, now, is_answered=said.is_answered)
    now = preheat.remembered(snapshot, asset, said.setpoint, now)
    return _scheduled(now, said.is_scheduled, snapshot.now_s)


def _answered(active: tuple[InForce, ...]) -> set[str]:
    asking = [moment.instruction for moment in active if needs_no_delay(moment)]
    return {id_ for asked in asking for id_ in asked.scope.assets if asked.is_of(id_)}


def _is_aimed(given: Given) -> bool:
    return given.kind is Kind.SOC and given.asked_w > 0


def _scheduled(was: AssetMemory, is_scheduled: bool, now_s: float) -> AssetMemory:
    """What the household's own schedule holds is not counted as held."""
    if is_scheduled:
        return was if was.scheduled_since_s is not None else changed(was, scheduled_since_s=now_s)
    if was.scheduled_since_s is None:
        return was
    is_known = was.held_s < UNKNOWN_LONG_S
    less_s = now_s - was.scheduled_since_s if is_known else 0.0
    return changed(was, held_s=was.held_s - less_s, scheduled_since_s=None)


def _held(was: AssetMemory, held_w: int | None, now_s: float) -> AssetMemory:
    if held_w is not None and was.held_w is None:
        return changed(was, held_w=held_w, held_since_s=now_s, let_go_s=None, moved_s=None)
    if held_w is None and was.held_w is not None:
        in_all_s = comfort.held_in_all_s(was, now_s)
        freed = changed(was, held_w=None, held_since_s=None, let_go_s=now_s, held_s=in_all_s)
        return changed(freed, scheduled_since_s=None, moved_s=None)
    return was if held_w == was.held_w else changed(was, held_w=held_w, moved_s=now_s)


def _tight_s(snapshot: Snapshot, was: AssetMemory, said: Said) -> float | None:
    if said.setpoint is None or said.held_w is None:
        return None
    stays = said.setpoint.waits and said.held_w == was.held_w
    return was.tight_s if stays else snapshot.now_s


def _running(snapshot: Snapshot, asset: Asset, was: AssetMemory) -> tuple[bool, float | None]:
    state = snapshot.state(asset.id)
    if state.running:
        runs = state.running.value > 0.5
    elif state.power_w:
        runs = state.power_w.value > RUNS_ABOVE * asset.nominal_w
    else:
        return was.running, was.running_since_s
    if not runs:
        return False, None
    return True, was.running_since_s if was.running else snapshot.now_s


def _rested(snapshot: Snapshot, asset: Asset, was: AssetMemory) -> AssetMemory:
    limits = snapshot.limit(asset.id)
    rest_s = frost.rest_s(snapshot, asset, limits)
    if was.held_w is not None or was.let_go_s is None or snapshot.now_s - was.let_go_s < rest_s:
        return was
    is_on_s = snapshot.now_s - was.let_go_s
    needed_s = max(rest_s, limits.shortest_on_s, limits.care.change_every_s)
    return changed(was, let_go_s=was.let_go_s if is_on_s < needed_s else None, held_s=0.0)


def _beyond(snapshot: Snapshot, asset: Asset, limits: Limits, was: AssetMemory) -> tuple[bool, bool]:
    room = comfort.room_known(snapshot, asset, limits)
    minimum_c = comfort.room_min_c(snapshot, limits)
    maximum_c = comfort.room_max_c(snapshot, limits)
    cold = minimum_c is not None and (room is None or room.value < minimum_c + limits.hysteresis_c)
    warm = room is not None and maximum_c is not None and room.value > maximum_c - limits.hysteresis_c
    began_cold = room is not None and minimum_c is not None and room.value <= minimum_c
    began_warm = room is not None and maximum_c is not None and room.value >= maximum_c
    return cold and (was.too_cold or began_cold), warm and (was.too_warm or began_warm)


def _latest_ends(snapshot: Snapshot, active: tuple[InForce, ...]) -> dict[str, float]:
    """When each instruction that has begun ends at the latest, by the monotonic clock.

    Set once, when it begins: a clock stepped back later cannot lengthen it.
    """
    was = snapshot.memory.latest_end_s
    known = {i.key for i in snapshot.instructions}
    ends = {key: end_s for key, end_s in was.items() if key in known}
    for moment in active:
        instruction = moment.instruction
        end_s = snapshot.now_s + instruction.end_utc_s - snapshot.utc_s
        ends[instruction.key] = min(ends.get(instruction.key, math.inf), end_s)
    return ends
