"""The Shelly driver holds a load off only while the plug would bring it back by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.base import (
    TAKEN_BACK,
    FallbackBy,
    Proof,
)
from drivers.plugs.driver import KIND
from tests.drivers.running import running
from tests.drivers.shelly_bench import OFF, ON, Bench
from tests.fakes.shelly import Switch


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    async with bench.plug:
        yield bench


# --- the lease ---------------------------------------------------------------------------------------


async def test_an_off_goes_out_with_its_timer_and_both_are_read_back(bench: Bench) -> None:
    async with running(bench.driver().run(bench.port)):
        assert await bench.answer(0) == ""
        assert bench.plug.commands() == [OFF]
        assert bench.port.done[-1].proof is Proof.READ_BACK
        assert bench.port.points["on"].value == 0
        assert bench.port.points["power_w"].value == 0
        assert await bench.answer(None) == ""
    assert bench.plug.commands() == [OFF, ON]
    assert bench.port.points["on"].value == 1


async def test_a_want_does_not_wait_for_the_next_poll(bench: Bench) -> None:
    async with running(bench.driver(poll_s=60).run(bench.port)):
        await bench.port.until(lambda: "on" in bench.port.points)
        assert await bench.answer(0) == ""


async def test_any_power_below_what_it_draws_is_off(bench: Bench) -> None:
    async with running(bench.driver().run(bench.port)):
        assert await bench.answer(50) == ""
        assert not bench.switch.on
        assert "lowest is 0 W" in await bench.answer(-1)


async def test_a_renewal_winds_the_timer_up_again(bench: Bench) -> None:
    async with running(bench.driver().run(bench.port)):
        await bench.answer(0)
        bench.now_s = 600
        await bench.answer(0)
        bench.now_s = 1499
        assert not bench.switch.on
        bench.now_s = 1500
        assert bench.switch.on


async def test_an_off_without_its_timer_is_taken_back_at_once_and_refused(bench: Bench) -> None:
    bench.switch.forgets_timers = True
    async with running(bench.driver().run(bench.port)):
        assert await bench.answer(0) == "the plug showed no timer of 900 s, so it was switched on again"
    assert bench.plug.commands() == [OFF, ON]
    assert bench.switch.on


async def test_an_off_whose_read_back_fails_is_taken_back(bench: Bench) -> None:
    async with running(bench.driver().run(bench.port)):
        await bench.polled()
        bench.plug.errors = {"Switch.GetStatus": (-103, "never mind")}
        assert "never mind" in await bench.answer(0)
    assert bench.switch.on


async def test_who_presses_the_button_before_the_read_back_has_taken_it_back(bench: Bench) -> None:
    def pressed(on: bool, source: str, after_s: float | None = None) -> bool:
        was = Switch.turn(bench.switch, on, source, after_s)
        Switch.turn(bench.switch, True, "button")
        return was

    async with running(bench.driver().run(bench.port)):
        await bench.polled()
        bench.switch.turn = pressed  # type: ignore[method-assign]
        assert await bench.answer(0) == "on again at once (button)"
        assert bench.told(TAKEN_BACK) == ["on again while held off: switched on there (button)"]
    assert bench.plug.commands() == [OFF]
    assert bench.switch.on


async def test_a_timer_that_is_longer_than_ours_is_not_ours(bench: Bench) -> None:
    async with running(bench.driver(lease_s=10).run(bench.port)):
        await bench.polled()
        bench.switch.turn = lambda on, source, after_s=None: Switch.turn(  # type: ignore[method-assign]
            bench.switch, on, source, None if on else 3600.0
        )
        assert "showed no timer of 10 s" in await bench.answer(0)
    assert bench.switch.on


@pytest.mark.parametrize("first_w", [0, None])
async def test_a_plug_that_stays_as_it_is_did_not_follow(bench: Bench, first_w: int | None) -> None:
    async with running(bench.driver().run(bench.port)):
        await bench.answer(first_w)
        bench.switch.sticks = True
        why = await bench.answer(None if first_w == 0 else 0)
    assert "did not follow" in why


async def test_a_timer_that_vanishes_under_a_hold_ends_the_hold(bench: Bench) -> None:
    async with running(bench.driver().run(bench.port)):
        await bench.answer(0)
        bench.switch.lose_timer()
        await bench.port.until(lambda: bool(bench.port.refusals))
    assert bench.port.refusals == [(bench.port.latest(), "its timer is gone, so it was switched on")]
    assert bench.switch.on


async def test_only_its_own_switch_is_read_and_held(bench: Bench) -> None:
    others = [Switch(number, clock=lambda: bench.now_s, load_w=1000.0 + number) for number in (1, 2, 3)]
    bench.plug.switches += others
    async with running(bench.driver(switch=2).run(bench.port)):
        await bench.polled()
        assert bench.port.points["power_w"].value == 1002
        assert await bench.answer(0) == ""
    assert [switch.on for switch in bench.plug.switches] == [True, True, False, True]


async def test_a_relay_without_a_meter_is_held_all_the_same(bench: Bench) -> None:
    bench.switch.aenergy_wh = None
    async with running(bench.driver().run(bench.port)):
        assert await bench.answer(0) == ""
        assert bench.port.points.keys() == {"on"}


# --- somebody else -----------------------------------------------------------------------------------


async def test_what_the_household_switches_on_is_told_and_not_fought_before_the_next_renewal(
    bench: Bench,
) -> None:
    async with running(bench.driver().run(bench.port)):
        await bench.answer(0)
        bench.switch.turn(True, "button")
        await bench.port.until(lambda: bool(bench.told(TAKEN_BACK)))
        await bench.polled()
        assert bench.plug.commands() == [OFF]
        assert bench.told(TAKEN_BACK) == ["on again while held off: switched on there (button)"]
        assert bench.port.points["on"].value == 1
        assert await bench.answer(0) == ""
        assert not bench.switch.on


async def test_a_lease_that_ran_out_is_told_as_such(bench: Bench) -> None:
    async with running(bench.driver().run(bench.port)):
        await bench.answer(0)
        bench.now_s = 900
        await bench.port.until(lambda: bool(bench.told("local")))
    assert bench.told("local") == ["on again while held off: its timer ran out"]
    assert bench.switch.on


@pytest.mark.parametrize("comes_back_by_itself", [True, False])
async def test_what_the_household_switched_off_stays_off_when_we_start(
    bench: Bench, comes_back_by_itself: bool
) -> None:
    bench.switch.config["auto_on"] = comes_back_by_itself
    bench.switch.turn(False, "button")
    async with running(bench.driver().run(bench.port)):
        assert await bench.answer(None) == ""
    assert bench.plug.commands() == []


@pytest.mark.parametrize("then", [[0, None], [0, 0, None]])
async def test_what_the_household_switched_off_is_not_touched_by_a_hold(
    bench: Bench, then: list[int | None]
) -> None:
    async with running(bench.driver().run(bench.port)):
        await bench.polled()
        bench.switch.turn(False, "button")
        for at_most_w in then:
            assert await bench.answer(at_most_w) == ""
        assert bench.plug.commands() == []
        assert not bench.switch.on


async def test_what_comes_on_by_itself_under_a_hold_is_held_from_then_on(bench: Bench) -> None:
    async with running(bench.driver().run(bench.port)):
        await bench.polled()
        bench.switch.turn(False, "button")
        await bench.answer(0)
        bench.now_s = 3600  # its own auto_on
        await bench.port.until(lambda: OFF in bench.plug.commands())
        assert bench.told(TAKEN_BACK) == []
        await bench.polled()
        bench.switch.turn(True, "button")
        await bench.port.until(lambda: bool(bench.told(TAKEN_BACK)))


async def test_an_off_of_ours_is_known_by_its_timer_though_the_note_of_it_is_lost(bench: Bench) -> None:
    bench.switch.turn(False, "HTTP_in", 900)
    async with running(bench.driver().run(bench.port)):
        assert await bench.answer(None) == ""
    assert bench.plug.commands() == [ON]


async def test_an_off_of_ours_is_given_back_though_the_lease_is_configured_anew(bench: Bench) -> None:
    async with running(bench.driver().run(bench.port)):
        await bench.answer(0)
    async with running(bench.driver(lease_s=300).run(bench.port)):
        assert await bench.answer(None) == ""
    assert bench.switch.on


async def test_what_came_on_by_itself_and_was_then_switched_off_by_the_household_stays_off(
    bench: Bench,
) -> None:
    async with running(bench.driver().run(bench.port)):
        await bench.answer(0)
    bench.now_s = 1000
    bench.switch.turn(False, "button")
    async with running(bench.driver().run(bench.port)):
        assert await bench.answer(None) == ""
    assert not bench.switch.on


# --- what is configured ------------------------------------------------------------------------------


def test_a_plug_falls_back_by_itself_within_its_lease() -> None:
    ability = KIND.ability(KIND.settings(host="plug", lease_s=300))
    assert (ability.levels_w, ability.fallback, ability.lease_s) == ((0,), FallbackBy.DEVICE, 300)


@pytest.mark.parametrize(
    "fields",
    [
        {"lease_s": 9},
        {"lease_s": 3601},
        {"longest_off_s": 14_401},
        {"longest_off_s": 600},
        {"longest_off_s": 904},
        {"switch": -1},
        {"poll_s": 0.5},
        {"host": ""},
        {"password": "geheim"},
    ],
)
def test_what_no_plug_is_configured_with_is_an_error(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        KIND.settings.model_validate({"host": "plug", **fields})


# --- always ------------------------------------------------------------------------------------------

STEPS = st.sampled_from(["off", "give back", "on there", "off there", "time", "mains", "new session"])


@given(st.lists(STEPS, max_size=8))
async def test_whatever_happens_the_load_has_mains_again_within_the_longest_off(steps: list[str]) -> None:
    bench = Bench()
    async with bench.plug:
        for step in [*steps, "off"]:
            await _happen(bench, step)
        bench.now_s += 3600
        assert bench.switch.on


async def _happen(bench: Bench, step: str) -> None:
    match step:
        case "on there" | "off there":
            bench.switch.turn(step == "on there", "button")
        case "time":
            bench.now_s += 500
        case "mains":
            bench.plug.mains_cut()
        case _:
            async with running(bench.driver().run(bench.port)):
                await bench.answer({"off": 0}.get(step))
