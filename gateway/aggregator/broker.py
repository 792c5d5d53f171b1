"""The aggregator's side of the broker: who we are there, what we say, what we hear. MQTT 5, QoS 1.

Errors
    NoBroker    it cannot be reached, or lets us do less than we asked for; the text says which
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import random
import secrets
import socket
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from gateway.aggregator.heard import Heard

PORTS = {"mqtts": 8883, "mqtt": 1883}
_DEADLINE_S = 10.0
_RETRY_FIRST_S, _RETRY_MOST_S = 0.5, 30.0
_QUEUE_MAX = 10_000  # messages that wait for us; more than a fleet says while a disk is slow


class NoBroker(Exception):
    """The broker cannot be reached, or does not let us."""


@dataclass(frozen=True, slots=True)
class Broker:
    """Where it is, and how we show who we are. Files are PEM; without `ca` the system's authorities count."""

    host: str
    port: int
    is_secure: bool
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def at(
        cls,
        url: str,
        *,
        ca: Path | None = None,
        certificate: Path | None = None,
        key: Path | None = None,
        login: tuple[str | None, str | None] = (None, None),
    ) -> Broker:
        """The broker of a URL such as `mqtts://broker.example:8883`.

        Raises:
            ValueError: it is no such URL, plain to another machine, or files that do not go together.
        """
        parts = urlsplit(url)
        if parts.username is not None or parts.password is not None:
            raise ValueError("a user has no place in the URL: everyone on the machine could read it; --login")
        try:
            port = parts.port or PORTS[parts.scheme]
        except (KeyError, ValueError):
            port = 0
        if not port or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError(f"{url!r} is no broker; mqtts://broker.example:8883 would be")
        is_secure = parts.scheme == "mqtts"
        if not is_secure and not _is_loopback(parts.hostname):
            raise ValueError(f"{parts.hostname} is not this machine: without TLS anyone listens; mqtts://")
        if not is_secure and (ca or certificate or key):
            raise ValueError("--ca, --cert and --key are for mqtts://")
        if (certificate is None) is not (key is None):
            raise ValueError("--cert and --key go together")
        return cls(parts.hostname, port, is_secure, ca, certificate, key, *login)


class Connection:
    """One connection, while `connected` runs."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client

    async def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        retain: bool = False,
        expires_s: int | None = None,
        reply_on: str | None = None,
    ) -> None:
        """Publish at QoS 1; returns when the broker has it, which drops it once it is that old. `reply_on`:
        where an answer is listened for.

        Raises:
            NoBroker: it did not take it in 10 s.
        """
        with _told():
            extra = _properties(MessageExpiryInterval=expires_s, ResponseTopic=reply_on)
            await self._client.publish(topic, payload, 1, retain, extra, timeout=_DEADLINE_S)

    async def subscribe(self, *topics: str) -> None:
        """Listen to topics; what is retained there comes at once.

        Raises:
            NoBroker: not answered in 10 s, or not allowed.
        """
        asked = [(topic, SubscribeOptions(qos=1, retainAsPublished=True)) for topic in topics]
        with _told():
            codes = await self._client.subscribe(asked, timeout=_DEADLINE_S)
        for topic, code in zip(topics, codes, strict=True):
            if cast("ReasonCode", code).is_failure:  # 5.0 has no other kind
                raise NoBroker(f"the broker does not let us listen to {topic}: {code}")

    async def heard(self) -> AsyncIterator[Heard]:
        """What comes, one after the other, until the connection is lost.

        Raises:
            NoBroker: it is.
        """
        with _told():
            async for message in self._client.messages:
                yield Heard(str(message.topic), bytes(message.payload), bool(message.retain), time.time())


@contextlib.asynccontextmanager
async def connected(broker: Broker) -> AsyncIterator[Connection]:
    """A connection to the broker while the block runs.

    Raises:
        NoBroker: it cannot be made.
        OSError: a file of ours cannot be used.
    """
    client = aiomqtt.Client(
        broker.host,
        broker.port,
        identifier=f"homeflex-aggregator-{secrets.token_hex(6)}",
        username=broker.username,
        password=broker.password,
        protocol=aiomqtt.ProtocolVersion.V5,
        clean_start=True,
        timeout=_DEADLINE_S,
        keepalive=20,
        tls_context=_tls(broker),
        max_queued_incoming_messages=_QUEUE_MAX,
        socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
    )
    with _told(f"{broker.host}:{broker.port}: "):
        await client.__aenter__()
    try:
        yield Connection(client)
    finally:
        with contextlib.suppress(aiomqtt.MqttError):
            await client.__aexit__(None, None, None)


async def listening(broker: Broker, *topics: str) -> AsyncGenerator[tuple[Connection, Heard | None], None]:
    """What comes on these topics, for ever, each with the connection it came on; once None at every start.

    A connection that is lost is made again, after a random wait that grows to half a minute.

    Raises:
        NoBroker: the first connection could not be made.
    """
    was_up, ceiling_s = False, _RETRY_FIRST_S
    while True:
        try:
            async with connected(broker) as connection:
                await connection.subscribe(*topics)
                was_up, ceiling_s = True, _RETRY_FIRST_S
                yield connection, None
                async for message in connection.heard():
                    yield connection, message
        except NoBroker:
            if not was_up:
                raise
        await asyncio.sleep(random.uniform(0, ceiling_s))
        ceiling_s = min(2 * ceiling_s, _RETRY_MOST_S)


@contextlib.contextmanager
def _told(where: str = "") -> Iterator[None]:
    """The library's errors in our words."""
    try:
        yield
    except aiomqtt.MqttError as error:
        raise NoBroker(f"{where}{str(error) or 'no answer'}") from error


def _properties(**values: int | str | None) -> Properties | None:
    """Those that are not None, by their names in the standard without spaces; None: there are none."""
    known = {name: value for name, value in values.items() if value is not None}
    if not known:
        return None
    found = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho's are not annotated
    for name, value in known.items():
        setattr(found, name, value)
    return found


def _tls(broker: Broker) -> ssl.SSLContext | None:
    if not broker.is_secure:
        return None
    for path in filter(None, (broker.ca, broker.certificate, broker.key)):
        path.stat()  # OpenSSL does not say which file it misses
    context = ssl.create_default_context(cafile=broker.ca)
    if broker.certificate:
        context.load_cert_chain(broker.certificate, broker.key)
    return context


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
