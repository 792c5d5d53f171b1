"""The demo: sets the stage, plays five scenes with the real daemon, has the log judged, tells how it went.

The director sees what anybody outside sees - the log - and cues by it, each wait with a deadline, so that
a daemon that does not play its part ends in a verdict and not in a hang.

The timeline is ruled by the pump's 120 s watchdog, which scene 3 waits out, and by the edges of minutes:
one falls while the broker is gone (scene 4) and one while the daemon is dead. Scene 4 is played while
scene 3's limit is in force and quiet: a lease is renewed after 80 s, so nothing is written.

    0           48             108            168            228   edges (offset_s is chosen so)
       |--1----|  |-2--||5|  |-3-----------------------------|
                             held  |4|   kill |  fallback | resumed

A sabotaged run breaks the device or the network in one scene, and only that scene may fail:
    1  the pump takes register 71 and does not follow it
    2  the pump, let go, creeps on at its lowest speed
    3  the pump's watchdog sleeps
    4  the network acknowledges the readings of one minute and loses them, until the scene is over
    5  somebody on the path to the pump repeats the writes of a block he captured, and of its end
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

from rich.console import Console

from gateway.demo import log, saboteur, view
from gateway.demo.aggregator import cancel_body, forged, set_body
from gateway.demo.devices.pump import WATCHDOG_S, Fault
from gateway.demo.evidence import FOR_EVER_UTC_S, Evidence, Second, Sent
from gateway.demo.home import SITE
from gateway.demo.log import Log
from gateway.demo.scenes import ASSET, SURPLUS_REGISTER, is_free, is_held, scenes
from gateway.demo.stage import Stage, staged

LEAST_S = 240
MOST_S = 3600
TARGET = f"asset:{ASSET}"
_MINUTE_EDGE_S = 48  # after the start: see the timeline
_BLOCK_S = 1800
_OVERRIDE_S = 12
_READY_S = 20.0
_WARM_ENOUGH_C = 19.4, 19.7  # to begin scenes 2 and 3 with: neither may be ended by comfort
_KILL_AFTER_S = 76.0  # after the last write: before the renewal, so that the fallback comes soon
_FAULTS = {1: Fault.DEAF, 2: Fault.CREEPING, 3: Fault.SLEEPING_WATCHDOG}
_FAILED, _WRONG_USE, _INTERRUPTED = 1, 2, 130


Cue = Callable[[Evidence], bool]


def show(for_s: int, json_path: Path | None, sabotage: int | None) -> int:
    """`main` for a caller without a loop: the command `homeflex demo`."""
    return asyncio.run(main(for_s, json_path, sabotage))


async def main(for_s: int, json_path: Path | None, sabotage: int | None) -> int:
    """Play the demo for `for_s` seconds; gives the exit code: 0 only if every scene passed."""
    console = Console()
    if not LEAST_S <= for_s <= MOST_S:
        console.print(f"--for {for_s}: the scenes take {LEAST_S} s; at least that, at most {MOST_S}")
        return _WRONG_USE
    if sabotage is not None and sabotage not in range(1, 6):
        console.print(f"--sabotage {sabotage}: there are scenes 1 to 5")
        return _WRONG_USE
    seen = Log()
    try:
        with _ended_by_signals():
            said = await _play(for_s, seen, sabotage, console)
    except asyncio.CancelledError:
        console.print("interrupted; everything is stopped")
        return _INTERRUPTED
    finally:
        if json_path is not None:
            log.save(seen.observations, json_path)
    if said is not None:
        console.print(f"the daemon did not come up. It said:\n{said}", markup=False, highlight=False)
        return _FAILED
    return view.verdicts(scenes(seen.observations), console)


def judge(path: Path) -> int:
    """Judge a log of an earlier run, and nothing but it; gives the exit code."""
    console = Console()
    try:
        return view.verdicts(scenes(log.load(path)), console)
    except (OSError, ValueError) as error:
        console.print(f"--judge {path}: {error}")
        return _WRONG_USE


async def _play(for_s: int, seen: Log, sabotage: int | None, console: Console) -> str | None:
    """Everything set up, played and taken down; what the daemon said if it did not come up."""
    begin_utc_s = seen.now_utc_s()
    offset_s = int(begin_utc_s + _MINUTE_EDGE_S) % 60
    with tempfile.TemporaryDirectory(prefix="homeflex-demo-") as folder:
        async with view.showing(seen, console), staged(Path(folder), seen, offset_s) as stage:
            director = Director(stage, sabotage)
            if not await director.daemon_is_up():
                return stage.daemon.said()
            await director.play()
            await asyncio.sleep(max(0.0, begin_utc_s + for_s - seen.now_utc_s()))
    return None


class Director:
    """Plays the scenes on a stage."""

    def __init__(self, stage: Stage, sabotage: int | None) -> None:
        self._stage = stage
        self._log = stage.log
        self._sabotage = sabotage

    async def daemon_is_up(self) -> bool:
        """Start the daemon; whether it introduced itself to the aggregator."""
        await self._stage.daemon.start()
        await self._until(lambda seen: _is_ready(seen) or _is_gone(seen), _READY_S, 0.0)
        return _is_ready(self._seen())

    async def play(self) -> None:
        """All scenes, in the order of the timeline."""
        await asyncio.sleep(2.0)
        await self._block_ends_early()
        await self._override()
        await self._refused()
        await self._kill()

    async def _block_ends_early(self) -> None:
        async with self._scene(1):
            order = await self._block(1)
            if await self._until(_pump(is_held), 35.0):
                await self._until(_pump(is_free), 60.0)
            await self._until(_told(order.id, "comfortLimit"), 8.0, order.at_utc_s)
            await asyncio.sleep(4.0)
            await self._cancel(order.id, 1)

    async def _override(self) -> None:
        await self._until(_warm(_WARM_ENOUGH_C[0]), 30.0)
        async with self._scene(2):
            order = await self._block(2)
            await self._until(_pump(is_held), 15.0)
            await asyncio.sleep(3.0)
            given_utc_s = self._log.now_utc_s()
            await self._stage.household(self._stage.home.override_command(_OVERRIDE_S), 2)
            await self._until(_told(order.id, "userOverride"), 8.0, given_utc_s)
            await self._sleep_until(given_utc_s + _OVERRIDE_S)
            over_utc_s = self._log.now_utc_s()
            await self._until(_pump(is_held), 10.0)
            await self._until(_followed(order.id), 8.0, over_utc_s)
            await asyncio.sleep(3.5)
            await self._cancel(order.id, 2)

    async def _refused(self) -> None:
        await self._until(_pump(is_free), 8.0)
        async with self._scene(5):
            aggregator, begin_utc_s = self._stage.aggregator, self._log.now_utc_s()
            body = set_body(SITE, TARGET, 0.0, begin_utc_s, _BLOCK_S)
            await aggregator.send_as_stranger(forged(body), scene=5, what="forged")
            await self._until(_answered("INVALID_SIGNATURE"), 5.0, begin_utc_s)
            await aggregator.send_as_stranger(self._captured(1), scene=5, what="replayed")
            await self._until(_answered("REPLAYED"), 5.0, begin_utc_s)
            if self._sabotage == 5:
                await saboteur.replay_block(self._stage.ports.pump)
            await asyncio.sleep(4.0)

    async def _kill(self) -> None:
        await self._until(_warm(_WARM_ENOUGH_C[1]), 15.0)
        async with self._scene(3):
            order = await self._block(3)
            await self._until(_pump(is_held), 15.0)
            await self._until(_followed(order.id), 8.0, order.at_utc_s)
            await self._broker_gone()
            await self._sleep_until(min(self._last_write() + _KILL_AFTER_S, self._next_edge() - 5.0))
            self._stage.daemon.kill()
            await self._sleep_until(self._last_write() + WATCHDOG_S - 2.0)
            await self._until(_pump(is_free), 8.0)
            await asyncio.sleep(3.0)
            edge, again_utc_s = self._next_edge() - 60.0, self._log.now_utc_s()
            await self._stage.daemon.start()
            await self._until(_pump(is_held), 15.0)
            await self._until(_followed(order.id), 10.0, again_utc_s)
            await self._until(_minute(edge), 10.0, 0.0)
            await asyncio.sleep(4.0)
        await self._cancel(order.id, 3)

    async def _broker_gone(self) -> None:
        edge = self._next_edge()
        if edge - self._log.now_utc_s() < 5.0:
            edge += 60.0
        await self._sleep_until(edge - 5.0)
        async with self._scene(4):
            if self._sabotage == 4:
                self._stage.line.loses = saboteur.OneMinute()
            await self._stage.broker_goes()
            await self._sleep_until(edge + 4.0)
            await self._stage.broker_returns()
            await self._until(_minute(edge), 20.0, 0.0)
        self._stage.line.loses = None

    # --- what scenes are made of ---

    @contextlib.asynccontextmanager
    async def _scene(self, number: int) -> AsyncIterator[None]:
        self._log.note("scene", number=number, what="began")
        if self._sabotage == number:
            self._stage.pump.fault = _FAULTS.get(number)
        yield
        if self._sabotage == number:
            self._stage.pump.fault = None
        self._log.note("scene", number=number, what="ended")

    async def _block(self, scene: int) -> Sent:
        body = set_body(SITE, TARGET, 0.0, self._log.now_utc_s(), _BLOCK_S)
        await self._stage.aggregator.send(body, scene=scene, what="set")
        order = self._seen().order(scene)
        assert order is not None, "what was sent is in the log"
        return order

    async def _cancel(self, id: str, scene: int) -> None:
        body = cancel_body(SITE, id, self._log.now_utc_s())
        await self._stage.aggregator.send(body, scene=scene, what="cancel")

    async def _until(self, cue: Cue, within_s: float, since_utc_s: float | None = None) -> bool:
        """Wait for something seen since then; since now if no moment is given."""
        since = self._log.now_utc_s() if since_utc_s is None else since_utc_s
        return await self._log.until(lambda seen: cue(Evidence([*seen])), within_s, since)

    async def _sleep_until(self, utc_s: float) -> None:
        await asyncio.sleep(max(0.0, utc_s - self._log.now_utc_s()))

    def _seen(self) -> Evidence:
        return Evidence(self._log.observations)

    def _captured(self, scene: int) -> str:
        """The text of a scene's instruction, as anybody on the broker could have kept it."""
        sent = (one.facts for one in self._log.observations if one.kind == "sent")
        return next(str(facts["text"]) for facts in sent if (facts["scene"], facts["what"]) == (scene, "set"))

    def _last_write(self) -> float:
        now = self._log.now_utc_s()
        return self._seen().last_write(SURPLUS_REGISTER, now) or now

    def _next_edge(self) -> float:
        now = self._log.now_utc_s()
        return min(self._seen().minute_edges(now, now + 60.0), default=now + 60.0)


def _is_ready(seen: Evidence) -> bool:
    return seen.heard("state")


def _is_gone(seen: Evidence) -> bool:
    return seen.exit_code("daemon", 0.0, FOR_EVER_UTC_S) is not None


def _pump(is_so: Callable[[Second], bool]) -> Cue:
    return lambda seen: any(map(is_so, seen.seconds(0.0, FOR_EVER_UTC_S)))


def _warm(room_c: float) -> Cue:
    return _pump(lambda second: second.room_c >= room_c)


def _told(id: str, reason: str) -> Cue:
    return lambda seen: any(t.reason == reason for t in seen.targets(id, ASSET, 0.0, FOR_EVER_UTC_S))


def _followed(id: str) -> Cue:
    def is_so(seen: Evidence) -> bool:
        told = seen.targets(id, ASSET, 0.0, FOR_EVER_UTC_S)
        return bool(told) and (told[-1].status, told[-1].extent) == ("STARTED", "full")

    return is_so


def _answered(reception: str) -> Cue:
    return lambda seen: any(s.reception == reception for s in seen.statuses(0.0, FOR_EVER_UTC_S))


def _minute(end_utc_s: float) -> Cue:
    """The minute of every point that was heard so far: after an outage each comes in a message of its own."""

    def is_whole(seen: Evidence) -> bool:
        readings = seen.readings()
        told = {r.point for r in readings if r.end_utc_s == end_utc_s}
        return bool(told) and told == {r.point for r in readings}

    return is_whole


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
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
