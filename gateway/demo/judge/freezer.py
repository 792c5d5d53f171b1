"""Scene of the freezer: off for its longest and no longer, and deaf to a service that plugs do not serve."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.demo.claim import Claim
from gateway.demo.evidence import Evidence, Sent
from gateway.demo.judge.posture import always, freezer_is_off, freezer_is_on
from gateway.demo.setting import FREEZER, LONGEST_OFF_S
from gateway.demo.stretch import longest, stretches

_OFF_SLACK_S = (-2.0, 3.0)  # a look each second, a call, the log's second
_OWN_TIMER_S = 10.0  # the plug's own return is later than the daemon's by more than this
_SHORTEST_ON_S = 4.0
_SHORTEST_QUIET_S = 2.0


def longest_off(seen: Evidence, begin: float, end: float) -> Iterable[Claim]:
    """Scene 3."""
    order, other = seen.order(3), seen.sent(3, "bm")
    if order is None or other is None:
        return [Claim("the aggregator asked the freezer by tcm, then by bm", False)]
    return [*_came_back(seen, order), *_refused(seen, other, end)]


def _came_back(seen: Evidence, order: Sent) -> Iterable[Claim]:
    seconds = seen.seconds(order.at_utc_s, order.until_utc_s)
    off = longest(stretches(seconds, freezer_is_off))
    on = longest(stretches([s for s in seconds if s.at_utc_s > off.end_utc_s], freezer_is_on))
    told = seen.targets(order.id, FREEZER, order.at_utc_s, order.until_utc_s)
    return [
        Claim(
            f"it was off for {off.lasted_s + 1:.0f} s: its longest is {LONGEST_OFF_S:.0f} s",
            _OFF_SLACK_S[0] <= off.lasted_s + 1 - LONGEST_OFF_S <= _OFF_SLACK_S[1],
        ),
        *_switched(seen, order),
        Claim(
            f"it stayed on while the instruction went on ({on.lasted_s:.0f} s)", on.lasted_s >= _SHORTEST_ON_S
        ),
        Claim(
            "the aggregator heard that the freezer followed",
            any((t.status, t.extent) == ("STARTED", "full") for t in told),
        ),
        Claim(
            "and then that the appliance's limit ended that",
            any((t.extent, t.reason) == ("none", "applianceLimit") for t in told),
        ),
    ]


def _switched(seen: Evidence, order: Sent) -> Iterable[Claim]:
    told = seen.switches(order.at_utc_s, order.until_utc_s - 0.001)
    off, on = [one for one in told if not one.on], [one for one in told if one.on]
    own_s = max((one.at_utc_s + one.toggle_after_s for one in off), default=0.0)  # each call winds it anew
    return [
        Claim(
            "each time it was switched off, the plug was told to come back by itself",
            bool(off) and all(one.toggle_after_s < float("inf") for one in off),
        ),
        Claim(
            "but the daemon brought it back, long before the plug would have",
            bool(on) and on[0].at_utc_s <= own_s - _OWN_TIMER_S,
        ),
    ]


def _refused(seen: Evidence, other: Sent, end: float) -> Iterable[Claim]:
    told = seen.targets(other.id, FREEZER, other.at_utc_s, end)
    after = seen.seconds(other.at_utc_s, end)
    return [
        Claim(
            "asked by the service bm, it was refused as not eligible",
            (other.service, [(t.status, t.reason) for t in told]) == ("bm", [("REJECTED", "notEligible")]),
        ),
        Claim(
            "and the plug heard nothing of it",
            not [one for one in seen.switches(other.at_utc_s, end) if not one.on],
        ),
        Claim(
            "the freezer went on as it was",
            always(after, freezer_is_on) and after[-1].at_utc_s - other.at_utc_s >= _SHORTEST_QUIET_S,
        ),
    ]
