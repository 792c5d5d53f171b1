"""The random delays of an instruction, of its start and of the return upwards at its end: how they run, and
how the household skips them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from gateway.core.book import Decided
from gateway.core.life import Book, Entry, Now, Report, Status, Watch
from gateway.core.status import lines, report


@dataclass(frozen=True, slots=True)
class Delay:
    """A delay that runs: of the return, or else of the start."""

    elapsed_s: float
    left_s: float
    of_return: bool


def running(entry: Entry, watch: Watch | None, now: Now) -> Delay | None:
    """The delay of an entry that runs now. That of a start needs a trusted clock, like the start itself."""
    instruction = entry.instruction
    if instruction is None or not entry.is_decided or entry.let_go:
        return None
    if entry.is_open:
        elapsed_s = now.utc_s - instruction.start_utc_s if now.clock_trusted else -1.0
        length_s = instruction.start_delay_s
    else:
        elapsed_s = _since_end_s(instruction.end_utc_s, watch, now)
        length_s = 0 if instruction.steps[-1].kind.only_raises else instruction.end_delay_s
    if not 0 <= elapsed_s < length_s:
        return None
    return Delay(elapsed_s, length_s - elapsed_s, not entry.is_open)


def waiting(entry: Entry) -> frozenset[str]:
    """The assets that a delay of the entry, if one runs, keeps waiting."""
    ends = {Status.SUCCEEDED, Status.REVOKED}
    waits = [e for e in entry.lives if (not e.status.is_end if entry.is_open else e.status in ends)]
    if (instruction := entry.instruction) is None:
        return frozenset()
    prompt = frozenset[str]() if entry.is_open else instruction.undelayed
    return frozenset(life.asset for life in waits if life.asset in instruction.scope.assets) - prompt


def skip(book: Book, ids: Iterable[str], now: Now) -> Decided:
    """The book after the household skipped what is left of these instructions' delays.

    A delay is then what has elapsed of it. The start's is not drawn out again by a revision.
    """
    entries: list[Entry] = []
    reports: list[Report] = []
    for id_ in ids:
        was, watch = book.entry(id_), book.watches.get(id_)
        delay = running(was, watch, now) if was else None
        if was is None or delay is None:
            continue
        entry = _skipped(was, delay)
        if entry.is_done:  # else its next status tells it
            entry = replace(entry, told=lines(entry))
            reports.append(report(entry))
        book = book.with_entry(entry, watch)
        entries.append(entry)
    return Decided(book, tuple(reports), tuple(entries))


def _skipped(entry: Entry, delay: Delay) -> Entry:
    assert entry.instruction
    taken_s = int(delay.elapsed_s)
    if delay.of_return:
        return replace(entry, instruction=replace(entry.instruction, end_delay_s=taken_s), let_go=True)
    instruction = replace(entry.instruction, start_delay_s=taken_s)
    return replace(entry, instruction=instruction, draws=replace(entry.draws, start=0.0))


def _since_end_s(end_utc_s: float, watch: Watch | None, now: Now) -> float:
    """Seconds since the window's end, by whichever clock saw it first; negative: not known."""
    by_utc_s = now.utc_s - end_utc_s if now.clock_trusted else -1.0
    return max(by_utc_s, now.now_s - watch.end_s if watch else -1.0)
