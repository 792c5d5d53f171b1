"""What is written to the open database and read from it, in SQL."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
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
    Pack,
    PutChargeSession,
    PutEntry,
    PutEvidence,
    PutFact,
    PutHead,
    PutMeta,
    PutPack,
    SessionQuery,
    Size,
)

KEEP_SEQS = 100_000  # of each log at most, the oldest go first: 45 days of minutes are 64,800

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
_READ = (
    "select first_seq, last_seq, at_utc_s, blob from row where log = ?1 and first_seq >= coalesce("
    "(select max(first_seq) from row where log = ?1 and first_seq <= ?2 and last_seq >= ?2), ?2)"
    " order by first_seq limit ?3"
)


def apply(database: sqlite3.Connection, changes: Sequence[Change]) -> tuple[int, ...]:
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


def read(database: sqlite3.Connection, log: str, first_seq: int, count: int) -> list[Pack]:
    """See `Store.rows`."""
    return [Pack(*row) for row in database.execute(_READ, (log, first_seq, count))]


def seek(database: sqlite3.Connection, log: str, utc_s: float) -> int:
    """See `Store.seek`."""
    low, last = database.execute(row_search.EDGES, (log,)).fetchone()
    if low is None:
        return 1
    return row_search.first_since(
        low, last, lambda seq: database.execute(row_search.FROM, (log, seq)).fetchone(), utc_s
    )


def size(database: sqlite3.Connection, path: Path) -> Size:
    """See `Store.size`."""
    pages, free, page_bytes = (
        database.execute(f"pragma {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    disk = os.statvfs(path.parent)
    room_bytes = free * page_bytes + disk.f_bavail * disk.f_frsize
    return Size((pages - free) * page_bytes, room_bytes, dict(database.execute(_OLDEST)))


def charge_sessions(database: sqlite3.Connection, query: SessionQuery) -> list[tuple[int, bytes]]:
    """See `Store.charge_sessions`."""
    asked = (query.after, query.asset, query.since_utc_s, query.until_utc_s, charge_table.READ_MAX)
    return list(database.execute(charge_table.FOUND, asked))


def evidence(database: sqlite3.Connection, id_: str) -> list[tuple[str, bytes]]:
    """See `Store.evidence`."""
    return list(database.execute(evidence_table.FOUND, (id_, evidence_table.READ_MAX)))
