"""A home lives through its year, decision by decision, under watch."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

from gateway.core.model import AssetMemory, Memory, Plan
from tests.year.draw import drawn_home
from tests.year.home import Home
from tests.year.nature import DAY_S, START_UTC_S
from tests.year.watch import Watch

DARK_STEP_S = 60.0


def born(seed: int) -> Home:
    """A home at the first second of its year."""
    drawn, appliances, kitchen = drawn_home(seed)
    home = Home(drawn, appliances, kitchen, Random(1000 + seed), began_utc_s=START_UTC_S)
    home.memory = Memory(assets={asset.id: AssetMemory() for asset in drawn.assets})
    home.advance(1.0)
    return home


def live(
    home: Home,
    until_s: float,
    watch: Watch,
    look: Callable[[Home], None] | None = None,
    longest_step_s: float = math.inf,
) -> None:
    """Go on until then."""
    plan = Plan()
    while home.now_s < until_s:
        if home.is_dark():
            dark(home)
            continue
        snapshot, plan = home.turn()
        watch.decided(home, snapshot, plan)
        if look:
            look(home)
        step_s = min(longest_step_s, home.step_s(plan))
        watch.passed(home, plan, step_s)
        home.advance(step_s)


def dark(home: Home) -> None:
    """The hub is down: what it said lasts as long as its leases."""
    left_s = home.drawn.restarts.next_edge_s(home.now_s) - home.now_s
    home.advance(max(0.5, min(DARK_STEP_S, left_s)))


def year(seed: int, days: int) -> tuple[Home, Watch]:
    """One home, so many days, nobody asking for its availability."""
    home, watch = born(seed), Watch()
    live(home, days * DAY_S, watch)
    return home, watch
