"""One number out of an MQTT payload, whatever arrives: a plain number, or a place in a JSON document."""

from __future__ import annotations

import json
import math
import re

LARGEST_BYTES = 64 * 1024  # the largest sensor message seen is under 4 kB
_NUMBER = re.compile(r"\s*[-+]?(?:[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})(?:[eE][-+]?[0-9]{1,3})?\s*")


def number(payload: bytes, path: str | None) -> float | None:
    """The number at `path` ("a.b", list items by position), or the whole payload; None if there is none.

    Numbers sent as text count; true, false, null, NaN and infinities do not.
    """
    if len(payload) > LARGEST_BYTES:
        return None
    try:
        document = payload.decode() if path is None else _at(json.loads(payload), path.split("."))
    except (ValueError, RecursionError):
        return None
    if isinstance(document, str):
        return _finite(document) if _NUMBER.fullmatch(document) else None
    if isinstance(document, bool) or not isinstance(document, int | float):
        return None
    return _finite(document)


def _at(document: object, steps: list[str]) -> object:
    for step in steps:
        if isinstance(document, list) and step.isdecimal():
            document = dict(enumerate(document)).get(int(step))
        elif isinstance(document, dict):
            document = document.get(step)
        else:
            return None
    return document


def _finite(value: str | float) -> float | None:
    try:
        found = float(value)
    except OverflowError:  # an integer of hundreds of digits
        return None
    return found if math.isfinite(found) else None
