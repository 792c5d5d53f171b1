"""How long, as a person types it."""

from __future__ import annotations

import re

import typer

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def seconds(text: str) -> float:
    """Seconds of `90s`, `30m`, `2h` or `1d`.

    Raises:
        typer.BadParameter: it is none of them.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    if not found:
        raise typer.BadParameter(f"{text!r} is no duration; 90s, 30m, 2h or 1d would be")
    return float(found[1]) * _UNITS_S[found[2]]
