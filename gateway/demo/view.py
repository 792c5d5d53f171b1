"""What a person sees of a run, drawn from the log alone.

On a terminal it is one live picture (`screen.py`), elsewhere, and where there is too little room for it, one
line for each thing that happens and the powers every ten seconds (`words.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from rich.console import Console, RenderableType
from rich.live import Live

from gateway.demo import screen
from gateway.demo.claim import Verdict
from gateway.demo.devices import car, freezer, house
from gateway.demo.glance import Glance
from gateway.demo.log import Log, Observation
from gateway.demo.scenes import scenes
from gateway.demo.words import line, power_words

_SHOWN_EVERY_S = 0.5
_POWER_EVERY = 10  # seconds between two lines of powers
INTRODUCTION = (
    "A simulated home on the real protocols; the daemon is the real one, in a process of its own. "
    f"The heat in the house and the sun run {house.SPEED_UP:.0f} times faster than life, the cold in the "
    f"freezer {freezer.SPEED_UP:.0f} times and the car's battery {car.SPEED_UP:.0f} times; power, timers, "
    "leases and the minutes are real."
)


@contextlib.asynccontextmanager
async def showing(log: Log, console: Console) -> AsyncIterator[None]:
    """Show the log as it grows, while the block runs."""
    console.print(INTRODUCTION)
    has_room = console.width >= screen.LEAST_WIDTH and console.height >= screen.LEAST_HEIGHT
    show = _live(log, console) if console.is_terminal and has_room else _lines(log, console)
    async with asyncio.TaskGroup() as tasks:
        showing = tasks.create_task(show, name="view")
        try:
            yield
        finally:
            showing.cancel()


def verdicts(found: Sequence[Verdict], console: Console) -> int:
    """Tell the verdicts; gives the exit code: 0 if all scenes passed, else 1."""
    for verdict in found:
        console.print(
            f"{'PASSED' if verdict.passed else 'FAILED'}  {verdict.number} {verdict.title}",
            style="green" if verdict.passed else "bold red",
            highlight=False,
        )
        for claim in verdict.claims:
            console.print(f"    {'yes' if claim.holds else 'NO '}  {claim.text}", highlight=False)
    return 0 if all(verdict.passed for verdict in found) else 1


def picture(observations: Sequence[Observation]) -> RenderableType:
    """The whole screen at the end of a log."""
    seen = Glance()
    for one in observations:
        seen.take(one)
    return screen.picture(seen, _verdicts(observations))


async def _live(log: Log, console: Console) -> None:
    """The judge is asked again when a scene ends: a verdict needs the whole log."""
    seen, shown, judged, told = Glance(), 0, 0, dict[int, Verdict]()
    with Live(console=console, auto_refresh=False) as live:
        while True:
            for one in log.observations[shown:]:
                seen.take(one)
            shown = len(log.observations)
            if judged != seen.scenes_ended:
                judged, told = seen.scenes_ended, _verdicts(log.observations)
            live.update(screen.picture(seen, told), refresh=True)
            await asyncio.sleep(_SHOWN_EVERY_S)


async def _lines(log: Log, console: Console) -> None:
    shown, seconds = 0, 0
    while True:
        for one in log.observations[shown:]:
            seconds += one.kind == "second"
            every_tenth = one.kind == "second" and seconds % _POWER_EVERY == 1
            if text := power_words(one) if every_tenth else line(one):
                since_s = one.at_utc_s - log.observations[0].at_utc_s
                console.print(f"{since_s:6.1f} s  {text}", highlight=False, markup=False, soft_wrap=True)
        shown = len(log.observations)
        await asyncio.sleep(_SHOWN_EVERY_S)


def _verdicts(observations: Sequence[Observation]) -> dict[int, Verdict]:
    return {verdict.number: verdict for verdict in scenes(observations)}
