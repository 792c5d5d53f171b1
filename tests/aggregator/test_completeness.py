"""The verdict on readings: nothing honest is blamed, nothing missing is missed, and order does not matter."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.aggregator.completeness import Ledger, Verdict, is_whole
from gateway.aggregator.heard import Heard
from tests.aggregator.streams import SITE, STREAM, Step, readings, streams, telemetry
from tests.wire.bodies import NOW_UTC_S

STEADY = [Step(20_000, 0, False)] * 10


def verdict(*messages: Heard) -> Verdict:
    ledger = Ledger()
    for message in messages:
        ledger.take(message)
    (found,) = [one for one in ledger.verdicts() if one.log == "telemetry:ev"]
    return found


def summary(**asset: Any) -> Heard:
    one = {"asset": "ev", "status": "SUCCEEDED", "energyKwh": 0.1, "firstSeq": 3, "lastSeq": 7, **asset}
    body = {"schema": "homeflex.summary.v1", "id": "boa", "stream": STREAM, "seq": 1, "assets": [one]}
    return Heard(f"homeflex/v1/{SITE}/dispatch/status", json.dumps(body).encode(), False, NOW_UTC_S)


@given(streams(), st.randoms(use_true_random=False))
def test_an_honest_stream_is_whole_doubled_and_out_of_order(
    stream: list[dict[str, Any]], random: Random
) -> None:
    messages = [telemetry(one) for one in stream] + [telemetry(*stream[::2], backfill=True)]
    random.shuffle(messages)
    found = verdict(*messages)
    assert found.is_whole, found.words
    assert (found.held, found.first_seq, found.last_seq) == (len(stream), stream[0]["seq"], stream[-1]["seq"])
    missing = sum(one["quality"] == "MISSING" for one in stream)
    assert any(f"{missing} minutes without data" in note for note in found.notes) is bool(missing)


@given(streams(), st.sets(st.integers(0, 29)), st.randoms(use_true_random=False))
def test_exactly_the_dropped_numbers_are_missing(
    stream: list[dict[str, Any]], dropped: set[int], random: Random
) -> None:
    kept = [one for n, one in enumerate(stream) if n not in dropped]
    assume(kept)
    random.shuffle(kept)
    found = verdict(*(telemetry(one) for one in kept))
    seqs = {one["seq"] for one in kept}
    holes = set(range(min(seqs), max(seqs))) - seqs
    told: set[int] = set()
    for fault in found.faults:
        words = fault.split()
        assert words[0] in ("number", "numbers"), fault
        told |= set(range(int(words[1]), int(words[3] if words[0] == "numbers" else words[1]) + 1))
    assert told == holes


@given(streams(), st.data())
def test_an_energy_that_is_not_the_registers_is_told(
    stream: list[dict[str, Any]], data: st.DataObject
) -> None:
    good = [n for n, one in enumerate(stream) if one["energyKwh"] is not None]
    assume(len(good) >= 2)
    n = data.draw(st.sampled_from(good[1:]))
    stream[n]["energyKwh"] += data.draw(st.sampled_from([-0.01, 0.01, 1.0]))
    (fault,) = verdict(*(telemetry(one) for one in stream)).faults
    assert fault.startswith(f"minute {stream[n]['seq']} ")
    assert "the register says" in fault


def test_what_rounding_may_leave_is_no_fault_and_a_millionth_too_much_is() -> None:
    stream = readings(STEADY)
    stream[5]["energyKwh"] = 0.020001
    assert not verdict(*(telemetry(one) for one in stream)).is_whole
    stream = readings(STEADY, has_export=True)
    stream[5]["energyKwh"] = 0.020002
    assert verdict(*(telemetry(one) for one in stream)).is_whole
    stream[5]["energyKwh"] = 0.020003
    assert not verdict(*(telemetry(one) for one in stream)).is_whole


def test_a_counter_that_was_reset_starts_the_sum_anew() -> None:
    stream = readings(STEADY)
    for one in stream[5:]:
        one["importRegisterKwh"] = round(one["importRegisterKwh"] - 4000, 6)
    assert not verdict(telemetry(*stream)).is_whole
    stream[5]["reasons"] = ["counterReset"]
    assert verdict(telemetry(*stream)).is_whole


def test_minutes_that_do_not_join_are_told() -> None:
    stream = readings(STEADY)
    stream[4]["start"] = stream[4]["start"].replace("00Z", "01Z")
    assert "not where the one before ends" in verdict(telemetry(*stream)).faults[0]
    stream = readings(STEADY)
    stream[9]["end"] = stream[9]["start"]
    assert "lasts 0 s" in verdict(telemetry(*stream)).faults[0]


def test_two_contents_of_one_number_are_told_the_same_again_is_not() -> None:
    stream = readings(STEADY)
    again = verdict(telemetry(*stream), telemetry(stream[3]))
    assert again.is_whole
    assert again.notes[-1] == "1 came more than once, the same each time"
    other = {**stream[3], "energyKwh": 0.5}
    assert "number 4 came with two contents" in verdict(telemetry(*stream), telemetry(other)).faults


def test_late_and_backfilled_minutes_are_told_and_no_fault() -> None:
    stream = readings(STEADY)
    ended_utc_s = NOW_UTC_S + 60.0
    in_time, late = (
        telemetry(stream[0], at_utc_s=ended_utc_s + 2),
        telemetry(stream[1], at_utc_s=ended_utc_s + 90),
    )
    found = verdict(in_time, late, telemetry(*stream[2:], backfill=True, at_utc_s=ended_utc_s + 5000))
    assert found.is_whole
    assert found.notes == (
        "1 minutes came late, the latest 30 s after its end",
        "8 minutes came as backfill",
    )


@pytest.mark.parametrize(
    ("asset", "is_fault"),
    [
        ({"energyKwh": 0.1}, False),
        ({"energyKwh": 0.061}, False),  # but for the two minutes at the edges
        ({"energyKwh": 0.059}, True),
        ({"energyKwh": 0.141}, True),
        ({"energyKwh": 5.0, "asset": "hp"}, False),
        ({"energyKwh": None}, False),
        ({"energyKwh": 5.0, "firstSeq": None, "lastSeq": None}, False),
        ({"energyKwh": 5.0, "lastSeq": 99}, False),  # nobody can say
    ],
)
def test_a_summary_is_held_against_its_minutes(asset: dict[str, Any], is_fault: bool) -> None:
    found = verdict(telemetry(*readings(STEADY)), summary(**asset))
    assert ["summary" in fault for fault in found.faults] == [True] * is_fault


def test_statuses_and_events_have_numbers_too() -> None:
    ledger = Ledger()
    for topic, seqs in (("dispatch/status", (3, 5)), ("event", (1, 2))):
        for seq in (*seqs, 0):
            body = json.dumps({"stream": STREAM, "seq": seq}).encode()
            ledger.take(Heard(f"homeflex/v1/{SITE}/{topic}", body, False, 0.0))
    assert [(one.log, one.faults) for one in ledger.verdicts()] == [
        ("event", ()),
        ("status", ("number 4 is missing",)),
    ]


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b'{"points": 3}', b'{"points": {"ev": {}}}', b"\xff", b"[" * 9999]
)
def test_what_cannot_be_read_is_passed_over(payload: bytes) -> None:
    ledger = Ledger()
    for below in ("telemetry", "dispatch/status", "event", "state", "other"):
        ledger.take(Heard(f"homeflex/v1/{SITE}/{below}", payload, False, 0.0))
    assert ledger.verdicts() == []
    assert not is_whole([])
