"""The evidence of one instruction, chosen from what is kept of it: its span, its history, how fast it was."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from gateway.core.life import Entry, Life, begin_utc_s

MARGIN_S = 300.0  # shown before and after
HISTORY_MAX = 200  # changes that are told; the first and the latest stay


class Stand(NamedTuple):
    """How an asset, or a target as a whole (`name`), stood from a moment on, in the contract's words; powers
    in watts."""

    at_utc_s: float
    name: str
    status: str
    extent: str
    evidence: str
    reason: str
    text: str
    limit_w: float | None
    measured_w: float | None


class Took(NamedTuple):
    """How long after the setpoint was taken, after the start with its random delay, and after the instruction
    arrived the response was seen (s). None: nobody knows."""

    after_setting_s: float | None
    after_start_s: float
    after_arrival_s: float | None


def span_utc_s(entry: Entry, utc_s: float) -> tuple[float, float]:
    """From five minutes before the window to five after it, or after the end if that was earlier; until now
    (`utc_s`) at most. An instruction that ended before its window shows the margin alone."""
    start_utc_s, end_utc_s = entry.window_utc_s
    if entry.ended_utc_s is not None:
        end_utc_s = min(end_utc_s, max(entry.ended_utc_s, start_utc_s))
    since_utc_s = start_utc_s - MARGIN_S
    return since_utc_s, max(since_utc_s, min(end_utc_s + MARGIN_S, utc_s))


def took(entry: Entry, life: Life) -> Took | None:
    """How long the response of an asset took; None: none was seen."""
    if life.response is None or entry.instruction is None:
        return None
    at_utc_s, setting, arrived_utc_s = life.response.at_utc_s, life.setting, entry.accepted_utc_s
    return Took(
        None if setting is None else at_utc_s - setting.at_utc_s,
        at_utc_s - begin_utc_s(entry.instruction),
        None if arrived_utc_s is None else at_utc_s - arrived_utc_s,
    )


def changes(told: Iterable[Stand]) -> tuple[list[Stand], int]:
    """Each change of how each name stands, in order of time; and how many are left out in the middle.

    Powers and words alone are no change: they change each second.
    """
    last: dict[str, tuple[str, ...]] = {}
    found: list[Stand] = []
    for stand in sorted(told, key=lambda one: one.at_utc_s):
        gist = (stand.status, stand.extent, stand.evidence, stand.reason)
        if last.get(stand.name) != gist:
            last[stand.name] = gist
            found.append(stand)
    if len(found) <= HISTORY_MAX:
        return found, 0
    half = HISTORY_MAX // 2
    return [*found[:half], *found[-half:]], len(found) - 2 * half
