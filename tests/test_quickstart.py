"""The quickstart is true: its example is a configuration, its commands are ours, its call mends a plug."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from drivers import registry
from drivers.plugs.status import flaws_of
from gateway.cli.main import app
from gateway.core.model import FallbackBy
from gateway.daemon.config import Config, parse
from gateway.files import check
from tests.fakes.shelly import Switch

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "quickstart.md").read_text()
EXAMPLE = (ROOT / "docs" / "homeflex.toml").read_text()
CONTRACT = (ROOT / "docs" / "contract.md").read_text()
LINES = re.findall(r"^    (\S.*)$", PAGE, re.M)
OURS = [line.removeprefix("sudo -u homeflex ") for line in LINES]
OURS = [line for line in OURS if line.startswith("homeflex ")]


@pytest.fixture
def config() -> Config:
    return parse(EXAMPLE, registry.kind, Path("/etc/homeflex"))


def test_the_example_is_a_whole_home(config: Config) -> None:
    assert {device.driver for device in config.devices.values()} == set(registry.names())
    assert [asset.id for asset in config.assets] == ["ev", "heat", "freezer"]
    assert config.supply
    assert config.uplink


def test_every_device_of_the_example_that_is_held_returns_by_itself(config: Config) -> None:
    held = [asset.ability for asset in config.assets]
    assert all(ability.holds and ability.fallback is not FallbackBy.NONE for ability in held)
    assert max(ability.lease_s for ability in held) <= 900


def test_the_example_with_its_files_beside_it_has_no_problem(tmp_path: Path) -> None:
    """As `homeflex config check` sees it."""
    (keys,) = re.findall(r'^{"schema": "homeflex\.keys\.v1".*?\n.*?}$', CONTRACT, re.M)
    (tmp_path / "keys.json").write_text(keys)
    (tmp_path / "uplink.secret").write_text("geheim\n")
    (tmp_path / "homeflex.toml").write_text(EXAMPLE)
    assert check(tmp_path / "homeflex.toml") == ()


def test_every_table_of_the_example_is_told_of_on_the_page() -> None:
    tables = re.findall(r"^\[(.+?)\]", EXAMPLE, re.M)
    named = {
        "site": "site.id",
        "paths": "systemd/",
        "security": "keys.json",
        "uplink": "aggregator connected",
    }
    kinds = {"devices.room": "room sensor", "devices.hp": "heat pump", "devices.charger": "central system"}
    kinds |= {"devices.freezer-plug": "plug.secret", "asset.ev": "[asset.ev.", "asset.heat": "[asset.heat."}
    words = named | kinds | {"asset.freezer": "[asset.freezer."}
    assert [table for table in tables if words.get(table, f"[{table}]") not in PAGE] == []


def test_the_example_has_the_paths_of_the_unit(config: Config) -> None:
    unit = (ROOT / "systemd" / "homeflex.service").read_text()
    assert f'state = "{config.paths.state}"' in unit
    assert f'socket = "{config.paths.socket}"' in unit


def test_the_page_has_the_addresses_of_the_example(config: Config) -> None:
    charger = config.devices["charger"].settings
    assert f"ws://HUB:{charger.port}/{charger.charge_point}" in PAGE
    assert f"to any port {charger.port} proto tcp" in PAGE
    assert f"http://{config.devices['freezer-plug'].settings.host}/rpc" in PAGE


@pytest.mark.parametrize("line", OURS)
def test_a_command_on_the_page_is_one_of_ours(line: str) -> None:
    command: Any = typer.main.get_command(app)
    words = shlex.split(line, comments=True)[1:]
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    assert command.make_context("homeflex", words).params  # a wrong option is an exception


def test_the_page_shows_every_command_that_a_home_needs() -> None:
    commands = {shlex.split(line, comments=True)[1] for line in OURS}
    assert commands >= {"config", "run", "status", "why", "override", "soc", "charge-now", "release"}


def test_what_the_page_copies_is_there() -> None:
    paths = re.findall(r"(?:cp|`)\s*((?:systemd|docs|firmware_profiles)/[\w./-]*)", PAGE)
    assert len(paths) >= 4
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_what_the_page_points_to_is_there() -> None:
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", PAGE)]
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
    assert "## Trust store" in CONTRACT


def test_the_call_on_the_page_makes_a_plug_come_back_by_itself(config: Config) -> None:
    (body,) = re.findall(r"curl \S+ -d '(.+?)'", PAGE)
    call = json.loads(body)
    assert (call["method"], call["params"]["id"]) == ("Switch.SetConfig", 0)
    switch = Switch()
    switch.config |= {"initial_state": "off", "auto_on": False, "auto_on_delay": 60.0}
    switch.config |= call["params"]["config"]
    plug = config.devices["freezer-plug"].settings
    assert flaws_of(switch.config, plug.longest_off_s, plug.lease_s) == {}


def test_the_readme_points_to_the_page() -> None:
    assert "(docs/quickstart.md)" in (ROOT / "README.md").read_text()
