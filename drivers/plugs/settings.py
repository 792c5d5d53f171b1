"""What a site says of one Shelly plug, and what the plug can be held at."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from drivers.base import Ability, FallbackBy
from drivers.secret import SecretFile

TELLING_S = 5  # by so much our timer and the plug's own differ, to be told from each other


class Settings(BaseModel):
    """One plug's section of the configuration.

    `lease_s`: the timer each off is sent with. `longest_off_s`: the plug's own `auto_on_delay` must not be
    longer; it brings back what was switched off without our timer. `set_up`: the driver may write both
    that and the state after a power cut into the plug.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(min_length=1)
    port: int = Field(80, ge=1, le=65_535)
    switch: int = Field(0, ge=0, le=15)
    password_file: SecretFile | None = None
    poll_s: float = Field(1.0, ge=1, le=60)
    lease_s: int = Field(900, ge=10, le=3600)
    longest_off_s: int = Field(3600, ge=10, le=14_400)
    set_up: bool = False
    timeout_s: float = Field(3.0, gt=0, le=30)

    @model_validator(mode="after")
    def _the_backstop_is_behind(self) -> Self:
        if self.lease_s + TELLING_S > self.longest_off_s:
            most_s = self.longest_off_s - TELLING_S
            raise ValueError(
                f"lease_s {self.lease_s} should be at most {most_s}: longest_off_s less {TELLING_S} s"
            )
        return self


def ability(settings: Settings) -> Ability:
    """Off, for as long as a lease lasts without us."""
    return Ability(levels_w=(0,), fallback=FallbackBy.DEVICE, lease_s=settings.lease_s)
