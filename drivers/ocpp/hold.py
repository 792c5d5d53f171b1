"""Keeps a session at what is wanted: when a lease is laid, renewed or taken out, and what is told of it.

Level-triggered: each turn compares what is wanted with what the charger accepted last.
"""

from __future__ import annotations

import math

from drivers.base import Applied, DeviceEvent, DevicePort, Proof, Refused, Want
from drivers.ocpp.calls import NO_SUCH_CALL
from drivers.ocpp.connection import Lost, Negative, NoAnswer, Superseded
from drivers.ocpp.held import PAUSE, Held, Refusal
from drivers.ocpp.learned import Session
from drivers.ocpp.lease import Aim, Leases
from drivers.ocpp.pace import Pace
from drivers.ocpp.profile import Limit, Profile
from drivers.ocpp.resume import Help, Resume
from drivers.ocpp.settings import Settings, ability
from drivers.ocpp.station import DRAWS_W, Station
from drivers.ocpp.told_time import MOVED_S

RENEW_AT = 2 / 3  # of a lease
TRIES_MAX = 3  # of what is answered with an error; of what is not answered those that go at once
DEAF_AFTER = 2  # limits in a row that were not answered, by a charger that speaks
SUPERSEDED_S = 0.05  # what was wanted went while it waited for its turn: decide anew
REFUSED_FOR_S = 600.0  # no new search for a way to say it meanwhile
_OVER_SHARE, _OVER_W = 1.05, 100.0


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
        self._held: Held | None = None
        self._resume: Resume | None = None
        self._aimed: Want | None = None
        self._lead_s: float | None = None  # of the charger's clock, when a lease was last said
        self._refusal: Refusal | None = None
        self._failures = 0
        self._clock_due_s = -math.inf  # until then a message may show the charger's clock
        self._unanswered = ""  # why limits were refused that nobody declined
        self._retry: tuple[int, float] = (0, -math.inf)  # serial, and when it may be tried again
        self._told_over = False

    def forget(self) -> None:
        """The charger started anew: what it holds is not known."""
        self._held = self._refusal = None
        self._try_at_once()

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
        if (wait_s := self._wait_s(want, session)) > 0:
            if session and self._failures >= TRIES_MAX:
                self._tell_unanswered(want)
            return wait_s
        if session is None:
            self._held = self._resume = None
            self._try_at_once()
            self._answer(want, Proof.WRITTEN)  # nothing is drawn; a session begins under the limit
            return math.inf
        try:
            return await self._tend(want, session)
        except Superseded:
            return SUPERSEDED_S
        except Lost:
            return self._later()
        except NoAnswer as error:
            return self._not_answered(self._aimed or want, error)
        except Refused as error:
            return self._refused(session, error)

    # --- when -----------------------------------------------------------------------------------------

    def _wait_s(self, want: Want, session: Session | None) -> float:
        """How long to wait for what must be known first, or before what failed is tried again."""
        is_later = self._retry[0] == want.serial or self._failures >= TRIES_MAX
        waits_s = [self._retry[1]] if session is not None and is_later else [-math.inf]
        if session is None and not self._station.is_known:
            waits_s.append(self._began_s + self._pace.known_s)
        if session is not None and session.id is None:
            waits_s.append(session.since_s + self._pace.adopt_s)
        return max(waits_s) - self._port.monotonic()

    async def _tend(self, want: Want, session: Session) -> float:
        now_s, held, limit = self._port.monotonic(), self._of(session), self._target(want, session)
        refusal = self._refusal
        if refusal and refusal.stands(session, limit, now_s):
            self._refuse(want, refusal.why)
            return refusal.until_s - now_s
        is_new = self._answered is None or self._answered[0] != want.serial
        wait_s = 0.0
        if held and held.limit == limit and not self._is_due(held, is_new=is_new):
            if is_new:
                self._answer(want, held.proof)
            self._watch_power(held)
            wait_s = min(self._renewal_s(held, want), await self._help(held))
        if wait_s <= 0 and limit is not None:
            wait_s = await self._clock_wait_s()
        if wait_s <= 0:
            await self._write(session, held, limit)
        return max(0.0, wait_s)

    async def _clock_wait_s(self) -> float:
        """How long to wait for what shows the charger's clock, by which a lease ends: once, where it was
        never shown."""
        if (
            not self._station.time.is_known
            and self._station.time.may_ask()
            and await self._leases.ask_clock()
        ):
            self._clock_due_s = self._port.monotonic() + self._pace.clock_s
        return 0.0 if self._station.time.is_known else self._clock_due_s - self._port.monotonic()

    def _is_due(self, held: Held, *, is_new: bool) -> bool:
        """Whether the limit that lies there is to be said again at once."""
        return held.limit is not None and (is_new or self._clock_moved(held))

    def _clock_moved(self, held: Held) -> bool:
        """Whether the end of a lease was said by another clock than the charger has: it was not known
        yet, or was set."""
        lead_s = self._station.time.lead_s
        return lead_s is not None and held.lead_s is not None and abs(lead_s - held.lead_s) > MOVED_S

    def _renewal_s(self, held: Held, want: Want) -> float:
        """Until our own lease over a low fail-safe is renewed; that of a want is by the next want."""
        if want.at_most_w is not None or held.limit is None:
            return math.inf
        return held.at_s + RENEW_AT * self._settings.lease_s - self._port.monotonic()

    async def _help(self, held: Held) -> float:
        """Help a session that draws nothing after a pause; 0: by saying the limit again."""
        resume, station, now_s = self._resume, self._station, self._port.monotonic()
        if resume is None:
            return math.inf
        draws = station.metered_s > resume.since_s and (station.power_w or 0.0) > DRAWS_W
        due_s, need = resume.due(draws, can_repeat=held.limit is not None)
        if now_s < due_s:
            return due_s - now_s
        if need is Help.PAUSE:
            resume.pause(now_s)
            await self._leases.lay(held.session, self._only_in(held.session, PAUSE))
        elif need is not Help.AGAIN:
            self._resume = None
            if need is Help.NO_MORE:
                self._station.notes.tell_once(
                    "carNotTaking", "the car takes no current after a pause", "info"
                )
            return math.inf
        return 0.0

    def _watch_power(self, held: Held) -> None:
        """Tell of a charger that draws more than it accepted, once for each limit."""
        station, limit = self._station, held.limit
        had_its_time = station.metered_s >= held.since_s + self._pace.follow_s
        if limit is None or self._told_over or not had_its_time:
            return
        if (station.power_w or 0.0) > limit.power_w * _OVER_SHARE + _OVER_W:
            self._told_over = True
            text = f"the charger draws {station.power_w:.0f} W above a limit that it accepted"
            self._port.report(DeviceEvent("notFollowing", text, "warning"))

    # --- what -----------------------------------------------------------------------------------------

    def _target(self, want: Want, session: Session | None) -> Limit | None:
        """What is to lie over a session; None: nothing, the fail-safe is its owner's will.

        Over a fail-safe that is low the owner's will is the full rating, as long as we are there to renew
        it; a session without an id has only the fail-safe, as defaults wear the charger's memory.
        """
        wiring = self._settings.wiring
        if want.at_most_w is None:
            can_rise = session is None or session.id is not None
            return wiring.most if can_rise and self._settings.failsafe.a10 < wiring.most.a10 else None
        level_w = self._ability.at_or_below(want.at_most_w) or 0
        seen = session.phases if session and session.phases else self._station.notes.phases_seen
        return wiring.at_most(level_w, seen)

    def _aim(self) -> tuple[Session, Limit] | None:
        """What is wanted when a message goes out, which may be later than when it was decided on."""
        want, session = self._port.latest(), self._station.session
        limit = self._target(want, session) if want and session else None
        if session is None or limit is None:
            return None
        self._aimed = want
        return session, limit

    async def _write(self, session: Session, held: Held | None, limit: Limit | None) -> None:
        """Bring the charger to what is wanted, and tell how that is known."""
        now_s = self._port.monotonic()
        self._aimed = self._port.latest()
        self._lead_s = self._station.time.lead_s
        if limit is None:
            proof = await self._give_back(session, held)
        else:
            await self._leases.lay(session, self._aim)
            limit = self._target(self._aimed, session) if self._aimed else limit
            is_renewal = held is not None and held.limit == limit
            proof = held.proof if held and is_renewal else await self._proof(limit)
        self._note(session, held, limit, proof, now_s)
        if self._aimed:
            self._answer(self._aimed, proof)

    def _note(
        self, session: Session, held: Held | None, limit: Limit | None, proof: Proof, now_s: float
    ) -> None:
        self._refusal = None
        self._try_at_once()
        self._station.paused_by_us = limit == PAUSE
        if held is not None and held.limit == limit:
            self._held = Held(session, limit, proof, now_s, held.since_s, self._lead_s)
            if self._resume:
                self._resume.said_again = True
            return
        self._held, self._told_over = Held(session, limit, proof, now_s, now_s, self._lead_s), False
        ends_pause = held is not None and held.limit == PAUSE and limit != PAUSE
        self._resume = Resume(now_s, self._pace) if ends_pause else None

    async def _give_back(self, session: Session, held: Held | None) -> Proof:
        """Take our lease out; where it stays, one goes over it that takes nothing from its owner."""
        try:
            await self._leases.take_out(session)
            in_force = await self._leases.in_force()
        except Negative:
            stays, in_force = True, None
        else:
            ours, owners = held.limit if held else None, self._settings.failsafe
            stays = in_force is not None and ours is not None and in_force.a10 <= ours.a10 < owners.a10
        if stays:
            await self._leases.lay(session, self._only_in(session, self._settings.wiring.most))
            return Proof.WRITTEN
        is_free = in_force is not None and in_force.a10 >= self._settings.failsafe.a10
        return Proof.READ_BACK if is_free else Proof.WRITTEN

    def _only_in(self, session: Session, limit: Limit) -> Aim:
        def aim() -> tuple[Session, Limit] | None:
            running = self._station.session
            return (running, limit) if running and running.since_s == session.since_s else None

        return aim

    async def _proof(self, limit: Limit | None) -> Proof:
        """Read back, where the charger tells what is in force."""
        in_force = await self._leases.in_force()
        shows_it = in_force is not None and limit is not None and in_force.a10 <= limit.a10
        return Proof.READ_BACK if shows_it else Proof.WRITTEN

    def _of(self, session: Session) -> Held | None:
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

    def _try_at_once(self) -> None:
        self._failures, self._retry, self._unanswered = 0, (0, -math.inf), ""

    def _not_answered(self, want: Want, error: NoAnswer) -> float:
        """It is not followed, and nobody said no: it is told, and tried again, ever later.

        Where limits were taken before, a new connection may help, where the last one was long ago.
        """
        wait_s = self._later()
        self._unanswered = f"a limit cannot be set: {error}; it is tried again"
        self._tell_unanswered(want)
        if self._failures == DEAF_AFTER:
            self._station.notes.tell_once("limitUnanswered", self._unanswered, "warning")
            if self._leases.were_taken and self._station.notes.may_hang_up():
                self._leases.hang_up()
        return wait_s

    def _tell_unanswered(self, want: Want) -> None:
        if want.at_most_w is not None:  # what is to be given back ends by itself
            self._refuse(want, self._unanswered)

    def _later(self) -> float:
        """No answer is nobody's no: the same again, ever later; a newer want goes at once, a few times."""
        self._failures += 1
        wait_s = self._pace.retry_s * 2.0 ** min(self._failures - 1, 5)
        want = self._aimed or self._port.latest()
        self._retry = (want.serial if want else 0, self._port.monotonic() + wait_s)
        return 0.0

    def _refused(self, session: Session, error: Refused) -> float:
        is_transient = isinstance(error, Negative) and error.code not in NO_SUCH_CALL
        if is_transient and self._failures < TRIES_MAX - 1:
            return self._later()
        now_s, want = self._port.monotonic(), self._aimed or self._port.latest()
        self._failures = 0
        self._station.notes.tell_once("monitorOnly", f"a limit cannot be set: {error}")
        if want is None:
            return 0.0
        limit = self._target(want, session)
        if want.at_most_w is None:  # nothing of ours is in the way of the fail-safe, or not for long
            self._held = Held(session, limit, Proof.WRITTEN, now_s, now_s)
            self._answer(want, Proof.WRITTEN)
            return 0.0
        self._held = None
        self._refusal = Refusal(session, limit == PAUSE, now_s + REFUSED_FOR_S, str(error))
        self._refuse(want, str(error))
        return 0.0
