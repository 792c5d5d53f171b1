"""Each command can be found: it has help with an example, and the README shows it."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from gateway.cli.main import app
from gateway.cli.start import main

README = (Path(__file__).parents[2] / "README.md").read_text()


def _commands(group: Any, path: tuple[str, ...] = ()) -> dict[str, Any]:
    found = {}
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            found |= _commands(command, (*path, name))
        else:
            found[" ".join((*path, name))] = command
    return found


COMMANDS = _commands(typer.main.get_command(app))


def test_these_are_the_commands() -> None:
    assert set(COMMANDS) == {
        "run", "demo", "status", "why", "override", "pause", "soc", "charge-now", "release", "config check",
        "opt-out", "skip-delay", "sessions", "meter", "half-hours", "report", "dispatch", "accept", "decline",
        "keys",
        "aggregator keys new", "aggregator keys sign", "aggregator keys publish", "aggregator send",
        "aggregator ask", "aggregator watch", "aggregator verify", "aggregator ack", "aggregator convert",
    }  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_help_with_an_example_that_it_takes(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    assert command.epilog.startswith(f"Example: homeflex {name}")
    words = shlex.split(command.epilog.removeprefix(f"Example: homeflex {name}"))
    assert command.make_context(name, words).params  # a wrong option is an exception


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_json(name: str) -> None:
    assert any("--json" in parameter.opts for parameter in COMMANDS[name].params)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_in_the_readme(name: str) -> None:
    assert f"homeflex {name}" in README


def test_the_demo_without_its_extra_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in [name for name in sys.modules if name.startswith("gateway.demo")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "iotcore", None)  # as if it were not installed
    monkeypatch.setattr(sys, "argv", ["homeflex", "demo"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert 'pip install "homeflex[demo]"' in capsys.readouterr().err


def test_the_daemon_loads_neither_rich_nor_validators_and_speaks_ocpp_without_them() -> None:
    code = """
import sys
from gateway.cli.start import _leave_out
_leave_out()
import gateway.app, drivers.ocpp.session
from drivers.ocpp import v16
from drivers.ocpp.profile import Unit
assert v16.get_composite(1, Unit.AMPERE)[0] == "GetCompositeSchedule"
print(*{name.partition(".")[0] for name in sys.modules})
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "ocpp" in said.split()
    assert not {"rpds", "attr", "referencing", "typer"} & set(said.split())
