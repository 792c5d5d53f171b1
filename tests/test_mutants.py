"""The list of faults fits the code: each line it changes is there once, and what it becomes is Python."""

from __future__ import annotations

import ast

import pytest

from tests.mutants import ROOT, Mutant, mutants

LEAST = 60


def test_there_are_enough() -> None:
    assert len({(m.file, m.was, m.becomes) for m in mutants()}) >= LEAST


@pytest.mark.parametrize("mutant", mutants(), ids=lambda m: f"{m.file.rpartition('/')[2]}: {m.why}")
def test_a_fault_can_be_put_in(mutant: Mutant) -> None:
    whole = (ROOT / mutant.file).read_text()
    broken = mutant.applied(whole)
    assert ast.dump(ast.parse(broken)) != ast.dump(ast.parse(whole))
    assert mutant.file.startswith("gateway/core/")
    assert all((ROOT / test.partition("::")[0]).exists() for test in mutant.tests)
