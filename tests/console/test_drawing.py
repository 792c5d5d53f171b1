"""Charts and pictures of power: what is drawn is what was metered, and no line or document breaks."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.console import chart, picture
from gateway.console.answers import MinuteLine, Report
from gateway.console.series import Column, columns

BEGIN = 1_795_453_200.0
POWERS = st.one_of(st.none(), st.floats(-9000, 25_000))


def at(utc_s: float) -> str:
    return datetime.fromtimestamp(utc_s, UTC).isoformat(timespec="milliseconds")


def minute(index: int, power_w: float | None, limit_w: float | None = None) -> MinuteLine:
    return {
        "seq": index + 1, "start": at(BEGIN + 60 * index), "end": at(BEGIN + 60 * index + 60),
        "power_w": power_w, "energy_wh": None, "gap_wh": None, "import_register_kwh": None,
        "export_register_kwh": None, "quality": "OK", "reasons": [], "source": "meter", "coverage": 1.0,
        "limit_w": limit_w, "governed_by": "none", "instructions": [], "soc": None, "room_c": None,
    }  # fmt: skip


@given(st.lists(POWERS, min_size=1, max_size=200), st.integers(1, 80), st.integers(0, 59))
def test_columns_keep_every_minute_once_whatever_their_width(
    powers: list[float | None], most: int, offset_s: int
) -> None:
    found = columns(
        [minute(k, power_w) for k, power_w in enumerate(powers)],
        BEGIN - offset_s,
        BEGIN - offset_s + 60.0 * (len(powers) + 1),
        most,
    )
    assert len(found) <= most
    assert all(a.end_utc_s == pytest.approx(b.start_utc_s) for a, b in pairwise(found))
    known = [w for w in powers if w is not None]
    drawn = [column.power_w for column in found if column.power_w is not None]
    assert bool(drawn) == bool(known)
    if known:
        assert min(known) - 1e-6 <= min(drawn)
        assert max(drawn) <= max(known) + 1e-6
    if len(found) == len(powers) + 1:  # a column a minute: nothing is averaged
        assert drawn == known
        assert sum(column.is_missing for column in found) == powers.count(None)


@given(st.lists(st.tuples(POWERS, POWERS), min_size=1, max_size=chart.WIDTH))
def test_a_chart_is_as_wide_as_a_terminal_and_as_high_as_the_power(
    pairs: list[tuple[float | None, float | None]],
) -> None:
    found = [
        Column(BEGIN + 60 * k, BEGIN + 60 * k + 60, power_w, limit_w, power_w is None)
        for k, (power_w, limit_w) in enumerate(pairs)
    ]
    lines = chart.chart(found, (BEGIN, BEGIN + 120), {"s": BEGIN + 1})
    assert len(lines) == chart.HEIGHT + 1
    assert max(map(len, lines)) <= 80
    known = [w for pair in pairs for w in pair if w is not None]
    low_w, high_w = min([0.0, *known]), max([1.0, *known])
    for k, (power_w, _) in enumerate(pairs):
        above = [line[11 + k : 12 + k] for line in lines[:-1]]
        eighths = sum(" ▁▂▃▄▅▆▇█".find(cell) for cell in above if cell and cell in "▁▂▃▄▅▆▇█")
        expected = 0.0 if power_w is None else (power_w - low_w) / (high_w - low_w) * 8 * chart.HEIGHT
        assert expected - 1e-6 <= eighths <= math.ceil(expected + 1e-6)


def test_a_chart_shows_limit_window_marks_and_what_is_not_known() -> None:
    powers = [2000.0, 2000.0, 500.0, None, 500.0, 2000.0]
    limits = [None, None, 1000.0, 1000.0, 1000.0, None]
    minutes = [minute(k, *pair) for k, pair in enumerate(zip(powers, limits, strict=True))]
    found = columns(minutes, BEGIN, BEGIN + 360, chart.WIDTH)
    assert chart.chart(found, (BEGIN + 120, BEGIN + 300), {"s": BEGIN + 125, "r": BEGIN + 250}) == [
        "   2.00 kW ██   █",
        "           ██   █",
        "           ██   █",
        "           ██───█",
        "           ██   █",
        "           ██   █",
        "           ███ ██",
        "   0.00 kW ███ ██",
        "             s?r",
    ]  # fmt: skip


def report(**more: Any) -> Report:
    known: dict[str, Any] = {
        "id": "i<1>&\x00", "revision": 0, "service": "tcm", "service_class": "response", "service_ref": None,
        "vector": "automated", "targets": ["asset:ev"], "asked": '"at most" 1.40 kW', "arrived": None,
        "start": at(BEGIN + 60), "end": at(BEGIN + 180), "ended": None, "start_delay_s": 0, "end_delay_s": 0,
        "steps": [], "assets": [], "history": [], "left_out": 0, "points": ["ev"], "since": at(BEGIN),
        "until": at(BEGIN + 300),
    }  # fmt: skip
    return {**known, **more}  # type: ignore[typeddict-item]


@given(st.lists(st.tuples(POWERS, POWERS), max_size=10))
def test_a_picture_is_a_document_whatever_is_in_it(pairs: list[tuple[float | None, float | None]]) -> None:
    minutes = [minute(k, power_w, limit_w) for k, (power_w, limit_w) in enumerate(pairs)]
    root = ElementTree.fromstring(picture.picture(report(), {"ev": minutes, "boundary": []}))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    for path in root.iter("{http://www.w3.org/2000/svg}path"):
        assert "nan" not in path.get("d", "")


def test_a_picture_draws_power_to_scale() -> None:
    minutes = [minute(0, 2000.0), minute(1, 500.0, 1000.0), minute(2, None), minute(3, 2000.0)]
    root = ElementTree.fromstring(picture.picture(report(), {"ev": minutes}))
    lines = [e.get("d") for e in root.iter() if e.get("class") == "line"]
    first_x, minute_x = picture.LEFT, (picture.RIGHT - picture.LEFT) / 5
    low_y = picture.TOP + picture.PANEL * (1 - 500 / 2000)
    middle, end = f"{first_x + minute_x:g}", f"{first_x + 2 * minute_x:g}"
    assert lines[0] == f"M{first_x:g} {picture.TOP:g}H{middle}V{low_y:g}H{end}"
    assert len(lines) == 2, "a minute that is missing breaks the line"
    assert [e.get("class") for e in root.iter()].count("missing") == 1
