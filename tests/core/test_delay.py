"""A random delay runs down, can be skipped each time, and is told as it was taken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given as given_any
from hypothesis import strategies as st

from gateway.core import consent
from gateway.core.book import decide_pending, open_instructions
from gateway.core.delay import Delay, running, skip, waiting
from gateway.core.life import Book, Draws, Entry, Evidence, Status, restored
from gateway.core.model import Kind, Op
from gateway.core.progress import progress
from tests.core.dispatching import HOME, HOUR, UTC, at, given, order, plan, seen, take

HALF = Draws(0.5, 0.5)  # 300 s of the 600 s that are asked for here
DELAYED: dict[str, Any] = {"start": 0.0, "end": HOUR, "start_delay": 600, "end_delay": 600}


def delayed(**more: Any) -> Book:
    return take(Book(), order(**{**DELAYED, **more}), draws=HALF).book


def of(book: Book, after: float, id_: str = "i1", *, trusted: bool = True) -> Delay | None:
    entry = book.entry(id_)
    assert entry
    return running(entry, book.watches.get(id_), at(after, trusted=trusted))


def looked(book: Book, *seconds: float, power: float | None = 0.0, trusted: bool = True) -> Book:
    for second in seconds:
        book = progress(book, plan(given()), seen(power), HOME, at(second, trusted=trusted)).book
    return book


def ended() -> Book:
    """Followed to its end, and held on: its return is delayed by 300 s."""
    book = looked(delayed(), 300, 301, 302, HOUR - 1, HOUR)
    assert book.current["i1"].lives[0].status is Status.SUCCEEDED
    return book


# --- of the start -----------------------------------------------------------------------------------------


def test_the_delay_of_a_start_runs_from_the_start_as_asked_to_its_draw() -> None:
    book = delayed(start=60, end=60 + HOUR)
    assert of(book, 59.9) is None
    assert of(book, 60) == Delay(0, 300, of_return=False)
    assert of(book, 318) == Delay(258, 42, of_return=False)
    assert of(book, 360) is None
    assert waiting(book.current["i1"]) == {"hp"}


def test_what_is_skipped_starts_now_and_its_delay_is_what_has_elapsed() -> None:
    done = skip(delayed(), ["i1"], at(120.9))
    (instruction,) = open_instructions(done.book, HOME)
    assert instruction.start_delay_s == 120
    assert done.entries == (done.book.current["i1"],)
    assert of(done.book, 121) is None
    started = looked(done.book, 121, 122).current["i1"].lives[0]
    assert (started.status, started.evidence) == (Status.STARTED, Evidence.IDLE)


def test_the_delay_that_was_taken_is_told_with_the_next_status_and_in_the_summary() -> None:
    book = skip(delayed(), ["i1"], at(120)).book
    found = progress(book, plan(given()), seen(0.0), HOME, at(120))
    (told,) = found.reports
    assert [line.delay_s for line in told.targets] == [120]
    book = looked(found.book, *range(121, int(HOUR) + 2, 60), HOUR)
    (summary,) = progress(book, plan(), {}, HOME, at(HOUR + 61)).summaries
    (asset,) = summary.assets
    assert asset.delay_s == 120
    assert asset.held_s + asset.idle_s + asset.limited_s + asset.delay_s == HOUR


def test_steps_inside_shift_by_what_was_taken() -> None:
    book = skip(delayed(steps=2), ["i1"], at(100)).book
    (instruction,) = open_instructions(book, HOME)
    assert [s.start_utc_s + instruction.start_delay_s - UTC for s in instruction.steps] == [100, 1900]


@pytest.mark.parametrize("revised_at", [130, 700])
def test_no_revision_draws_a_delay_out_again_that_was_skipped(revised_at: float) -> None:
    book = skip(delayed(), ["i1"], at(120)).book
    longer = order(revision=1, value=500, **{**DELAYED, "start_delay": 1800})
    (instruction,) = open_instructions(take(book, longer, at(revised_at)).book, HOME)
    assert (instruction.revision, instruction.start_delay_s) == (1, 120)
    later = order(revision=1, **{**DELAYED, "start": 900})
    (instruction,) = open_instructions(take(book, later, at(130)).book, HOME)
    assert instruction.start_delay_s == 0


def test_what_runs_is_not_sent_back_to_wait_by_a_longer_bound() -> None:
    book = take(delayed(), order(revision=1, **{**DELAYED, "start_delay": 1800}), at(400)).book
    (instruction,) = open_instructions(book, HOME)
    assert instruction.start_delay_s == 300


# --- of the return ----------------------------------------------------------------------------------------


def test_the_delay_of_a_return_runs_from_the_end() -> None:
    book = ended()
    assert of(book, HOUR) == Delay(0, 300, of_return=True)
    assert of(book, HOUR + 258) == Delay(258, 42, of_return=True)
    assert of(book, HOUR + 300) is None
    assert waiting(book.current["i1"]) == {"hp"}


def test_what_waits_at_random_itself_has_no_delay_of_ours_where_it_begins_to_charge() -> None:
    """Not beside others, nor alone; a start that holds it is delayed all the same."""
    home = replace(HOME, delays_itself=frozenset({"ev"}))
    delays = {"start": 0.0, "start_delay": 600, "end_delay": 600, "service": "bm"}

    def taken(kind: Kind, *targets: str) -> Entry:
        message = order(**delays, targets=targets, kind=kind, value=2000.0)
        return take(Book(), message, home=home, draws=HALF).book.current["i1"]

    both = taken(Kind.CAP, "class:ev", "asset:hp")
    assert {line.asset: line.end_delay_s for line in both.told if line.asset} == {"ev": 0, "hp": 300}
    alone = taken(Kind.CAP, "asset:ev").instruction
    raised = taken(Kind.FLOOR, "asset:ev").instruction
    assert alone
    assert raised
    assert (alone.start_delay_s, alone.end_delay_s) == (300, 0)
    assert (raised.start_delay_s, raised.end_delay_s) == (0, 0)


def test_what_waits_at_random_itself_is_not_among_what_a_return_keeps_waiting() -> None:
    home = replace(HOME, delays_itself=frozenset({"ev"}))
    message = order(**{**DELAYED, "service": "bm"}, targets=("asset:ev", "asset:hp"))
    book = take(Book(), message, home=home, draws=HALF).book
    assert waiting(book.current["i1"]) == {"ev", "hp"}
    parts = plan(given(), given("ev"))
    for second in (300, 301, 302, HOUR - 1, HOUR):
        both = {**seen(0.0), **seen(0.0, asset="ev")}
        book = progress(book, parts, both, home, at(second)).book
    assert waiting(book.current["i1"]) == {"hp"}


@pytest.mark.parametrize("after", [30, 120])
def test_a_return_that_is_skipped_lets_go_now_and_says_what_was_taken(after: float) -> None:
    """Before the summary and after it: then it is the last thing that is told."""
    book = looked(ended(), HOUR + 29, HOUR + 100) if after > 100 else looked(ended(), HOUR + 29)
    done = skip(book, ["i1"], at(HOUR + after))
    assert open_instructions(done.book, HOME) == ()
    assert of(done.book, HOUR + after) is None
    found = progress(done.book, plan(), {}, HOME, at(HOUR + after + 1))
    (told,) = (*done.reports, *found.reports)
    assert [(line.status, line.end_delay_s) for line in told.targets] == [(Status.SUCCEEDED, after)]
    assert told.ended


def test_a_cancelled_instruction_lets_go_when_its_return_is_skipped() -> None:
    book = looked(delayed(), 300, 301, 302)
    book = take(book, order(revision=1, op=Op.CANCEL, end_delay=600), at(400)).book
    assert of(book, 410) == Delay(10, 290, of_return=True)
    assert open_instructions(skip(book, ["i1"], at(410)).book, HOME) == ()


def test_a_clock_that_is_lost_stops_no_return_from_being_skipped() -> None:
    book = looked(ended(), HOUR + 10, trusted=False)
    assert of(book, HOUR + 20, trusted=False) == Delay(20, 280, of_return=True)
    assert open_instructions(skip(book, ["i1"], at(HOUR + 20, trusted=False)).book, HOME) == ()


def test_a_floor_holds_nothing_at_its_end() -> None:
    message = order(**DELAYED, kind=Kind.FLOOR, targets=("asset:ev",))
    book = take(Book(), message, draws=HALF).book
    for second in (300, 301, 302, HOUR):
        asked = plan(given("ev", 2000, None, kind=Kind.FLOOR))
        book = progress(book, asked, seen(3000.0, asset="ev"), HOME, at(second)).book
    assert book.current["i1"].lives[0].status is Status.SUCCEEDED
    assert of(book, HOUR + 10) is None


# --- of neither -------------------------------------------------------------------------------------------


def test_where_no_delay_runs_nothing_is_skipped() -> None:
    book = delayed(start=60, end=60 + HOUR)
    for after, trusted in ((0, True), (400, True), (100, False)):
        done = skip(book, ["i1", "i9"], at(after, trusted=trusted))
        assert (done.book, done.entries, done.reports) == (book, (), ())


def test_a_start_that_waits_for_the_clock_has_no_delay_to_skip() -> None:
    book = take(Book(), order(**DELAYED), at(trusted=False), draws=HALF).book
    assert of(book, 10) is None
    assert of(decide_pending(book, HOME, at(5)).book, 10) == Delay(5, 295, of_return=False)


def test_who_opted_out_waits_for_nothing() -> None:
    book = consent.opt_out(delayed(targets=("asset:ev", "asset:hp")), "i1", ("ev",), at(5)).book
    assert waiting(book.current["i1"]) == {"hp"}
    book = consent.opt_out(book, "i1", ("hp",), at(6)).book
    assert (of(book, 7), waiting(book.current["i1"])) == (None, frozenset())


@given_any(
    st.floats(0, 1, exclude_max=True),
    st.integers(0, 1800),
    st.integers(0, 8000).map(lambda quarters: quarters / 4),
    st.booleans(),
)
def test_a_skip_only_ever_shortens_and_survives_a_restart(
    draw: float, bound: int, after: float, restart: bool
) -> None:
    message = order(**{**DELAYED, "start_delay": bound})
    book = take(Book(), message, draws=Draws(draw, 0.5)).book
    (before,) = open_instructions(book, HOME)
    book = skip(book, ["i1"], at(after)).book
    if restart:
        book = restored(book.current.values())
    (instruction,) = open_instructions(book, HOME)
    assert instruction.start_delay_s == min(before.start_delay_s, int(after))
