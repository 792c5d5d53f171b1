"""What each decision knows of a charger, folded into the charge session that goes on.

What nobody saw is told as such: a hub that was off, a charger that did not answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from gateway.core.change import changed
from gateway.core.charge_session import ChargeSession, Charging, Moment, Rate, Unseen
from gateway.core.model import Asset, Plan, Setpoint, Snapshot
from gateway.core.reading import HOLD_S, Flowed
from gateway.core.track import COARSEST_WS

CHARGES_W = 200.0  # a charger and a sleeping car draw less, the least charge of 6 A draws more
GAP_S = 120.0  # unseen for longer is told; a charger's readings may be a minute apart
UNSEEN_S = 3600.0  # in which one car may have gone and another come
QUIET_S = 8 * 3600.0  # without a word of the plug: longer than a schedule's pause, shorter than a day out
DRAWS_MOST = 1.1  # times the nominal power; what would be more is a register that began anew
RATES_MAX, CHARGES_MAX, UNSEEN_MAX = 96, 32, 16  # of one session
TEXT_MAX = 120
INSTRUCTIONS_MAX = 4  # named with one rate

T = TypeVar("T")


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
