"""The demo's ways in and out: judging a file, wrong use, what is shown, and the log's file."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import files
from gateway.demo import director, guest, log
from gateway.demo.aggregator import Aggregator
from gateway.demo.home import Home, Ports, configuration, timing
from gateway.demo.log import Log, Observation
from tests.demo import runs


def test_a_log_is_judged_from_its_file_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.json"
    log.save(runs.good_run(), path)
    assert director.judge(path) == 0
    log.save([one for one in runs.good_run() if one.kind != "written"], path)
    assert director.judge(path) == 1
    assert "FAILED  6" in capsys.readouterr().out


def test_a_log_is_drawn_from_its_file_alone(tmp_path: Path) -> None:
    path, drawn = tmp_path / "run.json", tmp_path / "run.svg"
    log.save(runs.good_run(), path)
    assert director.judge(path, drawn) == 0
    assert "8 of 8 scenes passed" in drawn.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["run.json", "run.svg"])
def test_a_file_that_could_not_be_written_is_told_before_the_run(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "absent" / name
    json_path, plot_path = (path, None) if name.endswith("json") else (None, path)
    assert director.show(300, json_path, None, plot_path) == 2
    assert "no folder" in capsys.readouterr().out.replace("\n", " ")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"homeflexDemo": 1}', '{"homeflexDemo": 2, "observations": [{}]}']
)
def test_a_file_that_is_no_log_is_wrong_use(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.json"
    path.write_text(text)
    assert director.judge(path) == 2


def test_a_file_that_is_not_there_is_wrong_use(tmp_path: Path) -> None:
    assert director.judge(tmp_path / "absent.json") == 2


@pytest.mark.parametrize(("for_s", "sabotage"), [(299, None), (3601, None), (300, 0), (300, 9)])
def test_wrong_use_plays_nothing_and_says_what_would_be_right(
    for_s: int, sabotage: int | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.json"
    assert director.show(for_s, path, sabotage) == 2
    assert not path.exists()
    assert ("300" if sabotage is None else "1 to 8") in capsys.readouterr().out


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


PORTS = Ports(pump=1502, meter=2000, charger=9000, plug=8080, local_broker=1883, uplink=1884)


def test_the_configuration_is_good_and_binds_three_assets(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.furnish(PORTS, timing(runs.T0 + 17.4, runs.T0, 20.0), _trust_store())
    assert files.check(home.config) == ()
    document = tomllib.loads(home.config.read_text())
    assert {document["asset"][name]["class"] for name in document["asset"]} == {"ev", "heat", "plug"}
    assert {asset["control"] for asset in document["asset"].values()} < set(document["devices"])
    assert document["reporting"] == {"offset_s": 17}


@given(start_utc_s=st.floats(1.7e9, 1.9e9), least_s=st.floats(21.0, 40.0))
def test_the_latest_start_of_the_car_falls_where_the_timeline_wants_it(
    start_utc_s: float, least_s: float
) -> None:
    """At the whole minute that comes out, the whole percent that come out must be in the battery."""
    hours = timing(start_utc_s, start_utc_s, least_s)
    needed_kwh = (hours.target_soc - 0.55) * 3.0 / 0.9
    latest_utc_s = hours.ready_utc_s - needed_kwh * 3600 / (0.8 * 7.36)
    assert hours.ready_utc_s % 60 == 0
    assert least_s <= hours.ready_utc_s - start_utc_s <= least_s + 60
    assert -0.1 <= latest_utc_s - start_utc_s <= 20.5


def test_the_hour_is_told_by_the_households_clock() -> None:
    summer_utc_s = datetime(2026, 7, 1, 12, 0, tzinfo=UTC).timestamp()
    assert timing(0.0, summer_utc_s, 30.0).ready_by == "13:01"


def _trust_store() -> str:
    return Aggregator("demo-home", 1884, Log()).trust_store()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{}", "schema: must be homeflex.keys.v1"),
        ('{"schema": "homeflex.keys.v1", "site": "another"}', "site: must be"),
    ],
)
def test_a_home_is_open_only_to_a_trust_store_of_its_own(
    text: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "keys.json").write_text(text)
    assert guest.receive(guest.Guest(tmp_path / "keys.json"), 1.0) == 2
    assert told in capsys.readouterr().out
    assert guest.receive(guest.Guest(tmp_path / "none.json"), 1.0) == 2


def test_the_home_of_a_guest_pins_its_root_and_the_shows_home_none() -> None:
    ports, hours = Ports(1, 2, 3, 4, 5, 6), timing(1_795_000_038.0, 1_795_000_053.0, 41.0)
    assert tomllib.loads(configuration(ports, hours))["security"] == {"keys": "keys.json"}
    pinned = tomllib.loads(configuration(ports, hours, "x" * 43))["security"]
    assert pinned == {"keys": "keys.json", "root": "x" * 43}
