"""What first showed that an asset follows, and what is chosen of its history: against counts done by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given as with_any
from hypothesis import strategies as st

from gateway.core.book import receive
from gateway.core.evidence import HISTORY_MAX, MARGIN_S, Stand, changes, span_utc_s, took
from gateway.core.life import Book, Entry, Evidence, Life, Proof, Response, Seen, Setting
from gateway.core.model import Kind, Reading
from gateway.core.progress import progress
from tests.core.dispatching import HOME, NO_DRAW, UTC, at, given, order, plan

HOUR = 3600.0
GIVEN = plan(given())  # a block of the heat pump: at most 0 W, and 100 W of tolerance


def sees(
    power_w: float, age_s: float, set_s: float | None, proof: Proof = Proof.READ_BACK
) -> Mapping[str, Seen]:
    """The pump as it is seen; its setpoint of 0 W was taken at `set_s`, if at all."""
    is_set = set_s is not None
    return {
        "hp": Seen(
            power=Reading(power_w, age_s, "submeter.power_w"),
            proof=proof if is_set else None,
            set_since_s=None if set_s is None else at(set_s).now_s,
            at_most_w=0 if is_set else None,
        )
    }


def lived(looks: Mapping[int, Mapping[str, Seen]]) -> Life:
    """The pump's life after these looks, in seconds after the tests' beginning; the block begins at 60."""
    received = receive(Book(), order(), HOME, NO_DRAW, at(0.0))
    book = received.book
    for second, seen in looks.items():
        book = progress(book, GIVEN if second >= 60 else plan(), seen, HOME, at(second)).book
    life = next(iter(book.current.values())).life("hp")
    assert life
    return life


@with_any(
    written_s=st.integers(60, 64),
    falls_after_s=st.integers(1, 20),
    every_s=st.integers(1, 10),
    phase_s=st.integers(0, 9),
)
def test_the_response_is_the_first_sample_below_the_limit_whatever_the_meters_pace(
    written_s: int, falls_after_s: int, every_s: int, phase_s: int
) -> None:
    """A meter that samples each `every_s` seconds; the pump draws 2000 W until it rests. The oracle is the
    list of its samples."""
    falls_s = written_s + falls_after_s
    samples = [(s, 2000.0 if s < falls_s else 30.0) for s in range(phase_s % every_s, 140, every_s)]
    looks = {}
    for second in range(40, 120):
        sample_s, power_w = [sample for sample in samples if sample[0] <= second][-1]
        looks[second] = sees(power_w, second - sample_s, written_s if second >= written_s else None)
    life = lived(looks)
    first_s = next(sample_s for sample_s, power_w in samples if power_w == 30.0)
    assert life.response == Response(UTC + first_s, 30.0, "submeter.power_w")
    assert life.setting == Setting(UTC + written_s, 0, raised=False, read_back=True)
    assert life.followed_utc_s is not None
    assert life.followed_utc_s >= life.response.at_utc_s


def test_one_sample_inside_between_two_outside_is_no_response() -> None:
    powers = {60: 2000.0, 61: 30.0, 62: 2000.0, 63: 2000.0, 64: 40.0, 65: 35.0, 66: 30.0}
    life = lived({s: sees(power_w, 0.0, 60) for s, power_w in powers.items()})
    assert life.response == Response(UTC + 64, 40.0, "submeter.power_w")


def test_what_was_inside_before_we_acted_shows_no_response() -> None:
    life = lived({second: sees(20.0, 0.0, 61 if second > 60 else None) for second in range(40, 90)})
    assert life.evidence is Evidence.IDLE
    assert life.response is None
    assert life.setting == Setting(UTC + 61, 0, raised=False, read_back=True)


def test_the_first_response_stays_when_the_asset_leaves_and_comes_back() -> None:
    powers = [2000.0] * 5 + [30.0] * 10 + [2000.0] * 20 + [30.0] * 10
    life = lived({60 + s: sees(power_w, 0.0, 60) for s, power_w in enumerate(powers)})
    assert life.response == Response(UTC + 65, 30.0, "submeter.power_w")


def test_a_refused_setpoint_was_not_taken_and_a_written_one_says_so() -> None:
    refused = {
        "hp": replace(sees(2000.0, 0.0, None)["hp"], set_since_s=at(61).now_s, at_most_w=0, refused=True)
    }
    assert lived({61: refused, 62: refused}).setting is None
    written = lived({65: sees(2000.0, 0.0, 61, Proof.WRITTEN)})
    assert written.setting == Setting(UTC + 61, 0, raised=False, read_back=False)


def test_the_first_setpoint_stays_when_another_is_taken() -> None:
    later = {"hp": replace(sees(2000.0, 0.0, 70)["hp"], at_most_w=1000)}
    life = lived({61: sees(2000.0, 0.0, 61), 70: later, 71: later})
    assert life.setting == Setting(UTC + 61, 0, raised=False, read_back=True)


def test_what_is_left_to_its_owner_is_no_setpoint() -> None:
    own = {"hp": replace(sees(2000.0, 0.0, 61)["hp"], at_most_w=None)}
    assert lived({61: own, 62: own}).setting is None


# --- how fast, and when -------------------------------------------------------------------------------


def entry(life: Life, *, delay_s: int = 0, ended: float | None = None) -> Entry:
    received = receive(Book(), order(start_delay=0), HOME, NO_DRAW, at(0.0))
    made = next(iter(received.book.current.values()))
    assert made.instruction
    instruction = replace(made.instruction, start_delay_s=delay_s)
    ended_utc_s = None if ended is None else UTC + ended
    return replace(made, instruction=instruction, lives=(life,), ended_utc_s=ended_utc_s)


def test_it_took_so_long_from_setpoint_delayed_start_and_arrival() -> None:
    life = Life(
        "hp",
        setting=Setting(UTC + 91.5, 0, raised=False, read_back=True),
        response=Response(UTC + 97.0, 30.0, "hp.power_w"),
    )
    assert took(entry(life, delay_s=30), life) == (
        5.5,
        7.0,
        97.0,
    )  # arrived at 0, asked for 60, delayed to 90
    unset = replace(life, setting=None)
    assert took(entry(unset), unset) == (None, 37.0, 97.0)
    assert took(entry(Life("hp")), Life("hp")) is None


@pytest.mark.parametrize(
    ("ended", "now", "until"),
    [
        (None, 600.0, 600.0),  # it runs
        (None, 9000.0, 60 + HOUR + MARGIN_S),  # its window is over, its summary not told yet
        (60 + HOUR, 9000.0, 60 + HOUR + MARGIN_S),
        (1000.0, 9000.0, 1000.0 + MARGIN_S),  # cancelled
        (10.0, 9000.0, 60.0 + MARGIN_S),  # before it began
        (None, -1000.0, 60.0 - MARGIN_S),  # to come: no minute is of that time
    ],
)
def test_minutes_are_shown_from_five_before_to_five_after(
    ended: float | None, now: float, until: float
) -> None:
    found = span_utc_s(entry(Life("hp"), ended=ended), UTC + now)
    assert found == (UTC + 60 - MARGIN_S, UTC + until)


# --- its history --------------------------------------------------------------------------------------


def stand(second: float, name: str = "hp", extent: str = "full", limit_w: float | None = 0.0) -> Stand:
    return Stand(second, name, "STARTED", extent, "measured", "none", "", limit_w, None)


@with_any(
    st.lists(
        st.tuples(st.sampled_from(["ev", "hp"]), st.sampled_from(["full", "partial", "none"])), max_size=40
    )
)
def test_each_change_is_told_once_and_in_order(told: list[tuple[str, str]]) -> None:
    stands = [stand(second, name, extent, float(second)) for second, (name, extent) in enumerate(told)]
    found, left_out = changes(reversed(stands))
    assert left_out == 0
    for name in ("ev", "hp"):
        mine = [one.extent for one in stands if one.name == name]
        expected = [e for k, e in enumerate(mine) if k == 0 or e != mine[k - 1]]
        assert [one.extent for one in found if one.name == name] == expected
    assert [one.at_utc_s for one in found] == sorted(one.at_utc_s for one in found)


def test_an_endless_history_is_cut_in_the_middle_and_says_by_how_much() -> None:
    found, left_out = changes(stand(s, extent="full" if s % 2 else "none") for s in range(HISTORY_MAX + 51))
    assert (len(found), left_out) == (HISTORY_MAX, 51)
    assert (found[0].at_utc_s, found[-1].at_utc_s) == (0, HISTORY_MAX + 50)


def test_a_cap_that_lets_more_through_is_met_by_a_sample_at_its_edge() -> None:
    """The band is the contract's: a cap of 1000 W is met at 1100 W."""
    received = receive(Book(), order(value=1.0), HOME, NO_DRAW, at(0.0))
    book, capped = received.book, plan(given(asked=1000, granted=1000, kind=Kind.CAP))
    for second, power_w in ((60, 2000.0), (61, 1101.0), (62, 1100.0), (63, 1090.0)):
        book = progress(book, capped, sees(power_w, 0.0, 60), HOME, at(second)).book
    life = next(iter(book.current.values())).life("hp")
    assert life
    assert life.response == Response(UTC + 62, 1100.0, "submeter.power_w")
