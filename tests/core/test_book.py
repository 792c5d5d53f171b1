"""What becomes of messages: the contract's sentences on dispatch, one test each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.core.acceptance import delay_s
from gateway.core.book import (
    MOST_MESSAGES,
    MOST_OPEN,
    MOST_REMEMBERED,
    REMEMBER_S,
    decide_pending,
    forget,
    open_instructions,
)
from gateway.core.eligibility import Home
from gateway.core.life import Book, Draws, Entry, Reception, Status, restored
from gateway.core.model import Kind, Op, Order, Reason, Vector
from gateway.core.progress import progress
from tests.core.dispatching import HOME, HOUR, HP, UTC, at, order, plan, statuses, take

OK, REPLAYED, EXPIRED = Reception.OK, Reception.REPLAYED, Reception.EXPIRED
INVALID, TEMPORARY = Reception.INVALID_CONTENT, Reception.TEMPORARY_ERROR


def cancel(id_: str = "i1", revision: int = 1, **more: Any) -> Order:
    return order(id_, revision, op=Op.CANCEL, **more)


def stop_all(id_: str = "s1", issued: float = 100.0, **more: Any) -> Order:
    return order(id_, op=Op.STOP_ALL, issued=issued, **more)


def ids(book: Book, home: Home = HOME) -> list[str]:
    return [instruction.id for instruction in open_instructions(book, home)]


# --- set ----------------------------------------------------------------------------------------------


def test_an_order_in_time_is_accepted_and_obeyed_as_asked() -> None:
    done = take(Book(), order(value=1400.4, steps=3))
    assert (done.report.reception, statuses(done)) == (OK, {"hp": Status.ACCEPTED})
    (instruction,) = open_instructions(done.book, HOME)
    assert [step.power_w for step in instruction.steps] == [1400, 1400, 1400]
    assert (instruction.start_utc_s, instruction.end_utc_s) == (UTC + 60, UTC + 60 + HOUR)
    assert instruction.scope.assets == ("hp",)
    assert [entry.id for entry in done.entries] == ["i1"]


def test_an_order_is_accepted_also_for_a_device_that_is_offline_now() -> None:
    assert statuses(take(Book(), order())) == {"hp": Status.ACCEPTED}


def test_the_union_of_targets_is_resolved_in_the_home() -> None:
    done = take(Book(), order(targets=("class:ev", "asset:hp", "asset:ev")))
    assert open_instructions(done.book, HOME)[0].scope.assets == ("ev", "hp")


def test_targets_resolve_at_acceptance_and_stay() -> None:
    book = take(Book(), order(targets=("class:heat",))).book
    later = replace(HOME, assets=(*HOME.assets, replace(HP, id="hp2")))
    assert open_instructions(book, later)[0].scope.assets == ("hp",)


def test_a_target_that_matches_nothing_is_named_unknown() -> None:
    done = take(Book(), order(targets=("asset:hp", "asset:sauna")))
    (line,) = [line for line in done.report.targets if line.target]
    assert (line.target, line.status, line.reason) == ("asset:sauna", Status.REJECTED, Reason.UNKNOWN_TARGET)


def test_an_order_that_matches_nothing_ends_at_once() -> None:
    done = take(Book(), order(targets=("asset:sauna",)))
    assert (done.report.reception, done.report.ended) == (OK, True)
    assert ids(done.book) == []


def test_a_class_or_site_reports_one_entry_for_the_whole() -> None:
    done = take(Book(), order(targets=("class:heat",)))
    assert statuses(done) == {"hp": Status.ACCEPTED, "boiler": Status.REJECTED, "class:heat": Status.ACCEPTED}


def test_an_asset_that_is_refused_does_not_keep_the_others_from_it() -> None:
    done = take(Book(), order(targets=("site",), service="bm"))
    assert statuses(done)["fan"] is Status.REJECTED
    assert open_instructions(done.book, HOME)[0].scope.assets == ("ev", "hp")


def test_excluded_services_first_accepted_stays_and_the_newcomer_is_rejected() -> None:
    book = take(Book(), order("a", service="dfs")).book
    done = take(book, order("b", service="bm"))
    assert done.report.targets[0].reason is Reason.EXCLUDED
    assert ids(done.book) == ["a"]


def test_a_start_in_the_past_means_now_for_what_remains() -> None:
    done = take(Book(), order(start=-900, end=2700, steps=4))
    (instruction,) = open_instructions(done.book, HOME)
    assert (instruction.start_utc_s, len(instruction.steps)) == (UTC, 3)


@pytest.mark.parametrize(
    ("message", "reception"),
    [
        (order(expires=-1), EXPIRED),
        (order(expires=0), OK),  # the last moment at which it may be accepted
        (order(start=-HOUR, end=0), EXPIRED),
        (order(start=-HOUR, end=1), OK),
        (order(issued=121), TEMPORARY),
        (order(issued=120), OK),
        (order(start=35 * 86400 + 1, end=36 * 86400), INVALID),
        (order(start=35 * 86400, end=36 * 86400), OK),
        (order(value=float("nan")), INVALID),
        (order(start=float("inf"), end=float("inf")), INVALID),
        (order(targets=()), INVALID),
    ],
)
def test_times_and_content_are_judged_by_a_trusted_clock(message: Order, reception: Reception) -> None:
    done = take(Book(), message)
    assert done.report.reception is reception
    assert (ids(done.book) == ["i1"]) == (reception is OK)


# --- delays -------------------------------------------------------------------------------------------


def test_a_draw_covers_every_whole_second_of_its_bound_and_no_more() -> None:
    drawn = {delay_s(n / 1000, 3) for n in range(1000)}
    assert drawn == {0, 1, 2, 3}
    assert delay_s(0.9999999999999999, 1800) == 1800
    assert delay_s(0.5, 0) == 0
    assert delay_s(0.9999999999999999, 5000) == 1800, "half an hour at most, whoever asks"


@pytest.mark.parametrize(
    ("service_class", "start", "end", "drawn"),
    [
        ("routine", None, None, (300, 300)),
        ("response", None, None, (0, 300)),
        ("routine", 0, 0, (0, 0)),
        ("response", 100, 1800, (50, 900)),
    ],
)
def test_absent_delays_are_the_sites_the_starts_for_routine_only(
    service_class: str, start: int | None, end: int | None, drawn: tuple[int, int]
) -> None:
    message = order(service_class=service_class, start_delay=start, end_delay=end)
    (instruction,) = open_instructions(take(Book(), message, draws=Draws(0.5, 0.5)).book, HOME)
    assert (instruction.start_delay_s, instruction.end_delay_s) == drawn


def test_a_revision_never_draws_again() -> None:
    book = take(Book(), order(start_delay=1000), draws=Draws(0.25, 0.25)).book
    book = take(book, order(revision=1, start_delay=1000, value=5), draws=Draws(0.9, 0.9)).book
    (instruction,) = open_instructions(book, HOME)
    assert instruction.start_delay_s == 250


# --- sameness -----------------------------------------------------------------------------------------


def test_the_same_message_again_is_answered_with_the_last_status_and_does_nothing() -> None:
    first = take(Book(), order())
    again = take(first.book, order(), at(30), draws=Draws(0.7, 0.7))
    assert again.report == first.report
    assert (again.entries, again.book.current) == ((), first.book.current)


def test_another_body_under_the_same_revision_is_tampering() -> None:
    done = take(take(Book(), order()).book, order(value=99))
    assert (done.report.reception, done.tamper) == (INVALID, True)
    assert open_instructions(done.book, HOME)[0].steps[0].power_w == 0


def test_a_lower_revision_is_replayed() -> None:
    book = take(take(Book(), order()).book, order(revision=2)).book
    assert take(book, order(revision=1)).report.reception is REPLAYED


def test_a_revision_of_an_id_that_has_ended_is_replayed() -> None:
    book = take(take(Book(), order()).book, cancel()).book
    assert take(book, order(revision=2)).report.reception is REPLAYED
    assert take(book, cancel(revision=3)).report.reception is REPLAYED


def test_a_revision_changes_what_is_asked() -> None:
    done = take(take(Book(), order()).book, order(revision=1, value=800))
    (instruction,) = open_instructions(done.book, HOME)
    assert (instruction.revision, instruction.steps[0].power_w) == (1, 800)
    assert done.report.revision == 1


@pytest.mark.parametrize(
    "revision",
    [
        order(revision=1, expires=-1),
        order(revision=1, start=-HOUR, end=0),
        order(revision=1, issued=500),
        order(revision=1, service_class="never"),
        order(revision=1, kind=Kind.SOC),
        order(revision=1, targets=("asset:sauna",)),
        order(revision=1, service="bm", end=60 + HOUR, vector=Vector.MANUAL),
    ],
)
def test_a_revision_that_fails_any_check_leaves_the_former_in_force(revision: Order) -> None:
    book = take(Book(), order()).book
    done = take(book, revision)
    assert done.report.reception is not OK
    assert statuses(done) == {"hp": Status.ACCEPTED}
    assert open_instructions(done.book, HOME) == open_instructions(book, HOME)
    assert "revision 1 not taken" in done.report.targets[0].text


def test_what_is_to_be_done_by_hand_waits_for_the_household_and_is_never_told_as_held() -> None:
    book = take(Book(), order(vector=Vector.MANUAL, targets=("asset:hp", "asset:boiler"))).book
    (instruction,) = open_instructions(book, HOME)
    assert instruction.vector is Vector.MANUAL
    found = progress(book, plan(), {}, HOME, at(61))
    assert {life.status for life in found.book.current["i1"].lives} == {Status.ACCEPTED}
    found = progress(found.book, plan(), {}, HOME, at(70))
    assert {life.reason for life in found.book.current["i1"].lives} == {Reason.MANUAL}


def test_a_revision_that_drops_an_asset_revokes_it() -> None:
    book = take(Book(), order(targets=("asset:ev", "asset:hp"))).book
    done = take(book, order(revision=1, targets=("asset:hp",)))
    assert statuses(done) == {"hp": Status.ACCEPTED, "ev": Status.REVOKED}
    assert open_instructions(done.book, HOME)[0].scope.assets == ("hp",)


def test_an_asset_lives_once_under_an_id_so_a_later_revision_does_not_revive_it() -> None:
    book = take(Book(), order(targets=("asset:ev", "asset:hp"))).book
    book = take(book, order(revision=1, targets=("asset:hp",))).book
    done = take(book, order(revision=2, targets=("asset:ev", "asset:hp")))
    assert statuses(done)["ev"] is Status.REVOKED
    assert open_instructions(done.book, HOME)[0].scope.assets == ("hp",)


def test_a_revision_in_the_window_does_not_wait_for_the_start_delay_again() -> None:
    book = take(Book(), order(start=-100, start_delay=600), draws=Draws(0.5, 0)).book
    done = take(book, order(revision=1, start=-100, start_delay=600, value=500), at(400))
    (instruction,) = open_instructions(done.book, HOME)
    assert instruction.start_utc_s + instruction.start_delay_s == UTC + 300


def test_a_plug_keeps_the_notice_it_had_when_a_revision_comes_late() -> None:
    long: dict[str, Any] = {
        "start": 2 * HOUR,
        "end": 3 * HOUR,
        "expires": 3 * HOUR,
        "targets": ("asset:fan",),
    }
    book = take(Book(), order(**long)).book
    late = order(revision=1, value=10, **long)
    assert take(book, late, at(2 * HOUR - 60)).report.reception is OK
    assert take(Book(), late, at(2 * HOUR - 60)).report.targets[0].reason is Reason.NOT_ELIGIBLE


# --- stopping -----------------------------------------------------------------------------------------


def test_a_cancel_before_the_start_revokes_and_lets_go() -> None:
    done = take(take(Book(), order()).book, cancel())
    assert statuses(done) == {"hp": Status.REVOKED}
    assert (done.report.ended, ids(done.book)) == (True, [])


def test_a_cancel_in_the_window_ends_it_now_and_delays_the_return() -> None:
    book = take(Book(), order(start=0, end_delay=1000), draws=Draws(0, 0.5)).book
    done = take(book, cancel(), at(600))
    (instruction,) = open_instructions(done.book, HOME)
    assert (instruction.end_utc_s, instruction.end_delay_s) == (UTC + 600, 500)
    book = progress(done.book, plan(), {}, HOME, at(1099)).book
    assert ids(book) == ["i1"]
    assert ids(progress(book, plan(), {}, HOME, at(1101)).book) == []


def test_a_cancel_may_bound_the_return_itself() -> None:
    book = take(Book(), order(start=0, end_delay=1000), draws=Draws(0, 0.5)).book
    done = take(book, cancel(end_delay=0), at(600))
    assert open_instructions(done.book, HOME)[0].end_delay_s == 0
    done = take(book, cancel(end_delay=200), at(600))
    assert open_instructions(done.book, HOME)[0].end_delay_s == 100, "by its own draw for the return"


def test_a_cancel_of_an_unknown_id_leaves_a_tombstone() -> None:
    done = take(Book(), cancel(revision=1))
    assert (done.report.reception, len(done.entries)) == (OK, 1)
    assert take(done.book, order()).report.reception is REPLAYED
    assert take(done.book, order(revision=1)).report.reception is REPLAYED
    assert take(done.book, order(revision=2)).report.reception is REPLAYED


def test_stop_all_ends_everything_issued_at_or_before_it_running_or_not() -> None:
    book = take(Book(), order("running", start=-60)).book
    book = take(book, order("later", start=HOUR, end=2 * HOUR, issued=100)).book
    book = take(book, order("after", issued=101)).book
    done = take(book, stop_all(issued=100), at(110))
    assert done.report.reception is OK
    assert {report.id: report.targets[0].status for report in done.others} == {
        "running": Status.REVOKED,
        "later": Status.REVOKED,
    }
    assert {entry.id for entry in done.entries} == {"s1", "running", "later"}
    assert ids(done.book) == ["after", "running"]  # running only to delay its return


def test_what_a_stop_all_overtook_is_rejected_when_it_comes() -> None:
    book = take(Book(), stop_all(issued=100), at(100)).book
    done = take(book, order(issued=99), at(101))
    assert (statuses(done), done.report.targets[0].reason) == ({"hp": Status.REJECTED}, Reason.CANCELLED)
    assert statuses(take(book, order(issued=101), at(101))) == {"hp": Status.ACCEPTED}


def test_a_stop_from_a_clock_far_ahead_does_not_keep_out_the_future() -> None:
    book = take(Book(), stop_all(issued=86400), at(100)).book
    assert statuses(take(book, order(issued=300), at(301))) == {"hp": Status.ACCEPTED}


@pytest.mark.parametrize("stop", [cancel(expires=-1), stop_all(issued=200, expires=-1)])
@pytest.mark.parametrize("trusted", [True, False])
def test_a_clock_never_blocks_a_stop(stop: Order, trusted: bool) -> None:
    """Promise 5: a wrong clock may shorten or refuse, never lengthen, and never blocks a stop."""
    book = take(Book(), order(start=-60)).book
    done = take(book, stop, at(10, trusted=trusted))
    assert done.report.reception is OK
    assert all(not entry.is_open for entry in done.book.current.values())


def test_a_stop_without_a_trusted_clock_holds_nothing_back() -> None:
    """How long a return was delayed could not be told."""
    book = take(Book(), order(start=-60)).book
    assert ids(take(book, cancel(), at(10, trusted=False)).book) == []


# --- a clock that is not trusted ----------------------------------------------------------------------


def test_without_a_trusted_clock_an_order_is_accepted_and_not_obeyed() -> None:
    done = take(Book(), order(), at(trusted=False))
    (line,) = done.report.targets
    assert (done.report.reception, line.status, line.reason) == (OK, Status.ACCEPTED, Reason.CLOCK_UNTRUSTED)
    assert ids(done.book) == []
    assert decide_pending(done.book, HOME, at(1, trusted=False)).reports == ()


def test_what_needs_no_clock_is_refused_without_one() -> None:
    done = take(Book(), order(kind=Kind.SOC), at(trusted=False))
    assert statuses(done) == {"hp": Status.REJECTED}


def test_it_is_decided_when_the_clock_is_trusted() -> None:
    book = take(Book(), order(), at(trusted=False), draws=Draws(0, 0.5)).book
    decided = decide_pending(book, HOME, at(30))
    (report,) = decided.reports
    assert (report.reception, report.targets[0].reason) == (OK, Reason.NONE)
    (instruction,) = open_instructions(decided.book, HOME)
    assert instruction.end_delay_s == 300
    assert decide_pending(decided.book, HOME, at(31)).reports == ()


@pytest.mark.parametrize(
    ("message", "reception", "reason"),
    [
        (order(expires=10), EXPIRED, Reason.EXPIRED),
        (order(start=-HOUR, end=20), EXPIRED, Reason.EXPIRED),
        (order(issued=500), TEMPORARY, Reason.CLOCK_UNTRUSTED),
        (order(targets=("asset:fan",)), OK, Reason.NOT_ELIGIBLE),  # too little notice
    ],
)
def test_what_was_accepted_and_proves_too_late_is_aborted(
    message: Order, reception: Reception, reason: Reason
) -> None:
    """REJECTED only as first answer: what was told as accepted ends as ABORTED."""
    book = take(Book(), message, at(trusted=False)).book
    decided = decide_pending(book, HOME, at(30))
    (report,) = decided.reports
    assert (report.reception, report.ended) == (reception, True)
    assert (report.targets[0].status, report.targets[0].reason) == (Status.ABORTED, reason)
    assert ids(decided.book) == []


def test_a_revision_that_waits_for_the_clock_leaves_the_former_running() -> None:
    book = take(Book(), order(start=-60)).book
    done = take(book, order(revision=1, start=-60, value=700), at(10, trusted=False))
    assert (done.report.revision, done.report.targets[0].reason) == (1, Reason.CLOCK_UNTRUSTED)
    assert open_instructions(done.book, HOME)[0].steps[0].power_w == 0
    decided = decide_pending(done.book, HOME, at(20))
    assert open_instructions(decided.book, HOME)[0].steps[0].power_w == 700


def test_a_revision_found_too_late_leaves_the_former_in_force() -> None:
    book = take(Book(), order(start=-60)).book
    book = take(book, order(revision=1, start=-60, value=700, expires=15), at(10, trusted=False)).book
    decided = decide_pending(book, HOME, at(20))
    assert [(r.reception, r.revision) for r in decided.reports] == [(EXPIRED, 1)]
    assert open_instructions(decided.book, HOME)[0].steps[0].power_w == 0
    assert open_instructions(decided.book, HOME)[0].revision == 0


# --- each decision ------------------------------------------------------------------------------------


def test_eligibility_is_checked_at_each_decision_too() -> None:
    book = take(Book(), order(service="dfs")).book
    unmetered = replace(HOME, has_boundary_meter=False)
    assert open_instructions(book, HOME)[0].ended == frozenset()
    assert open_instructions(book, unmetered)[0].ended == {"hp"}


# --- bounds -------------------------------------------------------------------------------------------


def test_more_open_instructions_than_the_bound_are_refused_for_now() -> None:
    book = Book()
    for n in range(MOST_OPEN):
        book = take(book, order(f"i{n}"), at(n)).book
    done = take(book, order("more"), at(MOST_OPEN))
    assert (done.report.reception, done.report.reason) == (TEMPORARY, Reason.STORAGE)
    assert take(book, order("i7", 1), at(MOST_OPEN)).report.reception is OK  # a revision opens nothing


def test_a_burst_of_messages_is_refused_but_never_a_stop() -> None:
    book = Book()
    for n in range(MOST_MESSAGES):
        book = take(book, order(f"i{n}"), at(n / 10)).book
    done = take(book, order("more"), at(9.9))
    assert (done.report.reception, done.report.reason) == (TEMPORARY, Reason.STORAGE)
    assert take(book, cancel("i3"), at(9.9)).report.ended
    assert take(book, order("more"), at(12)).report.reception is OK


def tombstone(n: int, expires_utc_s: float) -> Entry:
    return Entry(f"t{n}", 0, "", UTC, expires_utc_s, let_go=True, summarised=True)


def test_ids_are_remembered_a_week_beyond_their_last_moment_and_not_for_ever() -> None:
    book = take(Book(), cancel(expires=100)).book
    assert forget(book, at(100 + REMEMBER_S)).ids == ()
    assert forget(book, at(101 + REMEMBER_S, trusted=False)).ids == ()
    gone = forget(book, at(101 + REMEMBER_S))
    assert (gone.ids, gone.book.past) == (("i1",), {})


def test_a_full_memory_takes_nothing_new_rather_than_forget_what_could_be_replayed() -> None:
    book = restored(tombstone(n, UTC + 1000 + n) for n in range(MOST_REMEMBERED))
    assert forget(book, at()).ids == ()
    assert take(book, order()).report.reception is TEMPORARY
    assert take(book, cancel()).report.reception is TEMPORARY
    relieved = forget(book, at(1100))
    assert len(relieved.ids) == 100
    assert take(relieved.book, order(), at(1100)).report.reception is OK


def test_a_full_memory_still_obeys_a_stop() -> None:
    book = restored(tombstone(n, UTC + 1000 + n) for n in range(MOST_REMEMBERED - 1))
    book = take(book, order()).book
    done = take(book, stop_all())
    assert (done.report.reception, [r.ended for r in done.others]) == (TEMPORARY, [True])
    assert not done.book.current["i1"].is_open


def test_a_restart_keeps_what_is_open_and_what_has_ended() -> None:
    book = take(take(Book(), order("a")).book, cancel("b")).book
    again = restored([*book.current.values(), *book.past.values()])
    assert (again.current, again.past) == (book.current, book.past)
    assert take(again, order("a"), at(5)).report == take(book, order("a"), at(5)).report


def test_no_asset_of_the_home_is_needed_for_an_answer() -> None:
    done = take(Book(), order(targets=("site",)), home=Home())
    assert done.report.targets[0].reason is Reason.UNKNOWN_TARGET
