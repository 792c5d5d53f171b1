"""The commands as an engineer types them: what they write, what they refuse, and their exit codes."""

from __future__ import annotations

import base64
import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.aggregator.heard import line_of
from gateway.cli.main import app
from gateway.wire.keys import parse_keys
from gateway.wire.order import parse_order
from tests.aggregator.openadr_guide import EXAMPLES
from tests.aggregator.streams import Step, readings, telemetry
from tests.fakes.mosquitto import free_port

SITE = "home-7f3a"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def aggregator(*words: str, **more: Any) -> Any:
    return CliRunner().invoke(app, ["aggregator", *words], **more)


def send(*words: str, port: int = 1) -> Any:
    return aggregator(
        "send", "--site", SITE, "--sign", "agg-1.json", "--broker", f"mqtt://127.0.0.1:{port}", *words
    )


def test_keys_from_nothing_to_a_trust_store(folder: Path) -> None:
    assert aggregator("keys", "new", "--root").exit_code == 0
    assert aggregator("keys", "new", "--kid", "agg-1", "--valid", "30d").exit_code == 0
    signed = aggregator(
        "keys", "sign", "--root", "root.json", "--site", SITE, "--version", "3",
        "agg-1.pub.json", "--plain", "keys.json", "--json",
    )  # fmt: skip
    said = json.loads(signed.stdout)
    assert said["root"] == json.loads((folder / "root.pub.json").read_text())["x"]
    ring = parse_keys((folder / "keys.json").read_bytes(), SITE)
    assert (ring.version, [*ring.keys]) == (3, ["agg-1"])
    assert (folder / "keys.jws").read_bytes().count(b".") == 2
    again = aggregator("keys", "new", "--root")
    assert (again.exit_code, "never overwritten" in again.stderr) == (2, True)


def test_the_line_for_the_configuration_is_printed() -> None:
    made = aggregator("keys", "new", "--root")
    x = json.loads(Path("root.pub.json").read_text())["x"]
    digits = hashlib.sha256(base64.urlsafe_b64decode(x + "=")).hexdigest()
    shown = " ".join(digits[at : at + 4] for at in (0, 4, 8, 12))
    assert made.stdout.splitlines()[-1] == f'root = "{x}"  # fingerprint {shown}'
    assert tomllib.loads(made.stdout.splitlines()[-1]) == {"root": x}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("keys", "new"), "--root, or a --kid"),
        (("keys", "new", "--kid", "a", "--role", "root"), "one of dispatch, config"),
        (("keys", "sign", "--site", SITE, "x.json"), "--root signs it"),
        (("keys", "sign", "--site", SITE, "--plain", "k.json", "none.json"), "No such file"),
        (("verify",), "a FILE, or a --broker"),
        (("watch", "--broker", "mqtt://broker.example"), "without TLS"),
        (("watch", "--broker", "mqtts://b", "--login", "login"), "must have two lines"),
        (("watch", "--broker", "mqtts://b", "--ca", "none.pem"), "none.pem"),
    ],
)
def test_wrong_usage_says_what_would_be_right(folder: Path, words: tuple[str, ...], told: str) -> None:
    (folder / "login").write_text("user\n")
    done = aggregator(*words, env={"COLUMNS": "200"})
    assert done.exit_code in (1, 2)
    assert told in " ".join(done.output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "one of --cap"),
        (("--cap", "1", "--floor", "2"), "one of --cap"),
        (("--cap", "1", "--stop-all"), "one of --cap"),
        (("--stop-all", "--follow"), "--follow is for one instruction"),
        (("--cap", "lots", "--target", "site"), "'lots' is no value; 1.4 would be"),
        (("--cap", "1"), "targets: must have at least 1"),
        (("--cap", "1", "--target", "ev"), "targets[0]: must match"),
        (("--cap", "1", "--target", "site", "--start", "soon"), "'soon' is not a moment"),
        (("--cap", "1", "--target", "site", "--for", "30"), "'30' is no duration"),
        (("--soc", "80", "--target", "class:ev"), "must be 0 to 1"),
        (("--cap", "1", "--target", "site", "--start-delay", "1h"), "startDelay: must be at most PT30M"),
        (("--cap", "1,2", "--target", "site", "--for", "13h"), "at most 24 h in all"),
        (("--cancel", "two words"), "id: must match"),
    ],
)
def test_what_no_home_would_take_is_not_sent(words: tuple[str, ...], told: str) -> None:
    aggregator("keys", "new", "--kid", "agg-1")
    done = send(*words)
    assert done.exit_code == 2
    assert told in " ".join(done.output.replace("│", " ").split())


def test_no_broker_has_an_exit_code_of_its_own() -> None:
    aggregator("keys", "new", "--kid", "agg-1")
    done = send("--cap", "1", "--target", "site", port=free_port())
    assert done.exit_code == 3
    assert "127.0.0.1" in done.stderr
    told = send("--stop-all", "--json", port=free_port())
    assert (told.exit_code, [*json.loads(told.stdout)]) == (3, ["error"])


def test_verify_reads_what_watch_and_ack_write(folder: Path) -> None:
    stream = readings([Step(20_000, 0, False)] * 5)
    lines = [line_of(telemetry(one)) for one in stream]
    (folder / "whole.jsonl").write_text("\n".join(lines))
    done = aggregator("verify", "whole.jsonl")
    assert done.exit_code == 0
    assert done.stdout.startswith(f"whole    {SITE}  telemetry:ev: 5 held, 1 to 5")
    (folder / "kept").mkdir()
    (folder / "kept" / "2026-11-23.jsonl").write_text("\n".join(lines[:2]))
    (folder / "kept" / "2026-11-24.jsonl").write_text("\n".join(lines[3:]))
    torn = aggregator("verify", "kept", "--json")
    (verdict,) = map(json.loads, torn.stdout.splitlines())
    assert (torn.exit_code, verdict["whole"], verdict["faults"]) == (1, False, ["number 3 is missing"])
    assert aggregator("verify", "-", input="\n".join(lines)).exit_code == 0
    assert aggregator("verify", "-", "--site", "another", input="\n".join(lines)).exit_code == 1


def test_verify_of_nothing_or_nonsense_is_not_whole(folder: Path) -> None:
    (folder / "nothing.jsonl").write_text("")
    assert aggregator("verify", "nothing.jsonl").exit_code == 1
    (folder / "nonsense.jsonl").write_text("hello\n")
    done = aggregator("verify", "nonsense.jsonl")
    assert (done.exit_code, "line 1 is not one" in done.stderr) == (2, True)


def test_an_open_home_plays_no_scenes() -> None:
    done = CliRunner().invoke(app, ["demo", "--open", "keys.json", "--sabotage", "1"], env={"COLUMNS": "200"})
    assert done.exit_code == 2
    assert "--open plays no scenes" in done.output


def test_an_event_becomes_bodies_and_refusals(folder: Path) -> None:
    taken = EXAMPLES["8.5-1"]
    for name, event in (("whole", taken), ("part", EXAMPLES["8.10.1-1"]), ("none", EXAMPLES["8.1-1"])):
        (folder / f"{name}.json").write_text(json.dumps(event))
    (folder / "nonsense.json").write_text("hello")
    whole = aggregator("convert", "whole.json", "--site", SITE, "--start-delay", "0s")
    assert (whole.exit_code, whole.stderr) == (0, "")
    assert parse_order(whole.stdout.encode(), SITE).start_delay_max_s == 0
    part = aggregator("convert", "part.json", "--site", SITE, "--json")
    said = json.loads(part.stdout)
    assert (part.exit_code, len(said["instructions"])) == (5, 1)
    assert [one["field"] for one in said["refused"]] == ["intervals[0].payloads[1].type"]
    none = aggregator("convert", "none.json", "--site", SITE)
    assert (none.exit_code, none.stdout) == (1, "")
    assert none.stderr.startswith("refused  intervals[0].payloads[0].type: ALERT_GRID_EMERGENCY")
    assert aggregator("convert", "nonsense.json", "--site", SITE).exit_code == 2
    assert aggregator("convert", "whole.json", "--site", SITE, "--target", "x").exit_code == 2
