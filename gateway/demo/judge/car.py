"""Scenes of the car: a cap is followed, and the household's hour overrules one."""

from __future__ import annotations

import math
from collections.abc import Iterable

from gateway.demo.claim import Claim
from gateway.demo.evidence import Evidence, Second, Sent
from gateway.demo.judge.need import Need, need
from gateway.demo.judge.posture import always, car_charges, car_is_free, car_within
from gateway.demo.setting import CAR_LEAST_W, EV
from gateway.demo.stretch import lasting, longest, stretches

FOLLOWED_WITHIN_S = 30.0  # contract: an ev that does not follow within it is told as `notFollowing`
_SHORTEST_CAP_S = 15.0
_SHORTEST_BEFORE_S = 2.0
_VOLTS = 230.0
_SHORTEST_HELD_S = 4.0
_LATE_S = (-6.0, 12.0)  # the meter's lag at the charger's full power; a look, a profile, the car's ramp
_RISEN_S = 8.0  # from then on the car draws what it is offered
_LAST_S = 10.0  # before the hour, when a second is a great part of what is left
_BEHIND_S = 7.0  # the charger tells its register every 5 s, in whole watt-hours
_GIVEN = (0.9, 1.25)  # of what is needed over the time left: a charger is not told a new power each second
_READY_SHARE = 0.98


def cap(seen: Evidence, begin: float, end: float) -> Iterable[Claim]:
    """Scene 1."""
    order = seen.order(1)
    if order is None:
        return [Claim("the aggregator sent a cap", False)]
    seconds = seen.seconds(order.at_utc_s, order.until_utc_s)
    held = lasting(seconds, car_within(order.cap_w))
    after_s = held.begin_utc_s - order.at_utc_s if held else math.inf
    since = [s for s in seconds if held and s.at_utc_s >= held.begin_utc_s]
    told = seen.targets(order.id, EV, order.at_utc_s, order.until_utc_s)
    return [
        Claim(
            f"a cap of {order.cap_w / 1000:.1f} kW was asked of all cars, by the service bm",
            (order.targets, order.service) == (("class:ev",), "bm"),
        ),
        Claim(
            "the car charged as fast as it can before",
            always(seen.seconds(order.at_utc_s - _SHORTEST_BEFORE_S, order.at_utc_s), car_is_free),
        ),
        Claim(
            f"within {FOLLOWED_WITHIN_S:.0f} s it drew no more (after {after_s:.0f} s), and stayed so",
            after_s <= FOLLOWED_WITHIN_S and held is not None and held.lasted_s >= _SHORTEST_CAP_S,
        ),
        Claim("it went on charging, at the 6 A that fit under it", always(since, car_charges)),
        *_lease(seen, order),
        Claim(
            "the aggregator heard that it is followed in full, by measurement",
            any((t.status, t.extent, t.evidence) == ("STARTED", "full", "measured") for t in told),
        ),
        _minute_names_it(seen, order, end),
    ]


def _lease(seen: Evidence, order: Sent) -> Iterable[Claim]:
    limits = seen.charge_limits(order.at_utc_s, order.until_utc_s - 0.001)
    fits = all(CAR_LEAST_W <= one.limit_a * _VOLTS <= order.cap_w for one in limits)
    return [
        Claim("the charger was told a limit for this charge that fits", bool(limits) and fits),
        Claim(
            "and each time when it ends, by duration and by validTo",
            bool(limits) and all(one.is_said_both_ways for one in limits),
        ),
    ]


def _minute_names_it(seen: Evidence, order: Sent, end: float) -> Claim:
    named = [
        r
        for r in seen.readings()
        if r.point == EV
        and order.at_utc_s < r.end_utc_s <= end
        and order.id in r.dispatch_ids
        and r.limit_kw is not None
        and 1000 * r.limit_kw <= order.cap_w
    ]
    return Claim("the car's minute names the instruction and the limit it was held to", bool(named))


def ready_by(seen: Evidence, begin: float, end: float) -> Iterable[Claim]:
    """Scene 4."""
    order, typed, needed = seen.order(4), seen.command(4), need(seen, 4)
    if order is None or typed is None or needed is None:
        return [Claim("a cap was in force and the household had said what it needs, and when", False)]
    return [
        Claim("the state of charge the household typed was taken", typed.code == 0),
        *_overruled(seen, order, needed),
        *_told_so(seen, order, needed),
    ]


def _overruled(seen: Evidence, order: Sent, needed: Need) -> Iterable[Claim]:
    seconds = seen.seconds(needed.since_utc_s, needed.ready_utc_s + 1.5)
    capped = [
        s for s in seconds if order.at_utc_s <= s.at_utc_s <= min(order.until_utc_s, needed.ready_utc_s)
    ]
    first = longest(stretches(capped, car_within(order.cap_w)))
    over = [s.at_utc_s for s in capped if s.at_utc_s > first.end_utc_s and s.charger_w > order.cap_w]
    left_ws = {s.at_utc_s: left for s, left in needed.left_ws(seconds)}
    late_s = -needed.spare_s(left_ws.get(over[0], -math.inf), over[0]) if over else math.inf
    wanted_kwh = needed.energy_ws / 3.6e6
    got_ws = needed.energy_ws - min(left_ws.values(), default=needed.energy_ws)
    return [
        Claim(
            f"the cap held the car first ({first.lasted_s:.0f} s)",
            first.lasted_s >= _SHORTEST_HELD_S,
        ),
        Claim(
            f"at its latest start, not before, it was given more ({late_s:+.0f} s)",
            _LATE_S[0] <= late_s <= _LATE_S[1],
        ),
        _as_much_as_needed(needed, seconds, over[0] if over else None),
        Claim(
            f"by {needed.at} it had the {wanted_kwh:.3f} kWh it needed ({got_ws / 3.6e6:.3f} kWh)",
            got_ws >= _READY_SHARE * needed.energy_ws,
        ),
        Claim("the instruction ran all the while", order.until_utc_s >= needed.ready_utc_s),
    ]


def _as_much_as_needed(needed: Need, seconds: list[Second], over: float | None) -> Claim:
    """Not less than is needed, nor more than it must seem to be to who reads the charger's register."""
    risen = [
        (
            s.charger_w,
            needed.power_w(left, s.at_utc_s),
            needed.power_w(left + _BEHIND_S * s.charger_w, s.at_utc_s),
        )
        for s, left in needed.left_ws(seconds)
        if over is not None and over + _RISEN_S <= s.at_utc_s <= needed.ready_utc_s - _LAST_S
    ]
    least = min((given_w / at_least_w for given_w, at_least_w, _ in risen), default=0.0)
    most = max((given_w / at_most_w for given_w, _, at_most_w in risen), default=math.inf)
    return Claim(
        f"it was given what it needed over the time left ({least:.0%} of it at the least), no more than its "
        f"meter could make of it ({most:.0%} of that at the most)",
        _GIVEN[0] <= least and most <= _GIVEN[1],
    )


def _told_so(seen: Evidence, order: Sent, needed: Need) -> Iterable[Claim]:
    told = seen.targets(order.id, EV, order.at_utc_s, order.until_utc_s)
    partly = [t for t in told if (t.status, t.extent, t.reason) == ("STARTED", "partial", "chargeLimit")]
    return [
        Claim(
            "the aggregator heard that it was followed in full first",
            any((t.status, t.extent) == ("STARTED", "full") for t in told),
        ),
        Claim("and then in part, because of the charge the household wants", bool(partly)),
        Claim(
            f"in words: how much is still needed by {needed.at}",
            any("kWh still needed by" in t.text and needed.at in t.text for t in partly),
        ),
    ]
