"""The part `fleet` of `make bench`: what a broker with thousands of homes has to bear."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gateway.aggregator.instruction import SCHEMA
from gateway.demo.aggregator import KID
from gateway.demo.aggregator import Aggregator as Listener
from gateway.demo.log import Log
from gateway.wire.signature import new_private_key, sign
from tests.bench import connecting, recorded, sizing, storm
from tests.bench.connecting import Connecting
from tests.bench.quantile import quantile
from tests.bench.simulated import DEFAULTS, words_of
from tests.bench.sizing import One
from tests.bench.storm import Fleet, Size, Storm

SIGNED, OUTAGE_S, LONG_OUTAGE_S = 2000, 600.0, 21_600.0
WARM_S, BOUNCE_WARM_S = 180.0, 15.0


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured: homes, how many times as fast as life they live, and so in the long outage (whose
    backlog is large for one program to send and to read), and connections of each kind."""

    homes: int = 500
    factor: float = 20.0
    long_factor: float = 10.0
    connections: int = 300


SCALES = {"quick": Scale(100, 40, 20, 100), "usual": Scale(), "long": Scale(900, 20, 5, 900)}


@dataclass(frozen=True, slots=True)
class Run:
    """Everything this part measured. `messages` are the bytes of a real home's, by topic."""

    messages: Mapping[str, int]
    one: One
    connecting: list[Connecting]
    signatures_per_s: float
    bounce: Storm
    outage: Storm
    long_outage: Storm


async def measure(folder: Path, scale: Scale) -> Run:
    """One after the other."""
    said = await recorded.messages(folder)
    words = words_of(said, said["keys"])
    size = Size(scale.homes, scale.factor)
    costs = await connecting.measure(folder, scale.connections)
    bounce = await storm.restarted(folder / "bounce", Size(scale.homes, 1.0), words, 0.0, BOUNCE_WARM_S)
    outage = await storm.restarted(folder / "outage", size, words, OUTAGE_S, WARM_S, _real(folder))
    long = await storm.behind(folder / "long", Size(scale.homes, scale.long_factor), words, LONG_OUTAGE_S)
    one = sizing.one_of(said, len(words.reading), len(words.points))
    sizes = {topic: len(body) for topic, body in said.items()}
    return Run(sizes, one, costs, _signatures_per_s(), bounce, outage, long)


def document(run: Run) -> dict[str, Any]:
    """The run for a program, with the arithmetic."""
    return {**asdict(run), "loads": [asdict(one) for one in loads(run.one)]}


def loads(one: One) -> list[sizing.Load]:
    """The arithmetic for each fleet."""
    return [sizing.load(one, homes, DEFAULTS.keepalive_s) for homes in sizing.FLEETS]


def text(run: Run) -> str:
    """The run for a person."""
    costs = [
        f"  {cost.way:<30}{cost.cpu_ms:>6.2f} ms of the broker's processor, {cost.rss_kb:>5.1f} kB"
        for cost in run.connecting
    ]
    lines = [
        "one home with four devices, bytes: "
        + ", ".join(f"{k} {v}" for k, v in sorted(run.messages.items())),
        f"one reading of one point: {run.one.row} bytes",
        "",
        "one connection:",
        *costs,
        f"signatures on one core: {run.signatures_per_s:.0f} a second",
        "",
        *_storm_lines("a restart in which the broker was hardly away", run.bounce),
        *_storm_lines("an outage of 10 min", run.outage),
        *_storm_lines("an outage of 6 h", run.long_outage),
        "arithmetic:",
        *(line for one in loads(run.one) for line in _load_lines(one)),
    ]
    return "\n".join(lines)


def _storm_lines(title: str, one: Storm) -> list[str]:
    delays_ms = [1000 * delay_s for delay_s in one.live_delays_s] or [float("nan")]
    expected = f", {one.expected_peak:.0f} expected" if one.expected_peak else ""
    cells = {
        "connected again, homes' s": _half_and_all(one.connected_s),
        "caught up, homes' s": _half_and_all(one.drained_s),
        "connects in a second, peak": f"{one.peak_connects}{expected}",
        "messages taken": f"{one.messages} in {one.lasted_s:.1f} s, {one.peak_messages} in a second at most",
        "live minute heard, ms": f"p50 {quantile(delays_ms, 0.5):.1f}, p99 {quantile(delays_ms, 0.99):.1f}",
        "own lag, ms": f"p99 {1000 * one.lag_p99_s:.1f}",
        "broker's processor": f"{one.broker_cpu_s:.2f} s",
        "broker's memory": "{:.1f} MB before, {:.1f} after, {:.1f} at most".format(*one.rss_mb),
        "messages held": "{} before, {} at most".format(*one.held) + f"; {one.dropped} dropped",
        "rows": f"{one.rows} came, {one.lost} lost, {one.doubled} came twice and count once",
        "called lost by their wills": f"{one.wills}",
    }
    if one.refused:
        cells["REFUSED by the broker"] = f"{one.refused}"
    if one.real:
        cells["the real daemon amid"] = "{} rows came, {} missing".format(*one.real)
    head = f"{title}: {one.homes} homes, {one.factor:g} times as fast, {one.points} points"
    return [head, *(f"  {label:<28}{cell}" for label, cell in cells.items()), ""]


def _half_and_all(values: list[float]) -> str:
    return f"half {quantile(values, 0.5):.1f}, all {max(values):.1f}"


def _load_lines(one: sizing.Load) -> list[str]:
    steady = (
        f"  {one.homes} homes: {one.messages_per_s:.0f} messages/s in, {one.bytes_per_s / 1e6:.2f} MB/s;"
        f" {one.pings_per_s:.0f} pings/s; {one.acks_per_s:.0f} acks/s;"
        f" {one.retained_bytes / 1e6:.0f} MB retained"
    )
    return [steady, *(_return_line(back) for back in one.returns)]


def _return_line(back: sizing.Return) -> str:
    return (
        f"    after {back.outage_s / 60:.0f} min: {back.connects_per_s:.0f} connects/s,"
        f" {back.messages_per_s:.0f} messages/s, {back.bytes_per_s / 1e6:.1f} MB/s at first;"
        f" each {back.messages_each} messages, {back.bytes_each / 1e3:.0f} kB; all {back.bytes / 1e9:.2f} GB"
    )


def _signatures_per_s() -> float:
    """Processor time, one core."""
    key, body = new_private_key(), recorded.dispatch(time.time())
    sign(body, key, KID, SCHEMA)
    began_s = time.process_time()
    for _ in range(SIGNED):
        sign(body, key, KID, SCHEMA)
    return SIGNED / (time.process_time() - began_s)


def _real(folder: Path) -> storm.Amid:
    """The real daemon, one site among the others."""

    @contextlib.asynccontextmanager
    async def amid(fleet: Fleet) -> AsyncIterator[None]:
        clock, listener = fleet.clock, Listener(storm.REAL, fleet.broker.port, Log())
        hurry = ("tests.bench.hurried", str(clock.factor), str(clock.since_s))
        home = recorded.real_home(
            folder / storm.REAL, fleet.broker, listener, clock.now_s, clock.factor, hurry, storm.PASSWORD
        )
        async with home:
            yield

    return amid
