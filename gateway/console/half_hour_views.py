"""Half-hours on a terminal and as rows of a table. Pure: the answer in, lines or rows out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from gateway.console.answers import HalfHourLine, HalfHours

COLUMNS = (
    "seq", "revision", "start", "end", "settlement_date", "settlement_period", "import_kwh", "export_kwh",
    "import_register_start_kwh", "import_register_end_kwh", "export_register_start_kwh",
    "export_register_end_kwh", "method", "quality", "reasons", "coverage", "edge_gap_s",
)  # fmt: skip
HEADING = "start (local)              settlement day  period   import kWh   export kWh  quality and reasons"


def lines(pages: Iterable[HalfHours]) -> Iterator[str]:
    """A heading and one line a half-hour, page by page."""
    told = unreadable = 0
    for page in pages:
        unreadable += page["unreadable"]
        for half in page["half_hours"]:
            if not told:
                yield HEADING
            told += 1
            yield _line(half)
    if not told:
        yield "no half-hour is kept of that time"
    if unreadable:
        yield f"{unreadable} more cannot be read"


def rows(pages: Iterable[HalfHours]) -> Iterator[Sequence[object]]:
    """Rows for a spreadsheet, the names of its columns first; what is not known is empty."""
    yield COLUMNS
    for page in pages:
        for half in page["half_hours"]:
            cells = {**half, "reasons": " ".join(half["reasons"])}
            yield tuple("" if cells[name] is None else cells[name] for name in COLUMNS)


def _line(half: HalfHourLine) -> str:
    corrected = f", correction {half['revision']}" if half["revision"] else ""
    return (
        f"{half['start'].replace('T', ' '):25}  {half['settlement_date']:14}  {half['settlement_period']:>6}"
        f" {_kwh(half['import_kwh']):>12} {_kwh(half['export_kwh']):>12}"
        f"  {' '.join([half['quality'], *half['reasons']])}{corrected}"
    )


def _kwh(energy: float | None) -> str:
    return "-" if energy is None else f"{energy:.3f}"
