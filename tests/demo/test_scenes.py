"""The judge, on logs written by hand: a good run passes, and each tampering fails the scene it hurts."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
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
NEEDED = "0.09 kWh still needed by"


def _calls(run: Run, device: str, what: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Run:
    """The parameters of a device's calls changed."""
    return [
        replace(one, facts=one.facts | {"params": change(one.facts["params"])})
        if one.kind == "asked" and (one.facts["device"], one.facts["what"]) == (device, what)
        else one
        for one in run
    ]


def _profile(run: Run, begin: float, end: float, **changes: Any) -> Run:
    """The charging profiles of a part of the run changed; None takes a field away."""

    def changed(params: dict[str, Any]) -> dict[str, Any]:
        profile = params["csChargingProfiles"] | changes
        return params | {"csChargingProfiles": {k: v for k, v in profile.items() if v is not None}}

    return _between(run, begin, end, lambda part: _calls(part, "charger", "SetChargingProfile", changed))


def _switch(run: Run, begin: float, end: float, **changes: Any) -> Run:
    return _between(
        run, begin, end, lambda part: _calls(part, "plug", "Switch.Set", lambda params: params | changes)
    )


def _between(run: Run, begin: float, end: float, tamper: Tampering) -> Run:
    inside = [one for one in run if begin <= one.at_utc_s - runs.T0 <= end]
    return _more([one for one in run if not begin <= one.at_utc_s - runs.T0 <= end], *tamper(inside))


def _cut(run: Run, kind: str, begin: float, end: float) -> Run:
    return [one for one in run if one.kind != kind or not begin <= one.at_utc_s - runs.T0 <= end]


def _body(run: Run, scene: int, what: str, **changes: Any) -> Run:
    """What was sent, unsigned and changed."""

    def changed(one: Observation) -> Observation:
        if one.kind != "sent" or (one.facts["scene"], one.facts["what"]) != (scene, what):
            return one
        return replace(one, facts=one.facts | {"text": json.dumps(json.loads(_payload(one)) | changes)})

    return [changed(one) for one in run]


def _payload(one: Observation) -> bytes:
    part = one.facts["text"].split(".")[1]
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


TAMPERINGS: dict[str, tuple[int, Tampering]] = {
    # 1: a cap on the car
    "no cap was sent": (1, lambda r: _without(r, "sent", scene=1, what="set")),
    "the cap was for one car": (1, lambda r: _body(r, 1, "set", targets=["asset:ev"])),
    "the cap was asked by another service": (1, lambda r: _body(r, 1, "set", service="demo")),
    "the car charged slowly before": (1, lambda r: _second(r, 3, 6, charger_w=1380.0)),
    "the car was never capped": (1, lambda r: _second(r, 9, 36, charger_w=7360.0)),
    "the car broke out of its cap once": (1, lambda r: _second(r, 25, 25, charger_w=1500.0)),
    "the car was stopped": (1, lambda r: _second(r, 20, 36, charger_w=0.0)),
    "the car followed late": (1, lambda r: _cap_late(r)),
    "the charger was told too much": (
        1,
        lambda r: _profile(r, 7, 9, chargingSchedule=_schedule(r, chargingSchedulePeriod=[{"limit": 6.2}])),
    ),
    "no limit was set for this charge": (
        1,
        lambda r: _profile(r, 7, 9, chargingProfilePurpose="TxDefaultProfile"),
    ),
    "the limit had no validTo": (1, lambda r: _profile(r, 7, 9, validTo=None)),
    "the limit had no duration": (
        1,
        lambda r: _profile(r, 7, 9, chargingSchedule=_schedule(r, duration=None)),
    ),
    "its two ends were not the same": (1, lambda r: _profile(r, 7, 9, validTo=runs.moment(7 + 120))),
    "the cap was told as confirmed by the charger alone": (
        1,
        lambda r: _said(r, "measured", "readBack", begin=15, end=17),
    ),
    "the cap was never told to be followed": (1, lambda r: _without(r, "received", **_texts(r, 16.0))),
    "the car's minute names no instruction": (1, lambda r: _said(r, '["id-1"]', "[]")),
    "the car's minute names no limit": (1, lambda r: _said(r, '"limitKw": 1.38', '"limitKw": null')),
    "the car's minute names another limit": (1, lambda r: _said(r, '"limitKw": 1.38', '"limitKw": 7.36')),
    "another point's minute names the instruction": (1, lambda r: _one_point(r, 34.6, "ev", dispatchIds=[])),
    "a later minute names the instruction": (
        1,
        lambda r: _one_point(
            _one_point(r, 34.6, "ev", dispatchIds=[]), 99.0, "ev", dispatchIds=["id-1"], limitKw=1.38
        ),
    ),
    # 2: a block ends early
    "no block was sent": (2, lambda r: _without(r, "sent", scene=2, what="set")),
    "another limit was told": (2, lambda r: _said(r, "comfortLimit", "applianceLimit", begin=41, end=41.5)),
    "the pump never stood still": (2, lambda r: _second(r, 6, 40, pump_w=2400.0)),
    "the room stayed warm": (2, lambda r: _second(r, 6, 48, room_c=19.6)),
    "the room fell below its minimum": (2, lambda r: _second(r, 39, 39, room_c=18.5)),
    "the pump stayed off until the cancel": (2, lambda r: _second(r, 40, 48, pump_w=0.0)),
    "the pump drew again only after the cancel": (
        2,
        lambda r: _later(r, "sent", -8.0, scene=2, what="cancel"),
    ),
    "comfort was never told": (2, lambda r: _without_text(r, "comfortLimit")),
    "comfort was told as full": (2, lambda r: _said(r, '"none", "evidence": "measured", "reason": "c', FULL)),
    "the block was never told to be followed": (
        2,
        lambda r: _said(r, "STARTED", "ACCEPTED", begin=9, end=10.5),
    ),
    "scene 2 was not ended": (2, lambda r: _without(r, "scene", number=2, what="ended")),
    # 3: the freezer
    "the freezer stayed off": (3, lambda r: _second(r, 36, 39, plug_on=False)),
    "the freezer came back early": (3, lambda r: _second(r, 31, 35, plug_on=True)),
    "the freezer was never off": (3, lambda r: _second(r, 6, 35, plug_on=True)),
    "the freezer went off again": (3, lambda r: _second(r, 39, 48, plug_on=False)),
    "the plug would have stayed off for ever": (3, lambda r: _switch(r, 5, 6, toggle_after=float("inf"))),
    "the plug came back by itself": (3, lambda r: _switch(r, 25, 26, toggle_after=12)),
    "nobody switched the plug on": (3, lambda r: _cut(r, "asked", 35, 36)),
    "the freezer's pause was never told": (3, lambda r: _without(r, "received", **_texts(r, 11.0))),
    "the appliance's limit was never told": (3, lambda r: _without_text(r, "applianceLimit")),
    "the freezer was accepted for bm": (3, lambda r: _said(r, "REJECTED", "ACCEPTED")),
    "the freezer was refused for another reason": (3, lambda r: _said(r, "notEligible", "outsideCapability")),
    "it was not bm that it refused": (3, lambda r: _body(r, 3, "bm", service="tcm")),
    "the plug was switched for bm": (3, lambda r: _more(r, runs.switch(41.0, False, toggle_after=60))),
    "no bm was sent": (3, lambda r: _without(r, "sent", scene=3, what="bm")),
    "nobody looked at the freezer after bm": (3, lambda r: _later(r, "scene", -5.0, number=3, what="ended")),
    # 4: ready by
    "the household's word was not taken": (4, lambda r: _exit_code(r, 4, 1)),
    "nobody said what the car needs": (4, lambda r: _without(r, "command", scene=4)),
    "the household names no hour": (4, lambda r: _without(r, "configured")),
    "the cap never held the car": (4, lambda r: _second(r, 42, 69, charger_w=7360.0)),
    "the car was given more too early": (4, lambda r: _second(r, 60, 69, charger_w=5888.0)),
    "the car was given more too late": (4, lambda r: _second(r, 70, 84, charger_w=1380.0)),
    "the car was never given more": (4, lambda r: _second(r, 70, 122, charger_w=1380.0)),
    "the car was given all it can take": (4, lambda r: _second(r, 70, 110, charger_w=7360.0)),
    "the car was given less than it needed": (4, lambda r: _second(r, 75, 120, charger_w=4500.0)),
    "the car stopped short of its need": (4, lambda r: _second(r, 113, 120, charger_w=0.0)),
    "the car was given less for a while and more after it": (
        4,
        lambda r: _second(_second(r, 80, 95, charger_w=4800.0), 96, 119, charger_w=6700.0),
    ),
    "the words name another hour": (4, lambda r: _said(r, f"by {_hour()}", "by 23:59")),
    "the instruction was over before": (4, lambda r: _later(r, "sent", -10.0, scene=4, what="cancel")),
    "the cap was not told to be followed": (4, lambda r: _without(r, "received", **_texts(r, 50.0))),
    "the overruled cap was told as full": (4, lambda r: _said(r, '"partial"', '"full"')),
    "it was told for another reason": (4, lambda r: _said(r, "chargeLimit", "notFollowing")),
    "the words name no hour": (4, lambda r: _said(r, "needed by", "needed soon")),
    # 5: the household overrides
    "the pump was not held before the override": (5, lambda r: _second(r, 66, 67, pump_w=600.0)),
    "the override was refused": (5, lambda r: _exit_code(r, 5, 1)),
    "no override was given": (5, lambda r: _without(r, "command", scene=5)),
    "the pump crept on in the override": (5, lambda r: _second(r, 69, 80, pump_w=600.0)),
    "the override was told as something else": (5, lambda r: _said(r, "userOverride", "notFollowing")),
    "the override was told as full": (
        5,
        lambda r: _said(r, '"none", "evidence": "measured", "reason": "u', FULL_U),
    ),
    "nothing was told of the overridden block": (5, lambda r: _without_text(r, '"id-5"')),
    "nobody looked before the override": (5, lambda r: _cut(r, "second", 66, 68)),
    "the pump stayed free after the override": (5, lambda r: _second(r, 80, 85, pump_w=2400.0)),
    "it was never told to be followed again": (5, lambda r: _without(r, "received", **_texts(r, 83.0))),
    # 6: kill -9
    "the instruction left the freezer out": (
        6,
        lambda r: _body(r, 6, "set", targets=["asset:ev", "asset:heat"]),
    ),
    "together they drew more": (6, lambda r: _second(r, 143, 143, charger_w=1650.0)),
    "the pump was not held when the daemon died": (6, lambda r: _second(r, 143, 145, pump_w=2400.0)),
    "the freezer was not held when the daemon died": (6, lambda r: _second(r, 144, 145, plug_on=True)),
    "the pump did not fall back": (6, lambda r: _second(r, 240, 252, pump_w=0.0)),
    "the pump fell back before its timer": (6, lambda r: _second(r, 230, 250, pump_w=2400.0)),
    "the pump fell back late": (6, lambda r: _second(r, 240, 252, pump_w=0.0)),
    "the pump fell back in part": (6, lambda r: _second(r, 246, 252, pump_w=600.0)),
    "the car did not fall back": (6, lambda r: _second(r, 210, 252, charger_w=1380.0)),
    "the car fell back before its profile ended": (6, lambda r: _second(r, 200, 216, charger_w=7360.0)),
    "the car fell back late": (6, lambda r: _second(r, 216, 222, charger_w=1380.0)),
    "the car's lease was longer than configured": (6, lambda r: _longer_lease(r)),
    "the car stayed held beyond its lease": (6, lambda r: _second(r, 216, 235, charger_w=1380.0)),
    "the freezer did not come back": (6, lambda r: _second(r, 150, 252, plug_on=False)),
    "the freezer came back before its timer": (6, lambda r: _second(r, 147, 156, plug_on=True)),
    "the freezer came back late": (6, lambda r: _second(r, 156, 165, plug_on=False)),
    "the plug's timer was longer than configured": (
        6,
        lambda r: _switch(_second(r, 156, 185, plug_on=False), 125, 126, toggle_after=60),
    ),
    "somebody wrote while the daemon was dead": (6, lambda r: _more(r, runs.at(180.0, "written", **WRITE))),
    "somebody asked the charger while the daemon was dead": (
        6,
        lambda r: _more(r, runs.asked(180.0, "charger", "TriggerMessage")),
    ),
    "the daemon was asked to stop instead": (6, lambda r: _facts(r, "process", "daemon", "exited", code=0)),
    "the daemon was not started again": (6, lambda r: _without(r, "process", pid=101)),
    "the daemon told the pump nothing after it": (6, lambda r: _cut(r, "written", 250, 300)),
    "the daemon told the charger nothing after it": (
        6,
        lambda r: _profile(r, 250, 300, chargingProfilePurpose=""),
    ),
    "the daemon told the plug nothing after it": (6, lambda r: _switch(r, 250, 300, on=True)),
    "the pump was not held again": (6, lambda r: _second(r, 255, 300, pump_w=2400.0)),
    "the car was not held again": (6, lambda r: _second(r, 255, 300, charger_w=7360.0)),
    "the freezer was not held again": (6, lambda r: _second(r, 270, 300, plug_on=True)),
    "they were held again too late": (6, lambda r: _second(r, 255, 281, charger_w=7360.0)),
    "they were held again in the last seconds only": (6, lambda r: _second(r, 255, 287, charger_w=7360.0)),
    "the pump crept on under the value": (6, lambda r: _second(r, 255, 300, pump_w=150.0)),
    "nothing was told after the restart": (6, lambda r: _cut(r, "received", 252.4, 276)),
    "a minute of the outage is called bad": (
        6,
        lambda r: _said(r, '"MISSING"', '"BAD"', begin=252.1, end=253),
    ),
    "the resumed instruction was never told of the car": (6, lambda r: _unresumed(r, "ev")),
    "the resumed instruction was never told of the pump": (6, lambda r: _unresumed(r, "heat")),
    "the resumed instruction was never told of the freezer": (6, lambda r: _unresumed(r, "freezer")),
    "a minute of the outage is absent": (6, lambda r: _without(r, "received", **_texts(r, 252.0))),
    "a minute of the outage is made up": (
        6,
        lambda r: _said(r, '"powerKw": null', '"powerKw": 1.1', begin=252.1, end=253),
    ),
    "a minute of the outage is told without its cause": (
        6,
        lambda r: _said(r, '["restart"]', "[]", begin=252.1, end=253),
    ),
    "one point lost a minute of the outage": (6, lambda r: _one_point(r, 252.0, "freezer")),
    "a minute comes under a second number": (6, lambda r: _more(r, runs.telemetry(290.0, 9, 274))),
    "a number is used for a second value": (
        6,
        lambda r: _more(r, runs.telemetry(290.0, 5, 274, powerKw=9.9)),
    ),
    # 7: the broker
    "the broker never went": (7, lambda r: _without(r, "process", name="broker")),
    "the daemon ended with the broker": (
        7,
        lambda r: _more(r, runs.at(92.0, "process", name="daemon", pid=100, what="exited", code=1)),
    ),
    "the instruction was let go with the broker": (7, lambda r: _second(r, 92, 92, pump_w=2400.0)),
    "a minute was lost with the broker": (7, lambda r: _without(r, "received", **_texts(r, 99.0))),
    "a minute lost its value with the broker": (7, lambda r: _said(r, '"OK"', '"BAD"', begin=98, end=100)),
    "a number was skipped over the broker": (7, lambda r: _said(r, '"seq": 1', '"seq": 0', begin=34, end=35)),
    "a minute begins late after the broker": (
        7,
        lambda r: _said(r, runs.moment(34), runs.moment(36), begin=98, end=100),
    ),
    "one point lost a minute": (7, lambda r: _one_point(r, 99.0, "freezer")),
    "no minute ended while the broker was gone": (
        7,
        lambda r: _later(r, "process", -4.0, name="broker", what="started"),
    ),
    # 8: what must not be obeyed
    "the forged instruction was accepted": (8, lambda r: _said(r, "INVALID_SIGNATURE", "OK")),
    "another message was called forged": (8, lambda r: _said(r, "sha256:", "sha256:00", begin=49, end=50)),
    "the replayed instruction was accepted": (8, lambda r: _said(r, "REPLAYED", "OK")),
    "another instruction was called replayed": (
        8,
        lambda r: _said(r, '"id-2"', '"id-7"', begin=51, end=51.5),
    ),
    "the oversized instruction was accepted": (8, lambda r: _said(r, "TEMPORARY_ERROR", "OK")),
    "the oversized instruction was called something else": (8, lambda r: _said(r, '"storage"', '"none"')),
    "another message was called oversized": (8, lambda r: _said(r, "sha256:", "sha256:00", begin=53, end=54)),
    "the oversized instruction was none": (8, lambda r: _body(r, 8, "oversized")),
    "the oversized instruction was small": (8, lambda r: _small(r)),
    "no oversized instruction was sent": (8, lambda r: _without(r, "sent", what="oversized")),
    "a register was written in answer": (8, lambda r: _more(r, runs.at(51.5, "written", **WRITE))),
    "the plug was switched in answer": (8, lambda r: _more(r, runs.switch(51.5, False, toggle_after=60))),
    "the car was stopped in answer": (8, lambda r: _more(r, runs.limit(51.5, 0.0))),
    "the pump stopped in answer": (8, lambda r: _second(r, 55, 56, pump_w=0.0)),
    "the freezer went off in answer": (8, lambda r: _second(r, 55, 56, plug_on=False)),
    "the car drew less than a car can in answer": (8, lambda r: _second(r, 55, 56, charger_w=1000.0)),
    "the daemon ended in answer": (
        8,
        lambda r: _more(r, runs.at(54.0, "process", name="daemon", pid=100, what="exited", code=1)),
    ),
}

FULL = '"full", "evidence": "measured", "reason": "c'
FULL_U = '"full", "evidence": "measured", "reason": "u'


def _texts(run: Run, second: float) -> dict[str, str]:
    """What was received at that second, to take it away."""
    found = [one for one in run if one.kind == "received" and one.at_utc_s == runs.T0 + second]
    assert len(found) == 1
    return {"text": found[0].facts["text"]}


def _one_point(run: Run, second: float, point: str, **changes: Any) -> Run:
    """One point in the message received at that second: its readings changed; without changes it is gone."""

    def changed(one: Observation) -> Observation:
        if one.kind != "received" or one.at_utc_s != runs.T0 + second:
            return one
        body = json.loads(one.facts["text"])
        bundle = body["points"].pop(point)
        if changes:
            body["points"][point] = bundle | {"readings": [r | changes for r in bundle["readings"]]}
        return replace(one, facts=one.facts | {"text": json.dumps(body)})

    return [changed(one) for one in run]


def _hour() -> str:
    return f"{datetime.fromtimestamp(runs.T0 + runs.READY, UTC):%H:%M}"


def _small(run: Run) -> Run:
    """What was called oversized had no blanks, and its answer fits it."""

    def digest(one: Observation) -> str:
        return hashlib.sha256(_payload(one)).hexdigest()

    (sent,) = [one for one in run if one.kind == "sent" and one.facts["what"] == "oversized"]
    body = base64.urlsafe_b64encode(_payload(sent).rstrip()).rstrip(b"=").decode()
    small = replace(sent, facts=sent.facts | {"text": f"e30.{body}.c2lnbmF0dXJl"})
    return _said([small if one is sent else one for one in run], digest(sent), digest(small))


def _unresumed(run: Run, asset: str) -> Run:
    """The last status of an asset never came."""
    return [
        one
        for one in run
        if one.kind != "received" or one.at_utc_s != runs.T0 + 275 or f'"{asset}"' not in one.facts["text"]
    ]


def _cap_late(run: Run) -> Run:
    """The cap was in force for long, but the car followed it in the last seconds only."""
    earlier = [o for o in run if o.kind == "sent" and (o.facts["scene"], o.facts["what"]) == (1, "set")]
    (sent,) = earlier
    moved = replace(sent, at_utc_s=runs.T0 - 23.0)
    return _more([one for one in run if one is not sent], moved, *_charging_before(-26, 0))


def _longer_lease(run: Run) -> Run:
    """The car's last profile, and the car with it, lasted twenty seconds longer than configured."""
    schedule = _schedule(run, startSchedule=runs.moment(65.6), duration=170)
    run = _profile(run, 125, 126, validTo=runs.moment(235.6), chargingSchedule=schedule)
    return _second(run, 216, 235, charger_w=1380.0)


def _charging_before(begin: int, end: int) -> list[Observation]:
    first = next(one for one in runs.good_run() if one.kind == "second")
    return [replace(first, at_utc_s=runs.T0 + second) for second in range(begin, end)]


def _schedule(run: Run, **changes: Any) -> dict[str, Any]:
    """The schedule of the first limit, changed; None takes a field away."""
    first = next(
        one.facts["params"]["csChargingProfiles"]["chargingSchedule"]
        for one in run
        if one.kind == "asked" and one.at_utc_s == runs.T0 + 8.0
    )
    return {key: value for key, value in (first | changes).items() if value is not None}


def _exit_code(run: Run, scene: int, code: int) -> Run:
    return [
        replace(one, facts=one.facts | {"code": code})
        if one.kind == "command" and (one.facts["scene"], one.facts["what"]) == (scene, "answered")
        else one
        for one in run
    ]


def test_a_good_run_passes_every_scene() -> None:
    verdicts = scenes(runs.good_run())
    assert [v.number for v in verdicts] == [*range(1, 9)]
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
    assert _failed([]) == {*range(1, 9)}


@pytest.mark.parametrize("after", [61.0, 99.0])
def test_a_daemon_that_reports_no_minutes_any_more_did_not_live_on(after: float) -> None:
    """Minutes without values are no report: those of an outage come after it."""
    run = _said(
        _cut(runs.good_run(), "received", after, 251.0), '"powerKw": 1.2', '"powerKw": null', begin=after
    )
    assert 8 in _failed(run)


def test_what_was_on_the_wire_when_the_daemon_died_was_said_before() -> None:
    late = runs.asked(runs.KILLED + 0.1, "plug", "Switch.GetStatus", id=0)
    assert _failed(_more(runs.good_run(), late)) == set()
    assert _failed(_more(runs.good_run(), replace(late, at_utc_s=late.at_utc_s + 0.5))) == {6}


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
