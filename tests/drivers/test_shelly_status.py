"""Real devices, decoded: every Gen2+ recording gives what is expected of it, and Gen1 is told apart."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.base import DriverError, Links, Unintelligible, WrongDevice
from drivers.plugs.digest import Challenge, challenge_in_message
from drivers.plugs.driver import KIND, POINTS
from drivers.plugs.status import (
    Relay,
    flaws_of,
    identity_of,
    points_of,
    relay_of,
    switch_points,
    uptime_s,
)
from tests.drivers.running import running
from tests.fakes.port import FakePort
from tests.fakes.shelly import Shelly, Switch

RECORDINGS = Path(__file__).parents[1] / "recordings" / "shelly"
EXPECTED: dict[str, Any] = json.loads((RECORDINGS / "expected.json").read_text())
SWITCHES = [(device, number) for device, said in EXPECTED.items() for number in said["points"]]


def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RECORDINGS / name).read_text())
    return found


def recorded(device: str) -> dict[str, Any]:
    """`shelly`, `status` and `config` of a recorded device, however many files it is in."""
    if device.endswith(".json"):
        return _read(device)
    parts = {"shelly": "GetDeviceInfo", "status": "GetStatus", "config": "GetConfig"}
    return {part: _read(f"{device}_Shelly.{method}.json") for part, method in parts.items()}


def test_every_recording_of_gen2_and_newer_has_its_expected_values() -> None:
    files = {path.name for path in RECORDINGS.glob("gen[2-9]*.json")}
    assert {name for name in files if not any(name.startswith(device) for device in EXPECTED)} == set()


@pytest.mark.parametrize(("device", "number"), SWITCHES)
def test_a_recorded_device_gives_the_points_it_has_and_no_others(device: str, number: str) -> None:
    points = points_of(recorded(device)["status"], int(number))
    assert {name: sample.value for name, sample in points.items()} == EXPECTED[device]["points"][number]
    assert points.keys() <= POINTS


@pytest.mark.parametrize(("device", "number"), SWITCHES)
async def test_a_recorded_device_is_read_over_the_wire(device: str, number: str) -> None:
    found, expected, port = recorded(device), EXPECTED[device]["points"][number], FakePort()
    switch = Switch(int(number), config=found["config"].get(f"switch:{number}", {}))
    async with Shelly([switch], shelly=found["shelly"], recorded=found["status"]) as plug:
        settings = KIND.settings(host="127.0.0.1", port=plug.port, switch=int(number))
        async with running(KIND.open(settings, Links()).run(port)):
            await port.until(lambda: port.points.keys() >= expected.keys())
    assert {name: sample.value for name, sample in port.points.items()} == expected


@pytest.mark.parametrize("device", EXPECTED)
def test_a_recorded_device_is_known_by_its_model(device: str) -> None:
    identity = identity_of(recorded(device)["shelly"])
    assert (identity.model, identity.mac) == (EXPECTED[device]["model"], "AABBCCDDEEFF")


@pytest.mark.parametrize(
    ("device", "number"), [(d, n) for d, said in EXPECTED.items() for n in said["flaws"]]
)
def test_no_recorded_switch_would_bring_its_load_back_as_it_came(device: str, number: str) -> None:
    flaws = flaws_of(recorded(device)["config"][f"switch:{number}"], 3600, 900)
    assert list(flaws) == EXPECTED[device]["flaws"][number]


def test_a_plug_of_the_first_generation_is_told_apart_by_what_it_lacks() -> None:
    shelly = _read("gen1_plug_s_SHPLG-S_v1.14.0.json")["shelly"]
    assert "gen" not in shelly
    with pytest.raises(WrongDevice, match=r"first generation.*Gen2 or newer would be right"):
        identity_of(shelly)


def test_what_is_protected_still_says_who_it_is() -> None:
    shelly = _read("rpc_shelly_endpoint_auth_enabled_shellyplus2pm.json")
    assert shelly["auth_en"] is True
    assert identity_of(shelly).model == "SNSW-102P16EU"


def test_the_recorded_frame_of_a_401_holds_a_challenge() -> None:
    message = _read("rpc_auth_failure_frame_shellyplus2pm.json")["error"]["message"]
    expected = Challenge("shellyplus2pm-aabbccddeeff", "1725185413", "SHA-256", in_frame=True)
    assert challenge_in_message(message) == expected


@pytest.mark.parametrize("number", ["1", "4"])
def test_a_switch_that_is_not_there_is_the_wrong_device(number: str) -> None:
    status = recorded("gen2_plus_plug_s_SNPL-00112EU_1.1.0.json")["status"]
    with pytest.raises(WrongDevice, match=f"no switch {number}"):
        points_of(status, int(number))


# --- the interface beyond the recordings ------------------------------------------------------------------


def test_what_was_returned_is_taken_off_what_is_counted_both_ways() -> None:
    switch = {"output": True, "aenergy": {"total": 100.5}, "ret_aenergy": {"total": 40.0}}
    points = switch_points(switch)
    assert (points["import_ws"].value, points["export_ws"].value) == (60.5 * 3600, 40 * 3600)


def test_a_meter_that_has_no_value_yet_has_none_and_not_nought() -> None:
    points = switch_points({"output": True, "apower": None, "aenergy": {"total": None}})
    assert (points["power_w"].value, points["import_ws"].value) == (None, None)


def test_power_fed_back_is_negative() -> None:
    assert switch_points({"output": True, "apower": -300.4})["power_w"].value == -300


def test_a_counter_that_began_anew_is_told_as_it_is() -> None:
    assert switch_points({"output": True, "aenergy": {"total": 0.001}})["import_ws"].value == 4


@pytest.mark.parametrize(
    ("switch", "relay"),
    [
        (
            {"output": False, "timer_started_at": 1626942399.36, "timer_duration": 60, "source": "HTTP_in"},
            Relay(False, 60, "HTTP_in"),
        ),
        ({"output": False, "timer_duration": 60, "source": "button"}, Relay(False, None, "button")),
        ({"output": True, "source": "in\x1b[2Jit"}, Relay(True, None, "in[2Jit")),
    ],
)
def test_a_relay_has_a_timer_only_where_one_was_started(switch: dict[str, Any], relay: Relay) -> None:
    assert relay_of(switch) == relay


@pytest.mark.parametrize(
    "switch",
    [
        {},
        {"output": 1},
        {"output": None},
        {"output": True, "apower": "2.7"},
        {"output": True, "apower": True},
        {"output": True, "apower": float("nan")},
        {"output": True, "aenergy": {"total": 1e300}},
        {"output": True, "aenergy": {"total": 10**400}},
    ],
)
def test_what_no_meter_says_is_unintelligible(switch: dict[str, Any]) -> None:
    with pytest.raises(Unintelligible):
        switch_points(switch)


@pytest.mark.parametrize("shelly", [{}, {"gen": 1}, {"gen": "2"}, {"gen": True}, {"hello": "world"}])
def test_whatever_else_answers_is_the_wrong_device(shelly: dict[str, Any]) -> None:
    with pytest.raises(WrongDevice):
        identity_of(shelly)


RIGHT = {"initial_state": "on", "auto_on": True, "auto_on_delay": 3600}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, []),
        ({"auto_on_delay": 60.0}, []),
        ({"initial_state": "restore_last"}, ['initial_state should be "on": after a power cut']),
        ({"auto_on": False}, ["auto_on should be true: it comes back by itself"]),
        ({"auto_on": 1}, ["auto_on should be true: it comes back by itself"]),
        ({"auto_on_delay": 3600.1}, ["auto_on_delay should be at most 3600 s"]),
        ({"auto_on_delay": 0}, ["auto_on_delay should be at most 3600 s"]),
        ({"auto_on_delay": None}, ["auto_on_delay should be at most 3600 s"]),
        (
            {"auto_on_delay": 900},
            ["auto_on_delay should not be lease_s, 900 s: our timer could not be told from its own"],
        ),
    ],
)
def test_settings_that_would_let_a_load_stay_off_are_told_with_what_is_right(
    changed: dict[str, Any], words: list[str]
) -> None:
    assert [word for _, word in flaws_of({**RIGHT, **changed}, 3600, 900).values()] == words


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)
MEANT = (
    "output",
    "apower",
    "aenergy",
    "ret_aenergy",
    "total",
    "timer_started_at",
    "timer_duration",
    "source",
)
PARTS = ("switch:0", "em:0", "emdata:0", "total_act_power", "sys", "uptime", "gen", "type", "mac", "model")
KEYS = st.sampled_from(MEANT + PARTS)
OBJECTS = st.dictionaries(KEYS, st.dictionaries(KEYS, st.dictionaries(KEYS, JSON) | JSON) | JSON)


@given(OBJECTS)
def test_whatever_json_a_device_sends_is_decoded_or_one_of_the_four_errors(found: dict[str, Any]) -> None:
    for decode in (identity_of, relay_of, uptime_s, lambda o: points_of(o, 0), lambda o: flaws_of(o, 60, 10)):
        with suppress(DriverError):
            decode(found)  # type: ignore[operator]
