"""`python -m tests.year [HOMES] [DAYS]`: homes live for so long; it ends with 1 where a limit was broken."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from tests.year.life import year
from tests.year.watch import Watch

HOMES, DAYS = 20, 365


def lived(homes: int, days: int) -> list[Watch]:
    """What was seen in homes of seeds 0, 1, 2..."""
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(_watched, range(homes), [days] * homes))


def told(watches: list[Watch], days: int) -> Iterator[str]:
    """For a person: by asset, energy shifted and switches; by limit, how often it was reached; what broke."""
    home_days = len(watches) * days
    decisions = sum(watch.decisions for watch in watches)
    yield f"{len(watches)} homes, {days} days each, {decisions} decisions"
    yield f"{'asset':10}{'in homes':>10}{'kWh shifted a day':>20}{'switches a day':>17}"
    for asset in sorted({name for watch in watches for name in watch.switches}):
        having = [watch for watch in watches if asset in watch.switches]
        asset_days = len(having) * days
        shifted = sum(watch.shifted_kwh[asset] for watch in having) / asset_days
        switches = sum(watch.switches[asset] for watch in having) / asset_days
        yield f"{asset:10}{len(having):10}{shifted:20.2f}{switches:17.1f}"
    reached = sum((watch.limits for watch in watches), Counter[str]())
    yield "limits reached, a home and day: " + ", ".join(
        f"{name} {times / home_days:.2f}" for name, times in reached.most_common()
    )
    for seed, watch in enumerate(watches):
        yield from (f"home {seed}: {found}" for found in watch.found)
    yield f"limits broken: {sum(len(watch.found) for watch in watches)}"


def _watched(seed: int, days: int) -> Watch:
    return year(seed, days)[1]


def main(arguments: list[str]) -> int:
    """Let them live and tell of it; the exit code."""
    homes, days = (int(given) for given in (arguments + [str(HOMES), str(DAYS)][len(arguments) :]))
    watches = lived(homes, days)
    print("\n".join(told(watches, days)))
    return int(any(watch.found for watch in watches))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
