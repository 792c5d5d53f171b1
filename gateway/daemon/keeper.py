"""What the home keeps on its disk: minutes as they end, half-hours, charge sessions, memory; for how long,
within what room; and what is told of a disk that fails.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from gateway.daemon import outbox as outboxes
from gateway.daemon.budget import make_room
from gateway.daemon.chance import Drawn
from gateway.daemon.charge_sessions import ChargeSessions
from gateway.daemon.clock import Clock
from gateway.daemon.half_hours import HalfHours
from gateway.daemon.home import Home
from gateway.daemon.minutes import Minutes
from gateway.daemon.outbox import Outbox
from gateway.daemon.recollection import Recollection
from gateway.daemon.records import EVENT_LOG, STATUS_LOG, Records
from gateway.daemon.store import DropEvidence, DropRows, StorageError, Store
from gateway.wire.event import EventKind, Severity
from gateway.wire.moment import moment_of

log = structlog.get_logger()

DAY_S = 86_400.0
EDGE_S = 1.0  # a minute waits for the disk at most so long
ROOM_EVERY_S = 60.0  # that the disk holds no more than it may is looked at, and after each failure
MINUTES_KEPT_S, STATUSES_KEPT_S = 45 * DAY_S, 90 * DAY_S


class Keeper:
    """The only one who writes in turns; who must not wait for a disk does not ask it."""

    def __init__(
        self,
        home: Home,
        minutes: Minutes,
        half_hours: HalfHours,
        sessions: ChargeSessions,
        recollection: Recollection,
        drawn: Drawn,
        outbox: Outbox,
        records: Records,
        store: Store,
        clock: Clock,
    ) -> None:
        self.runs_instruction: Callable[[], bool] = lambda: False
        self._home = home
        self._minutes = minutes
        self._half_hours = half_hours
        self._sessions = sessions
        self._recollection = recollection
        self._drawn = drawn
        self._outbox = outbox
        self._records = records
        self._store = store
        self._clock = clock
        self._minute_ended = asyncio.Event()
        minutes.wake = self._minute_ended.set
        self._edge_behind = False
        self._failure = store.failure
        self._lost = 0

    async def run(self) -> None:
        """Keep, until cancelled."""
        while True:
            self._minute_ended.clear()
            await self._close_minutes()
            self._half_hours.look()
            if self._edge_behind:
                await self._save_edge()
            await self._drawn.keep(EDGE_S)
            self._outbox.eager = self.runs_instruction()
            await self.commit()
            self._recollection.save(self._home.memory, self._clock)
            self._sessions.keep()
            self._tell_storage()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(1.0, self._minutes.wait_s() + 0.01)):
                    await self._minute_ended.wait()

    async def keep_room(self) -> None:
        """Hold no more than is allowed, until cancelled: what is oldest goes."""
        while True:
            if self._clock.trusted:  # else nobody knows how old what is
                with contextlib.suppress(StorageError):
                    most_bytes = self._home.config.paths.most_mb * 1_000_000
                    self._tell_dropped(await make_room(self._store, most_bytes, self._clock.utc_s()))
            await asyncio.sleep(ROOM_EVERY_S if self._store.failure is None else outboxes.RETRY_S)

    async def close(self) -> None:
        """Everything that is not on the disk yet; only half-hours that are there are called told."""
        await self._half_hours.saved()
        await self._close_minutes()
        self._outbox.flush()
        self._recollection.save(self._home.memory, self._clock, now=True)
        self._sessions.keep(now=True)
        await self.commit()

    async def commit(self) -> None:
        """What of the logs is due."""
        await outboxes.commit(self._outbox, self._store, self._clock.monotonic_s(), self._minutes.edge)

    def remember(self) -> None:
        """The rules' memory, now: a person said something."""
        self._recollection.save(self._home.memory, self._clock, now=True)

    def drop_old(self) -> None:
        """What leaves by age (contract: the ack), while it is known how old it is."""
        if not self._clock.trusted:
            return
        utc_s = self._clock.utc_s()
        kept_s = dict.fromkeys(self._minutes.logs(), MINUTES_KEPT_S)
        kept_s |= dict.fromkeys((*self._minutes.settlement_logs(), STATUS_LOG, EVENT_LOG), STATUSES_KEPT_S)
        self._store.submit(*(DropRows(name, utc_s - age_s) for name, age_s in kept_s.items()))
        self._store.submit(DropEvidence(utc_s - STATUSES_KEPT_S))
        self._sessions.drop_old()

    # --- parts ------------------------------------------------------------------------------------------

    async def _close_minutes(self) -> None:
        """Minutes that have ended: first the edge is safe, then they go; without a disk all the same."""
        if not self._minutes.cut():
            return
        await self._save_edge()
        self._minutes.put()
        self._records.wake()

    async def _save_edge(self) -> None:
        """What the next run needs of the minutes that were sent; until the disk takes it, each time anew."""
        edge = list(self._minutes.edge())
        if not edge:
            return
        saving = self._store.submit(*edge)
        await asyncio.wait([saving], timeout=EDGE_S)
        self._edge_behind = not saving.done() or saving.exception() is not None

    def _tell_storage(self) -> None:
        """A disk that fails is told once it works again: no event can be saved before."""
        failure, self._failure = self._failure, self._store.failure
        if failure and not self._failure:
            text = f"what was to be saved is saved again; it could not be: {failure}"
            self._records.event(EventKind.STORAGE, text, Severity.ALARM)
        lost, self._lost = self._lost, self._outbox.dropped_rows + self._outbox.unreadable_packs
        if self._lost > lost:
            text = "rows that the disk did not take had no room any more, or stored ones cannot be read"
            self._records.event(EventKind.STORAGE, text, Severity.ALARM, count=self._lost - lost)

    def _tell_dropped(self, dropped: dict[str, float]) -> None:
        for kind, before_utc_s in dropped.items():
            text = f"the disk is full: {kind} before {moment_of(before_utc_s)} was dropped"
            log.warning(text)
            self._records.event(EventKind.STORAGE, text, Severity.WARNING)
