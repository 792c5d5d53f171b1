"""What the aggregator holds after a day, and a month, of everything going wrong: all, once, and true."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from gateway.wire.moment import utc_s_of
from tests.daemon.metering_world import DAY_S, STEP_S, Gauge, World, live

Rows = list[dict[str, Any]]


async def _soak(folder: Path, seed: int, days: float, mishaps_a_day: float) -> None:
    print(f"seed {seed}")
    world = World(folder, random.Random(seed))
    await live(world, days * DAY_S, mishaps_a_day)
    print(Counter(what.split()[1] for what in world.happened), f"{world.lives} lives")
    for name, held in world.holding.logs["home-7f3a"].items():
        assert not held.apart, f"{name}: something above {held.seq} is held, and not what is below"
    for verdict in world.heard.verdicts():
        assert verdict.is_whole, verdict.words
    for point, gauge in zip(("boundary", "ev"), world.gauges, strict=True):
        told = [row for (of, _), row in sorted(world.minutes.items()) if of == point]
        assert len(told) >= days * 1440 - 2, "each minute is told, whether or not anything is known of it"
        assert sum(row["quality"] == "OK" for row in told) > len(told) / 4
        _ok_is_true(told, gauge)
        if not gauge.resets:
            _sums(told, gauge)
        halves = [row for (of, _), row in sorted(world.half_hours.items()) if of == point]
        assert len({row["start"] for row in halves}) >= days * 48 - 1
        _ok_is_true([{**row, "energyKwh": _net(row)} for row in halves if row["quality"] == "OK"], gauge)


def _ok_is_true(told: Rows, gauge: Gauge) -> None:
    """What is called OK is what flowed, to what rounding and a slewed second leave; after one that is missing
    to 10 W, below which nobody tells a difference."""
    checked = 0
    for before, row in pairwise([{"quality": "OK"}, *told]):
        edges = [_truth(gauge, utc_s_of(row[name])) for name in ("start", "end")]
        if row["quality"] == "OK" and None not in edges:
            checked += 1
            apart_ws = abs(row["energyKwh"] * 3.6e6 - (edges[1] - edges[0]))  # type: ignore[operator]
            assert apart_ws <= (8 if before["quality"] != "MISSING" else 610), (row, edges)
    assert checked > len(told) / 5


def _truth(gauge: Gauge, utc_s: float) -> float | None:
    """What had flowed by then; None where the clock was set around it."""
    low_s = next((utc_s - back for back in range(int(STEP_S)) if utc_s - back in gauge.truth), None)
    if low_s is None or low_s + STEP_S not in gauge.truth:
        return None
    low, high = gauge.truth[low_s], gauge.truth[low_s + STEP_S]
    return low + (high - low) * (utc_s - low_s) / STEP_S


def _net(half: dict[str, Any]) -> float:
    return float(half["importKwh"] - (half["exportKwh"] or 0))


def _sums(told: Rows, gauge: Gauge) -> None:
    """All that flowed since the first register is told."""
    known = [row for row in told if row["importRegisterKwh"] is not None]
    first, last = known[0], known[-1]
    assert abs(last["importRegisterKwh"] - gauge.import_ws / 3.6e6) < 0.15, "the last register is the meter's"
    net = sum((row["energyKwh"] or 0) + row.get("gapKwh", 0) for row in told[told.index(first) + 1 :])
    steps = [
        (last[f"{way}RegisterKwh"] or 0) - (first[f"{way}RegisterKwh"] or 0) for way in ("import", "export")
    ]
    assert net == pytest.approx(steps[0] - steps[1], abs=3e-6)


@pytest.mark.parametrize("seed", [409, 518493536])  # each found a fault once
async def test_a_bad_day(tmp_path: Path, seed: int) -> None:
    await _soak(tmp_path, seed, days=1, mishaps_a_day=24)


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_a_bad_month(tmp_path: Path) -> None:
    await _soak(tmp_path, random.randrange(2**32), days=30, mishaps_a_day=8)
