"""What a plot tells of a run, gathered from the log: curves, what was asked, what happened, in words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from gateway.demo.evidence import FOR_EVER_UTC_S, Evidence, Sent
from gateway.demo.log import Observation
from gateway.demo.setting import EV, FREEZER, HEAT
from gateway.demo.words import command_words

_ALL = (EV, HEAT, FREEZER)
_TARGETS = {"class:ev": (EV,), "class:heat": (HEAT,), "class:plug": (FREEZER,), "site": _ALL}
_UNTOLD = ("none", "None", "cancelled", "")  # nothing a person would ask about
_ECHO_S = 10.0  # the same words again, for another instruction

Series = list[tuple[float, float]]  # (UTC seconds, value)


@dataclass(frozen=True, slots=True)
class Asked:
    """An instruction that was accepted for an asset: so much for all its assets together, until cancelled."""

    asset: str
    begin_utc_s: float
    end_utc_s: float
    at_most_w: float
    is_shared: bool


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened. `asset` is empty where it is of the whole home; `is_bad`: something broke."""

    at_utc_s: float
    text: str
    asset: str = ""
    is_bad: bool = False


def series(log: Iterable[Observation], fact: str) -> Series:
    """One fact of every second that has it, as a number."""
    seconds = ((one.at_utc_s, _number(one.facts.get(fact))) for one in log if one.kind == "second")
    return [(at, value) for at, value in seconds if value is not None]


def stacked(log: Iterable[Observation], facts: Sequence[str]) -> list[Series]:
    """The sum of no fact, of the first, of the first two and so on, of every second that has all of them."""
    rows = [
        (one.at_utc_s, [0.0, *accumulate(value for value in values if value is not None)])
        for one in log
        if one.kind == "second"
        for values in [[_number(one.facts.get(fact)) for fact in facts]]
        if None not in values
    ]
    return [[(at, sums[n]) for at, sums in rows] for n in range(len(facts) + 1)]


def asked(log: Sequence[Observation]) -> list[Asked]:
    """What the aggregator asked for and the home accepted, asset by asset."""
    seen = Evidence(log)
    return [
        Asked(asset, order.at_utc_s, order.until_utc_s, order.cap_w, len(assets) > 1)
        for order in _orders(log, seen)
        for assets in [_assets(order)]
        for asset in assets
        if _is_accepted(seen, order, asset)
    ]


def marks(log: Sequence[Observation]) -> list[Mark]:
    """What happened to the home, and what the home said no to."""
    found = [mark for one in log if (mark := _mark(one)) is not None]
    return [*found, *_refusals(log)]


def reasons(log: Sequence[Observation]) -> list[Mark]:
    """Why an asset did not, or not wholly, do as it was asked: each reason when it was first told."""
    found: dict[tuple[str, str, str], Mark] = {}
    last: dict[str, Mark] = {}
    for status in Evidence(log).statuses(0.0, FOR_EVER_UTC_S):
        for target in status.targets:
            asset, reason = str(target.get("asset")), str(target.get("reason"))
            if asset not in _ALL or reason in _UNTOLD or (status.id, asset, reason) in found:
                continue
            mark = Mark(status.at_utc_s, str(target.get("text") or reason), asset)
            before = last.get(asset)
            is_echo = before and before.text == mark.text and mark.at_utc_s - before.at_utc_s < _ECHO_S
            if not is_echo:
                found[status.id, asset, reason] = last[asset] = mark
    return list(found.values())


def thinned(points: Series, least_s: float) -> Series:
    """At most one point in each `least_s`, the last one of it, and the very last."""
    if not points:
        return []
    kept = [a for a, b in pairwise(points) if a[0] // least_s != b[0] // least_s]
    return [*kept, points[-1]]


def _orders(log: Iterable[Observation], seen: Evidence) -> Iterable[Sent]:
    """Every instruction that was sent, each once: one that was replayed came later."""
    found: dict[str, Sent] = {}
    for one in log:
        if one.kind == "sent" and one.facts["what"] not in ("ack", "cancel"):
            sent = seen.sent(one.facts["scene"], one.facts["what"])
            if sent is not None:
                found.setdefault(sent.id, sent)
    return found.values()


def _assets(order: Sent) -> tuple[str, ...]:
    named = (_TARGETS.get(target, (target.removeprefix("asset:"),)) for target in order.targets)
    return tuple(asset for assets in named for asset in assets if asset in _ALL)


def _is_accepted(seen: Evidence, order: Sent, asset: str) -> bool:
    told = seen.targets(order.id, asset, order.at_utc_s, FOR_EVER_UTC_S)
    return bool(told) and told[0].status != "REJECTED"


def _mark(one: Observation) -> Mark | None:
    facts = one.facts
    match one.kind:
        case "process" if facts["what"] in ("killed", "stopped"):
            return Mark(one.at_utc_s, f"{facts['name']} {facts['what']}", is_bad=True)
        case "process" if facts["what"] == "started":
            return Mark(one.at_utc_s, f"{facts['name']} started")
        case "command" if facts["what"] == "given":
            return Mark(one.at_utc_s, command_words(facts["arguments"]))
    return None


def _refusals(log: Sequence[Observation]) -> Iterable[Mark]:
    """Messages that were not obeyed at all, by what they were and how they were answered."""
    sent = [one for one in log if one.kind == "sent" and one.facts["what"] not in ("ack", "cancel")]
    for status in Evidence(log).statuses(0.0, FOR_EVER_UTC_S):
        if status.reception != "OK":
            before = [str(one.facts["what"]) for one in sent if one.at_utc_s <= status.at_utc_s]
            yield Mark(status.at_utc_s, f"{(before or ['a message'])[-1]} refused: {status.reception}")


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
