"""Chargers as they are met: clocks that are off or set, sessions without ids or dates, calls not answered."""

from __future__ import annotations

import pytest

from drivers.ocpp.charger_clock import ChargerClock
from tests.drivers.ocpp_house import Hub, home
from tests.fakes.charger import Charger
from tests.fakes.port import FakeFacts

HOUR_S = 3600.0


@pytest.mark.parametrize("off_s", [-HOUR_S, HOUR_S])
async def test_a_charger_with_another_clock_that_speaks_each_second_is_held(off_s: float) -> None:
    def prepare(charger: Charger) -> None:
        charger.quirks.clock_off_s = off_s

    async with home(prepare) as at:
        await at.session()
        at.port.want(2300)
        for _ in range(12):
            at.port.pass_time(1.0)
            await at.charger.meter()
        await at.charger.until(lambda: at.charger.limit_a() == 10)
        assert at.port.value("power_w") is not None


@pytest.mark.parametrize("by_s", [-HOUR_S, HOUR_S])
async def test_a_lease_is_laid_again_when_the_chargers_clock_was_set(by_s: float) -> None:
    async with home() as at:
        await at.session()
        await at.port.holds(2300)
        laid = len(at.charger.limits())
        at.charger.quirks.clock_off_s = by_s
        assert at.charger.limit_a() == 32  # the lease is over, or has not begun, by that clock
        for _ in range(4):
            at.port.pass_time(3.0)
            await at.charger.meter()
        await at.charger.until(lambda: at.charger.limit_a() == 10)
        assert len(at.charger.limits()) > laid


def test_how_far_a_clock_was_off_is_known_in_the_next_life() -> None:
    clock = ChargerClock(remembered_off_s=HOUR_S)
    assert clock.utc_s(100.0, 1_800_000_000.0) == 1_800_003_600.0
    clock.heard(1_800_000_000.0, 100.0, 1_800_000_000.0)
    clock.heard(1_800_000_006.0, 106.0, 1_800_000_006.0)
    assert clock.utc_s(106.0, 1_800_000_006.0) == pytest.approx(1_800_000_006.0)


@pytest.mark.parametrize("off_s", [0.0, HOUR_S])  # also that it was right: an old state is no slow clock
async def test_how_far_it_is_off_is_kept(off_s: float) -> None:
    facts = FakeFacts()
    async with home(lambda c: setattr(c.quirks, "clock_off_s", off_s), port=Hub(facts)) as at:
        await at.session()
        for _ in range(4):
            at.port.pass_time(3.0)
            await at.charger.meter()
        await at.charger.until(lambda: facts.get("clockOff") is not None)
        assert facts.get("clockOff") == pytest.approx(off_s, abs=5)


async def test_after_a_session_without_an_id_the_next_one_is_held_by_its_own_profile() -> None:
    def prepare(charger: Charger) -> None:
        charger.quirks.no_transaction_id = True
        charger.quirks.boots = False
        charger.status, charger.transaction = "Charging", 77

    async with home(prepare) as at:
        await at.set_up()
        await at.port.holds(2300)
        assert at.charger.limits("TxDefaultProfile")
        at.charger.quirks.no_transaction_id = False
        await at.charger.end("EVDisconnected")
        await at.charger.tell("Available")
        await at.charger.begin()
        defaults = len(at.charger.limits("TxDefaultProfile"))
        await at.charger.until(lambda: bool(at.charger.limits()))
        for _ in range(12):
            await at.port.holds(2300)
        assert len(at.charger.limits("TxDefaultProfile")) == defaults
        await at.port.holds(0)
        assert at.charger.limit_a() == 0


async def test_starts_without_a_date_and_with_the_same_register_are_sessions_of_their_own() -> None:
    async with home() as at:
        await at.set_up()
        found = set()
        for _ in range(3):
            found.add(await at.charger.begin(meterStart=0, timestamp="2026-11-23T10:00:00"))
            await at.port.holds(2300)
            assert at.charger.limits()
            await at.charger.end("EVDisconnected")
            await at.charger.tell("Available")
        assert len(found) == 3


async def test_a_start_without_a_zone_is_told_from_one_whose_end_was_lost() -> None:
    async with home() as at:
        await at.set_up()
        lost = await at.charger.begin(meterStart=0, timestamp="2026-11-23T10:00:00")
        again = await at.charger.begin(meterStart=0, timestamp="2026-11-23T10:00:00")
        later = await at.charger.begin(meterStart=0, timestamp="2026-11-23T18:30:00")
        assert lost == again != later
        await at.port.holds(2300)
        assert at.charger.limit_a() == 10


async def test_a_charger_that_never_tells_its_configuration_and_starts_at_each_connection_is_served() -> None:
    def prepare(charger: Charger) -> None:
        charger.quirks.mute.add("GetConfiguration")
        charger.quirks.boots_again = True

    async with home(prepare, timeout_s=0.2) as at:
        at.port.want(2300)
        await at.set_up()
        await at.charger.begin()
        await at.charger.until(lambda: at.charger.limit_a() == 10)
        assert at.charger.connections == 1
        at.charger.profiles.clear()
        at.charger.drop()
        await at.charger.until(lambda: at.charger.limit_a() == 10)
        assert len(at.charger.asked_for("GetConfiguration")) == 2


async def test_three_phases_once_seen_are_reckoned_with_from_the_start_of_a_session() -> None:
    facts = FakeFacts()
    async with home(lambda c: setattr(c, "phases", 3), port=Hub(facts)) as at:
        await at.session()
        await at.charger.until(lambda: facts.get("phases") == 3)
        await at.charger.end("EVDisconnected")
        await at.charger.tell("Available")
        await at.port.holds(4600)
        at.port.pass_time(60)
        await at.charger.begin()
        await at.charger.until(lambda: bool(at.charger.limits()))
        assert 0 < at.charger.limits()[0] * 230 * 3 <= 4600


async def test_a_fail_safe_that_is_lost_again_is_laid_again() -> None:
    async with home(failsafe_a=6) as at:
        await at.set_up()
        for _ in range(3):
            await at.charger.until(lambda: at.charger.limit_a() == 6)
            at.charger.profiles.clear()  # its memory was wiped, and nobody tells
            connections = at.charger.connections
            at.charger.drop()
            await at.charger.until(lambda was=connections: at.charger.connections > was)
        await at.charger.until(lambda: at.charger.limit_a() == 6)
