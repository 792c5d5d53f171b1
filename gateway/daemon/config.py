"""The site's configuration: one TOML text in, a frozen `Config` or every error at once out.

Parsed, not validated by hand: sections.py says what may stand where, `_together` what must agree.
An error names field, value and what would be right. Secrets are named files, never values.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ValidationError

from drivers.base import DriverKind
from gateway.core.bind import FIELDS
from gateway.core.model import TYPED, Ability, Asset, AssetClass, Circuit, FallbackBy, Supply
from gateway.daemon import wiring
from gateway.daemon.household import COLD_OFF_MOST_S
from gateway.daemon.problem import problems_of, right_for, shown
from gateway.daemon.sections import (
    RESERVED,
    AssetSection,
    Boundary,
    CircuitSection,
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
SOCKET_PATH_MAX = 107  # bytes; sun_path of unix(7), without its NUL


class ConfigError(Exception):
    """The text is no configuration. `problems` holds every one of them, a line each."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Device:
    """One configured device. `digest` changes exactly when its section, profile or secret does.

    `profile` is the id and the SHA-256 of the data file it is driven by, if there is one; `points` what
    it can publish, where that is known beforehand.
    """

    name: str
    driver: str
    settings: Any
    ability: Ability
    digest: str
    profile: tuple[str, str] | None = None
    points: frozenset[str] | None = None


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
    circuits: Mapping[str, CircuitSection]
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
    raw = _toml(text)
    file, unsound, problems = _file(raw)
    devices, faults = _devices(file.devices, kind, folder)
    problems += [*faults, *_together(file, unsound, devices, folder)]
    if problems:
        raise ConfigError(tuple(problems))
    return _config(file, devices, folder)


def _toml(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ConfigError(("not TOML: nested too deeply",)) from error
    except ValueError as error:  # also a number of thousands of digits
        raise ConfigError((f"not TOML: {error}",)) from error


def _file(raw: dict[str, Any]) -> tuple[File, set[str], list[str]]:
    """The file; where it has faults, what is sound of it, the tables left out, and the faults.

    So what tables must agree on is looked at, and told, together with what is wrong in one of them.
    """
    try:
        return File.model_validate(raw), set(), []
    except ValidationError as error:
        unsound = {".".join(str(part) for part in item["loc"][:2]) for item in error.errors()}
        unsound |= {path.partition(".")[0] for path in unsound}
        sound: dict[str, Any] = {"site": {"id": "unsound", "zone": "UTC"}}
        for name, table in raw.items():
            if name in ("devices", "asset", "circuit") and isinstance(table, dict):
                sound[name] = {key: part for key, part in table.items() if f"{name}.{key}" not in unsound}
            elif name not in unsound:
                sound[name] = table
        return File.model_validate(sound), unsound, problems_of(error)


def _config(file: File, devices: dict[str, Device], folder: Path) -> Config:
    supply, drawn_from = None, _drawn_from(file, devices)
    if fuse := file.supply:
        supply = Supply(
            fuse.fuse_w,
            restore_s=fuse.restore_s,
            max_age_s=fuse.meter_max_age_s,
            unmetered_w=fuse.silent_meter_w,
            restart_s=fuse.restart_s,
            starts_apart_s=fuse.starts_apart_s,
            phases=fuse.phases,
            circuits=tuple(_circuit(name, section, fuse.volts) for name, section in file.circuit.items()),
        )
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
        assets=tuple(
            _asset(name, section, devices, drawn_from.get(name, 1)) for name, section in file.asset.items()
        ),
        sections=file.asset,
        boundary=file.boundary,
        circuits=file.circuit,
        digest=_digest(file.model_dump(mode="json", by_alias=True)),
    )


def _circuit(name: str, section: CircuitSection, volts: float) -> Circuit:
    fuse_w = int(section.fuse_a * volts * section.phases)
    return Circuit(name, fuse_w, section.phases, section.parent, section.silent_meter_w)


def _asset(name: str, section: AssetSection, devices: Mapping[str, Device], drawn_from: int) -> Asset:
    ability = devices[section.control].ability if section.control else Ability()
    if section.asset_class is not AssetClass.EV and section.comfort.preheat is None:
        ability = replace(ability, raises=False)  # what makes it run is the household's to switch on
    sources = {field: getattr(section, field, ()) for field in FIELDS}
    if ability.changes_per_day is not None:
        sources["changes_left"] = (f"{section.control}.changes_left",)
    return Asset(
        id=name,
        asset_class=section.asset_class,
        nominal_w=section.nominal_w,
        ability=ability,
        control=section.control,
        sources={field: points for field, points in sources.items() if points},
        storage=section.stores,
        phases=tuple(int(phase[1]) for phase in section.phases) or ((1, 2, 3) if drawn_from == 3 else ()),
        circuit=section.circuit,
    )


def _devices(
    sections: Mapping[str, dict[str, Any]], kind: Callable[[str], DriverKind], folder: Path
) -> tuple[dict[str, Device], list[str]]:
    devices: dict[str, Device] = {}
    problems: list[str] = []
    for name, section in sections.items():
        try:
            devices[name] = _device(name, section, kind, folder)
        except ConfigError as error:
            problems += error.problems
        except ValidationError as error:
            problems += problems_of(error, f"devices.{name}")
        except ValueError as error:  # its profile
            problems.append(f"devices.{name}: {error}")
    return devices, problems


def _device(name: str, section: dict[str, Any], kind: Callable[[str], DriverKind], folder: Path) -> Device:
    settings = dict(section)
    driver = settings.pop("driver", None)
    found = _kind(f"devices.{name}.driver", driver, kind)
    parsed = found.settings.model_validate(settings)
    profile = found.profile(parsed)
    rooted = _rooted(parsed, folder)
    digest = _digest([driver, section, profile, _secrets(rooted)])
    return Device(name, driver, rooted, found.ability(parsed), digest, profile, found.points(parsed))


def _kind(path: str, driver: Any, kind: Callable[[str], DriverKind]) -> DriverKind:
    if driver is None:
        raise ConfigError((f"{path}: is missing{right_for('driver')}",))
    if not isinstance(driver, str):
        raise ConfigError((f"{path}: {shown(driver)} should be a name{right_for('driver')}",))
    try:
        return kind(driver)
    except KeyError as error:
        raise ConfigError((f"{path}: {error.args[0]}",)) from error


def _secrets(settings: object) -> list[str]:
    """A changed secret is a changed device, though the configuration names only its file."""
    if not isinstance(settings, BaseModel):
        return []
    values = [(name, getattr(settings, name)) for name in type(settings).model_fields]
    files = [value for name, value in values if name.endswith("_file") and isinstance(value, Path)]
    return [*map(_fingerprint, files), *(found for _, value in values for found in _secrets(value))]


def _fingerprint(file: Path) -> str:
    """Empty where it cannot be read: that is for the driver to tell, the other devices go on."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except (OSError, ValueError):
        return ""


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


def _together(file: File, unsound: set[str], devices: Mapping[str, Device], folder: Path) -> list[str]:
    """What tables must agree on; nothing is said that rests on an unsound one."""
    problems = [
        f"asset.{n}: the contract keeps this name; choose another" for n in file.asset if n in RESERVED
    ]
    if file.devices or "devices" not in unsound:
        problems += _unknown_devices(file, unsound)
    problems += _unknown_points(file, devices)
    problems += _controls(file, devices)
    problems += _cold(file, devices)
    problems += _off(file, devices)
    problems += wiring.faults(file, unsound, _drawn_from(file, devices))
    if file.uplink and "security" not in unsound and _is_keyless(file):
        problems.append('security.keys: is missing; keys = "keys.json" (the trust store) would be right')
    if file.supply and not file.boundary and "boundary" not in unsound:
        problems.append('boundary: is missing; [supply] needs it with power_w = ["meter.power_w"]')
    if len(os.fsencode(folder / file.paths.socket)) > SOCKET_PATH_MAX:
        problems.append(
            f"paths.socket: {shown(file.paths.socket)} is too long; {SOCKET_PATH_MAX} bytes in all"
        )
    return problems


def _is_keyless(file: File) -> bool:
    return file.security.require_signatures and file.security.keys is None


def _unknown_devices(file: File, unsound: set[str]) -> list[str]:
    named = {*file.devices, *(path.removeprefix("devices.") for path in unsound)}
    names = ", ".join(file.devices) or "none"
    mentions = [(path, source, source.partition(".")[0]) for path, source in _sources(file)]
    mentions += [(f"asset.{n}.control", s.control, s.control) for n, s in file.asset.items() if s.control]
    return [
        f"{path}: {said!r}: there is no device {device!r}; there are {names}"
        for path, said, device in mentions
        if device not in named
    ]


def _unknown_points(file: File, devices: Mapping[str, Device]) -> list[str]:
    problems = []
    for path, source in _sources(file):
        name, _, point = source.partition(".")
        known = devices[name].points if name in devices else None
        if known is not None and point not in known:
            there_are = ", ".join(sorted(known))
            problems.append(f"{path}: {source!r}: {name} has no point {point!r}; there are {there_are}")
    return problems


def _controls(file: File, devices: Mapping[str, Device]) -> list[str]:
    problems: list[str] = []
    holds: dict[str, str] = {}
    for name, section in file.asset.items():
        path, device = f"asset.{name}.control", devices.get(section.control or "")
        if device is None:
            continue
        if device.name in holds:
            problems.append(f"{path}: {device.name!r} holds {holds[device.name]} already; one asset a device")
        if why := _cannot_hold(device, section.nominal_w):
            problems.append(f"{path}: {device.name!r} {why}")
        holds[device.name] = name
    return problems


def _cannot_hold(device: Device, nominal_w: int) -> str:
    lowest_w = device.ability.lowest_w
    if lowest_w is None:
        return (
            "cannot be held; leave `control` out to only watch the asset"
            " (a device that does not fall back by itself needs harmless_w)"
        )
    if lowest_w >= nominal_w:
        return f"cannot be held below {lowest_w} W, and the asset draws at most nominal_w = {nominal_w}"
    return ""


def _cold(file: File, devices: Mapping[str, Device]) -> Iterator[str]:
    """Food is only switched off where the device itself comes back in time, whatever becomes of us."""
    for name, section in file.asset.items():
        device, appliance = devices.get(section.control or ""), section.care.appliance
        if device is None or appliance is None:
            continue
        path, most_s = f"asset.{name}.care.appliance", COLD_OFF_MOST_S[appliance]
        # How long the device stays off by its own settings, where it has such a one.
        back_s = max(device.ability.lease_s, getattr(device.settings, "longest_off_s", 0.0))
        if device.ability.fallback is not FallbackBy.DEVICE:
            yield (
                f"{path}: {appliance!r}: {device.name} does not return by a timer of its own;"
                ' a plug that does, as with driver = "shelly", would be right'
            )
        elif back_s > most_s:
            said = f"{device.name} may stay off for {back_s:g} s"
            yield f"{path}: {appliance!r}: {said}; {most_s:g} s at most would be right"


def _off(file: File, devices: Mapping[str, Device]) -> Iterator[str]:
    """The longest off holds although we are gone: the device's own timer is no longer."""
    for name, section in file.asset.items():
        device, most_s = devices.get(section.control or ""), section.care.off_most_s
        if device is None or most_s is None or not device.ability.holds or device.ability.lease_s <= most_s:
            continue
        path = f"asset.{name}.care.longest_off_s"
        if math.isinf(device.ability.lease_s):
            if section.care.appliance is None:
                yield (
                    f"{path}: {most_s:g}: {device.name} does not return by a timer of its own;"
                    ' a plug that does, as with driver = "shelly", would be right'
                )
            continue
        lease_s = device.ability.lease_s
        said = f"{device.name} stays off for {lease_s:g} s when the gateway is gone"
        yield f"{path}: {most_s:g}: {said}; devices.{device.name}.lease_s = {most_s:g} would be right"


def _drawn_from(file: File, devices: Mapping[str, Device]) -> dict[str, int]:
    """From how many phases each asset draws whose device says it."""
    of_device = {name: getattr(device.settings, "phases", None) for name, device in devices.items()}
    counts = {name: of_device.get(section.control or "") for name, section in file.asset.items()}
    return {name: count for name, count in counts.items() if count is not None}


def _sources(file: File) -> Iterator[tuple[str, str]]:
    for name, section in file.asset.items():
        for field in FIELDS:
            named = [source for source in getattr(section, field, ()) if source != TYPED]
            yield from ((f"asset.{name}.{field}", source) for source in named)
    for name, circuit in file.circuit.items():
        yield from ((f"circuit.{name}.power_w", source) for source in circuit.power_w)
    if file.boundary:
        for field in ("power_w", "l1_w", "l2_w", "l3_w", "import_ws", "export_ws"):
            yield from ((f"boundary.{field}", source) for source in getattr(file.boundary, field))


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
