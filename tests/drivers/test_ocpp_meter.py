"""What a charger's fields, meter values and clock mean: tables, without a socket."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.base import JsonValue, Quality, Refused
from drivers.ocpp.charger_clock import ChargerClock, Kept
from drivers.ocpp.field import moment_s, moment_text, number, parts, whole, word
from drivers.ocpp.gauge import Gauge
from drivers.ocpp.meter import Metered, Power, metered
from drivers.ocpp.profile import Limit, Unit, Wiring
from drivers.ocpp.transactions import BLOCK, Transactions
from drivers.ocpp.v16 import composite_limit, keys_in
from tests.fakes.port import FakeFacts

NOW_S = 1_800_000_000.0

# --- fields ---


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("7.5", 7.5), (" 7,5 ", 7.5), (7, 7.0), ("-1", -1.0), ("1e3", 1000.0), (".5", 0.5), ("", None),
        ("x", None), ("1e308", None), ("nan", None), (True, None), (None, None), ([], None), (10**400, None),
        ("1_0", None),
    ],
)  # fmt: skip
def test_a_number_is_one_that_means_something(value: object, found: float | None) -> None:
    assert number(value) == found


@pytest.mark.parametrize(
    ("value", "found"), [("5", 5), (5.0, 5), (2**40, 2**40), ("5.5", None), (True, None), (None, None)]
)
def test_a_whole_number_may_be_written_as_text(value: object, found: int | None) -> None:
    assert whole(value) == found


@pytest.mark.parametrize(
    ("text", "after_s"),
    [
        ("2027-01-15T08:00:00Z", 0), ("2027-01-15T08:00:00.250Z", 0.25), ("2027-01-15t08:00:01,5z", 1.5),
        ("2027-01-15 10:00:00+02:00", 0), ("2027-01-15T11:00+03", 0), ("2027-01-15T03:30:00-0430", 0),
    ],
)  # fmt: skip
def test_a_time_stamp_counts_in_the_forms_chargers_write(text: str, after_s: float) -> None:
    assert moment_s(text) == NOW_S + after_s


@pytest.mark.parametrize(
    "text",
    [
        "2027-01-15T08:00:00",
        "2027-13-15T08:00:00Z",
        "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00Z",
        "",
        5,
        None,
    ],
)
def test_a_time_stamp_without_a_zone_or_sense_is_none(text: object) -> None:
    assert moment_s(text) is None


@given(st.integers(0, 7_000_000_000))
def test_a_moment_written_is_read_as_itself(utc_s: int) -> None:
    assert moment_s(moment_text(utc_s)) == utc_s


def test_words_are_short_and_printable() -> None:
    assert word("a\x00b\ud800" + "x" * 999) == "ab" + "x" * 251
    assert (word(7), word(True), word(None), word({})) == ("7", "", "", "")


def test_an_object_stands_for_a_list_of_one() -> None:
    assert parts({"a": 1}) == parts([{"a": 1}, 5, None]) == [{"a": 1}]


# --- meter values ---


def _one(*values: dict[str, Any], volts: float = 230, phases: int = 1) -> Metered:
    (moment,) = metered({"meterValue": {"sampledValue": list(values)}}, volts, phases)
    return moment


def _value(measurand: str, value: object, **more: str) -> dict[str, Any]:
    return {"measurand": measurand, "value": value, **more}


P, E, I, U = "Power.Active.Import", "Energy.Active.Import.Register", "Current.Import", "Voltage"  # noqa: E741


@pytest.mark.parametrize(
    ("values", "power"),
    [
        ([_value(P, "7360", unit="W")], Power(7360, "meter")),
        ([_value(P, "7.36", unit="kW")], Power(7360, "meter")),
        ([_value(P, 7360)], Power(7360, "meter")),
        ([_value(P, "1", unit="furlong")], None),
        ([_value(P, "7", phase="L1"), _value(P, "8", phase="L2")], Power(15, "meter")),
        ([_value(P, "7", phase="L1"), _value(P, "24")], Power(24, "meter")),  # never both
        ([_value(P, "24"), _value(P, "5", context="Transaction.Begin")], Power(24, "meter")),
        ([_value(P, "24", context="Weird.Context")], Power(24, "meter")),
        ([_value(P, "24", location="Outlet"), _value(P, "9", location="Body")], Power(24, "meter")),
        ([_value(P, "9", location="Body")], Power(9, "meter")),
        ([_value(I, "10", phase="L1"), _value(I, "10", phase="L2")], Power(4600, "current")),
        ([_value(I, "10", phase="L1"), _value(U, "240", phase="L1-N")], Power(2400, "current")),
        ([_value("Current.Import.L1", "10"), _value("Current.Import.L2", "2")], Power(2760, "current")),
        ([_value(I, "10"), _value(U, "225")], Power(2250, "current")),
        ([_value(E, "5")], None),
    ],
    ids=range(15),
)  # fmt: skip
def test_power_is_found_where_it_is_told(values: list[dict[str, Any]], power: Power | None) -> None:
    assert _one(*values).power == power


@pytest.mark.parametrize(
    ("value", "register_ws"),
    [
        ({"value": "5"}, 18_000),  # nothing said: the register, in Wh
        (_value(E, "5", unit="kWh"), 18_000_000),
        (_value(E, "5", context="Transaction.Begin"), None),
        (_value(E, "x"), None),
    ],
)
def test_the_register_is_in_watt_hours_unless_it_says_otherwise(
    value: dict[str, Any], register_ws: float | None
) -> None:
    assert _one(value).register_ws == register_ws


def test_phases_are_those_that_carry_current() -> None:
    currents = [
        _value(I, current, phase=f"L{phase}") for phase, current in ((1, "16"), (2, "0.2"), (3, "16"))
    ]
    assert _one(*currents).phases == 2
    assert _one(_value(P, "5")).phases is None


# --- what is plausible ---


def _read(gauge: Gauge, at_s: float, power_w: float | None = None, register_wh: float | None = None) -> Any:
    power = None if power_w is None else Power(power_w, "meter")
    register_ws = None if register_wh is None else register_wh * 3600
    points = gauge.read(Metered(at_s, power, register_ws, None, None), at_s)
    return {name: sample.value for name, sample in points.items()}


def test_watts_told_as_kilowatts_are_found_out_after_three() -> None:
    gauge = Gauge(7360)
    assert [_read(gauge, 10 * n, 7_360_000) for n in range(4)] == [
        {},
        {},
        {"power_w": 7360},
        {"power_w": 7360},
    ]
    assert len(gauge.complaints) == 1
    assert _read(gauge, 60, 1_380_000) == {"power_w": 1380}


def test_watt_hours_told_as_kilowatt_hours_are_found_out_too() -> None:
    gauge = Gauge(7360)
    told = [_read(gauge, 10 * n, None, 20_000 * n).get("import_ws") for n in range(6)]
    assert told == [0, None, None, 216_000, 288_000, 360_000]


def test_a_register_of_whole_kilowatt_hours_is_taken_as_it_is() -> None:
    gauge = Gauge(7360)
    for step in range(240):
        register_wh = step * 20 // 1000 * 1000
        assert _read(gauge, 10.0 * step, None, register_wh)["import_ws"] == register_wh * 3600
    assert gauge.complaints == []


def test_more_than_the_rating_is_told_as_doubtful_not_hidden() -> None:
    gauge = Gauge(7360)
    for n in range(2):
        assert _read(gauge, 10 * n, 22_000) == {}
    sample = gauge.read(Metered(30, Power(22_000, "meter"), None, None, None), 30)["power_w"]
    assert (sample.value, sample.quality) == (22_000, Quality.UNCERTAIN)


def test_a_power_of_nothing_with_a_rising_register_is_the_register() -> None:
    gauge = Gauge(7360)
    for n in range(8):
        points = gauge.read(Metered(10.0 * n, Power(0, "meter"), n * 20 * 3600.0, None, None), 10.0 * n)
    assert points["power_w"].value == 7200
    assert points["power_w"].reasons == ("fromEnergy",)


def test_a_register_that_falls_begins_anew() -> None:
    gauge = Gauge(7360)
    for n in range(8):
        _read(gauge, 10.0 * n, None, 1000 + n * 20)
    assert _read(gauge, 80, None, 0) == {"import_ws": 0}


# --- the charger's clock ---


def test_a_clock_near_ours_is_known_at_once() -> None:
    clock = ChargerClock()
    clock.heard(NOW_S + 3, 100, NOW_S)
    assert clock.utc_s(110, NOW_S + 10) == NOW_S + 13


def test_a_clock_that_is_off_is_believed_once_it_runs_as_ours_does() -> None:
    clock = ChargerClock()
    clock.heard(NOW_S - 86_400, 100, NOW_S)
    assert clock.utc_s(100, NOW_S) == NOW_S
    clock.heard(NOW_S - 86_390, 110, NOW_S + 10)
    assert clock.utc_s(110, NOW_S + 10) == NOW_S - 86_390
    assert not clock.is_old(NOW_S - 86_390, 110, NOW_S + 10, 100)


@pytest.mark.parametrize(
    ("off_s", "kept", "is_believed"),
    [
        (-3600, Kept.NEVER, True),
        (-3600, Kept.HARDLY, True),
        (-3600, Kept.MAYBE, False),  # as likely it waited for an hour
        (3600, Kept.MAYBE, True),  # nobody stamps what is yet to come
    ],
)
def test_of_a_charger_never_met_one_message_counts_that_cannot_have_waited(
    off_s: int, kept: Kept, is_believed: bool
) -> None:
    clock = ChargerClock()
    clock.heard(NOW_S + off_s, 100, NOW_S, kept)
    assert clock.utc_s(110, NOW_S + 10) == NOW_S + 10 + (off_s if is_believed else 0)
    assert clock.is_known is (kept is Kept.NEVER)
    clock.heard(NOW_S + 12, 112, NOW_S + 12)
    assert clock.utc_s(112, NOW_S + 12) == NOW_S + 12


def test_of_one_whose_clock_was_right_an_old_state_is_no_other_clock() -> None:
    clock = ChargerClock(remembered_off_s=0.0)
    clock.heard(NOW_S - 7200, 100, NOW_S, Kept.HARDLY)
    assert clock.utc_s(100, NOW_S) == NOW_S
    assert clock.is_old(NOW_S - 3600, 100, NOW_S, 100)


def test_a_burst_of_old_messages_is_no_clock() -> None:
    clock = ChargerClock()
    for n in range(50):
        clock.heard(NOW_S - 3600 + 60 * n, 100 + n / 100, NOW_S)
        assert clock.utc_s(100, NOW_S) == NOW_S or n > 55
        assert clock.is_old(NOW_S - 3600, 100, NOW_S, 0)


def test_readings_that_waited_for_a_minute_are_no_slow_clock() -> None:
    """After a crash of ours a charger tells all it kept, in one breath."""
    clock = ChargerClock()
    kept = [NOW_S - 65 + 5 * n for n in range(13)]  # the last one 5 s before we were there
    for n, stamp_s in enumerate(kept):
        clock.heard(stamp_s, 100 + n / 100, NOW_S + n / 100)
        assert clock.is_old(stamp_s, 100 + n / 100, NOW_S + n / 100, 100)
    clock.heard(NOW_S + 1, 101, NOW_S + 1)
    assert not clock.is_old(NOW_S + 1, 101, NOW_S + 1, 100)


def test_a_clock_a_minute_slow_is_believed_once_it_runs_as_ours_does() -> None:
    clock = ChargerClock()
    for n in (0, 10):
        clock.heard(NOW_S - 60 + n, 100 + n, NOW_S + n)
    assert clock.utc_s(110, NOW_S + 10) == NOW_S - 50
    assert not clock.is_old(NOW_S - 50, 110, NOW_S + 10, 100)


def test_what_is_older_than_the_connection_waited_for_it() -> None:
    clock = ChargerClock()
    clock.heard(NOW_S, 100, NOW_S)
    assert clock.is_old(NOW_S + 57, 170, NOW_S + 70, 160)
    assert not clock.is_old(NOW_S + 59, 170, NOW_S + 70, 160)


@pytest.mark.parametrize("off_s", [-86_400, 86_400])
def test_a_clock_that_was_set_right_is_believed_again(off_s: int) -> None:
    clock = ChargerClock()
    for n in range(3):
        clock.heard(NOW_S + off_s + 10 * n, 100 + 10 * n, NOW_S + 10 * n)
    clock.heard(NOW_S + 40, 140, NOW_S + 40)
    assert clock.utc_s(140, NOW_S + 40) == NOW_S + 40


def test_a_charger_is_taken_to_believe_what_it_was_told() -> None:
    clock = ChargerClock()
    clock.told(5_000, 100)
    assert clock.utc_s(110, None) == 5_010
    assert clock.utc_s(110, NOW_S) == NOW_S  # ours, once it is trusted
    clock.heard(5_011, 110, None)
    assert clock.utc_s(110, None) == 5_011


def test_without_any_clock_nobody_knows() -> None:
    assert ChargerClock().utc_s(100, None) is None


# --- limits ---


@given(
    st.integers(0, 100_000),
    st.sampled_from([1, 3]),
    st.integers(1, 60),
    st.integers(60, 800),
    st.floats(200, 250),
)
def test_a_limit_never_lets_more_through_than_was_wanted(
    power_w: int, phases: int, step_a10: int, max_a10: int, volts: float
) -> None:
    wiring = Wiring(phases, volts, max_a10, step_a10)
    limit = wiring.at_most(power_w)
    assert limit.a10 * volts * phases / 10 <= power_w + 1e-6
    assert limit.power_w <= power_w
    assert limit.a10 == 0 or 60 <= limit.a10 <= max_a10
    assert limit.a10 % step_a10 == 0
    assert limit.in_unit(Unit.AMPERE) == round(limit.in_unit(Unit.AMPERE), 1)


def test_phases_that_were_seen_count_when_they_are_more() -> None:
    assert Wiring(1, 230, 320, 1).at_most(7360, 3) == Limit(106, 7360)
    assert Wiring(3, 230, 320, 1).at_most(7360, 1) == Limit(106, 7360)


# --- keys and composites ---


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Current", "A"),
        ("Power", "W"),
        ("Power,Current", "A"),
        ("W", "W"),
        ("A", "A"),
        ("", "A"),
        ("Watts?", "A"),
    ],
)
def test_the_unit_is_the_one_the_charger_lists(text: str, first: str) -> None:
    keys = keys_in({"configurationKey": [{"key": "chargingscheduleallowedchargingrateUNIT", "value": text}]})
    assert keys.units[0] == first
    assert len(set(keys.units)) == 2


def _composite(*periods: Any, **more: Any) -> dict[str, Any]:
    return {"status": "Accepted", "chargingSchedule": {"chargingSchedulePeriod": list(periods), **more}}


@pytest.mark.parametrize(
    ("answer", "limit"),
    [
        (_composite({"startPeriod": 0, "limit": 10}), 10),
        (_composite({"limit": "10.0"}, chargingRateUnit="A"), 10),
        (_composite({"limit": -1}), float("inf")),
        (_composite(), None),
        (_composite({"limit": 5}, chargingRateUnit="W"), None),
        ({"status": "Accepted"}, None),
        ({"status": "Rejected"}, None),
        ({}, None),
    ],
    ids=range(8),
)
def test_a_composite_schedule_is_read_for_what_it_is_worth(
    answer: dict[str, Any], limit: float | None
) -> None:
    assert composite_limit(answer, Unit.AMPERE) == limit


# --- ids ---


async def test_ids_are_written_down_before_they_are_used() -> None:
    facts = FakeFacts()
    seen: set[int] = set()
    for _ in range(4):
        transactions = Transactions(facts)
        await transactions.keep()
        for n in range(BLOCK // 2):  # a crash at any of them
            number, is_over = transactions.begun(f"start {len(seen)} {n}")
            assert number not in seen
            assert not is_over
            assert number < facts.durable["transactions"]["next"]
            seen.add(number)
        facts.lose_unsynced()


async def test_what_ran_is_remembered_until_it_ended() -> None:
    facts = FakeFacts()
    transactions = Transactions(facts)
    number, _ = transactions.begun("start")
    await transactions.keep()
    again = Transactions(facts)
    assert again.running == number
    assert again.begun("start") == (number, False)
    again.ended(number)
    assert again.pending
    await again.keep()
    last = Transactions(facts)
    assert last.running is None
    assert last.begun("start") == (number, True)


class _FullDisk(FakeFacts):
    """Facts that a disk takes only once there is room."""

    is_full = True

    async def put(self, key: str, value: JsonValue, *, durable: bool = False) -> None:
        if self.is_full:
            raise Refused("the disk is full")
        await super().put(key, value, durable=durable)


async def test_what_the_disk_did_not_take_is_still_to_be_written() -> None:
    facts = _FullDisk()
    transactions = Transactions(facts)
    number, _ = transactions.begun("start")
    with pytest.raises(Refused):
        await transactions.keep()
    assert transactions.pending
    facts.is_full = False
    await transactions.keep()
    assert not transactions.pending
    assert Transactions(facts).running == number


async def test_what_happens_while_the_disk_writes_is_still_to_be_written() -> None:
    transactions = Transactions(FakeFacts())
    number, _ = transactions.begun("start")
    writing = asyncio.create_task(transactions.keep())
    await asyncio.sleep(0)
    transactions.ended(number)
    await writing
    assert transactions.pending


async def test_a_session_at_another_connector_neither_hides_nor_ends_with_ours() -> None:
    facts = FakeFacts()
    transactions = Transactions(facts, connector=1)
    ours, _ = transactions.begun("ours", 1)
    other, _ = transactions.begun("other", 2)
    await transactions.keep()
    again = Transactions(facts, connector=1)
    assert again.running == ours
    again.ended(None)
    assert again.running is None
    assert not again.is_over(other)


@pytest.mark.parametrize(
    "fact", [None, 5, {}, {"next": "x", "kept": 7}, {"next": -5, "kept": [[1, 2], None]}]
)
async def test_damaged_facts_begin_anew(fact: Any) -> None:
    facts = FakeFacts(kept={"transactions": fact})
    number, _ = Transactions(facts).begun("start")
    assert 0 < number < 2**31
