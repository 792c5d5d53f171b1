"""Fuzz entry for MQTT payloads: any bytes at any path give a finite number or nothing, and no exception."""

from __future__ import annotations

import math

from drivers.mqtt_local.payload import number

PATHS = (None, "temperature", "a.b", "0", "a.0.b", "", ".", "ENERGY.Power")


def fuzz_mqtt_payload(data: bytes) -> None:
    """Read `data` at every path of a handful; what is found must be a number."""
    for path in PATHS:
        found = number(data, path)
        assert found is None or (type(found) is float and math.isfinite(found))
