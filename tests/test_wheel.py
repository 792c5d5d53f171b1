"""The wheel: outside the tree it finds its profiles, takes a configuration, and runs the demo."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROFILES = {path.stem for path in (ROOT / "firmware_profiles").glob("*/*.toml")}
BUILD_S, INSTALL_S, SHOW_S = 60.0, 300.0, 300
CONFIG = """\
[site]
id = "home-7f3a"
zone = "Europe/London"

[devices.hp]
driver = "modbus"
profile = "xtherma"
host = "192.168.1.20"

[asset.heat]
class = "heat"
control = "hp"
nominal_w = 2400
power_w = ["hp.power_w"]
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    _run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], ROOT, BUILD_S)
    (built,) = folder.glob("homeflex-*.whl")
    return built


def _run(command: list[str], folder: Path, within_s: float, **environment: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=within_s,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_what_runs_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"gateway", "drivers"}
    assert {Path(name).stem for name in names if name.startswith("drivers/firmware_profiles/")} >= PROFILES
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_outside_the_tree_the_wheel_finds_its_profiles(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    asked = "from drivers import profile as p; print(p.__file__, *(p.load(i).id for i in p.profile_ids()))"
    command, path = [sys.executable, "-c", asked], str(tmp_path / "installed")
    found = _run(command, tmp_path, BUILD_S, PYTHONPATH=path).split()
    assert Path(found[0]).is_relative_to(tmp_path)
    assert set(found[1:]) == PROFILES


def test_outside_the_tree_the_wheel_takes_a_configuration(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    (tmp_path / "homeflex.toml").write_text(CONFIG)
    command = [sys.executable, "-m", "gateway", "config", "check", "homeflex.toml"]
    said = _run(command, tmp_path, BUILD_S, PYTHONPATH=str(tmp_path / "installed"))
    assert said == "homeflex.toml: good\n"


@pytest.mark.long
@pytest.mark.timeout(INSTALL_S + SHOW_S + 120)
def test_installed_in_an_empty_environment_the_demo_passes(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=False)
    uv = str(Path(sys.executable).with_name("uv"))
    python = str(tmp_path / "venv/bin/python")
    lock = str(ROOT / "requirements.lock")
    _run([uv, "pip", "sync", "--python", python, "--require-hashes", lock], tmp_path, INSTALL_S)
    _run([uv, "pip", "install", "--python", python, "--no-deps", str(wheel)], tmp_path, INSTALL_S)
    homeflex = str(tmp_path / "venv/bin/homeflex")
    shown = _run([homeflex, "demo", "--for", str(SHOW_S)], tmp_path, SHOW_S + 60, PYTHONPATH="")
    assert shown.count("PASSED") == 8
