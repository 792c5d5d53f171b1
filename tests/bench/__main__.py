"""`make bench`: the daemon beside the least that could do its work, on the same broker and the same device.

Timing is no test: aims that are missed are printed and do not fail. Exit code 3: the run is invalid.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import platform
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.bench import deciding, fleet, latency, report, rest
from tests.bench.aggregator import listening
from tests.fakes.authority import Authority
from tests.fakes.mosquitto import PROGRAM, Mosquitto
from tests.portfolio import table as portfolio

INVALID = 3
PARTS = ("home", "fleet", "portfolio")
# Lives of the daemon; seconds until it is at rest; seconds it is then watched; hours of hurried clocks.
# A minute is held in memory for up to 15 min, so only the long run sees all that goes to the disk.
LENGTHS = {
    "quick": (2, 5.0, 10.0, 0.5),
    "usual": (12, 30.0, 60.0, 2.0),
    "long": (24, 60.0, 1800.0, 24.0),
}


def main() -> int:
    """Measure, print, save; the exit code."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--quick", dest="length", action="store_const", const="quick", default="usual")
    length.add_argument("--long", dest="length", action="store_const", const="long")
    parser.add_argument(
        "--only", choices=PARTS, help="one part: the daemon of one home, a fleet's broker, a portfolio's sum"
    )
    parser.add_argument("--json", type=Path, default=Path(".bench/bench.json"), metavar="FILE")
    asked = parser.parse_args()
    if PROGRAM is None:
        print("make bench needs Mosquitto: apt install mosquitto", file=sys.stderr)
        return 1
    told: dict[str, Any] = {}
    code = 0
    with tempfile.TemporaryDirectory(prefix="homeflex-bench-") as folder:
        if asked.only in (None, "home"):
            run = asyncio.run(measure(Path(folder), *LENGTHS[asked.length]))
            told |= report.document(run)
            print(report.text(run), end="\n\n")
            code = 0 if report.is_valid(run) else INVALID
        if asked.only in (None, "fleet"):
            many = asyncio.run(fleet.measure(Path(folder), fleet.SCALES[asked.length]))
            told["fleet"] = {"machine": machine(), **fleet.document(many)}
            print(f"a fleet; {machine()}\n\n{fleet.text(many)}", end="\n\n")
    if asked.only in (None, "portfolio"):
        sums = portfolio.measure("quick" if asked.length == "quick" else "usual")
        told["portfolio"] = {"machine": machine(), **portfolio.document(sums)}
        print(f"a portfolio's sum, each second; {machine()}\n\n{portfolio.text(sums)}", end="\n\n")
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(json.dumps(told, indent=1) + "\n")
    print(f"every timing: {asked.json}")
    return code


async def measure(folder: Path, lives: int, warm_s: float, window_s: float, hours: float) -> report.Run:
    """Everything, one after the other."""
    encrypted, broker = _broker(folder)
    with broker:
        async with listening(broker.port) as aggregator:
            gc.freeze()  # what is imported is not looked through again between two instants
            timings = await latency.measure(folder, broker.port, aggregator, lives)
            resumed_s = await rest.resumed_s(folder, broker.port, aggregator)
        at_rest = await rest.measure(folder, broker, encrypted, warm_s, window_s)
        growth = await rest.grown(folder, broker, encrypted, hours)
    return report.Run(timings, at_rest, growth, resumed_s, deciding.measure(), machine())


def _broker(folder: Path) -> tuple[rest.Encrypted, Mosquitto]:
    """A broker with two doors, the other one with TLS."""
    authority = Authority.new(folder / "authority")
    certificate, key = authority.issue("broker")
    with socket.socket() as taken:  # or both doors might be given one port
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        lines = (f"listener {port} 127.0.0.1", f"certfile {certificate}", f"keyfile {key}")
        broker = Mosquitto(folder / "broker", extra=lines)
    return rest.Encrypted(port, authority.ca), broker


def machine() -> str:
    """What it runs on, in words."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}, {python}"


if __name__ == "__main__":
    sys.exit(main())
