"""The panels of the plot: the power of a load over time with its limits, what is felt, and the sum of all."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.console import svg
from gateway.demo.hold import Hold
from gateway.demo.story import Asked, Mark, Series, thinned

HEIGHT_BELOW = 40.0
_BOUNDARY_HEADROOM = 24.0
_STRIP = 6.0  # of what was asked, along the top
_LETTER = 6.1
_ROW, _MOST_ROWS = 14.0, 4  # of reasons


@dataclass(frozen=True, slots=True)
class Scale:
    """Where a moment is on the paper."""

    begin_utc_s: float
    end_utc_s: float
    left: float
    right: float

    @property
    def lasts_s(self) -> float:
        """From end to end."""
        return self.end_utc_s - self.begin_utc_s

    @property
    def pixel_s(self) -> float:
        """How long a pixel is."""
        return self.lasts_s / (self.right - self.left)

    def x(self, utc_s: float) -> float:
        """The moment's place; what is outside stays at the edge."""
        share = (utc_s - self.begin_utc_s) / self.lasts_s
        return self.left + min(1.0, max(0.0, share)) * (self.right - self.left)


@dataclass(frozen=True, slots=True)
class Load:
    """What draws power; `full_w` is its nominal power."""

    asset: str
    name: str
    power_w: Series
    full_w: float


@dataclass(frozen=True, slots=True)
class Below:
    """What the household feels of a load: a fact, shown `times` itself; `least` is the household's limit."""

    name: str
    fact: str
    unit: str
    times: float
    least: float | None = None


def load(
    one: Load,
    scale: Scale,
    top: float,
    height: float,
    asked: Iterable[Asked],
    holds: Iterable[Hold],
    reasons: Iterable[Mark],
) -> tuple[str, float]:
    """The power of a load, what was asked of it, what it was held to, and why it was not; where it ends."""
    why, rows = _reasons(reasons, scale, top + _STRIP + 2.0)
    upper = top + _STRIP + 6.0 + _ROW * rows
    bottom = upper + height
    most_w = max(one.full_w, 1.0, *(power_w for _, power_w in one.power_w))

    def y(power_w: float) -> float:
        return upper + height * (1.0 - min(1.0, max(0.0, power_w / most_w)))

    corners = svg.stepped((scale.x(at), y(power_w)) for at, power_w in thinned(one.power_w, scale.pixel_s))
    body = [
        *_frame(one.name, one.asset, scale, top, bottom),
        *_levels(scale, ((one.full_w, y(one.full_w)), (0.0, bottom))),
        *(_hold(hold, scale, top, y(hold.at_most_w)) for hold in holds),
        *(_asked(ask, scale, top, y(ask.at_most_w)) for ask in asked),
    ]
    if corners:
        filled = svg.path([*corners, (corners[-1][0], bottom), (corners[0][0], bottom)], is_closed=True)
        curve = svg.path(corners)
        body.append(svg.element("path", d=filled, class_=f"{one.asset} light"))
        body.append(svg.element("path", d=curve, class_=f"line s-{one.asset}", id=f"{one.asset}-power"))
    return svg.element("g", [*body, why]), bottom


def below(one: Below, found: Series, asset: str, scale: Scale, top: float) -> str:
    """A small curve of what is felt, over the range it had."""
    values = [one.times * value for _, value in found]
    least, most = min(values, default=0.0), max(values, default=1.0)
    if one.least is not None:
        least = min(least, one.least)
    room = max(0.5, 0.1 * (most - least))
    low, high = least - room, most + room

    def y(value: float) -> float:
        return top + HEIGHT_BELOW * (1.0 - (value - low) / (high - low))

    body = list(_frame("", asset, scale, top, top + HEIGHT_BELOW))
    body.append(svg.words(one.name, scale.left - 8.0, top + 14.0, f"{asset} end"))
    if one.least is not None:
        at_y = y(one.least)
        edge = f"M{scale.left:.1f} {at_y:.1f}H{scale.right:.1f}"
        body.append(svg.element("path", d=edge, class_="hair dash s-ink none"))
        body.append(svg.words(f"≥ {one.least:g} {one.unit}", scale.left - 8.0, at_y + 4.0, "quiet end"))
    points = [(scale.x(at), y(one.times * value)) for at, value in thinned(found, scale.pixel_s)]
    if points:
        body.append(svg.element("path", d=svg.path(points), class_=f"thin s-{asset}", id=f"{asset}-felt"))
        for (_, at_y), x, value, side in (
            (points[0], scale.left + 4.0, values[0], ""),
            (points[-1], scale.right - 4.0, values[-1], " end"),
        ):
            text_y = at_y - 5.0 if at_y > top + 16.0 else at_y + 13.0
            body.append(svg.words(f"{value:.1f} {one.unit}", x, text_y, f"quiet halo s-paper{side}"))
    return svg.element("g", body)


def boundary(
    layers: Sequence[tuple[str, str]], sums: Sequence[Series], scale: Scale, top: float, bottom: float
) -> str:
    """What the meter at the supply sees: loads (asset, name) one upon the other; `sums` begins with none."""
    ceiling = top + _BOUNDARY_HEADROOM
    most_w = 1000.0 * max(1, math.ceil(max((value for _, value in sums[-1]), default=0.0) / 1000.0))

    def corners(found: Series) -> list[svg.Point]:
        share = (bottom - ceiling) / most_w
        return svg.stepped(
            (scale.x(at), bottom - share * value) for at, value in thinned(found, scale.pixel_s)
        )

    body = [
        *_frame("boundary", "boundary", scale, top, bottom),
        *_levels(scale, ((most_w, ceiling), (0.0, bottom))),
    ]
    for row, (asset, name) in enumerate(reversed(layers)):
        body.append(svg.words(name, scale.left - 8.0, ceiling + 26.0 + _ROW * row, f"{asset} end"))
    for (asset, name), lower, upper in zip(layers, sums, sums[1:], strict=False):
        around = svg.path([*corners(upper), *reversed(corners(lower))], is_closed=True)
        body.append(svg.element("path", [svg.hint(name)], d=around, class_=f"{asset} half"))
    curve = svg.path(corners(sums[-1]))
    body.append(svg.element("path", d=curve, class_="thin s-boundary", id="boundary-power"))
    return svg.element("g", body)


def row_at(x: float, free_x: Sequence[float]) -> int:
    """The first row that is free from there on, or the one that is free the soonest."""
    return next((row for row, free in enumerate(free_x) if free <= x), free_x.index(min(free_x)))


def _frame(name: str, class_: str, scale: Scale, top: float, bottom: float) -> Iterable[str]:
    sides = f"M{scale.left:.1f} {top:.1f}V{bottom:.1f}H{scale.right:.1f}"
    yield svg.element("path", d=sides, class_="hair s-quiet none")
    yield svg.words(name, scale.left - 8.0, top + 14.0, f"{class_} name end")


def _levels(scale: Scale, levels: Iterable[tuple[float, float]]) -> Iterable[str]:
    for power_w, y in levels:
        yield svg.words(f"{power_w / 1000:.3g} kW", scale.left - 8.0, y + 4.0, "quiet end")


def _hold(hold: Hold, scale: Scale, top: float, at_y: float) -> str:
    """The shaded band above a limit in force: where the load may not be."""
    x, until_x = scale.x(hold.begin_utc_s), scale.x(hold.until_utc_s)
    words = f"held to {hold.at_most_w / 1000:.2f} kW" if hold.at_most_w else "held off"
    hint = svg.hint(f"{words} for {hold.until_utc_s - hold.begin_utc_s:.0f} s")
    width = max(0.5, until_x - x)
    band = svg.element("rect", [hint], x=x, y=top, width=width, height=at_y - top, class_="ink faint")
    edge = svg.element("path", d=f"M{x:.1f} {at_y:.1f}H{until_x:.1f}", class_="thin s-ink none")
    has_room = width > _LETTER * len(words) + 8.0
    return band + edge + (svg.words(words, x + 4.0, at_y - 4.0, "quiet halo s-paper") if has_room else "")


def _asked(asked: Asked, scale: Scale, top: float, at_y: float) -> str:
    """A strip for as long as it was asked, and the line it asked for where it is for this load alone."""
    x, until_x = scale.x(asked.begin_utc_s), scale.x(asked.end_utc_s)
    whose = " together" if asked.is_shared else ""
    hint = svg.hint(f"asked: at most {asked.at_most_w / 1000:g} kW{whose}")
    width = max(1.0, until_x - x)
    strip = svg.element("rect", [hint], x=x, y=top, width=width, height=_STRIP, class_="boundary half")
    if asked.is_shared:
        return strip
    line = f"M{x:.1f} {at_y:.1f}H{until_x:.1f}"
    return strip + svg.element("path", d=line, class_="thin dash s-boundary none")


def _reasons(found: Iterable[Mark], scale: Scale, top: float) -> tuple[str, int]:
    """Why, in words, where it was told, each in a row that is free there; and how many rows that takes."""
    free_x = [scale.left] * _MOST_ROWS
    said, rows = [], 0
    for mark in sorted(found, key=lambda one: one.at_utc_s):
        x, width = scale.x(mark.at_utc_s), _LETTER * len(mark.text) + 14.0
        is_late = x + width > scale.right
        begin_x = x - width if is_late else x
        row = row_at(begin_x, free_x)
        free_x[row], rows = begin_x + width, max(rows, row + 1)
        y, side = top + _ROW * row, " end" if is_late else ""
        said.append(svg.element("circle", cx=x, cy=y + 6.0, r=2.6, class_="failed"))
        said.append(svg.words(mark.text, x - 6.0 if is_late else x + 6.0, y + 10.0, f"ink{side}"))
    return "".join(said), rows
