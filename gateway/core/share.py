"""What the household's schedule and the instructions want of each asset, before any limit.

Per asset: the bound is the tightest of all caps in force, the wish is that of the governing setpoint
or floor, else the household's schedule. A value is the total of its union, shared out over its assets.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from gateway.core.aim import Aim, aim
from gateway.core.model import Asset, EdgeDelay, Instruction, Kind, Reason, Snapshot, Step, Vector
from gateway.core.reckoning import reckoned_w
from gateway.core.schedule import running, scheduled_w
from gateway.core.slack import order


class InForce(NamedTuple):
    """An instruction at this moment: the step that holds, and whether it only delays a return."""

    instruction: Instruction
    step: Step
    returning: bool
    until_s: float  # monotonic: when the step may change


class Claim(NamedTuple):
    """What local rules say of an asset's part: not less than `at_least_w`, not more than `at_most_w`; an
    idle one takes what the others leave."""

    at_least_w: int = 0
    at_most_w: int | None = None
    idle: bool = False


class Part(NamedTuple):
    """What an asset takes of a union: not less than `least_w`, not more than `most_w`, idle ones last."""

    asset: Asset
    least_w: int
    most_w: int
    idle: bool = False


class Share(NamedTuple):
    """One asset's part of one instruction. `asked_w` None: it cannot be said (`reason` tells why). `aim`: of
    a SoC that is asked for; `asked_w` is then the power that is enough for it."""

    in_force: InForce
    asset: str
    asked_w: int | None
    reason: Reason = Reason.NONE
    governs: bool = True
    aim: Aim | None = None


class Wish(NamedTuple):
    """What is wanted of one asset: at most the tightest cap or the governing setpoint (W). A floor only
    stands in the schedule's place: nothing here can make a device draw."""

    at_most_w: int | None = None
    by: Share | None = None  # whose `at_most_w` it is; None with a value: the household's schedule
    default_hours: bool = False  # ... or none that it has said
    delay: EdgeDelay | None = None  # ... and the last it waits for


def in_force(snapshot: Snapshot) -> tuple[InForce, ...]:
    """The instructions that hold at this moment.

    Without a trusted clock nothing begins; what has begun goes on to its end by the monotonic clock,
    which also cuts what a clock stepped back would lengthen. A manual one is the household's to carry out.
    """
    found = []
    for instruction in (i for i in snapshot.instructions if i.vector is Vector.AUTOMATED):
        latest_end_s = snapshot.memory.latest_end_s.get(instruction.key)
        if latest_end_s is None and not snapshot.clock_trusted:
            continue
        moment = _moment(snapshot, instruction, math.inf if latest_end_s is None else latest_end_s)
        if moment:
            found.append(moment)
    return tuple(found)


def by_hand(snapshot: Snapshot) -> tuple[str, ...]:
    """The manual instructions in their window that were not declined: what hands do shows at the boundary."""
    if not snapshot.clock_trusted:
        return ()
    return tuple(
        i.id
        for i in snapshot.instructions
        if i.vector is Vector.MANUAL and i.start_utc_s <= snapshot.utc_s < i.end_utc_s
    )


def needs_no_delay(moment: InForce) -> bool:
    """Whether its assets wait for no delay of their schedule: it is a response to a call, stands in the
    schedule's place, or delays its own return."""
    is_response = moment.instruction.service_class == "response"
    return is_response or moment.returning or moment.step.kind in {Kind.SETPOINT, Kind.FLOOR}


def site_value_w(active: Iterable[InForce]) -> int | None:
    """The tightest value in force for the site as a whole."""
    values = (m.step.power_w for m in active if m.instruction.scope.site and m.step.kind is not Kind.SOC)
    return min(values, default=None)


def is_shared(active: Iterable[InForce]) -> bool:
    """Whether a value in force is of several assets."""
    return any(len(moment.instruction.scope.assets) > 1 for moment in active)


def shares(snapshot: Snapshot, active: tuple[InForce, ...], claims: Mapping[str, Claim]) -> tuple[Share, ...]:
    """Each active instruction shared out over its assets, with the one that governs marked.

    What local limits insist on comes off the top of a union's value; what an asset cannot take of it, for
    the household or another instruction holds it lower, is the others'.
    """
    unions = [(moment, _members(snapshot, moment)) for moment in active]
    first = {id_: n for n, id_ in enumerate(order(snapshot))} if is_shared(active) else {}
    governing = _governing(unions)
    aims = _aims(snapshot, governing)
    parts = _parts(snapshot, unions, governing, aims, claims)
    value_w = site_value_w(active)
    base_w = None if value_w is None else reckoned_w(snapshot, value_w)
    found = []
    for moment, members in unions:
        if moment.step.kind is Kind.SOC:
            found += [
                _aimed(moment, a.id, aims[a.id] if governing[a.id] is moment else None) for a in members
            ]
            continue
        beside_w = base_w
        if moment.instruction.scope.site and base_w is not None:
            beside_w = base_w + _drawn_by_others_w(snapshot, members)
        ordered = sorted((a.id for a in members), key=first.__getitem__) if first else [a.id for a in members]
        asked_w = _share_out(moment, [parts[id_] for id_ in ordered], beside_w)
        for asset in members:
            governs = moment.step.kind is Kind.CAP or governing[asset.id] is moment
            found.append(_share(moment, asset.id, asked_w, governs=governs))
    return tuple(found)


def by_asset(all_shares: Iterable[Share]) -> dict[str, list[Share]]:
    """The shares of each asset that has any."""
    found: dict[str, list[Share]] = {}
    for share in all_shares:
        found.setdefault(share.asset, []).append(share)
    return found


def wish(snapshot: Snapshot, asset: Asset, own_shares: Iterable[Share]) -> Wish:
    """What is wanted of `asset`, its shares of instructions and the household's schedule taken together."""
    mine = [s for s in own_shares if s.governs and s.asked_w is not None]
    result = _own_wish(snapshot, asset)
    for share in mine:
        if share.aim is None and share.in_force.step.kind is not Kind.CAP and not share.in_force.returning:
            result = Wish()  # a setpoint or floor stands in the schedule's place
        elif share.aim and result.at_most_w is not None and (share.asked_w or 0) > result.at_most_w:
            result = Wish(share.asked_w, share)
    for share in mine:
        if not share.in_force.step.kind.only_raises and _is_tighter(asset, share, result):
            result = result._replace(at_most_w=share.asked_w, by=share)
    return result


def _own_wish(snapshot: Snapshot, asset: Asset) -> Wish:
    """The household's schedule."""
    last = max(running(snapshot, asset), key=lambda delay: delay.end_utc_s, default=None)
    default_hours = snapshot.limit(asset.id).default_hours
    return Wish(scheduled_w(snapshot, asset), default_hours=default_hours, delay=last)


def _is_tighter(asset: Asset, share: Share, than: Wish) -> bool:
    """Whether it holds the asset rather than `than`. A part of a union has already given way, down to a
    level of the device, to what is wanted of the asset alone."""
    if than.at_most_w is None:
        return True
    asked_w = share.asked_w or 0
    is_alone, was_alone = _is_alone(share), than.by is None or _is_alone(than.by)
    if is_alone is was_alone:
        return asked_w <= than.at_most_w
    level_w, was_w = (asset.ability.at_or_below(watts) or 0 for watts in (asked_w, than.at_most_w))
    return level_w < was_w or (is_alone and level_w == was_w)


def _is_alone(share: Share) -> bool:
    return share.aim is not None or len(share.in_force.instruction.scope.assets) == 1


def next_start_s(snapshot: Snapshot) -> float:
    """Seconds to the next start of an instruction that has not begun; inf if there is none."""
    if not snapshot.clock_trusted:
        return math.inf
    starts = (i.start_utc_s + i.start_delay_s - snapshot.utc_s for i in snapshot.instructions)
    return min((s for s in starts if s > 0), default=math.inf)


def _moment(snapshot: Snapshot, instruction: Instruction, latest_end_s: float) -> InForce | None:
    left_s = min(instruction.end_utc_s - snapshot.utc_s, latest_end_s - snapshot.now_s)
    returning_s = left_s + instruction.end_delay_s
    if snapshot.utc_s < instruction.start_utc_s + instruction.start_delay_s or returning_s <= 0:
        return None
    if left_s <= 0:
        last = instruction.steps[-1]
        if last.kind.only_raises:
            return None
        return InForce(instruction, last, returning=True, until_s=snapshot.now_s + returning_s)
    begun, *following = instruction.steps
    for step in following:
        edge_s = step.start_utc_s + instruction.start_delay_s - snapshot.utc_s
        if edge_s > 0:
            left_s = min(left_s, edge_s)
            break
        begun = step
    return InForce(instruction, begun, returning=False, until_s=snapshot.now_s + left_s)


def _parts(
    snapshot: Snapshot,
    unions: list[tuple[InForce, list[Asset]]],
    governing: Mapping[str, InForce],
    aims: Mapping[str, Aim],
    claims: Mapping[str, Claim],
) -> dict[str, Part]:
    """What each asset takes of any union: within its claim, and no more than the household's schedule (or
    what a SoC that is asked for needs, if that is more) and each instruction's whole value leave it."""
    values_w: dict[str, list[int]] = {asset.id: [] for asset in snapshot.assets}
    unscheduled = set()
    for moment, members in unions:
        kind = moment.step.kind
        for asset in members:
            if kind is not Kind.CAP and governing[asset.id] is not moment:
                continue
            if not kind.only_raises and not moment.instruction.scope.site:
                values_w[asset.id].append(moment.step.power_w)
            if kind in {Kind.SETPOINT, Kind.FLOOR} and not moment.returning:
                unscheduled.add(asset.id)
    for asset in snapshot.assets:
        own_w = scheduled_w(snapshot, asset)
        if own_w is not None and asset.id not in unscheduled:
            enough_w = aims[asset.id].power_w if asset.id in aims else None
            values_w[asset.id].append(max(own_w, enough_w or 0))
    return {a.id: part(a, claims.get(a.id, Claim()), *values_w[a.id]) for a in snapshot.assets}


def _members(snapshot: Snapshot, moment: InForce) -> list[Asset]:
    instruction = moment.instruction
    found = [asset for asset in snapshot.assets if instruction.is_of(asset.id)]
    return [a for a in found if a.id not in instruction.undelayed] if moment.returning else found


def _drawn_by_others_w(snapshot: Snapshot, members: list[Asset]) -> float:
    """What assets draw that are no part of a site's instruction, or no more: load like any other."""
    parts = {asset.id for asset in members}
    others = [a for a in snapshot.assets if a.ability.holds and a.id not in parts]
    states = [snapshot.state(asset.id) for asset in others]
    return sum(max(0.0, state.power_w.value) for state in states if state.power_w)


def _share_out(moment: InForce, members: list[Part], base_w: float | None) -> dict[str, int] | None:
    """Watts asked of each member; None where a site's total cannot be kept."""
    total_w = moment.step.power_w
    if moment.instruction.scope.site:
        if base_w is None:
            return None
        total_w = max(0, int(total_w - base_w))
    if len(members) == 1:
        return {members[0].asset.id: total_w}
    given_w = allocate(total_w, members, in_levels=moment.step.kind is not Kind.FLOOR)
    over_w = sum(given_w.values()) - total_w  # what limits insist on beyond it is taken off each part
    return {id_: max(0, min(watts, watts - over_w)) for id_, watts in given_w.items()}


def _aims(snapshot: Snapshot, governing: Mapping[str, InForce]) -> dict[str, Aim]:
    """What the cars do for the SoC they are asked to have by the end of an interval."""
    assets = {asset.id: asset for asset in snapshot.assets}
    return {
        id_: aim(snapshot, assets[id_], moment.step.soc or 0.0, moment.until_s - snapshot.now_s)
        for id_, moment in governing.items()
        if moment.step.kind is Kind.SOC
    }


def _aimed(moment: InForce, asset: str, found: Aim | None) -> Share:
    if found is None:
        return Share(moment, asset, 0, Reason.SUPERSEDED, governs=False)
    return Share(moment, asset, found.power_w, found.reason, aim=found)


def _share(moment: InForce, asset: str, asked_w: Mapping[str, int] | None, *, governs: bool) -> Share:
    if asked_w is None:
        return Share(moment, asset, None, Reason.METER_STALE if governs else Reason.SUPERSEDED, governs)
    return Share(moment, asset, asked_w[asset], Reason.NONE if governs else Reason.SUPERSEDED, governs)


def allocate(total_w: int, members: Iterable[Part], *, in_levels: bool = True) -> dict[str, int]:
    """`total_w` over `members`: first what limits insist on, then those that want power in the order
    given, then the idle ones.

    A device that cannot be held at what is left takes its next lower level; the others get the rest.
    The sum never exceeds `total_w` unless what limits and devices insist on does.
    """
    ordered = sorted(members, key=lambda member: member.idle)
    left_w = max(0, total_w - sum(member.least_w for member in ordered))
    given_w = {}
    for member in ordered:
        offered_w = member.least_w + left_w
        taken_w = offered_w
        if len(ordered) > 1:
            taken_w = max(member.least_w, _taken_w(member, offered_w, in_levels=in_levels))
        given_w[member.asset.id] = taken_w
        left_w = max(0, offered_w - taken_w)
    return given_w


def part(asset: Asset, claim: Claim, *values_w: int) -> Part:
    """The asset's part within its claim and the values that hold it anyway."""
    most_w = asset.nominal_w if claim.at_most_w is None else claim.at_most_w
    least_w = asset.ability.lowest_w or 0  # the level that limits insist on, or the lowest the device has
    if claim.at_least_w > 0:
        least_w = asset.ability.at_or_above(claim.at_least_w) or asset.nominal_w
    return Part(asset, min(least_w, asset.nominal_w), min(most_w, asset.nominal_w, *values_w), claim.idle)


def _taken_w(member: Part, offered_w: int, *, in_levels: bool) -> int:
    taken_w = min(offered_w, member.most_w)
    if taken_w >= member.asset.nominal_w or not in_levels:
        return taken_w
    return member.asset.ability.at_or_below(taken_w) or 0


def _governing(unions: list[tuple[InForce, list[Asset]]]) -> dict[str, InForce]:
    """Per asset, the setpoint or floor that governs: lowest priority, latest issued, greater id."""
    moving = [union for union in unions if union[0].step.kind is not Kind.CAP]
    moving.sort(key=lambda union: _precedence(union[0]))
    return {asset.id: moment for moment, members in moving for asset in members}


def _precedence(moment: InForce) -> tuple[bool, int, float, str]:
    instruction = moment.instruction
    return (
        not moment.returning,
        -instruction.priority,
        instruction.issued_utc_s,
        instruction.id,
    )
