"""A room sensor as a Zigbee bridge shows it: JSON on a topic of the household's own MQTT broker.

Its MQTT 3.1.1 is written here from the OASIS standard: CONNECT and PUBLISH at QoS 0 are all a sensor needs.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable

TOPIC = "zigbee2mqtt/living-room"
_CLIENT_ID = "zigbee2mqtt"
_CONNECT, _PUBLISH = 0x10, 0x30
_CLEAN_SESSION = 0x02
_KEEPALIVE_S = 60


@contextlib.asynccontextmanager
async def connected(host: str, port: int) -> AsyncIterator[Callable[[float], None]]:
    """Connect; gives the function that publishes a temperature.

    Raises:
        OSError: the broker is not there.
        ConnectionError: the broker will not have us.
    """
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(connect_packet())
        kind, length = await reader.readexactly(2)
        connack = await reader.readexactly(length)
        if kind != 0x20 or connack[1] != 0:
            raise ConnectionRefusedError(f"room sensor: broker answered {connack.hex()}")
        yield lambda room_c: writer.write(publish_packet(room_c))
    finally:
        writer.close()


def connect_packet() -> bytes:
    """CONNECT (MQTT 3.1.1, 3.1): clean session, no will."""
    header = _text("MQTT") + bytes((4, _CLEAN_SESSION)) + _KEEPALIVE_S.to_bytes(2, "big")
    return _packet(_CONNECT, header + _text(_CLIENT_ID))


def publish_packet(room_c: float) -> bytes:
    """PUBLISH (MQTT 3.1.1, 3.3) at QoS 0; hundredths of a degree, as these sensors give."""
    body = {"battery": 97, "humidity": 41.2, "linkquality": 120, "temperature": round(room_c, 2)}
    return _packet(_PUBLISH, _text(TOPIC) + json.dumps(body).encode())


def _packet(kind: int, rest: bytes) -> bytes:
    low, high = len(rest) % 128, len(rest) // 128
    length = bytes((low | 0x80, high)) if high else bytes((low,))
    return bytes((kind,)) + length + rest


def _text(text: str) -> bytes:
    return len(text).to_bytes(2, "big") + text.encode()
