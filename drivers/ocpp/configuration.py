"""The keys of OCPP 1.6 that we set: what is measured and how often. Only what differs is written."""

from __future__ import annotations

from collections.abc import Iterator

from drivers.base import DeviceEvent, DevicePort, JsonValue
from drivers.ocpp import v16
from drivers.ocpp.calls import Calls
from drivers.ocpp.connection import PING_S, Negative, NoAnswer
from drivers.ocpp.field import word
from drivers.ocpp.keys import NEEDED, Keys, keys_in
from drivers.ocpp.settings import Settings
from drivers.ocpp.station import Station

ALIGNED_S = 60  # readings while no session runs
_FACT = "measurands"  # what was taken, where the charger does not take all
_SAMPLED, _ALIGNED = "MeterValuesSampledData", "MeterValuesAlignedData"
_MEASURANDS = (
    "Power.Active.Import", "Energy.Active.Import.Register", "Current.Import", "Voltage", "SoC",
)  # fmt: skip
_ALL_KEYS, _SOME_KEYS = "GetConfiguration", "GetConfiguration by key"


class Configuration:
    """The configuration of one charger over one connection."""

    def __init__(self, settings: Settings, port: DevicePort, station: Station, calls: Calls) -> None:
        self._settings = settings
        self._port = port
        self._station = station
        self._calls = calls

    async def read(self) -> Keys:
        """What the charger tells of itself: all keys, else those we need, else nothing."""
        for name, keys in ((_ALL_KEYS, ()), (_SOME_KEYS, NEEDED)):
            if name in self._station.mute:
                continue
            try:
                return keys_in([await self._calls.ask(v16.get_configuration(keys))])
            except NoAnswer:
                self._station.mute.add(name)
                if self._calls.connection.ended:
                    raise
            except Negative:
                self._station.mute.add(name)
        return Keys({})

    async def write(self, keys: Keys) -> None:
        """Set what differs. What is refused stays as it is.

        Raises:
            NoAnswer: the connection ended.
        """
        await self._measure(_SAMPLED, keys)
        await self._set("MeterValueSampleInterval", str(self._settings.sample_s), keys)
        await self._measure(_ALIGNED, keys)
        await self._set("ClockAlignedDataInterval", str(ALIGNED_S), keys)
        if keys.number("WebSocketPingInterval") in (None, 0):
            await self._set("WebSocketPingInterval", str(int(PING_S)), keys)
        await self._set("AuthorizeRemoteTxRequests", "false", keys)

    async def _measure(self, key: str, keys: Keys) -> None:
        """Ask for as much as the charger takes; each try replaces the list, so the last one taken stands."""
        current = [part.strip() for part in (keys.value(key) or "").split(",") if part.strip()]
        if keys.is_read_only(key) or current == self._taken(key):
            return
        if keys.value(key) is None and key == _ALIGNED:
            return  # listed by none that has it not
        for wanted in _ladder(keys.number(f"{key}MaxLength") or len(_MEASURANDS)):
            if set(wanted) == set(current):
                return
            if await self._set(key, ",".join(wanted), keys):
                await self._keep(key, list(wanted))
                return
        await self._keep(key, list(current))

    async def _set(self, key: str, value: str, keys: Keys) -> bool:
        if (keys.value(key) or "").casefold() == value.casefold():
            return True
        if key in self._station.mute or keys.is_read_only(key):
            return False
        try:
            status = word((await self._calls.ask(v16.change_configuration(key, value))).get("status"))
        except Negative:
            return False
        except NoAnswer:
            self._station.mute.add(key)
            if self._calls.connection.ended:
                raise
            return False
        if status == "NotSupported":
            self._station.mute.add(key)
        if status == "RebootRequired":
            text = f"{key} counts only after the charger was started anew"
            self._port.report(DeviceEvent("rebootRequired", text, "info"))
        return status in ("Accepted", "RebootRequired")

    def _taken(self, key: str) -> list[JsonValue] | None:
        """The list the charger took when it was last asked, if it took not all."""
        fact = self._port.facts.get(_FACT)
        if not isinstance(fact, dict) or fact.get("of") != self._station.identity:
            return None
        found = fact.get(key)
        return found if isinstance(found, list) else None

    async def _keep(self, key: str, taken: list[JsonValue]) -> None:
        fact = self._port.facts.get(_FACT)
        kept = fact if isinstance(fact, dict) and fact.get("of") == self._station.identity else {}
        await self._port.facts.put(_FACT, {**kept, "of": self._station.identity, key: taken})


def _ladder(most: int) -> Iterator[tuple[str, ...]]:
    """All measurands, then ever fewer, and energy alone at last."""
    for length in range(min(most, len(_MEASURANDS)), 1, -1):
        yield _MEASURANDS[:length]
    yield (_MEASURANDS[1],)
