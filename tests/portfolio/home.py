"""Simulated homes: what really flows, second by second, as steps; drawn from a seed, known to nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

BEGIN_S, RAMP_S, RETURN_S, END_S = 0, 2400, 4200, 5400  # warm-up and calm, cars held, let go, calm again
CAR_W, HELD_W = 7360, 1380
CARS = 0.6  # of the homes charge meanwhile
FOLLOWS_S = (2, 20)  # a car after it was told
METER_SD = 0.025  # of the error of a meter, which is its own and lasts


@dataclass(frozen=True, slots=True)
class Home:
    """`steps`: from a second on so many watts, in order, the first at `BEGIN_S`. `gain`: what its meter makes
    of a watt. `draw`: 0..1, from which its offset is taken."""

    steps: tuple[tuple[int, int], ...]
    gain: float
    draw: float


def homes(count: int, seed: int, *, ramps: bool = True, meter_sd: float = METER_SD) -> Iterator[Home]:
    """So many homes; with `ramps` all cars are told at once to draw less, and to go on half an hour later."""
    draw = Random(seed)
    for _ in range(count):
        parts = [_base(draw), _pump(draw)]
        if draw.random() < CARS:
            parts.append(_car(draw, ramps))
        yield Home(tuple(_summed(parts)), draw.gauss(1.0, meter_sd), draw.random())


def _base(draw: Random) -> list[tuple[int, int]]:
    """What is always on, and now and then a kettle or an oven."""
    at_s, found = 0, []
    while at_s < END_S:
        usual_w = draw.randrange(80, 400)
        found.append((at_s, usual_w))
        at_s += int(draw.expovariate(1 / 600)) + 20
        if draw.random() < 0.3:
            found.append((at_s, usual_w + draw.choice((1200, 2000, 2800))))
            at_s += draw.randrange(60, 400)
    return found


def _pump(draw: Random) -> list[tuple[int, int]]:
    """A heat pump that cycles."""
    power_w, at_s, on = draw.randrange(900, 2600), -draw.randrange(2400), draw.random() < 0.5
    found = []
    while at_s < END_S:
        found.append((max(0, at_s), power_w if on else 0))
        at_s, on = at_s + draw.randrange(600, 2400), not on
    return found


def _car(draw: Random, ramps: bool) -> list[tuple[int, int]]:
    found = [(0, CAR_W)]
    if ramps:
        found += [
            (told_s + draw.randint(*FOLLOWS_S), w) for told_s, w in ((RAMP_S, HELD_W), (RETURN_S, CAR_W))
        ]
    return found


def _summed(parts: list[list[tuple[int, int]]]) -> Iterator[tuple[int, int]]:
    """The parts as one; of several steps in one second the last counts."""
    now = [0] * len(parts)
    changes = sorted((at_s, index, power_w) for index, part in enumerate(parts) for at_s, power_w in part)
    for place, (at_s, index, power_w) in enumerate(changes):
        now[index] = power_w
        if place + 1 == len(changes) or changes[place + 1][0] != at_s:
            yield at_s, sum(now)
