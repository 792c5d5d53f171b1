"""The simulated home as the daemon is told of it: its configuration file and how it is started and asked."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from gateway.demo.devices.room import TOPIC
from gateway.demo.setting import (
    BATTERY_KWH,
    CAR_LEASE_S,
    CAR_W,
    CHARGED_SHARE,
    EV,
    FREEZER,
    FREEZER_W,
    HEAT,
    LONGEST_OFF_S,
    PLUG_LEASE_S,
    PUMP_W,
    ROOM_MIN_C,
    SHORTEST_ON_S,
    SITE,
    START_SHARE,
    TYPED_SOC,
    ZONE,
)

CHARGE_POINT = "garage"
PLUG_PASSWORD = "cold-at-home"  # in the file `plug.secret` beside the configuration
_PERCENT_KWH = 0.01 * BATTERY_KWH / CHARGED_SHARE  # metered, for one percent of the battery
_PERCENT_S = _PERCENT_KWH * 3.6e6 / (START_SHARE * CAR_W)  # before the hour, at the latest start


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
class Timing:
    """What of the configuration depends on the hour of the run: its minutes, and when the car is wanted."""

    offset_s: int
    ready_utc_s: float
    target_soc: float

    @property
    def ready_by(self) -> str:
        """The hour on the household's clock."""
        return f"{datetime.fromtimestamp(self.ready_utc_s, ZoneInfo(ZONE)):%H:%M}"


def timing(edge_utc_s: float, start_utc_s: float, least_s: float) -> Timing:
    """Minutes that end at `edge_utc_s`; a car whose latest start is at `start_utc_s` or soon after it.

    The hour is the first whole minute at least `least_s` later; the target is as many whole percent above
    what the household will type as take that long.
    """
    ready_utc_s = math.ceil((start_utc_s + least_s) / 60) * 60.0
    percent = math.floor((ready_utc_s - start_utc_s) / _PERCENT_S)
    return Timing(int(edge_utc_s) % 60, ready_utc_s, round(TYPED_SOC + percent / 100, 2))


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

    def furnish(self, ports: Ports, timing: Timing, trust_store: str, root_x: str | None = None) -> None:
        """Write the files the daemon starts from."""
        self.config.write_text(configuration(ports, timing, root_x))
        (self.folder / "keys.json").write_text(trust_store)
        (self.folder / "plug.secret").write_text(PLUG_PASSWORD)

    def run_command(self) -> list[str]:
        """The daemon itself."""
        return [sys.executable, "-m", "gateway", "run", "--config", str(self.config)]

    def override_command(self, for_s: int) -> list[str]:
        """The household takes the heat pump back for a while."""
        return self._command("override", HEAT, "--for", f"{for_s}s")

    def soc_command(self, soc: float = TYPED_SOC) -> list[str]:
        """The household types what the car's display shows."""
        return self._command("soc", f"{100 * soc:.0f}", EV)

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "gateway", *words, "--config", str(self.config)]


def configuration(ports: Ports, timing: Timing, root_x: str | None = None) -> str:
    """A car, a heat pump and a freezer, on their own protocols; leases and limits short enough to watch."""
    root = f'\nroot = "{root_x}"' if root_x else ""
    return f"""\
[site]
id = "{SITE}"
zone = "{ZONE}"

[uplink]
host = "127.0.0.1"
port = {ports.uplink}

[security]
keys = "keys.json"{root}

[reporting]
offset_s = {timing.offset_s}

[clock]
trust = "always"

[services]
plug_notice_s = 0

[devices.charger]
driver = "ocpp"
listen = "127.0.0.1"
port = {ports.charger}
charge_point = "{CHARGE_POINT}"
lease_s = {CAR_LEASE_S:.0f}
sample_s = 5

[devices.hp]
driver = "modbus"
profile = "xtherma"
host = "127.0.0.1"
port = {ports.pump}
poll_s = 1

[devices.freezer-plug]
driver = "shelly"
host = "127.0.0.1"
port = {ports.plug}
password_file = "plug.secret"
poll_s = 2
lease_s = {PLUG_LEASE_S:.0f}
set_up = true

[devices.meter]
driver = "p1"
tcp = "127.0.0.1:{ports.meter}"

[devices.room]
driver = "mqtt_local"
broker = {{ host = "127.0.0.1", port = {ports.local_broker} }}
points.room_c = {{ topic = "{TOPIC}", json = "temperature" }}

[asset.{EV}]
class = "ev"
control = "charger"
nominal_w = {CAR_W:.0f}
power_w = ["charger.power_w"]
import_ws = ["charger.import_ws"]
connected = ["charger.connected"]
soc = ["typed"]

[asset.{EV}.charge]
battery_kwh = {BATTERY_KWH}
target_soc = {timing.target_soc}
ready_by = "{timing.ready_by}"
efficiency = {CHARGED_SHARE}
default_hours = false                   # the demo is to be the same at any hour
need_kwh = 0.01                         # all that is asked for until somebody types how full the car is

[asset.{EV}.care]
pause_s = 0                             # a real charger's five minutes would be half the demo

[asset.{HEAT}]
class = "heat"
control = "hp"
nominal_w = {PUMP_W:.0f}
power_w = ["hp.power_w"]
room_c = ["room.room_c", "hp.room_c"]
running = ["hp.compressor_on"]

[asset.{HEAT}.comfort]
room_min_c = {ROOM_MIN_C}
hysteresis_c = 0.3

[asset.{HEAT}.care]
min_run_s = 2
min_rest_s = 5
starts_per_hour = 0
starts_per_day = 0

[asset.{FREEZER}]
class = "plug"
control = "freezer-plug"
nominal_w = {FREEZER_W:.0f}
power_w = ["freezer-plug.power_w"]
import_ws = ["freezer-plug.import_ws"]

# With appliance = "freezer" its rest between two pauses would be six hours at the least: here
# cold and warmth run thirty times faster.
[asset.{FREEZER}.care]
longest_off_s = {LONGEST_OFF_S:.0f}
shortest_on_s = {SHORTEST_ON_S:.0f}
starts_per_day = 0

[boundary]
power_w = ["meter.power_w"]
import_ws = ["meter.import_ws"]
export_ws = ["meter.export_ws"]
"""
