"""What a charger's configuration says it can do. Pure; names count without case, any may be absent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from drivers.ocpp.field import parts, whole, word
from drivers.ocpp.profile import Unit
from drivers.ocpp.rpc import Payload

NEEDED = (
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
_AMPERE, _WATT = {"current", "a"}, {"power", "w"}


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys and values as the charger told them, and those it said it will not have changed."""

    values: Mapping[str, str]
    read_only: frozenset[str] = frozenset()

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


def keys_in(answers: Iterable[Payload]) -> Keys:
    """What one or more answers to GetConfiguration say."""
    values: dict[str, str] = {}
    read_only = set()
    for answer in answers:
        for entry in parts(answer.get("configurationKey")):
            key = word(entry.get("key")).casefold()
            if not key or len(values) >= 500:
                continue
            value = entry.get("value")
            values[key] = str(value).lower() if isinstance(value, bool) else word(value)
            if entry.get("readonly") is True:
                read_only.add(key)
    return Keys(values, frozenset(read_only))
