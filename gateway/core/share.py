"""What the household's schedule and the instructions want of each asset, before any limit.

Per asset: the bound is the tightest of all caps in force, the wish is that of the governing setpoint
or floor, else the household's schedule. A value is the total of its union, shared out over its assets.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from gateway.core.model import Asset, Instruction, Kind, Reason, Snapshot, Step, Vector
from gateway.core.reckoning import reckoned_w


@dataclass(frozen=True, slots=True)
class InForce:
    """An instruction at this moment: the step that holds, and whether it only delays a return."""

    instruction: Instruction
    step: Step
    returning: bool
    until_s: float  # monotonic: when the step may change


@dataclass(frozen=True, slots=True)
class Claim:
    """What local rules say of an asset's part: not less than `at_least_w`, not more than `at_most_w`; an
    idle one takes what the others leave."""

    at_least_w: int = 0
    at_most_w: int | None = None
    idle: bool = False


@dataclass(frozen=True, slots=True)
class Share:
    """One asset's part of one instruction. `asked_w` None: it cannot be said (`reason` tells why)."""

    in_force: InForce
    asset: str
    asked_w: int | None
    reason: Reason = Reason.NONE
    governs: bool = True


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of one asset: at most the tightest cap or the governing setpoint (W). A floor only
    stands in the schedule's place: nothing here can make a device draw."""

    at_most_w: int | None = None
    by: Share | None = None  # whose `at_most_w` it is; None with a value: the household's schedule


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


def site_value_w(active: Iterable[InForce]) -> int | None:
    """The tightest value in force for the site as a whole."""
    values = (moment.step.power_w for moment in active if moment.instruction.scope.site)
    return min(values, default=None)


def shares(snapshot: Snapshot, active: tuple[InForce, ...], claims: Mapping[str, Claim]) -> tuple[Share, ...]:
    """Each active instruction shared out over its assets, with the one that governs marked.

    What local limits insist on comes off the top of a union's value; what an asset cannot take of it, for
    the household or another instruction holds it lower, is the others'.
    """
    unions = [(moment, _members(snapshot, moment)) for moment in active]
    claims = _claims_with_wishes(snapshot, unions, claims)
    base_w = reckoned_w(snapshot, site_value_w(active))
    found = [share for moment, members in unions for share in _share_out(moment, members, claims, base_w)]
    governing = _governing(found)
    return tuple(
        share
        if share.in_force.step.kind is Kind.CAP or governing[share.asset] is share
        else replace(share, reason=Reason.SUPERSEDED, governs=False)
        for share in found
    )


def by_asset(all_shares: Iterable[Share]) -> dict[str, list[Share]]:
    """The shares of each asset that has any."""
    found: dict[str, list[Share]] = {}
    for share in all_shares:
        found.setdefault(share.asset, []).append(share)
    return found


def wish(snapshot: Snapshot, asset: Asset, own_shares: Iterable[Share]) -> Wish:
    """What is wanted of `asset`, its shares of instructions and the household's schedule taken together."""
    mine = [s for s in own_shares if s.governs and s.asked_w is not None]
    scheduled = snapshot.limit(asset.id).schedule.at(snapshot.utc_s) if snapshot.clock_trusted else None
    at_most_w = int(scheduled) if scheduled is not None else None
    if any(s.in_force.step.kind is not Kind.CAP and not s.in_force.returning for s in mine):
        at_most_w = None  # a setpoint or floor stands in the schedule's place
    result = Wish(at_most_w)
    for share in mine:
        if share.in_force.step.kind is not Kind.FLOOR and _is_tighter(asset, share, result):
            result = Wish(share.asked_w, share)
    return result


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
    return len(share.in_force.instruction.scope.assets) == 1


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
        if last.kind is Kind.FLOOR:
            return None
        return InForce(instruction, last, returning=True, until_s=snapshot.now_s + returning_s)
    begun = [
        step
        for index, step in enumerate(instruction.steps)
        if step.start_utc_s + instruction.start_delay_s <= snapshot.utc_s or index == 0
    ]
    following = instruction.steps[len(begun) :][:1]
    edge_s = min(
        (s.start_utc_s + instruction.start_delay_s - snapshot.utc_s for s in following), default=left_s
    )
    return InForce(instruction, begun[-1], returning=False, until_s=snapshot.now_s + min(left_s, edge_s))


def _claims_with_wishes(
    snapshot: Snapshot, unions: list[tuple[InForce, list[Asset]]], claims: Mapping[str, Claim]
) -> dict[str, Claim]:
    """The claims, none above what the household's schedule and each instruction's whole value leave."""
    whole = [
        Share(moment, asset.id, asset.nominal_w if moment.instruction.scope.site else moment.step.power_w)
        for moment, members in unions
        for asset in members
    ]
    governing = _governing(whole)
    obeyed = by_asset(s for s in whole if s.in_force.step.kind is Kind.CAP or governing[s.asset] is s)
    found = {}
    for asset in snapshot.assets:
        claim = claims.get(asset.id, Claim())
        most_w = wish(snapshot, asset, obeyed.get(asset.id, ())).at_most_w
        if most_w is not None and (claim.at_most_w is None or most_w < claim.at_most_w):
            claim = replace(claim, at_most_w=most_w)
        found[asset.id] = claim
    return found


def _members(snapshot: Snapshot, moment: InForce) -> list[Asset]:
    instruction = moment.instruction
    return [a for a in snapshot.assets if a.id in instruction.scope.assets and a.id not in instruction.ended]


def _share_out(
    moment: InForce, members: list[Asset], claims: Mapping[str, Claim], base_w: float | None
) -> list[Share]:
    total_w: float = moment.step.power_w
    if moment.instruction.scope.site:
        if base_w is None:
            return [Share(moment, asset.id, None, Reason.METER_STALE) for asset in members]
        total_w -= base_w
    total_w = max(0, int(total_w))
    given_w = allocate(total_w, members, claims, in_levels=moment.step.kind is not Kind.FLOOR)
    over_w = sum(given_w.values()) - total_w  # what limits insist on beyond it is taken off each part
    parts_w = {id_: max(0, min(watts, watts - over_w)) for id_, watts in given_w.items()}
    return [Share(moment, asset.id, parts_w[asset.id]) for asset in members]


def allocate(
    total_w: int, members: list[Asset], claims: Mapping[str, Claim], *, in_levels: bool = True
) -> dict[str, int]:
    """`total_w` over `members`: first what limits insist on, then those that want power in the order
    configured, then the idle ones.

    A device that cannot be held at what is left takes its next lower level; the others get the rest.
    The sum never exceeds `total_w` unless what limits and devices insist on does.
    """
    claimed = {asset.id: claims.get(asset.id, Claim()) for asset in members}
    least_w = {asset.id: _least_w(asset, claimed[asset.id]) for asset in members}
    left_w = max(0, total_w - sum(least_w.values()))
    given = {}
    for asset in sorted(members, key=lambda asset: claimed[asset.id].idle):
        offered_w = least_w[asset.id] + left_w
        given[asset.id] = offered_w
        if len(members) > 1:
            taken_w = _taken_w(asset, claimed[asset.id], offered_w, in_levels=in_levels)
            given[asset.id] = max(least_w[asset.id], taken_w)
        left_w = max(0, offered_w - given[asset.id])
    return given


def _least_w(asset: Asset, claim: Claim) -> int:
    """What it draws at the least: the level that limits insist on, or the lowest the device has."""
    level_w = asset.ability.lowest_w or 0
    if claim.at_least_w > 0:
        level_w = asset.ability.at_or_above(claim.at_least_w) or asset.nominal_w
    return min(level_w, asset.nominal_w)


def _taken_w(asset: Asset, claim: Claim, offered_w: int, *, in_levels: bool) -> int:
    most_w = asset.nominal_w if claim.at_most_w is None else min(asset.nominal_w, claim.at_most_w)
    taken_w = min(offered_w, most_w)
    if taken_w >= asset.nominal_w or not in_levels:
        return taken_w
    return asset.ability.at_or_below(taken_w) or 0


def _governing(found: list[Share]) -> dict[str, Share]:
    """Per asset, the setpoint or floor that governs: lowest priority, latest issued, greater id."""
    best: dict[str, Share] = {}
    for share in found:
        if share.in_force.step.kind is Kind.CAP:
            continue
        held = best.get(share.asset)
        if held is None or _precedence(share) > _precedence(held):
            best[share.asset] = share
    return best


def _precedence(share: Share) -> tuple[bool, int, float, str]:
    instruction = share.in_force.instruction
    return (
        not share.in_force.returning,
        -instruction.priority,
        instruction.issued_utc_s,
        instruction.id,
    )
