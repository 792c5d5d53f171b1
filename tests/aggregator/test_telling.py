"""What a home says is told in lines; what cannot be read is told too."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.aggregator.heard import Heard, line_of, of_lines
from gateway.aggregator.telling import Changes, lines
from tests.wire.bodies import NOW_UTC_S, SITE
from tests.wire.test_contract_page import HERE

TOPICS = {
    "homeflex.status.v1": "dispatch/status",
    "homeflex.summary.v1": "dispatch/status",
    "homeflex.event.v1": "event",
    "homeflex.presence.v1": "presence",
    "homeflex.state.v1": "state",
    "homeflex.availability.v1": "availability",
    "homeflex.telemetry.v1": "telemetry",
    "homeflex.settlement.v1": "settlement",
    "homeflex.reply.v1": "reply/t-1",
}
SAID = {
    "homeflex.status.v1": ["r0 OK  ev: STARTED partial (measured) limit 3.2 kW measured 3.18 kW [charge"],
    "homeflex.summary.v1": ["2026-11-23T17:00:00Z to", "ev: SUCCEEDED, 0.684 kWh ESTIMATED, held 1620 s"],
    "homeflex.event.v1": ["info override ev 0193b3f0", "[userOverride, charge now, by the household]"],
    "homeflex.presence.v1": ["boot k3v9q2m7x1ab"],
    "homeflex.state.v1": [
        "signatures required, trust store 3 (remote); minutes end",
        "hp (heat, 3.5 kW) takes IMPORT_",
        "device charger: unreachable",
    ],
    "homeflex.availability.v1": ["asset:ev now 7.2 kW; down to 0 kW for 5400 s, until chargeLimit; up to"],
    "homeflex.reply.v1": ["telemetry:ev 10380 to 10412 of 01JDC0W3Q8Z5 come again"],
    "homeflex.settlement.v1": ["boundary 311 2026-11-23 period 35 r0: import 0.811 kWh, export 0.0 kWh OK"],
    "homeflex.telemetry.v1": ["ev 10412 to 2026-11-23T17:01:37Z: 1.383 kW OK"],
}  # fmt: skip


def heard(body: Any, below: str = "event", at_utc_s: float = NOW_UTC_S) -> Heard:
    return Heard(f"homeflex/v1/{SITE}/{below}", json.dumps(body).encode(), False, at_utc_s)


@pytest.mark.parametrize("example", [e for e in HERE if e["schema"] in TOPICS], ids=lambda e: e["schema"])
def test_every_example_of_the_contract_is_told(example: dict[str, Any]) -> None:
    told = "\n".join(lines(heard(example, TOPICS[example["schema"]]), readings=True))
    assert told.startswith(f"2026-11-23T17:00:00Z  {SITE}  ")
    assert [words for words in SAID[example["schema"]] if words not in told] == []


def test_readings_are_told_only_where_wanted() -> None:
    for below in ("telemetry", "settlement"):
        (example,) = (e for e in HERE if e["schema"] == f"homeflex.{below}.v1")
        assert [*lines(heard(example, below))] == []


@pytest.mark.parametrize("below", sorted({*TOPICS.values(), "other"}))
@pytest.mark.parametrize("body", [[], {}, {"schema": None}, {"points": 3}])
def test_what_cannot_be_read_is_told_as_it_is(below: str, body: Any) -> None:
    (told,) = lines(heard(body, below), readings=True)
    assert told.endswith(f"{below.removesuffix('/t-1')}: {json.dumps(body)}")


def test_a_terminal_obeys_nothing_that_a_home_says() -> None:
    (example,) = (e for e in HERE if e["schema"] == "homeflex.event.v1")
    (told,) = lines(heard({**example, "text": "\x1b[2Jgone\r\n"}))
    assert told.isprintable()


def test_a_retained_document_is_told_again_where_it_says_something_else() -> None:
    (example,) = (e for e in HERE if e["schema"] == "homeflex.state.v1")
    changes = Changes()
    assert changes.lines(heard(example, "state")) == [*lines(heard(example, "state"))]
    again = {**example, "at": "2026-11-23T18:00:00Z"}
    assert changes.lines(heard(again, "state", NOW_UTC_S + 3600)) == []
    (told,) = changes.lines(heard({**again, "signaturesRequired": False}, "state"))
    assert "signatures not required" in told
    assert len(changes.lines(heard(example))) == 1
    assert len(changes.lines(heard(example))) == 1  # an event is always one


@pytest.mark.parametrize("example", HERE, ids=lambda e: e["schema"])
def test_a_message_survives_its_line_of_json(example: dict[str, Any]) -> None:
    there = heard(example, "telemetry")
    (back,) = of_lines([line_of(there), "\n"])
    assert (back.topic, back.body, back.retained, back.at_utc_s) == (there.topic, example, False, NOW_UTC_S)
    assert len(line_of(there).splitlines()) == 1


@pytest.mark.parametrize(
    "line", ["x", "[]", "{}", '{"at": "now", "topic": "a", "retained": false, "body": {}}']
)
def test_a_line_that_is_none_of_ours_is_named(line: str) -> None:
    with pytest.raises(ValueError, match="line 2 is not one"):
        [*of_lines(["", line])]
