"""What a Gen2+ Shelly says of itself, decoded: identity, meter, relay, and the relay's configuration.

Plain functions on parsed JSON, built for the interface and not for models: what a component does not
have is left out, never 0. Energy of a relay that meters both ways is in `aenergy` whichever way it went.
"""

from __future__ import annotations

from dataclasses import dataclass

from drivers.base import JsonValue, Sample, Unintelligible, WrongDevice
from drivers.plugs.rpc import JsonObject
from drivers.plugs.settings import TELLING_S

_FIRST_GENERATION_WITH_RPC = 2
_WS_PER_WH = 3600
_LONGEST_WORD = 20
_LARGEST = 2.0**43  # Wh; three thousand million kWh are no household's


@dataclass(frozen=True, slots=True)
class Identity:
    """Which device answers."""

    mac: str
    model: str


@dataclass(frozen=True, slots=True)
class Relay:
    """What the contact does. `timer_s` is the length of the running timer that will turn it over."""

    on: bool
    timer_s: float | None
    source: str  # what switched it, in the device's words


def identity_of(shelly: JsonObject) -> Identity:
    """Who answered `GET /shelly`.

    Raises:
        WrongDevice: a Shelly of the first generation, or none at all.
    """
    generation = shelly.get("gen")
    if generation is None and "type" in shelly:
        raise WrongDevice(
            "a Shelly of the first generation, which speaks another protocol; Gen2 or newer would be right"
        )
    mac, model = shelly.get("mac"), shelly.get("model")
    if not isinstance(generation, int) or generation < _FIRST_GENERATION_WITH_RPC:
        raise WrongDevice("what answers is no Shelly of Gen2 or newer; check `host`")
    if not isinstance(mac, str) or not isinstance(model, str):
        raise Unintelligible("/shelly says neither mac nor model")
    return Identity(mac, model)


def part_of(status: JsonObject, kind: str, number: int) -> JsonObject | None:
    """A component of `Shelly.GetStatus`, as in `switch:0`."""
    found = status.get(f"{kind}:{number}")
    return found if isinstance(found, dict) else None


def uptime_s(status: JsonObject) -> float | None:
    """Seconds since the device started, if it says so."""
    system = status.get("sys")
    return _number(system, "uptime") if isinstance(system, dict) else None


def relay_of(switch: JsonObject) -> Relay:
    """The contact of a switch's status.

    Raises:
        Unintelligible: it does not say whether it is on.
    """
    on, source = switch.get("output"), switch.get("source")
    if not isinstance(on, bool):
        raise Unintelligible("the switch does not say whether it is on")
    runs = _number(switch, "timer_started_at") is not None
    timer_s = _number(switch, "timer_duration") if runs else None
    words = "".join(c for c in str(source)[:_LONGEST_WORD] if c.isprintable())
    return Relay(on, timer_s, words)


def points_of(status: JsonObject, number: int) -> dict[str, Sample]:
    """The points of a switch, or of an energy meter of that number where there is no switch.

    Raises:
        WrongDevice: the device has neither.
    """
    if switch := part_of(status, "switch", number):
        return switch_points(switch)
    meter = part_of(status, "em", number)
    if meter is None:
        raise WrongDevice(f"the device has no switch {number}; check `switch`, and the device's profile")
    energy = part_of(status, "emdata", number) or {}
    return {
        **_power(meter, "total_act_power"),
        **_energy(energy, "total_act", 0.0, "import_ws"),
        **_energy(energy, "total_act_ret", 0.0, "export_ws"),
    }


def switch_points(switch: JsonObject) -> dict[str, Sample]:
    """The points of a switch's status: what it draws, where it meters, and whether it is on."""
    drawn, returned = _counter(switch, "aenergy"), _counter(switch, "ret_aenergy")
    returned_wh = _number(returned, "total") or 0.0
    return {
        "on": Sample(float(relay_of(switch).on)),
        **_power(switch, "apower"),
        **_energy(drawn, "total", returned_wh, "import_ws"),
        **_energy(returned, "total", 0.0, "export_ws"),
    }


def flaws_of(config: JsonObject, longest_off_s: float, lease_s: float) -> dict[str, tuple[JsonValue, str]]:
    """What of a switch's configuration would let its load stay off, or hide whose off it is: key -> (right
    value, in words)."""
    flaws: dict[str, tuple[JsonValue, str]] = {}
    if config.get("initial_state") != "on":
        flaws["initial_state"] = ("on", 'initial_state should be "on": after a power cut')
    if config.get("auto_on") is not True:
        flaws["auto_on"] = (True, "auto_on should be true: it comes back by itself")
    delay_s = _number(config, "auto_on_delay")
    if delay_s is None or not 0 < delay_s <= longest_off_s:
        flaws["auto_on_delay"] = (longest_off_s, f"auto_on_delay should be at most {longest_off_s:g} s")
    elif abs(delay_s - lease_s) < TELLING_S:
        words = (
            f"auto_on_delay should not be lease_s, {lease_s:g} s: our timer could not be told from its own"
        )
        flaws["auto_on_delay"] = (longest_off_s, words)
    return flaws


def _counter(switch: JsonObject, name: str) -> JsonObject:
    found = switch.get(name)
    return found if isinstance(found, dict) else {}


def _power(part: JsonObject, name: str) -> dict[str, Sample]:
    if name not in part:
        return {}
    power_w = _number(part, name)
    return {"power_w": Sample(None if power_w is None else round(power_w))}


def _energy(part: JsonObject, name: str, less_wh: float, point: str) -> dict[str, Sample]:
    if name not in part:
        return {}
    energy_wh = _number(part, name)
    return {point: Sample(None if energy_wh is None else round((energy_wh - less_wh) * _WS_PER_WH))}


def _number(part: JsonObject, name: str) -> float | None:
    """A number; None where there is none, or null.

    Raises:
        Unintelligible: something else, or a number no meter has.
    """
    found = part.get(name)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise Unintelligible(f"{name} is no number")
    if not abs(found) <= _LARGEST:  # nor is what is no number at all
        raise Unintelligible(f"{name} is not a number a device has")
    return float(found)
