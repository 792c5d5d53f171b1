"""What a person reads: the words of an answer are on the screen, as they are."""

from __future__ import annotations

import pytest
from rich.console import Console, RenderableType

from gateway.console import views
from gateway.console.answers import AssetLine, DeviceLine, InstructionLine, KeyLine, Status, TrustedKeys, Why

PUMP: DeviceLine = {
    "name": "hp",
    "driver": "modbus",
    "online": True,
    "since_s": 300,
    "why": "",
    "failsafe": "runs by its own control again within 120 s, when our renewals stop",
}
HEAT: AssetLine = {
    "id": "heat",
    "asset_class": "heat",
    "power_w": 1480.0,
    "room_c": 20.46,
    "water_c": 47.31,
    "at_most_w": 0,
    "raised": False,
    "governor": "dispatch",
    "reason": "none",
    "text": "held off by 7f3a",
    "car": None,
}
CAR: AssetLine = {
    "id": "ev",
    "asset_class": "ev",
    "power_w": 7300.0,
    "room_c": None,
    "water_c": None,
    "at_most_w": None,
    "raised": False,
    "governor": "household",
    "reason": "none",
    "text": "runs by its own control",
    "car": {
        "connected": True,
        "soc": 0.54,
        "soc_age_s": 18_200.0,
        "soc_source": "typed",
        "needed_wh": 17_333.0,
        "ready_by": "2026-11-24T07:00:00Z",
        "text": "charged to 54%; 17.33 kWh needed by 07:00 local",
    },
}
HOME: Status = {
    "site": "home-7f3a",
    "version": "0.1.0",
    "clock": {"utc": "2026-11-23T17:00:00Z", "trusted": True},
    "uplink": {"configured": True, "up": True, "why": "", "unsent": 2},
    "signatures_required": True,
    "offset_s": 37,
    "boundary_w": -312.0,
    "devices": [PUMP],
    "assets": [HEAT],
    "instructions": [
        {
            "id": "7f3a",
            "service": "bm",
            "service_class": "response",
            "vector": "automated",
            "asked": "asset:heat at most 0.00 kW",
            "agreed": False,
            "start": "2026-11-23T17:00:00Z",
            "end": "2026-11-23T17:30:00Z",
            "targets": ["asset:heat"],
            "assets": [
                {
                    "instruction": "7f3a",
                    "asset": "heat",
                    "status": "STARTED",
                    "extent": "partial",
                    "reason": "comfortLimit",
                    "text": "room 19.0 °C, minimum 19.0 °C",
                    "short_w": 2310,
                    "delay_left_s": None,
                }
            ],
        }
    ],
}
REASONS: Why = {
    "asset": "heat",
    "at_most_w": None,
    "raised": False,
    "governor": "limit",
    "reason": "comfortLimit",
    "text": "room 18.9 °C, minimum 19.0 °C",
    "car": "",
    "slack": "35% of its longest hold left",
    "preheat": "",
    "limits": [
        {
            "rank": "comfort",
            "reason": "comfortLimit",
            "at_least_w": 2400,
            "at_most_w": None,
            "text": "room 18.9 °C, minimum 19.0 °C",
        }
    ],
    "instructions": HOME["instructions"][0]["assets"],
    "sources": {"room_c": "from room.room_c", "power_w": "hp.power_w is 95 s old"},
    "failsafe": PUMP["failsafe"],
    "next_change_s": 90.0,
}


def _shown(view: RenderableType, width: int = 200) -> list[str]:
    console = Console(width=width, markup=False, highlight=False, emoji=False)
    with console.capture() as capture:
        console.print(view)
    return [" ".join(line.split()) for line in capture.get().splitlines()]


def test_the_home_is_on_one_screen() -> None:
    assert _shown(views.status(HOME)) == [
        "home-7f3a homeflex 0.1.0 home draws -312 W",
        "aggregator connected, 2 to send",
        "clock 2026-11-23T17:00:00Z",
        "asset draws is now because",
        "heat 1.48 kW 20.5 °C, water 47.3 °C at most 0 W dispatch: held off by 7f3a",
        "instruction 7f3a bm 17:00:00-17:30:00Z",
        "heat: STARTED, partial, comfortLimit, room 19.0 °C, minimum 19.0 °C, short by 2.31 kW",
        "",
        "device speaks answers if we are gone",
        "hp modbus for 5 min runs by its own control again within 120 s, when our renewals stop",
    ]


def test_what_is_asked_says_when_what_and_by_whom() -> None:
    assert _shown(views.dispatch({"instructions": HOME["instructions"]})) == [
        "7f3a bm, response by the hub",
        "2026-11-23 17:00:00Z to 2026-11-23 17:30:00Z",
        "asset:heat at most 0.00 kW",
        "heat: STARTED, partial, comfortLimit, room 19.0 °C, minimum 19.0 °C, short by 2.31 kW",
        "",
    ]
    by_hand: InstructionLine = {**HOME["instructions"][0], "vector": "manual"}
    assert _shown(views.dispatch({"instructions": [by_hand]}))[0] == "7f3a bm, response by hand"
    assert _shown(views.dispatch({"instructions": []})) == ["nothing is asked of this home"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"uplink": {"configured": False, "up": False, "why": "", "unsent": 0}}, "no aggregator configured"),
        (
            {"uplink": {"configured": True, "up": False, "why": "no answer in 10 s", "unsent": 7}},
            "aggregator not reached: no answer in 10 s, 7 wait",
        ),
        ({"clock": {"utc": None, "trusted": False}}, "clock not trusted: nothing new is begun"),
        (
            {"signatures_required": False},
            "instructions are obeyed UNSIGNED (security.require_signatures = false)",
        ),
        ({"boundary_w": None}, "home-7f3a homeflex 0.1.0 home draws -"),
        (
            {"assets": [{**HEAT, "at_most_w": None}]},
            "heat 1.48 kW 20.5 °C, water 47.3 °C own control dispatch: held off by 7f3a",
        ),
        (
            {"assets": [{**HEAT, "power_w": None, "room_c": None, "water_c": None}]},
            "heat - - at most 0 W dispatch: held off by 7f3a",
        ),
        (
            {
                "assets": [
                    {**HEAT, "at_most_w": None, "raised": True, "governor": "preheat", "text": "pre-heats"}
                ]
            },
            "heat 1.48 kW 20.5 °C, water 47.3 °C raised preheat: pre-heats",
        ),
        (
            {"assets": [CAR]},
            "ev 7.30 kW charged to 54%; 17.33 kWh needed by 07:00 local own control"
            " household: runs by its own control",
        ),
    ],
)
def test_what_is_not_as_it_should_be_is_said(change: Status, words: str) -> None:
    assert words in _shown(views.status({**HOME, **change}))


def test_a_device_that_does_not_answer_says_for_how_long_and_why() -> None:
    gone: DeviceLine = {**PUMP, "online": False, "since_s": 7_260, "why": "[hp] no answer"}
    lines = _shown(views.status({**HOME, "devices": [gone]}))
    assert any("not for 121 min: [hp] no answer" in line for line in lines)


def test_an_id_is_never_cut_and_what_has_no_reason_shows_none() -> None:
    id_ = "0193b3f0-5c1e-7cc0-9a51-1f0f6b3c2a10"
    life = {**HOME["instructions"][0]["assets"][0], "extent": "full", "reason": "", "text": f"held by {id_}"}
    instruction = {**HOME["instructions"][0], "id": id_, "assets": [life]}
    lines = _shown(views.status({**HOME, "instructions": [instruction]}), width=50)  # type: ignore[list-item]
    assert f"instruction {id_} bm" in " ".join(lines)
    assert f"heat: STARTED, full, held by {id_}" in " ".join(lines)


KEY: KeyLine = {
    "kid": "agg-2026-11",
    "role": "dispatch",
    "not_before": "2026-11-01T00:00:00+00:00",
    "not_after": "2027-06-01T01:00:00+01:00",
    "counts": True,
    "text": "valid for 189 more days",
}
TRUSTED: TrustedKeys = {"root": "21fe 31df a154 a261", "version": 3, "source": "remote", "keys": [KEY]}


def test_keys_say_whose_signatures_count_and_until_when() -> None:
    expired: KeyLine = {**KEY, "kid": "agg", "counts": False, "text": "expired 3 days ago"}
    assert _shown(views.keys({**TRUSTED, "keys": [KEY, expired]})) == [
        "root 21fe 31df a154 a261",
        "trust store version 3, from afar",
        "key for from until now",
        "agg-2026-11 dispatch 2026-11-01 00:00 2027-06-01 01:00 valid for 189 more days",
        "agg dispatch 2026-11-01 00:00 2027-06-01 01:00 expired 3 days ago",
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"root": None}, "root none is pinned (security.root): no trust store is taken from afar"),
        ({"source": "local"}, "trust store version 3, from the local file"),
        ({"keys": []}, "trust store version 3, from afar, without a key"),
        (
            {"version": None, "source": None, "keys": []},
            "there is no trust store: nobody's signature counts",
        ),
    ],
)
def test_what_is_missing_of_the_keys_is_said(change: TrustedKeys, words: str) -> None:
    assert words in _shown(views.keys({**TRUSTED, **change}))


def test_why_says_how_the_car_stands() -> None:
    shown = _shown(views.why({"assets": [{**REASONS, "car": "no car is plugged in"}]}))
    assert shown[2] == "car: no car is plugged in"


def test_why_gives_every_reason_in_words() -> None:
    assert _shown(views.why({"assets": [REASONS]})) == [
        "heat: own control",
        "limit: room 18.9 °C, minimum 19.0 °C",
        "slack: 35% of its longest hold left",
        "limit (comfort): at least 2.40 kW - room 18.9 °C, minimum 19.0 °C",
        "instruction 7f3a: STARTED, partial, comfortLimit, room 19.0 °C, minimum 19.0 °C, short by 2.31 kW",
        "room_c: from room.room_c",
        "power_w: hp.power_w is 95 s old",
        "if the gateway is gone: runs by its own control again within 120 s, when our renewals stop",
        "may change by itself in 2 min",
        "",
    ]
