"""Whether a meter that talks is also alive: its rhythm, telegrams that only repeat, a clock that is wrong."""

from __future__ import annotations

from collections import deque

from drivers.han.p1 import Telegram

FIRST_GUESS_S = 10.0  # DSMR 4 sends every 10 s, DSMR 5 every second
FASTEST_S = 1.0
PERIODS_TO_FREEZE = 3
CLOCK_OFF_S = 60.0
# Without a clock only energy can tell: it must have moved by 8 Wh in 60 s above 500 W.
STILL_FOR_S, STILL_ABOVE_W, STILL_BEYOND_WH = 60.0, 500.0, 8.0


class Freshness:
    """Judges telegrams by the moment they arrived, never by the order their clocks tell."""

    def __init__(self, every_s: float | None = None) -> None:
        self._every_s = every_s
        self._arrived_s: deque[float] = deque(maxlen=9)
        self._since_s: dict[str, float] = {}
        self._seen: dict[str, object] = {}

    @property
    def every_s(self) -> float:
        """The meter's period (s): as configured, else as learnt, else the usual one."""
        if self._every_s is not None:
            return self._every_s
        if len(self._arrived_s) < 2:
            return FIRST_GUESS_S
        # The mean over several: a bridge may hold telegrams back and send them at once.
        return max(FASTEST_S, (self._arrived_s[-1] - self._arrived_s[0]) / (len(self._arrived_s) - 1))

    def judge(self, telegram: Telegram, now_s: float, utc_s: float | None) -> tuple[str, ...]:
        """What is wrong with a telegram's age: "frozen", "clockStopped", "clockOff" or nothing.

        `now_s` is monotonic; `utc_s` None while the hub's own clock is not trusted.
        """
        self._arrived_s.append(now_s)
        repeats_s = self._unchanged_s("telegram", telegram.fingerprint, now_s)
        still_s = self._unchanged_s("values", _values(telegram), now_s)
        clock_s = self._unchanged_s("clock", telegram.clock, now_s)
        if telegram.clock is None:
            return ("frozen",) if _energy_should_have_moved(telegram, still_s) else ()
        if min(repeats_s, clock_s) >= PERIODS_TO_FREEZE * self.every_s:
            return ("frozen",)
        if clock_s >= PERIODS_TO_FREEZE * self.every_s:
            return ("clockStopped",)
        return ("clockOff",) if _is_off(telegram.meter_utc_s, utc_s) else ()

    def _unchanged_s(self, what: str, seen: object, now_s: float) -> float:
        if what not in self._seen or self._seen[what] != seen:
            self._seen[what] = seen
            self._since_s[what] = now_s
        return now_s - self._since_s[what]


def _values(telegram: Telegram) -> tuple[float | None, ...]:
    return telegram.net_power_w, telegram.import_wh, telegram.export_wh


def _energy_should_have_moved(telegram: Telegram, still_s: float) -> bool:
    power_w = abs(telegram.net_power_w or 0.0)
    claimed_wh = power_w * still_s / 3600
    visible_wh = max(STILL_BEYOND_WH, 2 * telegram.register_step_wh)
    has_register = telegram.register_step_wh > 0
    return has_register and still_s >= STILL_FOR_S and power_w > STILL_ABOVE_W and claimed_wh >= visible_wh


def _is_off(meter_utc_s: float | None, utc_s: float | None) -> bool:
    return meter_utc_s is not None and utc_s is not None and abs(meter_utc_s - utc_s) > CLOCK_OFF_S
