"""Keeps a session at what is wanted: when a lease is laid, renewed or taken out, and what is told of it.

Level-triggered: each turn compares what is wanted with what the charger accepted last.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from drivers.base import Applied, DeviceEvent, DevicePort, Proof, Refused, Want
from drivers.ocpp.calls import NO_SUCH_CALL
from drivers.ocpp.connection import Negative, NoAnswer, Superseded
from drivers.ocpp.lease import Aim, Leases
from drivers.ocpp.pace import Pace
from drivers.ocpp.profile import Limit, Profile
from drivers.ocpp.settings import Settings, ability
from drivers.ocpp.station import DRAWS_W, Session, Station

RENEW_AT = 2 / 3  # of a lease
TRIES_MAX = 3  # of what is answered with an error
SUPERSEDED_S = 0.05  # what was wanted went while it waited for its turn: decide anew
REFUSED_FOR_S = 600.0  # no new search for a way to say it meanwhile
_OVER_SHARE, _OVER_W = 1.05, 100.0


@dataclass(frozen=True, slots=True)
class _Held:
    """What the charger accepted last. Limit None: nothing of ours lies over the session."""

    session: Session
    limit: Limit | None
    proof: Proof
    at_s: float
    since_s: float  # of this limit


@dataclass(slots=True)
class _Resume:
    """A session that is to draw again after a pause."""

    since_s: float
    said_again: bool = False
    kicked: bool = False


class Hold:
    """The set-points of one connection."""

    def __init__(
        self, settings: Settings, port: DevicePort, station: Station, leases: Leases, pace: Pace
    ) -> None:
        self._settings = settings
        self._ability = ability(settings)
        self._port = port
        self._station = station
        self._leases = leases
        self._pace = pace
        self._began_s = port.monotonic()
        self._answered: tuple[int, bool] | None = None  # serial, and whether it is held
        self._held: _Held | None = None
        self._resume: _Resume | None = None
        self._kick = False
        self._aimed: Want | None = None
        self._refusal: tuple[Session, float, str] | None = None
        self._failures = 0
        self._retry_s = -math.inf
        self._told_over = False

    def forget(self) -> None:
        """The charger started anew: what it holds is not known."""
        self._held = self._refusal = None

    def first_profile(self) -> Profile | None:
        """What a session is to begin under, for chargers that take it with the start."""
        want = self._port.latest()
        limit = self._target(want, None) if want else None
        return self._leases.for_start(limit) if limit else None

    async def turn(self) -> float:
        """Do what is due; seconds until something may be due again."""
        want, session = self._port.latest(), self._station.session
        if want is None:
            return math.inf
        if (wait_s := self._wait_s(session)) > 0:
            return wait_s
        if session is None:
            self._held = self._resume = None
            self._answer(want, Proof.WRITTEN)  # nothing is drawn; a session begins under the limit
            return math.inf
        try:
            return await self._tend(want, session)
        except Superseded:
            return SUPERSEDED_S
        except NoAnswer:
            return self._later()
        except Refused as error:
            return self._refused(session, error)

    # --- when -----------------------------------------------------------------------------------------

    def _wait_s(self, session: Session | None) -> float:
        """How long to wait for what must be known first."""
        waits_s = [self._retry_s]
        if session is None and not self._station.is_known:
            waits_s.append(self._began_s + self._pace.known_s)
        if session is not None and session.id is None:
            waits_s.append(session.since_s + self._pace.adopt_s)
        return max(waits_s) - self._port.monotonic()

    async def _tend(self, want: Want, session: Session) -> float:
        held, limit = self._of(session), self._target(want, session)
        is_new = self._answered is None or self._answered[0] != want.serial
        if limit is not None and self._refusal and (wait_s := self._refused_s(session)) > 0:
            self._refuse(want, self._refusal[2])
            return wait_s
        if held is None or held.limit != limit:
            wait_s = self._rise_wait_s(held, limit)
        elif is_new and limit is not None:
            wait_s = 0.0
        else:
            if is_new:
                self._answer(want, held.proof)
            wait_s = self._upkeep_s(held, want)
        if wait_s <= 0:
            await self._write(session, held, limit)
            return 0.0
        return wait_s

    def _rise_wait_s(self, held: _Held | None, limit: Limit | None) -> float:
        """What is left until a higher limit may follow; down, and back to the owner, goes at once."""
        if held is None or held.limit is None or limit is None or limit.a10 <= held.limit.a10:
            return 0.0
        return held.at_s + self._pace.change_s - self._port.monotonic()

    def _upkeep_s(self, held: _Held, want: Want) -> float:
        """Until what is held must be said again: to renew our own lease, or for a session that rests."""
        now_s = self._port.monotonic()
        dues_s = [self._resume_s(held)]
        if want.at_most_w is None and held.limit is not None:
            dues_s.append(held.at_s + RENEW_AT * self._settings.lease_s)
        if held.limit is not None and not self._told_over:
            over_s = held.since_s + self._pace.follow_s
            dues_s += [over_s] if now_s < over_s else []
            self._watch_power(held, now_s >= over_s)
        return min(dues_s) - now_s

    def _resume_s(self, held: _Held) -> float:
        """When to help a session that draws nothing after a pause: the limit again, then 0 and the limit."""
        resume, station = self._resume, self._station
        if resume is None:
            return math.inf
        if station.metered_s > resume.since_s and (station.power_w or 0.0) > DRAWS_W:
            self._resume = None
            return math.inf
        now_s = self._port.monotonic()
        if not resume.said_again and held.limit is not None:
            return resume.since_s + self._pace.again_s
        due_s = resume.since_s + self._pace.resume_s
        if now_s < due_s:
            return due_s
        if resume.kicked:
            self._resume = None
            self._station.tell_once("carNotTaking", "the car takes no current after a pause", "info")
            return math.inf
        self._kick = True
        return -math.inf

    def _watch_power(self, held: _Held, had_its_time: bool) -> None:
        station, limit = self._station, held.limit
        over_w = (limit.power_w * _OVER_SHARE + _OVER_W) if limit else math.inf
        if not had_its_time or station.metered_s < held.since_s + self._pace.follow_s:
            return
        if (station.power_w or 0.0) > over_w:
            self._told_over = True
            text = f"the charger draws {station.power_w:.0f} W above a limit that it accepted"
            self._port.report(DeviceEvent("notFollowing", text, "warning"))

    # --- what -----------------------------------------------------------------------------------------

    def _target(self, want: Want, session: Session | None) -> Limit | None:
        """What is to lie over a session; None: nothing, the fail-safe is its owner's will."""
        wiring = self._settings.wiring
        if want.at_most_w is None:
            return wiring.most if self._settings.failsafe.a10 < wiring.most.a10 else None
        level_w = self._ability.at_or_below(want.at_most_w) or 0
        return wiring.at_most(level_w, session.phases if session else None)

    def _aim(self) -> tuple[Session, Limit] | None:
        """What is wanted when a message goes out, which may be later than when it was decided on."""
        want, session = self._port.latest(), self._station.session
        limit = self._target(want, session) if want and session else None
        if session is None or limit is None:
            return None
        self._aimed = want
        return session, limit

    async def _write(self, session: Session, held: _Held | None, limit: Limit | None) -> None:
        """Bring the charger to what is wanted, and tell how that is known."""
        now_s, resume = self._port.monotonic(), self._resume
        if self._kick and resume:
            await self._pause_once(session, resume)
        self._aimed = self._port.latest()
        if limit is None:
            await self._give_back(session)
        else:
            await self._leases.lay(session, self._aim)
            limit = self._target(self._aimed, session) if self._aimed else limit
        is_same = held is not None and held.limit == limit
        proof = held.proof if held and is_same else await self._proof(limit, held)
        since_s = held.since_s if held and is_same else now_s
        self._held = _Held(session, limit, proof, now_s, since_s)
        self._failures, self._refusal = 0, None
        if is_same and resume:
            resume.said_again = True
        if not is_same:
            self._told_over = False
            self._resume = _Resume(now_s) if _is_pause(held) and not _is_pause(self._held) else None
        if self._aimed:
            self._answer(self._aimed, proof)

    async def _pause_once(self, session: Session, resume: _Resume) -> None:
        """Some cars that slept through a pause wake when a second one ends."""
        self._kick = False
        resume.kicked, resume.since_s = True, self._port.monotonic()
        await self._leases.lay(session, self._only_in(session, Limit(0, 0)))

    async def _give_back(self, session: Session) -> None:
        """Take our lease out; a charger that cannot gets one that takes nothing from its owner."""
        try:
            await self._leases.take_out(session)
        except Negative:
            await self._leases.lay(session, self._only_in(session, self._settings.wiring.most))

    def _only_in(self, session: Session, limit: Limit) -> Aim:
        def aim() -> tuple[Session, Limit] | None:
            running = self._station.session
            return (running, limit) if running and running.since_s == session.since_s else None

        return aim

    async def _proof(self, limit: Limit | None, held: _Held | None) -> Proof:
        """Read back, where the charger tells what is in force."""
        in_force = await self._leases.in_force()
        if in_force is None:
            return Proof.WRITTEN
        if limit is not None:
            return Proof.READ_BACK if in_force.a10 <= limit.a10 else Proof.WRITTEN
        least = self._settings.failsafe.a10
        return Proof.READ_BACK if in_force.a10 >= least else Proof.WRITTEN

    def _of(self, session: Session) -> _Held | None:
        held = self._held
        is_same = held and (held.session.id, held.session.since_s) == (session.id, session.since_s)
        return held if is_same else None

    # --- what is told ---------------------------------------------------------------------------------

    def _answer(self, want: Want, proof: Proof) -> None:
        if self._answered != (want.serial, True):
            self._answered = want.serial, True
            self._port.applied(Applied(want, proof))

    def _refuse(self, want: Want, why: str) -> None:
        if self._answered != (want.serial, False):
            self._answered = want.serial, False
            self._port.refused(want, why)

    def _later(self) -> float:
        """No answer is nobody's no: the same again, ever later."""
        self._failures += 1
        wait_s = self._pace.retry_s * 2.0 ** min(self._failures - 1, 5)
        self._retry_s = self._port.monotonic() + wait_s
        return wait_s

    def _refused(self, session: Session, error: Refused) -> float:
        is_transient = isinstance(error, Negative) and error.code not in NO_SUCH_CALL
        if is_transient and self._failures < TRIES_MAX - 1:
            return self._later()
        self._failures = 0
        until_s = self._port.monotonic() + REFUSED_FOR_S
        self._refusal = session, until_s, str(error)
        self._held = None
        self._station.tell_once("monitorOnly", f"no limit can be set: {error}")
        if want := self._aimed or self._port.latest():
            self._refuse(want, str(error))
        return 0.0

    def _refused_s(self, session: Session) -> float:
        """How much longer this session's charger is not asked again."""
        if self._refusal is None or self._refusal[0].since_s != session.since_s:
            return 0.0
        return self._refusal[1] - self._port.monotonic()


def _is_pause(held: _Held | None) -> bool:
    return held is not None and held.limit is not None and held.limit.a10 == 0
