"""The simulated home as the daemon is told of it: its configuration file and how it is started and asked."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from gateway.demo.devices.room import TOPIC
from gateway.demo.scenes import ASSET, NOMINAL_W, ROOM_MIN_C

SITE = "demo-home"
CHARGE_POINT = "garage"
PLUG_PASSWORD = "cold-at-home"  # in the file `plug.secret` beside the configuration


@dataclass(frozen=True, slots=True)
class Ports:
    """Where on loopback everything listens."""

    pump: int
    meter: int
    charger: int  # the daemon's own listener, where the charger calls
    plug: int
    local_broker: int
    uplink: int


@dataclass(frozen=True, slots=True)
class Home:
    """The home's folder: configuration, trust store, the daemon's state and what it prints."""

    folder: Path

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.folder / "homeflex.toml"

    @property
    def output(self) -> Path:
        """What the daemon prints."""
        return self.folder / "daemon.log"

    def furnish(self, ports: Ports, offset_s: int, trust_store: str) -> None:
        """Write the files the daemon starts from."""
        self.config.write_text(configuration(ports, offset_s))
        (self.folder / "keys.json").write_text(trust_store)
        (self.folder / "plug.secret").write_text(PLUG_PASSWORD)

    def run_command(self) -> list[str]:
        """The daemon itself."""
        return [sys.executable, "-m", "gateway", "run", "--config", str(self.config)]

    def override_command(self, for_s: int) -> list[str]:
        """The household takes the heat pump back for a while."""
        gateway = [sys.executable, "-m", "gateway"]
        return [*gateway, "override", ASSET, "--for", f"{for_s}s", "--config", str(self.config)]


def configuration(ports: Ports, offset_s: int) -> str:
    """One heat pump held over Modbus, fed by three devices; the clock of a test rig."""
    return f"""\
[site]
id = "{SITE}"
zone = "Europe/London"

[uplink]
host = "127.0.0.1"
port = {ports.uplink}

[security]
keys = "keys.json"

[reporting]
offset_s = {offset_s}

[clock]
trust = "always"

[devices.hp]
driver = "modbus"
profile = "xtherma"
host = "127.0.0.1"
port = {ports.pump}
poll_s = 1

[devices.meter]
driver = "p1"
tcp = "127.0.0.1:{ports.meter}"

[devices.room]
driver = "mqtt_local"
broker = {{ host = "127.0.0.1", port = {ports.local_broker} }}
points.room_c = {{ topic = "{TOPIC}", json = "temperature" }}

[asset.{ASSET}]
class = "heat"
control = "hp"
nominal_w = {NOMINAL_W:.0f}
power_w = ["hp.power_w"]
room_c = ["room.room_c", "hp.room_c"]
running = ["hp.compressor_on"]

[asset.{ASSET}.comfort]
room_min_c = {ROOM_MIN_C}
hysteresis_c = 0.3

[asset.{ASSET}.care]
min_run_s = 5
min_rest_s = 5

[boundary]
power_w = ["meter.power_w"]
import_ws = ["meter.import_ws"]
export_ws = ["meter.export_ws"]
"""
