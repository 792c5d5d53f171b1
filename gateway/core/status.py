"""How an instruction stands, in the contract's status lines: per asset, and per class or site as a whole."""

from __future__ import annotations

import math
from dataclasses import replace

from gateway.core.life import Entry, Evidence, Life, Report, Reported, Status
from gateway.core.model import Extent, Reason


def lines(entry: Entry, boundary_w: float | None = None) -> tuple[Reported, ...]:
    """How the entry stands: a line per asset, and one for each class, site and unmatched target."""
    found = [_line(entry, life) for life in entry.lives]
    for target in entry.targets:
        if not target.assets:
            text = f"nothing here is {target.name}"
            found.append(
                Reported(Status.REJECTED, target=target.name, reason=Reason.UNKNOWN_TARGET, text=text)
            )
        elif not target.name.startswith("asset:"):
            members = [line for line in found if line.asset in target.assets]
            found.append(_whole(target.name, members, boundary_w))
    return tuple(found)


def report(entry: Entry) -> Report:
    """The entry's last status. A revision that waits for a trusted clock says so in every line."""
    told = entry.told
    if entry.pending and entry.is_decided:
        text = f"revision {entry.pending.revision} waits until this home's clock is trusted"
        told = tuple(
            line if line.status.is_end else replace(line, reason=Reason.CLOCK_UNTRUSTED, text=text)
            for line in told
        )
    return Report(entry.id, entry.revision, entry.digest, entry.reception, told, ended=not entry.is_open)


def _line(entry: Entry, life: Life) -> Reported:
    delay_s = end_delay_s = 0
    if instruction := entry.instruction:
        delay_s = instruction.start_delay_s
        end_delay_s = 0 if life.asset in instruction.undelayed else instruction.end_delay_s
    return Reported(
        life.status,
        asset=life.asset,
        extent=life.extent,
        evidence=life.evidence,
        reason=life.reason,
        text=life.text,
        limit_w=life.limit_w,
        measured_w=life.measured_w,
        delay_s=delay_s,
        end_delay_s=end_delay_s,
    )


def _whole(name: str, members: list[Reported], boundary_w: float | None) -> Reported:
    taking = [m for m in members if not m.status.is_end]
    taking = taking or [m for m in members if m.status is not Status.REJECTED] or members
    extents = {m.extent for m in taking if m.extent}
    limits = [m.limit_w for m in taking if m.limit_w is not None]
    measured = [m.measured_w for m in taking if m.measured_w is not None]
    total_w = sum(measured) if len(measured) == len(taking) else None
    if name == "site":
        total_w = None if boundary_w is None or not math.isfinite(boundary_w) else round(boundary_w)
    why = next((m for m in taking if m.reason is not Reason.NONE), taking[0])
    return replace(
        why,
        status=_whole_status({m.status for m in taking}),
        asset=None,
        target=name,
        extent=(extents.pop() if len(extents) == 1 else Extent.PARTIAL) if extents else None,
        evidence=_whole_evidence({m.evidence for m in taking}),
        limit_w=sum(limits) if len(limits) == len(taking) else None,
        measured_w=total_w,
    )


def _whole_status(statuses: set[Status]) -> Status:
    if any(not status.is_end for status in statuses):
        return Status.ACCEPTED if statuses.isdisjoint(_STARTED) else Status.STARTED
    return next(status for status in _ENDS if status in statuses)


def _whole_evidence(found: set[Evidence | None]) -> Evidence | None:
    return next((e for e in (Evidence.READ_BACK, Evidence.MEASURED, Evidence.IDLE) if e in found), None)


_STARTED = {Status.STARTED, Status.SUCCEEDED}
_ENDS = (Status.SUCCEEDED, Status.REVOKED, Status.ABORTED, Status.REJECTED)
