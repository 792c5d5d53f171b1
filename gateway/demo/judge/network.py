"""Scenes of the network: the broker goes and comes back, and what must not be obeyed is not."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.demo.claim import Claim
from gateway.demo.evidence import FOR_EVER_UTC_S, Evidence, Sent
from gateway.demo.judge.posture import always, car_charges, freezer_is_on, pump_is_free, pump_is_held
from gateway.demo.reading import is_gap_free, one_at_each
from gateway.demo.setting import CAR_LEAST_W, POINTS

LARGEST_BYTES = 64 * 1024  # contract: of a dispatch
_VOLTS = 230.0


def broker_gone(seen: Evidence, begin: float, end: float) -> Iterable[Claim]:
    """Scene 7."""
    order, down, up = seen.order(7), *seen.outage_of("broker", begin, end)
    if order is None or down is None or up is None:
        return [Claim("the broker went in an event and came back", False)]
    edges, around = seen.minute_edges(down, up), seen.minute_edges(down - 60.0, end)
    so_far = [r for r in seen.readings(end) if r.end_utc_s <= end]
    recent = [r for r in so_far if r.end_utc_s in around]
    return [
        Claim("the daemon lived through it", seen.exit_code("daemon", begin, end) is None),
        Claim("the instruction was kept without the broker", always(seen.seconds(down, up), pump_is_held)),
        Claim(f"a minute ended while the broker was gone ({len(edges)})", bool(edges)),
        Claim(
            f"every minute before, during and after it reached the aggregator ({len(recent)} readings)",
            one_at_each(around, recent, POINTS),
        ),
        Claim("none of them is missing its value", all(r.quality in ("OK", "ESTIMATED") for r in recent)),
        Claim(
            "no number is used twice or skipped, and each minute begins where the last ended",
            is_gap_free(so_far),
        ),
    ]


def refused(seen: Evidence, begin: float, end: float) -> Iterable[Claim]:
    """Scene 8."""
    forged, replayed, oversized = (seen.sent(8, what) for what in ("forged", "replayed", "oversized"))
    if forged is None or replayed is None or oversized is None:
        return [Claim("a forged, a replayed and an oversized instruction were sent", False)]
    return [
        Claim(
            "the forged instruction was answered INVALID_SIGNATURE",
            any(
                s.reception == "INVALID_SIGNATURE" and s.digest == forged.digest
                for s in seen.statuses(forged.at_utc_s, end)
            ),
        ),
        Claim(
            "the replayed one was answered REPLAYED",
            any(
                s.reception == "REPLAYED" and s.id == replayed.id
                for s in seen.statuses(replayed.at_utc_s, end)
            ),
        ),
        Claim(
            f"the one of {oversized.size_bytes / 1024:.0f} KiB was answered TEMPORARY_ERROR, storage",
            oversized.size_bytes > LARGEST_BYTES and _is_too_large(seen, oversized, end),
        ),
        *_nothing_moved(seen, begin, end),
        Claim(
            "the daemon lived on, and reports its minutes",
            seen.exit_code("daemon", begin, end) is None and _reports_after(seen, end),
        ),
    ]


def _is_too_large(seen: Evidence, oversized: Sent, end: float) -> bool:
    return any(
        (s.reception, s.reason, s.digest) == ("TEMPORARY_ERROR", "storage", oversized.digest)
        for s in seen.statuses(oversized.at_utc_s, end)
    )


def _nothing_moved(seen: Evidence, begin: float, end: float) -> Iterable[Claim]:
    """They all ask for 0 kW; meanwhile the car may be held to more by an instruction of its own."""
    seconds = seen.seconds(begin, end)
    stopping = [one for one in seen.charge_limits(begin, end) if one.limit_a * _VOLTS < CAR_LEAST_W]
    return [
        Claim(
            "no register was written, no plug switched, no car stopped",
            not seen.writes(begin, end) and not seen.switches(begin, end) and not stopping,
        ),
        Claim(
            "pump, freezer and car went on as they were",
            always(seconds, lambda s: pump_is_free(s) and freezer_is_on(s) and car_charges(s)),
        ),
    ]


def _reports_after(seen: Evidence, end: float) -> bool:
    """Whether each point told a minute that ended after the scene."""
    return {
        r.point for r in seen.readings(FOR_EVER_UTC_S) if r.end_utc_s > end and r.power_kw is not None
    } == set(POINTS)
