"""What a charger's configuration says it can do. Pure; names count without case, any may be absent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Self

from drivers.ocpp.field import whole, word
from drivers.ocpp.profile import Unit

NEEDED = (  # by their names in 1.6
    "SupportedFeatureProfiles",
    "ChargingScheduleAllowedChargingRateUnit",
    "ChargeProfileMaxStackLevel",
    "MeterValuesSampledData",
    "MeterValuesSampledDataMaxLength",
    "MeterValueSampleInterval",
    "MeterValuesAlignedData",
    "ClockAlignedDataInterval",
    "WebSocketPingInterval",
    "AuthorizeRemoteTxRequests",
)
KEYS_MAX = 500
_AMPERE, _WATT = {"current", "a"}, {"power", "w"}


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys and values as the charger told them, and those it said it will not have changed."""

    values: Mapping[str, str]
    read_only: frozenset[str] = frozenset()

    @classmethod
    def told(cls, told: Mapping[str, tuple[object, bool]]) -> Self:
        """Keys by their names, each with what stands for its value and whether it is read only."""
        named = {name.casefold(): each for name, each in islice(told.items(), KEYS_MAX) if name}
        return cls(
            {
                name: str(value).lower() if isinstance(value, bool) else word(value)
                for name, (value, _) in named.items()
            },
            frozenset(name for name, (_, is_read_only) in named.items() if is_read_only),
        )

    @classmethod
    def merged(cls, told: Iterable[Self]) -> Self:
        """What several answers tell."""
        each = list(told)
        values = {name: value for keys in each for name, value in keys.values.items()}
        return cls(values, frozenset(name for keys in each for name in keys.read_only))

    def value(self, key: str) -> str | None:
        """The value of a key; None: not told."""
        return self.values.get(key.casefold())

    def is_read_only(self, key: str) -> bool:
        """Whether it cannot be changed."""
        return key.casefold() in self.read_only

    def number(self, key: str) -> int | None:
        """A whole number."""
        return whole(self.value(key))

    @property
    def units(self) -> tuple[Unit, ...]:
        """What profiles may count in, best first: amperes unless only power is listed."""
        said = {part.strip().casefold() for part in (self.value(NEEDED[1]) or "").split(",")}
        only_watts = bool(said & _WATT) and not said & _AMPERE
        return (Unit.WATT, Unit.AMPERE) if only_watts else (Unit.AMPERE, Unit.WATT)

    @property
    def stack_levels(self) -> tuple[int, ...]:
        """Levels worth a try, best first: many say 3 and take 0, some the other way."""
        most = self.number(NEEDED[2]) or 0
        return (0, most) if 0 < most <= 99 else (0,)

    @property
    def has_levels(self) -> bool:
        """Whether one default may lie over another."""
        most = self.number(NEEDED[2])
        return most is None or most > 0

    @property
    def can_trigger(self) -> bool | None:
        """Whether it sends what it is asked for; None: not told."""
        features = self.value(NEEDED[0])
        return None if features is None else "remotetrigger" in features.casefold()
