"""The verdict on half-hours: nothing honest is blamed, nothing missing or wrong is missed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.aggregator.completeness import Ledger, Verdict
from gateway.aggregator.heard import Heard, numbers
from tests.aggregator.streams import SITE, STREAM, kwh, telemetry
from tests.wire.bodies import NOW_UTC_S, moment

HALF_S = 1800


def half(index: int, steps: list[tuple[int, int]], seq: int, revision: int = 0) -> dict[str, Any]:
    """The half-hour of that index where `steps` flowed in each, in and out (millionths of a kWh)."""
    imports, exports = 4_211_902_000, 90_100_000
    before, after = (
        [start + sum(step[way] for step in steps[:until]) for way, start in enumerate((imports, exports))]
        for until in (index, index + 1)
    )
    return {
        "seq": seq,
        "revision": revision,
        "start": moment(NOW_UTC_S + HALF_S * index),
        "end": moment(NOW_UTC_S + HALF_S * (index + 1)),
        "settlementDate": "2026-11-23",
        "settlementPeriod": 35 + index,
        "importKwh": kwh(steps[index][0]),
        "exportKwh": kwh(steps[index][1]),
        "importRegisterStartKwh": kwh(before[0]),
        "importRegisterEndKwh": kwh(after[0]),
        "exportRegisterStartKwh": kwh(before[1]),
        "exportRegisterEndKwh": kwh(after[1]),
        "method": "REGISTER",
        "quality": "OK",
        "reasons": [],
        "coverage": 1.0,
        "edgeGapS": 4,
    }


UNKNOWN = dict.fromkeys(("importKwh", "exportKwh", "importRegisterEndKwh", "exportRegisterEndKwh"))


def told(*rows: dict[str, Any]) -> Heard:
    points = {"ev": {"stream": STREAM, "halfHours": list(rows)}}
    body = {"schema": "homeflex.settlement.v1", "site": SITE, "backfill": False, "points": points}
    return Heard(f"homeflex/v1/{SITE}/settlement", json.dumps(body).encode(), False, NOW_UTC_S)


def verdict(*messages: Heard) -> Verdict:
    ledger = Ledger()
    for message in messages:
        ledger.take(message)
    (found,) = [one for one in ledger.verdicts() if one.log == "settlement:ev"]
    return found


FLOWS = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), min_size=1, max_size=12)


@given(FLOWS, st.data())
def test_honest_half_hours_are_whole_in_any_order_corrected_and_doubled(
    steps: list[tuple[int, int]], data: st.DataObject
) -> None:
    rows = [half(index, steps, index + 1) for index in range(len(steps))]
    late = data.draw(st.sampled_from(rows))
    again = {**late, "seq": len(rows) + 1, "revision": 1}
    rows[rows.index(late)] = {**late, **UNKNOWN, "quality": "MISSING", "reasons": ["edge"]}
    messages = [told(row) for row in [*rows, again, *rows[::2]]]
    found = verdict(*data.draw(st.permutations(messages)))
    assert found.is_whole, found.words
    assert (found.first_seq, found.last_seq, found.held) == (1, len(rows) + 1, len(rows) + 1)
    assert "1 half-hours were corrected" in found.notes


def changed(**more: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda row: {**row, **more}


@pytest.mark.parametrize(
    ("spoilt", "word"),
    [
        (changed(importKwh=0.0201), "not its register's step"),
        (changed(exportRegisterStartKwh=1.0), "does not start at the register"),
        (changed(revision=1), "is revision 1, not 0"),
        (changed(start=moment(NOW_UTC_S + HALF_S + 60)), "no half-hour on :00 or :30"),
    ],
)
def test_what_does_not_fit_is_told(spoilt: Callable[[dict[str, Any]], dict[str, Any]], word: str) -> None:
    rows = [half(index, [(20_000, 5_000)] * 3, index + 1) for index in range(3)]
    found = verdict(told(rows[0], spoilt(rows[1]), rows[2]))
    assert not found.is_whole
    assert any(word in fault for fault in found.faults), found.words


def test_a_half_hour_that_is_left_out_is_told_though_no_number_is_missing() -> None:
    rows = [half(index, [(20_000, 0)] * 3, seq) for index, seq in ((0, 1), (2, 2))]
    assert any("nothing is told from" in fault for fault in verdict(told(*rows)).faults)


@pytest.mark.parametrize(("end_micro", "is_whole"), [(4_211_922_000, True), (4_211_900_000, False)])
def test_its_register_is_held_against_the_minutes_around_it(end_micro: int, is_whole: bool) -> None:
    row = half(0, [(20_000, 0)], 1) | {"exportKwh": None}
    row |= dict.fromkeys(("exportRegisterStartKwh", "exportRegisterEndKwh"))
    minutes = [
        {
            "seq": seq,
            "start": moment(NOW_UTC_S + HALF_S + at_s - 60),
            "end": moment(NOW_UTC_S + HALF_S + at_s),
            "energyKwh": 0.001,
            "importRegisterKwh": kwh(end_micro + step),
            "exportRegisterKwh": None,
            "quality": "OK",
            "reasons": [],
        }
        for seq, at_s, step in ((1, -23, -300), (2, 37, 700))
    ]
    assert verdict(told(row), telemetry(*minutes)).is_whole is is_whole


def test_half_hours_have_numbers_and_what_cannot_be_read_is_passed_over() -> None:
    body = json.loads(told(half(0, [(1, 1)], 7)).payload)
    assert numbers("settlement", body) == [("settlement:ev", STREAM, 7)]
    ledger = Ledger()
    for broken in ({}, {"points": 3}, {"points": {"ev": {"stream": STREAM, "halfHours": [{}]}}}):
        ledger.take(Heard(f"homeflex/v1/{SITE}/settlement", json.dumps(broken).encode(), False, NOW_UTC_S))
    assert ledger.verdicts() == []
