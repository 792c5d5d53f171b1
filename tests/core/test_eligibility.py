"""The contract's service table, row by row, against the table as the contract prints it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.eligibility import exclusion, refusal, short_notice
from gateway.core.model import Asset, Instruction, Kind, Order, Reason, Scope, Step, Vector
from tests.core.dispatching import BOILER, EV, FAN, HOME, HOUR, HP, UTC, order

# From the contract: service | classes | assets | shortest (s) | plug notice (s) | needs a boundary meter
CONTRACT = """
bm      | response         | ev heat      | 300  | -    | no
tcm     | routine response | ev heat plug | 1800 | 3600 | no
dfs     | routine response | ev heat plug | 1800 | 3600 | yes
sustain | routine          | ev heat plug | 1800 | 3600 | no
secure  | routine response | ev heat plug | 1800 | 3600 | no
trial-9 | routine response | ev heat      | 300  | -    | no
"""
ROWS = [[cell.strip() for cell in line.split("|")] for line in CONTRACT.strip().splitlines()]
ASSETS = {"ev": EV, "heat": HP, "plug": FAN}


def reason_of(message: Order, asset: Asset = HP, home: object = HOME) -> Reason | None:
    why = refusal(message, asset, home)  # type: ignore[arg-type]
    return why.reason if why else None


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
@pytest.mark.parametrize("service_class", ["routine", "response"])
@pytest.mark.parametrize("asset", ["ev", "heat", "plug"])
def test_a_service_takes_the_classes_and_assets_of_its_row(
    row: list[str], service_class: str, asset: str
) -> None:
    name, classes, assets = row[:3]
    allowed = service_class in classes.split() and asset in assets.split()
    why = refusal(order(service=name, service_class=service_class), ASSETS[asset], HOME)
    assert (why is None) == allowed
    if why:
        assert why.reason is Reason.NOT_ELIGIBLE
        assert f"service {name}" in why.text


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_an_instruction_shorter_than_its_row_is_refused(row: list[str]) -> None:
    """Shortest is of the whole instruction, not of each interval."""
    name, classes, shortest_s = row[0], row[1].split(), int(row[3])
    message = order(service=name, service_class=classes[0], start=0, end=shortest_s, steps=3)
    short = order(service=name, service_class=classes[0], start=0, end=shortest_s - 1)
    assert reason_of(message) is None
    assert reason_of(short) is Reason.NOT_ELIGIBLE


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_basis_boundary_needs_a_boundary_meter(row: list[str]) -> None:
    message = order(service=row[0], service_class=row[1].split()[0])
    unmetered = replace(HOME, has_boundary_meter=False)
    assert (reason_of(message, home=unmetered) is Reason.NOT_ELIGIBLE) == (row[5] == "yes")


@pytest.mark.parametrize("row", [r for r in ROWS if r[4] != "-"], ids=lambda row: row[0])
def test_plugs_are_given_notice_and_others_need_none(row: list[str]) -> None:
    message = order(service=row[0], start=7200, end=7200 + HOUR)
    notice_s = int(row[4])
    assert short_notice(message, FAN, UTC + 7200 - notice_s, HOME) is None
    why = short_notice(message, FAN, UTC + 7200 - notice_s + 1, HOME)
    assert why
    assert why.reason is Reason.NOT_ELIGIBLE
    assert short_notice(message, HP, UTC + 7200, HOME) is None


def test_where_plugs_need_no_notice_a_start_just_past_is_now() -> None:
    message = order(service="tcm", start=0, end=HOUR)
    assert short_notice(message, FAN, UTC + 0.7, replace(HOME, plug_notice_s=0)) is None
    assert short_notice(message, FAN, UTC + 0.7, replace(HOME, plug_notice_s=1))


def test_the_notice_of_plugs_is_the_sites_to_say() -> None:
    message = order(start=60, end=60 + HOUR)
    why = short_notice(message, FAN, UTC, HOME)
    assert why
    assert "gives plugs 3600 s notice, this came 60 s before its start" in why.text
    assert short_notice(message, FAN, UTC, replace(HOME, plug_notice_s=60)) is None
    assert short_notice(message, FAN, UTC + 1, replace(HOME, plug_notice_s=60))


@pytest.mark.parametrize(
    ("kind", "asset", "taken"),
    [
        (Kind.CAP, HP, True),
        (Kind.SETPOINT, HP, True),
        (Kind.FLOOR, EV, True),
        (Kind.FLOOR, HP, False),
        (Kind.SOC, EV, False),
        (Kind.SIMPLE, EV, False),
        (Kind.EXPORT_CAP, EV, False),
        (Kind.CAP, BOILER, False),
    ],
)
def test_what_an_asset_cannot_do_is_outside_its_capability(kind: Kind, asset: Asset, taken: bool) -> None:
    assert reason_of(order(kind=kind, value=1.0), asset) is (None if taken else Reason.OUTSIDE_CAPABILITY)


def test_a_site_total_needs_a_boundary_meter() -> None:
    message = order(targets=("site",))
    assert reason_of(message) is None
    unmetered = replace(HOME, has_boundary_meter=False)
    assert reason_of(message, home=unmetered) is Reason.OUTSIDE_CAPABILITY


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_manual_instructions_are_taken_but_for_bm_and_metered_at_the_boundary(row: list[str]) -> None:
    message = order(service=row[0], service_class=row[1].split()[0], vector=Vector.MANUAL)
    assert reason_of(message) is (Reason.NOT_ELIGIBLE if row[0] == "bm" else None)
    assert reason_of(message, home=replace(HOME, has_boundary_meter=False)) is Reason.NOT_ELIGIBLE


def test_what_can_only_be_watched_may_be_switched_by_hand() -> None:
    assert reason_of(order(vector=Vector.MANUAL), BOILER) is None
    assert reason_of(order(), BOILER) is Reason.OUTSIDE_CAPABILITY


@pytest.mark.parametrize("kind", Kind)
def test_by_hand_no_more_can_be_asked_for_than_by_the_hub(kind: Kind) -> None:
    may = kind in {Kind.CAP, Kind.SETPOINT, Kind.FLOOR}
    assert reason_of(order(kind=kind, value=1.0, vector=Vector.MANUAL), EV) is (
        None if may else Reason.OUTSIDE_CAPABILITY
    )


def accepted(service: str, start: float, end: float, asset: str = "hp") -> Instruction:
    step = Step(UTC + start, UTC + end, Kind.CAP, 0)
    return Instruction("old", 0, service, "response", 0, UTC, Scope((f"asset:{asset}",), (asset,)), (step,))


@pytest.mark.parametrize(
    ("newcomer", "other", "excluded"),
    [
        ("bm", accepted("dfs", 0, HOUR), True),
        ("dfs", accepted("bm", 0, HOUR), True),
        ("bm", accepted("tcm", 0, HOUR), False),
        ("bm", accepted("dfs", HOUR, 2 * HOUR), False),  # half-open windows that touch do not overlap
        ("bm", accepted("dfs", 0, HOUR, asset="ev"), False),
    ],
)
def test_excluding_services_may_not_overlap_on_one_asset(
    newcomer: str, other: Instruction, excluded: bool
) -> None:
    message = order(service=newcomer, start=0, end=HOUR)
    why = exclusion(message, HP, [other], HOME)
    assert (why.reason if why else None) is (Reason.EXCLUDED if excluded else None)


def test_the_local_configuration_may_lift_an_exclusion() -> None:
    message = order(service="bm", start=0, end=HOUR)
    lifted = replace(HOME, allow_excludes=frozenset({"dfs"}))
    assert exclusion(message, HP, [accepted("dfs", 0, HOUR)], lifted) is None
