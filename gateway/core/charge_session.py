"""Charge sessions: from a car's plug-in until it is unplugged, when it charged, with what, and why.

`watched` folds what each decision knows into the session that goes on. Moments are taken by the monotonic
clock and `dated` once UTC is trusted; one that never could be stays without a date, and what nobody saw is
told as such.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from gateway.core.change import changed
from gateway.core.model import Asset, Governor, Plan, Reason, Setpoint, Snapshot
from gateway.core.reading import HOLD_S, Anchor, Flowed
from gateway.core.track import COARSEST_WS

CHARGES_W = 200.0  # a charger and a sleeping car draw less, the least charge of 6 A draws more
GAP_S = 120.0  # unseen for longer is told; a charger's readings may be a minute apart
UNSEEN_S = 3600.0  # in which one car may have gone and another come
QUIET_S = (
    8 * 3600.0
)  # where nothing tells of the plug: longer than a schedule's pause, shorter than a day out
BLINK_S = 60.0  # a plug that bounced: shorter without any charge is no session
DRAWS_MOST = 1.1  # times the nominal power; what would be more is a register that began anew
RATES_MAX, CHARGES_MAX, UNSEEN_MAX = 96, 32, 16  # of one session
TEXT_MAX = 120
INSTRUCTIONS_MAX = 4  # named with one rate

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Moment:
    """By the clock of this life (None: of an earlier one), and in UTC (None: not known, or not yet)."""

    at_s: float | None
    utc_s: float | None = None


@dataclass(frozen=True, slots=True)
class Rate:
    """What the car was let draw from a moment on (W; None: as much as it likes, or `raised`), and why."""

    at: Moment
    at_most_w: int | None
    raised: bool
    governor: Governor
    reason: Reason
    text: str
    instructions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Charging:
    """The car drew power from `start` to `stop`; None: it does."""

    start: Moment
    stop: Moment | None = None


@dataclass(frozen=True, slots=True)
class Unseen:
    """What happened meanwhile nobody saw: the hub was off, or its charger did not answer."""

    since: Moment
    until: Moment


@dataclass(frozen=True, slots=True)
class ChargeSession:
    """One car at one charger. `energy_ws`: what it took; None: nothing measures it. `last`: when it was last
    seen. Not `begin_seen`: it may have come earlier; not `end_seen`: it may have left later. `left_out`:
    rates, spells of charging and unseen times that had no room: the oldest but the first one."""

    asset: str
    begin: Moment
    last: Moment
    begin_seen: bool
    end: Moment | None = None
    end_seen: bool = True
    charging: tuple[Charging, ...] = ()
    rates: tuple[Rate, ...] = ()
    unseen: tuple[Unseen, ...] = ()
    energy_ws: float | None = None
    flowed: Flowed | None = None  # through the asset's meter, when the energy was last counted
    left_out: int = 0

    @property
    def charges(self) -> bool:
        """Whether it draws power now."""
        return bool(self.charging) and self.charging[-1].stop is None

    @property
    def is_blink(self) -> bool:
        """Whether it is too short to be one."""
        began_s, seen_s = self.begin.at_s, self.last.at_s
        is_short = began_s is not None and seen_s is not None and seen_s - began_s < BLINK_S
        return is_short and not self.charging


@dataclass(frozen=True, slots=True)
class Watch:
    """One charger: the session that goes on, or when it was last seen without a car."""

    session: ChargeSession | None = None
    free_s: float | None = None


@dataclass(frozen=True, slots=True)
class Glance:
    """One look at a charger. None is what it does not tell. `flowed`: through the asset's meter in all."""

    asset: str
    at_s: float
    utc_s: float | None
    nominal_w: int
    plugged: bool | None
    charges: bool | None
    rate: Rate | None
    flowed: Flowed | None
    tells_plug: bool

    @property
    def moment(self) -> Moment:
        """When it was."""
        return Moment(self.at_s)


def glance(snapshot: Snapshot, plan: Plan, asset: Asset, flowed: Flowed | None) -> Glance | None:
    """What a decision knows of an asset's charger; None: it does not answer. `flowed` through its meter is
    None where nothing tells its power: then its register alone counts."""
    state, setpoint = snapshot.state(asset.id), plan.setpoint(asset.id)
    is_there = state.online or asset.control is None
    if not is_there or (state.connected is None and state.power_w is None):
        return None
    return Glance(
        asset=asset.id,
        at_s=snapshot.now_s,
        utc_s=snapshot.utc_s if snapshot.clock_trusted else None,
        nominal_w=asset.nominal_w,
        plugged=state.connected.value > 0.5 if state.connected else None,
        charges=state.power_w.value > CHARGES_W if state.power_w else None,
        rate=_rate(snapshot, plan, setpoint) if setpoint else None,
        flowed=flowed or (Flowed(state.import_ws.value, by_register=True) if state.import_ws else None),
        tells_plug="connected" in asset.sources,
    )


def watched(was: Watch, seen: Glance) -> tuple[Watch, ChargeSession | None]:
    """What is known after one more look, and the session that is over by it."""
    session = was.session
    if session is None:
        return _begun(was, seen), None
    gap_s = _since_s(session.last, seen)
    if gap_s is not None and gap_s > UNSEEN_S:
        return _begun(Watch(), seen), abandoned(session)
    is_gap = session.last.at_s is None or (gap_s or 0.0) > GAP_S
    if is_gap:
        session = _with_gap(session, seen)
    session = _counted(session, seen, gap_s)
    if seen.plugged is False:
        ended = abandoned(session) if is_gap else _ended(session, seen.moment, is_seen=True)
        return Watch(free_s=seen.at_s), ended
    session = replace(_rated(_charging(session, seen, is_gap), seen), last=seen.moment)
    if not seen.tells_plug and (left := _left_quietly(session, seen)):
        return Watch(), left
    return Watch(session), None


def abandoned(session: ChargeSession) -> ChargeSession:
    """The session of a car that nobody sees any more: it is told as over when it was last seen."""
    return _ended(session, session.last, is_seen=False)


def dated(session: ChargeSession, anchor: Anchor) -> ChargeSession:
    """The session with the UTC of all moments of this life, while the clock is trusted.

    A clock that is set in between moves them all alike: they stay in order and as far apart as they were.
    """
    if not anchor.trusted:
        return session
    return _each_moment(session, lambda m: m if m.at_s is None else Moment(m.at_s, anchor.utc(m.at_s)))


def is_dated(session: ChargeSession) -> bool:
    """Whether each of its moments has its UTC, or never will."""
    return all(moment.utc_s is not None or moment.at_s is None for moment in _moments(session))


def resumed(session: ChargeSession) -> ChargeSession:
    """The session as another life of the hub takes it up: this life's clock means nothing there."""
    return _each_moment(session, lambda m: Moment(None, m.utc_s))


# --- what one look changes ----------------------------------------------------------------------------------


def _begun(was: Watch, seen: Glance) -> Watch:
    is_there = seen.charges if seen.plugged is None else seen.plugged
    if not is_there:
        return Watch(free_s=seen.at_s if seen.plugged is False else None)
    was_free = was.free_s is not None and seen.at_s - was.free_s <= GAP_S
    session = ChargeSession(seen.asset, seen.moment, seen.moment, begin_seen=was_free)
    return Watch(_rated(_charging(_counted(session, seen, 0.0), seen, is_gap=False), seen))


def _ended(session: ChargeSession, at: Moment, *, is_seen: bool) -> ChargeSession:
    session = _stopped(session, at)
    return replace(session, end=at, last=at, end_seen=is_seen)


def _left_quietly(session: ChargeSession, seen: Glance) -> ChargeSession | None:
    """Where nothing tells of the plug: a car that has long not charged is told as gone when it stopped."""
    stopped = session.charging[-1].stop if session.charging else session.begin
    if stopped is None or (_since_s(stopped, seen) or 0.0) < QUIET_S:
        return None
    return _ended(session, stopped, is_seen=False)


def _since_s(moment: Moment, seen: Glance) -> float | None:
    """How long ago it was; None: nobody knows."""
    if moment.at_s is not None:
        return seen.at_s - moment.at_s
    if moment.utc_s is None or seen.utc_s is None or seen.utc_s < moment.utc_s:
        return None
    return seen.utc_s - moment.utc_s


def _with_gap(session: ChargeSession, seen: Glance) -> ChargeSession:
    unseen, left_out = _bounded((*session.unseen, Unseen(session.last, seen.moment)), UNSEEN_MAX)
    return replace(session, unseen=unseen, left_out=session.left_out + left_out)


def _counted(session: ChargeSession, seen: Glance, gap_s: float | None) -> ChargeSession:
    """With the energy since the last look. A meter that began anew is counted from there on."""
    if seen.flowed is None:
        return session
    energy_ws, was = session.energy_ws or 0.0, session.flowed
    if was and was.by_register is seen.flowed.by_register:
        step_ws = seen.flowed.energy_ws - was.energy_ws
        most_ws = DRAWS_MOST * seen.nominal_w * (UNSEEN_S if gap_s is None else gap_s) + COARSEST_WS
        least_ws = -min(energy_ws, seen.nominal_w * HOLD_S)  # what was reckoned ahead of the register
        energy_ws += step_ws if least_ws <= step_ws <= most_ws else 0.0
    return changed(session, energy_ws=energy_ws, flowed=seen.flowed)


def _charging(session: ChargeSession, seen: Glance, is_gap: bool) -> ChargeSession:
    if seen.charges is None or seen.charges is session.charges:
        return session
    if not seen.charges:
        return _stopped(session, session.last if is_gap else seen.moment)
    charging, left_out = _bounded((*session.charging, Charging(seen.moment)), CHARGES_MAX)
    return replace(session, charging=charging, left_out=session.left_out + left_out)


def _stopped(session: ChargeSession, at: Moment) -> ChargeSession:
    if not session.charges:
        return session
    return replace(session, charging=(*session.charging[:-1], replace(session.charging[-1], stop=at)))


def _rated(session: ChargeSession, seen: Glance) -> ChargeSession:
    """With one more rate, where it is another. Words alone are none: they count down."""
    if seen.rate is None:
        return session
    if session.rates and _gist(session.rates[-1]) == _gist(seen.rate):
        return session
    rates, left_out = _bounded((*session.rates, seen.rate), RATES_MAX)
    return replace(session, rates=rates, left_out=session.left_out + left_out)


# --- parts --------------------------------------------------------------------------------------------------


def _rate(snapshot: Snapshot, plan: Plan, setpoint: Setpoint) -> Rate:
    mine = (given.instruction for given in plan.given if given.asset == setpoint.asset and given.governs)
    return Rate(
        at=Moment(snapshot.now_s),
        at_most_w=setpoint.at_most_w,
        raised=setpoint.raised,
        governor=setpoint.governor,
        reason=setpoint.reason,
        text=_short(setpoint.text),
        instructions=tuple(sorted(set(mine)))[:INSTRUCTIONS_MAX],
    )


def _gist(rate: Rate) -> tuple[object, ...]:
    return rate.at_most_w, rate.raised, rate.governor, rate.reason, rate.instructions


def _short(text: str) -> str:
    return text if len(text) <= TEXT_MAX else f"{text[: TEXT_MAX - 1]}…"


def _bounded(items: tuple[T, ...], most: int) -> tuple[tuple[T, ...], int]:
    """The first and the latest of them, and how many had no room."""
    if len(items) <= most:
        return items, 0
    return (items[0], *items[len(items) - most + 1 :]), len(items) - most


def _moments(session: ChargeSession) -> Iterator[Moment]:
    yield session.begin
    yield session.last
    if session.end:
        yield session.end
    for each in session.charging:
        yield each.start
        if each.stop:
            yield each.stop
    yield from (rate.at for rate in session.rates)
    for gap in session.unseen:
        yield gap.since
        yield gap.until


def _each_moment(session: ChargeSession, of: Callable[[Moment], Moment]) -> ChargeSession:
    return replace(
        session,
        begin=of(session.begin),
        last=of(session.last),
        end=session.end and of(session.end),
        charging=tuple(Charging(of(each.start), each.stop and of(each.stop)) for each in session.charging),
        rates=tuple(replace(rate, at=of(rate.at)) for rate in session.rates),
        unseen=tuple(Unseen(of(gap.since), of(gap.until)) for gap in session.unseen),
    )
