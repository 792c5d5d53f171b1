"""The plot of a run, read back from its SVG: what is drawn is what was seen, whatever the log says."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from gateway.console import svg
from gateway.demo import plot
from gateway.demo.log import Observation
from gateway.demo.story import asked, marks, reasons
from tests.demo import runs

Run = list[Observation]
SVG = "{http://www.w3.org/2000/svg}"
MOVES = re.compile(r"([MLHVZ])(-?[\d.e+-]+)?(?: (-?[\d.e+-]+))?")


class Drawing:
    """An SVG opened for reading: its texts, its curves, and its axes as a reader would use them."""

    def __init__(self, run: Run) -> None:
        self.text = plot.drawing(run)
        self.root = ElementTree.fromstring(self.text)
        ticks = {words: x for words, x, _ in self.texts() if re.fullmatch(r"\d+:\d\d", words)}
        self._zero_x, (last, last_x) = ticks["0:00"], list(ticks.items())[-1]
        minutes, seconds = map(int, last.split(":"))
        self._px_per_s = (last_x - self._zero_x) / (60 * minutes + seconds) if last_x > self._zero_x else 1.0

    def texts(self) -> list[tuple[str, float, float]]:
        """(words, x, y) of every text."""
        return [
            ("".join(one.itertext()), float(one.attrib["x"]), float(one.attrib["y"]))
            for one in self.root.iter(f"{SVG}text")
        ]

    def hints(self) -> list[str]:
        """What is shown where the pointer rests."""
        return ["".join(one.itertext()) for one in self.root.iter(f"{SVG}title")]

    def classes(self, hint: str) -> list[str]:
        """How the elements look whose hint begins so."""
        return [
            one.attrib["class"]
            for one in self.root.iter()
            for title in one.findall(f"{SVG}title")
            if "".join(title.itertext()).startswith(hint)
        ]

    def boxes(self, hint: str) -> list[tuple[float, float]]:
        """(left, right) of the boxes with that hint."""
        return [
            (float(one.attrib["x"]), float(one.attrib["x"]) + float(one.attrib["width"]))
            for one in self.root.iter(f"{SVG}rect")
            for title in one.findall(f"{SVG}title")
            if "".join(title.itertext()) == hint
        ]

    def x(self, second: float) -> float:
        """Where a second of the run is."""
        return self._zero_x + second * self._px_per_s

    def at(self, id: str, second: float) -> float:
        """The y of a stepped curve at a second."""
        corners = _corners(self.curve(id))
        return [y for x, y in corners if x <= self.x(second) + 0.06][-1]

    def curve(self, id: str) -> str:
        """The path of that name."""
        (found,) = (one for one in self.root.iter(f"{SVG}path") if one.attrib.get("id") == id)
        return found.attrib["d"]

    def power_w(self, id: str, full_kw: str, second: float) -> float:
        """What a curve says, by the two marks on its axis: a full one and zero, each 4 px below its line."""
        marks = [y - 4.0 for words, _, y in self.texts() if words == f"{full_kw} kW"]
        zeros = [y - 4.0 for words, _, y in self.texts() if words == "0 kW" and y - 4.0 > marks[0]]
        return 1000.0 * float(full_kw) * (zeros[0] - self.at(id, second)) / (zeros[0] - marks[0])


def _corners(path: str) -> list[tuple[float, float]]:
    found, x, y = [], 0.0, 0.0
    for move, first, second in MOVES.findall(path):
        if move in "ML":
            x, y = float(first), float(second)
        elif move == "H":
            x = float(first)
        elif move == "V":
            y = float(first)
        found.append((x, y))
    return found


@pytest.fixture(scope="module")
def drawing() -> Drawing:
    return Drawing(runs.good_run())


def _seconds(run: Run) -> list[tuple[float, dict[str, float]]]:
    return [(one.at_utc_s - runs.T0, one.facts) for one in run if one.kind == "second"]


@pytest.mark.parametrize(
    ("id", "full_kw", "fact"),
    [
        ("ev-power", "7.36", "charger_w"),
        ("heat-power", "2.4", "pump_w"),
        ("freezer-power", "0.15", "freezer_w"),
    ],
)
def test_each_curve_is_what_was_seen_second_by_second(
    drawing: Drawing, id: str, full_kw: str, fact: str
) -> None:
    wrong = [
        second
        for second, facts in _seconds(runs.good_run())
        if abs(drawing.power_w(id, full_kw, second) - facts[fact]) > 0.003 * 1000 * float(full_kw)
    ]
    assert wrong == []


def test_the_boundary_is_the_sum_of_all(drawing: Drawing) -> None:
    for second, facts in _seconds(runs.good_run()):
        sum_w = sum(facts[fact] for fact in ("house_w", "pump_w", "charger_w", "freezer_w"))
        assert drawing.power_w("boundary-power", "11", second) == pytest.approx(sum_w, abs=60.0)


def test_the_loads_are_stacked_up_to_the_boundary(drawing: Drawing) -> None:
    layers = [one for one in drawing.root.iter(f"{SVG}path") if "half" in one.attrib.get("class", "")]
    assert [one.attrib["class"].split()[0] for one in layers] == ["house", "freezer", "heat", "ev"]
    tops = [min(y for _, y in _corners(one.attrib["d"])) for one in layers]
    assert tops == sorted(tops, reverse=True)
    assert tops[-1] == min(y for _, y in _corners(drawing.curve("boundary-power")))


def test_what_the_household_feels_is_drawn_below_its_load() -> None:
    run = [
        replace(one, facts=one.facts | {"car_soc": 0.5 + 0.001 * n}) if one.kind == "second" else one
        for n, one in enumerate(runs.good_run())
    ]
    drawing = Drawing(run)
    values = [100 * facts["car_soc"] for _, facts in _seconds(run)]
    corners = _corners(drawing.curve("ev-felt"))
    first_y, last_y = corners[0][1], corners[-1][1]
    for second, value in zip(range(runs.END), values, strict=True):
        x = drawing.x(second)
        y = min(corners, key=lambda corner: abs(corner[0] - x))[1]
        share = (value - values[0]) / (values[-1] - values[0])
        assert y == pytest.approx(first_y + share * (last_y - first_y), abs=0.2)
    shown = [words for words, _, _ in drawing.texts()]
    assert f"{values[0]:.1f} %" in shown
    assert f"{values[-1]:.1f} %" in shown
    assert "≥ 19 °C" in shown


def test_limits_in_force_are_bands_from_when_the_device_heard_them_to_their_end(drawing: Drawing) -> None:
    hints = drawing.hints()
    assert hints.count("held to 1.38 kW for 90 s") == 0
    for words in (
        "held to 1.38 kW for 28 s",  # scene 1
        "held to 5.89 kW for 52 s",  # scene 4
        "held to 1.38 kW for 89 s",  # the charger by itself
        "held off for 120 s",  # the pump by itself
        "held off for 30 s",  # the plug by itself
    ):
        assert words in hints
    (band,) = drawing.boxes("held to 5.89 kW for 52 s")
    assert band == pytest.approx((drawing.x(69.8), drawing.x(122.2)), abs=0.2)


def test_what_was_asked_is_a_strip_and_what_was_refused_is_none(drawing: Drawing) -> None:
    hints = [hint for hint in drawing.hints() if hint.startswith("asked")]
    assert hints.count("asked: at most 1.4 kW") == 2  # scenes 1 and 4
    assert hints.count("asked: at most 0 kW") == 4  # scenes 2, 3, 5 and 7; neither bm nor forged
    assert hints.count("asked: at most 1.6 kW together") == 3  # scene 6, of three assets
    strips = drawing.boxes("asked: at most 1.4 kW")
    assert strips[0] == pytest.approx((drawing.x(6.0), drawing.x(36.0)), abs=0.2)


def test_each_scene_is_a_band_of_its_verdict_with_every_claim_behind_it(drawing: Drawing) -> None:
    run = [
        replace(one, facts=one.facts | {"charger_w": 7360.0}) if one.kind == "second" else one
        for one in runs.good_run()
    ]
    assert drawing.classes("1  a cap on the car is followed: PASSED") == ["passed"]
    failed = Drawing(run)
    assert failed.classes("1  a cap on the car is followed: FAILED") == ["failed"]
    assert failed.classes("2  a block ends early") == ["passed"]
    assert any("\nNO  " in hint for hint in failed.hints() if hint.startswith("1  "))
    shown = [words for words, _, _ in failed.texts()]
    assert "1  a cap on the car is followed: FAILED" in shown
    assert any("5 of 8 scenes passed" in words for words in shown)


def test_a_scene_that_was_not_played_says_so() -> None:
    drawing = Drawing([one for one in runs.good_run() if one.at_utc_s < runs.T0 + 200])
    shown = [words for words, _, _ in drawing.texts()]
    assert "6  kill -9 in an event of car, pump and freezer: FAILED, not played to its end" in shown


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (runs.KILLED, "daemon killed"),
        (runs.STARTED, "daemon started"),
        (runs.BROKER_DOWN, "broker stopped"),
        (runs.BROKER_UP, "broker started"),
        (runs.COMMAND, "homeflex override heat --for 12s"),
        (runs.TYPED, "homeflex soc 55 ev"),
        (runs.FORGED + 0.1, "forged refused: INVALID_SIGNATURE"),
        (runs.REPLAYED + 0.1, "replayed refused: REPLAYED"),
        (runs.OVERSIZED + 0.1, "oversized refused: TEMPORARY_ERROR"),
    ],
)
def test_what_happened_is_marked_where_it_happened(drawing: Drawing, second: float, words: str) -> None:
    places = [x for found, x, _ in drawing.texts() if found == words]
    assert any(abs(abs(x - drawing.x(second)) - 6.0) < 0.2 for x in places)


def test_reasons_stand_in_words_at_their_asset(drawing: Drawing) -> None:
    shown = [words for words, _, _ in drawing.texts()]
    assert any(words.startswith("0.09 kWh still needed by") for words in shown)
    assert "comfortLimit" in shown  # this log has no words for it
    assert "none" not in shown


def test_a_reason_that_is_told_again_at_once_stands_once_and_later_again() -> None:
    silent = {"extent": "none", "reason": "deviceOffline", "text": "device does not answer"}
    run = [runs.status(second, number, "ev", **silent) for second, number in ((10, 1), (12, 2), (40, 3))]
    assert [mark.at_utc_s - runs.T0 for mark in reasons(run)] == [10.0, 40.0]


def test_an_instruction_that_is_sent_again_is_asked_once() -> None:
    run = runs.good_run()
    (order,) = (
        one for one in run if one.kind == "sent" and (one.facts["scene"], one.facts["what"]) == (2, "set")
    )
    again = replace(order, at_utc_s=order.at_utc_s + 1.0, facts=order.facts | {"what": "again"})
    assert len(asked([*run, again])) == len(asked(run))


def test_what_was_refused_is_named_by_what_was_sent_last_before() -> None:
    texts = [mark.text for mark in marks([runs.refusal(1.0, 99, "REPLAYED")])]
    assert texts == ["a message refused: REPLAYED"]


def test_words_in_a_row_do_not_cover_each_other(drawing: Drawing) -> None:
    for row in {y for _, _, y in drawing.texts()}:
        texts = sorted(
            (float(one.attrib["x"]), "".join(one.itertext()))
            for one in drawing.root.iter(f"{SVG}text")
            if float(one.attrib["y"]) == row and "end" not in one.attrib["class"].split()
        )
        for (x, words), (next_x, next_words) in pairwise(texts):
            assert x + 5.0 * len(words) <= next_x, (words, next_words)


def test_everything_is_on_the_paper(drawing: Drawing) -> None:
    _, _, width, height = map(float, drawing.root.attrib["viewBox"].split())
    for one in drawing.root.iter(f"{SVG}path"):
        for x, y in _corners(one.attrib["d"]):
            assert 0 <= x <= width
            assert 0 <= y <= height
    for _, x, y in drawing.texts():
        assert 0 <= x <= width
        assert 0 <= y <= height


def test_it_can_be_read_on_light_paper_and_on_dark(drawing: Drawing) -> None:
    (style,) = ("".join(one.itertext()) for one in drawing.root.iter(f"{SVG}style"))
    light, _, dark = style.partition("@media (prefers-color-scheme: dark)")
    used = {name for one in drawing.root.iter() for name in one.attrib.get("class", "").split()}
    colours = {name for name in used if f".{name}{{fill:#" in light or f".{name}{{stroke:#" in light}
    assert used - colours == {name for name in used - colours if f".{name}{{" in style}
    assert colours == {name for name in colours if f".{name}{{" in dark}
    assert len(colours) >= 15


HOSTILE = "</text><script>alert('x')</script>&\x00\x1b\ud800\uffff]]><!--"


def test_hostile_text_is_shown_and_never_markup() -> None:
    run = [
        *runs.good_run(),
        runs.at(20.0, "process", name=HOSTILE, pid=1, what="killed", code=None),
        runs.at(21.0, "command", arguments=[HOSTILE], scene=9, what="given", code=None, output=""),
        runs.status(22.0, 1, "ev", extent="none", reason=HOSTILE, text=HOSTILE),
        runs.refusal(23.0, 99, HOSTILE),
    ]
    drawing = Drawing(sorted(run, key=lambda one: one.at_utc_s))
    tags = {one.tag.removeprefix(SVG) for one in drawing.root.iter()}
    assert tags == {"svg", "style", "g", "rect", "path", "circle", "text", "title"}
    assert sum("<script>alert('x')</script>&" in words for words, _, _ in drawing.texts()) == 4
    assert not any(
        "href" in name or name.startswith("on") for one in drawing.root.iter() for name in one.attrib
    )


@pytest.mark.parametrize(
    "run",
    [
        [],
        [runs.at(1.0, "second", pump_w=2400.0, house_w=300.0, room_c=20.0)],
        [runs.at(1.0, "second", pump_w="much", charger_w=float("nan"), car_soc=float("nan"))],
        [runs.at(1.0, "scene", number=1, what="began")],
    ],
)
def test_a_log_that_has_next_to_nothing_is_drawn_too(run: Run) -> None:
    drawing = Drawing(run)
    assert drawing.root.tag == f"{SVG}svg"
    assert "nan" not in drawing.text


@pytest.mark.parametrize("hours", [1, 12])
def test_an_hour_and_more_fits_in_300_kilobytes(hours: int) -> None:
    run = runs.good_run()
    restless = [
        runs.at(
            float(second),
            "second",
            pump_w=2400.0 if second % 3 else 0.0,
            house_w=300.0 + second % 97,
            room_c=20.0 + (second % 50) / 25,
            charger_w=1380.0 + 10 * (second % 211),
            car_soc=(second % 1000) / 1000,
            car_connected=True,
            freezer_w=112.0 if second % 5 else 0.0,
            plug_on=True,
            freezer_c=-18.0 + (second % 60) / 30,
        )
        for second in range(runs.END, 3600 * hours)
    ]
    drawing = Drawing([*run, *restless])
    assert len(drawing.text.encode()) < 300_000


def test_it_is_saved_as_text(tmp_path: Path) -> None:
    path = tmp_path / "run.svg"
    plot.save(runs.good_run(), path)
    assert path.read_text(encoding="utf-8") == plot.drawing(runs.good_run())


def test_a_stepped_curve_has_a_corner_for_each_change_alone() -> None:
    points = [(0.0, 5.0), (1.0, 5.0), (2.0, 7.0), (3.0, 7.0), (4.0, 7.0)]
    assert svg.stepped(points) == [(0.0, 5.0), (2.0, 5.0), (2.0, 7.0), (4.0, 7.0)]
    assert svg.path(svg.stepped(points)) == "M0 5H2V7H4"
    assert svg.stepped([]) == []
    assert svg.path([(0.0, 0.0), (1.25, 3.04), (1.25, 3.04)], is_closed=True) == "M0 0L1.2 3Z"
