"""`make schemas`: the contract for machines, written anew into docs/."""

from __future__ import annotations

from pathlib import Path

from gateway.contract.page import pages

DOCS = Path(__file__).parents[2] / "docs"

if __name__ == "__main__":
    for name, text in pages().items():
        (DOCS / name).write_text(text, encoding="utf-8")
