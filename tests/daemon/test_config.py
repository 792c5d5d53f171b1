"""The configuration's one door: what is good is taken whole, what is not is told whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.model import AssetClass, Supply
from tests.daemon.configuration import GOOD, parsed, problems, spoilt
from tests.daemon.fuzz_config import fuzz_config


def test_a_good_file_is_taken_whole(tmp_path: Path) -> None:
    config = parsed(folder=tmp_path)
    (asset,) = config.assets
    assert (asset.id, asset.asset_class, asset.control, asset.nominal_w) == (
        "heat",
        AssetClass.HEAT,
        "hp",
        2400,
    )
    named = {"power_w": ("hp.power_w",), "room_c": ("room.room_c", "hp.room_c")}
    assert asset.sources == {**named, "changes_left": ("hp.changes_left",)}  # its profile's memory wears
    assert asset.ability.levels_w == (0,)
    assert asset.ability.lease_s == 120
    assert config.supply == Supply(fuse_w=13_800, unmetered_w=3_000)
    assert config.security.keys == tmp_path / "keys.json"
    assert config.paths.socket == tmp_path / "state/console.sock"
    assert config.devices["room"].settings.broker.password_file == tmp_path / "room.secret"


def _faults() -> Iterator[tuple[str, str, str]]:
    for fault in (Path(__file__).parent / "config_faults.txt").read_text().split("\n\n")[1:]:
        marked = {mark: [ln[2:] for ln in fault.splitlines() if ln.startswith(mark)] for mark in "-+="}
        yield "\n".join(marked["-"]), "\n".join(marked["+"]), marked["="][0]


@pytest.mark.parametrize(("old", "new", "problem"), list(_faults()))
def test_an_error_names_field_value_and_what_would_be_right(old: str, new: str, problem: str) -> None:
    assert problem in problems(spoilt(old, new))


def test_every_error_is_told_at_once_also_what_only_tables_together_show() -> None:
    text = spoilt('"Europe/London"', '"Mars"')
    text = text.replace('profile = "xtherma"', 'profile = "fjord"').replace(
        'control = "hp"', 'control = "pump"'
    )
    text = text.replace("port = 1883", "port = 0").replace("[boundary]", "[bounds]")
    assert [problem.partition(":")[0] for problem in problems(text)] == [
        "site.zone",
        "uplink.port",
        "bounds",
        "devices.hp",
        "asset.heat.control",
        "boundary",
    ]


def test_nothing_is_said_that_rests_on_a_table_which_is_itself_unsound() -> None:
    text = spoilt('driver = "p1"', "driver = 1").replace("[security]\n", "[security]\nstem = 1\n")
    assert problems(text) == (
        "security.stem: unknown; remove it or correct its name",
        'devices.meter.driver: 1 should be a name; driver = "modbus" would be right',
    )


@pytest.mark.parametrize(
    ("section", "path"),
    [
        ("[site]", "site"),
        ("[uplink]", "uplink"),
        ("[security]", "security"),
        ("[supply]", "supply"),
        ("[devices.hp]", "devices.hp"),
        ("[devices.meter]", "devices.meter"),
        ("[devices.room]", "devices.room"),
        ("[asset.heat]", "asset.heat"),
        ("[asset.heat.comfort]", "asset.heat.comfort"),
        ("[boundary]", "boundary"),
    ],
)
def test_an_unknown_key_is_an_error_and_its_value_is_not_repeated(section: str, path: str) -> None:
    assert problems(spoilt(section, f'{section}\npassword = "hunter2"')) == (
        f"{path}.password: unknown; remove it or correct its name",
    )


def test_a_secret_is_a_file_and_never_a_value() -> None:
    inline = spoilt('password_file = "room.secret"', 'password = "hunter2"')
    assert problems(inline) == ("devices.room.broker.password: unknown; remove it or correct its name",)


def test_a_secret_may_be_the_service_managers_credential(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = spoilt("port = 1883", 'username = "hub"\npassword_file = "$CREDENTIALS_DIRECTORY/uplink"')
    assert "LoadCredential=" in problems(text)[0]
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    uplink = parsed(text).uplink
    assert uplink
    assert uplink.password_file == tmp_path / "uplink"


def test_blocks_of_a_day_are_of_what_heats() -> None:
    car = GOOD.replace('class = "heat"', 'class = "ev"').replace("room_max_c = 24", "blocks_per_day = 2")
    right = 'is of what heats; class = "heat" would be right, or remove it'
    assert problems(car) == (f"asset.heat: comfort.blocks_per_day {right}",)


def test_a_pre_heat_is_of_what_heats() -> None:
    car = GOOD.replace('class = "heat"', 'class = "ev"')
    car = car.replace("room_max_c = 24", "preheat = { kelvin = 1, hours = 2 }")
    right = 'is of what heats; class = "heat" would be right, or remove it'
    assert problems(car) == (f"asset.heat: comfort.preheat {right}",)


def test_a_device_that_cannot_be_held_controls_nothing() -> None:
    (problem,) = problems(spoilt('control = "hp"', 'control = "room"'))
    assert problem.startswith("asset.heat.control: 'room' cannot be held; leave `control` out")


def test_a_device_without_a_fallback_is_held_only_where_the_site_allows_it() -> None:
    nibe = spoilt('profile = "xtherma"', 'profile = "nibe-s"')
    (problem,) = problems(nibe)
    assert "needs harmless_w" in problem
    assert problems(nibe.replace('"nibe-s"', '"nibe-s"\nharmless_w = 1500')) == ()


def test_a_hold_that_is_above_what_the_asset_draws_is_no_hold() -> None:
    nibe = spoilt('profile = "xtherma"', 'profile = "nibe-s"\nharmless_w = 2500')
    assert problems(nibe) == (
        "asset.heat.control: 'hp' cannot be held below 2500 W, and the asset draws at most nominal_w = 2400",
    )


def test_a_device_holds_one_asset() -> None:
    second = '[asset.water]\nclass = "heat"\ncontrol = "hp"\nnominal_w = 3000\n'
    assert problems(GOOD + second) == ("asset.water.control: 'hp' holds heat already; one asset a device",)


@pytest.mark.parametrize("name", ["ack", "site", "status", "boundary"])
def test_the_contracts_names_are_no_assets(name: str) -> None:
    text = GOOD.replace("[asset.heat", f"[asset.{name}")
    assert problems(text) == (f"asset.{name}: the contract keeps this name; choose another",)


def test_a_socket_that_no_one_could_open_is_an_error(tmp_path: Path) -> None:
    text = f'{GOOD}\n[paths]\nsocket = "{"s" * 108}"\n'
    (problem,) = problems(text, tmp_path)
    assert problem.startswith("paths.socket: 'sss")
    assert problem.endswith("is too long; 107 bytes in all")


# --- digests ------------------------------------------------------------------------------------------


def _digests(text: str, folder: Path) -> dict[str, str]:
    return {name: device.digest for name, device in parsed(text, folder).devices.items()}


def _changed(text: str, folder: Path, before: dict[str, str]) -> set[str]:
    return {name for name, digest in _digests(text, folder).items() if before[name] != digest}


@pytest.mark.parametrize(
    ("old", "new", "devices"),
    [
        ("192.168.1.20", "192.168.1.30", {"hp"}),
        ("192.168.1.21:23", "192.168.1.21:24", {"meter"}),
        ("living-room", "hall", {"room"}),
        ('"Europe/London"', '"Europe/Paris"', set()),
        ("nominal_w = 2400", "nominal_w = 2500", set()),
        ("room_max_c = 24", "room_max_c = 23", set()),
        ("[site]", "# a word\n[site]", set()),
        ('profile = "xtherma"\nhost = "192.168.1.20"', 'host = "192.168.1.20"\nprofile = "xtherma"', set()),
    ],
)
def test_a_device_changes_only_with_its_own_section(
    old: str, new: str, devices: set[str], tmp_path: Path
) -> None:
    before = _digests(GOOD, tmp_path)
    assert _changed(spoilt(old, new), tmp_path, before) == devices


def test_a_device_changes_when_its_secret_does(tmp_path: Path) -> None:
    (tmp_path / "room.secret").write_text("one")
    before = _digests(GOOD, tmp_path)
    (tmp_path / "keys.json").write_text("not of a device")
    assert _changed(GOOD, tmp_path, before) == set()
    (tmp_path / "room.secret").write_text("two")
    assert _changed(GOOD, tmp_path, before) == {"room"}


def test_a_secret_in_the_credentials_directory_counts_as_well(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    text = spoilt("room.secret", "$CREDENTIALS_DIRECTORY/room")
    (tmp_path / "room").write_text("one")
    before = _digests(text, Path("/nowhere"))
    (tmp_path / "room").write_text("two")
    assert _changed(text, Path("/nowhere"), before) == {"room"}


def test_a_secret_that_cannot_be_read_leaves_the_other_devices_alone(tmp_path: Path) -> None:
    assert set(_digests(spoilt("room.secret", "x" * 300), tmp_path)) == {"hp", "meter", "room"}


def test_the_whole_has_a_digest_of_its_own() -> None:
    assert parsed().digest == parsed("# a word\n" + GOOD).digest
    assert parsed().digest != parsed(spoilt("nominal_w = 2400", "nominal_w = 2500")).digest


# --- any text -------------------------------------------------------------------------------------------

ODD = ["nan", "-inf", "1979-05-27", "true", '"\\u0000"', "[]", "{}", "9" * 30, "''", ".", "=", "\n", "\ufeff"]
TABLES = ["[[asset]]", "[devices]", "[asset.heat.comfort.room_min_c]"]
WORDS = st.sampled_from([*GOOD.split(), *(f"{line}\n" for line in GOOD.splitlines()), *ODD, *TABLES])


@given(st.lists(WORDS, max_size=40).map(" ".join))
@example("x=" + "[" * 5000)
@example("x=" + "9" * 5000)
@example("devices = 1\nasset = []")
def test_any_text_is_a_configuration_or_a_config_error(text: str) -> None:
    fuzz_config(text)


VALUES = st.one_of(
    st.booleans().map(lambda b: str(b).lower()),
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(
        ['""', '"\\u0000"', "[]", "{}", "[[]]", "[{}]", '["a.b"]', "1979-05-27", '"24:00"', '"hp"']
    ),
    st.text("abc-._\"\\'é", max_size=8).map(lambda t: f'"{t}"'),
)


@given(st.data())
def test_any_value_at_any_place_is_taken_or_told(data: st.DataObject) -> None:
    lines = GOOD.splitlines()
    places = [number for number, line in enumerate(lines) if " = " in line]
    for number in data.draw(st.lists(st.sampled_from(places), max_size=3)):
        lines[number] = f"{lines[number].partition(' = ')[0]} = {data.draw(VALUES)}"
    fuzz_config("\n".join(lines))
