"""Weekly local times against the zone database itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.model import Timetable
from gateway.core.timetable import DAYS, Clock, Row, Transition, moments, spans

ZONES = ["Europe/London", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]
YEAR_S = 365 * 86_400
FIRST_UTC_S = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


def utc_s(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def offset_s(zone: str, at_utc_s: float) -> int:
    offset = datetime.fromtimestamp(at_utc_s, ZoneInfo(zone)).utcoffset()
    assert offset is not None
    return int(offset.total_seconds())


def transitions(zone: str) -> list[Transition]:
    """The zone's transitions from two days before 2026 to the end of 2027, found hour by hour (the
    zones here change on the half hour at the finest)."""
    halves = [FIRST_UTC_S - 2 * 86_400 + 1800 * half for half in range(2 * 24 * 735)]
    found = [(halves[0], offset_s(zone, halves[0]))]
    for moment in halves:
        if (offset := offset_s(zone, moment)) != found[-1][1]:
            found.append((moment, offset))
    return found


TRANSITIONS = {zone: transitions(zone) for zone in ZONES}


def laid_out(
    week: list[Row], zone: list[Transition], start: float, end: float, otherwise: float | None = None
) -> Timetable:
    return Timetable(spans(week, zone, start, end), otherwise)


def on_the_wall(week: list[Row], zone: str, at_utc_s: float) -> float | None:
    """What the table says for the time a clock on the wall shows."""
    local = datetime.fromtimestamp(at_utc_s, ZoneInfo(zone)).replace(tzinfo=None)
    value = None
    for days, start, end, entry_value in week:
        for day in (local.date() - timedelta(days=1), local.date()):
            begin = datetime.fromisoformat(f"{day} {start}")
            stop = datetime.fromisoformat(f"{day} {end}")
            stop += timedelta(days=1) if stop <= begin else timedelta()
            if DAYS[day.weekday()] in days and begin <= local < stop:
                value = entry_value
    return value


def is_shown_twice(zone: str, at_utc_s: float) -> bool:
    local = datetime.fromtimestamp(at_utc_s, ZoneInfo(zone))
    return local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()


CLOCKS = st.builds(lambda h, m: f"{h:02}:{m:02}", st.integers(0, 23), st.sampled_from([0, 15, 30, 59]))
WEEKS = st.lists(
    st.builds(
        Row,
        st.lists(st.sampled_from(DAYS), min_size=1, unique=True),
        CLOCKS,
        CLOCKS,
        st.sampled_from([18.0, 19.5, 21.0]),
    ),
    max_size=6,
)


def moments_near(zone: str) -> st.SearchStrategy[float]:
    """Any moment of the year, often near a change of the clocks."""
    changes = [since_s for since_s, _ in TRANSITIONS[zone][1:]] or [FIRST_UTC_S + YEAR_S / 2]
    near = st.builds(lambda c, s: c + s, st.sampled_from(changes), st.integers(-90_000, 90_000))
    return st.one_of(near, st.integers(0, YEAR_S).map(lambda s: FIRST_UTC_S + s))


@pytest.mark.parametrize("zone", ZONES)
@settings(max_examples=120, deadline=None)
@given(week=WEEKS, data=st.data())
def test_the_value_at_any_moment_is_the_one_of_the_clock_on_the_wall(
    zone: str, week: list[Row], data: st.DataObject
) -> None:
    at_utc_s = data.draw(moments_near(zone))
    days_before, days_after = data.draw(st.integers(0, 3)), data.draw(st.integers(1, 8))
    table = laid_out(
        week, TRANSITIONS[zone], at_utc_s - days_before * 86_400 / 2, at_utc_s + days_after * 86_400 / 2
    )
    if not is_shown_twice(zone, at_utc_s):
        assert table.at(at_utc_s) == on_the_wall(week, zone, at_utc_s)


@settings(max_examples=100, deadline=None)
@given(week=WEEKS, zone=st.sampled_from(ZONES), data=st.data())
def test_spans_are_in_order_apart_and_inside_what_was_asked(
    week: list[Row], zone: str, data: st.DataObject
) -> None:
    start = data.draw(moments_near(zone))
    end = start + data.draw(st.integers(1, 20 * 86_400))
    table = laid_out(week, TRANSITIONS[zone], start, end, 17.0)
    assert all(start <= s.start_utc_s < s.end_utc_s <= end for s in table.spans)
    for before, after in pairwise(table.spans):
        assert before.end_utc_s <= after.start_utc_s
        assert before.end_utc_s < after.start_utc_s or before.value != after.value
    assert table.at(end) == table.at(start - 1) == 17.0


LONDON = TRANSITIONS["Europe/London"]


def day(week: list[Row], date: str) -> list[tuple[str, str, float]]:
    """The spans of a UTC day in London's zone, as times."""
    start = utc_s(date)

    def clock(at: float) -> str:
        return "24:00" if at == start + 86_400 else f"{datetime.fromtimestamp(at, UTC):%H:%M}"

    table = laid_out(week, LONDON, start, start + 86_400)
    return [(clock(s.start_utc_s), clock(s.end_utc_s), s.value) for s in table.spans]


def test_a_summer_morning_is_an_hour_earlier_in_utc() -> None:
    week = [Row(DAYS, "06:00", "09:00", 20.0)]
    assert day(week, "2026-01-14") == [("06:00", "09:00", 20.0)]
    assert day(week, "2026-07-14") == [("05:00", "08:00", 20.0)]


def test_a_time_that_does_not_exist_is_the_end_of_the_gap() -> None:
    assert day([Row(["sun"], "01:30", "05:00", 20.0)], "2026-03-29") == [("01:00", "04:00", 20.0)]
    assert day([Row(["sun"], "00:30", "01:30", 20.0)], "2026-03-29") == [("00:30", "01:00", 20.0)]
    assert day([Row(["sun"], "01:15", "01:45", 20.0)], "2026-03-29") == []


def test_a_time_that_occurs_twice_is_its_first_occurrence() -> None:
    assert day([Row(["sun"], "01:30", "05:00", 20.0)], "2026-10-25") == [("00:30", "05:00", 20.0)]
    assert day([Row(["sun"], "00:30", "01:30", 20.0)], "2026-10-25") == [("00:00", "00:30", 20.0)]


def test_an_end_before_its_start_is_on_the_next_day() -> None:
    week = [Row(["mon"], "22:00", "06:00", 17.0)]
    assert day(week, "2026-01-12") == [("22:00", "24:00", 17.0)]
    assert day(week, "2026-01-13") == [("00:00", "06:00", 17.0)]
    assert day(week, "2026-01-14") == []


@pytest.mark.parametrize("end", ["00:00", "24:00"])
def test_a_whole_day_ends_at_midnight_and_joins_the_next(end: str) -> None:
    assert day([Row(["mon", "tue"], "00:00", end, 17.0)], "2026-01-13") == [("00:00", "24:00", 17.0)]
    table = laid_out([Row(DAYS, "00:00", end, 17.0)], LONDON, utc_s("2026-01-01"), utc_s("2026-02-01"))
    assert len(table.spans) == 1


def test_a_later_entry_lies_on_an_earlier_one() -> None:
    week = [Row(DAYS, "06:00", "22:00", 20.0), Row(["wed"], "12:00", "14:00", 17.0)]
    assert day(week, "2026-01-14") == [
        ("06:00", "12:00", 20.0),
        ("12:00", "14:00", 17.0),
        ("14:00", "22:00", 20.0),
    ]
    assert day(week[::-1], "2026-01-14") == [("06:00", "22:00", 20.0)]


@pytest.mark.parametrize("clock", ["25:00", "24:01", "12:60", "-1:00", "noon"])
def test_a_time_that_is_none_is_refused(clock: str) -> None:
    with pytest.raises(ValueError):
        spans([Row(DAYS, clock, "23:00", 1.0)], LONDON, FIRST_UTC_S, FIRST_UTC_S + 1)


@pytest.mark.parametrize("clock", ["00:00", "01:30", "07:00", "23:59"])
@given(st.floats(FIRST_UTC_S, FIRST_UTC_S + YEAR_S), st.sets(st.sampled_from(DAYS), min_size=1))
def test_each_moment_shows_its_time_on_the_wall_once_on_each_of_its_days(
    clock: str, from_utc_s: float, days: set[str]
) -> None:
    to_utc_s = from_utc_s + 14 * 86_400
    zone = ZoneInfo("Europe/London")
    found = moments([Clock(sorted(days), clock)], LONDON, from_utc_s, to_utc_s)
    walls = [datetime.fromtimestamp(utc_s, UTC).astimezone(zone) for utc_s, _ in found]
    assert len({wall.date() for wall in walls}) == len(walls)
    assert abs(len(walls) - 2 * len(days)) <= 1
    for wall, (_, told) in zip(walls, found, strict=True):
        assert DAYS[wall.weekday()] in days
        assert told == clock
        in_the_gap = (wall.month, wall.hour, wall.minute) == (3, 2, 0)
        assert f"{wall:%H:%M}" == clock or in_the_gap


def test_two_times_a_day_come_in_order_and_one_said_twice_comes_once() -> None:
    week = [Clock(DAYS, "18:00"), Clock(["mon"], "07:00"), Clock(DAYS, "07:00")]
    start = utc_s("2026-01-12")
    found = moments(week, LONDON, start, start + 86_400)
    assert found == ((start + 7 * 3600, "07:00"), (start + 18 * 3600, "18:00"))


def test_a_zone_must_be_known_from_the_first_moment_on() -> None:
    with pytest.raises(ValueError, match="transitions"):
        spans([], LONDON, FIRST_UTC_S - YEAR_S, FIRST_UTC_S)
    with pytest.raises(ValueError, match="transitions"):
        spans([], [], FIRST_UTC_S, FIRST_UTC_S + 1)
