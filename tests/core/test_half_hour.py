"""Half-hours: each watt-second in one of them, told once, corrected within a day, no better than the data."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core import half_hour
from gateway.core.half_hour import HalfHour, Ledger
from gateway.core.metering import Anchor, Cause, Grade, Source
from tests.core.metering_shell import NOON_UTC_S, Shell

HALF_S = 1800.0
DAY_S = 86_400.0
LAG_S = 120.0


@dataclass
class Settling(Shell):
    """A shell that keeps the half-hours of its point, and tells them when they are due."""

    ledger: Ledger = field(default_factory=Ledger)
    rows: list[HalfHour] = field(default_factory=list)
    told_at_s: list[float] = field(default_factory=list)  # UTC, one for each row
    source: Source = Source.METER
    since_utc_s: float = 0.0

    def restart(self, down_s: float, anchor: Anchor | None = None) -> None:
        super().restart(down_s, anchor)
        self.since_utc_s = self.anchor.utc(self.now_s)

    def say(self, at_s: float, **told: object) -> None:
        super().say(at_s, **told)
        self.ledger = half_hour.read(self.ledger, self.meter)

    def _cut(self) -> None:
        known = len(self.readings)
        super()._cut()
        for reading in self.readings[known:]:
            self.ledger = half_hour.told(self.ledger, self.meter, reading)
        if not self.anchor.trusted:
            return
        utc_s = self.anchor.utc(self.now_s)
        found = half_hour.due(self.ledger, utc_s, LAG_S, self.since_utc_s, self.source)
        if found:
            self.ledger = half_hour.settled(self.ledger, found, utc_s)
        self.rows += found
        self.told_at_s += [utc_s] * len(found)

    def last(self, start_s: float) -> HalfHour:
        """What was told last of the half-hour that starts so long after noon."""
        return [row for row in self.rows if row.start_utc_s == NOON_UTC_S + start_s][-1]


def settling(second: float = 0.0, trusted: bool = True) -> Settling:
    """A home whose monotonic clock says 1000 at noon and `second`."""
    made = Settling.start(second=second, trusted=trusted)
    assert isinstance(made, Settling)
    return made


def steady(
    shell: Settling, until_s: float, power_w: int = 1000, every_s: float = 10.0, at_s: float = 0.0
) -> None:
    """A constant load with a register from `at_s` to `until_s` after noon."""
    while at_s <= until_s:
        shell.say(1000.0 + at_s, power_w=float(power_w), import_ws=round(power_w * at_s), export_ws=7)
        at_s += every_s


# --- what is told ------------------------------------------------------------------------------------


def test_a_half_hour_is_the_step_of_the_register_from_edge_to_edge() -> None:
    shell = settling()
    steady(shell, 2 * HALF_S + 200)
    row = shell.last(HALF_S)
    assert (row.import_ws, row.export_ws) == (1_800_000, 0)
    assert row.import_register_ws == (1_800_000, 3_600_000)
    assert row.export_register_ws == (7, 7)
    assert (row.quality, row.reasons, row.revision, row.coverage) == (Grade.OK, (), 0, 1.0)
    assert row.by_register
    assert row.edge_gap_s == 0


def test_an_edge_lies_on_the_line_between_the_reads_around_it() -> None:
    shell = settling(second=3.0)  # reads at 3, 23, 43 s: the edge is 17 s after one and 3 s before the next
    steady(shell, 2 * HALF_S + 200, every_s=20.0)
    row = shell.last(HALF_S)
    assert row.import_ws == 1_800_000
    assert row.edge_gap_s == 17
    assert row.import_register_ws[0] == 1_800_000 - 3_000


def test_it_is_told_after_its_end_by_the_lag() -> None:
    shell = settling()
    steady(shell, 2 * HALF_S + 300)
    told_at_s = dict(zip((row.start_utc_s for row in shell.rows), shell.told_at_s, strict=True))
    late_s = told_at_s[NOON_UTC_S + HALF_S] - (NOON_UTC_S + 2 * HALF_S + LAG_S)
    assert 0 <= late_s <= 61.5, "this shell looks when a minute is cut"


def test_the_first_half_hour_of_a_home_is_not_known() -> None:
    shell = settling(second=600.0)
    steady(shell, 2 * HALF_S)
    row = shell.rows[0]
    assert (row.start_utc_s, row.quality) == (NOON_UTC_S, Grade.MISSING)
    assert (row.import_ws, row.export_ws) == (None, None)
    assert Cause.EDGE in row.reasons
    assert len([row for row in shell.rows if row.start_utc_s == NOON_UTC_S]) == 1


def test_a_silence_inside_costs_coverage_and_no_energy() -> None:
    shell = settling()
    steady(shell, HALF_S + 600)
    steady(shell, 2 * HALF_S + 400, at_s=HALF_S + 1200)
    row = shell.last(HALF_S)
    assert row.import_ws == 1_800_000
    assert row.quality is Grade.ESTIMATED
    assert 0.6 < row.coverage < 0.7
    assert row.edge_gap_s == 0


def test_a_half_hour_without_its_edge_is_told_without_energy_and_corrected_when_the_edge_is_known() -> None:
    shell = settling()
    steady(shell, 2 * HALF_S - 300)
    shell.pass_until(1000.0 + 2 * HALF_S + 900)
    steady(shell, 3 * HALF_S + 600, at_s=2 * HALF_S + 900)
    first, second = (row for row in shell.rows if row.start_utc_s == NOON_UTC_S + HALF_S)
    assert (first.revision, first.quality, first.import_ws) == (0, Grade.MISSING, None)
    assert first.import_register_ws == (1_800_000, None)
    assert (second.revision, second.quality, second.import_ws) == (1, Grade.ESTIMATED, 1_800_000)
    assert second.edge_gap_s == 900
    assert [row.import_ws for row in shell.rows if row.start_utc_s == NOON_UTC_S + 2 * HALF_S] == [1_800_000]


def test_an_edge_just_before_a_long_silence_is_an_estimate() -> None:
    """Its nearest read is 50 s away, and the line to the next one says nothing of what flowed in these."""
    shell = settling()
    shell.meter = replace(shell.meter, spec=replace(shell.meter.spec, fresh_s=90.0))
    steady(shell, 2 * HALF_S - 50)
    steady(shell, 3 * HALF_S + 900, at_s=3 * HALF_S)
    row = shell.last(HALF_S)
    assert (row.edge_gap_s, row.quality) == (HALF_S, Grade.ESTIMATED)
    assert Cause.EDGE in row.reasons


def test_an_edge_far_from_any_read_of_the_register_is_an_estimate() -> None:
    """A charger that tells its power each 10 s, and its register each 20 min."""
    shell = settling()
    for at_s in range(0, 3 * int(HALF_S), 10):
        register = {"import_ws": 1000 * at_s} if at_s % 1200 == 700 else {}
        shell.say(1000.0 + at_s, power_w=1000.0, **register)
    row = shell.last(HALF_S)
    assert (row.edge_gap_s, row.reasons, row.quality) == (1100, (Cause.EDGE,), Grade.ESTIMATED)
    assert row.import_ws == 1_800_000


def test_after_a_day_it_is_not_corrected_any_more() -> None:
    shell = settling()
    steady(shell, 2 * HALF_S - 300)
    shell.pass_until(1000.0 + 2 * HALF_S + DAY_S - 700)
    steady(shell, 2 * HALF_S + DAY_S + 700, at_s=2 * HALF_S + DAY_S + 100)
    assert [row.revision for row in shell.rows if row.start_utc_s == NOON_UTC_S + HALF_S] == [0]
    third = [row for row in shell.rows if row.start_utc_s == NOON_UTC_S + 2 * HALF_S]
    assert [(row.revision, row.import_ws) for row in third] == [(0, None), (1, 1_800_000)]


def test_a_register_that_begins_anew_costs_no_energy_of_the_half_hour() -> None:
    shell = settling()
    steady(shell, HALF_S + 600)
    for at_s in range(int(HALF_S) + 610, 2 * int(HALF_S) + 400, 10):
        shell.say(1000.0 + at_s, power_w=1000.0, import_ws=1000 * (at_s - int(HALF_S) - 600), export_ws=7)
    row = shell.last(HALF_S)
    assert row.import_ws == pytest.approx(1_800_000, abs=20_000)  # the step of the reset itself is by power
    assert row.import_register_ws == (1_800_000, 1_200_000)
    assert row.quality is Grade.ESTIMATED
    assert Cause.COUNTER_RESET in row.reasons


def test_without_a_register_it_is_the_energy_by_power() -> None:
    shell = settling()
    for at_s in range(0, 2 * int(HALF_S) + 400, 5):
        shell.say(1000.0 + at_s, power_w=720.0 if at_s < 2700 else -360.0)
    row = shell.last(HALF_S)
    assert not row.by_register
    assert row.import_ws == pytest.approx(720 * 900, abs=720 * 5)
    assert row.export_ws == pytest.approx(360 * 900, abs=360 * 5)
    assert row.import_register_ws == (None, None)


def test_export_that_is_not_metered_is_not_nothing() -> None:
    shell = settling()
    for at_s in range(0, 2 * int(HALF_S) + 400, 10):
        shell.say(1000.0 + at_s, power_w=500.0, import_ws=500 * at_s)
    row = shell.last(HALF_S)
    assert (row.import_ws, row.export_ws, row.export_register_ws) == (900_000, None, (None, None))
    assert row.quality is Grade.OK


def test_an_estimate_is_never_ok() -> None:
    shell = settling()
    shell.source = Source.ESTIMATE
    shell.meter = replace(shell.meter, spec=replace(shell.meter.spec, source=Source.ESTIMATE))
    steady(shell, 2 * HALF_S + 400)
    assert shell.last(HALF_S).quality is Grade.ESTIMATED


def test_what_minutes_know_of_the_time_before_the_clock_was_trusted_half_hours_know_too() -> None:
    """A hub without a clock of its own, its network back after two hours: 3 kW in the first half-hour
    after 12:30, nothing in the second."""
    shell = settling(trusted=False)
    for at_s in range(0, 4 * int(HALF_S), 10):
        register_ws = 10**9 + 3000 * min(at_s, 2 * int(HALF_S))
        shell.say(1000.0 + at_s, power_w=3000.0 if at_s < 2 * HALF_S else 0.0, import_ws=register_ws)
    assert not shell.rows
    shell.set_clock(replace(shell.anchor, trusted=True))
    for at_s in range(4 * int(HALF_S), 5 * int(HALF_S), 10):
        shell.say(1000.0 + at_s, power_w=0.0, import_ws=10**9 + 6000 * int(HALF_S))
    told = [(row.import_ws, row.quality) for row in shell.rows]
    assert told[0] == (None, Grade.MISSING)
    assert told[1:4] == [(3000 * 1800, Grade.ESTIMATED), (0, Grade.ESTIMATED), (0, Grade.ESTIMATED)]
    assert all(Cause.CLOCK_UNTRUSTED in row.reasons for row in shell.rows[:4])


def test_a_restart_goes_on_where_the_registers_are() -> None:
    shell = settling()
    steady(shell, 2 * HALF_S - 95)
    shell.restart(down_s=400.0)
    steady(shell, 3 * HALF_S + 300, at_s=2 * HALF_S + 400)
    for start_s in (HALF_S, 2 * HALF_S):
        row = shell.last(start_s)
        assert row.import_ws == pytest.approx(1_800_000, abs=5_000)
        assert row.quality is Grade.ESTIMATED
        assert Cause.RESTART in row.reasons
    assert shell.last(HALF_S).import_register_ws[1] == shell.last(2 * HALF_S).import_register_ws[0]


def test_three_days_without_the_hub_are_told_when_it_is_back() -> None:
    shell = settling()
    steady(shell, HALF_S + 600, every_s=60.0)
    shell.restart(down_s=3 * DAY_S)
    steady(shell, 3 * DAY_S + 3 * HALF_S, at_s=3 * DAY_S + HALF_S + 700, every_s=60.0)
    starts = [row.start_utc_s for row in shell.rows if row.revision == 0]
    assert starts == [NOON_UTC_S + index * HALF_S for index in range(len(starts))]
    assert len(starts) >= 3 * 48
    whole_ws = sum(row.import_ws or 0 for row in shell.rows if row.start_utc_s >= NOON_UTC_S + HALF_S)
    assert whole_ws == 1000 * (starts[-1] + HALF_S - NOON_UTC_S - HALF_S)


# --- laws --------------------------------------------------------------------------------------------


@st.composite
def reads(draw: st.DrawFn) -> list[tuple[float, int, int]]:
    """(seconds after noon, import, export) as read: mostly each 10 to 60 s, now and then after hours."""
    told, at_s, imports, exports = [], draw(st.floats(0, 100)), 5_000_000, 100
    for _ in range(draw(st.integers(2, 60))):
        told.append((at_s, imports, exports))
        step_s = draw(st.one_of(st.floats(10, 60), st.floats(300, 9000)))
        at_s += step_s
        imports += draw(st.integers(0, round(3000 * step_s)))
        exports += draw(st.integers(0, round(500 * step_s)))
    return told


@given(reads(), st.integers(0, 59))
@settings(max_examples=60)
def test_half_hours_are_whole_and_hold_what_the_registers_say(
    told: list[tuple[float, int, int]], offset_s: int
) -> None:
    shell = settling()
    shell.set_offset(offset_s)
    for at_s, imports, exports in told:
        shell.say(1000.0 + at_s, power_w=100.0, import_ws=imports, export_ws=exports)
    shell.pass_until(1000.0 + told[-1][0] + 400)

    firsts = [row for row in shell.rows if row.revision == 0]
    assert all(b.start_utc_s == a.start_utc_s + HALF_S for a, b in pairwise(firsts)), "one after the other"
    for row, at_utc_s in zip(shell.rows, shell.told_at_s, strict=True):
        assert at_utc_s >= row.end_utc_s + LAG_S
        assert row.revision == 0 or at_utc_s <= row.end_utc_s + DAY_S
        assert_as_read(row, told)
    latest = {row.start_utc_s: row for row in shell.rows}
    for start_utc_s, row in latest.items():
        after = latest.get(start_utc_s + HALF_S)
        if after and after.import_ws is not None and row.import_ws is not None:
            assert row.import_register_ws[1] == after.import_register_ws[0], "an edge belongs to both"
            assert row.export_register_ws[1] == after.export_register_ws[0]


def assert_as_read(row: HalfHour, told: list[tuple[float, int, int]]) -> None:
    """Each edge is between the registers read before and after it, and close to a read where it says so."""
    times = [NOON_UTC_S + at_s for at_s, _, _ in told]
    for index, (edge_utc_s) in enumerate((row.start_utc_s, row.end_utc_s)):
        here = bisect.bisect_left(times, edge_utc_s)
        for register_ws, column in ((row.import_register_ws[index], 1), (row.export_register_ws[index], 2)):
            if register_ws is not None:
                assert told[here - 1][column] - 1 <= register_ws <= told[here][column] + 1
                is_read = times[here] == edge_utc_s
                furthest_s = 0 if is_read else max(edge_utc_s - times[here - 1], times[here] - edge_utc_s)
                assert row.edge_gap_s is not None
                assert row.edge_gap_s >= furthest_s - 0.01
                assert row.quality is not Grade.OK or furthest_s <= 60.01
    for energy_ws, registers_ws in (
        (row.import_ws, row.import_register_ws),
        (row.export_ws, row.export_register_ws),
    ):
        if energy_ws is not None:
            start_ws, end_ws = registers_ws
            assert start_ws is not None
            assert end_ws is not None
            assert energy_ws == end_ws - start_ws
    assert (row.quality is Grade.MISSING) == (row.import_ws is None)


def test_what_is_kept_is_bounded() -> None:
    """However long nothing is told (a disk that fails), and however long the hub was away."""
    shell = settling()
    steady(shell, 600.0)
    shell.ledger = half_hour.settled(shell.ledger, (), NOON_UTC_S + 400 * DAY_S)
    assert len(shell.ledger.halves) <= 45 * 48 + 1
    later = replace(shell.meter, anchor=Anchor(1000.0, NOON_UTC_S + 400 * DAY_S, True))
    shell.ledger = half_hour.read(shell.ledger, later)
    assert len(shell.ledger.halves) <= 45 * 48 + 1


def test_what_is_not_believed_is_not_read() -> None:
    shell = settling()
    steady(shell, HALF_S - 10)
    known = shell.ledger
    shell.say(1000.0 + HALF_S + 5, import_ws=10**12)
    assert shell.ledger.counts[0] == known.counts[0]
