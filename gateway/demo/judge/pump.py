"""Scenes of the heat pump: a block ends early for the room, the household overrides a block."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.demo.claim import Claim
from gateway.demo.evidence import Evidence
from gateway.demo.judge.posture import always, pump_is_free, pump_is_held
from gateway.demo.setting import HEAT, ROOM_MIN_C
from gateway.demo.stretch import longest, stretches

_SHORTEST_BLOCK_S = 10.0
_SHORTEST_FREE_S = 3.0
_SHORTEST_OVERRIDE_S = 7.0
_SHORTEST_HOLD_S = 2.0
_ROOM_SLACK_C = 0.15  # five seconds of falling


def block_ends_early(seen: Evidence, begin: float, end: float) -> Iterable[Claim]:
    """Scene 2."""
    order = seen.order(2)
    if order is None:
        return [Claim("the aggregator sent a block", False)]
    seconds = seen.seconds(order.at_utc_s, order.until_utc_s)
    still = longest(stretches(seconds, pump_is_held))
    free = longest(stretches([s for s in seconds if s.at_utc_s > still.end_utc_s], pump_is_free))
    coldest_c = min((s.room_c for s in seconds), default=99.0)
    told = seen.targets(order.id, HEAT, order.at_utc_s, order.until_utc_s)
    return [
        Claim(f"the pump stood still ({still.lasted_s:.0f} s)", still.lasted_s >= _SHORTEST_BLOCK_S),
        Claim(
            f"the room came down to its minimum and no further (coldest {coldest_c:.2f} °C)",
            abs(coldest_c - ROOM_MIN_C) <= _ROOM_SLACK_C,
        ),
        Claim(
            f"the pump drew again while the instruction went on ({free.lasted_s:.0f} s)",
            free.lasted_s >= _SHORTEST_FREE_S,
        ),
        Claim(
            "the aggregator heard that the block was followed",
            any(t.status == "STARTED" and t.extent == "full" for t in told),
        ),
        Claim(
            "and then that comfort limits it",
            any(t.reason == "comfortLimit" and t.extent in ("none", "partial") for t in told),
        ),
    ]


def override(seen: Evidence, begin: float, end: float) -> Iterable[Claim]:
    """Scene 5."""
    order, command = seen.order(5), seen.command(5)
    if order is None or command is None:
        return [Claim("a limit was in force and the household overrode it", False)]
    at = command.at_utc_s
    after = seen.seconds(at, order.until_utc_s)
    free = longest(stretches(after, pump_is_free))
    resumed = stretches([s for s in after if s.at_utc_s > free.end_utc_s], pump_is_held)
    told = seen.targets(order.id, HEAT, at, order.until_utc_s)
    return [
        Claim("the pump was held before", always(seen.seconds(at - _SHORTEST_HOLD_S, at), pump_is_held)),
        Claim("the command was accepted", command.code == 0),
        Claim(
            f"the pump drew freely during the override ({free.lasted_s:.0f} s)",
            free.lasted_s >= _SHORTEST_OVERRIDE_S,
        ),
        Claim(
            "the aggregator heard userOverride",
            any(t.reason == "userOverride" and t.extent in ("none", "partial") for t in told),
        ),
        Claim(
            "the pump was held again afterwards, the instruction still running",
            longest(resumed).lasted_s >= _SHORTEST_HOLD_S,
        ),
        Claim("the aggregator heard that it is followed again", bool(told) and told[-1].extent == "full"),
    ]
