"""What a person sees: the picture at any moment of a run, and lines where there is no room for it."""

from __future__ import annotations

import asyncio
import io

import pytest
from rich.console import Console, RenderableType

from gateway.demo import screen, view
from gateway.demo.glance import Glance
from gateway.demo.log import Log, Observation
from gateway.demo.words import line
from tests.demo import runs


def _shown(picture: RenderableType, width: int = 100) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(picture)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def _at(second: float, run: list[Observation] | None = None) -> list[Observation]:
    return [one for one in run or runs.good_run() if one.at_utc_s <= runs.T0 + second]


def _row(shown: list[str], name: str) -> str:
    return next(row for row in shown if row.startswith(f"│ {name}"))


@pytest.mark.parametrize("second", [0, 1, 3, 10, 40, 80, 110, 146, 200, 251, 299])
def test_the_picture_fits_a_terminal_of_100_by_30_at_any_moment(second: int) -> None:
    shown = _shown(view.picture(_at(second)))
    assert len(shown) < 30
    assert max(map(len, shown)) <= 100
    assert not any("..." in row for row in shown)


def test_it_shows_what_each_load_draws_and_the_boundary_all_of_it() -> None:
    shown = _shown(view.picture(_at(110)))
    for name, power in (
        ("car", "5.89"),
        ("heat pump", "2.40"),
        ("freezer", "0.11"),
        ("house", "0.35"),
        ("boundary", "8.75"),
    ):
        assert f"{power} kW" in _row(shown, name)
    assert "55.0%" in _row(shown, " battery")


def test_it_shows_each_limit_in_force_and_for_how_long_the_device_keeps_it() -> None:
    shown = _shown(view.picture(_at(30)))
    assert "at most 1.38 kW, lets go in 68 s" in _row(shown, "car")
    assert "held off, lets go in 95 s" in _row(shown, "heat pump")
    assert "held off, lets go in 26 s" in _row(shown, "freezer")
    assert "▊┃·" in _row(shown, "car")
    later = _shown(view.picture(_at(110)))
    assert "its owner's" in _row(later, "freezer")
    assert "┃" not in _row(later, "freezer")


def test_it_shows_why_an_instruction_is_followed_in_part() -> None:
    assert "in part: 0.09 kWh still needed by" in _row(_shown(view.picture(_at(110))), " battery")


def test_an_instruction_that_is_over_is_not_shown() -> None:
    assert "followed" in _row(_shown(view.picture(_at(30))), " room")
    assert "no instruction" in _row(_shown(view.picture(_at(50))), " room")


def test_an_instruction_that_ended_by_itself_gives_way_to_the_one_that_goes_on() -> None:
    limited = {"extent": "none", "text": "room 19.0 °C, minimum 19.0 °C"}
    run = [
        *_at(10),
        runs.status(11.0, 7, "heat", **limited),
        runs.status(12.0, 5, "heat"),
        runs.status(13.0, 7, "heat", **limited),
    ]
    assert "not now: room 19.0 °C" in _row(_shown(view.picture(run)), " room")
    run.append(runs.status(14.0, 7, "heat", status="SUCCEEDED", **limited))
    assert "followed, measured" in _row(_shown(view.picture(run)), " room")


def test_it_counts_the_minutes_that_have_no_value() -> None:
    shown = "\n".join(_shown(view.picture(_at(260))))
    assert "16 heard, 8 without a value" in shown
    assert "- MISSING no. 4" in shown


def test_without_the_daemon_it_shows_who_comes_back_by_itself() -> None:
    shown = _shown(view.picture(_at(200)))
    assert "daemon gone for 55 s" in shown[0]
    assert "lets go in 15 s" in _row(shown, "car")
    assert "comes back by itself" in _row(shown, " battery")
    assert "came back by itself" in _row(shown, " inside")


def test_each_scene_has_its_sign() -> None:
    run = [
        Observation(one.at_utc_s, one.kind, one.facts | {"freezer_w": 0.0, "plug_on": False})
        if one.kind == "second"
        else one
        for one in runs.good_run()
    ]
    shown = _shown(view.picture(_at(110, run)))
    assert [_row(shown, sign)[2:5] for sign in ("✔ 1", "✔ 2", "✘ 3", "▶ 4", "✔ 5", "· 6")]


def test_a_scene_is_drawn_when_it_was_played() -> None:
    row = _row(_shown(view.picture(_at(290))), "✔ 4")
    span = row[-38:-2]
    assert (span.index("━"), span.rindex("━")) == (4, 13)  # 38 to 122.5 s of 300 s on 36 cells


def test_it_shows_what_was_said_last() -> None:
    assert "household: homeflex soc 55 ev" in "\n".join(_shown(view.picture(_at(40))))
    shown = "\n".join(_shown(view.picture(_at(50))))
    for words in (
        "stranger sends forged: ev, heat, freezer at most 0 k",
        "INVALID_SIGNATURE",
        "1.200 kW no. 1",
        "4 heard, 0 without a value",
    ):
        assert words in shown


def test_it_can_be_drawn_before_anything_was_seen() -> None:
    shown = "\n".join(_shown(view.picture([])))
    assert "waiting" in shown
    assert "none yet" in shown


def test_text_from_elsewhere_is_shown_and_never_obeyed() -> None:
    hostile = "\x1b[2J[bold red]\n" * 40
    word = runs.status(50.0, 1, "ev", extent="none", reason="x", text=hostile)
    process = runs.at(51.0, "process", name="\x1b[31mbroker", pid=1, what="stopped", code=None)
    shown = _shown(view.picture([*_at(49), word, process]))
    assert len(shown) < 30
    assert "\x1b" not in "\n".join(shown)
    assert "[2J[bold red]" in _row(shown, " battery")


@pytest.mark.parametrize(
    ("share", "mark", "cells"),
    [
        (0.0, None, "········"),
        (0.5, None, "████····"),
        (0.516, None, "████▏···"),
        (1.0, None, "████████"),
        (7.0, None, "████████"),
        (-1.0, None, "········"),
        (0.25, 0.5, "██··┃···"),
        (1.0, 0.5, "████┃███"),
        (0.0, 2.0, "·······┃"),
    ],
)
def test_a_bar_is_fine_to_an_eighth_of_a_cell(share: float, mark: float | None, cells: str) -> None:
    assert screen.bar(share, 8, "", mark).plain == cells


def test_every_observation_of_a_run_has_its_line_or_none() -> None:
    lines = [text for one in runs.good_run() if (text := line(one))]
    for words in (
        "pump takes register 71 = 0",
        "charger takes a limit of 6 A for 90 s",
        "plug is switched off, back after 30 s",
        "plug is switched on",
        "charger takes ClearChargingProfile",
        "aggregator sends set: class:ev at most 1.4 kW, bm",
        "aggregator sends cancel",
        "--- scene 8: forged, replayed and oversized instructions are refused",
        "daemon 100 exited, code -9",
        "aggregator hears INVALID_SIGNATURE",
    ):
        assert words in lines
    assert not any("Switch.GetStatus" in text for text in lines)
    assert line(runs.asked(1.0, "charger", "GetConfiguration")) is None


def test_an_instruction_is_not_told_by_its_number() -> None:
    text = "held at 1.4 kW by instruction c2c97937-dbd3-4829-9546-f94bf723205c (bm)"
    assert (
        line(runs.status(1.0, 1, "ev", text=text)) == "aggregator hears ev STARTED full held at 1.4 kW (bm)"
    )


def test_what_the_household_typed_is_told_without_where_its_home_is() -> None:
    arguments = ["override", "heat", "--for", "12s", "--config", "/tmp/somewhere/homeflex.toml"]
    said = {"arguments": arguments, "scene": 5, "what": "given", "code": None, "output": ""}
    assert line(runs.at(1.0, "command", **said)) == "household: homeflex override heat --for 12s"


@pytest.mark.parametrize(
    ("is_terminal", "height", "shows_lines"), [(True, 40, False), (True, 24, True), (False, 40, True)]
)
async def test_where_there_is_no_room_for_a_picture_there_are_lines(
    is_terminal: bool, height: int, shows_lines: bool
) -> None:
    out, seen = io.StringIO(), Log()
    for one in _at(12):
        seen.note(one.kind, **one.facts)
    console = Console(file=out, width=120, height=height, force_terminal=is_terminal, color_system=None)
    async with view.showing(seen, console):
        await asyncio.sleep(0.05)
    assert ("--- scene 1: a cap on the car is followed" in out.getvalue()) is shows_lines
    assert ("car 7360 W at 55%, pump 2400 W, room 20.02 °C" in out.getvalue()) is shows_lines
    assert ("what happened and what was heard" in out.getvalue()) is not shows_lines


async def test_a_scene_has_its_sign_on_the_terminal_as_soon_as_it_is_over() -> None:
    out, seen = io.StringIO(), Log()
    for one in runs.good_run():
        seen.observations.append(one)
    async with view.showing(seen, Console(file=out, width=100, height=40, force_terminal=True)):
        await asyncio.sleep(0.05)
    assert out.getvalue().count("✔") >= 8


def test_a_glance_is_the_same_however_often_it_looks() -> None:
    seen = Glance()
    for one in _at(200):
        seen.take(one)
    assert seen.scenes_ended == 7
    assert seen.minutes == 8
    assert seen.gone.keys() == {"daemon"}
    word = seen.word_on("ev")
    assert word is not None
    assert word["extent"] == "full"
