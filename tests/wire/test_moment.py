"""Moments and durations, written and read."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.moment import duration_of, duration_s_of, moment_of, utc_s_of

FIRST = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp())
LAST = int(datetime(2199, 12, 31, tzinfo=UTC).timestamp())


@given(st.integers(FIRST, LAST), st.sampled_from([0.0, 0.5, 0.999]))
def test_a_moment_is_written_with_its_fraction_cut_off_and_read_back(whole_s: int, fraction_s: float) -> None:
    text = moment_of(whole_s + fraction_s)
    assert text == datetime.fromtimestamp(whole_s, UTC).isoformat().replace("+00:00", "Z")
    assert utc_s_of(text) == whole_s


def test_a_moment_just_before_a_second_is_not_rounded_up_to_it() -> None:
    assert moment_of(math.nextafter(1_795_453_238.0, 0)) == "2026-11-23T17:00:37Z"


@given(st.integers(0, 10**6))
def test_a_duration_is_written_and_read_back(seconds: int) -> None:
    assert duration_s_of(duration_of(seconds)) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "PT0S"), (90, "PT1M30S"), (3600, "PT1H"), (86_399, "PT23H59M59S")]
)
def test_a_duration_leaves_out_what_is_nought(seconds: int, text: str) -> None:
    assert duration_of(seconds) == text


@pytest.mark.parametrize("text", ["", "PT", "P1D", "PT1D", "1H", "PT-1S", "pt1h", "PT1M1H", "PT1H\n", "P"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        duration_s_of(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-23",
        "2026-11-23T17:00Z",
        "2026-11-23 17:00:00Z",
        "2026-11-23T17:00:00",
        "2026-11-23T17:00:00z",
        "2026-11-23T17:00:00Z\n",
    ],
)
def test_other_moments_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a moment"):
        utc_s_of(text)
