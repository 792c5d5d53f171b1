"""The keys of 1.6 as variables of 2.0.1 (part 2, appendix: referenced components and variables). Pure."""

from __future__ import annotations

from collections.abc import Sequence

from drivers.ocpp.field import part, parts, word
from drivers.ocpp.keys import Keys
from drivers.ocpp.rpc import Payload

Variable = tuple[str, str]
"""Component and variable."""

VARIABLES: dict[str, Variable] = {
    "ChargingScheduleAllowedChargingRateUnit": ("SmartChargingCtrlr", "RateUnit"),
    "ChargeProfileMaxStackLevel": ("SmartChargingCtrlr", "ProfileStackLevel"),
    "MeterValuesSampledData": ("SampledDataCtrlr", "TxUpdatedMeasurands"),
    "MeterValueSampleInterval": ("SampledDataCtrlr", "TxUpdatedInterval"),
    "MeterValuesAlignedData": ("AlignedDataCtrlr", "Measurands"),
    "ClockAlignedDataInterval": ("AlignedDataCtrlr", "Interval"),
    "WebSocketPingInterval": ("OCPPCommCtrlr", "WebSocketPingInterval"),
    "AuthorizeRemoteTxRequests": ("AuthCtrlr", "AuthorizeRemoteStart"),
}
_KEYS = {(component.casefold(), name.casefold()): key for key, (component, name) in VARIABLES.items()}
_NOT_THERE = {"UnknownComponent", "UnknownVariable", "NotSupportedAttributeType"}


def variables_of(keys: Sequence[str]) -> list[Variable]:
    """The variables of those keys that have one."""
    return [VARIABLES[key] for key in keys if key in VARIABLES]


def keys_in(answer: Payload) -> Keys:
    """The keys that an answer to GetVariables tells; what can be written it does not tell."""
    told: dict[str, tuple[object, bool]] = {}
    for entry in parts(answer.get("getVariableResult")):
        component, name = (word(part(entry.get(each)).get("name")) for each in ("component", "variable"))
        key = _KEYS.get((component.casefold(), name.casefold()))
        if key and word(entry.get("attributeStatus")) == "Accepted":
            told[key] = entry.get("attributeValue"), False
    return Keys.told(told)


def set_status(answer: Payload) -> str:
    """How SetVariables was answered, of one variable, in 1.6's words."""
    status = next(
        (word(entry.get("attributeStatus")) for entry in parts(answer.get("setVariableResult"))), ""
    )
    return "NotSupported" if status in _NOT_THERE else status
