"""The one link to the aggregator: MQTT 5 behind a seam that knows nothing of instructions.

Keeps a connection up for ever, each a new one, and says when it is there and when it is not.
"""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
import random
import socket
import ssl
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import aiomqtt
import structlog
from paho.mqtt.packettypes import PacketTypes

from gateway.daemon.gate import Gate
from gateway.daemon.inbound import Inbound
from gateway.daemon.session import (
    End,
    Listener,
    NotDelivered,
    Session,
    Subscription,
    packet_properties,
)

PACKET_MAX_BYTES = (256 << 10) + (8 << 10)  # the contract's largest message, its topic and properties
SILENT_CUTS_MEAN_TAKEN_OVER = 3  # Mosquitto 2.0.11 and rumqttd cut the older client without a word
GRANTED_QOS_1 = 0x01  # MQTT 5, 3.9.3

T = TypeVar("T")
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM. `cafile` None: the system's authorities. The broker's name is always verified."""

    cafile: str | None = None
    certfile: str | None = None
    keyfile: str | None = None


@dataclass(frozen=True, slots=True)
class UplinkSettings:
    """Where the broker is and who we are there.

    Raises:
        ValueError: no TLS towards a broker that is not on this machine.
    """

    host: str
    port: int
    client_id: str
    tls: Tls | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    keepalive_s: int = 20
    session_expiry_s: int = 86_400
    receive_maximum: int = 16

    def __post_init__(self) -> None:
        if self.tls is None and not _is_loopback(self.host):
            raise ValueError(f"broker {self.host} is not on this machine and needs TLS: give `tls`")


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes for us `delay_s` after it lost us; a clean close discards it."""

    topic: str
    payload: bytes
    retain: bool = True
    delay_s: int = 30


@dataclass(frozen=True, slots=True)
class Pace:
    """How long to wait for what, in seconds."""

    connect_s: float = 10.0  # each of: name, connection and consent
    answer_s: float = 10.0
    retained_s: float = 5.0  # contract, at connect
    close_s: float = 2.0
    retry_first_s: float = 1.0
    retry_most_s: float = 300.0
    retry_taken_over_s: float = 60.0  # at least
    stable_s: float = 60.0  # a session that held so long was no failure


class Uplink:
    """Keeps one session with one broker, for as long as `run()` runs."""

    def __init__(
        self,
        settings: UplinkSettings,
        subscriptions: tuple[Subscription, ...],
        listener: Listener,
        *,
        will: Will | None = None,
        pace: Pace | None = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._settings = settings
        self._subscriptions = subscriptions
        self._listener = listener
        self._will = will
        self._pace = pace or Pace()
        self._retry = Retry(self._pace, draw)
        self._serials = itertools.count(1)
        self._session: Session | None = None
        self._subscribed: set[str] = set()
        self._failed_connects = 0
        self._told_down = False
        self._serving: asyncio.Task[None] | None = None
        self._closed = False
        # A name server that hangs holds a thread here, not one that files or devices wait for.
        self._executor = ThreadPoolExecutor(max_workers=2, thread_name_prefix="uplink")

    async def run(self) -> None:
        """Connect, for ever, until `close()`. Raises what the listener raised."""
        self._serving = asyncio.create_task(self._serve(), name="uplink serve")
        try:
            await self._serving
        except asyncio.CancelledError:
            if not self._closed:
                raise
        finally:
            self._executor.shutdown(wait=False, cancel_futures=True)

    async def close(self) -> None:
        """Say goodbye to the broker, so that it discards the will; `run()` returns."""
        self._closed = True
        if self._session is not None and self._session.is_up:
            self._session.disconnect()
            await asyncio.wait({self._session.ended}, timeout=self._pace.close_s)
        if self._serving is not None:
            self._serving.cancel()

    async def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        retain: bool = False,
        expiry_s: int | None = None,
        correlation: bytes | None = None,
    ) -> None:
        """Publish at QoS 1 and return when the broker has taken it.

        Raises:
            NotDelivered: refused, link lost (at once), no answer in time, or too many waiting.
        """
        session = self._session
        if session is None or not session.is_up:
            raise NotDelivered("no link to the broker")
        try:
            async with asyncio.timeout(self._pace.answer_s):
                code = await session.publish(topic, payload, retain, expiry_s, correlation)
        except TimeoutError:
            raise NotDelivered(f"no answer from the broker in {self._pace.answer_s:g} s") from None
        if code.is_failure:
            raise NotDelivered(f"the broker refused {topic}: {code}")

    def acknowledge(self, inbound: Inbound) -> None:
        """Let the broker forget the message. Answers leave in order of arrival: an early one waits."""
        if self._session is not None:
            self._session.acknowledge(inbound.serial)

    async def _serve(self) -> None:
        while not self._closed:
            end = await self._attempt()
            if self._closed:
                return
            self._tell_down(end.reason)
            wait_s = self._retry.after(end)
            if self._retry.taken_over:
                log.error("another client uses our id", client_id=self._settings.client_id)
                self._listener.on_taken_over(end.reason)
            await asyncio.sleep(wait_s)

    async def _attempt(self) -> End:
        """One connection, from the broker's name to its end."""
        try:
            self._session = session = await self._prepare()
            await session.open(self._pace.connect_s)
        except (aiomqtt.MqttError, OSError, UnicodeError) as error:  # a name may be none at all
            self._failed_connects += 1
            reason = str(error) or f"no answer in {self._pace.connect_s:g} s"
            return End(reason + _certificate_note(self._settings.tls))
        else:
            await self._subscribe(session)
            return await asyncio.shield(session.ended)
        finally:
            if self._session is not None:
                self._session.cut()
                self._session = None

    async def _prepare(self) -> Session:
        """A session with the broker's next address; one that works is kept."""
        host, port = self._settings.host, self._settings.port
        found = await self._in_thread(socket.getaddrinfo, host, port, 0, socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        address = addresses[self._failed_connects % len(addresses)]
        context = await self._in_thread(_tls_context, self._settings)
        client = _client(self._settings, self._will, address, context, self._pace.connect_s)
        # The one private attribute used in this project: aiomqtt pinned, contract tests guard it.
        paho = client._client
        paho.connect_timeout = self._pace.connect_s
        first = [subscription.topic for subscription in self._subscriptions if subscription.first]
        # One fewer than the broker sends unacknowledged: what comes first can always come.
        gate = Gate(first, self._settings.receive_maximum - 1, self._pace.retained_s)
        return Session(paho, client.__aenter__, self._listener, self._serials, gate)

    async def _in_thread(self, function: Callable[..., T], *args: object) -> T:
        async with asyncio.timeout(self._pace.connect_s):
            return await asyncio.get_running_loop().run_in_executor(self._executor, function, *args)

    async def _subscribe(self, session: Session) -> None:
        """Ask for what the broker does not send us yet: first for what comes first, and once that is here or
        does not come, for the rest; then the link counts as up."""
        if not session.present:
            self._subscribed.clear()
        missing = [one for one in self._subscriptions if one.topic not in self._subscribed]
        first = [one for one in missing if one.first]
        try:
            session.gate.ask([one.topic for one in first])
            await self._subscribe_to(session, first)
            await session.gate.settled(self._subscribed.intersection(one.topic for one in first))
            await self._subscribe_to(session, [one for one in missing if not one.first])
        except TimeoutError:
            session.finish("the broker does not answer a subscription")
        except NotDelivered as error:
            session.finish(str(error))
        else:
            self._told_down = False
            log.info("uplink up", session_kept=session.present)
            self._listener.on_up(session.present)

    async def _subscribe_to(self, session: Session, subscriptions: Iterable[Subscription]) -> None:
        async with asyncio.timeout(self._pace.answer_s):
            for subscription in subscriptions:
                await self._subscribe_one(session, subscription)

    async def _subscribe_one(self, session: Session, subscription: Subscription) -> None:
        code = await session.subscribe(subscription)
        if code.value == GRANTED_QOS_1:
            self._subscribed.add(subscription.topic)
        else:  # a refusal comes as a code in an answer that reads "done"
            log.error("subscription refused", topic=subscription.topic, reason=str(code))
            self._listener.on_refused(subscription.topic, str(code))

    def _tell_down(self, reason: str) -> None:
        if self._told_down:
            log.debug("uplink still down", reason=reason)
            return
        self._told_down = True
        log.warning("uplink down", reason=reason)
        self._listener.on_down(reason)


class Retry:
    """How long to wait after an end: full jitter under a doubling ceiling, longer after a takeover."""

    def __init__(self, pace: Pace, draw: Callable[[], float]) -> None:
        self._pace = pace
        self._draw = draw
        self._ceiling_s = pace.retry_first_s
        self._silent_cuts = 0
        self.taken_over = False

    def after(self, end: End) -> float:
        """Seconds to wait before the next attempt."""
        pace = self._pace
        was_stable = end.up_s is not None and end.up_s >= pace.stable_s
        if was_stable:
            self._ceiling_s = pace.retry_first_s
        cut_early = end.silent and end.up_s is not None and not was_stable
        self._silent_cuts = self._silent_cuts + 1 if cut_early else 0
        self.taken_over = end.taken_over or self._silent_cuts >= SILENT_CUTS_MEAN_TAKEN_OVER
        floor_s, ceiling_s = 0.0, self._ceiling_s
        if self.taken_over:
            floor_s, ceiling_s = pace.retry_taken_over_s, pace.retry_most_s
        self._ceiling_s = min(2 * self._ceiling_s, pace.retry_most_s)
        return floor_s + self._draw() * (ceiling_s - floor_s)


class _NamedContext(ssl.SSLContext):
    """Verifies the broker's name although the connection is made to an address."""

    host = ""

    def wrap_socket(self, sock: socket.socket, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        return super().wrap_socket(sock, *args, **{**kwargs, "server_hostname": self.host})


def _client(
    settings: UplinkSettings, will: Will | None, address: str, context: ssl.SSLContext | None, timeout: float
) -> aiomqtt.Client:
    asked = packet_properties(
        PacketTypes.CONNECT,
        SessionExpiryInterval=settings.session_expiry_s,
        ReceiveMaximum=settings.receive_maximum,
        MaximumPacketSize=PACKET_MAX_BYTES,
    )
    return aiomqtt.Client(
        address,
        settings.port,
        identifier=settings.client_id,
        username=settings.username,
        password=settings.password,
        protocol=aiomqtt.ProtocolVersion.V5,
        clean_start=False,
        timeout=timeout,
        keepalive=settings.keepalive_s,
        properties=asked,
        will=_will(will) if will else None,
        tls_context=context,
        # Mosquitto delays its ACK by 40 ms while Nagle waits for it.
        socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
    )


def _will(will: Will) -> aiomqtt.Will:
    delay = packet_properties(PacketTypes.WILLMESSAGE, WillDelayInterval=will.delay_s)
    return aiomqtt.Will(will.topic, will.payload, qos=1, retain=will.retain, properties=delay)


def _tls_context(settings: UplinkSettings) -> ssl.SSLContext | None:
    """Read afresh for each connection: certificates are renewed under a running daemon."""
    tls = settings.tls
    if tls is None:
        return None
    context = _NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.host = settings.host
    for path in filter(None, (tls.cafile, tls.certfile, tls.keyfile)):
        Path(path).stat()  # OpenSSL does not say which file it misses
    if tls.cafile:
        context.load_verify_locations(tls.cafile)
    else:
        context.load_default_certs()
    if tls.certfile:
        context.load_cert_chain(tls.certfile, tls.keyfile)
    return context


def _certificate_note(tls: Tls | None) -> str:
    """When our certificate is valid: the broker's refusal does not tell that it is not."""
    if tls is None or tls.certfile is None:
        return ""
    from cryptography import x509  # 7 MB, and only of use here

    try:
        ours = x509.load_pem_x509_certificate(Path(tls.certfile).read_bytes())
    except (OSError, ValueError) as error:
        return f" (our certificate cannot be read: {error})"
    return f" (our certificate is valid {ours.not_valid_before_utc:%F} to {ours.not_valid_after_utc:%F})"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
