"""The demo: sets the stage, plays eight scenes with the real daemon, has the log judged, tells how it went.

The director sees what anybody outside sees - the log - and cues by it, each wait with a deadline, so that
a daemon that does not play its part ends in a verdict and not in a hang.

Car, pump and freezer have scenes of their own side by side; the last scene takes all three. The timeline is
ruled by the pump's 120 s watchdog, which scene 6 waits out, by the edges of minutes - one falls while the
broker is gone, one or two while the daemon is dead - and by the household's hour of scene 4, which is a whole
minute and so falls where it falls, from 94 to 154 s.

    0       38                98             158            218            278    edges
    car     1------|4-------------...........|  6--+---------------------------+------|
    pump    2--------|8--|5----|7-----|         6--+---------------------------+------|
    freezer 3-------|                           6--+---------------------------+------|
    broker                    gone                kill 30 s     90 s    120 s  started

What breaks in a sabotaged run is in `saboteur.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from gateway.demo import log, plot, saboteur, view
from gateway.demo.evidence import FOR_EVER_UTC_S, Evidence
from gateway.demo.home import Timing, timing
from gateway.demo.judge.posture import pump_is_free
from gateway.demo.log import Log
from gateway.demo.play import car, crash, freezer, network, pump
from gateway.demo.play.prompter import Prompter, second
from gateway.demo.scenes import scenes
from gateway.demo.stage import Stage, staged

LEAST_S = 300
MOST_S = 3600
_FIRST_EDGE_S, _BROKER_EDGE_S = 38, 98  # after the start: see the timeline
_LATEST_START_S, _LEAST_OVERRULED_S = 53.0, 41.0
_READY_S = 20.0
_WARM_ENOUGH_C = 19.4, 21.8  # to begin scenes 5 and 6 with: comfort may not end them
_RUN_IN_S = 4.0  # longer than the pump's minimum run
_FAILED, _WRONG_USE, _INTERRUPTED = 1, 2, 130


def show(for_s: int, json_path: Path | None, sabotage: int | None, plot_path: Path | None = None) -> int:
    """`main` for a caller without a loop: the command `homeflex demo`."""
    return asyncio.run(main(for_s, json_path, sabotage, plot_path))


async def main(
    for_s: int, json_path: Path | None, sabotage: int | None, plot_path: Path | None = None
) -> int:
    """Play the demo for `for_s` seconds; gives the exit code: 0 only if every scene passed."""
    console = Console()
    for path in (json_path, plot_path):
        if path is not None and not path.parent.is_dir():
            console.print(f"{path}: there is no folder {path.parent} to write it to")
            return _WRONG_USE
    if not LEAST_S <= for_s <= MOST_S:
        console.print(f"--for {for_s}: the scenes take {LEAST_S} s; at least that, at most {MOST_S}")
        return _WRONG_USE
    if sabotage is not None and sabotage not in saboteur.SCENES:
        console.print(f"--sabotage {sabotage}: there are scenes 1 to {saboteur.SCENES[-1]}")
        return _WRONG_USE
    seen = Log()
    try:
        with ended_by_signals():
            said = await _play(for_s, seen, sabotage, console)
    except asyncio.CancelledError:
        console.print("interrupted; everything is stopped")
        return _INTERRUPTED
    finally:
        if json_path is not None:
            log.save(seen.observations, json_path)
        if plot_path is not None:
            plot.save(seen.observations, plot_path)
    if said is not None:
        console.print(f"the daemon did not come up. It said:\n{said}", markup=False, highlight=False)
        return _FAILED
    return view.verdicts(scenes(seen.observations), console)


def judge(path: Path, plot_path: Path | None = None) -> int:
    """Judge a log of an earlier run, and draw it if wanted, by nothing but it; gives the exit code."""
    console = Console()
    try:
        seen = log.load(path)
        if plot_path is not None:
            plot.save(seen, plot_path)
        return view.verdicts(scenes(seen), console)
    except (OSError, ValueError) as error:
        console.print(f"--judge {path}: {error}")
        return _WRONG_USE


async def _play(for_s: int, seen: Log, sabotage: int | None, console: Console) -> str | None:
    """Everything set up, played and taken down; what the daemon said if it did not come up."""
    began_utc_s = float(int(seen.now_utc_s()))  # minutes end at whole seconds
    hours = timing(began_utc_s + _FIRST_EDGE_S, began_utc_s + _LATEST_START_S, _LEAST_OVERRULED_S)
    with tempfile.TemporaryDirectory(prefix="homeflex-demo-") as folder:
        async with view.showing(seen, console), staged(Path(folder), seen, hours) as stage:
            if not await daemon_is_up(stage):
                return stage.daemon.said()
            await _play_all(Prompter(stage, sabotage), hours, began_utc_s)
            await asyncio.sleep(max(0.0, began_utc_s + for_s - seen.now_utc_s()))
    return None


async def daemon_is_up(stage: Stage) -> bool:
    """Start the daemon; whether it introduced itself to the aggregator."""
    await stage.daemon.start()
    await stage.log.until(lambda seen: _has_spoken(Evidence([*seen])), _READY_S)
    return Evidence(stage.log.observations).heard("state")


def _has_spoken(seen: Evidence) -> bool:
    return seen.heard("state") or seen.exit_code("daemon", 0.0, FOR_EVER_UTC_S) is not None


async def _play_all(prompter: Prompter, hours: Timing, began_utc_s: float) -> None:
    """The scenes of each device side by side; then the one of all three."""
    async with asyncio.TaskGroup() as lanes:
        lanes.create_task(_car(prompter, hours, began_utc_s + _FIRST_EDGE_S), name="scenes of the car")
        off = lanes.create_task(freezer.longest_off(prompter), name="scene of the freezer")
        lanes.create_task(_pump(prompter, began_utc_s + _BROKER_EDGE_S, off), name="scenes of the pump")
    await prompter.until(pump.warm(_WARM_ENOUGH_C[1]), 30.0)
    await crash.kill(prompter)


async def _car(prompter: Prompter, hours: Timing, edge_utc_s: float) -> None:
    await car.cap(prompter, edge_utc_s)
    await car.ready_by(prompter, hours.ready_utc_s)


async def _pump(prompter: Prompter, edge_utc_s: float, off: asyncio.Task[None]) -> None:
    await pump.block_ends_early(prompter)
    await asyncio.wait([off])  # nothing may move in the next scene
    await network.refused(prompter)
    await prompter.until(pump.warm(_WARM_ENOUGH_C[0]), 20.0)
    await pump.override(prompter)
    await network.broker_gone(prompter, edge_utc_s)
    await prompter.until(second(pump_is_free), 8.0)
    await asyncio.sleep(_RUN_IN_S)


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGINT and SIGTERM cancel the task that plays, so that everything is taken down in order."""
    loop, playing = asyncio.get_running_loop(), asyncio.current_task()
    assert playing is not None, "called from a task"
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, playing.cancel)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
