"""What this home tells, on its way through the disk: statuses, events and readings into their logs.

Statuses, events and half-hours are numbered in the transaction that saves them; minutes are numbered in
memory and saved in packs (see outbox.py). A row is stored without its number and gets it when it is sent.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog

from gateway.core.model import Reason
from gateway.daemon.clock import Clock
from gateway.daemon.outbox import Outbox, Parcel
from gateway.daemon.store import AppendRow, Change, Store
from gateway.daemon.telling import Mark
from gateway.daemon.uplog import kind_of
from gateway.wire import readings, settlement
from gateway.wire.event import Event, EventKind, Severity
from gateway.wire.message import Part, encode

log = structlog.get_logger()

STATUS_LOG = "status"
EVENT_LOG = "event"
EVENTS_PER_MINUTE = 30  # of one kind; more are counted in the next


class Records:
    """The way into the logs, and out of them as messages."""

    def __init__(self, site: str, boot: str, store: Store, outbox: Outbox, clock: Clock) -> None:
        self.wake: Callable[[], None] = lambda: None  # something may be sent
        self.tell_at_once: Callable[[bytes], None] = lambda _body: None  # a status no log can hold
        self._site = site
        self._boot = boot
        self._store = store
        self._outbox = outbox
        self._clock = clock
        self._recent: dict[EventKind, tuple[float, int]] = {}  # start of the minute, events in it

    def mark(self) -> Mark:
        """What a message of a log carries; its number comes when it is saved."""
        return {
            "site": self._site,
            "stream": self._outbox.stream,
            "seq": 0,
            "at_utc_s": self._clock.utc_s(),
        }

    def statuses(self, bodies: Iterable[Part], changes: Iterable[Change]) -> asyncio.Task[None]:
        """Save statuses and summaries together with `changes`; done when they may be sent.

        Raises:
            StorageError: (from the future) nothing of it is on the disk.
        """
        return self._append(STATUS_LOG, [encode(body) for body in bodies], tuple(changes))

    def append(self, rows: Sequence[AppendRow], changes: Iterable[Change]) -> asyncio.Task[None]:
        """Save rows, each at the end of its log, together with `changes`; done when they may be sent.

        Raises:
            StorageError: (from the future) nothing of it is on the disk.
        """
        committed = self._store.submit(*changes, *rows)
        return asyncio.create_task(self._numbered(rows, committed), name="save rows")

    def event(
        self,
        kind: EventKind,
        text: str,
        severity: Severity = Severity.INFO,
        *,
        asset: str | None = None,
        dispatch_ids: tuple[str, ...] = (),
        reason: Reason = Reason.NONE,
        until_utc_s: float | None = None,
        count: int | None = None,
    ) -> None:
        """Tell that something happened; a flood of one kind is cut and counted."""
        missed = self._flood(kind)
        if missed is None:
            return
        event = Event(
            **self.mark(),
            kind=kind,
            severity=severity,
            asset=asset,
            dispatch_ids=dispatch_ids,
            reason=reason,
            until_utc_s=until_utc_s,
            count=(count or 1) + missed,
            text=text,
        )
        saving = self._append(EVENT_LOG, [encode(event)], ())
        saving.add_done_callback(_noted)

    def answer_unjournalled(self, status: Part) -> None:
        """Send a status that no log can hold; its `seq` is 0, which no log uses."""
        self.tell_at_once(encode(status))

    def message(self, parcel: Parcel, offset_s: int) -> tuple[str, bytes]:
        """The topic under the site's and the body that a parcel goes out as."""
        first = parcel.rows[0]
        if first.log in (STATUS_LOG, EVENT_LOG):
            topic = "dispatch/status" if first.log == STATUS_LOG else "event"
            return topic, _dump({**json.loads(first.body), "seq": first.seq})
        head: dict[str, object] = {"site": self._site, "backfill": parcel.backfill}
        if kind_of(first.log) == "settlement":
            points = self._points(parcel, "halfHours")
            return "settlement", _dump({"schema": settlement.SCHEMA, **head, "points": points})
        head |= {"boot": self._boot, "offsetS": offset_s}
        points = self._points(parcel, "readings")
        topic = "telemetry" if self._outbox.bundle else f"telemetry/{next(iter(points))}"
        return topic, _dump({"schema": readings.SCHEMA, **head, "points": points})

    def _points(self, parcel: Parcel, name: str) -> dict[str, dict[str, object]]:
        """The rows by point, under the name the contract gives them."""
        rows: dict[str, list[object]] = {}
        for row in parcel.rows:
            numbered = {**json.loads(row.body), "seq": row.seq}
            rows.setdefault(row.log.partition(":")[2], []).append(numbered)
        return {point: {"stream": self._outbox.stream, name: told} for point, told in rows.items()}

    def _append(self, name: str, bodies: list[bytes], changes: tuple[Change, ...]) -> asyncio.Task[None]:
        at_utc_s = self._clock.utc_s()
        return self.append([AppendRow(name, at_utc_s, body) for body in bodies], changes)

    async def _numbered(self, rows: Sequence[AppendRow], committed: asyncio.Future[tuple[int, ...]]) -> None:
        for seq, row in zip(await committed, rows, strict=True):
            self._outbox.appended(row.log, seq, row.at_utc_s, row.blob)
        self.wake()

    def _flood(self, kind: EventKind) -> int | None:
        """How many of this kind were cut before, or None if this one is to be cut too."""
        now_s = self._clock.monotonic_s()
        since_s, count = self._recent.get(kind, (now_s, 0))
        if now_s - since_s >= 60.0:
            self._recent[kind] = (now_s, 1)
            return max(0, count - EVENTS_PER_MINUTE)
        self._recent[kind] = (since_s, count + 1)
        return None if count >= EVENTS_PER_MINUTE else 0


def _dump(body: Mapping[str, object]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _noted(saving: asyncio.Task[None]) -> None:
    if not saving.cancelled() and (error := saving.exception()):
        log.error("event not saved", error=str(error))
