"""A run as one picture for the browser: SVG, drawn from the log alone.

From top to bottom: the scenes and how they were judged; what happened; car, heat pump and freezer, each with
its power, what was asked of it, the limit it was held to, and below it what is felt; the boundary.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from gateway.console import svg
from gateway.demo import panel
from gateway.demo.claim import Verdict
from gateway.demo.evidence import Evidence
from gateway.demo.hold import holds
from gateway.demo.log import Observation
from gateway.demo.panel import HEIGHT_BELOW, Scale
from gateway.demo.scenes import scenes
from gateway.demo.setting import CAR_W, EV, FREEZER, FREEZER_W, HEAT, PUMP_W, ROOM_MIN_C
from gateway.demo.story import Mark, asked, marks, reasons, series, stacked

WIDTH = 1200.0
_LEFT, _RIGHT = 100.0, 1180.0
_TITLE_Y, _TOP = 30.0, 66.0
_SCENE_H, _EVENT_H, _GAP = 19.0, 15.0, 22.0
_LETTER = 6.1  # the width of one at 11 px, about
_EVENT_ROWS = 6
_BOUNDARY_H = 144.0
_LAYERS = (
    ("house", "house", "house_w"),
    (FREEZER, "freezer", "freezer_w"),
    (HEAT, "heat pump", "pump_w"),
    (EV, "car", "charger_w"),
)
_TICKS_S = (30.0, 60.0, 300.0, 600.0, 3600.0)
_MOST_TICKS = 14

# What is drawn in it: its colour on light paper, and on dark.
_COLOURS = {
    "paper": ("#ffffff", "#14181d"),
    "ink": ("#1d2733", "#e8edf2"),
    "quiet": ("#667281", "#97a3b0"),
    "grid": ("#e4e9ee", "#2b333c"),
    EV: ("#1769e0", "#5aa2ff"),
    HEAT: ("#cf5f06", "#ff9a4a"),
    FREEZER: ("#0893a8", "#45d3e6"),
    "house": ("#8f9aa6", "#8995a2"),
    "boundary": ("#8b3fc4", "#c38bf0"),
    "passed": ("#17854a", "#3fc97a"),
    "failed": ("#cc2b2b", "#ff6b6b"),
}


def save(observations: Sequence[Observation], path: Path) -> None:
    """Draw a run into a file.

    Raises:
        OSError: it cannot be written.
    """
    path.write_text(drawing(observations), encoding="utf-8")


def drawing(observations: Sequence[Observation]) -> str:
    """The SVG of a run."""
    log = sorted(observations, key=lambda one: one.at_utc_s)
    begin = log[0].at_utc_s if log else 0.0
    scale = Scale(begin, max(log[-1].at_utc_s if log else 0.0, begin + 1.0), _LEFT, _RIGHT)
    verdicts = scenes(log)
    y = _TOP
    body = [_scenes(log, verdicts, scale, y)]
    y += _SCENE_H * len(verdicts) + _GAP
    events, lines = _events(marks(log), scale, y)
    y += _EVENT_H * _EVENT_ROWS + 8.0
    first_y = y
    panels, y = _panels(log, scale, y)
    grid = _grid(scale, first_y - 4.0, y - 8.0)
    across = [
        svg.element("path", d=f"M{x:.1f} {first_y - 4.0:.1f}V{y - 8.0:.1f}", class_=c) for x, c in lines
    ]
    head = [*_head(begin, scale, verdicts), *_legend()]
    paper = svg.element("rect", width=WIDTH, height=y + 20.0, class_="paper")
    return (
        svg.element(
            "svg",
            [_style(), paper, *head, grid, *body, *across, *panels, events],
            xmlns="http://www.w3.org/2000/svg",
            viewBox=f"0 0 {WIDTH:g} {y + 20.0:g}",
            font_family="system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif",
            font_size="11",
            role="img",
        )
        + "\n"
    )


def _head(begin_utc_s: float, scale: Scale, verdicts: Sequence[Verdict]) -> Iterable[str]:
    passed = sum(verdict.passed for verdict in verdicts)
    at = datetime.fromtimestamp(begin_utc_s, UTC)
    yield svg.words("homeflex demo", _LEFT, _TITLE_Y, "ink title")
    yield svg.words(
        f"{at:%Y-%m-%d %H:%M:%S} UTC, {scale.lasts_s:.0f} s, {passed} of {len(verdicts)} scenes passed",
        _LEFT,
        _TITLE_Y + 18.0,
        "quiet" if passed == len(verdicts) else "failed",
    )


def _legend() -> Iterable[str]:
    """What the marks of the panels mean, right of the title."""
    y, x = _TITLE_Y + 18.0, _RIGHT
    for words, class_, height in (
        ("why not, in words", "failed", 0.0),
        ("in force at the device: not above", "ink light", 10.0),
        ("asked by the aggregator", "boundary half", 6.0),
    ):
        x -= _LETTER * len(words) + 34.0
        if height:
            yield svg.element("rect", x=x, y=y - 9.0, width=12.0, height=height, class_=class_)
        else:
            yield svg.element("circle", cx=x + 6.0, cy=y - 4.0, r=2.6, class_=class_)
        yield svg.words(words, x + 18.0, y, "quiet")


def _style() -> str:
    return f"<style>{_rules(0)}@media (prefers-color-scheme: dark){{{_rules(1)}}}{_FIXED}</style>"


_FIXED = (
    ".title{font-size:20px;font-weight:600}.name{font-size:13px;font-weight:600}.strong{font-weight:600}"
    ".line{fill:none;stroke-width:1.6;stroke-linejoin:round}.thin{fill:none;stroke-width:1.2}"
    ".hair{fill:none;stroke-width:.8}.dash{stroke-dasharray:5 3}.dot{stroke-dasharray:1 3}"
    ".light{fill-opacity:.16}.faint{fill-opacity:.09}.half{fill-opacity:.72}.end{text-anchor:end}"
    ".grid{stroke-width:1}.none{fill:none}"
    ".halo{paint-order:stroke;stroke-width:3px;stroke-linejoin:round}"
)


def _rules(paper: int) -> str:
    """Each name colours text and areas; as `s-<name>` it colours lines."""
    return "".join(
        f".{name}{{fill:{colours[paper]}}}.s-{name}{{stroke:{colours[paper]}}}"
        for name, colours in _COLOURS.items()
    )


def _grid(scale: Scale, top: float, bottom: float) -> str:
    found = []
    step_s = next((step for step in _TICKS_S if scale.lasts_s / step <= _MOST_TICKS), scale.lasts_s / 10)
    for n in range(int(scale.lasts_s // step_s) + 1):
        x = scale.x(scale.begin_utc_s + n * step_s)
        found.append(svg.element("path", d=f"M{x:.1f} {top:.1f}V{bottom:.1f}", class_="grid s-grid none"))
        minutes, seconds = divmod(int(n * step_s), 60)
        found.append(svg.words(f"{minutes}:{seconds:02d}", x, bottom + 14.0, "quiet", text_anchor="middle"))
    return "".join(found)


# --- scenes and events ---


def _scenes(log: Sequence[Observation], verdicts: Sequence[Verdict], scale: Scale, top: float) -> str:
    seen, found = Evidence(log), []
    for row, verdict in enumerate(verdicts):
        y = top + row * _SCENE_H
        span = seen.scene(verdict.number)
        class_ = "passed" if verdict.passed else "failed"
        said = f"{verdict.number}  {verdict.title}: {'PASSED' if verdict.passed else 'FAILED'}"
        if span is None:
            found.append(svg.words(f"{said}, not played to its end", _LEFT, y + 12.0, class_))
            continue
        x, until_x = scale.x(span[0]), scale.x(span[1])
        claims = "\n".join(f"{'yes' if c.holds else 'NO '} {c.text}" for c in verdict.claims)
        hint = svg.hint(f"{said}\n{claims}")
        width = max(2.0, until_x - x)
        found.append(
            svg.element("rect", [hint], x=x, y=y, width=width, height=_SCENE_H - 4.0, rx=3, class_=class_)
        )
        is_right = until_x + 8.0 + _LETTER * len(said) < _RIGHT or x - _LEFT < _RIGHT - until_x
        at_x, side = (until_x + 8.0, "") if is_right else (x - 8.0, " end")
        found.append(svg.words(said, at_x, y + 12.0, f"ink{side}"))
    return "".join(found)


def _events(found: Iterable[Mark], scale: Scale, top: float) -> tuple[str, list[tuple[float, str]]]:
    """The words of what happened, in as many rows as it takes, and the lines that go down from them."""
    free_x = [_LEFT] * _EVENT_ROWS
    said, lines = [], []
    for mark in sorted(found, key=lambda one: one.at_utc_s):
        x, width = scale.x(mark.at_utc_s), _LETTER * len(mark.text) + 14.0
        is_late = x + width > _RIGHT
        begin_x = x - width if is_late else x
        row = panel.row_at(begin_x, free_x)
        free_x[row] = begin_x + width
        y, class_ = top + row * _EVENT_H, "failed" if mark.is_bad else "ink"
        text_x, side = (x - 6.0, " end") if is_late else (x + 6.0, "")
        said.append(svg.words(mark.text, text_x, y + 10.0, f"{class_} halo s-paper{side}"))
        said.append(svg.element("circle", cx=x, cy=y + 6.0, r=2.6, class_=class_))
        said.append(
            svg.element(
                "path",
                d=f"M{x:.1f} {y + 9.0:.1f}V{top + _EVENT_ROWS * _EVENT_H + 4.0:.1f}",
                class_=f"hair dot s-{class_} none",
            )
        )
        lines.append((x, f"hair dot s-{class_} none"))
    return "".join(said), lines


# --- the panels ---


def _panels(log: Sequence[Observation], scale: Scale, y: float) -> tuple[list[str], float]:
    """Every panel, and where the last one ends."""
    in_force, wanted, why = holds(log), asked(log), reasons(log)
    found = []
    for asset, name, fact, height, full_w, below in (
        (EV, "car", "charger_w", 126.0, CAR_W, panel.Below("battery", "car_soc", "%", 100.0)),
        (HEAT, "heat pump", "pump_w", 92.0, PUMP_W, panel.Below("room", "room_c", "°C", 1.0, ROOM_MIN_C)),
        (FREEZER, "freezer", "freezer_w", 70.0, FREEZER_W, panel.Below("inside", "freezer_c", "°C", 1.0)),
    ):
        load = panel.Load(asset, name, series(log, fact), full_w)
        mine = (
            [one for one in wanted if one.asset == asset],
            [one for one in in_force if one.asset == asset],
            [one for one in why if one.asset == asset],
        )
        drawn, bottom = panel.load(load, scale, y, height, *mine)
        found.append(drawn)
        y = bottom + 6.0
        found.append(panel.below(below, series(log, below.fact), asset, scale, y))
        y += HEIGHT_BELOW + _GAP
    sums = stacked(log, [fact for _, _, fact in _LAYERS])
    found.append(panel.boundary([layer[:2] for layer in _LAYERS], sums, scale, y, y + _BOUNDARY_H))
    return found, y + _BOUNDARY_H + 18.0
