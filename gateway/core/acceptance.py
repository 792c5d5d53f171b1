"""Accepting an order: judged against the clock, the home, and what was accepted before; then an `Entry`."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

from gateway.core import simple
from gateway.core.eligibility import Home, Refusal, exclusion, refusal, short_notice
from gateway.core.life import (
    UNANSWERED,
    Book,
    Draws,
    Entry,
    Life,
    Now,
    Reception,
    Status,
    Target,
    begin_utc_s,
)
from gateway.core.model import Ask, Asset, Instruction, Kind, Op, Order, Reason, Scope, Step, Vector

MOST_AHEAD_S = 120.0  # contract: `issuedAt` ahead of a trusted clock
FARTHEST_S = 35 * 86_400.0  # contract: start ahead of now
LONGEST_DELAY_S = 1800  # contract: PT30M


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a message as a whole is not taken; the former revision, if any, stays in force."""

    reception: Reception
    text: str
    reason: Reason = Reason.NONE


def malformed(order: Order) -> Fault | None:
    """What the wire's schema has ruled out already; here so that no order whatever can break the core."""
    times = [order.issued_utc_s, order.expires_utc_s]
    times += [x for ask in order.asks for x in (ask.start_utc_s, ask.end_utc_s, ask.value)]
    sound = all(math.isfinite(x) for x in times)
    if order.op is Op.SET:
        sound = sound and bool(order.asks and order.targets)
        sound = sound and all(ask.start_utc_s < ask.end_utc_s for ask in order.asks)
        sound = sound and all(a.end_utc_s == b.start_utc_s for a, b in pairwise(order.asks))
    return None if sound else Fault(Reception.INVALID_CONTENT, "intervals must be finite and back to back")


def untimely(order: Order, now: Now) -> Fault | None:
    """Why the order's times forbid it; a clock that is not trusted cannot tell."""
    if not now.clock_trusted:
        return None
    ahead_s = order.issued_utc_s - now.utc_s
    if ahead_s > MOST_AHEAD_S:
        text = f"issued {ahead_s:.0f} s ahead of this home's clock"
        return Fault(Reception.TEMPORARY_ERROR, text, Reason.CLOCK_UNTRUSTED)
    if now.utc_s > order.expires_utc_s:
        return Fault(Reception.EXPIRED, "it could be accepted no longer", Reason.EXPIRED)
    if now.utc_s >= order.asks[-1].end_utc_s:
        return Fault(Reception.EXPIRED, "its whole window is past", Reason.EXPIRED)
    if order.asks[0].start_utc_s - now.utc_s > FARTHEST_S:
        return Fault(Reception.INVALID_CONTENT, "starts more than 35 days ahead")
    return None


def entered(
    book: Book, order: Order, former: Entry | None, home: Home, draws: Draws, now: Now
) -> Entry | Fault:
    """The entry with this order in it, or why a revision may not take the former's place.

    Without a trusted clock the order waits, `pending`: alone, or beside the revision in force.
    """
    targets = tuple(Target(name, _resolved(name, home)) for name in order.targets)
    union = [asset for asset in home.assets if any(asset.id in target.assets for target in targets)]
    refusals = _refusals(book, order, union, former, home, now)
    lives = _lives(order, [asset.id for asset in union], former, refusals, now)
    in_force = former if former and former.is_decided else None
    if in_force and (fault := _unfit(in_force, lives, refusals)):
        return fault
    if in_force and not now.clock_trusted:
        return replace(in_force, pending=order)
    open_ids = tuple(life.asset for life in lives if not life.status.is_end)
    accepted_utc_s = in_force.accepted_utc_s if in_force else now.utc_s
    return Entry(
        order.id,
        order.revision,
        order.digest,
        order.issued_utc_s,
        order.expires_utc_s,
        instruction=_instruction(order, in_force, open_ids, home, draws, now),
        pending=None if now.clock_trusted or not open_ids else order,
        service_ref=order.service_ref,
        window_utc_s=(order.asks[0].start_utc_s, order.asks[-1].end_utc_s),
        accepted_utc_s=accepted_utc_s if now.clock_trusted else None,
        draws=draws,
        targets=targets,
        lives=lives,
        let_go=not open_ids,
        summarised=not (open_ids or former),  # what was rejected at once has nothing to sum up
    )


def _refusals(
    book: Book, order: Order, union: list[Asset], former: Entry | None, home: Home, now: Now
) -> dict[str, Refusal]:
    others = [
        replace(e.instruction, ended=frozenset(life.asset for life in e.lives if life.status.is_end))
        for e in book.current.values()
        if e.is_open and e.instruction and e.id != order.id
    ]
    return {
        asset.id: why
        for asset in union
        if (why := _stopped_before(book, order))
        or (why := refusal(order, asset, home))
        or (why := exclusion(order, asset, others, home))
        or (why := _unannounced(order, asset, former, home, now))
    }


def _resolved(target: str, home: Home) -> tuple[str, ...]:
    kind, _, name = target.partition(":")
    return tuple(
        asset.id
        for asset in home.assets
        if target == "site" or (kind, name) in {("class", asset.asset_class), ("asset", asset.id)}
    )


def _stopped_before(book: Book, order: Order) -> Refusal | None:
    """A stopAll that overtook the order: it ends all that was issued till then, also what comes later."""
    entries = (*book.past.values(), *book.current.values())
    stops = (entry.stops_utc_s for entry in entries if entry.stops_utc_s is not None)
    if order.issued_utc_s > max(stops, default=-math.inf):
        return None
    return Refusal(Reason.CANCELLED, "issued before a stopAll that is already obeyed")


def _unannounced(order: Order, asset: Asset, former: Entry | None, home: Home, now: Now) -> Refusal | None:
    """Notice counts from when the household could first see it; a revision takes none of it away."""
    if not now.clock_trusted:
        return None
    since_utc_s = former.accepted_utc_s if former and former.life(asset.id) else None
    return short_notice(order, asset, now.utc_s if since_utc_s is None else since_utc_s, home)


def _lives(
    order: Order, union: list[str], former: Entry | None, refusals: dict[str, Refusal], now: Now
) -> tuple[Life, ...]:
    """The lives under the order: those that have ended stay, those that go on keep their past."""
    text = f"revision {order.revision} no longer names it"
    dropped = [
        life
        if life.status.is_end
        else replace(life, status=Status.REVOKED, reason=Reason.CANCELLED, text=text)
        for life in (former.lives if former else ())
        if life.asset not in union
    ]
    lives = [_life(id_, former, refusals.get(id_), now) for id_ in union]
    if order.vector is Vector.MANUAL and now.clock_trusted:
        lives = [life if life.status.is_end else _asked(life) for life in lives]
    return (*lives, *dropped)


def _asked(life: Life) -> Life:
    """What a hand is asked for, also anew by a revision."""
    return replace(life, extent=None, evidence=None, reason=Reason.MANUAL, text=UNANSWERED)


def _life(asset: str, former: Entry | None, why: Refusal | None, now: Now) -> Life:
    old = former.life(asset) if former else None
    if old and old.status.is_end:
        return old
    if why:  # REJECTED is only ever a first answer
        return Life(asset, Status.ABORTED if old else Status.REJECTED, reason=why.reason, text=why.text)
    if old and former and former.is_decided:
        return old
    if now.clock_trusted:
        return Life(asset, joined_utc_s=now.utc_s)
    return Life(asset, reason=Reason.CLOCK_UNTRUSTED, text="waits until this home's clock is trusted")


def _unfit(in_force: Entry, lives: tuple[Life, ...], refusals: dict[str, Refusal]) -> Fault | None:
    """A revision that fails any check leaves the former in force."""
    for life in in_force.lives:
        if not life.status.is_end and (why := refusals.get(life.asset)):
            return Fault(Reception.INVALID_CONTENT, why.text, why.reason)
    if all(life.status.is_end for life in lives):
        return Fault(
            Reception.INVALID_CONTENT, "it leaves no asset that could take it", Reason.UNKNOWN_TARGET
        )
    return None


def _instruction(
    order: Order, in_force: Entry | None, assets: tuple[str, ...], home: Home, draws: Draws, now: Now
) -> Instruction:
    start_most_s, end_most_s = order.start_delay_max_s, order.end_delay_max_s
    if start_most_s is None:
        start_most_s = home.default_start_delay_s if order.service_class == "routine" else 0
    if end_most_s is None:
        end_most_s = home.default_end_delay_s
    if order.vector is Vector.MANUAL:
        start_most_s = end_most_s = 0  # hands are not staggered
    takers = [asset for asset in home.assets if asset.id in assets]
    steps = _steps(order, takers, home, _starts_no_earlier_than(in_force, now))
    undelayed = home.delays_itself.intersection(assets)
    if undelayed.issuperset(assets):
        end_most_s = 0
        if not any(step.kind is Kind.CAP for step in steps):
            start_most_s = 0  # it may begin to charge
    start_delay_s = delay_s(draws.start, start_most_s)
    if runs := _running(in_force, steps, now):
        start_delay_s = runs.start_delay_s
    return Instruction(
        order.id,
        order.revision,
        order.service,
        order.service_class,
        order.priority,
        order.issued_utc_s,
        Scope(order.targets, assets, "site" in order.targets),
        steps,
        start_delay_s,
        delay_s(draws.end, end_most_s),
        vector=order.vector,
        undelayed=undelayed,
    )


def _starts_no_earlier_than(in_force: Entry | None, now: Now) -> float:
    """A start in the past means now; but what runs is not sent back to wait for its delay again."""
    if not now.clock_trusted:
        return -math.inf
    if in_force and in_force.instruction and has_begun(in_force.instruction, now):
        return in_force.instruction.start_utc_s
    return now.utc_s


def _running(in_force: Entry | None, steps: tuple[Step, ...], now: Now) -> Instruction | None:
    """What has begun and goes on from its start under these steps: the delay it had is past."""
    was = in_force.instruction if in_force else None
    return was if was and has_begun(was, now) and steps[0].start_utc_s == was.start_utc_s else None


def _steps(order: Order, takers: list[Asset], home: Home, from_utc_s: float) -> tuple[Step, ...]:
    whose = simple.names(order, takers)
    return tuple(
        replace(_step(ask, whose, home), start_utc_s=max(ask.start_utc_s, from_utc_s))
        for ask in order.asks
        if ask.end_utc_s > from_utc_s
    )


def _step(ask: Ask, whose: tuple[str, ...], home: Home) -> Step:
    if ask.kind is Kind.SOC:
        return Step(ask.start_utc_s, ask.end_utc_s, Kind.SOC, 0, soc=ask.value)
    if ask.kind is not Kind.SIMPLE:
        return Step(ask.start_utc_s, ask.end_utc_s, ask.kind, round(ask.value))
    level = simple.level_of(ask)
    power_w = simple.cap_w(home.simple_w, whose, level)
    return Step(ask.start_utc_s, ask.end_utc_s, Kind.CAP, power_w or 0, level=level)


def has_begun(instruction: Instruction, now: Now) -> bool:
    """Whether a trusted clock says that its delayed start has passed."""
    return now.clock_trusted and begin_utc_s(instruction) <= now.utc_s


def delay_s(draw: float, most_s: int) -> int:
    """The delay a draw in [0, 1) means where it may be 0..`most_s` whole seconds."""
    most_s = min(max(0, most_s), LONGEST_DELAY_S)
    return min(most_s, math.floor(min(max(0.0, draw), 1.0) * (most_s + 1)))
