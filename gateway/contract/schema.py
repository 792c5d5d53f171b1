"""The contract's messages as JSON Schemas (2020-12), made of the wire models.

What goes down is described as it is taken, closed where it is obeyed; what goes up as it is written, and
open: readers must ignore fields that a later version adds.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from gateway.core.model import Kind
from gateway.wire import ack, availability, dispatch, event, keys, readings, rpc, settlement, state, status
from gateway.wire.dispatch import MOST_KW, UNITS, Payload, PayloadDescriptor, SetBody, StopBody
from gateway.wire.message import Part

Schema = dict[str, Any]

DOWN: Final[Mapping[str, tuple[type[Part], ...]]] = {
    dispatch.SCHEMA: (SetBody, StopBody),
    ack.SCHEMA: (ack.Ack,),
    keys.SCHEMA: (keys.TrustStore,),
    rpc.REQUEST: (rpc.Request,),
}
UP: Final[Mapping[str, tuple[type[Part], ...]]] = {
    state.STATE: (state.State,),
    state.PRESENCE: (state.Presence,),
    availability.SCHEMA: (availability.Availability,),
    status.STATUS: (status.Status,),
    status.SUMMARY: (status.Summary,),
    event.SCHEMA: (event.Event,),
    readings.SCHEMA: (readings.Telemetry,),
    settlement.SCHEMA: (settlement.Settlement,),
    rpc.REPLY: (rpc.Reply,),
}


def schemas() -> dict[str, Schema]:
    """Every message of this release by the name of its schema, such as `homeflex.dispatch.v1`."""
    down = {name: _schema(name, models, "validation") for name, models in DOWN.items()}
    up = {name: _schema(name, models, "serialization") for name, models in UP.items()}
    return dict(sorted((down | up).items()))


def _schema(
    name: str, models: tuple[type[Part], ...], mode: Literal["validation", "serialization"]
) -> Schema:
    adapter: TypeAdapter[Any] = TypeAdapter(functools.reduce(operator.or_, models))
    body = adapter.json_schema(mode=mode, schema_generator=_Generator)
    if len(models) > 1:
        body["oneOf"] = body.pop("anyOf")  # they differ in `op`
    return {"$schema": GenerateJsonSchema.schema_dialect, **body, "title": name}


class _Generator(GenerateJsonSchema):
    """pydantic's own words, without its titles of fields, and with what it cannot know."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def field_is_required(self, field: Any, total: bool) -> bool:
        """Also what names the message: a body without its `schema` or `op` is none."""
        if "serialization_exclude_if" in field:
            return False
        return self.mode == "serialization" or _names(field) or super().field_is_required(field, total)

    def model_field_schema(self, schema: core_schema.ModelField) -> JsonSchemaValue:
        """A field that is left out while there is nothing to say is never written null."""
        found = super().model_field_schema(schema)
        if self.mode == "serialization":
            found.pop("default", None)
            if "serialization_exclude_if" in schema:
                (found,) = (way for way in found["anyOf"] if way != {"type": "null"})
        return found

    def ser_schema(self, schema: Any) -> JsonSchemaValue | None:
        """What a field's own serializer writes is still of the field's type."""
        return None if schema.get("is_field_serializer") else super().ser_schema(schema)

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        return super().model_schema(schema) | _RULES.get(schema["cls"], {})


def _names(field: Any) -> bool:
    inner = field["schema"]
    return inner["type"] == "default" and _is_one_word(inner["schema"])


def _is_one_word(schema: Any) -> bool:
    return schema["type"] == "literal" and len(schema["expected"]) == 1


_ABSENT: Schema = {"type": "null"}  # a field that may be left out may as well be null
_VALUES: dict[Kind, Schema] = {
    kind: {"type": "number", "minimum": 0, "maximum": MOST_KW}
    if unit == "KW"
    else {"type": "number", "minimum": 0, "maximum": 1}
    if unit == "PERCENT"
    else {"type": "integer", "minimum": 0, "maximum": 3}
    for kind, unit in UNITS.items()
}


def _either(*ways: Schema) -> Schema:
    return {"anyOf": list(ways)}


def _of(kind: Kind, field: str) -> Schema:
    return {"properties": {field: {"const": kind}}, "required": [field]}


_PERIOD_ON_THE_EVENT: Schema = {
    "properties": {
        "intervalPeriod": {"type": "object"},
        "intervals": {"items": {"properties": {"intervalPeriod": _ABSENT}}},
    },
    "required": ["intervalPeriod"],
}
_PERIOD_ON_EVERY_INTERVAL: Schema = {
    "properties": {
        "intervalPeriod": _ABSENT,
        "intervals": {
            "items": {"properties": {"intervalPeriod": {"type": "object"}}, "required": ["intervalPeriod"]}
        },
    }
}

# What the models and `wire/order.py` check between fields, as far as a schema can say it.
_RULES: dict[type[BaseModel], Schema] = {
    keys.TrustedKey: {"not": {"properties": {"kid": {"const": keys.ROOT_KID}}, "required": ["kid"]}},
    PayloadDescriptor: _either(
        *(
            {
                "properties": {
                    "payloadType": {"const": kind},
                    "units": {"const": unit} if unit else _ABSENT,
                },
                "required": ["payloadType", "units"] if unit else ["payloadType"],
            }
            for kind, unit in UNITS.items()
        )
    ),
    Payload: _either(
        *(
            {"properties": {"type": {"const": kind}, "values": {"items": value}}, "required": ["type"]}
            for kind, value in _VALUES.items()
        )
    ),
    rpc.Request: {
        "if": {"properties": {"verb": {"const": "readings"}}},
        "then": {"properties": {"rows": {"type": "object"}}, "required": ["rows"]},
        "else": {"properties": {"rows": _ABSENT}},
    },
    keys.TrustedKey: {"allOf": [{"properties": {"kid": {"not": {"const": keys.ROOT_KID}}}}]},
    SetBody: {
        **_either(_PERIOD_ON_THE_EVENT, _PERIOD_ON_EVERY_INTERVAL),
        "allOf": [
            {"properties": {"payloadDescriptors": {"uniqueItems": True}}},
            {
                "if": {"properties": {"targets": {"contains": {"const": "site"}}}},
                "then": {"properties": {"targets": {"maxItems": 1}}},
            },
            *(
                {
                    "if": {
                        "properties": {
                            "intervals": {
                                "contains": {
                                    "properties": {"payloads": {"contains": _of(kind, "type")}},
                                    "required": ["payloads"],
                                }
                            }
                        }
                    },
                    "then": {"properties": {"payloadDescriptors": {"contains": _of(kind, "payloadType")}}},
                }
                for kind in UNITS
            ),
        ],
    },
}
