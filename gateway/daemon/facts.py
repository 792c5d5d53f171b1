"""What drivers learned about their devices, kept in the store: one namespace per device."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

from drivers.base import JsonValue, Refused
from gateway.daemon.store import PutFact, StorageError, Store

FACT_MAX = 16_384  # characters of one fact
FACTS_MAX = 256  # of one device


class StoredFacts:
    """The facts of all devices."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known = dict(store.saved.facts)

    def of(self, device: str) -> DeviceFacts:
        """The facts of one device."""
        return DeviceFacts(device, self)

    def get(self, device: str, key: str) -> JsonValue:
        """A fact, or None."""
        text = self._known.get((device, key))
        value: JsonValue = json.loads(text) if text is not None else None
        return value

    def put(self, device: str, key: str, value: JsonValue) -> asyncio.Future[tuple[int, ...]]:
        """Keep a fact; done when it is on the disk.

        Raises:
            ValueError: larger than a fact may be, or one too many.
        """
        text = json.dumps(value, separators=(",", ":"))
        if len(text) > FACT_MAX:
            raise ValueError(f"fact {key} of {device} has {len(text)} characters; at most {FACT_MAX}")
        others = sum(name == device and other != key for name, other in self._known)
        if others >= FACTS_MAX:
            raise ValueError(f"{device} has {FACTS_MAX} facts already")
        self._known[device, key] = text
        return self._store.submit(PutFact(device, key, text))


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """What one driver sees of its facts."""

    device: str
    all: StoredFacts

    def get(self, key: str) -> JsonValue:
        """The fact, or None."""
        return self.all.get(self.device, key)

    async def put(self, key: str, value: JsonValue, *, durable: bool = False) -> None:
        """Keep the fact; `durable` returns only when it is on the disk.

        Raises:
            Refused: it cannot be, so what depends on it must not be done.
        """
        if self.all.get(self.device, key) == value and not durable:
            return
        saving = self.all.put(self.device, key, value)
        if durable:
            try:
                await saving
            except StorageError as error:
                raise Refused(f"{key} cannot be kept: {error}") from error
