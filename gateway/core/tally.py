"""The seconds of a window: held, idle or limited by a reason, and the summary made of them."""

from __future__ import annotations

from dataclasses import replace

from gateway.core.life import (
    AssetSummary,
    Entry,
    Evidence,
    Following,
    Life,
    Now,
    Status,
    Summary,
    Watch,
    begin_utc_s,
)
from gateway.core.model import Extent, Instruction, Reason, Vector

SUMMARY_AFTER_S = 60.0  # contract: 60-120 s after the last end
LOOK_SLACK_S = 1.0  # trusted UTC may be slewed; more than this was not seen


def counted(
    life: Life, following: Following | None, instruction: Instruction, watch: Watch, now: Now
) -> Life:
    """The life with the time since the last look added to how it stood then."""
    recent_s, unseen_s = _uncounted_s(life, instruction, watch, now)
    if unseen_s > 0:
        life = _limited(life, watch.gap, unseen_s)
    if recent_s <= 0:
        return life
    if following is None or not following.follows:
        is_told = life.extent is Extent.NONE and life.reason is not Reason.NONE
        untold = Reason.MANUAL if instruction.vector is Vector.MANUAL else Reason.NOT_FOLLOWING
        return _limited(life, life.reason if is_told else untold, recent_s)
    if life.extent is not Extent.FULL:
        return _limited(life, life.reason, recent_s)
    if life.evidence is Evidence.IDLE:
        return replace(life, idle_s=life.idle_s + recent_s)
    return replace(life, held_s=life.held_s + recent_s)


def summed(entry: Entry, watch: Watch, now: Now) -> tuple[Entry, Summary | None]:
    """The entry and, when it is time, its summary: once per id."""
    instruction = entry.instruction
    if entry.summarised or instruction is None or watch.ended_s is None:
        return entry, None
    if entry.is_open or now.now_s - watch.ended_s < SUMMARY_AFTER_S:
        return entry, None
    accepted = [life for life in entry.lives if life.status is not Status.REJECTED]
    summary = Summary(
        entry.id,
        entry.revision,
        instruction.service,
        entry.service_ref,
        *entry.window_utc_s,
        assets=tuple(_asset_summary(life, instruction) for life in accepted),
    )
    return replace(entry, summarised=True), summary


def _uncounted_s(life: Life, instruction: Instruction, watch: Watch, now: Now) -> tuple[float, float]:
    """Seconds of the window not counted yet: those since the last look, and those nobody looked at."""
    from_utc_s = max(begin_utc_s(instruction), life.joined_utc_s)
    left_s = max(0.0, instruction.end_utc_s - from_utc_s - life.counted_s)
    looked_s = max(0.0, min(now.now_s, watch.end_s) - watch.at_s)
    if now.clock_trusted:
        due_s = min(now.utc_s, instruction.end_utc_s) - from_utc_s - life.counted_s
    else:
        due_s = looked_s if watch.has_begun else 0.0
    due_s = min(max(0.0, due_s), left_s)
    recent_s = min(due_s, looked_s + LOOK_SLACK_S)
    return recent_s, due_s - recent_s


def _limited(life: Life, reason: Reason, for_s: float) -> Life:
    limits = dict(life.limited_s)
    limits[reason] = limits.get(reason, 0.0) + for_s
    return replace(life, limited_s=tuple(limits.items()))


def _asset_summary(life: Life, instruction: Instruction) -> AssetSummary:
    return AssetSummary(
        life.asset,
        life.status,
        life.followed_utc_s,
        instruction.start_delay_s,
        held_s=round(life.held_s),
        idle_s=round(life.idle_s),
        limited_s=round(sum(s for _, s in life.limited_s)),
        limits=tuple((reason, round(s)) for reason, s in life.limited_s),
    )
