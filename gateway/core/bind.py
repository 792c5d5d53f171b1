"""Points to assets: each field of an asset takes the first of its sources that is fresh and plausible.

Drivers know points, rules know assets; this is the only place where the two meet.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from gateway.core.model import TYPED, Asset, AssetState, Points, Quality, Reading


@dataclass(frozen=True, slots=True)
class Field:
    """When a value of this field is still fresh, and what it can plausibly be."""

    max_age_s: float
    lowest: float
    highest: float


FIELDS = {
    "power_w": Field(max_age_s=90.0, lowest=-100_000, highest=100_000),
    "room_c": Field(max_age_s=86_400.0, lowest=-30, highest=60),  # to be reported; rules take less
    "air_c": Field(max_age_s=900.0, lowest=-60, highest=60),
    "water_c": Field(max_age_s=900.0, lowest=0, highest=110),
    "outdoor_c": Field(max_age_s=3600.0, lowest=-60, highest=60),
    "defrost": Field(max_age_s=180.0, lowest=0, highest=9),
    "legionella": Field(max_age_s=180.0, lowest=0, highest=9),
    "backup": Field(max_age_s=180.0, lowest=0, highest=100_000),
    "running": Field(max_age_s=90.0, lowest=0, highest=1),
    # What stands still is not always said again. An old register tells of less energy than has flowed.
    "connected": Field(max_age_s=86_400.0, lowest=0, highest=1),
    "import_ws": Field(max_age_s=86_400.0, lowest=0, highest=1e15),
    "changes_left": Field(max_age_s=900.0, lowest=0, highest=1e6),
    "soc": Field(max_age_s=900.0, lowest=0, highest=1),
}


@dataclass(frozen=True, slots=True)
class Bound:
    """The reading a field got, or None, and why."""

    reading: Reading | None
    why: str


def bind(points: Points, sources: Iterable[str], field: Field, now_s: float) -> Bound:
    """The first fresh, plausible reading among `sources`, with the reason in words."""
    passed_over: list[str] = []
    for source in sources:
        reading, fault = _try(points, source, field, now_s)
        if reading:
            passed = f"; {', '.join(passed_over)}" if passed_over else ""
            return Bound(reading, f"from {source}{passed}")
        passed_over.append(f"{source} {fault}")
    return Bound(None, ", ".join(passed_over) or "no source configured")


def state_of(
    points: Points, asset: Asset, now_s: float, *, online: bool, room_max_age_s: float
) -> AssetState:
    """What is known of `asset` now; a room older than the household allows gives way to the next source."""
    found = {
        name: bind(points, _measured(asset, name), field, now_s).reading
        for name, field in _fields(room_max_age_s).items()
    }
    return AssetState(
        power_w=found["power_w"],
        room_c=found["room_c"],
        running=found["running"],
        online=online,
        soc=found["soc"],
        connected=found["connected"],
        import_ws=found["import_ws"],
        air_c=found["air_c"],
        water_c=found["water_c"],
        outdoor_c=found["outdoor_c"],
        defrost=found["defrost"],
        legionella=found["legionella"],
        backup=found["backup"],
        changes_left=found["changes_left"],
    )


def why(points: Points, asset: Asset, now_s: float, *, room_max_age_s: float) -> dict[str, str]:
    """For each configured field of `asset`: which source feeds it, or why none does."""
    return {
        name: bind(points, sources, field, now_s).why
        for name, field in _fields(room_max_age_s).items()
        if (sources := _measured(asset, name))
    }


def _measured(asset: Asset, name: str) -> tuple[str, ...]:
    """The sources that devices feed; what a person typed in is in the memory."""
    return tuple(source for source in asset.sources.get(name, ()) if source != TYPED)


def _fields(room_max_age_s: float) -> dict[str, Field]:
    return {**FIELDS, "room_c": replace(FIELDS["room_c"], max_age_s=room_max_age_s)}


def _try(points: Points, source: str, field: Field, now_s: float) -> tuple[Reading | None, str]:
    point = points.get(source)
    if point is None:
        return None, "not seen yet"
    if point.value is None:
        return None, "has no value"
    if point.quality is Quality.BAD:
        return None, f"is bad ({', '.join(point.reasons) or 'no reason given'})"
    age_s = max(0.0, now_s - point.at_s)
    if age_s > field.max_age_s:
        return None, f"is {age_s:.0f} s old"
    if not field.lowest <= point.value <= field.highest:
        return None, f"is implausible ({point.value:g})"
    return Reading(point.value, age_s, source, point.quality), ""
