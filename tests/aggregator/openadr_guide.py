"""The events that OpenADR's User Guide 3.1.0 documents, by the numbers of its examples, with its values."""

from __future__ import annotations

from typing import Any

DAY, LATER = "2023-02-10T00:00:00.000Z", "2025-03-14T00:00:00.000Z"
REPORT: dict[str, Any] = {"payloadType": "USAGE", "readingType": "DIRECT_READ"}


def interval(id: int, *payloads: tuple[str, list[Any]], **period: str) -> dict[str, Any]:
    own = {"intervalPeriod": period} if period else {}
    return {"id": id, **own, "payloads": [{"type": kind, "values": values} for kind, values in payloads]}


def event(name: str, start: str, duration: str, *intervals: dict[str, Any], **more: Any) -> dict[str, Any]:
    period = {"start": start, "duration": duration}
    there = {"intervals": [*intervals]} if intervals else {}
    return {"eventName": name, "programID": "44", "intervalPeriod": period, **there, **more}


def described(**units: str | None) -> list[dict[str, Any]]:
    return [{"payloadType": kind, **({"units": unit} if unit else {})} for kind, unit in units.items()]


EXAMPLES: dict[str, dict[str, Any]] = {
    "7.4-1": event(
        "variableIntervalsEvent", DAY, "PT1H",
        interval(0, ("PRICE", [0.17])), interval(1, ("PRICE", [0.22]), duration="PT2H"),
    ),
    "7.6-1": event(
        "payloadDescriptorsEvent", DAY, "PT1H", interval(0, ("PRICE", [0.17]), ("GHG", [0.03])),
        payloadDescriptors=described(PRICE="KWH", GHG=None),
    ),
    "7.7-1": event(
        "reportDescriptorsEvent", DAY, "PT1H", interval(0, ("PRICE", [0.17])), reportDescriptors=[REPORT]
    ),
    "7.9": event("cancelled", "0001-01-01", "PT0S", interval(0, ("SIMPLE", [1]))),
    "8.1-1": event(
        "alertEvent", LATER, "PT4H",
        interval(0, ("ALERT_GRID_EMERGENCY", ["The grid is currently under emergency conditions"])),
    ),
    "8.2-1": event(
        "simpleEvent", LATER, "PT4H", interval(0, ("SIMPLE", [1])), payloadDescriptors=described(SIMPLE=None)
    ),
    "8.3-2": event(
        "pricingEvent", DAY, "PT1H", interval(0, ("PRICE", [0.17])), interval(1, ("PRICE", [0.03])),
        payloadDescriptors=described(PRICE="KWH"),
        reportDescriptors=[REPORT],
    ),
    "8.4-2": event(
        "inverterEvent", LATER, "PT1H",
        interval(0, ("CURVE", [{"x": 0.17, "y": 0.26}, {"x": 0.19, "y": 0.28}])),
    ),
    "8.5-1": event(
        "loadControlEvent", LATER, "PT4H", interval(0, ("DISPATCH_SETPOINT", [0])),
        payloadDescriptors=described(DISPATCH_SETPOINT="KW"),
    ),
    "8.6-1": event("SOC_report_Event", "0001-01-01", "PT0H", reportDescriptors=[REPORT]),
    "8.7-1": event("capability_report_Event", DAY, "PT1H", reportDescriptors=[REPORT]),
    "8.9.3-1": event(
        "fast_dr_Event", DAY, "P9999Y", interval(0, ("DISPATCH_SETPOINT", [0.50])),
        payloadDescriptors=described(DISPATCH_SETPOINT="KW"),
    ),
    "8.9.3-2": event(
        "setpoint_Event", DAY, "P9999Y", interval(0, ("CONTROL_SETPOINT", [-0.15])),
        payloadDescriptors=described(CONTROL_SETPOINT="KW"),
    ),
    "8.10.1-1": event(
        "capacity_limit_Event", DAY, "PT30M",
        interval(0, ("IMPORT_CAPACITY_LIMIT", [10.0]), ("EXPORT_CAPACITY_LIMIT", [4.0])),
        interval(1, ("IMPORT_CAPACITY_LIMIT", [8.0]), ("EXPORT_CAPACITY_LIMIT", [6.0])),
        payloadDescriptors=described(IMPORT_CAPACITY_LIMIT="KW", EXPORT_CAPACITY_LIMIT="KW"),
        reportDescriptors=[{"payloadType": "READING", "readingType": "DIRECT_READ", "units": "VOLTS"}],
    ),
    "8.10.2-1": event(
        "capacity_subscription_Event", DAY, "P9999Y", interval(0, ("CAPACITY_SUBSCRIPTION", [240])),
        payloadDescriptors=described(CAPACITY_SUBSCRIPTION="KW"),
    ),
    "8.10.2-4": event(
        "capacity_reservation_Event", "0001-01-01", "PT0H",
        interval(
            0, ("CAPACITY_RESERVATION", [242]), ("CAPACITY_RESERVATION_FEE", [0.11]),
            start="0001-01-01", duration="PT0H",
        ),
        payloadDescriptors=described(CAPACITY_RESERVATION="KW", CAPACITY_RESERVATION_FEE="USD"),
        targets=["VEN-99"],
    ),
}  # fmt: skip
