"""The charge sessions of this home's cars: folded at each decision, kept on the disk for thirteen months.

An open one is saved when something happened to it and each quarter of an hour, at a pace that bounds what is
written in a day. One that ended is held until the disk has it and, if its clock was not trusted, until it
can be dated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import structlog

from gateway.core.charge_session import (
    ChargeSession,
    dated,
    is_dated,
    resumed,
)
from gateway.core.charge_watch import (
    Watch,
    abandoned,
    glance,
    watched,
)
from gateway.core.model import Asset, AssetClass, Plan, Snapshot
from gateway.core.reading import Anchor, Flowed
from gateway.daemon import codec
from gateway.daemon.charge_table import READ_MAX
from gateway.daemon.clock import Clock
from gateway.daemon.store import DropChargeSessions, PutChargeSession, Saved, SessionQuery, Store

log = structlog.get_logger()

RECORD = "chargeSession"
KEPT_S = 397 * 86_400.0  # thirteen months: twelve are always whole
SOON_S = 60.0  # between two savings, also where much happens
CALM_S = 900.0  # between two of an open session to which nothing happens
BYTES_PER_S = 12.0  # what savings average at most: 1 MB a day
WAITING_MAX = 64  # ended sessions that the disk has not, or that have no UTC yet


class Found(NamedTuple):
    """Some sessions by number; after which there may be more (None: there are none), and the numbers of those
    that cannot be read."""

    sessions: list[tuple[int, ChargeSession]]
    more_after: int | None
    unreadable: list[int]


@dataclass(slots=True, eq=False)
class _Kept:
    """A session under its number. `is_due`: something happened that the disk does not know."""

    number: int
    session: ChargeSession
    is_due: bool = True
    saved_s: float = field(default=float("-inf"))


class ChargeSessions:
    """All charge sessions of the home. `flowed` tells what has flowed at an asset in all."""

    def __init__(self, saved: Saved, store: Store, clock: Clock) -> None:
        self.flowed: Callable[[str], Flowed | None] = lambda _asset: None
        self.settled: Callable[[Asset], bool] = lambda _asset: True
        self._store = store
        self._clock = clock
        self._last = saved.last_session
        self._watches: dict[str, Watch] = {}
        self._open: dict[str, _Kept] = {}
        self._waiting: list[_Kept] = []
        self._saved_s, self._pace_s = float("-inf"), SOON_S
        for number, session in _decoded(saved.open_sessions.items()):
            self._take_up(number, session)

    def note(self, snapshot: Snapshot, plan: Plan) -> None:
        """What a decision knows of each car."""
        cars = {a.id: a for a in snapshot.assets if a.asset_class is AssetClass.EV}
        for asset in cars.values():
            in_force = plan if self.settled(asset) else Plan()  # before that nothing is asked of it
            if seen := glance(snapshot, in_force, asset, self.flowed(asset.id)):
                watch, ended = watched(self._watches.get(asset.id, Watch()), seen)
                self._watches[asset.id] = watch
                self._follow(asset.id, watch.session, ended)
        for gone in self._watches.keys() - cars.keys():
            watch = self._watches.pop(gone)
            self._follow(gone, None, watch.session and abandoned(watch.session))

    def keep(self, *, now: bool = False) -> None:
        """Save what is due, if the last saving is old enough, or `now`."""
        now_s = self._clock.monotonic_s()
        if not now and now_s - self._saved_s < self._pace_s:
            return
        self._date_waiting()
        due = [kept for kept in self._waiting if kept.is_due]
        for kept in self._open.values():
            calls = kept.is_due or now_s - kept.saved_s >= CALM_S
            if now or (calls and not kept.session.is_blink):
                due.append(kept)
        if due:
            self._date_open()
            self._save(due, now_s)

    def drop_old(self) -> None:
        """Forget what is older than thirteen months, while it is known how old it is."""
        if self._clock.trusted:
            self._store.submit(DropChargeSessions(self._clock.utc_s() - KEPT_S))

    async def find(self, query: SessionQuery) -> Found:
        """The sessions that are asked for, as they are now, also those that the disk does not know yet.

        Raises:
            StorageError: they cannot be read.
        """
        rows = await self._store.charge_sessions(query)
        self._date_waiting()
        self._date_open()
        alive = {kept.number: kept.session for kept in (*self._waiting, *self._open.values())}
        stored = dict(_decoded(rows))
        unreadable = [number for number, _ in rows if number not in stored and number not in alive]
        is_last = len(rows) < READ_MAX
        last = self._last if is_last else rows[-1][0]
        found = stored | {n: s for n, s in alive.items() if query.after < n <= last and _is_asked(query, s)}
        return Found(sorted(found.items(), key=lambda item: item[0]), None if is_last else last, unreadable)

    # --- parts ------------------------------------------------------------------------------------------

    def _take_up(self, number: int, session: ChargeSession) -> None:
        """A session that went on when the last life ended; of two on one charger the later one."""
        kept = _Kept(number, session, is_due=False)
        if was := self._open.pop(session.asset, None):
            self._wait(was, abandoned(was.session))
        self._open[session.asset] = kept
        self._watches[session.asset] = Watch(kept.session)

    def _follow(self, asset: str, session: ChargeSession | None, ended: ChargeSession | None) -> None:
        if ended and (was := self._open.pop(asset, None)):
            self._wait(was, ended)
        if session is None:
            return
        kept = self._open.get(asset)
        if kept is None:
            self._last += 1
            self._open[asset] = _Kept(self._last, session)
            return
        kept.is_due |= _events(kept.session) != _events(session)
        kept.session = session

    def _wait(self, kept: _Kept, ended: ChargeSession) -> None:
        if ended.is_blink and kept.saved_s == float("-inf"):
            self._last -= kept.number == self._last
            return
        kept.session, kept.is_due = ended, True
        self._waiting.append(kept)
        if len(self._waiting) > WAITING_MAX:
            log.error("a charge session is lost: the disk takes none", number=self._waiting.pop(0).number)

    @property
    def _anchor(self) -> Anchor:
        return Anchor(self._clock.monotonic_s(), self._clock.utc_s(), self._clock.trusted)

    def _date_waiting(self) -> None:
        """What ended keeps its dates, once it has them."""
        for kept in self._waiting:
            if not is_dated(kept.session):
                kept.session = dated(kept.session, self._anchor)
                kept.is_due |= is_dated(kept.session)

    def _date_open(self) -> None:
        for asset, kept in self._open.items():
            kept.session = dated(kept.session, self._anchor)
            self._watches[asset] = Watch(kept.session)

    def _save(self, due: list[_Kept], now_s: float) -> None:
        changes = [_change(kept) for kept in due]
        for kept in due:
            kept.is_due, kept.saved_s = False, now_s
        self._saved_s = now_s
        written = sum(len(change.blob) for change in changes)
        self._pace_s = min(CALM_S, max(SOON_S, written / BYTES_PER_S))
        self._store.submit(*changes).add_done_callback(partial(self._answered, due))

    def _answered(self, due: list[_Kept], saving: asyncio.Future[tuple[int, ...]]) -> None:
        if saving.cancelled() or saving.exception():
            for kept in due:
                kept.is_due = True
            return
        self._waiting = [k for k in self._waiting if k not in due or k.is_due or not is_dated(k.session)]


def _events(session: ChargeSession) -> tuple[object, ...]:
    """What of a session is worth a saving of its own: all but that energy flows and time goes by."""
    starts_and_stops = tuple(each.stop is None for each in session.charging)
    return starts_and_stops, len(session.rates), session.left_out, len(session.unseen)


def _change(kept: _Kept) -> PutChargeSession:
    session = resumed(kept.session)
    blob = codec.pack([codec.encode(RECORD, session)])
    begin_utc_s, last_utc_s = session.begin.utc_s, session.last.utc_s
    return PutChargeSession(kept.number, session.asset, begin_utc_s, last_utc_s, session.end is None, blob)


def _decoded(rows: Iterable[tuple[int, bytes]]) -> Iterable[tuple[int, ChargeSession]]:
    for number, blob in rows:
        try:
            (record,) = codec.unpack(blob)
            yield number, codec.decode(RECORD, record)
        except (codec.Unreadable, ValueError) as error:
            log.error("a stored charge session cannot be read", number=number, error=str(error))


def _is_asked(query: SessionQuery, session: ChargeSession) -> bool:
    begin, last = session.begin.utc_s, session.last.utc_s
    return (
        query.asset in (None, session.asset)
        and (query.since_utc_s is None or last is None or last >= query.since_utc_s)
        and (query.until_utc_s is None or begin is None or begin < query.until_utc_s)
    )
