"""One run in words: a table with ratios, the aims beside it, and the same as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from tests.bench.deciding import ASSETS, INSTRUCTIONS, Decision
from tests.bench.latency import CLOSE_S, RARE_S, SLOW_SYNC_MS, Latency, Pairs
from tests.bench.quantile import quantile
from tests.bench.rest import DAY_S, HURRY, Growth, Rest

BUSY_S = 0.0012  # a bare script slower than this says that the machine is busy, and nothing else
RATIO_AIMS = {"p50": 2.5, "p99": 6.0}
AIMED_AT = ("written_s", "told_s")
FIRST_DECISION_AIM_S = 1.0
RSS_AIM_MB, RSS_LIMIT_MB = 64.0, 72.0
CPU_AIM_S_PER_MIN = 0.4
GROWTH_AIM_MB = 1.0  # in 24 h
DISK_AIM_MB = 15.0  # a day
DECISION_AIM_US = 200.0  # of eight assets and twenty instructions
STEPS = {
    "written_s": "published -> register written",
    "in_force_s": "published -> hold in force",
    "told_s": "published -> status received",
}


@dataclass(frozen=True, slots=True)
class Run:
    """Everything one run measured, and where."""

    latency: Latency
    rest: Rest
    growth: Growth
    resumed_s: list[float]
    decisions: list[Decision]
    machine: str


def is_valid(run: Run) -> bool:
    """Whether the machine was quiet enough for its ratios to mean anything."""
    return quantile((timing.written_s for timing in run.latency.usual.bare), 0.5) <= BUSY_S


def text(run: Run) -> str:
    """The run for a person."""
    lines = [run.machine, "", *_latency_lines(run.latency), "", *_other_lines(run)]
    if not is_valid(run):
        lines += ["", f"invalid: machine too busy (the bare script's median is above {BUSY_S * 1000:g} ms)"]
    return "\n".join(lines)


def document(run: Run) -> dict[str, Any]:
    """The run for a program: the figures, and every timing they were made of."""
    conditions = {
        "usual": run.latency.usual,
        "slowDisk": run.latency.slow_disk,
        "rare": run.latency.rare,
        "charger": run.latency.charger,
    }
    return {
        "machine": run.machine,
        "valid": is_valid(run),
        "figures": {name: _figures(pairs) for name, pairs in conditions.items() if pairs},
        **asdict(run),
    }


def _figures(pairs: Pairs) -> dict[str, dict[str, tuple[float, float, float]]]:
    """By step and quantile: the bare script (ms), the daemon (ms), their ratio."""
    shares = {"p50": 0.5, "p99": 0.99}
    found: dict[str, dict[str, tuple[float, float, float]]] = {}
    for step in STEPS:
        floor_s, ours_s = ([getattr(one, step) for one in all_] for all_ in (pairs.bare, pairs.daemon))
        both = {name: (quantile(floor_s, share), quantile(ours_s, share)) for name, share in shares.items()}
        found[step] = {name: (a * 1000, b * 1000, b / a) for name, (a, b) in both.items()}
    return found


def _latency_lines(latency: Latency) -> list[str]:
    usual, slow = latency.usual, latency.slow_disk
    head = _row(f"instructions {CLOSE_S * 1000:g} ms apart, in turn; ms", "bare", "homeflex", "ratio", "aim")
    head += _row("", "bare", f"{SLOW_SYNC_MS} ms fsync", "ratio", label_width=4) if slow else ""
    figures, slow_figures = _figures(usual), _figures(slow) if slow else None
    lines = [head]
    for step, label in STEPS.items():
        for name, aim in RATIO_AIMS.items():
            cells = figures[step][name]
            aimed = _aimed(cells[2], aim) if step in AIMED_AT else f"{'':>15}"
            line = _row(f"{label}, {name}", *_cells(cells), aimed)
            slow_cells = _cells(slow_figures[step][name]) if slow_figures else ()
            lines.append(line + _row("", *slow_cells, label_width=4) if slow_cells else line)
    if slow is None:
        lines.append("slow disk: not measured, its shim needs gcc (apt install gcc)")
    lines += ["", *_charger_lines(latency.charger)]
    return [*lines, f"from {len(usual.daemon)} of each in {len(usual.ready_s)} lives of the daemon"]


def _charger_lines(charger: Pairs) -> list[str]:
    """The same for a charger, beside bare websockets and json."""
    figures = _figures(charger)
    steps = {"written_s": "published -> SetChargingProfile", "told_s": STEPS["told_s"]}
    return [
        _row(f"{label}, {name}", *_cells(figures[step][name]), _aimed(figures[step][name][2], aim))
        for step, label in steps.items()
        for name, aim in RATIO_AIMS.items()
    ]


def _other_lines(run: Run) -> list[str]:
    rest, growth, ready_s = run.rest, run.growth, median(run.latency.usual.ready_s)
    rare = _figures(run.latency.rare)["written_s"]["p50"]
    first_ms = median(one.written_s for one in run.latency.usual.first) * 1000
    rss_mb, cpu_s = rest.daemon.rss_mb, rest.daemon.cpu_s_per_min
    memory = (rest.bare.rss_mb, rss_mb, rss_mb / rest.bare.rss_mb)
    cpu = (f"{rest.bare.cpu_s_per_min:.2f}", f"{cpu_s:.2f}", "", _aimed(cpu_s, CPU_AIM_S_PER_MIN))
    disk_mb = growth.stored_bytes * 24 / growth.hours / 1e6
    return [
        _row(f"register written, {RARE_S:g} s apart, p50", *_cells(rare)),
        _row("register written, first of a life, p50", "", f"{first_ms:.2f}"),
        _row("start -> first decision, s", "", f"{ready_s:.2f}", "", _aimed(ready_s, FIRST_DECISION_AIM_S)),
        _row("kill -9, start -> held again, s", "", f"{median(run.resumed_s):.2f}"),
        "",
        "at rest: a heat pump, a charger, a plug, a meter, TLS",
        _row(f"resident memory after {rest.age_s:.0f} s, MB", *_cells(memory), _aimed(rss_mb, RSS_AIM_MB))
        + f", limit {RSS_LIMIT_MB:g} {_verdict(rss_mb < RSS_LIMIT_MB)}",
        _row("processor, s a minute", *cpu),
        _row("disk in these minutes, MB a day", "", f"{rest.stored_bytes * DAY_S / rest.window_s / 1e6:.2f}")
        + f"  from {rest.stored_bytes / 1000:.0f} kB in {rest.window_s:.0f} s",
        _row("fsyncs, a day", "", _per_day(rest.syncs, rest.window_s)),
        "",
        f"{growth.hours:g} h with clocks {HURRY} times as fast, after one of warming up",
        _row("growth of memory, MB", "", f"{growth.rss_mb:.2f}", "", _aimed(growth.rss_mb, GROWTH_AIM_MB)),
        _row("disk, MB a day", "", f"{disk_mb:.2f}", "", _aimed(disk_mb, DISK_AIM_MB)),
        _row("processor, s a minute of its clock", "", f"{growth.cpu_s / growth.hours / 60:.2f}"),
        "",
        *(_decision_line(decision) for decision in run.decisions),
    ]


def _decision_line(decision: Decision) -> str:
    label = f"decide, {decision.assets} assets, {decision.instructions} instructions, us"
    is_aimed = (decision.assets, decision.instructions) == (ASSETS, INSTRUCTIONS)
    took_us = decision.decision_s * 1e6
    return _row(label, "", f"{took_us:.0f}", "", _aimed(took_us, DECISION_AIM_US) if is_aimed else "")


def _aimed(value: float, aim: float) -> str:
    return f"{f'< {aim:g} {_verdict(value < aim)}':>15}"


def _per_day(syncs: int | None, window_s: float) -> str:
    return "not counted: needs gcc" if syncs is None else f"{syncs * DAY_S / window_s:.0f}  from {syncs}"


def _cells(figures: tuple[float, float, float]) -> tuple[str, str, str]:
    return f"{figures[0]:.2f}", f"{figures[1]:.2f}", f"{figures[2]:.2f}"


def _row(label: str, *cells: str, label_width: int = 40) -> str:
    widths = (8, 12, 8, 15)
    return f"{label:<{label_width}}" + "".join(f"{c:>{w}}" for c, w in zip(cells, widths, strict=False))


def _verdict(met: bool) -> str:
    return "met" if met else "NOT MET"
