"""Bytes that claim to be JSON, read without trust: one object, UTF-8, each key once, finite numbers."""

from __future__ import annotations

import json
import math
from typing import NoReturn

from gateway.wire.reception import Reception, Unacceptable, too_large

DEEPEST = 16  # the deepest message of the contract nests 7


def json_object(payload: bytes, max_bytes: int) -> dict[str, object]:
    """The JSON object in `payload`.

    Raises:
        Unacceptable: `TEMPORARY_ERROR` beyond `max_bytes`, else `INVALID_MESSAGE`.
    """
    if len(payload) > max_bytes:
        raise too_large(f"{len(payload)} bytes; at most {max_bytes} are taken")
    try:
        found = json.loads(
            payload.decode("utf-8"),
            object_pairs_hook=_once_each,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
    except RecursionError:
        raise _not_json("nested too deeply") from None
    except UnicodeDecodeError as error:
        raise _not_json(f"not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise _not_json(f"{error.msg} at character {error.pos}") from None
    except ValueError as error:
        raise _not_json(str(error)) from None
    if not isinstance(found, dict):
        raise _not_json("the outermost value must be an object")
    if _depth(found) > DEEPEST:
        raise _not_json("nested too deeply")
    return found


def _not_json(why: str) -> Unacceptable:
    return Unacceptable(Reception.INVALID_MESSAGE, f"not a JSON message: {why}")


def _once_each(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key appears twice in one object")
    return found


def _no_constant(_name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


def _depth(outermost: object) -> int:
    depth, level = 0, [outermost]
    while level and depth <= DEEPEST:
        depth += 1
        level = [
            inner
            for value in level
            if isinstance(value, dict | list)
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
    return depth
