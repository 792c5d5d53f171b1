"""`make mutants`: each one-line fault of `mutants.toml`, put into a copy of the tree, must turn a test red.

Exit code 1 if a fault survives, or if the line it changes is not there exactly once.
"""

from __future__ import annotations

import argparse
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIST = Path(__file__).with_suffix(".toml")
COPIED = ("gateway", "drivers", "firmware_profiles", "tests", "pyproject.toml")
EVERY_TEST = "tests/core"
LONGEST_S = 900.0  # of one run; a fault that hangs is found


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault: in `file`, `was` becomes `becomes`, and `why` that would be bad. `tests` run first."""

    file: str
    was: str
    becomes: str
    why: str
    tests: list[str] = field(default_factory=list)

    def applied(self, text: str) -> str:
        """The file's text with the fault in it.

        Raises:
            ValueError: the line is not there exactly once.
        """
        if (times := text.count(self.was)) != 1:
            raise ValueError(f"{self.file}: {self.was!r} is there {times} times, once would be right")
        return text.replace(self.was, self.becomes)


def mutants() -> list[Mutant]:
    """All of the list."""
    return [Mutant(**row) for row in tomllib.loads(LIST.read_text())["mutant"]]


def main() -> int:
    """Run all, or those whose file or reason names one of the words given; the exit code."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("words", nargs="*")
    asked = parser.parse_args()
    chosen = [m for m in mutants() if not asked.words or any(w in f"{m.file} {m.why}" for w in asked.words)]
    trees: queue.Queue[Path] = queue.Queue()
    with tempfile.TemporaryDirectory(prefix="homeflex-mutants-") as folder:
        for number in range(os.cpu_count() or 1):
            trees.put(_copied(Path(folder) / str(number)))
        with ThreadPoolExecutor(trees.qsize()) as pool:
            survived = list(pool.map(lambda mutant: _tried(mutant, trees), chosen))
    print(f"{survived.count(False)} of {len(chosen)} faults turned a test red")
    return 1 if any(survived) else 0


def _copied(tree: Path) -> Path:
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tree / name)
    return tree


def _tried(mutant: Mutant, trees: queue.Queue[Path]) -> bool:
    """Whether the fault survives; said on a line of its own."""
    tree, began_s = trees.get(), time.monotonic()
    try:
        with _broken(mutant, tree):
            survives = all(_passes(tree, tests) for tests in (mutant.tests, [EVERY_TEST]) if tests)
    finally:
        trees.put(tree)
    word = "SURVIVED" if survives else "found"
    print(f"{word:8} {time.monotonic() - began_s:5.0f} s  {mutant.file}: {mutant.why}", flush=True)
    return survives


@contextmanager
def _broken(mutant: Mutant, tree: Path) -> Iterator[None]:
    path = tree / mutant.file
    whole = path.read_text()
    path.write_text(mutant.applied(whole))
    try:
        yield
    finally:
        path.write_text(whole)


def _passes(tree: Path, tests: list[str]) -> bool:
    """Whether the tests pass in the tree, with the tree's own code."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, timeout=LONGEST_S, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    if done.returncode not in (0, 1):  # 2: what cannot be collected is no test that found it
        raise RuntimeError(f"{command}: exit code {done.returncode}\n{done.stdout.decode()[-2000:]}")
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
