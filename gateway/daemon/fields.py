"""What a single field of the configuration may be: names, sources, times of day, numbers with their range."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from gateway.core.model import TYPED
from gateway.wire.keys import root_of


def _matching(pattern: str, right: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(right)
        return text

    return check


def _credential(path: Path) -> Path:
    """With the service manager's credential directory filled in."""
    if path.parts[:1] != ("$CREDENTIALS_DIRECTORY",):
        return path
    if not (directory := os.environ.get("CREDENTIALS_DIRECTORY")):
        raise ValueError("$CREDENTIALS_DIRECTORY is only there under a service with LoadCredential=")
    return Path(directory, *path.parts[1:])


def _no_percent(value: object) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool) and 1 < value <= 100:
        raise ValueError(f"should be a share of 1; {value / 100:g} would be right")
    return value


def _root(x: str) -> str:
    if re.fullmatch("[A-Za-z0-9_-]{43}", x):
        with suppress(ValueError):
            return root_of(x).x
    raise ValueError("should be the x of an Ed25519 key as in a JWK: 43 of A-Z, a-z, 0-9, - and _")


def _three_that_fall(caps: tuple[int, ...]) -> tuple[int, ...]:
    if len(caps) > 3 or any(later > former for former, later in pairwise(caps)):
        raise ValueError(
            "should be at most three powers, none above the one before, as in [8000, 4000, 2000]"
        )
    return caps


_ID = "[a-z0-9-]{1,40}"
Id = Annotated[str, AfterValidator(_matching(_ID, 'should be 1 to 40 of a-z, 0-9 and "-"'))]
Source = Annotated[
    str,
    AfterValidator(_matching(rf"{_ID}\.[a-z0-9_]{{1,40}}", 'should be "device.point", as in "hp.power_w"')),
]
SocSource = Annotated[
    str,
    AfterValidator(
        _matching(
            rf"{_ID}\.[a-z0-9_]{{1,40}}|{TYPED}",
            'should be "device.point", as in "charger.soc", or "typed" for what `homeflex soc` says',
        )
    ),
]
StartOfDay = Annotated[
    str, AfterValidator(_matching("([01][0-9]|2[0-3]):[0-5][0-9]", 'should be a time of day, as in "06:30"'))
]
EndOfDay = Annotated[
    str,
    AfterValidator(
        _matching("([01][0-9]|2[0-3]):[0-5][0-9]|24:00", 'should be a time of day, "00:00" to "24:00"')
    ),
]
RootKey = Annotated[str, AfterValidator(_root)]
SecretFile = Annotated[Path, AfterValidator(_credential)]

# What a person writes is taken at its word: "80" is no number, 1 is no claim.
Claim = Annotated[bool, Field(strict=True)]
Whole = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Seconds = Annotated[Number, Field(ge=0, le=604_800)]
Watts = Annotated[Whole, Field(ge=0, le=100_000)]
Caps = Annotated[tuple[Watts, ...], AfterValidator(_three_that_fall)]
NoPercent = BeforeValidator(_no_percent)
Share = Annotated[Number, Field(ge=0, le=1), NoPercent]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Section(BaseModel):
    """A table of the file: what is not named here is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
