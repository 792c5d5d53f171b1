"""What the levels of SIMPLE mean here: 0 asks for nothing, 1 to 3 are caps of the site's own configuration.

A level becomes an ordinary cap at acceptance, and from there on every rule is that of caps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gateway.core.model import Ask, Asset, Kind, Order

SITE = "site"
NO_CAP_W = 10_000_000  # the contract's highest value: holds nothing


def names(order: Order, assets: Iterable[Asset]) -> tuple[str, ...]:
    """Whose caps an order to these assets has: the site's, or those of their classes, each once."""
    if SITE in order.targets:
        return (SITE,)
    return tuple(sorted({asset.asset_class.value for asset in assets}))


def cap_w(caps_w: Mapping[str, tuple[int, ...]], whose: Iterable[str], level: int) -> int | None:
    """The cap that a level means for all of `whose` together; None where one of them has none."""
    if level == 0:
        return NO_CAP_W
    found = [caps_w.get(name, ())[level - 1 : level] for name in whose]
    return sum(watts for caps in found for watts in caps) if all(found) else None


def unmapped(caps_w: Mapping[str, tuple[int, ...]], order: Order, asset: Asset) -> str | None:
    """Why the asset may not take the order's levels, in words; None: it may, or there are none."""
    whose = names(order, [asset])
    levels = {level_of(ask) for ask in order.asks if ask.kind is Kind.SIMPLE}
    missing = sorted(level for level in levels if cap_w(caps_w, whose, level) is None)
    if not missing:
        return None
    said = ", ".join(str(level) for level in missing)
    return f"level {said} of SIMPLE means nothing here: services.simple.{whose[0]}_w does not say it"


def level_of(ask: Ask) -> int:
    """The level that is asked for."""
    return round(ask.value)
