"""A SoC that an instruction asks a car to have by an interval's end: how much power is enough for it now.

It is a wish: the car charges as late as is safe and as fast as is needed, inside every cap and limit. Nothing
is held back for it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from gateway.core.charging import WS_PER_KWH, charging_s, is_known, soc, to_soc_ws
from gateway.core.model import Asset, Charge, Reason, Snapshot
from gateway.core.ready import enough_w, is_late, takes_s
from gateway.core.span import in_words


class Aim(NamedTuple):
    """`power_w` is enough now: 0 while there is time, None where nobody can tell. `reason`: why it will have
    less than was asked for. `starts_in_s`: to the latest start."""

    power_w: int | None
    text: str
    reason: Reason = Reason.NONE
    starts_in_s: float = math.inf


def aim(snapshot: Snapshot, asset: Asset, goal: float, left_s: float) -> Aim:
    """What a car does now to have `goal` (SoC) in `left_s`, or as much as the household lets it have."""
    charge, known = snapshot.limit(asset.id).charge or Charge(), soc(snapshot, asset)
    most = 1.0 if charge.max_soc is None else charge.max_soc
    need = to_soc_ws(snapshot, asset, min(goal, most))
    if known is None or need is None:
        return Aim(None, "how full the car is, nobody knows", Reason.OUTSIDE_CAPABILITY)
    text = f"charged to {known.value:.0%}, {goal:.0%} asked for"
    found = _paced(snapshot, asset, need, left_s, text) if need else Aim(0, text)
    if goal > most:
        return found._replace(reason=Reason.CHARGE_LIMIT, text=f"{found.text}, maximum {most:.0%}")
    return found


def _paced(snapshot: Snapshot, asset: Asset, need: int, left_s: float, text: str) -> Aim:
    text = f"{text}: {need / WS_PER_KWH:.2f} kWh in {in_words(left_s)}"
    if not is_late(snapshot, asset, need, left_s, was_late=snapshot.memory.of(asset.id).aims):
        return Aim(0, text, starts_in_s=left_s - takes_s(snapshot, asset, need))
    if not is_known(snapshot, asset):
        return Aim(asset.nominal_w, f"{text}, and how fast it charges is not known yet")
    least_s = charging_s(snapshot, asset, need)
    if least_s > left_s:
        return Aim(asset.nominal_w, f"{text}, it takes {in_words(least_s)}", Reason.OUTSIDE_CAPABILITY)
    watts = enough_w(snapshot, asset, need, left_s)
    return Aim(asset.ability.at_or_above(watts) or asset.nominal_w, text)
