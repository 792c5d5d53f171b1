"""docs/aggregator.md is true: each of its commands is run as it stands, against the home that it starts."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from gateway.aggregator.heard import of_lines
from gateway.cli import exchange
from gateway.cli.main import app

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "aggregator.md").read_text()
LINES = re.findall(r"^    (\S.*)$", PAGE, re.M)
COMMANDS = [line for line in LINES if line.startswith("homeflex ")]
WITHIN_S = 60.0


class Terminal:
    """A folder and an environment; commands run there, and what stays running ends with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "COLUMNS": "200", "PYTHONUNBUFFERED": "1"}
        self._running: list[subprocess.Popen[bytes]] = []

    def run(self, line: str) -> tuple[int, str]:
        """A command to its end, in this process: its exit code, and everything it printed."""
        with contextlib.chdir(self.folder):
            done = CliRunner().invoke(app, self._words(line), env=self.environment)
        return done.exit_code, done.output

    def start(self, line: str) -> Path:
        """A command that stays running; where its output goes."""
        output = self.folder / f"output-{len(self._running)}"
        with output.open("wb") as sink:
            self._running.append(
                subprocess.Popen(
                    [sys.executable, "-m", "gateway", *self._words(line)],
                    cwd=self.folder,
                    env=self.environment,
                    stdout=sink,
                    stderr=sink,
                )
            )
        return output

    def end(self) -> list[int]:
        """Ctrl-C for everything, the last first; their exit codes."""
        codes = []
        for process in reversed(self._running):
            process.send_signal(signal.SIGINT)
            try:
                codes.append(process.wait(WITHIN_S))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                codes.append(-signal.SIGKILL)
        self._running.clear()
        return codes

    def _words(self, line: str) -> list[str]:
        return shlex.split(line.removesuffix(" &"), comments=True)[1:]


def until(found: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + WITHIN_S
    while not found():
        assert time.monotonic() < deadline_s, "it did not come"
        time.sleep(0.1)


def wanted_code(line: str) -> int:
    (code,) = re.findall(r"# exit code (\d)", line) or ["0"]
    return int(code)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path)
    yield terminal
    terminal.end()


@pytest.mark.timeout(240)
def test_the_page_leads_from_nothing_to_a_first_dispatch(terminal: Terminal) -> None:
    (event,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    (terminal.folder / "event.json").write_text(event)
    said: dict[str, str] = {}
    for line in COMMANDS:
        if line.startswith("homeflex demo"):
            _paste(terminal, terminal.start(line))
        elif line.endswith("&"):
            terminal.start(line)
            until(lambda: (terminal.folder / "kept").is_dir())
        else:
            if "verify" in line:
                until(lambda: "telemetry" in _kept(terminal))
            if "override" in line:
                until(lambda: '"STARTED"' in _kept(terminal))
            code, said[line] = terminal.run(line)
            assert code == wanted_code(line), f"{line}\n{said[line]}"
    _assert_told(said)
    assert terminal.end() == [0, 0]
    _assert_by_the_schemas(_kept(terminal))


def _paste(terminal: Terminal, output: Path) -> None:
    """What the demo prints for it goes into the environment; the page shows the same two lines."""
    until(lambda: "HOMEFLEX_CONFIG" in output.read_text())
    printed = dict(re.findall(r"^    export (\w+)=(.+)$", output.read_text(), re.M))
    shown = dict(line.removeprefix("export ").split("=") for line in LINES if line.startswith("export"))
    assert printed.keys() == shown.keys()
    terminal.environment |= printed


def _kept(terminal: Terminal) -> str:
    return "".join(file.read_text() for file in (terminal.folder / "kept").glob("*.jsonl"))


def _assert_told(said: dict[str, str]) -> None:
    """The page's words are what the commands print."""

    def of(words: str) -> str:
        (found,) = [text for line, text in said.items() if words in line]
        return found

    assert "ev: ACCEPTED" in of("--id first-1")
    assert "state     clock" in of("--site demo-home --for 10s")
    assert "first-1" in of("why ev")
    assert "REVOKED" in of("--cancel first-1")
    assert "notEligible" in of("class:plug")
    assert "must be 0 to 1" in of("--soc 80")
    assert re.search(r"whole    demo-home  telemetry:ev: [1-9]", of("verify"))
    assert "telemetry:ev 1 to 1 of" in of("ask readings")
    assert re.search(r"reply     unsent \d", of("ask diagnose"))
    assert "INVALID_SIGNATURE" in of("ask state")
    assert "version 2 is in force" in of("keys publish")
    (fingerprint,) = re.findall(r"fingerprint (.+)", of("--version 2"))
    assert fingerprint in of("homeflex keys")
    assert re.search(r"r0 OK", of("--stop-all"))
    assert '"values": [8.0]' in of("convert")
    assert "refused  intervals[0].payloads[1].type: EXPORT_CAPACITY_LIMIT" in of("convert")


def _assert_by_the_schemas(kept: str) -> None:
    """Everything the home said fits the schemas that an engineer generates types from."""
    heard = [*of_lines(kept.splitlines())]
    assert {one.body["schema"] for one in heard} >= {
        f"homeflex.{name}.v1" for name in ("presence", "state", "availability", "status", "telemetry")
    }
    for one in heard:
        schema = json.loads((ROOT / "docs" / "schemas" / f"{one.body['schema']}.json").read_text())
        Draft202012Validator(schema).validate(one.body)


def test_what_the_page_points_to_is_there() -> None:
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", PAGE)]
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []


def test_the_readme_and_the_contract_point_to_the_page() -> None:
    assert "(docs/aggregator.md)" in (ROOT / "README.md").read_text()
    assert "(aggregator.md)" in (ROOT / "docs" / "contract.md").read_text()


def test_the_page_tells_the_exit_codes_of_the_help() -> None:
    told = [int(code) for code in re.findall(r"^\| (\d) \|", PAGE, re.M)]
    assert told == [
        0,
        exchange.NOT_DONE,
        exchange.WRONG_USAGE,
        exchange.NO_BROKER,
        exchange.NO_ANSWER,
        exchange.IN_PART,
    ]
