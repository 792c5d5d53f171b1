"""The limits in force: the configuration's weekly times laid out in UTC for the days around now."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from gateway.core.model import AssetClass, Care, Charge, Deadline, Limits, Timetable
from gateway.core.timetable import Clock, Row, moments, spans
from gateway.daemon import household
from gateway.daemon.config import Config
from gateway.daemon.household import (
    BLOCKS_PER_DAY,
    COLD_AIR_MAX_C,
    COLD_ON_S,
    COLD_REST_S,
    COLD_STARTS,
    HELD_PER_DAY_S,
    LEGIONELLA_EVERY_DAYS,
    WATER_MIN_C,
    Weekly,
)
from gateway.daemon.sections import OUTSIDE, AssetSection

BEFORE_S, AHEAD_S = 86_400.0, 9 * 86_400.0  # made anew each day
QUARTER_S = 900  # zones change their offset on quarter-hours
LONGEST_HOLD_S = {AssetClass.EV: 14_400.0, AssetClass.HEAT: 7_200.0, AssetClass.PLUG: 7_200.0}  # contract
LONGEST_HOLD_WITH_STORAGE_S = 21_600.0  # contract
COMPRESSOR_S = {AssetClass.HEAT: 600.0}  # minimum run and rest where nothing is said, modbus reference C2
STARTS_PER_HOUR = {AssetClass.HEAT: 3}  # that we cause, modbus reference C2
STARTS_PER_DAY = {AssetClass.HEAT: 8, AssetClass.PLUG: COLD_STARTS}
PLUG_ON_S = 900.0  # between two offs of what cools nothing, plugs reference 8
WS_PER_KWH = 3_600_000

Transitions = tuple[tuple[float, int], ...]


def limits_of(config: Config, utc_s: float) -> Mapping[str, Limits]:
    """The limits of each asset around `utc_s`."""
    start, end = utc_s - BEFORE_S, utc_s + AHEAD_S
    transitions = transitions_of(config.zone, start, end)

    def laid_out(weekly: Weekly) -> Timetable:
        return Timetable(spans(_rows(weekly.times), transitions, start, end), weekly.otherwise)

    def deadlines(charge: household.Charge) -> tuple[Deadline, ...]:
        week = [Clock(ready_by.days, ready_by.at) for ready_by in charge.ready_by]
        return tuple(Deadline(at, f"{clock} local") for at, clock in moments(week, transitions, start, end))

    def limits(section: AssetSection) -> Limits:
        comfort, care = section.comfort, section.care
        compressor_s = COMPRESSOR_S.get(section.asset_class, 0.0)
        return Limits(
            room_min_c=laid_out(comfort.room_min_c),
            room_max_c=laid_out(comfort.room_max_c),
            hysteresis_c=comfort.hysteresis_c,
            room_max_age_s=comfort.room_max_age_s,
            water_min_c=_water_min_c(section),
            water_hysteresis_c=comfort.water_hysteresis_c,
            longest_hold_s=_longest_hold_s(section),
            rest_s=comfort.rest_s,
            blocks_per_day=_blocks_per_day(section),
            held_per_day_s=_held_per_day_s(section),
            min_run_s=compressor_s if care.min_run_s is None else care.min_run_s,
            min_rest_s=_min_rest_s(section),
            longest_off_s=math.inf if care.off_most_s is None else care.off_most_s,
            shortest_on_s=_shortest_on_s(section),
            care=_care(section),
            charge=_charge(section.charge, deadlines(section.charge)) if section.charge else None,
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


def _charge(charge: household.Charge, deadlines: tuple[Deadline, ...]) -> Charge:
    return Charge(
        battery_ws=_ws(charge.battery_kwh),
        min_soc=charge.min_soc,
        target_soc=charge.target_soc,
        max_soc=charge.max_soc,
        need_ws=_ws(charge.need_kwh),
        efficiency=charge.efficiency,
        deadlines=deadlines,
        taper_from_soc=charge.taper_from_soc,
    )


def _ws(energy_kwh: float | None) -> int | None:
    return None if energy_kwh is None else round(energy_kwh * WS_PER_KWH)


def _min_rest_s(section: AssetSection) -> float:
    if section.care.min_rest_s is not None:
        return section.care.min_rest_s
    return COLD_REST_S if section.care.is_cold else COMPRESSOR_S.get(section.asset_class, 0.0)


def _care(section: AssetSection) -> Care:
    care, asset_class = section.care, section.asset_class
    per_hour, per_day, air_max_c = care.starts_per_hour, care.starts_per_day, care.air_max_c
    every_days = care.legionella_every_days
    if every_days is None and section.legionella:
        every_days = LEGIONELLA_EVERY_DAYS
    frost: dict[str, Any] = {name: getattr(care, name) for name in OUTSIDE} if section.outdoor_c else {}
    return Care(
        starts_per_hour=STARTS_PER_HOUR.get(asset_class) if per_hour is None else per_hour or None,
        starts_per_day=STARTS_PER_DAY.get(asset_class) if per_day is None else per_day or None,
        air_max_c=COLD_AIR_MAX_C[care.appliance] if care.appliance and air_max_c is None else air_max_c,
        legionella_every_days=every_days,
        **frost,
    )


def _shortest_on_s(section: AssetSection) -> float:
    if section.care.shortest_on_s is not None:
        return section.care.shortest_on_s
    if section.asset_class is not AssetClass.PLUG:
        return 0.0
    return COLD_ON_S if section.care.is_cold else PLUG_ON_S


def _water_min_c(section: AssetSection) -> float | None:
    """A tank whose temperature is seen has a minimum."""
    least_c = section.comfort.water_min_c
    return WATER_MIN_C if least_c is None and section.water_c else least_c


def _rows(times: tuple[household.Row, ...]) -> tuple[Row, ...]:
    return tuple(Row(row.days, row.start, row.end, row.value) for row in times)


def _longest_hold_s(section: AssetSection) -> float:
    if section.comfort.longest_hold_s is not None:
        return section.comfort.longest_hold_s
    if section.storage and section.asset_class is AssetClass.HEAT:
        return LONGEST_HOLD_WITH_STORAGE_S
    if section.care.off_most_s is not None:
        return math.inf  # its longest off says it
    return LONGEST_HOLD_S[section.asset_class]


def _blocks_per_day(section: AssetSection) -> int | None:
    if section.asset_class is not AssetClass.HEAT:
        return None
    most = section.comfort.blocks_per_day
    return BLOCKS_PER_DAY if most is None else most


def _held_per_day_s(section: AssetSection) -> float:
    """At least one longest hold."""
    if section.asset_class is not AssetClass.HEAT:
        return math.inf
    most_s = section.comfort.held_per_day_s
    return max(HELD_PER_DAY_S, _longest_hold_s(section)) if most_s is None else most_s


def _offset_s(zone: ZoneInfo, utc_s: float) -> int:
    offset = datetime.fromtimestamp(utc_s, UTC).astimezone(zone).utcoffset()
    return int(offset.total_seconds()) if offset else 0
