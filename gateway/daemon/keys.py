"""The trust store in force: the one of commissioning, in a local file, or one from afar that the root signed.

The higher version counts, of equal ones the local file's. One from afar counts once it is on the disk; what
is kept there is the message as it was signed, and it is verified again at each start.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import structlog

from gateway.daemon.clock import Clock
from gateway.daemon.inbound import Inbound
from gateway.daemon.seldom import Seldom
from gateway.daemon.store import Change, PutMeta
from gateway.wire.event import EventKind, Severity
from gateway.wire.keys import KeyRing, Root
from gateway.wire.moment import moment_of
from gateway.wire.reception import Reception, Unacceptable
from gateway.wire.signature import signed_keys

log = structlog.get_logger()

KEPT, WARNED = "keys", "keysWarned"  # what the message, and when the last warning was, are saved as
REFUSED_EVERY_S = 10.0  # as for dispatches: contract, answers to bad signatures
RETRY_S = 5.0  # between two tries to save what a failing disk did not take
DAY_S = 86_400.0
WARN_AHEAD_S = 14 * DAY_S  # a new key is made, signed and sent in less
LISTED_MAX = 8  # kids that one event names
WAITING_MAX = 16  # messages that wait for the disk unacknowledged: the receive maximum


class Source(StrEnum):
    """Where a trust store is from."""

    LOCAL = "local"
    REMOTE = "remote"


class Verdict(StrEnum):
    """What a trust store that the root signed is beside the one already known."""

    NEW = "new"
    SAME = "same"
    TAMPERED = "tampered"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class Held:
    """A trust store that may count, and where it is from."""

    ring: KeyRing
    source: Source


class Events(Protocol):
    """Where is told what happened."""

    def event(
        self, kind: EventKind, text: str, severity: Severity = Severity.INFO, *, count: int | None = None
    ) -> None:
        """Tell it, for `count` alike."""


def judged(ring: KeyRing, known: Held | None) -> Verdict:
    """What `ring` is beside what is known.

    A version names one document, byte by byte; that of the local file only what it says, for people write
    it with blanks and line breaks of their own.
    """
    if known is None or ring.version > known.ring.version:
        return Verdict.NEW
    if ring.version < known.ring.version:
        return Verdict.ROLLBACK
    alike = ring.digest == known.ring.digest
    if known.source is Source.LOCAL:
        alike = ring.trusted == known.ring.trusted
    return Verdict.SAME if alike else Verdict.TAMPERED


class Keys:
    """Whose signatures count now."""

    def __init__(
        self,
        site: str,
        root: Root | None,
        local: KeyRing | None,
        saved: Mapping[str, bytes],
        submit: Callable[[Change], asyncio.Future[tuple[int, ...]]],
        events: Events,
        clock: Clock,
    ) -> None:
        self.acknowledge: Callable[[Inbound], None] = lambda _inbound: None
        self.root = root
        self._site = site
        self._submit = submit
        self._events = events
        self._clock = clock
        self._local = _held(local, Source.LOCAL)
        self._remote = self._kept(saved.get(KEPT))
        self._accepted: tuple[Held, bytes] | None = None  # and not known to be on the disk
        self._saving: asyncio.Future[tuple[int, ...]] | None = None
        self._waiting: list[Inbound] = []  # for the disk: what was accepted, and that came again meanwhile
        self._tried_s = float("-inf")
        self._refusals: defaultdict[str, Seldom] = defaultdict(lambda: Seldom(REFUSED_EVERY_S))
        self._warned_utc_s = float(saved.get(WARNED, b"-inf"))

    @property
    def in_force(self) -> Held | None:
        """The trust store that counts; None: there is none, and nobody is trusted."""
        return _highest(self._local, self._remote)

    def ring(self) -> KeyRing:
        """The keys that count now."""
        return self.in_force.ring if self.in_force else KeyRing()

    def message(self, inbound: Inbound) -> None:
        """Take one message of the topic `keys`; it is acknowledged when it has effect, or will have none."""
        if self.root is None or not inbound.payload:  # empty: what was retained is taken away
            self.acknowledge(inbound)
            return
        try:
            ring = signed_keys(inbound.payload, self.root, self._site)
        except Unacceptable as refusal:
            self._refuse_unsound(refusal)
            self.acknowledge(inbound)
            return
        known = _highest(self._local, self._remote, self._accepted[0] if self._accepted else None)
        verdict = judged(ring, known)
        if verdict is Verdict.NEW:
            self._accepted = Held(ring, Source.REMOTE), inbound.payload
            self._waiting.append(inbound)
            self._save()
            return
        if known and verdict is not Verdict.SAME:
            self._refuse(verdict, ring.version, known.ring.version)
        elif self._is_saving(known) and len(self._waiting) < WAITING_MAX:
            self._waiting.append(inbound)
            return
        self.acknowledge(inbound)

    def take_local(self, local: KeyRing | None) -> None:
        """The local file's trust store is another now."""
        self._put(_held(local, Source.LOCAL), self._remote)

    def look(self) -> None:
        """Each second: try again what the disk did not take, and warn of keys that expire."""
        idle = self._saving is None or self._saving.done()
        if self._accepted and idle and self._clock.monotonic_s() - self._tried_s >= RETRY_S:
            self._save()
        self._warn()

    # --- refused ----------------------------------------------------------------------------------------

    def _refuse_unsound(self, refusal: Unacceptable) -> None:
        """Why in the contract's word; in detail only where the root signed it."""
        is_signed = refusal.reception is Reception.INVALID_CONTENT
        text = f"{refusal.reception}: {refusal.text}" if is_signed else str(refusal.reception)
        self._tell_refused("unsound", EventKind.SECURITY, text, Severity.WARNING, refusal.text)

    def _refuse(self, verdict: Verdict, version: int, known: int) -> None:
        if verdict is Verdict.TAMPERED:
            text = f"version {version} came again with another body"
            self._tell_refused(verdict, EventKind.TAMPER, text, Severity.ALARM, text)
        else:
            text = f"version {version} is lower than {known}"
            self._tell_refused(verdict, EventKind.SECURITY, text, Severity.WARNING, text)

    def _tell_refused(self, name: str, kind: EventKind, text: str, severity: Severity, why: str) -> None:
        count = self._refusals[name].count(self._clock.monotonic_s())
        if count is not None:
            log.warning("trust store refused", why=why, count=count)
            self._events.event(kind, f"keys refused: {text}", severity, count=count)

    # --- taken ------------------------------------------------------------------------------------------

    def _kept(self, token: bytes | None) -> Held | None:
        """What an earlier run took from afar, if the root that is pinned now signed it."""
        if token is None or self.root is None:
            return None
        try:
            return Held(signed_keys(token, self.root, self._site), Source.REMOTE)
        except Unacceptable as refusal:
            log.warning("the trust store kept from afar does not count", why=refusal.text)
            text = f"the trust store kept from afar does not count any more: {refusal.reception}"
            self._events.event(EventKind.SECURITY, text, Severity.WARNING)
            return None

    def _is_saving(self, held: Held | None) -> bool:
        saving = self._saving is not None and not self._saving.done()
        return saving and self._accepted is not None and self._accepted[0] is held

    def _save(self) -> None:
        assert self._accepted
        held, token = self._accepted
        self._tried_s = self._clock.monotonic_s()
        self._saving = self._submit(PutMeta(KEPT, token))
        self._saving.add_done_callback(lambda saving: self._saved(held, saving))

    def _saved(self, held: Held, saving: asyncio.Future[tuple[int, ...]]) -> None:
        if saving.cancelled():
            return
        if error := saving.exception():
            if self._waiting:  # not each time that it is tried again
                log.error("trust store not saved, the former stays in force", error=str(error))
        else:
            if self._accepted and self._accepted[0] is held:
                self._accepted = None
            self._put(self._local, held)
        if saving is self._saving:
            waiting, self._waiting = self._waiting, []
            for inbound in waiting:
                self.acknowledge(inbound)

    def _put(self, local: Held | None, remote: Held | None) -> None:
        """These may count from now on; an event if another one does."""
        was = self.in_force
        self._local, self._remote = local, remote
        now = self.in_force
        if now and (was is None or _says(now) != _says(was)):
            text = f"trust store version {now.ring.version} in force: {_difference(was, now)}"
            log.info("trust store in force", version=now.ring.version, source=now.source)
            self._events.event(EventKind.SECURITY, text)

    # --- keys that expire -------------------------------------------------------------------------------

    def _warn(self) -> None:
        """Once a day while nobody may send instructions in two weeks; by a clock that is trusted."""
        ends = [k.not_after_utc_s for k in self.ring().trusted.values() if k.role == "dispatch"]
        if not ends or not self._clock.trusted:
            return
        utc_s, last_utc_s = self._clock.utc_s(), max(ends)
        if last_utc_s - utc_s > WARN_AHEAD_S or 0 <= utc_s - self._warned_utc_s < DAY_S:
            return
        self._warned_utc_s = utc_s
        self._submit(PutMeta(WARNED, str(utc_s).encode()))
        verb = "expire by" if last_utc_s > utc_s else "have expired, the last at"
        text = f"all dispatch keys {verb} {moment_of(last_utc_s)}"
        log.warning(text)
        self._events.event(EventKind.SECURITY, text, Severity.WARNING)


def _held(ring: KeyRing | None, source: Source) -> Held | None:
    return None if ring is None else Held(ring, source)


def _highest(*held: Held | None) -> Held | None:
    found = [one for one in held if one]
    return max(found, key=lambda one: (one.ring.version, one.source is Source.LOCAL), default=None)


def _says(held: Held) -> object:
    return held.ring.version, held.ring.trusted


def _difference(was: Held | None, now: Held) -> str:
    """What came, went and changed, by kids only."""
    before, after = was.ring.trusted if was else {}, now.ring.trusted
    parts = {
        "came": [kid for kid in after if kid not in before],
        "went": [kid for kid in before if kid not in after],
        "changed": [kid for kid in after if kid in before and after[kid] != before[kid]],
    }
    return "; ".join(f"{_listed(kids)} {what}" for what, kids in parts.items() if kids) or "the same keys"


def _listed(kids: list[str]) -> str:
    more = len(kids) - LISTED_MAX
    return ", ".join([*kids[:LISTED_MAX], f"{more} more"] if more > 0 else kids)
