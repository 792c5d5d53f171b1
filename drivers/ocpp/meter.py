"""What a charger's meter values mean: power, register, state of charge and phases. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from drivers.ocpp.field import moment_s, number, parts, word

_ASKED_FOR = "trigger"  # the context of a reading that was asked for
_NOT_LIVE = {"transaction.begin", "transaction.end", "interruption.begin", "interruption.end"}
_INSIDE = {"body", "inlet"}
_PHASES = ("l1", "l2", "l3")
_REGISTER = "energy.active.import.register"
_POWER, _CURRENT, _VOLTAGE, _SOC = "power.active.import", "current.import", "voltage", "soc"
_UNITS = {
    _POWER: {"": 1.0, "w": 1.0, "kw": 1e3},
    _REGISTER: {"": 3600.0, "wh": 3600.0, "kwh": 3.6e6},
    _CURRENT: {"": 1.0, "a": 1.0, "ma": 1e-3},
    _VOLTAGE: {"": 1.0, "v": 1.0, "kv": 1e3},
    _SOC: {"": 1.0, "percent": 1.0, "%": 1.0},
}
FLOWS_A = 0.5  # below it a phase carries nothing


@dataclass(frozen=True, slots=True)
class Sampled:
    """One sampled value that we use, in W, Ws, A, V or percent."""

    measurand: str
    value: float
    phase: str
    location: str


@dataclass(frozen=True, slots=True)
class Power:
    """A power (W) and what it was made of: "meter", or "current" where it is a product."""

    power_w: float
    made_of: str


@dataclass(frozen=True, slots=True)
class Metered:
    """One moment of a MeterValues message."""

    stamp_s: float | None
    power: Power | None
    register_ws: float | None
    soc_pct: float | None
    phases: int | None  # that carry current
    asked_for: bool = False  # by us, so it was read as it was sent


def metered(payload: Mapping[str, Any], volts: float, phases: int) -> list[Metered]:
    """The moments of a message in their order; `volts` and `phases` where the charger does not say."""
    return [_moment(entry, volts, phases) for entry in parts(payload.get("meterValue"))]


def _moment(entry: Mapping[str, Any], volts: float, phases: int) -> Metered:
    values = [sampled for each in parts(entry.get("sampledValue")) if (sampled := _sampled(each))]
    currents = _by_phase(values, _CURRENT)
    return Metered(
        stamp_s=moment_s(entry.get("timestamp")),
        power=_power(values, volts, phases),
        register_ws=_total(values, _REGISTER),
        soc_pct=next((v.value for v in reversed(values) if v.measurand == _SOC), None),
        phases=sum(current > FLOWS_A for current in currents.values()) or None,
        asked_for=_is_asked_for(entry),
    )


def _is_asked_for(entry: Mapping[str, Any]) -> bool:
    contexts = {word(each.get("context")).casefold() for each in parts(entry.get("sampledValue"))}
    return contexts == {_ASKED_FOR}


def _sampled(entry: Mapping[str, Any]) -> Sampled | None:
    measurand = word(entry.get("measurand")).casefold() or _REGISTER
    measurand, phase = _split_phase(measurand, word(entry.get("phase")).casefold())
    units = _UNITS.get(measurand)
    value = number(entry.get("value"))
    factor = units.get(word(entry.get("unit")).casefold()) if units else None
    if value is None or factor is None or word(entry.get("context")).casefold() in _NOT_LIVE:
        return None
    return Sampled(measurand, value * factor, phase, word(entry.get("location")).casefold())


def _split_phase(measurand: str, phase: str) -> tuple[str, str]:
    """Measurand and phase; some put the phase into the name: `Current.Import.L1`."""
    head, _, last = measurand.rpartition(".")
    if not phase and last in _PHASES:
        return head, last
    return measurand, phase.removesuffix("-n")


def _power(values: list[Sampled], volts: float, phases: int) -> Power | None:
    power_w = _total(values, _POWER)
    if power_w is not None:
        return Power(power_w, "meter")
    by_phase = _by_phase(values, _VOLTAGE)
    common = _outside(values, _VOLTAGE)
    voltage = next((v.value for v in reversed(common) if v.value > 0), volts)
    currents = _by_phase(values, _CURRENT)
    if currents:
        each = [current * by_phase.get(phase, voltage) for phase, current in currents.items()]
        return Power(sum(each), "current")
    whole = [v.value for v in _outside(values, _CURRENT) if v.phase == ""]
    return Power(whole[-1] * voltage * phases, "current") if whole else None


def _total(values: list[Sampled], measurand: str) -> float | None:
    """The value without a phase, else the sum of the phases; never both."""
    whole = [v.value for v in _outside(values, measurand) if v.phase == ""]
    if whole:
        return whole[-1]
    return sum(by_phase.values()) if (by_phase := _by_phase(values, measurand)) else None


def _by_phase(values: list[Sampled], measurand: str) -> dict[str, float]:
    return {v.phase: v.value for v in _outside(values, measurand) if v.phase in _PHASES}


def _outside(values: Iterable[Sampled], measurand: str) -> list[Sampled]:
    """Of one measurand, what was measured at the outlet; inside the charger only if there is nothing else."""
    found = [v for v in values if v.measurand == measurand]
    return [v for v in found if v.location not in _INSIDE] or found
