"""What may stand in the configuration file: one pydantic model a table, with units and defaults.

Only the shape and what one table can say of itself; what tables must agree on is config.py's.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from gateway.core.model import AssetClass

Id = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
TimeOfDay = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$")]
Source = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}\.[a-z0-9_]{1,40}$")]
Seconds = Annotated[float, Field(ge=0, le=604_800)]
RoomC = Annotated[float, Field(ge=5, le=30)]
RESERVED = {"ack", "site", "status", "boundary"}
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
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
            raise ValueError('no such time zone; an IANA name like "Europe/London" would be right')
        return zone


class Paths(Section):
    """Where the daemon keeps its state and listens for the console; relative to the file's folder."""

    state: Path = Path("state")
    socket: Path = Path("state/console.sock")


class Tls(Section):
    """Files for TLS: the authority that signed the broker, and our own certificate and key."""

    ca: Path
    certificate: Path | None = None
    key: Path | None = None


class UplinkSection(Section):
    """The aggregator's broker. TLS is required unless the broker is on this machine."""

    host: str
    port: Annotated[int, Field(ge=1, le=65_535)] = 8883
    tls: Tls | None = None
    username: str | None = None
    password_file: Path | None = None

    @model_validator(mode="after")
    def _protected(self) -> UplinkSection:
        if self.tls is None and self.host not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError("a broker elsewhere needs [uplink.tls] with at least `ca`")
        return self


class Security(Section):
    """What is believed. `keys` is the trust store (JSON) with the public keys and their roles."""

    require_signatures: bool = True
    keys: Path | None = None


class Reporting(Section):
    """`offset_s`: second of the minute at which this home's minutes end; drawn once if absent."""

    offset_s: Annotated[int, Field(ge=0, le=59)] | None = None


class Delays(Section):
    """Random delays where an instruction does not say (s): at the start of routine ones, at every end."""

    default_start_s: Annotated[int, Field(ge=0, le=1800)] = 600
    default_end_s: Annotated[int, Field(ge=0, le=1800)] = 600


class Services(Section):
    """`lift_excludes`: services whose exclusions are lifted here, for a trial."""

    lift_excludes: tuple[str, ...] = ()


class Clock(Section):
    """`system`: trust UTC when the operating system says it is synchronised; `always`: a test rig."""

    trust: Literal["system", "always"] = "system"


class SupplySection(Section):
    """The main fuse. `silent_meter_w` is what all assets together may draw while the meter is silent:
    how much is safe is the installer's to say."""

    fuse_a: Annotated[float, Field(gt=0, le=200)]
    phases: Literal[1, 3] = 1
    volts: Annotated[float, Field(ge=100, le=250)] = 230.0
    silent_meter_w: Annotated[int, Field(ge=0)]
    restore_s: Seconds = 60.0
    meter_max_age_s: Seconds = 30.0


class Row(Section):
    """A value at local times of the week; where rows overlap the later one in the list holds."""

    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = DAYS  # type: ignore[assignment]
    start: TimeOfDay = Field(alias="from")
    end: TimeOfDay = Field(alias="to")
    value: float


class Weekly(Section):
    """A value by time of the week, and the one that holds otherwise."""

    times: tuple[Row, ...] = ()
    otherwise: float | None = None

    @property
    def values(self) -> tuple[float, ...]:
        """Every value it can take."""
        found = tuple(row.value for row in self.times)
        return found if self.otherwise is None else (*found, self.otherwise)


def _weekly(value: object) -> object:
    return {"otherwise": value} if isinstance(value, int | float) else value


class Comfort(Section):
    """The household's comfort: room band (°C, a number or by time), and how long a hold may be."""

    room_min_c: Weekly = Weekly()
    room_max_c: Weekly = Weekly()
    hysteresis_c: Annotated[float, Field(ge=0, le=2)] = 0.3
    room_max_age_s: Seconds = 900.0
    longest_hold_s: Seconds | None = None
    rest_s: Seconds = REST_S

    @field_validator("room_min_c", "room_max_c", mode="before")
    @classmethod
    def _number_or_table(cls, value: object) -> object:
        return _weekly(value)

    @model_validator(mode="after")
    def _band(self) -> Comfort:
        for name, weekly in (("room_min_c", self.room_min_c), ("room_max_c", self.room_max_c)):
            for value in weekly.values:
                if not 5 <= value <= 30:
                    raise ValueError(f"{name} {value:g} is not between 5 and 30 °C")
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
    nominal_w: Annotated[int, Field(gt=0, le=100_000)]
    power_w: tuple[Source, ...] = ()
    import_ws: tuple[Source, ...] = ()
    room_c: tuple[Source, ...] = ()
    running: tuple[Source, ...] = ()
    metered_by: Literal["meter", "device", "estimate"] = "device"
    accuracy_pct: Annotated[float, Field(gt=0, le=100)] | None = None
    storage: bool = False
    comfort: Comfort = Comfort()
    care: Care = Care()
    schedule: tuple[Row, ...] = ()


class Boundary(Section):
    """The meter at the supply: net power, and the import and export registers."""

    power_w: tuple[Source, ...]
    import_ws: tuple[Source, ...] = ()
    export_ws: tuple[Source, ...] = ()
    accuracy_pct: Annotated[float, Field(gt=0, le=100)] | None = None


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
