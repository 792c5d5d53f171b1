"""A whole home on real sockets: the daemon in a process of its own, and around it a broker, an aggregator,
heat pumps, a smart meter and room sensors. Everything is seen from outside the daemon.

async with House(folder) as house:
    house.config["supply"] = {...}     # the configuration, until the daemon starts
    await house.start()
    ...house.kill(), house.start(), house.cli("status")...
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from zoneinfo import ZoneInfo

import aiomqtt

from tests.fakes.modbus import ModbusServer, Unit, Xtherma
from tests.fakes.mosquitto import Mosquitto
from tests.fakes.p1 import P1OverTcp, restamped
from tests.faults.kill9 import Kill9, Life
from tests.home.aggregator import Aggregator

SITE = "home-7f3a"
TELEGRAM = (Path(__file__).parents[1] / "recordings" / "han" / "p1_nl_dsmr50_iskra_1ph.txt").read_bytes()
METER_ZONE = ZoneInfo("Europe/Amsterdam")  # the Dutch meter's
REGISTER_START_WH = 4_211_204
BASE_LOAD_W = 360
NOMINAL_W = 4_000
QUIET_START_S = 1.5  # a daemon on a machine that does nothing else; waits grow with what it takes more
CONTROL, SURPLUS = 70, 71  # Xtherma: 1 and 0 there is "rest"
WITHIN_S = 15.0
START_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Write:
    """One register as the pump was told it."""

    at_utc_s: float
    register: int
    value: int

    @property
    def holds(self) -> bool:
        """Whether it takes power away; a release gives it back."""
        return (self.register, self.value) in ((CONTROL, 1), (SURPLUS, 0))


@dataclass
class Pump(Xtherma):
    """The Xtherma with a clock beside its log of writes."""

    demand_w: int = 3_600
    is_stubborn: bool = False  # takes what it is told and runs on
    told: list[Write] = field(default_factory=list)

    @property
    def power_w(self) -> int:
        """What it draws now (W)."""
        return self.demand_w if self.is_stubborn else super().power_w

    def put(self, table: str, address: int, value: int) -> None:
        super().put(table, address, value)
        self.told.append(Write(time.time(), address, value))

    @property
    def is_told_to_rest(self) -> bool:
        """Whether its registers say so, fresh or not."""
        return self.holding[CONTROL] == 1

    def holds_since(self, utc_s: float) -> list[Write]:
        """Writes that took power away."""
        return [write for write in self.told if write.holds and write.at_utc_s > utc_s]


@dataclass
class Nibe(Unit):
    """A NIBE S-series: its power limit (6007, in 100 W) holds while 6012 is 1, for ever."""

    demand_w: int = 3_600

    def __post_init__(self) -> None:
        self.input |= {
            1: 50, 5: 341, 7: 288, 8: 512, 26: 205, 40: 100, 116: 205, 1027: 0, 1028: 30, 1046: 452,
            1048: 1320, 1100: 1, 1803: 300, 1805: 0, 1911: 10, 1975: 0, 2305: 0, 2306: 0, 3823: 0, 3824: 1,
        }  # fmt: skip
        self.holding |= {6007: 60, 6012: 0}

    def table(self, name: str) -> dict[int, int]:
        limit_w = self.holding[6007] * 100 if self.holding[6012] else self.demand_w
        self.input[2305] = min(self.demand_w, limit_w) // 10
        return super().table(name)


class House:
    """One home with a pump for each of `assets`. Enter it: everything runs but the daemon."""

    def __init__(self, folder: Path, assets: tuple[str, ...] = ("heat",), *, kept: bool = True) -> None:
        self.folder = folder
        self.pumps = {name: Pump(holding={}) for name in assets}
        self.servers = {name: ModbusServer({1: pump}) for name, pump in self.pumps.items()}
        self.meter = P1OverTcp()
        self.broker = Mosquitto(folder / "broker", persistence=kept)
        self.local_broker = Mosquitto(folder / "local")
        self.aggregator = Aggregator(SITE, self.broker.port)
        self.rooms_c: dict[str, float | None] = dict.fromkeys(assets, 20.5)
        self.submeter_w: float | None = None
        self.more_w: Callable[[], float] = lambda: 0.0  # whatever else the home draws
        self.register: list[tuple[float, float]] = []  # UTC and Wh, as the meter said it
        self.config: dict[str, Any] = {}
        self.lives: list[str] = []  # what each ended life of the daemon printed
        self.pid = 0
        self.pace = 1.0  # how many times as long as on a quiet machine things take here
        self._ends = asyncio.Event()
        self._wh = float(REGISTER_START_WH)
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        enter = self._stack.enter_async_context
        for broker in (self.broker, self.local_broker):
            await asyncio.to_thread(broker.start)
            self._stack.callback(broker.terminate)
        for server in self.servers.values():
            await enter(server)
        await enter(self.meter)
        await enter(self.aggregator.running())
        self.config = self._configuration()
        await enter(self._ticking())
        command = [sys.executable, "-m", "gateway", "run", "--config", str(self.file)]
        self.daemon = await enter(Kill9(command))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        said = "\n".join((*self.lives, self.daemon.output))
        await self._stack.aclose()
        if error is None:
            assert not self.aggregator.misfits, self.aggregator.misfits[:3]
            assert "Traceback" not in said, said
        else:
            error.add_note(f"the daemon said:\n{said[-4000:]}")

    # --- the daemon ---------------------------------------------------------------------------------

    @property
    def file(self) -> Path:
        """The configuration file."""
        return self.folder / "homeflex.toml"

    @property
    def pump(self) -> Pump:
        """The pump of a home that has one."""
        (pump,) = self.pumps.values()
        return pump

    @property
    def output(self) -> str:
        """What the daemon's present or last life printed."""
        return self.daemon.output

    def write(self) -> None:
        """Save the configuration and the trust store."""
        lines = [f"{name} = {_toml(section)}\n" for name, section in self.config.items()]
        self.file.write_text("".join(lines))
        (self.folder / "keys.json").write_text(self.aggregator.trust_store())

    async def start(self, *, minute_ends_in_s: float | None = None) -> int:
        """Start the daemon and wait until the aggregator sees it; its process id."""
        if minute_ends_in_s is not None:
            self.config["reporting"] = {"offset_s": int(time.time() + minute_ends_in_s * self.pace + 1) % 60}
        self.write()
        known, began_s = self._boots(), time.monotonic()
        self.pid = await self.daemon.start()
        await self.until(lambda: self._boots() - known, "the daemon is online", START_WITHIN_S)
        self.pace = max(self.pace, (time.monotonic() - began_s) / QUIET_START_S)
        return self.pid

    async def kill(self) -> Life:
        """kill -9."""
        life = await self.daemon.kill()
        self.lives.append(self.daemon.output)
        return life

    async def stop(self) -> Life:
        """SIGTERM, and wait for its end."""
        life = await self.daemon.stop()
        self.lives.append(self.daemon.output)
        return life

    async def cli(self, *arguments: str, within_s: float = 30, json_too: bool = True) -> tuple[int, Any]:
        """A command as a person gives it, with --json: exit code and answer."""
        where = () if arguments[0] == "config" else ("--config", str(self.file))
        where = (*where, "--json") if json_too else where
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", *arguments, *where,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await asyncio.wait_for(process.communicate(), within_s)
        assert process.returncode is not None
        return process.returncode, json.loads(out) if out.strip() else err.decode()

    async def asset(self, name: str = "heat") -> dict[str, Any]:
        """One asset of `homeflex status`."""
        _, status = await self.cli("status")
        return next(asset for asset in status["assets"] if asset["id"] == name)

    async def why(self, name: str = "heat") -> dict[str, Any]:
        """`homeflex why` of one asset."""
        code, answer = await self.cli("why", name)
        assert code == 0, answer
        (why,) = answer["assets"]
        return dict(why)

    async def until(
        self, holds: Callable[[], object], what: str | Callable[[], object], within_s: float = WITHIN_S
    ) -> None:
        """Wait until it holds, so long at most on a quiet machine; `what` is told where it does not."""
        within_s *= self.pace
        deadline_s = time.monotonic() + within_s
        while not holds():
            if time.monotonic() > deadline_s:
                heard = "\n".join(
                    f"{h.topic}: {json.dumps(h.body)[:600]}" for h in self.aggregator.heard[-12:]
                )
                told = what() if callable(what) else what
                raise AssertionError(f"not within {within_s:g} s: {told}; heard last:\n{heard}")
            await asyncio.sleep(0.02)

    async def seen(self, within_s: float = WITHIN_S) -> None:
        """Wait until the daemon has read every device."""

        def answer() -> bool:
            return all(
                f"device={name}" in self.output for name in ("rooms", "meter", *map(_control, self.pumps))
            )

        await self.until(answer, "every device answers", within_s)
        await asyncio.sleep(1.2)  # and was read as a whole: a poll is a second

    def _boots(self) -> set[str]:
        return {body["boot"] for body in self.aggregator.all("presence") if body["online"]}

    # --- the home -----------------------------------------------------------------------------------

    def _configuration(self) -> dict[str, Any]:
        local = {"host": "127.0.0.1", "port": self.local_broker.port}
        return {
            "site": {"id": SITE, "zone": "Europe/London"},
            "uplink": {"host": "127.0.0.1", "port": self.broker.port},
            "security": {"keys": "keys.json"},
            "clock": {"trust": "always"},
            "boundary": {
                "power_w": ["meter.power_w"],
                "import_ws": ["meter.import_ws"],
                "export_ws": ["meter.export_ws"],
            },
            "devices": {
                "meter": {"driver": "p1", "tcp": self.meter.address},
                "rooms": {
                    "driver": "mqtt_local",
                    "broker": local,
                    "points": {
                        _room_point(name): {"topic": f"room/{name}", "json": "temperature"}
                        for name in self.pumps
                    },
                },
                **{_control(name): self._pump_section(server.port) for name, server in self.servers.items()},
            },
            "asset": {name: _asset_section(name) for name in self.pumps},
        }

    @staticmethod
    def _pump_section(port: int) -> dict[str, Any]:
        return {
            "driver": "modbus",
            "profile": "xtherma",
            "host": "127.0.0.1",
            "port": port,
            "poll_s": 1,
            "timeout_s": 1.0,
        }

    async def publish(self, topic: str, **values: float | None) -> None:
        """Something of the home says so on its broker, once."""
        async with aiomqtt.Client("127.0.0.1", self.local_broker.port, identifier="something") as client:
            await client.publish(topic, json.dumps(values), qos=1)

    @contextlib.asynccontextmanager
    async def _ticking(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._tick())
        try:
            yield
        finally:
            # Asked, not cancelled: wait_for of Python 3.11, inside aiomqtt, may swallow a cancellation.
            self._ends.set()
            await asyncio.wait_for(task, 5)

    async def _tick(self) -> None:
        """One second of the home each second."""
        at_s = time.monotonic()
        async with aiomqtt.Client("127.0.0.1", self.local_broker.port, identifier="sensors") as sensors:
            while not self._ends.is_set():
                await asyncio.sleep(1.0 - (time.time() % 1.0))
                elapsed_s, at_s = time.monotonic() - at_s, time.monotonic()
                self._meter_says(elapsed_s)
                for name, room_c in self.rooms_c.items():
                    if room_c is not None:
                        await sensors.publish(f"room/{name}", json.dumps({"temperature": room_c}))
                if self.submeter_w is not None:
                    await sensors.publish("submeter", json.dumps({"power": self.submeter_w}))

    def _meter_says(self, elapsed_s: float) -> None:
        draws_w = BASE_LOAD_W + self.more_w() + sum(pump.power_w for pump in self.pumps.values())
        self._wh += draws_w * elapsed_s / 3600
        local = datetime.now(METER_ZONE)
        telegram = restamped(
            TELEGRAM,
            local=local,
            summer=bool(local.dst()),
            import_w=round(draws_w),
            export_w=0,
            import_wh=int(self._wh),
        )
        self.register.append((time.time(), int(self._wh)))
        self.meter.send(telegram)


def _control(asset: str) -> str:
    return f"{asset}-hp"


def _room_point(asset: str) -> str:
    return f"{asset}_c".replace("-", "_")


def _asset_section(name: str) -> dict[str, Any]:
    return {
        "class": "heat",
        "control": _control(name),
        "nominal_w": NOMINAL_W,
        "power_w": [f"{_control(name)}.power_w"],
        "room_c": [f"rooms.{_room_point(name)}"],
        "running": [f"{_control(name)}.compressor_on"],
        "comfort": {"room_min_c": 18.0, "hysteresis_c": 0.3},
        "care": {"min_run_s": 0, "min_rest_s": 0, "starts_per_hour": 0, "starts_per_day": 0},
    }


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)
