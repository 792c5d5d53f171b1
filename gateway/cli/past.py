"""What was: the record of a point and the evidence of an instruction, asked for a page at a time.

A long export goes on its way as it comes: nothing is held that need not be.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer

from gateway.cli.whole_file import whole_file
from gateway.console.answers import Question

Ask = Callable[[Question], Any]
"""Asks the daemon, or ends the command."""


def pages(ask: Ask, question: Question) -> Iterator[Any]:
    """Page after page of the rows that are asked for."""
    while True:
        page = ask(question)
        yield page
        if page["more_after"] is None:
            return
        question = {**question, "after": page["more_after"]}


def as_json(point: str, found: Iterator[Any], rows: str = "minutes") -> Iterator[str]:
    """The pages as one JSON object, line by line, as if it were a single page; `rows` is what its rows are
    called."""
    unreadable, row_before = 0, ""
    found = itertools.chain([next(found)], found)  # a question that is refused prints nothing before
    yield f'{{"point": {json.dumps(point)}, "{rows}": ['
    for page in found:
        unreadable += page["unreadable"]
        for row in page[rows]:
            if row_before:
                yield f"{row_before},"
            row_before = json.dumps(row, ensure_ascii=False)
    yield row_before
    yield f'], "more_after": null, "unreadable": {unreadable}}}'


def report(ask: Ask, id_: str) -> tuple[Any, dict[str, list[Any]]]:
    """The evidence of an instruction, and the minutes of its points."""
    found = ask({"ask": "report", "id": id_})
    minutes = {}
    for point in found["points"]:
        question: Question = {
            "ask": "meter",
            "point": point,
            "since": found["since"],
            "until": found["until"],
        }
        minutes[point] = [minute for page in pages(ask, question) for minute in page["minutes"]]
    return found, minutes


def draw(file: Path, picture: str) -> None:
    """Write a picture into a file; its name is told on stderr.

    Raises:
        OSError: there is no writing there.
    """
    with whole_file(file) as out:
        out.write(picture)
    typer.echo(f"{file}: written", err=True)
