"""The judge: what each scene promises, held against the raw log alone.

Pure: it knows no socket, no daemon and no director, only what was seen outside and the home of `setting.py`,
which the director arranges the scenes by. Each scene is a list of claims; one that does not hold fails it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from gateway.demo.claim import Claim, Verdict
from gateway.demo.evidence import Evidence
from gateway.demo.judge import car, crash, freezer, network, pump
from gateway.demo.log import Observation

_Judge = Callable[[Evidence, float, float], Iterable[Claim]]

_SCENES: dict[str, _Judge] = {
    "a cap on the car is followed": car.cap,
    "a block ends early because the room reached its minimum": pump.block_ends_early,
    "the freezer comes back at its longest-off time, and does not serve bm": freezer.longest_off,
    "the household's hour overrules a cap": car.ready_by,
    "the household overrides an instruction": pump.override,
    "kill -9 in an event of car, pump and freezer": crash.kill,
    "the broker goes and comes back, no minute missing": network.broker_gone,
    "forged, replayed and oversized instructions are refused": network.refused,
}
TITLES = tuple(_SCENES)


def scenes(log: Iterable[Observation]) -> list[Verdict]:
    """The verdict on each scene, in order."""
    seen = Evidence(sorted(log, key=lambda one: one.at_utc_s))
    return [
        Verdict(number, title, tuple(_claims(seen, number, judge)))
        for number, (title, judge) in enumerate(_SCENES.items(), start=1)
    ]


def _claims(seen: Evidence, number: int, judge: _Judge) -> Sequence[Claim]:
    played = seen.scene(number)
    if played is None:
        return [Claim("the scene was played to its end", False)]
    return [*judge(seen, *played)]
