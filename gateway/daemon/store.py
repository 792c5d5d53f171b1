"""The one file that outlives the process: journal, logs, memory and facts in SQLite, one writer off the loop.

Callers submit changes and may wait until they are on the disk; what is submitted while a commit runs
shares the next one. A disk that fails is an answer (`StorageError`), never a crash.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gateway.daemon import database, table
from gateway.daemon.change import (
    AppendRow,
    Change,
    DropChargeSessions,
    DropEntry,
    DropEvidence,
    DropRows,
    Head,
    Pack,
    PutChargeSession,
    PutEntry,
    PutEvidence,
    PutFact,
    PutHead,
    PutMeta,
    PutPack,
    Saved,
    SessionQuery,
    Size,
    StorageError,
)

__all__ = [  # the store and what it is told: one place to import from
    "AppendRow",
    "Change",
    "DropChargeSessions",
    "DropEntry",
    "DropEvidence",
    "DropRows",
    "Head",
    "Pack",
    "PutChargeSession",
    "PutEntry",
    "PutEvidence",
    "PutFact",
    "PutHead",
    "PutMeta",
    "PutPack",
    "Saved",
    "SessionQuery",
    "Size",
    "StorageError",
    "Store",
]

QUEUED_MAX = 1024  # submissions waiting for the writer; more are refused
CLOSE_S = 5.0  # a disk that does not answer for so long does not hold up the stop
CHECKPOINT_COMMITS = 100  # about the log's size: it is folded into the file, in the first idle moment
CHECKPOINT_IDLE_S = 0.02
ROWS_READ_MAX = 500


class Store:
    """The loop's side of the file. Make it with `Store.open`."""

    def __init__(self, path: Path) -> None:
        self.saved = Saved(stream=database.new_stream())
        self.failure: str | None = None
        """Why the last commit failed, in words; None when it did not."""
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._writer = _Writer(path, self._answer, self._died)
        self._asked: dict[asyncio.Future[Any], float] = {}
        self._gone = "the writer has ended"

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, path: Path) -> AsyncIterator[Store]:
        """The store at `path`, made if there is none, closed (and folded into one file) at the end."""
        store = cls(path)
        store.saved = await store._ask("open", ())
        store.failure = store.saved.failure
        try:
            yield store
        finally:
            store._gone = "the store is closed"
            with contextlib.suppress(TimeoutError, StorageError):
                await asyncio.wait_for(store._ask("close", ()), CLOSE_S)

    def submit(self, *changes: Change) -> asyncio.Future[tuple[int, ...]]:
        """Make the changes together or not at all; done when they are on the disk.

        The answer is the `seq` of each `AppendRow`, in order. The future may be dropped.

        Raises:
            StorageError: (from the future) the disk is full, failing, read-only or far behind.
        """
        return self._ask("commit", changes)

    def rows(self, log: str, first_seq: int, count: int = ROWS_READ_MAX) -> asyncio.Future[list[Pack]]:
        """The first `count` stored rows or packs of a log that reach to `first_seq` or beyond.

        Raises:
            StorageError: (from the future) they cannot be read.
        """
        return self._ask("read", (log, first_seq, min(count, ROWS_READ_MAX)))

    def seek(self, log: str, utc_s: float) -> asyncio.Future[int]:
        """The number from which on the rows of a log are of `utc_s` or later; beyond the last, if none is.

        A log is in order of time; where a clock was set back, the answer is one of the places it may be.

        Raises:
            StorageError: (from the future) they cannot be read.
        """
        return self._ask("seek", (log, utc_s))

    def evidence(self, id_: str) -> asyncio.Future[list[tuple[str, bytes]]]:
        """A few of the ended instructions whose ids begin so, the one of this id first; of '' the last ones.

        Raises:
            StorageError: (from the future) they cannot be read.
        """
        return self._ask("evidence", (id_,))

    def size(self) -> asyncio.Future[Size]:
        """How much the file holds, and how much more fits.

        Raises:
            StorageError: (from the future) that cannot be read.
        """
        return self._ask("size", (self._path,))

    def charge_sessions(self, query: SessionQuery) -> asyncio.Future[list[tuple[int, bytes]]]:
        """The first stored charge sessions that are asked for, each with its number, in order.

        Raises:
            StorageError: (from the future) they cannot be read.
        """
        return self._ask("charge sessions", (query,))

    @property
    def waiting_s(self) -> float:
        """How long the oldest unanswered submission waits; for the watchdog."""
        oldest_s = next(iter(self._asked.values()), None)
        return 0.0 if oldest_s is None else self._loop.time() - oldest_s

    def _ask(self, verb: str, what: Sequence[Any]) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = self._loop.create_future()
        future.add_done_callback(_retrieved)
        if not self._writer.alive:
            future.set_exception(StorageError(self._gone))
            return future
        if len(self._asked) >= QUEUED_MAX and verb != "close":
            future.set_exception(StorageError(f"{QUEUED_MAX} submissions wait for the disk already"))
            return future
        self._asked[future] = self._loop.time()
        self._writer.queue.put((verb, what, future))
        return future

    def _answer(self, answers: list[_Answer]) -> None:
        """Called by the writer; a loop that is gone needs no answer."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._deliver, answers)

    def _deliver(self, answers: list[_Answer]) -> None:
        for verb, future, result in answers:
            self._asked.pop(future, None)
            if verb == "commit":
                self.failure = str(result) if isinstance(result, StorageError) else None
            if future.done():
                continue
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)

    def _died(self) -> None:
        """Called by the writer when a bug ends it: no one shall wait for it."""
        gone = StorageError(self._gone)
        self._answer([("commit", future, gone) for future in list(self._asked)])


def _retrieved(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()


_Job = tuple[str, Sequence[Any], asyncio.Future[Any]]
_Answer = tuple[str, asyncio.Future[Any], Any]


class _Writer:
    """The writer's side: the only thread that touches the file."""

    def __init__(self, path: Path, answer: Callable[[list[_Answer]], None], died: Callable[[], None]) -> None:
        self.queue: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self.alive = True
        self._path = path
        self._answer = answer
        self._died = died
        self._database: sqlite3.Connection | None = None
        self._failure = ""
        self._commits = 0
        # A daemon thread: a disk that hangs must not keep the process from ending.
        threading.Thread(target=self._run, name="store", daemon=True).start()

    def _run(self) -> None:
        try:
            while self.alive:
                self._turn(self._take())
        finally:
            self.alive = False
            self._died()

    def _turn(self, jobs: list[_Job]) -> None:
        """The commits in one, then the rest: what was read after them sees them."""
        commits = [job for job in jobs if job[0] == "commit"]
        if commits:
            self._answer(self._commit(commits))
        for verb, what, future in jobs:
            if verb != "commit":
                self._answer([(verb, future, self._other(verb, what))])
            if verb == "close":
                self.alive = False

    def _take(self) -> list[_Job]:
        """Everything that waits; at least one job, or a checkpoint in the idle moment before it."""
        try:
            jobs = [self.queue.get(timeout=self._idle_s())]
        except queue.Empty:
            self._checkpoint()
            jobs = [self.queue.get()]
        with contextlib.suppress(queue.Empty):
            while True:
                jobs.append(self.queue.get_nowait())
        return jobs

    def _idle_s(self) -> float | None:
        return CHECKPOINT_IDLE_S if self._commits >= CHECKPOINT_COMMITS else None

    def _checkpoint(self) -> None:
        self._commits = 0
        if self._database:
            with contextlib.suppress(sqlite3.Error):  # a disk that fails will say so at the next commit
                self._database.execute("pragma wal_checkpoint(passive)")

    def _other(self, verb: str, what: Sequence[Any]) -> Any:
        if verb == "open":
            return self._open()
        if not self._database:
            return None if verb == "close" else StorageError(self._failure)
        if verb == "close":
            return self._close(self._database)
        if verb == "size":
            database.load_ballast(self._path)
        try:
            return _READS[verb](self._database, *what)
        except (sqlite3.Error, OSError, ValueError, OverflowError) as error:  # also what nobody can be asked
            return StorageError(f"not read: {error}")

    def _open(self) -> Saved:
        try:
            self._database, saved = database.open_file(self._path)
        except (sqlite3.Error, OSError) as error:
            self._failure = f"{self._path} cannot be opened: {error}"
            return Saved(stream=database.new_stream(), failure=self._failure)
        return saved

    def _close(self, opened: sqlite3.Connection) -> None:
        opened.close()
        self._database, self._failure = None, "the store is closed"

    def _commit(self, jobs: list[_Job]) -> list[_Answer]:
        """One transaction for all; if that fails for another reason than the disk, one for each."""
        if not self._database:
            return [(verb, future, StorageError(self._failure)) for verb, _, future in jobs]
        changes = [what for _, what, _ in jobs]
        try:
            results = self._with_ballast(self._database, changes)
        except (sqlite3.Error, ValueError, OverflowError) as error:
            if len(jobs) > 1 and not isinstance(error, sqlite3.OperationalError):
                return [answer for job in jobs for answer in self._commit([job])]
            return [(verb, future, StorageError(f"not saved: {error}")) for verb, _, future in jobs]
        self._commits += 1
        return [(verb, future, result) for (verb, _, future), result in zip(jobs, results, strict=True)]

    def _with_ballast(
        self, opened: sqlite3.Connection, groups: list[Sequence[Change]]
    ) -> list[tuple[int, ...]]:
        """The transaction; on a full disk once more, with the room that was kept for that."""
        try:
            return _transaction(opened, groups)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_FULL or not database.thrown_off(self._path):
                raise
            self._checkpoint()
            return _transaction(opened, groups)


_READS: Mapping[str, Callable[..., Any]] = {
    "size": table.size,
    "read": table.read,
    "seek": table.seek,
    "charge sessions": table.charge_sessions,
    "evidence": table.evidence,
}


def _transaction(opened: sqlite3.Connection, groups: list[Sequence[Change]]) -> list[tuple[int, ...]]:
    try:
        opened.execute("begin immediate")
        results = [table.apply(opened, changes) for changes in groups]
        opened.execute("commit")
    except BaseException:
        if opened.in_transaction:
            opened.execute("rollback")
        raise
    return results
