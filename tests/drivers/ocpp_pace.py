"""A charger's conversation for a test: every wait short."""

from __future__ import annotations

from drivers.ocpp.pace import Pace

QUICK = Pace(
    first_contact_s=1.0,
    reconnect_s=0.3,
    boot_s=0.1,
    quiet_s=0.02,
    known_s=0.3,
    adopt_s=0.1,
    change_s=0.15,
    again_s=0.1,
    resume_s=0.3,
    follow_s=0.2,
    trigger_s=0.1,
    start_s=0.02,
    retry_s=0.05,
)
