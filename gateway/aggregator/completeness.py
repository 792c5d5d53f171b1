"""Whether the readings of a home are whole: a verdict per point and stream, from nothing but what was heard.

It does not matter in which order messages came, or how often. Numbers are exact: energies are sums of
decimals, so what a register says can be held against them to the last digit.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Any

from gateway.aggregator import half_hours
from gateway.aggregator.half_hours import HalfHour
from gateway.aggregator.heard import Heard, numbers
from gateway.wire.moment import moment_of, utc_s_of

LATE_S = 5.0  # the contract's 2 s, and a network
_NET_SLACK = Fraction(2, 10**6)  # import, export and their difference are each rounded for themselves
_STATUS, _EVENT = "status", "event"


@dataclass(frozen=True, slots=True)
class Minute:
    """What of a reading the verdict is made of; energies in kWh, import positive."""

    seq: int
    start_utc_s: float
    end_utc_s: float
    energy_kwh: Fraction | None
    gap_kwh: Fraction
    register_kwh: Fraction | None  # import less export
    has_export: bool
    quality: str
    reasons: tuple[str, ...]
    is_backfill: bool = field(compare=False)
    came_after_s: float = field(compare=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """On one log of one site. `faults`: what is missing or does not fit; `notes`: what else to know."""

    site: str
    log: str
    stream: str
    first_seq: int
    last_seq: int
    held: int
    faults: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing and everything fits."""
        return not self.faults

    @property
    def words(self) -> str:
        """The verdict in a line, its faults and notes below."""
        head = f"{'whole  ' if self.is_whole else 'MISSING'}  {self.site}  {self.log}: {self.held} held, "
        head += f"{self.first_seq} to {self.last_seq} of stream {self.stream}"
        return "\n".join(
            [head, *(f"    NO   {one}" for one in self.faults), *(f"    {n}" for n in self.notes)]
        )


class Ledger:
    """Everything heard that has a number."""

    def __init__(self) -> None:
        self._minutes: defaultdict[tuple[str, str, str], dict[int, Minute]] = defaultdict(dict)
        self._again: Counter[tuple[str, str, str]] = Counter()
        self._twice: defaultdict[tuple[str, str, str], set[int]] = defaultdict(set)
        self._halves: defaultdict[tuple[str, str, str], dict[int, HalfHour]] = defaultdict(dict)
        self._numbers: defaultdict[tuple[str, str, str], set[int]] = defaultdict(set)
        self._summaries: dict[tuple[str, str, int], dict[str, Any]] = {}

    def take(self, heard: Heard) -> None:
        """Hear a message; what has no number is passed over, what cannot be read too."""
        if heard.below == "telemetry":
            for point, stream, minute in _minutes(heard):
                self._take_minute((heard.site, f"telemetry:{point}", stream), minute)
            return
        body = _exact(heard.payload)
        if heard.below == "settlement":
            self._take_half_hours(heard.site, body)
            return
        for log, stream, seq in numbers(heard.below, body):
            self._numbers[heard.site, log, stream].add(seq)
            if body.get("schema") == "homeflex.summary.v1":
                self._summaries[heard.site, stream, seq] = body

    def _take_minute(self, key: tuple[str, str, str], minute: Minute) -> None:
        known = self._minutes[key].get(minute.seq)
        if known is None:
            self._minutes[key][minute.seq] = minute
        elif known == minute:
            self._again[key] += 1
        else:
            self._twice[key].add(minute.seq)

    def _take_half_hours(self, site: str, body: dict[str, Any]) -> None:
        try:
            found = list(half_hours.half_hours(body))
        except (KeyError, TypeError, AttributeError, ValueError):
            return
        for point, stream, row in found:
            key = (site, f"settlement:{point}", stream)
            if self._halves[key].setdefault(row.seq, row) != row:
                self._twice[key].add(row.seq)

    def verdicts(self) -> list[Verdict]:
        """One for each log, in order of site and log; a summary's are with its asset's readings."""
        return [
            *(self._verdict(key) for key in sorted(self._minutes)),
            *(self._settled(key) for key in sorted(self._halves)),
            *(_numbered(key, held) for key, held in sorted(self._numbers.items())),
        ]

    def _verdict(self, key: tuple[str, str, str]) -> Verdict:
        minutes = [minute for _, minute in sorted(self._minutes[key].items())]
        site, log, stream = key
        checked = [
            *_gaps(sorted(self._minutes[key])),
            *(f"number {seq} came with two contents" for seq in sorted(self._twice[key])),
            *_joints(minutes),
            *_sums(minutes),
        ]
        summed = list(self._against_summaries(site, log.removeprefix("telemetry:"), self._minutes[key]))
        faults = [*checked, *(text for is_fault, text in summed if is_fault)]
        notes = [*_notes(minutes, self._again[key]), *(text for is_fault, text in summed if not is_fault)]
        return Verdict(
            site, log, stream, minutes[0].seq, minutes[-1].seq, len(minutes), tuple(faults), tuple(notes)
        )

    def _settled(self, key: tuple[str, str, str]) -> Verdict:
        rows = [row for _, row in sorted(self._halves[key].items())]
        site, log, stream = key
        minutes = self._minutes.get((site, f"telemetry:{log.removeprefix('settlement:')}", stream), {})
        checked = (
            *_gaps([row.seq for row in rows]),
            *(f"number {seq} came with two contents" for seq in sorted(self._twice[key])),
            *half_hours.faults(rows),
            *half_hours.against(rows, sorted(minutes.values(), key=lambda minute: minute.end_utc_s)),
        )
        notes = tuple(half_hours.notes(rows))
        return Verdict(site, log, stream, rows[0].seq, rows[-1].seq, len(rows), checked, notes)

    def _against_summaries(
        self, site: str, point: str, held: dict[int, Minute]
    ) -> Iterator[tuple[bool, str]]:
        """Whether the energy of each summary is that of its minutes, but for the two at its edges."""
        for key in sorted(self._summaries):
            summary = self._summaries[key]
            for one in summary["assets"] if key[0] == site else ():
                if one["asset"] == point and _is_within(one, held):
                    yield _summed(summary["id"], one, held)


def _minutes(heard: Heard) -> Iterator[tuple[str, str, Minute]]:
    body = _exact(heard.payload)
    try:
        for point, bundle in body["points"].items():
            for one in bundle["readings"]:
                yield point, bundle["stream"], _minute(one, bool(body["backfill"]), heard.at_utc_s)
    except (KeyError, TypeError, AttributeError, ValueError):
        return


def _minute(one: dict[str, Any], is_backfill: bool, at_utc_s: float) -> Minute:
    imported, exported = one["importRegisterKwh"], one["exportRegisterKwh"]
    end_utc_s = utc_s_of(one["end"])
    return Minute(
        seq=int(one["seq"]),
        start_utc_s=utc_s_of(one["start"]),
        end_utc_s=end_utc_s,
        energy_kwh=_fraction(one["energyKwh"]),
        gap_kwh=Fraction(one.get("gapKwh") or 0),
        register_kwh=None if imported is None else Fraction(imported) - Fraction(exported or 0),
        has_export=exported is not None,
        quality=str(one["quality"]),
        reasons=tuple(one["reasons"]),
        is_backfill=is_backfill,
        came_after_s=at_utc_s - end_utc_s,
    )


def _exact(payload: bytes) -> dict[str, Any]:
    """The body with exact numbers; empty if it is none."""
    try:
        found = json.loads(payload, parse_float=Fraction)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _fraction(value: Any) -> Fraction | None:
    return None if value is None else Fraction(value)


def _gaps(seqs: list[int]) -> Iterator[str]:
    for before, after in pairwise(seqs):
        if after == before + 2:
            yield f"number {before + 1} is missing"
        elif after > before + 1:
            yield f"numbers {before + 1} to {after - 1} are missing"


def _joints(minutes: list[Minute]) -> Iterator[str]:
    for minute in minutes:
        if not 1 <= minute.end_utc_s - minute.start_utc_s < 120:
            yield f"{_named(minute)} lasts {minute.end_utc_s - minute.start_utc_s:.0f} s"
    for before, after in pairwise(minutes):
        if after.seq == before.seq + 1 and after.start_utc_s != before.end_utc_s:
            yield f"{_named(after)} starts at {moment_of(after.start_utc_s)}, not where the one before ends"


def _sums(minutes: list[Minute]) -> Iterator[str]:
    """Energies and gaps against the register, from one reading with a register to the next that has one.

    Nothing is said across missing numbers, a counter that was reset, or a register that came or went.
    """
    edge: Minute | None = None
    total, last_seq = Fraction(0), 0
    for minute in minutes:
        broken = minute.seq != last_seq + 1 or "counterReset" in minute.reasons
        last_seq = minute.seq
        total += (minute.energy_kwh or 0) + minute.gap_kwh
        if broken:
            edge = None
        if minute.register_kwh is None:
            continue
        if edge is not None and edge.register_kwh is not None and edge.has_export == minute.has_export:
            step = minute.register_kwh - edge.register_kwh
            slack = _NET_SLACK if minute.has_export else Fraction(0)
            if abs(total - step) > slack:
                yield f"{_named(minute)}: {_kwh(total)} told, the register says {_kwh(step)}"
        edge, total = minute, Fraction(0)


def _notes(minutes: list[Minute], again: int) -> Iterator[str]:
    missing = [minute for minute in minutes if minute.quality == "MISSING"]
    if missing:
        reasons = Counter(", ".join(minute.reasons) or "no reason" for minute in missing)
        told = "; ".join(f"{count} {reason}" for reason, count in reasons.most_common())
        yield f"{len(missing)} minutes without data, told as such: {told}"
    late = [minute for minute in minutes if not minute.is_backfill and minute.came_after_s > LATE_S]
    if late:
        latest_s = max(minute.came_after_s for minute in late)
        yield f"{len(late)} minutes came late, the latest {latest_s:.0f} s after its end"
    if backfill := sum(minute.is_backfill for minute in minutes):
        yield f"{backfill} minutes came as backfill"
    if again:
        yield f"{again} came more than once, the same each time"


def _is_within(one: dict[str, Any], held: dict[int, Minute]) -> bool:
    first, last = one.get("firstSeq"), one.get("lastSeq")
    return one.get("energyKwh") is not None and first is not None and {first, last} <= held.keys()


def _summed(id: str, one: dict[str, Any], held: dict[int, Minute]) -> tuple[bool, str]:
    first, last = one["firstSeq"], one["lastSeq"]
    minutes = [held[seq] for seq in range(first, last + 1) if seq in held]
    if len(minutes) <= last - first:
        return False, f"summary of {id}: not all its minutes are here"
    told = [(minute.energy_kwh or Fraction(0)) + minute.gap_kwh for minute in minutes]
    edges = abs(told[0]) + (abs(told[-1]) if last > first else 0) + _NET_SLACK
    energy = Fraction(one["energyKwh"])
    if abs(sum(told) - energy) > edges:
        return True, f"summary of {id} says {_kwh(energy)}, its minutes {first} to {last} {_kwh(sum(told))}"
    return False, f"summary of {id}: {_kwh(energy)}, as its minutes {first} to {last}"


def _numbered(key: tuple[str, str, str], held: set[int]) -> Verdict:
    site, log, stream = key
    seqs = sorted(held)
    return Verdict(site, log, stream, seqs[0], seqs[-1], len(seqs), tuple(_gaps(seqs)), ())


def _named(minute: Minute) -> str:
    return f"minute {minute.seq} ({moment_of(minute.end_utc_s)})"


def _kwh(energy: Fraction | int) -> str:
    return f"{float(energy):.6f} kWh"


def is_whole(verdicts: Iterable[Verdict]) -> bool:
    """Whether there is anything, and nothing of it is missing."""
    found = list(verdicts)
    return bool(found) and all(one.is_whole for one in found)
