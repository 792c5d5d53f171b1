"""The contract's topics as an AsyncAPI 3.0 document: who publishes what where, and how MQTT carries it.

Operations are the gateway's: it `send`s what goes up and `receive`s what comes down. Bodies are those of
`schema.py`, referred to as files beside the document.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

_ABOUT = (
    "A home's flexible load over MQTT 5. The meaning is docs/contract.md's; the bodies are the JSON Schemas "
    "(2020-12) beside this file, made of the gateway's models. The operations are the gateway's."
)
_DRAFT = "application/schema+json;version=draft-2020-12"
_JWS = r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$"
_BINDING = "0.2.0"
_DO_NOT_SEND_RETAINED = 2  # MQTT 5, 3.8.3.1


@dataclass(frozen=True, slots=True)
class _Topic:
    """A topic below the site's: the messages on it, by the short names of their schemas."""

    path: str
    goes_up: bool
    retained: bool
    messages: tuple[str, ...]
    words: str
    signed_by: str = ""


_TOPICS = {
    "presence": _Topic(
        "presence", True, True, ("presence",), "Whether the gateway is there; carries the will."
    ),
    "state": _Topic("state", True, True, ("state",), "The birth document; no will touches it."),
    "availability": _Topic(
        "availability", True, True, ("availability",), "How much up and down, now and in the next 24 h."
    ),
    "status": _Topic(
        "dispatch/status", True, False, ("status", "summary"), "What becomes of instructions; then a summary."
    ),
    "telemetry": _Topic(
        "telemetry", True, False, ("telemetry",), "The minute readings of all points, one cut."
    ),
    "pointTelemetry": _Topic(
        "telemetry/{point}", True, False, ("telemetry",), "The same of one point, where the site says so."
    ),
    "settlement": _Topic(
        "settlement", True, False, ("settlement",), "The half-hours of all points, and their corrections."
    ),
    "event": _Topic("event", True, False, ("event",), "What happened and nobody asked for."),
    "dispatch": _Topic(
        "dispatch",
        False,
        False,
        ("dispatch",),
        "Instructions: set, cancel, stopAll. A retained one is refused and raises a `security` event.",
        "a key of role `dispatch`; plain JSON is obeyed only where `state` says `signaturesRequired` false",
    ),
    "ack": _Topic("ack", False, False, ("ack",), "How far the aggregator holds each log."),
    "keys": _Topic(
        "keys",
        False,
        True,
        ("keys",),
        "The trust store, versioned. Subscribed first, and only where the site pins a root key.",
        "the root key pinned at commissioning, `kid` `root`",
    ),
    "question": _Topic(
        "rpc/{verb}",
        False,
        False,
        ("rpc",),
        "A question: state, readings, diagnose; 10 a minute. Its response topic is the reply's.",
        "a key of role `read`; plain JSON only where `state` says `signaturesRequired` false",
    ),
    "reply": _Topic("reply/{token}", True, False, ("reply",), "The answer, with the correlation data asked."),
}
_PARAMETERS = {
    "site": {"description": "The home: `[a-z0-9-]{1,40}`, its broker user or CN."},
    "point": {"description": "A metering point: `boundary`, or an asset."},
    "verb": {"description": "What is asked.", "enum": ["state", "readings", "diagnose"]},
    "token": {"description": "The asker's own: `[A-Za-z0-9_-]{1,64}`."},
}
_ANSWERED_ON = {"dispatch": ("status", "status"), "question": ("reply", "reply")}


def document() -> Json:
    """The whole document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "homeflex",
            "version": "1",
            "description": _ABOUT,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"broker": _server()},
        "channels": {name: _channel(topic) for name, topic in _TOPICS.items()},
        "operations": {_operation_name(name): _operation(name, topic) for name, topic in _TOPICS.items()},
        "components": {
            "parameters": _PARAMETERS,
            "messages": {
                message: _message(message, topic) for topic in _TOPICS.values() for message in topic.messages
            },
            "messageTraits": {
                "json": {"contentType": "application/json"},
                "signed": {
                    "contentType": "application/jose",
                    "summary": "JWS compact; the header is exactly alg (Ed25519), kid and typ (the body's "
                    "schema), the payload the exact bytes of the JSON.",
                },
            },
            "securitySchemes": {"password": {"type": "userPassword"}, "certificate": {"type": "X509"}},
        },
    }


def _server() -> Json:
    will = {
        "topic": "homeflex/v1/{site}/presence",
        "qos": 1,
        "retain": True,
        "message": '{"schema": "homeflex.presence.v1", "site": "{site}", "online": false, "boot": "{boot}", '
        '"reason": "lost"}',
        "x-willDelayInterval": 30,
    }
    return {
        "host": "broker.example:8883",
        "protocol": "secure-mqtt",
        "protocolVersion": "5",
        "description": "The aggregator's broker. TLS with server verification, except on loopback.",
        "security": [{"$ref": f"#/components/securitySchemes/{way}"} for way in ("password", "certificate")],
        "bindings": {
            "mqtt": {
                "clientId": "homeflex-{site}",
                "cleanSession": False,
                "keepAlive": 20,
                "sessionExpiryInterval": 86_400,
                "lastWill": will,
                "x-receiveMaximum": 16,
                "bindingVersion": _BINDING,
            }
        },
    }


def _channel(topic: _Topic) -> Json:
    return {
        "address": f"homeflex/v1/{{site}}/{topic.path}",
        "description": topic.words,
        "parameters": {
            name: {"$ref": f"#/components/parameters/{name}"}
            for name in _PARAMETERS
            if name == "site" or f"{{{name}}}" in topic.path
        },
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in topic.messages},
    }


def _operation_name(name: str) -> str:
    return f"{'send' if _TOPICS[name].goes_up else 'receive'}{name[0].upper()}{name[1:]}"


def _operation(name: str, topic: _Topic) -> Json:
    mqtt: Json = {"qos": 1, "retain": topic.retained, "bindingVersion": _BINDING}
    if not topic.goes_up:
        mqtt["x-retainHandling"] = _DO_NOT_SEND_RETAINED if name in _ANSWERED_ON else 0
        mqtt["x-retainAsPublished"] = True
    found: Json = {
        "action": "send" if topic.goes_up else "receive",
        "channel": {"$ref": f"#/channels/{name}"},
        "messages": [{"$ref": f"#/channels/{name}/messages/{message}"} for message in topic.messages],
        "bindings": {"mqtt": mqtt},
    }
    if name in _ANSWERED_ON:
        channel, message = _ANSWERED_ON[name]
        found["reply"] = {
            "channel": {"$ref": f"#/channels/{channel}"},
            "messages": [{"$ref": f"#/channels/{channel}/messages/{message}"}],
        }
    return found


def _message(name: str, topic: _Topic) -> Json:
    body: Json = {"$ref": f"schemas/homeflex.{name}.v1.json"}
    found: Json = {"name": f"homeflex.{name}.v1", "traits": [{"$ref": "#/components/messageTraits/json"}]}
    if topic.signed_by:
        found["traits"] = [{"$ref": "#/components/messageTraits/signed"}]
        found["description"] = f"Signed by {topic.signed_by}."
        body = {
            "type": "string",
            "pattern": _JWS,
            "contentMediaType": "application/jose",
            "contentSchema": body,
        }
    return {**found, "payload": {"schemaFormat": _DRAFT, "schema": body}}
