"""`python -m tests.year.honesty [HOMES] [DAYS]`: what a home offers is called, at moments of its year, in a
fork of it in which nobody asks or takes back anything.

Delivered: how much of what was offered was held. Offered: how much was offered of what the home could hold by
its rules and its real physics.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from random import Random

from gateway.core.availability import Offer, Scoped, scopes
from gateway.core.fuse import assets_power_w
from gateway.core.model import Asset, Instruction, Kind, Plan, Scope, Step
from tests.year.appliance import Car
from tests.year.home import Home
from tests.year.life import born, live
from tests.year.nature import DAY_S, HOUR_S
from tests.year.watch import Watch

CALLED_S = 4 * HOUR_S  # longer is nothing called for
EVERY_S = 5 * HOUR_S
LATE_S = 900.0  # a pump that has started again meanwhile runs for its minimum first
ROUNDING_W = 50  # of what a meter shows of the rest of the home, and of levels
UP_SHARE = 0.9  # contract, "Followed": a floor is kept within a tenth
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
    """Each asset's and each class's offers, and the site's downwards. A class of one asset is that asset."""
    snapshot = home.snapshot()
    for scoped in scopes(snapshot):
        members = _members(home, scoped.target)
        if not scoped.connected or (scoped.target.startswith("class:") and len(members) == 1):
            continue
        if scoped.target == "site":
            base_w = (scoped.now_w or 0.0) - assets_power_w(snapshot)
            yield from filter(None, [_held_site(home.fork(), scoped, members, base_w)])
            continue
        yield from filter(None, [_held(home.fork(), scoped, members), _raised(home.fork(), scoped, members)])


def _held(home: Home, scoped: Scoped, members: list[Asset]) -> Call | None:
    """Until they are first not held as low together."""
    offer, ids = scoped.down, [asset.id for asset in members]
    called_w = round(offer.to_w) if offer.for_s else 0

    def is_so(plan: Plan) -> bool:
        levels_w = [s.at_most_w for s in plan.setpoints if s.asset in ids]
        return None not in levels_w and sum(w for w in levels_w if w is not None) <= called_w

    return _until_not(home, members, offer, f"{_kind(scoped, members)} down", Kind.CAP, called_w, is_so)


def _held_site(home: Home, scoped: Scoped, members: list[Asset], base_w: float) -> Call | None:
    """Until its assets may first draw more together than was offered beside its base load, and than the rest
    of the home leaves: what that draws is nobody's promise."""
    offer, nominal_w = scoped.down, {asset.id: asset.nominal_w for asset in members}
    called_w = max(0, round(offer.to_w)) if offer.for_s else 0
    offered_w = offer.to_w - base_w if offer.for_s else 0.0

    def is_so(plan: Plan) -> bool:
        levels_w = (nominal_w[s.asset] if s.at_most_w is None else s.at_most_w for s in plan.setpoints)
        return sum(levels_w) <= max(offered_w, called_w - home.kitchen.power_w) + ROUNDING_W

    return _until_not(home, members, offer, "site down", Kind.CAP, called_w, is_so, site=True)


def _raised(home: Home, scoped: Scoped, members: list[Asset]) -> Call | None:
    """Until they first draw less together than was offered, but for what a device ramps and rounds."""
    offer = scoped.up
    if not offer.for_s:
        return None

    def is_so(_plan: Plan) -> bool:
        return sum(home.appliances[a.id].power_w for a in members) >= UP_SHARE * offer.to_w

    name = f"{_kind(scoped, members)} up"
    return _until_not(home, members, offer, name, Kind.FLOOR, round(offer.to_w), is_so)


def _until_not(
    home: Home,
    members: list[Asset],
    offer: Offer,
    name: str,
    kind: Kind,
    power_w: int,
    is_so: Callable[[Plan], bool],
    *,
    site: bool = False,
) -> Call | None:
    """The fork under the call, for `CALLED_S` or until it is not so any more: a hold ends with the first
    time, a raise with a quarter of an hour, for a kettle lowers a car for a minute. None: a device or the hub
    fell silent meanwhile, or the car left, which nobody can foresee."""
    began_s, bears_s = home.now_s, 0.0 if kind is Kind.CAP else LATE_S
    home.takes_s = home.asks_s = home.now_s + 10 * DAY_S
    home.instructions = (_call(home, members, kind, power_w, site=site),)
    held_s, not_since_s, why = 0.0, None, ""
    wanted_s = offer.after_s if offer.for_s else 0.0
    while home.now_s - began_s < CALLED_S + wanted_s:
        if home.is_dark() or _is_amiss(home) or any(_is_gone(home, asset.id) for asset in members):
            return None
        _, plan = home.turn()
        step_s, early_s = home.step_s(plan), began_s + wanted_s - home.now_s
        if early_s > 0:  # nothing was promised yet
            step_s = min(step_s, early_s)
        elif is_so(plan):
            held_s, not_since_s = held_s + step_s, None
        else:
            not_since_s = home.now_s if not_since_s is None else not_since_s
            if home.now_s - not_since_s >= (bears_s if held_s else LATE_S):
                why = "; ".join(s.text for s in plan.setpoints if s.asset in {a.id for a in members})
                break
        home.advance(step_s)
    offered_s = min(CALLED_S, offer.for_s)
    until = f"{', '.join(a.id for a in members)} {offer.until}"
    return Call(name, began_s / DAY_S, offered_s, min(CALLED_S, held_s), until, why)


def _kind(scoped: Scoped, members: list[Asset]) -> str:
    """The class; of several assets together in capitals."""
    asset_class = members[0].asset_class.value
    return asset_class if scoped.target.startswith("asset:") else f"all {asset_class}"


def _members(home: Home, target: str) -> list[Asset]:
    """The assets of an asset's, a class's or the site's offer."""
    scope, _, name = target.partition(":")
    assets = home.drawn.assets
    if scope == "site":
        return list(assets)
    return [a for a in assets if name == (a.id if scope == "asset" else a.asset_class.value)]


def _is_gone(home: Home, id_: str) -> bool:
    appliance = home.appliances[id_]
    return isinstance(appliance, Car) and not appliance.there


def _is_amiss(home: Home) -> bool:
    spells = (*home.drawn.gaps.values(), home.drawn.clock_wrong, home.drawn.clock_jumps)
    return any(spell.at(home.now_s) for spell in spells)


def _call(home: Home, members: list[Asset], kind: Kind, power_w: int, *, site: bool) -> Instruction:
    step, ids = Step(home.utc_s, home.utc_s + 2 * DAY_S, kind, power_w), tuple(a.id for a in members)
    scope = Scope(("site",) if site else tuple(f"asset:{id_}" for id_ in ids), ids, site)
    return Instruction("call", 0, "", "response", 0, home.utc_s, scope, (step,))


def main(arguments: list[str]) -> int:
    """The table, by class; 1 where a promise is broken."""
    homes, days = (int(given) for given in (arguments + ["20", "60"][len(arguments) :]))
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        found = [call for mine in pool.map(calls, range(homes), [days] * homes) for call in mine]
    for target, (delivered, offered, times) in shares(found).items():
        print(f"{target:14}{times:7} calls  delivered {delivered:6.1%}  offered {offered:6.1%}")
    worst = sorted(found, key=lambda c: c.delivered_s - c.offered_s)[:12]
    shy = sorted(found, key=lambda c: c.delivered_s - c.held_s)[:12]
    for call in (*worst, *shy):
        print(call)
    return int(any(d < DELIVERED or o < OFFERED for d, o, _ in shares(found).values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
