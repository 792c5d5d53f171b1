"""What a charger does not answer or cannot do: it is not asked again before a day has passed.

Pure: moments are handed in. What was not answered costs a deadline, so it is kept for the next life too;
what was declined is known again in a moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from drivers.base import JsonValue

ASKED_AGAIN_S = 86_400.0


@dataclass
class Mute:
    """Names of questions, each with the moment since when it is not asked (s, monotonic)."""

    _since_s: dict[str, float] = field(default_factory=dict)
    _unanswered: set[str] = field(default_factory=set)

    def holds(self, name: str, now_s: float) -> bool:
        """Whether this is not to be asked now."""
        since_s = self._since_s.get(name)
        return since_s is not None and now_s - since_s < ASKED_AGAIN_S

    def add(self, name: str, now_s: float, *, unanswered: bool = False) -> None:
        """Do not ask this for a day."""
        self._since_s[name] = now_s
        if unanswered:
            self._unanswered.add(name)

    def clear(self) -> None:
        """It has another firmware: everything may be asked."""
        self._since_s.clear()
        self._unanswered.clear()

    def encoded(self, now_s: float, utc_s: float | None) -> dict[str, JsonValue]:
        """What was not answered, by name, and when (UTC; 0: nobody knew)."""
        return {
            name: 0 if utc_s is None else round(utc_s - (now_s - self._since_s[name]))
            for name in sorted(self._unanswered)
        }

    def decode(self, kept: Mapping[str, JsonValue], now_s: float, utc_s: float | None) -> None:
        """Take what an earlier life kept; without a clock its day begins now."""
        for name, at_s in kept.items():
            if name not in self._since_s and isinstance(at_s, int):
                age_s = max(0.0, utc_s - at_s) if utc_s is not None and at_s else 0.0
                self.add(name, now_s - age_s, unanswered=True)
