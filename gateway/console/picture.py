"""The evidence of an instruction as a picture (SVG), a panel a point: power, limit, window, response."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from gateway.console import svg
from gateway.console.answers import MinuteLine, Report
from gateway.console.series import MINUTE_S, Column, columns, utc_s

WIDTH, PANEL, GAP = 900.0, 150.0, 46.0
LEFT, RIGHT, TOP = 76.0, 880.0, 64.0
COLUMNS_MAX = 1500  # a day, and its margins, by the minute
_STYLE = (
    "<style>text{fill:#1d2733}.paper{fill:#fff}.window{fill:#1769e0;fill-opacity:.08}"
    ".power{fill:#1769e0;fill-opacity:.3}.line{fill:none;stroke:#1769e0;stroke-width:1.6}"
    ".limit{fill:none;stroke:#cf5f06;stroke-width:2;stroke-dasharray:5 3}"
    ".axis{stroke:#97a3b0;fill:none}.mark{stroke:#17854a;fill:none;stroke-width:1.5}"
    ".missing{fill:#cc2b2b;fill-opacity:.25}.quiet{fill:#667281}.title{font-size:18px;font-weight:600}"
    "@media (prefers-color-scheme:dark){text{fill:#e8edf2}.paper{fill:#14181d}.quiet{fill:#97a3b0}}</style>"
)


def picture(report: Report, minutes: Mapping[str, Sequence[MinuteLine]]) -> str:
    """The SVG of a report with the minutes of its points."""
    height = TOP + len(minutes) * (PANEL + GAP)
    panels = [
        _panel(report, point, found, TOP + index * (PANEL + GAP))
        for index, (point, found) in enumerate(minutes.items())
    ]
    paper = svg.element("rect", width=WIDTH, height=height, class_="paper")
    return (
        svg.element(
            "svg",
            [_STYLE, paper, *_head(report), *panels],
            xmlns="http://www.w3.org/2000/svg",
            viewBox=f"0 0 {WIDTH:g} {height:g}",
            font_family="system-ui, 'DejaVu Sans', sans-serif",
            font_size="12",
            role="img",
        )
        + "\n"
    )


def _head(report: Report) -> Iterable[str]:
    yield svg.words(f"{report['id']}: {report['asked']}", LEFT, 26.0, "title")
    said = (
        f"{report['service']}, {report['start']} to {report['end'][11:19]}, delay {report['start_delay_s']} s"
    )
    yield svg.words(
        f"{said}; blue: power, orange: at most, green: set and first response", LEFT, 44.0, "quiet"
    )


def _panel(report: Report, point: str, minutes: Sequence[MinuteLine], top: float) -> str:
    scale, found = _scale(report, minutes, top)
    begin, end = scale.x(utc_s(report["start"])), scale.x(utc_s(report["end"]))
    window = svg.element("rect", x=begin, y=top, width=end - begin, height=PANEL, class_="window")
    struck = [_mark(words, scale.x(at), top) for words, at in marks(report, point).items()]
    return svg.element("g", [window, *_curves(found, scale), *struck, *_axes(report, point, scale)])


class _Scale(NamedTuple):
    """Where a time (UTC) and a power (W) are in a panel."""

    since_utc_s: float
    until_utc_s: float
    low_w: float
    high_w: float
    top: float

    def x(self, at_utc_s: float) -> float:
        share = (at_utc_s - self.since_utc_s) / (self.until_utc_s - self.since_utc_s)
        return LEFT + (RIGHT - LEFT) * min(1.0, max(0.0, share))

    def y(self, power_w: float) -> float:
        return self.top + PANEL * (self.high_w - power_w) / (self.high_w - self.low_w)


def _scale(report: Report, minutes: Sequence[MinuteLine], top: float) -> tuple[_Scale, list[Column]]:
    since, until = utc_s(report["since"]), utc_s(report["until"])
    until = max(until, since + MINUTE_S)
    found = columns(minutes, since, until, COLUMNS_MAX)
    known = [w for column in found for w in (column.power_w, column.limit_w) if w is not None]
    return _Scale(since, until, min([0.0, *known]), max([1.0, *known]), top), found


def _curves(found: Sequence[Column], scale: _Scale) -> Iterator[str]:
    """Power as an area under a line, what it was held to as a dashed one, minutes unknown at the bottom."""
    for run in _runs((column, column.power_w) for column in found):
        corners = _corners(run, scale)
        ground = [(corners[-1][0], scale.y(0.0)), (corners[0][0], scale.y(0.0))]
        yield svg.element("path", d=svg.path([*corners, *ground], is_closed=True), class_="power")
        yield svg.element("path", d=svg.path(corners), class_="line")
    for run in _runs((column, column.limit_w) for column in found):
        yield svg.element("path", d=svg.path(_corners(run, scale)), class_="limit")
    for column in found:
        if column.is_missing:
            x, until_x = scale.x(column.start_utc_s), scale.x(column.end_utc_s)
            y = scale.top + PANEL - 6.0
            yield svg.element("rect", x=x, y=y, width=until_x - x, height=6.0, class_="missing")


def _runs(found: Iterable[tuple[Column, float | None]]) -> Iterator[list[tuple[Column, float]]]:
    """Neighbours whose value is known, each run apart."""
    for is_known, run in itertools.groupby(found, key=lambda pair: pair[1] is not None):
        if is_known:
            yield [(column, value) for column, value in run if value is not None]


def _corners(run: Iterable[tuple[Column, float]], scale: _Scale) -> list[svg.Point]:
    return [(scale.x(at), scale.y(w)) for column, w in run for at in (column.start_utc_s, column.end_utc_s)]


def _mark(words: str, x: float, top: float) -> str:
    return svg.element("path", [svg.hint(words)], d=svg.path([(x, top), (x, top + PANEL)]), class_="mark")


def _axes(report: Report, point: str, scale: _Scale) -> Iterator[str]:
    top, bottom = scale.top, scale.top + PANEL
    yield svg.element("path", d=svg.path([(LEFT, top), (LEFT, bottom), (RIGHT, bottom)]), class_="axis")
    for power_w, y in ((scale.high_w, top + 10.0), (scale.low_w, bottom)):
        yield svg.words(f"{power_w / 1000:.2f} kW", LEFT - 6.0, y, "quiet", text_anchor="end")
    yield svg.words(point, LEFT + 6.0, top + 14.0, "name")
    yield svg.words(report["since"][11:19], LEFT, bottom + 16.0, "quiet")
    yield svg.words(report["until"][11:19], RIGHT, bottom + 16.0, "quiet", text_anchor="end")


def marks(report: Report, point: str) -> dict[str, float]:
    """What happened at a point, in words, and when (UTC)."""
    found: dict[str, float] = {}
    for asset in report["assets"]:
        if asset["asset"] != point:
            continue
        if asset["setting"]:
            found["setpoint taken"] = utc_s(asset["setting"]["at"])
        if asset["response"]:
            found["first response"] = utc_s(asset["response"]["at"])
    return found
