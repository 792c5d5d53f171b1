"""What every test run has: hypothesis profiles, no event loop but those of its tests, and on CI no skip that
was not agreed to."""

from __future__ import annotations

import asyncio
import fnmatch
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

settings.register_profile(
    "homeflex",
    deadline=None,  # shared machines: time is measured in `make bench`, not here
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("homeflex")

asyncio.set_event_loop(None)  # or looptime, asking for the current one, makes one that nobody ever closes

AGREED = Path(__file__).parent / "skips.txt"
_unagreed: list[str] = []


def _agreed() -> list[tuple[str, str]]:
    lines = [line for line in AGREED.read_text().splitlines() if line and not line.startswith("#")]
    return [(glob.strip(), reason.strip()) for glob, _, reason in (ln.partition(" | ") for ln in lines)]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if not report.skipped or hasattr(report, "wasxfail") or not os.environ.get("CI"):
        return
    said = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if not any(fnmatch.fnmatch(report.nodeid, glob) and reason in said for glob, reason in _agreed()):
        _unagreed.append(f"{report.nodeid}: {said}")


def pytest_collectreport(report: pytest.CollectReport) -> None:
    pytest_runtest_logreport(report)  # type: ignore[arg-type]  # same fields; a module skipped whole


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if _unagreed:
        session.exitstatus = 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in _unagreed:
        terminalreporter.write_line(f"skipped on CI, not listed in tests/skips.txt: {line}", red=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits for real homes comes first, and the others' reckoning fills its waits."""
    items.sort(key=lambda item: not item.nodeid.startswith(("tests/home/", "tests/console/")))


class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # ships no types
    """Each file in one process and in its order; the homes together, for they run side by side."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return "tests/home" if path.startswith("tests/home/") else path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: Any, log: Any) -> ByFile:
    return ByFile(config, log)
