"""What may stand in the configuration file: one pydantic model a table, with units and defaults.

Only the shape and what one table can say of itself; what tables must agree on is config.py's.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import available_timezones

from pydantic import Field, field_validator, model_validator

from gateway.core.model import TYPED, AssetClass
from gateway.daemon.fields import (
    Caps,
    Claim,
    Id,
    Number,
    RootKey,
    Seconds,
    SecretFile,
    Section,
    SocSource,
    Source,
    Watts,
    Whole,
)
from gateway.daemon.household import Care, Charge, Comfort, Row, Store

RESERVED = {"ack", "site", "status", "boundary"}
Phase = Literal["L1", "L2", "L3"]
OUTSIDE = (
    "frost_c",
    "frost_hold_s",
    "frost_rest_s",
    "outdoor_min_c",
    "off_may_freeze",
)  # of care: what rests on outdoor_c
PACE = ("change_every_s", "min_change_w", "pause_s")  # of care: how often a charger is told
Tag = Literal["gsp", "gspGroup", "cmz", "amsid", "mpanHash"]


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
    most_mb: Annotated[Whole, Field(ge=8, le=65_536)] = 256


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
    """What is believed. `keys` is the trust store of commissioning (JSON), the public keys and their roles;
    `root` the public key that signs every later one."""

    require_signatures: Claim = True
    keys: SecretFile | None = None
    root: RootKey | None = None


class Reporting(Section):
    """`offset_s`: second of the minute at which this home's minutes end; drawn once if absent. `bundle`: the
    minutes of all points in one message."""

    offset_s: Annotated[Whole, Field(ge=0, le=59)] | None = None
    bundle: bool = True


class Delays(Section):
    """Random delays (s) where an instruction does not say, at the start of routine ones and at every end; and
    at the start of charging by a schedule."""

    default_start_s: Annotated[Whole, Field(ge=0, le=1800)] = 600
    default_end_s: Annotated[Whole, Field(ge=0, le=1800)] = 600


class Simple(Section):
    """What levels 1, 2 and 3 of SIMPLE mean, in this order: a cap on what the home draws, or all of a class
    together. A level that is not said is not taken."""

    site_w: Caps = ()
    ev_w: Caps = ()
    heat_w: Caps = ()
    plug_w: Caps = ()

    @property
    def caps_w(self) -> dict[str, tuple[int, ...]]:
        """By `site` and class, those that are said."""
        said = {"site": self.site_w, "ev": self.ev_w, "heat": self.heat_w, "plug": self.plug_w}
        return {name: caps for name, caps in said.items() if caps}


class Services(Section):
    """`lift_excludes`: services whose exclusions are lifted here, for a trial. `plug_notice_s`: the notice
    before plugs are switched."""

    lift_excludes: tuple[str, ...] = ()
    plug_notice_s: Annotated[Whole, Field(ge=0, le=86_400)] = 3600
    simple: Simple = Simple()


class Clock(Section):
    """`system`: trust UTC when the operating system says it is synchronised; `always`: a test rig."""

    trust: Literal["system", "always"] = "system"


class SupplySection(Section):
    """The main fuse. `silent_meter_w` is what all assets together may draw while the meter is silent:
    how much is safe is the installer's to say. What was switched off for the fuse is started when there was
    room for `restart_s`: longer than an oven's thermostat or a kettle takes; and twice an hour at most, for
    the sake of contactors and of cars that give up after repeated pauses (ocpp reference 4)."""

    fuse_a: Annotated[Number, Field(gt=0, le=200)]
    phases: Literal[1, 3] = 1
    volts: Annotated[Number, Field(ge=100, le=250)] = 230.0
    silent_meter_w: Watts
    restore_s: Seconds = 60.0
    restart_s: Seconds = 900.0
    starts_apart_s: Seconds = 1800.0
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


class CircuitSection(Section):
    """A fuse behind the main one, or behind `parent`.

    With a meter of its own (`power_w`) it is kept for all it carries, and `silent_meter_w` is what its assets
    may draw while that is silent; without one, for its assets.
    """

    fuse_a: Annotated[Number, Field(gt=0, le=200)]
    phases: Literal[1, 3] = 1
    parent: Id | None = None
    power_w: tuple[Source, ...] = ()
    silent_meter_w: Watts | None = None

    @model_validator(mode="after")
    def _silence_is_said(self) -> Self:
        if self.power_w and self.silent_meter_w is None:
            raise ValueError("its meter may fall silent; silent_meter_w = 1400 would be right")
        if self.silent_meter_w is not None and not self.power_w:
            raise ValueError('silent_meter_w is of its meter: power_w = ["submeter.power_w"] is missing')
        return self


class AssetSection(Section):
    """One controllable load: its class, the device that holds it, and the points that feed it, best first.

    `phases` of a home with three: which it draws from, evenly. `circuit`: the last fuse before it.
    `delays_itself`: its charger has a random delay of its own where charging begins.
    """

    asset_class: AssetClass = Field(alias="class")
    control: Id | None = None
    nominal_w: Annotated[Watts, Field(gt=0)]
    power_w: tuple[Source, ...] = ()
    import_ws: tuple[Source, ...] = ()
    room_c: tuple[Source, ...] = ()
    air_c: tuple[Source, ...] = ()
    water_c: tuple[Source, ...] = ()
    outdoor_c: tuple[Source, ...] = ()
    defrost: tuple[Source, ...] = ()
    legionella: tuple[Source, ...] = ()
    backup: tuple[Source, ...] = ()
    running: tuple[Source, ...] = ()
    connected: tuple[Source, ...] = ()
    soc: tuple[SocSource, ...] = ()
    metered_by: Literal["meter", "device", "estimate"] = "device"
    accuracy_pct: Annotated[Number, Field(gt=0, le=100)] | None = None
    storage: Claim = False
    compressor: Claim = True
    phases: tuple[Phase, ...] = ()
    circuit: Id | None = None
    comfort: Comfort = Comfort()
    care: Care = Care()
    charge: Charge | None = None
    store: Store | None = None
    schedule: tuple[Row, ...] = ()
    delays_itself: Claim = False

    @property
    def stores(self) -> bool:
        """Whether what it draws is not lost while it is held."""
        return self.storage or self.store is not None

    @property
    def tells_soc(self) -> bool:
        """Whether how full it is can be known, and what that is in energy."""
        return bool(self.soc and self.charge and self.charge.battery_kwh)

    @model_validator(mode="after")
    def _can_be_kept(self) -> Self:
        comfort = self.comfort
        if (comfort.room_min_c.values or comfort.room_max_c.values) and not self.room_c:
            raise ValueError('comfort has a room limit, so room_c needs a source, as in ["room.room_c"]')
        if comfort.most_fall_k is not None and not self.room_c:
            raise ValueError('comfort.most_fall_k needs a source, as in room_c = ["room.room_c"]')
        if comfort.preheat and not self.room_c:
            raise ValueError('comfort.preheat needs a source, as in room_c = ["room.room_c"]')
        if comfort.water_min_c is not None and not self.water_c:
            raise ValueError('comfort.water_min_c needs a source, as in water_c = ["hp.dhw_c"]')
        return self

    @model_validator(mode="after")
    def _of_its_class(self) -> Self:
        car = {"charge": self.charge, "connected": self.connected}
        if self.store is None:
            car["soc"] = self.soc
        if self.asset_class is not AssetClass.EV and (named := _said(car)):
            raise ValueError(f'{named} is for a car; class = "ev" would be right, or remove it')
        care = self.care
        heat = {
            name: getattr(self, name) for name in ("water_c", "outdoor_c", "defrost", "legionella", "backup")
        }
        heat |= {"store": self.store, "compressor": None if self.compressor else False}
        if self.delays_itself and self.asset_class is not AssetClass.EV and self.store is None:
            raise ValueError('delays_itself is of what charges; class = "ev" would be right, or remove it')
        if self.asset_class is not AssetClass.HEAT and (named := _said(heat)):
            raise ValueError(f'{named} is of what heats; class = "heat" would be right, or remove it')
        day = {name: getattr(self.comfort, name) for name in ("blocks_per_day", "held_per_day_s", "preheat")}
        if self.asset_class is not AssetClass.HEAT and (named := _said(day)):
            raise ValueError(f'comfort.{named} is of what heats; class = "heat" would be right, or remove it')
        pace = {name: getattr(care, name) for name in PACE}
        if self.asset_class is not AssetClass.EV and (named := _said(pace)):
            raise ValueError(f'care.{named} is for a charger; class = "ev" would be right, or remove it')
        plug = {name: getattr(care, name) for name in ("appliance", "longest_off_s", "shortest_on_s")}
        plug["air_max_c"] = care.air_max_c
        if self.asset_class is not AssetClass.PLUG and (named := _said(plug)):
            raise ValueError(f'care.{named} is for what a plug switches; class = "plug" would be right')
        if (self.air_c or care.air_max_c is not None) and care.appliance is None:
            right = 'care.appliance = "freezer" (or "fridge") would be right, or remove it'
            raise ValueError(f"the air is limited where food is cooled; {right}")
        if care.air_max_c is not None and not self.air_c:
            raise ValueError('care.air_max_c needs a source, as in air_c = ["freezer-air.air_c"]')
        return self

    @model_validator(mode="after")
    def _is_seen(self) -> Self:
        care = self.care
        outside = [name for name in OUTSIDE if name in care.model_fields_set]
        if outside and not self.outdoor_c:
            raise ValueError(f'care.{outside[0]} needs a source, as in outdoor_c = ["hp.outdoor_c"]')
        if care.legionella_every_days is not None and not (self.legionella or self.water_c):
            right = 'legionella = ["hp.legionella"] or water_c = ["hp.dhw_c"] would be right'
            raise ValueError(f"care.legionella_every_days needs a source of what is seen of it; {right}")
        return self

    @model_validator(mode="after")
    def _can_be_stored(self) -> Self:
        store = self.store
        if store is None:
            return self
        if TYPED in self.soc:
            raise ValueError('a "typed" SoC is a car\'s; soc = ["bricks.level"] would be right')
        if store.names_level and not self.soc:
            raise ValueError('store has a limit of its level, so soc needs a source, as in ["bricks.level"]')
        if store.need_kwh and not self.import_ws:
            raise ValueError('the energy since its hours began needs import_ws, as in ["relay.import_ws"]')
        if store.need_kwh and not store.ready_by and all(row.value for row in self.schedule):
            hours = '[{ from = "07:30", to = "00:30", value = 0 }]'
            raise ValueError(
                f"store.need_kwh is what it needs in its charging hours; schedule = {hours} would be right"
            )
        return self

    @model_validator(mode="after")
    def _can_be_charged(self) -> Self:
        charge, is_typed = self.charge or Charge(), TYPED in self.soc
        if charge.default_hours and self.schedule:
            right = "remove one of the two"
            raise ValueError(f"charge.default_hours is for a car without a schedule of its own; {right}")
        if charge.names_soc and not self.soc:
            raise ValueError('charge has a SoC limit, so soc needs a source, as in ["charger.soc", "typed"]')
        if is_typed and charge.battery_kwh is None:
            raise ValueError('a "typed" SoC goes on by energy: charge.battery_kwh = 60 would be right')
        if (is_typed or charge.need_kwh) and not self.import_ws:
            raise ValueError('the energy since plug-in needs import_ws, as in ["charger.import_ws"]')
        if charge.need_kwh and not self.connected:
            right = 'connected = ["charger.connected"] would be right'
            raise ValueError(f"charge.need_kwh is what each car that is plugged in needs; {right}")
        return self

    @field_validator("phases")
    @classmethod
    def _each_once(cls, phases: tuple[Phase, ...]) -> tuple[Phase, ...]:
        if len(set(phases)) < len(phases):
            raise ValueError('should name each phase once, as in ["L1", "L2", "L3"]')
        return phases

    @field_validator("schedule")
    @classmethod
    def _powers(cls, schedule: tuple[Row, ...]) -> tuple[Row, ...]:
        for row in schedule:
            if not 0 <= row.value <= 100_000:
                raise ValueError(f"each value should be a power in watts, 0 to 100000, not {row.value:g}")
        return schedule


def _said(fields: Mapping[str, object]) -> str | None:
    return next((name for name, value in fields.items() if value not in (None, ())), None)


class Boundary(Section):
    """The meter at the supply: net power, in all and of each phase, and the import and export registers."""

    power_w: Annotated[tuple[Source, ...], Field(min_length=1)]
    l1_w: tuple[Source, ...] = ()
    l2_w: tuple[Source, ...] = ()
    l3_w: tuple[Source, ...] = ()
    import_ws: tuple[Source, ...] = ()
    export_ws: tuple[Source, ...] = ()
    accuracy_pct: Annotated[Number, Field(gt=0, le=100)] | None = None

    @property
    def by_phase(self) -> tuple[tuple[Source, ...], ...]:
        """The sources of each phase; empty if its meter tells the total alone."""
        told = (self.l1_w, self.l2_w, self.l3_w)
        return told if any(told) else ()

    @model_validator(mode="after")
    def _all_or_none(self) -> Self:
        if self.by_phase and not all(self.by_phase):
            raise ValueError("l1_w, l2_w and l3_w go together: give each its source, or none")
        return self


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
    circuit: Mapping[Id, CircuitSection] = Field(default_factory=dict)
    devices: Mapping[Id, dict[str, Any]] = Field(default_factory=dict)
    asset: Mapping[Id, AssetSection] = Field(default_factory=dict)
    boundary: Boundary | None = None
