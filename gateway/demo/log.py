"""The raw log of a run: what was seen outside the daemon, each with its time, and nothing concluded.

What is seen, and its facts:
    second    pump_w, house_w, room_c, charger_w,   the devices' own physics, once a second
              car_soc, car_connected, freezer_w,
              plug_on, freezer_c
    written   register, value, peer                 the pump took a write
    asked     device, what, params, peer            charger or plug got a call: its action or method
    received  topic, text                           the aggregator got a message
    sent      topic, text, by, scene, what          somebody published to the home
    process   name, pid, what, code                 started, killed, exited
    command   arguments, scene, what, code, output  the household gave a command, and it answered
    configured text                                 the file the daemon is started with
    scene     number, what                          the director began or ended a scene
    line      what                                  the home's line to the broker was joined again
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

VERSION = 2
MOST_OBSERVATIONS = 200_000  # an hour of the demo has about 20,000


@dataclass(frozen=True, slots=True)
class Observation:
    """One thing seen at `at_utc_s`; `facts` are as the table above says, by `kind`."""

    at_utc_s: float
    kind: str
    facts: dict[str, Any]


class Log:
    """Collects observations while the demo runs. Its clock cannot be stepped."""

    def __init__(self) -> None:
        self.observations: list[Observation] = []
        self._epoch_utc_s = time.time() - time.monotonic()
        self._more = asyncio.Event()

    def now_utc_s(self) -> float:
        """UTC as it was at the start of the run, carried on by the monotonic clock."""
        return self._epoch_utc_s + time.monotonic()

    def note(self, kind: str, **facts: Any) -> None:
        """Write down what was seen now."""
        if len(self.observations) < MOST_OBSERVATIONS:
            self.observations.append(Observation(round(self.now_utc_s(), 3), kind, facts))
        self._more.set()

    async def until(
        self, seen: Callable[[Iterable[Observation]], bool], within_s: float, since_utc_s: float = 0.0
    ) -> bool:
        """Wait until what was seen since then satisfies `seen`; False after `within_s`."""
        try:
            async with asyncio.timeout(within_s):
                while not seen(self.since(since_utc_s)):
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            return False
        return True

    def since(self, utc_s: float) -> list[Observation]:
        """What was seen at or after a moment."""
        return [one for one in self.observations if one.at_utc_s >= utc_s]


def save(observations: Iterable[Observation], path: Path) -> None:
    """Write a log to a file, one observation a line."""
    lines = ",\n".join(json.dumps(asdict(one)) for one in observations)
    path.write_text(f'{{"homeflexDemo": {VERSION}, "observations": [\n{lines}\n]}}\n')


def load(path: Path) -> list[Observation]:
    """Read a log from a file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not a log of this version.
    """
    document = json.loads(path.read_text())
    if not isinstance(document, dict) or document.get("homeflexDemo") != VERSION:
        raise ValueError(f"{path} is not a log of homeflex demo, version {VERSION}")
    try:
        return [Observation(**one) for one in document["observations"]]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
