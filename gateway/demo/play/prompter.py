"""What scenes are played with: marks in the log, messages, and waiting by the log, always with a deadline."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from gateway.demo.aggregator import cancel_body, set_body
from gateway.demo.evidence import FOR_EVER_UTC_S, Evidence, Second, Sent
from gateway.demo.log import Log
from gateway.demo.saboteur import sabotaged
from gateway.demo.setting import POINTS, SITE
from gateway.demo.stage import Stage

Cue = Callable[[Evidence], bool]

_LASTS_S = 1800
_BACK_S = 15.0  # the home comes back within its first back-offs
_BROKER_S = 30.0  # a message waits at most so long for the broker


class Prompter:
    """The director's hands, the same for all scenes. `sabotage` is the scene to be broken, if any."""

    def __init__(self, stage: Stage, sabotage: int | None) -> None:
        self.stage = stage
        self.log: Log = stage.log
        self.sabotage = sabotage
        self._broker = asyncio.Event()
        self._broker.set()

    @contextlib.asynccontextmanager
    async def scene(self, number: int) -> AsyncIterator[None]:
        """A scene in the log, from its first act to its last; broken while it lasts if it is to be."""
        self.log.note("scene", number=number, what="began")
        breaks = sabotaged(number, self.stage) if self.sabotage == number else contextlib.nullcontext()
        with breaks:
            yield
        self.log.note("scene", number=number, what="ended")

    @contextlib.asynccontextmanager
    async def without_broker(self) -> AsyncIterator[None]:
        """The broker is gone while the block runs; messages wait till the home is on it again."""
        self._broker.clear()
        await self.stage.broker_goes()
        try:
            yield
        finally:
            await self.stage.broker_returns()
            await self.until(_spoken, _BACK_S)
            self._broker.set()

    # --- what is said ---

    async def cap(
        self, scene: int, *targets: str, cap_w: float = 0.0, service: str, what: str = "set"
    ) -> Sent:
        """The aggregator caps the targets from now on; gives the instruction as sent."""
        await self._there()
        body = set_body(SITE, targets[0], cap_w, self.log.now_utc_s(), _LASTS_S, service=service)
        await self.stage.aggregator.send(body | {"targets": [*targets]}, scene=scene, what=what)
        sent = self.seen().sent(scene, what)
        assert sent is not None, "what was sent is in the log"
        return sent

    async def cancel(self, id: str, scene: int) -> None:
        """The aggregator ends an instruction at once."""
        await self._there()
        body = cancel_body(SITE, id, self.log.now_utc_s())
        await self.stage.aggregator.send(body, scene=scene, what="cancel")

    async def _there(self) -> None:
        """Until there is a broker; without one for too long the scene goes on, and fails."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_BROKER_S):
                await self._broker.wait()

    # --- waiting ---

    async def until(self, cue: Cue, within_s: float, since_utc_s: float | None = None) -> bool:
        """Wait for something seen since then; since now if no moment is given."""
        since = self.log.now_utc_s() if since_utc_s is None else since_utc_s
        return await self.log.until(lambda seen: cue(Evidence([*seen])), within_s, since)

    async def sleep_until(self, utc_s: float) -> None:
        """Wait for a moment; one that is past is now."""
        await asyncio.sleep(max(0.0, utc_s - self.log.now_utc_s()))

    def seen(self) -> Evidence:
        """Everything up to now."""
        return Evidence(self.log.observations)


# --- cues ---


def second(is_so: Callable[[Second], bool]) -> Cue:
    """A second in which the devices were so."""
    return lambda seen: any(map(is_so, seen.seconds(0.0, FOR_EVER_UTC_S)))


def told(id: str, asset: str, reason: str) -> Cue:
    """A status that gives this reason."""
    return lambda seen: any(t.reason == reason for t in seen.targets(id, asset, 0.0, FOR_EVER_UTC_S))


def followed(id: str, *assets: str) -> Cue:
    """The last word on each of them is that the instruction is followed in full."""

    def is_so(seen: Evidence) -> bool:
        last = [seen.targets(id, asset, 0.0, FOR_EVER_UTC_S)[-1:] for asset in assets]
        return all(told and (told[0].status, told[0].extent) == ("STARTED", "full") for told in last)

    return is_so


def _spoken(seen: Evidence) -> bool:
    """The home said something."""
    return seen.heard("state") or bool(seen.readings())


def answered(reception: str) -> Cue:
    """A status with this reception."""
    return lambda seen: any(s.reception == reception for s in seen.statuses(0.0, FOR_EVER_UTC_S))


def minute(end_utc_s: float) -> Cue:
    """The minute of every point: after an outage each comes in a message of its own."""
    return lambda seen: {r.point for r in seen.readings() if r.end_utc_s == end_utc_s} == set(POINTS)
