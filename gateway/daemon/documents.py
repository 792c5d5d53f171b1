"""The retained documents: `state`, who this home is and how it is, and `availability`, what it can give."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version

from gateway.core import availability, charging
from gateway.core.availability import Offer, Scoped
from gateway.core.eligibility import OBEYED
from gateway.core.model import Asset, AssetClass, Kind, Snapshot
from gateway.daemon.clock import Clock
from gateway.daemon.config import Config
from gateway.daemon.fleet import Health
from gateway.daemon.home import Home
from gateway.daemon.keys import Held
from gateway.daemon.minutes import soc_source
from gateway.daemon.sections import AssetSection
from gateway.wire import availability as offered
from gateway.wire import dispatch, keys, rpc, state
from gateway.wire.readings import Source

VALID_S = 600.0  # how long an availability is believed
CHANGE_W, CHANGE_SHARE = 200.0, 0.10  # contract: told again on such a change
AT_MOST_EVERY_S, AT_LEAST_EVERY_S = 15.0, 300.0
BOUNDARY = "boundary"


@cache
def own_version() -> str:
    """The version of this program."""
    try:
        return version("homeflex")
    except PackageNotFoundError:
        return "unknown"


def state_of(home: Home, clock: Clock, boot: str, offset_s: int, trusted: Held | None) -> state.State:
    """The birth document."""
    config = home.config
    return state.State(
        site=config.site.id,
        at_utc_s=clock.utc_s(),
        versions={"homeflex": own_version(), "contract": "1"},
        accepts=(dispatch.SCHEMA, rpc.REQUEST, *((keys.SCHEMA,) if config.security.root else ())),
        boot=boot,
        clock=state.Clock(
            trusted=clock.trusted,
            source=clock.source,
            error_s=round(clock.error_s, 1) if clock.trusted else None,
        ),
        offset_s=offset_s,
        config=state.ConfigInForce(version=None, hash=config.digest),
        signatures_required=config.security.require_signatures,
        keys=state.KeysInForce(version=trusted.ring.version, source=trusted.source.value)
        if trusted
        else None,
        assets=tuple(_asset(asset, config) for asset in config.assets),
        points=tuple(_points(config)),
        tags=config.site.tags,
        devices=tuple(_health(name, home.healths.get(name), clock) for name in config.devices),
    )


def availability_of(snapshot: Snapshot, site: str) -> offered.Availability:
    """What the home can give, now and in the next 24 h."""
    return offered.Availability(
        site=site,
        at_utc_s=snapshot.utc_s,
        valid_until_utc_s=snapshot.utc_s + VALID_S,
        scopes=tuple(_scope(snapshot, scope) for scope in availability.scopes(snapshot)),
        expected=tuple(
            offered.ExpectedPower(
                target=half_hour.target,
                start_utc_s=half_hour.start_utc_s,
                end_utc_s=half_hour.end_utc_s,
                power_w=half_hour.power_w,
                min_w=half_hour.min_w,
                max_w=half_hour.max_w,
            )
            for half_hour in availability.expected(snapshot)
        ),
    )


class AvailabilityNews:
    """When an availability is to be told again: on a change that matters, and from time to time."""

    def __init__(self) -> None:
        self._last: offered.Availability | None = None
        self._told_s = -AT_LEAST_EVERY_S
        self._looked_s = -AT_MOST_EVERY_S

    def may_be_due(self, now_s: float) -> bool:
        """Whether to make one and look; at most every 15 s."""
        if now_s - self._looked_s < AT_MOST_EVERY_S:
            return False
        self._looked_s = now_s
        return True

    def is_due(self, document: offered.Availability, now_s: float) -> bool:
        """Whether to tell it; if so it counts as told."""
        recently = now_s - self._told_s < AT_LEAST_EVERY_S
        if recently and self._last and not _differs(document, self._last):
            return False
        self._last, self._told_s = document, now_s
        return True


def _differs(new: offered.Availability, old: offered.Availability) -> bool:
    now, was = _figures(new), _figures(old)
    if now.keys() != was.keys():
        return True
    return any(
        abs(value - was[name]) > max(CHANGE_W, CHANGE_SHARE * abs(was[name])) for name, value in now.items()
    )


def _figures(document: offered.Availability) -> dict[tuple[str, str, bool], float]:
    figures = {}
    for scope in document.scopes:
        holds = {
            "down": _at_once_w(scope),
            "up": scope.up.to_w if scope.up else None,
            "now": scope.now_w,
        }
        for name, value in holds.items():
            if value is not None:
                figures[scope.target, name, scope.connected] = value
    return figures


def _at_once_w(scope: offered.AvailableScope) -> float | None:
    """What it can be held at now; what it draws, if that comes only later."""
    if scope.down is None or scope.down.after_s:
        return scope.now_w
    return scope.down.to_w


def _scope(snapshot: Snapshot, scope: Scoped) -> offered.AvailableScope:
    told = offered.AvailableScope(
        target=scope.target,
        now_w=scope.now_w,
        expected_w=scope.now_w,
        down=_hold(scope.down),
        up=_hold(scope.up),
        connected=scope.connected,
    )
    charged = (a for a in snapshot.assets if f"asset:{a.id}" == scope.target and _is_charged(snapshot, a))
    asset = next(charged, None)
    return _with_charge(told, snapshot, asset) if asset else told


def _is_charged(snapshot: Snapshot, asset: Asset) -> bool:
    return asset.asset_class is AssetClass.EV or snapshot.limit(asset.id).charge is not None


def _with_charge(told: offered.AvailableScope, snapshot: Snapshot, asset: Asset) -> offered.AvailableScope:
    """With what is known of a car or a store that heats; moments only by a clock that is trusted."""
    known, needed = charging.soc(snapshot, asset), charging.need_ws(snapshot, asset)
    plugged = None if charging.is_store(asset) else snapshot.memory.of(asset.id).plugged
    deadline = charging.next_deadline(snapshot, asset) if needed is not None else None
    now_utc_s = snapshot.utc_s if snapshot.clock_trusted else None
    return told.model_copy(
        update={
            "connected_since_utc_s": _at(now_utc_s, snapshot.now_s - plugged.at_s) if plugged else None,
            "ready_by_utc_s": deadline.utc_s if deadline else None,
            "needed_ws": needed,
            "soc": known.value if known else None,
            "soc_utc_s": _at(now_utc_s, known.age_s) if known else None,
            "soc_source": soc_source(known) if known else None,
        }
    )


def _at(now_utc_s: float | None, ago_s: float) -> float | None:
    return None if now_utc_s is None else round(now_utc_s - ago_s)


def _hold(offer: Offer) -> offered.Hold:
    return offered.Hold(
        to_w=offer.to_w,
        for_s=offer.for_s,
        after_s=offer.after_s,
        respond_s=offer.respond_s,
        until=offer.until,
    )


def _asset(asset: Asset, config: Config) -> state.StateAsset:
    return state.StateAsset(
        id=asset.id,
        asset_class=asset.asset_class,
        profile=_profile(asset, config),
        can=can_of(asset, config),
        nominal_w=asset.nominal_w,
        lease_s=asset.ability.lease_s,
        failsafe=asset.ability.fallback,
    )


def _profile(asset: Asset, config: Config) -> state.Profile | None:
    device = config.devices.get(asset.control) if asset.control else None
    if device is None or device.profile is None:
        return None
    name, digest = device.profile
    return state.Profile(id=name, hash=digest)


def can_of(asset: Asset, config: Config) -> state.Can:
    """What an asset takes of what is obeyed at all, and how it can be held."""
    ability, span = asset.ability, asset.ability.range_w
    takes = {
        Kind.FLOOR: ability.raises,
        Kind.SOC: config.sections[asset.id].tells_soc,
        Kind.SIMPLE: bool({asset.asset_class, "site"} & config.services.simple.caps_w.keys()),
    }
    kinds = tuple(kind for kind in Kind if kind in OBEYED and ability.holds and takes.get(kind, True))
    return state.Can(
        accepts=kinds,
        levels_w=ability.levels_w,
        range=state.PowerRange(low_w=span[0], high_w=span[1], step_w=ability.step_w) if span else None,
        raises=ability.raises,
    )


def _points(config: Config) -> list[state.StatePoint]:
    points = []
    if config.boundary:
        points.append(_point(BOUNDARY, "meter", config.boundary.power_w, config.boundary.accuracy_pct))
    for name, section in config.sections.items():
        if section.power_w:
            points.append(_section_point(name, section))
    return points


def _section_point(name: str, section: AssetSection) -> state.StatePoint:
    return _point(name, section.metered_by, section.power_w, section.accuracy_pct)


def _point(id_: str, kind: str, sources: tuple[str, ...], accuracy: float | None) -> state.StatePoint:
    return state.StatePoint(
        id=id_,
        kind=Source(kind),
        source=sources[0],
        accuracy_pct=accuracy,
        resolution_ws=None,
        latency_s=None,
    )


def _health(name: str, health: Health | None, clock: Clock) -> state.DeviceHealth:
    if health is None:
        return state.DeviceHealth(id=name, healthy=False, since_utc_s=None, text="not heard of yet")
    since_utc_s = clock.utc_s() - (clock.monotonic_s() - health.since_s)
    return state.DeviceHealth(
        id=name,
        healthy=health.online,
        since_utc_s=round(since_utc_s) if clock.trusted else None,
        text=health.why if not health.online else "answers",
    )
