"""The keys that we set, named as in 1.6: what is measured and how often. Only what differs is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from drivers.base import DeviceEvent, DevicePort, JsonValue
from drivers.ocpp.calls import Calls
from drivers.ocpp.connection import PING_S, Lost, Negative, NoAnswer
from drivers.ocpp.keys import Keys
from drivers.ocpp.rpc import Payload
from drivers.ocpp.settings import Settings
from drivers.ocpp.station import Station

ALIGNED_S = 60  # readings while no session runs
_FACT = "measurands"  # what was taken, where the charger does not take all
_SAMPLED, _ALIGNED = "MeterValuesSampledData", "MeterValuesAlignedData"
_MEASURANDS = (
    "Power.Active.Import", "Energy.Active.Import.Register", "Current.Import", "Voltage", "SoC",
)  # fmt: skip


class Configuration:
    """The configuration of one charger over one connection."""

    def __init__(self, settings: Settings, port: DevicePort, station: Station, calls: Calls) -> None:
        self._settings = settings
        self._port = port
        self._station = station
        self._calls = calls
        self._version = calls.version

    async def read(self) -> None:
        """Have the charger tell of itself, in the first way it answers; else what it told before counts.

        Raises:
            Lost: the connection ended.
        """
        for name, calls in self._version.KEY_QUESTIONS:
            if self._station.notes.is_mute(name):
                continue
            try:
                answers = await self._answers(name, calls)
            except Lost:
                raise
            except NoAnswer:
                continue
            if answers:
                self._station.notes.told_keys(Keys.merged([self._version.keys_in(each) for each in answers]))
                return
            self._station.notes.cannot(name)

    async def _answers(self, name: str, calls: Sequence[Sequence[str]]) -> list[Payload]:
        """What is told of the keys of each call; one that is declined tells nothing."""
        answers = []
        for keys in calls:
            with suppress(Negative):
                answers.append(await self._calls.ask(self._version.get_keys(keys), name))
        return answers

    async def write(self) -> None:
        """Set what differs. What is refused stays as it is.

        Raises:
            Lost: the connection ended.
        """
        await self._measure(_SAMPLED)
        await self._set("MeterValueSampleInterval", str(self._settings.sample_s))
        await self._measure(_ALIGNED)
        await self._set("ClockAlignedDataInterval", str(ALIGNED_S))
        if self._station.notes.keys.number("WebSocketPingInterval") in (None, 0):
            await self._set("WebSocketPingInterval", str(int(PING_S)))
        await self._set("AuthorizeRemoteTxRequests", "false")

    async def _measure(self, key: str) -> None:
        """Ask for as much as the charger takes; each try replaces the list, so the last one taken stands."""
        keys = self._station.notes.keys
        current = [part.strip() for part in (keys.value(key) or "").split(",") if part.strip()]
        if keys.is_read_only(key) or current == self._taken(key):
            return
        if keys.value(key) is None and key == _ALIGNED:
            return  # listed by none that has it not
        for wanted in _ladder(keys.number(f"{key}MaxLength") or len(_MEASURANDS)):
            if set(wanted) == set(current):
                return
            if await self._set(key, ",".join(wanted)):
                await self._keep(key, list(wanted))
                return
        if not self._station.notes.is_mute(key):
            await self._keep(key, list(current))

    async def _set(self, key: str, value: str) -> bool:
        keys = self._station.notes.keys
        if (keys.value(key) or "").casefold() == value.casefold():
            return True
        if self._station.notes.is_mute(key) or keys.is_read_only(key):
            return False
        try:
            answer = await self._calls.ask(self._version.set_key(key, value), key)
        except Lost:
            raise
        except (Negative, NoAnswer):
            return False
        status = self._version.set_status(answer)
        if status == "NotSupported":
            self._station.notes.cannot(key)
        if status == "RebootRequired":
            text = f"{key} counts only after the charger was started anew"
            self._port.report(DeviceEvent("rebootRequired", text, "info"))
        return status in ("Accepted", "RebootRequired")

    def _taken(self, key: str) -> list[JsonValue] | None:
        """The list the charger took when it was last asked, if it took not all."""
        fact = self._port.facts.get(_FACT)
        if not isinstance(fact, dict) or fact.get("of") != self._station.notes.identity:
            return None
        found = fact.get(key)
        return found if isinstance(found, list) else None

    async def _keep(self, key: str, taken: list[JsonValue]) -> None:
        fact = self._port.facts.get(_FACT)
        kept = fact if isinstance(fact, dict) and fact.get("of") == self._station.notes.identity else {}
        await self._port.facts.put(_FACT, {**kept, "of": self._station.notes.identity, key: taken})


def _ladder(most: int) -> Iterator[tuple[str, ...]]:
    """All measurands, then ever fewer, and energy alone at last."""
    for length in range(min(most, len(_MEASURANDS)), 1, -1):
        yield _MEASURANDS[:length]
    yield (_MEASURANDS[1],)
