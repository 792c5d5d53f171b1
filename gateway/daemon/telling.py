"""What the core reports, in the contract's models. Pure: a report and a message's mark in, a model out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

from gateway.core.life import Report, Reported, Status
from gateway.core.life import Summary as CoreSummary
from gateway.core.model import Reason
from gateway.wire import status as wire
from gateway.wire.readings import DataQuality
from gateway.wire.reception import Reception


class Mark(TypedDict):
    """What every status and summary carries: where it is from, its place in the log, and when."""

    site: str
    stream: str
    seq: int
    at_utc_s: float


@dataclass(frozen=True, slots=True)
class Spent:
    """Energy over a window (Ws; None: not known), how good, and the minutes that tell it."""

    energy_ws: float | None = None
    quality: str = "MISSING"
    first_seq: int | None = None
    last_seq: int | None = None


def status(report: Report, mark: Mark) -> wire.Status:
    """A status as the contract has it."""
    return wire.Status(
        **mark,
        id=report.id,
        revision=report.revision,
        digest=report.digest,
        reception=Reception(report.reception),
        reason=report.reason if report.reason is not Reason.NONE else None,
        text=report.text or None,
        targets=tuple(_target(line) for line in report.targets),
    )


def summary(told: CoreSummary, spent: Mapping[str, Spent], mark: Mark) -> wire.Summary:
    """A summary as the contract has it, with each asset's energy."""
    return wire.Summary(
        **mark,
        id=told.id,
        revision=told.revision,
        service=told.service,
        service_ref=told.service_ref,
        window=wire.Window(start_utc_s=told.start_utc_s, end_utc_s=told.end_utc_s),
        assets=tuple(
            wire.AssetSummary(
                asset=asset.asset,
                status=wire.Life(asset.status),
                energy_ws=spent[asset.asset].energy_ws,
                quality=DataQuality(spent[asset.asset].quality),
                first_seq=spent[asset.asset].first_seq,
                last_seq=spent[asset.asset].last_seq,
                followed_utc_s=asset.followed_utc_s,
                delay_s=asset.delay_s,
                held_s=asset.held_s,
                idle_s=asset.idle_s,
                limited_s=asset.limited_s,
                limits=tuple(wire.Limited(reason=reason, s=s) for reason, s in asset.limits),
            )
            for asset in told.assets
        ),
    )


def _target(line: Reported) -> wire.TargetStatus:
    lives = line.status is not Status.REJECTED
    return wire.TargetStatus(
        asset=line.asset,
        target=line.target,
        status=wire.Life(line.status),
        extent=line.extent,
        evidence=wire.Evidence(line.evidence) if line.evidence else None,
        reason=line.reason,
        text=line.text or None,
        limit_w=line.limit_w,
        measured_w=line.measured_w,
        delay_s=line.delay_s if lives else None,
        end_delay_s=line.end_delay_s if lives else None,
    )
