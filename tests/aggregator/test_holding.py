"""The watermark: never above a hole, and the same in whatever order things come."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.aggregator.holding import GIVE_UP_S, Holding
from gateway.wire.ack import Ack
from gateway.wire.message import decode

SITE, STREAM, LOG = "home-7f3a", "01JDC0W3Q8Z5", "telemetry:ev"


def take(holding: Holding, *seqs: int, at_utc_s: float = 0.0, stream: str = STREAM) -> None:
    for seq in seqs:
        holding.take(SITE, [(LOG, stream, seq)], at_utc_s)


def mark(holding: Holding) -> int:
    return holding.logs[SITE][LOG].seq


@given(st.lists(st.integers(2, 40), max_size=60), st.randoms())
def test_the_mark_is_the_last_number_before_the_first_hole_whatever_the_order(
    seqs: list[int], random: object
) -> None:
    holding = Holding()
    take(holding, 1)
    take(holding, *seqs)
    held = {1, *seqs}
    assert mark(holding) == min(seq for seq in range(1, 42) if seq + 1 not in held)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=40), st.integers(0, 40))
def test_a_restart_at_any_point_changes_nothing(seqs: list[int], cut: int) -> None:
    whole, before = Holding(), Holding()
    take(whole, *seqs)
    take(before, *seqs[:cut])
    after = Holding.restored(before.saved())
    take(after, *seqs[cut:])
    assert after.saved() == whole.saved()


def test_what_came_before_the_first_number_heard_is_not_asked_for() -> None:
    holding = Holding()
    take(holding, 500, 499, 501)
    assert mark(holding) == 501


def test_what_comes_again_is_not_new() -> None:
    holding = Holding()
    assert holding.take(SITE, [(LOG, STREAM, 1)], 0.0)
    assert not holding.take(SITE, [(LOG, STREAM, 1)], 0.0)
    assert holding.take(SITE, [(LOG, STREAM, 1), (LOG, STREAM, 3)], 0.0)
    assert not holding.take(SITE, [(LOG, STREAM, 3)], 0.0)


def test_a_new_stream_begins_anew() -> None:
    holding = Holding()
    take(holding, 500)
    take(holding, 1, 2, stream="ABCDEFGHJKLM")
    assert (mark(holding), holding.logs[SITE][LOG].stream) == (2, "ABCDEFGHJKLM")


def test_a_gap_that_does_not_fill_is_given_up_once_and_told() -> None:
    holding = Holding()
    take(holding, 1, at_utc_s=0.0)
    take(holding, 4, 5, 9, at_utc_s=100.0)
    assert holding.give_up(100.0 + GIVE_UP_S - 1) == []
    assert holding.give_up(100.0 + GIVE_UP_S) == [(SITE, LOG, 2, 3)]
    assert mark(holding) == 5
    assert holding.give_up(100.0 + GIVE_UP_S) == []  # the next gap has its own hour
    assert holding.give_up(100.0 + 2 * GIVE_UP_S) == [(SITE, LOG, 6, 8)]
    assert mark(holding) == 9


def test_progress_gives_a_gap_more_time() -> None:
    holding = Holding()
    take(holding, 1, 4, at_utc_s=0.0)
    take(holding, 2, at_utc_s=3000.0)
    assert holding.give_up(GIVE_UP_S) == []


def test_what_is_remembered_is_bounded_and_never_claims_more() -> None:
    holding = Holding()
    take(holding, *range(1, 1201, 2))
    assert len(holding.logs[SITE][LOG].apart) <= 256
    take(holding, *range(2, 1201, 2))
    assert mark(holding) < 1201
    take(holding, *range(1, 1201))
    assert mark(holding) == 1200


def test_an_ack_is_one_that_a_gateway_reads() -> None:
    holding = Holding()
    take(holding, 1, 2, 4)
    ack = decode(Ack, json.dumps(holding.ack(SITE, 1_795_453_237.4)).encode(), SITE)
    assert {log: (one.stream, one.seq) for log, one in ack.logs.items()} == {LOG: (STREAM, 2)}


@pytest.mark.parametrize("text", ["", "[]", '{"home": 3}', '{"home": {"status": [1, 2]}}'])
def test_a_state_that_is_not_ours_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a state of `ack`"):
        Holding.restored(text)
