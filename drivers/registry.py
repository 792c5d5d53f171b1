"""Which ways of talking there are: name -> DriverKind, imported on first use.

Packages outside this one add theirs through the entry point group `homeflex.drivers`.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import EntryPoints, entry_points

from drivers.base import DriverKind

_OURS = {
    "modbus": "drivers.modbus.driver",
    "p1": "drivers.han.driver",
    "mqtt_local": "drivers.mqtt_local.driver",
    "shelly": "drivers.plugs.driver",
    "ocpp": "drivers.ocpp.driver",
}


def names() -> tuple[str, ...]:
    """Every driver that can be named in a configuration."""
    return tuple(sorted({*_OURS, *(entry.name for entry in _theirs())}))


def kind(name: str) -> DriverKind:
    """The driver of that name.

    Raises:
        KeyError: there is none; the message lists those there are.
    """
    if module := _OURS.get(name):
        found: DriverKind = import_module(module).KIND
        return found
    for entry in _theirs():
        if entry.name == name:
            loaded: DriverKind = entry.load()
            return loaded
    raise KeyError(f"no driver {name!r}; there are {', '.join(names())}")


def _theirs() -> EntryPoints:
    return entry_points(group="homeflex.drivers")
