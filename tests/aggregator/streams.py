"""Honest streams of minute readings, written by the contract alone, in whole millionths of a kWh."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from gateway.aggregator.heard import Heard
from tests.wire.bodies import NOW_UTC_S, moment

SITE, STREAM = "home-7f3a", "01JDC0W3Q8Z5"


def kwh(micro: int) -> float:
    return micro / 1e6


@dataclass(frozen=True)
class Step:
    """What one minute brings: millionths of a kWh in and out, or no data."""

    imported: int
    exported: int
    is_missing: bool


@st.composite
def streams(draw: st.DrawFn) -> list[dict[str, Any]]:
    """The readings of one point, 2 to 30 minutes."""
    steps = draw(
        st.lists(
            st.builds(
                Step, st.integers(0, 10**6), st.integers(0, 10**6), st.sampled_from([False, False, True])
            ),
            min_size=2,
            max_size=30,
        )
    )
    has_export = draw(st.booleans())
    return readings(steps, has_export, first_seq=draw(st.integers(1, 10**6)))


def readings(steps: list[Step], has_export: bool = False, first_seq: int = 1) -> list[dict[str, Any]]:
    imported, exported, gap, found = 4_211_902_000, 90_100_000, 0, []
    for n, step in enumerate(steps):
        imported += step.imported
        exported += step.exported * has_export
        net = step.imported - step.exported * has_export
        one: dict[str, Any] = {
            "seq": first_seq + n,
            "start": moment(NOW_UTC_S + 60 * n),
            "end": moment(NOW_UTC_S + 60 * n + 60),
            "powerKw": 1.0,
            "energyKwh": kwh(net),
            "importRegisterKwh": kwh(imported),
            "exportRegisterKwh": kwh(exported) if has_export else None,
            "quality": "OK",
            "reasons": [],
        }
        if step.is_missing:
            gap += net
            blank = {"powerKw": None, "energyKwh": None, "importRegisterKwh": None, "exportRegisterKwh": None}
            one |= {**blank, "quality": "MISSING", "reasons": ["deviceOffline"]}
        elif gap:
            one["gapKwh"], gap = kwh(gap), 0
        found.append(one)
    return found


def telemetry(
    *found: dict[str, Any], backfill: bool = False, point: str = "ev", at_utc_s: float = NOW_UTC_S
) -> Heard:
    points = {point: {"stream": STREAM, "readings": [*found]}}
    body = {"schema": "homeflex.telemetry.v1", "site": SITE, "backfill": backfill, "points": points}
    return Heard(f"homeflex/v1/{SITE}/telemetry", json.dumps(body).encode(), False, at_utc_s)
