"""Registers to values and back: word order, sign, scale, sentinels and plausibility. Pure."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

from drivers.base import Quality, Sample
from drivers.profile import INTEGER_LIMITS, Point

_LAYOUT = {"uint32": ">I", "int32": ">i", "float32": ">f", "uint16": ">H", "int16": ">h"}


def decode_words(point: Point, words: Sequence[int]) -> float | None:
    """The value in registers as read; None where the device has none (sentinel, not a number)."""
    number = _number(point, words)
    if number in point.sentinels or not math.isfinite(number):
        return None
    if point.scale == 1 and point.offset == 0:
        return number
    return round(number * point.scale + point.offset, 9)


def encode_words(point: Point, value: float) -> tuple[int, ...]:
    """The registers that say `value`.

    Raises:
        ValueError: the type has no such value, or it is no step of the scale.
    """
    number = (value - point.offset) / point.scale
    if point.type == "float32":
        return _words(point, _packed(">f", number))
    nearest = round(number) if math.isfinite(number) else 0
    low, high = INTEGER_LIMITS[point.type]
    if not math.isclose(number, nearest, abs_tol=1e-6) or not low <= nearest <= high:
        raise ValueError(f"{value:g} cannot be written as {point.type} in steps of {point.scale:g}")
    if point.type in _LAYOUT:
        return _words(point, _packed(_LAYOUT[point.type], nearest))
    return (nearest & 0xFF,)


def sample_of(point: Point, words: Sequence[int]) -> Sample:
    """The reading of a point, with what is to be thought of it."""
    value = decode_words(point, words)
    if value is None:
        return Sample(None)
    if point.type == "bool" and words[0] not in (0, 1):
        return Sample(None, Quality.BAD, (f"implausible: {words[0]} is neither 0 nor 1",))
    if not _is_plausible(point, value):
        return Sample(None, Quality.BAD, (f"implausible: {value:g}",))
    if point.above is not None:
        return Sample(float(value > point.above))
    if point.values and _number(point, words) not in point.values.values():
        return Sample(value, Quality.UNCERTAIN, (f"unlisted value {value:g}",))
    return Sample(value)


def _is_plausible(point: Point, value: float) -> bool:
    return (point.min is None or value >= point.min) and (point.max is None or value <= point.max)


def _number(point: Point, words: Sequence[int]) -> float:
    if point.type in ("bool", "uint8"):
        return words[0] & 0xFF
    if point.type == "int8":
        return (words[0] & 0xFF ^ 0x80) - 0x80
    ordered = words if point.words == "hi-lo" else words[::-1]
    number: float = struct.unpack(_LAYOUT[point.type], struct.pack(f">{len(ordered)}H", *ordered))[0]
    return number


def _words(point: Point, packed: bytes) -> tuple[int, ...]:
    words = struct.unpack(f">{len(packed) // 2}H", packed)
    return words if point.words == "hi-lo" else words[::-1]


def _packed(layout: str, number: float) -> bytes:
    try:
        return struct.pack(layout, number)
    except OverflowError as error:
        raise ValueError(f"{number:g} is too large for a float32") from error
