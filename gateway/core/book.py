"""The book of instructions: what is taken, refused, revised, stopped and forgotten.

Stopping needs neither a trusted clock nor a working disk: a `cancel` or `stopAll` is never refused for its
times, and a shell that cannot journal keeps the book a stop returned, but drops the one a `set` returned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from gateway.core.acceptance import MOST_AHEAD_S, Fault, delay_s, entered, has_begun, malformed, untimely
from gateway.core.eligibility import Home, Refusal, standing_refusal
from gateway.core.life import Book, Draws, Entry, Life, Now, Reception, Report, Status, Watch
from gateway.core.model import Asset, Instruction, Op, Order, Reason
from gateway.core.status import lines, report

MOST_OPEN = 200  # contract, bounds
MOST_MESSAGES, MESSAGES_WITHIN_S = 20, 10.0  # contract, bounds
MOST_REMEMBERED = 2000  # ids; about 2 KB each in memory
REMEMBER_S = 7 * 86_400.0  # after the last moment at which a copy could be accepted


@dataclass(frozen=True, slots=True)
class Received:
    """What a message did. Journal `entries` before `report` and `others` are sent.

    `others` are the statuses of instructions a stopAll ended. `tamper`: the id came with another body.
    """

    book: Book
    report: Report
    others: tuple[Report, ...] = ()
    entries: tuple[Entry, ...] = ()
    tamper: bool = False


@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided without a message. Journal `entries` before `reports` are sent."""

    book: Book
    reports: tuple[Report, ...] = ()
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The book without what need not be remembered, and the ids to drop from the journal."""

    book: Book
    ids: tuple[str, ...] = ()


def receive(book: Book, order: Order, home: Home, draws: Draws, now: Now) -> Received:
    """What becomes of one verified message. `draws` are used only if the id is new."""
    known = book.entry(order.id)
    recent_s = tuple(at_s for at_s in book.arrivals_s if now.now_s - at_s < MESSAGES_WITHIN_S)
    if order.op is Op.SET and len(recent_s) >= MOST_MESSAGES:
        too_many = _busy(f"more than {MOST_MESSAGES} messages in {MESSAGES_WITHIN_S:.0f} s")
        return Received(book, _refused(order, known, too_many))
    book = replace(book, arrivals_s=(*recent_s, now.now_s)[-MOST_MESSAGES:])
    if known and (answer := _answer_to_known(book, known, order)):
        return answer
    fault = malformed(order)
    if fault:
        return Received(book, _refused(order, known, fault))
    if order.op is Op.SET:
        return _set(book, order, known, home, draws, now)
    return _stop(book, order, known, now)


def decide_pending(book: Book, home: Home, now: Now) -> Decided:
    """Judge what was accepted while the clock was not trusted; call it before each decision."""
    reports: list[Report] = []
    entries: list[Entry] = []
    for waiting in [e for e in book.current.values() if e.pending and now.clock_trusted]:
        entry, told = _decided(book, waiting, home, now)
        book = book.with_entry(entry, _watch(book, entry, now))
        reports.append(told)
        entries.append(entry)
    return Decided(book, tuple(reports), tuple(entries))


def open_instructions(book: Book, home: Home) -> tuple[Instruction, ...]:
    """What is to be obeyed at this decision, with what is no longer eligible taken out."""
    assets = {asset.id: asset for asset in home.assets}
    return tuple(
        replace(entry.instruction, ended=_not_obeyed(entry, entry.instruction, assets, home))
        for entry in book.current.values()
        if entry.instruction and entry.is_decided and not entry.let_go
    )


def ineligible(instruction: Instruction, asset: Asset, home: Home) -> Refusal | None:
    """Why an asset that was accepted may not serve under the present configuration."""
    return standing_refusal(asset, instruction, home)


def forget(book: Book, now: Now) -> Forgotten:
    """Drop ids a week after a copy could last be accepted; above the bound, those that cannot be any more."""
    if not now.clock_trusted:
        return Forgotten(book)
    over = len(book.past) - MOST_REMEMBERED // 2
    dropped: list[str] = []
    for entry in sorted(book.past.values(), key=_acceptable_until_utc_s):
        spare_s = 0.0 if len(dropped) < over else REMEMBER_S
        if now.utc_s > _acceptable_until_utc_s(entry) + spare_s:
            dropped.append(entry.id)
    gone = set(dropped)
    past = {id_: entry for id_, entry in book.past.items() if id_ not in gone}
    return Forgotten(replace(book, past=past), tuple(dropped))


# --- what came before ---------------------------------------------------------------------------------


def _answer_to_known(book: Book, known: Entry, order: Order) -> Received | None:
    """The answer to a message whose id is known, unless it is a revision to be judged."""
    revision, digest = known.revision, known.digest
    if known.pending:
        revision, digest = known.pending.revision, known.pending.digest
    if order.revision == revision and order.digest == digest:
        return Received(book, replace(report(known), revision=revision, digest=digest))
    is_tombstone = known.instruction is None and order.op is Op.SET
    if order.revision < revision or is_tombstone:
        return Received(book, _refused(order, known, Fault(Reception.REPLAYED, "older than what is known")))
    if order.revision == revision:
        fault = Fault(Reception.INVALID_CONTENT, "the same id and revision came with another body")
        return Received(book, _refused(order, known, fault), tamper=True)
    if not known.is_open:
        return Received(book, _refused(order, known, Fault(Reception.REPLAYED, "its life has ended")))
    return None


def _refused(order: Order, former: Entry | None, fault: Fault) -> Report:
    """The answer to a message that is not taken; lives that are open are told as they stand."""
    standing = former.told if former and former.is_open else ()
    text = f"revision {order.revision} not taken: {fault.text}"
    targets = tuple(line if line.status.is_end else replace(line, text=text) for line in standing)
    return Report(
        order.id,
        order.revision,
        order.digest,
        fault.reception,
        targets,
        not standing,
        fault.reason,
        fault.text,
    )


def _busy(text: str) -> Fault:
    return Fault(Reception.TEMPORARY_ERROR, text, Reason.STORAGE)


# --- set ----------------------------------------------------------------------------------------------


def _set(book: Book, order: Order, former: Entry | None, home: Home, draws: Draws, now: Now) -> Received:
    outcome: Fault | Entry | None = untimely(order, now) or (None if former else _full(book))
    outcome = outcome or entered(book, order, former, home, former.draws if former else draws, now)
    if isinstance(outcome, Fault):
        return Received(book, _refused(order, former, outcome))
    entry = replace(outcome, told=lines(outcome))
    book = book.with_entry(entry, _watch(book, entry, now))
    answer = replace(report(entry), revision=order.revision, digest=order.digest)
    return Received(book, answer, entries=(entry,))


def _full(book: Book) -> Fault | None:
    if sum(entry.is_open for entry in book.current.values()) >= MOST_OPEN:
        return _busy(f"{MOST_OPEN} instructions are open")
    return _crowded(book)


def _crowded(book: Book) -> Fault | None:
    if len(book.current) + len(book.past) < MOST_REMEMBERED:
        return None
    return _busy(f"{MOST_REMEMBERED} ids are remembered")


def _watch(book: Book, entry: Entry, now: Now) -> Watch:
    """A changed entry's watch: what follows goes on, the end is found anew."""
    was = book.watches.get(entry.id) or Watch(now.now_s, Reason.CLOCK_UNTRUSTED)
    return replace(was, told_s=now.now_s, end_s=was.end_s if entry.pending else math.inf)


def _decided(book: Book, waiting: Entry, home: Home, now: Now) -> tuple[Entry, Report]:
    order = waiting.pending
    assert order is not None
    former = replace(waiting, pending=None)
    outcome = untimely(order, now) or entered(book, order, former, home, former.draws, now)
    if not isinstance(outcome, Fault):
        entry = replace(outcome, told=lines(outcome))
        return entry, report(entry)
    if former.is_decided:
        return former, _refused(order, former, outcome)
    lives = _closed(former, Status.ABORTED, outcome.reason, outcome.text)
    entry = replace(former, lives=lives, let_go=True, reception=outcome.reception)
    entry = replace(entry, told=lines(entry))
    return entry, report(entry)


# --- cancel and stopAll -------------------------------------------------------------------------------


def _stop(book: Book, order: Order, known: Entry | None, now: Now) -> Received:
    """Obey a cancel or stopAll; what it names or overtakes is remembered, so that it cannot come later."""
    if order.op is Op.STOP_ALL:
        ending = [e for e in book.current.values() if e.is_open and e.issued_utc_s <= order.issued_utc_s]
    else:
        ending = [known] if known else []
    stopped = {entry.id: _stopped(entry, order, now) for entry in ending}
    for entry in stopped.values():
        book = book.with_entry(entry, _stopped_watch(book, entry, now))
    own = stopped.pop(order.id, known) or Entry(
        order.id,
        order.revision,
        order.digest,
        order.issued_utc_s,
        order.expires_utc_s,
        let_go=True,
        summarised=True,
    )
    others = tuple(report(entry) for entry in stopped.values())
    if known is None and (fault := _crowded(book)):
        return Received(book, _refused(order, None, fault), others, tuple(stopped.values()))
    own = replace(own, revision=order.revision, digest=order.digest, stops_utc_s=_stops_utc_s(order, now))
    book = book.with_entry(own, book.watches.get(own.id))
    return Received(book, report(own), others, (own, *stopped.values()))


def _stops_utc_s(order: Order, now: Now) -> float | None:
    """A stopAll from a sender whose clock runs ahead may not keep out what is issued rightly later."""
    if order.op is not Op.STOP_ALL:
        return None
    return min(order.issued_utc_s, now.utc_s + MOST_AHEAD_S) if now.clock_trusted else order.issued_utc_s


def _stopped(entry: Entry, order: Order, now: Now) -> Entry:
    text = (
        "cancelled by the aggregator"
        if order.op is Op.CANCEL
        else "stopped by the aggregator with all others"
    )
    lives = _closed(entry, Status.REVOKED, Reason.CANCELLED, text)
    entry = replace(entry, lives=lives, pending=None, let_go=True)
    holds = entry.is_decided and not entry.is_manual
    if entry.instruction and holds and has_begun(entry.instruction, now):
        entry = replace(entry, let_go=False, instruction=_cut(entry, entry.instruction, order, now))
    return replace(entry, told=lines(entry))


def _cut(entry: Entry, instruction: Instruction, order: Order, now: Now) -> Instruction:
    """The instruction with its window ending now, so that the delay of the return begins now."""
    begun = [s for s in instruction.steps if s.start_utc_s + instruction.start_delay_s <= now.utc_s]
    end_utc_s = min(instruction.end_utc_s, now.utc_s)
    return replace(
        instruction,
        revision=order.revision if order.op is Op.CANCEL else instruction.revision,
        steps=(*begun[:-1], replace(begun[-1], end_utc_s=end_utc_s)),
        end_delay_s=instruction.end_delay_s
        if order.end_delay_max_s is None
        else delay_s(entry.draws.end, order.end_delay_max_s),
    )


def _stopped_watch(book: Book, entry: Entry, now: Now) -> Watch:
    return replace(book.watches.get(entry.id) or Watch(now.now_s), told_s=now.now_s, end_s=now.now_s)


# --- the rest -----------------------------------------------------------------------------------------


def _closed(entry: Entry, status: Status, reason: Reason, text: str) -> tuple[Life, ...]:
    """The entry's lives with those still open ended this way."""
    return tuple(
        life if life.status.is_end else replace(life, status=status, reason=reason, text=text)
        for life in entry.lives
    )


def _not_obeyed(
    entry: Entry, instruction: Instruction, assets: dict[str, Asset], home: Home
) -> frozenset[str]:
    aborted = {life.asset for life in entry.lives if life.status is Status.ABORTED}
    return frozenset(
        id_
        for id_ in instruction.scope.assets
        if id_ in aborted or id_ not in assets or ineligible(instruction, assets[id_], home)
    )


def _acceptable_until_utc_s(entry: Entry) -> float:
    return max(entry.expires_utc_s, entry.window_utc_s[1])
