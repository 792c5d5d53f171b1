"""Minute readings: what each sentence of the contract's "Readings" means, and that energy is told once."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.metering import (
    WAITING,
    Anchor,
    Cause,
    Flowed,
    Grade,
    Sample,
    Source,
    Spec,
    begin,
    cut,
    due_s,
    end_s,
    feed,
    flowed,
    flowed_ws,
    resume,
)
from gateway.core.model import Quality
from tests.core.metering_oracle import assert_conserved, assert_honest, assert_series
from tests.core.metering_shell import NOON_UTC_S, WH, Shell, constant, fed

# --- edges and means ---------------------------------------------------------------------------------


def test_minutes_end_at_the_offset_of_each_minute() -> None:
    shell = Shell.start(second=3.4, offset_s=37)
    shell.pass_until(1000 + 200)
    assert [r.end_utc_s - NOON_UTC_S for r in shell.readings] == [37, 97, 157]
    assert shell.readings[0].start_utc_s == NOON_UTC_S + 3


def test_a_charger_s_clock_aligned_values_do_not_move_the_edges_of_minutes() -> None:
    shell = Shell.start(offset_s=37)
    for minute in range(10):
        shell.say(1000.0 + 60 * minute, power_w=3000.0, import_ws=180_000 * minute)
    assert {r.end_utc_s % 60 for r in shell.readings} == {37}
    assert [r.energy_ws for r in shell.readings[2:]] == [180_000] * (len(shell.readings) - 2)


def test_the_first_minute_after_a_step_of_the_clock_is_ok_only_with_its_own_energy() -> None:
    """Ten seconds lie between the last grid and the new one, and no sample in them."""
    shell = Shell.start(offset_s=37, second=37)
    for at_s in range(0, 600, 10):
        if at_s == 300:
            shell.step_clock(3 * 3600.0)
        shell.say(1000.0 + at_s, power_w=360.0, import_ws=1_000_003 + 360 * at_s)
    told = [r for r in shell.readings if r.energy_ws and r.energy_ws > 360 * 60 + 100]
    assert [(r.energy_ws, r.quality) for r in told] == [(360 * 70, Grade.ESTIMATED)]
    assert Cause.EDGE in told[0].reasons


@pytest.mark.parametrize(
    ("every_s", "first_s", "wait_s"),
    [(1.0, 0.25, 1.5), (10.0, 2.0, 0.0), (10.0, 0.5, 1.5), (60.0, 30.0, 0.0)],
)
def test_an_end_waits_only_where_a_sample_may_come_in_time(
    every_s: float, first_s: float, wait_s: float
) -> None:
    """By the rhythm of the last two: seconds after noon 60 k + `first_s` are among the samples."""
    shell = Shell.start()
    at_s = first_s
    while at_s < 120 - 1e-9:
        shell.say(1000.0 + at_s, power_w=100.0)
        at_s += every_s
    assert due_s(shell.meter) == 1120.0 + wait_s
    assert end_s(shell.meter) == 1120.0


def test_a_device_that_speaks_twice_in_a_moment_is_not_waited_for() -> None:
    shell = Shell.start()
    for at_s in (31.0, 41.0, 51.0, 51.2):
        shell.say(1000.0 + at_s, power_w=100.0)
    assert due_s(shell.meter) == 1060.0 + 1.5, "it may speak at 61.2"
    shell.say(1056.9, power_w=100.0)
    assert due_s(shell.meter) == 1060.0


def test_a_meter_that_is_late_is_waited_for() -> None:
    shell = Shell.start()
    for at_s in (50, 51, 52):
        shell.say(1000.0 + at_s, power_w=100.0)
    assert due_s(shell.meter) == 1061.5


def test_a_steady_minute_is_plainly_ok() -> None:
    reading = fed(120, constant(1383)).readings[1]
    assert (reading.power_w, reading.energy_ws, reading.quality) == (1383, 1383 * 60, Grade.OK)
    assert (reading.reasons, reading.coverage, reading.method) == ((), 1.0, "MEAN")
    assert reading.import_register_ws == 1_000_000 * WH + 1383 * 120
    assert reading.export_register_ws is None
    assert reading.last_w == 1383
    assert reading.last_at_utc_s == NOON_UTC_S + 119


def test_a_fine_register_gives_the_mean_even_where_samples_miss_a_peak() -> None:
    def peak(second: float) -> float:
        return 6000 if 61 <= second < 69 else 501  # between two samples

    reading = fed(121, peak, every_s=10).readings[1]
    assert reading.power_w == round((6000 * 8 + 501 * 52) / 60)


def test_a_coarse_register_leaves_the_mean_to_the_samples_but_keeps_the_energy() -> None:
    shell = fed(600, constant(210), unit_ws=WH)
    assert {r.power_w for r in shell.readings} == {210}
    assert {r.energy_ws for r in shell.readings[1:]} == {3 * WH, 4 * WH}
    assert sum(r.energy_ws or 0 for r in shell.readings) == 210 * 600


def test_a_resolution_told_beforehand_is_believed() -> None:
    shell = fed(180, lambda s: 500 + 4000 * (61 <= s < 69), every_s=10, spec=Spec(resolution_ws=100 * WH))
    assert shell.readings[1].power_w == 500


def test_an_end_waits_for_the_next_sample_and_no_longer() -> None:
    shell = Shell.start()
    shell.say(1059.0, power_w=100.0)
    assert due_s(shell.meter) == 1061.5
    meter, readings = cut(shell.meter, 1061.4, shell.anchor, 0)
    assert not readings
    meter = feed(meter, Sample(1061.45, 100.0))
    assert due_s(meter) < 0
    meter, readings = cut(meter, 1061.45, shell.anchor, 0)
    assert len(readings) == 1
    assert Cause.EDGE not in readings[0].reasons


def test_an_edge_without_a_later_sample_is_extrapolated_and_the_next_minute_takes_the_difference() -> None:
    shell = Shell.start()
    for second in range(0, 56, 5):
        shell.say(1000.0 + second, power_w=1000.0, import_ws=second * 1000)
    shell.pass_until(1062)
    first = shell.readings[0]
    assert (first.quality, first.reasons, first.energy_ws) == (Grade.ESTIMATED, (Cause.EDGE,), 60_000)
    for second in range(65, 126, 5):  # it had stopped at once
        shell.say(1000.0 + second, power_w=2000.0, import_ws=55_000 + (second - 65) * 2000)
    second = shell.readings[1]
    assert second.energy_ws == (120 - 65) * 2000 - 5000
    assert second.import_register_ws == 55_000 + (120 - 65) * 2000
    assert shell.readings[0] is first


def test_what_an_edge_told_too_much_is_taken_back_at_once_and_shows() -> None:
    shell = Shell.start(Spec(resolution_ws=1))
    shell.say(1050.0, power_w=9000.0, import_ws=1001)
    for second in range(62, 190):  # nothing more was drawn
        shell.say(1000.0 + second, power_w=0.0, import_ws=1001)
    first, second, third = shell.readings
    assert first.import_register_ws == 1001 + 9000 * 10
    assert (second.energy_ws, second.import_register_ws, second.power_w) == (-90_000, 1001, 0)
    assert (second.quality, second.reasons) == (Grade.ESTIMATED, (Cause.EDGE,))
    assert (third.energy_ws, third.quality) == (0, Grade.OK)


def test_power_is_held_for_sixty_seconds_and_not_longer() -> None:
    shell = Shell.start(offset_s=30)
    for second in range(32):
        shell.say(1000.0 + second, power_w=1000.0)
    shell.set_offset(29)  # the open interval now runs to :29 + 60 s
    shell.pass_until(1000 + 92)
    assert shell.readings[-1].energy_ws == 59_000
    shell = Shell.start(Spec(fresh_s=300.0))
    shell.say(1001.0, power_w=1000.0)
    shell.pass_until(1000 + 200)
    assert sum(r.energy_ws or 0 for r in shell.readings) == 61_000  # a second before it, a minute after it


# --- what is not known ---------------------------------------------------------------------------------


def test_a_minute_without_data_is_missing_and_the_first_good_one_tells_the_gap() -> None:
    shell = fed(600, constant(1000), silent=[(118, 333)])
    missing = [r for r in shell.readings if r.quality is Grade.MISSING]
    assert [r.start_utc_s - NOON_UTC_S for r in missing] == [120, 180, 240]
    assert {(r.energy_ws, r.power_w, r.import_register_ws, r.reasons) for r in missing} == {
        (None, None, None, (Cause.STALE,))
    }
    back = shell.readings[5]
    assert (back.gap_ws, back.energy_ws, back.quality) == (180_000, 60_000, Grade.ESTIMATED)
    assert shell.readings[6].gap_ws is None
    assert shell.readings[6].quality is Grade.OK


def test_a_gap_is_never_negative() -> None:
    """The load began just before the first sample after the silence: its power held back is too much."""
    shell = Shell.start()
    for second in [*range(60), *range(230, 305)]:
        register_ws = 1 + 7000 * max(0, second - 229)
        shell.say(1000.0 + second, power_w=0.0 if second < 60 else 7000.0, import_ws=register_ws)
    back = shell.readings[3]
    assert (back.gap_ws, back.energy_ws) == (0, 7000 * 11)
    assert assert_conserved(shell.readings) == 2


def test_a_gap_is_never_told_where_no_register_tells_it() -> None:
    shell = fed(600, constant(1000), silent=[(118, 333)], register=False)
    assert all(r.gap_ws is None for r in shell.readings)
    assert sum(r.energy_ws or 0 for r in shell.readings) == pytest.approx(7 * 60_000, abs=2000)


def test_why_a_device_is_silent_stands_in_each_missing_minute() -> None:
    shell = Shell.start()
    shell.say(1010.0, power_w=5.0)
    shell.say(1020.0, quality=Quality.BAD, reasons=("deviceOffline",))
    shell.pass_until(1200)
    assert [r.quality for r in shell.readings] == [Grade.ESTIMATED, Grade.MISSING, Grade.MISSING]
    assert all(Cause.DEVICE_OFFLINE in r.reasons for r in shell.readings)
    assert shell.readings[0].coverage == round(10 / 60, 3)


def test_a_frozen_value_is_never_stamped_as_fresh() -> None:
    shell = Shell.start()
    for second in range(400):
        is_frozen = 100 <= second < 290
        told = 1000 * (100 if is_frozen else second)
        shell.say(
            1000.0 + second,
            power_w=1000.0,
            import_ws=told,
            quality=Quality.UNCERTAIN if is_frozen else Quality.GOOD,
            reasons=("frozen",) if is_frozen else (),
        )
    grades = [r.quality for r in shell.readings]
    assert grades == [Grade.OK, Grade.ESTIMATED, Grade.BAD, Grade.BAD, Grade.ESTIMATED, Grade.OK]
    assert all(Cause.FROZEN in r.reasons for r in shell.readings[1:5])
    assert shell.readings[1].last_at_s == 1099.0
    assert all(r.energy_ws is None for r in shell.readings[2:4])
    assert sum((r.energy_ws or 0) + (r.gap_ws or 0) for r in shell.readings) == 360_000


def test_few_samples_make_an_estimate() -> None:
    shell = fed(180, constant(500), silent=[(65, 110)])
    assert [r.quality for r in shell.readings] == [Grade.OK, Grade.ESTIMATED, Grade.OK]
    assert shell.readings[1].reasons == (Cause.STALE,)
    assert shell.readings[1].coverage == round((60 - 25) / 60, 3)


def test_late_and_repeated_samples_change_nothing() -> None:
    shell = Shell.start()
    for second in range(0, 100, 5):
        shell.say(1000.0 + second, power_w=100.0, import_ws=second * 100)
    kept = shell.meter
    assert feed(kept, Sample(1095.0, 9000.0, 77_777)) == kept
    assert feed(kept, Sample(1060.0, 9000.0, 77_777)) == kept


def test_a_sample_without_a_good_word_lowers_the_minute() -> None:
    shell = Shell.start()
    for second in range(125):
        quality = Quality.UNCERTAIN if second == 70 else Quality.GOOD
        shell.say(1000.0 + second, power_w=100.0, quality=quality)
    assert [r.quality for r in shell.readings] == [Grade.OK, Grade.ESTIMATED]


def test_an_estimate_is_never_ok() -> None:
    shell = fed(120, constant(500), spec=Spec(source=Source.ESTIMATE))
    assert {r.quality for r in shell.readings} == {Grade.ESTIMATED}
    assert {r.source for r in shell.readings} == {Source.ESTIMATE}


# --- registers -----------------------------------------------------------------------------------------


def test_registers_are_apart_and_only_the_energy_is_net() -> None:
    shell = Shell.start(Spec(resolution_ws=1))
    for second in range(125):
        power_w = 1000.0 if second < 30 else -2000.0
        shell.say(
            1000.0 + second,
            power_w=power_w,
            import_ws=1000 * min(second, 30),
            export_ws=2000 * max(0, second - 30),
        )
    first = shell.readings[0]
    assert (first.import_register_ws, first.export_register_ws) == (30_000, 60_000)
    assert first.energy_ws == -30_000
    assert first.power_w == -500


def test_an_export_register_that_never_moves_hides_no_resolution() -> None:
    shell = Shell.start()
    for second in range(0, 125, 5):
        shell.say(1000.0 + second, power_w=500.0, import_ws=1 + 701 * second, export_ws=0)
    assert shell.readings[1].power_w == 701
    assert shell.readings[1].export_register_ws == 0


def test_what_flows_out_unmetered_is_said() -> None:
    shell = Shell.start()
    for second in range(185):
        power_w = -800.0 if second >= 60 else 300.0
        shell.say(1000.0 + second, power_w=power_w, import_ws=300 * min(second, 60))
    assert [Cause.EXPORT_UNKNOWN in r.reasons for r in shell.readings] == [False, True, True]
    assert shell.readings[2].quality is Grade.ESTIMATED
    assert shell.readings[2].export_register_ws is None
    assert (shell.readings[2].power_w, shell.readings[2].energy_ws) == (-800, 0)


def test_a_driver_that_cannot_see_exports_is_passed_on() -> None:
    shell = Shell.start()
    for second in range(0, 125, 2):
        shell.say(1000.0 + second, power_w=0.0, quality=Quality.UNCERTAIN, reasons=("exportUnknown",))
    assert shell.readings[0].reasons == (Cause.EXPORT_UNKNOWN,)
    assert shell.readings[0].quality is Grade.ESTIMATED


def test_a_reset_counter_is_named_and_costs_no_energy() -> None:
    shell = Shell.start()
    for second in range(305):
        register_ws = 5_000_000 + 1000 * second if second < 90 else 1000 * (second - 90)
        shell.say(1000.0 + second, power_w=1000.0, import_ws=register_ws)
    assert [Cause.COUNTER_RESET in r.reasons for r in shell.readings] == [False, True, False, False, False]
    assert [r.energy_ws for r in shell.readings] == [60_000] * 5
    assert shell.readings[1].import_register_ws == 30_000
    assert shell.readings[1].quality is Grade.ESTIMATED
    assert shell.readings[2].quality is Grade.OK


@pytest.mark.parametrize(("glitch_ws", "cause"), [(0, "counterReset"), (10**12, "implausible")])
def test_a_single_wrong_register_is_passed_over(glitch_ws: int, cause: str) -> None:
    shell = Shell.start()
    for second in range(185):
        register_ws = glitch_ws if second == 90 else 5_000_000 + 1000 * second
        shell.say(1000.0 + second, power_w=1000.0, import_ws=register_ws)
    assert [r.energy_ws for r in shell.readings] == [60_000] * 3
    assert shell.readings[1].reasons == (cause,)
    assert shell.readings[2].import_register_ws == 5_180_000
    assert shell.readings[2].reasons == ()


@pytest.mark.parametrize("impossible_w", [1e6, -1e6])
def test_an_impossible_power_is_not_used(impossible_w: float) -> None:
    shell = Shell.start(Spec(max_w=20_000.0))
    for second in range(125):
        power_w = {50: float("nan"), 70: impossible_w}.get(second, 100.0)
        shell.say(1000.0 + second, power_w=power_w)
    assert [r.reasons for r in shell.readings] == [(Cause.IMPLAUSIBLE,)] * 2
    assert [r.power_w for r in shell.readings] == [100, 100]
    shell = Shell.start(Spec(max_w=20_000.0))
    for second in range(65):
        shell.say(1000.0 + second, power_w=impossible_w)
    assert (shell.readings[0].quality, shell.readings[0].power_w) == (Grade.BAD, None)


def test_an_hourly_register_gets_its_difference_when_it_comes() -> None:
    """NO list 3: power every few seconds, energy just after the hour (han.md 1.3)."""
    shell = Shell.start()
    for second in range(0, 3900, 10):
        is_hour = second % 3600 == 0
        shell.say(1000.0 + second, power_w=1000.0, import_ws=1010 * second if is_hour else None)
    before, after = shell.readings[59], shell.readings[60]
    assert {r.energy_ws for r in shell.readings[1:60]} == {60_000}
    assert before.import_register_ws == 3_600_000
    assert after.energy_ws == 60_000 + 36_000
    assert after.power_w == 1000
    assert after.import_register_ws == 1010 * 3600 + 60_000


def test_a_register_that_is_hourly_tells_the_gap_when_it_comes() -> None:
    shell = Shell.start()
    for second in [*range(0, 1000, 10), *range(2000, 3900, 10)]:
        is_hour = second % 3600 == 0
        shell.say(1000.0 + second, power_w=1000.0, import_ws=1000 * second if is_hour else None)
    told = [r for r in shell.readings if r.gap_ws is not None]
    assert [r.start_utc_s - NOON_UTC_S for r in told] == [3600]
    assert assert_conserved(shell.readings) > 40
    assert sum((r.energy_ws or 0) + (r.gap_ws or 0) for r in shell.readings) == 60_000 * len(shell.readings)


def test_registers_alone_are_enough() -> None:
    shell = Shell.start()
    for second in range(245):
        shell.say(1000.0 + second, import_ws=1 + 701 * second)
    assert [(r.power_w, r.energy_ws, r.last_w) for r in shell.readings] == [(701, 42_060, None)] * 4
    assert shell.readings[-1].quality is Grade.OK


def test_what_has_flowed_is_known_between_the_minutes() -> None:
    shell = Shell.start()
    assert flowed_ws(shell.meter, 1000.0) is None
    shell.say(1010.0, power_w=1000.0, import_ws=50_000)
    before_ws = flowed_ws(shell.meter, 1010.0)
    shell.say(1020.0, power_w=1000.0, import_ws=60_000)
    assert (before_ws, flowed_ws(shell.meter, 1025.0)) == (50_000, 65_000)


def test_whether_power_or_the_register_counts_what_has_flowed_is_told_with_it() -> None:
    shell = Shell.start()
    assert flowed(shell.meter, 1000.0) is None
    shell.say(1010.0, power_w=1000.0)
    shell.say(1020.0, power_w=1000.0)
    by_power = flowed(shell.meter, 1020.0)
    shell.say(1030.0, power_w=1000.0, import_ws=50_000)
    assert by_power
    assert not by_power.by_register
    assert flowed(shell.meter, 1030.0) == Flowed(50_000, by_register=True)


# --- the grid ------------------------------------------------------------------------------------------


def steady(shell: Shell, seconds: int) -> None:
    """A kilowatt, told each second."""
    for _ in range(seconds):
        at_s = shell.now_s + 1
        shell.say(at_s, power_w=1000.0, import_ws=round(1000 * at_s))


@pytest.mark.parametrize("new_offset_s", [0, 1, 20, 36, 38, 59])
@pytest.mark.parametrize("passed_s", [5, 30, 55])
def test_a_new_offset_is_joined_by_one_interval(new_offset_s: int, passed_s: int) -> None:
    shell = Shell.start(offset_s=37, second=37)
    steady(shell, 60 + passed_s)
    shell.set_offset(new_offset_s)
    steady(shell, 300)
    assert_series(shell.readings)
    odd = [r for r in shell.readings if r.end_utc_s - r.start_utc_s != 60]
    assert len(odd) == 1
    assert odd[0].reasons == (Cause.REGRID,)
    assert odd[0].quality is Grade.OK
    assert all(r.energy_ws == 1000 * (r.end_utc_s - r.start_utc_s) for r in shell.readings)
    assert shell.readings[-1].end_utc_s % 60 == new_offset_s


@pytest.mark.parametrize("step_s", [-50.0, -30.0, -2.0, 2.0, 29.0, 45.0, 100.0, 3600.0])
def test_a_step_of_the_clock_leaves_one_whole_series(step_s: float) -> None:
    shell = Shell.start()
    steady(shell, 90)
    shell.step_clock(step_s)
    steady(shell, 300)
    assert_series(shell.readings)
    assert_conserved(shell.readings)
    assert shell.readings[-1].quality is Grade.OK
    assert shell.readings[-1].end_utc_s == pytest.approx(shell.anchor.utc(shell.readings[-1].end_s))
    stepped = [r for r in shell.readings if Cause.REGRID in r.reasons]
    assert all(r.quality is not Grade.OK for r in stepped)
    assert len(shell.readings) == (390 + step_s) // 60
    assert sum((r.energy_ws or 0) + (r.gap_ws or 0) for r in shell.readings) > 300_000


def test_a_step_back_that_cannot_be_joined_breaks_the_series_once() -> None:
    shell = Shell.start()
    steady(shell, 90)
    shell.step_clock(-3600)
    steady(shell, 300)
    broken = [(a, b) for a, b in pairwise(shell.readings) if a.end_utc_s != b.start_utc_s]
    assert len(broken) == 1
    assert Cause.REGRID in broken[0][1].reasons
    assert_conserved(shell.readings)


def test_a_slewed_clock_changes_nothing_but_the_moment() -> None:
    shell = Shell.start()
    for _ in range(600):
        shell.step_clock(0.0005)
        steady(shell, 1)
    assert_series(shell.readings)
    assert {r.quality for r in shell.readings} == {Grade.OK}


def test_rows_of_an_untrusted_clock_wait_and_are_stamped() -> None:
    shell = Shell.start(second=-86_400 * 300 + 7.3, offset_s=5, trusted=False)
    steady(shell, 200)
    assert not shell.readings
    shell.set_clock(Anchor(shell.now_s, NOON_UTC_S + 12.8, True))
    series = shell.readings
    waited = len(series)
    assert waited == 3
    steady(shell, 200)
    assert_series(series)
    assert all(r.stamped and Cause.CLOCK_UNTRUSTED in r.reasons for r in series[: waited + 1])
    assert series[-1].quality is Grade.OK
    assert series[-1].end_utc_s % 60 == 5
    assert series[-1].end_utc_s == pytest.approx(shell.anchor.utc(series[-1].end_s))


def test_a_clock_that_loses_its_trust_goes_on_from_where_it_was() -> None:
    shell = Shell.start()
    steady(shell, 90)
    shell.set_clock(Anchor(shell.now_s, 0.0, False))
    steady(shell, 120)
    assert_series(shell.readings)
    assert all(r.stamped for r in shell.readings)
    assert shell.readings[-1].reasons == (Cause.CLOCK_UNTRUSTED,)


# --- restart -------------------------------------------------------------------------------------------


def test_a_restart_within_the_minute_loses_nothing() -> None:
    shell = Shell.start()
    steady(shell, 70)
    shell.restart(down_s=15)
    steady(shell, 200)
    assert_series(shell.readings)
    assert [r.energy_ws for r in shell.readings] == [60_000] * 4
    assert shell.readings[1].reasons == (Cause.STALE, Cause.RESTART)
    assert shell.readings[1].quality is Grade.ESTIMATED
    assert shell.readings[2].quality is Grade.OK


def test_what_a_crash_lost_is_missing_and_its_energy_a_gap() -> None:
    shell = Shell.start()
    steady(shell, 70)
    shell.restart(down_s=250)
    steady(shell, 120)
    assert_series(shell.readings)
    grades = [r.quality for r in shell.readings]
    assert grades == [Grade.OK, *[Grade.MISSING] * 4, Grade.ESTIMATED, Grade.OK]
    assert {r.reasons for r in shell.readings[1:5]} == {(Cause.RESTART,)}
    assert shell.readings[5].energy_ws + shell.readings[5].gap_ws == 300_000
    assert shell.readings[5].import_register_ws == 1360 * 1000


def test_what_two_crashes_lost_is_told_by_the_reading_after_both() -> None:
    shell = Shell.start()
    steady(shell, 70)
    shell.restart(down_s=250)
    steady(shell, 20)
    shell.restart(down_s=150)
    steady(shell, 120)
    assert_series(shell.readings)
    (told,) = [reading for reading in shell.readings if reading.gap_ws is not None]
    assert told.energy_ws == 1000 * (told.end_s - told.start_s)
    assert told.energy_ws + (told.gap_ws or 0) == 1000 * (told.end_s - shell.readings[0].end_s)


@pytest.mark.parametrize("off_s", [-0.49, 0.0, 0.49])
def test_a_moment_is_stamped_with_the_second_it_is_nearest_to(off_s: float) -> None:
    assert Anchor(10.0, NOON_UTC_S + off_s, trusted=True).stamp(70.0) == NOON_UTC_S + 60


def test_another_life_has_another_monotonic_clock() -> None:
    shell = Shell.start()
    steady(shell, 70)
    register_ws = round(1000 * shell.now_s)
    shell.restart(0, Anchor(20.0, NOON_UTC_S + 400, True))
    for second in range(1, 100):
        shell.say(20.0 + second, power_w=1000.0, import_ws=register_ws + 330_000 + 1000 * second)
    assert_series(shell.readings)
    assert [r.gap_ws for r in shell.readings if r.gap_ws is not None] == [340_000]
    assert assert_conserved(shell.readings) == 2


def test_a_restart_with_an_untrusted_clock_tells_its_loss_when_it_is_trusted() -> None:
    shell = Shell.start()
    steady(shell, 70)
    shell.restart(0, Anchor(20.0, NOON_UTC_S + 71, False))
    for second in range(1, 130):
        shell.say(20.0 + second, power_w=1000.0, import_ws=3_000_000 + 1000 * second)
    assert {r.end_utc_s for r in shell.readings} == {NOON_UTC_S + 60}, "of the life before"
    shell.set_clock(Anchor(shell.now_s, NOON_UTC_S + 5000, True))
    for second in range(130, 300):
        shell.say(20.0 + second, power_w=1000.0, import_ws=3_000_000 + 1000 * second)
    assert_series(shell.readings)
    assert_conserved(shell.readings)
    assert sum(r.quality is Grade.MISSING for r in shell.readings) > 75


def test_of_a_day_without_a_trusted_clock_the_latest_minutes_wait_and_the_others_are_lost_as_told() -> None:
    shell = Shell.start()
    steady(shell, 70)
    shell.restart(0, Anchor(20.0, NOON_UTC_S + 71, False))
    for minute in range(WAITING + 200):
        shell.say(21.0 + 60 * minute, power_w=1000.0, import_ws=3_000_000 + 60_000 * minute)
    assert len(shell.meter.due) <= WAITING + 2
    shell.set_clock(Anchor(shell.now_s, NOON_UTC_S + 200_000, True))
    shell.pass_until(shell.now_s + 10)
    assert_series(shell.readings)
    assert shell.readings[-1].end_utc_s > NOON_UTC_S + 199_900
    assert sum(r.quality is Grade.ESTIMATED for r in shell.readings) >= WAITING


def test_a_loss_of_weeks_is_told_in_batches_and_for_as_long_as_minutes_are_kept() -> None:
    shell = Shell.start()
    steady(shell, 60)
    days = 60
    meter = resume(shell.meter, 5.0, Anchor(5.0, NOON_UTC_S + days * 86_400, True), 0)
    sizes, at_s = [], 5.0
    while meter.due:
        meter, readings = cut(meter, at_s, meter.anchor, 0)
        sizes.append(len(readings))
        assert_series(readings)
    assert max(sizes) <= 1440
    assert sum(sizes) == 45 * 1440


def test_an_exchanged_meter_after_a_restart_begins_a_new_count() -> None:
    shell = Shell.start()
    steady(shell, 70)
    shell.restart(down_s=600)
    for second in range(1, 125):
        shell.say(shell.now_s + 1, power_w=1000.0, import_ws=1000 * second)
    back = next(r for r in shell.readings if Cause.COUNTER_RESET in r.reasons)
    assert back.gap_ws is None
    assert shell.readings[-1].energy_ws == 60_000


def test_a_meter_holds_no_more_after_a_day_than_after_a_minute() -> None:
    meter, anchor, sizes = (
        begin(Spec(), 0.0, Anchor(0.0, NOON_UTC_S, True), 0),
        Anchor(0.0, NOON_UTC_S, True),
        [],
    )
    for second in range(0, 86_400, 20):
        meter = feed(meter, Sample(float(second), 1000.0, 1000 * second, 0))
        meter, _ = cut(meter, float(second), anchor, 0)
        sizes.append(len(repr(meter)))
    assert max(sizes[100:]) < 1.2 * max(sizes[:100])


# --- always true ---------------------------------------------------------------------------------------


@dataclass
class Home:
    """A true signal: power in pieces, and registers that count it in whole units."""

    unit_ws: int
    at_s: float = 1000.0
    power_w: float = 0.0
    import_ws: float = 50_000.0 * WH
    export_ws: float = 7_000.0 * WH

    def run(self, until_s: float) -> None:
        self.import_ws += max(0.0, self.power_w) * (until_s - self.at_s)
        self.export_ws += max(0.0, -self.power_w) * (until_s - self.at_s)
        self.at_s = until_s

    def told(self) -> dict[str, int]:
        return {
            "import_ws": int(self.import_ws // self.unit_ws * self.unit_ws),
            "export_ws": int(self.export_ws // self.unit_ws * self.unit_ws),
        }


EVENTS = st.sampled_from(
    ["all"] * 12
    + [
        "power",
        "registers",
        "bad",
        "frozen",
        "uncertain",
        "again",
        "late",
        "reset",
        "glitch",
        "step",
        "offset",
    ]
    + ["restart", "restart"]
)
WAITS = st.one_of(st.floats(0.2, 3), st.floats(3, 30), st.floats(30, 200))
MOMENTS = st.tuples(EVENTS, WAITS, st.integers(-8000, 10_000), st.integers(0, 59))


def said(kind: str, home: Home, number: int) -> dict[str, object] | None:
    """What the device says; None where something else happens."""
    power = {"power_w": home.power_w}
    return {
        "all": power | home.told(),
        "power": power,
        "registers": home.told(),
        "bad": {"quality": Quality.BAD, "reasons": ("deviceOffline",)},
        "frozen": power | {"quality": Quality.UNCERTAIN, "reasons": ("frozen",)},
        "uncertain": power | home.told() | {"quality": Quality.UNCERTAIN},
        "glitch": power | {"import_ws": number, "export_ws": 10**13},
    }.get(kind)


def happen(shell: Shell, home: Home, kind: str, number: int) -> None:
    told = said(kind, home, number)
    if told is not None:
        shell.say(home.at_s, **told)
    elif kind in ("again", "late"):
        at_s = home.at_s - (0.0 if kind == "again" else number / 2)
        if shell.meter.seen_s is not None and at_s <= shell.meter.seen_s:
            shell.meter = feed(shell.meter, Sample(at_s, 123.0, number))
    elif kind == "reset":
        home.import_ws = float(number * WH)
    elif kind == "step":
        shell.step_clock(float(number))
    elif kind == "offset":
        shell.set_offset(number)
    elif kind == "restart":
        shell.restart(down_s=float(number * 5))
        home.run(shell.now_s)


def lived(moments: list[tuple[str, float, int, int]], unit_ws: int) -> tuple[Shell, Home]:
    """A stretch of life, and four quiet minutes after it so that everything is told."""
    shell, home = Shell.start(second=11.25, offset_s=37), Home(unit_ws)
    for kind, wait_s, power_w, number in moments:
        home.run(home.at_s + wait_s)
        shell.pass_until(home.at_s)
        happen(shell, home, kind, number)
        home.power_w = float(power_w)
    home.power_w = 0.0
    for _ in range(240):
        home.run(home.at_s + 1)
        shell.say(home.at_s, power_w=0.0, **home.told())
    return shell, home


@settings(max_examples=80, deadline=None)
@given(st.lists(MOMENTS, max_size=60), st.sampled_from([1, 360, WH, 10 * WH]))
def test_whatever_is_said_each_watt_second_is_told_once(moments: list, unit_ws: int) -> None:
    shell, home = lived(moments, unit_ws)
    assert_series(shell.readings)
    assert_conserved(shell.readings)
    last = shell.readings[-1]
    assert (last.import_register_ws, last.export_register_ws) == tuple(home.told().values())
    assert len(shell.meter.due) == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(MOMENTS.filter(lambda m: m[0] not in ("restart", "step")), max_size=60))
def test_no_reading_is_better_than_its_data(moments: list) -> None:
    shell, _ = lived(moments, WH)
    assert_honest(shell.readings, shell.samples, shell.meter.spec)


@settings(max_examples=60, deadline=None)
@given(st.lists(MOMENTS.filter(lambda m: m[0] not in ("reset", "glitch")), max_size=60))
def test_without_a_reset_energies_and_gaps_sum_to_the_meter(moments: list) -> None:
    shell, home = lived(moments, WH)
    told = [r for r in shell.readings if r.energy_ws is not None]
    first, rest = told[0], told[1:]
    booked_ws = (first.import_register_ws or 0) - (first.export_register_ws or 0)
    raw_ws = home.told()["import_ws"] - home.told()["export_ws"]
    if first.import_register_ws is not None and first.export_register_ws is not None:
        assert booked_ws + sum(r.energy_ws + (r.gap_ws or 0) for r in rest) == raw_ws


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(5, 90), st.integers(-6000, 9000)), min_size=4, max_size=20),
    st.sampled_from([1, 36, WH]),
    st.sampled_from([1.0, 2.5, 10.0]),
    st.booleans(),
)
def test_the_minutes_of_a_known_signal_are_its_integral(
    pieces: list[tuple[int, int]], unit_ws: int, every_s: float, has_register: bool
) -> None:
    """Against the curve itself: energy to the register's unit, power-only to one sample's delay."""
    shell, home, truth = Shell.start(), Home(unit_ws), {}
    edges = [1000.0]
    for length_s, power_w in pieces:
        edges.append(edges[-1] + length_s)
        home.power_w = float(power_w)
        while home.at_s < edges[-1]:
            home.run(min(edges[-1], (home.at_s // every_s + 1) * every_s))
            truth[home.at_s] = home.import_ws - home.export_ws
            if home.at_s % every_s == 0:
                shell.say(home.at_s, power_w=home.power_w, **(home.told() if has_register else {}))
    home.power_w = 0.0
    for second in range(1, 121):
        home.run(edges[-1] + second)
        shell.say(home.at_s, power_w=0.0, **(home.told() if has_register else {}))
    told_ws = sum(r.energy_ws or 0 for r in shell.readings)
    true_ws = home.import_ws - home.export_ws - (50_000 - 7_000) * WH
    steps_ws = sum(abs(b - a) for (_, a), (_, b) in pairwise([(0, pieces[0][1]), *pieces, (0, 0)]))
    slack_ws = 4 * unit_ws + 2 * every_s * 9000 if has_register else 2 * every_s * (steps_ws + 9000)
    assert abs(told_ws - true_ws) <= slack_ws
