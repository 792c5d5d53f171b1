"""Devices that speak Modbus TCP and are described by a profile: settings, ability, and the driver itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from drivers.base import Ability, DevicePort, DriverKind, FallbackBy, Links
from drivers.modbus.link import Link
from drivers.modbus.session import Session, Terms
from drivers.modbus.wear import changes_per_day
from drivers.profile import Hold, digest, load


class Settings(BaseModel):
    """One device's section of the configuration.

    `harmless_w` is the site's written consent: the lowest power cap (W) that may stay in force for
    ever in this house. Without it an action whose fallback is `none` is never used.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(min_length=1)
    port: int = Field(502, ge=1, le=65_535)
    profile: str
    unit: int | None = Field(None, ge=0, le=255)
    poll_s: float | None = Field(None, ge=1)
    timeout_s: float = Field(3.0, gt=0, le=30)
    harmless_w: int | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _fits_its_profile(self) -> Self:
        limit = load(self.profile).actions.limit
        if self.harmless_w and limit and limit.range_w and self.harmless_w > limit.range_w.max:
            raise ValueError(f"harmless_w: {self.harmless_w} is above the highest cap, {limit.range_w.max} W")
        return self


def ability(settings: Settings) -> Ability:
    """What the device can be held at, from its profile and the site's consent."""
    actions = load(settings.profile).actions
    usable = [hold for hold in actions.holds if hold.fallback.by != "none" or settings.harmless_w]
    if not usable:
        return Ability()
    fallback = usable[0].fallback  # the profile's holds and its boost share it
    ranged = next((hold for hold in usable if hold.range_w), None)
    return Ability(
        levels_w=tuple(level for hold in usable for level in hold.levels_w),
        range_w=_range_w(ranged, settings.harmless_w) if ranged else None,
        step_w=ranged.range_w.step if ranged and ranged.range_w else 1,
        raises=actions.boost is not None,
        fallback=FallbackBy(fallback.by),
        lease_s=fallback.within_s or math.inf,
        changes_per_day=changes_per_day(
            load(settings.profile), [*usable, *([actions.boost] if actions.boost else [])]
        ),
    )


def _range_w(hold: Hold, harmless_w: int | None) -> tuple[int, int] | None:
    """Lowest and highest cap (W); the lowest on the device's own steps, never under `harmless_w`."""
    if hold.range_w is None:
        return None
    low, high, step = hold.range_w.min, hold.range_w.max, hold.range_w.step
    if hold.fallback.by == "none":
        low += max(0, -(-((harmless_w or high) - low) // step)) * step
    return low, high


@dataclass(frozen=True, slots=True)
class Modbus:
    """One unit behind one endpoint."""

    settings: Settings
    links: Links

    async def run(self, port: DevicePort) -> None:
        """Talk to the device until cancelled; see `Driver.run`."""
        settings, profile = self.settings, load(self.settings.profile)
        access = profile.access
        terms = Terms(
            unit=access.unit if settings.unit is None else settings.unit,
            poll_s=settings.poll_s or access.poll_s,
            timeout_s=settings.timeout_s,
        )
        endpoint = ("modbus-tcp", settings.host, settings.port)
        async with self.links.use(endpoint, lambda: Link(settings.host, settings.port)) as link:
            connection = await link.connection(settings.timeout_s)
            await Session(profile, terms, ability(settings), connection, port).run()


def _points(settings: Settings) -> frozenset[str]:
    return frozenset(load(settings.profile).points)


def _profile(settings: Settings) -> tuple[str, str]:
    return settings.profile, digest(settings.profile)


KIND = DriverKind(settings=Settings, open=Modbus, ability=ability, profile=_profile, points=_points)
