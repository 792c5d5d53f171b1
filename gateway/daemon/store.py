"""The one file that outlives the process: journal, logs, memory and facts in SQLite, one writer off the loop.

Callers submit changes and may wait until they are on the disk; what is submitted while a commit runs
shares the next one. A disk that fails is an answer (`StorageError`), never a crash.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import queue
import secrets
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from pathlib import Path
from typing import Any

from gateway.daemon import charge_table, evidence_table, row_search
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
    "open_file",
]

FORMAT = 1  # of the tables; PRAGMA user_version
CACHE_KIB = 256  # the default, 2 MB, fills up in a day; what is read again fits into this
KEEP_SEQS = 100_000  # of each log at most, the oldest go first: 45 days of minutes are 64,800
QUEUED_MAX = 1024  # submissions waiting for the writer; more are refused
CLOSE_S = 5.0  # a disk that does not answer for so long does not hold up the stop
PAGE_BYTES = 1024  # a commit writes whole pages: a third of the bytes of the usual 4096, at the same speed
LOG_BYTES = (
    1 << 20
)  # of the write-ahead log, made at the start: a commit that grows a file costs half as much again
CHECKPOINT_COMMITS = 100  # about LOG_BYTES: then the log is folded into the file, in the first idle moment
CHECKPOINT_IDLE_S = 0.02
CHECKPOINT_PAGES = 2_000  # folded without waiting for an idle moment: the log stays near 2 MB
ROWS_READ_MAX = 500
BALLAST_BYTES = 2 << 20  # beside the file, thrown off when the disk is full: to drop rows takes room as well
LOCKED_S = 1.0  # another process has the file: the one before us may be about to end

_TABLES = """
create table meta (key text primary key, blob blob not null);
create table entry (id text primary key, blob blob not null) without rowid;
create table fact (device text, key text, text text not null, primary key (device, key)) without rowid;
create table head (log text primary key, reserved integer not null, sent integer not null default 0,
  watermark integer not null default 0) without rowid;
create table row (log text, first_seq integer, last_seq integer not null, at_utc_s real not null,
  blob blob not null, primary key (log, first_seq)) without rowid;
"""

_SQL: Mapping[type[Any], str] = {
    PutEntry: "insert or replace into entry values (?1, ?2)",
    DropEntry: "delete from entry where id = ?1",
    # In place: a record of the same size touches one page and no index.
    PutMeta: "insert into meta values (?1, ?2) on conflict (key) do update set blob = ?2",
    PutFact: "insert or replace into fact values (?1, ?2, ?3)",
    PutPack: "insert or replace into row values (?1, ?2, ?3, ?4, ?5)",
    PutHead: "insert into head values (?1, ?2, ?3, ?4) on conflict (log) do update set"
    " reserved = max(reserved, ?2), sent = ?3, watermark = ?4",
    DropRows: "delete from row where log = ?1 and first_seq < coalesce((select first_seq from row"
    " where log = ?1 and at_utc_s >= ?2 order by first_seq limit 1), 9223372036854775807)",
    **charge_table.CHANGES,
    **evidence_table.CHANGES,
}
_NEXT_SEQ = (
    "insert into head (log, reserved) values (?1, 1)"
    " on conflict (log) do update set reserved = reserved + 1 returning reserved"
)
_OLDEST = (
    "select log, at_utc_s from row join (select log, min(first_seq) as first_seq from row group by log)"
    " using (log, first_seq)"
)
_DROP_BELOW = "delete from row where log = ?1 and first_seq <= ?2"
_FIELDS: Mapping[type[Any], Callable[[Any], Any]] = {
    kind: attrgetter(*(f.name for f in fields(kind))) for kind in _SQL if len(fields(kind)) > 1
} | {
    DropEntry: lambda change: (change.id,),
    DropChargeSessions: lambda change: (change.before_utc_s,),
    DropEvidence: lambda change: (change.before_utc_s,),
}


class Store:
    """The loop's side of the file. Make it with `Store.open`."""

    def __init__(self, path: Path) -> None:
        self.saved = Saved(stream=_new_stream())
        self.failure: str | None = None
        """Why the last commit failed, in words; None when it did not."""
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
        return self._ask("size", ())

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
        answers: Mapping[str, Callable[..., Any]] = {
            "open": self._open,
            "close": self._close,
            "size": self._size,
            "read": self._read,
            "seek": self._seek,
            "charge sessions": self._charge_sessions,
            "evidence": self._evidence,
        }
        try:
            return answers[verb](*what)
        except (
            sqlite3.Error,
            OSError,
            ValueError,
            OverflowError,
        ) as error:  # also what no table can be asked
            return StorageError(f"not read: {error}")

    def _open(self) -> Saved:
        try:
            self._database, saved = open_file(self._path)
        except (sqlite3.Error, OSError) as error:
            self._failure = f"{self._path} cannot be opened: {error}"
            return Saved(stream=_new_stream(), failure=self._failure)
        return saved

    def _close(self) -> None:
        if self._database:
            self._database.close()
            self._database, self._failure = None, "the store is closed"

    def _size(self) -> Size | StorageError:
        if not self._database:
            return StorageError(self._failure)
        pages, free, page_bytes = (
            self._database.execute(f"pragma {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        disk = os.statvfs(self._path.parent)
        if disk.f_bavail * disk.f_frsize > 2 * BALLAST_BYTES:
            _load_ballast(self._path)
        room_bytes = free * page_bytes + disk.f_bavail * disk.f_frsize
        return Size((pages - free) * page_bytes, room_bytes, dict(self._database.execute(_OLDEST)))

    def _read(self, log: str, first_seq: int, count: int) -> list[Pack] | StorageError:
        if not self._database:
            return StorageError(self._failure)
        cursor = self._database.execute(
            "select first_seq, last_seq, at_utc_s, blob from row where log = ?1 and first_seq >= coalesce("
            "(select max(first_seq) from row where log = ?1 and first_seq <= ?2 and last_seq >= ?2), ?2)"
            " order by first_seq limit ?3",
            (log, first_seq, count),
        )
        return [Pack(*row) for row in cursor]

    def _seek(self, log: str, utc_s: float) -> int | StorageError:
        if not self._database:
            return StorageError(self._failure)
        database = self._database
        low, last = database.execute(row_search.EDGES, (log,)).fetchone()
        if low is None:
            return 1
        return row_search.first_since(
            low, last, lambda seq: database.execute(row_search.FROM, (log, seq)).fetchone(), utc_s
        )

    def _evidence(self, id_: str) -> list[tuple[str, bytes]] | StorageError:
        if not self._database:
            return StorageError(self._failure)
        return list(self._database.execute(evidence_table.FOUND, (id_, evidence_table.READ_MAX)))

    def _charge_sessions(self, query: SessionQuery) -> list[tuple[int, bytes]] | StorageError:
        if not self._database:
            return StorageError(self._failure)
        asked = (query.after, query.asset, query.since_utc_s, query.until_utc_s, charge_table.READ_MAX)
        return list(self._database.execute(charge_table.FOUND, asked))

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
        self, database: sqlite3.Connection, groups: list[Sequence[Change]]
    ) -> list[tuple[int, ...]]:
        """The transaction; on a full disk once more, with the room that was kept for that."""
        try:
            return self._transaction(database, groups)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_FULL or not _thrown_off(self._path):
                raise
            self._checkpoint()
            return self._transaction(database, groups)

    def _transaction(
        self, database: sqlite3.Connection, groups: list[Sequence[Change]]
    ) -> list[tuple[int, ...]]:
        try:
            database.execute("begin immediate")
            results = [_apply(database, changes) for changes in groups]
            database.execute("commit")
        except BaseException:
            if database.in_transaction:
                database.execute("rollback")
            raise
        return results


def _apply(database: sqlite3.Connection, changes: Sequence[Change]) -> tuple[int, ...]:
    """Write one submission; the numbers its rows got."""
    given = []
    for change in changes:
        if isinstance(change, AppendRow):
            given.append(_append(database, change))
            continue
        database.execute(_SQL[type(change)], _FIELDS[type(change)](change))
        if isinstance(change, PutPack):
            database.execute(_DROP_BELOW, (change.log, change.last_seq - KEEP_SEQS))
        if isinstance(change, PutChargeSession):
            database.execute(charge_table.DROP_BELOW, (change.number - charge_table.KEPT_MAX,))
        if isinstance(change, PutEvidence):
            database.execute(evidence_table.DROP_BELOW, (evidence_table.KEPT_MAX,))
    return tuple(given)


def _append(database: sqlite3.Connection, row: AppendRow) -> int:
    seq: int = database.execute(_NEXT_SEQ, (row.log,)).fetchone()[0]
    database.execute(_SQL[PutPack], (row.log, seq, seq, row.at_utc_s, row.blob))
    database.execute(_DROP_BELOW, (row.log, seq - KEEP_SEQS))
    return seq


# --- opening --------------------------------------------------------------------------------------------


def open_file(path: Path) -> tuple[sqlite3.Connection, Saved]:
    """Open or make the file, checked after an unclean stop; a damaged one is moved aside, never deleted.

    Raises:
        sqlite3.Error, OSError: there is no file to write to.
    """
    unclean = any(_beside(path, suffix).exists() for suffix in ("-wal", "-journal"))
    try:
        return _connect(path, unclean, None)
    except sqlite3.OperationalError:
        raise  # the disk, not the file
    except sqlite3.DatabaseError:
        return _connect(path, unclean, _move_aside(path))


def _connect(path: Path, unclean: bool, damaged: Path | None) -> tuple[sqlite3.Connection, Saved]:
    _make_private(path)
    database = sqlite3.connect(path, timeout=LOCKED_S, isolation_level=None)
    try:
        for pragma in (
            f"page_size = {PAGE_BYTES}",
            "locking_mode = exclusive",  # no second daemon on one store, no shared memory beside the file
            "journal_mode = wal",
            "synchronous = full",
            f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
            f"cache_size = -{CACHE_KIB}",
        ):
            database.execute(f"pragma {pragma}")
        if unclean:
            _check(database)
        _make_tables(database)
        _grow_log(database, path)
        return database, _load(database, unclean, damaged)
    except BaseException:
        database.close()
        raise


def _make_private(path: Path) -> None:
    """Only the daemon's user may read what a household draws; the name itself is on the disk."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    path.chmod(0o600)
    _sync(path.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _load_ballast(path: Path) -> None:
    """Keep some room of the disk, if there is; half of it is none."""
    ballast = _beside(path, "-ballast")
    try:
        handle = os.open(ballast, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            os.posix_fallocate(handle, 0, BALLAST_BYTES)
        finally:
            os.close(handle)
    except OSError:
        ballast.unlink(missing_ok=True)


def _thrown_off(path: Path) -> bool:
    """Give back the room that was kept; whether there was any."""
    ballast = _beside(path, "-ballast")
    if not ballast.exists():
        return False
    ballast.unlink()
    return True


def _check(database: sqlite3.Connection) -> None:
    verdict = database.execute("pragma quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)


def _make_tables(database: sqlite3.Connection) -> None:
    found = database.execute("pragma user_version").fetchone()[0]
    if found not in (0, FORMAT):
        raise sqlite3.OperationalError(f"its format {found} is not known; this version reads {FORMAT}")
    if found:
        _make_younger_tables(database)
        return
    database.execute("begin immediate")
    for statement in _TABLES.split(";\n"):
        database.execute(statement)
    _make_younger_tables(database)
    database.execute("insert into meta values ('stream', ?1)", (_new_stream().encode(),))
    database.execute(f"pragma user_version = {FORMAT}")
    database.execute("commit")


def _make_younger_tables(database: sqlite3.Connection) -> None:
    """Those that came after the format; a version that does not know them does not look at them."""
    database.execute(charge_table.TABLE)
    database.execute(evidence_table.TABLE)


def _grow_log(database: sqlite3.Connection, path: Path) -> None:
    """Make room in the write-ahead log by a transaction that spills into it and is rolled back."""
    log = _beside(path, "-wal")
    if log.exists() and log.stat().st_size >= LOG_BYTES:
        return
    database.execute("pragma cache_size = 8")
    database.execute("begin immediate")
    database.execute("insert into meta values ('room', zeroblob(?1))", (LOG_BYTES,))
    database.execute("rollback")
    database.execute(f"pragma cache_size = -{CACHE_KIB}")
    _sync(log)


def _load(database: sqlite3.Connection, unclean: bool, damaged: Path | None) -> Saved:
    meta = dict(database.execute("select key, blob from meta"))
    heads = database.execute(
        "select log, reserved, sent, watermark, coalesce((select last_seq from row where row.log = head.log"
        " order by first_seq desc limit 1), 0) from head"
    )
    return Saved(
        stream=meta.pop("stream").decode(),
        meta=meta,
        entries=dict(database.execute("select id, blob from entry")),
        facts={(d, k): text for d, k, text in database.execute("select device, key, text from fact")},
        heads={log: Head(*rest) for log, *rest in heads},
        open_sessions=dict(database.execute(charge_table.OPEN)),
        last_session=database.execute(charge_table.LAST).fetchone()[0],
        unclean=unclean,
        damaged=damaged,
    )


def _move_aside(path: Path) -> Path:
    """Rename the file and its log, so that they can still be opened together."""
    numbers = iter(range(1, 1_000_000))
    aside = next(a for n in numbers if not (a := _beside(path, f".damaged-{n}")).exists())
    for suffix in ("-wal", "-journal", ""):  # the file last: until then the damage is found again
        if _beside(path, suffix).exists():
            _beside(path, suffix).rename(_beside(aside, suffix))
    _sync(path.parent)
    return aside


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _new_stream() -> str:
    return base64.b32encode(secrets.token_bytes(10)).decode()
