"""A charger's section of the configuration, and what follows from it: its ability and its wiring."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from drivers.base import Ability, FallbackBy
from drivers.ocpp.profile import LOWEST_A10, Limit, Wiring
from drivers.secret import SecretFile

ZERO_CONFIRMED = "a car does not charge when the hub is gone"


class Settings(BaseModel):
    """One charger, and the port it calls us on.

    `version` is spoken with a charger that offers both: of four programs that were tried with 2.0.1 three
    did no smart charging in it.

    `failsafe_a` is what a session may draw when the gateway is gone; `max_a` what it may draw at all. Below
    6 A a car does not charge then: that is only taken where it is said in so many words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    listen: str = Field("0.0.0.0", min_length=1)
    port: int = Field(9000, ge=1, le=65_535)
    charge_point: str | None = Field(None, min_length=1, max_length=64)
    password_file: SecretFile | None = None
    version: Literal["1.6", "2.0.1"] = "1.6"
    connector: int = Field(1, ge=1, le=16)
    phases: Literal[1, 3] = 1
    volts: float = Field(230.0, ge=100, le=250)
    max_a: float = Field(32.0, ge=6, le=80)
    failsafe_a: float | None = Field(None, ge=0, le=80)
    failsafe_zero_confirmed: str | None = None
    lease_s: int = Field(900, ge=60, le=900)
    step_a: float = Field(0.1, ge=0.1, le=6)
    id_tag: str = Field("homeflex", min_length=1, max_length=20)
    start: bool = True
    sample_s: int = Field(10, ge=1, le=60)
    timeout_s: float = Field(30.0, gt=0, le=120)

    @model_validator(mode="after")
    def _has_a_failsafe_it_can_hold(self) -> Self:
        if self.failsafe_a is None:
            return self
        if self.failsafe_a > self.max_a:
            raise ValueError(f"failsafe_a: {self.failsafe_a:g} is above max_a, {self.max_a:g}")
        if 0 < self.failsafe_a < LOWEST_A10 / 10:
            raise ValueError(
                f"failsafe_a: {self.failsafe_a:g} is between 0 and 6 A, where nothing charges;"
                " 6 or more would be right"
            )
        if self.failsafe_a == 0 and self.failsafe_zero_confirmed != ZERO_CONFIRMED:
            raise ValueError(
                "failsafe_a: 0 leaves the car empty when the hub is gone; 6 or more would be right,"
                f' or failsafe_zero_confirmed = "{ZERO_CONFIRMED}"'
            )
        return self

    @property
    def wiring(self) -> Wiring:
        """How watts become amperes here."""
        return Wiring(self.phases, self.volts, _tenths(self.max_a), _tenths(self.step_a))

    @property
    def failsafe(self) -> Limit:
        """What holds without us."""
        return self.wiring.of_amperes(_tenths(self.max_a if self.failsafe_a is None else self.failsafe_a))


def ability(settings: Settings) -> Ability:
    """What the charger can be held at: nothing, or from 6 A on in its steps."""
    wiring = settings.wiring
    watts_of_a10 = wiring.volts * wiring.phases / 10
    return Ability(
        levels_w=(0,),
        range_w=(math.ceil(LOWEST_A10 * watts_of_a10), wiring.most.power_w),
        step_w=max(1, math.ceil(wiring.step_a10 * watts_of_a10)),
        raises=True,
        fallback=FallbackBy.DEVICE,
        lease_s=float(settings.lease_s),
    )


def _tenths(amperes: float) -> int:
    return int(amperes * 10 + 1e-9)
