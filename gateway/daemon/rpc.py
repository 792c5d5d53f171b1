"""Questions from afar: verified, answered where the asker listens below this home's own topics, and few.

Whoever may publish here could have anything said anywhere if the answer's topic were not checked.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import resource
from collections import deque
from collections.abc import Callable
from pathlib import Path

from gateway.daemon.clock import Clock
from gateway.daemon.inbound import Inbound
from gateway.daemon.outbox import Outbox
from gateway.daemon.records import Records
from gateway.daemon.seldom import Seldom
from gateway.daemon.store import StorageError, Store
from gateway.wire.event import EventKind, Severity
from gateway.wire.keys import KeyRing
from gateway.wire.message import encode
from gateway.wire.reception import Reception, Unacceptable
from gateway.wire.rpc import (
    AHEAD_S,
    REQUEST,
    REQUEST_MAX_BYTES,
    Diagnosis,
    Reply,
    Request,
    Resent,
    Rows,
    parse_request,
)
from gateway.wire.signature import opened
from gateway.wire.state import State

PER_MINUTE = 10
REFUSED_EVERY_S = 10.0  # answers to what nobody trusted has sent
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PAGE_BYTES = resource.getpagesize()


class Rpc:
    """Answers on `reply/<token>`."""

    def __init__(
        self,
        site: str,
        ring: Callable[[], KeyRing],
        requires_signatures: Callable[[], bool],
        state: Callable[[], State],
        outbox: Outbox,
        store: Store,
        records: Records,
        clock: Clock,
    ) -> None:
        self.acknowledge: Callable[[Inbound], None] = lambda _inbound: None
        self.tell: Callable[[str, bytes, bytes | None], None] = lambda _topic, _body, _correlation: None
        self._site = site
        self._ring = ring
        self._requires_signatures = requires_signatures
        self._state = state
        self._outbox = outbox
        self._store = store
        self._records = records
        self._clock = clock
        self._since_s = clock.monotonic_s()
        self._asked_s: deque[float] = deque(maxlen=PER_MINUTE)
        self._refusals = Seldom(REFUSED_EVERY_S)
        self._tasks: set[asyncio.Task[None]] = set()

    def message(self, inbound: Inbound, verb: str) -> None:
        """Take one message of `rpc/<verb>`. It is not kept: who gets no answer asks again."""
        self.acknowledge(inbound)
        topic = self._reply_topic(inbound)
        if topic is None:
            return
        try:
            request = self._opened(inbound, verb)
        except Unacceptable as refusal:
            self._refuse(topic, inbound, refusal)
            return
        task = asyncio.create_task(self._answer(topic, inbound, request), name=f"answer {verb}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _reply_topic(self, inbound: Inbound) -> str | None:
        """Below the site's, where the answer goes; None: nowhere of ours."""
        base, _, token = (inbound.response_topic or "").rpartition("/")
        if base == f"homeflex/v1/{self._site}/reply" and _TOKEN.fullmatch(token):
            return f"reply/{token}"
        if count := self._refusals.count(self._clock.monotonic_s()):
            text = "a question without a response topic of our own, reply/<token>"
            self._records.event(EventKind.SECURITY, text, Severity.WARNING, count=count)
        return None

    def _opened(self, inbound: Inbound, verb: str) -> Request:
        if inbound.retain:
            raise Unacceptable(Reception.INVALID_MESSAGE, "a retained question is never answered")
        utc_s = self._clock.utc_s() if self._clock.trusted else None
        body = opened(
            inbound.payload,
            self._ring(),
            schema=REQUEST,
            role="read",
            utc_s=utc_s,
            signatures_required=self._requires_signatures(),
            max_bytes=2 * REQUEST_MAX_BYTES,
        )
        request = parse_request(body, self._site, verb)
        self._require_time(request, utc_s)
        self._require_few(request)
        return request

    def _require_time(self, request: Request, utc_s: float | None) -> None:
        if utc_s is None:
            return
        if utc_s > request.expires_utc_s:
            raise Unacceptable(Reception.EXPIRED, "expiresAt is past", id=request.id)
        if request.issued_utc_s > utc_s + AHEAD_S:
            raise Unacceptable(Reception.TEMPORARY_ERROR, "issuedAt is ahead of our clock", id=request.id)

    def _require_few(self, request: Request) -> None:
        now_s = self._clock.monotonic_s()
        if len(self._asked_s) == PER_MINUTE and now_s - self._asked_s[0] < 60.0:
            text = f"{PER_MINUTE} questions a minute are answered"
            raise Unacceptable(Reception.TEMPORARY_ERROR, text, id=request.id)
        self._asked_s.append(now_s)

    async def _answer(self, topic: str, inbound: Inbound, request: Request) -> None:
        try:
            reply = await self._reply(request)
        except Unacceptable as refusal:
            self._refuse(topic, inbound, refusal)
        else:
            self._say(topic, inbound, reply)

    async def _reply(self, request: Request) -> Reply:
        answer: State | Resent | Diagnosis
        if request.rows:
            answer = self._resent(request.id, request.rows)
        elif request.verb == "diagnose":
            answer = await self._diagnosis()
        else:
            answer = self._state()
        at_utc_s = self._clock.utc_s()
        bare = Reply(site=self._site, id=request.id, at_utc_s=at_utc_s, reception=Reception.OK)
        return bare.model_copy(update={request.verb: answer})

    def _resent(self, id_: str, rows: Rows) -> Resent:
        found = self._outbox.again(rows.log, rows.first_seq, rows.last_seq)
        if found is None:
            text = f"rows.log: there is no log {rows.log}; telemetry:<point> would be one"
            raise Unacceptable(Reception.INVALID_CONTENT, text, id=id_)
        self._records.wake()
        first_seq, last_seq = found
        return Resent(log=rows.log, stream=self._outbox.stream, first_seq=first_seq, last_seq=last_seq)

    async def _diagnosis(self) -> Diagnosis:
        size = None
        with contextlib.suppress(StorageError):
            size = await self._store.size()
        return Diagnosis(
            up_s=self._clock.monotonic_s() - self._since_s,
            unsent=self._outbox.unsent,
            ignored_acks=self._outbox.ignored_acks,
            dropped_rows=self._outbox.dropped_rows + self._outbox.unreadable_packs,
            storage_failure=self._store.failure,
            stored_bytes=size.used_bytes if size else None,
            room_bytes=size.room_bytes if size else None,
            resident_bytes=_resident_bytes(),
        )

    def _refuse(self, topic: str, inbound: Inbound, refusal: Unacceptable) -> None:
        """Say why, once in a while with a count: a flood of questions must not become one of answers."""
        count = self._refusals.count(self._clock.monotonic_s())
        if count is None:
            return
        if refusal.reception is Reception.INVALID_SIGNATURE:
            text = f"question refused: {refusal.text}"
            self._records.event(EventKind.SECURITY, text, Severity.WARNING, count=count)
        reply = Reply(
            site=self._site,
            id=refusal.id,
            at_utc_s=self._clock.utc_s(),
            reception=refusal.reception,
            text=refusal.text,
            count=count,
        )
        self._say(topic, inbound, reply)

    def _say(self, topic: str, inbound: Inbound, reply: Reply) -> None:
        self.tell(topic, encode(reply), inbound.correlation)


def _resident_bytes() -> int | None:
    """What this process has in memory (proc(5), statm)."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return None
