"""What the fuses leave, told once more: phase by phase, circuit by circuit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from gateway.core.model import Asset, Quality, Reading, Snapshot
from tests.oracle.facts import waits

Lines = list[tuple[float, float, dict[str, float], float | None]]


@dataclass
class Fuses:
    """What is asked of one snapshot again and again, reckoned once."""

    snapshot: Snapshot

    @cached_property
    def holdable(self) -> list[Asset]:
        return [a for a in self.snapshot.assets if a.ability.levels_w or a.ability.range_w]

    @cached_property
    def lines(self) -> Lines:
        return _lines_of(self.snapshot)

    @cached_property
    def demands_w(self) -> dict[str, float]:
        return {a.id: _demand_w(self.snapshot, a, self.lines) for a in self.holdable}

    @cached_property
    def tight(self) -> dict[str, bool]:
        return {a.id: _tight(self.snapshot, a, self) for a in self.holdable}


_looked_at = Fuses(Snapshot(0.0, 0.0, clock_trusted=False))


def fuses(snapshot: Snapshot) -> Fuses:
    """Those of the snapshot that is looked at, kept until the next one is."""
    global _looked_at
    if _looked_at.snapshot is not snapshot:
        _looked_at = Fuses(snapshot)
    return _looked_at


def holdable(snapshot: Snapshot) -> list[Asset]:
    return fuses(snapshot).holdable


def lines_of(snapshot: Snapshot) -> Lines:
    """Of each fuse on each phase: what it leaves to be kept to at once, at the most, what of each asset it
    carries, and how old a reading is that shows more than the fuse."""
    return fuses(snapshot).lines


def demand_w(snapshot: Snapshot, asset: Asset) -> float:
    """While it is its owner's what it shows, or may draw by now if the home draws too much."""
    return fuses(snapshot).demands_w[asset.id]


def tight(snapshot: Snapshot, asset: Asset) -> bool:
    """A fuse before it leaves less than the assets draw now (or could draw, if that is not seen), or left it
    too little lately."""
    return fuses(snapshot).tight[asset.id]


def _demand_w(snapshot: Snapshot, asset: Asset, lines: Lines) -> float:
    power, was = snapshot.states[asset.id].power_w, snapshot.memory.assets.get(asset.id)
    if power is None or (was is not None and was.held_w is not None):
        return asset.nominal_w
    over = [age_s for _, _, parts, age_s in lines if age_s is not None and parts[asset.id]]
    return max([drawn_w(snapshot, asset, age_s)[2] for age_s in over], default=power.value)


def is_behind(snapshot: Snapshot, asset: Asset, circuit: str) -> bool:
    """Whether a circuit is the asset's, or is above it."""
    assert snapshot.supply
    above = {c.id: c.parent for c in snapshot.supply.circuits}
    at = asset.circuit
    for _ in above:
        if at is None or at == circuit:
            return at == circuit
        at = above[at]
    return False


def meters(snapshot: Snapshot) -> list[tuple[list[Asset], int, int, int | None, list[Reading | None], int]]:
    """Of each fuse: what is behind it, its phases, its power, the safe one where it has a meter, what the
    meter says of each phase, and of how many phases together that is."""
    supply, assets = snapshot.supply, holdable(snapshot)
    assert supply
    n, told = supply.phases, [*snapshot.boundary_phases_w]
    each, of = (told, 1) if len(told) == n else ([snapshot.boundary_w] * n, n)
    found = [(assets, n, supply.fuse_w, supply.unmetered_w, each, of)]
    for c in supply.circuits:
        behind = [a for a in assets if is_behind(snapshot, a, c.id)]
        said = [snapshot.circuits_w.get(c.id)] * c.phases
        found.append((behind, c.phases, c.fuse_w, c.unmetered_w, said, c.phases))
    return found


def _lines_of(snapshot: Snapshot) -> Lines:
    if snapshot.supply is None:
        return []
    found = []
    for behind, n, fuse_w, safe_w, each, of in meters(snapshot):
        for phase, reading in enumerate(each, 1):
            parts = {a.id: 0.0 for a in holdable(snapshot)} | {a.id: part_on(a, phase, n) for a in behind}
            believed = reading and reading.quality is not Quality.BAD
            if safe_w is None or not reading or not believed or reading.age_s > snapshot.supply.max_age_s:
                room_w = (fuse_w if safe_w is None else safe_w) / n
                found.append((room_w, room_w, parts, None))
                continue
            room_w = fuse_w / n - reading.value / of
            seen = [1 / of if of > 1 else parts[a.id] if a.phases or n == 1 else 0.0 for a in behind]
            drawn = [drawn_w(snapshot, a, reading.age_s) for a in behind]
            least_w, likely_w, most_w = (
                room_w + sum(part * watts[n] for part, watts in zip(seen, drawn, strict=True))
                for n in range(3)
            )
            over = room_w < 0
            kept_w = (least_w, most_w) if over else (likely_w, likely_w)
            found.append((*kept_w, parts, reading.age_s if over else None))
    return found


def part_on(asset: Asset, phase: int, phases: int) -> float:
    if phases == 1 or not asset.phases:
        return 1.0
    return 1 / len(asset.phases) if phase in asset.phases else 0.0


def drawn_w(snapshot: Snapshot, asset: Asset, lag_s: float) -> tuple[float, float, float]:
    """What it drew when a meter read so long ago: at the least, likely, at the most."""
    power, was = snapshot.states[asset.id].power_w, snapshot.memory.assets.get(asset.id)
    if power is None:
        return 0, 0, 0
    may_w = asset.nominal_w if was is None or was.held_w is None else was.held_w
    least_w = power.value if was is None or was.held_w is None else min(power.value, may_w)
    turn = was.turn if was else None
    may_more_w = max(least_w, may_w) if power.age_s > lag_s else least_w
    if turn is None or snapshot.now_s - power.age_s >= turn.at_s + 10:
        return least_w, least_w, may_more_w
    if snapshot.now_s - lag_s <= turn.at_s:
        return turn.least_w, turn.least_w, turn.most_w
    if snapshot.now_s - lag_s < turn.at_s + 10 and not power.value <= may_w < turn.least_w:
        return (least_w, *[max(least_w, may_w, turn.most_w)] * 2)
    return least_w, may_w, max(least_w, may_w)


def _tight(snapshot: Snapshot, asset: Asset, all_fuses: Fuses) -> bool:
    was, demands_w = snapshot.memory.assets.get(asset.id), all_fuses.demands_w
    if snapshot.supply is None:
        return False
    short_s = was.short_s if was and was.held_w is not None else None
    if waits(snapshot, asset) or (
        short_s is not None and snapshot.now_s - short_s < snapshot.supply.restore_s
    ):
        return True
    return any(
        parts[asset.id] and sum(parts[id_] * (watts + 1) for id_, watts in demands_w.items()) > at_once_w
        for at_once_w, _, parts, _ in all_fuses.lines
    )
