"""The sessions' ids: each once in the gateway's life, the same one for a start that is told twice."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from drivers.base import Facts, JsonValue
from drivers.ocpp.profile import SessionId

BLOCK = 64  # ids written down before they are used, so that an answer waits for no disk
FIRST_BELOW = 1_000_000_000  # drawn, so that lost facts do not give an old id again; int32 has twice that
KEPT = 16
_FACT = "transactions"
_LARGEST = 2**31 - 1
_WAITS = "waits"  # in place of the start of one that nobody let begin yet


@dataclass
class _Kept:
    start: str  # what told it from others
    id: SessionId
    ended: bool
    connector: int


class Transactions:
    """The ids of one charger's sessions, and which of them runs, as the facts remember."""

    def __init__(self, facts: Facts, connector: int = 1) -> None:
        self._facts = facts
        self._connector = connector
        fact = facts.get(_FACT)
        kept = fact if isinstance(fact, dict) else {}
        self._next = _whole(kept.get("next")) or 1 + secrets.randbelow(FIRST_BELOW)
        self._reserved = self._next
        self._kept = [found for entry in _list(kept.get("kept")) if (found := _entry(entry))]
        self._changes = 1  # the first ids are to be written down before they are used
        self._written_changes = 0

    @property
    def running(self) -> SessionId | None:
        """The last session of our connector, if it did not end as far as we were told."""
        own = [kept for kept in self._kept if self._is_own(kept) and kept.start != _WAITS]
        return own[-1].id if own and not own[-1].ended else None

    @property
    def pending(self) -> bool:
        """Whether `keep` has something to do."""
        return self._written_changes != self._changes

    def begun(self, start: str, connector: int = 0, *, dated: bool = True) -> tuple[int, bool]:
        """The id of the session with this start, and whether it is over already. Connector 0 is ours.

        A start without a date is that of an earlier session only as long as that one runs.
        """
        for kept in self._kept:
            if kept.start == start and isinstance(kept.id, int) and (dated or not kept.ended):
                return kept.id, kept.ended
        if self._next >= _LARGEST:
            self._next = 1
        kept = _Kept(start, self._next, False, connector or self._connector)
        self._next += 1
        self._remember(kept)
        return self._next - 1, False

    def adopted(self, transaction: SessionId) -> None:
        """A session runs that somebody else gave its id."""
        if self.running != transaction:
            self._remember(_Kept("", transaction, False, self._connector))

    def met(self, transaction: SessionId, connector: int | None, *, runs: bool) -> bool:
        """Note a session to which the charger gave its id; whether it is at our connector.

        Its connector is told once, and is ours unless it is told. One that never ran waits.
        """
        kept = self._find(transaction)
        if kept is None:
            kept = _Kept(_WAITS, transaction, False, connector or self._connector)
            self._remember(kept)
        told = ("" if runs and kept.start == _WAITS else kept.start), connector or kept.connector
        if (kept.start, kept.connector) != told:
            kept.start, kept.connector = told
            self._changes += 1
        return self._is_own(kept)

    def revived(self, transaction: SessionId) -> None:
        """One that was over runs, or another one has its id."""
        kept = self._find(transaction)
        if kept is not None and kept.ended:
            self._kept.remove(kept)
            self._changes += 1

    def waits(self, transaction: SessionId) -> bool:
        """Whether nobody let it begin yet."""
        kept = self._find(transaction)
        return kept is not None and kept.start == _WAITS

    def is_own(self, transaction: SessionId | None) -> bool | None:
        """Whether it is at our connector; None: it is not known."""
        kept = self._find(transaction)
        return None if kept is None else self._is_own(kept)

    def ended(self, transaction: SessionId | None) -> None:
        """A session is over; None: whichever ran at our connector."""
        for kept in self._kept:
            is_meant = self._is_own(kept) if transaction is None else kept.id == transaction
            if is_meant and not kept.ended:
                kept.ended = True
                self._changes += 1

    def is_over(self, transaction: SessionId) -> bool:
        """Whether we were told that it ended."""
        return any(kept.id == transaction and kept.ended for kept in self._kept)

    async def keep(self) -> None:
        """Write down what changed, and the next ids before they are used up.

        Raises:
            Refused: the disk does not take it; ids stay unlike any other's because the first was drawn.
        """
        changes, reserved = self._changes, self._reserved
        if reserved - self._next < BLOCK // 2:
            reserved = self._next + BLOCK
        kept: list[JsonValue] = [[each.start, each.id, each.ended, each.connector] for each in self._kept]
        await self._facts.put(_FACT, {"next": reserved, "kept": kept}, durable=True)
        self._reserved, self._written_changes = reserved, changes  # what changed meanwhile is still due

    def _find(self, transaction: SessionId | None) -> _Kept | None:
        return next((kept for kept in self._kept if kept.id == transaction), None)

    def _is_own(self, kept: _Kept) -> bool:
        return kept.connector == self._connector

    def _remember(self, kept: _Kept) -> None:
        self._changes += 1
        self._kept = [*self._kept[1 - KEPT :], kept]


def _entry(entry: JsonValue) -> _Kept | None:
    match entry:
        case [str(start), int(number) | str(number), bool(ended), int(connector)]:
            return _Kept(start, number, ended, connector)
        case _:
            return None


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []


def _whole(value: JsonValue) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
