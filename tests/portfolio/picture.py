"""The plots of the page, as SVG: readable in light and dark, by what stands at each line."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from gateway.console import svg
from tests.portfolio.home import RAMP_S
from tests.portfolio.study import Study
from tests.portfolio.table import Portfolios

WIDTH, HEIGHT = 860.0, 380.0
LEFT, RIGHT, TOP, BOTTOM = 64.0, 690.0, 40.0, 340.0
COLOURS = ("#667281", "#cc2b2b", "#cf5f06", "#17854a", "#1769e0")
_STYLE = (
    "<style>text{fill:#1d2733}.paper{fill:#fff}.grid{stroke:#d5dbe1;fill:none}.title{font-weight:600}"
    "@media (prefers-color-scheme:dark){text{fill:#e8edf2}.paper{fill:#14181d}.grid{stroke:#39424c}}</style>"
)
Point = tuple[float, float]
Line = tuple[str, Sequence[Point]]


def ramp(one: Study, names: Sequence[str], title: str) -> str:
    """What happened from a minute before the ramp until three after it, in MW."""
    seconds = range(RAMP_S - 60, RAMP_S + 180)
    lines: list[Line] = [("true", [(s - RAMP_S, one.truth[s] / 1e6) for s in seconds])]
    lines += [(name, [(s - RAMP_S, one.estimates[name][s] / 1e6) for s in seconds]) for name in names]
    top = max(y for _, points in lines for _, y in points)
    return _plot(title, lines, (-60.0, 180.0, 60.0), (0.0, top * 1.05), "s after the dispatch", "MW")


def schemes(studies: Iterable[Study], name: str, title: str) -> str:
    """The same estimator with each scheme of offsets."""
    found = list(studies)
    seconds = range(RAMP_S - 60, RAMP_S + 180)
    lines: list[Line] = [("true", [(s - RAMP_S, found[0].truth[s] / 1e6) for s in seconds])]
    lines += [
        (f"offsets {one.scheme}", [(s - RAMP_S, one.estimates[name][s] / 1e6) for s in seconds])
        for one in found
    ]
    top = max(y for _, points in lines for _, y in points)
    return _plot(title, lines, (-60.0, 180.0, 60.0), (0.0, top * 1.05), "s after the dispatch", "MW")


def sizes(found: Portfolios, names: Sequence[str], title: str) -> str:
    """The error at steady load by the number of homes; both axes by powers."""
    lines: list[Line] = [("1 %", [(math.log10(count), 0.0) for count in found.by_size])]
    for name in names:
        points = []
        for count, lived in found.by_size.items():
            rms = sum(one[name].steady.rms for one in lived) / len(lived)
            points.append((math.log10(count), math.log10(100 * rms)))
        lines.append((name, points))
    low = math.floor(min(y for _, points in lines for _, y in points))
    marks = (math.log10(min(found.by_size)), math.log10(max(found.by_size)), 1.0)
    return _plot(title, lines, marks, (low, 1.0), "homes (10 to the)", "% (10 to the)")


def _plot(
    title: str,
    lines: Sequence[Line],
    across: tuple[float, float, float],
    up: tuple[float, float],
    x: str,
    y: str,
) -> str:
    (first, last, step), (low, high) = across, up

    def at(point: Point) -> Point:
        return (
            LEFT + (point[0] - first) / (last - first) * (RIGHT - LEFT),
            BOTTOM - (point[1] - low) / (high - low) * (BOTTOM - TOP),
        )

    parts = [_STYLE, svg.element("rect", width=WIDTH, height=HEIGHT, class_="paper")]
    parts.append(svg.words(title, LEFT, 22.0, "title"))
    mark = first
    while mark <= last + 1e-9:
        place = at((mark, low))[0]
        parts.append(svg.element("path", d=svg.path([(place, TOP), (place, BOTTOM)]), class_="grid"))
        parts.append(svg.words(f"{mark:.3g}", place - 8.0, BOTTOM + 18.0, "axis"))
        mark += step
    for index in range(5):
        value = low + (high - low) * index / 4
        height = at((first, value))[1]
        parts.append(svg.element("path", d=svg.path([(LEFT, height), (RIGHT, height)]), class_="grid"))
        parts.append(svg.words(f"{value:.2g}", 24.0, height + 4.0, "axis"))
    parts += [svg.words(y, 24.0, TOP - 8.0, "axis"), svg.words(x, RIGHT - 120.0, BOTTOM + 34.0, "axis")]
    for index, (name, points) in enumerate(lines):
        colour = COLOURS[index % len(COLOURS)]
        placed = [at(point) for point in points]
        parts.append(svg.element("path", d=svg.path(placed), fill="none", stroke=colour, stroke_width="1.8"))
        parts.append(
            svg.element("rect", x=RIGHT + 18.0, y=TOP + 22.0 * index, width=14.0, height=4.0, fill=colour)
        )
        parts.append(svg.words(name, RIGHT + 40.0, TOP + 22.0 * index + 6.0, "name"))
    return (
        svg.element(
            "svg",
            parts,
            xmlns="http://www.w3.org/2000/svg",
            viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}",
            font_family="system-ui, 'DejaVu Sans', sans-serif",
            font_size="12",
            role="img",
        )
        + "\n"
    )
