"""What is so now, gathered from the log one observation after the other: what the screen shows."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from gateway.demo.evidence import FOR_EVER_UTC_S, Evidence, Status
from gateway.demo.hold import Holds
from gateway.demo.log import Observation
from gateway.demo.reading import Reading
from gateway.demo.words import line, status_words

_OPEN = ("ACCEPTED", "STARTED")
_MOST_NEWS = 12


@dataclass(frozen=True, slots=True)
class Played:
    """A scene's span; `ended_utc_s` None: it is being played."""

    began_utc_s: float
    ended_utc_s: float | None


@dataclass(frozen=True, slots=True)
class News:
    """Something that happened, in words. `by`: who did or said it."""

    at_utc_s: float
    by: str
    text: str


class Glance:
    """The home, the scenes and what was said, as of the last observation taken."""

    def __init__(self) -> None:
        self.began_utc_s = self.now_utc_s = 0.0
        self.second: dict[str, Any] = {}
        self.scenes: dict[int, Played] = {}
        self.gone: dict[str, float] = {}
        self.news: deque[News] = deque(maxlen=_MOST_NEWS)
        self.readings: dict[str, Reading] = {}
        self.minutes = self.missing = 0  # of all points
        self.holds = Holds()
        self._open: dict[str, dict[str, dict[str, Any]]] = {}

    @property
    def scenes_ended(self) -> int:
        """How many are over."""
        return sum(played.ended_utc_s is not None for played in self.scenes.values())

    def word_on(self, asset: str) -> dict[str, Any] | None:
        """What the last status says of an asset under an instruction that is not over."""
        told = self._open.get(asset)
        return next(reversed(told.values())) if told else None

    def take(self, one: Observation) -> None:
        """See an observation."""
        self.began_utc_s = self.began_utc_s or one.at_utc_s
        self.now_utc_s = one.at_utc_s
        self.holds.take(one)
        match one.kind:
            case "second":
                self.second = one.facts
            case "scene":
                self._take_scene(one)
            case "process":
                self._take_process(one)
            case "received":
                self._take_message(one)
            case "sent" if one.facts["what"] == "cancel":
                self._take_cancel(one)
        if one.kind in ("sent", "process", "command", "line"):
            self._tell(one)

    def _take_scene(self, one: Observation) -> None:
        number, is_over = one.facts["number"], one.facts["what"] == "ended"
        began = self.scenes[number].began_utc_s if number in self.scenes else one.at_utc_s
        self.scenes[number] = Played(began, one.at_utc_s if is_over else None)

    def _take_process(self, one: Observation) -> None:
        if one.facts["what"] == "started":
            self.gone.pop(one.facts["name"], None)
        else:
            self.gone.setdefault(one.facts["name"], one.at_utc_s)

    def _take_message(self, one: Observation) -> None:
        seen = Evidence([one])
        for status in seen.statuses(0.0, FOR_EVER_UTC_S):
            self._take_status(status)
            self.news.append(News(one.at_utc_s, "home", status_words(status)))
        for reading in seen.readings():
            self.readings[reading.point] = reading
            self.minutes += 1
            self.missing += reading.quality == "MISSING"

    def _take_status(self, status: Status) -> None:
        for target in status.targets:
            told = self._open.setdefault(str(target.get("asset")), {})
            told.pop(status.id, None)
            if target.get("status") in _OPEN:
                told[status.id] = target

    def _take_cancel(self, one: Observation) -> None:
        sent = Evidence([one]).sent(one.facts["scene"], "cancel")
        for told in self._open.values():
            told.pop(sent.id if sent else "", None)

    def _tell(self, one: Observation) -> None:
        by = {"sent": "aggregator", "command": "household"}.get(one.kind, "outside")
        text = line(one)
        if text and not (one.kind == "command" and one.facts["what"] == "answered"):
            self.news.append(News(one.at_utc_s, by, text))
