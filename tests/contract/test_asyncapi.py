"""The AsyncAPI document is one, and says what the daemon does on MQTT."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from gateway.daemon.post import subscriptions
from gateway.daemon.uplink import UplinkSettings, Will
from tests.wire.test_contract_page import MODELS

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs"
DOCUMENT: dict[str, Any] = json.loads((DOCS / "asyncapi.json").read_text())
CONTRACT = (DOCS / "contract.md").read_text()
NOT_HERE = {"config/desired", "config/reported", "enrol/request", "enrol/answer"}


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [ref for inner in value.values() for ref in _references(inner)]
    return [ref for inner in value for ref in _references(inner)] if isinstance(value, list) else []


def _at(pointer: str) -> Any:
    found: Any = DOCUMENT
    for step in pointer.removeprefix("#/").split("/"):
        found = found[step]
    return found


def _mqtt(operation: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = operation["bindings"]["mqtt"]
    return found


def test_it_is_a_document_of_asyncapi_3() -> None:
    """Held against the schema that the AsyncAPI Initiative publishes for 3.0.0."""
    official = json.loads((HERE / "asyncapi-3.0.0.json").read_text())
    problems = [
        f"{list(error.absolute_path)}: {error.message}"
        for error in Draft7Validator(official).iter_errors(DOCUMENT)
    ]
    assert problems == []


def test_what_it_refers_to_is_there() -> None:
    for reference in _references(DOCUMENT):
        if reference.startswith("#/"):
            _at(reference)
        else:
            assert (DOCS / reference).is_file(), reference


def test_every_message_of_this_release_is_on_a_channel() -> None:
    on_channels = {
        _at(message["$ref"])["name"]
        for channel in DOCUMENT["channels"].values()
        for message in channel["messages"].values()
    }
    assert on_channels == {*MODELS, "homeflex.dispatch.v1"}


def test_directions_and_retained_flags_are_those_of_the_contracts_table() -> None:
    rows = re.findall(r"^\| `([a-z/]+)` \| (up|down) \| (yes|no|never) \|", CONTRACT, re.M)
    assert "| `rpc/<verb>` · `reply/<token>` | down · up | no |" in CONTRACT
    assert "`telemetry/<point>` if `reporting.bundle = false`" in CONTRACT
    rows += [("telemetry/{point}", "up", "no"), ("rpc/{verb}", "down", "no"), ("reply/{token}", "up", "no")]
    told = {topic: (way == "up", retained == "yes") for topic, way, retained in rows if topic not in NOT_HERE}
    found = {
        _at(operation["channel"]["$ref"])["address"].removeprefix("homeflex/v1/{site}/"): (
            operation["action"] == "send",
            _mqtt(operation)["retain"],
        )
        for operation in DOCUMENT["operations"].values()
    }
    assert found == told
    assert all(_mqtt(operation)["qos"] == 1 for operation in DOCUMENT["operations"].values())


def test_what_it_receives_is_what_the_daemon_subscribes_to() -> None:
    told = {
        (_at(one["channel"]["$ref"])["address"].format(site="home", verb="+"), _mqtt(one)["x-retainHandling"])
        for one in DOCUMENT["operations"].values()
        if one["action"] == "receive"
    }
    asked = {(one.topic, one.retain_handling) for one in subscriptions("home", has_root=True)}
    assert asked == told
    rootless = {(one.topic, one.retain_handling) for one in subscriptions("home", has_root=False)}
    assert told - rootless == {("homeflex/v1/home/keys", 0)}


def test_the_session_and_the_will_are_the_daemons() -> None:
    told = DOCUMENT["servers"]["broker"]["bindings"]["mqtt"]
    settings = UplinkSettings("127.0.0.1", 1883, "homeflex-home")
    assert (told["keepAlive"], told["sessionExpiryInterval"], told["x-receiveMaximum"]) == (
        settings.keepalive_s,
        settings.session_expiry_s,
        settings.receive_maximum,
    )
    will = Will("homeflex/v1/{site}/presence", told["lastWill"]["message"].encode())
    assert (told["lastWill"]["topic"], told["lastWill"]["retain"]) == (will.topic, will.retain)
    assert told["lastWill"]["x-willDelayInterval"] == will.delay_s
    example = json.loads(told["lastWill"]["message"])
    assert (example["online"], example["reason"]) == (False, "lost")


@pytest.mark.parametrize("name", ["dispatch", "keys", "rpc"])
def test_what_is_obeyed_is_signed(name: str) -> None:
    message = DOCUMENT["components"]["messages"][name]
    assert message["traits"] == [{"$ref": "#/components/messageTraits/signed"}]
    pattern = message["payload"]["schema"]["pattern"]
    assert re.fullmatch(pattern, "eyJh.eyJz.c2ln")
    assert not re.fullmatch(pattern, '{"schema": "homeflex.dispatch.v1"}')
