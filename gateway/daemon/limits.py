"""The limits in force: the configuration's weekly times laid out in UTC for the days around now."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from gateway.core.model import AssetClass, Limits, Timetable
from gateway.core.timetable import Row, spans
from gateway.daemon.config import Config
from gateway.daemon.sections import AssetSection, Weekly
from gateway.daemon.sections import Row as Configured

BEFORE_S, AHEAD_S = 86_400.0, 9 * 86_400.0  # made anew each day
QUARTER_S = 900  # zones change their offset on quarter-hours
LONGEST_HOLD_S = {AssetClass.EV: 14_400.0, AssetClass.HEAT: 7_200.0, AssetClass.PLUG: 7_200.0}  # contract
LONGEST_HOLD_WITH_STORAGE_S = 21_600.0  # contract

Transitions = tuple[tuple[float, int], ...]


def limits_of(config: Config, utc_s: float) -> Mapping[str, Limits]:
    """The limits of each asset around `utc_s`."""
    start, end = utc_s - BEFORE_S, utc_s + AHEAD_S
    transitions = transitions_of(config.zone, start, end)

    def laid_out(weekly: Weekly) -> Timetable:
        return Timetable(spans(_rows(weekly.times), transitions, start, end), weekly.otherwise)

    def limits(section: AssetSection) -> Limits:
        comfort, care = section.comfort, section.care
        return Limits(
            room_min_c=laid_out(comfort.room_min_c),
            room_max_c=laid_out(comfort.room_max_c),
            hysteresis_c=comfort.hysteresis_c,
            room_max_age_s=comfort.room_max_age_s,
            longest_hold_s=_longest_hold_s(section),
            rest_s=comfort.rest_s,
            min_run_s=care.min_run_s,
            min_rest_s=care.min_rest_s,
            schedule=laid_out(Weekly(times=section.schedule)),
        )

    return {name: limits(section) for name, section in config.sections.items()}


def transitions_of(zone: ZoneInfo, from_utc_s: float, to_utc_s: float) -> Transitions:
    """The zone's changes of offset in a span, and the offset at its start."""
    found = [(from_utc_s, _offset_s(zone, from_utc_s))]
    first = (int(from_utc_s) // QUARTER_S + 1) * QUARTER_S
    for utc_s in range(first, int(to_utc_s) + 1, QUARTER_S):
        offset_s = _offset_s(zone, utc_s)
        if offset_s != found[-1][1]:
            found.append((float(utc_s), offset_s))
    return tuple(found)


def _rows(times: tuple[Configured, ...]) -> tuple[Row, ...]:
    return tuple(Row(row.days, row.start, row.end, row.value) for row in times)


def _longest_hold_s(section: AssetSection) -> float:
    if section.comfort.longest_hold_s is not None:
        return section.comfort.longest_hold_s
    if section.storage and section.asset_class is AssetClass.HEAT:
        return LONGEST_HOLD_WITH_STORAGE_S
    return LONGEST_HOLD_S[section.asset_class]


def _offset_s(zone: ZoneInfo, utc_s: float) -> int:
    offset = datetime.fromtimestamp(utc_s, UTC).astimezone(zone).utcoffset()
    return int(offset.total_seconds()) if offset else 0
