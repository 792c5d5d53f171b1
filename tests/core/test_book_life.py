"""Any course of messages, time, clock trust, limits and restarts, against a model of what may be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, get_args, get_origin, get_type_hints

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.core import consent, delay
from gateway.core.book import Received, decide_pending, forget, open_instructions, receive
from gateway.core.life import Book, Draws, Entry, Now, Proof, Reception, Report, Seen, Status, restored
from gateway.core.model import Extent, Given, Kind, Op, Order, Plan, Reading, Reason, Vector
from gateway.core.progress import progress
from tests.core.dispatching import HOME, MONO, UTC, order

ENDS = {Status.REJECTED, Status.SUCCEEDED, Status.ABORTED, Status.REVOKED}
IDS = tuple("abcdefgh")


def plain(value: Any) -> Any:
    """A record as a store would keep it: numbers, texts, lists and maps only."""
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple | frozenset):
        return [plain(v) for v in value]
    return value


def rebuilt(kind: Any, value: Any) -> Any:
    """The inverse of `plain`, from the types alone."""
    if get_origin(kind) in (tuple, frozenset):
        inner = [a for a in get_args(kind) if a is not Ellipsis]
        kinds = inner if len(inner) == len(value) and len(inner) > 1 else [inner[0]] * len(value)
        return get_origin(kind)(rebuilt(k, v) for k, v in zip(kinds, value, strict=True))
    options = [a for a in get_args(kind) if a is not type(None)]
    if options:
        return None if value is None else rebuilt(options[0], value)
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{f.name: rebuilt(hints[f.name], value[f.name]) for f in fields(kind)})  # type: ignore[operator]
    return kind(value) if isinstance(kind, type) and issubclass(kind, Enum) else value


class Life(RuleBasedStateMachine):
    """Drives the book as the shell does; the model is what has been told and what was asked."""

    @initialize(trusted=st.sampled_from([True, True, False]))
    def begin(self, trusted: bool) -> None:
        self.book = Book()
        self.mono_s, self.utc_s, self.trusted = MONO, UTC, trusted
        self.power_w, self.limited, self.online = 0.0, False, True
        self.ends: dict[tuple[str, str], Status] = {}
        self.windows: dict[str, list[tuple[float, float]]] = {}
        self.sent: list[Order] = []
        self.revisions = dict.fromkeys(IDS, 0)
        self.tombstones: set[str] = set()
        self.opted: set[tuple[str, str]] = set()
        self.skipped: dict[str, int] = {}  # seconds of a start's delay that were taken
        self.summaries: set[str] = set()

    @property
    def now(self) -> Now:
        return Now(self.mono_s, self.utc_s, self.trusted)

    def hear(self, report: Report) -> None:
        """One end per asset and id, ever; nothing follows it but the same end."""
        for line in report.targets:
            key = (report.id, line.asset or line.target or "")
            if line.asset is None:
                continue
            ended = self.ends.get(key)
            assert ended is None or line.status is ended, f"{key} was {ended}, now {line.status}"
            if line.status in ENDS:
                self.ends[key] = line.status

    def send(self, message: Order) -> Received:
        self.mono_s += 1.0  # below the rate that is refused
        self.utc_s += 1.0
        done = receive(self.book, message, HOME, Draws(0.37, 0.61), self.now)
        self.book = done.book
        for told in (done.report, *done.others):
            self.hear(told)
        return done

    @rule(
        id_=st.sampled_from(IDS),
        start=st.one_of(st.integers(-2000, 2000), st.integers(-600, 60)),
        lasts=st.sampled_from([1800, 2400]),
        aims=st.sampled_from(
            [("asset:hp",), ("class:heat",), ("class:ev",), ("site",), ("asset:hp", "asset:ev"), ("asset:x",)]
        ),
        service=st.sampled_from(["tcm", "tcm", "bm", "dfs"]),
        most_delay=st.sampled_from([None, 0, 600]),
        vector=st.sampled_from([*[Vector.AUTOMATED] * 3, Vector.MANUAL]),
        kind=st.sampled_from([*[Kind.CAP] * 6, Kind.FLOOR, Kind.SOC, Kind.SIMPLE]),
        late=st.integers(0, 30),
    )
    def ask(
        self, id_: str, start: int, lasts: int, aims: tuple[str, ...], service: str, most_delay: int | None,
        vector: Vector, kind: Kind, late: int,
    ) -> None:  # fmt: skip
        since = self.utc_s - UTC
        message = order(
            id_, self.revisions[id_], start=since + start, end=since + start + lasts, targets=aims,
            issued=since - late, expires=since + 900, service=service, start_delay=most_delay,
            vector=vector, kind=kind,
        )  # fmt: skip
        self.revisions[id_] += 1
        stopped = [m for m in self.sent if m.op is Op.STOP_ALL and m.issued_utc_s >= message.issued_utc_s]
        done = self.send(message)
        if id_ in self.tombstones:
            assert done.report.reception is Reception.REPLAYED
        if stopped:
            assert id_ not in [
                i.id for i in open_instructions(self.book, HOME) if i.revision == message.revision
            ]
        self.sent.append(message)

    @rule(id_=st.sampled_from(IDS))
    def cancel(self, id_: str) -> None:
        since = self.utc_s - UTC
        unknown = self.book.entry(id_) is None
        message = order(id_, self.revisions[id_], op=Op.CANCEL, issued=since, expires=since + 60)
        self.revisions[id_] += 1
        self.send(message)
        entry = self.book.entry(id_)
        assert entry
        assert not entry.is_open
        if unknown:
            self.tombstones.add(id_)
        self.sent.append(message)

    @rule(id_=st.sampled_from(IDS), assets=st.sampled_from([("hp",), ("ev",), ("hp", "ev")]))
    def opt_out(self, id_: str, assets: tuple[str, ...]) -> None:
        entry = self.book.entry(id_)
        lives = entry.lives if entry else ()
        leaving = [life.asset for life in lives if life.asset in assets and not life.status.is_end]
        done = consent.opt_out(self.book, id_, assets, self.now)
        assert bool(done.entries) is bool(done.reports) is bool(leaving)
        self.book = done.book
        for told in done.reports:
            self.hear(told)
        for asset in leaving:
            assert self.ends[id_, asset] is Status.ABORTED
            self.opted.add((id_, asset))

    @rule(id_=st.sampled_from(IDS))
    def accept(self, id_: str) -> None:
        was = self.book.entry(id_)
        done = consent.agree(self.book, id_)
        self.book = done.book
        entry = self.book.entry(id_)
        may = was is not None and was.is_manual and was.is_open and was.is_decided
        assert bool(entry and entry.agreed and entry.is_open) is may
        assert bool(done.entries) is (may and not (was and was.agreed))

    @rule()
    def skip_delays(self) -> None:
        done = delay.skip(self.book, IDS, self.now)
        self.book = done.book
        for told in done.reports:
            self.hear(told)
        for entry in done.entries:
            assert entry.let_go is not entry.is_open
            if entry.is_open:
                self.skipped[entry.id] = entry.instruction.start_delay_s if entry.instruction else 0
        assert delay.skip(self.book, IDS, self.now).entries == ()

    @rule(before=st.integers(0, 20))
    def stop_all(self, before: int) -> None:
        since = self.utc_s - UTC
        message = order(f"stop{len(self.sent)}", op=Op.STOP_ALL, issued=since - before, expires=since + 60)
        self.send(message)
        for entry in self.book.current.values():
            assert not entry.is_open or entry.issued_utc_s > message.issued_utc_s
        self.sent.append(message)

    @rule(which=st.integers(0, 50))
    def repeat(self, which: int) -> None:
        """The same message twice changes nothing."""
        if not self.sent:
            return
        message = self.sent[which % len(self.sent)]
        before = self.book
        entry = before.entry(message.id)
        latest = entry and (entry.pending or entry)
        done = self.send(message)
        if latest and latest.digest == message.digest:
            assert done.entries == ()
            assert (done.book.current, done.book.past) == (before.current, before.past)
            assert done.report.reception is entry.reception

    @rule(seconds=st.sampled_from([1, 5, 40, 400, 900]), looks=st.integers(1, 4))
    def pass_time(self, seconds: int, looks: int) -> None:
        for _ in range(looks):
            self.mono_s += seconds
            self.utc_s += seconds
            self.look()

    @rule(trusted=st.sampled_from([True, True, False]))
    def trust(self, trusted: bool) -> None:
        self.trusted = trusted
        self.look()

    @rule(
        power_w=st.sampled_from([0.0, 50.0, 2000.0]),
        limited=st.sampled_from([False, False, True]),
        online=st.sampled_from([True, True, False]),
    )
    def change(self, power_w: float, limited: bool, online: bool) -> None:
        self.power_w, self.limited, self.online = power_w, limited, online

    @rule(away_s=st.sampled_from([1, 100, 3000]))
    def restart(self, away_s: int) -> None:
        """Power cut: the records alone come back, on another monotonic clock."""
        kept = [*self.book.current.values(), *self.book.past.values()]
        again = [rebuilt(Entry, plain(entry)) for entry in kept]
        assert again == kept
        self.book = restored(again)
        self.mono_s = 10.0
        self.utc_s += away_s

    def look(self) -> None:
        decided = decide_pending(self.book, HOME, self.now)
        self.book = decided.book
        for report in decided.reports:
            self.hear(report)
        done = progress(self.book, self.plan(), self.seen(), HOME, self.now, Reading(500.0, 0.0, "m"))
        before = {(e.id, ln.asset): ln.status for e in self.book.current.values() for ln in e.lives}
        self.book = done.book
        for report in done.reports:
            self.hear(report)
        for summary in done.summaries:
            assert summary.id not in self.summaries, "one summary per id"
            self.summaries.add(summary.id)
        self.starts_are_inside(before)

    def starts_are_inside(self, before: Mapping[tuple[str, str], Status]) -> None:
        """No STARTED outside the window, its drawn delay included; an untrusted clock begins nothing."""
        for entry in self.book.current.values():
            for life in entry.lives:
                if life.status is not Status.STARTED or before.get((entry.id, life.asset)) is Status.STARTED:
                    continue
                assert entry.instruction
                begin_utc_s = entry.instruction.start_utc_s + entry.instruction.start_delay_s
                assert begin_utc_s <= self.utc_s < entry.instruction.end_utc_s

    def plan(self) -> Plan:
        """What a decision might give, window or not: the book must know its windows itself."""
        extent, reason = (Extent.NONE, Reason.COMFORT_LIMIT) if self.limited else (Extent.FULL, Reason.NONE)
        granted_w = None if self.limited else 0
        return Plan(
            given=tuple(
                Given(i.id, asset, Kind.CAP, 0, granted_w, extent, reason, "")
                for i in open_instructions(self.book, HOME)
                for asset in i.scope.assets
            )
        )

    def seen(self) -> dict[str, Seen]:
        reading = Reading(self.power_w, 0.0, "x.power_w")
        return {a.id: Seen(reading, Proof.WRITTEN, None, self.online) for a in HOME.assets}

    @invariant()
    def what_waits_for_the_clock_is_not_obeyed(self) -> None:
        if not hasattr(self, "book"):
            return
        for instruction in open_instructions(self.book, HOME):
            entry = self.book.entry(instruction.id)
            assert entry
            assert entry.accepted_utc_s is not None

    @invariant()
    def who_opted_out_is_not_asked_again(self) -> None:
        if not hasattr(self, "book"):
            return
        for i in open_instructions(self.book, HOME):
            assert not {(i.id, a) for a in i.scope.assets if a not in i.ended} & self.opted

    @invariant()
    def hands_are_never_told_as_moving_without_their_word(self) -> None:
        if not hasattr(self, "book"):
            return
        for entry in self.book.current.values():
            waits = entry.is_manual and entry.is_decided and not entry.agreed and entry.is_open
            assert not waits or {a.extent for a in entry.lives if not a.status.is_end} <= {None, Extent.NONE}
            assert not entry.is_manual or entry.let_go or entry.is_open or entry.ended_utc_s is None

    @invariant()
    def a_skipped_delay_is_not_drawn_out_again(self) -> None:
        if not hasattr(self, "book"):
            return
        for i in open_instructions(self.book, HOME):
            assert i.start_delay_s <= self.skipped.get(i.id, 1800)

    @invariant()
    def seconds_counted_fit_the_window(self) -> None:
        if not hasattr(self, "book"):
            return
        for entry in self.book.current.values():
            start_utc_s, end_utc_s = entry.window_utc_s
            for life in entry.lives:
                assert life.counted_s <= end_utc_s - start_utc_s + 1e-6 or entry.revision > 0

    @invariant()
    def what_is_past_has_said_its_end_and_is_not_obeyed(self) -> None:
        if not hasattr(self, "book"):
            return
        obeyed = {i.id for i in open_instructions(self.book, HOME)}
        assert obeyed.isdisjoint(self.book.past)
        assert all(not entry.is_open and not entry.pending for entry in self.book.past.values())
        assert forget(self.book, self.now).ids == ()


Life.TestCase.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
test_any_course_of_life = Life.TestCase
