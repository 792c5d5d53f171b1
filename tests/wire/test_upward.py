"""What goes up: exact decimals, whole seconds, null where there is nothing, and no word more."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.core.model import AssetClass, FallbackBy, Governor, Kind, Reason
from gateway.wire.ack import Ack
from gateway.wire.availability import Hold
from gateway.wire.event import Event, EventKind, Severity
from gateway.wire.message import decode, encode
from gateway.wire.readings import DataQuality, Flaw, MinuteReading, PointReadings, Source, Telemetry
from gateway.wire.reception import Reception, Unacceptable
from gateway.wire.state import Can, Presence, StateAsset
from gateway.wire.status import Life, Status, TargetStatus

START_UTC_S = 1_795_453_237.0  # 2026-11-23T17:00:37Z


def reading(**more: Any) -> MinuteReading:
    known: dict[str, Any] = {
        "seq": 1,
        "start_utc_s": START_UTC_S,
        "end_utc_s": START_UTC_S + 60,
        "power_w": 1383,
        "energy_ws": 82_980,
        "import_register_ws": 4211.902 * 3.6e6,
        "export_register_ws": None,
        "last_w": None,
        "last_utc_s": None,
        "source": Source.METER,
        "quality": DataQuality.OK,
        "coverage": 1.0,
        "governed_by": Governor.NONE,
    }
    return MinuteReading(**{**known, **more})


def outside(message: Any) -> Any:
    return json.loads(encode(message))


def test_a_reading_is_written_in_kilowatts_kilowatt_hours_and_utc() -> None:
    assert outside(reading()) == {
        "seq": 1,
        "start": "2026-11-23T17:00:37Z",
        "end": "2026-11-23T17:01:37Z",
        "powerKw": 1.383,
        "energyKwh": 0.02305,
        "importRegisterKwh": 4211.902,
        "exportRegisterKwh": None,
        "lastKw": None,
        "lastAt": None,
        "source": "meter",
        "method": "MEAN",
        "quality": "OK",
        "reasons": [],
        "coverage": 1.0,
        "limitKw": None,
        "dispatchIds": [],
        "governedBy": "none",
        "soc": None,
        "socAgeS": None,
        "socSource": None,
        "roomC": None,
        "roomAgeS": None,
    }


def test_a_missing_minute_has_nulls_and_its_gap_comes_with_the_next_good_one() -> None:
    missing = outside(
        reading(power_w=None, energy_ws=None, quality=DataQuality.MISSING, reasons=(Flaw.RESTART,))
    )
    assert (missing["powerKw"], missing["energyKwh"], missing["reasons"]) == (None, None, ["restart"])
    assert "gapKwh" not in missing
    assert outside(reading(gap_ws=3_600_000))["gapKwh"] == 1.0


@given(st.integers(-10_000_000, 10_000_000))
def test_every_whole_watt_survives_the_wire_in_at_most_three_decimals(power_w: int) -> None:
    sent = encode(reading(power_w=power_w))
    text = sent.split(b'"powerKw":')[1].split(b",")[0].decode()
    assert Fraction(text) == Fraction(power_w, 1000)
    assert len(text.partition(".")[2]) <= 3
    assert MinuteReading.model_validate_json(sent).power_w == power_w


@given(st.integers(-(10**15), 10**15))
def test_every_energy_is_written_to_the_nearest_millionth_of_a_kilowatt_hour(energy_ws: int) -> None:
    alone = reading(energy_ws=energy_ws, import_register_ws=None)
    text = encode(alone).split(b'"energyKwh":')[1].split(b",")[0].decode()
    micro = Fraction(text) * 10**6
    assert micro.denominator == 1
    assert abs(micro - Fraction(energy_ws * 10**6, 3_600_000)) <= Fraction(1, 2)


@given(
    st.integers(0, 10**12),
    st.lists(st.tuples(st.integers(0, 10**6), st.none() | st.integers(1, 10**7)), min_size=1, max_size=40),
    st.sampled_from([None, 90_100_001]),
)
def test_energies_and_gaps_sum_to_the_step_of_the_register_to_the_last_digit(
    first_ws: int, steps: list[tuple[int, int | None]], export_ws: int | None
) -> None:
    def register(at_ws: int) -> Fraction:
        text = encode(reading(import_register_ws=at_ws)).split(b'"importRegisterKwh":')[1]
        return Fraction(text.split(b",")[0].decode())

    at_ws, total = first_ws, Fraction(0)
    for energy_ws, gap_ws in steps:
        at_ws += energy_ws + (gap_ws or 0)
        told = json.loads(
            encode(
                reading(
                    energy_ws=energy_ws, gap_ws=gap_ws, import_register_ws=at_ws, export_register_ws=export_ws
                )
            ),
            parse_float=Fraction,
        )
        total += told["energyKwh"] + told.get("gapKwh", 0)
    # The import register alone to the digit; net of an export one, at most one digit off in all.
    slack = 0 if export_ws is None else Fraction(1, 10**6)
    assert abs(total - (register(at_ws) - register(first_ws))) <= slack


@pytest.mark.parametrize(("power_w", "text"), [(-0.2, b"0.0"), (-1500, b"-1.5"), (1383.0000001, b"1.383")])
def test_signs_and_rounding_are_plain(power_w: float, text: bytes) -> None:
    assert b'"powerKw":' + text + b"," in encode(reading(power_w=power_w))


@pytest.mark.parametrize("bad", [math.nan, math.inf, "1383", True])
def test_what_is_not_a_number_cannot_be_sent_as_one(bad: object) -> None:
    with pytest.raises(ValidationError):
        reading(power_w=bad)


def test_a_cut_carries_all_points_in_one_message() -> None:
    points = {"ev": PointReadings(stream="01JDC0W3Q8Z5", readings=(reading(),))}
    cut = outside(Telemetry(site="home", boot="k3v9", offset_s=37, backfill=False, points=points))
    assert list(cut) == ["schema", "site", "boot", "offsetS", "backfill", "points"]
    assert cut["points"]["ev"]["readings"][0]["seq"] == 1


def status(**more: Any) -> Any:
    known: dict[str, Any] = {
        "site": "home",
        "stream": "01JDC0W3Q8Z5",
        "seq": 1,
        "id": "a",
        "revision": 0,
        "digest": "ab" * 32,
        "at_utc_s": START_UTC_S + 0.97,
        "reception": Reception.OK,
    }
    return outside(Status(**{**known, **more}))


def test_a_status_says_who_when_and_what_in_the_contracts_words() -> None:
    entry = TargetStatus(asset="ev", status=Life.STARTED, limit_w=3200, delay_s=0, end_delay_s=412)
    assert status(targets=(entry,)) == {
        "schema": "homeflex.status.v1",
        "site": "home",
        "stream": "01JDC0W3Q8Z5",
        "seq": 1,
        "id": "a",
        "revision": 0,
        "digest": "sha256:" + "ab" * 32,
        "at": "2026-11-23T17:00:37Z",
        "reception": "OK",
        "targets": [
            {
                "asset": "ev",
                "status": "STARTED",
                "reason": "none",
                "limitKw": 3.2,
                "delayS": 0,
                "endDelayS": 412,
            }
        ],
    }


def test_an_unmatched_target_says_so_in_three_words() -> None:
    entry = TargetStatus(target="class:heat", status=Life.REJECTED, reason=Reason.UNKNOWN_TARGET)
    assert outside(entry) == {"target": "class:heat", "status": "REJECTED", "reason": "unknownTarget"}


def test_the_answer_to_a_bad_signature_names_no_id_and_counts() -> None:
    told = status(id=None, revision=None, reception=Reception.INVALID_SIGNATURE, text="no", count=7)
    assert (told["id"], told["revision"], told["count"], told["targets"]) == (None, None, 7, [])


def test_an_event_of_the_whole_home_has_no_asset_and_no_end() -> None:
    event = Event(
        site="home",
        stream="01JDC0W3Q8Z5",
        seq=1,
        at_utc_s=START_UTC_S,
        kind=EventKind.CLOCK,
        severity=Severity.WARNING,
        text="the clock stepped by 90 s",
    )
    told = outside(event)
    assert (told["asset"], told["until"], told["dispatchIds"], told["count"]) == (None, None, [], 1)


def test_for_ever_is_null() -> None:
    hold = Hold(to_w=0, for_s=math.inf, after_s=0.0, respond_s=30, until=Reason.NONE)
    assert outside(hold)["forS"] is None
    asset = StateAsset(
        id="hp",
        asset_class=AssetClass.HEAT,
        profile=None,
        can=Can(accepts=(Kind.CAP,), levels_w=(0,), range=None, raises=False),
        nominal_w=3500,
        lease_s=math.inf,
        failsafe=FallbackBy.NONE,
    )
    assert (outside(asset)["leaseS"], outside(asset)["class"]) == (None, "heat")


def test_presence_gives_a_reason_only_for_absence() -> None:
    assert "reason" not in outside(Presence(site="home", online=True, boot="k3v9"))
    assert outside(Presence(site="home", online=False, boot="k3v9", reason="lost"))["reason"] == "lost"


def ack(**changes: object) -> bytes:
    logs = {"telemetry:ev": {"stream": "01JDC0W3Q8Z5", "seq": 10412, "later": 1}}
    body = {"schema": "homeflex.ack.v1", "site": "home", "at": "2026-11-23T17:02:00Z", "logs": logs}
    return json.dumps({**body, **changes}).encode()


def test_an_ack_tells_watermarks_by_log() -> None:
    found = decode(Ack, ack(), "home")
    assert found.logs["telemetry:ev"].seq == 10412
    assert found.at_utc_s == START_UTC_S + 83


@pytest.mark.parametrize(
    ("changes", "reception"),
    [
        ({"schema": "homeflex.ack.v2"}, Reception.INVALID_MESSAGE),
        ({"site": "other"}, Reception.INVALID_CONTENT),
        ({"at": 1_795_453_320}, Reception.INVALID_CONTENT),
        ({"logs": {"status": {"stream": "01JDC0W3Q8Z5", "seq": -1}}}, Reception.INVALID_CONTENT),
        ({"logs": {"status": {"stream": "01JDC0W3Q8Z5", "seq": 1.0}}}, Reception.INVALID_CONTENT),
        ({"logs": {"status": {"seq": 1}}}, Reception.INVALID_CONTENT),
        ({"logs": []}, Reception.INVALID_CONTENT),
    ],
)
def test_a_broken_ack_is_refused(changes: dict[str, object], reception: Reception) -> None:
    with pytest.raises(Unacceptable) as caught:
        decode(Ack, ack(**changes), "home")
    assert caught.value.reception is reception
