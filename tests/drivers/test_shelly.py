"""The Shelly driver holds a load off only while the plug would bring it back by itself, and says why not."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.base import (
    Driver,
    DriverError,
    FallbackBy,
    Links,
    Proof,
    Refused,
    Unintelligible,
    Unreachable,
    WrongDevice,
)
from drivers.plugs.driver import KIND
from tests.drivers.running import running
from tests.fakes.port import FakePort
from tests.fakes.shelly import Shelly, Switch

DEADLINE_S = 0.3
OFF = ("Switch.Set", {"id": 0, "on": False, "toggle_after": 900})
ON = ("Switch.Set", {"id": 0, "on": True})


class Bench:
    """A plug with a clock of its own, its port, and what is configured for it."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.switch = Switch(clock=lambda: self.now_s)
        self.plug = Shelly([self.switch], clock=lambda: self.now_s)
        self.port = FakePort()

    def driver(self, **fields: Any) -> Driver:
        section = {"host": "127.0.0.1", "port": self.plug.port, "timeout_s": DEADLINE_S}
        settings = KIND.settings.model_validate(section | fields)
        return KIND.open(settings.model_copy(update={"poll_s": fields.get("poll_s", 0.01)}), Links())

    async def answer(self, at_most_w: int | None) -> str:
        """Ask for something; why it was refused, or nothing."""
        want = self.port.want(at_most_w)
        await self.port.until(lambda: self.port.answered(want))
        return next((why for refused, why in self.port.refusals if refused == want), "")

    async def polled(self) -> None:
        """Wait until a whole round was read that began from now on."""
        seen = self.port.publications
        await self.port.until(lambda: self.port.publications >= seen + 2)

    def told(self, kind: str) -> list[str]:
        return [event.text for event in self.port.events if event.kind == kind]

    async def failure(self, **fields: Any) -> BaseException | None:
        """How the driver's run ends."""
        async with running(self.driver(**fields).run(self.port)) as task:
            await asyncio.wait([task], timeout=2)
            return task.exception() if task.done() else None


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    async with bench.plug:
        yield bench


# --- the lease --------------------------------------------------------------------------------------------


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


# --- somebody else ------------------------------------------------------------------------------------------


async def test_what_the_household_switches_on_is_told_and_not_fought_before_the_next_renewal(
    bench: Bench,
) -> None:
    async with running(bench.driver().run(bench.port)):
        await bench.answer(0)
        bench.switch.turn(True, "button")
        await bench.port.until(lambda: bool(bench.told("local")))
        await bench.polled()
        assert bench.plug.commands() == [OFF]
        assert bench.told("local") == ["on again while held off: switched on there (button)"]
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


# --- commissioning ------------------------------------------------------------------------------------------

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


# --- who answers --------------------------------------------------------------------------------------------


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


# --- the password -------------------------------------------------------------------------------------------


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "plug.secret"
    file.write_text("correct horse\n")
    return file


async def _hold(bench: Bench, secret: Path) -> None:
    bench.plug.password = "correct horse"
    async with running(bench.driver(password_file=secret).run(bench.port)):
        assert await bench.answer(0) == ""
        assert await bench.answer(None) == ""
    assert bench.plug.commands() == [OFF, ON]


@pytest.mark.parametrize("algorithm", ["SHA-256", "MD5"])
async def test_a_password_is_proven_and_one_nonce_serves_many_requests(
    bench: Bench, secret: Path, algorithm: str
) -> None:
    bench.plug.algorithm = algorithm
    await _hold(bench, secret)
    counts = [re.findall("nc=(.{8})", line)[0] for line in bench.plug.signed]
    assert counts == [f"{count:08x}" for count in range(1, len(counts) + 1)]
    assert len(counts) >= 6


@pytest.mark.parametrize("says_stale", [True, False])
async def test_a_nonce_that_is_good_for_one_request_is_renewed_for_each(
    bench: Bench, secret: Path, says_stale: bool
) -> None:
    bench.plug.nonce_uses, bench.plug.says_stale = 1, says_stale
    await _hold(bench, secret)
    assert {re.findall("nc=(.{8})", line)[0] for line in bench.plug.signed} == {"00000001", "00000002"}


async def test_a_challenge_inside_a_frame_is_answered_inside_the_frame(bench: Bench, secret: Path) -> None:
    bench.plug.asks_in_frame = True
    await _hold(bench, secret)
    assert bench.plug.signed == []


async def test_a_wrong_password_is_tried_once_and_refused_in_words(bench: Bench, secret: Path) -> None:
    bench.plug.password, bench.plug.says_stale = "another one", False
    error = await bench.failure(password_file=secret)
    assert isinstance(error, Refused)
    assert str(error) == "the plug does not take the password in password_file"
    assert len(bench.plug.signed) == 1
    assert bench.port.publications == 0


async def test_a_device_that_calls_every_nonce_stale_is_not_asked_for_ever(
    bench: Bench, secret: Path
) -> None:
    bench.plug.password = "correct horse"
    bench.plug.nonce_uses = 0
    error = await bench.failure(password_file=secret)
    assert isinstance(error, Refused)
    assert bench.plug.requests < 5


async def test_a_password_that_is_not_configured_is_asked_for_in_words(bench: Bench) -> None:
    bench.plug.password = "correct horse"
    error = await bench.failure()
    assert isinstance(error, Refused)
    assert "name its file in password_file" in str(error)


async def test_a_password_file_that_cannot_be_read_is_told_before_anything_is_asked(
    bench: Bench, tmp_path: Path
) -> None:
    error = await bench.failure(password_file=tmp_path / "nowhere")
    assert isinstance(error, Refused)
    assert "nowhere" in str(error)
    assert bench.plug.requests == 0


# --- faults -------------------------------------------------------------------------------------------------


def _say_nothing(plug: Shelly) -> None:
    plug.silent = True


def _be_busy(plug: Shelly) -> None:
    plug.http_status = 503


def _have_no_calls(plug: Shelly) -> None:
    plug.http_status = 404


def _run_out(plug: Shelly) -> None:
    plug.errors = dict.fromkeys(("Shelly.GetStatus", "Switch.GetConfig"), (-108, "Out of memory"))


def _know_nothing(plug: Shelly) -> None:
    plug.errors = dict.fromkeys(("Shelly.GetStatus", "Switch.GetConfig"), (404, "No handler\x1b[2J"))


def _answer_something_else(plug: Shelly) -> None:
    plug.mangle = lambda answer: answer.replace(b'{"id": ', b'{"id":9')


def _answer_without_a_result(plug: Shelly) -> None:
    plug.mangle = lambda answer: answer.replace(b'"result"', b'"Result"')


def _answer_a_list(plug: Shelly) -> None:
    plug.mangle = lambda _: b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]"


def _serve_a_page(plug: Shelly) -> None:
    plug.mangle = lambda _: b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>"


FAULTS: list[tuple[Callable[[Shelly], None], type[DriverError]]] = [
    (_say_nothing, Unreachable),
    (_be_busy, Unreachable),
    (_have_no_calls, Refused),
    (_run_out, Unreachable),
    (_know_nothing, Refused),
    (_answer_something_else, Unintelligible),
    (_answer_without_a_result, Unintelligible),
    (_answer_a_list, Unintelligible),
    (_serve_a_page, Unintelligible),
]


@pytest.mark.parametrize(("break_it", "error"), FAULTS, ids=lambda case: getattr(case, "__name__", ""))
async def test_each_fault_is_one_of_the_four_errors_and_nothing_is_switched(
    bench: Bench, break_it: Callable[[Shelly], None], error: type[DriverError]
) -> None:
    break_it(bench.plug)
    bench.port.want(0)
    found = await bench.failure()
    assert type(found) is error
    assert str(found).isprintable()
    assert bench.plug.commands() == []


@pytest.mark.parametrize(("break_it", "error"), FAULTS, ids=lambda case: getattr(case, "__name__", ""))
async def test_a_fault_under_a_hold_ends_the_session_and_the_plug_keeps_its_timer(
    bench: Bench, break_it: Callable[[Shelly], None], error: type[DriverError]
) -> None:
    async with running(bench.driver().run(bench.port)) as task:
        await bench.answer(0)
        break_it(bench.plug)
        with pytest.raises(error):
            await task
    assert not bench.switch.on
    bench.now_s = 900
    assert bench.switch.on


async def test_a_connection_dropped_between_polls_goes_unnoticed(bench: Bench) -> None:
    async with running(bench.driver().run(bench.port)) as task:
        await bench.polled()
        bench.plug.close_idle()
        await bench.polled()
        assert not task.done()
    assert bench.plug.connections >= 2


# --- what is configured -------------------------------------------------------------------------------------


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
        {"switch": -1},
        {"poll_s": 0.5},
        {"host": ""},
        {"password": "geheim"},
    ],
)
def test_what_no_plug_is_configured_with_is_an_error(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        KIND.settings.model_validate({"host": "plug", **fields})


# --- always -------------------------------------------------------------------------------------------------

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
