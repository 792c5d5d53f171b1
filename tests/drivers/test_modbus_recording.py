"""Every Modbus profile has a recording, replayed through the real driver over a real socket."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from drivers.base import Links
from drivers.modbus.driver import KIND
from drivers.profile import all_profiles
from tests.drivers.running import running
from tests.fakes.modbus import ModbusServer, Unit
from tests.fakes.port import FakePort

RECORDINGS = Path(__file__).parents[1] / "recordings"
IDS = [profile.id for profile in all_profiles() if profile.driver == "modbus"]


def _recording(profile_id: str) -> dict[str, Any]:
    return tomllib.loads((RECORDINGS / f"{profile_id}.toml").read_text())


def _unit(recording: dict[str, Any]) -> Unit:
    image = recording["image"]
    return Unit(**{table: {int(a): v for a, v in cells.items()} for table, cells in image.items()})


@pytest.mark.parametrize("profile_id", IDS)
async def test_a_recorded_device_is_read_and_held_as_its_recording_says(profile_id: str) -> None:
    recording = _recording(profile_id)
    unit, port = _unit(recording), FakePort()
    async with ModbusServer({1: unit}) as server:
        settings = KIND.settings(
            host="127.0.0.1", port=server.port, profile=profile_id, **recording.get("settings", {})
        )
        async with running(KIND.open(settings, Links()).run(port)):
            await port.until(lambda: port.points.keys() >= recording["points"].keys(), within_s=10)
            _points_are_as_recorded(recording, port)
            await _wants_are_written_as_recorded(recording, unit, port)


def _points_are_as_recorded(recording: dict[str, Any], port: FakePort) -> None:
    read = {name: port.points[name].value for name in recording["points"]}
    assert read == recording["points"]
    without = recording.get("without", {})
    assert all(port.points[name].value is None for name in without.get("none", []))
    assert not port.points.keys() & set(without.get("missing", []))


async def _wants_are_written_as_recorded(recording: dict[str, Any], unit: Unit, port: FakePort) -> None:
    for expected in recording["wants"]:
        unit.writes.clear()
        want = port.want(expected.get("at_most_w"))
        await port.until(lambda want=want: port.answered(want))  # type: ignore[misc]
        assert [list(write) for write in unit.writes] == expected["writes"]
        if "refused" in expected:
            refused, why = port.refusals[-1]
            assert refused == want
            assert expected["refused"] in why
        else:
            assert port.done[-1].want == want
            assert port.done[-1].proof == expected["proof"]


@pytest.mark.parametrize("profile_id", IDS)
def test_a_recording_names_every_point_of_its_profile(profile_id: str) -> None:
    recording = _recording(profile_id)
    without = recording.get("without", {})
    named = {*recording["points"], *without.get("none", []), *without.get("missing", [])}
    profile = next(profile for profile in all_profiles() if profile.id == profile_id)
    assert named == set(profile.points)
