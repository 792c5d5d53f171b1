"""What can be written to the store and what is found in it: plain records, no database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


class StorageError(Exception):
    """Not saved, or not readable. Nothing of the submission is on the disk; the caller goes on without it."""


# --- what can be changed --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PutEntry:
    """One instruction of the journal, whole."""

    id: str
    blob: bytes


@dataclass(frozen=True, slots=True)
class DropEntry:
    """An instruction the journal need not know any longer."""

    id: str


@dataclass(frozen=True, slots=True)
class PutMeta:
    """One value the daemon keeps about itself: its memory, its offset, the last known UTC."""

    key: str
    blob: bytes


@dataclass(frozen=True, slots=True)
class PutFact:
    """What a driver learned about its device, as JSON text."""

    device: str
    key: str
    text: str


@dataclass(frozen=True, slots=True)
class AppendRow:
    """One row at the end of a log. Its `seq` is taken in the same transaction: the answer of `submit`."""

    log: str
    at_utc_s: float
    blob: bytes


@dataclass(frozen=True, slots=True)
class PutPack:
    """The rows `first_seq` to `last_seq` of a log in one; replaces a pack with the same `first_seq`."""

    log: str
    first_seq: int
    last_seq: int
    at_utc_s: float
    blob: bytes


@dataclass(frozen=True, slots=True)
class PutHead:
    """How far a log is: numbers given away (never fewer), sent without a gap, held by the aggregator."""

    log: str
    reserved: int
    sent: int
    watermark: int


@dataclass(frozen=True, slots=True)
class DropRows:
    """Rows of a log that are older than `before_utc_s`."""

    log: str
    before_utc_s: float


@dataclass(frozen=True, slots=True)
class PutChargeSession:
    """One charge session, whole. `last_utc_s`: when its car was last seen; None, like `begin_utc_s`: no clock
    was trusted then."""

    number: int
    asset: str
    begin_utc_s: float | None
    last_utc_s: float | None
    is_open: bool
    blob: bytes


@dataclass(frozen=True, slots=True)
class DropChargeSessions:
    """Charge sessions whose car was last seen before `before_utc_s`."""

    before_utc_s: float


@dataclass(frozen=True, slots=True)
class PutEvidence:
    """An instruction that ended, whole: what a report of it is made from. Replaces what is kept of its id."""

    id: str
    ended_utc_s: float
    blob: bytes


@dataclass(frozen=True, slots=True)
class DropEvidence:
    """Instructions that ended before `before_utc_s`."""

    before_utc_s: float


Change = (
    PutEntry
    | DropEntry
    | PutMeta
    | PutFact
    | AppendRow
    | PutPack
    | PutHead
    | DropRows
    | PutChargeSession
    | DropChargeSessions
    | PutEvidence
    | DropEvidence
)


# --- what is found --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Head:
    """How far a log was: `reserved` numbers were given away, rows up to `last` are on the disk."""

    reserved: int = 0
    sent: int = 0
    watermark: int = 0
    last: int = 0


@dataclass(frozen=True, slots=True)
class Saved:
    """What was on the disk at the start. `damaged` is where an unreadable file was moved to, `failure`
    why there is no file to write to: then every submission fails. `last_session`: the highest number that a
    charge session has."""

    stream: str
    meta: Mapping[str, bytes] = field(default_factory=dict)
    entries: Mapping[str, bytes] = field(default_factory=dict)
    facts: Mapping[tuple[str, str], str] = field(default_factory=dict)
    heads: Mapping[str, Head] = field(default_factory=dict)
    open_sessions: Mapping[int, bytes] = field(default_factory=dict)
    last_session: int = 0
    unclean: bool = False
    damaged: Path | None = None
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Size:
    """How much the file holds, how much more fits (into it, and with it on the disk), and the UTC of each
    log's oldest row."""

    used_bytes: int
    room_bytes: int
    oldest_utc_s: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Pack:
    """One stored row, or several in one."""

    first_seq: int
    last_seq: int
    at_utc_s: float
    blob: bytes


@dataclass(frozen=True, slots=True)
class SessionQuery:
    """Charge sessions of an asset (None: all) that reach into [since, until), numbered above `after`."""

    after: int = 0
    asset: str | None = None
    since_utc_s: float | None = None
    until_utc_s: float | None = None
