"""Which service may ask what of which asset: the contract's service table as data, and its words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gateway.core import simple
from gateway.core.model import Asset, AssetClass, Instruction, Kind, Order, Reason, Vector

_ANY = "any other"
PLUG_NOTICE_S = 3600  # contract: PT1H


@dataclass(frozen=True, slots=True)
class Service:
    """One row of the contract's table. Durations in seconds; `basis` is what it may be settled on,
    `vectors` who may carry it out."""

    name: str
    classes: frozenset[str]
    assets: frozenset[AssetClass]
    shortest_s: int
    gives_plug_notice: bool = False
    basis: frozenset[str] = frozenset({"asset", "boundary"})
    excludes: frozenset[str] = frozenset()
    vectors: frozenset[Vector] = frozenset(Vector)


@dataclass(frozen=True, slots=True)
class Home:
    """What the life of an instruction needs of configuration.

    `allow_excludes` names services whose exclusions are lifted for a trial; `plug_notice_s` is the notice
    before a plug is switched, by services that give one. Delays are the bounds of a
    draw in seconds where the instruction names none: the start's for `routine` only, the end's for both.
    `tells_soc`: the cars whose SoC can be known. `delays_itself`: what has a random delay of its own.
    `simple_w`: the caps that levels 1, 2 and 3 of SIMPLE mean, for `site` and by class.
    """

    assets: tuple[Asset, ...] = ()
    has_boundary_meter: bool = False
    allow_excludes: frozenset[str] = frozenset()
    default_start_delay_s: int = 600
    default_end_delay_s: int = 600
    plug_notice_s: int = PLUG_NOTICE_S
    tells_soc: frozenset[str] = frozenset()
    delays_itself: frozenset[str] = frozenset()
    simple_w: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an asset may not take an instruction."""

    reason: Reason
    text: str


_BOTH = frozenset({"routine", "response"})
_HEAVY = frozenset({AssetClass.EV, AssetClass.HEAT})
_ALL = frozenset(AssetClass)

SERVICES = {
    row.name: row
    for row in (
        Service(
            "bm",
            frozenset({"response"}),
            _HEAVY,
            300,
            excludes=frozenset({"dfs"}),
            vectors=frozenset({Vector.AUTOMATED}),
        ),
        Service("tcm", _BOTH, _ALL, 1800, True),
        Service("dfs", _BOTH, _ALL, 1800, True, frozenset({"boundary"}), frozenset({"bm"})),
        Service("sustain", frozenset({"routine"}), _ALL, 1800, True),
        Service("secure", _BOTH, _ALL, 1800, True),
        Service(_ANY, _BOTH, _HEAVY, 300),
    )
}

OBEYED = frozenset(Kind) - {Kind.EXPORT_CAP}
"""What can be carried out today, by the hub or by hand; `state.accepts` tells the aggregator."""


def service(name: str) -> Service:
    """The row that holds for a service."""
    return SERVICES.get(name, SERVICES[_ANY])


def standing_refusal(asset: Asset, asked: Instruction | Order, home: Home) -> Refusal | None:
    """Why the asset may not serve, whatever the time; checked at acceptance and at each decision."""
    row, name, service_class = service(asked.service), asked.service, asked.service_class
    where = f'service {name} (row "{row.name}")'
    if service_class not in row.classes:
        return Refusal(Reason.NOT_ELIGIBLE, f"{where} takes {_words(row.classes)}, not {service_class}")
    if asset.asset_class not in row.assets:
        return Refusal(Reason.NOT_ELIGIBLE, f"{where} takes {_words(row.assets)}, not {asset.asset_class}")
    if row.basis == {"boundary"} and not home.has_boundary_meter:
        return Refusal(Reason.NOT_ELIGIBLE, f"{where} needs a boundary meter, none is configured")
    if asked.vector not in row.vectors:
        return Refusal(Reason.NOT_ELIGIBLE, f"{where} takes no {asked.vector} instructions")
    kinds, is_manual = _kinds(asked), asked.vector is Vector.MANUAL
    if is_manual and not home.has_boundary_meter:
        text = "what is done by hand is metered at the boundary, no meter is configured"
        return Refusal(Reason.NOT_ELIGIBLE, text)
    if unknown := kinds - OBEYED:
        return Refusal(Reason.OUTSIDE_CAPABILITY, f"{_words(unknown)} is not offered here")
    if Kind.SOC in kinds and asset.id not in home.tells_soc:
        text = (
            f"how full {asset.id} is, nobody knows: that takes a car with a source of its SoC and battery_kwh"
        )
        return Refusal(Reason.OUTSIDE_CAPABILITY, text)
    return None if is_manual else _incapable(asset, kinds)


def refusal(order: Order, asset: Asset, home: Home) -> Refusal | None:
    """Why the asset may not take the order, as far as no clock is needed to tell."""
    row = service(order.service)
    if "site" in order.targets and not home.has_boundary_meter:
        return Refusal(Reason.OUTSIDE_CAPABILITY, "a site's total needs a boundary meter, none is configured")
    lasts_s = order.asks[-1].end_utc_s - order.asks[0].start_utc_s
    if lasts_s < row.shortest_s:
        text = (
            f'service {order.service} (row "{row.name}") lasts at least {row.shortest_s} s, not {lasts_s:.0f}'
        )
        return Refusal(Reason.NOT_ELIGIBLE, text)
    if why := standing_refusal(asset, order, home):
        return why
    unmapped = simple.unmapped(home.simple_w, order, asset)
    return Refusal(Reason.OUTSIDE_CAPABILITY, unmapped) if unmapped else None


def short_notice(order: Order, asset: Asset, since_utc_s: float, home: Home) -> Refusal | None:
    """Why the notice the household had since `since_utc_s` is too short; plugs only."""
    row = service(order.service)
    notice_s = max(0.0, order.asks[0].start_utc_s - since_utc_s)  # a start in the past means now
    due_s = home.plug_notice_s if row.gives_plug_notice else 0
    if asset.asset_class is not AssetClass.PLUG or notice_s >= due_s:
        return None
    text = f'service {order.service} (row "{row.name}") gives plugs {due_s} s notice'
    return Refusal(Reason.NOT_ELIGIBLE, f"{text}, this came {notice_s:.0f} s before its start")


def exclusion(order: Order, asset: Asset, others: Iterable[Instruction], home: Home) -> Refusal | None:
    """Which instruction accepted before keeps the asset from this one while their windows overlap."""
    start_utc_s, end_utc_s = order.asks[0].start_utc_s, order.asks[-1].end_utc_s
    for other in others:
        overlaps = other.start_utc_s < end_utc_s and start_utc_s < other.end_utc_s
        if overlaps and other.is_of(asset.id) and _exclude(order.service, other.service, home):
            text = f"service {order.service} excludes {other.service}, accepted before as {other.id}"
            return Refusal(Reason.EXCLUDED, text)
    return None


def _exclude(one: str, other: str, home: Home) -> bool:
    if {one, other} & home.allow_excludes:
        return False
    return other in service(one).excludes or one in service(other).excludes


def _kinds(asked: Instruction | Order) -> frozenset[Kind]:
    steps = asked.steps if isinstance(asked, Instruction) else asked.asks
    return frozenset(step.kind for step in steps)


def _incapable(asset: Asset, kinds: frozenset[Kind]) -> Refusal | None:
    if not asset.ability.holds:
        return Refusal(Reason.OUTSIDE_CAPABILITY, f"{asset.id} can only be watched")
    if Kind.FLOOR in kinds and not asset.ability.raises:
        return Refusal(Reason.OUTSIDE_CAPABILITY, f"{asset.id} cannot be asked to draw more")
    return None


def _words(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
