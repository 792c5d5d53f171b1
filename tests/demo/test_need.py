"""The judge's own arithmetic of what a car needs by an hour."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.demo.evidence import Evidence, Second
from gateway.demo.judge.need import Need, need
from gateway.demo.log import Observation

CONFIGURATION = """\
[site]
zone = "Europe/London"
[asset.ev.charge]
battery_kwh = 10.0
target_soc = 0.8
ready_by = "{hour}"
efficiency = 0.5
"""


def _run(at: datetime, hour: str, *words: str) -> Evidence:
    def seen(kind: str, **facts: Any) -> Observation:
        return Observation(at.timestamp(), kind, facts)

    said: dict[str, Any] = {"arguments": [*words], "scene": 4}
    return Evidence(
        [
            seen("configured", text=CONFIGURATION.format(hour=hour)),
            seen("command", what="given", code=None, output="", **said),
        ]
    )


def _drawing(begin: int, power_w: float) -> list[Second]:
    return [Second(float(begin + n), 0.0, 20.0, power_w, 0.0, True) for n in range(11)]


@pytest.mark.parametrize(
    ("at", "hour", "ready"),
    [
        (datetime(2026, 1, 5, 6, 59, 30, tzinfo=UTC), "07:00", datetime(2026, 1, 5, 7, 0, tzinfo=UTC)),
        (datetime(2026, 1, 5, 7, 0, 0, tzinfo=UTC), "07:00", datetime(2026, 1, 6, 7, 0, tzinfo=UTC)),
        (datetime(2026, 7, 5, 5, 30, 0, tzinfo=UTC), "07:00", datetime(2026, 7, 5, 6, 0, tzinfo=UTC)),
        # the night the clock goes back: 00:30 of that day is before the change
        (datetime(2026, 10, 24, 23, 45, tzinfo=UTC), "07:00", datetime(2026, 10, 25, 7, 0, tzinfo=UTC)),
    ],
)
def test_the_hour_is_the_next_one_on_the_households_clock(at: datetime, hour: str, ready: datetime) -> None:
    found = need(_run(at, hour, "soc", "60", "ev"), 4)
    assert found
    assert datetime.fromtimestamp(found.ready_utc_s, UTC) == ready


def test_a_fifth_of_ten_kilowatt_hours_at_half_efficiency_is_four() -> None:
    found = need(_run(datetime(2026, 1, 5, tzinfo=UTC), "07:00", "soc", "60", "ev"), 4)
    assert found
    assert found.energy_ws == pytest.approx(4 * 3.6e6)


@pytest.mark.parametrize("words", [("override", "heat"), ()])
def test_without_the_households_word_nothing_is_needed(words: tuple[str, ...]) -> None:
    assert need(_run(datetime(2026, 1, 5, tzinfo=UTC), "07:00", *words), 4) is None


def test_what_is_left_falls_by_what_was_drawn_and_so_does_the_time() -> None:
    wanted = Need(since_utc_s=1000.0, ready_utc_s=1100.0, at="07:00", energy_ws=100_000.0)
    left = wanted.left_ws([*_drawing(990, 5000.0)[:-1], *_drawing(1000, 2000.0)])
    assert [(s.at_utc_s, ws) for s, ws in left][:2] == [(1000.0, 100_000.0), (1001.0, 98_000.0)]
    assert left[-1] == (_drawing(1000, 2000.0)[9], 82_000.0)
    assert wanted.power_w(82_000.0, 1018.0) == 1000.0
    assert wanted.spare_s(58_880.0, 1080.0) == pytest.approx(10.0)  # at 0.8 of 7.36 kW it takes 10 s
