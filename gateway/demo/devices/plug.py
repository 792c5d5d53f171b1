"""A smart plug with the interface of a Shelly Plus Plug S (firmware 1.1.0), and whatever stands in it.

Written from the maker's "Gen2+ Device API", components Switch and Shelly. Its one-shot timer is in memory
and goes with the mains; what a switch does when mains come back, and by itself after a while, is its
configuration's. As in this firmware the first of `by_minute` is the minute that runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from gateway.demo.devices.rpc import INVALID_ARGUMENT, NO_HANDLER, NOT_FOUND, Failed, Message

METHODS = (
    "Shelly.GetConfig",
    "Shelly.GetDeviceInfo",
    "Shelly.GetStatus",
    "Shelly.ListMethods",
    "Switch.GetConfig",
    "Switch.GetStatus",
    "Switch.Set",
    "Switch.SetConfig",
    "Switch.Toggle",
)
VOLTS = 229.6
_MAC = "D8BC38AA17F2"
_FACTORY: Message = {
    "auto_off": False,
    "auto_off_delay": 60.0,
    "auto_on": False,
    "auto_on_delay": 60.0,
    "current_limit": 12.0,
    "id": 0,
    "initial_state": "on",
    "name": "freezer",
    "power_limit": 2500,
    "voltage_limit": 280,
}
_INITIAL_STATES = ("on", "off", "restore_last", "match_input")
_SETTABLE: dict[str, Callable[[Any], bool]] = {
    "auto_off": lambda value: isinstance(value, bool),
    "auto_off_delay": lambda value: _is_delay_s(value),
    "auto_on": lambda value: isinstance(value, bool),
    "auto_on_delay": lambda value: _is_delay_s(value),
    "initial_state": lambda value: value in _INITIAL_STATES,
    "name": lambda value: value is None or isinstance(value, str),
}


class Fault(Enum):
    """What may be broken in the plug, for a run that must be judged a failure."""

    SLEEPING_TIMER = auto()  # no timer ever fires
    WELDED = auto()  # the relay never opens, whatever the plug says
    GAPING = auto()  # once open, the relay never closes


class Plug:
    """The plug. `clock` is a monotonic clock, `utc` its clock from the network, both in seconds.

    `on_asked(method, params, peer)` hears of every call.
    """

    id = f"shellyplusplugs-{_MAC.lower()}"

    def __init__(
        self,
        clock: Callable[[], float],
        utc: Callable[[], float],
        on_asked: Callable[[str, Message, str], None] = lambda *_: None,
        *,
        is_protected: bool = False,
    ) -> None:
        self.fault: Fault | None = None
        self.closed = True  # the relay itself
        self._on = True  # what the plug believes
        self._source = "init"
        self._config = dict(_FACTORY)
        self._timer: tuple[float, float, float] | None = None  # due on the clock, started (UTC), lasts
        self._power_w = 0.0
        self._metered_wh = 7_258.589
        self._minutes: list[tuple[float, float]] = []  # (minute, mWh), the running one first
        self._clock = clock
        self._utc = utc
        self._on_asked = on_asked
        self._is_protected = is_protected
        self._up_since_s = clock()

    @property
    def on(self) -> bool:
        """Whether the plug says it is switched on."""
        return self._on

    def tick(self, seconds: float, load_w: float) -> None:
        """Let `seconds` pass in which what stands in it draws so much."""
        if self._timer and self._clock() >= self._timer[0] and self.fault is not Fault.SLEEPING_TIMER:
            self._switch(not self._on, "timer", None)
        self._mind_relay()
        self._power_w = load_w if self.closed else 0.0
        self._meter(self._power_w * seconds / 3600)

    def power_cut(self) -> None:
        """The mains go and come back: the timer is gone, the switch as `initial_state` says."""
        self._timer = None
        self._up_since_s = self._clock()
        self._source = "init"
        if self._config["initial_state"] != "restore_last":
            self._on = self._config["initial_state"] == "on"
        self._mind_relay()

    def press(self) -> None:
        """Somebody presses the button."""
        self._switch(not self._on, "button", None)

    def call(self, method: str, params: Message, peer: str) -> Message:
        """The result of a call. Raises `Failed`."""
        self._on_asked(method, params, peer)
        if method not in METHODS:
            raise Failed(NO_HANDLER, f"No handler for {method}")
        if method.startswith("Shelly."):
            return self._whole(method)
        if "id" not in params:
            raise Failed(INVALID_ARGUMENT, "Missing required argument 'id'!")
        if params["id"] != 0:
            raise Failed(NOT_FOUND, f"Argument 'id', value {params['id']} not found!")
        match method:
            case "Switch.GetStatus":
                return self._status()
            case "Switch.GetConfig":
                return dict(self._config)
            case "Switch.SetConfig":
                return self._configure(params.get("config"))
            case "Switch.Toggle":
                return self._set(not self._on, params)
        return self._set(params.get("on"), params)

    def _whole(self, method: str) -> Message:
        match method:
            case "Shelly.GetDeviceInfo":
                return self._info()
            case "Shelly.GetConfig":
                return {"switch:0": dict(self._config), "sys": {"device": {"mac": _MAC, "name": None}}}
            case "Shelly.ListMethods":
                return {"methods": list(METHODS)}
        up_s = int(self._clock() - self._up_since_s)
        sys = {"mac": _MAC, "restart_required": False, "unixtime": int(self._utc()), "uptime": up_s}
        return {"cloud": {"connected": False}, "switch:0": self._status(), "sys": sys}

    def _info(self) -> Message:
        return {
            "app": "PlusPlugS",
            "auth_domain": self.id if self._is_protected else None,
            "auth_en": self._is_protected,
            "fw_id": "20231219-134003/1.1.0-g34b5d4f",
            "gen": 2,
            "id": self.id,
            "mac": _MAC,
            "model": "SNPL-00112EU",
            "name": None,
            "slot": 0,
            "ver": "1.1.0",
        }

    def _status(self) -> Message:
        found: Message = {
            "aenergy": {
                "by_minute": [round(mwh, 3) for mwh in self._by_minute()],
                "minute_ts": int(self._utc()),
                "total": math.floor(self._metered_wh * 1000) / 1000,
            },
            "apower": round(self._power_w, 1),
            "current": round(self._power_w / VOLTS, 3),
            "id": 0,
            "output": self._on,
            "source": self._source,
            "temperature": {"tC": 32.1, "tF": 89.7},
            "voltage": VOLTS,
        }
        if self._timer:
            _, found["timer_started_at"], found["timer_duration"] = self._timer
        return found

    def _configure(self, changes: object) -> Message:
        if not isinstance(changes, dict):
            raise Failed(INVALID_ARGUMENT, "Invalid argument 'config'!")
        for name, value in changes.items():
            if name not in _SETTABLE or not _SETTABLE[name](value):
                raise Failed(INVALID_ARGUMENT, f"Invalid argument '{name}'!")
        self._config |= changes
        return {"restart_required": False}

    def _set(self, on: object, params: Message) -> Message:
        after_s = params.get("toggle_after")
        if not isinstance(on, bool) or (after_s is not None and not _is_delay_s(after_s)):
            raise Failed(INVALID_ARGUMENT, "Invalid argument 'on' or 'toggle_after'!")
        was_on = self._on
        self._switch(on, "HTTP_in", after_s)
        return {"was_on": was_on}

    def _switch(self, on: bool, source: str, after_s: float | None) -> None:
        """Switch; a timer of before is over, and one begins that was asked for or that is the rule."""
        self._on, self._source = on, source
        if after_s is None:
            rule = "auto_off" if on else "auto_on"
            after_s = self._config[f"{rule}_delay"] if self._config[rule] else None
        self._timer = None
        if after_s is not None:
            self._timer = (self._clock() + after_s, round(self._utc(), 2), after_s)
        self._mind_relay()

    def _mind_relay(self) -> None:
        can_open = self.fault is not Fault.WELDED
        can_close = self.fault is not Fault.GAPING
        self.closed = (self.closed or can_close) if self._on else (self.closed and not can_open)

    def _meter(self, wh: float) -> None:
        self._metered_wh += wh
        minute = self._utc() // 60
        if not self._minutes or self._minutes[0][0] != minute:
            self._minutes = [(minute, 0.0), *self._minutes[:2]]
        self._minutes[0] = (minute, self._minutes[0][1] + wh * 1000)

    def _by_minute(self) -> list[float]:
        metered = dict(self._minutes)
        return [metered.get(self._utc() // 60 - ago, 0.0) for ago in range(3)]


def _is_delay_s(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 86_400
