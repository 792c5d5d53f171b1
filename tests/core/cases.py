"""Combinations for tests that live through hours: most run in `make test-long` only."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import pytest


def each_once(*axes: Sequence[Any]) -> list[Any]:
    """All combinations; of those that always run just so many that each value of each axis is in one."""
    always = {tuple(n % len(axis) for axis in axes) for n in range(max(map(len, axes)))}
    found = []
    for picked in product(*(range(len(axis)) for axis in axes)):
        marks = () if picked in always else (pytest.mark.long,)
        found.append(pytest.param(*(axis[n] for axis, n in zip(axes, picked, strict=True)), marks=marks))
    return found
