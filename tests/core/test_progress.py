"""How lives go on: the contract's sentences on status and summary, second by second on a clock of our own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest

from gateway.core.book import open_instructions
from gateway.core.eligibility import Home as Rules
from gateway.core.following import band_w
from gateway.core.life import (
    Book,
    Draws,
    Evidence,
    Now,
    Proof,
    Report,
    Reported,
    Seen,
    Status,
    Summary,
    restored,
)
from gateway.core.model import Extent, Given, Kind, Op, Order, Plan, Quality, Reading, Reason
from gateway.core.progress import progress
from tests.core.dispatching import EV, HOME, HP, MONO, NO_DRAW, UTC, at, given, order, plan, seen, take

See = Callable[[float], Mapping[str, Seen]]


@dataclass
class Home:
    """A home whose seconds pass when told; keeps all that was said."""

    rules: Rules = HOME
    book: Book = field(default_factory=Book)
    reports: list[tuple[float, Report]] = field(default_factory=list)
    summaries: list[tuple[float, Summary]] = field(default_factory=list)

    def take(self, message: Order, now: Now | None = None, draws: Draws = NO_DRAW) -> Report:
        done = take(self.book, message, now, self.rules, draws=draws)
        self.book = done.book
        return done.report

    def look(self, second: float, gives: Plan, sees: Mapping[str, Seen], *, trusted: bool = True) -> None:
        done = progress(
            self.book,
            gives,
            sees,
            self.rules,
            at(second, trusted=trusted),
            boundary=Reading(900.4, 0.0, "meter.power_w"),
        )
        self.book = done.book
        self.reports += [(second, report) for report in done.reports]
        self.summaries += [(second, summary) for summary in done.summaries]

    def live(self, seconds: Iterable[int], gives: Plan, sees: See | Mapping[str, Seen]) -> Home:
        for second in seconds:
            self.look(second, gives, sees(second) if callable(sees) else sees)
        return self

    def restart(self) -> None:
        self.book = restored([*self.book.current.values(), *self.book.past.values()])

    def line(self, name: str = "hp") -> Reported:
        return next(ln for ln in self.reports[-1][1].targets if name in (ln.asset, ln.target))

    def told(self, name: str = "hp") -> list[tuple[float, Status, Extent | None, Reason]]:
        return [
            (second, line.status, line.extent, line.reason)
            for second, report in self.reports
            for line in report.targets
            if name in (line.asset, line.target)
        ]


def running(message: Order | None = None, power: float = 2000.0) -> Home:
    """A heat pump of 2 kW with a block accepted for seconds 60 to 3660, watched until its start."""
    home = Home()
    home.take(message or order())
    return home.live(range(1, 60), plan(), seen(power))


BLOCKED = plan(given())


# --- following ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "asked", "inside", "outside"),
    [
        (Kind.CAP, 1000, [-500, 0, 1000, 1100], [1101]),  # 100 W
        (Kind.CAP, 4000, [4200], [4201]),  # 5 %
        (Kind.FLOOR, 1000, [800, 9000], [799]),  # 200 W
        (Kind.FLOOR, 4000, [3600], [3599]),  # 10 %
        (Kind.SETPOINT, 4000, [3600, 4200], [3599, 4201]),
    ],
)
def test_tolerances_are_the_contracts(kind: Kind, asked: int, inside: list[int], outside: list[int]) -> None:
    low_w, high_w = band_w(given(asked=asked, granted=asked, kind=kind), HP)
    assert all(low_w <= power_w <= high_w for power_w in inside)
    assert not any(low_w <= power_w <= high_w for power_w in outside)


def test_one_step_of_the_device_is_within_tolerance() -> None:
    assert band_w(given("ev", 1400, 1380), EV)[1] == 1400 + EV.ability.step_w


def test_it_starts_on_the_second_fresh_sample_inside() -> None:
    home = running()
    home.live([60, 61], BLOCKED, seen(2000))
    home.live([62], BLOCKED, seen(40))
    assert home.told() == []
    home.live([63], BLOCKED, seen(40))
    assert home.told() == [(63, Status.STARTED, Extent.FULL, Reason.NONE)]
    assert home.line().evidence is Evidence.MEASURED
    assert home.line().measured_w == 40


def test_a_bad_sample_proves_nothing() -> None:
    bad = Reading(0.0, 0.0, "hp.power_w", Quality.BAD)
    home = running().live(range(60, 80), plan(given()), {"hp": Seen(bad, Proof.WRITTEN)})
    assert Status.STARTED not in {status for _, status, _, _ in home.told()}


def test_one_sample_inside_starts_it_after_ten_seconds() -> None:
    """For a meter that speaks every ten seconds: the same sample, growing older."""
    home = running().live([60, 61], BLOCKED, seen(2000))
    home.live(range(62, 80), BLOCKED, lambda second: seen(40, age=second - 62))
    assert [second for second, *_ in home.told()] == [72]


def test_a_device_that_confirms_is_enough_where_there_is_no_meter() -> None:
    home = running()
    home.live([60], BLOCKED, seen(proof=Proof.WRITTEN))
    assert home.told() == []
    home.live([61], BLOCKED, seen(proof=Proof.READ_BACK))
    assert home.line().evidence is Evidence.READ_BACK


def test_what_was_inside_before_we_acted_is_idle_and_never_held() -> None:
    home = running(power=30).live(range(60, 3800), BLOCKED, seen(30))
    assert home.line().evidence is Evidence.IDLE
    (_, summary) = home.summaries[0]
    assert (summary.assets[0].held_s, summary.assets[0].status) == (0, Status.SUCCEEDED)
    assert summary.assets[0].idle_s > 3590


def test_idle_becomes_held_when_the_asset_wanted_more_and_was_kept() -> None:
    home = running(power=30).live(range(60, 100), BLOCKED, seen(30))
    home.live([100], BLOCKED, seen(1500)).live([101, 102], BLOCKED, seen(40))
    assert home.line().evidence is Evidence.MEASURED


def test_an_asset_let_go_that_then_wants_nothing_is_idle_when_taken_up_again() -> None:
    limit = given(granted=None, extent=Extent.NONE, reason=Reason.COMFORT_LIMIT)
    home = started().live(range(100, 200), plan(limit), seen(30))
    home.live(range(200, 210), BLOCKED, seen(30))
    assert home.line().evidence is Evidence.IDLE


def test_a_second_instruction_on_a_held_asset_is_not_idle() -> None:
    home = running()
    home.live(range(60, 70), BLOCKED, lambda s: seen(2000 if s < 62 else 0))
    home.take(order("i2", start=0), at(70))
    home.live(range(71, 80), plan(given(), given(id_="i2")), seen(0))
    assert home.reports[-1][1].id == "i2"
    assert home.line().evidence is Evidence.MEASURED


@pytest.mark.parametrize(("asset", "patience_s"), [("ev", 30), ("hp", 300), ("fan", 15)])
def test_not_followed_in_time_says_so_and_goes_on(asset: str, patience_s: int) -> None:
    home = Home()
    home.take(order(targets=(f"asset:{asset}",), start=3700, end=7200))
    gives, sees = plan(given(asset)), seen(5000, asset=asset, set_since=3701)
    home.live(range(3690, 3700), plan(), sees).live(range(3700, 4100), gives, sees)
    assert home.told(asset) == [(3701 + patience_s, Status.ACCEPTED, Extent.NONE, Reason.NOT_FOLLOWING)]
    home.live(range(4100, 4103), gives, seen(0, asset=asset, set_since=3701))
    assert home.told(asset)[-1][1:] == (Status.STARTED, Extent.FULL, Reason.NONE)


def test_the_words_say_what_it_draws_and_what_was_asked() -> None:
    home = running().live(range(60, 400), BLOCKED, seen(2000))
    assert home.line().text == "draws 2.00 kW, asked for at most 0.00 kW"


def test_a_silent_meter_is_named() -> None:
    home = running().live(range(60, 400), BLOCKED, lambda second: seen(0, age=600))
    assert home.told() == [(360, Status.ACCEPTED, Extent.NONE, Reason.METER_STALE)]


def test_drawing_less_than_a_setpoint_without_a_way_to_raise_it_is_no_demand() -> None:
    part = given(asked=2000, granted=2000, kind=Kind.SETPOINT)
    home = running(order(kind=Kind.SETPOINT, value=2000)).live(range(60, 400), plan(part), seen(100))
    assert home.told()[-1][1:] == (Status.ACCEPTED, Extent.NONE, Reason.NO_DEMAND)


@pytest.mark.parametrize("kind", [Kind.SETPOINT, Kind.FLOOR])
def test_a_car_that_draws_less_than_its_charger_offers_has_no_demand(kind: Kind) -> None:
    """The charger can be asked to offer more; what the car takes of it is the car's."""
    part = given("ev", asked=6900, granted=6900, kind=kind)
    message = order(targets=("asset:ev",), kind=kind, value=6900)
    home = Home()
    home.take(message)
    home.live(range(60, 400), plan(part), seen(3000, asset="ev", set_since=60))
    assert home.told("ev")[-1][1:] == (Status.ACCEPTED, Extent.NONE, Reason.NO_DEMAND)
    home.live(range(400, 440), plan(part._replace(kind=Kind.CAP)), seen(7300, asset="ev", set_since=60))
    assert home.told("ev")[-1][3] is Reason.NOT_FOLLOWING


@pytest.mark.parametrize(
    ("kind", "reason"), [(Kind.SETPOINT, Reason.NO_DEMAND), (Kind.FLOOR, Reason.NOT_FOLLOWING)]
)
def test_a_pump_that_can_be_raised_has_no_demand_but_for_a_floor(kind: Kind, reason: Reason) -> None:
    pump = replace(HP, ability=replace(HP.ability, raises=True))
    part = given(asked=2000, granted=2000, kind=kind)
    home = Home(rules=replace(HOME, assets=(pump,)))
    home.take(order(kind=kind, value=2000))
    home.live(range(60, 400), plan(part), seen(100))
    assert home.told()[-1][3] is reason


# --- limits inside the window -------------------------------------------------------------------------


def started() -> Home:
    return running().live(range(60, 100), BLOCKED, lambda s: seen(2000 if s < 62 else 0, set_since=60))


def test_a_limit_inside_the_window_is_not_an_end() -> None:
    warm = "room 18.9 degrees, minimum 19.0"
    limit = given(granted=None, extent=Extent.NONE, reason=Reason.COMFORT_LIMIT, text=warm)
    home = started().live(range(100, 200), plan(limit), seen(2000))
    assert home.told()[-1] == (100, Status.STARTED, Extent.NONE, Reason.COMFORT_LIMIT)
    assert home.line().text == warm
    home.live(range(200, 220), BLOCKED, seen(0))
    assert home.told()[-1] == (201, Status.STARTED, Extent.FULL, Reason.NONE)


def test_what_a_limit_grants_instead_is_followed_in_part() -> None:
    part = given("ev", 1400, 3200, extent=Extent.PARTIAL, reason=Reason.CHARGE_LIMIT, text="0.42 kWh needed")
    home = Home()
    home.take(order(targets=("asset:ev",), value=1400))
    home.live(range(50, 60), plan(), seen(7200, asset="ev"))
    home.live([60], plan(part), seen(7200, asset="ev"))
    home.live(range(61, 70), plan(part), seen(3180, asset="ev"))
    assert home.told("ev") == [(62, Status.STARTED, Extent.PARTIAL, Reason.CHARGE_LIMIT)]
    assert (home.line("ev").limit_w, home.line("ev").measured_w) == (3200, 3180)


@pytest.mark.parametrize(
    ("sees", "reason"),
    [
        (seen(0, online=False), Reason.DEVICE_OFFLINE),
        (seen(0, refused=True), Reason.DEVICE_REFUSED),
        ({}, Reason.DEVICE_OFFLINE),
    ],
)
def test_a_lost_or_refusing_device_is_not_an_end_either(sees: Mapping[str, Seen], reason: Reason) -> None:
    home = started().live(range(100, 120), BLOCKED, sees)
    assert home.told()[-1] == (100, Status.STARTED, Extent.NONE, reason)
    home.live(range(120, 130), BLOCKED, seen(0, set_since=120))
    assert home.told()[-1][1:] == (Status.STARTED, Extent.FULL, Reason.NONE)


# --- ends ---------------------------------------------------------------------------------------------


def test_the_windows_end_having_started_is_success_whatever_the_extent() -> None:
    limit = given(granted=None, extent=Extent.NONE, reason=Reason.USER_OVERRIDE)
    home = started().live(range(100, 3700), plan(limit), seen(2000))
    assert home.told()[-1] == (3660, Status.SUCCEEDED, Extent.NONE, Reason.USER_OVERRIDE)
    assert home.reports[-1][1].ended


def test_the_windows_end_without_having_started_is_aborted_with_the_reason() -> None:
    home = running().live(range(60, 3700), BLOCKED, seen(2000))
    assert home.told()[-1] == (3660, Status.ABORTED, Extent.NONE, Reason.NOT_FOLLOWING)


def test_an_asset_that_is_removed_ends_early() -> None:
    home = started()
    gone = replace(HOME, assets=(EV,))
    done = progress(home.book, plan(), {}, gone, at(101))
    (report,) = done.reports
    assert (report.targets[0].status, report.targets[0].reason) == (Status.ABORTED, Reason.NOT_ELIGIBLE)
    assert open_instructions(progress(done.book, plan(), {}, HOME, at(102)).book, HOME) == ()


def test_an_asset_that_comes_back_is_not_taken_up_again_and_the_others_go_on() -> None:
    """One life per asset and id."""
    home = running(order(targets=("asset:ev", "asset:hp"), value=1400))
    home.book = progress(home.book, plan(), seen(0), replace(HOME, assets=(HP,)), at(60)).book
    home.live(range(61, 70), BLOCKED, seen(0))
    assert home.told()[-1][1] is Status.STARTED
    assert [i.ended for i in open_instructions(home.book, HOME)] == [{"ev"}]


def test_a_revision_may_move_the_end_of_what_runs() -> None:
    home = started()
    home.take(order(revision=1, end=5000), at(100))
    home.live(range(101, 5100), BLOCKED, seen(0))
    assert home.told()[-1][:2] == (5000, Status.SUCCEEDED)


def test_the_end_is_told_at_the_windows_end_though_the_return_is_delayed() -> None:
    home = running(order(end_delay=0))
    held = Home()
    held.take(order(end_delay=600), draws=Draws(0.0, 0.5))
    for each in (home, held):
        each.live(range(1, 3661), BLOCKED, lambda s: seen(2000 if s < 62 else 0))
        assert each.told()[-1][:2] == (3660, Status.SUCCEEDED)
    assert [len(open_instructions(each.book, HOME)) for each in (home, held)] == [0, 1]
    held.live(range(3661, 3661 + 300), BLOCKED, seen(0))
    assert open_instructions(held.book, HOME) == ()


def test_nothing_starts_before_the_delayed_start() -> None:
    home = Home()
    home.take(order(start_delay=600), draws=Draws(0.5, 0.0))
    home.live(range(1, 500), BLOCKED, seen(0))
    assert home.told()[0][0] == 361  # 60 + 300, and a second sample


def test_a_clock_set_back_in_the_window_cannot_lengthen_it() -> None:
    """Promise 5."""
    home = started()
    for second in range(100, 3700):
        done = progress(home.book, BLOCKED, seen(0), HOME, Now(MONO + second, UTC + second - 1800, True))
        home.book = done.book
        home.reports += [(second, report) for report in done.reports]
    assert home.told()[-1][:2] == (3660, Status.SUCCEEDED)


def test_a_clock_lost_in_the_window_leaves_its_end_where_it_was() -> None:
    home = started()
    for second in range(100, 3700):
        home.look(second, BLOCKED, seen(0), trusted=False)
    assert home.told()[-1][:2] == (3660, Status.SUCCEEDED)


def test_without_a_trusted_clock_nothing_starts() -> None:
    home = Home()
    home.take(order())
    for second in range(1, 200):
        home.look(second, BLOCKED, seen(0), trusted=False)
    assert home.told() == []


# --- telling ------------------------------------------------------------------------------------------


def test_changes_are_told_at_most_every_five_seconds() -> None:
    home = running()
    flapping = [seen(0, online=True), seen(0, online=False)]
    home.live(range(60, 160), BLOCKED, lambda second: flapping[second // 3 % 2])
    times = [second for second, _ in home.reports]
    assert len(times) > 10
    assert all(later - earlier >= 5 for earlier, later in pairwise(times))


def test_an_end_is_told_at_once() -> None:
    home = started()
    home.live([3658], plan(given(granted=None, extent=Extent.NONE, reason=Reason.COMFORT_LIMIT)), seen(0))
    home.live([3659, 3660], BLOCKED, seen(0))
    assert [second for second, _ in home.reports][-2:] == [3658, 3660]


def test_nothing_new_is_not_told() -> None:
    home = started()
    before = len(home.reports)
    home.live(range(100, 1000), BLOCKED, lambda second: seen(second % 50))
    assert len(home.reports) == before


def test_a_class_is_told_as_a_whole_too() -> None:
    home = running(order(targets=("class:heat",)))
    home.live(range(60, 70), BLOCKED, lambda s: seen(2000 if s < 62 else 20))
    assert home.told("class:heat") == [(63, Status.STARTED, Extent.FULL, Reason.NONE)]
    assert (home.line("class:heat").limit_w, home.line("class:heat").measured_w) == (0, 20)


def test_the_whole_is_told_by_those_that_go_on_and_measured_only_if_all_are() -> None:
    pump = replace(HP, id="hp2")
    both = replace(HOME, assets=(HP, pump))
    book = take(Book(), order(targets=("class:heat",)), home=both).book
    gives, sees = plan(given(), given("hp2")), {**seen(0), **seen(asset="hp2", proof=Proof.READ_BACK)}
    book = progress(book, gives, sees, both, at(61)).book
    (report,) = progress(book, gives, {**sees, **seen(0)}, both, at(66)).reports
    (whole,) = [line for line in report.targets if line.target]
    assert (whole.status, whole.evidence, whole.measured_w) == (Status.STARTED, Evidence.READ_BACK, None)
    assert whole.limit_w == 0
    half = plan(given(), given("hp2", 0, None, extent=Extent.NONE, reason=Reason.COMFORT_LIMIT))
    (report,) = progress(book, half, sees, both, at(70)).reports
    (whole,) = [line for line in report.targets if line.target]
    assert (whole.extent, whole.limit_w) == (Extent.PARTIAL, None), "nothing holds one of them"
    gone = replace(HOME, assets=(HP,))
    (report,) = progress(book, gives, seen(0), gone, at(70)).reports
    (whole,) = [line for line in report.targets if line.target]
    assert (whole.status, whole.reason, whole.measured_w) == (Status.STARTED, Reason.NONE, 0)


def test_a_site_is_measured_at_its_boundary() -> None:
    home = running(order(targets=("site",)))
    home.live(range(60, 70), BLOCKED, lambda s: seen(2000 if s < 62 else 20))
    line = home.line("site")
    assert (line.status, line.extent, line.measured_w) == (Status.STARTED, Extent.PARTIAL, 900)


# --- summary ------------------------------------------------------------------------------------------


def test_the_summary_comes_once_a_minute_after_the_last_end() -> None:
    home = started().live(range(100, 4000), BLOCKED, seen(0))
    ((second, summary),) = home.summaries
    assert 3660 + 60 <= second <= 3660 + 120
    assert (summary.service, summary.service_ref) == ("tcm", "boa-1")
    assert (summary.start_utc_s, summary.end_utc_s) == (UTC + 60, UTC + 3660)
    assert home.book.current == {}


def test_the_seconds_of_a_summary_are_those_of_the_window() -> None:
    limit = given(granted=None, extent=Extent.NONE, reason=Reason.COMFORT_LIMIT)
    home = Home()
    home.take(order(start_delay=300), draws=Draws(0.2, 0.0))
    home.live(range(1, 1000), BLOCKED, lambda s: seen(2000 if s < 125 else 0))
    home.live(range(1000, 1180), plan(limit), seen(2000))
    home.live(range(1180, 3800), BLOCKED, seen(0))
    asset = home.summaries[0][1].assets[0]
    assert asset.delay_s == 60
    assert asset.held_s + asset.idle_s + asset.limited_s + asset.delay_s == 3600
    assert dict(asset.limits) == {
        Reason.COMFORT_LIMIT: pytest.approx(180, abs=2),
        Reason.NOT_FOLLOWING: pytest.approx(7, abs=2),
    }
    assert asset.followed_utc_s == UTC + 126


def test_what_a_restart_missed_is_neither_held_nor_lost() -> None:
    home = started().live(range(100, 1000), BLOCKED, seen(0))
    home.restart()
    home.live(range(1120, 3800), BLOCKED, seen(0))
    (_, summary) = home.summaries[0]
    asset = summary.assets[0]
    assert dict(asset.limits)[Reason.GATEWAY_RESTART] == pytest.approx(120, abs=2)
    assert asset.held_s + asset.limited_s == 3600
    assert [status for _, status, *_ in home.told()].count(Status.SUCCEEDED) == 1


def test_an_idle_asset_is_still_idle_after_a_restart() -> None:
    home = running(power=30).live(range(60, 100), BLOCKED, seen(30))
    home.restart()
    home.live(range(101, 3800), BLOCKED, seen(30))
    assert home.summaries[0][1].assets[0].held_s == 0


def test_a_window_that_passed_while_we_were_away_ends_when_we_are_back() -> None:
    home = running()
    home.restart()
    home.live(range(5000, 5100), plan(), seen(2000))
    assert home.told() == [(5000, Status.ABORTED, Extent.NONE, Reason.GATEWAY_RESTART)]
    assert len(home.summaries) == 1


def test_a_cancelled_instruction_is_summed_up_too() -> None:
    home = started()
    home.take(order(revision=1, op=Op.CANCEL), at(100))
    home.live(range(101, 300), plan(), seen(2000))
    ((second, summary),) = home.summaries
    assert (second, summary.assets[0].status) == (161, Status.REVOKED)


def test_what_was_rejected_at_once_has_nothing_to_sum_up() -> None:
    home = Home()
    home.take(order(kind=Kind.SOC))
    home.live(range(1, 200), plan(), seen(0))
    assert home.summaries == []


def test_a_broken_number_breaks_nothing() -> None:
    parts: list[Given] = [given(), given(id_="unknown")]
    home = running().live(range(60, 70), plan(*parts), seen(float("nan")))
    assert home.told() == []
