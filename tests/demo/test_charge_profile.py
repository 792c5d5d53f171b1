"""Charging profiles as OCPP 1.6 stacks them: what the car gets, under a clock of the test."""

from __future__ import annotations

import pytest

from gateway.demo.devices.charger import Fault
from gateway.demo.devices.ocpp import Problem
from tests.demo.charging import Garage

STATION, DEFAULT = "ChargePointMaxProfile", "TxDefaultProfile"


@pytest.fixture
def garage() -> Garage:
    """A car that charges at the charger's rating."""
    garage = Garage()
    garage.connect()
    garage.starts()
    assert garage.passes(10) == 32.0
    return garage


def test_a_profile_of_the_transaction_limits_it(garage: Garage) -> None:
    assert garage.profile(10.0) == "Accepted"
    assert garage.passes(5) == 10.0


def test_it_stands_before_the_default_also_upwards(garage: Garage) -> None:
    garage.profile(8.0, purpose=DEFAULT, id=1)
    assert garage.passes(5) == 8.0
    garage.profile(16.0)
    assert garage.passes(5) == 16.0


def test_the_stations_limit_stands_above_all(garage: Garage) -> None:
    garage.profile(20.0, purpose=STATION, connector=0, id=1)
    garage.profile(26.0)
    assert garage.passes(5) == 20.0
    garage.profile(12.0)
    assert garage.passes(5) == 12.0


def test_the_default_of_the_connector_stands_before_that_of_the_box(garage: Garage) -> None:
    garage.profile(10.0, purpose=DEFAULT, connector=0, id=1)
    assert garage.passes(5) == 10.0
    garage.profile(14.0, purpose=DEFAULT, connector=1, id=2)
    assert garage.passes(5) == 14.0


def test_the_highest_level_that_holds_now_wins(garage: Garage) -> None:
    garage.profile(10.0, level=0, id=1)
    garage.profile(24.0, level=2, id=2, validTo=garage.moment(60))
    garage.profile(6.0, level=3, id=3, starts_s=30.0)
    assert garage.passes(5) == 24.0
    assert garage.passes(30) == 6.0
    garage.asks("ClearChargingProfile", id=3)
    assert garage.passes(10) == 24.0
    assert garage.passes(20) == 10.0


def test_the_same_place_in_the_stack_is_taken_over(garage: Garage) -> None:
    garage.profile(10.0, id=1)
    garage.profile(20.0, id=2)
    assert garage.passes(5) == 20.0
    assert garage.asks("ClearChargingProfile", id=1) == {"status": "Unknown"}


def test_the_same_number_is_taken_over_wherever_it_was(garage: Garage) -> None:
    garage.profile(10.0, id=1, level=4)
    garage.profile(20.0, id=1, level=0)
    assert garage.passes(5) == 20.0


@pytest.mark.parametrize("way", ["duration", "validTo"])
def test_a_profile_ends_by_either_way_of_saying_it(garage: Garage, way: str) -> None:
    garage.profile(8.0, purpose=DEFAULT, id=1)
    schedule = {"duration": 90} if way == "duration" else {}
    more = {"validTo": garage.moment(90)} if way == "validTo" else {}
    garage.profile(16.0, schedule=schedule, **more)
    assert garage.passes(89) == 16.0
    assert garage.passes(2) == 8.0


def test_its_duration_counts_from_the_start_of_its_schedule(garage: Garage) -> None:
    garage.profile(10.0, starts_s=-60.0, schedule={"duration": 90})
    assert garage.passes(29) == 10.0
    assert garage.passes(8) == 32.0


def test_with_the_gateway_gone_it_holds_to_its_end_and_then_the_default(garage: Garage) -> None:
    garage.profile(8.0, purpose=DEFAULT, id=1)
    garage.profile(0.0, schedule={"duration": 90}, validTo=garage.moment(90))
    assert garage.passes(5) == 0.0
    garage.point.disconnected()
    assert garage.passes(84) == 0.0
    assert garage.passes(9) == 8.0


def test_before_it_is_valid_it_gives_no_limit(garage: Garage) -> None:
    garage.profile(10.0, starts_s=-60.0, validFrom=garage.moment(50))
    assert garage.passes(49) == 32.0
    assert garage.passes(2) == 10.0


def test_its_periods_follow_each_other(garage: Garage) -> None:
    garage.profile(10.0, 16.0, 0.0)
    assert [garage.passes(99), garage.passes(100), garage.passes(100)] == [10.0, 16.0, 0.0]


def test_a_relative_one_counts_from_the_sessions_begin(garage: Garage) -> None:
    """The session is ten seconds old."""
    garage.profile(10.0, 16.0, kind="Relative", starts_s=None)
    assert garage.passes(89) == 10.0
    assert garage.passes(3) == 16.0


def test_a_relative_one_pays_no_heed_to_a_start(garage: Garage) -> None:
    garage.profile(10.0, kind="Relative", starts_s=3600.0)
    assert garage.passes(5) == 10.0


def test_a_daily_one_comes_again(garage: Garage) -> None:
    garage.profile(10.0, kind="Recurring", recurrencyKind="Daily", schedule={"duration": 3600})
    assert garage.passes(3590) == 10.0
    assert garage.passes(20) == 32.0
    assert garage.passes(86_400 - 3600) == 10.0


@pytest.mark.parametrize(
    ("limit_a", "taken_a"), [(0.0, 0.0), (5.9, 0.0), (6.0, 6.0), (6.1, 6.1), (13.7, 13.7), (64.0, 32.0)]
)
def test_between_nothing_and_six_ampere_there_is_nothing(
    garage: Garage, limit_a: float, taken_a: float
) -> None:
    garage.profile(limit_a)
    assert garage.passes(5) == taken_a
    assert round(garage.point.charger.offered_a, 6) == taken_a


def test_the_profile_goes_with_its_transaction(garage: Garage) -> None:
    garage.profile(10.0)
    garage.asks("RemoteStopTransaction", transactionId=7)
    garage.car.plugged = False
    garage.passes(2)
    garage.car.plugged = True
    garage.starts(8)
    assert garage.passes(10) == 32.0


def test_the_defaults_stay_for_the_next_one(garage: Garage) -> None:
    garage.profile(10.0, purpose=DEFAULT)
    garage.asks("RemoteStopTransaction", transactionId=7)
    garage.starts(8)
    assert garage.passes(10) == 10.0


@pytest.mark.parametrize(
    "refused",
    [
        {"purpose": STATION, "connector": 1},
        {"purpose": DEFAULT, "connector": 2},
        {"connector": 0},
        {"connector": 2},
        {"transactionId": 6},
        {"level": 6},
        {"level": -1},
        {"schedule": {"chargingRateUnit": "W"}},
        {"each_s": 10, "limits_a": (10.0,) * 7},
    ],
)
def test_what_has_no_place_is_rejected_and_changes_nothing(
    garage: Garage, refused: dict[str, object]
) -> None:
    limits_a = refused.pop("limits_a", (10.0,))
    assert garage.profile(*limits_a, **refused) == "Rejected"  # type: ignore[misc, arg-type]
    assert garage.passes(5) == 32.0


def test_without_a_transaction_its_profile_is_rejected() -> None:
    garage = Garage()
    garage.connect()
    assert garage.profile(10.0) == "Rejected"
    assert garage.profile(10.0, purpose=DEFAULT) == "Accepted"


def test_it_holds_eight_profiles_and_no_more(garage: Garage) -> None:
    told = [garage.profile(10.0, purpose=DEFAULT, id=n, level=n % 6, connector=n // 6) for n in range(9)]
    assert told == ["Accepted"] * 8 + ["Rejected"]
    assert garage.profile(9.0, purpose=DEFAULT, id=3, level=3, connector=0) == "Accepted"


@pytest.mark.parametrize(
    "broken",
    [
        {"schedule": {"chargingSchedulePeriod": []}},
        {"schedule": {"chargingSchedulePeriod": [{"startPeriod": 5, "limit": 10.0}]}},
        {"schedule": {"chargingSchedulePeriod": [{"startPeriod": 0, "limit": 13.55}]}},
        {"schedule": {"chargingSchedulePeriod": [{"startPeriod": 0, "limit": -1.0}]}},
        {"schedule": {"startSchedule": "soon"}},
        {"purpose": "TxWish"},
        {"kind": "Sometimes"},
        {"kind": "Recurring"},
        {"validTo": 5},
    ],
)
def test_what_is_no_profile_is_a_formation_violation(garage: Garage, broken: dict[str, object]) -> None:
    with pytest.raises(Problem) as refused:
        garage.profile(10.0, **broken)  # type: ignore[arg-type]
    assert refused.value.code == "FormationViolation"
    assert garage.passes(5) == 32.0


def test_profiles_are_cleared_by_what_is_given_of_them(garage: Garage) -> None:
    garage.profile(20.0, purpose=STATION, connector=0, id=1)
    garage.profile(10.0, purpose=DEFAULT, id=2, level=1)
    garage.profile(8.0, purpose=DEFAULT, id=3, level=2)
    clear = {"chargingProfilePurpose": DEFAULT, "stackLevel": 2, "connectorId": 1}
    assert garage.asks("ClearChargingProfile", **clear) == {"status": "Accepted"}
    assert garage.passes(5) == 10.0
    assert garage.asks("ClearChargingProfile", **clear) == {"status": "Unknown"}
    assert garage.asks("ClearChargingProfile") == {"status": "Accepted"}
    assert garage.passes(5) == 32.0


def test_the_composite_schedule_tells_every_change_ahead(garage: Garage) -> None:
    garage.profile(20.0, purpose=DEFAULT, id=1)
    garage.profile(10.0, 16.0, schedule={"duration": 150})
    told = garage.asks("GetCompositeSchedule", connectorId=1, duration=300)
    assert (told["status"], told["connectorId"]) == ("Accepted", 1)
    assert told["chargingSchedule"]["chargingRateUnit"] == "A"
    assert told["chargingSchedule"]["chargingSchedulePeriod"] == [
        {"startPeriod": 0, "limit": 10.0},
        {"startPeriod": 100, "limit": 16.0},
        {"startPeriod": 150, "limit": 20.0},
    ]


def test_the_composite_schedule_of_no_profile_is_the_rating(garage: Garage) -> None:
    told = garage.asks("GetCompositeSchedule", connectorId=0, duration=60, chargingRateUnit="A")
    assert told["chargingSchedule"]["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 32.0}]
    assert garage.asks("GetCompositeSchedule", connectorId=1, duration=60, chargingRateUnit="W") == {
        "status": "Rejected"
    }


def test_a_deaf_charger_takes_a_profile_and_goes_on(garage: Garage) -> None:
    garage.point.charger.fault = Fault.DEAF
    assert garage.profile(10.0) == "Accepted"
    assert garage.passes(10) == 32.0


def test_a_profile_of_an_eternal_charger_never_ends(garage: Garage) -> None:
    garage.point.charger.fault = Fault.ETERNAL
    garage.profile(0.0, schedule={"duration": 90}, validTo=garage.moment(90))
    assert garage.passes(5000) == 0.0
    garage.point.charger.fault = None
    assert garage.passes(8) == 32.0


def test_a_weak_charger_never_offers_more_than_six_ampere(garage: Garage) -> None:
    garage.point.charger.fault = Fault.WEAK
    assert garage.passes(5) == 6.0
    garage.profile(0.0)
    assert garage.passes(5) == 0.0
