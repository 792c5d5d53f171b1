"""Where dispatch messages are received and instructions live on: wire, book and journal put together.

Order of a message: verify, hand to the writer and to the loop at once (the setpoint may go), commit,
PUBACK, status. No status before the commit. What cannot be journalled is withdrawn and answered
`TEMPORARY_ERROR`; only a stop is obeyed all the same, and its answer says so. Neither is acknowledged for
30 s (8 such messages at most), so that a broker that redelivers may bring it to a disk that works again.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Iterable
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from gateway.core import book as books
from gateway.core import consent, delay
from gateway.core.book import Decided, Received
from gateway.core.eligibility import Home as Rules
from gateway.core.life import Book, Draws, Entry, Now, Proof, Report, Seen, Summary, restored
from gateway.core.model import Instruction, Op, Order, Plan, Reason, Snapshot
from gateway.core.progress import progress
from gateway.daemon import codec, telling
from gateway.daemon.clock import Clock
from gateway.daemon.home import Evidence, Home
from gateway.daemon.inbound import Inbound
from gateway.daemon.records import Records
from gateway.daemon.seldom import Seldom
from gateway.daemon.store import Change, DropEntry, PutEntry, PutEvidence, StorageError
from gateway.daemon.telling import Spent
from gateway.wire import dispatch, status
from gateway.wire.event import EventKind, Severity
from gateway.wire.keys import KeyRing
from gateway.wire.message import Part
from gateway.wire.order import parse_order
from gateway.wire.reception import Reception, Unacceptable
from gateway.wire.signature import opened, unverified_digest

log = structlog.get_logger()

BAD_SIGNATURE_EVERY_S = 10.0  # contract: answers to bad signatures, with a count
UNJOURNALLED_MAX = 8  # messages left unacknowledged while the disk fails; more would stop stops arriving
UNJOURNALLED_S = 30.0  # and for so long: all that arrive later wait behind them for their own PUBACK
RETRY_S = 5.0  # between two tries to save what a failing disk did not take
NEVER_SAVED_MAX = 64  # messages on a failing disk that a later one of the same id came after
HEARD_S = 2.0  # how long a word of the household waits for the disk before it is answered without
UNTOLD_MAX = 256  # statuses that wait for such a disk; the oldest go first
SAVE_COUNTS_EVERY_S = 60.0  # seconds counted for a running instruction, between its statuses
FORGET_EVERY_S = 3600.0


class Energies(Protocol):
    """What assets draw over the windows of instructions, for their summaries."""

    def track(self, instructions: tuple[Instruction, ...], utc_s: float) -> None:
        """Note what the registers say at the edges of these windows."""

    def spent(self, instruction: str, asset: str) -> Spent:
        """What an asset drew over an instruction's window. Asked once, then forgotten."""


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A message that was received and is not with the writer yet."""

    inbound: Inbound
    order: Order
    received: Received
    before: Book


class Desk:
    """The book, and its way to and from wire and disk."""

    def __init__(
        self,
        home: Home,
        rules: Callable[[], Rules],
        keys: Callable[[], KeyRing],
        records: Records,
        clock: Clock,
        energies: Energies,
        entries: Iterable[Entry],
    ) -> None:
        self.book: Book = restored(entries)
        self.act: Callable[[], object] = lambda: None  # the loop's turn
        self.acknowledge: Callable[[Inbound], None] = lambda _inbound: None
        self._home = home
        self._rules = rules
        self._keys = keys
        self._records = records
        self._clock = clock
        self._energies = energies
        self._random = random.SystemRandom()
        self._bad_signatures = Seldom(BAD_SIGNATURE_EVERY_S)
        self._unjournalled: deque[tuple[float, Inbound]] = deque()  # since when
        self._never_saved: dict[tuple[str, int], Entry | None] = {}  # id, revision: what came before it
        self._unsaved: set[str] = set()  # ids that a failing disk did not take, and what was to be told
        self._untold: list[Part] = []
        self._saved_s = clock.monotonic_s()
        self._forgot_s = clock.monotonic_s()
        self._arrivals: list[_Arrival] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def runs_instruction(self) -> bool:
        """Whether an instruction is open and decided: its rows are wanted at once."""
        return any(entry.is_open and entry.is_decided for entry in self.book.current.values())

    # --- messages ---------------------------------------------------------------------------------------

    def message(self, inbound: Inbound) -> None:
        """Take one message of the topic `dispatch`."""
        try:
            order = self._opened(inbound)
        except Unacceptable as refusal:
            self._refuse(inbound, refusal)
            return
        draws = Draws(self._random.random(), self._random.random())
        before = self.book
        received = books.receive(before, order, self._rules(), draws, self._now())
        self.book = received.book
        self._arrivals.append(_Arrival(inbound, order, received, before))
        if received.entries:
            self.act()
        # A device's task runs first: what the journal needs is made while the setpoint is on its way.
        asyncio.get_running_loop().call_soon(self._journal_arrivals)

    def _journal_arrivals(self) -> None:
        """Hand what has been received to the writer, before anything that came of it."""
        arrivals, self._arrivals = self._arrivals, []
        for arrival in arrivals:
            received = arrival.received
            reports = (received.report, *received.others)
            bodies: list[Part] = [telling.status(report, self._records.mark()) for report in reports]
            saving = self._records.statuses(bodies, [_put(entry) for entry in received.entries])
            if received.tamper:
                text = f"{arrival.order.id} came again with another body"
                self._records.event(EventKind.TAMPER, text, Severity.ALARM)
            self._background(
                self._settle(arrival.inbound, arrival.order, received, arrival.before, saving, bodies)
            )

    def _opened(self, inbound: Inbound) -> Order:
        if inbound.retain:
            raise Unacceptable(Reception.INVALID_MESSAGE, "a retained dispatch is never obeyed")
        body = opened(
            inbound.payload,
            self._keys(),
            schema=dispatch.SCHEMA,
            role="dispatch",
            utc_s=self._clock.utc_s() if self._clock.trusted else None,
            signatures_required=self._home.config.security.require_signatures,
            max_bytes=dispatch.DISPATCH_MAX_BYTES,
        )
        return parse_order(body, self._home.config.site.id)

    async def _settle(
        self,
        inbound: Inbound,
        order: Order,
        received: Received,
        before: Book,
        saving: asyncio.Task[None],
        bodies: list[Part],
    ) -> None:
        try:
            await saving
        except StorageError as error:
            log.error("instruction not journalled", id=order.id, error=str(error))
            if order.op is not Op.SET:
                self._keep([entry.id for entry in received.entries], bodies)
                for body in bodies:  # what was done; told again with a number when the disk takes it
                    self._records.answer_unjournalled(body)
            else:
                if received.entries:
                    self._withdraw(order, before)
                self._records.answer_unjournalled(self._not_journalled(order, str(error)))
            self._unjournalled.append((self._clock.monotonic_s(), inbound))
            self._acknowledge_unjournalled()
        else:
            self.acknowledge(inbound)

    def _not_journalled(self, order: Order, why: str) -> status.Status:
        return status.Status(
            **self._records.mark(),
            id=order.id,
            revision=order.revision,
            digest=order.digest,
            reception=Reception.TEMPORARY_ERROR,
            reason=Reason.STORAGE,
            text=f"the journal cannot be written: {why}",
        )

    def _withdraw(self, order: Order, before: Book) -> None:
        """Put one id back to what the journal has of it, unless a later message has changed it since."""
        former = before.entry(order.id)
        if former and (former.id, former.revision) in self._never_saved:
            former = self._never_saved.pop((former.id, former.revision))
        present = self.book.entry(order.id)
        if present and (present.revision, present.digest) != (order.revision, order.digest):
            self._never_saved[order.id, order.revision] = former
            while len(self._never_saved) > NEVER_SAVED_MAX:
                self._never_saved.pop(next(iter(self._never_saved)))
            return
        if former and present and former != (kept := consent.with_word(former, present)):
            former = kept
            self._unsaved.add(former.id)
        self.book = _with_former(self.book, former, before, order.id)
        self.act()

    def _acknowledge_unjournalled(self, *, all_of_them: bool = False) -> None:
        """Let go of those that were withheld for long enough, or are too many, or all."""
        before_s = self._clock.monotonic_s() - (0.0 if all_of_them else UNJOURNALLED_S)
        held = self._unjournalled
        while held and (len(held) > UNJOURNALLED_MAX or held[0][0] <= before_s):
            self.acknowledge(held.popleft()[1])

    def _refuse(self, inbound: Inbound, refusal: Unacceptable) -> None:
        """Answer what is not obeyed; what nobody trusted has sent once in a while, with a count."""
        count = None
        nameless = refusal.reception is Reception.INVALID_MESSAGE and refusal.id is None
        if nameless or refusal.reception is Reception.INVALID_SIGNATURE:
            count = self._bad_signatures.count(self._clock.monotonic_s())
            if count is None:
                self.acknowledge(inbound)
                return
            self._records.event(
                EventKind.SECURITY,
                f"dispatch refused: {refusal.text}",
                Severity.WARNING,
                count=count,
            )
        answer = status.Status(
            **self._records.mark(),
            id=refusal.id,
            revision=refusal.revision,
            digest=unverified_digest(inbound.payload),
            reception=refusal.reception,
            reason=refusal.reason if refusal.reason is not Reason.NONE else None,
            text=refusal.text,
            count=count,
        )
        saving = self._records.statuses([answer], [])
        self._background(self._acknowledge_after(saving, inbound))

    async def _acknowledge_after(self, saving: asyncio.Task[None], inbound: Inbound) -> None:
        try:
            await saving
        except StorageError as error:
            log.error("refusal not journalled", error=str(error))
        self.acknowledge(inbound)

    # --- the household's word ---------------------------------------------------------------------------

    async def opt_out(self, id_: str, assets: Collection[str]) -> bool:
        """End the part of assets in an instruction, at once; whether the disk has it."""
        entry = self.book.entry(id_)
        done = "declined" if entry and entry.is_manual else "opted out of"
        text = f"{done} instruction {id_} by the household"
        for asset in assets:
            self._tell_word(text, id_, asset)
        return await self._heard(consent.opt_out(self.book, id_, assets, self._now()))

    async def agree(self, id_: str) -> bool:
        """The household does by hand what an instruction asks; whether the disk has it."""
        return await self._heard(consent.agree(self.book, id_))

    async def skip_delay(self, ids: Collection[str]) -> bool:
        """Skip what is left of the random delays of instructions, at once; whether the disk has it."""
        decided = delay.skip(self.book, ids, self._now())
        for entry in decided.entries:
            of = "start" if entry.is_open else "return"
            self._tell_word(f"random delay of the {of} of {entry.id} skipped by the household", entry.id)
        return await self._heard(decided)

    def running_delay(self, id_: str) -> delay.Delay | None:
        """The random delay of an instruction that runs now."""
        entry = self.book.entry(id_)
        return delay.running(entry, self.book.watches.get(id_), self._now()) if entry else None

    def _tell_word(self, text: str, id_: str, asset: str | None = None) -> None:
        reason = Reason.USER_OVERRIDE
        self._records.event(EventKind.OVERRIDE, text, asset=asset, dispatch_ids=(id_,), reason=reason)

    async def _heard(self, decided: Decided) -> bool:
        """Carry out what the household said, and wait a little for the disk; whether that has it."""
        self._journal_arrivals()  # what came before may not be saved after
        self.book = decided.book
        self.act()
        ids = [entry.id for entry in decided.entries]
        if saving := self._save(decided.entries, decided.reports, ()):
            await asyncio.wait([saving], timeout=HEARD_S)
            return saving.done() and self._unsaved.isdisjoint(ids)
        return True

    # --- what the loop calls ----------------------------------------------------------------------------

    def open_instructions(self) -> tuple[Instruction, ...]:
        """Those that `decide` is to obey; first those that waited for a clock are judged."""
        if self._clock.trusted and any(entry.pending for entry in self.book.current.values()):
            decided = books.decide_pending(self.book, self._rules(), self._now())
            self.book = decided.book
            self._save(decided.entries, decided.reports, ())
        return books.open_instructions(self.book, self._rules())

    def progressed(self, snapshot: Snapshot, plan: Plan) -> None:
        """Let instructions live on with what was decided and what is seen."""
        self._journal_arrivals()
        if self.book.current:
            seen = self._seen(snapshot, plan)
            result = progress(self.book, plan, seen, self._rules(), self._now(), snapshot.boundary_w)
            self.book = result.book
            self._energies.track(snapshot.instructions, snapshot.utc_s)
            self._save(result.entries, result.reports, result.summaries)
        self._housekeep()

    def _seen(self, snapshot: Snapshot, plan: Plan) -> dict[str, Seen]:
        return {
            asset.id: _seen_of(snapshot, asset.id, plan, self._home.evidence.get(asset.control or ""))
            for asset in snapshot.assets
        }

    def _housekeep(self) -> None:
        now_s = self._clock.monotonic_s()
        self._acknowledge_unjournalled()
        behind = bool(self._unsaved or self._untold)
        if now_s - self._saved_s >= (RETRY_S if behind else SAVE_COUNTS_EVERY_S):
            self._saved_s = now_s
            running = {e.id for e in self.book.current.values() if e.is_open and e.is_decided}
            ids, bodies = self._unsaved | running, self._untold
            self._unsaved, self._untold = set(), []
            self._submit(ids, bodies)
        if now_s - self._forgot_s >= FORGET_EVERY_S:
            self._forgot_s = now_s
            forgotten = books.forget(self.book, self._now())
            self.book = forgotten.book
            self._submit(forgotten.ids, [])

    def _save(
        self, entries: Iterable[Entry], reports: Iterable[Report], summaries: Iterable[Summary]
    ) -> asyncio.Task[None] | None:
        bodies: list[Part] = [telling.status(report, self._records.mark()) for report in reports]
        bodies += [self._told(summary) for summary in summaries]
        return self._submit([entry.id for entry in entries], bodies)

    def _submit(self, ids: Iterable[str], bodies: list[Part]) -> asyncio.Task[None] | None:
        """Save these entries as the book has them now, and with them what is to be told."""
        known = {id_: self.book.entry(id_) for id_ in ids}
        changes: list[Change] = [_put(entry) if entry else DropEntry(id_) for id_, entry in known.items()]
        changes += [_kept(entry) for entry in known.values() if entry and entry.summarised and entry.lives]
        if not changes and not bodies:
            return None
        return self._background(self._saved(self._records.statuses(bodies, changes), known, bodies))

    async def _saved(self, saving: asyncio.Task[None], ids: Iterable[str], bodies: list[Part]) -> None:
        try:
            await saving
        except StorageError as error:
            log.error("status not journalled", error=str(error))
            self._keep(ids, bodies)
        else:
            self._acknowledge_unjournalled(all_of_them=not self._unsaved)

    def _keep(self, ids: Iterable[str], bodies: list[Part]) -> None:
        """What the disk did not take is tried again soon."""
        self._unsaved |= set(ids)
        self._untold = [*self._untold, *bodies][-UNTOLD_MAX:]

    def _now(self) -> Now:
        return Now(self._clock.monotonic_s(), self._clock.utc_s(), self._clock.trusted)

    def _background(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name="desk")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _told(self, summary: Summary) -> status.Summary:
        energies = {a.asset: self._energies.spent(summary.id, a.asset) for a in summary.assets}
        return telling.summary(summary, energies, self._records.mark())


def _put(entry: Entry) -> PutEntry:
    return PutEntry(entry.id, codec.encode("entry", entry))


def _kept(entry: Entry) -> PutEvidence:
    """What is told of it outlives what is remembered against replays."""
    ended_utc_s = entry.window_utc_s[1] if entry.ended_utc_s is None else entry.ended_utc_s
    return PutEvidence(entry.id, ended_utc_s, codec.pack([codec.encode("entry", entry)]))


def _with_former(book: Book, former: Entry | None, before: Book, id_: str) -> Book:
    """The book with one id as it was before messages that could not be journalled."""
    if former:
        return book.with_entry(former, before.watches.get(id_))
    return replace(
        book,
        current={key: e for key, e in book.current.items() if key != id_},
        past={key: e for key, e in book.past.items() if key != id_},
    )


def _seen_of(snapshot: Snapshot, asset: str, plan: Plan, evidence: Evidence | None) -> Seen:
    """What is seen of an asset; a proof counts only for the setpoint now wanted."""
    state, setpoint = snapshot.state(asset), plan.setpoint(asset)
    if not evidence or not setpoint or not evidence.is_of(setpoint.at_most_w, raised=setpoint.raised):
        return Seen(power=state.power_w, online=state.online)
    return Seen(
        power=state.power_w,
        proof=Proof(evidence.proof) if evidence.proof else None,
        set_since_s=evidence.since_s,
        at_most_w=evidence.at_most_w,
        raised=evidence.raised,
        online=state.online,
        refused=evidence.proof is None,
    )
