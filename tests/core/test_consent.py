"""What the household says of one instruction holds for that one, for good, and for no other."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.book import decide_pending, open_instructions
from gateway.core.consent import opt_out, with_word
from gateway.core.life import Book, Reception, Report, Status, restored
from gateway.core.model import Extent, Op, Reason
from gateway.core.progress import progress
from tests.core.dispatching import HOME, HOUR, at, given, order, plan, seen, statuses, take

BOTH: dict[str, Any] = {"targets": ("asset:ev", "asset:hp")}


def obeyed(book: Book) -> set[tuple[str, str]]:
    """Which instruction holds which asset."""
    return {(i.id, a) for i in open_instructions(book, HOME) for a in i.scope.assets if a not in i.ended}


def ends(report: Report) -> dict[str, tuple[Status, Reason]]:
    return {line.asset or line.target or "": (line.status, line.reason) for line in report.targets}


def opted(book: Book, *assets: str, id_: str = "i1", after: float = 0.0) -> Book:
    return opt_out(book, id_, assets or ("ev", "hp"), at(after)).book


def running() -> Book:
    """The heat pump on i1, followed."""
    book = take(Book(), order(start=0, end=HOUR, end_delay=600)).book
    for second in range(3):
        book = progress(book, plan(given()), seen(0.0), HOME, at(second)).book
    assert book.current["i1"].lives[0].status is Status.STARTED
    return book


def test_who_opts_out_of_an_instruction_is_out_of_it_and_of_no_other() -> None:
    book = take(take(Book(), order()).book, order("i2")).book
    done = opt_out(book, "i1", ("hp",), at(5))
    assert obeyed(done.book) == {("i2", "hp")}
    (told,) = done.reports
    assert ends(told) == {"hp": (Status.ABORTED, Reason.USER_OVERRIDE)}
    assert told.ended
    assert (told.targets[0].text, told.targets[0].extent) == ("the household opted out", Extent.NONE)
    assert done.entries == (done.book.current["i1"],)


def test_one_asset_may_be_taken_out_and_the_rest_goes_on() -> None:
    done = opt_out(take(Book(), order(**BOTH)).book, "i1", ("ev",), at(5))
    assert obeyed(done.book) == {("i1", "hp")}
    assert {name: status for name, (status, _) in ends(done.reports[0]).items()} == {
        "ev": Status.ABORTED,
        "hp": Status.ACCEPTED,
    }
    assert not done.reports[0].ended


def test_a_hold_ends_with_the_word_and_waits_for_no_random_delay() -> None:
    assert obeyed(opted(running(), "hp", after=10)) == set()


def test_to_opt_out_again_is_nothing_new() -> None:
    book = opted(running(), "hp")
    again = opt_out(book, "i1", ("hp",), at(20))
    assert (again.book, again.reports, again.entries) == (book, (), ())
    assert opt_out(book, "i9", ("hp",), at(20)).book is book


def test_what_has_ended_otherwise_stays_as_it_ended() -> None:
    book = progress(running(), plan(), {}, HOME, at(HOUR)).book
    assert book.current["i1"].lives[0].status is Status.SUCCEEDED
    assert opt_out(book, "i1", ("hp",), at(HOUR + 1)).book is book


@pytest.mark.parametrize("trusted", [True, False])
def test_nothing_brings_an_asset_back_that_opted_out(trusted: bool) -> None:
    message = order(**BOTH)
    book = opted(take(Book(), message).book, "ev", after=5)
    book = restored([*book.current.values(), *book.past.values()])
    assert statuses(take(book, message, at(6)))["ev"] is Status.ABORTED
    revised = take(book, order(revision=1, value=500, **BOTH), at(7, trusted=trusted)).book
    revised = decide_pending(revised, HOME, at(8)).book
    assert revised.current["i1"].revision == 1
    assert obeyed(revised) == {("i1", "hp")}


def test_a_revision_of_what_the_household_is_out_of_is_replayed() -> None:
    book = opted(take(Book(), order()).book)
    assert take(book, order(revision=1, value=500), at(7)).report.reception is Reception.REPLAYED


def test_who_opts_out_while_the_clock_is_not_trusted_is_out_when_it_is() -> None:
    waiting = take(Book(), order(**BOTH), at(trusted=False)).book
    decided = decide_pending(opted(waiting, "ev"), HOME, at(1))
    assert obeyed(decided.book) == {("i1", "hp")}
    decided = decide_pending(opted(waiting), HOME, at(1))
    assert (obeyed(decided.book), decided.reports) == (set(), ())


def test_a_cancel_after_it_is_told_as_too_late_and_a_stop_all_leaves_it_as_it_is() -> None:
    book = opted(running(), "hp", after=10)
    assert take(book, order(revision=1, op=Op.CANCEL), at(11)).report.reception is Reception.REPLAYED
    stopped = take(book, order("s1", op=Op.STOP_ALL, issued=20), at(20))
    assert (stopped.others, obeyed(stopped.book)) == ((), set())


def test_of_a_cancelled_instruction_only_what_was_in_it_returns_late() -> None:
    book = take(Book(), order(start=0, end=HOUR, end_delay=600, **BOTH)).book
    book = opted(book, "ev", after=10)
    assert obeyed(take(book, order(revision=1, op=Op.CANCEL), at(20)).book) == {("i1", "hp")}


def test_it_is_summed_up_once_like_any_other() -> None:
    book = opted(running(), "hp", after=10)
    book = progress(book, plan(), {}, HOME, at(11)).book
    assert not progress(book, plan(), {}, HOME, at(70)).summaries
    found = progress(book, plan(), {}, HOME, at(71))
    (summary,) = found.summaries
    assert [(asset.asset, asset.status) for asset in summary.assets] == [("hp", Status.ABORTED)]
    assert "i1" in found.book.past


def test_an_asset_that_opted_out_may_take_what_that_instruction_excludes() -> None:
    book = take(Book(), order(service="bm", **BOTH)).book
    newcomer = order("i2", service="dfs", **BOTH)
    assert statuses(take(opted(book, "ev"), newcomer)) == {"ev": Status.ACCEPTED, "hp": Status.REJECTED}


def test_what_was_said_of_a_revision_that_is_withdrawn_holds_for_the_one_before() -> None:
    former = take(Book(), order(**BOTH)).book.current["i1"]
    later = opted(take(restored([former]), order(revision=1, value=500, **BOTH)).book, "ev").current["i1"]
    kept = with_word(former, later)
    assert kept.revision == 0
    assert obeyed(restored([kept])) == {("i1", "hp")}
    assert with_word(former, former) == former
