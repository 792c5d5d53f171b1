"""A whole, good configuration for tests to spoil, and its driver kinds."""

from __future__ import annotations

from pathlib import Path

from drivers import registry
from gateway.daemon.config import Config, ConfigError, parse

GOOD = """\
[site]
id = "home-7f3a"
zone = "Europe/London"

[uplink]
host = "127.0.0.1"
port = 1883

[security]
keys = "keys.json"

[supply]
fuse_a = 60
silent_meter_w = 3000

[devices.hp]
driver = "modbus"
profile = "xtherma"
host = "192.168.1.20"

[devices.meter]
driver = "p1"
tcp = "192.168.1.21:23"

[devices.room]
driver = "mqtt_local"
broker = { host = "127.0.0.1", username = "hub", password_file = "room.secret" }
points.room_c = { topic = "zigbee2mqtt/living-room", json = "temperature" }

[asset.heat]
class = "heat"
control = "hp"
nominal_w = 2400
power_w = ["hp.power_w"]
room_c = ["room.room_c", "hp.room_c"]

[asset.heat.comfort]
room_max_c = 24
room_min_c = { otherwise = 18, times = [{ from = "06:30", to = "22:00", value = 19.5 }] }

[boundary]
power_w = ["meter.power_w"]
"""


def parsed(text: str = GOOD, folder: Path = Path("/nowhere")) -> Config:
    """The configuration that `text` says."""
    return parse(text, registry.kind, folder)


def spoilt(old: str, new: str) -> str:
    """The good one with one thing changed."""
    assert old in GOOD
    return GOOD.replace(old, new, 1)


def problems(text: str, folder: Path = Path("/nowhere")) -> tuple[str, ...]:
    """What is wrong with `text`; nothing if it is good."""
    try:
        parsed(text, folder)
    except ConfigError as error:
        return error.problems
    return ()
