"""The site's configuration: one TOML text in, a frozen `Config` or every error at once out.

Parsed, not validated by hand: sections.py says what may stand where, `_together` what must agree.
An error names field, value and what would be right. Secrets are named files, never values.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ValidationError

from drivers.base import DriverKind
from gateway.core.bind import FIELDS
from gateway.core.model import Ability, Asset, Supply
from gateway.daemon.sections import (
    RESERVED,
    AssetSection,
    Boundary,
    Clock,
    Delays,
    File,
    Paths,
    Reporting,
    Security,
    Services,
    Site,
    UplinkSection,
)

ModelT = TypeVar("ModelT")


class ConfigError(Exception):
    """The text is no configuration. `problems` holds every one of them, a line each."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Device:
    """One configured device. `digest` changes exactly when its section, profile or secret does.

    `profile` is the id and the SHA-256 of the data file it is driven by, if there is one.
    """

    name: str
    driver: str
    settings: Any
    ability: Ability
    digest: str
    profile: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """The configuration in force. `digest` names the whole of it."""

    site: Site
    paths: Paths
    uplink: UplinkSection | None
    security: Security
    reporting: Reporting
    delays: Delays
    services: Services
    clock: Clock
    supply: Supply | None
    devices: Mapping[str, Device]
    assets: tuple[Asset, ...]
    sections: Mapping[str, AssetSection]
    boundary: Boundary | None
    digest: str

    @property
    def zone(self) -> ZoneInfo:
        """The home's time zone."""
        return ZoneInfo(self.site.zone)


def parse(text: str, kind: Callable[[str], DriverKind], folder: Path) -> Config:
    """The configuration that `text` (TOML) says; paths in it are relative to `folder`.

    Raises:
        ConfigError: it says none; every problem at once, each with field, value and what would be right.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError((f"not TOML: {error}",)) from error
    try:
        file = File.model_validate(raw)
    except ValidationError as error:
        raise ConfigError((*_problems(error), *_device_problems(raw, kind))) from error
    devices, problems = _devices(file.devices, kind, folder)
    problems += _together(file)
    if problems:
        raise ConfigError(tuple(problems))
    return _config(file, devices, folder)


def _config(file: File, devices: dict[str, Device], folder: Path) -> Config:
    supply = None
    if fuse := file.supply:
        watts = int(fuse.fuse_a * fuse.volts * fuse.phases)
        supply = Supply(watts, fuse.restore_s, fuse.meter_max_age_s, fuse.silent_meter_w)
    return Config(
        site=file.site,
        paths=_rooted(file.paths, folder),
        uplink=_rooted(file.uplink, folder),
        security=_rooted(file.security, folder),
        reporting=file.reporting,
        delays=file.delays,
        services=file.services,
        clock=file.clock,
        supply=supply,
        devices=devices,
        assets=tuple(_asset(name, section, devices) for name, section in file.asset.items()),
        sections=file.asset,
        boundary=file.boundary,
        digest=_digest(file.model_dump(mode="json", by_alias=True)),
    )


def _asset(name: str, section: AssetSection, devices: Mapping[str, Device]) -> Asset:
    sources = {field: getattr(section, field) for field in (*FIELDS, "import_ws")}
    return Asset(
        id=name,
        asset_class=section.asset_class,
        nominal_w=section.nominal_w,
        ability=devices[section.control].ability if section.control else Ability(),
        control=section.control,
        sources={field: points for field, points in sources.items() if points},
        storage=section.storage,
    )


def _devices(
    sections: Mapping[str, dict[str, Any]], kind: Callable[[str], DriverKind], folder: Path
) -> tuple[dict[str, Device], list[str]]:
    devices, problems = {}, []
    for name, section in sections.items():
        try:
            devices[name] = _device(name, section, kind, folder)
        except ValidationError as error:
            problems += _problems(error, f"devices.{name}")
        except (KeyError, ValueError) as error:
            problems.append(f"devices.{name}: {error.args[0]}")
    return devices, problems


def _device(name: str, section: dict[str, Any], kind: Callable[[str], DriverKind], folder: Path) -> Device:
    settings = dict(section)
    driver = settings.pop("driver", None)
    if not isinstance(driver, str):
        raise ValueError('`driver` is missing; driver = "modbus" would be right')
    found = kind(driver)
    parsed = found.settings.model_validate(settings)
    profile = found.profile(parsed)
    digest = _digest([driver, section, profile, _secret_digests(section, folder)])
    return Device(name, driver, _rooted(parsed, folder), found.ability(parsed), digest, profile)


def _secret_digests(section: Mapping[str, Any], folder: Path) -> list[str]:
    """A changed secret is a changed device, though the configuration names only its file."""
    files = [folder / v for k, v in _walk(section) if k.endswith("_file") and isinstance(v, str)]
    return [hashlib.sha256(f.read_bytes()).hexdigest() for f in files if f.is_file()]


def _walk(section: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in section.items():
        if isinstance(value, Mapping):
            yield from _walk(value)
        else:
            yield key, value


def _rooted(model: ModelT, folder: Path) -> ModelT:
    """The model with every path in it taken from `folder`."""
    if not isinstance(model, BaseModel):
        return model
    changes: dict[str, object] = {}
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, Path):
            changes[name] = folder / value
        elif isinstance(value, BaseModel):
            changes[name] = _rooted(value, folder)
    return model.model_copy(update=changes)


def _together(file: File) -> list[str]:
    problems = []
    names = ", ".join(file.devices) or "none"
    for path, source in _sources(file):
        device = source.partition(".")[0]
        if device not in file.devices:
            problems.append(f"{path}: {source}: there is no device {device!r}; there are {names}")
    controls: dict[str, str] = {}
    for name, section in file.asset.items():
        if name in RESERVED:
            problems.append(f"asset.{name}: the contract keeps this name; choose another")
        if section.control is None:
            continue
        if section.control not in file.devices:
            problems.append(f"asset.{name}.control: no device {section.control!r}; there are {names}")
        if other := controls.get(section.control):
            problems.append(f"asset.{name}.control: {section.control} already holds {other}")
        controls[section.control] = name
    if file.uplink and file.security.require_signatures and file.security.keys is None:
        problems.append("security.keys: is missing; the trust store's file, or require_signatures = false")
    if file.supply and not file.boundary:
        problems.append("supply: needs [boundary] with the meter's power_w to know what is left")
    return problems


def _sources(file: File) -> Iterator[tuple[str, str]]:
    for name, section in file.asset.items():
        for field in (*FIELDS, "import_ws"):
            yield from ((f"asset.{name}.{field}", source) for source in getattr(section, field))
    if file.boundary:
        for field in ("power_w", "import_ws", "export_ws"):
            yield from ((f"boundary.{field}", source) for source in getattr(file.boundary, field))


def _device_problems(raw: dict[str, Any], kind: Callable[[str], DriverKind]) -> list[str]:
    sections = raw.get("devices")
    if not isinstance(sections, dict):
        return []
    well_formed = {name: s for name, s in sections.items() if isinstance(s, dict)}
    return _devices(well_formed, kind, Path())[1]


def _problems(error: ValidationError, under: str = "") -> list[str]:
    return [_problem(item, under) for item in error.errors()]


def _problem(item: Any, under: str) -> str:
    path = ".".join(str(part) for part in ((under,) if under else ()) + tuple(item["loc"]))
    if item["type"] == "extra_forbidden":
        return f"{path}: unknown; remove it or correct its name"
    if item["type"] == "missing":
        return f"{path}: is missing"
    said = item["input"]
    shown = f"{said!r}: " if isinstance(said, str | int | float | bool) else ""
    message = item["msg"].removeprefix("Value error, ")
    return f"{path}: {shown}{message[0].lower()}{message[1:]}"


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
