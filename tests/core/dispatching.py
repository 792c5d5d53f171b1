"""A home, orders, plans and what is seen, in short words, for the tests of instructions' lives."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from gateway.core.book import Received, receive
from gateway.core.eligibility import Home
from gateway.core.life import Book, Draws, Now, Proof, Seen, Status
from gateway.core.model import (
    Ability,
    Ask,
    Asset,
    AssetClass,
    Extent,
    Given,
    Kind,
    Op,
    Order,
    Plan,
    Reading,
    Reason,
    Vector,
)

UTC = 1_790_000_000.0  # arbitrary
MONO = 5_000.0
HOUR = 3600.0

EV = Asset("ev", AssetClass.EV, 7400, Ability((0,), (1380, 7360), 230, raises=True))
HP = Asset("hp", AssetClass.HEAT, 2500, Ability((0,)))
FAN = Asset("fan", AssetClass.PLUG, 60, Ability((0,)))
BOILER = Asset("boiler", AssetClass.HEAT, 3000, Ability())  # can only be watched
HOME = Home((EV, HP, FAN, BOILER), has_boundary_meter=True)
LEVELS = {"site": (8000, 4000, 2000), "ev": (4000, 1400), "heat": (1000, 0)}
MAPPED = replace(HOME, simple_w=LEVELS)
NO_DRAW = Draws(0.0, 0.0)


def at(after_s: float = 0.0, *, trusted: bool = True) -> Now:
    """So many seconds after the tests' beginning."""
    return Now(MONO + after_s, UTC + after_s, trusted)


def order(
    id_: str = "i1",
    revision: int = 0,
    *,
    op: Op = Op.SET,
    start: float = 60.0,
    end: float = 60.0 + HOUR,
    issued: float = 0.0,
    expires: float = 1800.0,
    service: str = "tcm",
    service_class: str = "response",
    targets: tuple[str, ...] = ("asset:hp",),
    value: float = 0.0,
    kind: Kind = Kind.CAP,
    start_delay: int | None = None,
    end_delay: int | None = None,
    vector: Vector = Vector.AUTOMATED,
    steps: int = 1,
) -> Order:
    """An order with times in seconds after the tests' beginning; its digest is that of its content."""
    width = (end - start) / steps
    asks = tuple(
        Ask(UTC + start + k * width, UTC + start + (k + 1) * width, kind, value) for k in range(steps)
    )
    is_set = op is Op.SET
    content = repr(
        (id_, revision, op, asks, issued, expires, service, service_class, targets, end_delay, vector)
    )
    return Order(
        op,
        id_,
        revision,
        hashlib.sha256(content.encode()).hexdigest(),
        UTC + issued,
        UTC + expires,
        service if is_set else "",
        service_class if is_set else "",
        "boa-1" if is_set else None,
        vector,
        targets=targets if is_set else (),
        start_delay_max_s=start_delay,
        end_delay_max_s=end_delay,
        asks=asks if is_set else (),
    )


def take(
    book: Book, message: Order, now: Now | None = None, home: Home = HOME, draws: Draws = NO_DRAW
) -> Received:
    """The message, received."""
    return receive(book, message, home, draws, now or at())


def statuses(received_or_report: Received) -> dict[str, Status]:
    """Asset or target -> status, of the answer to a message."""
    return {line.asset or line.target or "": line.status for line in received_or_report.report.targets}


def given(
    asset: str = "hp",
    asked: int = 0,
    granted: int | None = 0,
    *,
    id_: str = "i1",
    extent: Extent = Extent.FULL,
    reason: Reason = Reason.NONE,
    text: str = "",
    kind: Kind = Kind.CAP,
) -> Given:
    """What the plan gives an instruction from an asset."""
    return Given(id_, asset, kind, asked, granted, extent, reason, text)


def plan(*parts: Given) -> Plan:
    """A plan that gives just this."""
    return Plan(given=parts)


def seen(
    power: float | None = None,
    *,
    asset: str = "hp",
    age: float = 0.0,
    proof: Proof | None = Proof.WRITTEN,
    set_since: float | None = None,
    online: bool = True,
    refused: bool = False,
) -> Mapping[str, Seen]:
    """One asset as it is seen; powers in watts, `set_since` in seconds after the tests' beginning."""
    reading = None if power is None else Reading(power, age, f"{asset}.power_w")
    return {asset: Seen(reading, proof, None if set_since is None else MONO + set_since, online, refused)}
