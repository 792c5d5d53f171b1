"""The data format of a device profile: where its points are, what an action writes, how it falls back.

A profile is a table, never a program: what the maker documents, from which source, and how sure that
is. It knows no connection; a driver reads it.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

_INSTALLED = Path(__file__).parent / "firmware_profiles"
_CHECKOUT = Path(__file__).parents[1] / "firmware_profiles"


class ProfileError(ValueError):
    """A profile file does not say what the format asks for; the text names file, field and cure."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Table(StrEnum):
    """The four address spaces of Modbus; the same number in two tables is two registers."""

    COIL = "coil"
    DISCRETE = "discrete"
    INPUT = "input"
    HOLDING = "holding"


class Confidence(StrEnum):
    """How sure a fact is. What is disputed is read, and never written."""

    SEEN = "seen"
    TWO_SOURCES = "two-sources"
    INFERRED = "inferred"
    DISPUTED = "disputed"


class Wear(StrEnum):
    """What a write costs the device's memory; `unknown` is treated as `eeprom`."""

    VOLATILE = "volatile"
    EEPROM = "eeprom"
    UNKNOWN = "unknown"


RAISE_MOST_S = 10_800.0  # as long as anything is raised at all: modbus reference C1

Type = Literal["bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "float32"]

INTEGER_LIMITS: dict[str, tuple[int, int]] = {
    "bool": (0, 1),
    "uint8": (0, 255),
    "int8": (-128, 127),
    "uint16": (0, 65_535),
    "int16": (-32_768, 32_767),
    "uint32": (0, 4_294_967_295),
    "int32": (-2_147_483_648, 2_147_483_647),
}


class Write(_Record):
    """How a point may be written: bounds in the point's own unit, and what it costs."""

    min: float
    max: float
    wear: Wear
    writes_per_day: int = Field(8, ge=2)
    writes_per_year: int = Field(2_000, ge=2)


class Point(_Record):
    """One value of the device: value = raw * scale + offset, in the unit its name carries.

    `above` reads the value as a claim: 1 where it is above, else 0. Raw `sentinels` mean "not fitted".
    Values outside `min`..`max` are not believed. Addresses are those on the wire (from zero).
    """

    table: Table
    address: int = Field(ge=0, le=65_535)
    type: Type
    words: Literal["hi-lo", "lo-hi"] = "hi-lo"
    scale: float = 1.0
    offset: float = 0.0
    sentinels: tuple[int, ...] = ()
    min: float | None = None
    max: float | None = None
    above: float | None = None
    values: dict[str, int] = {}
    optional: bool = False
    source: str
    confidence: Confidence
    write: Write | None = None

    @property
    def count(self) -> int:
        """How many registers (or bits) it takes."""
        return 2 if self.type in ("uint32", "int32", "float32") else 1

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.scale == 0:
            raise ValueError("scale is 0; leave it out for 1")
        bits = self.table in (Table.COIL, Table.DISCRETE)
        if bits and self.type != "bool":
            raise ValueError(f"a {self.table} is a bit: type must be bool, not {self.type}")
        if self.write and self.table in (Table.INPUT, Table.DISCRETE):
            raise ValueError(f"table {self.table} cannot be written; only coil and holding can")
        if self.write and self.above is not None:
            raise ValueError("a point read through `above` cannot be written")
        self._check_raw_numbers()
        return self

    def _check_raw_numbers(self) -> None:
        low, high = INTEGER_LIMITS.get(self.type, (-(2**31), 2**31))
        for number in (*self.sentinels, *self.values.values()):
            if not low <= number <= high:
                raise ValueError(f"{number} does not fit {self.type} ({low}..{high})")


class Step(_Record):
    """One write of an action: a constant, the level asked for, or what was there before the hold."""

    point: str
    value: float | None = None
    origin: Literal["at_most_w", "snapshot"] | None = Field(None, alias="from")
    keep_alive: bool = False  # written again at each renewal of the lease

    @model_validator(mode="after")
    def _has_one_origin(self) -> Self:
        if (self.value is None) == (self.origin is None):
            raise ValueError(f"{self.point}: give either `value` or `from`")
        return self


class Fallback(_Record):
    """How the device returns to its owner's behaviour when we are gone, and who says so."""

    by: Literal["device", "keep-alive", "none"]
    within_s: float | None = Field(None, gt=0)
    source: str

    @model_validator(mode="after")
    def _has_a_time(self) -> Self:
        if (self.by == "none") != (self.within_s is None):
            raise ValueError('`within_s` belongs to "device" and "keep-alive", and only to them')
        return self


class Range(_Record):
    """Powers in watts an action can hold the device at."""

    min: int = Field(ge=0)
    max: int
    step: int = Field(ge=1)


class Release(_Record):
    """A flat list of writes, and the points read back to see that the device followed."""

    writes: tuple[Step, ...] = Field(min_length=1)
    read_back: tuple[str, ...] = ()
    source: str
    confidence: Confidence

    @property
    def points(self) -> frozenset[str]:
        """What it writes."""
        return frozenset(step.point for step in self.writes)


class Lease(Release):
    """An action that says how it ends when we are gone, or that it does not."""

    fallback: Fallback

    @model_validator(mode="after")
    def _is_a_lease(self) -> Self:
        kept_alive = any(step.keep_alive for step in self.writes)
        if kept_alive != (self.fallback.by == "keep-alive"):
            raise ValueError("fallback keep-alive needs a write with keep_alive = true, and the reverse")
        return self


class Boost(Lease):
    """An action that makes the device draw more than it would by itself."""

    @model_validator(mode="after")
    def _ends_by_itself(self) -> Self:
        if self.fallback.within_s is None or self.fallback.within_s > RAISE_MOST_S:
            raise ValueError(f"a boost must end by itself within {RAISE_MOST_S:.0f} s")
        return self


class Hold(Lease):
    """An action that holds the device at or below a power."""

    levels_w: tuple[int, ...] = ()
    range_w: Range | None = None

    @model_validator(mode="after")
    def _has_its_levels(self) -> Self:
        lowest = [*self.levels_w, *([self.range_w.min] if self.range_w else [])]
        if bool(self.levels_w) == bool(self.range_w):
            raise ValueError("give either levels_w or range_w")
        if self.fallback.by == "none" and min(lowest) <= 0:
            raise ValueError("fallback none is never allowed for a full block (0 W)")
        return self


class Actions(_Record):
    """What the gateway can do to the device."""

    block: Hold | None = None
    limit: Hold | None = None
    boost: Boost | None = None
    release: Release | None = None

    @property
    def holds(self) -> tuple[Hold, ...]:
        """Those that hold it."""
        return tuple(hold for hold in (self.block, self.limit) if hold)

    @property
    def leases(self) -> tuple[Lease, ...]:
        """Those that end by themselves: what holds it and what raises it."""
        return (*self.holds, *((self.boost,) if self.boost else ()))

    @property
    def named(self) -> dict[str, Release]:
        """All of them by name."""
        actions = {"block": self.block, "limit": self.limit, "boost": self.boost, "release": self.release}
        return {name: action for name, action in actions.items() if action}

    @model_validator(mode="after")
    def _can_be_given_back(self) -> Self:
        if self.holds and not self.release:
            raise ValueError("a device that can be held needs a release")
        if len({(lease.fallback.by, lease.fallback.within_s) for lease in self.leases}) > 1:
            raise ValueError("block, limit and boost must have the same fallback")
        if self.block and not self.block.levels_w:
            raise ValueError("block needs levels_w")
        if self.limit and not self.limit.range_w:
            raise ValueError("limit needs range_w")
        return self

    @model_validator(mode="after")
    def _replace_one_another(self) -> Self:
        """Whatever came before, also after a crash, no register of a boost is left beside another action."""
        if self.boost is None:
            return self
        if not self.holds:
            raise ValueError("boost is for a device that can be held; it needs a block or a limit")
        raised = self.boost.points
        if self.release and self.release.points != raised:
            raise ValueError("boost and release must write the same points")
        if not all(hold.points >= raised for hold in self.holds):
            raise ValueError("block and limit must write every point that boost writes")
        return self


class Expect(_Record):
    """What a point must read for the device to be the one this profile describes."""

    point: str
    equals: float | None = None
    min: float | None = None
    max: float | None = None

    def fits(self, value: float | None) -> bool:
        """Whether the reading is the expected one; "none" never is."""
        if value is None or (self.equals is not None and value != self.equals):
            return False
        return (self.min is None or value >= self.min) and (self.max is None or value <= self.max)


class Access(_Record):
    """How the device wants to be talked to.

    One request reads at most `max_block` registers, bridges at most `max_gap` unnamed ones and stays
    inside one band; `pause_s` passes between requests of a poll.
    """

    unit: int = Field(1, ge=0, le=255)
    poll_s: float = Field(30.0, ge=1)
    pause_s: float = Field(0.0, ge=0, le=5)
    max_block: int = Field(ge=2, le=125)
    max_gap: int = Field(0, ge=0)
    bands: tuple[tuple[int, int], ...] = ()
    write: Literal["single", "multiple"]  # function 06, or 16 also for one register


class Profile(_Record):
    """Everything known of one product line and firmware range."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    kind: Literal["heat_pump", "meter", "charger", "plug"]
    driver: Literal["modbus"]
    vendor: str
    models: tuple[str, ...] = Field(min_length=1)
    firmware: str
    sources: dict[str, str]
    access: Access
    detect: tuple[Expect, ...] = ()
    points: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], Point]
    actions: Actions = Actions()

    @field_validator("firmware")
    @classmethod
    def _is_a_range(cls, text: str) -> str:
        firmware_range(text)
        return text

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        self._check_sources()
        for expect in self.detect:
            self._named(expect.point, "detect")
        for name, action in self.actions.named.items():
            for step in action.writes:
                self._check_step(f"actions.{name}", action, step)
            for point in action.read_back:
                if point not in action.points:
                    raise ValueError(f"actions.{name}.read_back: {point} is not written by it")
        if self.actions.holds and not self.detect:
            raise ValueError("detect: a device that is written to must be recognised first")
        return self

    def _check_sources(self) -> None:
        cited = {f"points.{name}": point.source for name, point in self.points.items()}
        cited |= {f"actions.{name}": action.source for name, action in self.actions.named.items()}
        cited |= {
            f"actions.{name}.fallback": action.fallback.source
            for name, action in self.actions.named.items()
            if isinstance(action, Lease)
        }
        for where, source in cited.items():
            if source not in self.sources:
                raise ValueError(f"{where}.source: {source!r} is not one of {sorted(self.sources)}")

    def _check_step(self, where: str, action: Release, step: Step) -> None:
        point = self._named(step.point, where)
        if point.write is None:
            raise ValueError(f"{where}: {step.point} is not writable; give it `write` with bounds")
        if Confidence.DISPUTED in (point.confidence, action.confidence):
            raise ValueError(f"{where}: {step.point} is disputed and must not be written")
        if step.keep_alive and point.write.wear is not Wear.VOLATILE:
            raise ValueError(f"{where}: {step.point} is kept alive, so it must be volatile")
        if self.access.write == "single" and point.count > 1:
            raise ValueError(f"{where}: {step.point} takes two registers; function 06 writes one")
        for value in _values_of(action, step):
            if not point.write.min <= value <= point.write.max:
                raise ValueError(
                    f"{where}: {step.point} = {value:g} is outside {point.write.min:g}..{point.write.max:g}"
                )

    def _named(self, name: str, where: str) -> Point:
        if name not in self.points:
            raise ValueError(f"{where}: there is no point {name!r}")
        return self.points[name]


def _values_of(action: Release, step: Step) -> tuple[float, ...]:
    """Every value the step can write that is known beforehand; of a range, its ends."""
    if step.value is not None:
        return (step.value,)
    if step.origin == "snapshot":
        return ()
    if not isinstance(action, Hold):
        raise ValueError(f"{step.point}: only a hold has a level to write")
    return (action.range_w.min, action.range_w.max) if action.range_w else action.levels_w


# --- firmware ranges --------------------------------------------------------------------------------

Version = tuple[int, ...]


class FirmwareRange(_Record):
    """The versions a profile is for; None: open on that side."""

    low: Version | None = None
    low_included: bool = True
    high: Version | None = None
    high_included: bool = True

    def overlaps(self, other: FirmwareRange) -> bool:
        """Whether some version could be in both."""
        return self._begins_within(other) and other._begins_within(self)

    def _begins_within(self, other: FirmwareRange) -> bool:
        if self.low is None or other.high is None or self.low < other.high:
            return True
        return self.low == other.high and self.low_included and other.high_included


def firmware_range(text: str) -> FirmwareRange:
    """Read `">=4.7.5,<5"`, `"==2.1"` or `"any"`.

    Raises:
        ValueError: it is none of these.
    """
    found: dict[str, object] = {}
    for clause in () if text == "any" else text.split(","):
        match = re.fullmatch(r"\s*(>=|>|<=|<|==)\s*(\d+(?:\.\d+)*)\s*", clause)
        if not match:
            raise ValueError(f'{clause!r} is no version range; write ">=4.7.5,<5", "==2.1" or "any"')
        sign, version = match[1], _version(match[2])
        if sign in (">=", ">", "=="):
            found |= {"low": version, "low_included": sign != ">"}
        if sign in ("<=", "<", "=="):
            found |= {"high": version, "high_included": sign != "<"}
    return FirmwareRange.model_validate(found)


def _version(text: str) -> Version:
    parts = [int(part) for part in text.split(".")]
    while len(parts) > 1 and parts[-1] == 0:
        parts.pop()  # 2.0 is 2
    return tuple(parts)


# --- files ------------------------------------------------------------------------------------------


def profile_ids() -> tuple[str, ...]:
    """Every profile there is."""
    return tuple(sorted(path.stem for path in _folder().glob("*/*.toml")))


@cache
def load(profile_id: str) -> Profile:
    """The profile of that name.

    Raises:
        ProfileError: there is none, or the file is wrong.
    """
    if profile_id not in profile_ids():
        raise ProfileError(f"there is no profile {profile_id!r}; there are {', '.join(profile_ids())}")
    path = next(_folder().glob(f"*/{profile_id}.toml"))
    found = parse(path.read_text(encoding="utf-8"), name=path.name)
    if (found.id, found.kind) != (path.stem, path.parent.name):
        raise ProfileError(f"{path.name}: id and kind must be those of {path.parent.name}/{path.name}")
    return found


@cache
def digest(profile_id: str) -> str:
    """SHA-256 of the profile's file, in hexadecimal."""
    path = next(_folder().glob(f"*/{profile_id}.toml"))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def all_profiles() -> tuple[Profile, ...]:
    """Every profile there is, parsed."""
    return tuple(load(profile_id) for profile_id in profile_ids())


def parse(text: str, name: str = "profile") -> Profile:
    """The profile a TOML text describes.

    Raises:
        ProfileError: with one line for each thing that is wrong.
    """
    try:
        return Profile.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"{name}: {error}") from error
    except ValidationError as error:
        faults = [
            f"{name}: {'.'.join(map(str, fault['loc'])) or 'profile'}: "
            f"{fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors()
        ]
        raise ProfileError("\n".join(faults)) from error


def _folder() -> Path:
    return _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT
