"""`python -m tests.portfolio`: the figures of docs/portfolio.md, and its plots written anew."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.portfolio import picture, table

PLOTS = Path(__file__).parents[2] / "docs" / "portfolio"
LIVE = ("held mean", "held last", "ratio", "settled step")


def plots(found: table.Portfolios) -> dict[str, str]:
    """Each plot by the name of its file."""
    shown = found.shown["0-59"]
    homes = f"{shown.count} homes"
    return {
        "ramp.svg": picture.ramp(shown, LIVE, f"{homes}, cars told to draw less: live, and settled"),
        "offsets.svg": picture.schemes(
            found.shown.values(), "held mean", f"{homes}: the held mean by offsets"
        ),
        "steady.svg": picture.sizes(
            found, ("held mean", "held last", "settled step"), "Error at steady load"
        ),
    }


def main() -> int:
    """Measure, print, draw; the exit code."""
    found = table.measure("quick" if "--quick" in sys.argv else "usual")
    print(table.text(found))
    if "--plots" in sys.argv:
        PLOTS.mkdir(exist_ok=True)
        for name, drawn in plots(found).items():
            (PLOTS / name).write_text(drawn)
    return 0


if __name__ == "__main__":
    sys.exit(main())
