"""An OpenADR event becomes what it asks for, or nothing, with why; by the examples of its User Guide."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.aggregator.openadr import LAST_OF_ALL, Conversion, Receiver, convert
from gateway.core.model import Order
from gateway.wire.order import parse_order
from tests.aggregator.openadr_guide import EXAMPLES, described, event, interval
from tests.wire.bodies import GONE, NOW_UTC_S, SITE, changed, moment
from tests.wire.test_dispatch_fuzz import JSON

LATER_UTC_S = 1_741_910_400  # 2025-03-14T00:00:00Z
DAY_UTC_S = 1_675_987_200  # 2023-02-10T00:00:00Z
CAP = "IMPORT_CAPACITY_LIMIT"


def receiver(**more: Any) -> Receiver:
    return Receiver(SITE, NOW_UTC_S, **more)


def orders(found: Conversion) -> list[Order]:
    """What a gateway makes of the instructions."""
    return [parse_order(json.dumps(body).encode(), SITE) for body in found.bodies]


def asked(order: Order) -> list[tuple[float, float, str, float]]:
    return [(ask.start_utc_s, ask.end_utc_s, ask.kind, ask.value) for ask in order.asks]


def fields(found: Conversion) -> list[str]:
    return [one.field for one in found.refused]


@pytest.mark.parametrize(
    ("number", "asks"),
    [
        ("8.2-1", [(LATER_UTC_S, LATER_UTC_S + 4 * 3600, "SIMPLE", 1)]),
        ("8.5-1", [(LATER_UTC_S, LATER_UTC_S + 4 * 3600, "DISPATCH_SETPOINT", 0)]),
    ],
)
def test_an_example_that_asks_for_what_a_home_can_do_is_taken_whole(number: str, asks: list[Any]) -> None:
    found = convert(EXAMPLES[number], receiver(service="tcm"))
    (order,) = orders(found)
    assert asked(order) == asks
    assert (order.targets, order.service, order.service_class) == (("site",), "tcm", "response")
    assert order.service_ref == EXAMPLES[number]["eventName"]
    assert found.refused == ()


def test_of_an_operating_envelope_the_import_is_taken_and_the_export_told() -> None:
    found = convert(EXAMPLES["8.10.1-1"], receiver())
    (order,) = orders(found)
    assert asked(order) == [
        (DAY_UTC_S, DAY_UTC_S + 1800, CAP, 10_000),
        (DAY_UTC_S + 1800, DAY_UTC_S + 3600, CAP, 8_000),
    ]
    (refusal,) = found.refused
    assert (refusal.field, refusal.why) == (
        "intervals[0].payloads[1].type",
        "EXPORT_CAPACITY_LIMIT: no home of this release can limit its export",
    )


@pytest.mark.parametrize(
    ("number", "wanted"),
    [
        ("7.4-1", {"intervals[0].payloads[0].type": "does not decide by prices"}),
        (
            "7.6-1",
            {
                "intervals[0].payloads[0].type": "PRICE: a home does not decide by prices",
                "intervals[0].payloads[1].type": "GHG: a home does not decide by prices",
            },
        ),
        ("7.7-1", {"intervals[0].payloads[0].type": "IMPORT_CAPACITY_LIMIT or DISPATCH_SETPOINT"}),
        ("7.9", {"intervalPeriod.start": "the moment itself"}),
        ("8.1-1", {"intervals[0].payloads[0].type": "IMPORT_CAPACITY_LIMIT says how much"}),
        ("8.3-2", {"intervals[0].payloads[0].type": "does not decide by prices"}),
        ("8.4-2", {"intervals[0].payloads[0].type": "CURVE: is not taken; IMPORT_CAPACITY_LIMIT, "}),
        ("8.6-1", {"intervals": "only asks for reports"}),
        ("8.7-1", {"intervals": "only asks for reports"}),
        ("8.9.3-1", {"intervalPeriod.duration": "an end, at most 24 h after the start"}),
        (
            "8.9.3-2",
            {
                "intervalPeriod.duration": "`for ever` is not taken",
                "intervals[0].payloads[0].type": "CONTROL_SETPOINT: what it means is agreed elsewhere",
            },
        ),
        (
            "8.10.2-1",
            {
                "intervalPeriod.duration": "`for ever` is not taken",
                "intervals[0].payloads[0].type": "CAPACITY_SUBSCRIPTION: is not taken",
            },
        ),
        (
            "8.10.2-4",
            {
                "intervals[0].intervalPeriod.start": "the year 1 for `now` is not taken",
                "targets[0]": "'VEN-99' means nothing to a home; say what it is: VEN-99=class:ev",
                "intervals[0].payloads[0].type": "CAPACITY_RESERVATION: is not taken",
                "intervals[0].payloads[1].type": "CAPACITY_RESERVATION_FEE: is not taken",
            },
        ),
    ],
)
def test_an_example_that_asks_for_something_else_is_refused_by_its_fields(
    number: str, wanted: dict[str, str]
) -> None:
    found = convert(EXAMPLES[number], receiver())
    assert found.bodies == ()
    assert fields(found) == [*wanted]
    for one in found.refused:
        assert wanted[one.field] in one.why


def capped(*intervals: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An event that is taken, to change."""
    there = intervals or (interval(0, (CAP, [1.4])),)
    facts = {"payloadDescriptors": described(**{CAP: "KW"}), "id": "event-1", **more}
    return event("cap", "2026-11-23T17:00:00Z", "PT30M", *there, **facts)


def test_an_interval_inherits_what_it_does_not_say_and_begins_where_the_one_before_ends() -> None:
    """As in example 7.4-1 of the guide."""
    found = convert(
        capped(
            interval(0, (CAP, [3])),
            interval(1, (CAP, [1]), duration="PT2H"),
            interval(2, (CAP, [2]), start="2026-11-23T20:30:00+01:00"),
        ),
        receiver(),
    )
    (order,) = orders(found)
    assert [(start - NOW_UTC_S, end - NOW_UTC_S) for start, end, _, _ in asked(order)] == [
        (0, 1800),
        (1800, 9000),
        (9000, 10800),
    ]


def test_two_types_become_two_instructions_with_ids_of_their_own() -> None:
    both = capped(
        interval(0, (CAP, [3]), ("DISPATCH_SETPOINT", [2])),
        interval(1, (CAP, [1])),
        payloadDescriptors=described(IMPORT_CAPACITY_LIMIT="KW", DISPATCH_SETPOINT="KW"),
    )
    first, second = orders(convert(both, receiver()))
    assert (first.id, second.id) == ("event-1:IMPORT_CAPACITY_LIMIT", "event-1:DISPATCH_SETPOINT")
    assert (len(first.asks), len(second.asks)) == (2, 1)


def test_what_the_event_does_not_say_the_caller_does() -> None:
    found = convert(
        capped(targets=["group-1", "asset:hp"], priority=3),
        receiver(
            service="dfs",
            service_class="routine",
            targets={"group-1": "class:ev"},
            revision=4,
            expires_s=60.0,
            start_delay="PT10M",
            end_delay="PT0S",
        ),
    )
    (order,) = orders(found)
    assert (order.id, order.revision, order.priority) == ("event-1", 4, 3)
    assert (order.service, order.service_class, order.targets) == ("dfs", "routine", ("class:ev", "asset:hp"))
    assert (order.issued_utc_s, order.expires_utc_s) == (NOW_UTC_S, NOW_UTC_S + 60)
    assert (order.start_delay_max_s, order.end_delay_max_s) == (600, 0)


def test_an_event_without_a_priority_comes_after_all_others() -> None:
    (order,) = orders(convert(capped(), receiver()))
    assert order.priority == LAST_OF_ALL


@pytest.mark.parametrize(
    ("changes", "field", "why"),
    [
        ({"objectType": "PROGRAM"}, "objectType", "must be EVENT"),
        ({"intervals": "none"}, "intervals", "must be a list"),
        ({"intervals": []}, "intervals", "none has a value"),
        ({"intervals.0.payloads": []}, "intervals", "none has a value"),
        ({"intervals.0": 3}, "intervals[0].payloads", "must be a list of objects with type and values"),
        ({"intervals.0.payloads.0.values": 3}, "intervals[0].payloads", "must be a list of objects"),
        ({"intervalPeriod": "PT1H"}, "intervalPeriod", "must be an object with start and duration"),
        ({"payloadDescriptors.0": "KW"}, "payloadDescriptors[0]", "must be an object"),
        ({"colour": "red"}, "colour", "is not a field of an OpenADR 3.1 event"),
        ({"priority": -1}, "priority", "must be 0 (first) to"),
        ({"priority": True}, "priority", "must be 0 (first) to"),
        ({"duration": "PT1H"}, "duration", "neither loops nor cuts; PT30M, the sum of intervals, or none"),
        ({"duration": "P9999Y"}, "duration", "neither loops nor cuts"),
        ({"intervalPeriod.randomizeStart": "PT5M"}, "intervalPeriod.randomizeStart", "also starts early"),
        (
            {"targets": [{"type": "GROUP", "values": ["a"]}]},
            "targets[0]",
            "in 3.1 a target is a plain string",
        ),
        ({"targets": ["site", "class:ev"]}, "targets", "site must stand alone"),
        ({"intervalPeriod.start": GONE}, "intervalPeriod.start", "is missing: when does it start?"),
        ({"intervalPeriod": GONE}, "intervalPeriod.start", "is missing"),
        ({"intervalPeriod.start": "tomorrow"}, "intervalPeriod.start", "2026-11-23T17:00:00Z would be"),
        ({"intervalPeriod.start": "2026-11-23T17:00:00"}, "intervalPeriod.start", "is in no zone"),
        ({"intervalPeriod.start": "2026-11-23T17:00:00.5Z"}, "intervalPeriod.start", "must be whole seconds"),
        ({"intervalPeriod.duration": GONE}, "intervalPeriod.duration", "is missing: how long"),
        ({"intervalPeriod.duration": "P1M"}, "intervalPeriod.duration", "PT1H30M would be"),
        ({"intervalPeriod.duration": "P1DT1S"}, "intervals", "must be at most 24 h in all"),
        ({"intervalPeriod.duration": "PT0S"}, "intervals[0].intervalPeriod.duration", "must be more than 0"),
        ({"payloadDescriptors": GONE}, "payloadDescriptors", "must be described once, with units KW"),
        ({"payloadDescriptors.0.units": "W"}, "payloadDescriptors", "with units KW"),
        ({"payloadDescriptors.0.units": GONE}, "payloadDescriptors", "with units KW"),
        ({"intervals.0.payloads.0.values": [1, 2]}, "intervals[0].payloads[0].values", "must be one number"),
        ({"intervals.0.payloads.0.values": []}, "intervals[0].payloads[0].values", "must be one number"),
        ({"intervals.0.payloads.0.values": ["1"]}, "intervals[0].payloads[0].values", "must be one number"),
        ({"intervals.0.payloads.0.values": [-1]}, "intervals[0].payloads[0]", "must be 0 to 10000"),
        (
            {"intervals.0.payloads": [{"type": CAP, "values": [1]}] * 2},
            "intervals[0].payloads",
            "must be there once",
        ),
        ({"intervals.0.id": -1}, "intervals[0].id", "must be at least 0"),
        ({"id": "two words"}, "id", "must match"),
    ],
    ids=lambda part: ",".join(part) if isinstance(part, dict) else "",
)
def test_what_is_ambiguous_is_refused_by_its_field_with_what_would_be_right(
    changes: dict[str, object], field: str, why: str
) -> None:
    assert convert(capped(), receiver()).refused == ()
    found = convert(changed(capped(), changes), receiver())
    assert found.bodies == ()
    assert [one for one in found.refused if one.field == field and why in one.why], found.refused


@pytest.mark.parametrize(("units", "values"), [("PERCENTAGE", [33]), ("KWH", [20]), ("PERCENT", [33])])
def test_a_state_of_charge_is_a_share_and_nothing_else(units: str, values: list[float]) -> None:
    """The guide's own example reports 33 PERCENTAGE (8.6-2)."""
    soc = capped(
        interval(0, ("CHARGE_STATE_SETPOINT", values)),
        payloadDescriptors=described(CHARGE_STATE_SETPOINT=units),
    )
    assert "0..1" in str(convert(soc, receiver()).refused) or "must be 0 to 1" in str(
        convert(soc, receiver()).refused
    )
    assert convert(soc, receiver()).bodies == ()


def test_harmless_fields_change_nothing() -> None:
    more = capped(objectType="EVENT", createdDateTime="2026-11-20T00:00:00Z", targets=None)
    more["duration"] = more["intervalPeriod"]["duration"]
    more["intervalPeriod"]["randomizeStart"] = "PT0S"
    assert convert(more, receiver()) == convert(capped(), receiver())


@st.composite
def events(draw: st.DrawFn) -> tuple[dict[str, Any], list[tuple[float, float, str, float]]]:
    """An event of unequal intervals, each timed one of the ways there are, and what it asks."""
    lengths_s = draw(st.lists(st.integers(1, 7200), min_size=1, max_size=8))
    values_w = draw(st.lists(st.integers(0, 10_000_000), min_size=len(lengths_s), max_size=len(lengths_s)))
    at_utc_s, intervals, asks = NOW_UTC_S, [], []
    for n, (length_s, value_w) in enumerate(zip(lengths_s, values_w, strict=True)):
        own: dict[str, str] = {}
        if length_s != 1800 or draw(st.booleans()):
            own["duration"] = f"PT{length_s}S"
        if draw(st.booleans()):
            own["start"] = moment(at_utc_s).replace("Z", draw(st.sampled_from(["Z", ".000Z", "+00:00"])))
        intervals.append(interval(n, (CAP, [value_w / 1000]), **own))
        asks.append((at_utc_s, at_utc_s + length_s, CAP, value_w))
        at_utc_s += length_s
    return capped(*intervals), asks


@given(events())
def test_every_event_that_is_taken_asks_what_it_says(pair: tuple[dict[str, Any], list[Any]]) -> None:
    found = convert(pair[0], receiver())
    (order,) = orders(found)
    assert asked(order) == pair[1]


@given(JSON, st.data())
def test_nonsense_is_refused_and_never_half_taken(nonsense: Any, data: st.DataObject) -> None:
    body = copy.deepcopy(capped())
    *way, last = data.draw(
        st.sampled_from(
            [["intervals"], ["intervals", 0], ["intervals", 0, "payloads"],
             ["intervals", 0, "payloads", 0, "values"], ["intervalPeriod"],
             ["intervalPeriod", "start"], ["intervalPeriod", "duration"], ["targets"],
             ["payloadDescriptors"], ["priority"], ["duration"], ["id"], ["intervals", 0, "id"]]
        )
    )  # fmt: skip
    place: Any = body
    for step in way:
        place = place[step]
    place[last] = nonsense
    found = convert(body, receiver())
    assert len(orders(found)) == 1 or found.refused
    assert convert(nonsense, receiver()).bodies == ()
