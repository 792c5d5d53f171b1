"""The judge: what each scene promises, held against the raw log alone.

Pure: it knows no socket, no daemon and no director, only what was seen outside and the constants below,
which the director arranges the scenes by. Each scene is a list of claims; one that does not hold fails it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gateway.demo.evidence import (
    Evidence,
    Reading,
    Second,
    counted_twice,
    is_gap_free,
    longest,
    one_at_each,
    stretches,
)
from gateway.demo.log import Observation

ASSET = "heat"
ROOM_MIN_C = 19.0
NOMINAL_W = 2400.0
WATCHDOG_S = 120.0  # the pump's own, on register 71
SURPLUS_REGISTER = 71

_HELD_W = 100.0  # every scene asks for 0 kW; this is the contract's tolerance of "followed"
_FREE_W = 0.8 * NOMINAL_W
_SHORTEST_BLOCK_S = 10.0
_SHORTEST_FREE_S = 3.0
_SHORTEST_OVERRIDE_S = 7.0
_SHORTEST_HOLD_S = 2.0
_ROOM_SLACK_C = 0.15  # five seconds of falling
_WATCHDOG_SLACK_S = (-1.5, 4.0)  # the log's second, the pump's second, and two for a busy computer


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing a scene promises, in words, and whether the log bears it out."""

    text: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the log says of one scene."""

    number: int
    title: str
    claims: tuple[Claim, ...]

    @property
    def passed(self) -> bool:
        """Whether every claim holds."""
        return all(claim.holds for claim in self.claims)


def is_held(second: Second) -> bool:
    """Whether the pump stands still, as every scene's instruction asks."""
    return second.pump_w <= _HELD_W


def is_free(second: Second) -> bool:
    """Whether the pump draws what its own thermostat wants."""
    return second.pump_w >= _FREE_W


_Judge = Callable[[Evidence, float, float], Iterable[Claim]]


def scenes(log: Iterable[Observation]) -> list[Verdict]:
    """The verdict on each scene, in order."""
    seen = Evidence(sorted(log, key=lambda one: one.at_utc_s))
    return [
        Verdict(number, title, tuple(_claims(seen, number, judge)))
        for number, (title, judge) in enumerate(_SCENES.items(), start=1)
    ]


def _claims(seen: Evidence, number: int, judge: _Judge) -> Sequence[Claim]:
    played = seen.scene(number)
    if played is None:
        return [Claim("the scene was played to its end", False)]
    return [*judge(seen, *played)]


def _block_ends_early(seen: Evidence, begin: float, end: float) -> Iterable[Claim]:
    order = seen.order(1)
    if order is None:
        return [Claim("the aggregator sent a block", False)]
    seconds = seen.seconds(order.at_utc_s, order.until_utc_s)
    still = longest(stretches(seconds, is_held))
    free = longest(stretches([s for s in seconds if s.at_utc_s > still.end_utc_s], is_free))
    coldest_c = min((s.room_c for s in seconds), default=99.0)
    told = seen.targets(order.id, ASSET, order.at_utc_s, order.until_utc_s)
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


def _override(seen: Evidence, begin: float, end: float) -> Iterable[Claim]:
    order, command = seen.order(2), seen.command(2)
    if order is None or command is None:
        return [Claim("a limit was in force and the household overrode it", False)]
    at, code = command
    after = seen.seconds(at, order.until_utc_s)
    free = longest(stretches(after, is_free))
    resumed = stretches([s for s in after if s.at_utc_s > free.end_utc_s], is_held)
    told = seen.targets(order.id, ASSET, at, order.until_utc_s)
    return [
        Claim("the pump was held before", _all_held(seen, at - _SHORTEST_HOLD_S, at)),
        Claim("the command was accepted", code == 0),
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


def _kill(seen: Evidence, begin: float, end: float) -> Iterable[Claim]:
    order, killed, started = seen.order(3), *seen.outage_of("daemon", begin, end)
    last_write = seen.last_write(SURPLUS_REGISTER, killed) if killed else None
    if order is None or killed is None or started is None or last_write is None:
        return [Claim("the daemon was killed while it held the pump, and started again", False)]
    free = [s.at_utc_s for s in seen.seconds(killed, started) if is_free(s)]
    fell_back_s = min(free) - last_write if free else math.inf
    again = seen.seconds(started, end)
    told = seen.targets(order.id, ASSET, started, end)
    return [
        Claim("it died of signal 9", seen.exit_code("daemon", killed, started) == -9),
        Claim("the pump was held until then", _all_held(seen, killed - _SHORTEST_HOLD_S, killed)),
        Claim("nobody wrote to the pump while it was gone", not seen.writes(killed, started)),
        Claim(
            f"the pump fell back by its own {WATCHDOG_S:.0f} s timer (after {fell_back_s:.0f} s)",
            _WATCHDOG_SLACK_S[0] <= fell_back_s - WATCHDOG_S <= _WATCHDOG_SLACK_S[1],
        ),
        Claim(
            "the daemon took the instruction up again and the pump followed",
            bool(seen.writes(started, end))
            and longest(stretches(again, is_held)).lasted_s >= _SHORTEST_HOLD_S,
        ),
        Claim(
            "the aggregator heard that it is followed again",
            bool(told) and told[-1].status == "STARTED" and told[-1].extent == "full",
        ),
        *_minutes_of_the_outage(seen, killed, started),
    ]


def _minutes_of_the_outage(seen: Evidence, killed: float, started: float) -> Iterable[Claim]:
    edges = seen.minute_edges(killed, started)
    readings = seen.readings()
    lost = [r for r in readings if r.end_utc_s in edges]
    return [
        Claim(
            f"minutes that ended in the outage are reported as missing, by the restart ({len(edges)})",
            bool(edges) and one_at_each(edges, lost, _points(readings)) and all(map(_is_lost, lost)),
        ),
        Claim("no minute is counted twice", not counted_twice(readings)),
    ]


def _broker_gone(seen: Evidence, begin: float, end: float) -> Iterable[Claim]:
    down, up = seen.outage_of("broker", begin, end)
    if down is None or up is None:
        return [Claim("the broker went and came back", False)]
    edges, around = seen.minute_edges(down, up), seen.minute_edges(down - 60.0, end)
    so_far = [r for r in seen.readings(end) if r.end_utc_s <= end]
    recent = [r for r in so_far if r.end_utc_s in around]
    return [
        Claim("the daemon lived through it", seen.exit_code("daemon", begin, end) is None),
        Claim(f"a minute ended while the broker was gone ({len(edges)})", bool(edges)),
        Claim(
            f"every minute before, during and after it reached the aggregator ({len(recent)} readings)",
            bool(recent) and one_at_each(around, recent, _points(so_far)),
        ),
        Claim("none of them is missing its value", all(r.quality in ("OK", "ESTIMATED") for r in recent)),
        Claim("no number is skipped and each minute begins where the last ended", is_gap_free(so_far)),
    ]


def _refused(seen: Evidence, begin: float, end: float) -> Iterable[Claim]:
    forged, replayed = seen.sent(5, "forged"), seen.sent(5, "replayed")
    if forged is None or replayed is None:
        return [Claim("a forged and a replayed instruction were sent", False)]
    return [
        Claim(
            "the forged instruction was answered INVALID_SIGNATURE",
            any(
                s.reception == "INVALID_SIGNATURE" and s.digest == forged.digest
                for s in seen.statuses(forged.at_utc_s, end)
            ),
        ),
        Claim(
            "the replayed one was answered REPLAYED",
            any(
                s.reception == "REPLAYED" and s.id == replayed.id
                for s in seen.statuses(replayed.at_utc_s, end)
            ),
        ),
        Claim("no register was written", not seen.writes(begin, end)),
        Claim("the pump went on as it was", all(map(is_free, seen.seconds(begin, end)))),
    ]


def _all_held(seen: Evidence, begin: float, end: float) -> bool:
    seconds = seen.seconds(begin, end)
    return bool(seconds) and all(map(is_held, seconds))


def _is_lost(reading: Reading) -> bool:
    return reading.quality == "MISSING" and "restart" in reading.reasons and reading.power_kw is None


def _points(readings: Iterable[Reading]) -> set[str]:
    return {reading.point for reading in readings}


_SCENES: dict[str, _Judge] = {
    "a block ends early because the room reached its minimum": _block_ends_early,
    "the household overrides an instruction": _override,
    "kill -9 in an event": _kill,
    "the broker goes and comes back, no minute missing": _broker_gone,
    "a forged and a replayed instruction are refused": _refused,
}
TITLES = tuple(_SCENES)
