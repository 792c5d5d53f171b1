"""Levels of SIMPLE: caps of the site's own configuration from acceptance on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.consent import asked
from gateway.core.book import decide_pending, open_instructions
from gateway.core.decide import decide
from gateway.core.life import Book, Reception, Status
from gateway.core.model import (
    AssetState,
    Extent,
    Instruction,
    Kind,
    Limits,
    Op,
    Reading,
    Reason,
    Snapshot,
    Step,
    Vector,
)
from tests.core.dispatching import EV, HOME, HOUR, HP, MAPPED, UTC, at, order, statuses, take

SIMPLE: dict[str, Any] = {"kind": Kind.SIMPLE, "targets": ("class:ev",)}


def accepted(**more: Any) -> Instruction:
    book = take(Book(), order(**{**SIMPLE, **more}), home=MAPPED).book
    (instruction,) = open_instructions(book, MAPPED)
    return instruction


@pytest.mark.parametrize(
    ("targets", "level", "cap_w"),
    [
        (("site",), 1, 8000),
        (("site",), 3, 2000),
        (("class:ev",), 1, 4000),
        (("asset:ev",), 2, 1400),
        (("class:heat",), 2, 0),
        (("class:ev", "class:heat"), 1, 5000),
        (("asset:ev", "class:ev"), 1, 4000),
    ],
)
def test_a_level_is_the_cap_that_the_site_gave_it(targets: tuple[str, ...], level: int, cap_w: int) -> None:
    (step,) = accepted(targets=targets, value=float(level)).steps
    assert step == Step(UTC + 60, UTC + 60 + HOUR, Kind.CAP, cap_w, level=level)


def test_what_only_watches_and_what_is_refused_adds_nothing_to_the_sum() -> None:
    """The fan needs notice and the boiler can only be watched: the value is of the car alone."""
    (step,) = accepted(targets=("asset:ev", "asset:boiler", "asset:fan"), value=1.0).steps
    assert step.power_w == 4000


@pytest.mark.parametrize("vector", Vector)
@pytest.mark.parametrize(
    ("targets", "level", "home"),
    [
        (("asset:ev",), 3, MAPPED),
        (("asset:fan",), 1, replace(MAPPED, plug_notice_s=0)),
        (("asset:hp",), 1, HOME),
        (("site",), 1, replace(MAPPED, simple_w={"ev": (1, 1, 1), "heat": (1, 1, 1)})),
    ],
)
def test_a_level_that_the_site_gave_no_cap_is_outside_its_capability(
    targets: tuple[str, ...], level: int, home: Any, vector: Vector
) -> None:
    done = take(
        Book(), order(kind=Kind.SIMPLE, targets=targets, value=float(level), vector=vector), home=home
    )
    assert done.report.reception is Reception.OK
    (line, *_) = done.report.targets
    assert (line.status, line.reason) == (Status.REJECTED, Reason.OUTSIDE_CAPABILITY)
    if targets == ("asset:ev",):
        assert line.text == "level 3 of SIMPLE means nothing here: services.simple.ev_w does not say it"


def test_of_several_classes_those_that_have_the_level_take_it() -> None:
    message = order(kind=Kind.SIMPLE, targets=("class:ev", "asset:fan"), value=2.0)
    done = take(Book(), message, home=replace(MAPPED, plug_notice_s=0))
    assert statuses(done) == {"ev": Status.ACCEPTED, "fan": Status.REJECTED, "class:ev": Status.ACCEPTED}
    (instruction,) = open_instructions(done.book, MAPPED)
    assert instruction.steps[0].power_w == 1400


def decided(instruction: Instruction, draws_w: float = 7000.0) -> Any:
    reading = Reading(draws_w, 1.0, "c.power_w")
    states = {"ev": AssetState(reading, online=True), "hp": AssetState(online=True)}
    limits = {"ev": Limits(), "hp": Limits()}
    now = at(100)
    return decide(Snapshot(now.now_s, now.utc_s, True, (EV, HP), states, limits, instructions=(instruction,)))


def test_from_acceptance_on_it_is_a_cap() -> None:
    plan = decided(accepted(value=2.0))
    (given,) = plan.given
    assert plan.setpoint("ev").at_most_w == 1380
    assert (given.kind, given.asked_w, given.extent) == (Kind.CAP, 1400, Extent.FULL)


def test_level_0_holds_nothing_and_is_followed() -> None:
    plan = decided(accepted(value=0.0, targets=("class:ev", "class:heat")))
    assert [setpoint.at_most_w for setpoint in plan.setpoints] == [None, None]
    assert [given.extent for given in plan.given] == [Extent.FULL, Extent.FULL]


def test_level_0_needs_no_mapping() -> None:
    book = take(Book(), order(**SIMPLE, value=0.0), home=HOME).book
    assert len(open_instructions(book, HOME)) == 1


def test_a_configuration_changed_later_does_not_change_what_was_accepted() -> None:
    book = take(Book(), order(**SIMPLE, value=1.0), home=MAPPED).book
    (instruction,) = open_instructions(book, HOME)
    assert instruction.steps[0].power_w == 4000


def test_a_revision_to_a_level_without_a_cap_leaves_the_former_in_force() -> None:
    book = take(Book(), order(**SIMPLE, value=1.0), home=MAPPED).book
    done = take(book, order(revision=1, **SIMPLE, value=3.0), home=MAPPED)
    assert (done.report.reception, done.report.reason) == (
        Reception.INVALID_CONTENT,
        Reason.OUTSIDE_CAPABILITY,
    )
    assert open_instructions(done.book, MAPPED) == open_instructions(book, MAPPED)


def test_a_level_that_waited_for_the_clock_is_mapped_when_it_is_decided() -> None:
    book = take(Book(), order(**SIMPLE, value=1.0), at(trusted=False), home=MAPPED).book
    (instruction,) = open_instructions(decide_pending(book, MAPPED, at(30)).book, MAPPED)
    assert (instruction.steps[0].power_w, instruction.steps[0].level) == (4000, 1)


@pytest.mark.parametrize(
    ("level", "words"),
    [(1, "class:ev at most 4.00 kW (SIMPLE, level 1)"), (0, "class:ev as it likes (SIMPLE, level 0)")],
)
def test_a_person_reads_the_level_and_the_cap(level: int, words: str) -> None:
    book = take(Book(), order(**SIMPLE, value=float(level)), home=MAPPED).book
    assert asked(book.current["i1"], UTC) == words


def test_a_cancel_returns_from_a_level_as_from_a_cap() -> None:
    book = take(Book(), order(**SIMPLE, value=2.0, end_delay=300), home=MAPPED).book
    stop = order(revision=1, op=Op.CANCEL, issued=100, end_delay=0)
    stopped = take(book, stop, at(120), home=MAPPED).book
    (step,) = stopped.entry("i1").instruction.steps  # type: ignore[union-attr]
    assert (step.kind, step.power_w, step.level) == (Kind.CAP, 1400, 2)
    assert step.end_utc_s == UTC + 120
