"""How often a register that wears was written, counted in the device's facts. No policy: only budgets."""

from __future__ import annotations

from collections.abc import Iterable

from drivers.base import DevicePort, JsonValue
from drivers.profile import Lease, Point, Profile, Wear

_DAY_S = 86_400
_FACT = "wear"


def wears(point: Point) -> bool:
    """Whether a write costs something; what is not known to be free does."""
    return point.write is not None and point.write.wear is not Wear.VOLATILE


def worn(profile: Profile, leases: Iterable[Lease]) -> frozenset[str]:
    """What a hold or a boost writes that wears."""
    written = {name for lease in leases for name in lease.points}
    return frozenset(name for name in written if wears(profile.points[name]))


def changes_per_day(profile: Profile, leases: Iterable[Lease]) -> int | None:
    """How often a day it may be held, raised or given back, all in all; None: nothing wears."""
    rules = (profile.points[name].write for name in worn(profile, leases))
    return min((rule.writes_per_day for rule in rules if rule), default=None)


class Ledger:
    """Writes per day and per year (of 365 days, UTC). While the clock is not trusted no day passes."""

    def __init__(self, profile: Profile, port: DevicePort) -> None:
        self._points = profile.points
        self._port = port

    def overdrawn(self, names: Iterable[str]) -> str | None:
        """Why these may not be written to hold the device; the last write is kept for giving it back."""
        for name in names:
            rule = self._points[name].write
            if rule is None or not wears(self._points[name]):
                continue
            today, this_year = self._counts(name)
            if today + 1 >= rule.writes_per_day or this_year + 1 >= rule.writes_per_year:
                return f"{name} was written {today} times today; its memory allows {rule.writes_per_day}"
        return None

    def left(self, names: Iterable[str]) -> int | None:
        """How often these may still be written to hold the device; None: as often as one likes."""
        found = []
        for name in names:
            rule = self._points[name].write
            if rule is not None and wears(self._points[name]):
                today, this_year = self._counts(name)
                found.append(min(rule.writes_per_day - today, rule.writes_per_year - this_year) - 1)
        return max(0, min(found)) if found else None

    async def count(self, names: Iterable[str]) -> None:
        """Note that these were written."""
        worn = [name for name in names if wears(self._points[name])]
        if not worn:
            return
        day = self._day()
        entries = dict(self._entries())
        for name in worn:
            today, this_year = self._counts(name)
            entries[name] = [day, today + 1, this_year + 1]
        await self._port.facts.put(_FACT, entries)

    def _counts(self, name: str) -> tuple[int, int]:
        entry = self._entries().get(name)
        match entry:
            case [int(day), int(today), int(this_year)]:
                now = self._day()
                return (today if day == now else 0, this_year if day // 365 == now // 365 else 0)
            case _:
                return 0, 0

    def _day(self) -> int:
        utc_s = self._port.utc()
        if utc_s is not None:
            return int(utc_s // _DAY_S)
        days = [entry[0] for entry in self._entries().values() if isinstance(entry, list) and entry]
        return max((day for day in days if isinstance(day, int)), default=0)

    def _entries(self) -> dict[str, JsonValue]:
        fact = self._port.facts.get(_FACT)
        return fact if isinstance(fact, dict) else {}
