"""The rows of a log as they were told, a page at a time: those on the disk, then those only memory has."""

from __future__ import annotations

from typing import NamedTuple

from gateway.daemon.codec import Unreadable
from gateway.daemon.outbox import Outbox
from gateway.daemon.store import Store
from gateway.daemon.uplog import Row, rows_in

PACKS = 8  # of a page: two hours of minutes, unpacked in a few milliseconds
ROWS_MAX = 128  # of a page


class Page(NamedTuple):
    """Rows in order; the number after which there may be more (None: there are none), and how many stored
    packs cannot be read."""

    rows: list[Row]
    more_after: int | None
    unreadable: int


class History:
    """The past of all logs, for a person on site. It holds no rows itself."""

    def __init__(self, store: Store, outbox: Outbox) -> None:
        self._store = store
        self._outbox = outbox

    async def since(self, log: str, utc_s: float) -> int:
        """The number from which on the rows of a log are of `utc_s` or later; an older one may be among them.

        Raises:
            StorageError: they cannot be read.
        """
        return await self._store.seek(log, utc_s)

    async def page(self, log: str, first_seq: int, packs: int = PACKS) -> Page:
        """The next rows of a log from a number on.

        Raises:
            StorageError: they cannot be read.
        """
        in_memory = self._outbox.held(log, first_seq)  # before the disk is asked: none may slip between
        stored = await self._store.rows(log, first_seq, packs)
        found: dict[int, Row] = {}
        unreadable = 0
        for pack in stored:
            try:
                found |= {row.seq: row for row in rows_in(log, pack)}
            except Unreadable:
                unreadable += 1
        goes_on = len(stored) == packs
        if not goes_on:
            found |= {row.seq: row for row in in_memory}
        rows = [found[seq] for seq in sorted(found) if seq >= first_seq]
        if len(rows) > ROWS_MAX:
            return Page(rows[:ROWS_MAX], rows[ROWS_MAX - 1].seq, unreadable)
        return Page(rows, stored[-1].last_seq if goes_on else None, unreadable)

    async def oldest_utc_s(self) -> dict[str, float]:
        """The time of the oldest stored rows of each log that has any.

        Raises:
            StorageError: they cannot be read.
        """
        return dict((await self._store.size()).oldest_utc_s)

    async def last(self, log: str) -> Row | None:
        """The newest row of a log.

        Raises:
            StorageError: it cannot be read.
        """
        rows = (await self.page(log, max(1, self._outbox.last(log)), 1)).rows
        return rows[-1] if rows else None

    def not_held(self, log: str) -> int:
        """How many of the rows given the aggregator has not acknowledged."""
        return max(0, self._outbox.last(log) - self._outbox.watermark(log))

    async def ended(self, id_: str) -> list[tuple[str, bytes]]:
        """See `Store.evidence`."""
        return await self._store.evidence(id_)
