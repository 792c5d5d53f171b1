"""Whether the half-hours of a point are whole: none left out, corrected in order, joined at their edges, and
with registers that lie between those of the minutes around them."""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, Protocol

from gateway.wire.moment import moment_of, utc_s_of

LENGTH_S = 1800.0

Register = Fraction | None


class Minute(Protocol):
    """What is asked of a minute reading: its end (UTC s), and import less export there (kWh)."""

    @property
    def end_utc_s(self) -> float: ...
    @property
    def register_kwh(self) -> Register: ...
    @property
    def quality(self) -> str: ...


@dataclass(frozen=True, slots=True)
class HalfHour:
    """What of a half-hour the verdict is made of; energies and registers in kWh."""

    seq: int
    revision: int
    start_utc_s: float
    end_utc_s: float
    energies: tuple[Register, Register]  # import, export
    starts: tuple[Register, Register]
    ends: tuple[Register, Register]
    quality: str
    reasons: tuple[str, ...]


def half_hours(body: dict[str, Any]) -> Iterator[tuple[str, str, HalfHour]]:
    """(point, stream, half-hour) of everything in a message on `settlement`, whose numbers are exact.

    Raises:
        KeyError, TypeError, AttributeError, ValueError: it is not what the contract says.
    """
    for point, bundle in body["points"].items():
        for one in bundle["halfHours"]:
            yield point, bundle["stream"], _half_hour(one)


def faults(rows: Sequence[HalfHour]) -> Iterator[str]:
    """What does not fit among the half-hours of one stream, in order of `seq`."""
    latest: dict[float, HalfHour] = {}
    for row in rows:
        before = latest.get(row.start_utc_s)
        wanted = 0 if before is None else before.revision + 1
        if row.revision != wanted and (before or row.seq > rows[0].seq):
            yield f"{_named(row)} is revision {row.revision}, not {wanted}"
        if row.start_utc_s % LENGTH_S or row.end_utc_s != row.start_utc_s + LENGTH_S:
            yield f"{_named(row)} is no half-hour on :00 or :30"
        yield from _steps(row)
        latest[row.start_utc_s] = row
    in_order = [row for _, row in sorted(latest.items())]
    for row, after in pairwise(in_order):
        if after.start_utc_s != row.end_utc_s:
            yield f"nothing is told from {moment_of(row.end_utc_s)} to {moment_of(after.start_utc_s)}"
        else:
            yield from _joint(row, after)


def against(rows: Sequence[HalfHour], minutes: Sequence[Minute]) -> Iterator[str]:
    """Ends whose register is not between those of the two minutes around them (minutes in order of time).

    Only of points without an export register: of others what the minutes tell, import less export, may go
    either way in between.
    """
    sure = [(minute.end_utc_s, minute.register_kwh) for minute in minutes if minute.quality == "OK"]
    ends = [end_utc_s for end_utc_s, _ in sure]
    for row in {row.start_utc_s: row for row in rows}.values():
        imported, exported = row.ends
        at = bisect.bisect_left(ends, row.end_utc_s)
        is_plain = exported is None and "counterReset" not in row.reasons
        if imported is None or not is_plain or not 0 < at < len(sure):
            continue
        (before_utc_s, low), (after_utc_s, high) = sure[at - 1 : at + 1]
        is_near = after_utc_s - before_utc_s < 120
        if is_near and low is not None and high is not None and not low <= imported <= high:
            between = f"{float(low):.6f} to {float(high):.6f}"
            yield f"{_named(row)} ends at {float(imported):.6f} kWh, its minutes say {between}"


def notes(rows: Sequence[HalfHour]) -> Iterator[str]:
    """What else to know of them."""
    latest = {row.start_utc_s: row for row in rows}
    if corrected := sum(row.revision > 0 for row in latest.values()):
        yield f"{corrected} half-hours were corrected"
    missing = [row for row in latest.values() if row.quality == "MISSING"]
    if missing:
        reasons = Counter(", ".join(row.reasons) or "no reason" for row in missing)
        told = "; ".join(f"{count} {reason}" for reason, count in reasons.most_common())
        yield f"{len(missing)} half-hours without energy, told as such: {told}"


def _half_hour(one: dict[str, Any]) -> HalfHour:
    return HalfHour(
        seq=int(one["seq"]),
        revision=int(one["revision"]),
        start_utc_s=utc_s_of(one["start"]),
        end_utc_s=utc_s_of(one["end"]),
        energies=(_exact(one["importKwh"]), _exact(one["exportKwh"])),
        starts=(_exact(one["importRegisterStartKwh"]), _exact(one["exportRegisterStartKwh"])),
        ends=(_exact(one["importRegisterEndKwh"]), _exact(one["exportRegisterEndKwh"])),
        quality=str(one["quality"]),
        reasons=tuple(one["reasons"]),
    )


def _exact(value: Any) -> Register:
    return None if value is None else Fraction(value)


def _steps(row: HalfHour) -> Iterator[str]:
    """Whether an energy is the step of its register."""
    if "counterReset" in row.reasons:
        return
    for word, energy, start, end in zip(
        ("import", "export"), row.energies, row.starts, row.ends, strict=True
    ):
        if energy is not None and start is not None and end is not None and end - start != energy:
            yield f"{_named(row)} tells {word} {float(energy):.6f} kWh, not its register's step"


def _joint(row: HalfHour, after: HalfHour) -> Iterator[str]:
    for end, start in zip(row.ends, after.starts, strict=True):
        if end is not None and start is not None and end != start:
            yield f"{_named(after)} does not start at the register where the one before ends"


def _named(row: HalfHour) -> str:
    return f"half-hour {row.seq} ({moment_of(row.start_utc_s)})"
