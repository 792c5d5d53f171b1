"""Faults of a configuration in words for the person who wrote it: field, value, and what would be right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

MISSING = {  # what would be right where something required is missing
    "site": "[site] with `id` and `zone`",
    "id": 'id = "home-7f3a"',
    "zone": 'zone = "Europe/London"',
    "host": 'host = "192.168.1.20"',
    "ca": 'ca = "broker-ca.pem"',
    "fuse_a": "fuse_a = 60",
    "silent_meter_w": "silent_meter_w = 3000",
    "class": 'class = "heat"',
    "nominal_w": "nominal_w = 2400",
    "power_w": 'power_w = ["meter.power_w"]',
    "from": 'from = "06:30"',
    "to": 'to = "22:00"',
    "at": 'at = "07:00"',
    "value": "value = 19.5",
    "days": 'days = ["mon", "tue"]',
    "driver": 'driver = "modbus"',
    "profile": 'profile = "xtherma"',
    "broker": 'broker = { host = "127.0.0.1" }',
    "points": 'points.room_c = { topic = "zigbee2mqtt/living-room", json = "temperature" }',
    "topic": 'topic = "zigbee2mqtt/living-room"',
}
SHAPES = {
    "tuple_type": 'should be a list, as in ["a", "b"]',
    "model_type": "should be a table",
    "dict_type": "should be a table",
    "mapping_type": "should be a table",
}
SHOWN_MAX = 60  # characters of a value that is wrong


def right_for(field: str) -> str:
    """How a missing field would be written."""
    right = MISSING.get(field)
    return f"; {right} would be right" if right else ""


def problems_of(error: ValidationError, under: str = "") -> list[str]:
    """A line for each fault; `under` is where in the file the parsed part stands."""
    return [_problem(item, under) for item in error.errors()]


def _problem(item: Any, under: str) -> str:
    parts = [str(part) for part in item["loc"] if part != "[key]"]
    path = ".".join([under, *parts] if under else parts)
    if item["type"] == "extra_forbidden":
        return f"{path}: unknown; remove it or correct its name"  # its value may be a secret
    if item["type"] == "missing":
        return f"{path}: is missing{right_for(parts[-1])}"
    if item["type"] == "too_short":
        return f"{path}: should not be empty{right_for(parts[-1])}"
    message = SHAPES.get(item["type"]) or item["msg"].removeprefix("Value error, ")
    said = "" if isinstance(item["input"], dict | list | BaseModel) else f"{shown(item['input'])} "
    return f"{path}: {said}{message[0].lower()}{message[1:]}".replace(" input should", " should")


def shown(value: object) -> str:
    """As it stands in the file, cut short."""
    text = repr(str(value)) if isinstance(value, str | Path) else str(value)
    text = text.lower() if isinstance(value, bool) else text
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}..."
