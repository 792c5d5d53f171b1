"""The few MQTT 5 packets that a simulated gateway speaks, as bytes; no socket and no clock.

Clauses are those of the OASIS standard of MQTT 5. Every message goes at QoS 1.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ, DISCONNECT = 1, 2, 3, 4, 8, 9, 12, 14  # 2.1.2
FAILURE = 0x80  # and every reason code above it, 2.4
PING = bytes([PINGREQ << 4, 0])
GOODBYE = bytes([DISCONNECT << 4, 0])
_SESSION_EXPIRY, _WILL_DELAY, _RECEIVE_MAXIMUM = 0x11, 0x18, 0x21  # 2.2.2.2
_USER, _PASSWORD, _WILL_RETAINED_AT_QOS_1 = 0x80, 0x40, 0x2C  # 3.1.2.3; clean start is off


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet that was read."""

    kind: int
    flags: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Published:
    """What a PUBLISH carries. `packet_id` 0: it wants no answer."""

    topic: str
    payload: bytes
    packet_id: int
    retained: bool


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes, retained, `delay_s` after it lost us."""

    topic: str
    payload: bytes
    delay_s: int


def connect(
    client_id: str,
    user: str,
    password: str,
    *,
    keepalive_s: int,
    session_expiry_s: int,
    receive_maximum: int,
    will: Will | None = None,
) -> bytes:
    """CONNECT with a session that is kept (3.1)."""
    asked = struct.pack(">BIBH", _SESSION_EXPIRY, session_expiry_s, _RECEIVE_MAXIMUM, receive_maximum)
    flags = _USER | _PASSWORD | (_WILL_RETAINED_AT_QOS_1 if will else 0)
    body = _text("MQTT") + struct.pack(">BBH", 5, flags, keepalive_s) + _counted(asked) + _text(client_id)
    if will:
        delay = struct.pack(">BI", _WILL_DELAY, will.delay_s)
        body += _counted(delay) + _text(will.topic) + _sized(will.payload)
    return _packet(CONNECT, 0, body + _text(user) + _text(password))


def subscribe(packet_id: int, topic: str, *, retain_handling: int = 0) -> bytes:
    """SUBSCRIBE to one topic (3.8); `retain_handling` 2: nothing that is retained."""
    options = 1 | retain_handling << 4
    return _packet(SUBSCRIBE, 2, struct.pack(">HB", packet_id, 0) + _text(topic) + bytes([options]))


def publish(packet_id: int, topic: str, payload: bytes, *, retain: bool = False) -> bytes:
    """PUBLISH (3.3)."""
    return _packet(PUBLISH, 2 | retain, _text(topic) + struct.pack(">HB", packet_id, 0) + payload)


def puback(packet_id: int) -> bytes:
    """PUBACK with success (3.4)."""
    return _packet(PUBACK, 0, struct.pack(">H", packet_id))


def take(buffer: bytearray) -> Iterator[Packet]:
    """Every whole packet at the buffer's beginning, off it."""
    while True:
        length, start = _varint(buffer, 1)
        if start == 0 or len(buffer) < start + length:
            return
        packet = Packet(buffer[0] >> 4, buffer[0] & 0x0F, bytes(buffer[start : start + length]))
        del buffer[: start + length]
        yield packet


def published(packet: Packet) -> Published:
    """What a PUBLISH that was read carries."""
    size = int.from_bytes(packet.body[:2])
    topic, at, packet_id = packet.body[2 : 2 + size].decode(), 2 + size, 0
    if packet.flags & 0x06:
        packet_id, at = int.from_bytes(packet.body[at : at + 2]), at + 2
    properties, at = _varint(packet.body, at)
    return Published(topic, packet.body[at + properties :], packet_id, bool(packet.flags & 1))


def answer_of(packet: Packet) -> tuple[int, int]:
    """The packet id and the reason code of a PUBACK or of a SUBACK for one topic (3.4.2, 3.9.3)."""
    packet_id = int.from_bytes(packet.body[:2])
    if packet.kind == SUBACK:
        return packet_id, packet.body[-1]
    return packet_id, packet.body[2] if len(packet.body) > 2 else 0


def _packet(kind: int, flags: int, body: bytes) -> bytes:
    return bytes([kind << 4 | flags]) + _counted(body)


def _counted(body: bytes) -> bytes:
    """With its length before it as a variable byte integer (1.5.5)."""
    left, length = len(body), bytearray()
    while True:
        left, low = divmod(left, 128)
        length.append(low | (0x80 if left else 0))
        if not left:
            return bytes(length) + body


def _varint(buffer: bytes | bytearray, at: int) -> tuple[int, int]:
    """A variable byte integer and where it ends; 0 and 0 where it is not whole."""
    value = 0
    for shift, byte in enumerate(buffer[at : at + 4]):
        value |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return value, at + shift + 1
    return 0, 0


def _sized(body: bytes) -> bytes:
    return struct.pack(">H", len(body)) + body


def _text(text: str) -> bytes:
    return _sized(text.encode())
