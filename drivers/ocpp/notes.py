"""What is remembered of one charger beside its state: who it is, what it can do, what was told of it.

What a restart must not forget waits here until `keep` writes it down.
"""

from __future__ import annotations

from collections.abc import Callable

from drivers.base import DeviceEvent, DevicePort, JsonValue
from drivers.ocpp.keys import Keys
from drivers.ocpp.learned import Learned

HUNG_UP_FOR_S = 3600.0
TOLD_MAX = 256
_FACT_BY_HAND = "stoppedByHand"
_FACT_IDENTITY = "identity"
_FACT_OFF = "clockOff"  # how far the charger's clock is from ours (s)
_FACT_PHASES = "phases"  # the most a session was seen to use
_FACT_UNANSWERED = "unanswered"


class Notes:
    """The notes on one charger. `stir` is called when one is to be written down."""

    def __init__(self, port: DevicePort, learned: Learned, stir: Callable[[], None]) -> None:
        facts = port.facts
        self.identity = str(facts.get(_FACT_IDENTITY) or "")  # vendor, model, firmware
        self.by_hand = facts.get(_FACT_BY_HAND) is True  # the household ended it and left the car plugged
        phases, off_s = facts.get(_FACT_PHASES), facts.get(_FACT_OFF)
        self.phases_seen = phases if isinstance(phases, int) else None
        self._port = port
        self._learned = learned
        self._stir = stir
        self._unsaved: dict[str, JsonValue] = {}
        match facts.get(_FACT_UNANSWERED):
            case {"of": self.identity, "asked": dict(asked)}:
                learned.mute.decode(asked, port.monotonic(), port.utc())
        if not learned.clock.is_proven and isinstance(off_s, int | float):
            learned.clock.remembered_off_s = float(off_s)

    @property
    def keys(self) -> Keys:
        """Its configuration, as far as it told it."""
        return self._learned.keys

    def told_keys(self, keys: Keys) -> None:
        """It told its configuration."""
        self._learned.keys = keys

    def is_mute(self, name: str) -> bool:
        """Whether this charger did not answer this question, or cannot do it, and is not asked again now."""
        return self._learned.mute.holds(name, self._port.monotonic())

    def cannot(self, name: str) -> None:
        """It declined this: it is not asked again for a day."""
        self._learned.mute.add(name, self._port.monotonic())

    def unanswered(self, name: str) -> None:
        """It did not answer this question: it is not asked again for a day, also after our next start."""
        now_s, mute = self._port.monotonic(), self._learned.mute
        mute.add(name, now_s, unanswered=True)
        asked = mute.encoded(now_s, self._port.utc())
        self._unsaved[_FACT_UNANSWERED] = {"of": self.identity, "asked": asked}
        self._stir()

    def may_hang_up(self) -> bool:
        """Whether a new connection is worth a try, noted as one: not soon after the last."""
        now_s = self._port.monotonic()
        if now_s - self._learned.hung_up_s < HUNG_UP_FOR_S:
            return False
        self._learned.hung_up_s = now_s
        return True

    def tell_once(self, kind: str, text: str, severity: str = "warning") -> None:
        """Report something once in the daemon's life."""
        if (kind + text) not in self._learned.told and len(self._learned.told) < TOLD_MAX:
            self._learned.told.add(kind + text)
            self._port.report(DeviceEvent(kind, text, severity))

    # --- what is to be kept -----------------------------------------------------------------------------

    def note_identity(self, identity: str) -> None:
        """It said who it is; what was learned of another firmware counts no more."""
        if identity != self.identity:
            self._learned.mute.clear()
            self._learned.keys = Keys({})
        self.identity = identity
        self._unsaved[_FACT_IDENTITY] = identity

    def note_by_hand(self, by_hand: bool) -> None:
        """The household ended its session, or began another."""
        if self.by_hand is not by_hand:
            self.by_hand = self._unsaved[_FACT_BY_HAND] = by_hand

    def note_phases(self, phases: int) -> None:
        """A session used so many."""
        if phases > (self.phases_seen or 0):
            self.phases_seen = self._unsaved[_FACT_PHASES] = phases

    def note_clock_off(self, off_s: float) -> None:
        """Its clock is so far from ours."""
        self._learned.clock.remembered_off_s = self._unsaved[_FACT_OFF] = round(off_s)

    async def keep(self) -> None:
        """Write it down.

        Raises:
            Refused: the disk does not take it.
        """
        for key, value in tuple(self._unsaved.items()):
            await self._port.facts.put(key, value)
            if self._unsaved.get(key) == value:
                del self._unsaved[key]
