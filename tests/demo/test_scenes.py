"""The judge, on logs written by hand: a good run passes, and each tampering fails the scene it hurts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gateway.demo.log import Observation
from gateway.demo.scenes import scenes
from tests.demo import runs

Run = list[Observation]
Tampering = Callable[[Run], Run]


def _failed(run: Run) -> set[int]:
    return {verdict.number for verdict in scenes(run) if not verdict.passed}


def _second(run: Run, begin: float, end: float, **facts: float) -> Run:
    """The physics changed between two seconds of the run."""
    return [
        replace(one, facts=one.facts | facts)
        if one.kind == "second" and begin <= one.at_utc_s - runs.T0 <= end
        else one
        for one in run
    ]


def _without(run: Run, kind: str, **facts: Any) -> Run:
    return [one for one in run if not (one.kind == kind and facts.items() <= one.facts.items())]


def _without_text(run: Run, *words: str) -> Run:
    return [one for one in run if one.kind != "received" or not all(w in one.facts["text"] for w in words)]


def _said(run: Run, old: str, new: str, *, begin: float = 0.0, end: float = 999.0) -> Run:
    """The text of received messages changed."""
    return [
        replace(one, facts=one.facts | {"text": one.facts["text"].replace(old, new)})
        if one.kind == "received" and begin <= one.at_utc_s - runs.T0 <= end
        else one
        for one in run
    ]


def _more(run: Run, *added: Observation) -> Run:
    return sorted([*run, *added], key=lambda one: one.at_utc_s)


def _facts(run: Run, kind: str, name: str, what: str, **changes: Any) -> Run:
    return [
        replace(one, facts=one.facts | changes)
        if one.kind == kind and (one.facts["name"], one.facts["what"]) == (name, what)
        else one
        for one in run
    ]


def _later(run: Run, kind: str, by_s: float, **facts: Any) -> Run:
    moved = [
        replace(one, at_utc_s=one.at_utc_s + by_s)
        if one.kind == kind and facts.items() <= one.facts.items()
        else one
        for one in run
    ]
    return sorted(moved, key=lambda one: one.at_utc_s)


WRITE = {"register": 71, "value": 0, "peer": "127.0.0.1:6666"}

TAMPERINGS: dict[str, tuple[int, Tampering]] = {
    "the pump never stood still": (1, lambda r: _second(r, 7, 41, pump_w=2400.0)),
    "the room stayed warm": (1, lambda r: _second(r, 7, 50, room_c=19.6)),
    "the room fell below its minimum": (1, lambda r: _second(r, 40, 40, room_c=18.5)),
    "the pump stayed off until the cancel": (1, lambda r: _second(r, 41, 49, pump_w=0.0)),
    "the pump drew again only after the cancel": (
        1,
        lambda r: _later(r, "sent", -8.0, scene=1, what="cancel"),
    ),
    "comfort was never told": (1, lambda r: _without_text(r, "comfortLimit")),
    "comfort was told as full": (1, lambda r: _said(r, '"none", "reason": "c', '"full", "reason": "c')),
    "the block was never told to be followed": (1, lambda r: _said(r, "STARTED", "ACCEPTED", end=40)),
    "scene 1 was not ended": (1, lambda r: _without(r, "scene", number=1, what="ended")),
    "the pump was not held before the override": (2, lambda r: _second(r, 57, 59, pump_w=600.0)),
    "the override was refused": (
        2,
        lambda r: [
            replace(o, facts=o.facts | {"code": 1}) if o.kind == "command" and o.facts["code"] == 0 else o
            for o in r
        ],
    ),
    "no override was given": (2, lambda r: _without(r, "command")),
    "the pump crept on in the override": (2, lambda r: _second(r, 61, 73, pump_w=600.0)),
    "the override was told as something else": (2, lambda r: _said(r, "userOverride", "notFollowing")),
    "the pump stayed free after the override": (2, lambda r: _second(r, 72, 75, pump_w=2400.0)),
    "it was never told to be followed again": (2, lambda r: _without(r, "received", **_texts(r, 74.0))),
    "the pump did not fall back": (3, lambda r: _second(r, 200, 211, pump_w=0.0)),
    "the pump fell back before its timer": (3, lambda r: _second(r, 190, 211, pump_w=2400.0)),
    "the pump fell back late": (3, lambda r: _second(r, 200, 210, pump_w=0.0)),
    "somebody wrote while the daemon was dead": (3, lambda r: _more(r, runs.at(180.0, "written", **WRITE))),
    "the daemon was asked to stop instead": (3, lambda r: _facts(r, "process", "daemon", "exited", code=0)),
    "the daemon was not started again": (3, lambda r: _without(r, "process", pid=101)),
    "the daemon wrote nothing after it": (
        3,
        lambda r: [o for o in r if o.kind != "written" or o.at_utc_s < runs.T0 + 200],
    ),
    "the pump was not held again": (3, lambda r: _second(r, 211, 240, pump_w=2400.0)),
    "the resumed instruction was never told": (3, lambda r: _without(r, "received", **_texts(r, 216.0))),
    "the pump was not held when the daemon died": (3, lambda r: _second(r, 159, 160, pump_w=2400.0)),
    "the minute of the outage is absent": (3, lambda r: _without(r, "received", **_texts(r, 211.0))),
    "the minute of the outage is made up": (
        3,
        lambda r: _said(r, '"powerKw": null', '"powerKw": 1.1', begin=209, end=213),
    ),
    "the minute of the outage is told without its cause": (
        3,
        lambda r: _said(r, '["restart"]', "[]", begin=209, end=213),
    ),
    "a minute comes under a second number": (3, lambda r: _more(r, runs.telemetry(230.0, 9, 228))),
    "a number is used for a second value": (
        3,
        lambda r: _more(r, runs.telemetry(230.0, 4, 228, powerKw=9.9)),
    ),
    "the broker never went": (4, lambda r: _without(r, "process", name="broker")),
    "the daemon ended with the broker": (
        4,
        lambda r: _more(r, runs.at(105.0, "process", name="daemon", pid=100, what="exited", code=1)),
    ),
    "a minute was lost with the broker": (4, lambda r: _without(r, "received", **_texts(r, 114.0))),
    "a minute lost its value with the broker": (
        4,
        lambda r: _said(r, '"OK"', '"MISSING"', begin=113, end=115),
    ),
    "a number was skipped over the broker": (
        4,
        lambda r: _said(r, '"seq": 1', '"seq": 0', begin=48, end=49),
    ),
    "a minute begins late after the broker": (
        4,
        lambda r: _said(r, runs.moment(48), runs.moment(50), begin=113, end=115),
    ),
    "one point lost a minute": (
        4,
        lambda r: [_one_point(o) if o.at_utc_s == runs.T0 + 114.0 and o.kind == "received" else o for o in r],
    ),
    "no minute ended while the broker was gone": (
        4,
        lambda r: _later(r, "process", -6.0, name="broker", what="started"),
    ),
    "the forged instruction was accepted": (5, lambda r: _said(r, "INVALID_SIGNATURE", "OK")),
    "another message was called forged": (5, lambda r: _said(r, "sha256:", "sha256:00", begin=76, end=77)),
    "the replayed instruction was accepted": (5, lambda r: _said(r, "REPLAYED", "OK")),
    "a register was written in answer": (5, lambda r: _more(r, runs.at(77.0, "written", **WRITE))),
    "the pump stopped in answer": (5, lambda r: _second(r, 78, 79, pump_w=0.0)),
}


def _texts(run: Run, second: float) -> dict[str, str]:
    """What was received at that second, to take it away."""
    found = [one for one in run if one.kind == "received" and one.at_utc_s == runs.T0 + second]
    assert len(found) == 1
    return {"text": found[0].facts["text"]}


def _one_point(one: Observation) -> Observation:
    body = json.loads(one.facts["text"])
    del body["points"]["boundary"]
    return replace(one, facts=one.facts | {"text": json.dumps(body)})


def test_a_good_run_passes_every_scene() -> None:
    verdicts = scenes(runs.good_run())
    assert [v.number for v in verdicts] == [1, 2, 3, 4, 5]
    assert [c.text for v in verdicts for c in v.claims if not c.holds] == []


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_a_tampered_run_fails_the_scene_it_hurts_and_no_other(tampering: str) -> None:
    hurt, tamper = TAMPERINGS[tampering]
    assert _failed(tamper(runs.good_run())) == {hurt}


def test_every_claim_of_every_scene_is_broken_by_some_tampering() -> None:
    claims = {(v.number, n) for v in scenes(runs.good_run()) for n, _ in enumerate(v.claims)}
    broken = {
        (v.number, n)
        for _, tamper in TAMPERINGS.values()
        for v in scenes(tamper(runs.good_run()))
        for n, claim in enumerate(v.claims)
        if not claim.holds and len(v.claims) > 1
    }
    assert claims - broken == set()


def test_an_empty_log_fails_every_scene() -> None:
    assert _failed([]) == {1, 2, 3, 4, 5}


def test_the_order_of_the_log_is_no_matter() -> None:
    assert _failed(runs.good_run()[::-1]) == set()


def test_a_minute_sent_twice_in_the_same_words_is_one_minute() -> None:
    """Delivery is at least once: the aggregator counts by stream and number."""
    run = runs.good_run()
    again = [
        replace(one, at_utc_s=one.at_utc_s + 1)
        for one in run
        if one.facts.get("topic", "").endswith("telemetry")
    ]
    assert _failed(_more(run, *again)) == set()


def test_broken_messages_fail_no_scene_and_break_no_judge() -> None:
    noise = [
        runs.at(50.0, "received", topic="homeflex/v1/demo-home/telemetry", text="{broken"),
        runs.at(51.0, "received", topic="homeflex/v1/demo-home/dispatch/status", text="[]"),
    ]
    assert _failed(_more(runs.good_run(), *noise)) == set()
