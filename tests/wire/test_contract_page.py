"""The contract page and the models say the same: every example is read and written back."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from gateway.wire.ack import Ack
from gateway.wire.availability import Availability
from gateway.wire.dispatch import SetBody, StopBody
from gateway.wire.event import Event
from gateway.wire.keys import TrustStore, parse_keys
from gateway.wire.message import Part, decode, encode
from gateway.wire.order import parse_order
from gateway.wire.readings import Telemetry
from gateway.wire.rpc import Reply, Request
from gateway.wire.settlement import Settlement
from gateway.wire.state import Presence, State
from gateway.wire.status import Status, Summary

SITE = "home-7f3a"
PAGE = (Path(__file__).parents[2] / "docs" / "contract.md").read_text()
EXAMPLES = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
MODELS: dict[str, type[Part]] = {
    "homeflex.ack.v1": Ack,
    "homeflex.availability.v1": Availability,
    "homeflex.event.v1": Event,
    "homeflex.keys.v1": TrustStore,
    "homeflex.presence.v1": Presence,
    "homeflex.reply.v1": Reply,
    "homeflex.rpc.v1": Request,
    "homeflex.state.v1": State,
    "homeflex.status.v1": Status,
    "homeflex.summary.v1": Summary,
    "homeflex.settlement.v1": Settlement,
    "homeflex.telemetry.v1": Telemetry,
}
LATER = {"homeflex.config.v1", "homeflex.configReported.v1"}


def _model(example: dict[str, Any]) -> type[Part]:
    if example["schema"] == "homeflex.dispatch.v1":
        return SetBody if example["op"] == "set" else StopBody
    return MODELS[example["schema"]]


HERE = [example for example in EXAMPLES if example["schema"] not in LATER]


def test_the_page_shows_an_example_of_every_message_of_this_release() -> None:
    assert {example["schema"] for example in HERE} == {*MODELS, "homeflex.dispatch.v1"}


@pytest.mark.parametrize("example", HERE, ids=lambda example: example["schema"])
def test_an_example_on_the_page_is_read_and_written_back_the_same(example: dict[str, Any]) -> None:
    model = _model(example)
    message = decode(model, json.dumps(example).encode(), SITE)
    assert json.loads(encode(message)) == example
    assert decode(model, encode(message), SITE) == message


@pytest.mark.parametrize("example", [e for e in HERE if e["schema"] == "homeflex.dispatch.v1"])
def test_an_example_of_a_dispatch_is_obeyed(example: dict[str, Any]) -> None:
    assert parse_order(json.dumps(example).encode(), SITE).id == example["id"]


def test_the_example_of_a_trust_store_can_be_used() -> None:
    (example,) = (e for e in HERE if e["schema"] == "homeflex.keys.v1")
    assert parse_keys(json.dumps(example).encode(), SITE).keys


@pytest.mark.parametrize("example", HERE, ids=lambda example: example["schema"])
def test_an_unknown_field_is_ignored_in_data_and_refused_in_what_is_obeyed(example: dict[str, Any]) -> None:
    message = json.dumps({**example, "added": 1}).encode()
    if example["schema"] in {"homeflex.dispatch.v1", "homeflex.keys.v1", "homeflex.rpc.v1"}:
        with pytest.raises(Exception, match="added: is not a field"):
            decode(_model(example), message, SITE)
    else:
        assert json.loads(encode(decode(_model(example), message, SITE))) == example
