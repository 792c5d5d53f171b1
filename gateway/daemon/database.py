"""The file itself: how it is opened, checked, made and moved aside, and the room kept beside it.

Nothing here knows what is asked of it while it is open.
"""

from __future__ import annotations

import base64
import os
import secrets
import sqlite3
from pathlib import Path

from gateway.daemon import charge_table, evidence_table
from gateway.daemon.change import Head, Saved

FORMAT = 1  # of the tables; PRAGMA user_version
CACHE_KIB = 256  # the default, 2 MB, fills up in a day; what is read again fits into this
PAGE_BYTES = 1024  # a commit writes whole pages: a third of the bytes of the usual 4096, at the same speed
LOG_BYTES = (
    1 << 20
)  # of the write-ahead log, made at the start: a commit that grows a file costs half as much again
CHECKPOINT_PAGES = 2_000  # folded without waiting for an idle moment: the log stays near 2 MB
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


def load_ballast(path: Path) -> None:
    """Keep some room of the disk, once there is plenty; half of it is none."""
    ballast, disk = _beside(path, "-ballast"), os.statvfs(path.parent)
    if ballast.exists() or disk.f_bavail * disk.f_frsize <= 2 * BALLAST_BYTES:
        return
    try:
        handle = os.open(ballast, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            os.posix_fallocate(handle, 0, BALLAST_BYTES)
        finally:
            os.close(handle)
    except OSError:
        ballast.unlink(missing_ok=True)


def thrown_off(path: Path) -> bool:
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
    database.execute("insert into meta values ('stream', ?1)", (new_stream().encode(),))
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


def new_stream() -> str:
    """A name for a new store's numbers: 16 random characters."""
    return base64.b32encode(secrets.token_bytes(10)).decode()
