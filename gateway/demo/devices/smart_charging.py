"""The three calls of OCPP 1.6 smart charging as a charge point answers them (5.5, 5.7 and 5.16)."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from gateway.demo.devices import charge_profile
from gateway.demo.devices.charge_profile import RATE_UNIT, Profile, Purpose
from gateway.demo.devices.charger import CONNECTOR, MOST_A, Charger
from gateway.demo.devices.ocpp import Message


def set_profile(charger: Charger, payload: Message) -> Message:
    """SetChargingProfile."""
    profile = charge_profile.parse(int(payload["connectorId"]), payload["csChargingProfiles"])
    taken = _is_in_place(charger, profile) and charger.profiles.install(profile)
    return {"status": "Accepted" if taken else "Rejected"}


def clear_profile(charger: Charger, payload: Message) -> Message:
    """ClearChargingProfile."""
    cleared = charger.profiles.clear(
        payload.get("id"),
        payload.get("connectorId"),
        payload.get("chargingProfilePurpose"),
        payload.get("stackLevel"),
    )
    return {"status": "Accepted" if cleared else "Unknown"}


def composite(charger: Charger, payload: Message, now_utc_s: float) -> Message:
    """GetCompositeSchedule, for the box as for its one connector."""
    connector, for_s = int(payload["connectorId"]), int(payload["duration"])
    if connector not in (0, CONNECTOR) or payload.get("chargingRateUnit", RATE_UNIT) != RATE_UNIT:
        return {"status": "Rejected"}
    began_utc_s = charger.session.began_utc_s if charger.session else now_utc_s
    changes = charger.profiles.composite(now_utc_s, for_s, began_utc_s, MOST_A)
    return {
        "status": "Accepted",
        "connectorId": connector,
        "scheduleStart": moment(now_utc_s),
        "chargingSchedule": {
            "duration": for_s,
            "startSchedule": moment(now_utc_s),
            "chargingRateUnit": RATE_UNIT,
            "chargingSchedulePeriod": [
                {"startPeriod": begin_s, "limit": limit_a} for begin_s, limit_a in changes
            ],
        },
    }


def moment(utc_s: float) -> str:
    """RFC 3339 in UTC, milliseconds."""
    at = datetime.fromtimestamp(math.floor(utc_s * 1000) / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _is_in_place(charger: Charger, profile: Profile) -> bool:
    """Which purpose may be set where (3.13.1 and 5.16)."""
    session = charger.session
    if profile.purpose is Purpose.STATION:
        return profile.connector == 0
    if profile.purpose is Purpose.DEFAULT:
        return profile.connector in (0, CONNECTOR)
    return (
        session is not None and profile.connector == CONNECTOR and profile.transaction in (None, session.id)
    )
