"""What `make bench` says of a run is what was measured."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench import bare_central, bare_script, report
from tests.bench.aggregator import Timing
from tests.bench.latency import Latency, Pairs
from tests.bench.quantile import quantile
from tests.bench.rest import Cost, Growth, Rest
from tests.bench.slow_disk import slow_disk

SYNC_THRICE = "import os; f = os.open('f', os.O_CREAT | os.O_RDWR); os.fsync(f); os.fdatasync(f); os.fsync(f)"


def run_of(bare_ms: float, daemon_ms: float) -> report.Run:
    """A run in which every timing of a program was the same."""
    bare, daemon = (Timing("set", ms / 1000, ms / 1000, ms / 1000) for ms in (bare_ms, daemon_ms))
    pairs = Pairs([bare] * 10, [daemon] * 10, [daemon], [0.5])
    rest = Rest(90.0, 60.0, Cost(30.0, 0.1), Cost(60.0, 0.3), 10_000, 2)
    growth = Growth(24.0, 0.5, 9_000_000, 500.0)
    return report.Run(Latency(pairs, pairs, None, pairs), rest, growth, [0.7], [], "a machine")


def test_a_busy_machine_makes_a_run_invalid_and_the_report_says_so() -> None:
    quiet, busy = run_of(1.2, 2.0), run_of(1.21, 2.0)
    assert report.is_valid(quiet)
    assert "invalid" not in report.text(quiet)
    assert not report.is_valid(busy)
    assert "invalid: machine too busy" in report.text(busy)


def test_an_aim_that_is_missed_is_printed_beside_its_ratio() -> None:
    line = next(ln for ln in report.text(run_of(1.0, 2.6)).splitlines() if "register written, p50" in ln)
    assert line.split()[-7:] == ["1.00", "2.60", "2.60", "<", "2.5", "NOT", "MET"]
    assert "NOT MET" not in report.text(run_of(1.0, 2.4))


@given(st.lists(st.floats(0, 1e3), min_size=1, max_size=300), st.floats(0.01, 1.0))
def test_a_quantile_is_the_smallest_value_that_so_many_do_not_exceed(
    values: list[float], share: float
) -> None:
    found = quantile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)
    assert sum(value < found for value in values) < share * len(values)


def test_a_slow_disk_delays_each_sync_and_counts_it(tmp_path: Path) -> None:
    disk = slow_disk(tmp_path, "disk", delay_ms=100)
    if disk is None:
        pytest.skip("gcc is not installed: apt install gcc")
    began_s = time.monotonic()
    subprocess.run([sys.executable, "-c", SYNC_THRICE], env=disk.environment, cwd=tmp_path, check=True)
    assert time.monotonic() - began_s >= 0.3
    assert disk.syncs == 3


@pytest.mark.parametrize("script", [bare_script, bare_central])
def test_a_bare_script_stays_bare(script: ModuleType) -> None:
    assert len(Path(script.__file__ or "").read_text().splitlines()) <= 100
