"""Combinations for tests that live through hours: every other one runs in `make test-long` only."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import pytest


def every_other(*axes: Sequence[Any]) -> list[Any]:
    """All combinations; each value of each axis is in one that always runs."""
    found = []
    for picked in product(*(range(len(axis)) for axis in axes)):
        marks = (pytest.mark.long,) if sum(picked) % 2 else ()
        found.append(pytest.param(*(axis[n] for axis, n in zip(axes, picked, strict=True)), marks=marks))
    return found
