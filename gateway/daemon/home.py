"""The home as the daemon knows it at this moment: everything the shell collects between two decisions.

The one mutable record of the shell. Drivers write points into it, the loop takes snapshots out of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from drivers.base import Applied, DeviceEvent, Proof, Want
from gateway.core.bind import FIELDS, bind, state_of
from gateway.core.model import (
    Asset,
    AssetState,
    Instruction,
    Limits,
    Memory,
    Plan,
    Point,
    Reading,
    Snapshot,
)
from gateway.daemon.config import Config
from gateway.daemon.fleet import Health

# A point that moves by more than this is told to the loop at once; less waits for the next second.
DEAD_BAND = {
    "power_w": 100.0,
    "l1_w": 100.0,
    "l2_w": 100.0,
    "l3_w": 100.0,
    "room_c": 0.05,
    "running": 0.5,
    "compressor_on": 0.5,
    "connected": 0.5,
    "defrost": 0.5,
    "legionella": 0.5,
}
SETTLE_S = 15.0  # how long after start a missing source may keep us from touching its asset


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the device of an asset has confirmed: a power (W, None: its owner's, or `raised`), how, and since
    when."""

    at_most_w: int | None
    proof: Proof | None  # None: refused
    since_s: float
    why: str = ""
    raised: bool = False

    def is_of(self, at_most_w: int | None, *, raised: bool) -> bool:
        """Whether it is of this want."""
        return (self.at_most_w, self.raised) == (at_most_w, raised)


class Home:
    """What is known and remembered. `wake` is called when a decision should not wait for the next second."""

    def __init__(self, config: Config, monotonic: Callable[[], float]) -> None:
        self.config = config
        self.limits: Mapping[str, Limits] = {}
        self.memory = Memory()
        self.plan = Plan()
        self.latest: dict[str, Point] = {}
        self.healths: dict[str, Health] = {}
        self.evidence: dict[str, Evidence] = {}
        self.wake: Callable[[], None] = lambda: None
        self.on_points: Callable[[Mapping[str, Point]], None] = lambda _points: None
        self.on_event: Callable[[str, DeviceEvent], None] = lambda _device, _event: None
        self._monotonic = monotonic
        self._began_s = monotonic()

    # --- what the fleet tells ---

    def points(self, _device: str, points: Mapping[str, Point]) -> None:
        """Values just read."""
        matters = any(_moved(self.latest.get(name), point, name) for name, point in points.items())
        self.latest.update(points)
        self.on_points(points)
        if matters:
            self.wake()

    def applied(self, device: str, applied: Applied) -> None:
        """A device holds a want. Renewals do not move the moment since when it holds."""
        want, was = applied.want, self.evidence.get(device)
        is_same = was is not None and was.is_of(want.at_most_w, raised=want.raised)
        if was is None or not is_same or was.proof is not applied.proof:
            now_s = self._monotonic()
            self.evidence[device] = Evidence(want.at_most_w, applied.proof, now_s, raised=want.raised)
            self.wake()

    def refused(self, device: str, want: Want, why: str) -> None:
        """A device will not hold a want."""
        self.evidence[device] = Evidence(want.at_most_w, None, self._monotonic(), why, want.raised)
        self.wake()

    def event(self, device: str, event: DeviceEvent) -> None:
        """Something a person should know."""
        self.on_event(device, event)

    def health(self, device: str, health: Health) -> None:
        """A device came or went."""
        was = self.healths.get(device)
        self.healths[device] = health
        if was is None or was.online is not health.online:
            if not health.online:
                self.evidence.pop(device, None)
            kind = "deviceBack" if health.online else "deviceLost"
            text = f"{device} answers" if health.online else f"{device} does not answer: {health.why}"
            if was is not None or not health.online:
                self.on_event(device, DeviceEvent(kind, text, "info" if health.online else "warning"))
            self.wake()

    # --- what the loop asks ---

    def holds(self, device: str, at_most_w: int | None, *, raised: bool = False) -> bool:
        """Whether the device has confirmed that it holds this (W; None: it is its owner's), or is raised."""
        evidence = self.evidence.get(device)
        return (
            evidence is not None and evidence.proof is not None and evidence.is_of(at_most_w, raised=raised)
        )

    def snapshot(self, utc_s: float, *, trusted: bool, instructions: tuple[Instruction, ...]) -> Snapshot:
        """Everything `decide` may know, now."""
        now_s = self._monotonic()
        return Snapshot(
            now_s=now_s,
            utc_s=utc_s,
            clock_trusted=trusted,
            assets=self.config.assets,
            states={asset.id: self._state(asset, now_s) for asset in self.config.assets},
            limits=self.limits,
            supply=self.config.supply if self._meter_had_its_time() else None,
            boundary_w=self.boundary_w(now_s),
            instructions=instructions,
            memory=self.memory,
            boundary_phases_w=self._boundary_phases_w(now_s),
            circuits_w=self._circuits_w(now_s),
        )

    def boundary_w(self, now_s: float) -> Reading | None:
        """Net power at the supply, if its meter is fresh."""
        boundary = self.config.boundary
        return bind(self.latest, boundary.power_w, FIELDS["power_w"], now_s).reading if boundary else None

    def _boundary_phases_w(self, now_s: float) -> tuple[Reading | None, ...]:
        by_phase = self.config.boundary.by_phase if self.config.boundary else ()
        return tuple(bind(self.latest, sources, FIELDS["power_w"], now_s).reading for sources in by_phase)

    def _circuits_w(self, now_s: float) -> Mapping[str, Reading]:
        circuits = self.config.circuits.items()
        found = {id_: bind(self.latest, it.power_w, FIELDS["power_w"], now_s).reading for id_, it in circuits}
        return {id_: reading for id_, reading in found.items() if reading}

    def limit(self, asset: str) -> Limits:
        """The limits in force on an asset."""
        return self.limits.get(asset, Limits())

    def settled(self, asset: Asset) -> bool:
        """Whether each source of the asset has spoken, or had its time to.

        Before that a device keeps the lease of an earlier run: deciding on half of the inputs would let
        go and hold again.
        """
        # Few chargers ever tell a SoC.
        fields = [asset.sources[name] for name in FIELDS if name in asset.sources and name != "soc"]
        is_seen = all(any(source in self.latest for source in sources) for sources in fields)
        had_its_time = is_seen or self._monotonic() - self._began_s > SETTLE_S
        return had_its_time and (self.config.supply is None or self._meter_had_its_time())

    def _meter_had_its_time(self) -> bool:
        """Whether the meters at fuses have spoken, or could have: a start alone is no silence to act on."""
        boundary = self.config.boundary
        sources = [boundary.power_w, *boundary.by_phase] if boundary else []
        sources += [circuit.power_w for circuit in self.config.circuits.values() if circuit.power_w]
        is_seen = bool(sources) and all(any(source in self.latest for source in each) for each in sources)
        return is_seen or self._monotonic() - self._began_s > SETTLE_S

    def _state(self, asset: Asset, now_s: float) -> AssetState:
        health = self.healths.get(asset.control) if asset.control else None
        return state_of(
            self.latest,
            asset,
            now_s,
            online=health is not None and health.online,
            room_max_age_s=self.limit(asset.id).room_max_age_s,
        )


def _moved(was: Point | None, now: Point, name: str) -> bool:
    if was is None or was.quality is not now.quality or (was.value is None) is not (now.value is None):
        return True
    if was.value is None or now.value is None:
        return False
    band = DEAD_BAND.get(name.partition(".")[2])
    return band is not None and abs(was.value - now.value) > band
