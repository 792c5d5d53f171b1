"""What must be known first comes first: other messages wait until it is settled, each connection anew.

Of a topic that comes first, what is retained is awaited once we have asked for it; and each message on it is
unsettled until it is acknowledged, which its listener does when it has effect. MQTT marks no end of what is
retained: patience is all that tells that nothing is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection

from gateway.daemon.inbound import Inbound


class Gate:
    """Between a connection and its listener. `most_held` messages wait at most; then the oldest passes."""

    def __init__(self, first: Collection[str], most_held: int, patience_s: float) -> None:
        self.hand_over: Callable[[Inbound], None] = lambda _inbound: None
        self._first = frozenset(first)
        self._most_held = most_held
        self._patience_s = patience_s
        self._begins = bool(first)  # what was queued for us may come before we know what to ask for
        self._awaited: set[str] = set()
        self._unsettled: set[int] = set()
        self._held: deque[Inbound] = deque()
        self._patience: asyncio.TimerHandle | None = None
        self._open = asyncio.Event()
        self._look()

    def message(self, inbound: Inbound) -> None:
        """Hand a message over, now or later."""
        if inbound.topic in self._first:
            self._unsettled.add(inbound.serial)
            if inbound.retain:
                self._awaited.discard(inbound.topic)
            self.hand_over(inbound)
            self._look()
            return
        self._held.append(inbound)
        if self._open.is_set() or len(self._held) > self._most_held:
            self.hand_over(self._held.popleft())

    def acknowledged(self, serial: int) -> None:
        """The listener is done with a message."""
        if serial in self._unsettled:
            self._unsettled.discard(serial)
            self._look()

    def ask(self, topics: Collection[str]) -> None:
        """What is retained on these is about to be asked for."""
        self._awaited = set(topics)

    async def settled(self, topics: Collection[str]) -> None:
        """Wait for what is retained on these, which the broker lets us hear; the beginning is over."""
        self._awaited &= set(topics)
        self._begins = False
        self._look()
        await self._open.wait()

    def close(self) -> None:
        """The connection is over: nothing held is handed over any more, and nobody waits."""
        self._held.clear()
        self._begins = False
        self._give_up()

    def _look(self) -> None:
        if self._awaited or self._unsettled or self._begins:
            self._open.clear()
            if self._patience is None and not self._begins:
                self._patience = asyncio.get_running_loop().call_later(self._patience_s, self._give_up)
            return
        if self._patience:
            self._patience.cancel()
            self._patience = None
        self._open.set()
        while self._held:
            self.hand_over(self._held.popleft())

    def _give_up(self) -> None:
        self._awaited.clear()
        self._unsettled.clear()
        self._look()
