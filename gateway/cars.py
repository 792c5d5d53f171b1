"""What people at home say of their car and are told of it: answers to the console, as data and in words."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from gateway.console.answers import CarLine, Question
from gateway.core import charging
from gateway.core.model import TYPED, Asset, AssetClass, Snapshot

CHARGE_NOW_S = 12 * 3600.0  # longer than any car takes at home
WH_WS = 3600


class Household(Protocol):
    """What the daemon does for the people of the home."""

    def override(self, asset: str | None, for_s: float, *, paused: bool = False) -> list[str]:
        """Take assets back or pause them for a while (s), or end that with 0; the assets meant."""

    def charge_now(self, asset: str, most_s: float) -> None:
        """Take a car back until it is charged or gone."""

    def type_in(self, asset: Asset, soc: float) -> None:
        """Note how full a person says the car is."""


class Noted(NamedTuple):
    """What was done to a car; no words: how it stands now says it."""

    car: Asset
    what: str = ""


def line(snapshot: Snapshot, asset: Asset) -> CarLine | None:
    """How the car of an asset stands; None: it is no car."""
    if asset.asset_class is not AssetClass.EV:
        return None
    soc, needed_ws = charging.soc(snapshot, asset), charging.need_ws(snapshot, asset)
    deadline = charging.next_deadline(snapshot, asset) if needed_ws is not None else None
    connected = snapshot.state(asset.id).connected
    return {
        "connected": connected.value > 0.5 if connected else None,
        "soc": soc.value if soc else None,
        "soc_age_s": soc.age_s if soc else None,
        "soc_source": soc.source if soc else None,
        "needed_wh": None if needed_ws is None else needed_ws / WH_WS,
        "ready_by": moment(deadline.utc_s) if deadline else None,
        "text": words(snapshot, asset),
    }


def words(snapshot: Snapshot, asset: Asset) -> str:
    """The same in words, also for a store that heats; none for what is neither."""
    if asset.asset_class is not AssetClass.EV:
        stores = charging.is_store(asset) and snapshot.limit(asset.id).charge is not None
        return charging.words(snapshot, asset) if stores else ""
    default = asset.ability.holds and snapshot.limit(asset.id).default_hours
    return charging.words(snapshot, asset) + ("; charges off peak by default" if default else "")


def type_in(question: Question, snapshot: Snapshot, household: Household) -> Noted | str:
    """Note a SoC, or say why not."""
    car = _meant(question.get("asset"), snapshot)
    if isinstance(car, str):
        return car
    soc = number(question.get("soc"), math.nan)
    if not 0 <= soc <= 1:
        return f"{soc:.0%} is no charge; 0 to 100, as in homeflex soc 54, would be right"
    if 0 < soc < 0.01:
        return f"{soc * 100:g} % is hardly a charge; homeflex soc {soc * 10_000:.0f} would be right"
    if TYPED not in car.sources.get("soc", ()):
        right = f'soc = ["{TYPED}"] in [asset.{car.id}] would be right'
        return f"{car.id} takes no typed charge; {right}"
    household.type_in(car, soc)
    return Noted(car)


def charge_now(question: Question, snapshot: Snapshot, household: Household) -> Noted | str:
    """Charge a car until it is charged or gone, or say why not."""
    car = _meant(question.get("asset"), snapshot)
    if isinstance(car, str):
        return car
    if not car.ability.holds:
        return f"{car.id} is only watched: nothing holds it"
    if charging.is_charged(snapshot, car):
        return f"{car.id}: {charging.words(snapshot, car)}: there is nothing to charge"
    household.charge_now(car.id, CHARGE_NOW_S)
    return Noted(car, f"charges now, until it is charged or gone, {CHARGE_NOW_S / 3600:.0f} h at most")


def number(value: object, otherwise: float) -> float:
    """A number out of a question; what is none is no possible one."""
    if value is None:
        return otherwise
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def moment(utc_s: float) -> str:
    """A time as RFC 3339 writes it."""
    return datetime.fromtimestamp(utc_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _meant(asset: str | None, snapshot: Snapshot) -> Asset | str:
    """The one that is meant and has a car plugged in, or why there is none."""
    cars = [a for a in snapshot.assets if a.asset_class is AssetClass.EV]
    meant = [a for a in cars if asset in (None, a.id)]
    if len(meant) != 1:
        which = f"no car {asset!r}" if asset or not cars else "which car?"
        return f"{which}; there are {', '.join(a.id for a in cars) or 'none'}"
    if not charging.is_plugged(snapshot, meant[0]):
        return f"{meant[0].id}: no car is plugged in; say it again when one is"
    return meant[0]
