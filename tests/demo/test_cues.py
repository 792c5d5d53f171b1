"""What the director waits for, and what he breaks: both by the log alone."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import cast

import pytest

from gateway.demo.aggregator import Aggregator
from gateway.demo.evidence import Evidence
from gateway.demo.judge.posture import freezer_is_off, pump_is_held
from gateway.demo.log import Log
from gateway.demo.play.prompter import Cue, Prompter, answered, followed, minute, second, told
from gateway.demo.play.pump import warm
from gateway.demo.saboteur import SCENES, sabotaged
from gateway.demo.stage import Stage
from tests.demo import runs

CUES: dict[str, tuple[Cue, float]] = {
    "the pump stands still": (second(pump_is_held), 6.0),
    "the freezer is off": (second(freezer_is_off), 6.0),
    "the room is warm": (warm(20.05), 8.0),
    "comfort was told": (told("id-2", "heat", "comfortLimit"), 41.0),
    "the car follows": (followed("id-1", "ev"), 16.0),
    "all three follow": (followed("id-6", "ev", "heat", "freezer"), 135.0),
    "the replay was answered": (answered("REPLAYED"), 51.1),
    "the minute of every point has come": (minute(runs.T0 + 94), 99.0),
}


@pytest.mark.parametrize("cue", [name for name in CUES if name != "the room is warm"])
def test_a_cue_comes_when_it_is_seen_and_not_before(cue: str) -> None:
    is_so, at = CUES[cue]
    run = runs.good_run()
    assert not is_so(Evidence([one for one in run if one.at_utc_s < runs.T0 + at]))
    assert is_so(Evidence([one for one in run if one.at_utc_s <= runs.T0 + at]))


def test_a_room_that_is_too_cold_is_no_cue() -> None:
    run = [one for one in runs.good_run() if one.at_utc_s < runs.T0 + 6]
    assert warm(20.05)(Evidence(run))
    assert not warm(20.2)(Evidence(run))


def test_what_follows_no_more_is_no_cue() -> None:
    ended = runs.status(17.0, 1, "ev", extent="none", reason="notFollowing")
    run = [one for one in runs.good_run() if one.at_utc_s < runs.T0 + 17]
    assert not followed("id-1", "ev")(Evidence([*run, ended]))


def test_a_minute_that_one_point_lacks_is_no_cue() -> None:
    """After an outage each point's minute comes in a message of its own."""
    (whole,) = [o for o in runs.good_run() if o.at_utc_s == runs.T0 + 99.0 and o.kind == "received"]
    body = json.loads(whole.facts["text"])
    del body["points"]["ev"]
    assert not minute(runs.T0 + 94)(Evidence([runs.received(99.0, "telemetry", body)]))


def _stage(log: Log) -> Stage:
    broken = {name: SimpleNamespace(fault=None) for name in ("pump", "charger", "plug")}
    return cast(Stage, SimpleNamespace(log=log, line=SimpleNamespace(loses=None), **broken))


def _is_whole(stage: Stage) -> bool:
    return (stage.pump.fault, stage.charger.fault, stage.plug.fault, stage.line.loses) == (None,) * 4


@pytest.mark.parametrize("scene", SCENES)
async def test_what_is_broken_for_a_scene_is_whole_before_and_after_it(scene: int) -> None:
    stage = _stage(Log())
    with sabotaged(scene, stage):
        assert _is_whole(stage) == (scene == 8)  # there somebody writes to the pump
    assert _is_whole(stage)


@pytest.mark.parametrize("sabotage", [None, 1, 3])
async def test_only_the_scene_that_is_to_be_sabotaged_is(sabotage: int | None) -> None:
    log = Log()
    stage = _stage(log)
    async with Prompter(stage, sabotage).scene(3):
        assert _is_whole(stage) == (sabotage != 3)
    assert [one.facts["what"] for one in log.observations] == ["began", "ended"]


async def test_an_instruction_waits_until_the_home_is_on_the_broker_again() -> None:
    """The broker keeps nothing: what is sent before the home has subscribed is lost."""
    log, order = Log(), []

    class Spoken(Aggregator):
        async def send(self, body: dict[str, object], **_facts: object) -> str:
            order.append(body["op"])
            return ""

    async def goes() -> None:
        order.append("gone")

    async def returns() -> None:
        order.append("back")
        asyncio.get_running_loop().call_later(0.02, home_speaks)

    def home_speaks() -> None:
        order.append("home")
        log.note("received", topic="homeflex/v1/demo-home/state", text="{}")

    stage = _stage(log)
    stage.aggregator = Spoken("demo-home", 1, log)
    stage.broker_goes, stage.broker_returns = goes, returns  # type: ignore[method-assign]
    prompter = Prompter(stage, None)
    async with prompter.without_broker():
        speaking = asyncio.create_task(prompter.cancel("id-1", 1))
        await asyncio.sleep(0.01)
    await speaking
    assert order == ["gone", "back", "home", "cancel"]
