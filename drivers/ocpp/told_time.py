"""What time one charger thinks it is, in one connection: by its messages, else as it was told."""

from __future__ import annotations

from drivers.base import DevicePort
from drivers.ocpp.charger_clock import ChargerClock, Kept
from drivers.ocpp.notes import Notes

CLOCK_OFF_S = 120.0
MOVED_S = 30.0  # a clock that is off by so much more than was thought ends a lease too early or too late
_FIRST_DAY_S = 1_767_225_600.0  # 2026-01-01: better than 1970 for a charger's clock, where nobody knows


class ToldTime:
    """The charger's time during one connection."""

    def __init__(self, port: DevicePort, clock: ChargerClock, notes: Notes) -> None:
        self._port = port
        self._clock = clock
        self._notes = notes
        self._opened_s = port.monotonic()

    def utc_s(self) -> float | None:
        """UTC on the charger's clock, on which the end of a profile counts."""
        return self._clock.utc_s(self._port.monotonic(), self._port.utc())

    @property
    def lead_s(self) -> float | None:
        """The charger's clock less our monotonic one."""
        utc_s = self.utc_s()
        return None if utc_s is None else utc_s - self._port.monotonic()

    @property
    def is_known(self) -> bool:
        """Whether the charger's clock was ever shown by its messages."""
        return self._clock.is_known

    def may_ask(self) -> bool:
        """Whether it was never asked for what shows its clock, noted as asked."""
        may_ask, self._clock.was_asked = not self._clock.was_asked, True
        return may_ask

    def to_tell_s(self) -> float:
        """UTC to set the charger's clock by; with ours not trusted, as it has it or was told."""
        now_s, found_s = self._port.monotonic(), self._port.utc() or self.utc_s()
        utc_s = _FIRST_DAY_S + now_s if found_s is None else found_s
        self._clock.told(utc_s, now_s)
        return utc_s

    def heard(self, stamp_s: float, kept: Kept) -> bool:
        """Take the stamp of a message; whether it is of the past."""
        now_s, ours_s, clock = self._port.monotonic(), self._port.utc(), self._clock
        clock.heard(stamp_s, now_s, ours_s, kept)
        off_s, was_off_s = clock.off_s(now_s, ours_s), clock.remembered_off_s
        if clock.is_proven and abs(off_s) > CLOCK_OFF_S:
            text = "the charger's clock is off by more than two minutes; its limits end by its own clock"
            self._notes.tell_once("clockOff", text)
        is_news = was_off_s is None or abs(off_s - was_off_s) > MOVED_S
        if clock.is_proven and ours_s is not None and is_news:
            self._notes.note_clock_off(off_s)
        return clock.is_old(stamp_s, now_s, ours_s, self._opened_s)
