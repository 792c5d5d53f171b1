"""`python -m tests.year.honesty [HOMES] [DAYS]`: what a home offers is called, at moments of its year, in a
fork of it in which nobody asks or takes back anything.

Delivered: how much of what was offered was held. Offered: how much was offered of what the home could hold by
its rules and its real physics.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from random import Random

from gateway.core.availability import Scoped, scopes
from gateway.core.model import Instruction, Kind, Plan, Scope, Step
from tests.year.appliance import Car
from tests.year.home import Home
from tests.year.life import born, live
from tests.year.nature import DAY_S, HOUR_S
from tests.year.watch import Watch

CALLED_S = 4 * HOUR_S  # longer is nothing called for
EVERY_S = 5 * HOUR_S
LATE_S = 900.0  # a pump that has started again meanwhile runs for its minimum first
DELIVERED, OFFERED = 0.98, 0.90  # what is promised, by class


@dataclass(frozen=True, slots=True)
class Call:
    """What was offered (s, watts below what it drew), and for how long it was held until it first was not."""

    target: str
    at_day: float
    offered_s: float
    held_s: float
    until: str
    why: str

    @property
    def delivered_s(self) -> float:
        """How much of what was offered was held."""
        return min(self.offered_s, self.held_s)


def calls(seed: int, days: int) -> list[Call]:
    """Every offer of every asset, each few hours, called and watched."""
    found: list[Call] = []
    when, home = Random(seed), born(seed)
    asks = [when.expovariate(1 / EVERY_S)]

    def look(home: Home) -> None:
        if home.now_s < asks[0]:
            return
        asks[0] = home.now_s + when.expovariate(1 / EVERY_S)
        if home.clock_trusted:
            found.extend(_called(home))

    live(home, days * DAY_S, Watch(), look)
    return found


def shares(found: list[Call]) -> dict[str, tuple[float, float, int]]:
    """By target: delivered of the offered, offered of the possible, and how many calls."""
    by_target: dict[str, list[Call]] = defaultdict(list)
    for call in found:
        by_target[call.target].append(call)
    return {
        target: (
            _share(sum(c.delivered_s for c in mine), sum(c.offered_s for c in mine)),
            _share(sum(c.delivered_s for c in mine), sum(c.held_s for c in mine)),
            len(mine),
        )
        for target, mine in sorted(by_target.items())
    }


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 1.0


def _called(home: Home) -> Iterator[Call]:
    own = (s for s in scopes(home.snapshot()) if s.target.startswith("asset:") and s.connected)
    yield from filter(None, (_held(home.fork(), scoped) for scoped in own))


def _held(home: Home, scoped: Scoped) -> Call | None:
    """The fork under the call: until it is first not held as low, or `CALLED_S`. None: a device or the hub
    fell silent meanwhile, or the car left, which nobody can foresee."""
    id_, offer, began_s = scoped.target.removeprefix("asset:"), scoped.down, home.now_s
    home.takes_s = home.asks_s = home.now_s + 10 * DAY_S
    home.instructions = (_call(home, id_, round(offer.to_w) if offer.for_s else 0),)
    plan, held_from_s, why = Plan(), None, ""
    wanted_s = offer.after_s if offer.for_s else 0.0
    while home.now_s - began_s < CALLED_S + wanted_s:
        if home.is_dark() or _is_amiss(home) or _is_gone(home, id_):
            return None
        _, plan = home.turn()
        setpoint = plan.setpoint(id_)
        assert setpoint
        is_held = (
            setpoint.at_most_w is not None and setpoint.at_most_w <= home.instructions[0].steps[0].power_w
        )
        if is_held and held_from_s is None:
            held_from_s = home.now_s
        if not is_held and (held_from_s is not None or home.now_s - began_s > wanted_s + LATE_S):
            why = setpoint.text
            break
        home.advance(home.step_s(plan))
    held_s = 0.0 if held_from_s is None else home.now_s - held_from_s
    offered_s = min(CALLED_S, offer.for_s)
    asset_class = next(a.asset_class for a in home.drawn.assets if a.id == id_)
    return Call(asset_class, began_s / DAY_S, offered_s, min(CALLED_S, held_s), f"{id_} {offer.until}", why)


def _is_gone(home: Home, id_: str) -> bool:
    appliance = home.appliances[id_]
    return isinstance(appliance, Car) and not appliance.there


def _is_amiss(home: Home) -> bool:
    spells = (*home.drawn.gaps.values(), home.drawn.clock_wrong, home.drawn.clock_jumps)
    return any(spell.at(home.now_s) for spell in spells)


def _call(home: Home, id_: str, power_w: int) -> Instruction:
    step = Step(home.utc_s, home.utc_s + 2 * DAY_S, Kind.CAP, power_w)
    return Instruction("call", 0, "", "response", 0, home.utc_s, Scope((f"asset:{id_}",), (id_,)), (step,))


def main(arguments: list[str]) -> int:
    """The table, by class; 1 where a promise is broken."""
    homes, days = (int(given) for given in (arguments + ["20", "60"][len(arguments) :]))
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        found = [call for mine in pool.map(calls, range(homes), [days] * homes) for call in mine]
    for target, (delivered, offered, times) in shares(found).items():
        print(f"{target:8}{times:7} calls  delivered {delivered:6.1%}  offered {offered:6.1%}")
    worst = sorted(found, key=lambda c: c.delivered_s - c.offered_s)[:12]
    shy = sorted(found, key=lambda c: c.delivered_s - c.held_s)[:12]
    for call in (*worst, *shy):
        print(call)
    return int(any(d < DELIVERED or o < OFFERED for d, o, _ in shares(found).values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
