"""What a site is and how it is: the birth document (`state`) and whether it is there (`presence`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from pydantic import Field

from gateway.core.model import AssetClass, FallbackBy, Kind
from gateway.wire.message import Part
from gateway.wire.quantity import Kw, Kwh, Lasting, Precise, Sha256, SiteId, Utc, Whole, left_out
from gateway.wire.readings import Source

STATE: Final = "homeflex.state.v1"
PRESENCE: Final = "homeflex.presence.v1"

Tag = Literal["gsp", "gspGroup", "cmz", "amsid", "mpanHash"]


class Presence(Part):
    """Whether the gateway is there. The will says `lost`, a clean stop `stopping`."""

    schema_name: Literal["homeflex.presence.v1"] = Field(default=PRESENCE, alias="schema")
    site: SiteId
    online: bool
    boot: str
    reason: Literal["stopping", "lost"] | None = left_out()


class Clock(Part):
    """The hub's clock: whether it is trusted, who sets it, and how far off it may be (null: unknown)."""

    trusted: bool
    source: str
    error_s: Precise | None = Field(alias="errorS")


class ConfigInForce(Part):
    """`version` is that of the remote layer (null: there is none), `hash` that of all that is in force."""

    version: Whole | None
    hash: Sha256


class Profile(Part):
    """The data file a device is driven by."""

    id: str
    hash: Sha256


class PowerRange(Part):
    """Every `stepKw` from `lowKw` to `highKw`."""

    low_w: Kw = Field(alias="lowKw")
    high_w: Kw = Field(alias="highKw")
    step_w: Kw = Field(alias="stepKw")


class Can(Part):
    """What can be done with an asset: the types of value it takes and the powers it can be held at."""

    accepts: tuple[Kind, ...]
    levels_w: tuple[Kw, ...] = Field(alias="levelsKw")
    range: PowerRange | None
    raises: bool


class KeysInForce(Part):
    """The trust store whose keys count: its version, and whether it is the local file's or came from afar."""

    version: Whole
    source: Literal["local", "remote"]


class StateAsset(Part):
    """One load. `leaseS` is how long the device keeps our last setting when the gateway is gone (null:
    for ever), `failsafe` by what it then returns to its owner's normal behaviour."""

    id: str
    asset_class: AssetClass = Field(alias="class")
    profile: Profile | None
    can: Can
    nominal_w: Kw = Field(alias="nominalKw")
    lease_s: Lasting = Field(alias="leaseS")
    failsafe: FallbackBy


class StatePoint(Part):
    """One metering point: what it is read from and how well. Null: not known, or not yet measured."""

    id: str
    kind: Source
    source: str
    accuracy_pct: Precise | None
    resolution_ws: Kwh | None = Field(alias="resolutionKwh")
    latency_s: Precise | None = Field(alias="latencyS")


class DeviceHealth(Part):
    """How a device is, since when, and what is wrong in words."""

    id: str
    healthy: bool
    since_utc_s: Utc | None = Field(alias="since")
    text: str


class State(Part):
    """The birth document; retained, and no will touches it."""

    schema_name: Literal["homeflex.state.v1"] = Field(default=STATE, alias="schema")
    site: SiteId
    at_utc_s: Utc = Field(alias="at")
    versions: Mapping[str, str]
    accepts: tuple[str, ...]
    boot: str
    clock: Clock
    offset_s: Whole = Field(alias="offsetS")
    config: ConfigInForce
    signatures_required: bool
    keys: KeysInForce | None = None
    assets: tuple[StateAsset, ...]
    points: tuple[StatePoint, ...]
    tags: Mapping[Tag, str]
    devices: tuple[DeviceHealth, ...]
