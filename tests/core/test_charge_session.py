"""Charge sessions against what a charger was made to do: the script is the oracle, not the fold."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import groupby, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.charge_session import (
    ChargeSession,
    Moment,
    dated,
    is_dated,
    resumed,
)
from gateway.core.charge_watch import (
    CHARGES_MAX,
    GAP_S,
    INSTRUCTIONS_MAX,
    QUIET_S,
    RATES_MAX,
    TEXT_MAX,
    UNSEEN_MAX,
    UNSEEN_S,
    Watch,
    abandoned,
    glance,
    watched,
)
from gateway.core.model import (
    Asset,
    AssetClass,
    AssetState,
    Extent,
    Given,
    Governor,
    Kind,
    Plan,
    Reading,
    Reason,
    Setpoint,
    Snapshot,
)
from gateway.core.reading import Anchor, Flowed

UTC = 1_800_000_000.0
LOOK_S = 10
NOMINAL_W = 7360
EV = Asset("ev", AssetClass.EV, NOMINAL_W, control="charger", sources={"connected": ("charger.connected",)})
SILENT = replace(EV, sources={})
LIFETIME_WS = 4_211 * 3_600_000.0


@dataclass(frozen=True)
class Phase:
    """What holds for so many looks."""

    looks: int
    plugged: bool
    power_w: float = 0.0
    at_most_w: int | None = None


@dataclass
class Life:
    """One life of the hub: its clock begins at `began_utc_s`, and is trusted or not."""

    began_utc_s: float = UTC
    watch: Watch = field(default_factory=Watch)
    ended: tuple[ChargeSession, ...] = ()
    trusted: bool = True
    asset: Asset = EV

    def look(
        self,
        utc_s: float,
        phase: Phase,
        register_ws: float | None,
        *,
        by_register: bool = True,
        **more: Any,
    ) -> None:
        """One decision at a moment."""
        flowed = None if register_ws is None else Flowed(register_ws, by_register)
        seen = glance(self.snapshot(utc_s, phase, **more), _plan(phase), self.asset, flowed)
        if seen is None:
            return
        self.watch, over = watched(self.watch, seen)
        self.ended += (over,) if over else ()

    def snapshot(self, utc_s: float, phase: Phase, **more: Any) -> Snapshot:
        told: dict[str, Any] = {"connected": _reading(phase.plugged), "power_w": _reading(phase.power_w)}
        state = AssetState(**(told | {"online": True} | more))
        return Snapshot(self.mono_s(utc_s), utc_s, self.trusted, (self.asset,), {"ev": state})

    def mono_s(self, utc_s: float) -> float:
        """A clock that begins anew in each life."""
        return 50.0 + utc_s - self.began_utc_s

    def dated(self, session: ChargeSession) -> ChargeSession:
        """As it is known in the end, without the clock of this life."""
        return resumed(dated(session, Anchor(self.mono_s(UTC), UTC, self.trusted)))

    @property
    def open(self) -> ChargeSession:
        """The session that goes on."""
        assert self.watch.session
        return self.dated(self.watch.session)

    @property
    def all(self) -> list[ChargeSession]:
        """All sessions of this life, the one that goes on last."""
        found = [*self.ended, *([self.watch.session] if self.watch.session else [])]
        return [self.dated(session) for session in found]

    def next(self, utc_s: float) -> Life:
        """The life after a kill, with what was saved."""
        session = self.watch.session and resumed(self.open)
        return Life(utc_s, Watch(session), tuple(self.all[: len(self.ended)]), asset=self.asset)


def _reading(value: float | None) -> Reading | None:
    return None if value is None else Reading(float(value), 0.0, "charger")


def _plan(phase: Phase, text: str = "words") -> Plan:
    governor = Governor.HOUSEHOLD if phase.at_most_w is None else Governor.DISPATCH
    reason = Reason.NONE
    given_ = Given("i1", "ev", Kind.CAP, 0, 0, Extent.FULL, reason, "")
    return Plan(
        (Setpoint("ev", phase.at_most_w, governor, reason, text),),
        () if phase.at_most_w is None else (given_,),
    )


def _looks(phases: list[Phase]) -> list[tuple[float, Phase, float]]:
    """UTC, phase and register of each look."""
    found, register_ws, utc_s = [], LIFETIME_WS, UTC
    for phase in phases:
        for _ in range(phase.looks):
            found.append((utc_s, phase, register_ws))
            register_ws += phase.power_w * LOOK_S
            utc_s += LOOK_S
    return found


def _lived(phases: list[Phase], **how: Any) -> Life:
    life = Life(**how)
    for utc_s, phase, register_ws in _looks(phases):
        life.look(utc_s, phase, register_ws)
    return life


def _runs(looks: list[tuple[float, Phase, float]], key: Any) -> list[tuple[Any, float, float]]:
    """Value, first look of it, first look after it (that one may not have come: the last of it)."""
    starts = [(value, next(iter(run))[0]) for value, run in groupby(looks, lambda look: key(look[1]))]
    edges = [utc_s for _, utc_s in starts[1:]] + [looks[-1][0]]
    return [(value, start, stop) for (value, start), stop in zip(starts, edges, strict=True)]


AWAY = Phase(3, plugged=False)
THERE = st.builds(
    Phase,
    st.integers(1, 60),
    st.just(True),
    st.sampled_from([0.0, 12.0, 1380.0, 7360.0]),
    st.sampled_from([None, 0, 1380]),
)
PHASES = st.lists(st.builds(Phase, st.integers(1, 30), st.just(False)) | THERE, min_size=1, max_size=12)


@given(PHASES)
def test_a_session_is_what_the_charger_was_made_to_do(phases: list[Phase]) -> None:
    looks = _looks([AWAY, *phases])
    found = _lived([AWAY, *phases]).all
    runs = [(start, stop) for plugged, start, stop in _runs(looks, lambda p: p.plugged) if plugged]
    assert [session.begin.utc_s for session in found] == [start for start, _ in runs]
    for session, (start, stop) in zip(found, runs, strict=True):
        is_open = session is found[-1] and phases[-1].plugged
        assert session.end == (None if is_open else Moment(None, stop))
        assert (session.begin_seen, session.unseen, session.left_out) == (True, (), 0)
        mine = [look for look in looks if start <= look[0] < stop or (is_open and look[0] == stop)]
        drew = [run for run in _runs(mine, lambda p: p.power_w > 200) if run[0]]
        assert [each.start.utc_s for each in session.charging] == [run[1] for run in drew]
        rates = _runs(mine, lambda p: p.at_most_w)
        assert [(rate.at_most_w, rate.at.utc_s) for rate in session.rates] == [run[:2] for run in rates]
        assert all((rate.instructions == ("i1",)) is (rate.at_most_w is not None) for rate in session.rates)


@given(PHASES)
def test_sessions_never_overlap_and_what_happens_in_one_is_in_order(phases: list[Phase]) -> None:
    found = _lived(phases).all
    for before, after in pairwise(found):
        assert before.end
        assert (before.end.utc_s or 0) <= (after.begin.utc_s or 0)
    for session in found:
        edges = [m.utc_s for c in session.charging for m in (c.start, c.stop) if m]
        for moments in (edges, [rate.at.utc_s for rate in session.rates]):
            known = [at for at in moments if at is not None]
            assert known == sorted(moments)
            assert all((session.begin.utc_s or 0) <= at <= (session.last.utc_s or 0) for at in known)


@given(PHASES)
def test_energies_sum_to_what_the_register_rose_while_a_car_was_there(phases: list[Phase]) -> None:
    looks = _looks(phases)
    there_ws = sum(after[2] - before[2] for before, after in pairwise(looks) if before[1].plugged)
    energies = [session.energy_ws for session in _lived(phases).all]
    assert sum(energy or 0.0 for energy in energies) == pytest.approx(there_ws)


@given(PHASES, st.data())
def test_a_restart_gives_the_same_record_but_for_what_was_not_seen(
    phases: list[Phase], data: st.DataObject
) -> None:
    looks = _looks([AWAY, *phases])
    cut = data.draw(st.integers(1, len(looks) - 1))
    same = next((n for n in range(cut, len(looks)) if looks[n][1] is not looks[cut - 1][1]), len(looks))
    after = data.draw(st.integers(cut, max(cut, min(same - 1, cut + 300))))
    first = Life()
    for utc_s, phase, register_ws in looks[:cut]:
        first.look(utc_s, phase, register_ws)
    second = first.next(looks[after][0] - 3.0)
    for utc_s, phase, register_ws in looks[after:]:
        second.look(utc_s, phase, register_ws)

    whole, found = _lived([AWAY, *phases]).all, second.all
    dark = (looks[cut - 1][0], looks[after][0])
    is_same = looks[after][1] is looks[cut - 1][1]
    for now, was in zip(found, whole, strict=True):
        gaps = [(gap.since.utc_s, gap.until.utc_s) for gap in now.unseen]
        spans = (
            was.begin.utc_s is not None and was.begin.utc_s <= dark[0] and (was.last.utc_s or 0) >= dark[1]
        )
        assert gaps == ([dark] if spans else [])
        if is_same or not spans:
            begin_seen = now.begin_seen if was.begin.utc_s == dark[1] else was.begin_seen
            assert now == replace(
                was, unseen=now.unseen, begin_seen=begin_seen, energy_ws=pytest.approx(was.energy_ws)
            )


# --- what nobody saw ----------------------------------------------------------------------------------------

CHARGES = Phase(1, plugged=True, power_w=7000.0)
IDLE = Phase(1, plugged=True)


def _resumed_after(gap_s: float, phase: Phase, *, trusted: bool = True) -> Life:
    """A car that charged, a kill, and one look after it."""
    first = _lived([AWAY, Phase(6, plugged=True, power_w=7000.0)])
    (last_s, _, register_ws) = _looks([AWAY, Phase(6, plugged=True, power_w=7000.0)])[-1]
    second = first.next(last_s + gap_s)
    second.trusted = trusted
    second.look(last_s + gap_s, phase, register_ws + 7000.0 * gap_s)
    return second


def test_a_car_that_left_meanwhile_was_last_seen_before_and_its_energy_is_counted() -> None:
    life = _resumed_after(600.0, Phase(1, plugged=False))
    (session,) = life.all
    assert (session.end, session.end_seen) == (Moment(None, UTC + 80), False)
    assert session.charging[-1].stop == session.end
    assert session.energy_ws == pytest.approx(7000.0 * 650)
    assert [(gap.since.utc_s, gap.until.utc_s) for gap in session.unseen] == [(UTC + 80, UTC + 680)]


def test_after_an_hour_in_the_dark_it_is_another_session_for_it_may_be_another_car() -> None:
    before, after = _resumed_after(UNSEEN_S + 1, CHARGES).all
    assert (before.end, before.end_seen) == (Moment(None, UTC + 80), False)
    assert (after.begin_seen, after.energy_ws) == (False, 0.0)
    (one,) = _resumed_after(UNSEEN_S, CHARGES).all
    assert one.end is None


def test_a_car_that_stopped_in_the_dark_stopped_when_it_was_last_seen_charging() -> None:
    assert _resumed_after(600.0, IDLE).open.charging[-1].stop == Moment(None, UTC + 80)


def test_while_the_clock_is_not_trusted_a_moment_has_no_utc_and_gets_the_right_one_later() -> None:
    life = _resumed_after(600.0, IDLE, trusted=False)
    session = life.watch.session
    assert session
    assert session.unseen[-1].until.utc_s is None
    assert not is_dated(dated(session, Anchor(0.0, 0.0, trusted=False)))
    life.trusted = True
    assert life.open.unseen[-1].until == Moment(None, UTC + 680)
    assert is_dated(life.open)


def test_a_moment_whose_life_never_had_a_clock_stays_without_utc() -> None:
    untrusted = _lived([AWAY, CHARGES], trusted=False)
    later = untrusted.next(UTC + 100)
    later.look(UTC + 100, CHARGES, LIFETIME_WS)
    assert later.open.begin == Moment(None, None)
    assert later.open.rates[0].at == Moment(None, None)
    assert is_dated(later.open)
    assert later.open.unseen[0].until == Moment(None, UTC + 100)


def test_a_clock_that_is_set_moves_all_moments_alike() -> None:
    life = _lived([AWAY, Phase(6, plugged=True), CHARGES])
    session = life.watch.session
    assert session
    late = dated(dated(session, Anchor(100.0, UTC, True)), Anchor(100.0, UTC + 3600, True))
    assert late.begin.utc_s == UTC + 3600 - 100.0 + (session.begin.at_s or 0)
    assert (late.charging[0].start.utc_s or 0) - (late.begin.utc_s or 0) == 60


def test_a_charger_that_did_not_answer_is_told_as_unseen_and_a_short_silence_is_not() -> None:
    for silence_s, gaps in ((GAP_S, 0), (GAP_S + 1, 1)):
        life = _lived([AWAY, CHARGES])
        life.look(UTC + 40, CHARGES, LIFETIME_WS, online=False)
        life.look(UTC + 30 + silence_s, CHARGES, LIFETIME_WS)
        assert len(life.open.unseen) == gaps


def test_a_car_that_was_there_at_the_first_look_may_have_come_before() -> None:
    assert not _lived([IDLE]).open.begin_seen
    assert _lived([AWAY, IDLE]).open.begin_seen
    life = _lived([AWAY])
    life.look(UTC + 20 + GAP_S + 1, IDLE, LIFETIME_WS)
    assert not life.open.begin_seen


# --- a charger that tells nothing of the plug ---------------------------------------------------------------


def _silent(power_w: float) -> dict[str, Any]:
    return {"connected": None, "power_w": _reading(power_w)}


def test_without_a_word_of_the_plug_a_session_is_from_the_first_charging_to_long_after_the_last() -> None:
    life = Life(asset=SILENT)
    for at_s, power_w in ((0, 3.0), (10, 7000.0), (20, 3.0), (30, 7000.0), (40, 3.0)):
        life.look(UTC + at_s, IDLE, LIFETIME_WS, **_silent(power_w))
    for at_s in range(100, int(QUIET_S), 100):
        life.look(UTC + at_s, IDLE, LIFETIME_WS, **_silent(3.0))
    assert (life.open.begin.utc_s, len(life.open.charging)) == (UTC + 10, 2)
    life.look(UTC + 40 + QUIET_S, IDLE, LIFETIME_WS, **_silent(3.0))
    (session,) = life.all
    assert (session.end, session.end_seen) == (Moment(None, UTC + 40), False)


def test_one_that_tells_of_the_plug_and_has_not_yet_does_not_end_a_quiet_session() -> None:
    life = _lived([AWAY, CHARGES, IDLE])
    for at_s in range(100, int(QUIET_S) + 1000, 100):
        life.look(UTC + at_s, IDLE, LIFETIME_WS, connected=None)
    assert life.open.end is None


# --- energy -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("began_anew_at_ws", [0.0, 3_000.0, LIFETIME_WS * 2])
def test_a_register_that_begins_anew_is_no_energy(began_anew_at_ws: float) -> None:
    life = _lived([AWAY])
    for n in range(100):
        life.look(UTC + 30 + 10 * n, CHARGES, LIFETIME_WS + 70_000.0 * n)
    for n in range(100):
        life.look(UTC + 1030 + 10 * n, CHARGES, began_anew_at_ws + 70_000.0 * n)
    assert life.open.energy_ws == pytest.approx(70_000.0 * 198)


def test_what_was_reckoned_ahead_of_the_register_is_taken_back() -> None:
    life = _lived([AWAY])
    for n, register_ws in enumerate((0.0, 70_000.0, 150_000.0, 140_000.0)):
        life.look(UTC + 30 + 10 * n, CHARGES, LIFETIME_WS + register_ws)
    assert life.open.energy_ws == 140_000.0


def test_without_a_meter_the_energy_is_not_known() -> None:
    life = _lived([AWAY])
    life.look(UTC + 30, CHARGES, None)
    assert (life.open.energy_ws, life.open.flowed) == (None, None)


def test_where_nothing_tells_a_power_the_register_alone_counts() -> None:
    life = _lived([AWAY])
    for n in range(4):
        register = _reading(LIFETIME_WS + 70_000.0 * n)
        life.look(UTC + 30 + 10 * n, CHARGES, None, import_ws=register, power_w=None)
    assert (life.open.energy_ws, life.open.charging) == (210_000.0, ())


def test_a_register_that_is_read_for_the_first_time_is_no_energy() -> None:
    life = _lived([AWAY])
    life.look(UTC + 30, CHARGES, 0.0, by_register=False)
    life.look(UTC + 40, CHARGES, 70_000.0, by_register=False)
    for n in range(3):
        life.look(UTC + 50 + 10 * n, CHARGES, 1_000_000.0 + 70_000.0 * n)
    assert life.open.energy_ws == 70_000.0 * 3
    assert life.open.flowed == Flowed(1_140_000.0, by_register=True)


# --- bounds -------------------------------------------------------------------------------------------------


def test_what_is_kept_of_a_session_is_bounded_and_what_had_no_room_is_counted() -> None:
    life = _lived([AWAY])
    for n in range(1000):
        phase = Phase(1, plugged=True, power_w=7000.0 * (n % 2), at_most_w=n)
        life.look(UTC + 30 + (GAP_S + 1) * n, phase, LIFETIME_WS)
    session = life.open
    assert (len(session.rates), len(session.charging)) == (RATES_MAX, CHARGES_MAX)
    assert len(session.unseen) == UNSEEN_MAX
    assert (session.rates[0].at_most_w, session.rates[-1].at_most_w) == (0, 999)
    assert session.left_out == (1000 - RATES_MAX) + (500 - CHARGES_MAX) + (999 - UNSEEN_MAX)


def test_the_words_of_a_rate_and_its_instructions_are_bounded() -> None:
    life, phase = Life(), Phase(1, plugged=True, at_most_w=0)
    plan = _plan(phase, "x" * 1000)
    ids = [plan.given[0]._replace(instruction=f"i{n}") for n in range(20)]
    seen = glance(life.snapshot(UTC, phase), replace(plan, given=tuple(ids)), EV, None)
    assert seen
    assert seen.rate
    assert len(seen.rate.text) == TEXT_MAX
    assert len(seen.rate.instructions) == INSTRUCTIONS_MAX


def test_words_that_count_down_are_no_change_of_rate() -> None:
    life = _lived([AWAY])
    for n in range(10):
        seen = glance(life.snapshot(UTC + 30 + n, IDLE), _plan(IDLE, f"{n} s more"), EV, None)
        assert seen
        life.watch, _ = watched(life.watch, seen)
    assert [rate.text for rate in life.open.rates] == ["0 s more"]


def test_a_plug_that_bounced_is_no_session() -> None:
    assert [s.is_blink for s in _lived([AWAY, Phase(5, plugged=True), AWAY]).ended] == [True]
    assert [s.is_blink for s in _lived([AWAY, Phase(6, plugged=True), AWAY]).ended] == [False]
    assert [s.is_blink for s in _lived([AWAY, CHARGES, AWAY]).ended] == [False]


def test_what_is_abandoned_ends_when_it_was_last_seen() -> None:
    session = _lived([AWAY, Phase(5, plugged=True, power_w=7000.0)]).watch.session
    assert session
    ended = abandoned(session)
    assert ended.end == session.last
    assert ended.charging[-1].stop == session.last
