"""The demo's ways in and out: judging a file, wrong use, what is shown, and the log's file."""

from __future__ import annotations

import io
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from gateway.demo import director, log, view
from gateway.demo.home import Ports, configuration
from gateway.demo.log import Log, Observation
from tests.demo import runs


def test_a_log_is_judged_from_its_file_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.json"
    log.save(runs.good_run(), path)
    assert director.judge(path) == 0
    log.save([one for one in runs.good_run() if one.kind != "written"], path)
    assert director.judge(path) == 1
    assert "FAILED  3" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"homeflexDemo": 2}', '{"homeflexDemo": 1, "observations": [{}]}']
)
def test_a_file_that_is_no_log_is_wrong_use(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.json"
    path.write_text(text)
    assert director.judge(path) == 2


def test_a_file_that_is_not_there_is_wrong_use(tmp_path: Path) -> None:
    assert director.judge(tmp_path / "absent.json") == 2


@pytest.mark.parametrize(("for_s", "sabotage"), [(239, None), (3601, None), (240, 0), (240, 6)])
def test_wrong_use_plays_nothing_and_says_what_would_be_right(
    for_s: int, sabotage: int | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.json"
    assert director.show(for_s, path, sabotage) == 2
    assert not path.exists()
    assert ("240" if sabotage is None else "1 to 5") in capsys.readouterr().out


@given(
    st.lists(
        st.builds(
            Observation,
            st.floats(0, 1e10),
            st.sampled_from(["second", "written", "received"]),
            st.dictionaries(st.text(), st.none() | st.integers() | st.text() | st.booleans()),
        ),
        max_size=5,
    )
)
def test_a_log_read_back_is_the_log_written(
    tmp_path_factory: pytest.TempPathFactory, found: list[Observation]
) -> None:
    path = tmp_path_factory.mktemp("log") / "run.json"
    log.save(found, path)
    assert log.load(path) == found


async def test_waiting_ends_when_it_is_seen_and_at_the_latest_at_its_deadline() -> None:
    seen = Log()
    assert not await seen.until(lambda found: bool([*found]), within_s=0.01)
    seen.note("line", what="joined")
    assert await seen.until(lambda found: bool([*found]), within_s=0.01)
    assert not await seen.until(lambda found: bool([*found]), 0.01, since_utc_s=seen.now_utc_s() + 1)


def test_the_picture_shows_power_limit_statuses_and_readings() -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=False)
    run = [one for one in runs.good_run() if one.at_utc_s <= runs.T0 + 100]
    console.print(view.picture(run))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    for words in (
        "scene 3: kill -9",
        "heat pump",
        "boundary",
        "0.35 kW",
        "at most 0.0 kW",
        "minute 1: 1.200 kW, OK",
    ):
        assert words in shown


def test_the_picture_can_be_drawn_before_anything_was_seen() -> None:
    console = Console(file=io.StringIO(), width=100)
    console.print(view.picture([]))
    assert "none yet" in console.file.getvalue()  # type: ignore[attr-defined]


def test_every_observation_of_a_run_has_its_line_or_none() -> None:
    lines = [text for one in runs.good_run() if (text := view.line(one))]
    assert "pump takes register 71 = 0" in lines
    assert "--- scene 5: a forged and a replayed instruction are refused" in lines
    assert "aggregator hears INVALID_SIGNATURE" in [text.strip() for text in lines]


def test_the_configuration_binds_one_asset_to_three_devices() -> None:
    text = configuration(
        Ports(pump=1502, meter=2000, charger=9000, plug=8080, local_broker=1883, uplink=1884), offset_s=17
    )
    document = tomllib.loads(text)
    devices = {source.split(".")[0] for source in document["asset"]["heat"]["room_c"]}
    assert set(document["devices"]) == {"hp", "meter", "room"}
    assert devices == {"room", "hp"}
    assert document["reporting"] == {"offset_s": 17}
