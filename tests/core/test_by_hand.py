"""What the household is asked to do by hand: nothing is moved, its answer is told, the boundary shows it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.core.book import decide_pending, open_instructions
from gateway.core.consent import AGREED, DECLINED, agree, opt_out, with_word
from gateway.core.life import UNANSWERED, Book, Draws, Evidence, Life, Reception, Status, restored
from gateway.core.model import Extent, Kind, Op, Reading, Reason, Snapshot, Vector
from gateway.core.progress import Progress, progress
from gateway.core.share import by_hand
from tests.core.dispatching import HOME, HOUR, UTC, at, given, order, plan, seen, statuses, take

MANUAL: dict[str, Any] = {"vector": Vector.MANUAL, "start": 60.0, "end": 60.0 + HOUR}
SITE: dict[str, Any] = {**MANUAL, "targets": ("site",), "value": 1000.0}


def asked(**more: Any) -> Book:
    return take(Book(), order(**{**MANUAL, **more}), draws=Draws(0.5, 0.5)).book


def look(book: Book, after: float, boundary_w: float | None = None, age: float = 0.0) -> Progress:
    boundary = None if boundary_w is None else Reading(boundary_w, age, "meter.power_w")
    return progress(book, plan(), {}, HOME, at(after), boundary)


def first(book: Book) -> Life:
    return book.entry("i1").lives[0]  # type: ignore[union-attr]


def test_it_is_told_as_manual_until_the_household_answers() -> None:
    book = asked()
    assert (first(book).status, first(book).reason, first(book).text) == (
        Status.ACCEPTED,
        Reason.MANUAL,
        UNANSWERED,
    )
    inside = first(look(book, 70).book)
    assert (inside.status, inside.extent, inside.reason) == (Status.ACCEPTED, Extent.NONE, Reason.MANUAL)


def test_hands_are_not_staggered_neither_at_the_start_nor_at_the_return() -> None:
    book = asked(start_delay=600, end_delay=600, service_class="routine")
    (instruction,) = open_instructions(book, HOME)
    assert (instruction.start_delay_s, instruction.end_delay_s) == (0, 0)
    cancelled = take(look(book, 70).book, order(revision=1, op=Op.CANCEL, end_delay=600), at(80)).book
    assert open_instructions(cancelled, HOME) == ()


@pytest.mark.parametrize("after", [5, 70])
def test_who_accepts_is_told_so_and_it_goes_on_over_a_restart_to_its_end(after: float) -> None:
    done = agree(look(asked(), after).book, "i1")
    assert done.entries == (done.book.current["i1"],)
    assert done.reports == ()  # the next status tells it
    found = look(restored(done.book.current.values()), after + 10)
    (told,) = found.reports
    assert [(line.status, line.extent, line.reason, line.text) for line in told.targets] == [
        (Status.ACCEPTED, None, Reason.NONE, AGREED)
    ]
    assert not look(found.book, after + 20).reports
    ended = look(found.book, 60 + HOUR)
    assert (first(ended.book).status, first(ended.book).reason) == (Status.ABORTED, Reason.MANUAL)
    (summary,) = look(ended.book, 121 + HOUR).summaries
    assert {reason for reason, _ in summary.assets[0].limits} <= {Reason.MANUAL, Reason.GATEWAY_RESTART}
    assert summary.assets[0].held_s == 0


def test_to_accept_again_is_nothing_new_and_what_is_not_by_hand_cannot_be() -> None:
    book = agree(asked(), "i1").book
    assert agree(book, "i1").book is book
    automated = take(Book(), order()).book
    for other, id_ in ((automated, "i1"), (automated, "i9")):
        assert (agree(other, id_).book, agree(other, id_).entries) == (other, ())
    declined = opt_out(asked(), "i1", ("hp",), at(5)).book
    assert agree(declined, "i1").book is declined


def test_who_declines_is_out_of_it_for_good_also_after_having_accepted() -> None:
    done = opt_out(agree(asked(), "i1").book, "i1", ("hp",), at(5))
    (line,) = done.reports[0].targets
    assert (line.status, line.reason, line.text) == (Status.ABORTED, Reason.USER_OVERRIDE, DECLINED)
    revised = take(done.book, order(revision=1, **{**MANUAL, "value": 500}), at(7))
    assert revised.report.reception is Reception.REPLAYED


def test_a_revision_asks_anew() -> None:
    book = agree(asked(), "i1").book
    done = take(book, order(revision=1, **{**MANUAL, "value": 500}), at(7))
    assert not done.book.current["i1"].agreed
    assert (done.report.targets[0].reason, done.report.targets[0].text) == (Reason.MANUAL, UNANSWERED)
    assert statuses(done) == {"hp": Status.ACCEPTED}


def test_what_waits_for_the_clock_cannot_be_accepted_yet_but_declined() -> None:
    waiting = take(Book(), order(**MANUAL), at(trusted=False)).book
    assert agree(waiting, "i1").book is waiting
    assert first(decide_pending(waiting, HOME, at(1)).book).reason is Reason.MANUAL
    assert opt_out(waiting, "i1", ("hp",), at(1)).reports[0].ended


def test_a_word_on_a_withdrawn_revision_is_kept() -> None:
    former = asked().current["i1"]
    later = opt_out(asked(), "i1", ("hp",), at(5)).book.current["i1"]
    assert with_word(former, later).lives[0].text == DECLINED


# --- at the boundary --------------------------------------------------------------------------------------


def followed(book: Book, *seconds: float, boundary_w: float) -> Book:
    for second in seconds:
        book = look(book, second, boundary_w).book
    return book


def test_what_the_site_is_asked_is_followed_when_the_boundary_says_so_and_the_household_agreed() -> None:
    book = followed(agree(asked(**SITE), "i1").book, 60, 61, boundary_w=3000.0)
    assert first(book).status is Status.ACCEPTED
    book = followed(book, 62, 63, boundary_w=900.0)
    assert (first(book).status, first(book).extent, first(book).evidence) == (
        Status.STARTED,
        Extent.FULL,
        Evidence.MEASURED,
    )
    whole = look(book, 70, 900.0).book.current["i1"].told[-1]
    assert (whole.target, whole.status, whole.measured_w) == ("site", Status.STARTED, 900)
    ended = look(book, 60 + HOUR).book
    assert first(ended).status is Status.SUCCEEDED


def test_a_home_that_draws_no_more_than_asked_anyway_is_idle() -> None:
    book = followed(agree(asked(**SITE), "i1").book, 60, 61, boundary_w=900.0)
    assert first(book).evidence is Evidence.IDLE


def test_without_the_household_s_word_nothing_is_its_doing() -> None:
    book = followed(asked(**SITE), 60, 61, 62, boundary_w=900.0)
    assert (first(book).status, first(book).reason) == (Status.ACCEPTED, Reason.MANUAL)


def test_a_boundary_above_the_value_for_long_is_not_following() -> None:
    book = followed(agree(asked(**SITE), "i1").book, 60, 62, boundary_w=900.0)
    book = followed(book, 63, 400, boundary_w=3000.0)
    assert (first(book).status, first(book).extent, first(book).reason) == (
        Status.STARTED,
        Extent.NONE,
        Reason.NOT_FOLLOWING,
    )
    assert first(look(book, 401).book).reason is Reason.METER_STALE


def test_the_value_is_that_of_the_step_that_holds() -> None:
    steps = order(**SITE, steps=2)
    steps = replace(steps, asks=(steps.asks[0], replace(steps.asks[1], value=200.0)))
    book = agree(take(Book(), steps).book, "i1").book
    book = followed(book, 60, 61, 62, boundary_w=900.0)
    assert first(book).extent is Extent.FULL
    half = 60 + HOUR / 2
    assert first(followed(book, half + 1, half + 400, boundary_w=900.0)).reason is Reason.NOT_FOLLOWING


def test_what_hands_change_at_the_boundary_is_no_asset_s_own_power() -> None:
    book = followed(agree(asked(**SITE), "i1").book, 60, 61, boundary_w=3000.0)
    assert first(book).measured_w is None
    book = take(book, order("i2", start=60, end=60 + HOUR, value=1000.0), at(61)).book
    for second in (62, 63):
        parts = plan(given(asked=1000, granted=None, id_="i2", kind=Kind.CAP))
        book = progress(book, parts, seen(100.0), HOME, at(second)).book
    assert book.current["i2"].lives[0].evidence is Evidence.IDLE


def test_the_boundary_s_minutes_are_about_what_hands_are_asked_in_its_window() -> None:
    def ids(book: Book, after: float, *, trusted: bool = True) -> tuple[str, ...]:
        return by_hand(Snapshot(0.0, UTC + after, trusted, instructions=open_instructions(book, HOME)))

    book = take(asked(), order("i2")).book
    assert (ids(book, 59), ids(book, 60), ids(book, 59 + HOUR), ids(book, 60 + HOUR)) == (
        (),
        ("i1",),
        ("i1",),
        (),
    )
    assert ids(book, 60, trusted=False) == ()
    assert ids(agree(book, "i1").book, 60) == ("i1",)
    assert ids(opt_out(book, "i1", ("hp",), at(5)).book, 60) == ()
