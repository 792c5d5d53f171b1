"""Minutes and points on a terminal and as rows of a table. Pure: the answer in, lines or rows out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gateway.console.answers import MinuteLine, Minutes, Points

COLUMNS = (
    "seq", "start", "end", "power_w", "energy_wh", "gap_wh", "import_register_kwh", "export_register_kwh",
    "quality", "reasons", "source", "coverage", "limit_w", "governed_by", "instructions", "soc", "room_c",
)  # fmt: skip
HEADING = (
    "end (local)                    W        Wh   import kWh   at most  governed by  quality and reasons"
)
ID_SHOWN = 8  # characters of an instruction's id; the table has it whole


def points(answer: Points) -> RenderableType:
    """One line a point."""
    if not answer["points"]:
        return Text("no point is measured here")
    table = Table("point", "kept since", "last minute", "W", "quality", "not acknowledged", box=None)
    for point in answer["points"]:
        last = point["last"]
        table.add_row(
            point["point"],
            _at(point["since"]),
            _at(last["end"] if last else None),
            _whole(last["power_w"] if last else None),
            _quality(last) if last else "-",
            str(point["not_held"]),
        )
    return Group(table, Text("`homeflex meter POINT` shows its minutes"))


def lines(pages: Iterable[Minutes]) -> Iterator[str]:
    """A heading and one line a minute, page by page."""
    told = unreadable = 0
    for page in pages:
        unreadable += page["unreadable"]
        for minute in page["minutes"]:
            if not told:
                yield HEADING
            told += 1
            yield _line(minute)
    if not told:
        yield "no minute is kept of that time"
    if unreadable:
        yield f"{unreadable} more cannot be read"


def rows(pages: Iterable[Minutes]) -> Iterator[Sequence[object]]:
    """Rows for a spreadsheet, the names of its columns first; what is not known is empty."""
    yield COLUMNS
    for page in pages:
        for minute in page["minutes"]:
            cells = {**minute, "reasons": " ".join(minute["reasons"])}
            cells["instructions"] = " ".join(minute["instructions"])
            yield tuple("" if cells[name] is None else cells[name] for name in COLUMNS)


def _line(minute: MinuteLine) -> str:
    gap = "" if minute["gap_wh"] is None else f", {minute['gap_wh']:.2f} Wh before it unseen"
    ids = "".join(f" {id_[:ID_SHOWN]}" for id_ in minute["instructions"])
    return (
        f"{minute['end'].replace('T', ' '):25} {_whole(minute['power_w']):>7} {_two(minute['energy_wh']):>9}"
        f" {_two(minute['import_register_kwh'], 3):>12} {_whole(minute['limit_w']):>9}"
        f"  {minute['governed_by']:11}  {_quality(minute)}{gap}{ids}"
    )


def _quality(minute: MinuteLine) -> str:
    return " ".join([minute["quality"], *minute["reasons"]])


def _whole(watts: float | None) -> str:
    return "-" if watts is None else f"{watts:.0f}"


def _two(energy: float | None, decimals: int = 2) -> str:
    return "-" if energy is None else f"{energy:.{decimals}f}"


def _at(at: str | None) -> str:
    return "-" if at is None else at.replace("T", " ")
