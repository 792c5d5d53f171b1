"""The JSON Schemas say what the models say, by a validator that shares nothing with them."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator

from gateway.contract.page import pages
from gateway.wire.keys import parse_keys
from gateway.wire.message import decode
from gateway.wire.order import parse_order
from gateway.wire.reception import Unacceptable
from tests.wire.bodies import EXAMPLE, GONE, SITE, STOP, changed, set_bodies
from tests.wire.test_contract_page import HERE, MODELS
from tests.wire.test_dispatch_fuzz import slips
from tests.wire.test_order import BROKEN

DOCS = Path(__file__).parents[2] / "docs"
DISPATCH = "homeflex.dispatch.v1"
OBEYED = {DISPATCH, "homeflex.keys.v1", "homeflex.rpc.v1"}

# What no schema can say: whose topic it is, the calendar, and sums. JSON does not tell 1.0 from 1, and a
# `$` of Python's looks past a last line break, which those of ECMA 262 and of the models do not.
UNSAYABLE = {
    "site: must be home-7f3a",
    "revision: must be a whole number",
    "does not exist",
    "expiresAt: must be",
    "startDelay: must be at most PT30M",
    "endDelay: must be at most PT30M",
    "intervals: must be at most 24 h in all",
    "intervals[1].intervalPeriod.start: must be the end of the interval before",
}
(STORE,) = (example for example in HERE if example["schema"] == "homeflex.keys.v1")
UNSEEN: list[dict[str, object]] = [{"targets": ["asset:ev\n"]}]
SAYABLE: list[dict[str, object]] = [{"revision": True}, {"issuedAt": "2026-11-23T23:59:60Z"}]


def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads((DOCS / "schemas" / f"{name}.json").read_text()))


VALIDATORS = {name: validator(name) for name in [*MODELS, DISPATCH]}


def is_taken(name: str, body: Any) -> bool:
    """Whether the code takes it."""
    payload = json.dumps(body).encode()
    try:
        parse_order(payload, SITE) if name == DISPATCH else decode(MODELS[name], payload, SITE)
    except Unacceptable:
        return False
    return True


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    keys: Any = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield (*way, key)
        yield from places(value[key], (*way, key))


def at(body: Any, way: tuple[Any, ...]) -> Any:
    for step in way:
        body = body[step]
    return body


def test_the_files_are_what_the_code_says() -> None:
    """Else: make schemas."""
    written = {path: (DOCS / path).read_text() for path in pages()}
    assert written == pages()
    assert {f"schemas/{path.name}" for path in (DOCS / "schemas").iterdir()} < set(written)


@pytest.mark.parametrize("name", VALIDATORS)
def test_a_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(VALIDATORS[name].schema)


@pytest.mark.parametrize("example", HERE, ids=lambda example: example["schema"])
def test_an_example_on_the_contracts_page_fits_its_schema(example: dict[str, Any]) -> None:
    VALIDATORS[example["schema"]].validate(example)


@pytest.mark.parametrize("example", HERE, ids=lambda example: example["schema"])
def test_what_an_example_must_have_and_may_not_have_is_in_its_schema(example: dict[str, Any]) -> None:
    """Each value taken out, and each replaced by one of another type, in turn."""
    name = example["schema"]
    for *way, last in places(example):
        for wrong in (GONE, [["wrong"]], {"wrong": True}):
            body = copy.deepcopy(example)
            if wrong is GONE:
                del at(body, tuple(way))[last]
            else:
                at(body, tuple(way))[last] = wrong
            if not is_taken(name, body):
                assert not VALIDATORS[name].is_valid(body), (way, last, wrong)


@pytest.mark.parametrize("example", HERE, ids=lambda example: example["schema"])
def test_a_schema_is_closed_where_unknown_fields_are_refused_and_open_where_they_are_ignored(
    example: dict[str, Any],
) -> None:
    name = example["schema"]
    objects = [way for way in [(), *places(example)] if isinstance(at(example, way), dict)]
    for way in objects:
        if way and way[-1] in ("versions", "tags", "points", "logs"):
            continue  # tables, not records
        body = copy.deepcopy(example)
        at(body, way)["added"] = 1
        assert VALIDATORS[name].is_valid(body) == is_taken(name, body) == (name not in OBEYED), way


@pytest.mark.parametrize(
    ("changes", "words"), BROKEN, ids=lambda part: ",".join(part) if isinstance(part, dict) else ""
)
def test_what_a_dispatch_is_refused_for_the_schema_refuses_as_far_as_it_can_say(
    changes: dict[str, object], words: list[str]
) -> None:
    body = changed(EXAMPLE, changes)
    beyond = (bool(set(words) & UNSAYABLE) and repr(changes) not in map(repr, SAYABLE)) or changes in UNSEEN
    assert VALIDATORS[DISPATCH].is_valid(body) == beyond


@pytest.mark.parametrize("field", ["targets", "intervals", "service", "startDelay", "priority"])
def test_a_stop_with_more_than_its_fields_does_not_fit(field: str) -> None:
    assert VALIDATORS[DISPATCH].is_valid({**STOP, "endDelay": "PT0S"})
    assert not VALIDATORS[DISPATCH].is_valid({**STOP, field: EXAMPLE[field]})


@pytest.mark.parametrize(
    "changes",
    [
        {"version": -1},
        {"comment": "x"},
        {"keys": GONE},
        {"keys": [{**STORE["keys"][0], "kid": f"k{n}"} for n in range(33)]},
        {"keys.0.kid": "root"},
        {"keys.0.kid": ""},
        {"keys.0.role": "root"},
        {"keys.0.x": "AAAA"},
        {"keys.0.d": "secret"},
        {"keys.0.notBefore": "today"},
    ],
    ids=",".join,
)
def test_what_a_trust_store_is_refused_for_the_schema_refuses(changes: dict[str, object]) -> None:
    name, body = STORE["schema"], changed(STORE, changes)
    assert VALIDATORS[name].is_valid(STORE)
    with pytest.raises(Unacceptable):
        parse_keys(json.dumps(body).encode(), SITE)
    assert not VALIDATORS[name].is_valid(body)


@settings(max_examples=80)
@given(set_bodies())
def test_every_valid_instruction_fits(pair: tuple[dict[str, Any], Any]) -> None:
    VALIDATORS[DISPATCH].validate(pair[0])


@settings(max_examples=300)
@given(slips())
def test_whatever_the_gateway_takes_fits(payload: bytes) -> None:
    """A schema that refuses what works would send an engineer astray."""
    body = json.loads(payload)
    if is_taken(DISPATCH, body):
        VALIDATORS[DISPATCH].validate(body)


@pytest.mark.parametrize("name", [*MODELS])
def test_units_and_signs_are_told_where_the_numbers_are(name: str) -> None:
    for way in places(VALIDATORS[name].schema):
        if way[-2:-1] == ("properties",) and re.search("(Kwh|Kw|^kw)$", way[-1]):
            field = at(VALIDATORS[name].schema, way)
            told = " ".join(
                one.get("description", "") for one in [field, field.get("items", {}), *field.get("anyOf", [])]
            )
            assert ("kWh, " if way[-1].endswith("wh") else "kW, ") in told, way
            assert "import is positive, export negative" in told, way
