"""The page on the configuration says what the models say: every field, what it takes, and its default."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from drivers import registry
from gateway.daemon.household import ReadyBy
from gateway.daemon.household import Row as WeeklyRow
from gateway.daemon.sections import File

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
NAMED = {"asset": "asset.<name>", "circuit": "circuit.<name>"}
DRIVERS = ("modbus", "p1", "mqtt_local", "shelly", "ocpp")

Row = tuple[str, str, str]
"""Field, what it takes, default."""


def _rows(schema: dict[str, Any], definitions: dict[str, Any], path: str = "") -> Iterator[Row]:
    required = schema.get("required", [])
    for name, field in schema["properties"].items():
        here = f"{path}.{name}" if path else NAMED.get(name, name)
        inner = _table(field, definitions)
        if inner is None:
            yield here, _takes(field, definitions), _default(field, name in required)
        elif "properties" in inner:
            yield from _rows(inner, definitions, here)
        else:
            yield here, "table", "none"


def _table(field: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any] | None:
    """The table a field is, if it is one: itself, or each of those it names."""
    found = next((option for option in field.get("anyOf", [field]) if option.get("type") != "null"), field)
    if "$ref" in found:
        found = definitions[found["$ref"].rpartition("/")[2]]
    for each in (found.get("additionalProperties"), *found.get("patternProperties", {}).values()):
        if isinstance(each, dict) and "$ref" in each:
            return definitions[each["$ref"].rpartition("/")[2]]  # type: ignore[no-any-return]
    return found if found.get("type") == "object" else None


def _takes(field: dict[str, Any], definitions: dict[str, Any]) -> str:
    (found,) = [option for option in field.get("anyOf", [field]) if option.get("type") != "null"]
    if "$ref" in found:
        found = definitions[found["$ref"].rpartition("/")[2]]
    if "enum" in found:
        return " or ".join(f"`{value}`" for value in found["enum"])
    kind = {"integer": "whole number", "number": "number", "boolean": "`true` or `false`", "array": "list"}
    word = "file" if found.get("format") == "path" else kind.get(found.get("type", ""), "text")
    limits = [
        ("from", "minimum"),
        ("above", "exclusiveMinimum"),
        ("to", "maximum"),
        ("below", "exclusiveMaximum"),
    ]
    if "exclusiveMinimum" in found:
        limits = limits[1:]
    return " ".join([word, *(f"{said} {found[key]:g}" for said, key in limits if key in found)])


def _default(field: dict[str, Any], required: bool) -> str:
    if required:
        return "required"
    default = field.get("default")
    if default is None or default == []:
        return "none"
    if isinstance(default, list):
        return "all"
    if isinstance(default, float):
        return f"`{default:g}`"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _expected(model: type[BaseModel], path: str = "") -> list[Row]:
    schema = model.model_json_schema(by_alias=True)
    return list(_rows(schema, schema.get("$defs", {}), path))


def _written() -> dict[str, Row]:
    cells = [
        re.split(r"\s*(?<!\\)\|\s*", line.strip("| ")) for line in PAGE.splitlines() if line.startswith("| `")
    ]
    return {cell[0].strip("`"): (cell[0].strip("`"), cell[1], cell[2]) for cell in cells}


EXPECTED = [
    *_expected(File),
    *_expected(WeeklyRow, "<times>"),
    *_expected(ReadyBy, "<ready_by>"),
    *(row for name in DRIVERS for row in _expected(registry.kind(name).settings, f"<{name}>")),
]


def test_the_page_names_every_driver() -> None:
    assert set(registry.names()) == set(DRIVERS)


@pytest.mark.parametrize("row", EXPECTED, ids=lambda row: row[0])
def test_a_field_stands_on_the_page_as_it_is(row: Row) -> None:
    assert _written().get(row[0]) == row


def test_nothing_stands_on_the_page_that_is_not_there() -> None:
    assert set(_written()) == {row[0] for row in EXPECTED}
