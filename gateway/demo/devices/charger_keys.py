"""The configuration keys of a charge point: those of OCPP 1.6, 9, that the simulated one obeys or tells."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.demo.devices.charge_profile import MAX_INSTALLED, MAX_PERIODS, MAX_STACK_LEVEL

MEASURANDS = (
    "Energy.Active.Import.Register",
    "Power.Active.Import",
    "Current.Import",
    "Current.Offered",
    "Voltage",
)
_MOST_MEASURANDS = 4
_SHORTEST_S, _LONGEST_S = 1, 86_400
_TOLD = {
    "ChargeProfileMaxStackLevel": str(MAX_STACK_LEVEL),
    "ChargingScheduleAllowedChargingRateUnit": "Current",
    "ChargingScheduleMaxPeriods": str(MAX_PERIODS),
    "ConnectorSwitch3to1PhaseSupported": "false",
    "GetConfigurationMaxKeys": "50",
    "LocalAuthorizeOffline": "true",
    "LocalPreAuthorize": "false",
    "MaxChargingProfilesInstalled": str(MAX_INSTALLED),
    "MeterValuesAlignedDataMaxLength": str(_MOST_MEASURANDS),
    "MeterValuesSampledDataMaxLength": str(_MOST_MEASURANDS),
    "NumberOfConnectors": "1",
    "StopTransactionOnEVSideDisconnect": "true",
    "SupportedFeatureProfiles": "Core,RemoteTrigger,SmartCharging",
    "UnlockConnectorOnEVSideDisconnect": "false",
}
_FACTORY = {
    "AllowOfflineTxForUnknownId": "true",
    "AuthorizeRemoteTxRequests": "true",
    "ClockAlignedDataInterval": "0",
    "HeartbeatInterval": "300",
    "MeterValuesAlignedData": "Energy.Active.Import.Register",
    "MeterValuesSampledData": "Energy.Active.Import.Register",
    "MeterValueSampleInterval": "60",
    "StopTransactionOnInvalidId": "true",
}


@dataclass
class Keys:
    """The keys and their values, all of them text as on the wire."""

    _values: dict[str, str] = field(default_factory=lambda: dict(_FACTORY))

    def told(self, wanted: list[str] | None) -> dict[str, object]:
        """The answer to GetConfiguration; all keys if none are named."""
        known = self._values | _TOLD
        named = {name.lower(): name for name in known}
        found = [named[name.lower()] for name in wanted or known if name.lower() in named]
        return {
            "configurationKey": [
                {"key": name, "readonly": name in _TOLD, "value": known[name]} for name in sorted(found)
            ],
            "unknownKey": [name for name in wanted or () if name.lower() not in named],
        }

    def change(self, name: str, value: str) -> str:
        """Take a value; the status that answers ChangeConfiguration. Names know no case (9)."""
        names = {known.lower(): known for known in self._values}
        if name.lower() not in names:
            return "Rejected" if name.lower() in {told.lower() for told in _TOLD} else "NotSupported"
        key = names[name.lower()]
        if not _fits(key, value):
            return "Rejected"
        self._values[key] = value
        return "Accepted"

    def seconds(self, name: str) -> float:
        """An interval; 0: off."""
        return float(self._values[name])

    def holds(self, name: str) -> bool:
        """A claim."""
        return self._values[name] == "true"

    def measurands(self, name: str) -> list[str]:
        """What is to be measured."""
        return [one for one in self._values[name].split(",") if one]


def _fits(key: str, value: str) -> bool:
    """Whether a value can be obeyed; a list is refused whole if one of it cannot be measured."""
    factory = _FACTORY[key]
    if factory in ("true", "false"):
        return value in ("true", "false")
    if factory.isdigit():
        return value.isdecimal() and (value == "0" or _SHORTEST_S <= int(value) <= _LONGEST_S)
    wanted = value.split(",") if value else []
    return len(wanted) <= _MOST_MEASURANDS and all(one in MEASURANDS for one in wanted)
