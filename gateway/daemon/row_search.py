"""Where the rows of a log from some time on begin: a search by halves, since no index knows their times."""

from __future__ import annotations

from collections.abc import Callable

EDGES = (
    "select (select min(first_seq) from row where log = ?1), (select max(first_seq) from row where log = ?1)"
)
FROM = "select first_seq, at_utc_s from row where log = ?1 and first_seq >= ?2 order by first_seq limit 1"


def first_since(low: int, last: int, row_from: Callable[[int], tuple[int, float]], utc_s: float) -> int:
    """The number from which on the rows `low` to `last` are of `utc_s` or later; above `last` if none is.

    `row_from` tells number and time of the first row from a number on; times never fall from row to row.
    """
    high = last + 1
    while low < high:
        middle = (low + high) // 2
        found, at_utc_s = row_from(middle)
        low, high = (low, middle) if at_utc_s >= utc_s else (found + 1, high)
    return low
