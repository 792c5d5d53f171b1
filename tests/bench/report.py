"""One run in words: a table with ratios, the aims beside it, and the same as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from tests.bench.latency import BARE, DAEMON, SLOW, Latency
from tests.bench.rest import DAY_S, Rest

BUSY_S = 0.0012  # a bare script slower than this says that the machine is busy, and nothing else
RATIO_AIMS = {"p50": 2.5, "p99": 6.0}
FIRST_DECISION_AIM_S = 1.0
STEPS = {
    "written_s": "published -> register written",
    "in_force_s": "published -> block in force",
    "told_s": "published -> status received",
}


@dataclass(frozen=True, slots=True)
class Run:
    """Everything one run measured, and where."""

    latency: Latency
    rest: Rest
    resumed_s: list[float]
    machine: str


def is_valid(run: Run) -> bool:
    """Whether the machine was quiet enough for its ratios to mean anything."""
    return _quantiles(run, BARE, "written_s")["p50"] <= BUSY_S


def text(run: Run) -> str:
    """The run for a person."""
    lines = [run.machine, "", *_latency_lines(run), "", *_other_lines(run)]
    if not is_valid(run):
        lines += ["", f"invalid: machine too busy (the bare script's median is above {BUSY_S * 1000:g} ms)"]
    return "\n".join(lines)


def document(run: Run) -> dict[str, Any]:
    """The run for a program: figures, and every timing they were made of."""
    programs = list(run.latency.timings)
    return {
        "machine": run.machine,
        "valid": is_valid(run),
        "quantiles_s": {p: {step: _quantiles(run, p, step) for step in STEPS} for p in programs},
        "ratios": {p: {step: _ratios(run, p, step) for step in STEPS} for p in programs},
        "rest": asdict(run.rest),
        "ready_s": run.latency.ready_s,
        "resumed_s": run.resumed_s,
        "slow_syncs": run.latency.slow_syncs,
        "first": {p: [asdict(one) for one in all_] for p, all_ in run.latency.first.items()},
        "timings": {p: [asdict(one) for one in all_] for p, all_ in run.latency.timings.items()},
    }


def _latency_lines(run: Run) -> list[str]:
    count = len(run.latency.timings[DAEMON])
    slow = (SLOW, "ratio") if _has_slow(run) else ()
    lines = [_row(f"{count} instructions each, in turn; ms", BARE, DAEMON, "ratio", "aim", *slow)]
    for step, label in STEPS.items():
        lines += [_latency_line(run, step, label, name) for name in RATIO_AIMS]
    if not slow:
        lines.append("slow disk: not measured, its shim needs gcc (apt install gcc)")
    return lines


def _latency_line(run: Run, step: str, label: str, name: str) -> str:
    ratio, aim = _ratios(run, DAEMON, step)[name], RATIO_AIMS[name]
    programs = (BARE, DAEMON, SLOW) if _has_slow(run) else (BARE, DAEMON)
    bare_ms, daemon_ms, *slow_ms = (f"{_quantiles(run, p, step)[name] * 1000:.2f}" for p in programs)
    slow_ratio = [f"{_ratios(run, SLOW, step)[name]:.2f}"] if slow_ms else []
    aimed = f"< {aim:g} {_verdict(ratio < aim)}"
    return _row(f"{label}, {name}", bare_ms, daemon_ms, f"{ratio:.2f}", aimed, *slow_ms, *slow_ratio)


def _other_lines(run: Run) -> list[str]:
    rest, ready_s = run.rest, median(run.latency.ready_s)
    bare, daemon = rest.bare, rest.daemon
    aimed = f"< {FIRST_DECISION_AIM_S:g} {_verdict(ready_s < FIRST_DECISION_AIM_S)}"
    first_ms = median(one.written_s for one in run.latency.first[DAEMON]) * 1000
    return [
        _row(
            f"resident memory after {rest.age_s:.0f} s, MB",
            f"{bare.rss_mb:.1f}",
            f"{daemon.rss_mb:.1f}",
            f"{daemon.rss_mb / bare.rss_mb:.2f}",
        ),
        _row("processor at rest, s a minute", f"{bare.cpu_s_per_min:.2f}", f"{daemon.cpu_s_per_min:.2f}"),
        _row("start -> first decision, s", "", f"{ready_s:.2f}", "", aimed),
        _row("kill -9, start -> held again, s", "", f"{median(run.resumed_s):.2f}"),
        _row("first instruction of a life, ms", "", f"{first_ms:.2f}"),
        _row("disk at rest, MB a day", "", f"{rest.stored_bytes * DAY_S / rest.window_s / 1e6:.2f}")
        + f"  from {rest.stored_bytes / 1000:.0f} kB in {rest.window_s:.0f} s",
        _row("syncs at rest, a day", "", _per_day(rest.syncs, rest.window_s))
        + ("  needs gcc (apt install gcc)" if rest.syncs is None else f"  from {rest.syncs}"),
    ]


def _per_day(count: int | None, window_s: float) -> str:
    return "not counted" if count is None else f"{count * DAY_S / window_s:.0f}"


def _row(label: str, *cells: str) -> str:
    widths = (12, 12, 8, 13, 22, 8)
    return f"{label:<36}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=False))


def _has_slow(run: Run) -> bool:
    return bool(run.latency.timings.get(SLOW))


def _quantiles(run: Run, program: str, step: str) -> dict[str, float]:
    values = [getattr(timing, step) for timing in run.latency.timings[program]]
    return {"p50": median(values), "p99": quantile(values, 0.99)}


def _ratios(run: Run, program: str, step: str) -> dict[str, float]:
    ours, floor = _quantiles(run, program, step), _quantiles(run, BARE, step)
    return {name: ours[name] / floor[name] for name in RATIO_AIMS}


def quantile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[math.ceil(share * len(ordered)) - 1]


def _verdict(met: bool) -> str:
    return "met" if met else "NOT MET"
