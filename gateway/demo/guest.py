"""The simulated home for an aggregator from outside: no scenes, its keys, and where to connect."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from gateway.aggregator.jwk import BadKey, load
from gateway.demo import view
from gateway.demo.broker import HOST
from gateway.demo.director import daemon_is_up, ended_by_signals
from gateway.demo.home import timing
from gateway.demo.log import Log
from gateway.demo.setting import SITE
from gateway.demo.stage import Stage, Trust, staged
from gateway.wire.keys import parse_keys
from gateway.wire.reception import Unacceptable

_FIRST_EDGE_S = 20.0  # the first minute soon after the start
_READY_IN_S = 6 * 3600.0  # the household's hour is not to get between
_FAILED, _WRONG_USE = 1, 2


@dataclass(frozen=True, slots=True)
class Guest:
    """Whose instructions the home is to obey: a trust store, and the root key of later ones if any."""

    keys: Path
    root: Path | None = None

    def trust(self) -> Trust:
        """What the home is told of it.

        Raises:
            ValueError: the files cannot be used; the text says why.
        """
        try:
            document = self.keys.read_bytes()
            parse_keys(document, SITE)
            return Trust(document.decode(), load(self.root).x if self.root else None)
        except (OSError, BadKey) as error:
            raise ValueError(str(error)) from error
        except Unacceptable as error:
            raise ValueError(f"{self.keys}: {error.text}") from error


def receive(guest: Guest, for_s: float | None) -> int:
    """`main` for a caller without a loop: the command `homeflex demo --open`."""
    return asyncio.run(main(guest, for_s))


async def main(guest: Guest, for_s: float | None) -> int:
    """The home runs for `for_s` seconds, or until it is interrupted; gives the exit code."""
    console = Console(soft_wrap=True)
    try:
        trust = guest.trust()
    except ValueError as error:
        console.print(f"--open: {error}", markup=False, highlight=False)
        return _WRONG_USE
    try:
        with ended_by_signals():
            said = await _stay(trust, for_s, console)
    except asyncio.CancelledError:
        console.print("everything is stopped")
        return 0
    if said is not None:
        console.print(f"the daemon did not come up. It said:\n{said}", markup=False, highlight=False)
        return _FAILED
    return 0


async def _stay(trust: Trust, for_s: float | None, console: Console) -> str | None:
    """Everything set up and left alone; what the daemon said if it did not come up."""
    seen = Log()
    began_utc_s = float(int(seen.now_utc_s()))
    hours = timing(began_utc_s + _FIRST_EDGE_S, began_utc_s + _READY_IN_S, 60.0)
    with tempfile.TemporaryDirectory(prefix="homeflex-demo-") as folder:
        async with view.showing(seen, console), staged(Path(folder), seen, hours, trust) as stage:
            if not await daemon_is_up(stage):
                return stage.daemon.said()
            console.print(_how_to_connect(stage), markup=False, highlight=False)
            await asyncio.sleep(float("inf") if for_s is None else for_s)
    return None


def _how_to_connect(stage: Stage) -> str:
    return f"""
The home `{SITE}` is there, until Ctrl-C. In another terminal:
    export HOMEFLEX_BROKER=mqtt://{HOST}:{stage.broker.port}
    export HOMEFLEX_CONFIG={stage.home.config}
The first is where the aggregator's commands connect, the second makes `homeflex status` ask this home.
"""
