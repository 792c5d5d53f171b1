"""What each fuse of the home leaves, phase by phase, for the assets behind it.

What an asset draws is known later than what the home draws, and least while it follows what it was told.
So where a meter shows more than its fuse, assets are lowered as if they drew the least they may: what it
shows is taken down at once. But none is off before that is needed even if they drew the most they may.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from gateway.core.model import Asset, Quality, Reading, Snapshot, Supply

FOLLOWS_S = 10.0  # a car follows within 5 s (IEC 61851-1), its charger needs some before


@dataclass(frozen=True, slots=True)
class Drawn:
    """What an asset drew when a meter read (W): at the least, in all likelihood, at the most."""

    least_w: float
    likely_w: float
    most_w: float


@dataclass(frozen=True, slots=True)
class Line:
    """One fuse on one phase: the watts it leaves for the assets behind it, and why; and the part of each
    asset's power that it carries.

    Left are `power_w` to be lowered to, at the most and at the least. `over_age_s` is the age of a reading
    that shows more than the fuse; None: it does not.
    """

    power_w: float
    most_w: float
    least_w: float
    text: str
    carries: Mapping[str, float]
    over_age_s: float | None = None

    def less(self, asset: str, power_w: float) -> Line:
        """What is left when an asset takes as much of it."""
        taken_w = self.carries.get(asset, 0.0) * power_w
        left_w = (self.power_w - taken_w, self.most_w - taken_w, self.least_w - taken_w)
        return Line(*left_w, self.text, self.carries, self.over_age_s)


@dataclass(frozen=True, slots=True)
class Left:
    """Watts that all fuses before an asset leave it: to be lowered to, at the most, at the least, and why."""

    power_w: int
    most_w: int
    least_w: int
    text: str

    def allowed_w(self, asset: Asset, draws_w: int, *, is_on: bool) -> int:
        """What the asset may draw of it: one that is on is off only where that is sure to be needed."""
        on_w = min(least_on_w(asset), draws_w)
        return on_w if is_on and self.power_w < on_w <= self.most_w else self.power_w


def lines(snapshot: Snapshot) -> tuple[Line, ...]:
    """Every fuse, phase by phase, with all it leaves for assets."""
    if snapshot.supply is None:
        return ()
    return tuple(line for feed in _feeds(snapshot, snapshot.supply) for line in _lines(snapshot, feed))


def left_for(found: Iterable[Line], asset: Asset) -> Left:
    """What the tightest of the fuses before the asset leaves it."""
    before = [(line, part) for line in found if (part := line.carries.get(asset.id, 0.0))]
    if not before:
        return Left(asset.nominal_w, asset.nominal_w, asset.nominal_w, "")
    tightest, part = min(before, key=lambda pair: pair[0].power_w / pair[1])
    most_w = min(line.most_w / part for line, part in before)
    least_w = min(line.least_w / part for line, part in before)
    return Left(int(tightest.power_w / part), int(most_w), int(least_w), tightest.text)


def taken(found: Iterable[Line], asset: str, power_w: float) -> tuple[Line, ...]:
    """The lines when an asset takes as much."""
    return tuple(line.less(asset, power_w) for line in found)


def demand_w(snapshot: Snapshot, asset: Asset, found: Iterable[Line]) -> int:
    """What the asset draws while it is its owner's; the most it could draw where that is not seen, or where a
    fuse before it carries too much."""
    power = snapshot.state(asset.id).power_w
    if power is None or snapshot.memory.of(asset.id).held_w is not None:
        return asset.nominal_w
    ages = (line.over_age_s for line in found if line.carries.get(asset.id))
    could_w = [drawn(snapshot, asset, age_s).most_w for age_s in ages if age_s is not None]
    return math.ceil(max(could_w, default=power.value))


def least_on_w(asset: Asset) -> int:
    """The least it can be held at while it runs; what it draws at all if it can only be off."""
    return asset.ability.at_or_above(1) or asset.nominal_w


def assets_power_w(snapshot: Snapshot) -> float:
    """What the assets we can hold drew together when the boundary meter read, at the least."""
    age_s = snapshot.boundary_w.age_s if snapshot.boundary_w else None
    return sum(drawn(snapshot, asset, age_s).least_w for asset in snapshot.assets if asset.ability.holds)


def drawn(snapshot: Snapshot, asset: Asset, meter_age_s: float | None) -> Drawn:
    """What an asset drew when a meter read that long ago.

    One that is not seen counts as nothing (the safe side). A held one counts for no more than it is held
    to, for its own reading may be older than the meter's; but a meter's reading from before it was told
    holds what it drew until then, and for a while it may not have followed.
    """
    reading, was = snapshot.state(asset.id).power_w, snapshot.memory.of(asset.id)
    if reading is None:
        return Drawn(0.0, 0.0, 0.0)
    may_w = asset.nominal_w if was.held_w is None else was.held_w
    least_w = reading.value if was.held_w is None else min(reading.value, may_w)
    if meter_age_s is None:
        return Drawn(least_w, least_w, least_w)
    most_w = max(least_w, may_w) if reading.age_s > meter_age_s else least_w
    if was.turn is None or reading.age_s <= snapshot.now_s - was.turn.at_s - FOLLOWS_S:
        return Drawn(least_w, least_w, most_w)
    since_s = snapshot.now_s - meter_age_s - was.turn.at_s
    if since_s <= 0:
        return Drawn(was.turn.least_w, was.turn.least_w, was.turn.most_w)
    if since_s >= FOLLOWS_S or reading.value <= may_w < was.turn.least_w:
        return Drawn(least_w, may_w, max(least_w, may_w))
    most_w = max(least_w, may_w, was.turn.most_w)
    return Drawn(least_w, most_w, most_w)


@dataclass(frozen=True, slots=True)
class _Feed:
    """What hangs on a fuse: `fuse_w` and `safe_w` of all its phases (None: it has no meter), and its meter's
    fresh readings. It is `name`d where it is not the home's."""

    name: str
    assets: tuple[Asset, ...]
    fuse_w: int
    phases: int
    safe_w: int | None
    total: Reading | None
    by_phase: tuple[Reading | None, ...] = ()


def _feeds(snapshot: Snapshot, supply: Supply) -> Iterator[_Feed]:
    holdable = tuple(asset for asset in snapshot.assets if asset.ability.holds)
    by_phase = tuple(_fresh(reading, supply) for reading in snapshot.boundary_phases_w)
    yield _Feed(
        "",
        holdable,
        supply.fuse_w,
        supply.phases,
        supply.unmetered_w,
        _fresh(snapshot.boundary_w, supply),
        by_phase if len(by_phase) == supply.phases else (),
    )
    for circuit in supply.circuits:
        behind = tuple(asset for asset in holdable if circuit.id in _circuits_of(asset, supply))
        total = _fresh(snapshot.circuits_w.get(circuit.id), supply)
        yield _Feed(circuit.id, behind, circuit.fuse_w, circuit.phases, circuit.unmetered_w, total)


def _circuits_of(asset: Asset, supply: Supply) -> set[str]:
    """Those between the asset and the main fuse."""
    parents = {circuit.id: circuit.parent for circuit in supply.circuits}
    found: set[str] = set()
    at = asset.circuit
    while at is not None and at not in found:
        found.add(at)
        at = parents.get(at)
    return found


def _fresh(reading: Reading | None, supply: Supply) -> Reading | None:
    if reading is None or reading.quality is Quality.BAD or reading.age_s > supply.max_age_s:
        return None
    return reading


def _lines(snapshot: Snapshot, feed: _Feed) -> Iterator[Line]:
    """One a phase. A total is a third on each, of the home as of what an asset was seen to draw; but what an
    asset adds is added where it is, and on every phase where nobody knows on which."""
    for phase in range(1, feed.phases + 1):
        carries = {asset.id: _part(asset, phase, feed.phases) for asset in feed.assets}
        fuse_w, name = feed.fuse_w / feed.phases, _name(feed, phase)
        reading = feed.by_phase[phase - 1] if feed.by_phase else feed.total
        if feed.safe_w is None:
            yield Line(fuse_w, fuse_w, fuse_w, f"{name}fuse {fuse_w:.0f} W", carries)
            continue
        if reading is None:
            safe_w = feed.safe_w / feed.phases
            meter = "its meter" if feed.name else "boundary meter"
            text = f"{name}{meter} silent, {safe_w:.0f} W allowed meanwhile"
            yield Line(safe_w, safe_w, safe_w, text, carries)
            continue
        room_w = fuse_w - reading.value / (1 if feed.by_phase else feed.phases)
        parts = [(asset, _seen(asset, carries[asset.id], feed)) for asset in feed.assets]
        drew = [(drawn(snapshot, asset, reading.age_s), part) for asset, part in parts]
        likely_w = room_w + sum(part * one.likely_w for one, part in drew)
        least_w = room_w + sum(part * one.least_w for one, part in drew)
        most_w = room_w + sum(part * one.most_w for one, part in drew)
        rest = "the rest of it" if feed.name else "the rest of the home"
        power_w = least_w if room_w < 0 else likely_w
        text = f"{name}fuse {fuse_w:.0f} W, {rest} draws {fuse_w - power_w:.0f} W"
        if room_w < 0:
            yield Line(power_w, most_w, least_w, text, carries, reading.age_s)
        else:
            yield Line(power_w, power_w, least_w, text, carries)


def _name(feed: _Feed, phase: int) -> str:
    of = [f"circuit {feed.name}"] if feed.name else []
    of += [f"phase L{phase}"] if feed.phases > 1 else []
    return f"{', '.join(of)}: " if of else ""


def _part(asset: Asset, phase: int, phases: int) -> float:
    """The part of its power on a phase at the most."""
    if phases == 1 or not asset.phases:
        return 1.0
    return 1.0 / len(asset.phases) if phase in asset.phases else 0.0


def _seen(asset: Asset, part: float, feed: _Feed) -> float:
    """The part of its power that the meter shows on a phase, as far as it is sure."""
    if not feed.by_phase:
        return 1.0 / feed.phases
    return part if asset.phases or feed.phases == 1 else 0.0
