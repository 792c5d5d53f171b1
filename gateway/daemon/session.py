"""One MQTT 5 connection, from the attempt to its end, and what it hands over in between.

aiomqtt connects and drives the socket; what it hides - reason codes, whether the session was kept,
manual acknowledgement - is paho's public interface. Nothing of a connection outlives it: what was not
acknowledged, in either direction, is sent again by the broker or by the outbox.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, cast

from paho.mqtt.client import Client as Paho
from paho.mqtt.client import ConnectFlags, DisconnectFlags, MQTTMessage, error_string
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from gateway.daemon.gate import Gate
from gateway.daemon.inbound import Inbound

UNACKNOWLEDGED_MAX = 64
UNACKNOWLEDGED_MAX_BYTES = 1 << 20
IN_FLIGHT_MAX = 16  # and never more than the broker's receive maximum
WAITING_MAX = 64
PUBLISH_OVERHEAD_BYTES = 16  # all but topic and payload: header, lengths, packet id, expiry
SESSION_TAKEN_OVER = 0x8E  # MQTT 5, 3.14.2.1; and as paho uses its codes when no broker gave one:
KEEPALIVE_TIMEOUT = 0x8D
UNSPECIFIED = 0x80  # the stream ended


class NotDelivered(Exception):
    """The broker did not take the message: keep it and send it again later."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """A topic we listen to at QoS 1. `retain_handling` 0: send what is retained, 2: never (3.8.3.1).

    `first`: what is retained there is awaited before anything else is asked for, and until a message on it
    is acknowledged no other is handed over.
    """

    topic: str
    retain_handling: int = 0
    first: bool = False


class Listener(Protocol):
    """Whom the uplink serves. All calls are on the loop and must not block; an error ends `run()`."""

    def on_up(self, session_present: bool) -> None:
        """Connected, and all subscriptions asked for. A kept session may have spoken before."""

    def on_down(self, reason: str) -> None:
        """The link is gone, or could not be made; once, until it is up again."""

    def on_message(self, inbound: Inbound) -> None:
        """A message, in the moment it was read. It comes again until it is acknowledged."""

    def on_refused(self, topic: str, reason: str) -> None:
        """The broker does not let us listen to `topic`; asked again at the next connection."""

    def on_taken_over(self, reason: str) -> None:
        """Somebody else uses our client id."""


@dataclass(frozen=True, slots=True)
class End:
    """Why a session is over. `up_s` None: it never was up. `silent`: cut by the peer without a word."""

    reason: str
    up_s: float | None = None
    silent: bool = False
    taken_over: bool = False


class Session:
    """A connection's life on paho's callbacks: they run on the loop, and none may raise."""

    def __init__(
        self,
        paho: Paho,
        connect: Callable[[], Coroutine[Any, Any, object]],
        listener: Listener,
        serials: Iterator[int],
        gate: Gate,
    ) -> None:
        self._paho = paho
        self._connect = connect
        self._listener = listener
        self._serials = serials
        self.gate = gate
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[End] = self._loop.create_future()
        self.present = False
        self._up_since_s: float | None = None
        self._connecting: asyncio.Task[object] | None = None
        self._slots = asyncio.Semaphore(IN_FLIGHT_MAX)
        self._largest_packet_bytes = 0
        self._waiting = 0
        self._answers: dict[int, asyncio.Future[ReasonCode]] = {}
        self._unacknowledged: dict[int, tuple[int, int]] = {}  # serial: (packet id, bytes), as they came
        self._unacknowledged_bytes = 0
        self._acknowledged: set[int] = set()  # by the caller, while an earlier one is not
        self._last_error = _LastError()
        paho.enable_logger(self._last_error.logger)
        paho.manual_ack_set(True)
        gate.hand_over = self._hand_over
        self._tell_aiomqtt = cast("Callable[..., None]", paho.on_connect)
        paho.on_connect = self._on_connect
        paho.on_disconnect = self._on_disconnect
        paho.on_message = self._on_message
        paho.on_publish = self._on_publish
        paho.on_subscribe = self._on_subscribe

    @property
    def is_up(self) -> bool:
        """Whether the broker accepted us and the connection is not known to be lost."""
        return self._up_since_s is not None and not self.ended.done()

    async def open(self, deadline_s: float) -> None:
        """Connect and wait for the broker's consent; what happens later is told by `ended`.

        Raises:
            OSError, or what `connect` raises: no connection, or no consent in time.
        """
        self._connecting = asyncio.create_task(self._connect(), name="uplink connect")
        either: set[asyncio.Future[Any]] = {self._connecting, self.ended}
        await asyncio.wait(either, timeout=deadline_s, return_when=asyncio.FIRST_COMPLETED)
        if self._up_since_s is not None:
            return
        if self.ended.done():
            self._connecting.cancel()
            raise ConnectionError(self.ended.result().reason)
        if not self._connecting.done():
            raise TimeoutError
        self._connecting.result()

    def disconnect(self) -> None:
        """Say goodbye; `ended` follows when it is sent."""
        self._paho.disconnect()

    def cut(self) -> None:
        """Close the socket, whatever state it is in. Without a goodbye the broker keeps the will."""
        self.finish("closed")
        if self._connecting is None:
            self._paho.reinitialise()
        elif self._connecting.done():
            self._close_socket(self._connecting)
        else:  # a thread may be at work on it and would leave a living connection behind
            self._connecting.add_done_callback(self._close_socket)

    def _close_socket(self, connecting: asyncio.Task[object]) -> None:
        if not connecting.cancelled():
            connecting.exception()  # `open` has told it
        self._paho.reinitialise()

    def finish(self, reason: str, *, silent: bool = False, taken_over: bool = False) -> None:
        """The session is over: nobody waits for an answer any longer."""
        if not self.ended.done():
            up_s = None if self._up_since_s is None else self._loop.time() - self._up_since_s
            self.ended.set_result(End(reason, up_s, silent, taken_over))
            self._release(reason)

    def _fail(self, error: Exception) -> None:
        if not self.ended.done():
            self.ended.set_exception(error)
            self._release("a fault of our own")

    def _release(self, reason: str) -> None:
        self.gate.close()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(NotDelivered(f"link lost: {reason}"))
        for _ in range(self._waiting):
            self._slots.release()

    async def publish(
        self, topic: str, payload: bytes, retain: bool, expiry_s: int | None, correlation: bytes | None
    ) -> ReasonCode:
        """The broker's answer to one message at QoS 1.

        Raises:
            NotDelivered: the link was lost, too many messages wait, or this one is too large.
        """
        if len(topic) + len(payload) + PUBLISH_OVERHEAD_BYTES > self._largest_packet_bytes:
            raise NotDelivered(f"{len(payload)} bytes: the broker takes {self._largest_packet_bytes}")
        if self._waiting >= WAITING_MAX:
            raise NotDelivered("too many messages wait for the broker")
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        named = {"MessageExpiryInterval": expiry_s, "CorrelationData": correlation}
        known = {name: value for name, value in named.items() if value is not None}
        extra = packet_properties(PacketTypes.PUBLISH, **known) if known else None
        return await self._answer(lambda: self._paho.publish(topic, payload, 1, retain, extra))

    async def subscribe(self, subscription: Subscription) -> ReasonCode:
        """The broker's answer to one subscription.

        Raises:
            NotDelivered: the link was lost.
        """
        # As published: a retained dispatch must show as one also while we are listening.
        options = SubscribeOptions(1, retainAsPublished=True, retainHandling=subscription.retain_handling)
        return await self._answer(lambda: self._paho.subscribe(subscription.topic, options=options))

    async def _answer(self, send: Callable[[], Iterable[Any]]) -> ReasonCode:
        if self.ended.done():
            raise NotDelivered("link lost")
        error, packet_id = send()
        if error or packet_id is None:
            raise NotDelivered(error_string(error or 0))
        # Kept until the answer comes, also when nobody waits any more: the broker still counts it.
        answer: asyncio.Future[ReasonCode] = self._loop.create_future()
        self._answers[packet_id] = answer
        return await answer

    def acknowledge(self, serial: int) -> None:
        """Send PUBACK once all earlier messages have theirs (MQTT 5, 4.6). Serials of the past do nothing."""
        self.gate.acknowledged(serial)
        if serial not in self._unacknowledged:
            return
        self._acknowledged.add(serial)
        while (first := next(iter(self._unacknowledged), 0)) in self._acknowledged:
            packet_id, size = self._unacknowledged.pop(first)
            self._unacknowledged_bytes -= size
            self._acknowledged.remove(first)
            self._paho.ack(packet_id, 1)

    def _answered(self, packet_id: int, code: ReasonCode) -> None:
        answer = self._answers.pop(packet_id, None)
        if answer is not None and not answer.done():
            answer.set_result(code)

    def _on_connect(
        self, paho: Paho, userdata: Any, flags: ConnectFlags, code: ReasonCode, properties: Properties | None
    ) -> None:
        if code.is_failure:
            self.finish(f"the broker refused us: {code}")
        else:
            self.present = flags.session_present
            self._slots = asyncio.Semaphore(min(IN_FLIGHT_MAX, getattr(properties, "ReceiveMaximum", 65_535)))
            self._largest_packet_bytes = getattr(properties, "MaximumPacketSize", 268_435_455)
            self._up_since_s = self._loop.time()
        self._tell_aiomqtt(paho, userdata, flags, code, properties)

    def _on_disconnect(
        self,
        paho: Paho,
        userdata: Any,
        flags: DisconnectFlags,
        code: ReasonCode,
        properties: Properties | None,
    ) -> None:
        told = flags.is_disconnect_packet_from_server
        lost = "the broker does not answer" if code.value == KEEPALIVE_TIMEOUT else "the connection ended"
        self.finish(
            f"the broker said: {code}" if told else self._last_error.text or lost,
            silent=not told and code.value == UNSPECIFIED,
            taken_over=told and code.value == SESSION_TAKEN_OVER,
        )

    def _on_publish(
        self, paho: Paho, userdata: Any, packet_id: int, code: ReasonCode, properties: Properties
    ) -> None:
        self._slots.release()
        self._answered(packet_id, code)

    def _on_subscribe(
        self, paho: Paho, userdata: Any, packet_id: int, codes: list[ReasonCode], properties: Properties
    ) -> None:
        for code in codes[:1]:
            self._answered(packet_id, code)

    def _on_message(self, paho: Paho, userdata: Any, message: MQTTMessage) -> None:
        if self.ended.done():
            return  # it comes again
        try:
            inbound = self._take(message)
            if inbound is not None:
                self.gate.message(inbound)
        except Exception as error:  # noqa: BLE001 - as below; paho would read this packet for ever
            self._fail(error)

    def _hand_over(self, inbound: Inbound) -> None:
        try:
            self._listener.on_message(inbound)
        except Exception as error:  # noqa: BLE001 - run() raises it
            self._fail(error)

    def _take(self, message: MQTTMessage) -> Inbound | None:
        """The message under a new serial; None, and the end, where it may not be taken."""
        size = len(message.payload)
        full = len(self._unacknowledged) >= UNACKNOWLEDGED_MAX
        if full or self._unacknowledged_bytes + size > UNACKNOWLEDGED_MAX_BYTES:
            self.finish("more unacknowledged messages than we may hold")
            return None
        try:
            topic = message.topic
        except UnicodeDecodeError:
            self.finish("a topic that is not UTF-8")
            return None
        serial = next(self._serials)
        if message.qos:
            self._unacknowledged[serial] = (message.mid, size)
            self._unacknowledged_bytes += size
        extra = message.properties
        return Inbound(
            serial,
            topic,
            bytes(message.payload),
            message.retain,
            getattr(extra, "ResponseTopic", None),
            getattr(extra, "CorrelationData", None),
        )


class _LastError(logging.Handler):
    """Keeps the last thing paho found wrong: a broker's TLS refusal shows nowhere else."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.logger = logging.Logger("paho", logging.ERROR)
        self.logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.text = record.getMessage()


def packet_properties(packet_type: int, **values: int | bytes) -> Properties:
    """MQTT 5 properties of a packet, by their names in the standard without spaces."""
    made = Properties(packet_type)  # type: ignore[no-untyped-call]  # paho's are not annotated
    for name, value in values.items():
        setattr(made, name, value)
    return made
