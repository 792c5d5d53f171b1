"""A plug that might leave its load off is told of and never switched off; another device is left alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from drivers.base import (
    WrongDevice,
)
from tests.drivers.running import running
from tests.drivers.shelly_bench import OFF, Bench


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    async with bench.plug:
        yield bench


# --- commissioning -----------------------------------------------------------------------------------

WRONG = [
    ({"initial_state": "restore_last"}, 'initial_state should be "on": after a power cut'),
    ({"initial_state": "match_input"}, 'initial_state should be "on": after a power cut'),
    ({"auto_on": False}, "auto_on should be true: it comes back by itself"),
    ({"auto_on_delay": 7200.0}, "auto_on_delay should be at most 3600 s"),
]


@pytest.mark.parametrize(("wrong", "words"), WRONG)
async def test_a_plug_that_might_stay_off_is_told_of_once_and_never_switched_off(
    bench: Bench, wrong: dict[str, Any], words: str
) -> None:
    bench.switch.config |= wrong
    async with running(bench.driver().run(bench.port)):
        await bench.port.until(lambda: bool(bench.told("commissioning")))
        assert words in await bench.answer(0)
        assert words in await bench.answer(0)
    assert [event.severity for event in bench.port.events] == ["alarm"]
    assert words in bench.told("commissioning")[0]
    assert bench.plug.commands() == []


async def test_once_the_settings_are_right_it_is_held(bench: Bench) -> None:
    bench.switch.config["auto_on"] = False
    async with running(bench.driver().run(bench.port)):
        assert await bench.answer(0)
        bench.switch.config["auto_on"] = True
        assert await bench.answer(0) == ""
    assert len(bench.told("commissioning")) == 2


async def test_settings_that_turn_wrong_stop_the_next_off(bench: Bench) -> None:
    async with running(bench.driver().run(bench.port)):
        assert await bench.answer(0) == ""
        bench.switch.config["initial_state"] = "off"
        assert "initial_state" in await bench.answer(0)
    assert bench.plug.commands() == [OFF]


async def test_what_was_told_is_not_told_again_at_each_connection(bench: Bench) -> None:
    bench.switch.config["auto_on"] = False
    driver = bench.driver()
    for _ in range(2):
        async with running(driver.run(bench.port)):
            await bench.polled()
            await bench.polled()
    assert len(bench.port.events) == 1


async def test_after_a_restart_of_the_plug_its_settings_are_looked_at_again(bench: Bench) -> None:
    bench.now_s = 5000
    async with running(bench.driver().run(bench.port)):
        await bench.answer(0)
        await bench.polled()
        bench.switch.config["auto_on"] = False
        bench.plug.mains_cut()
        await bench.port.until(lambda: len(bench.port.events) == 2)
    assert bench.told("local") == ["on again while held off: the plug restarted"]
    assert "auto_on should be true" in bench.told("commissioning")[0]


async def test_with_set_up_only_what_is_wrong_is_written_and_once(bench: Bench) -> None:
    bench.switch.config |= {"auto_on": False, "auto_on_delay": 60.0, "initial_state": "off"}
    async with running(bench.driver(set_up=True).run(bench.port)):
        await bench.polled()
        await bench.polled()
        assert await bench.answer(0) == ""
    config = {"initial_state": "on", "auto_on": True}
    assert bench.plug.commands() == [("Switch.SetConfig", {"id": 0, "config": config}), OFF]
    assert bench.told("commissioning") == ["the plug was set up: initial_state = on, auto_on = True"]


async def test_with_set_up_a_delay_that_is_too_long_is_shortened(bench: Bench) -> None:
    bench.switch.config["auto_on_delay"] = 86_400
    async with running(bench.driver(set_up=True, longest_off_s=1800).run(bench.port)):
        assert await bench.answer(0) == ""
    assert bench.switch.config["auto_on_delay"] == 1800


async def test_with_set_up_what_is_right_is_left_alone(bench: Bench) -> None:
    async with running(bench.driver(set_up=True).run(bench.port)):
        await bench.answer(0)
    assert bench.plug.commands() == [OFF]


@pytest.mark.parametrize("says_no", [True, False])
async def test_a_plug_that_does_not_keep_its_settings_is_not_written_to_again(
    bench: Bench, says_no: bool
) -> None:
    bench.switch.config["auto_on"] = False
    bench.switch.keeps_config = False
    if says_no:
        bench.plug.errors = {"Switch.SetConfig": (-103, "locked")}
    async with running(bench.driver(set_up=True).run(bench.port)):
        for _ in range(3):
            assert "auto_on should be true" in await bench.answer(0)
    assert len(bench.plug.commands()) == (0 if says_no else 1)
    assert len(bench.told("commissioning")) == 2


# --- who answers -------------------------------------------------------------------------------------


async def test_a_plug_of_the_first_generation_is_the_wrong_device(bench: Bench) -> None:
    bench.plug.shelly = {"type": "SHPLG-S", "mac": "AABBCCDDEEFF", "auth": False, "fw": "20230913"}
    bench.port.want(0)
    error = await bench.failure()
    assert isinstance(error, WrongDevice)
    assert "Gen2 or newer" in str(error)
    assert bench.plug.calls == []


async def test_another_plug_at_the_same_address_is_the_wrong_device(bench: Bench) -> None:
    """A router that hands out addresses anew must not make us switch the neighbour of the freezer."""
    async with running(bench.driver().run(bench.port)):
        await bench.polled()
    bench.plug.calls.clear()
    bench.plug.shelly |= {"mac": "AABBCCDDEE00", "model": "S3PL-00112EU"}
    bench.port.want(0)
    error = await bench.failure()
    assert isinstance(error, WrongDevice)
    assert "another plug (S3PL-00112EU)" in str(error)
    assert "AABBCC" not in str(error)
    assert bench.plug.calls == []


async def test_a_switch_that_is_not_there_is_the_wrong_device(bench: Bench) -> None:
    error = await bench.failure(switch=3)
    assert isinstance(error, WrongDevice)
    assert "no switch 3" in str(error)


async def test_a_meter_is_read_and_cannot_be_held(bench: Bench) -> None:
    bench.plug.switches = []
    bench.plug.recorded = {"em:0": {"total_act_power": 559.0}, "emdata:0": {"total_act": 1.0}}
    async with running(bench.driver().run(bench.port)):
        await bench.port.until(lambda: "power_w" in bench.port.points)
        assert "Switch.GetConfig" in await bench.answer(0)
    assert bench.plug.commands() == []
