"""What a person sees of a run: power as bars, the limit in force with its reason, statuses, readings.

It draws from the log alone. On a terminal it is one live picture, elsewhere one line for each thing that
happens and the powers every ten seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence

from rich.bar import Bar
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from gateway.demo.claim import Verdict
from gateway.demo.devices.house import SPEED_UP
from gateway.demo.evidence import FOR_EVER_UTC_S, Evidence, Status
from gateway.demo.log import Log, Observation
from gateway.demo.reading import Reading
from gateway.demo.scenes import TITLES
from gateway.demo.setting import ROOM_MIN_C

_SHOWN_EVERY_S = 0.5
_POWER_EVERY = 10  # seconds between two lines of powers
_FULL_W = 3000.0
_BAR_WIDTH = 40
_STATUSES, _READINGS = 6, 6
INTRODUCTION = (
    "A simulated home on the real protocols; the daemon is the real one, in a process of its own. "
    f"The heat in the house and the sun run {SPEED_UP:.0f} times faster than life; power, timers, "
    "the pump's 120 s watchdog and the minutes are real."
)


@contextlib.asynccontextmanager
async def showing(log: Log, console: Console) -> AsyncIterator[None]:
    """Show the log as it grows, while the block runs."""
    console.print(INTRODUCTION)
    show = _live(log, console) if console.is_terminal else _lines(log, console)
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
    """The whole screen at this moment."""
    seen = Evidence(observations)
    statuses = seen.statuses(0.0, FOR_EVER_UTC_S)
    return Group(
        Panel(_powers(observations), title=_scene(observations), title_align="left"),
        Panel(_limit(statuses), title="limit in force", title_align="left"),
        Panel(_statuses(statuses[-_STATUSES:]), title="statuses received", title_align="left"),
        Panel(_readings(seen.readings()[-_READINGS:]), title="readings received", title_align="left"),
    )


def line(one: Observation) -> str | None:
    """One observation in a line; None if it is nothing to tell."""
    facts = one.facts
    match one.kind:
        case "scene" if facts["what"] == "began":
            return f"--- scene {facts['number']}: {TITLES[facts['number'] - 1]}"
        case "sent" if facts["what"] != "ack":
            return f"{facts['by']} sends {facts['what']}"
        case "written":
            return f"pump takes register {facts['register']} = {facts['value']}"
        case "process":
            code = "" if facts["code"] is None else f", code {facts['code']}"
            return f"{facts['name']} {facts['pid']} {facts['what']}{code}"
        case "command" if facts["what"] == "given":
            return f"household: homeflex {' '.join(facts['arguments'])}"
        case "command":
            return f"answer ({facts['code']}): {facts['output']}"
        case "received":
            return _heard(one)
    return None


def _heard(one: Observation) -> str | None:
    seen = Evidence([one])
    told = [_status_words(status) for status in seen.statuses(0.0, FOR_EVER_UTC_S)]
    told += [_reading_words(reading) for reading in seen.readings()]
    return "aggregator hears " + "; ".join(told) if told else None


async def _live(log: Log, console: Console) -> None:
    with Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(picture(log.observations), refresh=True)
            await asyncio.sleep(_SHOWN_EVERY_S)


async def _lines(log: Log, console: Console) -> None:
    shown, seconds = 0, 0
    while True:
        for one in log.observations[shown:]:
            seconds += one.kind == "second"
            every_tenth = one.kind == "second" and seconds % _POWER_EVERY == 1
            if text := _power_words(one) if every_tenth else line(one):
                since_s = one.at_utc_s - log.observations[0].at_utc_s
                console.print(f"{since_s:6.1f} s  {text}", highlight=False, markup=False, soft_wrap=True)
        shown = len(log.observations)
        await asyncio.sleep(_SHOWN_EVERY_S)


def _latest(observations: Sequence[Observation], kind: str) -> Observation | None:
    return next((one for one in reversed(observations) if one.kind == kind), None)


def _scene(observations: Sequence[Observation]) -> str:
    latest = _latest(observations, "scene")
    if latest is None or latest.facts["what"] == "ended":
        return "power"
    return f"scene {latest.facts['number']}: {TITLES[latest.facts['number'] - 1]}"


def _powers(observations: Sequence[Observation]) -> RenderableType:
    second = _latest(observations, "second")
    if second is None:
        return "waiting"
    table = Table.grid(padding=(0, 2))
    pump_w, house_w = second.facts["pump_w"], second.facts["house_w"]
    for name, power_w in (("heat pump", pump_w), ("house", house_w), ("boundary", pump_w + house_w)):
        bar = Bar(_FULL_W, 0, min(power_w, _FULL_W), width=_BAR_WIDTH)
        table.add_row(name, bar, f"{power_w / 1000:.2f} kW")
    table.add_row("room", "", f"{second.facts['room_c']:.1f} °C, minimum {ROOM_MIN_C:.1f} °C")
    return table


def _limit(statuses: Iterable[Status]) -> str:
    for status in reversed([*statuses]):
        for target in status.targets:
            if target.get("status") in ("ACCEPTED", "STARTED"):
                limit_kw = target.get("limitKw")
                limit = "none" if limit_kw is None else f"at most {limit_kw} kW"
                return f"{target.get('asset')}: {limit}: {target.get('text') or target.get('reason')}"
            return "none"
    return "none"


def _statuses(statuses: Iterable[Status]) -> RenderableType:
    return Text("\n".join(_status_words(status) for status in statuses) or "none yet")


def _readings(readings: Iterable[Reading]) -> RenderableType:
    return Text("\n".join(_reading_words(reading) for reading in readings) or "none yet")


def _status_words(status: Status) -> str:
    words = [
        f"{t.get('asset') or t.get('target')} {t.get('status')} {t.get('extent', '')} {t.get('text') or ''}"
        for t in status.targets
    ]
    return f"{status.reception} " + ", ".join(" ".join(word.split()) for word in words)


def _reading_words(reading: Reading) -> str:
    power = "no value" if reading.power_kw is None else f"{reading.power_kw:.3f} kW"
    reasons = f" ({', '.join(reading.reasons)})" if reading.reasons else ""
    return f"{reading.point} minute {reading.seq}: {power}, {reading.quality}{reasons}"


def _power_words(one: Observation) -> str:
    facts = one.facts
    return f"pump {facts['pump_w']:.0f} W, house {facts['house_w']:.0f} W, room {facts['room_c']:.2f} °C"
