"""The post: what arrives from the aggregator to who takes it, and what waits for it on its way out.

Live first, then backfill; retained documents (`presence`, `state`, `availability`) when they change.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from gateway.daemon import outbox as outboxes
from gateway.daemon.clock import Clock
from gateway.daemon.inbound import Inbound
from gateway.daemon.outbox import Fetch, Outbox, Parcel
from gateway.daemon.records import Records
from gateway.daemon.session import NotDelivered, Subscription
from gateway.daemon.store import Store
from gateway.daemon.uplink import Uplink
from gateway.wire import ack
from gateway.wire.event import EventKind, Severity
from gateway.wire.message import decode, encode
from gateway.wire.reception import Unacceptable
from gateway.wire.state import Presence, State

log = structlog.get_logger()

IDLE_S = 60.0  # the longest the sender sleeps without looking
RETRY_S, LONGEST_RETRY_S = 1.0, 60.0  # after a message was not delivered on a link that is up
STATE_EVERY_S = 5.0  # at most
FLUSH_S = 5.0  # at a stop, for what still waits
FAREWELL_S = 2.0  # and then for `presence`
ANSWERS_MAX = 16  # under way at once; more are not said


def subscriptions(site: str, *, has_root: bool) -> tuple[Subscription, ...]:
    """What we listen to: to trust stores only where a root key is pinned. Neither dispatch nor question is
    ever taken from what is retained."""
    base = f"homeflex/v1/{site}"
    keys = (Subscription(f"{base}/keys", first=True),) if has_root else ()
    never_retained = (Subscription(f"{base}/{topic}", retain_handling=2) for topic in ("dispatch", "rpc/+"))
    return (*keys, Subscription(f"{base}/ack"), *never_retained)


class Post:
    """Serves the uplink, and is served by it."""

    def __init__(
        self,
        site: str,
        boot: str,
        store: Store,
        outbox: Outbox,
        records: Records,
        clock: Clock,
    ) -> None:
        self.up = False
        self.why = "not connected yet"
        self.uplink: Uplink | None = None
        self.on_dispatch: Callable[[Inbound], None] = lambda _inbound: None
        self.on_keys: Callable[[Inbound], None] = self.acknowledge
        self.on_question: Callable[[Inbound, str], None] = lambda _inbound, _verb: None
        self.state: Callable[[], State] | None = None
        self.offset_s: Callable[[], int] = lambda: 0
        self._base = f"homeflex/v1/{site}/"
        self._site = site
        self._boot = boot
        self._store = store
        self._outbox = outbox
        self._records = records
        self._clock = clock
        self._something = asyncio.Event()
        self._retained: dict[str, bytes] = {}  # topic -> body that waits; a newer one replaces it
        self._told: dict[str, bytes] = {}
        self._retry_s = RETRY_S
        self._retained_after_s = 0.0  # retained documents that were refused wait until then
        self._state_s = -STATE_EVERY_S
        self._described: State | None = None
        self._tasks: set[asyncio.Task[bool]] = set()
        records.wake = self._something.set
        records.tell_at_once = self._tell_at_once

    @property
    def unsent(self) -> int:
        """Messages and rows that wait to be sent."""
        return self._outbox.unsent + len(self._retained)

    # --- what the uplink tells (its Listener) -----------------------------------------------------------

    def on_up(self, session_present: bool) -> None:
        """Connected: who we are, then what waits."""
        del session_present  # what the broker forgot, acks bring up again
        self.up, self.why = True, ""
        self._retry_s, self._retained_after_s = RETRY_S, 0.0
        self._told.clear()
        self._described = None
        self._retained["presence"] = encode(Presence(site=self._site, online=True, boot=self._boot))
        self._state_s = -STATE_EVERY_S
        self.describe()
        self._outbox.link(online=True)
        self._something.set()

    def on_down(self, reason: str) -> None:
        """The link is gone."""
        self.up, self.why = False, reason
        self._outbox.link(online=False)

    def on_message(self, inbound: Inbound) -> None:
        """A message, in the moment it was read."""
        topic = inbound.topic.removeprefix(self._base)
        if topic == "dispatch":
            self.on_dispatch(inbound)
            return
        if topic == "keys":
            self.on_keys(inbound)
            return
        if topic.startswith("rpc/"):
            self.on_question(inbound, topic.removeprefix("rpc/"))
            return
        if topic == "ack":
            self._ack(inbound)
        self.acknowledge(inbound)

    def on_refused(self, topic: str, reason: str) -> None:
        """The broker does not let us listen."""
        text = f"the broker refuses our subscription to {topic}: {reason}"
        self._records.event(EventKind.SECURITY, text, Severity.ALARM)

    def on_taken_over(self, reason: str) -> None:
        """Somebody else uses our client id."""
        text = f"another client uses this home's client id: {reason}"
        self._records.event(EventKind.SECURITY, text, Severity.ALARM)

    def acknowledge(self, inbound: Inbound) -> None:
        """Let the broker forget a message."""
        if self.uplink:
            self.uplink.acknowledge(inbound)

    # --- what goes out ----------------------------------------------------------------------------------

    def retain(self, topic: str, body: bytes) -> None:
        """Publish a retained document, if it says anything new."""
        if self._told.get(topic) != body:
            self._retained[topic] = body
            self._something.set()

    def describe(self) -> None:
        """Publish `state`, if it is time and there is something new in it."""
        if self.state is None or not self.up:
            return
        if self._clock.monotonic_s() - self._state_s < STATE_EVERY_S:
            return
        self._state_s = self._clock.monotonic_s()
        state = self.state()
        timeless = state.model_copy(update={"at_utc_s": 0.0})
        if timeless != self._described:
            self._described = timeless
            self.retain("state", encode(state))

    def answer(self, topic: str, body: bytes, correlation: bytes | None) -> None:
        """Publish an answer once; who asked asks again where it does not arrive."""
        if len(self._tasks) < ANSWERS_MAX:
            self._begin(self._publish(topic, body, correlation=correlation), "answer")

    async def run(self) -> None:
        """Send what waits, for ever."""
        while True:
            self._something.clear()
            if not await self._send_next():
                now_s = self._clock.monotonic_s()
                wait_s = min(self._outbox.wait_s(now_s), IDLE_S)
                if self._retained and self.up:
                    wait_s = min(wait_s, max(0.0, self._retained_after_s - now_s))
                await self._sleep(wait_s)

    async def stop(self) -> None:
        """The last words of a clean stop: what waits, as far as 5 s go, then `presence`."""
        if not self.up or self.uplink is None:
            return
        try:
            async with asyncio.timeout(FLUSH_S):
                while await self._send_next():
                    pass
        except TimeoutError:
            log.warning("not all could be told before the stop")
        farewell = Presence(site=self._site, online=False, boot=self._boot, reason="stopping")
        try:
            async with asyncio.timeout(FAREWELL_S):
                await self.uplink.publish(f"{self._base}presence", encode(farewell), retain=True)
        except (TimeoutError, NotDelivered) as error:
            log.warning("the stop could not be told", error=str(error))

    async def _sleep(self, wait_s: float) -> None:
        try:
            async with asyncio.timeout(wait_s):
                await self._something.wait()
        except TimeoutError:
            pass

    async def _send_next(self) -> bool:
        """Send one thing; whether there was one."""
        if self._retained and self.up and self._clock.monotonic_s() >= self._retained_after_s:
            await self._send_retained()
            return True
        item = self._outbox.take(self._clock.monotonic_s())
        if isinstance(item, Fetch):
            await outboxes.load(self._outbox, self._store, item, self._clock.monotonic_s())
            return True
        if item is None:
            return False
        await self._send(item)
        return True

    async def _send_retained(self) -> None:
        topic, body = next(iter(self._retained.items()))
        if not await self._publish(topic, body, retain=True):
            self._retained_after_s = self._clock.monotonic_s() + self._longer_s()
            return
        self._retry_s = RETRY_S
        self._told[topic] = body
        if self._retained.get(topic) is body:
            del self._retained[topic]

    def _longer_s(self) -> float:
        """How long to wait after a message was not delivered; each time longer."""
        self._retry_s = min(2 * self._retry_s, LONGEST_RETRY_S)
        return self._retry_s * random.uniform(0.25, 0.5)

    async def _send(self, parcel: Parcel) -> None:
        topic, body = self._records.message(parcel, self.offset_s())
        try:
            delivered = await self._publish(topic, body)
        except asyncio.CancelledError:
            self._outbox.failed(parcel)
            raise
        if delivered:
            self._retry_s = RETRY_S
            self._outbox.sent(parcel, self._clock.utc_s())
        else:
            self._outbox.failed(parcel)
            await asyncio.sleep(self._longer_s())

    async def _publish(
        self, topic: str, body: bytes, *, retain: bool = False, correlation: bytes | None = None
    ) -> bool:
        if self.uplink is None:
            return False
        try:
            await self.uplink.publish(f"{self._base}{topic}", body, retain=retain, correlation=correlation)
        except NotDelivered as error:
            log.debug("not delivered", topic=topic, error=str(error))
            return False
        return True

    def _tell_at_once(self, body: bytes) -> None:
        self._begin(self._publish("dispatch/status", body), "tell at once")

    def _begin(self, telling: Coroutine[Any, Any, bool], name: str) -> None:
        task = asyncio.create_task(telling, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _ack(self, inbound: Inbound) -> None:
        try:
            told = decode(ack.Ack, inbound.payload, self._site)
        except Unacceptable as error:
            log.info("ack not understood", error=error.text)
            return
        for name, mark in told.logs.items():
            self._outbox.ack(name, mark.stream, mark.seq, told.at_utc_s)
        self._something.set()
