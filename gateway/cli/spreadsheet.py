"""Rows as CSV (RFC 4180, but that lines end with LF), into a file or onto the terminal."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import typer

from gateway.cli.whole_file import whole_file

TERMINAL = Path("-")


def write(file: Path, rows: Iterable[Sequence[object]]) -> None:
    """Write the rows as they come, into a file whole or not at all; its name is told on stderr.

    Raises:
        OSError: there is no writing there.
    """
    if file == TERMINAL:
        csv.writer(sys.stdout, lineterminator="\n").writerows(rows)
        return
    with whole_file(file) as out:
        csv.writer(out, lineterminator="\n").writerows(rows)
    typer.echo(f"{file}: written", err=True)
