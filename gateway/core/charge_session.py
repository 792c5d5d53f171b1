"""What is recorded of one charge: from plug-in until unplugged, when the car charged, with what, and why.

Moments are taken by the monotonic clock and `dated` once UTC is trusted; one that never could be stays
without a date.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from gateway.core.model import Governor, Reason
from gateway.core.reading import Anchor, Flowed

BLINK_S = 60.0  # a plug that bounced: shorter without any charge is no session


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
