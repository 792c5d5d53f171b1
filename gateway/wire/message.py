"""What all messages share: how a model is written and read, and its problems told in plain words."""

from __future__ import annotations

import hashlib
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails, to_json

from gateway.wire.json_text import json_object
from gateway.wire.reception import Reception, Unacceptable

MESSAGE_MAX_BYTES = 256 * 1024
_MOST_PROBLEMS = 8
_LONGEST_PROBLEM = 200

ModelT = TypeVar("ModelT", bound="Part")


class Part(BaseModel):
    """A part of a message that is data: unknown fields are ignored."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="ignore",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        allow_inf_nan=False,
    )


class Obeyed(Part):
    """A part of a message that is obeyed: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


def encode(message: Part) -> bytes:
    """The message as compact JSON in the contract's names and units."""
    return to_json(message, by_alias=True)


def decode(model: type[ModelT], payload: bytes, site: str) -> ModelT:
    """The message of type `model` in `payload`, for `site`.

    Raises:
        Unacceptable: `INVALID_MESSAGE` where it is not that schema, `INVALID_CONTENT` where it breaks it.
    """
    raw = json_object(payload, MESSAGE_MAX_BYTES)
    require_schema(raw, model.model_fields["schema_name"].default)
    problems = [*site_problems(raw, site)]
    try:
        message = read(model, payload)
    except ValidationError as error:
        problems += problems_of(error)
    if problems:
        raise Unacceptable(Reception.INVALID_CONTENT, listed(problems))
    return message


def read(model: type[ModelT], payload: bytes) -> ModelT:
    """The model in `payload`, by the contract's names only.

    Raises:
        ValidationError: pydantic's; `problems_of` tells it in words.
        Unacceptable: `INVALID_MESSAGE` where pydantic's own, stricter parser says it is not JSON.
    """
    try:
        return model.model_validate_json(payload, by_alias=True, by_name=False)
    except ValidationError as error:
        if any(detail["type"] == "json_invalid" for detail in _details(error)):
            raise Unacceptable(Reception.INVALID_MESSAGE, "not a JSON message: broken text") from None
        raise


def digest(payload: bytes) -> str:
    """SHA-256 of the exact bytes of a message, in hexadecimal."""
    return hashlib.sha256(payload).hexdigest()


def require_schema(raw: dict[str, object], schema: str) -> None:
    """Refuse a message that does not say it is of `schema`."""
    if raw.get("schema") != schema:
        raise Unacceptable(Reception.INVALID_MESSAGE, f"schema: must be {schema}")


def site_problems(raw: dict[str, object], site: str) -> list[str]:
    """What is wrong with the message's addressee."""
    return [] if raw.get("site") == site else [f"site: must be {site}, the site of this topic"]


def problems_of(error: ValidationError) -> list[str]:
    """One line for each problem: the field as a path, and what would be right."""
    found = _details(error)
    # A list whose elements were refused is also called too short: that only follows.
    broken_inside = {one["loc"][:depth] for one in found for depth in range(len(one["loc"]))}
    return [
        f"{_path(one['loc'])}: {_wanted(one)}"
        for one in found
        if one["type"] != "too_short" or one["loc"] not in broken_inside
    ]


def listed(problems: list[str]) -> str:
    """All problems in one bounded text, fit for a log whatever the sender wrote."""
    shown = [_fit_to_print(problem[:_LONGEST_PROBLEM]) for problem in problems[:_MOST_PROBLEMS]]
    more = len(problems) - len(shown)
    return "; ".join([*shown, f"and {more} more"] if more else shown)


_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "is not a field of this message",
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must have at least {min_length}, has {actual_length}",
    "too_long": "must have at most {max_length}, has {actual_length}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match {pattern}",
    "value_error": "{error}",
}

_REFUSED_FIELDS = {
    "randomizeStart": "is not taken, for it also starts early; use startDelay",
    "programID": "is not taken: this is not OpenADR; see the contract for what is",
    "duration": "is not taken here: instructions do not loop; the length is that of the intervals",
}


def _details(error: ValidationError) -> list[ErrorDetails]:
    return error.errors(include_url=False, include_input=False)


def _wanted(detail: ErrorDetails) -> str:
    if detail["type"] == "extra_forbidden":
        return _REFUSED_FIELDS.get(str(detail["loc"][-1]), _WORDS["extra_forbidden"])
    words = _WORDS.get(detail["type"])
    return words.format(**detail.get("ctx", {})) if words else detail["msg"]


def _fit_to_print(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _path(location: tuple[int | str, ...]) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return "".join(steps).lstrip(".") or "message"
