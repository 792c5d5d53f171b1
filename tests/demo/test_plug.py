"""The simulated plug: its relay, timers, meter and calls under a clock of the test."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from gateway.demo.devices.plug import METHODS, Fault, Plug
from gateway.demo.devices.rpc import Failed

T0_UTC_S = 1_795_000_020.0  # a whole minute
PEER = "10.0.0.2:41000"
Message = dict[str, Any]


class Clock:
    """Seconds the test advances."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s

    def utc_s(self) -> float:
        return T0_UTC_S + self.now_s - 1000.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def plug(clock: Clock) -> Plug:
    return Plug(clock, clock.utc_s)


def _pass(plug: Plug, clock: Clock, seconds: float, load_w: float = 100.0) -> bool:
    """Let time pass; gives whether the load has mains at its end."""
    clock.now_s += seconds
    plug.tick(seconds, load_w)
    return plug.closed


def _set(plug: Plug, on: bool, **more: object) -> Message:
    return plug.call("Switch.Set", {"id": 0, "on": on, **more}, PEER)


def _status(plug: Plug) -> Message:
    return plug.call("Switch.GetStatus", {"id": 0}, PEER)


def _configure(plug: Plug, **config: object) -> Message:
    return plug.call("Switch.SetConfig", {"id": 0, "config": config}, PEER)


# --- relay and timers ---


def test_switched_off_it_stays_off_until_it_is_told_otherwise(plug: Plug, clock: Clock) -> None:
    assert _set(plug, False) == {"was_on": True}
    assert not _pass(plug, clock, 100_000)
    assert _set(plug, True) == {"was_on": False}
    assert _pass(plug, clock, 1)


def test_with_a_timer_it_comes_back_by_itself(plug: Plug, clock: Clock) -> None:
    _set(plug, False, toggle_after=60)
    assert not _pass(plug, clock, 59)
    assert _pass(plug, clock, 1)
    assert _status(plug)["source"] == "timer"


def test_its_timer_can_be_read_while_it_runs_and_not_after(plug: Plug, clock: Clock) -> None:
    _set(plug, False, toggle_after=60)
    _pass(plug, clock, 30)
    told = _status(plug)
    assert (told["timer_started_at"], told["timer_duration"]) == (T0_UTC_S, 60)
    _pass(plug, clock, 30)
    assert "timer_duration" not in _status(plug)


def test_each_switching_off_winds_the_timer_again(plug: Plug, clock: Clock) -> None:
    _set(plug, False, toggle_after=60)
    _pass(plug, clock, 50)
    _set(plug, False, toggle_after=60)
    assert not _pass(plug, clock, 59)
    assert _pass(plug, clock, 1)


def test_switching_without_a_timer_ends_the_one_that_ran(plug: Plug, clock: Clock) -> None:
    """The trap of a plain off: what would have brought the load back is gone."""
    _set(plug, False, toggle_after=60)
    _set(plug, False)
    assert not _pass(plug, clock, 3600)


def test_by_configuration_it_comes_back_after_every_off(plug: Plug, clock: Clock) -> None:
    assert _configure(plug, auto_on=True, auto_on_delay=120.0) == {"restart_required": False}
    _set(plug, False)
    assert _status(plug)["timer_duration"] == 120.0
    assert not _pass(plug, clock, 119)
    assert _pass(plug, clock, 1)
    plug.press()
    assert not _pass(plug, clock, 119)
    assert _pass(plug, clock, 1)


def test_the_timer_asked_for_stands_before_the_configured_one(plug: Plug, clock: Clock) -> None:
    _configure(plug, auto_on=True, auto_on_delay=120.0)
    _set(plug, False, toggle_after=30)
    assert _pass(plug, clock, 30)


def test_by_configuration_it_goes_off_after_every_on(plug: Plug, clock: Clock) -> None:
    _configure(plug, auto_off=True, auto_off_delay=10.0)
    _set(plug, True)
    assert not _pass(plug, clock, 10)


@pytest.mark.parametrize(
    ("initial_state", "was_on", "comes_back"),
    [
        ("on", False, True),
        ("off", True, False),
        ("restore_last", False, False),
        ("restore_last", True, True),
    ],
)
def test_after_a_power_cut_only_its_configuration_counts(
    plug: Plug, clock: Clock, initial_state: str, was_on: bool, comes_back: bool
) -> None:
    _configure(plug, initial_state=initial_state)
    _set(plug, was_on, toggle_after=60)
    plug.power_cut()
    assert "timer_duration" not in _status(plug)
    assert _pass(plug, clock, 3600) is comes_back


def test_the_button_switches_as_a_call_does(plug: Plug, clock: Clock) -> None:
    plug.press()
    assert not _pass(plug, clock, 1)
    assert (_status(plug)["output"], _status(plug)["source"]) == (False, "button")
    assert plug.call("Switch.Toggle", {"id": 0}, PEER) == {"was_on": False}
    assert _pass(plug, clock, 1)


# --- what it measures ---


def test_it_meters_what_its_load_draws_while_it_is_on(plug: Plug, clock: Clock) -> None:
    before_wh = _status(plug)["aenergy"]["total"]
    _pass(plug, clock, 36.0, 100.0)
    assert (_status(plug)["apower"], _status(plug)["current"]) == (100.0, 0.436)
    _set(plug, False)
    _pass(plug, clock, 36.0, 100.0)
    assert _status(plug)["apower"] == 0.0
    assert _status(plug)["aenergy"]["total"] - before_wh == pytest.approx(1.0)


def test_its_first_minute_is_the_one_that_runs(plug: Plug, clock: Clock) -> None:
    for seconds in (29, 30, 30, 30, 1, 10):  # ends of ticks within minutes 0, 0, 1, 1, 2, 2
        _pass(plug, clock, seconds, 36.0)  # 10 mWh a second
    energy = _status(plug)["aenergy"]
    assert energy["by_minute"] == [110.0, 600.0, 590.0]
    assert energy["minute_ts"] == T0_UTC_S + 130


def test_a_minute_without_mains_is_a_minute_of_nothing(plug: Plug, clock: Clock) -> None:
    _pass(plug, clock, 59, 36.0)
    clock.now_s += 120
    assert _status(plug)["aenergy"]["by_minute"] == [0.0, 0.0, 590.0]


# --- faults ---


def test_with_its_timer_asleep_it_stays_off(plug: Plug, clock: Clock) -> None:
    plug.fault = Fault.SLEEPING_TIMER
    _set(plug, False, toggle_after=60)
    assert not _pass(plug, clock, 3600)
    assert _status(plug)["timer_duration"] == 60


def test_a_welded_relay_feeds_its_load_whatever_the_plug_says(plug: Plug, clock: Clock) -> None:
    plug.fault = Fault.WELDED
    _set(plug, False)
    assert _pass(plug, clock, 1)
    assert (_status(plug)["output"], _status(plug)["apower"]) == (False, 100.0)


def test_a_gaping_relay_does_not_close_again(plug: Plug, clock: Clock) -> None:
    plug.fault = Fault.GAPING
    assert _pass(plug, clock, 1)
    _set(plug, False, toggle_after=10)
    assert not _pass(plug, clock, 10)
    assert (_status(plug)["output"], _status(plug)["apower"]) == (True, 0.0)
    plug.fault = None
    assert _pass(plug, clock, 1)


# --- calls ---


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("Switch.Fly", {"id": 0}, 404),
        ("Switch.Set", {"on": True}, -103),
        ("Switch.Set", {"id": 1, "on": True}, -105),
        ("Switch.Set", {"id": 0}, -103),
        ("Switch.Set", {"id": 0, "on": "off"}, -103),
        ("Switch.Set", {"id": 0, "on": False, "toggle_after": "soon"}, -103),
        ("Switch.Set", {"id": 0, "on": False, "toggle_after": 0}, -103),
        ("Switch.Set", {"id": 0, "on": False, "toggle_after": True}, -103),
        ("Switch.SetConfig", {"id": 0}, -103),
        ("Switch.SetConfig", {"id": 0, "config": {"initial_state": "perhaps"}}, -103),
        ("Switch.SetConfig", {"id": 0, "config": {"auto_on_delay": -1}}, -103),
        ("Switch.SetConfig", {"id": 0, "config": {"colour": "red"}}, -103),
    ],
)
def test_a_call_that_is_not_right_fails_and_changes_nothing(
    plug: Plug, method: str, params: Message, code: int
) -> None:
    config = plug.call("Switch.GetConfig", {"id": 0}, PEER)
    with pytest.raises(Failed) as failed:
        plug.call(method, params, PEER)
    assert failed.value.code == code
    assert plug.closed
    assert plug.call("Switch.GetConfig", {"id": 0}, PEER) == config


def test_its_configuration_is_read_back(plug: Plug) -> None:
    factory = plug.call("Switch.GetConfig", {"id": 0}, PEER)
    assert (factory["initial_state"], factory["auto_on"], factory["auto_on_delay"]) == ("on", False, 60.0)
    _configure(plug, initial_state="off", auto_on=True, auto_on_delay=900)
    now = plug.call("Switch.GetConfig", {"id": 0}, PEER)
    assert (now["initial_state"], now["auto_on"], now["auto_on_delay"]) == ("off", True, 900)
    assert now == plug.call("Shelly.GetConfig", {}, PEER)["switch:0"]


def test_its_whole_status_bears_the_switch_and_the_time(plug: Plug, clock: Clock) -> None:
    _pass(plug, clock, 75)
    told = plug.call("Shelly.GetStatus", {}, PEER)
    assert told["switch:0"] == _status(plug)
    assert (told["sys"]["unixtime"], told["sys"]["uptime"]) == (T0_UTC_S + 75, 75)
    assert plug.call("Shelly.ListMethods", {}, PEER)["methods"] == list(METHODS)


def test_every_call_is_noted_with_who_asked(clock: Clock) -> None:
    noted: list[tuple[str, Message, str]] = []
    plug = Plug(clock, clock.utc_s, lambda *asked: noted.append(asked))
    _set(plug, False, toggle_after=60)
    with contextlib.suppress(Failed):
        plug.call("Switch.Fly", {}, PEER)
    assert noted == [
        ("Switch.Set", {"id": 0, "on": False, "toggle_after": 60}, PEER),
        ("Switch.Fly", {}, PEER),
    ]
