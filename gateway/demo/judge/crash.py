"""Scene of the crash: held by nobody, each device returns within its stated time; then all goes on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gateway.demo.claim import Claim
from gateway.demo.evidence import FOR_EVER_UTC_S, Evidence, Second, Sent
from gateway.demo.judge.posture import (
    always,
    car_is_free,
    car_within,
    freezer_is_off,
    freezer_is_on,
    pump_is_free,
    pump_is_held,
)
from gateway.demo.reading import Reading, counted_twice, one_at_each
from gateway.demo.setting import (
    CAR_LEASE_S,
    EV,
    FREEZER,
    HEAT,
    PLUG_LEASE_S,
    POINTS,
    SURPLUS_REGISTER,
    WATCHDOG_S,
)
from gateway.demo.stretch import lasting

_FOLLOWED_WITHIN_S = 30.0
_SHORTEST_HOLD_S = 4.0
_SLACK_S = (-1.5, 4.0)  # the log's second, the device's second, and two for a busy computer
_ON_THE_WIRE_S = 0.3  # what it had said when it died may still arrive
_STATED_SLACK_S = 3.0  # between the lease configured and what a renewal says
_TARGETS = tuple(f"asset:{asset}" for asset in (EV, HEAT, FREEZER))


@dataclass(frozen=True, slots=True)
class _Device:
    """One device in the crash: when it was last told to hold, for how long by its own account."""

    name: str
    how: str
    lease_s: float
    told_utc_s: float | None
    stated_s: float
    is_held: Callable[[Second], bool]
    is_free: Callable[[Second], bool]


def kill(seen: Evidence, begin: float, end: float) -> Iterable[Claim]:
    """Scene 6."""
    order, killed, started = seen.order(6), *seen.outage_of("daemon", begin, end)
    if order is None or killed is None or started is None:
        return [Claim("the daemon was killed in an event, and started again", False)]
    return [
        Claim(
            f"one instruction held car, pump and freezer to {order.cap_w / 1000:.1f} kW in all",
            sorted(order.targets) == sorted(_TARGETS),
        ),
        Claim("until the daemon was killed they followed", _followed(seen, order, order.at_utc_s, killed)),
        Claim("it died of signal 9", seen.exit_code("daemon", killed, started) == -9),
        Claim(
            "nobody told any device anything while it was gone",
            not seen.writes(killed + _ON_THE_WIRE_S, started)
            and not seen.asked(killed + _ON_THE_WIRE_S, started),
        ),
        *(_fell_back(seen, device, killed, started) for device in _devices(seen, order, killed)),
        Claim(
            "the daemon told each of them anew, and together they followed again",
            _told_anew(seen, started, end) and _followed(seen, order, started, end),
        ),
        Claim(
            "the aggregator heard of each that it follows again",
            all(_follows(seen, order, asset, started, end) for asset in (EV, HEAT, FREEZER)),
        ),
        *_minutes_of_the_outage(seen, killed, started),
    ]


def _followed(seen: Evidence, order: Sent, begin: float, end: float) -> bool:
    """Whether together they were within the value soon enough, each held, and stayed so to the end."""
    held = lasting(
        seen.seconds(begin, end),
        lambda s: s.together_w <= order.cap_w and pump_is_held(s) and freezer_is_off(s),
    )
    return (
        held is not None
        and held.begin_utc_s - begin <= _FOLLOWED_WITHIN_S
        and held.lasted_s >= _SHORTEST_HOLD_S
    )


def _devices(seen: Evidence, order: Sent, killed: float) -> tuple[_Device, ...]:
    limits = seen.charge_limits(order.at_utc_s, killed)
    switches = [one for one in seen.switches(order.at_utc_s, killed) if not one.on]
    written = seen.last_write(SURPLUS_REGISTER, killed)
    return (
        _Device(
            "freezer",
            "plug's own timer",
            PLUG_LEASE_S,
            switches[-1].at_utc_s if switches else None,
            switches[-1].toggle_after_s if switches else math.inf,
            freezer_is_off,
            freezer_is_on,
        ),
        _Device(
            "car",
            "charging profile's end",
            CAR_LEASE_S,
            limits[-1].at_utc_s if limits else None,
            limits[-1].ends_utc_s - limits[-1].at_utc_s if limits else math.inf,
            car_within(order.cap_w),
            car_is_free,
        ),
        _Device("pump", "own watchdog", WATCHDOG_S, written, WATCHDOG_S, pump_is_held, pump_is_free),
    )


def _fell_back(seen: Evidence, device: _Device, killed: float, started: float) -> Claim:
    seconds = seen.seconds(killed, started)
    told = device.told_utc_s if device.told_utc_s is not None else killed
    let_go = next((s.at_utc_s for s in seconds if not device.is_held(s)), math.inf)
    after_s = let_go - told
    last = [s for s in seconds if s.at_utc_s >= started - 1.5]
    return Claim(
        f"the {device.name} came back by its {device.how} of {device.lease_s:.0f} s (after {after_s:.0f} s)",
        abs(device.stated_s - device.lease_s) <= _STATED_SLACK_S
        and _SLACK_S[0] <= after_s - device.stated_s <= _SLACK_S[1]
        and always(last, device.is_free),
    )


def _told_anew(seen: Evidence, started: float, end: float) -> bool:
    blocked = [one for one in seen.writes(started, end) if one.facts["register"] == SURPLUS_REGISTER]
    off = [one for one in seen.switches(started, end) if not one.on]
    return bool(blocked and off and seen.charge_limits(started, end))


def _follows(seen: Evidence, order: Sent, asset: str, started: float, end: float) -> bool:
    told = seen.targets(order.id, asset, started, end)
    return bool(told) and (told[-1].status, told[-1].extent) == ("STARTED", "full")


def _minutes_of_the_outage(seen: Evidence, killed: float, started: float) -> Iterable[Claim]:
    edges = seen.minute_edges(killed, started)
    readings = seen.readings(FOR_EVER_UTC_S)
    lost = [r for r in readings if r.end_utc_s in edges]
    return [
        Claim(
            f"minutes that ended in the outage are reported as missing, by the restart ({len(edges)})",
            bool(edges) and one_at_each(edges, lost, POINTS) and all(map(_is_lost, lost)),
        ),
        Claim("no minute is counted twice", not counted_twice(readings)),
    ]


def _is_lost(reading: Reading) -> bool:
    return reading.quality == "MISSING" and "restart" in reading.reasons and reading.power_kw is None
