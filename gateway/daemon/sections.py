"""What may stand in the configuration file: one pydantic model a table, with units and defaults.

Only the shape and what one table can say of itself; what tables must agree on is config.py's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from gateway.core.model import AssetClass


def _matching(pattern: str, right: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(right)
        return text

    return check


def _credential(path: Path) -> Path:
    """With the service manager's credential directory filled in."""
    if path.parts[:1] != ("$CREDENTIALS_DIRECTORY",):
        return path
    if not (directory := os.environ.get("CREDENTIALS_DIRECTORY")):
        raise ValueError("$CREDENTIALS_DIRECTORY is only there under a service with LoadCredential=")
    return Path(directory, *path.parts[1:])


_ID = "[a-z0-9-]{1,40}"
Id = Annotated[str, AfterValidator(_matching(_ID, 'should be 1 to 40 of a-z, 0-9 and "-"'))]
Source = Annotated[
    str,
    AfterValidator(_matching(rf"{_ID}\.[a-z0-9_]{{1,40}}", 'should be "device.point", as in "hp.power_w"')),
]
StartOfDay = Annotated[
    str, AfterValidator(_matching("([01][0-9]|2[0-3]):[0-5][0-9]", 'should be a time of day, as in "06:30"'))
]
EndOfDay = Annotated[
    str,
    AfterValidator(
        _matching("([01][0-9]|2[0-3]):[0-5][0-9]|24:00", 'should be a time of day, "00:00" to "24:00"')
    ),
]
SecretFile = Annotated[Path, AfterValidator(_credential)]

# What a person writes is taken at its word: "80" is no number, 1 is no claim.
Claim = Annotated[bool, Field(strict=True)]
Whole = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Seconds = Annotated[Number, Field(ge=0, le=604_800)]
Watts = Annotated[Whole, Field(ge=0, le=100_000)]
RESERVED = {"ack", "site", "status", "boundary"}
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Tag = Literal["gsp", "gspGroup", "cmz", "amsid", "mpanHash"]
REST_S = 3600.0  # an hour between holds, modbus reference C1
COMPRESSOR_S = 600.0  # minimum run and rest where the device does not say, modbus reference C2


class Section(BaseModel):
    """A table of the file: what is not named here is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Site(Section):
    """Who and where this home is. `tags` are opaque to us and reported in `state`."""

    id: Id
    zone: str
    tags: Mapping[Tag, str] = Field(default_factory=dict)

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, zone: str) -> str:
        if zone not in available_timezones():
            raise ValueError('is no time zone; an IANA name like "Europe/London" would be right')
        return zone


class Paths(Section):
    """Where the daemon keeps its state and listens for the console; relative to the file's folder."""

    state: Path = Path("state")
    socket: Path = Path("state/console.sock")


class Tls(Section):
    """Files for TLS: the authority that signed the broker, and our own certificate and key."""

    ca: SecretFile
    certificate: SecretFile | None = None
    key: SecretFile | None = None

    @model_validator(mode="after")
    def _paired(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together: give both or neither")
        return self


class UplinkSection(Section):
    """The aggregator's broker. TLS is required unless the broker is on this machine."""

    host: Annotated[str, Field(min_length=1)]
    port: Annotated[Whole, Field(ge=1, le=65_535)] = 8883
    tls: Tls | None = None
    username: str | None = None
    password_file: SecretFile | None = None

    @model_validator(mode="after")
    def _protected(self) -> Self:
        if self.password_file and self.username is None:
            raise ValueError("password_file needs a username")
        if self.tls is None and self.host not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError("a broker elsewhere needs [uplink.tls] with at least `ca`")
        return self


class Security(Section):
    """What is believed. `keys` is the trust store (JSON) with the public keys and their roles."""

    require_signatures: Claim = True
    keys: SecretFile | None = None


class Reporting(Section):
    """`offset_s`: second of the minute at which this home's minutes end; drawn once if absent."""

    offset_s: Annotated[Whole, Field(ge=0, le=59)] | None = None


class Delays(Section):
    """Random delays where an instruction does not say (s): at the start of routine ones, at every end."""

    default_start_s: Annotated[Whole, Field(ge=0, le=1800)] = 600
    default_end_s: Annotated[Whole, Field(ge=0, le=1800)] = 600


class Services(Section):
    """`lift_excludes`: services whose exclusions are lifted here, for a trial."""

    lift_excludes: tuple[str, ...] = ()


class Clock(Section):
    """`system`: trust UTC when the operating system says it is synchronised; `always`: a test rig."""

    trust: Literal["system", "always"] = "system"


class SupplySection(Section):
    """The main fuse. `silent_meter_w` is what all assets together may draw while the meter is silent:
    how much is safe is the installer's to say."""

    fuse_a: Annotated[Number, Field(gt=0, le=200)]
    phases: Literal[1, 3] = 1
    volts: Annotated[Number, Field(ge=100, le=250)] = 230.0
    silent_meter_w: Watts
    restore_s: Seconds = 60.0
    meter_max_age_s: Seconds = 30.0

    @property
    def fuse_w(self) -> int:
        """What the fuse carries (W)."""
        return int(self.fuse_a * self.volts * self.phases)

    @model_validator(mode="after")
    def _silence_is_no_licence(self) -> Self:
        if self.silent_meter_w > self.fuse_w:
            raise ValueError(f"silent_meter_w {self.silent_meter_w} is above the fuse's {self.fuse_w} W")
        return self


class Row(Section):
    """A value at local times of the week; where rows overlap the later one in the list holds.

    An end that is not after the start is on the next day."""

    days: Annotated[tuple[Day, ...], Field(min_length=1)] = DAYS
    start: StartOfDay = Field(alias="from")
    end: EndOfDay = Field(alias="to")
    value: Number


class Weekly(Section):
    """A value by time of the week, and the one that holds otherwise."""

    times: tuple[Row, ...] = ()
    otherwise: Number | None = None

    @property
    def values(self) -> tuple[float, ...]:
        """Every value it can take."""
        found = tuple(row.value for row in self.times)
        return found if self.otherwise is None else (*found, self.otherwise)


def _weekly(value: object) -> object:
    if isinstance(value, Mapping | Weekly):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("should be a number (°C), or a table with `times` and `otherwise`")
    return {"otherwise": value}


class Comfort(Section):
    """The household's comfort: room band (°C, a number or by time), and how long a hold may be."""

    room_min_c: Weekly = Weekly()
    room_max_c: Weekly = Weekly()
    hysteresis_c: Annotated[Number, Field(ge=0, le=2)] = 0.3
    room_max_age_s: Seconds = 900.0
    longest_hold_s: Annotated[Seconds, Field(gt=0)] | None = None
    rest_s: Seconds = REST_S

    @field_validator("room_min_c", "room_max_c", mode="before")
    @classmethod
    def _number_or_table(cls, value: object) -> object:
        return _weekly(value)

    @field_validator("room_min_c", "room_max_c")
    @classmethod
    def _liveable(cls, weekly: Weekly) -> Weekly:
        for value in weekly.values:
            if not 5 <= value <= 30:
                raise ValueError(f"should be between 5 and 30 °C, not {value:g}")
        return weekly

    @model_validator(mode="after")
    def _band(self) -> Self:
        low, high = self.room_min_c.values, self.room_max_c.values
        if low and high and max(low) >= min(high):
            raise ValueError(f"room_min_c {max(low):g} is not below room_max_c {min(high):g}")
        return self


class Care(Section):
    """What the appliance needs (s): how long it runs once started, how long it rests once held off."""

    min_run_s: Seconds = COMPRESSOR_S
    min_rest_s: Seconds = COMPRESSOR_S


class AssetSection(Section):
    """One controllable load: its class, the device that holds it, and the points that feed it, best first."""

    asset_class: AssetClass = Field(alias="class")
    control: Id | None = None
    nominal_w: Annotated[Watts, Field(gt=0)]
    power_w: tuple[Source, ...] = ()
    import_ws: tuple[Source, ...] = ()
    room_c: tuple[Source, ...] = ()
    running: tuple[Source, ...] = ()
    metered_by: Literal["meter", "device", "estimate"] = "device"
    accuracy_pct: Annotated[Number, Field(gt=0, le=100)] | None = None
    storage: Claim = False
    comfort: Comfort = Comfort()
    care: Care = Care()
    schedule: tuple[Row, ...] = ()

    @model_validator(mode="after")
    def _can_be_kept(self) -> Self:
        comfort = self.comfort
        if (comfort.room_min_c.values or comfort.room_max_c.values) and not self.room_c:
            raise ValueError('comfort has a room limit, so room_c needs a source, as in ["room.room_c"]')
        return self

    @field_validator("schedule")
    @classmethod
    def _powers(cls, schedule: tuple[Row, ...]) -> tuple[Row, ...]:
        for row in schedule:
            if not 0 <= row.value <= 100_000:
                raise ValueError(f"each value should be a power in watts, 0 to 100000, not {row.value:g}")
        return schedule


class Boundary(Section):
    """The meter at the supply: net power, and the import and export registers."""

    power_w: Annotated[tuple[Source, ...], Field(min_length=1)]
    import_ws: tuple[Source, ...] = ()
    export_ws: tuple[Source, ...] = ()
    accuracy_pct: Annotated[Number, Field(gt=0, le=100)] | None = None


class File(Section):
    """The whole file."""

    site: Site
    paths: Paths = Paths()
    uplink: UplinkSection | None = None
    security: Security = Security()
    reporting: Reporting = Reporting()
    delays: Delays = Delays()
    services: Services = Services()
    clock: Clock = Clock()
    supply: SupplySection | None = None
    devices: Mapping[Id, dict[str, Any]] = Field(default_factory=dict)
    asset: Mapping[Id, AssetSection] = Field(default_factory=dict)
    boundary: Boundary | None = None
