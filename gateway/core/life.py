"""The records of instructions' lives and of what is told of them: plain values, one `Entry` per id.

One life per asset and id: a revision changes it, it does not start a second.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from gateway.core.model import Extent, Instruction, Order, Reading, Reason, Vector

UNANSWERED = "shown to the household, who has not answered"  # what hands are asked to do


class Reception(StrEnum):
    """What became of a message that was authentic and could be parsed."""

    OK = "OK"
    INVALID_CONTENT = "INVALID_CONTENT"
    EXPIRED = "EXPIRED"
    REPLAYED = "REPLAYED"
    TEMPORARY_ERROR = "TEMPORARY_ERROR"


class Status(StrEnum):
    """Where the life of one asset under one id stands."""

    REJECTED = "REJECTED"
    ACCEPTED = "ACCEPTED"
    STARTED = "STARTED"
    SUCCEEDED = "SUCCEEDED"
    ABORTED = "ABORTED"
    REVOKED = "REVOKED"

    @property
    def is_end(self) -> bool:
        """Whether nothing can follow."""
        return self not in {Status.ACCEPTED, Status.STARTED}


class Evidence(StrEnum):
    """What says that an asset follows."""

    MEASURED = "measured"
    READ_BACK = "readBack"  # the device confirmed it, there is no meter
    IDLE = "idle"  # it was inside the value before we acted; never counted as held


class Proof(StrEnum):
    """How the present setpoint is known to have reached the device."""

    WRITTEN = "written"
    READ_BACK = "readBack"


@dataclass(frozen=True, slots=True)
class Now:
    """The moment: the hub's monotonic clock, UTC, and whether UTC may be believed."""

    now_s: float
    utc_s: float
    clock_trusted: bool


@dataclass(frozen=True, slots=True)
class Draws:
    """Two uniform numbers in [0, 1), drawn once per id by the shell and journalled before use.

    A revision or a stop with another bound scales the same number: it is never drawn again.
    """

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Seen:
    """What is seen of one asset besides the plan. `set_since_s`: when the present setpoint was written;
    `at_most_w`: what that is (None: its owner's, or `raised`)."""

    power: Reading | None = None
    proof: Proof | None = None
    set_since_s: float | None = None
    online: bool = True
    refused: bool = False
    at_most_w: int | None = None
    raised: bool = False


# --- what is told -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reported:
    """One line of a status: of an asset, or of a target as a whole."""

    status: Status
    asset: str | None = None
    target: str | None = None
    extent: Extent | None = None
    evidence: Evidence | None = None
    reason: Reason = Reason.NONE
    text: str = ""
    limit_w: int | None = None
    measured_w: int | None = None
    delay_s: int = 0
    end_delay_s: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """One status of one instruction. `reason` and `text` say why a message as a whole was not taken."""

    id: str
    revision: int
    digest: str
    reception: Reception
    targets: tuple[Reported, ...] = ()
    ended: bool = False
    reason: Reason = Reason.NONE
    text: str = ""


@dataclass(frozen=True, slots=True)
class AssetSummary:
    """What one asset gave over the window. `held_s` + `idle_s` + `limited_s` + `delay_s` is the window,
    or what was left of it when it was accepted."""

    asset: str
    status: Status
    followed_utc_s: float | None
    delay_s: int
    held_s: int
    idle_s: int
    limited_s: int
    limits: tuple[tuple[Reason, int], ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """Told once per id; the window is as asked. Energy and sequence numbers are the shell's to add."""

    id: str
    revision: int
    service: str
    service_ref: str | None
    start_utc_s: float
    end_utc_s: float
    assets: tuple[AssetSummary, ...]


# --- what is kept -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Setting:
    """The first setpoint that the asset's device took in the window (W, or `raised`), and since when it held
    it; `read_back`: it said so itself."""

    at_utc_s: float
    at_most_w: int | None
    raised: bool
    read_back: bool


@dataclass(frozen=True, slots=True)
class Response:
    """The sample that first showed that an asset follows: when it was taken, what it drew then (W), and the
    point that said so."""

    at_utc_s: float
    power_w: float
    source: str


@dataclass(frozen=True, slots=True)
class Life:
    """One asset under one id. `own_w` is what it drew before we acted; None: nobody knows.

    `held_s`, `idle_s` and `limited_s` count the seconds of the window since `joined_utc_s`.
    """

    asset: str
    status: Status = Status.ACCEPTED
    extent: Extent | None = None
    evidence: Evidence | None = None
    reason: Reason = Reason.NONE
    text: str = ""
    limit_w: int | None = None
    measured_w: int | None = None
    own_w: float | None = None
    joined_utc_s: float = 0.0
    followed_utc_s: float | None = None
    held_s: float = 0.0
    idle_s: float = 0.0
    limited_s: tuple[tuple[Reason, float], ...] = ()
    setting: Setting | None = None
    response: Response | None = None

    @property
    def counted_s(self) -> float:
        """Seconds of the window accounted for."""
        return self.held_s + self.idle_s + sum(s for _, s in self.limited_s)

    def aborted(self, reason: Reason, text: str) -> Life:
        """The life ended early for good, or by its window without having started."""
        return replace(
            self, status=Status.ABORTED, extent=Extent.NONE, evidence=None, reason=reason, text=text
        )


@dataclass(frozen=True, slots=True)
class Target:
    """A target as asked and the assets it was resolved to at acceptance; none: it matches nothing."""

    name: str
    assets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """Everything durable about one id: the journal's record.

    `instruction` None: a tombstone or a stop. `pending` waits for a trusted clock; while `accepted_utc_s`
    is None nothing of it is in force. `told` is the last status, `window_utc_s` is as asked, `stops_utc_s`
    that of a stopAll: it ends what was issued till then. `agreed`: the household does by hand what a
    manual one asks; a revision asks it anew.
    """

    id: str
    revision: int
    digest: str
    issued_utc_s: float
    expires_utc_s: float
    reception: Reception = Reception.OK
    instruction: Instruction | None = None
    pending: Order | None = None
    service_ref: str | None = None
    window_utc_s: tuple[float, float] = (0.0, 0.0)
    accepted_utc_s: float | None = None
    draws: Draws = Draws(0.0, 0.0)
    targets: tuple[Target, ...] = ()
    lives: tuple[Life, ...] = ()
    told: tuple[Reported, ...] = ()
    ended_utc_s: float | None = None
    let_go: bool = False  # nothing is held for it any more, not even a delayed return
    summarised: bool = False
    stops_utc_s: float | None = None
    agreed: bool = False

    @property
    def is_manual(self) -> bool:
        """Whether it is the household's to carry out."""
        return self.instruction is not None and self.instruction.vector is Vector.MANUAL

    @property
    def is_open(self) -> bool:
        """Whether an asset's life still goes on."""
        return any(not life.status.is_end for life in self.lives)

    @property
    def is_decided(self) -> bool:
        """Whether a trusted clock has judged it; before, it is told as accepted but not obeyed."""
        return self.accepted_utc_s is not None

    @property
    def is_done(self) -> bool:
        """Whether nothing can happen to it any more but a repeated message."""
        return not self.is_open and self.let_go and self.summarised

    def life(self, asset: str) -> Life | None:
        """The life of an asset under this id."""
        return next((life for life in self.lives if life.asset == asset), None)


@dataclass(frozen=True, slots=True)
class Following:
    """How an asset follows since `onset_s`, when the plan first gave it something. Monotonic seconds.

    `first` is the earliest sample, not from before the onset, since which it has been inside.
    """

    onset_s: float
    sample_s: float = -math.inf  # when the last sample was taken
    inside_since_s: float | None = None
    inside_samples: int = 0
    followed_s: float | None = None  # when it was last known to follow
    follows: bool = False
    first: Reading | None = None
    first_s: float = -math.inf


@dataclass(frozen=True, slots=True)
class Watch:
    """What is known of an entry in this run only. Monotonic seconds.

    `end_s` is the earliest end a trusted clock gave a window that has begun: a clock set back later
    cannot lengthen it. `gap` says why time before `at_s` was not seen.
    """

    at_s: float
    gap: Reason = Reason.GATEWAY_RESTART
    told_s: float = -math.inf
    end_s: float = math.inf
    ended_s: float | None = None
    following: Mapping[str, Following] = field(default_factory=dict)

    @property
    def has_begun(self) -> bool:
        """Whether a trusted clock has seen the delayed start pass."""
        return self.end_s < math.inf


@dataclass(frozen=True, slots=True)
class Book:
    """All instructions known. `current` may still change; `past` is remembered against replays."""

    current: Mapping[str, Entry] = field(default_factory=dict)
    past: Mapping[str, Entry] = field(default_factory=dict)
    watches: Mapping[str, Watch] = field(default_factory=dict)
    arrivals_s: tuple[float, ...] = ()

    def entry(self, id_: str) -> Entry | None:
        """What is known of an id."""
        return self.current.get(id_) or self.past.get(id_)

    def with_entry(self, entry: Entry, watch: Watch | None = None) -> Book:
        """The book with this entry in its place."""
        current = {k: v for k, v in self.current.items() if k != entry.id}
        past = {k: v for k, v in self.past.items() if k != entry.id}
        watches = {k: v for k, v in self.watches.items() if k != entry.id}
        if entry.is_done:
            past[entry.id] = entry
        else:
            current[entry.id] = entry
            if watch:
                watches[entry.id] = watch
        return replace(self, current=current, past=past, watches=watches)


def begin_utc_s(instruction: Instruction) -> float:
    """When the window begins, delay included."""
    return instruction.start_utc_s + instruction.start_delay_s


def restored(entries: Iterable[Entry]) -> Book:
    """The book after a restart, from the journal's records."""
    found = {entry.id: entry for entry in entries}
    return Book(
        current={id_: entry for id_, entry in found.items() if not entry.is_done},
        past={id_: entry for id_, entry in found.items() if entry.is_done},
    )
