"""`homeflex meter` and `report` as a person has them: a real daemon with a past on its real disk."""

from __future__ import annotations

import csv
import io
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, get_type_hints
from xml.etree import ElementTree

import pytest
import pytest_asyncio
from typer.testing import CliRunner

from gateway.cli.main import app
from gateway.console import answers
from gateway.core.life import Entry, Evidence, Life, Response, Setting, Status, Target
from gateway.core.model import Extent, Governor, Instruction, Kind, Reason, Scope, Step
from gateway.daemon import codec
from gateway.daemon import outbox as outboxes
from gateway.daemon.change import AppendRow, PutEvidence
from gateway.daemon.outbox import Outbox
from gateway.daemon.store import Store
from gateway.wire import status
from gateway.wire.message import Part, encode
from gateway.wire.readings import DataQuality, Flaw, MinuteReading, Source
from gateway.wire.reception import Reception
from gateway.wire.settlement import HalfHour, Method, settlement_period
from tests.console.test_cli import CONFIG, Done, command
from tests.fakes.modbus import ModbusServer, Xtherma
from tests.faults.kill9 import Kill9

pytestmark = pytest.mark.asyncio(loop_scope="module")

ID = "0193b3f0-5c1e-7cc0-9a51-1f0f6b3c2a10"
BEGIN_UTC_S = time.time() // 60 * 60 - 6 * 3600  # the window's, six hours ago
END_UTC_S = BEGIN_UTC_S + 1800
MINUTES = 240  # from two hours before
HEATS_W, RESTS_W = 1200.0, 30.0
MARK: Any = {"site": "home-7f3a", "stream": "ABCDEFGH23456723", "seq": 0}


def minute(index: int) -> MinuteReading:
    """A pump that rests in the window; the tenth minute is lost."""
    start_utc_s = BEGIN_UTC_S - 7200 + 60.0 * index
    rests, is_lost = BEGIN_UTC_S <= start_utc_s < END_UTC_S, index == 10
    return MinuteReading(
        seq=0,
        start_utc_s=start_utc_s,
        end_utc_s=start_utc_s + 60,
        power_w=None if is_lost else RESTS_W if rests else HEATS_W,
        energy_ws=None if is_lost else 60 * (RESTS_W if rests else HEATS_W),
        gap_ws=72_000.0 if index == 11 else None,
        import_register_ws=None,
        export_register_ws=None,
        last_w=None,
        last_utc_s=None,
        source=Source.DEVICE,
        quality=DataQuality.MISSING if is_lost else DataQuality.OK,
        reasons=(Flaw.RESTART,) if is_lost else (),
        coverage=1.0,
        limit_w=0.0 if rests else None,
        dispatch_ids=(ID,) if rests else (),
        governed_by=Governor.DISPATCH if rests else Governor.NONE,
    )


def half_hour(index: int, revision: int = 0) -> HalfHour:
    """Half a kilowatt-hour; the first was told without, and corrected."""
    start_utc_s = BEGIN_UTC_S // 1800 * 1800 - 7200 + 1800.0 * index
    is_known = index > 0 or revision > 0
    date, period = settlement_period(start_utc_s)
    return HalfHour(
        seq=0,
        revision=revision,
        start_utc_s=start_utc_s,
        end_utc_s=start_utc_s + 1800,
        settlement_date=date,
        settlement_period=period,
        import_ws=1_800_000 if is_known else None,
        export_ws=None,
        import_start_ws=1_800_000 * index,
        import_end_ws=1_800_000 * (index + 1) if is_known else None,
        export_start_ws=None,
        export_end_ws=None,
        method=Method.REGISTER,
        quality=DataQuality.OK if index else DataQuality.ESTIMATED if is_known else DataQuality.MISSING,
        reasons=() if index else (Flaw.EDGE,),
        coverage=1.0,
        edge_gap_s=4.0 if is_known else None,
    )


def stood(life: status.Life, **more: Any) -> status.Status:
    target = status.TargetStatus(asset="heat", status=life, **more)
    return status.Status(
        **MARK, at_utc_s=0.0, id=ID, revision=0, digest="0" * 64, reception=Reception.OK, targets=(target,)
    )


def ended() -> Entry:
    """The journal's record of the instruction."""
    step = Step(BEGIN_UTC_S, END_UTC_S, Kind.CAP, 0)
    scope = Scope(("asset:heat",), ("heat",), False)
    life = Life(
        "heat",
        Status.SUCCEEDED,
        Extent.FULL,
        Evidence.MEASURED,
        held_s=1500.0,
        limited_s=((Reason.COMFORT_LIMIT, 240.0),),
        setting=Setting(BEGIN_UTC_S + 40.25, 0, raised=False, read_back=True),
        response=Response(BEGIN_UTC_S + 52.75, RESTS_W, "hp.power_w"),
    )
    instruction = Instruction(
        ID, 0, "tcm", "response", 10, BEGIN_UTC_S - 600, scope, (step,), start_delay_s=40
    )
    return Entry(
        ID, 0, "0" * 64, BEGIN_UTC_S - 600, BEGIN_UTC_S, instruction=instruction,
        service_ref="boa-4711", window_utc_s=(BEGIN_UTC_S, END_UTC_S), accepted_utc_s=BEGIN_UTC_S - 600,
        targets=(Target("asset:heat", ("heat",)),), lives=(life,), ended_utc_s=END_UTC_S, summarised=True,
        let_go=True,
    )  # fmt: skip


def summary() -> Part:
    asset = status.AssetSummary(
        asset="heat", status=status.Life.SUCCEEDED, energy_ws=0.0151 * 3.6e6, quality=DataQuality.ESTIMATED,
        first_seq=1, last_seq=2, followed_utc_s=BEGIN_UTC_S + 55, delay_s=40, held_s=1500, idle_s=0,
        limited_s=240, limits=(),
    )  # fmt: skip
    window = status.Window(start_utc_s=BEGIN_UTC_S, end_utc_s=END_UTC_S)
    return status.Summary(
        **MARK, at_utc_s=0.0, id=ID, revision=0, service="tcm", service_ref="boa-4711", window=window,
        assets=(asset,),
    )  # fmt: skip


async def furnish(database: Path) -> None:
    """A disk as a daemon left it."""
    full: Any = {"extent": Extent.FULL, "evidence": status.Evidence.MEASURED, "limit_w": 0.0}
    partial: Any = {"extent": Extent.PARTIAL, "reason": Reason.COMFORT_LIMIT, "text": "18.0 °C is the least"}
    told: list[tuple[float, Part]] = [
        (BEGIN_UTC_S - 600, stood(status.Life.ACCEPTED)),
        (BEGIN_UTC_S + 55, stood(status.Life.STARTED, **full)),
        (BEGIN_UTC_S + 900, stood(status.Life.STARTED, **partial)),
        (BEGIN_UTC_S + 1140, stood(status.Life.STARTED, **full)),
        (BEGIN_UTC_S + 1145, stood(status.Life.STARTED, **{**full, "measured_w": 31.0})),
        (END_UTC_S, stood(status.Life.SUCCEEDED, **full)),
        (END_UTC_S + 90, summary()),
    ]
    async with Store.open(database) as store:
        box = Outbox(store.saved.stream, {})
        for index in range(MINUTES):
            reading = minute(index)
            box.add("telemetry:heat", reading.end_utc_s, encode(reading), 0.0)
        await outboxes.commit(box, store, 0.0)
        await store.submit(*(AppendRow("status", at, encode(body)) for at, body in told))
        halves = [*(half_hour(index) for index in range(4)), half_hour(0, revision=1)]
        told_utc_s = [*(half.end_utc_s + 90 for half in halves[:4]), halves[3].end_utc_s + 900]
        rows = zip(told_utc_s, halves, strict=True)
        await store.submit(*(AppendRow("settlement:heat", at, encode(half)) for at, half in rows))
        blob = codec.pack([codec.encode("entry", ended())])
        await store.submit(PutEvidence(ID, END_UTC_S, blob))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def config() -> AsyncIterator[Path]:
    """The configuration of a home that has lived, its daemon running."""
    with tempfile.TemporaryDirectory(prefix="homeflex-past-") as folder:
        file = Path(folder) / "homeflex.toml"
        (file.parent / "state").mkdir()
        await furnish(file.parent / "state" / "homeflex.db")
        async with ModbusServer({1: Xtherma()}) as server:
            file.write_text(CONFIG.format(port=server.port))
            async with Kill9([sys.executable, "-m", "gateway", "run", "--config", str(file)]) as daemon:
                await daemon.start()
                while (await command("meter", "--config", str(file))).code == 3:
                    pass
                yield file
                await daemon.stop()


async def homeflex(config: Path, *words: str) -> Done:
    return await command(*words, "--config", str(config))


async def test_the_points_say_since_when_and_what_the_aggregator_lacks(config: Path) -> None:
    done = await homeflex(config, "meter", "--json")
    assert done.code == 0, done.err
    (heat,) = done.answer["points"]
    assert set(heat) == set(get_type_hints(answers.PointLine))
    assert heat["point"] == "heat"
    assert heat["not_held"] >= MINUTES
    said = await homeflex(config, "meter")
    assert (said.code, "homeflex meter POINT" in said.out) == (0, True)


async def test_minutes_are_shown_exported_and_told_to_a_program_alike(config: Path, tmp_path: Path) -> None:
    told = (await homeflex(config, "meter", "heat", "--since", "2d", "--json")).answer
    assert set(told) == set(get_type_hints(answers.Minutes))
    minutes = [each for each in told["minutes"] if each["seq"] <= MINUTES]
    assert [each["seq"] for each in minutes] == list(range(1, MINUTES + 1))
    assert set(minutes[0]) == set(get_type_hints(answers.MinuteLine))
    assert {each["power_w"] for each in minutes} == {HEATS_W, RESTS_W, None}
    assert minutes[11]["gap_wh"] == 20.0

    file = tmp_path / "heat.csv"
    done = await homeflex(config, "meter", "heat", "--since", "2d", "--csv", str(file))
    assert (done.code, done.err) == (0, f"{file}: written\n")
    rows = list(csv.DictReader(io.StringIO(file.read_text())))[:MINUTES]
    for row, each in zip(rows, minutes, strict=True):
        assert row["end"] == each["end"]
        assert row["power_w"] == ("" if each["power_w"] is None else str(each["power_w"]))
        assert row["instructions"] == " ".join(each["instructions"])
    piped = await homeflex(config, "meter", "heat", "--since", "2d", "--csv", "-")
    assert piped.out.splitlines()[: MINUTES + 1] == file.read_text().splitlines()[: MINUTES + 1]

    shown = (await homeflex(config, "meter", "heat", "--since", "2d")).out.splitlines()
    assert len(shown) >= MINUTES + 1
    assert "MISSING restart" in shown[11]
    assert "20.00 Wh before it unseen" in shown[12]
    assert sum(ID[:8] in line for line in shown) == 30


async def test_half_hours_are_shown_exported_and_told_to_a_program_alike(
    config: Path, tmp_path: Path
) -> None:
    answer = (await homeflex(config, "half-hours", "heat", "--json")).answer
    told = answer["half_hours"]
    assert [half["revision"] for half in told] == [0, 0, 0, 0, 1]
    assert [half["import_kwh"] for half in told] == [None, 0.5, 0.5, 0.5, 0.5]
    assert (told[-1]["import_register_start_kwh"], told[-1]["import_register_end_kwh"]) == (0.0, 0.5)
    assert (answer["more_after"], answer["unreadable"], told[0]["export_kwh"]) == (None, 0, None)

    file = tmp_path / "settlement.csv"
    assert (await homeflex(config, "half-hours", "heat", "--csv", str(file))).code == 0
    rows = list(csv.DictReader(io.StringIO(file.read_text())))
    assert [row["start"] for row in rows] == [half["start"] for half in told]
    assert [row["import_kwh"] for row in rows] == ["", "0.5", "0.5", "0.5", "0.5"]
    assert rows[0].keys() == get_type_hints(answers.HalfHourLine).keys()

    shown = (await homeflex(config, "half-hours", "heat")).out.splitlines()
    assert len(shown) == 1 + len(told)
    assert shown[1].endswith("MISSING edge")
    assert shown[-1].endswith("ESTIMATED edge, correction 1")
    few = await homeflex(config, "half-hours", "heat", "--since", told[3]["start"], "--json")
    assert [half["seq"] for half in few.answer["half_hours"]] == [4]
    wrong = await homeflex(config, "half-hours", "kettle")
    assert (wrong.code, "no point 'kettle'; there are" in wrong.err) == (1, True)


async def test_a_report_tells_all_and_why(config: Path) -> None:
    done = await homeflex(config, "report", "0193b3", "--json")
    assert done.code == 0, done.out
    report = done.answer
    assert set(report) == {*get_type_hints(answers.Report), "minutes"}
    (asset,) = report["assets"]
    assert set(asset) == set(get_type_hints(answers.ReportAsset))
    response = asset["response"]
    assert (response["power_w"], response["source"]) == (RESTS_W, "hp.power_w")
    assert response["after_setting_s"] == 12.5
    assert response["after_start_s"] == 12.8  # 52.75 s, less the delay of 40 s
    assert response["after_arrival_s"] == 652.8
    assert (asset["energy_kwh"], asset["quality"]) == (0.0151, "ESTIMATED")
    assert asset["limits"] == [{"reason": "comfortLimit", "s": 240}]
    assert [(stand["status"], stand["extent"]) for stand in report["history"]] == [
        ("ACCEPTED", ""), ("STARTED", "full"), ("STARTED", "partial"), ("STARTED", "full"),
        ("SUCCEEDED", "full"),
    ]  # fmt: skip
    assert [each["seq"] for each in report["minutes"]["heat"]] == list(range(116, 156)), "and 5 min around"


async def test_a_report_is_read_on_80_columns_and_drawn(config: Path, tmp_path: Path) -> None:
    file = tmp_path / "event.svg"
    done = await homeflex(config, "report", ID, "--plot", str(file))
    assert (done.code, done.err) == (0, f"{file}: written\n")
    lines = done.out.splitlines()
    assert max(map(len, lines)) <= 80, [line for line in lines if len(line) > 80]
    for words in (
        "at most 0.00 kW",
        "12.5 s after the setpoint",
        "comfortLimit 240 s",
        "0.015 kWh",
        "█",
        "r",
    ):
        assert words in done.out
    root = ElementTree.parse(file).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    classes = [element.get("class") for element in root.iter()]
    assert classes.count("mark") == 2
    assert {"power", "limit", "window"} <= set(classes)


async def test_what_is_wrong_is_said_and_leaves_no_file(config: Path, tmp_path: Path) -> None:
    file = tmp_path / "kept.csv"
    file.write_text("mine")
    done = await homeflex(config, "meter", "kettle", "--csv", str(file))
    assert (done.code, done.err) == (1, "no point 'kettle'; there are heat\n")
    assert file.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [file]
    unknown = await homeflex(config, "report", "ffff")
    assert (unknown.code, unknown.err) == (1, f"no instruction 'ffff'; open and last ended: {ID}\n")
    beyond = await homeflex(config, "report", ID, "--plot", str(tmp_path / "no" / "event.svg"))
    assert (beyond.code, "No such file" in beyond.err) == (1, True)
    for words, right in (
        (("report", ID, "--plot", "event.png"), "event.svg would be right"),
        (("meter", "--csv", "all.csv"), "of which point?"),
        (("meter", "heat", "--csv", "a.csv", "--json"), "--csv or --json, not both"),
    ):
        wrong = CliRunner().invoke(app, [*words, "--config", str(config)])
        assert wrong.exit_code == 2
        assert right in " ".join(wrong.output.replace("│", " ").split())
    late = await homeflex(config, "meter", "heat", "--since", "soon", "--json")
    assert (late.code, "24h or 45d" in json.loads(late.out)["error"]) == (1, True)
