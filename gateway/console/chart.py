"""Power and limit of a point as a small chart of block characters, 80 columns wide and without colour."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from gateway.console.series import Column

WIDTH = 68  # columns; the scale at their left makes it 80 at most
HEIGHT = 8
LEGEND = "█ power  ─ at most  = window  s setpoint taken  r first response  ? no reading"
_BLOCKS = " ▁▂▃▄▅▆▇█"


def chart(
    columns: Sequence[Column], window_utc_s: tuple[float, float], marks: Mapping[str, float]
) -> list[str]:
    """The lines of the chart, from the top; `marks`: a letter and its time (UTC) below it."""
    known = [w for column in columns for w in (column.power_w, column.limit_w) if w is not None]
    low_w, high_w = min([0.0, *known]), max([1.0, *known])
    levels = [_level(column.power_w, low_w, high_w) for column in columns]
    limits = [_level(column.limit_w, low_w, high_w) for column in columns]
    drawn = [
        _scale(row, low_w, high_w) + "".join(_cell(*pair, row) for pair in zip(levels, limits, strict=True))
        for row in reversed(range(HEIGHT))
    ]
    return [line.rstrip() for line in (*drawn, _ground(columns, window_utc_s, marks))]


def _level(power_w: float | None, low_w: float, high_w: float) -> float | None:
    """Its height in rows."""
    return None if power_w is None else (power_w - low_w) / (high_w - low_w) * HEIGHT


def _cell(level: float | None, limit: float | None, row: int) -> str:
    filled = 0 if level is None else min(8, max(0, math.ceil((level - row) * 8 - 1e-9)))
    if filled:
        return _BLOCKS[filled]
    at_limit = limit is not None and row == min(HEIGHT - 1, math.floor(limit))
    return "─" if at_limit else " "


def _scale(row: int, low_w: float, high_w: float) -> str:
    power_w = {HEIGHT - 1: high_w, 0: low_w}.get(row)
    return f"{'' if power_w is None else f'{power_w / 1000:.2f} kW':>10} "


def _ground(columns: Sequence[Column], window_utc_s: tuple[float, float], marks: Mapping[str, float]) -> str:
    found = []
    for column in columns:
        is_inside = column.start_utc_s < window_utc_s[1] and column.end_utc_s > window_utc_s[0]
        letter = "?" if column.is_missing else "=" if is_inside else " "
        here = [m for m, at in marks.items() if column.start_utc_s <= at < column.end_utc_s]
        found.append(here[-1] if here else letter)
    return " " * 11 + "".join(found)
