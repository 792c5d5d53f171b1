"""The pages are true: the example is a configuration, and what they point to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from drivers import registry
from gateway.daemon.config import parse

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = (
    "README.md",
    "CHANGELOG.md",
    "docs/architecture.md",
    "docs/charge-sessions.md",
    "docs/configuration.md",
    "docs/fleet.md",
)


def test_the_example_is_a_configuration() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    config = parse(example, registry.kind, Path("/etc/homeflex"))
    assert [asset.id for asset in config.assets] == ["heat"]
    assert config.uplink
    assert config.uplink.password_file == Path("/etc/homeflex/uplink.secret")


def test_the_example_has_the_paths_of_the_unit() -> None:
    unit = (ROOT / "systemd" / "homeflex.service").read_text()
    for name in ("state", "socket"):
        (path,) = re.findall(rf'^{name} = "(.+?)"', README, re.M)
        assert f'{name} = "{path}"' in unit


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_points_to_is_there(page: str) -> None:
    text = (ROOT / page).read_text()
    links = [(ROOT / page).parent / link for link in re.findall(r"\]\(([^)#]+)\)", text)]
    paths = re.findall(r"`((?:gateway|drivers|tests|systemd|docs|firmware_profiles)/[\w./-]*)`", text)
    assert links or paths or page == "CHANGELOG.md"
    assert [str(path) for path in [*links, *(ROOT / path for path in paths)] if not path.exists()] == []


def test_the_readme_has_a_row_for_every_room() -> None:
    rooms = {f"{top}/" for top in ("drivers", "firmware_profiles", "systemd", "tests")}
    rooms |= {
        f"gateway/{path.name}/" for path in (ROOT / "gateway").iterdir() if (path / "__init__.py").exists()
    }
    rooms |= {f"gateway/{name}" for name in ("app.py", "answers.py")}
    assert {room for room in rooms if f"`{room}`" not in README} == set()
