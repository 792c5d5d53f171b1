"""Rows as CSV (RFC 4180, but that lines end with LF), into a file or onto the terminal."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import typer

TERMINAL = Path("-")


def write(file: Path, rows: Iterable[Sequence[object]]) -> None:
    """Write the rows, whole or not at all where the file cannot be opened; a file's name is told on stderr.

    Raises:
        OSError: there is no writing there.
    """
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    if file == TERMINAL:
        typer.echo(text.getvalue(), nl=False)
        return
    file.write_text(text.getvalue(), encoding="utf-8")
    typer.echo(f"{file}: written", err=True)
