"""A home with a car at its charger and a freezer behind its plug, beside the heat pump and the meter."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo

from tests.fakes.charger import Charger, profile_in
from tests.fakes.mosquitto import free_port
from tests.fakes.shelly import Shelly
from tests.home.house import House

CAR_W = 7_360
FREEZER_W = 110
HOME_ZONE = ZoneInfo("Europe/London")


class FullHouse(House):
    """A `House` with more in it; see there."""

    def __init__(self, folder: Path, charger: type[Charger] = Charger) -> None:
        super().__init__(folder)
        self.charger = charger(free_port(), clock=time.time, sample_s=1.0)
        self.plug = Shelly()
        self.more_w = lambda: self.charger.power_w() + self.freezer_w

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.plug)
        await self._stack.enter_async_context(self.charger)
        return await super().__aenter__()

    @property
    def freezer_w(self) -> float:
        """What the freezer draws now (W)."""
        (switch,) = self.plug.switches
        return switch.load_w if switch.on else 0.0

    async def plug_in(self) -> None:
        """A car comes, and charges by itself."""
        await self.charger.plug()
        await self.charger.begin()

    async def seen(self, within_s: float = 15.0) -> None:
        """Wait until the daemon has read every device and a car's power."""
        await super().seen(within_s)

        def answer() -> bool:
            return all(f"device={name}" in self.output for name in ("charger", "freezer-plug"))

        await self.until(answer, "charger and plug answer", within_s)

    async def car(self) -> dict[str, Any]:
        """What `homeflex status` says of the car."""
        car: dict[str, Any] = (await self.asset("ev"))["car"]
        return car

    def leases(self) -> list[dict[str, Any]]:
        """Every profile that was laid over a session, in order."""
        laid = [profile_in(payload) for payload in self.charger.asked_for("SetChargingProfile")]
        return [profile for profile in laid if profile["chargingProfilePurpose"] == "TxProfile"]

    def _configuration(self) -> dict[str, Any]:
        config = super()._configuration()
        config["services"] = {"plug_notice_s": 0}
        config["devices"]["charger"] = {
            "driver": "ocpp",
            "listen": "127.0.0.1",
            "port": self.charger.port,
            "charge_point": "garage",
            "lease_s": 60,
        }
        config["devices"]["freezer-plug"] = {
            "driver": "shelly",
            "host": "127.0.0.1",
            "port": self.plug.port,
            "poll_s": 1,
            "lease_s": 10,
        }
        config["asset"]["ev"] = {
            "class": "ev",
            "control": "charger",
            "nominal_w": CAR_W,
            "power_w": ["charger.power_w"],
            "import_ws": ["charger.import_ws"],
            "connected": ["charger.connected"],
            "soc": ["charger.soc", "typed"],
            "charge": {"battery_kwh": 60, "default_hours": False},  # a test is the same at any hour
            "care": {"change_every_s": 0, "pause_s": 0},  # a test has less patience than a house
        }
        config["asset"]["freezer"] = {
            "class": "plug",
            "control": "freezer-plug",
            "nominal_w": 150,
            "power_w": ["freezer-plug.power_w"],
            "import_ws": ["freezer-plug.import_ws"],
            "care": {"appliance": "freezer"},
        }
        return config


def local_time(in_minutes: float) -> str:
    """A time of day at home, so many minutes from now."""
    then = datetime.now(UTC) + timedelta(minutes=in_minutes)
    return f"{then.astimezone(HOME_ZONE):%H:%M}"
