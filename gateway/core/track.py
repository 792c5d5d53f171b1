"""One direction of a meter: its register as last read, its energy by power, and what was told of it.

The register is the truth, a step at a time; power fills in between its reads and beyond the last one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from gateway.core.reading import HOLD_S, Cause, Spec

T = TypeVar("T")

RESOLVES_W, RESOLVES_SHARE = 10.0, 0.01
COARSEST_WS = 3_600_000  # whole kWh: SML meters without PIN
SIGNS = (1, -1)  # import, export


@dataclass(frozen=True, slots=True)
class Track:
    """One direction: its register (`read_ws` None: it has none) and its energy by power (`flow`)."""

    flow_ws: float = 0.0  # up to the last sample
    start_flow_ws: float = 0.0  # up to the open interval's start
    read_ws: int | None = None
    read_s: float | None = None  # None: in another life
    read_flow_ws: float = 0.0
    start_ws: float | None = None  # register at the open interval's start, if samples stand around it
    booked_ws: int = 0  # what the readings so far have told
    gap_ws: int | None = None  # what the next reading tells as its gap
    has_hole: bool = False  # nothing was known for a time since the register was read
    suspect: tuple[float, int] | None = None  # a register that did not fit, until the next one decides
    step_ws: int = 0
    shift_ws: int = 0  # what the register is ahead of all that has flowed, since it was reset or came

    def at(self, flow_ws: float) -> float:
        """The register, or the energy by power where there is none, when the flow has come so far."""
        return (self.read_ws or 0) + flow_ws - self.read_flow_ws

    @property
    def known_start_ws(self) -> float | None:
        """What stood at the open interval's start, as known by now."""
        return self.at(self.start_flow_ws) if self.read_ws is None else self.start_ws


def reborn(track: Track, now_s: float, shift_s: float) -> Track:
    """A saved track in this life; `shift_s` is what its clock is behind (inf: not known)."""
    read_s = None if track.read_s is None or track.read_s + shift_s > now_s else track.read_s + shift_s
    return replace(track, read_s=read_s, suspect=None)


def booked(track: Track, flow_ws: float, register_ws: float | None) -> Track:
    """The track at the interval's end. What the last edge told too much is taken off here, also where
    that makes the energy negative and the booked register go back."""
    return replace(
        track,
        booked_ws=round(track.at(flow_ws) if register_ws is None else register_ws),
        gap_ws=None,
        start_ws=register_ws,
        start_flow_ws=flow_ws,
    )


def register_at(
    spec: Spec, track: Track, at_s: float, later_s: float | None, later_ws: int | None
) -> float | None:
    """The register at a moment, if it was read then, or shortly before and after."""
    if track.read_ws is None or track.read_s is None or track.has_hole:
        return None
    if track.read_s == at_s:
        return float(track.read_ws)
    if later_s is None or later_ws is None or not track.read_s < at_s <= later_s:
        return None
    apart_s = later_s - track.read_s
    if apart_s > bridge_s(spec) or misfit_of(spec, track, later_s, later_ws):
        return None
    return track.read_ws + (later_ws - track.read_ws) * (at_s - track.read_s) / apart_s


def with_register(spec: Spec, track: Track, at_s: float, value_ws: int) -> Track:
    """The track with its register read. One that does not fit waits for the next to confirm it: a
    glitch passes, a reset or an exchanged meter begins a new count without a step in energy."""
    told_ws = track.at(track.flow_ws)
    read = replace(
        track,
        read_ws=value_ws,
        read_s=at_s,
        read_flow_ws=track.flow_ws,
        has_hole=False,
        suspect=None,
        step_ws=math.gcd(track.step_ws, value_ws),
    )
    if track.read_ws is not None and misfit_of(spec, track, at_s, value_ws) is None:
        owed_ws = max(0, round(value_ws - told_ws)) if track.has_hole else None
        return read if owed_ws is None else replace(read, gap_ws=owed_ws + (track.gap_ws or 0))
    if track.read_ws is None or (track.suspect and not _rises_wrongly(spec, track.suspect, at_s, value_ws)):
        ahead_ws = value_ws - told_ws
        return replace(
            read,
            booked_ws=round(track.booked_ws + ahead_ws),
            start_ws=None,
            shift_ws=track.shift_ws + round(ahead_ws),
        )
    return replace(track, suspect=(at_s, value_ws))


def misfit_of(spec: Spec, track: Track, at_s: float, value_ws: int) -> Cause | None:
    """Why a register cannot be what follows the last one; None if it can."""
    if track.read_ws is None:
        return None
    since_s = -math.inf if track.read_s is None else track.read_s
    return _rises_wrongly(spec, (since_s, track.read_ws), at_s, value_ws, slack_ws=track.step_ws)


def _rises_wrongly(
    spec: Spec, last: tuple[float, int], at_s: float, value_ws: int, slack_ws: int = COARSEST_WS
) -> Cause | None:
    last_s, last_ws = last
    if value_ws < last_ws:
        return Cause.COUNTER_RESET
    most_ws = spec.max_w * (at_s - last_s) + min(spec.resolution_ws or slack_ws or COARSEST_WS, COARSEST_WS)
    return Cause.IMPLAUSIBLE if value_ws - last_ws > most_ws else None


def bridge_s(spec: Spec) -> float:
    return max(HOLD_S, spec.fresh_s)


def both(values: Iterable[T]) -> tuple[T, T]:
    first, second = values
    return first, second


@dataclass(frozen=True, slots=True)
class Told:
    """What one interval tells, from its tracks at both ends."""

    spec: Spec
    span_s: float
    powerless: bool
    before: tuple[Track, Track]
    after: tuple[Track, Track]

    @property
    def _counted(self) -> list[tuple[int, Track, Track]]:
        """Sign, start and end of what counts: the registers, or both powers where there is none."""
        both = list(zip(SIGNS, self.before, self.after, strict=True))
        return [entry for entry in both if entry[2].read_ws is not None] or both

    @property
    def energy_ws(self) -> int:
        return sum(sign * (b.booked_ws - a.booked_ws - (a.gap_ws or 0)) for sign, a, b in self._counted)

    @property
    def gap_ws(self) -> int | None:
        gaps = [sign * a.gap_ws for sign, a, _ in self._counted if a.gap_ws is not None]
        return sum(gaps) if gaps else None

    @property
    def exports_unseen(self) -> bool:
        """Power flowed out, and only a register of what flows in is there."""
        (_, fed_before), (imports, exports) = self.before, self.after
        fed_w = (exports.start_flow_ws - fed_before.start_flow_ws) / self.span_s
        return imports.read_ws is not None and exports.read_ws is None and fed_w > RESOLVES_W

    @property
    def _by_register_w(self) -> float | None:
        steps = [(sign, a.start_ws, b.start_ws) for sign, a, b in self._counted]
        if self.exports_unseen or any(a is None or b is None for _, a, b in steps):
            return None
        return sum(sign * ((b or 0) - (a or 0)) for sign, a, b in steps) / self.span_s

    @property
    def _by_power_w(self) -> float:
        pairs = zip(SIGNS, self.before, self.after, strict=True)
        return sum(sign * (b.start_flow_ws - a.start_flow_ws) for sign, a, b in pairs) / self.span_s

    @property
    def corrects(self) -> bool:
        """Whether the energy takes a difference from the last edge that shows."""
        shows_ws = self._step_ws + RESOLVES_W * self.span_s
        return any(
            after.booked_ws < before.booked_ws or abs(_other_ws(before, after)) > shows_ws
            for _, before, after in self._counted
        )

    @property
    def _step_ws(self) -> int:
        learnt_ws = math.gcd(*(track.step_ws for track in self.after))
        return self.spec.resolution_ws or learnt_ws or COARSEST_WS

    @property
    def resolves(self) -> bool:
        """Whether the register's step is small against the interval."""
        mean_w = self._by_register_w
        if mean_w is None:
            return False
        return self._step_ws / self.span_s <= max(RESOLVES_W, RESOLVES_SHARE * abs(mean_w))

    @property
    def mean_w(self) -> float:
        by_register_w = self._by_register_w
        if by_register_w is not None and (self.resolves or self.powerless):
            return by_register_w
        return self.energy_ws / self.span_s if self.powerless else self._by_power_w


def _other_ws(before: Track, after: Track) -> float:
    """What is told between two edges and did not flow between them: by the register at the first, else by
    power."""
    if before.known_start_ws is not None:
        return before.known_start_ws - before.booked_ws
    told_ws = after.booked_ws - before.booked_ws - (before.gap_ws or 0)
    return told_ws - (after.start_flow_ws - before.start_flow_ws)
