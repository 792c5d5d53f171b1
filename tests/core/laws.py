"""Laws of any home, looked at in as many drawn ones as a second allows. Hypothesis, whose drawing takes many
times as long, is asked for the least home that breaks one once there is such a home."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from random import Random

from hypothesis import find, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisException

from gateway.core.model import Snapshot
from tests.core.homes import any_snapshot

LOOKED_FOR_S = 15.0

Law = Callable[[Snapshot, Random], None]
"""Raises where it does not hold; what else it needs it draws."""


def in_any_home(times: int = 300) -> Callable[[Law], Callable[[], None]]:
    """The law as a test over so many homes."""

    def tested(law: Law) -> Callable[[], None]:
        def test() -> None:
            hold_in(range(times), law)

        test.__name__, test.__doc__ = law.__name__, law.__doc__
        return test

    return tested


def hold_in(seeds: Iterable[int], law: Law) -> None:
    """Look at the home of each seed; the first that breaks the law is told with the least one found."""
    for seed in seeds:
        random = Random(seed)
        home = any_snapshot(random)
        try:
            law(home, random)
        except Exception as error:
            error.add_note(f"seed {seed}: {_least(law) or home}")
            raise


class _Enough(Exception):
    """So long is looked for a lesser home."""


def _least(law: Law) -> Snapshot | None:
    """The least home that hypothesis finds to break it within some seconds, if it finds one at all."""
    least: list[Snapshot] = []
    until_s = time.monotonic() + LOOKED_FOR_S

    def breaks(drawn: tuple[Snapshot, Random]) -> bool:
        if time.monotonic() > until_s:
            raise _Enough
        try:
            law(*drawn)
        except Exception:  # noqa: BLE001 - whatever it is, it is what was looked for
            least[:] = drawn[:1]
            return True
        return False

    drawn = st.randoms(use_true_random=False).map(lambda random: (any_snapshot(random), random))
    with suppress(_Enough, HypothesisException):  # none was found, or its drawing did not repeat itself
        find(drawn, breaks, settings=settings(max_examples=500, database=None, deadline=None))
    return least[0] if least else None
