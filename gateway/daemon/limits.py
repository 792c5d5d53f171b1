"""The limits in force: the configuration's weekly times laid out in UTC for the days around now."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from gateway.core.acceptance import delay_s
from gateway.core.model import (
    Ability,
    AssetClass,
    Care,
    Charge,
    Deadline,
    EdgeDelay,
    Limits,
    Preheat,
    Timetable,
)
from gateway.core.timetable import Clock, Row, moments, spans
from gateway.daemon import household
from gateway.daemon.chance import Draw
from gateway.daemon.config import Config
from gateway.daemon.household import (
    BLOCKS_PER_DAY,
    CHANGE_EVERY_S,
    CHANGE_LEAST_W,
    COLD_AIR_MAX_C,
    COLD_ON_S,
    COLD_REST_S,
    COLD_STARTS,
    HALF_AMPERE,
    HELD_PER_DAY_S,
    LEGIONELLA_EVERY_DAYS,
    MOST_FALL_K,
    PAUSE_S,
    PEAK,
    WATER_MIN_C,
    Weekly,
)
from gateway.daemon.sections import OUTSIDE, PACE, AssetSection

BEFORE_S, AHEAD_S = 86_400.0, 9 * 86_400.0  # made anew each day
BRITISH = {"Europe/London", "GB"}
QUARTER_S = 900  # zones change their offset on quarter-hours
LONGEST_HOLD_S = {AssetClass.EV: 14_400.0, AssetClass.HEAT: 7_200.0, AssetClass.PLUG: 7_200.0}  # contract
LONGEST_HOLD_WITH_STORAGE_S = 21_600.0  # contract
COMPRESSOR_S = 600.0  # minimum run and rest where nothing is said, modbus reference C2
STARTS_PER_HOUR = {AssetClass.HEAT: 3}  # that we cause, modbus reference C2
STARTS_PER_DAY = {AssetClass.HEAT: 8, AssetClass.PLUG: COLD_STARTS}
PLUG_ON_S = 900.0  # between two offs of what cools nothing, plugs reference 8
WS_PER_KWH = 3_600_000

Transitions = tuple[tuple[float, int], ...]


def limits_of(config: Config, utc_s: float, draw: Draw | None = None) -> Mapping[str, Limits]:
    """The limits of each asset around `utc_s`; without draws no schedule is delayed."""
    start, end = utc_s - BEFORE_S, utc_s + AHEAD_S
    transitions = transitions_of(config.zone, start, end)

    def laid_out(weekly: Weekly) -> Timetable:
        return Timetable(spans(_rows(weekly.times), transitions, start, end), weekly.otherwise)

    def deadlines(charge: household.Charge | household.Store) -> tuple[Deadline, ...]:
        week = [Clock(ready_by.days, ready_by.at) for ready_by in charge.ready_by]
        return tuple(Deadline(at, f"{clock} local") for at, clock in moments(week, transitions, start, end))

    abilities = {asset.id: asset.ability for asset in config.assets}

    def charge(section: AssetSection, schedule: Timetable) -> Charge | None:
        if section.store:
            return _store(section, deadlines(section.store), schedule, config.zone)
        return _charge(section.charge, deadlines(section.charge)) if section.charge else None

    def delays(name: str, schedule: Timetable, draw: Draw) -> tuple[EdgeDelay, ...]:
        most_s = config.delays.default_start_s
        return tuple(
            EdgeDelay(edge, delay_s(draw(name, edge), most_s), before_w)
            for edge, before_w in _rises(schedule)
            if edge < end  # that is no edge: more is not laid out
        )

    def limits(name: str, section: AssetSection) -> Limits:
        comfort, care = section.comfort, section.care
        is_default = _keeps_off_peak(section, config.site.zone)
        schedule = laid_out(Weekly(times=PEAK if is_default else section.schedule))
        return Limits(
            room_min_c=laid_out(comfort.room_min_c),
            room_max_c=laid_out(comfort.room_max_c),
            hysteresis_c=comfort.hysteresis_c,
            room_max_age_s=comfort.room_max_age_s,
            water_min_c=_water_min_c(section),
            water_hysteresis_c=comfort.water_hysteresis_c,
            longest_hold_s=_longest_hold_s(section),
            rest_s=comfort.rest_s,
            most_fall_k=_most_fall_k(section),
            blocks_per_day=_blocks_per_day(section),
            held_per_day_s=_held_per_day_s(section),
            preheat=_preheat(comfort.preheat),
            min_run_s=_compressor_s(section) if care.min_run_s is None else care.min_run_s,
            min_rest_s=_min_rest_s(section),
            longest_off_s=math.inf if care.off_most_s is None else care.off_most_s,
            shortest_on_s=_shortest_on_s(section),
            care=_care(section, abilities[name]),
            charge=charge(section, schedule),
            schedule=schedule,
            default_hours=is_default,
            delays=delays(name, schedule, draw) if draw and _waits_at_edges(section) else (),
        )

    return {name: limits(name, section) for name, section in config.sections.items()}


def _keeps_off_peak(section: AssetSection, zone: str) -> bool:
    """Whether a car has the default hours: none of its own, and the household has not said no."""
    if section.asset_class is not AssetClass.EV or section.schedule:
        return False
    said = section.charge.default_hours if section.charge else None
    return zone in BRITISH if said is None else said


def _waits_at_edges(section: AssetSection) -> bool:
    """What charges, a car or a store, if it does not delay itself."""
    return (section.asset_class is AssetClass.EV or section.store is not None) and not section.delays_itself


def _rises(schedule: Timetable) -> Iterator[tuple[float, int]]:
    """Its edges upwards in order, each with the most that was allowed before (W)."""
    edges = {edge for span in schedule.spans for edge in (span.start_utc_s, span.end_utc_s)}
    for edge in sorted(edges):
        before_w, after_w = schedule.at(math.nextafter(edge, 0)), schedule.at(edge)
        if before_w is not None and (after_w is None or after_w > before_w):
            yield edge, int(before_w)


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


def _store(
    section: AssetSection, ready_by: tuple[Deadline, ...], schedule: Timetable, zone: ZoneInfo
) -> Charge:
    """Its hours are those in which the schedule does not keep it off; where there are none, they go from one
    moment it is ready by to the next."""
    store = section.store or household.Store()
    off = [span for span in schedule.spans if span.value == 0]
    ends = {Deadline(s.start_utc_s, f"{_clock(zone, s.start_utc_s)} local") for s in off}
    return Charge(
        battery_ws=_ws(store.capacity_kwh),
        min_soc=store.min_level,
        max_soc=1.0 if store.max_level is None and section.soc else store.max_level,
        need_ws=_ws(store.need_kwh),
        efficiency=1.0,
        deadlines=tuple(sorted(ends.union(ready_by), key=lambda deadline: deadline.utc_s)),
        begins=tuple(span.end_utc_s for span in off) or tuple(deadline.utc_s for deadline in ready_by),
    )


def _clock(zone: ZoneInfo, utc_s: float) -> str:
    return datetime.fromtimestamp(utc_s, zone).strftime("%H:%M")


def _ws(energy_kwh: float | None) -> int | None:
    return None if energy_kwh is None else round(energy_kwh * WS_PER_KWH)


def _preheat(preheat: household.Preheat | None) -> Preheat | None:
    return Preheat(preheat.kelvin, preheat.hours * 3600) if preheat else None


def _min_rest_s(section: AssetSection) -> float:
    if section.care.min_rest_s is not None:
        return section.care.min_rest_s
    return COLD_REST_S if section.care.is_cold else _compressor_s(section)


def _compressor_s(section: AssetSection) -> float:
    return COMPRESSOR_S if section.asset_class is AssetClass.HEAT and section.compressor else 0.0


def _care(section: AssetSection, ability: Ability) -> Care:
    care, asset_class = section.care, section.asset_class
    per_hour, per_day, air_max_c = care.starts_per_hour, care.starts_per_day, care.air_max_c
    every_days = care.legionella_every_days
    if every_days is None and section.legionella:
        every_days = LEGIONELLA_EVERY_DAYS
    frost: dict[str, Any] = {name: getattr(care, name) for name in OUTSIDE} if section.outdoor_c else {}
    return Care(
        starts_per_hour=STARTS_PER_HOUR.get(asset_class) if per_hour is None else per_hour or None,
        starts_per_day=_starts_per_day(section) if per_day is None else per_day or None,
        air_max_c=COLD_AIR_MAX_C[care.appliance] if care.appliance and air_max_c is None else air_max_c,
        legionella_every_days=every_days,
        **frost,
        **(_pace(section, ability) if section.asset_class is AssetClass.EV else {}),
    )


def _pace(section: AssetSection, ability: Ability) -> dict[str, Any]:
    """How often a charger is told, and for how much: half an ampere, or what is said."""
    lowest_w = ability.range_w[0] if ability.range_w else 0
    default = {
        "change_every_s": CHANGE_EVERY_S,
        "min_change_w": max(CHANGE_LEAST_W, math.ceil(HALF_AMPERE * lowest_w)),
        "pause_s": PAUSE_S,
    }
    said = {name: getattr(section.care, name) for name in PACE}
    return {name: default[name] if value is None else value for name, value in said.items()}


def _starts_per_day(section: AssetSection) -> int | None:
    """A relay bears more of them than a compressor."""
    return STARTS_PER_DAY.get(section.asset_class) if section.compressor else None


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
    if section.stores and section.asset_class is AssetClass.HEAT:
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


def _most_fall_k(section: AssetSection) -> float:
    if section.comfort.most_fall_k is not None:
        return section.comfort.most_fall_k
    return MOST_FALL_K if section.asset_class is AssetClass.HEAT else math.inf


def _offset_s(zone: ZoneInfo, utc_s: float) -> int:
    offset = datetime.fromtimestamp(utc_s, UTC).astimezone(zone).utcoffset()
    return int(offset.total_seconds()) if offset else 0
