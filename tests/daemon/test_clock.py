"""The clock: UTC on the monotonic clock, trusted only with a reason, every step reported."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.daemon.clock import (
    BUILT_UTC_S,
    DRIFT,
    ERROR_MAX_S,
    STEP_S,
    Clock,
    Discipline,
    Step,
    Trust,
    read_discipline,
)

T0 = BUILT_UTC_S + 1e7
UNKNOWN = Discipline(synchronised=False, error_s=math.inf)
GOOD = Discipline(synchronised=True, error_s=0.05)


@dataclass
class Hub:
    """The hardware: two clocks and what the kernel says of them."""

    wall_s: float = T0
    up_s: float = 100.0
    kernel: Discipline = UNKNOWN

    def pass_s(self, seconds: float) -> None:
        self.wall_s += seconds
        self.up_s += seconds

    def clock(self, trust: Trust = Trust.KERNEL, floor_utc_s: float = 0.0) -> Clock:
        return Clock(
            trust=trust,
            floor_utc_s=floor_utc_s,
            wall=lambda: self.wall_s,
            monotonic=lambda: self.up_s,
            discipline=lambda: self.kernel,
        )


@pytest.fixture
def hub() -> Hub:
    return Hub()


def test_utc_runs_with_the_monotonic_clock_between_steps(hub: Hub) -> None:
    clock = hub.clock()
    hub.pass_s(3600)
    hub.wall_s += 1.5  # slewed, not stepped
    assert clock.check() is None
    assert clock.utc_s() == T0 + 3600


@given(st.floats(-1e8, 1e8).filter(lambda by_s: abs(by_s) > STEP_S + 0.01))
def test_a_step_is_followed_once_and_reported_with_its_size(by_s: float) -> None:
    hub = Hub(kernel=GOOD)
    clock = hub.clock()
    hub.pass_s(60)
    hub.wall_s += by_s
    step = clock.check()
    assert isinstance(step, Step)
    assert step.by_s == pytest.approx(by_s, abs=1e-3)
    assert step.before_utc_s == T0 + 60
    assert clock.utc_s() == hub.wall_s
    assert clock.check() is None


def test_a_clock_without_a_time_source_is_not_trusted(hub: Hub) -> None:
    clock = hub.clock()
    assert (clock.trusted, clock.source, clock.error_s) == (False, "none", math.inf)


def test_trust_comes_with_synchronisation_and_its_step(hub: Hub) -> None:
    hub.wall_s = 1e6  # 1970: no battery
    clock = hub.clock()
    hub.pass_s(30)
    hub.wall_s, hub.kernel = T0, GOOD
    step = clock.check()
    assert step is not None
    assert step.by_s == pytest.approx(T0 - 1e6 - 30)
    assert (clock.trusted, clock.source, clock.error_s) == (True, "ntp", 0.05)


def test_trust_outlives_the_time_source_for_as_long_as_the_crystal_allows(hub: Hub) -> None:
    hub.kernel = GOOD
    clock = hub.clock()
    hub.kernel = UNKNOWN
    hub.pass_s(86_400)
    clock.check()
    assert (clock.trusted, clock.source) == (True, "holdover")
    assert clock.error_s == pytest.approx(0.05 + 8.64)
    hub.pass_s((ERROR_MAX_S - clock.error_s) / DRIFT + 1)
    clock.check()
    assert (clock.trusted, clock.source) == (False, "none")


def test_the_kernels_cautious_growth_does_not_spoil_what_was_known(hub: Hub) -> None:
    hub.kernel = GOOD
    clock = hub.clock()
    for _ in range(8):
        hub.pass_s(3600)
        hub.kernel = Discipline(synchronised=True, error_s=hub.kernel.error_s + 1.8)  # 500 ppm
        clock.check()
    assert clock.error_s == pytest.approx(0.05 + 8 * 0.36)
    assert clock.source == "ntp"


def test_a_clock_set_by_hand_loses_its_trust(hub: Hub) -> None:
    hub.kernel = GOOD
    clock = hub.clock()
    hub.kernel = UNKNOWN
    hub.wall_s += 3600
    assert clock.check() is not None
    assert not clock.trusted


@pytest.mark.parametrize("trust", Trust)
def test_a_time_before_the_last_known_one_is_not_trusted(hub: Hub, trust: Trust) -> None:
    hub.kernel = GOOD
    clock = hub.clock(trust, floor_utc_s=T0 + 60)
    assert (clock.trusted, clock.source) == (False, "none")
    hub.pass_s(61)
    assert clock.trusted


def test_no_release_is_older_than_its_own_build(hub: Hub) -> None:
    hub.wall_s, hub.kernel = BUILT_UTC_S - 1, GOOD
    assert not hub.clock().trusted


def test_a_test_rig_may_be_told_to_trust_its_clock(hub: Hub) -> None:
    clock = hub.clock(Trust.ALWAYS)
    assert (clock.trusted, clock.source, clock.error_s) == (True, "configuration", 0.0)


def test_the_real_kernel_answers_without_privilege() -> None:
    said = read_discipline()
    assert said.error_s < 16 if said.synchronised else said.error_s == math.inf
    assert Clock(trust=Trust.ALWAYS).utc_s() == pytest.approx(time.time(), abs=1)
