"""Holding a session: leases and their ends, the fail-safe, variants, pauses, and what is not written."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from drivers.base import Proof
from drivers.ocpp.settings import ZERO_CONFIRMED, Settings, ability
from tests.drivers.ocpp_house import QUICK, Hub, home, serving
from tests.drivers.running import running
from tests.fakes.charger import START_UTC_S, Charger, moment, profile_in

LEASE_S = 300


def _leases(charger: Charger) -> list[dict[str, Any]]:
    laid = [profile_in(payload) for payload in charger.asked_for("SetChargingProfile")]
    return [profile for profile in laid if profile["chargingProfileId"] != 10]


# --- the lease ---


async def test_a_lease_says_its_end_twice_and_starts_in_the_past() -> None:
    async with home(lease_s=LEASE_S) as at:
        transaction = await at.session()
        await at.port.holds(2300)
        (lease,) = _leases(at.charger)
        schedule = lease["chargingSchedule"]
        start_s = moment(schedule["startSchedule"])
        assert START_UTC_S - 60 - 1 <= start_s == moment(lease["validFrom"]) <= START_UTC_S - 60 + 5
        assert moment(lease["validTo"]) == start_s + 60 + LEASE_S
        assert schedule["duration"] == 60 + LEASE_S
        assert lease["transactionId"] == transaction
        assert schedule["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 10.0}]


@pytest.mark.parametrize("failsafe_a", [32, 10, 0])
async def test_with_the_gateway_gone_the_fail_safe_holds_within_the_lease(failsafe_a: float) -> None:
    async with home(lease_s=LEASE_S, failsafe_a=failsafe_a, failsafe_zero_confirmed=ZERO_CONFIRMED) as at:
        await at.session()
        await at.port.holds(2300 if failsafe_a == 32 else 7360)
        charger, port = at.charger, at.port
        assert charger.limit_a() == (10 if failsafe_a == 32 else 32)
    assert charger.limit_a() == (10 if failsafe_a == 32 else 32)  # a stop leaves the lease to its end
    port.pass_time(LEASE_S - 10)
    assert charger.limit_a() == (10 if failsafe_a == 32 else 32)
    port.pass_time(10)
    assert charger.limit_a() == failsafe_a


async def test_each_want_renews_the_lease_once() -> None:
    async with home(lease_s=LEASE_S) as at:
        await at.session()
        for _ in range(3):
            await at.port.holds(2300)
            at.port.pass_time(200)
        assert at.charger.limit_a() == 10
        await at.charger.meter()
        await asyncio.sleep(0.05)
        assert at.charger.limits() == [10.0] * 3  # nothing is written but for a new want
        assert len(at.charger.asked_for("GetCompositeSchedule")) == 2  # at set-up, and for the new limit


async def test_limits_carry_one_decimal_and_round_down() -> None:
    async with home(phases=1) as at:
        await at.session()
        for power_w, limit in ((7360, 32.0), (2999, 13.0), (1380, 6.0), (1379, 0.0), (0, 0.0)):
            await at.port.holds(power_w)
            assert at.charger.limits()[-1] == limit


async def test_a_charger_of_whole_amperes_gets_whole_amperes() -> None:
    async with home(step_a=1) as at:
        await at.session()
        await at.port.holds(3000)
        assert at.charger.limits() == [13.0]


async def test_on_more_phases_than_configured_the_limit_still_holds() -> None:
    async with home(lambda charger: setattr(charger, "phases", 3)) as at:
        await at.session()
        await at.port.holds(7360)
        assert at.charger.power_w() <= 7360


def test_the_ability_says_what_the_charger_can_be_held_at() -> None:
    held = ability(Settings(phases=3, max_a=16))
    assert held.range_w == (4140, 11_040)
    assert held.lease_s == 900
    assert [held.at_or_below(power_w) for power_w in (4139, 4140, 20_000)] == [0, 4140, 11_040]


@pytest.mark.parametrize("confirmed", [None, "yes", "true"])
def test_a_fail_safe_of_nothing_is_taken_only_from_who_says_what_it_means(confirmed: str | None) -> None:
    with pytest.raises(ValueError, match="6 or more would be right, or failsafe_zero_confirmed = ") as told:
        Settings(failsafe_a=0, failsafe_zero_confirmed=confirmed)
    assert ZERO_CONFIRMED in str(told.value)
    assert Settings(failsafe_a=0, failsafe_zero_confirmed=ZERO_CONFIRMED).failsafe.a10 == 0
    assert Settings(failsafe_a=6).failsafe.a10 == 60


@pytest.mark.parametrize("failsafe_a", [0.1, 3, 5.9])
def test_a_fail_safe_at_which_nothing_charges_is_refused_whatever_is_confirmed(failsafe_a: float) -> None:
    with pytest.raises(
        ValueError, match="between 0 and 6 A, where nothing charges; 6 or more would be right"
    ):
        Settings(failsafe_a=failsafe_a, failsafe_zero_confirmed=ZERO_CONFIRMED)


@pytest.mark.parametrize("failsafe_a", [3, 5.9, 40])
def test_a_fail_safe_that_nothing_can_hold_is_an_error(failsafe_a: float) -> None:
    with pytest.raises(ValueError, match="failsafe_a"):
        Settings(failsafe_a=failsafe_a)


# --- sessions come and go ---


async def test_a_session_begins_under_the_limit_that_was_wanted_before_it() -> None:
    async with home() as at:
        await at.set_up()
        await at.port.holds(2300)
        assert at.charger.limits() == []  # no session: nothing draws, and no memory is worn
        await at.charger.begin()
        await at.charger.until(lambda: at.charger.limit_a() == 10)
        names = [action for action, _ in at.charger.asked]
        assert names.count("SetChargingProfile") == 2  # the fail-safe, and the session's


async def test_the_next_session_begins_under_it_too() -> None:
    async with home() as at:
        await at.session()
        await at.port.holds(2300)
        await at.charger.end()
        at.charger.register_wh += 5
        await at.charger.begin()
        await at.charger.until(lambda: at.charger.limit_a() == 10)


async def test_given_back_the_session_is_its_owner_s() -> None:
    async with home() as at:
        await at.session()
        await at.port.holds(0)
        await at.port.holds(None)
        assert at.charger.limit_a() == 32
        assert _ids(at.charger) == {10}


async def test_giving_back_lays_nothing_where_nothing_stays() -> None:
    async with home() as at:
        await at.session()
        await at.port.holds(7360)
        await at.port.holds(None)
        assert at.charger.limits() == [32.0]
        assert at.port.done[-1].proof is Proof.READ_BACK


async def test_a_charger_that_knows_no_ids_is_given_back_by_place() -> None:
    async with home(lambda charger: setattr(charger.quirks, "knows_ids", False)) as at:
        await at.session()
        await at.port.holds(0)
        await at.port.holds(None)
        assert _ids(at.charger) == {10}


async def test_a_charger_that_clears_nothing_is_given_its_full_rating() -> None:
    def unclear(charger: Charger) -> None:
        charger.quirks.errors = {"ClearChargingProfile": "NotImplemented"}

    async with home(unclear) as at:
        await at.session()
        await at.port.holds(0)
        await at.port.holds(None)
        assert at.charger.limit_a() == 32


async def test_above_a_low_fail_safe_the_full_rating_is_kept_by_leases() -> None:
    async with home(failsafe_a=8, lease_s=LEASE_S) as at:
        await at.session()
        assert at.charger.limit_a() == 8
        await at.port.holds(None)
        assert at.charger.limit_a() == 32
        for _ in range(3):
            at.port.pass_time(201)
            await at.charger.meter()
            await asyncio.sleep(0.05)
            assert at.charger.limit_a() == 32
        assert at.charger.limits() == [32.0] * 4
        charger, port = at.charger, at.port
    port.pass_time(LEASE_S)
    assert charger.limit_a() == 8


# --- pace ---


async def test_of_wants_that_pile_up_behind_a_slow_call_only_the_newest_is_written() -> None:
    async with home(timeout_s=5) as at:
        await at.session()
        at.charger.quirks.mute = {"TriggerMessage"}
        at.charger.quirks.delay_s = 0.5
        first = at.port.want(6900)
        await at.charger.until(lambda: at.charger.limits() == [30.0])
        for power_w in (6000, 5000, 2300):
            last = at.port.want(power_w)
            await asyncio.sleep(0.02)
        await at.port.until(lambda: at.port.answered(last), within_s=3)
        assert at.charger.limits() == [30.0, 10.0]
        assert at.port.answered(first)


async def test_a_want_behind_a_call_that_hangs_goes_out_as_it_is_then() -> None:
    def hangs(charger: Charger) -> None:
        charger.quirks.mute = {"GetCompositeSchedule"}

    async with home(hangs, timeout_s=0.3) as at:
        await at.session()
        at.port.want(6900)
        last = at.port.want(0)
        await at.port.until(lambda: at.port.answered(last), within_s=3)
        assert at.charger.limits()[-1] == 0.0


# --- pause and resume ---


async def test_after_a_pause_the_limit_is_said_again() -> None:
    def late(charger: Charger) -> None:
        charger.quirks.hears_late = True

    async with home(late, pace=replace(QUICK, again_s=0.5, resume_s=5)) as at:
        await at.session()
        await at.port.holds(0)
        await at.port.holds(4600)
        assert at.charger.power_w() == 0  # it overheard the first
        await at.charger.until(lambda: at.charger.power_w() == 4600)
        assert at.charger.limits() == [0.0, 20.0, 20.0]


async def test_a_car_that_slept_through_a_pause_is_woken_by_a_second_one_once() -> None:
    def sleepy(charger: Charger) -> None:
        charger.quirks.needs_kick = True

    async with home(sleepy) as at:
        await at.session()
        await at.port.holds(0)
        await at.port.holds(4600)
        for _ in range(30):
            await at.charger.meter()
            await asyncio.sleep(0.02)
        assert at.charger.power_w() == 4600
        assert at.charger.limits() == [0.0, 20.0, 20.0, 0.0, 20.0]


async def test_a_car_that_takes_nothing_is_told_and_left_alone() -> None:
    async with home(lambda charger: setattr(charger, "demand_a", 0)) as at:
        await at.session()
        await at.port.holds(0)
        await at.port.holds(4600)
        for _ in range(50):
            await at.charger.meter()
            await asyncio.sleep(0.02)
        assert at.charger.limits() == [0.0, 20.0, 20.0, 0.0, 20.0]
        assert "carNotTaking" in [event.kind for event in at.port.events]


# --- what is proven ---


async def test_a_limit_the_charger_shows_is_read_back_and_one_it_does_not_is_written() -> None:
    async with home() as at:
        await at.session()
        await at.port.holds(2300)
        assert at.port.done[-1].proof is Proof.READ_BACK

    def shows_nothing(charger: Charger) -> None:
        charger.quirks.statuses = {"GetCompositeSchedule": "Rejected"}

    async with home(shows_nothing) as at:
        await at.session()
        await at.port.holds(2300)
        await at.port.holds(2000)
        assert at.port.done[-1].proof is Proof.WRITTEN
        assert len(at.charger.asked_for("GetCompositeSchedule")) == 1  # it is not asked again


async def test_a_charger_that_ignores_what_it_accepts_is_told_of() -> None:
    async with home(lambda charger: setattr(charger.quirks, "ignores_profiles", True)) as at:
        await at.session()
        await at.port.holds(2300)
        assert at.port.done[-1].proof is Proof.WRITTEN  # it shows its full rating
        await asyncio.sleep(0.25)
        for _ in range(3):
            await at.charger.meter()
        assert [event.kind for event in at.port.events].count("notFollowing") == 1


async def test_a_limit_it_does_not_take_is_tried_in_its_other_ways() -> None:
    cases = [
        ({"units": {"W"}}, ("W", 0)),
        ({"units": {"A"}}, ("A", 0)),
        ({"levels": {3}}, ("A", 3)),
        ({"levels": {3}, "units": {"W"}}, ("W", 3)),
    ]
    for changes, (unit, level) in cases:

        def odd(charger: Charger, changes: dict[str, Any] = changes) -> None:
            for name, value in changes.items():
                setattr(charger.quirks, name, value)

        async with home(odd) as at:
            await at.session()
            await at.port.holds(2300)
            assert at.charger.power_w() == 2300
            lease = _leases(at.charger)[-1]
            assert (lease["chargingSchedule"]["chargingRateUnit"], lease["stackLevel"]) == (unit, level)
            tries = len(_leases(at.charger))
            await at.port.holds(2000)
            assert len(_leases(at.charger)) == tries + 1  # the way that was taken is known now


@pytest.mark.parametrize("end", ["duration", "validTo"])
async def test_a_lease_whose_end_is_taken_only_one_way_is_told_of(end: str) -> None:
    async with home(lambda charger: setattr(charger.quirks, "ends", {end}), lease_s=LEASE_S) as at:
        await at.session()
        await at.port.holds(0)
        assert "leaseEndUnproven" in [event.kind for event in at.port.events]
        at.port.pass_time(LEASE_S)
        assert at.charger.power_w() == 7360


async def test_a_lease_is_never_laid_without_an_end() -> None:
    async with home(lambda charger: setattr(charger.quirks, "ends", set())) as at:
        await at.session()
        want = at.port.want(0)
        await at.port.until(lambda: at.port.answered(want))
        assert [refused for refused, _ in at.port.refusals] == [want]
        assert all(
            "validTo" in lease or "duration" in lease["chargingSchedule"] for lease in _leases(at.charger)
        )
        assert at.charger.power_w() == 7360


async def test_a_charger_that_takes_no_limits_says_so_and_is_not_pestered() -> None:
    async with home(lambda charger: setattr(charger.quirks, "takes_purposes", set())) as at:
        await at.session()
        for power_w in (0, 2300, 4600):
            want = at.port.want(power_w)
            await at.port.until(lambda want=want: at.port.answered(want))  # type: ignore[misc]
        assert len(at.port.refusals) == 3
        assert "takes no limit" in at.port.refusals[0][1]
        assert len(at.charger.limits()) == 12  # each way once for a pause, and once for a limit
        await at.port.holds(None)  # giving back is never refused


async def test_an_error_is_no_fault_of_the_way() -> None:
    async with home() as at:
        await at.session()
        at.charger.quirks.errors = {"SetChargingProfile": "InternalError"}
        want = at.port.want(2300)
        await at.charger.until(lambda: len(at.charger.limits()) == 2)
        at.charger.quirks.errors = {}
        await at.port.until(lambda: at.port.answered(want))
        assert at.charger.limits() == [10.0, 10.0]
        assert at.port.done[-1].want == want


async def test_a_lower_want_does_not_wait_for_a_failed_one() -> None:
    async with home(pace=replace(QUICK, retry_s=30)) as at:
        await at.session()
        at.charger.quirks.errors = {"SetChargingProfile": "InternalError"}
        at.port.want(2300)
        await at.charger.until(lambda: at.charger.limits() == [10.0])
        await asyncio.sleep(0.05)
        at.charger.quirks.errors = {}
        await at.port.holds(0)


async def test_what_stays_after_it_was_taken_out_is_laid_over() -> None:
    def keeps(charger: Charger) -> None:
        charger.quirks.statuses = {"ClearChargingProfile": "Accepted"}

    async with home(keeps) as at:
        await at.session()
        await at.port.holds(0)
        await at.port.holds(None)
        assert at.charger.limit_a() == 32


async def test_smart_charging_that_is_not_there_is_refused_at_once() -> None:
    def without(charger: Charger) -> None:
        charger.quirks.errors = {"SetChargingProfile": "NotImplemented"}

    async with home(without) as at:
        await at.session()
        want = at.port.want(2300)
        await at.port.until(lambda: at.port.answered(want))
        assert "NotImplemented" in at.port.refusals[0][1]
        assert len(at.charger.limits()) == 1


async def test_zero_amperes_refused_is_a_want_refused() -> None:
    async with home(lambda charger: setattr(charger.quirks, "takes_zero", False)) as at:
        await at.session()
        await at.port.holds(2300)
        want = at.port.want(0)
        await at.port.until(lambda: at.port.answered(want))
        assert at.port.refusals[-1][0] == want
        assert at.charger.limit_a() == 10  # the lease before runs on to its end
        await at.port.holds(1840)  # only pauses are refused
        assert at.charger.limit_a() == 8


# --- sessions without an id ---


def _no_id(charger: Charger) -> None:
    charger.quirks.no_transaction_id = True
    charger.quirks.boots = False
    charger.status, charger.transaction = "Charging", 77


async def test_a_session_without_an_id_is_held_by_a_default_above_the_fail_safe() -> None:
    async with home(_no_id, lease_s=LEASE_S, failsafe_a=8) as at:
        await at.set_up()
        await at.port.holds(2300)
        assert at.charger.limit_a() == 10
        lease = _leases(at.charger)[-1]
        assert (lease["chargingProfilePurpose"], lease["stackLevel"]) == ("TxDefaultProfile", 1)
        at.port.pass_time(LEASE_S)
        assert at.charger.limit_a() == 8  # the fail-safe beneath was not replaced


async def test_such_a_lease_is_taken_out_again() -> None:
    async with home(_no_id) as at:
        await at.set_up()
        await at.port.holds(0)
        await at.port.holds(None)
        assert at.charger.limit_a() == 32
        assert _ids(at.charger) == {10}


async def test_without_an_id_the_owner_s_will_is_the_fail_safe_alone() -> None:
    async with home(_no_id, failsafe_a=8) as at:
        await at.set_up()
        await at.port.holds(0)
        await at.port.holds(None)
        assert at.charger.limit_a() == 8
        assert at.charger.limits("TxDefaultProfile") == [8.0, 0.0]


async def test_where_defaults_have_no_levels_such_a_session_is_not_held() -> None:
    def flat(charger: Charger) -> None:
        _no_id(charger)
        charger.keys["ChargeProfileMaxStackLevel"] = "0"

    async with home(flat, failsafe_a=8) as at:
        await at.set_up()
        want = at.port.want(2300)
        await at.port.until(lambda: at.port.answered(want))
        assert "no id" in at.port.refusals[0][1]
        assert at.charger.limit_a() == 8


async def test_defaults_are_laid_only_a_few_times_a_day() -> None:
    async with home(_no_id, lease_s=60) as at:
        await at.set_up()
        for _ in range(12):
            want = at.port.want(0)
            await at.port.until(lambda want=want: at.port.answered(want))  # type: ignore[misc]
        assert len(at.charger.limits("TxDefaultProfile")) == 10
        assert "10 default limits" in at.port.refusals[0][1]


# --- the fail-safe ---


async def test_the_fail_safe_is_laid_once_and_again_when_it_changed_or_was_lost() -> None:
    port = Hub()
    async with home(port=port, failsafe_a=10) as at:
        await at.set_up()
        charger = at.charger
    assert charger.limits("TxDefaultProfile") == [10.0]
    for failsafe_a, laid in ((10, [10.0]), (8, [10.0, 8.0])):
        await _connect_once(charger, port, failsafe_a)
        assert charger.limits("TxDefaultProfile") == laid
    charger.profiles.clear()
    await _connect_once(charger, port, 8)
    assert charger.limits("TxDefaultProfile") == [10.0, 8.0, 8.0]


async def _connect_once(charger: Charger, port: Hub, failsafe_a: float) -> None:
    asked = len(charger.asked)
    async with running(serving(charger, failsafe_a=failsafe_a).run(port)), charger:
        await charger.until(lambda: len(charger.asked) >= asked + 2)
        await asyncio.sleep(0.15)


async def test_a_fail_safe_that_is_not_taken_is_an_alarm() -> None:
    def only_sessions(charger: Charger) -> None:
        charger.quirks.takes_purposes = {"TxProfile"}

    async with home(only_sessions, failsafe_a=8) as at:
        await at.set_up()
        event = next(event for event in at.port.events if event.kind == "noFailsafe")
        assert event.severity == "alarm"
        await at.charger.begin()
        await at.port.holds(2300)


def _ids(charger: Charger) -> set[int]:
    return {profile["chargingProfileId"] for profile in charger.profiles}
