"""Charge sessions on a terminal and as rows of a table. Pure: the answer in, lines or rows out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gateway.console.answers import RateLine, SessionLine, Sessions

NOBODY_KNOWS = "?"
COLUMNS = (
    "session", "asset", "plugged_in", "plugged_in_seen", "charging_started", "charging_stopped", "starts",
    "unplugged", "unplugged_seen", "energy_kwh", "energy_by", "rate_changes", "unseen", "left_out",
)  # fmt: skip
EVENT_COLUMNS = (
    "session", "asset", "at", "event", "at_most_w", "governed_by", "reason", "text", "instructions",
)  # fmt: skip


def listed(answer: Sessions) -> RenderableType:
    """One line a session."""
    if not answer["sessions"]:
        return _with_unreadable(answer, Text("no charge session is kept of that time"))
    columns = ("no.", "car", "plugged in", "unplugged", "charged", "kWh", "rate changed")
    table = Table(*columns, box=None, pad_edge=False)
    for session in answer["sessions"]:
        table.add_row(
            str(session["number"]),
            session["asset"],
            _plugged_in(session),
            _unplugged(session),
            _charged(session),
            _kwh(session),
            _times(changes(session)) + (", not all seen" if session["unseen"] else ""),
        )
    return _with_unreadable(answer, table)


def detailed(answer: Sessions) -> RenderableType:
    """Each session with all that happened in it, in order, and why."""
    if not answer["sessions"]:
        return listed(answer)
    return _with_unreadable(answer, Group(*(_detail(session) for session in answer["sessions"])))


def table(answer: Sessions, *, detail: bool) -> Iterator[Sequence[object]]:
    """Rows for a spreadsheet, the names of its columns first: one a session, or one for all that happened."""
    if not detail:
        yield COLUMNS
        yield from map(_row, answer["sessions"])
        return
    yield EVENT_COLUMNS
    for session in answer["sessions"]:
        for at, event, rate in _events(session):
            head = (session["number"], session["asset"], at or "", event)
            yield (*head, *(_rate_cells(rate) if rate else ("",) * 5))


def changes(session: SessionLine) -> int:
    """How often it was let draw another power; who said so may change more often."""
    powers = [_watts(rate) for rate in session["rates"]]
    return sum(before != after for before, after in pairwise(powers))


# --- lines --------------------------------------------------------------------------------------------------


def _detail(session: SessionLine) -> Text:
    lines = Text()
    lines.append(f"{session['number']}  {session['asset']}", style="bold")
    energy = _kwh(session) + (f" kWh by {session['energy_by']}" if session["energy_by"] else " kWh")
    lines.append(f"   {_plugged_in(session)} to {_unplugged(session)}, {energy}\n")
    for at, event, rate in _events(session):
        lines.append(f"  {_at(at, seconds=True)}  {_rate(rate) if rate else event}\n")
    if session["left_out"]:
        lines.append(f"  and {session['left_out']} more, of which the time is not kept\n", style="yellow")
    return lines


def _plugged_in(session: SessionLine) -> str:
    at = _at(session["plugged_in"])
    return at if session["plugged_in_seen"] else f"before {at}"


def _unplugged(session: SessionLine) -> str:
    if session["open"]:
        return "not yet"
    at = _at(session["unplugged"])
    return at if session["unplugged_seen"] else f"after {at}"


def _charged(session: SessionLine) -> str:
    if not session["charging"]:
        return "-"
    first, last = session["charging"][0]["start"], session["charging"][-1]["stop"]
    is_on = session["open"] and last is None
    until = "now" if is_on else _at(last)[11:] or NOBODY_KNOWS
    times = len(session["charging"])
    return f"{_at(first)[11:] or NOBODY_KNOWS}-{until}" + (f" in {times} parts" if times > 1 else "")


def _kwh(session: SessionLine) -> str:
    return NOBODY_KNOWS if session["energy_kwh"] is None else f"{session['energy_kwh']:.3f}"


def _rate(rate: RateLine) -> str:
    """As `homeflex why` says it."""
    by = f" ({', '.join(rate['instructions'])})" if rate["instructions"] else ""
    return f"{_watts(rate)} - {rate['governed_by']}{by}: {rate['text']}"


def _watts(rate: RateLine) -> str:
    if rate["raised"]:
        return "raised"
    return "own control" if rate["at_most_w"] is None else f"at most {rate['at_most_w']} W"


def _times(count: int) -> str:
    return {0: "never", 1: "once"}.get(count, f"{count} times")


def _at(at: str | None, *, seconds: bool = False) -> str:
    """To the minute, or the second, without the offset."""
    return NOBODY_KNOWS if at is None else at[: 19 if seconds else 16].replace("T", " ")


def _with_unreadable(answer: Sessions, shown: RenderableType) -> RenderableType:
    if not answer["unreadable"]:
        return shown
    return Group(shown, Text(f"{answer['unreadable']} more cannot be read", style="yellow"))


# --- rows ---------------------------------------------------------------------------------------------------


def _row(session: SessionLine) -> Sequence[object]:
    charging = session["charging"] or [{"start": None, "stop": None}]
    return (
        session["number"],
        session["asset"],
        session["plugged_in"] or "",
        _yes(session["plugged_in_seen"]),
        charging[0]["start"] or "",
        charging[-1]["stop"] or "",
        len(session["charging"]),
        session["unplugged"] or "",
        _yes(session["unplugged_seen"]),
        "" if session["energy_kwh"] is None else _kwh(session),
        session["energy_by"] or "",
        changes(session),
        len(session["unseen"]),
        session["left_out"],
    )


def _yes(claim: bool) -> str:
    return "yes" if claim else "no"


def _rate_cells(rate: RateLine) -> Sequence[object]:
    at_most_w = "raised" if rate["raised"] else "" if rate["at_most_w"] is None else rate["at_most_w"]
    return at_most_w, rate["governed_by"], rate["reason"], rate["text"], " ".join(rate["instructions"])


def _events(session: SessionLine) -> list[tuple[str | None, str, RateLine | None]]:
    """All that happened, by time; what has none comes first."""
    found: list[tuple[str | None, str, RateLine | None]] = []
    for gap in session["unseen"]:
        found += [(gap["start"], "not seen from here", None), (gap["stop"], "seen again", None)]
    found += [(rate["at"], "rate", rate) for rate in session["rates"]]
    for span in session["charging"]:
        found.append((span["start"], "charging starts", None))
        if span["stop"]:
            found.append((span["stop"], "charging stops", None))
    begun = "plugged in" if session["plugged_in_seen"] else "first seen"
    over = "unplugged" if session["unplugged_seen"] else "last seen"
    ended = [] if session["open"] else [(session["unplugged"], over, None)]
    return [(session["plugged_in"], begun, None), *sorted(found, key=_instant), *ended]


def _instant(event: tuple[str | None, str, RateLine | None]) -> float:
    return datetime.fromisoformat(event[0]).timestamp() if event[0] else 0.0
